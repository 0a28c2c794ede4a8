"""Studies on a real PostgreSQL server: shared by drivers, handed on when one ends."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from kedro_eeipu import processes
from kedro_eeipu.errors import ConfigurationError, StudyStopped
from kedro_eeipu.study.limits import Limits
from kedro_eeipu.study.opening import open_study
from kedro_eeipu.study.storage import LimitReached
from kedro_eeipu.tuning.trial import run_trial

DEFAULTS = {"clean.scale": 1.0, "left.weight": 2.0, "right.power": 2, "shift": 3.0}


def test_commands_work_and_tell_no_password(project: Any, postgresql: Any) -> None:
    project.study_in(postgresql)
    said = []
    for arguments in (("tune", "--trials", "2"), ("trials", "--format", "json")):
        done = project.kedro("eeipu", *arguments)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout + done.stderr)
    assert [t["state"] for t in json.loads(done.stdout)] == ["complete", "complete"]
    assert not (project.path / ".eeipu" / "study.db").exists()
    kept = [
        path.read_bytes()
        for path in Path(project.path).rglob("*")
        if path.is_file() and path.name != "credentials.yml"
    ]
    assert not any(postgresql.password in text for text in said)
    assert not any(postgresql.password.encode() in content for content in kept)
    assert postgresql.password not in repr(project.load())


@pytest.mark.parametrize(
    "password", ["planted-wrong", "planted @/:?#%"], ids=["wrong", "of odd characters"]
)
def test_wrong_credentials_are_told_before_anything_runs(
    project: Any, postgresql: Any, password: str
) -> None:
    project.study_in(postgresql)
    project.write_credentials({"database": {"username": "tuner", "password": password}})
    with pytest.raises(ConfigurationError) as error:
        project.tuner()
    assert "password authentication failed" in str(error.value)
    assert "eeipu.yml: study.storage" in str(error.value)
    assert password not in str(error.value)


def test_password_in_the_url_is_refused(project: Any) -> None:
    project.write_settings({"study": {"storage": "postgresql://tuner:planted@127.0.0.1/x"}})
    with pytest.raises(ConfigurationError, match=r"study\.credentials") as error:
        project.load()
    assert "planted" not in str(error.value)


def test_two_drivers_share_a_study(make_project: Any, postgresql: Any) -> None:
    """At the same time, each from a folder of its own, as on two machines."""
    url = postgresql.database()
    projects = [make_project(), make_project()]
    tuners = []
    for project in projects:
        project.study_in(postgresql, url)
        tuners.append(project.tuner(limits=Limits(trials=12), sampler="random"))
    done: list[Any] = []
    # Kedro knows one project in a process: the drivers take turns, trial by trial.
    for turn in range(12):
        projects[turn % 2].bootstrap()
        done.append(tuners[turn % 2].evaluate(tuners[turn % 2].proposer.propose().params))
    assert [t.number for t in done] == list(range(12))
    trials = tuners[0].study.trials()
    assert [t.state for t in trials] == ["complete"] * 12
    assert len({json.dumps(t.params, sort_keys=True) for t in trials}) == 12
    assert tuners[1]._limit_reached() == "the study has its 12 trials"


def test_two_containers_with_one_host_name_leave_each_other_alone(
    project: Any, postgresql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the host's network both are called alike, and each is process 1 of its own namespace."""
    project.study_in(postgresql)
    host = socket.gethostname()
    monkeypatch.setattr(processes, "machine", lambda: f"{host} pid:[1]")
    first = project.tuner(limits=Limits(trials=3), sampler="random")
    params = first.proposer.propose().params
    number, run_id = first._begin(params, 0.0)
    recorded = first.study.frozen()[number].user_attrs["run"]
    assert (recorded["host"], recorded["machine"]) == (host, f"{host} pid:[1]")

    monkeypatch.setattr(processes, "machine", lambda: f"{host} pid:[2]")
    second = project.tuner(limits=Limits(trials=3), sampler="random")
    assert second.study.orphans() == []
    assert [t.state for t in second.run().trials] == ["running", "complete", "complete"]

    # The first one comes to its end, and its value counts.
    monkeypatch.setattr(processes, "machine", lambda: f"{host} pid:[1]")
    run = first.project.new_run(run_id, first._run_meta(number))
    first._finish(number, run_trial(first.project, run, params, first.runner))
    assert [t.state for t in second.study.trials()] == 3 * ["complete"]

    # What a process before it has left in its own namespace is closed.
    left = first.study.begin(params, first._distributions, "left", {})
    later = project.tuner(limits=Limits(trials=3), sampler="random")
    assert [t.number for t in later.study.orphans()] == [left]


def test_numbers_are_given_once(project: Any, postgresql: Any) -> None:
    """Sixteen connections begin trials at the same moment."""
    project.study_in(postgresql)
    tuner = project.tuner()
    url, distributions = tuner.project.storage, tuner._distributions
    barrier = threading.Barrier(16)
    numbers: list[int] = []

    def begin() -> None:
        study = open_study(url, "default")
        barrier.wait()
        numbers.extend(study.begin(DEFAULTS, distributions, f"run-{i}", {}) for i in range(3))

    threads = [threading.Thread(target=begin) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(48))


def test_drivers_together_keep_a_limit(project: Any, postgresql: Any) -> None:
    """Each has seen nine trials of ten when all begin one more."""
    project.study_in(postgresql)
    tuner = project.tuner()
    url, distributions = tuner.project.storage, tuner._distributions
    for i in range(9):
        tuner.study.begin(DEFAULTS, distributions, f"run-{i}", {})
    tuner.study.finish(0, None, (), error="interrupted", interrupted=True)
    tuner.study.begin(DEFAULTS, distributions, "again", {})
    barrier, numbers, refused = threading.Barrier(8), [], []

    def begin() -> None:
        study = open_study(url, "default")
        barrier.wait()
        try:
            numbers.append(study.begin(DEFAULTS, distributions, "last", {}, most=10))
        except LimitReached as error:
            refused.append(error)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers == [10], "the tenth that counts"
    assert len(refused) == 7


def test_trial_of_a_driver_that_died_elsewhere_is_taken_over(
    project: Any, postgresql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.study_in(postgresql)
    tuner = project.tuner(limits=Limits(trials=2))
    other = open_study(tuner.project.storage, "default")
    monkeypatch.setattr(socket, "gethostname", lambda: "another machine")
    number = other.begin({**DEFAULTS, "shift": 9.0}, tuner._distributions, "elsewhere", {})
    monkeypatch.undo()
    assert tuner.study.orphans() == [], "its last sign of life is fresh"
    database = tuner.project.storage.rpartition("/")[2]
    postgresql.execute(
        "UPDATE trial_heartbeats SET heartbeat = heartbeat - interval '1 hour'", database
    )
    trials = tuner.run().trials
    assert trials[number].interrupted
    assert trials[number + 1].params == trials[number].params, "tried again by this one"
    assert [t.state for t in trials] == ["failed", "complete", "complete"]


def test_driver_that_was_taken_for_dead_does_not_disturb(project: Any, postgresql: Any) -> None:
    project.study_in(postgresql)
    tuner = project.tuner()
    number = tuner.study.begin(DEFAULTS, tuner._distributions, "slow", {})
    other = open_study(tuner.project.storage, "default")
    other.finish(number, None, (), error="interrupted: its process ended", interrupted=True)
    late = tuner.study.finish(number, 1.0, ())
    assert late.interrupted
    assert tuner.study.trials()[number].value is None


def test_own_running_trials_are_no_orphans(project: Any, postgresql: Any) -> None:
    project.study_in(postgresql)
    tuner = project.tuner()
    tuner.study.begin(DEFAULTS, tuner._distributions, "mine", {"pid": os.getpid()})
    assert tuner.study.orphans() == []


def test_database_that_goes_away_ends_the_study_clearly(project: Any, postgresql: Any) -> None:
    url = project.study_in(postgresql)
    name = url.rpartition("/")[2]
    tuner = project.tuner(
        limits=Limits(trials=50), sampler="random", listener=_Drops(3, postgresql, name)
    )
    with pytest.raises(StudyStopped, match="storage failed") as error:
        tuner.run()
    assert "the same command resumes" in str(error.value)
    assert postgresql.password not in str(error.value)


class _Drops:
    """Takes the database away after a few trials."""

    def __init__(self, trials: int, server: Any, database: str) -> None:
        self.trials, self.server, self.database = trials, server, database

    def study_started(self, runner: Any) -> None: ...
    def proposed(self, why: str) -> None: ...
    def trial_started(self, *_: Any) -> None: ...
    def trial_finished(self, trial: Any) -> None:
        if trial.number + 1 == self.trials:
            self.server.execute(f"DROP DATABASE {self.database} WITH (FORCE)")
