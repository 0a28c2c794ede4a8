"""The `eeipu` blocks of the demo's pipelines, and that every pipeline runs as Kedro runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from flights.pipelines import language, vision

PIPELINES = {"vision": vision, "language": language}
TINY = {
    "vision": {"scan": {"count": 1}, "train": {"channels": 4, "steps": 3}, "resolution": 4},
    "language": {
        "teacher": {"steps": 2},
        **{f"distil_{stage}": {"steps": 2} for stage in (1, 2, 3)},
    },
}


def merged(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Nested mappings, the second before the first."""
    both = {k: merged(base[k], more[k]) for k in base.keys() & more if isinstance(more[k], dict)}
    return {**base, **more, **both}


def value_at(parameters: dict[str, Any], path: str) -> Any:
    value: Any = parameters
    for key in path.split("."):
        value = value[key]
    return value


@pytest.mark.parametrize("env", ["base", "gpu"])
@pytest.mark.parametrize("name", PIPELINES)
def test_every_range_holds_its_default_and_reaches_a_node(demo: Path, name: str, env: str) -> None:
    parameters: dict[str, Any] = {}
    for folder in dict.fromkeys(("base", env)):
        file = demo / "conf" / folder / f"parameters_{name}.yml"
        parameters = merged(parameters, yaml.safe_load(file.read_text()))
    block = parameters[f"eeipu_{name}"]
    taken = {
        i.removeprefix("params:")
        for node in PIPELINES[name].create_pipeline().nodes
        for i in node.inputs
    }
    for path, choice in block["space"].items():
        default = value_at(parameters, path)
        if isinstance(choice, list):
            assert default in choice
        else:
            assert choice["low"] <= default <= choice["high"], path
        assert any(path.startswith(f"{t}.") for t in taken), path
    assert block["objective"]["dataset"] in PIPELINES[name].create_pipeline().outputs()


@pytest.mark.slow
@pytest.mark.parametrize("name", PIPELINES)
def test_processes_give_the_same_metrics_as_one_process(
    tmp_path: Path, demo: Path, name: str
) -> None:
    project = tmp_path / "demo"
    shutil.copytree(demo, project, ignore=shutil.ignore_patterns(".eeipu", "*.pkl", "*.json"))
    (project / "conf" / "local").mkdir(exist_ok=True)
    (project / "conf" / "local" / "parameters.yml").write_text(yaml.safe_dump({name: TINY[name]}))
    environment = {**os.environ, "DO_NOT_TRACK": "1"}
    environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{tmp_path / 'mlflow.db'}"
    metrics = {"vision": "segmentation_metrics", "language": "student_metrics"}[name]
    found = []
    for runner in ("SequentialRunner", "ParallelRunner"):
        command = [sys.executable, "-m", "kedro", "run", "--pipeline", name, "--runner", runner]
        subprocess.run(command, cwd=project, env=environment, check=True)
        file = project / "data" / "08_reporting" / f"{metrics}.json"
        found.append(json.loads(file.read_text()))
        file.unlink()
    assert found[0] == found[1]
