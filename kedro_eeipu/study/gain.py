"""What a study has gained: its best trial beside the project's own values.

gain = gain_of(trials, space, maximize)
gain.improvement, gain.spread, gain.in_words()
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kedro_eeipu.study.records import TrialRecord, with_defaults
from kedro_eeipu.wording import counted, duration

if TYPE_CHECKING:
    from kedro_eeipu.search import SearchSpace
    from kedro_eeipu.study.holdout import HeldOut

__all__ = ["Gain", "Noise", "gain_of", "noise_of"]


@dataclass(frozen=True)
class Noise:
    """How much the objective differs between executions with the same values.

    Attributes:
        deviation: Standard deviation of one execution.
        repeated: Executions beyond the first of their values, from which it was estimated.
    """

    deviation: float
    repeated: int


def noise_of(trials: Iterable[TrialRecord]) -> Noise | None:
    """The noise of a study, ``None`` where nothing was executed twice.

    A trial is executed once more when it is confirmed. A second trial with the same values counts
    if it has reused nothing, else it would show less than the noise.

    Args:
        trials: The trials of today's pipeline, with their confirmations.
    """
    groups: list[tuple[TrialRecord, list[float]]] = []
    for trial in trials:
        if trial.value is None:
            continue
        values = [trial.value]
        result = trial.confirmation
        if result is not None and result.value is not None and not result.changed:
            values.append(result.value)
        same = (
            group
            for first, group in groups
            if (first.params, first.runtime_params) == (trial.params, trial.runtime_params)
        )
        group = None if any(n.saved or n.load for n in trial.nodes) else next(same, None)
        if group is None:
            groups.append((trial, values))
        else:
            group += values
    repeated = sum(len(values) - 1 for _, values in groups)
    if not repeated:
        return None
    squares = 0.0
    for _, values in groups:
        mean = math.fsum(values) / len(values)
        squares += math.fsum((v - mean) ** 2 for v in values)
    return Noise(math.sqrt(squares / repeated), repeated)


@dataclass(frozen=True)
class Gain:
    """The best trial of a study beside the project's own values.

    Attributes:
        objective: What the values are.
        maximize: Whether larger values are better.
        best: The best trial.
        defaults: The trial with the project's own values, ``None`` if there is none.
        noise: How much executions with the same values differ, ``None`` if that is not known.
        seconds: Node seconds that the study has spent.
        holdout: What the value on held out data is, empty if none is declared.
        maximize_holdout: Whether larger ones of these are better.
    """

    objective: str
    maximize: bool
    best: TrialRecord
    defaults: TrialRecord | None
    noise: Noise | None
    seconds: float
    holdout: str = ""
    maximize_holdout: bool = True

    @property
    def difference(self) -> float | None:
        """Value of the best trial less that of the defaults."""
        if self.defaults is None or self.defaults.value is None or self.best.value is None:
            return None
        return self.best.value - self.defaults.value

    @property
    def improvement(self) -> float | None:
        """By how much the best trial is better than the defaults."""
        if self.difference is None:
            return None
        return self.difference if self.maximize else -self.difference

    @property
    def spread(self) -> float | None:
        """Standard deviation of the difference by chance, ``None`` where it is not known."""
        if self.noise is None or self.difference is None:
            return None
        alone = self.defaults is not None and self.defaults.number == self.best.number
        return 0.0 if alone else math.sqrt(2.0) * self.noise.deviation

    @property
    def held_out(self) -> tuple[HeldOut | None, HeldOut | None]:
        """What the best trial and the defaults come to on held out data, where that is known."""

        def of(trial: TrialRecord | None) -> HeldOut | None:
            measured = None if trial is None else trial.holdout
            return measured if measured is not None and measured.of == self.holdout else None

        return of(self.best), of(self.defaults)

    def in_words(self, command: str = "kedro eeipu confirm") -> list[str]:
        """What there is to say, in sentences.

        Args:
            command: What is typed to measure held out data.
        """
        return [
            self._value(),
            f"The trial took {duration(self.best.cost)} of node time, "
            f"the study {duration(self.seconds)}.",
            *self._noise(),
            *self._holdout(command),
        ]

    def _value(self) -> str:
        start = f"Trial {self.best.number}: {self.objective} {self.best.value:.6g}"
        first = self.defaults
        if first is None or self.improvement is None or first.value is None:
            return f"{start}. There is no trial with the defaults."
        if first.number == self.best.number:
            return f"{start}, with the defaults: no trial is better."
        return f"{start}, {self._better(self.improvement)} than the defaults ({first.value:.6g})."

    def _better(self, improvement: float) -> str:
        spread = f" ± {self.spread:.2g}" if self.spread else ""
        return f"{abs(improvement):.4g}{spread} {'better' if improvement >= 0 else 'worse'}"

    def _noise(self) -> Iterable[str]:
        if not self.noise or not self.noise.deviation:
            return
        source = counted(self.noise.repeated, "repeated execution")
        yield (
            f"Executions with the same values differ by {self.noise.deviation:.2g} (standard "
            f"deviation, from {source}). The best of many noisy trials looks better than it is."
        )

    def _holdout(self, command: str) -> Iterable[str]:
        if not self.holdout:
            return
        best, defaults = self.held_out
        if best is None:
            yield f"Held out {self.holdout} is not known yet: `{command}` measures it."
            return
        if best.value is None:
            yield f"Held out {self.holdout} is not known: {best.error}"
            return
        text = f"Held out {self.holdout}: {best.value:.6g}"
        if defaults is None or defaults.value is None or defaults is best:
            yield f"{text}."
            return
        sign = 1 if self.maximize_holdout else -1
        improvement = sign * (best.value - defaults.value)
        if not improvement:
            yield f"{text}, as with the defaults."
            return
        word = "better" if improvement > 0 else "worse"
        yield f"{text}, {abs(improvement):.4g} {word} than the defaults ({defaults.value:.6g})."

    def listed(self) -> dict[str, Any]:
        """As ``best --format json`` shows it."""
        best, defaults = self.held_out
        result = self.best.confirmation
        return {
            "value": self.best.value,
            "defaults": None if self.defaults is None else self.defaults.value,
            "difference": self.difference,
            "spread": self.spread,
            "repeated_executions": 0 if self.noise is None else self.noise.repeated,
            "cost_seconds": self.best.cost,
            "study_seconds": self.seconds,
            "confirmed": None if result is None else result.confirmed,
            "holdout": None
            if not self.holdout
            else {
                "name": self.holdout,
                "value": None if best is None else best.value,
                "defaults": None if defaults is None else defaults.value,
            },
        }


def gain_of(
    trials: Sequence[TrialRecord],
    space: SearchSpace,
    maximize: bool,
    best: TrialRecord | None = None,
    *,
    is_current: Callable[[TrialRecord], bool] = lambda _: True,
) -> Gain | None:
    """What a study has gained, ``None`` where no trial is complete.

    Args:
        trials: The trials, with their confirmations.
        space: What is searched.
        maximize: Whether larger values are better.
        best: The trial to hold against the defaults, by default the best.
        is_current: Whether a trial is of today's pipeline; the others do not count.
    """
    current = [t for t in trials if is_current(t)]
    complete = [t for t in current if t.value is not None]
    sign = -1.0 if maximize else 1.0
    if best is None:
        if not complete:
            return None
        best = min(complete, key=lambda t: (sign * (t.value or 0.0), t.number))
    return Gain(
        objective=str(space.objective),
        maximize=maximize,
        best=best,
        defaults=with_defaults(complete, space, best),
        noise=noise_of(complete),
        seconds=sum(t.cost for t in current),
        holdout="" if space.holdout is None else str(space.holdout),
        maximize_holdout=space.holdout is None or space.holdout.direction == "maximize",
    )
