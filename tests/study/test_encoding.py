"""Ranges as Optuna's distributions, and their values on the unit interval and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution, IntDistribution

from kedro_eeipu.search import Range, parse_space
from kedro_eeipu.study.encoding import dimension, distribution, from_unit, to_unit


@given(st.integers(-50, 50), st.integers(1, 400), st.integers(1, 20))
def test_optuna_has_the_same_steps(low: int, span: int, step: int) -> None:
    step = min(step, span)
    integers = distribution(Range("a", "int", low, low=low, high=low + span, step=step))
    tenths = (low / 10, (low + span) / 10, step / 10)
    floats = distribution(Range("a", "float", low, low=tenths[0], high=tenths[1], step=tenths[2]))
    for d in (integers, floats):
        assert isinstance(d, IntDistribution | FloatDistribution)
        assert d.step
        assert round((d.high - d.low) / d.step) + 1 == len(range(0, span + 1, step))


@given(st.floats(0, 1), st.booleans(), st.floats(1e-6, 1e3), st.floats(1.01, 1e6))
def test_floats_round_trip(u: float, log: bool, low: float, factor: float) -> None:
    r = Range("a", "float", low, low=low, high=low * factor, log=log)
    value = from_unit(r, u)
    assert r.low <= value <= r.high
    # The unit interval has a grid of 1e-12.
    span = low * factor * (1 + 30 * log)
    assert from_unit(r, to_unit(r, value)) == pytest.approx(value, abs=1e-12 * span)


@given(st.integers(1, 60), st.integers(1, 400), st.integers(1, 20), st.booleans())
def test_every_integer_round_trips(low: int, span: int, step: int, log: bool) -> None:
    step = 1 if log else min(step, span)
    r = Range("a", "int", low, low=low, high=low + span, log=log, step=step)
    values = range(low, low + span + 1, step)
    assert r.levels == len(values)
    assert r.last == values[-1]
    assert [from_unit(r, to_unit(r, v)) for v in values] == list(values)


def test_categories_round_trip() -> None:
    r = Range("a", "categorical", None, choices=(None, True, 3, "x", float("nan")))
    assert [from_unit(r, to_unit(r, c)) for c in r.choices] == list(r.choices)
    with pytest.raises(ValueError, match="'y' is not a choice of 'a'"):
        to_unit(r, "y")


def test_a_parameter_that_depends_on_an_integer_on_a_logarithm() -> None:
    parameters = {
        "model": {"layers": 1, "width": 4},
        "eeipu": {
            "objective": {"dataset": "m", "direction": "minimize"},
            "space": {
                "model.layers": {"low": 1, "high": 8, "log": True},
                "model.width": {"low": 1, "high": 9, "when": {"model.layers": [3, 4]}},
            },
        },
    }
    space = parse_space(parameters)
    assert dimension(space, space.ranges[1]).active_when == (0, frozenset({2, 3}))
