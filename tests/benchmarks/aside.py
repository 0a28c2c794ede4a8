"""What it is worth to set trials aside by a value on the way, and to resume them: paired by seed.

    python tests/benchmarks/aside.py [--problems half] [--arms none aside1] [--seeds 100-119]
    python tests/benchmarks/aside.py --table [--seeds 100-119]
    python tests/benchmarks/aside.py --bound

Problems are chains of four stages, simulated like those of `simulate.py`. Each execution of the
first stage adds luck to the objective, and shows a value once it has ended: ``telling``, what it
contributes, luck included; ``half``, the same with independent noise as large as the luck;
``misleading``, noise alone; ``late``, as ``telling`` after a dear first stage. ``language`` has the
costs of the demo's pipeline and weakly telling values after each of three stages.

Arms: ``none`` finishes every trial; ``median`` ends those whose value is worse than the median of
the complete ones; ``quarter``, those whose value is among the worst quarter of all earlier ones;
``aside.1``, ``aside.5`` and ``aside1`` set a trial aside as soon as its expected improvement per
second of the rest is below this share of the best other candidate's when it was proposed;
``option.5`` and ``option1`` also price a candidate by what it will cost with that option: of those
that the search has found, the best is taken at that price. What they learn from is described in
`aside_rule.py`. ``perfect`` sets aside, after the ten, what will not be the best so far, and is
told its value as if it had been run.

Runs begin with the same ten whole trials and may spend as much as 25 usual whole trials take
besides. The search for a proposal is shorter than the product's, in all arms: 16 cuts and starts in
place of 48 and 24, and ten steps in place of 30. Two values are compared at the end, both of the
trial whose value was the highest: its objective without luck, and with. Results are appended to
``aside.jsonl``; what is there is not run again. ``--bound`` says how much of the seconds of the
demo's measured trials a perfect rule would have saved after each stage.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from aside_problems import PROBLEMS, OnTheWay
from aside_rule import ARMS, Tried, Tuner
from scipy.stats import wilcoxon
from simulate import LOAD_SECONDS, executions, warmup_points, warmup_seconds

from kedro_eeipu.optimizer import cut_search, optimizer

RESULTS = Path(__file__).with_name("aside.jsonl")
DEMO = Path(__file__).with_name("demo_trials.json")
WHOLE_TRIALS = 25


def simulate(way: OnTheWay, seed: int, arm: str) -> dict[str, Any]:
    """Spend the budget.

    Returns:
        At each new highest value the seconds until then (`seconds`), the value (`told`) and that
        without luck (`true`); the number of `whole` trials, of those set `aside` and `continued`,
        and of executions of the first stage (`first`).
    """
    cut_search._EVALUATIONS, cut_search._STARTS, optimizer._MAX_CUTS = 10, 16, 16
    cut_search._FREE_SAMPLES = 256
    problem, tuner = way.problem, Tuner(way, seed, arm)
    budget = warmup_seconds(problem, seed) + WHOLE_TRIALS * sum(problem.seconds)
    warmup = warmup_points(problem, seed)
    spent, highest, stopped = 0.0, -math.inf, 0
    curve: list[list[float]] = []
    started = time.perf_counter()
    while len(tuner.tried) < 400:
        trial = Tried(warmup.pop(0)) if warmup else tuner.propose()
        again = trial in tuner.tried
        went_on = True
        for s, key in enumerate(executions(problem, trial.x)):
            reused = key in tuner.cached
            cost = LOAD_SECONDS if reused else problem.cost(s, trial.x)
            spent += cost
            if not reused or s not in trial.costs:
                (trial.loads if reused else trial.costs)[s] = cost
            if spent > budget:
                break
            tuner.cached.add(key)
            if s in way.noise:
                v = tuner.values[s].setdefault(key[1], way.value(seed, s, trial.x))
                went_on = tuner.goes_on(s, trial, v, reused)
            if not went_on:
                stopped += 1
                break
        if spent > budget:
            break
        if not again:
            tuner.tried.append(trial)
        if went_on:
            trial.y, true = way.whole(seed, trial.x), problem.objective(np.array(trial.x))
            if trial.y > highest:
                highest = trial.y
                curve.append([spent, trial.y, true])
    seconds, told, true_values = zip(*curve, strict=True)
    return {
        "seconds": [round(v, 2) for v in seconds],
        "told": [round(v, 4) for v in told],
        "true": [round(v, 4) for v in true_values],
        "whole": sum(t.y is not None for t in tuner.tried),
        "aside": stopped,
        "continued": tuner.continued,
        "first": len({executions(problem, t.x)[0] for t in tuner.tried}),
        "took": round(time.perf_counter() - started, 1),
    }


def results() -> list[dict[str, Any]]:
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    return [json.loads(line) for line in lines]


def measure(names: Iterable[str], arms: Iterable[str], seeds: Iterable[int]) -> None:
    arms = list(arms)
    for name in names:
        for seed in seeds:
            for arm in arms:
                if any((r["problem"], r["seed"], r["arm"]) == (name, seed, arm) for r in results()):
                    continue
                row: dict[str, Any] = {"problem": name, "seed": seed, "arm": arm}
                row |= simulate(PROBLEMS[name], seed, arm)
                with RESULTS.open("a") as file:
                    file.write(json.dumps(row, separators=(",", ":")) + "\n")
                ended = [row[key] for key in ("whole", "aside", "continued", "first", "took")]
                print(name, seed, arm, row["told"][-1], row["true"][-1], *ended, flush=True)


def table(seeds: Sequence[int]) -> None:
    """Each arm against none, on the seeds that both have."""
    by: dict[tuple[str, str], dict[int, dict[str, Any]]] = {}
    for r in results():
        if r["seed"] in seeds:
            by.setdefault((r["problem"], r["arm"]), {})[r["seed"]] = r
    for name in PROBLEMS:
        none = by.get((name, "none"), {})
        for arm in ARMS:
            rows = by.get((name, arm), {})
            both = sorted(none.keys() & rows.keys())
            if not both:
                continue
            ended = {
                key: median(rows[s][key] for s in both)
                for key in ("whole", "aside", "continued", "first")
            }
            print(f"{name} {arm}: {len(both)} seeds, {ended}")
            for kind in ("true", "told"):
                print(f"  {kind} {quartiles([rows[s][kind][-1] for s in both])}", end="")
                if arm != "none":
                    gains = [rows[s][kind][-1] - none[s][kind][-1] for s in both]
                    print(f"; less none {quartiles(gains)}, {tested(gains)}", end="")
                print()
            if arm != "none":
                ratios = [sooner(rows[s], none[s]) for s in both]
                test = tested([math.log(r) for r in ratios])
                print(f"  seconds to the lower of the two last values: {quartiles(ratios)}, {test}")


def sooner(row: Mapping[str, Any], none: Mapping[str, Any]) -> float:
    """Seconds until the value that both reach, in those that none takes."""
    goal = min(row["told"][-1], none["told"][-1])
    first, second = (
        next(t for t, v in zip(r["seconds"], r["told"], strict=True) if v >= goal)
        for r in (row, none)
    )
    return float(first / second)


def quartiles(values: Sequence[float]) -> str:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:.3f} ({low:.3f} to {high:.3f})"


def tested(differences: Sequence[float]) -> str:
    p = wilcoxon(differences).pvalue if any(differences) else 1.0
    more, less = (sum(sign * d > 0 for d in differences) for sign in (1, -1))
    return f"more in {more}, less in {less}, p {p:.3f}"


def bound() -> None:
    """The most that a perfect rule could save of the seconds of the demo's measured trials.

    It knows, once a stage has run, whether the trial will be the best so far, and ends it if not.
    """
    for name, pipeline in json.loads(DEMO.read_text()).items():
        stages, trials = pipeline["stages"], pipeline["trials"]
        best = list(itertools.accumulate((t["y"] for t in trials), max))
        improves = [i == 0 or best[i] > best[i - 1] for i in range(len(trials))]
        for which, since in (("all", 0), ("EEIPU's", 40)):
            some = [(t, better) for t, better in zip(trials, improves, strict=True)][since:]
            seconds = sum(sum(t["costs"].values()) for t, _ in some)
            number = sum(better for _, better in some)
            print(f"{name}, {which} {len(some)} trials, {number} of them the best so far")
            for s, stage in enumerate(stages[:-1]):
                before = {str(u) for u in _with_ancestors(stages, s)}
                ran = [(t["costs"], better) for t, better in some if str(s) in t["costs"]]
                rest = sum(
                    v
                    for costs, better in ran
                    for u, v in costs.items()
                    if u not in before and not better
                )
                print(f"  after {stage['nodes'][-1]}, which {len(ran)} ran: {rest / seconds:.0%}")


def _with_ancestors(stages: Sequence[Mapping[str, Any]], s: int) -> set[int]:
    return {s}.union(*(_with_ancestors(stages, p) for p in stages[s]["parents"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", nargs="*", default=list(PROBLEMS), choices=list(PROBLEMS))
    parser.add_argument("--arms", nargs="*", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--seeds", default="100-119")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--bound", action="store_true")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    if options.table:
        table(seeds)
    elif options.bound:
        bound()
    else:
        measure(options.problems, options.arms, seeds)


if __name__ == "__main__":
    main()
