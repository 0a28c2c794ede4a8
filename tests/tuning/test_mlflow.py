"""What kedro-mlflow's runs of trials say."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.hooks import dataset
from kedro_eeipu.study.limits import Limits
from kedro_eeipu.tuning.mlflow_runs import tag_best, tag_confirmed

GOOD = {"clean.scale": 1.0, "left.weight": 2.0, "right.power": 2, "shift": 3.0}
BAD = {"clean.scale": 2.0, "left.weight": 10.0, "right.power": 3, "shift": 3.0}
METRICS = "kedro_mlflow.io.metrics"


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables, which take seconds to make."""
    import mlflow

    file: Path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def tracked(project: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A project that logs with kedro-mlflow, in its own folder."""
    (project.source / "settings.py").write_text("")
    monkeypatch.chdir(project.path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(dataset, "_warned", set())
    return project


def mlflow_yml(project: Any, **tracking: Any) -> str:
    uri = f"sqlite:///{project.path / 'mlflow.db'}"
    (project.path / "conf" / "local" / "mlflow.yml").write_text(
        yaml.safe_dump(
            {
                "server": {"mlflow_tracking_uri": uri},
                "tracking": {"experiment": {"name": "tuning"}, **tracking},
            }
        )
    )
    return uri


def log_outputs(project: Any) -> None:
    """Let the project log a metric, a metric history and an artifact, which are reused."""
    nodes = project.source / "nodes.py"
    nodes.write_text(
        nodes.read_text()
        + "\n\ndef level(joined):\n    return joined['sum'], [1.0, joined['sum']]\n"
        + "\n\ndef stop(level, shift):\n    if shift == 50:\n        raise KeyboardInterrupt\n"
        + "    return level\n"
    )
    pipeline = project.source / "pipeline.py"
    pipeline.write_text(
        pipeline.read_text().replace(
            "    ])",
            '        node(nodes.level, "joined", ["level", "history"], name="level"),\n'
            '        node(nodes.stop, ["level", "params:shift"], "end", name="stop"),\n    ])',
        )
    )
    file = project.path / "conf" / "base" / "parameters.yml"
    parameters = yaml.safe_load(file.read_text())
    parameters["eeipu"] |= {"report": ["joined:sum"], "also": ["level", "end"]}
    project.write_parameters(parameters)
    file = project.path / "conf" / "base" / "catalog.yml"
    catalog = yaml.safe_load(file.read_text())
    project.write_catalog(
        catalog
        | {
            "level": {"type": f"{METRICS}.MlflowMetricDataset", "run_id": "another"},
            "history": {"type": f"{METRICS}.MlflowMetricHistoryDataset"},
            "joined": {
                "type": "kedro_mlflow.io.artifacts.MlflowArtifactDataset",
                "dataset": {"type": "json.JSONDataset", "filepath": "data/joined.json"},
            },
        }
    )


def test_runs_of_trials(tracked: Any, empty_store: Path) -> None:
    import mlflow

    shutil.copy(empty_store, tracked.path)
    log_outputs(tracked)
    client = mlflow.MlflowClient(mlflow_yml(tracked, run={"id": "fixed"}))
    tuner = tracked.tuner("flights", limits=Limits(trials=1))
    tuner.run()
    for shift in range(4, 8):
        tuner.evaluate({**GOOD, "shift": float(shift)})
    for weight in range(4):
        tuner.evaluate({**GOOD, "left.weight": 3.0 + 0.1 * weight})
    assert tuner.evaluate(BAD).state == "pruned"
    with pytest.raises(KeyboardInterrupt):
        tuner.evaluate({**GOOD, "shift": 50.0})
    best = tuner.study.best()
    assert best.number == 4
    tag_best(tuner.project, tuner.study)
    tag_confirmed(tuner.project, best.run_id, confirmed=True)

    trials = tuner.study.trials()
    (experiment,) = [e for e in client.search_experiments() if e.name == "tuning"]
    runs = sorted(client.search_runs([experiment.experiment_id]), key=lambda r: r.info.start_time)
    assert [r.info.run_name for r in runs] == [f"flights #{n}" for n in range(11)]
    assert [r.info.status for r in runs] == ["FINISHED"] * 9 + ["KILLED"] * 2
    for run, trial in zip(runs, trials, strict=True):
        assert {k: run.data.params[k] for k in GOOD} == {k: str(trial.params[k]) for k in GOOD}
        assert "clean" in run.data.params, "as kedro-mlflow logs it"
        assert run.data.metrics.get("eeipu.objective") == trial.value
        assert run.data.metrics["eeipu.cost_seconds"] == pytest.approx(trial.cost, abs=1e-6)
        assert run.data.metrics["eeipu.saved_seconds"] == pytest.approx(trial.saved, abs=1e-6)
        assert run.data.tags["eeipu.study"] == "flights"
        assert run.data.tags["eeipu.trial"] == str(trial.number)
        assert run.data.tags["eeipu.state"] == trial.pipeline_state
    level = next(n for n in trials[1].nodes if n.name == "level")
    assert level.status == "reused"
    for run in runs[:5]:
        assert run.data.metrics["level"] == run.data.metrics["history"] == 26.0
        history = client.get_metric_history(run.info.run_id, "history")
        assert [m.value for m in history] == [1.0, 26.0], "once a trial"
    assert "level" not in runs[9].data.metrics, "it was pruned before"
    assert runs[10].data.metrics["level"] == 26.0
    files = [[f.path for f in client.list_artifacts(r.info.run_id)] for r in runs]
    made = ["joined.json"]
    assert files == [made, *[[]] * 4, *[made] * 5, []], "of trials that made it"
    assert runs[1].data.tags["eeipu.artifacts_of"] == "joined: flights #0"
    assert not (tracked.path / "data" / "joined.json").exists()
    assert [r.info.run_name for r in runs if "eeipu.best" in r.data.tags] == ["flights #4"]
    assert runs[4].data.tags["eeipu.confirmed"] == "true"
    with mlflow.start_run() as outer:
        tuner.evaluate({**GOOD, "shift": 8.0})
    children = mlflow.search_runs(
        [outer.info.experiment_id],
        f"tags.mlflow.parentRunId = '{outer.info.run_id}'",
        output_format="list",
    )
    assert [r.info.run_name for r in children] == ["flights #11"]
    assert children[0].data.metrics["level"] == 26.0
    assert {("mlflow.yml", "fixed"), ("level", "another")} <= dataset._warned


def test_refused_file_store_is_told_in_a_line(
    tracked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    with pytest.raises(ConfigurationError, match="sqlite:///mlflow") as raised:
        tracked.load()
    assert len(str(raised.value).splitlines()) == 2


@pytest.fixture
def with_mlflow(project: Any, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A project whose trials are MLflow runs without kedro-mlflow."""
    import mlflow

    project.write_settings({"mlflow": True})
    monkeypatch.chdir(project.path)
    shutil.copy(empty_store, project.path)
    mlflow.set_tracking_uri(f"sqlite:///{project.path / 'mlflow.db'}")
    return project


def test_runs_without_kedro_mlflow(with_mlflow: Any) -> None:
    import mlflow

    project = with_mlflow
    tuner = project.tuner(limits=Limits(trials=1))
    tuner.run()
    trial = tuner.evaluate({**GOOD, "shift": 4.0})
    assert [n.status for n in trial.nodes] == ["reused"] * 4 + ["ran"]
    first, second = reversed(
        mlflow.search_runs(experiment_names=[project.package], output_format="list")
    )
    assert (first.info.run_name, second.info.run_name) == ("default #0", "default #1")
    assert first.data.tags["eeipu.best"] == "true"
    assert second.info.status == "FINISHED"
    assert second.data.params == {k: str(v) for k, v in trial.params.items()}
    assert second.data.metrics["eeipu.objective"] == trial.value


def test_a_trial_that_is_stopped_in_a_node_is_a_killed_run(with_mlflow: Any) -> None:
    import mlflow

    project = with_mlflow
    source = (project.source / "nodes.py").read_text()
    trains = "def left(cleaned, weight):\n    import kedro_eeipu, optuna\n"
    trains += "    kedro_eeipu.report(weight, 0)\n"
    trains += "    if kedro_eeipu.should_prune():\n        raise optuna.TrialPruned\n"
    project.write_nodes(source.replace("def left(cleaned, weight):\n", trains))
    tuner = project.tuner()
    for weight in range(1, 6):
        assert tuner.evaluate({**GOOD, "left.weight": float(weight)}).state == "complete"
    trial = tuner.evaluate({**BAD, "left.weight": 9.0})
    assert trial.state == "pruned"
    stopped, *others = mlflow.search_runs(experiment_names=[project.package], output_format="list")
    assert stopped.info.status == "KILLED"
    assert "eeipu.objective" not in stopped.data.metrics
    assert stopped.data.metrics["eeipu.cost_seconds"] == pytest.approx(trial.cost, abs=1e-5)
    assert {run.info.status for run in others} == {"FINISHED"}
