"""A study as the report and the figures look at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from kedro_eeipu.reporting.believing import most_important
from kedro_eeipu.reporting.drawing import safe
from kedro_eeipu.reporting.parameters import Column, columns
from kedro_eeipu.reporting.spending import StageTotals, stage_label
from kedro_eeipu.study.beliefs import StudyBeliefs
from kedro_eeipu.study.gain import Gain, gain_of
from kedro_eeipu.wording import scalar

if TYPE_CHECKING:
    from kedro_eeipu.search import SearchSpace, StageGraph
    from kedro_eeipu.study.beliefs import Weight
    from kedro_eeipu.study.records import TrialRecord

__all__ = ["PAIRED", "StudyView"]

# Of so many of the most important parameters each pair is shown.
PAIRED = 3
# A hover has no room for more.
_MOST_LINES = 16


@dataclass(frozen=True)
class StudyView:
    """What a study recorded, and what its figures share.

    The figures show parameters, names of nodes, values and errors as the trials hold them:
    secrets are to be hidden before (`TrialRecord.redacted`).

    Attributes:
        trials: What the study recorded, by number.
        graph: The stages of the pipeline.
        space: What is searched.
        study: The study's name.
        maximize: Whether larger values are better.
        changes: What has changed since a trial that its value depends on, by its number. The
            values of such trials are in no figure; what they cost and reused is.
    """

    trials: Sequence[TrialRecord]
    graph: StageGraph
    space: SearchSpace
    study: str
    maximize: bool
    changes: Mapping[int, Sequence[str]] = field(default_factory=dict)

    @property
    def objective(self) -> str:
        """What the values are."""
        return str(self.space.objective)

    @cached_property
    def since(self) -> dict[int, Sequence[str]]:
        """The trials from before an edit, by number, with what has changed."""
        return {n: c for n, c in self.changes.items() if c}

    @cached_property
    def done(self) -> list[TrialRecord]:
        """The trials that have ended."""
        return [t for t in self.trials if t.state != "running"]

    @cached_property
    def current(self) -> list[TrialRecord]:
        """The trials that have ended, of today's pipeline."""
        return [t for t in self.done if t.number not in self.since]

    @cached_property
    def ranked(self) -> list[TrialRecord]:
        """The complete trials of today's pipeline, the best first."""
        sign = -1.0 if self.maximize else 1.0
        complete = [t for t in self.current if t.value is not None]
        return sorted(complete, key=lambda t: (sign * (t.value or 0.0), t.number))

    @cached_property
    def gain(self) -> Gain | None:
        """The best trial beside the defaults, ``None`` where no trial is complete."""
        return gain_of(self.current, self.space, self.maximize)

    @cached_property
    def columns(self) -> list[Column]:
        """The parameters that some complete trial uses."""
        return columns(self.current, self.space)

    @cached_property
    def beliefs(self) -> StudyBeliefs | None:
        """What the optimizer's surrogate believes, ``None`` while there are too few trials."""
        beliefs = StudyBeliefs(self.current, self.graph, self.space, self.maximize)
        return beliefs if beliefs.enough else None

    @cached_property
    def ranking(self) -> list[Column]:
        """The parameters that some complete trial uses, the most important first."""
        return most_important(self.columns, self.beliefs)

    @property
    def parameter_weights(self) -> dict[str, Weight]:
        """Importances of the parameters that some trial uses, by label."""
        weights = self.beliefs.weights[0] if self.beliefs else {}
        used = [c.range.path for c in self.columns]
        return {safe(path, 32): weights[path] for path in used if path in weights}

    @property
    def stage_weights(self) -> dict[str, Weight]:
        """Importances of the stages with their own parameters, by label."""
        weights = self.beliefs.weights[1] if self.beliefs else {}
        return {stage_label(self.graph[s]): weight for s, weight in weights.items()}

    @cached_property
    def hovers(self) -> dict[int, str]:
        """The parameters of each trial as the figures show them, by number."""
        return {t.number: parameter_lines(t) for t in self.trials}

    @cached_property
    def totals(self) -> StageTotals:
        """What became of each stage in each trial that has ended."""
        return StageTotals.of(self.done, self.graph)


def parameter_lines(trial: TrialRecord) -> str:
    """The parameters of a trial, a line each, escaped."""
    lines = [f"{safe(path)} = {safe(scalar(value), 24)}" for path, value in trial.params.items()]
    more = [f"and {len(lines) - _MOST_LINES} more"] if len(lines) > _MOST_LINES else []
    return "".join(f"<br>{text}" for text in [*lines[:_MOST_LINES], *more])
