"""Verdicts as a table: a row for each kind."""

from __future__ import annotations

from collections import Counter
from typing import Any

COLUMNS = ("cases", "right", "bypassed", "told", "silent", "documented", "failed", "needless")


def columns(result: dict[str, Any]) -> list[str]:
    """The columns in which a case counts."""
    found = ["cases"]
    verdict = result["verdict"]
    if verdict == "silent" and result.get("documented"):
        verdict = "documented"
    found.append(verdict)
    if verdict == "right" and (result.get("unchanged_ran") or result.get("never_reused")):
        found.append("bypassed")
    if result.get("needless"):
        found.append("needless")
    return found


def report(results: list[dict[str, Any]]) -> str:
    """The table in Markdown, and the sums."""
    kinds: dict[str, Counter[str]] = {}
    for result in results:
        kinds.setdefault(result["kind"], Counter()).update(columns(result))
    total: Counter[str] = Counter()
    for counted in kinds.values():
        total.update(counted)
    shown = [*COLUMNS, *(["fault"] if total["fault"] else [])]
    rows = [f"| kind | {' | '.join(shown)} |", f"|---|{'---|' * len(shown)}"]
    for kind, counted in [*sorted(kinds.items()), (f"**all {len(kinds)} kinds**", total)]:
        rows.append(f"| {kind} | {' | '.join(str(counted[c]) for c in shown)} |")
    return "\n".join(rows)


def ways(results: list[dict[str, Any]]) -> str:
    """The ways that made values differ, with how many of twelve in each of the two processes."""
    wrong = [r for r in results if r["mode"] == "behind" and any(r.get("differ", ()))]
    if not wrong:
        return ""
    rows = ["| left behind | verdict | differ | differ in a later process |", "|---|---|---|---|"]
    for result in sorted(wrong, key=lambda r: str(r["id"])):
        name = result["id"].removesuffix(" / behind").replace(" / ", ": ", 1)
        one, later = (f"{n} of 12" for n in result["differ"])
        rows.append(f"| {name} | {columns(result)[1]} | {one} | {later} |")
    return "\n".join(rows)


def unnamed(results: list[dict[str, Any]]) -> list[str]:
    """The cases that gave a wrong value without a word, and that no docs name."""
    return [r["id"] for r in results if "silent" in columns(r)]
