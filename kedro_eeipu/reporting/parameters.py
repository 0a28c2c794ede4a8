"""Figures of the parameters: which ones matter, and which of their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from kedro_eeipu.reporting.drawing import (
    ACCENT,
    GREY,
    SECOND,
    Figure,
    axis,
    figure,
    safe,
    shortened,
)
from kedro_eeipu.wording import scalar

if TYPE_CHECKING:
    from kedro_eeipu.search import Range, SearchSpace
    from kedro_eeipu.study.records import TrialRecord

__all__ = [
    "PARALLEL_AXES",
    "Column",
    "columns",
    "pair_of",
    "parallel",
    "slice_of",
]

PARALLEL_AXES = 8
_LONGEST_LABEL = 18
# From the worst trial to the best.
RANK_SCALE = [[0, "#a9aeb5"], [0.6, "#9fb4c6"], [0.85, ACCENT], [1, SECOND]]


@dataclass(frozen=True)
class Column:
    """One parameter over the complete trials that use it.

    The range may have changed since they ran, even its kind: what the trials hold decides.

    Attributes:
        range: Its range now.
        trials: The trials that use it, all complete.
        values: Its values in them.
    """

    range: Range
    trials: tuple[TrialRecord, ...]
    values: tuple[Any, ...]

    @classmethod
    def of(cls, r: Range, trials: Sequence[TrialRecord]) -> Column:
        """Pick out the values of one parameter."""
        used = tuple(t for t in trials if t.value is not None and r.path in t.params)
        return cls(r, used, tuple(t.params[r.path] for t in used))

    @cached_property
    def numeric(self) -> bool:
        """Whether it has an order: all values are numbers, and not choices to be listed."""
        return self.range.kind != "categorical" and all(
            isinstance(v, (int, float)) and not isinstance(v, bool) for v in self.values
        )

    @cached_property
    def log(self) -> bool:
        """Whether it stands on a logarithmic scale."""
        return self.range.log and self.numeric and min(self.values) > 0

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest number, those of the range included."""
        ends = self.range.low, self.range.high
        return float(min(*self.values, *ends)), float(max(*self.values, *ends))

    @cached_property
    def names(self) -> list[str]:
        """The categories, those of the range first."""
        return list(dict.fromkeys(map(scalar, (*self.range.choices, *self.values))))

    def places(self) -> list[float]:
        """Where the values stand on a linear axis: logarithms, or positions of categories."""
        return [self.place(v) for v in self.values]

    def place(self, value: Any) -> float:
        """Where a value stands on a linear axis."""
        if not self.numeric:
            return float(self._positions[scalar(value)])
        return float(np.log10(value) if self.log else value)

    @cached_property
    def follows_range(self) -> bool:
        """Whether the axis is that of the range, so that any of its values has a place."""
        return self.numeric == (self.range.kind != "categorical") and self.log == self.range.log

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    def ticks(self) -> dict[float, str]:
        """Places to be labelled, and their labels."""
        if not self.numeric:
            return {float(i): name for i, name in enumerate(self.names)}
        low, high = self.bounds
        if not self.log:
            even = np.linspace(low, high, 5)
            whole = all(isinstance(v, int) for v in self.values)
            return {v: scalar(v) for v in (even.round() if whole else even).tolist()}
        powers = 10.0 ** np.arange(np.ceil(np.log10(low)), np.floor(np.log10(high)) + 1)
        inner = powers[(powers > 2 * low) & (powers < high / 2)].tolist()
        return {float(np.log10(v)): scalar(v) for v in (low, *inner, high)}


def columns(trials: Sequence[TrialRecord], space: SearchSpace) -> list[Column]:
    """The parameters that some complete trial uses, in the order of the space."""
    every = (Column.of(r, trials) for r in space)
    return [c for c in every if c.trials]


def slice_of(column: Column, maximize: bool) -> Figure:
    """The values of the complete trials against one parameter, the best trial marked."""
    y = [t.value or 0.0 for t in column.trials]
    best = int(np.argmax(y) if maximize else np.argmin(y))
    x, values = column.places(), [safe(scalar(v)) for v in column.values]
    numbers = [t.number for t in column.trials]
    dots = {
        "type": "scatter",
        "mode": "markers",
        "showlegend": False,
        "meta": "trials",
        "hovertemplate": "trial %{customdata}: %{y:.6~g}<br>%{text}%{hovertext}<extra></extra>",
    }
    every: dict[str, list[Any]] = {"x": x, "y": y, "text": values, "customdata": numbers}
    data = [
        {**dots, **every, "marker": {"color": ACCENT, "size": 6, "opacity": 0.65}},
        {
            **dots,
            **{key: [entries[best]] for key, entries in every.items()},
            "marker": {"color": SECOND, "size": 11, "symbol": "diamond"},
        },
    ]
    drawn = figure(data, 210, _slice_axis(column), axis(""))
    drawn["layout"]["margin"] = {"l": 40, "r": 8, "t": 10, "b": 28}
    return drawn


def pair_of(a: Column, b: Column, maximize: bool) -> Figure:
    """The trials that use two parameters, coloured by their rank, the best trial marked."""
    at = dict(zip((t.number for t in a.trials), a.places(), strict=True))
    both = [(t, y) for t, y in zip(b.trials, b.places(), strict=True) if t.number in at]
    both.sort(key=lambda pair: pair[0].value or 0.0, reverse=not maximize)
    data = {
        "type": "scatter",
        "mode": "markers",
        "showlegend": False,
        "x": [at[t.number] for t, _ in both],
        "y": [y for _, y in both],
        "customdata": [t.number for t, _ in both],
        "text": [safe(f"{t.value:.6g}") for t, _ in both],
        "meta": "trials",
        "hovertemplate": "trial %{customdata}: %{text}%{hovertext}<extra></extra>",
        "marker": {
            "color": list(range(len(both))),
            "colorscale": RANK_SCALE,
            "size": [6] * (len(both) - 1) + [11],
            "symbol": ["circle"] * (len(both) - 1) + ["diamond"],
        },
    }
    return figure([data], 210, _slice_axis(a), _slice_axis(b))


def _slice_axis(column: Column) -> dict[str, Any]:
    """The whole range with some room at its ends."""
    ticks = column.ticks()
    room = (0.06 * (max(ticks) - min(ticks)) if column.numeric else 0.0) or 0.5
    x = axis("", range=[min(ticks) - room, max(ticks) + room], zeroline=False)
    if not column.numeric:
        return {**x, "tickvals": list(ticks), "ticktext": [safe(t, 14) for t in ticks.values()]}
    if not column.log:
        return {**x, "nticks": 5, "tickangle": 0}
    shown = list(ticks)[:: 1 + len(ticks) // 5]
    return {**x, "tickvals": shown, "ticktext": [ticks[v] for v in shown], "tickangle": 0}


def parallel(
    trials: Sequence[TrialRecord],
    used: Sequence[Column],
    maximize: bool,
    objective: str,
    ranking: Sequence[Column],
) -> Figure:
    """Parallel coordinates of the complete trials, the best ones drawn last and in orange.

    Axes are the first parameters of a ranking, in the order of the space, and the objective.
    """
    complete = (t for t in trials if t.value is not None)
    ranked = sorted(complete, key=lambda t: t.value or 0.0, reverse=not maximize)
    kept = {c.range.path for c in ranking[:PARALLEL_AXES]}
    shown = [c for c in used if c.range.path in kept]
    key = objective.rpartition("[")[2].rstrip("]")  # of `metrics[accuracy]`
    labels = _short_labels([*(c.range.path for c in shown), key])
    dimensions = [_dimension(c, ranked) for c in shown]
    dimensions.append({"values": [t.value for t in ranked]})
    dimensions = [{"label": label, **d} for label, d in zip(labels, dimensions, strict=True)]
    data = {
        "type": "parcoords",
        "meta": "trials",
        "customdata": [t.number for t in ranked],
        "dimensions": dimensions,
        "line": {
            "color": list(range(len(ranked))),
            "colorscale": RANK_SCALE,
        },
        "labelangle": -20,
        "labelfont": {"color": GREY, "size": 12},
        "tickfont": {"color": GREY, "size": 11},
        "rangefont": {"color": "rgba(0,0,0,0)", "size": 1},
        "unselected": {"line": {"color": GREY, "opacity": 0.08}},
    }
    drawn = figure([data], 460, {}, {})
    drawn["layout"]["margin"] = {"l": 90, "r": 90, "t": 90, "b": 24}
    return drawn


def _short_labels(paths: Sequence[str]) -> list[str]:
    """The ends of dotted paths that tell them apart, short enough to stand beside each other."""
    ends = [path.rpartition(".")[2] for path in paths]
    ticks = [path if ends.count(end) > 1 else end for path, end in zip(paths, ends, strict=True)]
    longest = _LONGEST_LABEL
    return [
        safe(text if len(text) <= longest else f"…{text[1 - longest :]}", longest) for text in ticks
    ]


def _dimension(column: Column, trials: Sequence[TrialRecord]) -> dict[str, Any]:
    """One axis of the parallel coordinates; below it a place for trials that do not use it."""
    at = dict(zip((t.number for t in column.trials), column.places(), strict=True))
    ticks = column.ticks()
    low, high = min(ticks), max(ticks)
    if len(at) < len(trials):
        low -= 0.12 * ((high - low) or 1.0)
        ticks = {low: "not used", **ticks}
    return {
        "values": [round(at.get(t.number, low), 6) for t in trials],
        "tickvals": list(ticks),
        # Here alone plotly.js takes text as it is, not as HTML.
        "ticktext": [shortened(name, 18) for name in ticks.values()],
        "range": [low, high if high > low else low + 1],
    }
