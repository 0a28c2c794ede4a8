"""A comparison as tables: on the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from kedro_eeipu.comparison.results import OURS

COLUMNS = (
    "sampler",
    "candidates",
    "best",
    "improved by",
    "reused",
    "proposing",
    "candidates: eeipu ÷",
    "improvement: eeipu ÷",
)


def terminal_table(document: Mapping[str, Any]) -> Table:
    """Median over the seeds, with the lowest and the highest.

    Args:
        document: As `kedro_eeipu.comparison.results.as_json` makes it.
    """
    table = Table(title=Text(described(document)), title_justify="left")
    table.add_column(COLUMNS[0])
    for name in COLUMNS[1:]:
        table.add_column(name, justify="right")
    for row in rows(document):
        table.add_row(*(cell.replace(" (", "\n(") for cell in row))
    return table


def markdown_table(document: Mapping[str, Any]) -> str:
    """The same in Markdown."""
    lines = [COLUMNS, ["---"] + ["---:"] * (len(COLUMNS) - 1), *rows(document)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def described(document: Mapping[str, Any]) -> str:
    """What was compared, in a line."""
    budget = f"{document['budget']} of {document['clock']} time in nodes"
    return (
        f"{document['pipeline']}: {document['direction']} {document['objective']}, {budget} after "
        f"{document['warmup_trials']} common warm-up trials, {document['seeds']} seeds"
    )


def rows(document: Mapping[str, Any]) -> list[Sequence[str]]:
    """One row of cells for each sampler, and one for the mean of the peers."""
    ratios = document["ratios"]
    found: list[Sequence[str]] = []
    for label, told in document["samplers"].items():
        found.append(
            [
                label,
                _spread(told["candidates"], "{:g}"),
                _spread(told["best"], "{:.4g}"),
                _spread(told["improvement"], "{:.3g}"),
                _spread(told["reuse"], "{:.0%}"),
                _spread(told["proposing_seconds"], "{:.3g} s"),
                *_ratios(ratios.get(label)),
            ]
        )
    if "mean of peers" in ratios:
        found.append(["mean of peers", *[""] * 5, *_ratios(ratios["mean of peers"])])
    return found


def _spread(figure: Mapping[str, float] | None, form: str) -> str:
    if figure is None:
        return "-"
    middle = form.format(figure["median"])
    if figure["low"] == figure["high"]:
        return middle
    return f"{middle} ({form.format(figure['low'])} … {form.format(figure['high'])})"


def _ratios(found: Mapping[str, float | None] | None) -> list[str]:
    if found is None:
        return ["", ""]
    return [
        "none" if found[name] is None else f"{found[name]:.2f} ×"
        for name in ("candidates", "improvement")
    ]


def verdict(document: Mapping[str, Any]) -> str:
    """How our sampler did against the mean of its peers, in words; empty without one of them."""
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
    return f"{OURS}: {' and '.join(parts)} of the mean of its peers." if parts else ""
