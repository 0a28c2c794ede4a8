"""A study as the report and the figures look at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from kedro_eeipu.reporting.parameters import Column, columns
from kedro_eeipu.reporting.spending import StageTotals

if TYPE_CHECKING:
    from kedro_eeipu.search import SearchSpace, StageGraph
    from kedro_eeipu.study.records import TrialRecord

__all__ = ["StudyView"]


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
    def columns(self) -> list[Column]:
        """The parameters that some complete trial uses."""
        return columns(self.current, self.space)

    @cached_property
    def totals(self) -> StageTotals:
        """What became of each stage in each trial that has ended."""
        return StageTotals.of(self.done, self.graph)
