"""What code in a node reports, and the object that it hands to Optuna's callbacks."""

from __future__ import annotations

import math
import multiprocessing
import subprocess
import sys
import threading
from contextvars import copy_context
from typing import Any

import numpy as np
import pytest
from optuna.study import StudyDirection

import kedro_eeipu
from kedro_eeipu.cache.identity.code import code_identity
from kedro_eeipu.curves import Listener, Thresholds, listening, optuna_trial, report, should_prune

HIGHER = Thresholds({0: 0.2, 1: 0.4, 5: 0.8}, maximize=True)
LOWER = Thresholds({0: 0.9, 1: 0.7}, maximize=False)


def told(listener: Listener, *values: float) -> list[bool]:
    """What a training is told that reports these values, step by step."""
    with listening(listener):
        answers = []
        for step, value in enumerate(values):
            report(value, step)
            answers.append(should_prune())
    return answers


def test_the_names_are_public_and_come_without_the_rest_of_the_package() -> None:
    code = (
        "import sys; from kedro_eeipu import optuna_trial, report, should_prune; report(0.1, 0); "
        "sys.exit(should_prune() or not {'kedro', 'optuna', 'numpy'}.isdisjoint(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_best_value_so_far_is_held_against_the_threshold_of_the_step() -> None:
    assert told(Listener(HIGHER), 0.3, 0.3) == [False, True]
    assert told(Listener(HIGHER), 0.5, 0.1, 0.1, 0.1, 0.1, 0.1) == [False] * 5 + [True]
    assert told(Listener(LOWER), 0.8, 0.8) == [False, True]
    assert told(Listener(LOWER), 0.9, 0.7) == [False, False], "as good as the threshold"


def test_who_was_told_to_stop_is_told_so_again() -> None:
    assert told(Listener(HIGHER), 0.1, 0.9) == [True, True]


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_what_diverges_is_stopped_and_its_curve_is_finite(value: float) -> None:
    listener = Listener(HIGHER)
    assert told(listener, value) == [True]
    assert listener.curve() == ()


def test_nothing_is_stopped_where_nothing_is_known_or_nobody_listens() -> None:
    assert told(Listener(Thresholds({}, maximize=True)), -9.0) == [False]
    assert told(Listener(), -9.0) == [False]
    report(-9.0, 0)
    assert not should_prune()


def test_of_several_values_for_a_step_the_first_counts() -> None:
    listener = Listener(HIGHER)
    with listening(listener):
        report(0.3, 0)
        report(0.1, 0)
        report(np.float32(0.5), np.int64(1))
    assert listener.curve() == ((0, 0.3), (1, 0.5))


def test_a_long_curve_is_thinned_at_the_same_steps_as_others() -> None:
    long, longer = Listener(), Listener()
    told(long, *(float(s) for s in range(1000)))
    told(longer, *(float(s) for s in range(1001)))
    steps = [step for step, _ in long.curve()]
    assert 100 <= len(steps) <= 201
    assert steps[-1] == 999, "the last value is always there"
    assert set(steps[:-1]) <= {step for step, _ in longer.curve()}
    assert all(step == value for step, value in long.curve())


def test_nobody_listens_to_what_outlives_the_call_or_is_another_process() -> None:
    listener = Listener(HIGHER)
    with listening(listener):
        context = copy_context()
        process = multiprocessing.get_context("fork").Process(target=_stopped_in_a_child)
        process.start()
        process.join()
        assert process.exitcode == 0, "a child that is told to stop returns half a result unseen"
    late = threading.Thread(target=context.run, args=(report, 0.1, 0))
    late.start()
    late.join()
    assert listener.curve() == ()


def _stopped_in_a_child() -> None:
    report(0.0, 0)
    raise SystemExit(int(should_prune()))


@pytest.mark.parametrize(
    ("value", "step", "error", "words"),
    [
        ("high", 1, TypeError, "takes a number, not str"),
        (None, 1, TypeError, "takes a number, not NoneType"),
        (0.5, 1.5, TypeError, "takes an integer step, not float"),
        (0.5, -1, ValueError, "from 0 on, not -1"),
    ],
)
def test_what_is_no_report_is_refused_in_every_run(
    value: Any, step: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        report(value, step)


def test_a_trial_has_nothing_that_is_not_in_a_key() -> None:
    trial: Any = optuna_trial()
    for name in ("params", "number", "suggest_float", "set_user_attr", "_trial_id"):
        with pytest.raises(AttributeError, match=f"trial.{name}: .*input of the node"):
            getattr(trial, name)
    with pytest.raises(AttributeError, match=r"trial.study.best_value"):
        _ = trial.study.best_value
    with pytest.raises(AttributeError):
        trial.mine = 1


TRIAL = optuna_trial()


def _by_name() -> None:
    report(0.1, 0)


def _by_package() -> None:
    kedro_eeipu.report(0.1, 0)


def _by_late_import() -> None:
    from kedro_eeipu import should_prune

    should_prune()


def _by_object() -> None:
    TRIAL.report(0.1, 0)


def test_code_that_reports_has_a_key_whatever_others_have_reported() -> None:
    functions = (_by_name, _by_package, _by_late_import, _by_object)
    before = [code_identity(f).digest for f in functions]
    with listening(Listener(HIGHER)):
        _by_name()
        assert [code_identity(f).digest for f in functions] == before


def test_a_callback_may_compare_directions_but_learns_nothing() -> None:
    trial = optuna_trial()
    for direction in StudyDirection:
        assert trial.study.direction == direction, "in a plain run no metric is refused"
    with listening(Listener(HIGHER)):
        assert trial.study.direction == StudyDirection.MAXIMIZE
        with pytest.raises(ValueError, match=r"to minimize is reported, .* is to maximize"):
            _ = trial.study.direction != StudyDirection.MINIMIZE
        trial.report(0.1, 0)
        assert trial.should_prune()
