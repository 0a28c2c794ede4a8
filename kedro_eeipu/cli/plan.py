"""``kedro eeipu plan``: which range reaches which node, and what can be reused."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from kedro_eeipu.cli.common import make_console, print_json, study_query, warn
from kedro_eeipu.states import NodeState

if TYPE_CHECKING:
    from kedro_eeipu.project.project import Project
    from kedro_eeipu.project.selection import Selection
    from kedro_eeipu.study.fast_read import RecordedStudy
    from kedro_eeipu.study.records import TrialRecord

__all__ = ["plan"]


@click.command()
@study_query
def plan(selection: Selection, form: str) -> None:
    """Show the stages, and what can be reused.

    Which range reaches which node, which nodes run again together, and which are never cached.
    What the study will cost, once a trial has run. Without an `eeipu` block it prints one to start
    with, as `init` would write it.
    """
    from kedro_eeipu.project.description import node_plan
    from kedro_eeipu.project.proposal import NoBlockError
    from kedro_eeipu.study.forecast import forecast
    from kedro_eeipu.study.pipeline_state import Comparison

    try:
        project = selection.load_project()
    except NoBlockError as error:
        if form == "json":
            raise
        click.echo(error.proposed.text)
        raise NoBlockError(error.proposed, printed=True) from None
    graph = project.stage_graph()
    recorded = _recorded(project, selection)
    trials = recorded.trials
    nodes = node_plan(project, trials)
    comparison = Comparison(project.state, lambda: recorded.states)
    cost = forecast(trials, [n["name"] for n in nodes], comparison.current(trials))
    left_out = _left_out(project, trials)
    if form == "json":
        stages = [
            {"id": s.id, "nodes": list(s.nodes), "parameters": list(s.parameters)} for s in graph
        ]
        print_json(
            {
                "stages": stages,
                "nodes": nodes,
                "left_out": left_out,
                "cost": None if cost is None else cost.__dict__,
            }
        )
        return
    from kedro_eeipu.cli.tables import plan_tables

    warn(project.warnings)
    console = make_console()
    for table in plan_tables(graph, nodes, left_out):
        console.print(table)
    sentences = (
        ["What a trial costs is known once one has run: `kedro eeipu tune --trials 1`."]
        if cost is None
        else cost.in_words(project.space.trials, project.space.budget)
    )
    console.print("\n" + "\n".join(sentences), markup=False, highlight=False)


def _recorded(project: Project, selection: Selection) -> RecordedStudy:
    """The trials of the study, none where it cannot be read.

    Raises:
        ConfigurationError: It has searched something else, so that `tune` would refuse it.
    """
    from kedro_eeipu.errors import EEIPUError
    from kedro_eeipu.study.checks import check_search
    from kedro_eeipu.study.fast_read import RecordedStudy, read_study

    recorded = read_study(project.storage, selection.study_name)
    if recorded is None and project.storage.startswith("sqlite:"):
        return RecordedStudy([], {})
    opened = None
    with contextlib.suppress(EEIPUError):
        opened = selection.open_recorded(project)
        recorded = recorded or RecordedStudy(opened.trials(), opened.states.all())
    if opened is not None:
        check_search(opened.optuna, project.space)
    return recorded or RecordedStudy([], {})


def _left_out(project: Project, trials: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """The nodes that no trial runs, and the seconds of each if an earlier run knows them."""
    if not project.left_out:
        return []
    from kedro_eeipu.project.description import seconds_left_out

    seconds = {n.name: n.seconds for t in trials for n in t.nodes if n.status == NodeState.RAN}
    seconds |= seconds_left_out(project)
    return [{"name": name, "seconds": seconds.get(name)} for name in project.left_out]
