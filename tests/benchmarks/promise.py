"""Measure samplers on the demo's three pipelines and write the tables of docs/pages/promise.md.

    python tests/benchmarks/promise.py [--seeds 5] [--pipelines ml vision language]
    python tests/benchmarks/promise.py --table

The first runs `kedro eeipu compare` in demo_project (which goes on where it was stopped, and takes
hours) and keeps its JSON in tests/benchmarks/promise/; the second only writes the tables from that.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import mean
from typing import Any

from kedro_eeipu.comparison.results import RATIOS
from kedro_eeipu.comparison.table import described, markdown_table

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "promise"
PAGE = ROOT / "docs" / "pages" / "promise.md"
BEGIN, END = "<!-- tables -->", "<!-- end of tables -->"

PIPELINES = {"ml": "__default__", "vision": "vision", "language": "language"}
PEERS = "random,tpe,gp,logei,carbo"
SETTINGS = {"cache": "", "no-cache": PEERS}
HEADINGS = {
    "cache": "Every sampler with the cache",
    "no-cache": "Peers without the cache, as in the paper",
}
GOALS = {"candidates": 2.03, "improvement": 2.08}


def main() -> None:
    """Measure unless told not to, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--pipelines", nargs="*", default=list(PIPELINES), choices=list(PIPELINES))
    parser.add_argument("--table", action="store_true", help="only write the tables")
    asked = parser.parse_args()
    if not asked.table:
        for setting in SETTINGS:
            for pipeline in asked.pipelines:
                measure(pipeline, setting, asked.seeds)
    write_tables()


def measure(pipeline: str, setting: str, seeds: int) -> None:
    """Compare the samplers on one pipeline, and keep the result."""
    command = [sys.executable, "-m", "kedro", "eeipu", "compare", "--format", "json"]
    command += ["--pipeline", PIPELINES[pipeline], "--samplers", f"eeipu,{PEERS}"]
    command += ["--budget", "12 trials", "--clock", "cpu", "--seeds", str(seeds)]
    command += ["--no-cache-for", SETTINGS[setting]]
    told = subprocess.run(
        command, cwd=ROOT / "demo_project", stdout=subprocess.PIPE, check=True, text=True
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{pipeline}-{setting}.json").write_text(
        json.dumps(json.loads(told.stdout), separators=(",", ":")) + "\n"
    )


def write_tables() -> None:
    """Put the tables of all results at hand into the page."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    parts = [part for setting in SETTINGS if (part := section(setting))]
    PAGE.write_text(f"{before}{BEGIN}\n\n" + "\n\n".join(parts) + f"\n\n{END}{after}")


def section(setting: str) -> str:
    """The tables of one setting; empty where nothing was measured."""
    found = {
        pipeline: json.loads(file.read_text())
        for pipeline in PIPELINES
        if (file := RESULTS / f"{pipeline}-{setting}.json").exists()
    }
    if not found:
        return ""
    parts = [f"## {HEADINGS[setting]}"]
    for pipeline, document in found.items():
        told = described({**document, "pipeline": pipeline})
        parts += [f"### {pipeline}", f"{told}.", markdown_table(document)]
    return "\n\n".join([*parts, f"### {', '.join(found)} together", together(found)])


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
                for pipeline, document in found.items()
                for peer, ratios in document["ratios"].items()
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


if __name__ == "__main__":
    main()
