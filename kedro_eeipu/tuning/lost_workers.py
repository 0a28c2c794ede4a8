"""A worker dies: what becomes of the trial that it ran."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kedro_eeipu.project.project import Project
from kedro_eeipu.study.records import NodeRecord, TrialRecord
from kedro_eeipu.tuning.cluster import Cluster
from kedro_eeipu.tuning.trial import TrialResult

__all__ = ["RunningTrial", "result_without_worker", "timeout_of"]

_WORKER_ENDED = "interrupted: its worker ended"


@dataclass(frozen=True)
class RunningTrial:
    """A trial that a worker runs."""

    number: int
    run_id: str
    params: Mapping[str, Any]
    since: float = field(default_factory=time.monotonic)


def result_without_worker(
    trial: RunningTrial,
    nodes: tuple[NodeRecord, ...],
    timeout: str,
    trials: Iterable[TrialRecord],
) -> TrialResult:
    """The result of a trial whose worker ended: it is tried again, but only once.

    Args:
        trial: The trial.
        nodes: What the worker finished before it ended.
        timeout: Which timeout ended the worker; empty for another reason.
        trials: All trials of the study.
    """
    if timeout:
        return TrialResult(None, nodes, timeout)
    before = [t for t in trials if t.params == dict(trial.params)]
    if any(t.error == _WORKER_ENDED for t in before):
        return TrialResult(None, nodes, "its worker ended, for the second time")
    return TrialResult(None, nodes, _WORKER_ENDED, interrupted=True)


def timeout_of(trial: RunningTrial, project: Project, cluster: Cluster) -> str:
    """Which timeout has ended the worker of a trial, in words; empty for another reason."""
    if not project.has_timeouts:
        return ""
    if reason := cluster.why_ended(trial.run_id):
        return reason
    limits = [*project.settings.timeouts.values(), project.space.timeout or math.inf]
    # One that had no turn to say so: a node kept the interpreter to itself.
    late = time.monotonic() - trial.since > min(limits)
    return "timed out" if late else ""
