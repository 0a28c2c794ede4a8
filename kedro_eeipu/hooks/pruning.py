"""Stopping a trial that promises little before its expensive tail.

A value in the middle of the pipeline (``report:`` in the ``eeipu`` block) is compared with those of
earlier trials as soon as the node that makes it has ended. What the code in a node reports
(`kedro_eeipu.report`) is compared while the node runs. That may be in another process
(``ParallelRunner``) or on another machine, so what decides travels with the run.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kedro_eeipu.curves import Thresholds
from kedro_eeipu.errors import EEIPUError
from kedro_eeipu.hooks.dataset import MemoizedDataset
from kedro_eeipu.search.space import Objective

__all__ = ["Gate", "Pruned"]


class Pruned(Exception):
    """A trial is not worth going on with.

    Raised while a dataset is saved, so that what catches it is Kedro, which wraps it, and under
    ``ParallelRunner`` another process: who wants to know asks the gate again. Or in the place of
    what a node returns or raises: then the run's directory says that it was stopped.
    """


@dataclass(frozen=True)
class Gate:
    """Decides whether a trial continues: not if three quarters of the earlier ones were better.

    Attributes:
        reports: What trials report on the way, in the order of the ``eeipu`` block.
        between: By place in `reports`, what three quarters of the earlier values were at least as
            good as; those of which there are too few are left out.
        maximize: Whether larger values are better.
        in_nodes: The same of what the code in a node reports, by the node's name and step.
    """

    reports: tuple[Objective, ...]
    between: Mapping[int, float]
    maximize: bool
    in_nodes: Mapping[str, Mapping[int, float]] = field(default_factory=dict)

    def thresholds(self, node: str) -> Thresholds:
        """What to compare with the values that the code in a node reports."""
        return Thresholds(self.in_nodes.get(node, {}), self.maximize)

    def steps(self, outputs: Iterable[str]) -> tuple[int, ...]:
        """Places in `reports` of what is read from datasets of these names."""
        names = set(outputs)
        return tuple(step for step, r in enumerate(self.reports) if r.dataset in names)

    def check(self, steps: Iterable[int], datasets: Mapping[str, MemoizedDataset]) -> None:
        """Read reported values and hold them against the earlier ones.

        Args:
            steps: Places in `reports`.
            datasets: Holds what they are read from, by name.

        Raises:
            Pruned: One of them is not good enough.
        """
        for step in steps:
            report = self.reports[step]
            # What is wrong with it is said when the trial has ended.
            with contextlib.suppress(EEIPUError, ValueError):
                reason = self.verdict({step: report.read(datasets[report.dataset].value())})
                if reason:
                    raise Pruned(reason)

    def verdict(self, reported: Mapping[int, float]) -> str:
        """Why a trial that has reported this ends early, empty if it continues."""
        sign = 1 if self.maximize else -1
        for step, value in reported.items():
            threshold = self.between.get(step)
            if threshold is not None and (math.isnan(value) or sign * value < sign * threshold):
                return (
                    f"{self.reports[step]} is {value:.6g}, and three quarters of the earlier "
                    "values were better"
                )
        return ""
