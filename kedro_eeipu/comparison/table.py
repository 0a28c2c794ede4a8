"""A comparison as tables: on the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from rich.table import Table
from rich.text import Text

from kedro_eeipu.comparison.results import RATIOS
from kedro_eeipu.study.sampler_names import EEIPU
from kedro_eeipu.wording import counted

__all__ = ["COLUMNS", "described", "markdown_table", "rows", "terminal_tables", "verdict"]

# What a peer has come to where there is no ratio.
_NOTHING = {"candidates": "peer: none ended", "improvement": "peer: no gain"}
COLUMNS = (
    "sampler",
    "candidates",
    "best",
    "improved by",
    "reused",
    "proposing s",
    "candidates: eeipu ÷",
    "improvement: eeipu ÷",
)


def terminal_tables(document: Mapping[str, Any]) -> list[Table]:
    """Each sampler's figures, and then the ratios to them.

    Args:
        document: As `kedro_eeipu.comparison.results.as_json` makes it.
    """
    figures = _table(Text(described(document)), COLUMNS[:-2])
    ratios = _table(Text("eeipu divided by"), ("", *RATIOS))
    for row in rows(document):
        if row[1]:
            figures.add_row(*(_two_lines(cell) for cell in row[:-2]))
        if row[-1]:
            ratios.add_row(row[0], *row[-2:])
    return [figures, ratios] if ratios.row_count else [figures]


def _table(title: Text, columns: Sequence[str]) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        header_style="dim",
    )
    for i, name in enumerate(columns):
        table.add_column(name, justify="right" if i else "left", no_wrap=True)
    return table


def _two_lines(cell: str) -> str:
    """The spread below the median."""
    middle, _, spread = cell.partition(" (")
    return f"{middle}\n{spread.rstrip(')').replace(' … ', '…')}" if spread else middle


def markdown_table(document: Mapping[str, Any]) -> str:
    """The same in Markdown."""
    lines = [COLUMNS, ["---"] + ["---:"] * (len(COLUMNS) - 1), *rows(document)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def described(document: Mapping[str, Any]) -> str:
    """What was compared, in a line."""
    budget = f"{document['budget']} of {document['clock']} time in nodes"
    return (
        f"{document['pipeline']}: {document['direction']} {document['objective']}, {budget} after "
        f"{document['warmup_trials']} common warm-up trials, {counted(document['seeds'], 'seed')}"
    )


def rows(document: Mapping[str, Any]) -> list[Sequence[str]]:
    """One row of cells for each sampler, and one for the mean of the peers."""
    ratios = document["ratios"]
    cells: list[Sequence[str]] = []
    for label, summary in document["samplers"].items():
        cells.append(
            [
                label,
                _spread(summary["candidates"], "{:g}"),
                _spread(summary["best"], "{:.4g}"),
                _spread(summary["improvement"], "{:.2g}"),
                _spread(summary["reuse"], "{:.0%}"),
                _spread(summary["proposing_seconds"], "{:.3g}"),
                *_ratios(ratios.get(label)),
            ]
        )
    if "mean of peers" in ratios:
        cells.append(["mean of peers", *[""] * 5, *_ratios(ratios["mean of peers"])])
    return cells


def _spread(figure: Mapping[str, float] | None, form: str) -> str:
    if figure is None:
        return "-"
    middle = form.format(figure["median"])
    if figure["low"] == figure["high"]:
        return middle
    return f"{middle} ({form.format(figure['low'])} … {form.format(figure['high'])})"


def _ratios(ratios: Mapping[str, float | None] | None) -> list[str]:
    if ratios is None:
        return ["", ""]
    return [_NOTHING[name] if ratios[name] is None else f"{ratios[name]:.2f} ×" for name in RATIOS]


def verdict(document: Mapping[str, Any]) -> str:
    """Who found the best value, how soon ours was where its peers ended, and at what rate.

    Empty without ours or without a peer.
    """
    mean = document["ratios"].get("mean of peers")
    if mean is None:
        return ""
    parts = [
        f"{mean[name]:.2f} times the {words}"
        for name, words in (
            ("candidates", "candidates"),
            ("improvement", "improvement since warm-up"),
        )
        if mean[name] is not None
    ]
    rate = f"{EEIPU}: {' and '.join(parts)} of the mean of its peers." if parts else ""
    return " ".join(filter(None, (_winner(document), _sooner(document), rate)))


def _winner(document: Mapping[str, Any]) -> str:
    sign = 1 if document["direction"] == "maximize" else -1
    bests = {
        label: summary["best"]["median"]
        for label, summary in document["samplers"].items()
        if summary["best"] is not None
    }
    if not bests:
        return ""
    ranked = sorted(bests, key=lambda label: -sign * bests[label])
    first = [label for label in ranked if bests[label] == bests[ranked[0]]]
    others = ", ".join(f"{label} {bests[label]:.4g}" for label in ranked if label not in first)
    seeds = counted(document["seeds"], "seed")
    beside = f" ({others})" if others else ""
    best = f"{bests[ranked[0]]:.4g}"
    return f"Best value, median of {seeds}: {' and '.join(first)} with {best}{beside}."


def _sooner(document: Mapping[str, Any]) -> str:
    """After which share of the budget ours was as good as the best peer was at the end."""
    sign = 1 if document["direction"] == "maximize" else -1
    shares, seeds = [], 0
    for ours in (r for r in document["runs"] if r["sampler"] == EEIPU):
        ends = [
            r["best"]
            for r in document["runs"]
            if r["seed"] == ours["seed"] and r["sampler"] != EEIPU and r["best"] is not None
        ]
        if not ends:
            continue
        seeds += 1
        target = max(sign * best for best in ends)
        reached = [seconds for seconds, best in ours["curve"] if sign * best >= target]
        if reached:
            shares.append(reached[0] / ours["budget_seconds"])
    if not shares:
        return f"{EEIPU} did not get to where the best peer of the same seed ended."
    low, high = min(shares), max(shares)
    spread = f" ({low:.0%} … {high:.0%})" if low < high else ""
    return (
        f"{EEIPU} was where the best peer of the same seed ended after {median(shares):.0%}"
        f"{spread} of the budget, in {len(shares)} of {counted(seeds, 'seed')}."
    )
