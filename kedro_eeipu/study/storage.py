"""Trials, stage costs and reuse in Optuna's storage."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from kedro_eeipu import processes
from kedro_eeipu.study import audit as audits
from kedro_eeipu.study.confirmation import Confirmation, attribute_of
from kedro_eeipu.study.database_wait import StudyFile
from kedro_eeipu.study.driver import beginning_alone, driver_ended
from kedro_eeipu.study.frozen import record_of
from kedro_eeipu.study.heartbeat import Heartbeat
from kedro_eeipu.study.holdout import HeldOut, holdout_attribute
from kedro_eeipu.study.kept_states import KeptStates
from kedro_eeipu.study.limits import counted_trials
from kedro_eeipu.study.pipeline_state import Comparison, PipelineState
from kedro_eeipu.study.records import NodeRecord, TrialRecord, with_confirmations

__all__ = ["LimitReached", "TrialStudy"]

_BUILDS_ON = "eeipu:from"


class LimitReached(Exception):
    """The study has as many trials as it may have."""


class TrialStudy:
    """A study of this plugin inside an Optuna storage.

    Args:
        study: The Optuna study.
        shared: Whether other drivers, on other machines, may run trials of it at the same time.
        file: Its file, if it has one.

    Raises:
        StudyStopped: By all methods that ask the storage: the file was deleted or replaced.
    """

    def __init__(
        self, study: optuna.Study, shared: bool = False, file: StudyFile | None = None
    ) -> None:
        self.optuna = study
        self._file = file or StudyFile(None)
        self.shared = shared
        self._heartbeat = Heartbeat(study._storage) if shared else None
        self._running: dict[int, FrozenTrial] = {}
        self._finished: dict[int, TrialRecord] = {}
        self._reading = False
        self._read: list[FrozenTrial] | None = None
        self._current: list[TrialRecord] | None = None  # of what was read, where it was asked for
        self.states = KeptStates(study, self._file)
        self._comparison: Comparison | None = None
        self._refuted: frozenset[int] = frozenset()

    @property
    def name(self) -> str:
        """The study's name."""
        return self.optuna.study_name

    @property
    def direction(self) -> StudyDirection:
        """Whether larger or smaller values are better."""
        return self.optuna.direction

    @property
    def maximize(self) -> bool:
        """Whether larger values are better."""
        return self.direction == StudyDirection.MAXIMIZE

    @contextmanager
    def one_reading(self) -> Iterator[None]:
        """Inside, the storage is asked for the trials once, and again after what we write.

        A driver decides several things from them, and each reading takes many round trips.
        """
        self._forget()
        self._reading = True
        try:
            yield
        finally:
            self._forget()
            self._reading = False

    def _forget(self) -> None:
        """Have the storage asked again."""
        self._read = self._current = None

    def frozen(self) -> list[FrozenTrial]:
        """All trials as Optuna has them, by number."""
        if self._read is not None:
            return self._read
        trials = self._file.use(lambda: self.optuna.get_trials(deepcopy=False))
        self._read = trials if self._reading else None
        return trials

    def compare_with(self, now: PipelineState, unknown: Sequence[str] = ()) -> None:
        """Tell the trials of the pipeline's present state from the others; until then all count.

        Args:
            now: The present state.
            unknown: Paths of parameters whose present values are not known.
        """
        self._current = None
        self._comparison = Comparison(now, self.states.all, unknown)
        self._refuted = audits.refuted_trials(self._file.use(lambda: self.optuna.user_attrs))

    def changes(self, trial: TrialRecord) -> tuple[str, ...]:
        """What has changed since a trial that its value depends on; empty if nothing has."""
        changes = () if self._comparison is None else self._comparison.changes(trial)
        return changes or ((audits.REFUTED,) if trial.number in self._refuted else ())

    def changed_parameters(self, trial: TrialRecord) -> list[str]:
        """Paths of the parameters among these changes."""
        return [] if self._comparison is None else self._comparison.changed_parameters(trial)

    def current(self) -> list[TrialRecord]:
        """The trials of the pipeline's present state, by number."""
        if self._current is None or self._read is None:
            self._current = [t for t in self.trials() if not self.changes(t)]
        return list(self._current)

    def former(self) -> list[TrialRecord]:
        """The trials of the latest other state, by number."""
        others = [t for t in self.trials() if self.changes(t)]
        return [t for t in others if t.pipeline_state == others[-1].pipeline_state]

    def builds_on(self) -> list[str]:
        """The other studies that it was begun from."""
        return list(self._file.use(lambda: self.optuna.user_attrs).get(_BUILDS_ON, []))

    def build_on(self, studies: Sequence[str]) -> None:
        """Keep from which other studies it was begun."""
        names = list(dict.fromkeys(studies))
        if names != self.builds_on():
            self._file.use(lambda: self.optuna.set_user_attr(_BUILDS_ON, names))

    def begin(
        self,
        params: Mapping[str, Any],
        distributions: Mapping[str, BaseDistribution],
        run_id: str,
        attributes: Mapping[str, Any],
        most: int | None = None,
    ) -> int:
        """Record that a trial runs, in one transaction; returns its number.

        Args:
            params: Values by dotted path.
            distributions: Of all parameters, by path.
            run_id: Kedro's id of the run.
            attributes: What else is noted of it.
            most: Number of trials of the present state, running ones counted in, that the study
                may have.

        Raises:
            LimitReached: Other drivers have begun the last ones since we read the study.
        """
        with beginning_alone(self.optuna) if self.shared and most is not None else nullcontext():
            self._forget()
            if self.shared and most is not None and counted_trials(self.current()) >= most:
                raise LimitReached
            return self._begin(params, distributions, run_id, attributes)

    def _begin(
        self,
        params: Mapping[str, Any],
        distributions: Mapping[str, BaseDistribution],
        run_id: str,
        attributes: Mapping[str, Any],
    ) -> int:
        template = create_trial(
            state=TrialState.RUNNING,
            params=dict(params),
            distributions={path: distributions[path] for path in params},
            # As one, for each attribute of its own costs the storage another millisecond.
            user_attrs={
                "run": {
                    "id": run_id,
                    "host": socket.gethostname(),
                    "machine": processes.machine(),
                    "pid": os.getpid(),
                    **attributes,
                }
            },
        )
        # What `Study.add_trial` does, which does not tell the number.
        storage = self.optuna._storage
        self._forget()
        study_id = self.optuna._study_id
        trial_id = self._file.use(lambda: storage.create_new_trial(study_id, template))
        running = self._file.use(lambda: storage.get_trial(trial_id))
        self._running[running.number] = running
        if self._heartbeat is not None:
            self._heartbeat.begin(trial_id)
        return running.number

    def finish(
        self,
        number: int,
        value: float | None,
        nodes: Sequence[NodeRecord],
        *,
        error: str | None = None,
        interrupted: bool = False,
        pruned: bool = False,
        reported: Mapping[int, float] | None = None,
    ) -> TrialRecord:
        """Record how a trial ended: complete with a value, else pruned or failed with a reason."""
        self._forget()
        # Through the storage: `optuna.Trial` asks the study's sampler for parameters when it is
        # made, and `Study.tell` reads the trial three times.
        storage = self.optuna._storage
        running = self._running.pop(number, None)
        running = running or self.frozen()[number]
        trial_id = running._trial_id
        attributes: dict[str, Any] = {
            "nodes": json.dumps([n.to_json() for n in nodes]),
            "cost": round(sum(n.seconds for n in nodes), 6),
            "saved": round(sum(n.saved for n in nodes), 6),
        }
        if error:
            attributes["error"] = error
        if interrupted:
            attributes["interrupted"] = True

        def record() -> None:
            for key, content in attributes.items():
                storage.set_trial_user_attr(trial_id, key, content)
            for step, early in (reported or {}).items():
                storage.set_trial_intermediate_value(trial_id, step, early)
            if value is None:
                state = TrialState.PRUNED if pruned else TrialState.FAIL
                storage.set_trial_state_values(trial_id, state)
            else:
                storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [value])

        try:
            self._file.use(record)
        except UpdateFinishedTrialError:
            # Another driver has closed it, taking its own for dead: what it recorded stands.
            return record_of(storage.get_trial(trial_id))
        finally:
            if self._heartbeat is not None:
                self._heartbeat.end(trial_id)
        return replace(
            record_of(running),
            state="pruned" if pruned else "failed" if value is None else "complete",
            value=value,
            nodes=tuple(nodes),
            error=error,
            interrupted=interrupted,
            reported=dict(reported or {}),
            finished=time.time(),
        )

    def trials(self) -> list[TrialRecord]:
        """All trials, by number."""
        return [self.record(t) for t in self.frozen()]

    def confirmed(self, trials: Sequence[TrialRecord]) -> Sequence[TrialRecord]:
        """These trials, with the results when they or what they reused ran once more."""
        return with_confirmations(trials, self._notes())

    def confirm(self, number: int, result: Confirmation) -> None:
        """Record the result when a trial ran once more."""
        self._note(attribute_of(number), result.to_json())

    def audited(self, number: int, audit: audits.Audit) -> None:
        """Record what was checked of what a trial reused, beside what was checked before."""
        earlier = audits.audit_in(self._notes(), number) or audits.Audit()
        value = earlier.with_more(audit).to_json()
        self._note(audits.audit_attribute(number), value)
        self._current = None
        self._refuted |= {number} if value["refuted"] else frozenset()

    def audited_seconds(self) -> float:
        """Seconds that audits took so far."""
        return audits.audited_seconds(self._notes())

    def hold_out(self, number: int, result: HeldOut) -> None:
        """Record what a trial came to on held out data."""
        self._note(holdout_attribute(number), result.to_json())

    def _notes(self) -> dict[str, Any]:
        return self._file.use(lambda: self.optuna.user_attrs)

    def _note(self, name: str, value: dict[str, Any]) -> None:
        self._file.use(lambda: self.optuna.set_user_attr(name, value))

    def best(self, *, any_state: bool = False) -> TrialRecord | None:
        """The complete trial with the best value, the earliest of equals.

        Args:
            any_state: Whether trials of other states of the pipeline count, too.
        """
        return self.best_of(self.trials() if any_state else self.current())

    def best_of(self, trials: Iterable[TrialRecord]) -> TrialRecord | None:
        """The best of some trials of the study."""
        complete = [t for t in trials if t.value is not None]
        sign = -1 if self.maximize else 1
        return min(complete, key=lambda t: (sign * (t.value or 0.0), t.number), default=None)

    def record(self, trial: FrozenTrial) -> TrialRecord:
        """The record of a trial; that of a finished one never changes."""
        if trial.number not in self._finished:
            record = record_of(trial)
            if not trial.state.is_finished():
                return record
            self._finished[trial.number] = record
        return self._finished[trial.number]

    def orphans(self) -> list[TrialRecord]:
        """Running trials whose driver has ended, on this machine or elsewhere."""
        stale = self._heartbeat.stale(self.optuna._study_id) if self._heartbeat else set()
        return [
            record_of(t)
            for t in self.frozen()
            if t.state == TrialState.RUNNING
            and t.number not in self._running
            and (t._trial_id in stale or driver_ended(t))
        ]
