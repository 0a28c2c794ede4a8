"""Which parameters the next trial of a study gets."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from kedro_eeipu.cache.store.listing import Listing
from kedro_eeipu.project.project import Project
from kedro_eeipu.study.curves import expected_of_stopped
from kedro_eeipu.study.peers import peer, propose
from kedro_eeipu.study.records import TrialRecord
from kedro_eeipu.study.sampler import EEIPUSampler, Observation
from kedro_eeipu.study.sampler_names import EEIPU
from kedro_eeipu.study.storage import TrialStudy
from kedro_eeipu.tuning.earlier import Earlier
from kedro_eeipu.tuning.observing import Observer

__all__ = ["Proposed", "Proposer"]


@dataclass(frozen=True)
class Proposed:
    """Parameters for the next trial.

    Attributes:
        params: Values by dotted path, of the active parameters.
        exhausted: Whether they repeat an earlier trial because a finite space has nothing else.
        why: Where they come from, in a few words; empty for a proposal of the model.
    """

    params: dict[str, Any]
    exhausted: bool = False
    why: str = ""


class Proposer:
    """Proposes the parameters of a study's next trial.

    Args:
        project: The project and its search.
        study: Its trials.
        observer: What they say about today's pipeline.
        sampler: Name of the sampler: ``eeipu`` or one of its peers.
        seed: Seed of everything random.
        choose: The sampler that is asked for the trial of a number. By default always the one
            named by `sampler`.
        own: Values that the user wants to be tried before any are proposed, each once.
        earlier: Trials of other states, ranges and studies; by default those of the study.

    Attributes:
        payoffs: What each model-based proposal so far was expected to be worth, see
            `kedro_eeipu.optimizer.Proposal`.
    """

    def __init__(
        self,
        project: Project,
        study: TrialStudy,
        observer: Observer,
        *,
        sampler: str = EEIPU,
        seed: int = 0,
        choose: Callable[[int], BaseSampler] | None = None,
        own: Sequence[Mapping[str, Any]] = (),
        earlier: Earlier | None = None,
    ) -> None:
        self.observer = observer
        self.earlier = earlier or Earlier(study, project.space)
        self.sampler = sampler
        self.payoffs: list[float] = []
        self._project = project
        self._study = study
        self._seed = seed
        self._own = [dict(values) for values in own]
        self._choose = choose or self._named_sampler
        self._finite = all(r.levels for r in project.space)
        self._listing = Listing(project.store)
        self._stored: set[str] = set()  # digests of what the trials in `_accounted` have stored
        self._accounted: set[int] = set()

    def propose(self, running: Collection[Mapping[str, Any]] = ()) -> Proposed:
        """Parameters for the next trial.

        An interrupted one's, the defaults, the user's own, the best of the pipeline before an
        edit, of other ranges and of the studies it builds on, or the sampler's.

        Args:
            running: Parameters of trials whose end is awaited.
        """
        trials = self._study.current()
        interrupted = self._interrupted(trials)
        if interrupted is not None:
            return Proposed(interrupted, why="once more")
        defaults = self._project.space.defaults()
        if not trials or self._failed_before_an_edit(defaults, trials):
            return Proposed(defaults, why="the defaults")
        untried = self.untried(trials)
        if untried:
            return Proposed(untried[0], why="your own values")
        former = self._former_best(trials)
        if former is not None:
            return Proposed(former, why="the best before the edit")
        for origin, best in self.earlier.bests():
            if all(t.params != best for t in trials):
                return Proposed(dict(best), why=f"the best {origin}")
        frozen = self._study.frozen()
        sampler = self._choose(len(frozen))
        if not isinstance(sampler, EEIPUSampler):  # which learns costs from the others
            numbers = {t.number for t in trials}
            frozen = [t for t in frozen if t.number in numbers]
        params = propose(sampler, frozen, self._study.direction, self._project.space)
        if not isinstance(sampler, EEIPUSampler) or sampler.last_proposal is None:
            return Proposed(params)
        info = sampler.last_proposal.info
        self.payoffs.append(info.get("payoff", math.inf))
        place = f" {len(trials) + 1} of {sampler.warmup}" if len(trials) < sampler.warmup else ""
        why = "" if info else f"warm-up{place}"
        return Proposed(params, self._exhausted(params, trials, running), why)

    def untried(self, trials: Sequence[TrialRecord]) -> list[dict[str, Any]]:
        """The user's own values that no trial has, running ones counted in.

        Args:
            trials: The trials of today's pipeline.
        """
        tried = [t.params for t in trials] if self._own else []
        return [values for values in self._own if values not in tried]

    def is_own(self, params: Mapping[str, Any]) -> bool:
        """Whether the user wants these values to be tried."""
        return params in self._own

    def eeipu(self) -> EEIPUSampler:
        """The EEIPU sampler, with what the cache holds now."""
        kept = self._kept()
        expected = expected_of_stopped(self._study.current(), self._study.maximize)

        def observe(trial: FrozenTrial) -> Observation:
            record = self._study.record(trial)
            if not self._study.changes(record):
                observation = self.observer.observation(record, kept)
                return replace(observation, expected=expected.get(record.number))
            changed = self._study.changed_parameters(record)
            return self.observer.observation(record, kept, changed=changed, costs_only=True)

        graph = self._project.stage_graph()
        earlier = self.earlier.all()
        return EEIPUSampler(
            self._project.space, graph, seed=self._seed, observe=observe, former=earlier
        )

    def _named_sampler(self, number: int) -> BaseSampler:
        return self.eeipu() if self.sampler == EEIPU else peer(self.sampler, self._seed, number)

    def _kept(self) -> frozenset[str]:
        """Digests of what the cache holds now."""
        for trial in self._study.trials():
            if trial.state != "running" and trial.number not in self._accounted:
                self._accounted.add(trial.number)
                self._stored.update(d for n in trial.nodes if n.was_stored for d, _ in n.outputs)
        return self._listing.digests(self._stored)

    def _interrupted(self, trials: Sequence[TrialRecord]) -> dict[str, Any] | None:
        """Parameters of the first interrupted trial that no later one has tried again."""
        for i, trial in enumerate(trials):
            if not trial.interrupted:
                continue
            params = dict(trial.params)
            if any(t.params == params for t in trials[i + 1 :]):
                continue
            if self._project.space.fits(params):
                return params
        return None

    def _former_best(self, trials: Sequence[TrialRecord]) -> dict[str, Any] | None:
        """Parameters of the best trial before an edit, if they have not been tried since."""
        best = self._study.best_of(self._study.former())
        params = {} if best is None else dict(best.params)
        if best is None or not self._project.space.fits(params):
            return None
        return None if any(t.params == params for t in trials) else params

    def _failed_before_an_edit(
        self, params: Mapping[str, Any], trials: Sequence[TrialRecord]
    ) -> bool:
        """Whether all trials with these values have failed, and of code that has changed since."""
        tried = [t for t in trials if t.params == params and not t.interrupted]
        return bool(tried) and all(
            t.state == "failed" and self.observer.of_other_code(t) for t in tried
        )

    def _exhausted(
        self,
        proposed: Mapping[str, Any],
        trials: Sequence[TrialRecord],
        running: Collection[Mapping[str, Any]],
    ) -> bool:
        """Whether EEIPU repeats a trial, which it does when a finite space has nothing else.

        The repetition is worth a run all the same where trials are of code that has changed since.
        """
        if not self._finite:
            return False
        if proposed in running:  # its value is known before long
            return True
        ended = [t for t in trials if t.state != "running" and not t.interrupted]
        if all(t.params != proposed for t in ended):
            return False
        current = [t.params for t in ended if not self.observer.of_other_code(t)]
        return all(t.params in current for t in ended)
