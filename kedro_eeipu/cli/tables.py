"""The tables that the commands print."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from kedro_eeipu.states import NodeState
from kedro_eeipu.study.pipeline_state import in_few_words
from kedro_eeipu.study.records import TrialRecord
from kedro_eeipu.wording import counted, duration, in_bytes, scalar

if TYPE_CHECKING:
    from kedro_eeipu.search.space import SearchSpace
    from kedro_eeipu.search.stages import PipelineStage, StageGraph
    from kedro_eeipu.study.shelf import StudySummary
    from kedro_eeipu.tuning.runner import Outcome

__all__ = [
    "entries_table",
    "explanation_table",
    "plan_tables",
    "print_outcome",
    "print_trials",
    "studies_table",
    "values_table",
]

_PLAIN: dict[str, Any] = {
    "box": None,
    "pad_edge": False,
    "padding": (0, 2, 0, 0),
    "header_style": "dim",
}

_YES_OR_NO = {True: "yes", False: "no", None: ""}
_TEXTS = ("state", "changed since", "why it ended")  # columns that begin at the left


def print_trials(
    console: Console,
    trials: Sequence[TrialRecord],
    changes: Sequence[Sequence[str] | None] = (),
) -> None:
    """The trials of a study, one a line; why one ended is cut at the width of the terminal.

    A table of rich's takes a millisecond a row.

    Args:
        console: Where they go.
        trials: The trials.
        changes: What has changed since each of them, by default nothing.
    """
    rows = [
        [
            str(t.number),
            t.state,
            "-" if t.value is None else f"{t.value:.6g}",
            f"{t.cost:.2f}",
            f"{t.saved:.2f}",
            str(sum(n.was_called for n in t.nodes)),
            str(sum(n.status == NodeState.REUSED for n in t.nodes)),
        ]
        for t in trials
    ]
    since = [in_few_words(c or ()) for c in changes] or [""] * len(trials)
    why = [(t.error or "").split("\n")[0] for t in trials]
    verdicts = [_YES_OR_NO[t.confirmation.confirmed if t.confirmation else None] for t in trials]
    head = ["trial", "state", "value", "cost s", "saved s", "ran", "reused"]
    audits = [f"{t.audit.seconds:.2f}" if t.audit else "" for t in trials]
    optional = {
        "audit s": audits,
        "confirmed": verdicts,
        "changed since": since,
        "why it ended": why,
    }
    for name, column in optional.items():
        if any(column):
            head.append(name)
            rows = [[*row, cell] for row, cell in zip(rows, column, strict=True)]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        aligned = [
            cell.ljust(width) if name in _TEXTS else cell.rjust(width)
            for name, cell, width in zip(head, cells, widths, strict=True)
        ]
        return "  ".join(aligned).rstrip()

    console.print(Text(line(head), style="dim"), crop=True)
    lines = map(line, rows)
    for text in lines:
        if console.is_terminal and len(text) > console.width:
            text = f"{text[: console.width - 1]}…"
        console.out(text, highlight=False)


def explanation_table(number: int, nodes: Sequence[Mapping[str, Any]]) -> Table:
    """One row per node of a trial: what happened, and why."""
    table = Table(**_PLAIN, title=f"trial {number}", title_justify="left")
    table.add_column("node", no_wrap=True, overflow="ellipsis")
    table.add_column("status", no_wrap=True)
    table.add_column("why", overflow="fold")
    for node in nodes:
        why = "\n".join([node["reason"], *node["code"]])
        table.add_row(Text(node["name"]), node["status"], Text(why))
    return table


def entries_table(entries: Sequence[Mapping[str, Any]]) -> Table:
    """One row per output that the cache knows."""
    table = Table(**_PLAIN)
    for name in ("node", "dataset"):
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    for name in ("size", "saves", "age", "trials"):
        table.add_column(name, justify="right", no_wrap=True)
    for entry in entries:
        table.add_row(
            Text(str(entry["node"])),
            Text(str(entry["dataset"])),
            _size(entry),
            duration(entry["seconds"]),
            duration(entry["age_seconds"]),
            str(len(entry["trials"])),
        )
    return table


def _size(entry: Mapping[str, Any]) -> str:
    if entry["recipe"]:
        return "made again"
    return in_bytes(entry["bytes"]) if entry["kept"] else "dropped"


def studies_table(studies: Sequence[StudySummary], now: float) -> Table:
    """One row per study.

    Args:
        studies: The studies.
        now: The time, in seconds since 1970.
    """
    table = Table(**_PLAIN)
    table.add_column("study", no_wrap=True, overflow="ellipsis")
    for name in ("trials", "complete", "best", "node time", "last trial"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for study in studies:
        table.add_row(
            Text(study.name),
            str(study.trials),
            str(study.complete),
            "-" if study.best is None else f"{study.best:.6g}",
            duration(study.cost_seconds),
            "-" if study.last is None else f"{duration(max(0.0, now - study.last))} ago",
            f"{study.direction}{', running' if study.running else ''}",
        )
    return table


def print_outcome(console: Console, result: Outcome, space: SearchSpace) -> None:
    """How a study ended: the best values beside the defaults, and what reuse has saved."""
    nodes = [n for t in result.trials for n in t.nodes]
    ran = sum(n.was_called for n in nodes)
    reused = sum(n.status == NodeState.REUSED for n in nodes)
    spent, saved = sum(t.cost for t in result.trials), sum(t.saved for t in result.trials)

    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True, markup=False)

    say("")
    say(f"Stopped: {result.stopped}.")
    if result.best is None:
        return
    console.print(values_table(space, result.best))
    say(
        f"{counted(len(result.trials), 'trial')}, {counted(ran + reused, 'node execution')}: "
        f"{ran} run ({duration(spent)}), {reused} reused ({duration(saved)} saved)."
    )
    if result.audited:
        say(f"Audits of what was reused took {duration(result.audited)}.")
    if result.others:
        say(f"{counted(result.others, 'trial')} from before an edit not counted.")


def values_table(space: SearchSpace, trial: TrialRecord) -> Table:
    """A trial's values beside the defaults and the ranges."""
    table = Table(**_PLAIN)
    table.add_column("parameter", no_wrap=True)
    table.add_column("best", justify="right", style="bold", no_wrap=True)
    table.add_column("default", justify="right", no_wrap=True)
    table.add_column("range", style="dim")
    for r in space:
        value = scalar(trial.params[r.path]) if r.path in trial.params else "-"
        limits = r.describe().replace("(", "").replace(")", "")
        table.add_row(Text(r.path), Text(value), Text(scalar(r.default)), _cut(limits))
    return table


def plan_tables(
    graph: StageGraph,
    nodes: Sequence[Mapping[str, Any]],
    left_out: Sequence[Mapping[str, Any]] = (),
) -> list[RenderableType]:
    """The stages, node by node with the ranges it takes, as `kedro eeipu plan` shows them.

    Args:
        graph: The stages.
        nodes: What there is to say about each node that trials run.
        left_out: The nodes that they do not run, and their seconds.
    """
    own = {n["name"]: n["parameters"] for n in nodes}
    table = Table(**_PLAIN)
    for column in ("stage", "after", "node"):
        table.add_column(column, no_wrap=True, overflow="ellipsis")
    table.add_column("ranges it takes")
    follows = [
        _nearest(graph, stage, [path for name in stage.nodes for path in own[name]])
        for stage in graph
    ]
    for s in _in_order(follows):
        stage = graph[s]
        after = ", ".join(graph[p].id for p in sorted(follows[s])) or "-"
        for i, name in enumerate(stage.nodes):
            first = ("", "") if i else (stage.id, after)
            table.add_row(*first, Text(name), Text("\n".join(own[name])))
    never = [
        Text.assemble((n["name"], "bold"), f" is never reused: {n['why_not']}.")
        for n in nodes
        if not n["cacheable"]
    ]
    never += [
        Text.assemble((n["name"], "bold"), f" is called again {n['called_again']}.")
        for n in nodes
        if n["called_again"]
    ]
    legend = "A stage runs again when one of its ranges or a stage before it changes."
    if any(s.cacheable and not s.parameters for s in graph):
        legend += "\nNodes that no range reaches run once."
    return [table, Text(f"\n{legend}", style="dim"), *never, *_left_out(left_out)]


def _left_out(nodes: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    """What trials do not run, and what that saves."""
    if not nodes:
        return []
    timed = [n["seconds"] for n in nodes if n["seconds"] is not None]
    saves = ""
    if timed:
        saves = f" This saves {duration(sum(timed))} a trial"
        saves += "." if len(timed) == len(nodes) else f" ({len(timed)} of {len(nodes)} measured)."
    return [
        Text(
            f"\nTrials leave out {counted(len(nodes), 'node')} that the objective does not need."
            f"{saves} Name {'it' if len(nodes) == 1 else 'them'} under `also:` to run "
            f"{'it' if len(nodes) == 1 else 'them'}, too:"
        ),
        *(
            Text.assemble(
                ("  " + n["name"], "bold"),
                "" if n["seconds"] is None else f"  {duration(n['seconds'])}",
            )
            for n in nodes
        ),
    ]


def _in_order(follows: Sequence[Collection[int]]) -> list[int]:
    """Stages after those that they follow; as they come where two follow each other."""
    order: list[int] = []
    left = list(range(len(follows)))
    while left:
        ready = (s for s in left if not set(follows[s]) & set(left) - {s})
        order.append(next(ready, left[0]))
        left.remove(order[-1])
    return order


def _nearest(graph: StageGraph, stage: PipelineStage, own: Collection[str]) -> set[int]:
    """The stages that a stage directly follows, those left out that another of them follows."""

    def ancestors(i: int) -> set[int]:
        return set(graph[i].parents).union(*map(ancestors, graph[i].parents))

    # A stage that is never served is nobody's parent, but its ranges reach what comes after it.
    reached = set(own).union(*(graph[p].parameters for p in stage.parents))
    passed_on = {
        i
        for i, s in enumerate(graph)
        if not s.cacheable
        and s is not stage
        and set(s.parameters) - reached
        and set(s.parameters) <= set(stage.parameters)
    }
    return set(stage.parents).difference(*map(ancestors, stage.parents)) | passed_on


def _cut(text: str) -> Text:
    """What may be shortened to the width of the terminal, and is never wrapped."""
    return Text(text, no_wrap=True, overflow="ellipsis")
