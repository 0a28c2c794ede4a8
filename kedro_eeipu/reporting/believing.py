"""Figures of what the model believes: importances, slices, pairs, predicted against measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kedro_eeipu.reporting.drawing import (
    ACCENT,
    GREY,
    SECOND,
    Figure,
    axis,
    figure,
    line,
    pale,
    safe,
    to_numbers,
)
from kedro_eeipu.reporting.parameters import Column, pair_of, slice_of
from kedro_eeipu.search.space import as_written
from kedro_eeipu.wording import scalar

if TYPE_CHECKING:
    from kedro_eeipu.search import SearchSpace
    from kedro_eeipu.study.beliefs import Believed, StudyBeliefs, Weight
    from kedro_eeipu.study.records import TrialRecord

__all__ = [
    "ends_of_ranges",
    "held",
    "importances",
    "most_important",
    "pair",
    "predictions",
    "slice_with_beliefs",
]

_ROWS = 25
# Values on each axis of a contour.
_PAIR_STEPS = 25
# A value is at an end of its range if it is this near to it, as a share of the range.
_AT_END = 0.01
# Of ranges with fewer values it is not surprising that the best is at an end.
_FEWEST_LEVELS = 4
_CONTOURS = [[0, "rgba(128,128,128,0.10)"], [0.7, "rgba(47,134,201,0.35)"], [1, ACCENT]]


def importances(weights: Mapping[str, Weight]) -> Figure:
    """Shares of variance with 90 % intervals, over the range and among the best.

    Args:
        weights: By label, escaped.
    """
    ranked = sorted(weights.items(), key=lambda entry: -entry[1].over_range.middle)[:_ROWS]
    labels = [label for label, _ in ranked]
    places = np.arange(len(labels))
    series = [
        ("over the range", [w.over_range for _, w in ranked], ACCENT, -0.19),
        ("among the best", [w.among_best for _, w in ranked], SECOND, 0.19),
    ]
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "x": [round(s.middle, 4) for s in shares],
            "y": (places + shift).tolist(),
            "width": 0.36,
            "text": labels,
            "textposition": "none",
            "customdata": [f"{s.low:.0%} to {s.high:.0%}" for s in shares],
            "hovertemplate": "%{text}<br>%{x:.0%} (%{customdata})<extra>" + name + "</extra>",
            "marker": {"color": colour, "line": {"width": 0}},
            "error_x": {
                "type": "data",
                "symmetric": False,
                "array": [round(max(0.0, s.high - s.middle), 4) for s in shares],
                "arrayminus": [round(max(0.0, s.middle - s.low), 4) for s in shares],
                "color": GREY,
                "thickness": 1.5,
                "width": 4,
            },
        }
        for name, shares, colour, shift in series
    ]
    x = axis("share of the variance", tickformat=".0%", range=[0, 1.02])
    y = axis("", autorange="reversed", showgrid=False, zeroline=False, ticksuffix=" ")
    y |= {"tickvals": places.tolist(), "ticktext": labels}
    return figure(data, max(340, 120 + 34 * len(labels)), x, y, {"barmode": "overlay"})


def slice_with_beliefs(
    column: Column, beliefs: StudyBeliefs | None, best: TrialRecord, maximize: bool
) -> Figure:
    """The trials against one parameter, over what is expected if only it is changed at the best."""
    drawn = slice_of(column, maximize)
    if beliefs is None or column.range.path not in best.params or not column.follows_range:
        return drawn
    values = beliefs.values_of(column.range)
    x = [round(column.place(v), 6) for v in values]
    believed = beliefs.around(best.params, [(column.range, values)])
    low, middle, high = map(to_numbers, (believed.low, believed.middle, believed.high))
    if column.numeric:
        edge = {**line(x, low, "", ACCENT), "hoverinfo": "skip", "showlegend": False}
        edge["line"] = {"width": 0}
        band = {**edge, "y": high, "fill": "tonexty", "fillcolor": pale(ACCENT)}
        curve = {**line(x, middle, "expected", ACCENT), "showlegend": False}
        under: list[dict[str, Any]] = [edge, band, curve]
    else:
        curve = {
            "type": "scatter",
            "mode": "markers",
            "showlegend": False,
            "x": x,
            "y": middle,
            "marker": {"color": ACCENT, "symbol": "line-ew-open", "size": 18},
            "error_y": _errors(believed) | {"thickness": 9, "color": pale(ACCENT), "width": 0},
        }
        under = [curve]
    curve["customdata"] = [
        f"{_short(lo)} to {_short(hi)}" for lo, hi in zip(low, high, strict=True)
    ]
    curve["text"] = [safe(scalar(v)) for v in values]
    curve["hovertemplate"] = "%{text}<br>expected %{y:.4~g}<br>%{customdata}<extra></extra>"
    drawn["data"][0]["marker"] = {**drawn["data"][0]["marker"], "color": GREY}
    drawn["data"] = [*under, *drawn["data"]]
    return drawn


def pair(
    a: Column, b: Column, beliefs: StudyBeliefs | None, best: TrialRecord, maximize: bool
) -> Figure:
    """What is expected of two parameters, the others as in the best trial; the trials on it."""
    drawn = pair_of(a, b, maximize)
    drawable = all(c.range.path in best.params and c.follows_range for c in (a, b))
    if beliefs is None or not drawable:
        return drawn
    axes = [(c.range, beliefs.values_of(c.range, _PAIR_STEPS)) for c in (a, b)]
    believed = beliefs.around(best.params, axes)
    half = (believed.high - believed.low) / 2
    middle = [to_numbers(np.array([float(f"{v:.5g}") for v in row])) for row in believed.middle.T]
    text = [[f"± {_short(float(h))}" for h in row] for row in half.T]
    contour: dict[str, Any] = {
        "type": "contour",
        "x": [round(a.place(v), 6) for v in axes[0][1]],
        "y": [round(b.place(v), 6) for v in axes[1][1]],
        "z": middle,
        "text": text,
        "hovertemplate": "expected %{z:.4~g} %{text}<extra></extra>",
        "colorscale": _CONTOURS,
        "reversescale": not maximize,
        "showscale": False,
        "contours": {"coloring": "heatmap"},
        "line": {"width": 0.5, "color": GREY},
    }
    if not (a.numeric and b.numeric):  # There is nothing between two categories.
        contour["type"] = "heatmap"
        del contour["contours"], contour["line"]
    # Dotted lines say how far the interval reaches to either side.
    unsure: dict[str, Any] = {
        "type": "contour",
        "x": contour["x"],
        "y": contour["y"],
        "z": [to_numbers(np.array([float(f"{v:.4g}") for v in row])) for row in half.T],
        "showscale": False,
        "showlegend": False,
        "hoverinfo": "skip",
        "contours": {
            "coloring": "none",
            "showlabels": True,
            "labelformat": ".2~g",
            "labelfont": {"size": 9, "color": GREY},
        },
        "ncontours": 4,
        "line": {"width": 1, "dash": "dot", "color": GREY},
    }
    both = [contour, unsure] if a.numeric and b.numeric else [contour]
    drawn["data"] = [*both, *drawn["data"]]
    drawn["layout"]["height"] = 300
    drawn["layout"]["margin"] = {"l": 50, "r": 8, "t": 10, "b": 40}
    for name, column in (("xaxis", a), ("yaxis", b)):
        drawn["layout"][name]["title"] = {"text": safe(column.range.path), "standoff": 6}
    return drawn


def predictions(beliefs: StudyBeliefs, objective: str) -> Figure:
    """The value of each trial against what the model fitted to all others expects."""
    believed = beliefs.left_out()
    measured = np.array([t.value for t in beliefs.trials], dtype=float)
    values = np.concatenate([measured, believed.middle])
    room = 0.05 * (float(np.ptp(values)) or 1.0)
    ends = [float(values.min()) - room, float(values.max()) + room]
    diagonal = line(ends, ends, "as expected", GREY)
    diagonal |= {"hoverinfo": "skip", "line": {"color": GREY, "width": 1, "dash": "dot"}}
    dots = {
        "type": "scatter",
        "mode": "markers",
        "name": "a trial, with 90 % interval",
        "x": to_numbers(believed.middle.round(10)),
        "y": to_numbers(measured),
        "meta": "trials",
        "customdata": [t.number for t in beliefs.trials],
        "hovertemplate": "trial %{customdata}<br>expected %{x:.5~g}, measured %{y:.5~g}"
        "%{hovertext}<extra></extra>",
        "error_x": _errors(believed) | {"thickness": 1, "color": pale(ACCENT), "width": 0},
        "marker": {"color": ACCENT, "size": 6, "opacity": 0.8},
    }
    x = axis(f"expected {safe(objective)}", range=ends, zeroline=False)
    y = axis("measured", range=ends, zeroline=False)
    return figure([diagonal, dots], 420, x, y)


def held(beliefs: StudyBeliefs) -> float:
    """The share of trials whose value is in the interval expected from the others."""
    believed = beliefs.left_out()
    measured = np.array([t.value for t in beliefs.trials], dtype=float)
    return float(np.mean((believed.low <= measured) & (measured <= believed.high)))


def ends_of_ranges(best: TrialRecord, space: SearchSpace) -> list[str]:
    """A sentence for each parameter of the best trial that is at an end of its range."""
    sentences = []
    for r in space:
        value = best.params.get(r.path)
        if r.kind == "categorical" or not isinstance(value, (int, float)) or r.last <= r.low:
            continue
        if 0 < r.levels < _FEWEST_LEVELS or not r.low <= value <= r.high:
            continue
        low, high, at = (np.log(v) if r.log else v for v in (r.low, r.last, value))
        share = (at - low) / (high - low)
        end = "lower" if share <= _AT_END else "upper" if share >= 1 - _AT_END else ""
        if end:
            sentences.append(
                f"{r.path} of the best lies at the {end} end of its range "
                f"({as_written(value)} in {r.describe()})."
            )
    return sentences


def _errors(believed: Believed) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": to_numbers(np.round(believed.high - believed.middle, 10)),
        "arrayminus": to_numbers(np.round(believed.middle - believed.low, 10)),
    }


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def most_important(columns: Sequence[Column], beliefs: StudyBeliefs | None) -> list[Column]:
    """Columns in the order of their importance over the range; as they are without beliefs."""
    if beliefs is None:
        return list(columns)
    weights = beliefs.weights[0]
    return sorted(columns, key=lambda c: -weights[c.range.path].over_range.middle)
