"""The loop of a study: propose parameters, run a trial, record it, until a limit is reached."""

from __future__ import annotations

import contextlib
import math
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from kedro.io.core import generate_timestamp
from kedro.runner import AbstractRunner, SequentialRunner

from kedro_eeipu.cache.store.size_limit import SizeLimit
from kedro_eeipu.errors import ConfigurationError, ObjectiveError, StudyStopped
from kedro_eeipu.hooks.mlflow import MlflowRun
from kedro_eeipu.hooks.pruning import Gate
from kedro_eeipu.hooks.run_directory import RunDirectory
from kedro_eeipu.project.project import Project
from kedro_eeipu.study.curves import thresholds_of_nodes, thresholds_of_reports
from kedro_eeipu.study.driver import only_driver
from kedro_eeipu.study.encoding import distributions
from kedro_eeipu.study.limits import NOT_WORTH_IT, NOTHING_NEW, Limits, not_worth_it
from kedro_eeipu.study.records import NodeRecord, TrialRecord
from kedro_eeipu.study.sampler_names import EEIPU
from kedro_eeipu.study.storage import LimitReached, TrialStudy
from kedro_eeipu.tuning.auditing import Auditor
from kedro_eeipu.tuning.earlier import Earlier
from kedro_eeipu.tuning.listener import Listener
from kedro_eeipu.tuning.mlflow_runs import (
    check_mlflow,
    close_lost_run,
    experiment_of,
    tag_best,
)
from kedro_eeipu.tuning.observing import Observer
from kedro_eeipu.tuning.proposing import Proposed, Proposer
from kedro_eeipu.tuning.trial import TrialResult, node_records, run_trial
from kedro_eeipu.wording import counted

__all__ = ["EEIPURunner", "Outcome"]

# Looking for trials whose process has ended takes round trips, and it is long until one has.
_RECOVER_SECONDS = 10.0


@dataclass
class Outcome:
    """The result of a study.

    Attributes:
        stopped: Why it ended, in words.
        trials: Its trials of the pipeline's present state.
        best: The best complete one of them.
        others: Number of its trials of other states.
        audited: Seconds that audits of the study took.
    """

    stopped: str
    trials: list[TrialRecord] = field(default_factory=list)
    best: TrialRecord | None = None
    others: int = 0
    audited: float = 0.0


class EEIPURunner:
    """Runs the trials of a study one after the other.

    For each one it takes parameters from its proposer, lets Kedro's own runner execute the nodes
    that the cache cannot serve, and records the value and what each node cost.

    Args:
        project: The project and its search.
        study: Where trials are recorded.
        limits: When to stop.
        sampler: ``eeipu`` or one of its peers.
        seed: Seed of everything random.
        runner: Kedro's runner for the nodes.
        listener: Follows the study.
        proposer: Proposes the trials' parameters; by default by `sampler` and `seed`.
        meta: What new records in the cache say about a run, besides its study and trial.
        charge: What is recorded of a trial's nodes, given what happened to them; by default that.
        audit: What audits are made with, as `Auditor` takes it; ``None`` for no audits.
        own: Values that the user wants to be tried, each once, whatever the limits.
        earlier: Trials of other states, ranges and studies; by default those of the study.

    Attributes:
        on_worker: Whether trials run on workers of a cluster.
        interrupted: Whether the user has asked to stop; looked at before each trial.

    Raises:
        ConfigurationError: The limits are ``auto`` and the sampler has no model of costs.
    """

    on_worker = False

    def __init__(
        self,
        project: Project,
        study: TrialStudy,
        limits: Limits,
        *,
        sampler: str = EEIPU,
        seed: int = 0,
        runner: AbstractRunner | None = None,
        listener: Listener | None = None,
        proposer: Proposer | None = None,
        meta: Mapping[str, Any] | None = None,
        charge: Callable[[Sequence[NodeRecord]], Sequence[NodeRecord]] = tuple,
        audit: Mapping[str, Any] | None = MappingProxyType({}),
        own: Sequence[Mapping[str, Any]] = (),
        earlier: Earlier | None = None,
    ) -> None:
        self.project = project
        self.study = study
        self.limits = limits
        self.runner = runner or SequentialRunner()
        self.listener = listener or Listener()
        self.proposer = proposer or Proposer(
            project, study, Observer(project), sampler=sampler, seed=seed, own=own, earlier=earlier
        )
        if limits.auto and self.proposer.sampler != EEIPU:
            raise ConfigurationError(
                f"sampler {self.proposer.sampler} does not know what a trial is worth",
                where="--stop auto",
                remedy="Use --sampler eeipu, or --trials or --budget.",
            )
        self._meta = dict(meta or {})
        self._charge = charge
        self._distributions = distributions(project.space)
        self._size_limit = SizeLimit(project.store, project.settings.cache.max_size)
        self._recovered = -math.inf
        self._edit_noticed = False
        self._contrary_noticed = False
        self._sitting = 0  # number of the first trial of this sitting
        self.interrupted: Callable[[], bool] = lambda: False
        self.auditor: Auditor | None = None
        if audit is not None and project.settings.cache.audit:
            self.auditor = Auditor(
                project,
                study,
                self.listener,
                self._plan_anew,
                on_worker=self.on_worker,
                **audit,
            )

    @property
    def observer(self) -> Observer:
        """What the trials say about today's pipeline."""
        return self.proposer.observer

    def run(self) -> Outcome:
        """Run trials until a limit is reached.

        Raises:
            StudyStopped: Too many trials have failed.
            KeyboardInterrupt: Stopped by the user; the running trial is recorded as interrupted,
                and the next run of the study tries its parameters again.
        """
        with only_driver(self.project.storage, self.study.name), self.project.quiet():
            self.project.check_store()
            check_mlflow(self.project)
            self.study.compare_with(self.project.state)
            self.recover()
            self._sitting = len(self.study.trials())
            if self.auditor is not None:
                self.auditor.begin()
            self.listener.study_started(self.study)
            try:
                stopped = self._run_trials()
            finally:
                if self.auditor is not None:
                    self.auditor.close()
                tag_best(self.project, self.study)
            trials = self.study.current()
            others = len(self.study.trials()) - len(trials)
            audited = 0.0 if self.auditor is None else self.auditor.seconds
            return Outcome(stopped, trials, self.study.best(), others, audited)

    def evaluate(
        self, params: Mapping[str, Any], proposing: float = 0.0, gate: Gate | None = None
    ) -> TrialRecord:
        """Run one trial with these values and record it.

        Args:
            params: Values by dotted path, of the active parameters.
            proposing: Seconds that choosing them took.
            gate: What ends it early; by default what the study says now.

        Raises:
            ObjectiveError: The objective is not there or not a number, and was in no other trial;
                recorded as interrupted, so that the trial is tried again from the cache.
            KeyboardInterrupt: Recorded as interrupted.
        """
        gate = gate or self._gate()
        number, run_id = self._begin(params, proposing)
        run = self.project.new_run(run_id, self._run_meta(number), gate)
        run.mlflow = self._mlflow_run(number)
        self.listener.trial_started(number, params, run)
        return self._finish(number, run_trial(self.project, run, params, self.runner))

    def recover(self) -> None:
        """Record as interrupted what a process that ended left running; its costs are kept."""
        self._recovered = time.monotonic()
        self.project.store.release_ended()
        for orphan in self.study.orphans():
            self._record_interrupted(orphan.number, orphan.run_id, "interrupted: its process ended")

    def check_failures(self) -> None:
        """End a study too many of whose trials have failed.

        Raises:
            StudyStopped: They did.
        """
        trials = self.study.current()
        sitting = [t for t in trials if t.number >= self._sitting]
        if not self.limits.failed(trials, sitting):
            return
        failed = [t for t in sitting if t.state == "failed" and not t.interrupted]
        none = "" if any(t.value is not None for t in trials) else " and none is complete"
        raise StudyStopped(
            f"{counted(len(failed), 'trial')} failed{none}. The last error: {failed[-1].error}\n"
            "Fix it and rerun the same command; finished work is kept."
        )

    def _run_trials(self) -> str:
        """Run trials until a limit is reached; says which."""
        while True:
            with self.study.one_reading():
                if reason := self._limit_reached():
                    return reason
                started = time.perf_counter()
                proposed = self.proposer.propose()
                if reason := self._not_to_be_run(proposed):
                    return reason
                proposing = time.perf_counter() - started
                gate = self._gate()
            self.listener.proposed(proposed.why)
            with contextlib.suppress(LimitReached):  # another process began the last trial first
                self.evaluate(proposed.params, proposing, gate)
            self.check_failures()
            if self.auditor is not None:
                self.auditor.work(wait=True)

    def _limit_reached(self) -> str:
        """Which limit the study has reached, in words; empty for none.

        Raises:
            KeyboardInterrupt: The user has asked to stop.
        """
        if self.interrupted():
            raise KeyboardInterrupt
        if self.study.shared and time.monotonic() - self._recovered > _RECOVER_SECONDS:
            self.recover()
        audited = 0.0 if self.auditor is None else self.auditor.seconds
        trials = self.study.current()
        # Values that the user has asked for by name are tried whatever the limits.
        return "" if self.proposer.untried(trials) else self.limits.reached(trials, audited)

    def _not_to_be_run(self, proposed: Proposed) -> str:
        """Why a proposal ends the study instead of beginning a trial; empty if it does not."""
        if proposed.exhausted:
            return NOTHING_NEW
        return NOT_WORTH_IT if self.limits.auto and not_worth_it(self.proposer.payoffs) else ""

    def _run_meta(self, number: int) -> dict[str, Any]:
        """What new records in the cache say about the trial that made them."""
        return {"study": self.study.name, "trial": number, **self._meta}

    def _mlflow_run(self, number: int) -> MlflowRun:
        """What MLflow is told about the trial."""
        return MlflowRun(
            self.study.name,
            number,
            self.project.state.digest,
            experiment=experiment_of(self.project),
        )

    def _gate(self) -> Gate:
        """What ends a trial early, by what it reports on the way."""
        reports, maximize = self.project.space.reports, self.study.maximize
        trials = self.study.current()
        in_nodes, contrary = thresholds_of_nodes(trials, maximize)
        if contrary and not self._contrary_noticed:
            self._contrary_noticed = True
            self.listener.noticed(
                f"node {', '.join(contrary)} reports values that are better where the objective is "
                "worse, so no training of it is stopped. Report values of which "
                f"{'larger' if maximize else 'smaller'} ones are better, as of the objective."
            )
        between = thresholds_of_reports(trials, maximize) if reports else {}
        return Gate(reports, between, maximize, in_nodes)

    def _begin(self, params: Mapping[str, Any], proposing: float) -> tuple[int, str]:
        """Record that a trial begins; its number and the id of its run."""
        self._notice_edits()
        # Several processes may begin trials of one study in the same millisecond.
        run_id = f"{generate_timestamp()}-{uuid.uuid4().hex[:8]}"
        attributes = {
            "sampler": self.proposer.sampler,
            "proposing": round(proposing, 4),
            "env": self.project.env,
            "pipeline": self.project.pipeline_name,
            "on_worker": self.on_worker,
            "pipeline_state": self.project.state.digest,
            "runtime_params": self.project.redactor.parameters(
                self.project.runtime_params, shown=self.project.space.paths
            ),
        }
        self.study.states.keep(self.project.state)
        most = None if self.proposer.is_own(params) else self.limits.trials
        return self.study.begin(params, self._distributions, run_id, attributes, most), run_id

    def _plan_anew(self) -> None:
        """An audit has found a fault: nodes have other keys, and some trials no longer count."""
        self.project.forget_plans()
        self.observer.forget_plans()
        self.study.compare_with(self.project.state)
        self.listener.recounted(self.study)

    def _notice_edits(self) -> None:
        """Say once that configuration was edited, and from when on that counts."""
        if self._edit_noticed or not (files := self.project.edited_files):
            return
        self._edit_noticed = True
        self.listener.noticed(
            f"{', '.join(files)} was edited. Trials keep to the configuration that `tune` started "
            "with; the edit counts from the next `tune`."
        )

    def _finish(self, number: int, result: TrialResult) -> TrialRecord:
        """Record how a trial ended, and raise what ends the study."""
        if isinstance(result.stop, ObjectiveError) and self.study.best() is not None:
            # The value was there in other trials: it is the parameters that fail this one.
            result = replace(result, interrupted=False, stop=None)
        record = self.study.finish(
            number,
            result.value,
            self._charge(result.nodes),
            error=result.error,
            interrupted=result.interrupted,
            pruned=result.pruned,
            reported=result.reported,
        )
        if result.stop is not None:
            raise result.stop
        self._size_limit.written(
            sum(size for n in record.nodes if n.was_stored for _, size in n.outputs)
            + sum(n.kept for n in record.nodes)
        )
        self.listener.trial_finished(record)
        if self.auditor is not None:
            self.auditor.add(record)
        return record

    def _record_interrupted(self, number: int, run_id: str, error: str) -> None:
        """Record that a trial was interrupted, with the nodes that it had finished."""
        nodes = self._finished_nodes(run_id)
        record = self.study.finish(number, None, nodes, error=error, interrupted=True)
        close_lost_run(self.project, run_id, record.params, nodes, was_stopped=True)

    def _finished_nodes(self, run_id: str) -> list[NodeRecord]:
        """The nodes that a killed trial had finished, where its process noted them here."""
        path = self.project.home / "runs" / run_id
        if not path.is_dir():
            return []
        directory = RunDirectory(path)
        records = {node.name: node for node in node_records(directory)}
        directory.remove()
        return [records[n.name] for n in self.project.pipeline.nodes if n.name in records]
