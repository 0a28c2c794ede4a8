"""Synthetic pipelines: a stage graph, an objective to maximise and the seconds each stage takes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.special import ndtri

from kedro_eeipu.optimizer import Dimension, Stage
from kedro_eeipu.optimizer.unit_cube import Space

Function = Callable[[np.ndarray], float]


@dataclass(frozen=True)
class Part:
    """A test function to maximise on the unit cube of its own parameters."""

    name: str
    d: int
    function: Function
    maximum: float


def _beale(u: np.ndarray) -> float:
    x, y = 4 * u - 2
    return -float((1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2)


def _branin(u: np.ndarray) -> float:
    x, y = 15 * u[0] - 5, 15 * u[1]
    valley = y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6
    return -float(valley**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10)


_HARTMANN_A = np.array([[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]])
_HARTMANN_P = 1e-4 * np.array(
    [[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]]
)


def _hartmann(u: np.ndarray) -> float:
    weights = np.array([1.0, 1.2, 3.0, 3.2])
    return float(weights @ np.exp(-(_HARTMANN_A * (u - _HARTMANN_P) ** 2).sum(1)))


def _levy(u: np.ndarray) -> float:
    w = 1 + (20 * u - 10 - 1) / 4
    middle = (w[:-1] - 1) ** 2 * (1 + 10 * np.sin(math.pi * w[:-1] + 1) ** 2)
    last = (w[-1] - 1) ** 2 * (1 + np.sin(2 * math.pi * w[-1]) ** 2)
    return -float(np.sin(math.pi * w[0]) ** 2 + middle.sum() + last)


def _ackley(u: np.ndarray) -> float:
    x = 10 * u - 5 - 1.3
    return float(
        20 * math.exp(-0.2 * math.sqrt((x**2).mean()))
        + math.exp(np.cos(2 * math.pi * x).mean())
        - 20
        - math.e
    )


def _michalewicz(u: np.ndarray) -> float:
    x = math.pi * u
    return float((np.sin(x) * np.sin(np.array([1, 2]) * x**2 / math.pi) ** 20).sum())


BEALE = Part("Beale", 2, _beale, -0.5220)  # on [-2, 2]^2, without its unconstrained minimum
BRANIN = Part("Branin", 2, _branin, -0.397887)
HARTMANN = Part("Hartmann", 3, _hartmann, 3.86278)
LEVY = Part("Levy", 2, _levy, 0.0)
ACKLEY = Part("Ackley", 2, _ackley, 0.0)
MICHALEWICZ = Part("Michalewicz", 2, _michalewicz, 1.801303)


@dataclass(frozen=True)
class Problem:
    """A pipeline to tune on the unit cube.

    Args:
        name: shown in tables.
        own: per stage the columns that enter with it.
        parents: per stage the stages it consumes.
        objective: of a configuration of length d.
        maximum: of the objective.
        seconds: per stage its usual cost.
        upstream: whether a stage's cost depends on the parameters of its ancestors too.
        budget: seconds that a sampler may spend, warm-up included.
        mixed: the dimensions, where they are not all continuous.
        noise: per stage the standard deviation of what chance adds to the objective when it runs;
            the trials that share its outputs share it.
    """

    name: str
    own: tuple[tuple[int, ...], ...]
    parents: tuple[frozenset[int], ...]
    objective: Callable[[np.ndarray], float]
    maximum: float
    seconds: tuple[float, ...]
    upstream: bool
    budget: float
    mixed: tuple[Dimension, ...] = ()
    noise: dict[int, float] = field(default_factory=dict)

    @property
    def d(self) -> int:
        return sum(len(columns) for columns in self.own)

    @property
    def dimensions(self) -> list[Dimension]:
        return list(self.mixed) or [Dimension()] * self.d

    def configuration(self, u: Sequence[float]) -> tuple[float, ...]:
        """The configuration at a point of the unit cube: on the levels, NaN where inactive."""
        if not self.mixed:
            return tuple(u)
        space = Space(self.mixed)
        # Levels have equal shares of the interval, those at its ends too.
        bins = [
            min(int(v * d.levels), d.levels - 1) / max(1, d.levels - 1) if d.levels else v
            for v, d in zip(u, self.mixed, strict=True)
        ]
        return tuple(space.hide(space.snap(torch.tensor([bins], dtype=torch.float64)))[0].tolist())

    def chance(self, seed: int, s: int, x: Sequence[float]) -> float:
        """What chance adds to the objective in the execution of stage s at x."""
        if s not in self.noise:
            return 0.0
        seen = [x[j] for j in sorted(self.stages[s].parameters)]
        digest = hashlib.sha256(repr((seed, s, seen)).encode()).digest()
        return self.noise[s] * float(ndtri((int.from_bytes(digest[:6], "big") + 0.5) / 2**48))

    @property
    def stages(self) -> list[Stage]:
        stages: list[Stage] = []
        for columns, parents in zip(self.own, self.parents, strict=True):
            reached = frozenset(columns).union(*(stages[p].parameters for p in parents))
            stages.append(Stage(reached, parents))
        return stages

    def cost(self, s: int, x: Sequence[float]) -> float:
        """Seconds of stage s at x: between a third and three times its usual cost."""
        u = np.nan_to_num([x[j] for j in self.own[s]], nan=0.5)
        wave = math.sin(2 * math.pi * float(u.mean()) + s) * 0.6 + (float(u[0]) - 0.5)
        if self.upstream and self.parents[s]:
            first = self.own[min(self.parents[s])][0]
            wave += 1.0 * (x[first] - 0.5)
        return self.seconds[s] * math.exp(wave)


def _chain(
    name: str, parts: Sequence[Part], seconds: Sequence[float], budget: float, upstream: bool
) -> Problem:
    offsets = np.cumsum([0, *(part.d for part in parts)])
    own = tuple(tuple(range(offsets[s], offsets[s + 1])) for s in range(len(parts)))

    def objective(x: np.ndarray) -> float:
        return sum(part.function(x[list(own[s])]) for s, part in enumerate(parts))

    parents = tuple(frozenset({s - 1} if s else ()) for s in range(len(parts)))
    maximum = sum(part.maximum for part in parts)
    return Problem(name, own, parents, objective, maximum, tuple(seconds), upstream, budget)


def _blend(x: np.ndarray) -> float:
    """Two models on shared features, blended: their quality and the weight interact."""
    features = -math.log1p(-_branin(x[0:2]))
    first, second = _hartmann(x[2:5]), 3 - math.log1p(-_beale(x[5:7]) - 0.5220)
    w = x[7]
    return features + w * first + (1 - w) * second + 2 * w * (1 - w) * min(first, second)


def _stack(x: np.ndarray) -> float:
    """Three models on shared features; the worse ones pull the stacked result down."""
    features = math.exp(-(((x[0:2] - [0.35, 0.7]) ** 2).sum()) / 0.1)
    models = np.array(
        [
            _hartmann(x[2:5]) / 3.86278,
            _michalewicz(x[5:7]) / 1.801303,
            math.exp(_ackley(x[7:9]) / 5),
        ]
    )
    quality = -math.log(np.exp(-4 * models).mean()) / 4
    return quality * (0.4 + 0.6 * features) - (x[9] - 0.3 - 0.4 * quality) ** 2


_MIXED = (
    Dimension(levels=3, ordered=False),  # scaling of the features
    Dimension(levels=30),  # their number
    Dimension(),  # smoothing
    Dimension(levels=3, ordered=False),  # first model: forest, boosting, linear
    Dimension(levels=11, active_when=(3, frozenset({0, 1}))),  # depth of the trees
    Dimension(active_when=(3, frozenset({1}))),  # learning rate
    Dimension(active_when=(3, frozenset({2}))),  # penalty
    Dimension(levels=40),  # second model: neighbours
    Dimension(levels=4, ordered=False),  # their metric
    Dimension(),  # weight of the first model
    Dimension(),  # threshold
)


def _peak(width: float, *distances: float) -> float:
    return math.exp(-sum(d * d for d in distances) / width)


def _mixture(x: np.ndarray) -> float:
    """A model of three kinds, each with its own parameters, and nearest neighbours, blended."""
    scaling = (0.8, 1.0, 0.9)[round(2 * x[0])]
    features = scaling * (0.5 + 0.5 * _peak(0.1, x[1] - 0.4, x[2] - 0.65))
    kind, depth = round(2 * x[3]), 0.3 + 0.3 * x[1]
    if kind == 0:
        first = 0.75 * _peak(0.1, x[4] - depth - 0.3)
    elif kind == 1:
        first = _peak(0.06, x[4] - depth, x[5] - 0.6)
    else:
        first = 0.6 * _peak(0.1, x[6] - 0.2)
    second = (0.5, 0.55, 0.8, 0.65)[round(3 * x[8])] * _peak(0.05, x[7] - 0.35)
    w = x[9]
    blend = w * first + (1 - w) * second + w * (1 - w) * min(first, second)
    return features * blend * (0.7 + 0.3 * _peak(0.03, x[10] - 0.55))


PROBLEMS = {
    problem.name: problem
    for problem in (
        _chain("chain3-bhb", (BEALE, HARTMANN, BRANIN), (2.6, 2.6, 2.6), 200, False),
        _chain("chain3-lhb", (LEVY, HARTMANN, BEALE), (5.2, 5.2, 5.2), 400, False),
        _chain("chain3-early", (BEALE, HARTMANN, BRANIN), (6.0, 1.5, 0.3), 200, True),
        _chain("chain3-late", (BEALE, HARTMANN, BRANIN), (0.3, 1.5, 6.0), 200, True),
        _chain(
            "chain5",
            (BEALE, HARTMANN, BRANIN, ACKLEY, MICHALEWICZ),
            (2.0, 2.0, 2.0, 2.0, 2.0),
            300,
            True,
        ),
        _chain(
            "chain10",
            (BEALE, HARTMANN, BRANIN, ACKLEY, MICHALEWICZ) * 2,
            (1.0,) * 10,
            400,
            True,
        ),
        Problem(
            "dag-blend",
            ((0, 1), (2, 3, 4), (5, 6), (7,)),
            (frozenset(), frozenset({0}), frozenset({0}), frozenset({1, 2})),
            _blend,
            4.62727,
            (3.0, 2.5, 2.5, 0.5),
            True,
            200,
        ),
        Problem(
            "dag-stack",
            ((0, 1), (2, 3, 4), (5, 6), (7, 8), (9,)),
            (
                frozenset(),
                frozenset({0}),
                frozenset({0}),
                frozenset({0}),
                frozenset({1, 2, 3}),
            ),
            _stack,
            1.0,
            (1.0, 3.0, 2.0, 2.0, 0.3),
            True,
            200,
        ),
        Problem(
            "dag-mixed",
            ((0, 1, 2), (3, 4, 5, 6), (7, 8), (9, 10)),
            (frozenset(), frozenset({0}), frozenset({0}), frozenset({1, 2})),
            _mixture,
            1.107367,
            (2.5, 4.0, 2.0, 0.3),
            True,
            200,
            _MIXED,
            {1: 0.03, 2: 0.02},
        ),
    )
}
