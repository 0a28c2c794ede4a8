"""When a study ends: limits the user has set, and when nothing new or worth its cost is left."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.study.records import TrialRecord
from kedro_eeipu.wording import counted as in_number
from kedro_eeipu.wording import duration

__all__ = [
    "NOTHING_NEW",
    "NOT_WORTH_IT",
    "Limits",
    "counted_trials",
    "not_worth_it",
    "pruned_at_once",
    "repeats",
]

# A study that ends by itself does so when this many proposals in a row promise less than this
# share of a standard deviation of the values seen for as much again as was spent so far.
_LAST_PAYOFFS = 3
_LEAST_PAYOFF = 0.05
_FIRST_FAILURES = 5  # different trials, none of which is complete
NOT_WORTH_IT = (
    "another trial is not worth its cost: spending the same time again is expected to "
    f"improve the value by less than {_LEAST_PAYOFF:.0%} of the values' standard deviation"
)

NOTHING_NEW = "every configuration of the space has been tried: nothing new is left"


@dataclass(frozen=True)
class Limits:
    """When a study ends.

    Attributes:
        trials: Number of trials, earlier ones of the study counted in.
        budget: Seconds of node time, those of earlier trials counted in.
        max_failures: Failed trials of one sitting that end it. By default the first five end it,
            if no trial of the study is complete: a part of the space in which trials fail is no
            reason to stop, a pipeline that does not run at all is one.
        repeats: Trials in a row that may have the parameters of earlier ones, where a sampler does
            not know that nothing else is left, or, if no number of trials is given, be pruned for
            what the cache holds. They cost nothing, so no budget would ever be used up.
        auto: Also when proposals are no longer worth their cost.
        where: The file and the block that could set limits, as errors name them.

    Raises:
        ConfigurationError: There is neither a number of trials nor a budget nor ``auto``.
    """

    trials: int | None = None
    budget: float | None = None
    max_failures: int | None = None
    repeats: int = 10
    auto: bool = False
    where: str = field(default="parameters.yml: eeipu", compare=False)

    def __post_init__(self) -> None:
        if self.trials is None and self.budget is None and not self.auto:
            raise ConfigurationError(
                "nothing says when to stop",
                where=self.where,
                remedy="Add `budget: 30min` or `trials: 100`, or pass --budget or --trials.",
            )

    def reached(self, trials: Sequence[TrialRecord], beside: float = 0.0) -> str:
        """Which limit trials of a study have reached, in words; empty for none.

        Args:
            trials: The trials.
            beside: Seconds that count to the budget and are no trial's.
        """
        counted = counted_trials(trials)
        if self.trials is not None and counted >= self.trials:
            return f"the study has its {in_number(self.trials, 'trial')}"
        if self.budget is not None and beside + sum(t.cost for t in trials) >= self.budget:
            return f"the budget of {self.budget:g} s of node time is used up"
        if repeats(trials, self.repeats):
            return f"the last {self.repeats} trials repeat earlier ones: nothing new is left"
        if self.trials is None and pruned_at_once(trials, self.repeats):
            return f"the last {self.repeats} trials were pruned before a node ran"
        return ""

    def failed(self, trials: Sequence[TrialRecord], sitting: Sequence[TrialRecord]) -> bool:
        """Whether too many trials of a sitting have failed.

        Args:
            trials: All trials of the study.
            sitting: Those that began in this sitting.
        """
        failed = [t for t in sitting if t.state == "failed" and not t.interrupted]
        if self.max_failures is not None:
            return len(failed) >= self.max_failures
        if any(t.value is not None for t in trials):
            return False
        different: list[Mapping[str, Any]] = []
        for trial in failed:
            if trial.params not in different:
                different.append(trial.params)
        return len(different) >= _FIRST_FAILURES

    def raised(self, trials: Sequence[TrialRecord]) -> str:
        """What to type for more trials than a limit that was reached before any was run allows.

        Args:
            trials: The trials of the study, which have reached a limit.
        """
        counted = counted_trials(trials)
        if self.trials is not None and counted >= self.trials:
            return (
                f"--trials is a total, and the study has {in_number(counted, 'trial')} already. "
                f"For 10 more: --trials {counted + 10}"
            )
        spent = sum(t.cost for t in trials)
        if self.budget is not None and spent >= self.budget:
            more = math.ceil(spent + self.budget)
            return (
                f"--budget is a total, and the study has used {duration(spent)} of node time "
                f"already. For {duration(self.budget)} more: --budget {more}s"
            )
        return ""


def counted_trials(trials: Sequence[TrialRecord]) -> int:
    """How many count towards a limit: an interrupted one is made again."""
    return sum(not t.interrupted for t in trials)


def pruned_at_once(trials: Sequence[TrialRecord], count: int) -> bool:
    """Whether each of the last `count` trials was pruned before a node ran."""
    last = trials[-count:]
    return len(last) == count and all(
        t.state == "pruned" and not any(n.was_called for n in t.nodes) for t in last
    )


def repeats(trials: Sequence[TrialRecord], count: int) -> bool:
    """Whether each of the last `count` trials has the parameters of one before it."""
    if len(trials) <= count:
        return False
    tried = [t.params for t in trials if not t.interrupted]
    return all(params in tried[: -count + i] for i, params in enumerate(tried[-count:]))


def not_worth_it(payoffs: Sequence[float]) -> bool:
    """Whether the last proposals, by their payoffs (`Proposal.info`), are not worth their cost."""
    last = payoffs[-_LAST_PAYOFFS:]
    return len(last) == _LAST_PAYOFFS and max(last) < _LEAST_PAYOFF
