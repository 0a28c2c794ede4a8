"""Figures of what the search achieved and what it cost: convergence, timeline, seconds, reuse."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kedro_eeipu.reporting.drawing import (
    ACCENT,
    FAILED,
    GREY,
    LEGEND,
    SECOND,
    STAGE_COLOURS,
    Figure,
    axis,
    figure,
    line,
    pale,
    rows,
    safe,
    steps,
    to_numbers,
    to_seconds,
)
from kedro_eeipu.states import NodeState

if TYPE_CHECKING:
    from kedro_eeipu.search import PipelineStage, StageGraph
    from kedro_eeipu.study.costs import StageCosts
    from kedro_eeipu.study.records import TrialRecord

__all__ = [
    "StageTotals",
    "best_against_seconds",
    "best_against_wall_time",
    "best_by_trial",
    "best_so_far",
    "cost_model",
    "elapsed",
    "reuse_by_stage",
    "reuse_by_trial",
    "seconds_by_stage",
    "seconds_by_trial",
    "stage_label",
    "timeline",
]

_STAGE_ROWS = 25
_SMOOTHED_TRIALS = 10
_SHAPES = ("square", "diamond", "cross", "x", "triangle-up", "triangle-down", "star", "pentagon")


@dataclass(frozen=True)
class StageTotals:
    """What became of each stage in each trial; every array is ``(stages, trials)``.

    Attributes:
        labels: One per stage, escaped.
        ran: Seconds that its nodes ran.
        saved: Seconds that its reused nodes would have run.
        failed: Whether one of its nodes failed.
        ran_nodes: How many of its nodes ran.
        reused_nodes: How many of its nodes were reused.
    """

    labels: tuple[str, ...]
    ran: np.ndarray
    saved: np.ndarray
    failed: np.ndarray
    ran_nodes: np.ndarray
    reused_nodes: np.ndarray

    @classmethod
    def of(cls, trials: Sequence[TrialRecord], graph: StageGraph) -> StageTotals:
        """Add up the nodes of each stage; those the pipeline no longer has come last."""
        position = {name: i for i, stage in enumerate(graph) for name in stage.nodes}
        shape = (len(graph) + 1, len(trials))
        ran, saved = np.zeros(shape), np.zeros(shape)
        failed, ran_nodes, reused_nodes = (np.zeros(shape, dtype=int) for _ in range(3))
        for j, trial in enumerate(trials):
            for node in trial.nodes:
                i = position.get(node.name, len(graph))
                ran[i, j] += node.seconds
                saved[i, j] += node.saved
                failed[i, j] |= node.status == NodeState.FAILED
                ran_nodes[i, j] += node.was_called
                reused_nodes[i, j] += node.status == NodeState.REUSED
        labels = (*(stage_label(s) for s in graph), "no longer in the pipeline")
        used = np.flatnonzero((ran_nodes + reused_nodes).sum(axis=1))
        totals = (a[used] for a in (ran, saved, failed, ran_nodes, reused_nodes))
        return cls(tuple(labels[i] for i in used), *totals)

    def heaviest(self, count: int) -> StageTotals:
        """The stages that cost most, in order; the others added up when there are more."""
        if len(self.labels) <= count + 1:
            return self
        seconds = (self.ran + self.saved).sum(axis=1)
        kept = np.sort(np.argsort(-seconds, kind="stable")[:count])
        rest = np.setdiff1d(np.arange(len(seconds)), kept)

        def fold(a: np.ndarray) -> np.ndarray:
            return np.vstack([a[kept], a[rest].sum(axis=0)])

        return StageTotals(
            (*(self.labels[i] for i in kept), f"{len(rest)} smaller stages"),
            *map(fold, (self.ran, self.saved, self.failed, self.ran_nodes, self.reused_nodes)),
        )


def best_so_far(trials: Sequence[TrialRecord], maximize: bool) -> np.ndarray:
    """The best value after each trial, NaN before the first complete one; shape ``(trials,)``."""
    values = np.array([np.nan if t.value is None else t.value for t in trials], dtype=float)
    return (np.fmax if maximize else np.fmin).accumulate(values)


def best_against_seconds(trials: Sequence[TrialRecord], maximize: bool, objective: str) -> Figure:
    """Best value against node seconds, beside what the same trials cost without reuse."""
    best = to_numbers(best_so_far(trials, maximize))
    cost = np.cumsum([t.cost for t in trials])
    whole = np.cumsum([t.cost + t.saved for t in trials])
    data = [
        _values(trials, to_seconds(cost)),
        steps(to_seconds(whole), best, "without reuse", SECOND, dash="dot"),
        steps(to_seconds(cost), best, "best value", ACCENT),
    ]
    return figure(data, 340, axis("node seconds", rangemode="tozero"), axis(safe(objective)))


def elapsed(trials: Sequence[TrialRecord]) -> np.ndarray:
    """Seconds that the study had worked when each trial ended, NaN where that is not recorded.

    A trial counts from when its parameters were being chosen. Time at which no trial was running
    is left out, as after a study was stopped; what several workers do at once counts once.
    """
    ended = [t for t in trials if t.started is not None and t.finished is not None]
    spans = sorted(((t.started or 0.0) - t.proposing, t.finished or 0.0) for t in ended)
    at, worked = [0.0], [0.0]
    for begin, end in spans:
        begin = max(begin, at[-1])
        if end > begin:
            at += [begin, end]
            worked += [worked[-1], worked[-1] + end - begin]
    ends = np.array([np.nan if t.started is None else t.finished for t in trials], dtype=float)
    when: np.ndarray = np.interp(ends, at, worked)
    return when


def best_against_wall_time(trials: Sequence[TrialRecord], maximize: bool, objective: str) -> Figure:
    """Best value against the time that the study was at work."""
    ended = sorted(
        (t for t in trials if t.started is not None and t.finished is not None),
        key=lambda t: t.finished or 0.0,
    )
    best, seconds = to_numbers(best_so_far(ended, maximize)), elapsed(ended)
    data = [
        _values(ended, to_seconds(seconds)),
        steps(to_seconds(seconds), best, "best value", ACCENT),
    ]
    if _one_at_a_time(ended):
        whole = to_seconds(seconds + np.cumsum([t.saved for t in ended]))
        data.insert(1, steps(whole, best, "without reuse", SECOND, dash="dot"))
    return figure(
        data, 340, axis("seconds of wall time", rangemode="tozero"), axis(safe(objective))
    )


def _one_at_a_time(ended: Sequence[TrialRecord]) -> bool:
    spans = sorted((t.started or 0.0, t.finished or 0.0) for t in ended)
    return all(end <= begin for (_, end), (begin, _) in itertools.pairwise(spans))


def cost_model(costs: Sequence[StageCosts], labels: Sequence[str], totals: StageTotals) -> Figure:
    """Seconds of each run of the costliest stages against what the model of the others expects.

    Args:
        costs: One entry per stage.
        labels: Their labels, escaped.
        totals: Of the timeline, for the same colours.
    """
    labelled = totals.heaviest(len(STAGE_COLOURS)).labels
    colours = dict(zip(labelled, STAGE_COLOURS, strict=False))
    # Stages without a colour in the timeline are distinguished by their shape.
    shapes = iter(_SHAPES)
    markers = {
        label: {"color": colours[label], "symbol": "circle"}
        if label in colours
        else {"color": GREY, "symbol": next(shapes, "circle")}
        for label in labels
    }
    every = np.concatenate([np.concatenate([c.measured, c.expected]) for c in costs])
    ends = [float(every.min()) * 0.8, float(every.max()) * 1.25]
    data = [line(ends, ends, "as expected", GREY)]
    data[0]["line"] = {"color": GREY, "width": 1, "dash": "dot"}
    data[0]["hoverinfo"] = "skip"
    data += [
        {
            "type": "scatter",
            "mode": "markers",
            "name": label,
            "x": to_seconds(c.expected),
            "y": to_seconds(c.measured),
            "meta": "trials",
            "customdata": list(c.trials),
            "hovertemplate": "trial %{customdata}<br>expected %{x:.3~g} s, took %{y:.3~g} s"
            "%{hovertext}",
            "marker": {**markers[label], "size": 6, "opacity": 0.8},
        }
        for label, c in zip(labels, costs, strict=True)
    ]
    low, high = np.log10(ends)
    decades = {
        "type": "log",
        "range": [low, high],
        "tickvals": [m * 10.0**k for k in range(int(low) - 1, int(high) + 2) for m in (1, 2, 5)],
        "tickformat": "~g",
    }
    drawn = figure(data, 420, axis("expected, s", **decades), axis("took, s", **decades))
    drawn["layout"]["legend"] = {"orientation": "v", "x": 1.01, "y": 1, "yanchor": "top"}
    return drawn


def best_by_trial(trials: Sequence[TrialRecord], maximize: bool, objective: str) -> Figure:
    """Best value and each trial's own, in the order in which they ran."""
    numbers = [t.number for t in trials]
    best = to_numbers(best_so_far(trials, maximize))
    data = [_values(trials, numbers), steps(numbers, best, "best value", ACCENT)]
    return figure(data, 340, axis("trial"), axis(safe(objective)))


def seconds_by_trial(trials: Sequence[TrialRecord]) -> Figure:
    """Node seconds added up over the trials, beside what they would have been without reuse."""
    numbers = [t.number for t in trials]
    spent = to_seconds(np.cumsum([t.cost for t in trials]))
    whole = to_seconds(np.cumsum([t.cost + t.saved for t in trials]))
    data = [
        steps(numbers, whole, "without reuse", SECOND, dash="dot"),
        steps(numbers, spent, "spent", ACCENT),
    ]
    return figure(data, 340, axis("trial"), axis("node seconds", rangemode="tozero"))


def timeline(trials: Sequence[TrialRecord], totals: StageTotals) -> Figure:
    """One row per trial, one segment per stage: solid what ran, pale what was reused."""
    shown = totals.heaviest(len(STAGE_COLOURS))
    numbers = np.array([t.number for t in trials])
    data = []
    for i, label in enumerate(shown.labels):
        colour = STAGE_COLOURS[i] if i < len(STAGE_COLOURS) else GREY
        failed = shown.failed[i] > 0
        segments = [
            _segments(numbers, np.where(failed, 0, shown.ran[i]), label, "ran", colour),
            _segments(numbers, np.where(failed, shown.ran[i], 0), label, "failed after", FAILED),
            _segments(numbers, shown.saved[i], label, "reused, had run", pale(colour)),
        ]
        drawn = [s for s in segments if s["x"]]
        data += [{**s, "showlegend": s is drawn[0]} for s in drawn]
    data += _crosses([t for t in trials if t.state == "failed"])
    height = 150 + len(trials) * float(np.clip(700 / max(len(trials), 1), 4, 22))
    ends = [numbers.max() + 0.5, numbers.min() - 0.5]
    y = axis("trial", range=[float(v) for v in ends], showgrid=False, zeroline=False)
    y |= {"dtick": 1} if len(trials) <= 30 else {"nticks": int(height / 40)}
    x = axis("node seconds, those of reused nodes as when they ran", side="top", rangemode="tozero")
    layout = {
        "barmode": "stack",
        "bargap": 0.12 if len(trials) <= 150 else 0.0,
        "margin": {"l": 56, "r": 16, "t": 120, "b": 12},
        "legend": {**LEGEND, "yref": "container", "y": 1, "yanchor": "top"},
    }
    return figure(data, height, x, y, layout)


def seconds_by_stage(totals: StageTotals) -> Figure:
    """Where the seconds went: ran and saved, by stage."""
    shown = totals.heaviest(_STAGE_ROWS)
    series = [
        ("ran", to_seconds(shown.ran.sum(axis=1)), ACCENT),
        ("saved", to_seconds(shown.saved.sum(axis=1)), pale(ACCENT)),
    ]
    return rows(shown.labels, series, "%{x:.4~g} s", axis("node seconds"))


def reuse_by_stage(totals: StageTotals) -> Figure:
    """The share of each stage's node executions that were served from the cache."""
    shown = totals.heaviest(_STAGE_ROWS)
    reused = shown.reused_nodes.sum(axis=1)
    share = reused / np.maximum(reused + shown.ran_nodes.sum(axis=1), 1)
    x = axis("share of node executions", range=[0, 1.06], dtick=0.25, tickformat=".0%")
    return rows(shown.labels, [("reused", to_numbers(share.round(4)), ACCENT)], "%{x:.0%}", x)


def reuse_by_trial(trials: Sequence[TrialRecord], totals: StageTotals) -> Figure:
    """The share of nodes and of seconds that each trial reused, averaged over the last ten."""
    numbers = [t.number for t in trials]
    reused, ran = totals.reused_nodes.sum(axis=0), totals.ran_nodes.sum(axis=0)
    saved, spent = totals.saved.sum(axis=0), totals.ran.sum(axis=0)
    nodes = to_numbers(_trailing_share(reused, reused + ran).round(4))
    seconds = to_numbers(_trailing_share(saved, saved + spent).round(4))
    data = [
        line(numbers, nodes, "node executions", ACCENT),
        line(numbers, seconds, "node seconds", SECOND),
    ]
    share = axis("share reused", range=[0, 1.02], tickformat=".0%")
    return figure(data, 340, axis("trial"), share)


def stage_label(stage: PipelineStage) -> str:
    """Id and first node of a stage, escaped."""
    more = f" +{len(stage.nodes) - 1}" if len(stage.nodes) > 1 else ""
    return f"{stage.id} {safe(stage.nodes[0], 32)}{more}"


def _trailing_share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """``part / whole`` over the last trials, NaN where there was nothing."""

    def trailing(a: np.ndarray) -> np.ndarray:
        total = np.cumsum(a, dtype=float)
        total[_SMOOTHED_TRIALS:] -= total[:-_SMOOTHED_TRIALS].copy()
        return total

    below = trailing(whole)
    return np.where(below > 0, trailing(part) / np.where(below > 0, below, 1.0), np.nan)


def _values(trials: Sequence[TrialRecord], x: Sequence[Any]) -> dict[str, Any]:
    """Each complete trial's own value."""
    shown = [(at, t) for at, t in zip(x, trials, strict=True) if t.value is not None]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "a trial's value",
        "x": [at for at, _ in shown],
        "y": [t.value for _, t in shown],
        "meta": "trials",
        "customdata": [t.number for _, t in shown],
        "hovertemplate": "trial %{customdata}: %{y:.6~g}%{hovertext}<extra></extra>",
        "marker": {"color": GREY, "size": 5, "opacity": 0.75},
    }


def _segments(
    numbers: np.ndarray, seconds: np.ndarray, label: str, what: str, colour: str
) -> dict[str, Any]:
    """Bars of one stage in all trials; those of no length are left out."""
    shown = seconds > 0
    return {
        "type": "bar",
        "orientation": "h",
        "name": label,
        "legendgroup": label,
        "x": to_seconds(seconds[shown]),
        "y": numbers[shown].tolist(),
        "meta": "trials",
        "customdata": numbers[shown].tolist(),
        "hovertemplate": f"trial %{{y}}<br>{label}<br>{what} %{{x:.4~g}} s%{{hovertext}}"
        "<extra></extra>",
        "marker": {"color": colour, "line": {"width": 0}},
    }


def _crosses(failed: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """A mark at the end of the row of each failed trial, which may have ended within no time."""
    if not failed:
        return []
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "failed",
            "x": [round(t.cost + t.saved, 4) for t in failed],
            "y": [t.number for t in failed],
            "meta": "trials",
            "customdata": [t.number for t in failed],
            "hovertemplate": "trial %{y} failed%{hovertext}<extra></extra>",
            "marker": {"color": FAILED, "symbol": "x", "size": 8},
        }
    ]
