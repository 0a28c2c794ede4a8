"""Run a trial once more without the cache, in a fresh process, and record the result."""

from __future__ import annotations

import contextlib
import json
import pickle
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kedro.io.core import generate_timestamp

from kedro_eeipu.config.opening import ensure_home
from kedro_eeipu.errors import ConfigurationError, EEIPUError
from kedro_eeipu.hooks.run_directory import plan_directory
from kedro_eeipu.project.project import Project
from kedro_eeipu.study.confirmation import Confirmation
from kedro_eeipu.study.records import TrialRecord
from kedro_eeipu.study.storage import TrialStudy
from kedro_eeipu.tuning.fresh_process import FreshProject, end, start
from kedro_eeipu.tuning.fresh_trial import ANSWER, FreshTrial
from kedro_eeipu.tuning.mlflow_runs import tag_confirmed

__all__ = ["confirm", "expected_seconds", "is_cheap"]

# Of the seconds that a study has spent, `tune` gives so many to confirm the best trial.
_SHARE = 0.1
_LOG = "log"
_TAIL = 2000
_LOOK_SECONDS = 1.0


def expected_seconds(trial: TrialRecord) -> float:
    """Seconds that the nodes of a trial take when none is reused."""
    return sum(n.seconds + n.saved for n in trial.nodes)


def is_cheap(trials: Sequence[TrialRecord], trial: TrialRecord, starting: float) -> bool:
    """Whether confirming a trial costs little beside its study.

    Args:
        trials: The trials of the study.
        trial: One of them.
        starting: Seconds that it takes to start a process and load the project.
    """
    spent = sum(t.cost for t in trials)
    return expected_seconds(trial) + starting <= _SHARE * spent


def confirm(
    project: Project, study: TrialStudy, trial: TrialRecord, *, whole: bool = False
) -> Confirmation:
    """Run a trial once more, and record the result; it is no trial of the study.

    Args:
        project: Loaded with the trial's environment and runtime parameters.
        study: The study.
        trial: A complete trial of it.
        whole: Whether nodes run, too, that trials leave out.

    Raises:
        EEIPUError: It could not be run; nothing is recorded.
        KeyboardInterrupt: The process is ended; nothing is recorded.
    """
    started = time.time()
    directory = plan_directory(ensure_home(project.path) / "runs")
    try:
        task = FreshTrial(
            project=FreshProject.of(project),
            study=study.name,
            trial=trial,
            run_id=f"{generate_timestamp()}-{uuid.uuid4().hex[:8]}",
            folder=directory.path.absolute(),
            whole=whole,
            states=study.states.all(),
        )
        answer = _run(task, project.started, on_worker=trial.on_worker)
    finally:
        directory.remove()
    now = time.time()
    answered = Confirmation.from_json(answer)
    result = replace(answered, seconds=round(now - started, 3), time=round(now, 3))
    study.confirm(trial.number, result)
    tag_confirmed(project, trial.run_id, confirmed=result.confirmed)
    return result


def _run(task: FreshTrial, began: Mapping[str, Any], on_worker: bool) -> dict[str, Any]:
    """What a fresh process answers.

    Args:
        task: What it runs.
        began: The state of this process before it ran trials.
        on_worker: Whether trials ran with one thread.

    Raises:
        EEIPUError: There is no answer.
    """
    with open(task.folder / _LOG, "wb") as log:
        code = "from kedro_eeipu.tuning.fresh_trial import main; main()"
        process = start(code, began, log, on_worker=on_worker)
    assert process.stdin is not None
    try:
        with contextlib.suppress(BrokenPipeError):  # it has ended, and its log says why
            process.stdin.write(pickle.dumps(task))
            process.stdin.flush()
        # Where another thread gets the signal of Ctrl-C, a wait without end would continue.
        while process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_SECONDS)
    finally:
        if process.poll() is None:
            end(process)
        process.stdin.close()
    return _answer(task.folder, process.returncode)


def _answer(folder: Path, code: int) -> dict[str, Any]:
    try:
        answer = json.loads((folder / ANSWER).read_text())
    except FileNotFoundError:
        tail = (folder / _LOG).read_bytes()[-_TAIL:].decode(errors="replace").strip()
        raise EEIPUError(
            f"the process that was to confirm the trial ended with code {code}, without a result. "
            f"Nothing is lost.\n{tail}".strip()
        ) from None
    if "configuration" in answer:
        raise ConfigurationError(answer["configuration"])
    if "error" in answer:
        raise EEIPUError(answer["error"])
    answered: dict[str, Any] = answer["confirmation"]
    return answered
