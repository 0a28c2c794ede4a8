"""SMAC3 and Ax as peers: what they are told, and what they propose."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial

from kedro_eeipu.comparison.extra_peers import AxSampler, ExtraPeer, SMACSampler, decoded, encoded
from kedro_eeipu.search import Objective, Range, SearchSpace
from kedro_eeipu.study.encoding import distributions
from kedro_eeipu.study.peers import propose

SPACE = SearchSpace(
    (
        Range("a.rate", "float", 0.01, 1e-4, 1e-1, log=True),
        Range("b", "float", 0.3, 0.0, 1.0),
        Range("c", "float", 0.5, 0.0, 1.0, step=0.1),
        Range("d", "int", 4, 2, 9),
        Range("e", "int", 16, 4, 64, log=True),
        Range("f", "categorical", "x", choices=("x", [1, 2], None)),
        Range("g", "int", 3, 1, 5, when=(("f", ("x",)),)),
        Range("h", "categorical", "only", choices=("only",)),
    ),
    Objective("metrics", "loss", "minimize"),
)
OTHERS: dict[str, Any] = {"smac": SMACSampler, "ax": AxSampler}


@pytest.mark.parametrize(
    ("path", "codes"),
    [
        ("a.rate", {0.01: 0.01, 0.1: 0.1}),
        ("c", {0.0: 0, 0.3: 3, 1.0: 10}),
        ("d", {2: 0, 9: 7}),
        ("e", {4: 4, 37: 37}),
        ("f", {"x": 0, None: 2}),
        ("h", {"only": 0}),
    ],
)
def test_values_are_told_as_numbers_and_come_back(path: str, codes: dict[Any, float]) -> None:
    r = next(r for r in SPACE if r.path == path)
    for value, code in codes.items():
        assert encoded(r, value) == code
        assert type(encoded(r, value)) is type(code)
        assert decoded(r, code) == value
        assert type(decoded(r, code)) is type(value)


def test_what_is_just_outside_of_a_range_is_its_end() -> None:
    assert decoded(SPACE.ranges[0], 0.1 + 1e-12) == 0.1


def trials(sampler: ExtraPeer, count: int) -> list[FrozenTrial]:
    """Trials of its warm-up, whose value is the distance of b to 0.8, and how far d is from 9."""
    found: list[FrozenTrial] = []
    for number in range(count):
        sampler.warmup = number
        params = propose(sampler, found, optuna.study.StudyDirection.MINIMIZE, SPACE)
        assert SPACE.fits(params)
        value = abs(params["b"] - 0.8) + abs(params["d"] - 9) / 7
        used = {path: d for path, d in distributions(SPACE).items() if path in params}
        found.append(optuna.trial.create_trial(params=params, distributions=used, value=value))
        found[-1].number = number
    sampler.warmup = None
    return found


def test_the_warmup_of_those_without_their_own_covers_every_level() -> None:
    found = trials(SMACSampler(SPACE, 3), 16)
    assert {t.params["d"] for t in found} == set(range(2, 10))
    assert len({str(t.params["f"]) for t in found}) == 3
    assert [t.params for t in trials(SMACSampler(SPACE, 3), 4)] == [t.params for t in found[:4]]
    assert trials(SMACSampler(SPACE, 4), 1)[0].params != found[0].params


@pytest.mark.parametrize("name", ["smac", "ax"])
def test_other_packages_propose_what_fits_and_learn(name: str) -> None:
    if find_spec(name) is None:
        pytest.skip(f"{name} is not installed: pip install 'kedro-eeipu[peers]'")
    sampler = OTHERS[name](SPACE, 1)
    found = trials(sampler, 20)
    minimize, maximize = optuna.study.StudyDirection.MINIMIZE, optuna.study.StudyDirection.MAXIMIZE
    low = propose(sampler, found, minimize, SPACE)
    high = propose(sampler, found, maximize, SPACE)
    assert SPACE.fits(low)
    assert SPACE.fits(high)
    assert propose(OTHERS[name](SPACE, 1), found, minimize, SPACE) == low

    def value(params: dict[str, Any]) -> float:
        return float(abs(params["b"] - 0.8) + abs(params["d"] - 9) / 7)

    assert value(low) < value(high)
