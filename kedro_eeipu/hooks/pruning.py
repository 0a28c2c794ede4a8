"""Stopping a trial that promises little before its expensive tail.

A value in the middle of the pipeline (``report:`` in the ``eeipu`` block) is held against those of
earlier trials as soon as the node that makes it has ended. That may be in a process of its own
(``ParallelRunner``) or on another machine, so what decides travels with the run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kedro_eeipu.errors import EEIPUError
from kedro_eeipu.hooks.action import NodeAction
from kedro_eeipu.hooks.dataset import MemoizedDataset
from kedro_eeipu.hooks.plan import RunPlan
from kedro_eeipu.hooks.run_directory import Output
from kedro_eeipu.search.space import Objective


class Pruned(Exception):
    """A trial is not worth going on with.

    Raised while a dataset is saved, so that what catches it is Kedro, which wraps it, and under
    ``ParallelRunner`` another process: who wants to know asks the gate again.
    """


@dataclass(frozen=True)
class Gate:
    """Decides whether a trial goes on, by Optuna's median pruner.

    Attributes:
        reports: What trials report on the way, in the order of the ``eeipu`` block.
        earlier: What complete trials have reported, by place in `reports`.
        maximize: Whether larger values are better.
    """

    reports: tuple[Objective, ...]
    earlier: tuple[Mapping[int, float], ...]
    maximize: bool

    def watch(self, plan: RunPlan) -> None:
        """Let the nodes that make the reported datasets end a run that is about to begin.

        Raises:
            Pruned: What it would report is in the cache, and not good enough.
        """
        for step, report in enumerate(self.reports):
            maker = next((a for a in plan.actions.values() if report.dataset in a.outputs), None)
            if maker is None:  # made by a generator: known only when all is over
                continue
            made = maker.outputs[report.dataset]
            if maker.node.name in plan.reused:
                self.check(step, made)
                continue
            for output in maker.outputs.values():
                assert output.record is not None
                output.record = _Watched(output.record, maker, self, step)

    def check(self, step: int, made: MemoizedDataset) -> None:
        """Read a reported value and hold it against the earlier ones.

        Raises:
            Pruned: It is not good enough.
        """
        report = self.reports[step]
        # What is wrong with it is said when the trial has ended.
        with contextlib.suppress(EEIPUError, ValueError):
            reason = self.verdict({step: report.read(made.value())})
            if reason:
                raise Pruned(reason)

    def verdict(self, reported: Mapping[int, float]) -> str:
        """Why a trial that has reported this is not to go on, empty when it is."""
        for step, value in reported.items():
            if self._hopeless(step, value):
                return (
                    f"{self.reports[step]} is {value:.6g}, and the median of the earlier trials "
                    "is better"
                )
        return ""

    def _hopeless(self, step: int, value: float) -> bool:
        """Whether a value is worse than the median of the earlier ones (after five trials)."""
        import optuna

        known = [reported[step] for reported in self.earlier if step in reported]
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(
            direction="maximize" if self.maximize else "minimize",
            pruner=optuna.pruners.MedianPruner(),
        )
        study.add_trials(
            [optuna.create_trial(value=0.0, intermediate_values={step: v}) for v in known]
        )
        trial = study.ask()
        trial.report(value, step)
        return trial.should_prune()


class _Watched:
    """Called when an output of a node is saved; with the last of them the gate has its say."""

    def __init__(
        self, record: Callable[[str, Output | None], Any], maker: NodeAction, gate: Gate, step: int
    ) -> None:
        self.record = record
        self.maker = maker
        self.gate = gate
        self.step = step

    def __call__(self, name: str, output: Output | None) -> None:
        self.record(name, output)
        if self.maker.finished:
            self.gate.check(self.step, self.maker.outputs[self.gate.reports[self.step].dataset])
