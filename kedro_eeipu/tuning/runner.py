"""The EEIPU runner: proposes parameters, runs trials, records them, decides when to stop."""

from __future__ import annotations

import contextlib
import functools
import math
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kedro.io.core import generate_timestamp
from kedro.runner import AbstractRunner, SequentialRunner
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from kedro_eeipu.cache.store.listing import Listing
from kedro_eeipu.cache.store.size_limit import SizeLimit
from kedro_eeipu.config.loading import check_store
from kedro_eeipu.errors import ConfigurationError, StudyStopped
from kedro_eeipu.hooks import PlannedRun
from kedro_eeipu.hooks.pruning import Gate
from kedro_eeipu.hooks.run_directory import RunDirectory
from kedro_eeipu.project.project import Project
from kedro_eeipu.search import StageGraph
from kedro_eeipu.study.driver import only_driver
from kedro_eeipu.study.limits import NOT_WORTH_IT, NOTHING_NEW, Limits, not_worth_it
from kedro_eeipu.study.peers import PEERS, peer, propose
from kedro_eeipu.study.records import NodeRecord, TrialRecord
from kedro_eeipu.study.sampler import EEIPUSampler, Observation, levels
from kedro_eeipu.study.storage import LimitReached, TrialStudy, distributions
from kedro_eeipu.tuning.trial import TrialResult, node_records, run_trial

SAMPLERS = ("eeipu", *PEERS)

# Looking for trials whose driver has ended takes round trips, and it is long until one has.
_RECOVER_SECONDS = 10.0


class Listener:
    """Follows a study; each method may be overridden."""

    def study_started(self, runner: EEIPURunner) -> None:
        """The first trial is about to be proposed."""

    def trial_started(self, number: int, params: Mapping[str, Any], run: PlannedRun | None) -> None:
        """A trial runs; ``run.directory`` tells what its nodes do, unless it runs elsewhere."""

    def trial_finished(self, trial: TrialRecord) -> None:
        """A trial is recorded."""


@dataclass
class Outcome:
    """What a study has come to.

    Attributes:
        stopped: Why it ended, in words.
        trials: All its trials.
        best: The best complete one.
    """

    stopped: str
    trials: list[TrialRecord] = field(default_factory=list)
    best: TrialRecord | None = None


class EEIPURunner:
    """Runs the trials of a study one after the other.

    For each one it proposes parameter overrides from the pipeline's stage graph and what the
    cache holds, lets Kedro's own runner execute the nodes that must run, and records the value
    and what each node cost.

    Args:
        project: The project and its search.
        study: Where trials are recorded.
        limits: When to stop.
        sampler: ``eeipu`` or one of its peers.
        seed: Seed of everything random.
        runner: Kedro's runner for the nodes.
        listener: Follows the study.

    Raises:
        ConfigurationError: The limits are ``auto`` and the sampler has no model of costs.
    """

    def __init__(
        self,
        project: Project,
        study: TrialStudy,
        limits: Limits,
        *,
        sampler: str = "eeipu",
        seed: int = 0,
        runner: AbstractRunner | None = None,
        listener: Listener | None = None,
    ) -> None:
        self.project = project
        self.study = study
        if limits.auto and sampler != "eeipu":
            raise ConfigurationError(
                f"sampler {sampler} does not know what a trial is worth",
                where="--stop auto",
                remedy="Use --sampler eeipu, or --trials or --budget.",
            )
        self.limits = limits
        self.sampler = sampler
        self.seed = seed
        self.runner = runner or SequentialRunner()
        self.listener = listener or Listener()
        self._distributions = distributions(project.space)
        self._finite = all(map(levels, self._distributions.values()))
        self._records: dict[int, TrialRecord] = {}
        self._payoffs: list[float] = []
        self._nothing_new = False
        self._limit = SizeLimit(project.store, project.settings.cache.max_size)
        self._kept: frozenset[str] = frozenset()
        self._listing = Listing(project.store)
        self._made: set[str] = set()  # what the trials accounted for have stored
        self._accounted: set[int] = set()
        self._recovered = -math.inf

    @functools.cached_property
    def graph(self) -> StageGraph:
        """The stages of the pipeline."""
        return self.project.stage_graph()

    def run(self) -> Outcome:
        """Run trials until a limit is reached.

        Raises:
            StudyStopped: The same error keeps coming.
            KeyboardInterrupt: Stopped by the user; the trial in hand is recorded as interrupted,
                and the next run of the study tries its parameters again.
        """
        with only_driver(self.project.storage, self.study.name), self.project.quiet():
            check_store(self.project.store, self.project.settings)
            self.project.dry_plan()
            self._recover()
            self.listener.study_started(self)
            stopped = self._run_trials()
            return Outcome(stopped, self.study.trials(), self.study.best())

    def _run_trials(self) -> str:
        """Run trials until a limit is reached; says which."""
        while not (stopped := self._limit_reached()):
            started = time.perf_counter()
            params = self.propose()
            if stopped := self._not_to_be_run():
                return stopped
            proposing = time.perf_counter() - started
            with contextlib.suppress(LimitReached):  # by another driver, since we looked
                self.evaluate(params, proposing)
            self._give_up_on_repeated_failure()
        return stopped

    def _not_to_be_run(self) -> str:
        """Why the last proposal ends the study and begins no trial; empty if it begins one."""
        if self._nothing_new:
            return NOTHING_NEW
        return NOT_WORTH_IT if self.limits.auto and not_worth_it(self._payoffs) else ""

    def changes(self) -> list[str]:
        """What has changed since the last trial that its value may depend on, in words."""
        trials = [t for t in self.study.trials() if t.value is not None]
        if not trials:
            return []
        words = {"code": "code", "settings": "settings in eeipu.yml"}
        found = []
        for node in trials[-1].nodes:
            now = self.project.fixed_parts.get(node.name, {})
            changed = [p for p, token in now.items() if node.parts.get(p, token) != token]
            found += [f"{words.get(p, p)} of {node.name}" for p in changed]
        return found

    def spent(self) -> float:
        """Seconds of node time of all trials so far."""
        return sum(t.cost for t in self.study.trials())

    def _limit_reached(self) -> str:
        if self.study.shared and time.monotonic() - self._recovered > _RECOVER_SECONDS:
            self._recover()
        return self.limits.reached(self.study.trials())

    def evaluate(self, params: Mapping[str, Any], proposing: float = 0.0) -> TrialRecord:
        """Run one trial with these values and record it.

        Args:
            params: Values by dotted path, of the active parameters.
            proposing: Seconds that choosing them took.

        Raises:
            ConfigurationError: The objective is not there or not a number; recorded as failed.
            KeyboardInterrupt: Recorded as interrupted.
        """
        number, run_id = self._begin(params, proposing)
        run = self.project.new_run(run_id, self._meta(number), self._gate())
        self.listener.trial_started(number, params, run)
        return self._finish(number, run_trial(self.project, run, params, self.runner))

    def _meta(self, number: int) -> dict[str, Any]:
        """What new records in the cache say of the trial that made them."""
        return {"study": self.study.name, "trial": number}

    def _gate(self) -> Gate | None:
        """What ends a trial early, if trials report anything on the way."""
        reports = self.project.space.reports
        return Gate(reports, self.study.reported(), self.study.maximize) if reports else None

    def _begin(self, params: Mapping[str, Any], proposing: float) -> tuple[int, str]:
        """Record that a trial begins; its number and the id of its run."""
        # Several drivers may begin trials of one study in the same millisecond.
        run_id = f"{generate_timestamp()}-{uuid.uuid4().hex[:8]}"
        attributes = {
            "sampler": self.sampler,
            "proposing": round(proposing, 4),
            "env": self.project.env,
            "runtime_params": self.project.runtime_params,
        }
        most = self.limits.trials
        return self.study.begin(params, self._distributions, run_id, attributes, most), run_id

    def _finish(self, number: int, result: TrialResult) -> TrialRecord:
        """Record how a trial ended, and raise what ends the study."""
        record = self.study.finish(
            number,
            result.value,
            result.nodes,
            error=result.error,
            interrupted=result.interrupted,
            pruned=result.pruned,
            reported=result.reported,
        )
        if result.stop is not None:
            raise result.stop
        self._records[number] = record
        self._limit.written(sum(size for n in record.nodes if n.made for _, size in n.outputs))
        self.listener.trial_finished(record)
        return record

    def propose(self) -> dict[str, Any]:
        """Values for the next trial: an interrupted one's again, the defaults, or the sampler's."""
        trials = self.study.trials()
        self._nothing_new = False
        retried = self._interrupted(trials)
        if retried is not None:
            return retried
        if not trials:
            return self.project.space.defaults()
        chosen = self._chosen_sampler(len(trials))
        params = propose(chosen, self.study.frozen(), self.study.direction, self.project.space)
        if isinstance(chosen, EEIPUSampler) and chosen.last_proposal is not None:
            self._payoffs.append(chosen.last_proposal.info.get("payoff", math.inf))
            self._nothing_new = self._exhausted(params, trials)
        return params

    def _exhausted(self, proposed: Mapping[str, Any], trials: Sequence[TrialRecord]) -> bool:
        """Whether EEIPU proposes a repetition, which it does when a finite space has nothing else.

        It may tell something new where trials are of code that has changed since.
        """
        known = [t for t in trials if t.state != "running" and not t.interrupted]
        if not self._finite or all(t.params != proposed for t in known):
            return False
        current = [t.params for t in known if not self._of_other_code(t)]
        return all(t.params in current for t in known)

    def _of_other_code(self, trial: TrialRecord) -> bool:
        """Whether the code, the settings or the fixed inputs of a node that it ran have changed."""
        return any(self._outdated(n) for n in trial.nodes if n.parts)

    def _chosen_sampler(self, number: int) -> BaseSampler:
        """The sampler that is asked for the trial of this number."""
        return self._eeipu() if self.sampler == "eeipu" else peer(self.sampler, self.seed, number)

    def _eeipu(self) -> EEIPUSampler:
        """The EEIPU sampler, told what the cache holds now."""
        for trial in self.study.trials():
            if trial.state != "running" and trial.number not in self._accounted:
                self._accounted.add(trial.number)
                self._made.update(d for n in trial.nodes if n.made for d, _ in n.outputs)
        self._kept = self._listing.digests(self._made)
        return EEIPUSampler(
            self.project.space,
            self.graph,
            seed=self.seed,
            observe=self._observe,
        )

    def _interrupted(self, trials: Sequence[TrialRecord]) -> dict[str, Any] | None:
        """Parameters of the first interrupted trial that no later one has tried again."""
        for trial in trials:
            params = dict(trial.params)
            if not trial.interrupted or any(t.params == params for t in trials[trial.number + 1 :]):
                continue
            active = {r.path: r for r in self.project.space.active(params)}
            if active.keys() == params.keys() and all(
                active[path].contains(value) for path, value in params.items()
            ):
                return params
        return None

    def _observe(self, trial: FrozenTrial) -> Observation:
        record = self._records.get(trial.number)
        if record is None:
            record = self._records[trial.number] = self.study.known(trial)
        return self.observation(record, self._kept)

    def observation(self, trial: TrialRecord, kept: frozenset[str]) -> Observation:
        """What a trial says of today's stages: their costs, and which can be served from it.

        Args:
            trial: A finished trial.
            kept: Digests of what the cache holds.
        """
        nodes = {n.name: n for n in trial.nodes}
        costs, loads, available = {}, {}, set()
        for s, stage in enumerate(self.graph):
            found = [nodes[name] for name in stage.nodes if name in nodes]
            if len(found) < len(stage.nodes):
                continue
            if all(n.status == "ran" for n in found):
                costs[s] = sum(n.seconds for n in found)
            if all(n.status == "reused" for n in found):
                loads[s] = sum(n.load for n in found)
            if stage.cacheable and all(self._servable(n, kept) for n in found):
                available.add(s)
        # What failed by code that has changed since, or could not end, is no bad configuration.
        stopped = trial.interrupted or self._of_other_code(trial)
        return Observation(costs, loads, frozenset(available), self.overhead(trial), stopped)

    def overhead(self, trial: TrialRecord) -> float:
        """Seconds that a trial took besides its nodes, so that one that runs little is not free."""
        return trial.overhead

    def _servable(self, node: NodeRecord, kept: frozenset[str]) -> bool:
        """Whether a trial with the same tuned parameters would be served what this one made."""
        if node.status not in ("ran", "reused") or not node.outputs or self._outdated(node):
            return False
        return all(digest in kept for digest, _ in node.outputs)

    def _outdated(self, node: NodeRecord) -> bool:
        """Whether the code, the settings or the fixed inputs of a node have changed since."""
        now = self.project.fixed_parts.get(node.name, {})
        return any(node.parts.get(name) != part for name, part in now.items())

    def _recover(self) -> None:
        """Record as interrupted what a process that ended left running; its costs are kept."""
        self._recovered = time.monotonic()
        for orphan in self.study.orphans():
            self.study.finish(
                orphan.number,
                None,
                self._left_behind(orphan.run_id),
                error="interrupted: its process ended",
                interrupted=True,
            )

    def _left_behind(self, run_id: str) -> list[NodeRecord]:
        """The nodes that a killed trial had finished, where its process noted them here."""
        path = self.project.home / "runs" / run_id
        if not path.is_dir():
            return []
        directory = RunDirectory(path)
        found = {node.name: node for node in node_records(directory)}
        directory.remove()
        return [found[n.name] for n in self.project.pipeline.nodes if n.name in found]

    def _give_up_on_repeated_failure(self) -> None:
        last = [t for t in self.study.trials() if t.state != "running"][-self.limits.failures :]
        if len(last) < self.limits.failures or any(t.state != "failed" for t in last):
            return
        if len({t.error for t in last}) == 1:
            raise StudyStopped(
                f"{self.limits.failures} trials in a row failed alike: {last[-1].error}\n"
                "Mend it and run the same command again; what ran is kept."
            )
