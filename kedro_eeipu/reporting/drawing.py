"""What the figures share: colours, axes, bars, lines and text, as plotly.js reads them.

A figure is a dict of ``data`` and ``layout``. It has a transparent ground and colours that stand
out on white and on black, so that one figure serves both themes. User text in it is escaped:
plotly.js reads a subset of HTML.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = [
    "ACCENT",
    "FAILED",
    "GREY",
    "LEGEND",
    "SECOND",
    "STAGE_COLOURS",
    "Figure",
    "axis",
    "figure",
    "grid",
    "line",
    "pale",
    "rows",
    "safe",
    "shortened",
    "steps",
    "to_numbers",
    "to_seconds",
]

Figure = dict[str, Any]

GREY = "#767c84"
ACCENT = "#2f86c9"
SECOND = "#e8853d"
FAILED = "#d93a3a"
STAGE_COLOURS = (
    *("#4e8fd0", "#f0963c", "#5bab5b", "#a678c4", "#35b0ab"),
    *("#d6b12c", "#a07a62", "#e58cb4", "#8a9a2f"),
)
LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal"}
# Pixels of a small figure in a grid, and of the room for its title and its axis.
_CELL_HEIGHT, _CELL_GAP = 190, 70
_GRID = "rgba(128,128,128,0.22)"


def figure(
    data: list[dict[str, Any]],
    height: float,
    x: dict[str, Any],
    y: dict[str, Any],
    layout: Mapping[str, Any] | None = None,
) -> Figure:
    return {
        "data": data,
        "layout": {
            "height": round(height),
            "autosize": True,
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"color": GREY, "size": 12, "family": "system-ui, sans-serif"},
            "margin": {"l": 56, "r": 16, "t": 28, "b": 44},
            "legend": LEGEND,
            "hovermode": "closest",
            "xaxis": x,
            "yaxis": y,
            **(layout or {}),
        },
    }


def rows(
    labels: Sequence[str],
    series: Sequence[tuple[str, Sequence[Any], str]],
    hover: str,
    x: dict[str, Any],
) -> Figure:
    """Horizontal bars, the first label on top.

    Args:
        labels: One per row, escaped.
        series: Name, lengths and colour of the bars that are set end to end.
        hover: What a bar says about its length, in plotly.js's template language.
        x: The axis of the lengths.
    """
    places = list(range(len(labels)))
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "x": list(lengths),
            "y": places,
            "text": list(labels),
            "textposition": "none",
            "hovertemplate": f"%{{text}}<br>{hover}<extra>{name}</extra>",
            "marker": {"color": colour, "line": {"width": 0}},
        }
        for name, lengths, colour in series
    ]
    y = axis("", autorange="reversed", showgrid=False, zeroline=False, ticksuffix=" ")
    y |= {"tickvals": places, "ticktext": list(labels)}
    layout = {"barmode": "stack", "bargap": 0.3, "showlegend": len(data) > 1}
    return figure(data, max(340, 110 + 22 * len(labels)), x, y, layout)


def grid(figures: Mapping[str, Figure], in_a_row: int) -> Figure:
    """Small figures of the same height beside and below each other, as one figure.

    Args:
        figures: By title, escaped.
        in_a_row: How many of them are in a row.
    """
    columns = min(in_a_row, len(figures))
    lines = -(-len(figures) // columns)
    height = 40 + lines * (_CELL_HEIGHT + _CELL_GAP)
    wide, gap = 1 / columns, 0.035 * (columns > 1)
    tall = (_CELL_HEIGHT + _CELL_GAP) / height
    data: list[dict[str, Any]] = []
    layout: dict[str, Any] = {"annotations": []}
    for i, (title, drawn) in enumerate(figures.items()):
        at, below = i % columns, i // columns
        number = "" if i == 0 else str(i + 1)
        x = [at * wide + gap, (at + 1) * wide - gap]
        top = 1 - below * tall
        y = [top - tall * _CELL_HEIGHT / (_CELL_HEIGHT + _CELL_GAP), top]
        data += [{**trace, "xaxis": f"x{number}", "yaxis": f"y{number}"} for trace in drawn["data"]]
        own = drawn["layout"]
        layout[f"xaxis{number}"] = {**own["xaxis"], "domain": x, "anchor": f"y{number}"}
        layout[f"yaxis{number}"] = {**own["yaxis"], "domain": y, "anchor": f"x{number}"}
        caption = {"text": title, "showarrow": False, "font": {"size": 13}, "yanchor": "bottom"}
        caption |= {"x": x[0], "xanchor": "left", "y": top, "xref": "paper", "yref": "paper"}
        layout["annotations"].append(caption)
    whole = figure(data, height, {}, {}, layout)
    whole["layout"]["margin"] = {"l": 24, "r": 12, "t": 28, "b": 12}
    return whole


def axis(title: str, **more: Any) -> dict[str, Any]:
    return {
        "title": {"text": title},
        "gridcolor": _GRID,
        "zerolinecolor": _GRID,
        "linecolor": _GRID,
        "automargin": True,
        **more,
    }


def line(x: Sequence[Any], y: Sequence[Any], name: str, colour: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(x),
        "y": list(y),
        "line": {"color": colour, "width": 2.2},
    }


def steps(
    x: Sequence[Any], y: Sequence[Any], name: str, colour: str, dash: str = "solid"
) -> dict[str, Any]:
    trace = line(x, y, name, colour)
    trace["line"] |= {"shape": "hv", "dash": dash}
    return trace


def pale(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.28)"


def safe(text: str, longest: int = 40) -> str:
    """User text as plotly.js may read it."""
    return html.escape(shortened(text, longest), quote=False)


def shortened(text: str, longest: int) -> str:
    """Text of so many characters at most."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def to_seconds(values: np.ndarray) -> list[float | None]:
    return to_numbers(np.round(values, 4))


def to_numbers(values: np.ndarray) -> list[float | None]:
    """As JSON can hold them, which knows no NaN."""
    return [None if v != v else v for v in np.asarray(values, dtype=float).tolist()]
