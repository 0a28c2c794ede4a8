"""A study's file that other programs lock, delete, replace or make at the same moment."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from kedro_eeipu.errors import StudyStopped
from kedro_eeipu.study import database_wait
from kedro_eeipu.study.limits import Limits
from kedro_eeipu.tuning.listener import Listener

OPEN = """
import sys
from kedro_eeipu.search.space import Objective, Range, SearchSpace
from kedro_eeipu.study.opening import open_study
space = SearchSpace(ranges=(Range("x", "float", 0.5, low=0.0, high=1.0),),
                    objective=Objective("metrics", "", "minimize"))
open_study(sys.argv[1], sys.argv[2], space, create=True)
"""


class AfterTrial(Listener):
    """Does something when a trial has ended."""

    def __init__(self, number: int, act: Any) -> None:
        self.number, self.act = number, act

    def trial_finished(self, trial: Any) -> None:
        if trial.number == self.number:
            self.act()


def lock(file: Path, seconds: float) -> threading.Thread:
    """Lock a database for so long, from another connection; returns when it is locked."""
    locked = threading.Event()

    def hold() -> None:
        connection = sqlite3.connect(file, isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        locked.set()
        time.sleep(seconds)
        connection.execute("ROLLBACK")
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert locked.wait(30)
    return thread


def test_locked_study_is_waited_for(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    warnings: list[str] = []
    monkeypatch.setattr(
        database_wait.logger, "warning", lambda text, *values: warnings.append(text % values)
    )
    file = project.path / ".eeipu" / "study.db"
    listener = AfterTrial(0, lambda: threads.append(lock(file, 8.0)))
    tuner = project.tuner(limits=Limits(trials=3), sampler="random", listener=listener)
    result = tuner.run()
    threads[0].join()
    assert [t.state for t in result.trials] == 3 * ["complete"]
    assert warnings == [f"Another program has locked {file}: waiting for it."]


def test_locked_study_can_be_opened(project: Any) -> None:
    project.tuner(limits=Limits(trials=1)).run()
    thread = lock(project.path / ".eeipu" / "study.db", 6.0)
    done = project.kedro("eeipu", "tune", "--trials", "2")
    thread.join()
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("runner", ["in this process", "on workers"])
def test_deleted_study_stops(project: Any, runner: str) -> None:
    """A node deletes the file; what is written into a deleted file is lost."""
    nodes = project.source / "nodes.py"
    nodes.write_text(
        nodes.read_text().replace(
            '    ran("score")\n',
            '    ran("score")\n    if shift != 3.0:\n'
            '        (EXECUTIONS.parent / ".eeipu" / "study.db").unlink(missing_ok=True)\n',
        )
    )
    options = ["--workers", "1"] if runner == "on workers" else []
    done = project.kedro("eeipu", "tune", "--trials", "4", *options)
    assert done.returncode == 1
    assert "study.db was deleted while the study ran" in done.stderr
    assert "Traceback" not in done.stderr
    again = project.kedro("eeipu", "tune", "--trials", "1")
    assert again.returncode == 0, again.stderr
    assert "reused 5 of 5" in again.stdout, "finished nodes are kept"


def test_replaced_study_stops(project: Any, make_project: Any) -> None:
    other = make_project()
    other.tuner(limits=Limits(trials=1)).run()
    new, file = (p.path / ".eeipu" / "study.db" for p in (other, project))
    listener = AfterTrial(1, lambda: shutil.copyfile(new, new.with_name("b")).replace(file))
    tuner = project.tuner(limits=Limits(trials=4), listener=listener)
    with pytest.raises(StudyStopped, match=r"study.db was replaced"):
        tuner.run()


def test_processes_that_make_the_tables_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'study.db'}"
    processes = [
        subprocess.Popen([sys.executable, "-c", OPEN, url, f"study-{i}"], stderr=subprocess.PIPE)
        for i in range(6)
    ]
    errors = [p.communicate(timeout=120)[1].decode() for p in processes]
    assert [p.returncode for p in processes] == 6 * [0], errors
