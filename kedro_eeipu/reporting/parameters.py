"""Figures of the parameters: which ones matter, and which of their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import TrialState, create_trial

from kedro_eeipu.reporting.drawing import (
    ACCENT,
    GREY,
    SECOND,
    Figure,
    axis,
    figure,
    rows,
    safe,
    shortened,
)
from kedro_eeipu.wording import scalar

if TYPE_CHECKING:
    from kedro_eeipu.search import Range, SearchSpace
    from kedro_eeipu.study.records import TrialRecord

__all__ = [
    "IMPORTANCE_TRIALS",
    "PARALLEL_AXES",
    "Column",
    "columns",
    "importances",
    "pair_of",
    "parallel",
    "parameter_importances",
    "slice_of",
]

IMPORTANCE_TRIALS = 20
PARALLEL_AXES = 8
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

    def distribution(self) -> BaseDistribution:
        """A distribution that holds all values, categories by name."""
        if not self.numeric:
            return CategoricalDistribution(self.names)
        low, high = self.bounds
        if self.range.kind == "int" and all(isinstance(v, int) for v in self.values):
            return IntDistribution(int(low), int(high), log=self.log)
        return FloatDistribution(low, high, log=self.log)

    def places(self) -> list[float]:
        """Where the values stand on a linear axis: logarithms, or positions of categories."""
        if not self.numeric:
            return [float(self.names.index(scalar(v))) for v in self.values]
        return [float(np.log10(v) if self.log else v) for v in self.values]

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


def parameter_importances(
    trials: Sequence[TrialRecord], used: Sequence[Column], maximize: bool
) -> dict[str, float]:
    """PED-ANOVA importances by path, most important first; empty while trials are too few.

    They say which parameters tell the best tenth of the trials, or the best five while that is
    fewer, from all trials. A conditional parameter counts where it is used.
    Source: Watanabe, Bansal and Hutter (arXiv 2304.10255), as Optuna implements it.
    """
    complete = [t for t in trials if t.value is not None]
    if len(complete) < IMPORTANCE_TRIALS:
        return {}
    params: dict[int, dict[str, Any]] = {t.number: {} for t in complete}
    for column in used:
        for t, value in zip(column.trials, column.values, strict=True):
            params[t.number][column.range.path] = value if column.numeric else scalar(value)
    distributions = {c.range.path: c.distribution() for c in used}
    study = optuna.create_study(direction="maximize" if maximize else "minimize")
    study.add_trials(
        create_trial(
            state=TrialState.COMPLETE,
            value=t.value,
            params=params[t.number],
            distributions={path: distributions[path] for path in params[t.number]},
        )
        for t in complete
    )
    evaluator = PedAnovaImportanceEvaluator(target_quantile=max(0.1, 5 / len(complete)))
    return get_param_importances(study, evaluator=evaluator)


def importances(shares: Mapping[str, float]) -> Figure:
    """Importances as bars, most important on top."""
    lengths = [round(v, 4) for v in shares.values()]
    x = axis("share of importance", tickformat=".0%")
    return rows(
        [safe(path, 32) for path in shares], [("importance", lengths, ACCENT)], "%{x:.0%}", x
    )


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
        "hovertemplate": "%{text}<br>%{y:.6~g}<extra>trial %{customdata}</extra>",
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
        "hovertemplate": "%{text}<extra>trial %{customdata}</extra>",
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
    shares: Mapping[str, float],
) -> Figure:
    """Parallel coordinates of the complete trials, the best ones drawn last and in orange.

    Axes are the most important parameters, in the order of the space, and the objective.
    """
    complete = (t for t in trials if t.value is not None)
    ranked = sorted(complete, key=lambda t: t.value or 0.0, reverse=not maximize)
    ranks = {path: i for i, path in enumerate(shares)}
    kept = sorted(used, key=lambda c: ranks.get(c.range.path, len(ranks)))[:PARALLEL_AXES]
    dimensions = [_dimension(c, ranked) for c in used if c in kept]
    dimensions.append({"label": safe(objective), "values": [t.value for t in ranked]})
    data = {
        "type": "parcoords",
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
    drawn["layout"]["margin"] = {"l": 70, "r": 70, "t": 110, "b": 24}
    return drawn


def _dimension(column: Column, trials: Sequence[TrialRecord]) -> dict[str, Any]:
    """One axis of the parallel coordinates; below it a place for trials that do not use it."""
    at = dict(zip((t.number for t in column.trials), column.places(), strict=True))
    ticks = column.ticks()
    low, high = min(ticks), max(ticks)
    if len(at) < len(trials):
        low -= 0.12 * ((high - low) or 1.0)
        ticks = {low: "not used", **ticks}
    return {
        "label": safe(column.range.path),
        "values": [round(at.get(t.number, low), 6) for t in trials],
        "tickvals": list(ticks),
        # Here alone plotly.js takes text as it is, not as HTML.
        "ticktext": [shortened(name, 18) for name in ticks.values()],
        "range": [low, high if high > low else low + 1],
    }
