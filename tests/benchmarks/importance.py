"""Whether the report's importances hold: functions whose indices are known.

    python tests/benchmarks/importance.py [--seeds 20] [--trials 60] [--jobs 2] [--all]

Each function is tried at random points, without and with stages that trials share: then three of
four trials take the parameters of the early stages from an earlier trial, and with them the error
that retraining has left in what the stage made. Prints, over the range and among the best, how
often the 90 % interval holds the true total index, how far the estimate is from it, and the
largest estimate of a parameter without effect. With ``--all`` also the g function, whose best
values lie in a sharp crease, which a smooth surrogate cannot see.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np

from kedro_eeipu.optimizer import Dimension, Optimizer, Stage
from kedro_eeipu.optimizer.importance import importance

BEST = 0.1


@dataclass(frozen=True)
class Function:
    """A function on the unit cube, its parameters in stages.

    Attributes:
        value: Of points `n x d`.
        dimensions: Its parameters.
        stages: Columns that enter with each of the stages of a chain.
        idle: Columns without effect.
    """

    value: Callable[[np.ndarray], np.ndarray]
    dimensions: tuple[Dimension, ...]
    stages: tuple[tuple[int, ...], ...]
    idle: tuple[int, ...]


def additive(x: np.ndarray) -> np.ndarray:
    """A parabola, a line in steps, a category and an interaction; larger is better."""
    steps = np.round(x[:, 1] * 8) / 8
    category = np.array([0.0, 0.5, 0.1])[np.round(x[:, 3] * 2).astype(int)]
    return -4 * (x[:, 0] - 0.3) ** 2 + steps + 2 * (x[:, 0] - 0.5) * (x[:, 2] - 0.5) + category


def friedman(x: np.ndarray) -> np.ndarray:
    """Friedman's function of five parameters, and one without effect."""
    a, b, c, d, e = x[:, :5].T
    return 10 * np.sin(math.pi * a * b) + 20 * (c - 0.5) ** 2 + 10 * d + 5 * e


def g_function(x: np.ndarray) -> np.ndarray:
    """Sobol's g function of six parameters, the last two without effect."""
    a = np.array([0.0, 1.0, 4.5, 9.0])
    return -np.prod((np.abs(4 * x[:, :4] - 2) + a) / (1 + a), axis=1)


def ishigami(x: np.ndarray) -> np.ndarray:
    """Ishigami's function of three parameters, and three without effect."""
    a, b, c = (2 * math.pi * (x[:, :3] - 0.5)).T
    return np.sin(a) + 7 * np.sin(b) ** 2 + 0.1 * c**4 * np.sin(a)


SMOOTH = Dimension()
FUNCTIONS = {
    "additive": Function(
        additive,
        (SMOOTH, Dimension(9), SMOOTH, Dimension(3, ordered=False), Dimension(9), SMOOTH),
        ((4, 0), (1, 3), (2, 5)),
        (4, 5),
    ),
    "Friedman": Function(friedman, (SMOOTH,) * 6, ((2, 5), (0, 3), (1, 4)), (5,)),
    "Ishigami": Function(ishigami, (SMOOTH,) * 6, ((0, 3), (1, 4), (2, 5)), (3, 4, 5)),
    "g function": Function(g_function, (SMOOTH,) * 6, ((0, 4), (1, 2), (3, 5)), (4, 5)),
}


def snapped(f: Function, x: np.ndarray) -> np.ndarray:
    """Uniform points as values of the parameters, each level as likely as any other."""
    x = x.copy()
    for j, dimension in enumerate(f.dimensions):
        if dimension.levels:
            x[:, j] = np.floor(x[:, j] * dimension.levels) / (dimension.levels - 1)
    return x


@cache
def truth(name: str) -> tuple[np.ndarray, np.ndarray]:
    """True total indices, `d`, over the range and among the best, from very many points."""
    f, draw = FUNCTIONS[name], np.random.default_rng(0)
    d = len(f.dimensions)
    x = snapped(f, draw.random((100_000, d)))
    y = f.value(x)
    floor = np.quantile(y, 1 - BEST)
    found = []
    for bases, bound in ((x[:3_000], -np.inf), (x[y >= floor][:3_000], floor)):
        indices = []
        spread = y[y >= bound].var()
        for j in range(d):
            line = np.repeat(bases[:, None], 400, axis=1)
            line[:, :, j] = snapped(f, draw.random((400 * len(bases), d)))[:, j].reshape(-1, 400)
            changed = f.value(line.reshape(-1, d)).reshape(-1, 400)
            inside = np.ma.masked_array(changed, changed < bound)
            indices.append(float(np.mean(inside.var(axis=1))) / spread)
        found.append(np.array(indices))
    return found[0], found[1]


def trials(f: Function, shared: bool, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and values of a study."""
    draw = np.random.default_rng(seed)
    x = snapped(f, draw.random((count, len(f.dimensions))))
    deviation = f.value(snapped(f, draw.random((5_000, len(f.dimensions))))).std()
    if not shared:
        return x, f.value(x) + 0.02 * deviation * draw.normal(size=count)
    error: dict[tuple[float, ...], float] = {}
    y = np.empty(count)
    for i in range(count):
        depth = int(draw.integers(1, len(f.stages))) if i and draw.random() < 0.75 else 0
        columns = [j for stage in f.stages[:depth] for j in stage]
        if columns:
            x[i, columns] = x[draw.integers(i), columns]
        y[i] = f.value(x[i : i + 1])[0]
        for s in range(len(f.stages)):
            key = tuple(x[i, [j for stage in f.stages[: s + 1] for j in stage]])
            y[i] += error.setdefault((s, *key), 0.08 * deviation * draw.normal())
    return x, y


Outcome = tuple[np.ndarray, np.ndarray]


def estimate(job: tuple[str, bool, int, int]) -> list[Outcome]:
    """Estimated indices with their intervals, `d x 3`, over the range and among the best."""
    name, shared, count, seed = job
    f = FUNCTIONS[name]
    x, y = trials(f, shared, count, seed)
    stages, reached = [], frozenset[int]()
    for s, own in enumerate(f.stages):
        reached |= frozenset(own)
        stages.append(Stage(reached, frozenset([s - 1] if s else [])))
    optimizer = Optimizer(f.dimensions, stages)
    for point, value in zip(x, y, strict=True):
        optimizer.tell(point.tolist(), float(value), {})
    regions = importance(optimizer.beliefs(), [frozenset(own) for own in f.stages], seed)
    return [
        (
            np.array([[s.middle, s.low, s.high] for s in region.total]),
            np.array([[s.middle, s.low, s.high] for s in region.groups]),
        )
        for region in regions
    ]


def rows(name: str, shared: bool, outcomes: Sequence[list[Outcome]]) -> list[str]:
    """Two lines of the table."""
    f, lines = FUNCTIONS[name], []
    for r, region in enumerate(("over the range", "among the best")):
        true = truth(name)[r]
        found = np.array([o[r][0] for o in outcomes])  # seeds x d x 3
        held = (found[:, :, 1] <= true + 1e-9) & (true - 1e-9 <= found[:, :, 2])
        idle = found[:, list(f.idle), 0]
        error = np.abs(found[:, :, 0] - true).mean()
        lines.append(
            f"| {name} | {'shared' if shared else 'own'} | {region} | {held.mean():.0%} | "
            f"{error:.3f} | {idle.mean():.1%} | {idle.max():.1%} |"
        )
        print(
            "   ",
            " ".join(
                f"{t:.2f}:{m:.2f}[{lo:.2f},{hi:.2f}]{h:.0%}"
                for t, (m, lo, hi), h in zip(true, found.mean(0), held.mean(0), strict=True)
            ),
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--all", action="store_true", help="The g function, too.")
    parser.add_argument("--only", choices=FUNCTIONS, help="One function.")
    given = parser.parse_args()
    print("| function | stages | region | held | mean error | idle: mean | largest |")
    with ProcessPoolExecutor(given.jobs) as pool:
        for name in FUNCTIONS:
            if name != (given.only or name) or (name == "g function" and not given.all):
                continue
            for shared in (False, True):
                jobs = [(name, shared, given.trials, seed) for seed in range(given.seeds)]
                print(*rows(name, shared, list(pool.map(estimate, jobs))), sep="\n", flush=True)


if __name__ == "__main__":
    main()
