"""The demo as a pipeline: its shape, its parameters, and the same results wherever it runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from flights.pipelines import data_processing, ensemble, feature_engineering
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline
from kedro.runner import AbstractRunner, SequentialRunner, ThreadRunner

LEARNERS = ["random_forest", "boosting", "svm"]


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    parts = (data_processing, feature_engineering, ensemble)
    return sum((part.create_pipeline() for part in parts), start=Pipeline([]))


def run(
    pipeline: Pipeline,
    raw: dict[str, pd.DataFrame],
    parameters: dict[str, Any],
    runner: AbstractRunner,
) -> dict[str, float]:
    """Run the pipeline with everything in memory; return its metrics."""
    catalog = DataCatalog({name: MemoryDataset(table) for name, table in raw.items()})
    for name in pipeline.inputs():
        if name.startswith("params:"):
            catalog[name] = MemoryDataset(value_at(parameters, name.removeprefix("params:")))
    return runner.run(pipeline, catalog)["metrics"].load()


def value_at(parameters: dict[str, Any], path: str) -> Any:
    """The value at a dotted path; KeyError if there is none."""
    value: Any = parameters
    for key in path.split("."):
        value = value[key]
    return value


def reaches(node_input: str, path: str) -> bool:
    """Whether the tuned parameter `path` is part of `node_input`."""
    name = node_input.removeprefix("params:")
    return node_input != name and (path + ".").startswith(name + ".")


def test_base_learners_are_independent_branches(pipeline: Pipeline) -> None:
    for learner in LEARNERS:
        ancestors = {node.name for node in pipeline.to_nodes(f"train_{learner}").nodes}
        descendants = {node.name for node in pipeline.from_nodes(f"train_{learner}").nodes}
        others = {f"train_{other}" for other in LEARNERS if other != learner}
        assert "select_features" in ancestors
        assert {"train_stacker", "predict_late", "evaluate"} <= descendants
        assert not others & (ancestors | descendants)


def test_each_node_takes_only_its_own_parameters(pipeline: Pipeline) -> None:
    taken = [name for node in pipeline.nodes for name in node.inputs if "param" in name]
    assert "parameters" not in taken
    assert len(taken) == len(set(taken))


def test_every_range_holds_its_default_and_reaches_one_node(
    pipeline: Pipeline, base_parameters: dict[str, Any]
) -> None:
    for path, choice in base_parameters["eeipu"]["space"].items():
        default = value_at(base_parameters, path)
        if isinstance(choice, list):
            assert default in choice
        else:
            assert choice["low"] <= default <= choice["high"]
            for condition, value in choice.get("when", {}).items():
                assert value in base_parameters["eeipu"]["space"][condition]
        nodes = [n.name for n in pipeline.nodes if any(reaches(i, path) for i in n.inputs)]
        assert len(nodes) == 1, path


def test_objective_is_what_the_last_node_produces(
    pipeline: Pipeline,
    small_raw: dict[str, pd.DataFrame],
    parameters: dict[str, Any],
    base_parameters: dict[str, Any],
) -> None:
    objective = base_parameters["eeipu"]["objective"]
    assert objective["dataset"] in pipeline.outputs()
    metrics = run(pipeline, small_raw, parameters, SequentialRunner())
    assert isinstance(metrics[objective["key"]], float)


def test_threads_give_the_same_bits(
    pipeline: Pipeline, small_raw: dict[str, pd.DataFrame], parameters: dict[str, Any]
) -> None:
    metrics = run(pipeline, small_raw, parameters, SequentialRunner())
    assert run(pipeline, small_raw, parameters, ThreadRunner(max_workers=3)) == metrics


@pytest.mark.slow
def test_kedro_run_in_processes_gives_the_same_bits_as_memory_and_has_learnt(
    tmp_path: Path,
    demo: Path,
    pipeline: Pipeline,
    raw: dict[str, pd.DataFrame],
    base_parameters: dict[str, Any],
) -> None:
    project = tmp_path / "demo"
    shutil.copytree(demo, project, ignore=shutil.ignore_patterns(".eeipu", "*.pkl", "*.json"))
    environment = {**os.environ, "PYTHONHASHSEED": "7", "DO_NOT_TRACK": "1"}
    # Where kedro-mlflow is installed too: its default, a folder, is refused by newer mlflow.
    environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{tmp_path / 'mlflow.db'}"
    environment.pop("OMP_NUM_THREADS", None)
    command = [sys.executable, "-m", "kedro", "run", "--runner", "ParallelRunner"]
    subprocess.run(command, cwd=project, env=environment, check=True)
    metrics = json.loads((project / "data" / "08_reporting" / "metrics.json").read_text())
    assert metrics == run(pipeline, raw, base_parameters, SequentialRunner())
    assert metrics["auc"] > 0.69
    assert metrics["log_loss"] < 0.51
