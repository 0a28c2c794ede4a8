"""Tables of ``explain`` and ``cache ls``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from kedro_eeipu.wording import duration

_UNITS = ("B", "KB", "MB", "GB", "TB")


def explanation_table(number: int, nodes: Sequence[Mapping[str, Any]]) -> Table:
    """One row per node of a trial: what happened, and why."""
    table = Table(title=f"trial {number}", title_justify="left")
    table.add_column("node", overflow="fold")
    table.add_column("status")
    table.add_column("why", overflow="fold")
    for node in nodes:
        table.add_row(node["name"], node["status"], "\n".join([node["reason"], *node["code"]]))
    return table


def entries_table(entries: Sequence[Mapping[str, Any]]) -> Table:
    """One row per output that the cache knows."""
    table = Table()
    table.add_column("node", overflow="fold")
    table.add_column("dataset", overflow="fold")
    for name in ("size", "saves", "age", "trials"):
        table.add_column(name, justify="right")
    for entry in entries:
        table.add_row(
            str(entry["node"]),
            str(entry["dataset"]),
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
