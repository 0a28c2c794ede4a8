"""Compare samplers on synthetic pipelines and write docs/pages/benchmark.md.

    python tests/benchmarks/run.py                            # everything, resumes where it was
    python tests/benchmarks/run.py --problems chain5 --seeds 3 --samplers "EEIPU (ours)"

Results are kept in tests/benchmarks/results.jsonl, one line a run; delete lines to run them again.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from problems import PROBLEMS, Problem
from samplers import ABLATIONS, NUMBERS_ONLY, SAMPLERS
from scipy.stats import wilcoxon
from simulate import WARMUP, simulate, warmup_seconds

RESULTS = Path(__file__).with_name("results.jsonl")
TABLE = Path(__file__).parents[2] / "docs" / "pages" / "benchmark.md"
INTRODUCTION = f"""\
`python tests/benchmarks/run.py` writes this page. The pipelines are synthetic, with known
maxima; they are defined in `tests/benchmarks/problems.py`. Every sampler starts from the same
{WARMUP} space-filling points. It pays only for stages that it has not computed before. The
budget includes the warm-up. The tables have medians over the seeds.

- Regret is the distance to the maximum.
- Half-way after the warm-up means that half of the budget left by the warm-up is spent.
- p is from a one-sided paired Wilcoxon test.
- The seconds per proposal depend on what else was running on the machine.
"""
OURS = "EEIPU (ours)"
EVERY = SAMPLERS | ABLATIONS
Runs = dict[tuple[str, str, int], dict[str, Any]]


def load() -> Runs:
    """Finished runs by problem, sampler and seed."""
    if not RESULTS.exists():
        return {}
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    return {(row["problem"], row["sampler"], row["seed"]): row for row in rows}


def compute(problems: Sequence[str], samplers: Sequence[str], seeds: int) -> None:
    """Run what is missing, seed by seed, so that an early stop leaves comparable runs."""
    done = load()
    for seed in range(seeds):
        for name in problems:
            for sampler in samplers:
                problem = PROBLEMS[name]
                if (name, sampler, seed) in done or (problem.mixed and sampler in NUMBERS_ONLY):
                    continue
                run = simulate(problem, EVERY[sampler](problem, seed), seed)
                run = {"problem": name, "sampler": sampler, "seed": seed, **_kept(run)}
                with RESULTS.open("a") as file:
                    file.write(json.dumps(run, separators=(",", ":")) + "\n")
                print(f"{name:14} {sampler:26} {seed:3}  {run['best'][-1]:.4f}", flush=True)


def _kept(run: dict[str, Any]) -> dict[str, Any]:
    """What the tables are made of: the curve is kept where it changes."""
    kept = [i for i, b in enumerate(run["best"]) if i == 0 or b != run["best"][i - 1]]
    return {
        "evaluations": len(run["cost"]),
        "cost": [float(f"{run['cost'][i]:.6g}") for i in kept],
        "best": [float(f"{run['best'][i]:.6g}") for i in kept],
        "ask_seconds": float(f"{statistics.median(run['ask_seconds'] or [0.0]):.3g}"),
    }


def _regret(problem: Problem, run: dict[str, Any], seconds: float = math.inf) -> float:
    """Distance to the maximum of the best value seen within so many seconds."""
    within = [b for c, b in zip(run["cost"], run["best"], strict=True) if c <= seconds]
    return problem.maximum - within[-1]


def _p_value(ours: list[float], theirs: list[float]) -> str:
    """One-sided paired Wilcoxon test that our regrets are smaller; empty below five seeds."""
    if len(ours) < 5 or ours == theirs:
        return ""
    p = wilcoxon(ours, theirs, alternative="less").pvalue
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def section(problem: Problem, names: Iterable[str], reference: str, runs: Runs) -> list[str]:
    """Markdown table of one problem, on the seeds that all samplers with any run have."""
    names = [s for s in names if any(key[:2] == (problem.name, s) for key in runs)]
    common = set.intersection(
        *({seed for p, s, seed in runs if (p, s) == (problem.name, name)} for name in names)
    )
    seeds = sorted(common)
    if not seeds or reference not in names:
        return []
    lines = [
        f"## {problem.name}",
        "",
        f"{problem.d} parameters; {len(problem.own)} stages that usually take "
        f"{', '.join(f'{v:g}' for v in problem.seconds)} s; a budget of {problem.budget:g} s; "
        f"{len(seeds)} seeds.",
        "",
        "| sampler | evaluations | regret at half the budget | half-way after the warm-up "
        "| final regret | worst | p (first row is lower) | seconds per proposal |",
        "|---|---|---|---|---|---|---|---|",
    ]
    warm = [warmup_seconds(problem, seed) for seed in seeds]
    first = [_regret(problem, runs[problem.name, reference, seed]) for seed in seeds]
    for name in names:
        cells = [runs[problem.name, name, seed] for seed in seeds]
        final = [_regret(problem, run) for run in cells]
        half = [_regret(problem, run, problem.budget / 2) for run in cells]
        later = [
            _regret(problem, run, (w + problem.budget) / 2)
            for run, w in zip(cells, warm, strict=True)
        ]
        seconds = statistics.median(run["ask_seconds"] for run in cells)
        lines.append(
            f"| {name} | {statistics.median(run['evaluations'] for run in cells):g} "
            f"| {statistics.median(half):.3g} | {statistics.median(later):.3g} "
            f"| {statistics.median(final):.3g} | {max(final):.3g} "
            f"| {'' if name == reference else _p_value(first, final)} "
            f"| {seconds:.2g} |"
        )
    return [*lines, ""]


def write_table() -> None:
    """All finished runs as docs/pages/benchmark.md."""
    runs = load()
    lines = [
        "# Benchmark",
        "",
        *INTRODUCTION.splitlines(),
        "",
    ]
    for problem in PROBLEMS.values():
        if any(key[:2] == (problem.name, OURS) for key in runs):
            lines += section(problem, SAMPLERS, OURS, runs)
    lines += [
        "# Ablations",
        "",
        "Our sampler as it is, and with one thing changed in each row.",
        "",
    ]
    for problem in PROBLEMS.values():
        if any(p == problem.name and s in ABLATIONS for p, s, _ in runs):
            lines += section(problem, [OURS, *ABLATIONS], OURS, runs)
    TABLE.write_text("\n".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--problems", nargs="*", default=list(PROBLEMS), choices=list(PROBLEMS))
    parser.add_argument("--samplers", nargs="*", default=list(EVERY), choices=list(EVERY))
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    compute(arguments.problems, arguments.samplers, arguments.seeds)
    write_table()


if __name__ == "__main__":
    main()
