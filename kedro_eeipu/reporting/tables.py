"""Tables of the report: all trials, those from before an edit, those that failed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from kedro_eeipu.reporting.view import StudyView
from kedro_eeipu.states import NodeState
from kedro_eeipu.study.pipeline_state import in_few_words
from kedro_eeipu.study.records import TrialRecord
from kedro_eeipu.wording import scalar

__all__ = [
    "before_edits",
    "failures",
    "findings",
    "row",
    "section",
    "table",
    "trial_table",
    "written",
]

_FAILED_TRIALS = 100
_LONGEST_REASON = 600


def trial_table(view: StudyView) -> str:
    """All trials with their parameters; the page's script draws, sorts and filters them."""
    data = {
        "objective": view.objective,
        "maximize": view.maximize,
        "parameters": list(view.space.paths),
        "trials": [
            {
                "number": t.number,
                "state": "before an edit" if t.number in view.since else t.state,
                "value": t.value,
                "cost": round(t.cost, 4),
                "saved": round(t.saved, 4),
                "values": [_cell(t.params, path) for path in view.space.paths],
            }
            for t in view.trials
        ],
    }
    # `<` would let a value end the script element that holds it.
    text = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return section(
        "All trials",
        "A click on a column sorts, a click on a trial marks it in all figures, and a click on a "
        "point in a figure marks its trial here. Filter by words and conditions such as "
        "<code>failed</code>, <code>kernel=rbf</code>, <code>svm.C&gt;10</code> or "
        "<code>value&lt;0.2</code>.",
        '<input type="search" placeholder="filter" aria-label="Filter the trials" '
        'spellcheck="false" autocomplete="off"><span class="count"></span>'
        '<div class="table"><table></table></div>'
        f'<script type="application/json" class="data">{text}</script>',
        kind="trials",
    )


def findings(trials: Sequence[TrialRecord]) -> str:
    """What audits have found, by trial."""
    rows = [
        row("td", [str(t.number), text])
        for t in trials
        if t.audit is not None
        for text in t.audit.findings
    ]
    note = "What was reused ran once more in a fresh process, and gave another result."
    heads = row("th", ["trial", "found"])
    return section("Found by audits", note, table([heads, *rows])) if rows else ""


def _cell(params: Mapping[str, Any], path: str) -> float | str | None:
    value = params.get(path)
    if path not in params:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300:
        return value
    return scalar(value)


def before_edits(trials: Sequence[TrialRecord], since: Mapping[int, Sequence[str]]) -> str:
    """The trials from before edits, those of the same state of the pipeline in one row."""
    if not trials:
        return ""
    groups: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        groups.setdefault(in_few_words(since[trial.number]), []).append(trial)
    rows = [row("th", ["trials", "values", "changed since"])]
    for changed, group in groups.items():
        values = [t.value for t in group if t.value is not None]
        spread = f"{min(values):.6g} to {max(values):.6g}" if values else "–"
        rows.append(row("td", [_numbers([t.number for t in group]), spread, changed]))
    note = (
        "Their values are of the pipeline as it was, so they are not compared with the others. "
        "What they cost and what they reused is counted above. The search makes use of them while "
        "they predict today's values."
    )
    return section("Trials from before an edit", note, table(rows))


def _numbers(numbers: Sequence[int]) -> str:
    """Numbers of trials, runs of them shortened: ``0–11, 14``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    return ", ".join("–".join(map(str, run)) for run in runs)


def failures(failed: Sequence[TrialRecord]) -> str:
    if not failed:
        return ""
    shown = failed[-_FAILED_TRIALS:]
    rows = [row("th", ["trial", "seconds", "node", "reason"])]
    for t in reversed(shown):
        node = next((n for n in t.nodes if n.status == NodeState.FAILED), None)
        reason = t.error or (node.error if node else None) or ""
        if t.interrupted:
            reason = f"stopped from outside {reason}"
        if len(reason) > _LONGEST_REASON:
            reason = reason[:_LONGEST_REASON] + "…"
        rows.append(row("td", [str(t.number), f"{t.cost:.2f}", node.name if node else "", reason]))
    note = "" if len(shown) == len(failed) else f"The latest {len(shown)} of {len(failed)}."
    return section("Failed trials", note, table(rows, kind="failures"))


def section(title: str, note: str, *content: str, kind: str = "figures") -> str:
    head = f"<h2>{title}</h2>" + (f"<p>{note}</p>" if note else "")
    return f'<section>{head}<div class="{kind}">{"".join(content)}</div></section>'


def table(rows: Iterable[str], kind: str = "best") -> str:
    return f'<div class="table"><table class="{kind}">{"".join(rows)}</table></div>'


def row(tag: str, cells: Iterable[str], kind: str = "") -> str:
    return f'<tr class="{kind}">{"".join(f"<{tag}>{escape(c)}</{tag}>" for c in cells)}</tr>'


def written(values: Mapping[str, Any], path: str) -> str:
    return scalar(values[path]) if path in values else "–"
