"""What a study has gained: the difference, its spread, and when neither is known."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from kedro_eeipu.search import Objective, Range, SearchSpace
from kedro_eeipu.states import NodeState
from kedro_eeipu.study.confirmation import Confirmation
from kedro_eeipu.study.gain import Gain, gain_of
from kedro_eeipu.study.holdout import HeldOut
from kedro_eeipu.study.records import NodeRecord, TrialRecord

OBJECTIVE = Objective("metrics", "loss", "minimize")
SPACE = SearchSpace((Range("depth", "int", 1, low=1, high=9),), OBJECTIVE)


def trial(number: int, depth: int, value: float | None, again: float | None = None) -> TrialRecord:
    """A trial that took a second, and what came out when it ran once more."""
    ran = NodeRecord("fit", NodeState.RAN, seconds=1.0)
    result = None if again is None or value is None else Confirmation(again == value, value, again)
    return TrialRecord(number, "complete", {"depth": depth}, value, (ran,), confirmation=result)


def gain(*trials: TrialRecord, **changes: Any) -> Gain:
    found = gain_of(trials, replace(SPACE, **changes), maximize=False)
    assert found is not None
    return found


def test_best_beside_the_defaults() -> None:
    result = gain(trial(0, 1, 0.5), trial(1, 3, 0.4), trial(2, 4, 0.45))
    assert result.best.number == 1
    assert result.difference == pytest.approx(-0.1)
    assert result.improvement == pytest.approx(0.1)
    assert result.spread is None
    first, second = result.in_words()
    assert first == "Trial 1: metrics[loss] 0.4, 0.1 better than the defaults (0.5)."
    assert second == "The trial took 1.0 s of node time, the study 3.0 s."


def test_spread_is_that_of_a_difference() -> None:
    result = gain(trial(0, 1, 0.5, 0.54), trial(1, 3, 0.4, 0.42))
    # By hand: two pairs, half the squared differences, pooled.
    deviation = math.sqrt((0.04**2 / 2 + 0.02**2 / 2) / 2)
    assert result.noise is not None
    assert result.noise.deviation == pytest.approx(deviation)
    assert result.spread == pytest.approx(math.sqrt(2) * deviation)
    words = " ".join(result.in_words())
    assert "0.1 ± 0.032 better" in words
    assert "from 2 repeated executions" in words


def test_edited_and_reused_executions_say_nothing_of_noise() -> None:
    edited = trial(0, 1, 0.5)
    edited = replace(
        edited, confirmation=Confirmation(False, 0.5, 0.9, changed=("node `fit`'s code",))
    )
    reused = replace(trial(1, 1, 0.5), nodes=(NodeRecord("fit", NodeState.REUSED, saved=1.0),))
    assert gain(edited, reused, trial(2, 3, 0.4)).noise is None


def test_repeated_executions_that_are_equal_are_not_noisy() -> None:
    result = gain(trial(0, 1, 0.5), trial(1, 3, 0.4, 0.4))
    assert result.spread == 0.0
    assert "±" not in " ".join(result.in_words())


def test_held_out_value_of_another_declaration_does_not_count() -> None:
    of = {"holdout": Objective("test_metrics", "loss", "minimize", "holdout")}
    first = replace(trial(0, 1, 0.5), holdout=HeldOut("test_metrics[loss]", 0.6))
    best = trial(1, 3, 0.4)
    assert (
        "is not known yet: `kedro eeipu confirm` measures it."
        in gain(first, best, **of).in_words()[-1]
    )
    best = replace(best, holdout=HeldOut("test_metrics[loss]", 0.62))
    assert gain(first, best, **of).in_words()[-1] == (
        "Held out test_metrics[loss]: 0.62, 0.02 worse than the defaults (0.6)."
    )
    of["holdout"] = replace(of["holdout"], direction="maximize")
    assert ", 0.02 better than the defaults" in gain(first, best, **of).in_words()[-1]
    stale = replace(best, holdout=HeldOut("other[loss]", 0.1))
    assert gain(first, stale, **of).held_out[0] is None


def test_defaults_that_are_best_are_said_to_be() -> None:
    result = gain(trial(0, 1, 0.3), trial(1, 3, 0.4))
    assert "with the defaults: no trial is better." in result.in_words()[0]
    assert result.difference == 0.0


def test_no_complete_trial() -> None:
    assert gain_of([trial(0, 1, None)], SPACE, maximize=True) is None
