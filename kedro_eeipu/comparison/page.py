"""A comparison as one HTML page in the style of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from statistics import median
from typing import Any

from kedro_eeipu.comparison.table import (
    AGAINST,
    FIGURES,
    TESTED,
    against_rows,
    described,
    figure_rows,
    verdict,
)
from kedro_eeipu.reporting.drawing import (
    ACCENT,
    STAGE_COLOURS,
    Figure,
    axis,
    figure,
    pale,
    safe,
    steps,
)
from kedro_eeipu.reporting.shell import figure_html, page_html
from kedro_eeipu.study.sampler_names import EEIPU

__all__ = ["comparison_html"]

_POINTS = 160
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


def comparison_html(document: Mapping[str, Any]) -> str:
    """The page of a comparison; nothing in it is loaded from elsewhere.

    Args:
        document: As `kedro_eeipu.comparison.document.as_json` makes it.
    """
    scratch = document.get("from_scratch")
    after = "within the budget" if scratch else "after the warm-up"
    since = "on the project's own values" if scratch else "since the warm-up"
    figures = [
        (
            "Best value so far: median of the seeds, and the range of eeipu's",
            best_so_far(document),
            "wide",
        ),
        (f"Candidates {after}, each seed", dots(document, "candidates"), ""),
        (f"Improvement {since}, each seed", dots(document, "improvement"), ""),
        ("Share of node time reused, each seed", dots(document, "reuse"), ""),
    ]
    shown = "\n".join(figure_html(title, drawn, kind) for title, drawn, kind in figures)
    pipeline = str(document["pipeline"])
    content = [
        f"<h1>Samplers on <em>{escape(pipeline)}</em></h1>",
        f"<p>{escape(described(document))}. {escape(document['costs'])}</p>",
        f"<p><b>{escape(verdict(document))}</b></p>",
        f'<div class="figures">{_tables(document)}{shown}</div>',
    ]
    return page_html(f"Samplers on {pipeline}", "\n".join(content))


def best_so_far(document: Mapping[str, Any]) -> Figure:
    """Best value against node time since the warm-up: median of the seeds, and their range."""
    budget = min(r["budget_seconds"] for r in document["runs"])
    # From scratch there is no value before the first trial ends.
    start = max((r["curve"][0][0] for r in document["runs"] if r["curve"]), default=0.0)
    grid = [start + (budget - start) * i / (_POINTS - 1) for i in range(_POINTS)]
    data = []
    for i, (label, colour) in enumerate(_colours(document).items()):
        curves = [r["curve"] for r in _runs(document, label) if r["curve"]]
        if not curves:
            continue
        values = [[_at(curve, x) for curve in curves] for x in grid]
        low = steps(grid, [min(v) for v in values], label, colour)
        high = steps(grid, [max(v) for v in values], label, colour)
        for edge in (low, high):
            edge |= {"legendgroup": label, "showlegend": False, "hoverinfo": "skip"}
            edge["line"] = edge["line"] | {"width": 0}
        high |= {"fill": "tonexty", "fillcolor": pale(colour)}
        if label == EEIPU:  # bands of all samplers on top of each other show nothing
            data += [low, high]
        # Of curves that coincide both are seen, the upper one broken and thinner.
        dash = _DASHES[i % len(_DASHES)]
        middle = steps(grid, [median(v) for v in values], safe(label), colour, dash)
        middle["line"]["width"] = 3.2 if dash == "solid" else 2.2
        data.append(middle | {"legendgroup": label})
    since = "" if document.get("from_scratch") else " since the warm-up"
    x = axis(f"node time{since} (s)", zeroline=False)
    return figure(data, 420, x, axis(safe(str(document["objective"])), zeroline=False))


def dots(document: Mapping[str, Any], name: str) -> Figure:
    """One figure of each run, by sampler."""
    colours = _colours(document)
    labels = list(colours)
    data = []
    for place, (label, colour) in enumerate(colours.items()):
        values = [r[name] for r in _runs(document, label)]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": safe(label),
                "x": values,
                "y": [place] * len(values),
                "marker": {"color": colour, "size": 9, "opacity": 0.75},
                "hovertemplate": f"{safe(label)}: %{{x}}<extra></extra>",
            }
        )
    y = axis("", autorange="reversed", showgrid=False, zeroline=False, ticksuffix=" ")
    y |= {"tickvals": list(range(len(labels))), "ticktext": [safe(label) for label in labels]}
    x = axis("", rangemode="tozero", tickformat=".0%" if name == "reuse" else "")
    return figure(data, 130 + 34 * len(labels), x, y, {"showlegend": False})


def _tables(document: Mapping[str, Any]) -> str:
    tables = [_table(FIGURES, figure_rows(document))]
    if document["against"]:
        tables.append(_table(AGAINST, against_rows(document)))
        tables.append(f'<p style="grid-column: 1 / -1">{escape(TESTED)}</p>')
    return "".join(tables)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    head = head.replace("<th>", '<th style="text-align: left">', 1)
    body = "".join(
        f'<tr><td style="text-align: left">{escape(label)}</td>'
        f"{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
        for label, *cells in rows
    )
    return f'<div class="table"><table><tr>{head}</tr>{body}</table></div>'


def _runs(document: Mapping[str, Any], label: str) -> list[Mapping[str, Any]]:
    return [
        r
        for r in document["runs"]
        if label == (r["sampler"] if r["cached"] else f"{r['sampler']}, no cache")
    ]


def _colours(document: Mapping[str, Any]) -> dict[str, str]:
    """Ours in the accent, the others in colours that tell them apart."""
    others = iter(STAGE_COLOURS[1:] * 3)
    return {label: ACCENT if label == EEIPU else next(others) for label in document["samplers"]}


def _at(curve: Sequence[Sequence[float]], x: float) -> float:
    """The best value at a time."""
    return next(value for seconds, value in reversed(curve) if seconds <= x)
