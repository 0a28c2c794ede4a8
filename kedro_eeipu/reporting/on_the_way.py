"""Figures of the values that trials report on the way (``report:`` in the ``eeipu`` block)."""

from __future__ import annotations

from collections.abc import Sequence
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

if TYPE_CHECKING:
    from kedro_eeipu.study.records import TrialRecord

__all__ = ["curves", "reported_by_trial"]


def reported_by_trial(trials: Sequence[TrialRecord], step: int, name: str) -> Figure:
    """One value of each trial, pruned ones marked, and the median of the earlier complete ones.

    Args:
        trials: Those that have ended, by number.
        step: Place of the value among the reports.
        name: What it is.
    """
    shown = [t for t in trials if step in t.reported]
    median: list[float] = []
    earlier: list[float] = []
    for t in shown:
        median.append(float(np.median(earlier)) if earlier else np.nan)
        if t.state == "complete":
            earlier.append(t.reported[step])
    numbers = [t.number for t in shown]
    line = steps(numbers, to_numbers(np.array(median)), "median of the earlier ones", GREY, "dot")
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
    series = (
        ("complete", [t for t in trials if t.state == "complete"], GREY, 1.0),
        ("pruned", [t for t in trials if t.state == "pruned"], FAILED, 1.0),
        ("the best", [best] if best is not None else [], SECOND, 2.6),
    )
    data = []
    for label, some, colour, width in series:
        x: list[Any] = []
        y: list[Any] = []
        numbers: list[int] = []
        for t in some:
            at = sorted(t.reported)
            x += [*at, None]
            y += [*to_numbers(np.array([t.reported[step] for step in at])), None]
            numbers += [t.number] * (len(at) + 1)
        if any(v is not None for v in x):
            ends = [after is None for after in x[1:]] + [False]
            sizes = [7 if label == "pruned" and end else 4 for end in ends]
            symbols = ["x" if label == "pruned" and end else "circle" for end in ends]
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
                    "marker": {"color": colour, "size": sizes, "symbol": symbols},
                }
            )
    labels = [safe(name, 32).replace("[", "<br>[") for name in names]
    ticks = {"tickvals": list(range(len(names))), "ticktext": labels, "tickangle": 0}
    x_axis = axis("", range=[-0.2, len(names) - 0.8], zeroline=False, **ticks)
    return figure(data, 340, x_axis, axis("value"))
