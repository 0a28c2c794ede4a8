"""A trial once more, without the cache: what is compared, and what it must leave alone."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from kedro_eeipu.study.limits import Limits
from kedro_eeipu.study.records import NodeRecord, TrialRecord
from kedro_eeipu.tuning import confirming
from kedro_eeipu.tuning.fresh_trial import confirmation

FLAVOURED = """
import os

from .nodes_before import *  # noqa


def left(cleaned, weight):
    ran("left")
    return [weight * x + float(os.environ.get("flavour", "0")) for x in cleaned["rows"]]
"""


@pytest.fixture
def here(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process do what a fresh one does, which takes seconds to start."""

    def run(task: Any, *_: Any, **__: Any) -> dict[str, Any]:
        project.bootstrap()
        return confirmation(task).to_json()

    monkeypatch.setattr(confirming, "_run", run)


def confirmed(tuner: Any, number: int = 0, **options: Any) -> Any:
    trial = tuner.study.trials()[number]
    result = confirming.confirm(tuner.project, tuner.study, trial, **options)
    (listed,) = tuner.study.confirmed([trial])
    assert listed.confirmation == result
    return result


def test_trial_that_comes_out_alike_is_confirmed(project: Any, here: None) -> None:
    tuner = project.tuner(sampler="random")
    tuner.run()
    before, runs = project.files(), sorted((project.path / ".eeipu/runs").iterdir())
    project.executions()
    result = confirmed(tuner, 3)
    assert result.confirmed
    assert result.value == result.expected
    assert not result.differing
    assert project.executions() == ["clean", "left", "right", "join", "score"], "nothing is reused"
    assert project.files() == before, "the user's files are untouched"
    assert sorted((project.path / ".eeipu/runs").iterdir()) == runs
    assert len(tuner.study.trials()) == 4, "it is no trial"


def test_study_in_postgresql_with_its_cache_in_a_bucket(
    project: Any, here: None, postgresql: Any, s3: Any
) -> None:
    project.keep_in_bucket(s3)
    credentials = yaml.safe_load((project.path / "conf/local/credentials.yml").read_text())
    cache = yaml.safe_load((project.path / "conf/base/eeipu.yml").read_text())["cache"]
    project.study_in(postgresql, cache=cache)
    database = yaml.safe_load((project.path / "conf/local/credentials.yml").read_text())
    project.write_credentials({**credentials, **database})
    tuner = project.tuner(sampler="random", limits=Limits(trials=2))
    tuner.run()
    assert confirmed(tuner, 1).confirmed


def test_wrong_record_is_named_with_its_node(
    project: Any, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = project.source / "nodes.py"
    nodes.rename(project.source / "nodes_before.py")
    project.write_nodes(FLAVOURED)
    tuner = project.tuner(limits=Limits(trials=1))
    tuner.run()
    monkeypatch.setenv("flavour", "1")  # which no key knows
    result = confirmed(tuner)
    assert not result.confirmed
    assert result.differing == ("left", "join", "score")
    assert result.words.endswith("first differs at node left")
    assert not result.changed


def test_edit_since_the_trial_is_named(project: Any, here: None) -> None:
    tuner = project.tuner(limits=Limits(trials=1))
    tuner.run()
    text = (project.source / "nodes.py").read_text()
    project.write_nodes(text.replace("abs(joined", "1 + abs(joined"))
    result = confirmed(tuner)
    assert not result.confirmed
    assert result.differing == ("score",)
    assert result.changed == ("node `score`'s code",)


def test_objective_may_differ_within_the_tolerance(
    project: Any, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import yaml

    file = project.path / "conf/base/parameters.yml"
    parameters = yaml.safe_load(file.read_text())
    parameters["eeipu"]["confirm"] = {"tolerance": 1.5}
    project.write_parameters(parameters)
    (project.source / "nodes.py").rename(project.source / "nodes_before.py")
    project.write_nodes(FLAVOURED)
    tuner = project.tuner(limits=Limits(trials=1))
    tuner.run()
    monkeypatch.setenv("flavour", "0.1")
    result = confirmed(tuner)
    assert result.confirmed
    assert result.value != result.expected
    assert "within the tolerance" in result.words
    monkeypatch.setenv("flavour", "1")
    assert not confirmed(tuner).confirmed


def test_failure_is_told_and_leaves_the_trial(
    project: Any, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.source / "nodes.py").rename(project.source / "nodes_before.py")
    project.write_nodes(FLAVOURED)
    tuner = project.tuner(limits=Limits(trials=1))
    tuner.run()
    monkeypatch.setenv("flavour", "sweet")
    result = confirmed(tuner)
    assert not result.confirmed
    assert "left: ValueError" in result.error
    assert result.error in result.words
    assert [t.state for t in tuner.study.trials()] == ["complete"]


def test_outputs_of_a_confirmed_trial_can_be_adopted(project: Any, here: None) -> None:
    from kedro_eeipu.project.apply import Adoption

    project.write_settings({"cache": {"nodes": {"clean": {"cache": False}}}})
    tuner = project.tuner(limits=Limits(trials=1))
    tuner.run()

    def saved() -> Any:
        (trial,) = tuner.study.confirmed([tuner.study.trials()[0]])
        return Adoption(tuner.project, trial, "default", "local").save_outputs()

    assert saved().saved == ["metrics"]
    confirmed(tuner)
    assert saved().saved == ["cleaned", "metrics"]
    tuner.project.store.gc(None, grace_seconds=0)
    assert saved().saved == ["cleaned", "metrics"], "a record holds them"
    tuner.project.store.clear()
    assert sorted(saved().missing) == ["cleaned", "metrics"]
    confirmed(tuner)
    assert saved().saved == ["cleaned", "metrics"], "what was lost is brought back"


def test_confirming_is_cheap_beside_a_long_study() -> None:
    nodes = (
        NodeRecord.from_json({"name": "a", "status": "ran", "seconds": 2.0}),
        NodeRecord.from_json({"name": "b", "status": "reused", "saved": 3.0}),
    )
    trial = TrialRecord(0, "complete", {}, 1.0, nodes)
    assert confirming.expected_seconds(trial) == 5.0
    assert not confirming.is_cheap([trial] * 39, trial, starting=3.0)
    assert confirming.is_cheap([trial] * 40, trial, starting=3.0)


@pytest.mark.slow
def test_killed_in_the_middle_nothing_is_lost(project: Any) -> None:
    text = (project.source / "nodes.py").read_text()
    slow = 'while (EXECUTIONS.parent / "wait").exists():\n        pass\n    ran("left")'
    project.write_nodes(text.replace('ran("left")', slow))
    tuner = project.tuner(limits=Limits(trials=1))
    tuner.run()
    log = project.path / "executions.log"
    before = project.files()
    for number in (signal.SIGINT, signal.SIGKILL):
        (project.path / "wait").touch()
        project.executions()
        process = subprocess.Popen(
            project.command("eeipu", "confirm"),
            cwd=project.path,
            env=project.environment(),
            stderr=subprocess.PIPE,
            preexec_fn=project.hears_ctrl_c,
        )
        until = time.monotonic() + 60
        while not (log.exists() and "clean" in log.read_text()) and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(number)
        process.communicate(timeout=240)
        assert process.returncode == (1 if number == signal.SIGINT else -number)
        until = time.monotonic() + 60
        while _of_the_project(project.path) and time.monotonic() < until:
            time.sleep(0.05)
        assert not _of_the_project(project.path), "the fresh process has ended, too"
        (trial,) = tuner.study.confirmed(tuner.study.trials()[:1])
        assert trial.confirmation is None
    (project.path / "wait").unlink()
    done = project.kedro("eeipu", "confirm", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert '"confirmed": true' in done.stdout
    assert project.files() == before


def _of_the_project(path: Path) -> list[str]:
    """Processes that run in the project's folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd") == str(path):
                found.append(process.name)
        except OSError:
            continue
    return found
