"""The demo tuned again on other flights: with the trials from before, and from nothing.

    python tests/benchmarks/retune.py --seeds 0-9
    python tests/benchmarks/retune.py --table

For each seed the demo's default pipeline is tuned once with one split of the flights, then the
split gets another seed, as another month would, and it is tuned again: by arm ``nothing`` in a new
copy of the project; by ``best`` in the old one, where the best values from before are tried first
and their nodes' costs are known; by ``former`` as `tune` does, where the optimizer also makes use
of the old values. Each has as many CPU seconds of node time. ``best`` and ``former`` end when they
are as good as ``nothing`` is at its end. Finished seeds are kept in ``retune.jsonl``.

The table has the seconds until a study is as good as ``nothing`` at its end, and until it has the
former quality: what the best of the trials from before, or the defaults, come to on today's split.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from kedro.framework.startup import bootstrap_project
from scipy.stats import wilcoxon

from kedro_eeipu.project.project import Project
from kedro_eeipu.study.limits import Limits
from kedro_eeipu.study.opening import open_study
from kedro_eeipu.tuning.observing import Observer
from kedro_eeipu.tuning.proposing import Proposer
from kedro_eeipu.tuning.runner import EEIPURunner

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).with_suffix(".jsonl")
BUDGET = 30.0
PROPOSAL_SECONDS = 0.3
_SPLIT = "split: {validation: 0.2, test: 0.2, folds: 3, random_state: 1}"


def copy(folder: Path) -> Path:
    """A copy of the demo that has never been tuned."""
    shutil.copytree(ROOT / "demo_project", folder, ignore=shutil.ignore_patterns(".eeipu"))
    return folder


def tune(
    folder: Path, split: int, seed: int, *, informed: bool = True, target: float | None = None
) -> list[tuple[float, float]]:
    """Tune with this split: seconds after each trial, and the best value so far (the smaller)."""
    parameters = folder / "conf" / "base" / "parameters.yml"
    lines = parameters.read_text().splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("split: {"))
    lines[place] = _SPLIT.replace("random_state: 1", f"random_state: {split}")
    parameters.write_text("\n".join(lines) + "\n")
    bootstrap_project(folder)
    project = Project.load(folder)
    study = open_study(project.storage, "study", project.space, create=True)
    study.compare_with(project.state)
    observer = Observer(project, overhead=lambda trial: PROPOSAL_SECONDS)
    proposer = Proposer(project, study, observer, seed=seed)
    if not informed:
        proposer.earlier.all = list  # type: ignore[method-assign]
    limits, meta = Limits(trials=10_000), {"clock": "cpu"}
    runner = EEIPURunner(project, study, limits, proposer=proposer, meta=meta, audit=None)
    spent, best = 0.0, float("inf")
    told: list[tuple[float, float]] = []
    with project.quiet():
        while spent < BUDGET and (target is None or best > target):
            trial = runner.evaluate(proposer.propose().params)
            spent += trial.cost
            best = min(best, float("inf") if trial.value is None else trial.value)
            told.append((round(spent, 3), best))
    return told


def run(seed: int) -> dict[str, Any]:
    """All arms with one seed."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        nothing = tune(copy(root / "nothing"), 500 + seed, seed)
        target = nothing[-1][1]
        before = copy(root / "before")
        former = tune(before, 1 + seed, 900 + seed)
        curves = {"nothing": nothing}
        for arm in ("former", "best"):
            again = root / arm
            shutil.copytree(before, again)
            curves[arm] = tune(again, 500 + seed, seed, informed=arm == "former", target=target)
        return {"seed": seed, "target": target, "former_trials": len(former), **curves}


def seconds_to(curve: list[tuple[float, float]], target: float) -> float:
    """Seconds after which a study is as good, or its whole budget."""
    return next((seconds for seconds, best in curve if best <= target), BUDGET)


def table() -> list[str]:
    """Markdown."""
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    heads = (
        "until",
        "arm",
        "seeds",
        "seconds, median",
        "of those from nothing",
        "not as good",
        "p",
    )
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for until, targets in (
        ("as good as nothing at its end", [r["target"] for r in rows]),
        # The second trial is that of the best values from before.
        ("the former quality", [r["best"][1][1] for r in rows]),
    ):
        base = seconds_of("nothing", rows, targets)
        for arm in ("nothing", "best", "former"):
            seconds = seconds_of(arm, rows, targets)
            missed = sum(r[arm][-1][1] > t for r, t in zip(rows, targets, strict=True))
            drawn = np.random.default_rng(0).integers(len(rows), size=(4000, len(rows)))
            low, high = np.quantile(seconds[drawn].mean(1) / base[drawn].mean(1), [0.05, 0.95])
            share = f"{seconds.mean() / base.mean():.2f} ({low:.2f} … {high:.2f})"
            p = "" if arm == "nothing" else f"{wilcoxon(seconds, base).pvalue:.2g}"
            middle = f"{np.median(seconds):.3g}"
            lines.append(
                f"| {' | '.join([until, arm, str(len(rows)), middle, share, str(missed), p])} |"
            )
    return lines


def seconds_of(arm: str, rows: list[dict[str, Any]], targets: list[float]) -> np.ndarray:
    """Seconds until an arm is as good as the target of each seed."""
    return np.array([seconds_to(r[arm], t) for r, t in zip(rows, targets, strict=True)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", default="0-9")
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    first, last = map(int, arguments.seeds.split("-"))
    for seed in range(first, last + 1) if not arguments.table else ():
        done = RESULTS.read_text().splitlines() if RESULTS.exists() else []
        if all(json.loads(line)["seed"] != seed for line in done):
            # A process of its own: the packages of another copy are not to be imported again.
            with get_context("spawn").Pool(1) as pool:
                row = pool.apply(run, (seed,))
            with RESULTS.open("a") as file:
                file.write(json.dumps(row) + "\n")
    print("\n".join(table()))


if __name__ == "__main__":
    main()
