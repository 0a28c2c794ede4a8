"""Tables of ``trials``, ``explain`` and ``cache ls``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kedro_eeipu.study.records import TrialRecord
from kedro_eeipu.wording import duration

_PLAIN: dict[str, Any] = {
    "box": None,
    "pad_edge": False,
    "padding": (0, 2, 0, 0),
    "header_style": "dim",
}
_UNITS = ("B", "KB", "MB", "GB", "TB")


def print_trials(console: Console, trials: Sequence[TrialRecord]) -> None:
    """The trials of a study, one a line; why one ended is cut at the width of the terminal.

    A table of rich's takes a millisecond a row.
    """
    rows = [
        (
            str(t.number),
            t.state,
            "-" if t.value is None else f"{t.value:.6g}",
            f"{t.cost:.2f}",
            f"{t.saved:.2f}",
            str(sum(n.status in ("ran", "failed") for n in t.nodes)),
            str(sum(n.status == "reused" for n in t.nodes)),
        )
        for t in trials
    ]
    head = ("trial", "state", "value", "cost s", "saved s", "ran", "reused")
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]

    def line(cells: Sequence[str], last: str = "") -> str:
        aligned = [
            cell.ljust(width) if name == "state" else cell.rjust(width)
            for name, cell, width in zip(head, cells, widths, strict=True)
        ]
        return "  ".join([*aligned, last]).rstrip()

    why = [(t.error or "").split("\n")[0] for t in trials]
    console.print(Text(line(head, "why it ended" if any(why) else ""), style="dim"), crop=True)
    lines = [line(row, reason) for row, reason in zip(rows, why, strict=True)]
    for text in lines:
        if console.is_terminal and len(text) > console.width:
            text = f"{text[: console.width - 1]}…"
        console.out(text, highlight=False)


def explanation_table(number: int, nodes: Sequence[Mapping[str, Any]]) -> Table:
    """One row per node of a trial: what happened, and why."""
    table = Table(**_PLAIN, title=f"trial {number}", title_justify="left")
    table.add_column("node", no_wrap=True, overflow="ellipsis")
    table.add_column("status", no_wrap=True)
    table.add_column("why", overflow="fold")
    for node in nodes:
        why = "\n".join([node["reason"], *node["code"]])
        table.add_row(Text(node["name"]), node["status"], Text(why))
    return table


def entries_table(entries: Sequence[Mapping[str, Any]]) -> Table:
    """One row per output that the cache knows."""
    table = Table(**_PLAIN)
    for name in ("node", "dataset"):
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    for name in ("size", "saves", "age", "trials"):
        table.add_column(name, justify="right", no_wrap=True)
    for entry in entries:
        table.add_row(
            Text(str(entry["node"])),
            Text(str(entry["dataset"])),
            in_bytes(entry["bytes"]) if entry["kept"] else "dropped",
            duration(entry["seconds"]),
            duration(entry["age_seconds"]),
            str(len(entry["trials"])),
        )
    return table


def in_bytes(size: float) -> str:
    """A size as people write it: 20 GB."""
    unit = 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.3g} {_UNITS[unit]}" if unit else f"{size:.0f} B"
