"""Figures of what trials report on the way: between nodes (``report:``) and in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kedro_eeipu.reporting.drawing import (
    ACCENT,
    FAILED,
    GREY,
    SECOND,
    Figure,
    axis,
    figure,
    safe,
    steps,
    to_numbers,
)
from kedro_eeipu.states import NodeState
from kedro_eeipu.study.curves import threshold_of_report

if TYPE_CHECKING:
    from kedro_eeipu.study.records import TrialRecord

__all__ = ["curves", "reported_by_trial", "trainings"]

_MANY_POINTS = 20  # of the longest curve: where it has more, none has marks


def reported_by_trial(
    trials: Sequence[TrialRecord], step: int, name: str, maximize: bool
) -> Figure:
    """One value of each trial, pruned ones marked, and what a trial had to reach to go on.

    Args:
        trials: Those that have ended, by number.
        step: Place of the value among the reports.
        name: What it is.
        maximize: Whether larger values are better.
    """
    shown = [t for t in trials if step in t.reported]
    bounds = [threshold_of_report(shown[:i], step, maximize) for i in range(len(shown))]
    numbers = [t.number for t in shown]
    line = steps(numbers, to_numbers(np.array(bounds)), "worse than this is pruned", GREY, "dot")
    data: list[dict[str, Any]] = [line]
    for label, state, colour, symbol in (
        ("complete", "complete", ACCENT, "circle"),
        ("pruned", "pruned", FAILED, "x"),
        ("failed", "failed", GREY, "x"),
    ):
        some = [t for t in shown if t.state == state]
        if some:
            data.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": label,
                    "x": [t.number for t in some],
                    "y": to_numbers(np.array([t.reported[step] for t in some])),
                    "meta": "trials",
                    "customdata": [t.number for t in some],
                    "hovertemplate": "trial %{customdata}: %{y:.6~g}%{hovertext}"
                    f"<extra>{label}</extra>",
                    "marker": {"color": colour, "symbol": symbol, "size": 7, "opacity": 0.8},
                }
            )
    return figure(data, 340, axis("trial"), axis(safe(name)))


def curves(trials: Sequence[TrialRecord], best: TrialRecord | None, names: Sequence[str]) -> Figure:
    """The values of each trial one after the other; pruned trials end with a cross.

    Args:
        trials: Those that have ended, of today's pipeline.
        best: The best of them.
        names: What is reported, in its order.
    """
    series = {
        "complete": [(t.number, t.reported) for t in trials if t.state == "complete"],
        "pruned": [(t.number, t.reported) for t in trials if t.state == "pruned"],
        "the best": [] if best is None else [(best.number, best.reported)],
    }
    data = _lines(series, ended_early="pruned")
    labels = [safe(name, 32).replace("[", "<br>[") for name in names]
    ticks = {"tickvals": list(range(len(names))), "ticktext": labels, "tickangle": 0}
    x_axis = axis("", range=[-0.2, len(names) - 0.8], zeroline=False, **ticks)
    return figure(data, 340, x_axis, axis("value"))


def trainings(trials: Sequence[TrialRecord], best: TrialRecord | None, node: str) -> Figure:
    """What the code in a node has reported; trainings that were stopped end with a cross.

    A training that several trials share is drawn once, under the first of them.

    Args:
        trials: Those that have ended, of today's pipeline.
        best: The best of them.
        node: The node's name.
    """
    ended: dict[str, list[tuple[int, Mapping[int, float]]]] = {"complete": [], "stopped": []}
    seen = set()
    for trial in trials:
        for n in trial.nodes:
            key = n.key or trial.number
            if n.name == node and n.curve and key not in seen:
                seen.add(key)
                label = "stopped" if n.status == NodeState.STOPPED else "complete"
                ended[label].append((trial.number, dict(n.curve)))
    own = () if best is None else [n for n in best.nodes if n.name == node and n.curve]
    ended["the best"] = [(best.number, dict(n.curve)) for n in own if best is not None]
    return figure(_lines(ended, ended_early="stopped"), 340, axis("step"), axis("reported"))


def _lines(
    series: Mapping[str, Sequence[tuple[int, Mapping[int, float]]]], ended_early: str
) -> list[dict[str, Any]]:
    """Curves, each of a trial's number and its values by step, by what became of them."""
    colours = {ended_early: (FAILED, 1.0), "the best": (SECOND, 2.6)}
    longest = max((len(values) for some in series.values() for _, values in some), default=0)
    small = 4 if longest <= _MANY_POINTS else 0
    data = []
    for label, some in series.items():
        colour, width = colours.get(label, (GREY, 1.0))
        x: list[Any] = []
        y: list[Any] = []
        numbers: list[int] = []
        for number, values in some:
            at = sorted(values)
            x += [*at, None]
            y += [*to_numbers(np.array([values[step] for step in at])), None]
            numbers += [number] * (len(at) + 1)
        if not any(v is not None for v in x):
            continue
        crosses = [after is None and label == ended_early for after in [*x[1:], 0]]
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": label,
                "x": x,
                "y": y,
                "meta": "trials",
                "customdata": numbers,
                "hovertemplate": "trial %{customdata}: %{y:.6~g}%{hovertext}"
                f"<extra>{label}</extra>",
                "line": {"color": colour, "width": width},
                "opacity": 0.7 if width == 1.0 else 1.0,
                "marker": {
                    "color": colour,
                    "size": [7 if cross else small for cross in crosses],
                    "symbol": ["x" if cross else "circle" for cross in crosses],
                },
            }
        )
    return data
