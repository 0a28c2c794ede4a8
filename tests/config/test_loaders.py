"""Configuration loaders of a project's own, and folders of the configuration that are missing."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
import yaml

from kedro_eeipu.errors import ConfigurationError

SETTINGS = """
import yaml
from pathlib import Path
from kedro.config import AbstractConfigLoader, MissingConfigException


class OwnLoader(AbstractConfigLoader):
    def __getitem__(self, key):
        if key not in ("parameters", "catalog"):
            raise MissingConfigException(key)
        content = yaml.safe_load((Path(self.conf_source) / "base" / f"{key}.yml").read_text())
        return {**content, **self.runtime_params} if key == "parameters" else content


CONFIG_LOADER_CLASS = OwnLoader
CONFIG_LOADER_ARGS = {}
DISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow",)
"""


@pytest.fixture
def own(project: Any) -> Any:
    """The project with a loader that knows neither patterns nor environments."""
    (project.source / "settings.py").write_text(SETTINGS)
    return project


def test_a_loader_of_another_kind_serves_all_commands(own: Any) -> None:
    own.write_settings({"cache": {"max_size": "1GB", "runs": True}})
    own.write_settings({"cache": {"max_size": "2GB"}}, env="local")
    cache = own.load().settings.cache
    assert (cache.max_size, cache.runs) == (2_000_000_000, True)
    for arguments in (
        ("plan",),
        ("tune", "--trials", "3", "--sampler", "random"),
        ("best",),
        ("apply", "--trial", "0", "--env", "tuned"),
    ):
        done = own.kedro("eeipu", *arguments)
        assert done.returncode == 0, done.stderr
    values = own.tuner().study.trials()
    assert len({t.params["shift"] for t in values}) == len({t.value for t in values}) == 3
    assert own.kedro("run").returncode == 0


def test_a_loader_of_another_kind_gets_its_block_by_init(own: Any) -> None:
    parameters = yaml.safe_load((own.path / "conf/base/parameters.yml").read_text())
    del parameters["eeipu"]
    own.write_parameters(parameters)
    done = own.kedro("eeipu", "init")
    assert "Wrote conf/base/parameters_eeipu.yml" in done.stdout, done.stderr


def test_broken_settings_are_told_with_a_loader_of_another_kind(own: Any) -> None:
    (own.path / "conf/base/eeipu.yml").write_text("cache: {runs: [\n")
    with pytest.raises(ConfigurationError, match=r"conf/base/eeipu\.yml"):
        own.load()


def test_a_loader_that_drops_runtime_parameters_is_refused(own: Any) -> None:
    text = SETTINGS.replace("{**content, **self.runtime_params}", "dict(content)")
    (own.source / "settings.py").write_text(text)
    with pytest.raises(ConfigurationError, match="OwnLoader does not put the values"):
        own.load()


def test_folders_that_are_missing_are_told(project: Any) -> None:
    with pytest.raises(ConfigurationError, match="nope: there is no such configuration folder"):
        project.load(conf_source=str(project.path / "nope"))
    (project.path / "conf" / "local").rmdir()
    with pytest.raises(ConfigurationError, match="conf/local: the configuration environment has"):
        project.load()
    assert project.load(env="base").space is not None


def test_an_environment_in_an_archive_is_found(project: Any) -> None:
    shutil.copytree(project.path / "conf" / "base", project.path / "conf" / "prod")
    archive = shutil.make_archive(
        str(project.path / "packed"), "zip", project.path, base_dir="conf"
    )
    assert project.load(env="prod", conf_source=archive).space is not None
