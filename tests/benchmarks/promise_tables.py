"""The tables of docs/pages/promise.md, from what `promise.py` has measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

from promise_lines import RESULTS, document, file_of, optimizers, read

from kedro_eeipu.comparison import Run, as_json
from kedro_eeipu.comparison.document import run_from_json
from kedro_eeipu.comparison.results import RATIOS, ratios
from kedro_eeipu.comparison.table import (
    AGAINST,
    TESTED,
    against_rows,
    described,
    markdown_tables,
)
from kedro_eeipu.wording import counted

PAGE = Path(__file__).parents[2] / "docs" / "pages" / "promise.md"
BEGIN, END = "<!-- tables -->", "<!-- end of tables -->"
PIPELINES = ("ml", "vision", "language")
HEADINGS = {
    "cache": "Every sampler with the cache",
    "no-cache": "Peers without the cache, as in the paper",
    "long": "Four times the budget",
    "scratch": "From scratch, without a common warm-up",
    "new-peers": "SMAC3 and Ax",
}
SHARES = {"a quarter": 0.25, "half": 0.5, "three quarters": 0.75, "all of it": 1.0}
GOALS = {"candidates": 2.03, "improvement": 2.08}
OVER_THE_BUDGET = (
    "Times the improvement of the mean of the peers, and in brackets of the peer that comes closest"
    " or is ahead, after a share of the budget:"
)
# With fewer seeds the tables stay as they were before.
_LEAST_NEW = 5


def write_tables(optimizer: str | None = None, page: Path = PAGE, results: Path = RESULTS) -> None:
    """Put the tables of all results into the page.

    Args:
        optimizer: Digest of the optimizer whose lines are shown; by default, for each pipeline and
            setting, of the one with most seeds.
        page: The page.
        results: The folder with the results.
    """
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    parts = [part for setting in HEADINGS if (part := section(setting, optimizer, results))]
    body = "\n\n".join([TESTED, *parts])
    page.write_text(f"{before}{BEGIN}\n\n{body}\n\n{END}{after}", encoding="utf-8")


def section(setting: str, optimizer: str | None, results: Path) -> str:
    """The tables of one setting; empty where nothing was measured."""
    found = {p: d for p in PIPELINES if (d := measured(p, setting, optimizer, results))}
    if not found:
        return ""
    parts = [f"## {HEADINGS[setting]}"]
    for pipeline, result in found.items():
        about = described({**result, "pipeline": pipeline})
        version = f" Optimizer {result['optimizer']}." if "optimizer" in result else ""
        parts += [f"### {pipeline}", f"{about}.{version}", markdown_tables(result)]
    parts += [f"### {', '.join(found)} together", together(found), best_peers(found)]
    parts += [OVER_THE_BUDGET, over_the_budget(found)]
    return "\n\n".join(parts)


def measured(
    pipeline: str, setting: str, optimizer: str | None, results: Path
) -> dict[str, Any] | None:
    """The results of a pipeline in a setting as one document; `None` without any.

    What was measured before there were lines is shown until there are enough of these.
    """
    lines = read(file_of(pipeline, setting, results))
    counts = optimizers(lines)
    chosen = optimizer or next(iter(counts), "")
    for other, seeds in counts.items():
        if other != chosen:
            print(
                f"{pipeline}, {setting}: not shown: {counted(seeds, 'seed')} of optimizer {other}"
            )
    former = results / f"{pipeline}-{setting}.json"
    if counts.get(chosen, 0) >= (_LEAST_NEW if former.exists() else 1):
        return document(lines, chosen)
    if not former.exists():
        return None
    old = json.loads(former.read_text(encoding="utf-8"))
    return as_json([run_from_json(r) for r in old["runs"]], _about(old))


def _about(old: dict[str, Any]) -> dict[str, Any]:
    """What a document says besides the results."""
    names = ("samplers", "ratios", "against", "best_peer", "runs")
    return {name: value for name, value in old.items() if name not in names}


def together(found: dict[str, dict[str, Any]]) -> str:
    """EEIPU against the mean of the peers, on average over the pipelines, and the closest peer."""
    lines = [
        "| | goal | measured | per pipeline | closest peer |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    for name in RATIOS:
        means = {p: d["ratios"]["mean of peers"][name] for p, d in found.items()}
        known = [value for value in means.values() if value is not None]
        closest = min(
            (
                (ratios[name], f"{peer} on {pipeline}")
                for pipeline, result in found.items()
                for peer, ratios in result["ratios"].items()
                if peer != "mean of peers" and ratios[name] is not None
            ),
            default=None,
        )
        each = ", ".join(f"{p} {'-' if v is None else f'{v:.2f} ×'}" for p, v in means.items())
        lines.append(
            f"| {name} of EEIPU ÷ mean of peers | {GOALS[name]:.2f} × | "
            f"{f'{mean(known):.2f} ×' if known else '-'} | {each} | "
            f"{f'{closest[0]:.2f} × ({closest[1]})' if closest else '-'} |"
        )
    return "\n".join(lines)


def best_peers(found: dict[str, dict[str, Any]]) -> str:
    """EEIPU against the best peer of each pipeline."""
    lines = ["| | " + " | ".join(AGAINST) + " |", "| --- | --- |" + " ---: |" * (len(AGAINST) - 1)]
    for pipeline, result in found.items():
        best = list(result["against"]).index(result["best_peer"])
        lines.append(f"| {pipeline} | " + " | ".join(against_rows(result)[best]) + " |")
    return "\n".join(lines)


def over_the_budget(found: dict[str, dict[str, Any]]) -> str:
    """Improvement of EEIPU against that of the peers, after a share of the budget."""
    lines = [f"| | {' | '.join(SHARES)} |", "| --- |" + " ---: |" * len(SHARES)]
    for pipeline, result in found.items():
        runs = [run_from_json(r) for r in result["runs"]]
        cells = [
            _times_the_improvement([_until(r, share) for r in runs]) for share in SHARES.values()
        ]
        lines.append(f"| {pipeline} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _until(run: Run, share: float) -> Run:
    """A run as it was after a share of its budget."""
    values = [value for seconds, value in run.curve if seconds <= share * run.budget_seconds]
    if not values or run.warmup_best is None:
        return replace(run, improvement=0.0)
    return replace(run, improvement=abs(values[-1] - run.warmup_best))


def _times_the_improvement(runs: list[Run]) -> str:
    times = {name: r["improvement"] for name, r in ratios(runs).items() if r["improvement"]}
    mean_of_peers = times.pop("mean of peers", None)
    if mean_of_peers is None:
        return "-"
    peer = min(times, key=lambda name: times[name])
    return f"{mean_of_peers:.2f} × ({peer.removesuffix(', no cache')} {times[peer]:.2f} ×)"
