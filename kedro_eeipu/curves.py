"""What code in a node says while it trains: intermediate values, and whether to continue.

The public functions do nothing in a run that is no trial. What listens to them is put in place by
the run (`listening`), for the thread that calls the node's function; a process that the node starts
is not listened to.
"""

from __future__ import annotations

import math
import operator
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, SupportsFloat, SupportsIndex

__all__ = [
    "Listener",
    "OptunaTrial",
    "Thresholds",
    "listening",
    "optuna_trial",
    "report",
    "should_prune",
]

_MOST_POINTS = 200  # of a curve that is kept: a study holds very many


@dataclass(frozen=True)
class Thresholds:
    """What decides whether a training of a node continues.

    Attributes:
        by_step: At a step, what three quarters of the earlier trainings were at least as good as;
            steps that too few have reached are left out.
        maximize: Whether larger values are better.
    """

    by_step: Mapping[int, float]
    maximize: bool


class Listener:
    """Takes what one call of a node's function reports, and says whether it is to end early.

    Args:
        thresholds: What the values are compared with; ``None`` if the call is never to end early.

    Attributes:
        stopped: Why the call was told to end, empty if it was not.
    """

    def __init__(self, thresholds: Thresholds | None = None) -> None:
        self._thresholds = thresholds
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._curve: dict[int, float] = {}
        self._stride = 1
        self._last: tuple[int, float] | None = None
        self._best = math.nan
        self._is_open = True
        self.stopped = ""

    @property
    def is_open(self) -> bool:
        """Whether the call is still running, and this is the process that it was made in."""
        return self._is_open and self._process == os.getpid()

    @property
    def maximize(self) -> bool | None:
        """Whether larger values are better; ``None`` where that does not matter."""
        return None if self._thresholds is None else self._thresholds.maximize

    def close(self) -> None:
        """Listen no more: what a thread that outlives the call says is nobody's."""
        self._is_open = False

    def add(self, value: float, step: int) -> None:
        """Take a value; of several for one step the first counts."""
        with self._lock:
            if step in self._curve or (self._last and self._last[0] == step):
                return
            better = max if self.maximize else min
            if not math.isnan(value):
                self._best = value if math.isnan(self._best) else better(self._best, value)
            if self._last is None or step > self._last[0]:
                self._last = step, value
            if step % self._stride == 0:
                self._curve[step] = value
            while len(self._curve) > _MOST_POINTS:
                self._stride *= 2
                self._curve = {s: v for s, v in self._curve.items() if s % self._stride == 0}

    def is_to_end(self) -> bool:
        """Whether the best value so far is worse than those of three quarters of the others."""
        with self._lock:
            if self.stopped or self._thresholds is None or self._last is None:
                return bool(self.stopped)
            step = self._last[0]
            threshold = self._thresholds.by_step.get(step)
            if threshold is None:
                return False
            sign = 1 if self.maximize else -1
            if math.isnan(self._best) or sign * self._best < sign * threshold:
                self.stopped = (
                    f"stopped at step {step}: its best value so far is {self._best:.6g}, and three "
                    f"quarters of the earlier trainings were at {threshold:.6g} or better"
                )
            return bool(self.stopped)

    def curve(self) -> tuple[tuple[int, float], ...]:
        """The finite values by step: all of a short curve, of a long one some and the last."""
        with self._lock:
            points = {**self._curve, **dict([self._last] if self._last else [])}
            return tuple((s, v) for s, v in sorted(points.items()) if math.isfinite(v))


_listener: ContextVar[Listener | None] = ContextVar("kedro_eeipu_listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Inside, `listener` takes what the code of this thread reports."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        listener.close()
        _listener.reset(token)


def _current() -> Listener | None:
    listener = _listener.get()
    return listener if listener is not None and listener.is_open else None


def report(value: SupportsFloat, step: SupportsIndex) -> None:
    """Report how good a training is so far, from the function of a node.

    In a trial the values are compared with those of earlier trials, and `should_prune` gives the
    result. In any other run nothing is done with them.

    Args:
        value: The larger the better if the objective is maximised, the smaller if it is minimised.
        step: Number of the step, epoch or round, at least 0. Of several values for one step the
            first counts.

    Raises:
        TypeError: `value` is not a number, or `step` is not an integer.
        ValueError: `step` is negative.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"report() takes a number, not {type(value).__name__}") from None
    try:
        at = operator.index(step)
    except TypeError:
        raise TypeError(f"report() takes an integer step, not {type(step).__name__}") from None
    if at < 0:
        raise ValueError(f"report() takes steps from 0 on, not {at}")
    if listener := _current():
        listener.add(number, at)


def should_prune() -> bool:
    """Whether what was reported is not good enough, so that the function should end at once.

    Raise ``optuna.TrialPruned``, or return: in both cases the trial is pruned, and what the
    function returns is not kept. ``False`` in any run that is no trial.
    """
    listener = _current()
    return listener is not None and listener.is_to_end()


class OptunaTrial:
    """As much of an Optuna trial as Optuna's callbacks for training libraries need.

    Has `report` and `should_prune`. All else is refused: what a node reads from a trial is not
    part of its key in the cache.
    """

    __slots__ = ()

    def report(self, value: SupportsFloat, step: SupportsIndex) -> None:
        """See `kedro_eeipu.report`."""
        report(value, step)

    def should_prune(self) -> bool:
        """See `kedro_eeipu.should_prune`."""
        return should_prune()

    @property
    def study(self) -> _OptunaStudy:
        """Has a direction only, which callbacks compare with that of their metric."""
        return _OptunaStudy()

    def __getattr__(self, name: str) -> Any:
        raise _refused(f"trial.{name}")


class _OptunaStudy:
    __slots__ = ()

    @property
    def direction(self) -> _Direction:
        return _Direction()

    def __getattr__(self, name: str) -> Any:
        raise _refused(f"trial.study.{name}")


class _Direction:
    """Equal to the direction of the objective, and in a run that is no trial to any.

    The comparison with another direction is an error, so that no code can go two ways.
    """

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        listener = _current()
        asked = str(getattr(other, "name", other)).lower()
        if listener is not None and listener.maximize is not None:
            own = "maximize" if listener.maximize else "minimize"
            if asked != own:
                raise ValueError(
                    f"a metric to {asked} is reported, but the objective is to {own}. Monitor a "
                    "metric with the direction of the objective, or leave the callback out."
                )
        return True


def optuna_trial() -> OptunaTrial:
    """What Optuna's pruning callbacks take for a trial, in the function of a node.

    The callbacks of ``optuna-integration`` for XGBoost, LightGBM, Keras, CatBoost and Lightning
    (in one process) accept it. In a run that is no trial they never end a training.
    """
    return OptunaTrial()


def _refused(what: str) -> AttributeError:
    return AttributeError(
        f"a node cannot use {what}: what it reads from a trial would not be in its cache key. "
        "Make it an input of the node, such as params:model; of a trial there are report() and "
        "should_prune()."
    )
