"""Trials run on the configuration that tuning began with, whatever is edited meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from kedro_eeipu.config.frozen import ConfigurationSnapshot
from kedro_eeipu.study.limits import Limits
from kedro_eeipu.tuning.listener import Listener

PIPELINE = """
from kedro.pipeline import Pipeline, node

from . import nodes


def create_pipeline(**kwargs):
    return Pipeline([node(nodes.score, ["raw", "params:shift", "params:fixed"], "metrics",
                          name="score")])
"""
NODES = """
def score(raw, shift, fixed):
    return {"loss": raw["rows"][0] + shift + 100 * fixed}
"""


class EditAfter(Listener):
    """Edits the configuration once some trials have ended."""

    def __init__(self, trials: int, edit: Any) -> None:
        self.trials, self.edit, self.notices = trials, edit, list[str]()

    def noticed(self, text: str) -> None:
        self.notices.append(text)

    def trial_finished(self, trial: Any) -> None:
        if trial.number + 1 == self.trials:
            self.edit()


@pytest.fixture
def simple(project: Any) -> Any:
    """A project of one node, whose loss is 1 + shift + 100 * fixed."""
    project.write_pipeline(PIPELINE)
    project.write_nodes(NODES)
    write_parameters(project, fixed=0)
    return project


def write_parameters(project: Any, **values: Any) -> None:
    project.write_parameters(
        {
            "shift": 3.0,
            "fixed": 0,
            **values,
            "eeipu": {
                "objective": {"dataset": "metrics", "key": "loss", "direction": "minimize"},
                "space": {"shift": {"low": 0.0, "high": 50.0}},
            },
        }
    )


def set_loader(project: Any, resolvers: str) -> None:
    (project.source / "settings.py").write_text(
        'DISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow",)\n'
        "from pathlib import Path\n"
        "ROOT = Path(__file__).parents[2]\n"
        'CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "local", '
        f'"custom_resolvers": {resolvers}}}\n'
    )


def losses(project: Any, listener: Any, **options: Any) -> list[float]:
    """What each trial found, without what the tuned parameter adds."""
    tuner = project.tuner(limits=Limits(trials=4), sampler="random", listener=listener, **options)
    return [round((t.value or 0.0) - t.params["shift"], 6) for t in tuner.run().trials]


def test_edited_parameter_counts_from_the_next_call(simple: Any) -> None:
    edit = EditAfter(2, lambda: write_parameters(simple, fixed=1))
    assert losses(simple, edit) == 4 * [1.0]
    (notice,) = edit.notices
    assert notice.startswith("conf/base/parameters.yml was edited.")
    assert "from the next `tune`" in notice
    next_call = EditAfter(9, lambda: None)
    simple.tuner(study="next", limits=Limits(trials=1), listener=next_call).run()
    assert losses(simple, next_call, study="another") == 4 * [101.0]
    assert next_call.notices == []


def test_edited_catalog_globals_and_other_environment(simple: Any) -> None:
    conf = simple.path / "conf"
    (conf / "base" / "globals.yml").write_text("file: data/raw.json\nfixed: 0\n")
    catalog = yaml.safe_load((conf / "base" / "catalog.yml").read_text())
    catalog["raw"]["filepath"] = "${globals:file}"
    simple.write_catalog(catalog)
    write_parameters(simple, fixed="${globals:fixed}")
    (simple.path / "data" / "other.json").write_text('{"rows": [1000.0]}')

    def edit() -> None:
        (conf / "base" / "globals.yml").write_text("file: data/other.json\nfixed: 1\n")
        (conf / "local" / "parameters.yml").write_text("fixed: 7\n")
        (conf / "base" / "catalog.yml").unlink()

    listener = EditAfter(1, edit)
    assert losses(simple, listener) == 4 * [1.0]
    (notice,) = listener.notices
    for file in ("base/globals.yml", "base/catalog.yml", "local/parameters.yml"):
        assert f"conf/{file}" in notice


def test_runtime_parameters_are_merged_anew(simple: Any) -> None:
    """The tuned value reaches the catalog and other parameters as Kedro resolves them."""
    write_parameters(simple, fixed="${runtime_params:shift, 0}")
    tuner = simple.tuner(limits=Limits(trials=3), sampler="random")
    for trial in tuner.run().trials:
        shift = trial.params["shift"]
        assert trial.value == pytest.approx(1.0 + shift + 100 * shift)


def test_resolver_that_reads_a_file_or_the_environment(
    simple: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"dotenv_{simple.package}"
    set_loader(simple, f'{{"{name}": lambda key: int((ROOT / ".env").read_text())}}')
    (simple.path / ".env").write_text("0")
    write_parameters(simple, fixed=f"${{{name}:FIXED}}")
    edit = EditAfter(1, lambda: (simple.path / ".env").write_text("1"))
    assert losses(simple, edit) == 4 * [1.0]
    # A plain run in the same process sees the edit.
    assert simple.plain_run()["loss"] == 1.0 + 3.0 + 100.0
    OmegaConf.clear_resolver(name)


def test_hooks_may_change_the_loader(simple: Any) -> None:
    (simple.source / "settings.py").write_text(
        'DISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow",)\n'
        "from kedro.framework.hooks import hook_impl\n"
        "class Hooks:\n"
        "    @hook_impl\n"
        "    def after_context_created(self, context):\n"
        "        loader = context.config_loader\n"
        '        loader.config_patterns["extra"] = ["extra*"]\n'
        '        assert type(loader).__name__ == "OmegaConfigLoader"\n'
        '        parameters = loader["parameters"]\n'
        '        parameters["fixed"] = loader["extra"]["fixed"]\n'
        '        loader["parameters"] = parameters\n'
        "HOOKS = (Hooks(),)\n"
    )
    extra = simple.path / "conf" / "base" / "extra.yml"
    extra.write_text("fixed: 2\n")
    edit = EditAfter(1, lambda: extra.write_text("fixed: 3\n"))
    assert losses(simple, edit) == 4 * [201.0]


def test_credentials_stay_where_they_are(simple: Any) -> None:
    simple.write_credentials({"key": {"secret": "planted-password"}})
    project = simple.load()
    project.dry_plan()
    portable = project.configuration.portable()
    assert "planted-password" not in repr(portable)
    assert any(question[0] == "parameters" for question in portable)


def test_snapshot_of_another_folder(simple: Any, make_project: Any) -> None:
    """A worker has the project elsewhere, and edited configuration."""
    project = simple.load()
    project.dry_plan()
    received = ConfigurationSnapshot(project.configuration.portable())
    copy = make_project()
    copy.write_pipeline(PIPELINE)
    copy.write_nodes(NODES)
    write_parameters(copy, fixed=1)
    there = copy.load(configuration=received)
    assert there.parameters == project.parameters
    assert there.fixed_parts.keys() == project.fixed_parts.keys()


def test_touched_file_is_not_edited(tmp_path: Path) -> None:
    file = tmp_path / "parameters.yml"
    file.write_text("a: 1")
    snapshot = ConfigurationSnapshot()
    snapshot.watch([tmp_path])
    file.write_text("a: 1")
    assert snapshot.edited() == []
    file.write_text("a: 2")
    assert snapshot.edited() == [file]
