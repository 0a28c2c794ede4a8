"""Trials on real worker processes: side by side, and when something is killed."""

from __future__ import annotations

import collections
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
import yaml
from kedro.runner import SequentialRunner
from services import Dask, free_port

from kedro_eeipu.config.settings import Settings
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.study.limits import Limits
from kedro_eeipu.study.opening import open_study
from kedro_eeipu.tuning.cluster import Cluster, opener
from kedro_eeipu.tuning.cluster_runner import ClusterRunner
from kedro_eeipu.tuning.trial import TrialResult, run_trial

SECONDS = 240.0


def edit(project: Any, old: str, new: str) -> None:
    nodes = project.source / "nodes.py"
    assert old in nodes.read_text()
    nodes.write_text(nodes.read_text().replace(old, new))


def search(project: Any, **space: Any) -> None:
    """Tune these parameters and no others."""
    parameters = yaml.safe_load((project.path / "conf/base/parameters.yml").read_text())
    parameters["eeipu"]["space"] = space
    project.write_parameters(parameters)


def start(project: Any, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        project.command("eeipu", "tune", "--sampler", "random", *arguments),
        cwd=project.path,
        env=project.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=project.hears_ctrl_c,
    )


def go_on(project: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The same command, which is waited for."""
    return project.kedro("eeipu", "tune", "--sampler", "random", *arguments)


def until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Wait for what a running command is about to do."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError("\n".join(process.communicate()))
        time.sleep(0.05)


def trials(project: Any) -> list[dict[str, Any]]:
    done = project.kedro("eeipu", "trials", "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def executed(project: Any) -> list[str]:
    """Names of the functions called so far; lines that two processes write do not mix."""
    log = project.path / "executions.log"
    return log.read_text().split() if log.exists() else []


def assert_sound(project: Any, found: list[dict[str, Any]], complete: int) -> None:
    """Every trial is there once, no key was computed twice, and nothing is left behind."""
    assert [t["number"] for t in found] == list(range(len(found)))
    assert [t["state"] for t in found].count("complete") == complete
    ran = collections.Counter(n["key"] for t in found for n in t["nodes"] if n["status"] == "ran")
    assert [key for key, times in ran.items() if times > 1] == []
    home = project.path / ".eeipu"
    assert list((home / "runs").iterdir()) == []
    assert list((home / "cache" / "leases").iterdir()) == []


@pytest.mark.slow
def test_workers_share_what_they_compute(project: Any) -> None:
    """Only the last node is tuned: what comes before runs once, and the other workers wait."""
    edit(project, "def ran(name):\n", "def ran(name):\n    import time; time.sleep(0.3)\n")
    search(project, shift={"low": 0.0, "high": 50.0})
    done = project.kedro("eeipu", "tune", "--workers", "3", "--trials", "6")
    assert done.returncode == 0, done.stderr
    assert "the study has its 6 trials" in done.stdout
    assert done.stdout.count("\ntrial ") + done.stdout.startswith("trial ") == 6
    assert "distributed" not in done.stderr
    counts = collections.Counter(executed(project))
    assert counts == {"clean": 1, "left": 1, "right": 1, "join": 1, "score": 6}
    assert_sound(project, trials(project), complete=6)


@pytest.mark.slow
def test_worker_killed_in_a_trial_is_replaced_and_the_trial_tried_again(project: Any) -> None:
    edit(
        project,
        '    ran("join")\n',
        '    ran("join")\n    import os\n    if not Path("killed").exists():\n'
        '        Path("killed").touch()\n        os.kill(os.getpid(), 9)\n',
    )
    done = project.kedro("eeipu", "tune", "--workers", "2", "--trials", "4")
    assert done.returncode == 0, done.stderr
    found = trials(project)
    (lost,) = [t for t in found if t["error"]]
    assert lost["error"] == "interrupted: its worker ended"
    assert [n["name"] for n in lost["nodes"] if n["status"] == "ran"] == ["clean", "left", "right"]
    assert lost["cost_seconds"] > 0, "what it had paid is counted"
    (again,) = [t for t in found if t["params"] == lost["params"] and t is not lost]
    assert {n["name"]: n["status"] for n in again["nodes"]}["left"] == "reused"
    assert_sound(project, found, complete=4)


@pytest.mark.slow
def test_trial_that_kills_every_worker_fails_the_second_time(project: Any) -> None:
    edit(
        project,
        '    ran("join")\n',
        '    ran("join")\n    import os\n    os.kill(os.getpid(), 9)\n',
    )
    search(project, shift=[3.0])
    done = project.kedro("eeipu", "tune", "--workers", "1", "--trials", "1")
    assert done.returncode == 1, done.stderr
    errors = [t["error"] for t in trials(project)]
    assert errors == ["interrupted: its worker ended", "its worker ended, for the second time"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_driver_that_ends_leaves_no_process_and_the_same_command_goes_on(
    project: Any, number: int
) -> None:
    edit(project, "def ran(name):\n", "def ran(name):\n    import time; time.sleep(0.4)\n")
    process = start(project, "--workers", "2", "--trials", "5")
    until(lambda: "score" in executed(project) and len(executed(project)) > 6, process)
    left = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    _, said = process.communicate(timeout=SECONDS)
    if number == signal.SIGINT:
        assert process.returncode == 1
        assert "the same command resumes" in said
        assert "Traceback" not in said
    deadline = time.monotonic() + SECONDS
    while any(_runs(worker) for worker in left):  # those of a killed driver end by themselves
        assert time.monotonic() < deadline, "a worker lives on"
        time.sleep(0.05)
    if number == signal.SIGINT:  # the rest is the same
        return
    again = go_on(project, "--workers", "2", "--trials", "5")
    assert again.returncode == 0, again.stdout + again.stderr
    found = trials(project)
    assert_sound(project, found, complete=5)
    retried = [t for t in found if t["state"] == "failed"]
    assert retried
    for trial in retried:
        assert trial["error"].startswith("interrupted")
        assert [t["params"] for t in found].count(trial["params"]) == 2


# --- a cluster that is running --------------------------------------------------------------------


@pytest.fixture
def dask(project: Any) -> Iterator[Callable[..., Dask]]:
    """Starts clusters in the folder of the project."""
    started: list[Dask] = []

    def begin(**options: Any) -> Dask:
        started.append(Dask(project, **options))
        return started[-1]

    yield begin
    for cluster in started:
        cluster.stop()


@pytest.mark.slow
def test_scheduler_that_dies_ends_the_study_and_the_same_command_goes_on(
    project: Any, dask: Any
) -> None:
    edit(project, "def ran(name):\n", "def ran(name):\n    import time; time.sleep(0.4)\n")
    first = dask()
    process = start(project, "--scheduler", first.address, "--trials", "5")
    until(lambda: "score" in executed(project) and len(executed(project)) > 6, process)
    first.processes[0].kill()
    _, said = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert "the Dask scheduler is gone" in said
    assert "the same command resumes" in said
    assert "Traceback" not in said
    first.stop()
    second = dask()
    again = go_on(project, "--scheduler", second.address, "--trials", "5")
    assert again.returncode == 0, again.stdout + again.stderr
    assert_sound(project, trials(project), complete=5)

    # The workers still run: they have read the code, and do not see that it is edited.
    edit(project, 'ran("score")', 'ran("score"); shift = shift + 1')
    stale = go_on(project, "--scheduler", second.address, "--trials", "9")
    assert stale.returncode == 2
    assert "differs from this machine in code of score" in stale.stderr
    assert "restart them" in stale.stderr
    assert [t["state"] for t in trials(project)].count("complete") == 5


def test_workers_with_threads_are_refused(project: Any, dask: Any) -> None:
    cluster = dask(workers=1, threads=2)
    with pytest.raises(ConfigurationError, match="has 2 threads") as error:
        Cluster.connect(cluster.address, {})
    assert "--nthreads 1" in str(error.value)


def test_scheduler_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kedro_eeipu.tuning.cluster._CONNECT_SECONDS", 1)
    with pytest.raises(ConfigurationError, match="no Dask scheduler answers") as error:
        Cluster.connect(f"tcp://127.0.0.1:{free_port()}", {})
    assert "dask worker" in str(error.value)


def test_cluster_without_fitting_workers(
    project: Any, dask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kedro_eeipu.tuning.cluster._FIRST_WORKER_SECONDS", 1)
    cluster = dask(workers=1)
    with pytest.raises(ConfigurationError, match="no workers that offer"):
        Cluster.connect(cluster.address, {"GPU": 1.0})


def test_resources_are_taken_of_workers() -> None:
    resources = Settings.parse({"cluster": {"resources": {"GPU": 1}}}).cluster.resources
    cluster = Cluster.start(2, resources)
    try:
        cluster._client.wait_for_workers(2, timeout=SECONDS)
        assert cluster.size() == 2
        taken = Cluster(cluster._client, None, {"GPU": 2.0})
        assert taken.size() == 0
    finally:
        cluster.close(kill=True)


@pytest.mark.parametrize("amount", ["one", True, 0, -1])
def test_wrong_resources_are_refused(amount: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"cluster\.resources\.GPU"):
        Settings.parse({"cluster": {"resources": {"GPU": amount}}})


def test_missing_dask_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    for open_cluster in (opener(2, None, {}), opener(None, "tcp://127.0.0.1:1", {})):
        with pytest.raises(ConfigurationError, match=r"pip install 'kedro-eeipu\[dask\]'"):
            open_cluster()


def test_workers_import_neither_torch_nor_optuna() -> None:
    """Each of many would pay for it, in seconds and in memory."""
    code = "import sys, kedro_eeipu.tuning.worker; "
    code += "print(*(m for m in ('torch', 'optuna', 'sqlalchemy') "
    code += "if m in sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True)
    assert done.stderr.split() == []


@pytest.mark.slow
def test_settings_of_local_workers_hold_until_the_end() -> None:
    """A process that takes the place of a killed one is started as the first was."""
    import dask.config
    import distributed  # noqa: F401 - brings its defaults

    before = dask.config.get("distributed.worker.daemon")
    cluster = Cluster.start(1, {})
    try:
        assert cluster.size() == 1
        assert before is True
        assert dask.config.get("distributed.worker.daemon") is False
    finally:
        cluster.close()
    assert dask.config.get("distributed.worker.daemon") is before


@pytest.mark.slow
def test_cluster_that_is_closed_while_it_starts_leaves_no_process() -> None:
    before = multiprocessing.active_children()
    cluster = Cluster.start(6, {})
    pids = {n.pid for n in cluster._local._created if n.pid}
    cluster.close(kill=True)
    pids |= {n.pid for n in cluster._local._created if n.pid}
    deadline = time.monotonic() + SECONDS
    while any(_lives(pid) for pid in pids):
        assert time.monotonic() < deadline, "a worker lives on"
        time.sleep(0.05)
    assert set(multiprocessing.active_children()) <= set(before)


def _runs(process: psutil.Process) -> bool:
    """Whether it has not ended; where nobody reads how an orphan ended, it stays a zombie."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_cache_in_memory_is_refused(project: Any) -> None:
    project.write_settings({"cache": {"root": "memory://somewhere"}})
    tuner = project.tuner()
    study = tuner.project, tuner.study, tuner.limits
    with pytest.raises(ConfigurationError, match=r"cache\.root"):
        ClusterRunner(*study, open_cluster=opener(1, None, {}))


def test_two_clusters_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="either --workers or --scheduler"):
        opener(2, "tcp://127.0.0.1:1", {})


class _Here(Cluster):
    """A cluster of two workers in this process, which end their trials when nothing else happens.

    Attributes:
        lose: Number of the trial, counted from 0, whose worker is lost.
    """

    def __init__(self, project: Any, lose: int) -> None:
        self.project = project
        self.lose = lose
        self.waiting: list[tuple[Any, Callable[[Any], None]]] = []
        self.submitted: list[dict[str, Any]] = []

    @property
    def alive(self) -> bool:
        while self.waiting:
            future, done = self.waiting.pop(0)
            done(future)
        return True

    def size(self) -> int:
        return 2

    def submit(self, assignment: Any) -> Any:
        self.submitted.append(dict(assignment.params))
        lost = len(self.submitted) - 1 == self.lose
        result = TrialResult(None, (), "lost", interrupted=True) if lost else None
        if result is None:
            planned = self.project.new_run(assignment.run_id, assignment.meta)
            result = run_trial(self.project, planned, assignment.params, SequentialRunner())
        return _Ended(result, self)

    def close(self, kill: bool = False) -> None:
        pass


class _Ended:
    """The future of a trial."""

    status = "finished"

    def __init__(self, result: TrialResult, cluster: _Here) -> None:
        self.result = lambda: result
        self.cluster = cluster

    def add_done_callback(self, call: Callable[[Any], None]) -> None:
        self.cluster.waiting.append((self, call))


@pytest.mark.parametrize("lose", [-1, 2])
def test_small_space_is_tried_once_by_all_workers_together(
    project: Any, lose: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kedro_eeipu.tuning.cluster_runner._LOOK_SECONDS", 0.01)
    search(project, **{"right.power": [1, 2, 3], "shift": [3.0]})
    loaded = project.load()
    here = _Here(loaded, lose)
    study = open_study(loaded.storage, "default", loaded.space, create=True)
    limits = Limits(budget=3600)
    result = ClusterRunner(loaded, study, limits, open_cluster=lambda: here).run()
    assert "every configuration" in result.stopped
    complete = [t.params["right.power"] for t in result.trials if t.value is not None]
    assert sorted(complete) == [1, 2, 3]
    assert len(result.trials) == (3 if lose < 0 else 4)


@pytest.mark.slow
def test_worker_that_starts_late_runs_on_the_configuration_of_the_beginning(project: Any) -> None:
    """The first trial edits `conf/` and ends its worker; the next worker must not see the edit."""
    parameters = yaml.safe_load((project.path / "conf/base/parameters.yml").read_text())
    search(project, shift={"low": 0.0, "high": 50.0})
    edit(
        project,
        '    ran("join")\n',
        '    ran("join")\n    import os\n    if not Path("killed").exists():\n'
        '        Path("killed").touch()\n'
        '        file = Path("conf/base/parameters.yml")\n'
        '        file.write_text(file.read_text().replace("weight: 2.0", "weight: 1000.0"))\n'
        "        os.kill(os.getpid(), 9)\n",
    )
    assert parameters["left"]["weight"] == 2.0
    done = project.kedro("eeipu", "tune", "--workers", "1", "--trials", "3")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("conf/base/parameters.yml was edited") == 1
    complete = [t for t in trials(project) if t["state"] == "complete"]
    assert len(complete) == 3
    for trial in complete:
        assert trial["value"] == pytest.approx(abs(26.0 - trial["params"]["shift"]))


HANG = '    ran("join")\n    import time\n    while left_rows[0] != 2.0:\n        time.sleep(0.1)\n'


@pytest.mark.slow
@pytest.mark.parametrize("where", ["trial", "node", "node in a process of its own"])
def test_trial_that_takes_too_long_is_ended_and_the_study_goes_on(project: Any, where: str) -> None:
    """All trials but the first hang."""
    edit(project, '    ran("join")\n', HANG)
    parameters = yaml.safe_load((project.path / "conf/base/parameters.yml").read_text())
    if where == "trial":
        parameters["eeipu"]["timeout"] = "3s"
        reason = "timed out: the trial ran longer than 3.0 s"
    else:
        project.write_settings({"nodes": {"jo*": {"timeout": "2s"}}})
        reason = "timed out: node join ran longer than 2.0 s"
    project.write_parameters(parameters)
    options = ["--runner", "ParallelRunner"] if "process" in where else []
    done = project.kedro("eeipu", "tune", "--trials", "3", "--sampler", "random", *options)
    assert done.returncode == 0, done.stderr
    found = trials(project)
    assert [t["state"] for t in found] == ["complete", "failed", "failed"]
    assert [t["error"] for t in found[1:]] == 2 * [reason]
    for trial in found[1:]:
        states = {n["name"]: n["status"] for n in trial["nodes"]}
        assert states["join"] == "failed"
        assert states["left"] in ("ran", "reused")
        assert trial["cost_seconds"] > 1.5
    # A lease of a child that was killed is swept by `cache gc`.
    leases = project.path / ".eeipu" / "cache" / "leases"
    store, deadline = project.load().store, time.monotonic() + SECONDS
    while "process" in where and list(leases.iterdir()):  # it may take its time to end
        assert time.monotonic() < deadline
        store.gc(None)
        time.sleep(0.05)
    assert list(leases.iterdir()) == []
    assert list((project.path / ".eeipu" / "runs").iterdir()) == []


@pytest.mark.slow
def test_waiting_for_another_worker_is_no_time_of_a_trial(project: Any) -> None:
    """One worker computes for four seconds what the other waits for."""
    edit(project, '    ran("clean")\n', '    ran("clean")\n    __import__("time").sleep(4)\n')
    search(project, shift={"low": 0.0, "high": 50.0})
    parameters = yaml.safe_load((project.path / "conf/base/parameters.yml").read_text())
    project.write_settings({"nodes": {"[!c]*": {"timeout": "2s"}}})
    parameters["eeipu"]["timeout"] = "30s"
    project.write_parameters(parameters)
    done = project.kedro("eeipu", "tune", "--trials", "4", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert_sound(project, trials(project), complete=4)
