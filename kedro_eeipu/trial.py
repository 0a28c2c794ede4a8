"""One trial: a run of the pipeline through the cache, and what has come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kedro.runner import AbstractRunner

from kedro_eeipu.cache.run_directory import RunDirectory
from kedro_eeipu.errors import EEIPUError
from kedro_eeipu.hooks import PlannedRun
from kedro_eeipu.project import Project
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
    """

    value: float | None
    nodes: tuple[NodeRecord, ...]
    error: str | None = None
    interrupted: bool = False
    stop: BaseException | None = None


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
    value, error, stop = None, None, None
    try:
        project.execute(run, params, runner)
        value = _objective(project, run)
    except (KeyboardInterrupt, EEIPUError) as caught:
        error = "interrupted" if isinstance(caught, KeyboardInterrupt) else str(caught)
        stop = caught
    except Exception as failure:
        error = f"{type(failure).__name__}: {failure}"
    try:
        nodes = node_records(run.directory, run, error or "")
    finally:
        run.directory.remove()
    failed = next((n for n in nodes if n.status == "failed"), None)
    if failed is not None and stop is None:
        error = f"{failed.name}: {failed.error}"
    return TrialResult(value, tuple(nodes), error, isinstance(stop, KeyboardInterrupt), stop)


def _objective(project: Project, run: PlannedRun) -> float:
    objective = project.space.objective
    assert run.plan is not None
    made = {**run.plan.datasets, **run.plan.streamed}
    return objective.read(made[objective.dataset].load())


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
