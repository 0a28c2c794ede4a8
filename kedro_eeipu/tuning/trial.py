"""One trial: a run of the pipeline through the cache, and its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kedro.runner import AbstractRunner

from kedro_eeipu.errors import EEIPUError, ObjectiveError, error_text
from kedro_eeipu.hooks.run import PlannedRun
from kedro_eeipu.hooks.run_directory import RunDirectory
from kedro_eeipu.project.project import Project
from kedro_eeipu.states import NodeState
from kedro_eeipu.study.records import NodeRecord
from kedro_eeipu.tuning.mlflow_runs import log_trial

__all__ = ["TrialResult", "node_records", "run_trial"]


@dataclass(frozen=True)
class TrialResult:
    """How a trial ended.

    Attributes:
        value: The objective, ``None`` when it failed.
        nodes: What happened to its nodes, in the order of the pipeline.
        error: Why it failed.
        interrupted: Whether it is to be tried again: it was stopped from outside, or its nodes ran
            and the ``eeipu`` block does not say where its value is.
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
    value, raised = None, None
    reported: dict[int, float] = {}
    try:
        try:
            project.execute(run, params, runner)
            value = _objective(project, run)
        finally:
            reported = _reported(project, run)
    except BaseException as error:  # asyncio.CancelledError, GeneratorExit: a node may raise any
        raised = error
    hide = project.redactor.text
    try:
        nodes = node_records(run.directory, run, hide(_words(raised)))
        result = TrialResult(value, tuple(nodes), hide(_words(raised)) or None, reported=reported)
        return _logged(_judged(result, run, raised, hide), run, params)
    finally:
        run.directory.remove()


def _judged(
    result: TrialResult,
    run: PlannedRun,
    raised: BaseException | None,
    hide: Callable[[str], str],
) -> TrialResult:
    """The result of a trial with what it means that its run was ended."""
    if isinstance(raised, KeyboardInterrupt | EEIPUError):
        interrupted = isinstance(raised, KeyboardInterrupt | ObjectiveError)
        return replace(result, interrupted=interrupted, stop=raised)
    if raised is not None and run.gate is not None:
        stopped = (f"{n.name}: {n.error}" for n in result.nodes if n.status == NodeState.STOPPED)
        reason = run.gate.verdict(result.reported) or next(stopped, "")
        if reason:
            return replace(result, error=reason, pruned=True)
    return _blamed_on_node(result, raised, hide)


def _logged(result: TrialResult, run: PlannedRun, params: Mapping[str, Any]) -> TrialResult:
    """The result of a trial that MLflow is told about; Ctrl-C meanwhile takes nothing from it."""
    stopped = result.pruned or result.interrupted
    try:
        log_trial(run, params, result.nodes, value=result.value, was_stopped=stopped)
    except KeyboardInterrupt as stop:
        return replace(result, stop=result.stop or stop)
    return result


def _words(raised: BaseException | None) -> str:
    """What ended a run, in words; empty where nothing did."""
    if raised is None:
        return ""
    if isinstance(raised, KeyboardInterrupt):
        return "interrupted"
    if isinstance(raised, EEIPUError):
        return str(raised)
    if isinstance(raised, SystemExit):
        code = "" if raised.code is None else repr(raised.code)
        return f"SystemExit: sys.exit({code}) was called"
    return error_text(raised)


def _blamed_on_node(
    result: TrialResult, raised: BaseException | None, hide: Callable[[str], str]
) -> TrialResult:
    """The result of a trial with the name of the node that failed in its error, if one did."""
    nodes = list(result.nodes)
    for i, node in enumerate(nodes):
        if node.status == NodeState.FAILED:
            if isinstance(raised, SystemExit):  # recorded as `SystemExit: 3`: say what that is
                words = _words(raised)
                if raised.code is None and node.error:  # not all processes hand the code on
                    code = node.error.partition("SystemExit: ")[2]
                    words = f"SystemExit: sys.exit({code}) was called"
                nodes[i] = node = replace(node, error=hide(words))
            return replace(result, nodes=tuple(nodes), error=f"{node.name}: {node.error}")
    return result


def _objective(project: Project, run: PlannedRun) -> float:
    objective = project.space.objective
    assert run.plan is not None
    datasets = {**run.plan.datasets, **run.plan.streamed}
    return objective.read(datasets[objective.dataset].load())


def _reported(project: Project, run: PlannedRun) -> dict[int, float]:
    """What the nodes that have ended report."""
    if run.plan is None:
        return {}
    datasets = {**run.plan.datasets, **run.plan.streamed}
    return {
        step: report.read(datasets[report.dataset].load())
        for step, report in enumerate(project.space.reports)
        if datasets[report.dataset].exists()
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
        event = events.get(name, {"status": NodeState.SKIPPED})
        if event["status"] == NodeState.RUNNING:
            event = {**event, "status": NodeState.FAILED, "error": error}
        outputs = actions[name].outputs if name in actions else ()
        load = sum(loads.get(dataset, 0.0) for dataset in outputs)
        records.append(NodeRecord.from_json({**event, "name": name, "load": load}))
    return records
