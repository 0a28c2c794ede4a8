"""A comparison as tables: on the terminal and in Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from kedro_eeipu.comparison.paired import LEAST_SEEDS
from kedro_eeipu.comparison.results import RATIOS
from kedro_eeipu.study.sampler_names import EEIPU
from kedro_eeipu.wording import counted

__all__ = [
    "AGAINST",
    "FIGURES",
    "TESTED",
    "against_rows",
    "described",
    "figure_rows",
    "markdown_tables",
    "p_value",
    "terminal_tables",
    "verdict",
]

# What a peer has come to where there is no ratio.
_NOTHING = "peer: none"
FIGURES = ("sampler", "candidates", "best", "improved by", "reused", "proposing s")
AGAINST = (
    "eeipu against",
    "times the candidates",
    "times the improvement",
    "seeds: won, equal, lost",
    "p of final values",
    "seconds to its final value ÷ its own (seeds)",
)
TESTED = (
    "Won: seeds in which eeipu ends better than the peer. p: two-sided Wilcoxon "
    "signed-rank test of the final values, paired by seed, corrected for the number of peers "
    f"(Holm); from {LEAST_SEEDS} seeds on. Seconds: node seconds until eeipu had the peer's final "
    "value, divided by those until the peer had it, and in how many seeds eeipu gets there. The "
    "median counts the other seeds as infinite, and as 1 those in which both had it in the warm-up."
)
_HEAD_WIDTH = 11  # of a column's head on the terminal


def terminal_tables(document: Mapping[str, Any]) -> list[Table]:
    """Each sampler's figures, and then EEIPU against each peer.

    Args:
        document: As `kedro_eeipu.comparison.document.as_json` makes it.
    """
    tables = [_table(Text(described(document)), FIGURES, figure_rows(document))]
    if document["against"]:
        tables.append(_table(None, AGAINST, against_rows(document)))
    return tables


def _table(title: Text | None, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        header_style="dim",
    )
    for i, name in enumerate(heads):
        head = textwrap.fill(name, _HEAD_WIDTH)
        table.add_column(head, justify="right" if i else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(_two_lines, row))
    return table


def _two_lines(cell: str) -> str:
    """What is in brackets below the rest."""
    middle, _, spread = cell.partition(" (")
    return f"{middle}\n{spread.rstrip(')').replace(' … ', '…')}" if spread else middle


def markdown_tables(document: Mapping[str, Any]) -> str:
    """The same in Markdown."""
    tables = [_markdown(FIGURES, figure_rows(document))]
    if document["against"]:
        tables.append(_markdown(AGAINST, against_rows(document)))
    return "\n\n".join(tables)


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def described(document: Mapping[str, Any]) -> str:
    """What was compared, in a line."""
    budget = f"{document['budget']} of {document['clock']} time in nodes"
    numbers = sorted({r["seed"] for r in document["runs"]})
    seeds = f"{counted(len(numbers), 'seed')} ({_span(numbers)})"
    begin = (
        "from the project's own values on"
        if document.get("from_scratch")
        else f"after {document['warmup_trials']} common warm-up trials"
    )
    objective = f"{document['direction']} {document['objective']}"
    return f"{document['pipeline']}: {objective}, {budget} {begin}, {seeds}"


def _span(numbers: Sequence[int]) -> str:
    """Numbers without gaps as their ends: 100-119."""
    if len(numbers) > 1 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{numbers[0]}-{numbers[-1]}"
    return ", ".join(map(str, numbers))


def figure_rows(document: Mapping[str, Any]) -> list[Sequence[str]]:
    """The cells of each sampler's figures."""
    return [
        [
            label,
            _spread(summary["candidates"], "{:g}"),
            _spread(summary["best"], "{:.4g}"),
            _spread(summary["improvement"], "{:.2g}"),
            _spread(summary["reuse"], "{:.0%}"),
            _spread(summary["proposing_seconds"], "{:.3g}"),
        ]
        for label, summary in document["samplers"].items()
    ]


def against_rows(document: Mapping[str, Any]) -> list[Sequence[str]]:
    """The cells of EEIPU against each peer, and of the ratios to the mean of the peers."""
    cells: list[Sequence[str]] = []
    for label, row in document["against"].items():
        name = f"{label} (best peer)" if label == document["best_peer"] else label
        seeds = f"{row['better']}, {row['equal']}, {row['worse']}"
        ratios = _ratios(document["ratios"][label])
        cells.append([name, *ratios, seeds, p_value(row["p"]), _sooner(row)])
    if cells:
        cells.append(["mean of peers", *_ratios(document["ratios"]["mean of peers"]), "", "", ""])
    return cells


def p_value(p: float | None) -> str:
    """A p value as it is printed."""
    return "-" if p is None else "< 0.001" if p < 0.001 else f"{p:.2g}"


def _sooner(row: Mapping[str, Any]) -> str:
    middle = row["seconds_ratio"]["median"]
    ratio = "never" if middle is None else f"{middle:.2f}"
    return f"{ratio} ({row['reached']} of {row['seeds']})"


def _spread(figure: Mapping[str, float] | None, form: str) -> str:
    if figure is None:
        return "-"
    middle = form.format(figure["median"])
    if figure["low"] == figure["high"]:
        return middle
    return f"{middle} ({form.format(figure['low'])} … {form.format(figure['high'])})"


def _ratios(ratios: Mapping[str, float | None]) -> list[str]:
    return [_NOTHING if ratios[name] is None else f"{ratios[name]:.2f} ×" for name in RATIOS]


def verdict(document: Mapping[str, Any]) -> str:
    """Who found the best value, how ours did against the best peer, and against their mean.

    Empty without ours or without a peer.
    """
    mean = document["ratios"].get("mean of peers")
    if mean is None:
        return ""
    since = "the project's own values" if document.get("from_scratch") else "warm-up"
    parts = [
        f"{mean[name]:.2f} times the {words}"
        for name, words in (
            ("candidates", "candidates"),
            ("improvement", f"improvement since {since}"),
        )
        if mean[name] is not None
    ]
    rate = f"{EEIPU}: {' and '.join(parts)} of the mean of its peers." if parts else ""
    return " ".join(filter(None, (_winner(document), _against_best(document), rate)))


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


def _against_best(document: Mapping[str, Any]) -> str:
    """EEIPU against the peer with the best mean final value."""
    label = document["best_peer"]
    row = document["against"].get(label)
    if row is None:
        return ""
    p = "" if row["p"] is None else f" (p {_equals(p_value(row['p']))})"
    seeds = counted(row["seeds"], "seed")
    middle = row["seconds_ratio"]["median"]
    sooner = (
        f"{EEIPU} got to its final value in {row['reached']} of {seeds}"
        if middle is None
        else f"{EEIPU} got to its final value in {middle:.0%} of its seconds (median; in "
        f"{row['reached']} of {seeds} at all)"
    )
    return (
        f"Against {label}, the peer with the best mean: better in {row['better']}, equal in "
        f"{row['equal']}, worse in {row['worse']} of {seeds}{p}; {sooner}."
    )


def _equals(p: str) -> str:
    return p if p.startswith("<") else f"= {p}"
