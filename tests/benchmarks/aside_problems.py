"""The problems of `aside.py`: chains of four stages with values on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from problems import BEALE, BRANIN, HARTMANN, Problem
from simulate import Point


@dataclass(frozen=True)
class OnTheWay:
    """A problem with values on the way.

    Args:
        problem: the pipeline.
        noise: per stage that shows a value, the standard deviation of noise in it.
        told: whether the value also has what the stages so far contribute, luck included.
    """

    problem: Problem
    noise: Mapping[int, float]
    told: bool = True

    def whole(self, seed: int, x: Point) -> float:
        """The objective at x, luck included."""
        luck = sum(self.problem.chance(seed, s, x) for s in self.problem.noise)
        return self.problem.objective(np.array(x)) + luck

    def value(self, seed: int, s: int, x: Point) -> float:
        """What stage s shows at x."""
        own = Problem.chance(_with_noise(self.problem, {s: self.noise[s]}), 50_000 + seed, s, x)
        if not self.told:
            return own
        luck = sum(self.problem.chance(seed, t, x) for t in range(s + 1))
        return own + luck + sum(_contributions(np.array(x))[: s + 1])


def _with_noise(problem: Problem, noise: dict[int, float]) -> Problem:
    return Problem(**{**vars(problem), "noise": noise})


def _contributions(x: np.ndarray) -> list[float]:
    """Of each stage, about one standard deviation apart for usual values."""
    return [
        -math.log1p(-BRANIN.function(x[0:2])),
        HARTMANN.function(x[2:5]),
        -math.log1p(-BEALE.function(x[5:7])),
        3 * math.exp(-float(((x[7:9] - [0.6, 0.3]) ** 2).sum()) / 0.2),
    ]


def _objective(x: np.ndarray) -> float:
    """A sum, and an interaction: two good parts are worth more together."""
    parts = _contributions(x)
    return sum(parts) + min(parts[0] + 4, parts[1])


def _chain(name: str, seconds: tuple[float, ...], noise: dict[int, float]) -> Problem:
    own = ((0, 1), (2, 3, 4), (5, 6), (7, 8))
    parents = tuple(frozenset({s - 1} if s else ()) for s in range(4))
    return Problem(name, own, parents, _objective, math.nan, seconds, True, 0.0, noise=noise)


_DEAR, _LUCK = (1.5, 4.0, 4.0, 4.0), 0.7
PROBLEMS = {
    "telling": OnTheWay(_chain("telling", _DEAR, {0: _LUCK}), {0: 0.0}),
    "half": OnTheWay(_chain("half", _DEAR, {0: _LUCK}), {0: _LUCK}),
    "misleading": OnTheWay(_chain("misleading", _DEAR, {0: _LUCK}), {0: _LUCK}, told=False),
    "late": OnTheWay(_chain("late", (4.0, 4.0, 4.0, 0.5), {0: _LUCK}), {0: 0.0}),
    "language": OnTheWay(
        _chain("language", (0.8, 0.35, 0.35, 0.35), dict.fromkeys(range(4), 0.3)),
        dict.fromkeys(range(3), 1.5),
    ),
}
