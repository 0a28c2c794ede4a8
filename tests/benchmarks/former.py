"""What an earlier study of a related objective saves: seconds to a value, with it and from nothing.

    python tests/benchmarks/former.py --seeds 100-119
    python tests/benchmarks/former.py --problems dag-blend --kinds edit --seeds 0-9
    python tests/benchmarks/former.py --table --seeds 100-119

Today's objective is a problem of `problems.py`. The earlier study is a whole study of EEIPU, with
its warm-up and the budget of the problem, whose objective or ranges were other ones. There are
three kinds, and a seed has one case of each kind, in turns:

- ``drifted``: the optimum was elsewhere, by 0.05 to 0.15 in a random direction of the unit cube;
- ``moved``: every number's optimum was elsewhere, by 0.05 to 0.15 of its range;
- ``scored``: an increasing function of the objective, and a smooth disturbance, whose standard
  deviation is a fifth of how far the best fifth of random values is from the maximum;
- ``stage``: the optimum in the columns of one stage was elsewhere, by a quarter of their ranges;
- ``narrower``, ``wider``: ranges of half and of twice the width, around the same middle;
- ``unrelated``: columns in another order, mirrored and turned around their ends;
- ``negated``: the best was the worst;
- ``far``: every number's optimum was elsewhere, by 0.3 to 0.5 of its range.

A study first runs random default values, then the best ones of the earlier study (arms ``best`` and
``former``), then what the optimizer proposes. ``former`` knows the earlier trials, ``best`` and
``nothing`` do not. A study ends when it has reached the median value that ``nothing`` with seeds 0
to 9 has after half of the problem's budget, or with the budget. (With ``--end``: the value of seeds
0 to 4 after the whole budget, and one and a half budgets; in ``former_end.jsonl``.) Costs of
earlier trials are not told. Finished runs are kept in ``former.jsonl``, one line a run, with the
number of trials that were proposed by the earlier study's help. Where there is none, ``best`` is
the same run. The earlier studies, four for the seeds below 100 and two for the others in each case,
are kept in a folder of temporary files.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from problems import PROBLEMS, Problem
from simulate import LOAD_SECONDS, Point, executions

from kedro_eeipu.optimizer import Former, Optimizer
from kedro_eeipu.optimizer.training import Training

RESULTS = Path(__file__).with_suffix(".jsonl")
STUDIES = Path(tempfile.gettempdir()) / "kedro-eeipu-former-studies"
CHOSEN = ("chain3-late", "dag-blend")
KINDS = {
    "edit": ("drifted", "moved", "scored", "stage"),
    "ranges": ("narrower", "wider"),
    "misleading": ("unrelated", "negated", "far"),
}
_STUDIES = 4, 2  # for seeds below 100, by which choices were made, and for others
_TARGET_SEEDS = range(10)
_TARGET_AFTER, _LONGEST = 0.5, 1.0  # parts of the budget: when the value to reach is taken, the end

Trials = list[tuple[Point, float]]


class Watched(Training):
    """Counts how often a former study is believed."""

    informed = 0

    def models(self, *arguments: Any, **options: Any) -> Any:
        """The models of a proposal."""
        objective, costs = super().models(*arguments, **options)
        Watched.informed += objective.data.expects is not None
        return objective, costs


class Watching(Optimizer):
    """The optimizer, watched."""

    trained_by = Watched


def numbers(problem: Problem) -> np.ndarray:
    """Which columns are continuous."""
    return np.array([not dimension.levels for dimension in problem.dimensions])


def earlier(problem: Problem, case: str, seed: int) -> tuple[Problem, Callable[[Point], Point]]:
    """The problem of an earlier study, and its configurations in today's ranges."""
    rng = np.random.default_rng([seed, len(case), ord(case[0])])
    number, d, f = numbers(problem), problem.d, problem.objective
    middle, width = np.zeros(d), np.ones(d)
    signs = rng.choice([-1.0, 1.0], d)
    if case in ("drifted", "moved", "far", "stage"):
        low, high = {"far": (0.3, 0.5), "stage": (0.25, 0.25)}.get(case, (0.05, 0.15))
        shift = signs * rng.uniform(low, high, d) * number
        if case == "drifted":
            direction = rng.normal(size=d) * number
            shift = direction / np.linalg.norm(direction) * rng.uniform(low, high)
        if case == "stage":
            own = [columns for columns in problem.own if number[list(columns)].any()]
            shift[~np.isin(np.arange(d), own[seed % len(own)])] = 0.0
        objective = lambda x: f(np.where(number, np.clip(x + shift, 0, 1), x))  # noqa: E731
    elif case == "scored":
        points = [problem.configuration(u) for u in rng.random((200, d)).tolist()]
        unit = problem.maximum - float(np.quantile([f(np.array(x)) for x in points], 0.8))
        waves, phase = rng.normal(0, 3, (8, d)), rng.uniform(0, 2 * math.pi, 8)

        def objective(x: np.ndarray) -> float:
            wave = float(np.cos(waves @ np.nan_to_num(x, nan=0.5) + phase).sum()) / 2
            return -math.log1p(max(0.0, problem.maximum - f(x)) / unit) + 0.2 * wave
    elif case in ("narrower", "wider"):
        width = np.where(number, 0.5 if case == "narrower" else 2.0, 1.0)
        middle = np.where(number, (1 - width) / 2, 0.0)
        objective = lambda x: f(np.where(number, np.clip(middle + width * x, 0, 1), x))  # noqa: E731
    elif case == "negated":
        objective = lambda x: -f(x)  # noqa: E731
    else:
        order = np.arange(d)
        order[number] = rng.permutation(order[number])
        turn = rng.random(d)

        def objective(x: np.ndarray) -> float:
            mirrored = np.where(number & (signs < 0), 1 - x, x)[order]
            return f(np.where(number, (mirrored + turn) % 1, x))

    def today(x: Point) -> Point:
        return tuple((middle + width * np.array(x)).tolist())

    return replace(problem, objective=objective), today


def run(
    problem: Problem,
    seed: int,
    *,
    former: Sequence[Former] = (),
    first: Sequence[Point] = (),
    target: float = math.inf,
) -> tuple[Trials, list[float], bool]:
    """Spend the budget or reach the target: trials as told, seconds after each, and which."""
    default = problem.configuration(np.random.default_rng(seed).random(problem.d).tolist())
    optimizer = Watching(
        problem.dimensions, problem.stages, seed=seed, default=default, former=former
    )
    waiting = list(first)
    cached: set[tuple[int, Point]] = set()
    trials: Trials = []
    seconds: list[float] = []
    spent = 0.0
    while True:
        x = waiting.pop(0) if waiting and trials else optimizer.ask().x
        keys = executions(problem, x)
        ran = {s: problem.cost(s, x) for s, key in enumerate(keys) if key not in cached}
        loads = {s: LOAD_SECONDS for s in range(len(keys)) if s not in ran}
        spent += sum(ran.values()) + sum(loads.values())
        if spent > problem.budget:
            return trials, seconds, False
        cached.update(keys)
        value = problem.objective(np.array(x))
        y = value + sum(problem.chance(seed, s, x) for s in range(len(keys)))
        optimizer.tell(x, y, ran, loads)
        trials.append((x, y))
        seconds.append(spent)
        if value >= target:
            return trials, seconds, True


def earlier_study(name: str, case: str, seed: int) -> Trials:
    """Trials of an earlier study in today's ranges, run once."""
    path = STUDIES / f"{name}-{case}-{seed}.json"
    if not path.exists():
        problem, today = earlier(PROBLEMS[name], case, seed)
        trials, _, _ = run(problem, 5000 + seed)
        STUDIES.mkdir(exist_ok=True)
        path.write_text(json.dumps([(today(x), y) for x, y in trials]))
    return [(tuple(x), y) for x, y in json.loads(path.read_text())]


def best_within(problem: Problem, trials: Trials) -> Point:
    """The best earlier trial that today's ranges admit."""
    within = [(y, x) for x, y in trials if all(math.isnan(u) or 0 <= u <= 1 for u in x)]
    return max(within)[1] if within else max((y, x) for x, y in trials)[1]


def value_to_reach(problem: Problem, seed: int) -> float:
    """The best value, without noise, that a study from nothing has after a part of the budget."""
    trials, _, _ = run(replace(problem, budget=problem.budget * _TARGET_AFTER), seed)
    return max(problem.objective(np.array(x)) for x, _ in trials)


def load() -> dict[tuple[str, str, str, int], dict[str, Any]]:
    """Finished runs by problem, case, arm and seed."""
    if not RESULTS.exists():
        return {}
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    return {(r["problem"], r["case"], r["arm"], r["seed"]): r for r in rows}


def _append(row: dict[str, Any]) -> None:
    with RESULTS.open("a") as file:
        file.write(json.dumps(row) + "\n")


def target(name: str) -> float:
    """What studies of a problem have to reach."""
    for seed in _TARGET_SEEDS:
        if (name, "", "target", seed) not in load():
            value = value_to_reach(PROBLEMS[name], seed)
            _append({"problem": name, "case": "", "arm": "target", "seed": seed, "value": value})
    return statistics.median(load()[name, "", "target", seed]["value"] for seed in _TARGET_SEEDS)


def case_of(kind: str, arm: str, seed: int) -> str:
    """The case of a kind that a seed has."""
    return "" if arm == "nothing" else KINDS[kind][seed % len(KINDS[kind])]


def compute(name: str, kind: str, arm: str, seed: int) -> None:
    """Run what is missing."""
    case = case_of(kind, arm, seed)
    if (name, case, arm, seed) in load():
        return
    problem, former, first = PROBLEMS[name], [], []
    problem = replace(problem, budget=problem.budget * _LONGEST)
    if arm != "nothing":
        turn = seed // len(KINDS[kind])
        number = turn % _STUDIES[0] if seed < 100 else _STUDIES[0] + turn % _STUDIES[1]
        trials = earlier_study(name, case, number)
        x = best_within(problem, trials)
        first = [tuple(min(max(u, 0.0), 1.0) for u in x)]
        if arm == "former":
            points, values = zip(*trials, strict=True)
            former = [Former(problem.dimensions, problem.stages, points, values)]
    Watched.informed = 0
    told, seconds, reached = run(problem, seed, former=former, first=first, target=target(name))
    spent = seconds[-1] if reached else problem.budget
    row = {"problem": name, "case": case, "seed": seed, "seconds": round(spent, 3)}
    row |= {"reached": reached, "trials": len(told), "informed": Watched.informed}
    _append({**row, "arm": arm})
    if arm == "former" and not Watched.informed:
        _append({**row, "arm": "best"})


def ratio(ours: np.ndarray, theirs: np.ndarray, draws: int = 4000) -> tuple[float, float, float]:
    """Seconds of `ours` per second of `theirs`, both problems x seeds, each problem's mean counting
    alike; with the ends of a 90 % interval from a bootstrap of the seeds."""
    rng = np.random.default_rng(0)
    picks = rng.integers(ours.shape[1], size=(draws, ours.shape[1]))
    scale = theirs.mean(1, keepdims=True)
    per_seed_ours, per_seed_theirs = (ours / scale).mean(0), (theirs / scale).mean(0)
    drawn = per_seed_ours[picks].mean(1) / per_seed_theirs[picks].mean(1)
    low, high = np.quantile(drawn, [0.05, 0.95])
    return float(per_seed_ours.mean() / per_seed_theirs.mean()), float(low), float(high)


def table(problems: Sequence[str], kinds: Sequence[str], seeds: Sequence[int]) -> list[str]:
    """Markdown: seconds to the target, per kind and case, on the seeds that all problems have."""
    runs = load()

    def seconds(kind: str, arm: str, of: Sequence[int]) -> np.ndarray:
        rows = [[runs[p, case_of(kind, arm, s), arm, s]["seconds"] for s in of] for p in problems]
        return np.array(rows)

    def have(kind: str, arm: str) -> set[int]:
        return {
            s for s in seeds if all((p, case_of(kind, arm, s), arm, s) in runs for p in problems)
        }

    head = [
        "earlier study",
        "seeds",
        "seconds, of those from nothing",
        "of those with the best only",
    ]
    head += ["informed trials", "not reached", *(f"{p}, median" for p in problems)]
    nothing = sorted(have("edit", "nothing"))
    cells = ["none", str(len(nothing)), "", "", "", ""]
    cells[5] = _missed([runs[p, "", "nothing", s] for p in problems for s in nothing])
    cells += [f"{np.median(of):.3g}" for of in seconds("edit", "nothing", nothing)]
    lines = [" | ".join(head), "|".join(["---"] * len(head)), " | ".join(cells)]
    for kind in kinds:
        for case in (None, *KINDS[kind]):
            among = {s for s in seeds if case in (None, case_of(kind, "former", s))}
            both = sorted(have(kind, "former") & set(nothing) & among)
            alike = sorted(have(kind, "former") & have(kind, "best") & among)
            if not both:
                continue
            ours = [
                runs[p, case_of(kind, "former", s), "former", s] for p in problems for s in both
            ]
            cells = [f"**{kind}**" if case is None else case, str(len(both))]
            cells.append(_interval(seconds(kind, "former", both), seconds(kind, "nothing", both)))
            best = [seconds(kind, arm, alike) for arm in ("former", "best")]
            cells.append(_interval(*best) if alike == both else "")
            informed = sum(r["informed"] for r in ours) / sum(r["trials"] for r in ours)
            cells += [f"{informed:.0%}", _missed(ours)]
            cells += [f"{np.median(of):.3g}" for of in seconds(kind, "former", both)]
            lines.append(" | ".join(cells))
    return [f"| {line} |" for line in lines]


def _missed(runs: Sequence[dict[str, Any]]) -> str:
    return f"{sum(not r['reached'] for r in runs)} of {len(runs)}"


def _interval(ours: np.ndarray, theirs: np.ndarray) -> str:
    return "{:.2f} ({:.2f} … {:.2f})".format(*ratio(ours, theirs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--problems", nargs="*", default=list(CHOSEN), choices=list(PROBLEMS))
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--arms", nargs="*", default=["nothing", "former", "best"])
    parser.add_argument("--seeds", default="0-9")
    parser.add_argument("--end", action="store_true", help="the value at the end of the budget")
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    global RESULTS, _TARGET_SEEDS, _TARGET_AFTER, _LONGEST
    if arguments.end:
        RESULTS = RESULTS.with_name("former_end.jsonl")
        _TARGET_SEEDS, _TARGET_AFTER, _LONGEST = range(5), 1.0, 1.5
    first, last = map(int, arguments.seeds.split("-"))
    seeds = range(first, last + 1)
    if not arguments.table:
        for seed in seeds:
            for name in arguments.problems:
                for kind in arguments.kinds:
                    for arm in arguments.arms:
                        compute(name, kind, arm, seed)
    print("\n".join(table(arguments.problems, arguments.kinds, seeds)))


if __name__ == "__main__":
    main()
