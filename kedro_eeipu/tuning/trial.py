"""One trial: a run of the pipeline through the cache, and what has come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kedro.runner import AbstractRunner

from kedro_eeipu.errors import EEIPUError
from kedro_eeipu.hooks import PlannedRun
from kedro_eeipu.hooks.run_directory import RunDirectory
from kedro_eeipu.project.project import Project
from kedro_eeipu.study.records import NodeRecord


@dataclass(frozen=True)
class TrialResult:
    """How a trial ended.

    Attributes:
        value: The objective, ``None`` when it failed.
        nodes: What happened to its nodes, in the order of the pipeline.
        error: Why it failed.
        interrupted: Whether it was stopped from outside, so that it is to be tried again.
        stop: What ends the whole study: an interruption or a wrong configuration.
        pruned: Whether it was ended early, by what it had reported.
        reported: What it has reported, by place in the ``report`` of the ``eeipu`` block.
    """

    value: float | None
    nodes: tuple[NodeRecord, ...]
    error: str | None = None
    interrupted: bool = False
    stop: BaseException | None = None
    pruned: bool = False
    reported: Mapping[int, float] = field(default_factory=dict)


def run_trial(
    project: Project, run: PlannedRun, params: Mapping[str, Any], runner: AbstractRunner
) -> TrialResult:
    """Run the pipeline once with these values; whatever it raises is in the result.

    Args:
        project: The project.
        run: A new run of it, whose directory is gone afterwards.
        params: Values by dotted path, of the active parameters.
        runner: Kedro's runner for the nodes.
    """
    value, error, stop, exited = None, None, None, ""
    reported: dict[int, float] = {}
    pruned = ""
    try:
        try:
            project.execute(run, params, runner)
            value = _objective(project, run)
        finally:
            reported = _reported(project, run)
    except (KeyboardInterrupt, EEIPUError) as caught:
        error = "interrupted" if isinstance(caught, KeyboardInterrupt) else str(caught)
        stop = caught
    except (Exception, SystemExit) as failure:
        error = f"{type(failure).__name__}: {failure}"
        if isinstance(failure, SystemExit):
            code = "" if failure.code is None else repr(failure.code)
            exited = error = f"SystemExit: sys.exit({code}) was called"
        pruned = run.gate.verdict(reported) if run.gate is not None else ""
    try:
        nodes = node_records(run.directory, run, error or "")
    finally:
        run.directory.remove()
    failed = next((n for n in nodes if n.status == "failed"), None)
    if failed is not None and stop is None and not pruned:
        if exited:
            nodes[nodes.index(failed)] = failed = replace(failed, error=exited)
        error = f"{failed.name}: {failed.error}"
    return TrialResult(
        value,
        tuple(nodes),
        pruned or error,
        interrupted=isinstance(stop, KeyboardInterrupt),
        stop=stop,
        pruned=bool(pruned),
        reported=reported,
    )


def _objective(project: Project, run: PlannedRun) -> float:
    objective = project.space.objective
    assert run.plan is not None
    made = {**run.plan.datasets, **run.plan.streamed}
    return objective.read(made[objective.dataset].load())


def _reported(project: Project, run: PlannedRun) -> dict[int, float]:
    """What the nodes that have ended report."""
    if run.plan is None:
        return {}
    made = {**run.plan.datasets, **run.plan.streamed}
    return {
        step: report.read(made[report.dataset].load())
        for step, report in enumerate(project.space.reports)
        if made[report.dataset].exists()
    }


def node_records(
    directory: RunDirectory, run: PlannedRun | None = None, error: str = "interrupted"
) -> list[NodeRecord]:
    """What happened to the nodes of a run, in their order; those not reached were skipped.

    Args:
        directory: The directory of the run.
        run: The run, ``None`` for one of another process.
        error: What ended a node that was neither done nor had raised: an output that could not be
            saved, an interruption.
    """
    events, loads = directory.nodes(), directory.loads()
    actions = run.plan.actions if run is not None and run.plan is not None else {}
    records = []
    for name in actions or events:
        event = events.get(name, {"status": "skipped"})
        if event["status"] == "running":
            event = {**event, "status": "failed", "error": error}
        outputs = actions[name].outputs if name in actions else ()
        load = sum(loads.get(dataset, 0.0) for dataset in outputs)
        records.append(NodeRecord.from_json({**event, "name": name, "load": load}))
    return records
