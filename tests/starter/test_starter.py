"""`kedro new --starter eeipu` makes a project that tunes at once."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from kedro.framework.cli.starters import create_cli

from kedro_eeipu.search.block import parse_space
from kedro_eeipu.starter import starters

ROOT = Path(__file__).parents[2]


def new_project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of the starter, named Own Digits."""
    monkeypatch.chdir(folder)
    (starter,) = starters
    asked = ["new", "--starter", starter.template_path, "--name", "Own Digits", "--telemetry", "no"]
    result = CliRunner().invoke(create_cli, asked)
    assert result.exit_code == 0, result.output
    return folder / "own-digits"


def test_kedro_knows_the_starter_by_its_entry_point() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    entry = text.partition('[project.entry-points."kedro.starters"]\n')[2].splitlines()[0]
    module, _, name = entry.partition(" = ")[2].strip('"').partition(":")
    (starter,) = getattr(import_module(module), name)
    assert starter.alias == "eeipu"
    assert (Path(starter.template_path) / "cookiecutter.json").exists()


def test_values_of_the_starter_lie_in_their_ranges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = new_project(tmp_path, monkeypatch)
    base = path / "conf" / "base"
    files = [base / "parameters.yml", base / "parameters_eeipu.yml"]
    parameters = {k: v for f in files for k, v in yaml.safe_load(f.read_text()).items()}
    assert not parse_space(parameters).warnings
    assert (path / "src" / "own_digits" / "nodes.py").exists()
    # What is installed with the package is enough: `tune` is the third command.
    assert "kedro_datasets" not in (path / "requirements.txt").read_text().replace("-", "_")
    assert not [f for f in path.rglob("*") if f.is_file() and "cookiecutter" in f.read_text()]


@pytest.mark.slow
def test_tune_is_the_third_command(
    tmp_path: Path, project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.path = new_project(tmp_path, monkeypatch)
    tuned = project.kedro("eeipu", "tune", "--trials", "2")
    assert tuned.returncode == 0, tuned.stderr
    assert "the study has its 2 trials" in tuned.stdout
    listed = project.kedro("eeipu", "trials", "--format", "json")
    first, second = json.loads(listed.stdout)
    assert [n["status"] for n in first["nodes"]] == ["ran"] * 5
    assert second["nodes"][0] == {**second["nodes"][0], "name": "load_digits", "status": "reused"}
