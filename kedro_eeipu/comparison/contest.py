"""The comparison itself: for every sampler and seed a study, taking turns trial by trial."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path
from statistics import mean
from typing import Any

from kedro.runner import AbstractRunner, SequentialRunner
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from kedro_eeipu.cache.store.store import Blob, CacheMiss, Store
from kedro_eeipu.comparison.account import charge, paid_for, price
from kedro_eeipu.comparison.results import Run, run_of
from kedro_eeipu.comparison.sampler_choice import check_samplers, next_sampler
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.project.project import Project
from kedro_eeipu.study.driver import only_driver
from kedro_eeipu.study.limits import Limits, pruned_at_once, repeats
from kedro_eeipu.study.opening import open_study
from kedro_eeipu.study.records import NodeRecord, TrialRecord
from kedro_eeipu.study.sampler_names import EEIPU
from kedro_eeipu.study.storage import TrialStudy
from kedro_eeipu.tuning.observing import Observer
from kedro_eeipu.tuning.proposing import Proposer
from kedro_eeipu.tuning.runner import EEIPURunner
from kedro_eeipu.wording import counted, duration

__all__ = ["Comparison", "Contestant", "optimizer_digest"]

REPLAYED = (
    "To save time each node execution ran only once; every sampler that needs its result is "
    "charged its recorded seconds."
)
MEASURED = "Every sampler has run all its node executions itself."


@functools.cache
def optimizer_digest() -> str:
    """Digest of the optimizer's code: runs of two versions of it are not comparable."""
    content = hashlib.sha256()
    for file in sorted((Path(__file__).parents[1] / "optimizer").glob("*.py")):
        content.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return content.hexdigest()[:12]


@dataclass(frozen=True)
class Entry:
    """One sampler with one seed.

    Attributes:
        sampler: One of `SAMPLERS`.
        seed: Its seed.
        cached: Whether it pays only for what it has not computed before.
    """

    sampler: str
    seed: int
    cached: bool = True


@dataclass
class Comparison:
    """Runs every sampler with every seed on one pipeline.

    Samplers take turns, so that whatever else the machine does is shared by all of them.

    Attributes:
        project: The project and its search.
        samplers: Names, the first is compared with the others.
        seeds: The seeds.
        budget: Node time after the warm-up, for every sampler and seed: seconds, or, if
            ``in_trials``, as much as so many trials take that reuse nothing, by the mean of those
            of the warm-up.
        in_trials: What the budget is stated in.
        uncached: Samplers that pay for every node of every trial.
        measure: Whether each sampler computes everything itself; otherwise a computation is done
            once and its recorded seconds are charged to every sampler that needs it.
        from_scratch: Whether only the first trial is common, that of the project's own values, and
            each sampler then begins as it does alone. The budget counts from the first trial, and
            a cold trial is that one.
        clock: What a node costs: its ``wall`` or its ``cpu`` time.
        runner: Kedro's runner for the nodes.
        folder: Where studies and caches are kept, by default in the project's ``.eeipu``. Two
            processes can compare at once if each has a folder of its own.
        after_trial: Called after each trial with its contestant.

    Raises:
        ConfigurationError: A sampler is unknown, or named without need.
    """

    project: Project
    samplers: Sequence[str]
    seeds: Sequence[int]
    budget: float
    in_trials: bool = False
    uncached: Sequence[str] = ()
    measure: bool = False
    from_scratch: bool = False
    clock: str = "wall"
    runner: AbstractRunner = field(default_factory=SequentialRunner)
    folder: Path | None = None
    after_trial: Callable[[Contestant], None] = lambda contestant: None

    def __post_init__(self) -> None:
        check_samplers(self.samplers, self.uncached)

    @property
    def home(self) -> Path:
        """Where comparisons keep their studies and caches."""
        return self.folder or self.project.home / "compare"

    @property
    def storage(self) -> str:
        """Database URL of their studies."""
        return f"sqlite:///{self.home / 'studies.db'}"

    @property
    def warmup(self) -> int:
        """Number of trials that all samplers with the same seed have in common."""
        if self.from_scratch:
            return 1
        from kedro_eeipu.optimizer.warmup import warmup_trials

        return warmup_trials(len(self.project.space))

    def about(self) -> dict[str, Any]:
        """What is compared, and how, in the words of the JSON document."""
        name, objective = self.project.pipeline_name, self.project.space.objective
        return {
            "pipeline": "default" if name == "__default__" else name,
            "objective": str(objective),
            "direction": objective.direction,
            "budget": (
                counted(self.budget, "cold trial") if self.in_trials else duration(self.budget)
            ),
            "warmup_trials": self.warmup,
            "from_scratch": self.from_scratch,
            "seeds": len(self.seeds),
            "clock": self.clock,
            "costs": MEASURED if self.measure else REPLAYED,
            "optimizer": optimizer_digest(),
        }

    def entries(self) -> list[Entry]:
        """All samplers with all seeds, seed by seed."""
        return [
            Entry(sampler, seed, sampler not in self.uncached)
            for seed in self.seeds
            for sampler in dict.fromkeys(self.samplers)
        ]

    def run(self) -> list[Run]:
        """Run until every budget is used up; what an earlier call has finished is not repeated.

        Raises:
            StudyStopped: Too many trials have failed.
            KeyboardInterrupt: The running trial is recorded as interrupted; call again to continue.
        """
        with only_driver(self.storage, "comparison"), self.project.quiet():
            contestants = self.contestants()
            for seed in self.seeds:
                running = [c for c in contestants if c.entry.seed == seed]
                for contestant in running:
                    contestant.resume()
                while running:
                    running = [c for c in running if self._turn(c)]
        return [c.result() for c in contestants]

    def _turn(self, contestant: Contestant) -> bool:
        """One trial; whether there was budget for it."""
        if contestant.over():
            return False
        contestant.trial()
        self.after_trial(contestant)
        return True

    def contestants(self) -> list[Contestant]:
        """One for each entry, with its study opened."""
        self.project.dry_plan()
        loads: dict[str, float] = {}
        contestants = []
        for entry in self.entries():
            name = self._study_name(entry)
            root = self.home / (f"measured/{name}" if self.measure else f"cache-{self.clock}")
            project = replace(self.project, store=Store(str(root)))
            study = open_study(self.storage, name, project.space, create=True)
            contestants.append(Contestant(project, study, entry, self, loads))
        return contestants

    def _study_name(self, entry: Entry) -> str:
        """Of a study that continues only while everything that its trials depend on is the same."""
        depends = {
            "pipeline": self.project.pipeline_name,
            "space": [repr(r) for r in self.project.space],
            "objective": repr(self.project.space.objective),
            "budget": [self.budget, self.in_trials],
            "measure": self.measure,
            "clock": self.clock,
            "runtime_params": self.project.runtime_params,
            "nodes": self.project.fixed_parts,
            "optimizer": optimizer_digest(),
        }
        if self.from_scratch:
            depends["from_scratch"] = True
        digest = hashlib.sha256(json.dumps(depends, sort_keys=True, default=str).encode())
        cache = "" if entry.cached else "-no-cache"
        pipeline = self.project.pipeline_name.strip("_")
        return f"{pipeline}-{entry.sampler}{cache}-{entry.seed}-{digest.hexdigest()[:8]}"


class Contestant:
    """One sampler with one seed: a runner whose trials start from the common warm-up.

    Args:
        project: The project, with the cache that the contestant is to use.
        study: Its study.
        entry: The sampler and its seed.
        comparison: What it takes part in.
        loads: Seconds of loading a blob, by digest, shared by all contestants.
    """

    def __init__(
        self,
        project: Project,
        study: TrialStudy,
        entry: Entry,
        comparison: Comparison,
        loads: dict[str, float],
    ) -> None:
        self.project = project
        self.study = study
        self.entry = entry
        self.comparison = comparison
        self.warmup = comparison.warmup
        self._limits = Limits(budget=comparison.budget)  # when it is reached, `over` says
        # Where nodes are replayed, how long a trial took says nothing.
        overhead = attrgetter("overhead" if comparison.measure else "proposing")
        self._proposer = Proposer(
            project,
            study,
            Observer(project, overhead),
            sampler=entry.sampler,
            seed=entry.seed,
            choose=self._sampler,
        )
        self._runner = EEIPURunner(
            project,
            study,
            self._limits,
            runner=comparison.runner,
            proposer=self._proposer,
            meta={"clock": comparison.clock},
            charge=tuple if comparison.measure else self._charge,
            audit=None,
        )
        self._loads = loads
        self._clock = time.process_time if comparison.clock == "cpu" else time.perf_counter
        self._consumers = {
            node.name: {n.name for n in project.pipeline.nodes if set(n.inputs) & set(node.outputs)}
            for node in project.pipeline.nodes
        }

    def resume(self) -> None:
        """Record as interrupted what an earlier process has left running."""
        self._runner.recover()

    def trials(self) -> list[TrialRecord]:
        """The trials that count: an interrupted one is made again, and paid for then."""
        return [t for t in self.study.trials() if not t.interrupted]

    @property
    def budget(self) -> float:
        """Seconds of node time, after the warm-up if that is common; infinite during it.

        Raises:
            ConfigurationError: It is stated in trials of the project's own values, which fail.
        """
        if not self.comparison.in_trials:
            return self.comparison.budget
        first = self.trials()[: self.warmup]
        if len(first) < self.warmup:
            return math.inf
        if self.comparison.from_scratch and first[0].value is None:
            raise ConfigurationError(
                "the trial of the project's own values failed, so nothing says how long a cold "
                f"trial takes: {first[0].error}",
                where="--budget",
                remedy="Give a duration such as 10min, or make that trial pass.",
            )
        return self.comparison.budget * max(mean(t.cost + t.saved for t in first), 1e-9)

    def left(self) -> float:
        """Share of the budget that is left; negative when the last trial has overrun it."""
        free = 0 if self.comparison.from_scratch else self.warmup
        return 1 - sum(map(price, self.trials()[free:])) / self.budget

    def over(self) -> bool:
        """Whether nothing is left to spend, or nothing to spend it on."""
        trials, most = self.trials(), self._limits.repeats
        return self.left() < 0 or repeats(trials, most) or pruned_at_once(trials, most)

    def trial(self) -> TrialRecord:
        """Propose, run and record one trial.

        Raises:
            StudyStopped: The same error keeps coming.
        """
        if self.comparison.measure and not self.entry.cached:
            shutil.rmtree(self.project.store.root, ignore_errors=True)
        started = self._clock()
        params = self._proposer.propose().params
        record = self._runner.evaluate(params, self._clock() - started)
        self._runner.check_failures()
        return record

    def result(self) -> Run:
        """Its trials so far, summed up."""
        return run_of(
            self.entry.sampler,
            self.entry.seed,
            self.entry.cached,
            self.trials(),
            warmup=self.warmup,
            from_scratch=self.comparison.from_scratch,
            budget=self.budget,
            maximize=self.study.maximize,
            finished=self.over(),
        )

    def _sampler(self, _: int) -> BaseSampler:
        """The sampler for the next trial: for the warm-up the same for all contestants."""
        # Counted without interrupted trials, so that a comparison continues as it would have.
        number = len(self.trials())
        name, seed, space = self.entry.sampler, self.entry.seed, self.project.space
        if number < self.warmup or name == EEIPU:
            return self._proposer.eeipu()
        left = max(0.0, self.left())
        return next_sampler(name, space, seed, number, self._price, left)

    def _charge(self, nodes: Sequence[NodeRecord]) -> Sequence[NodeRecord]:
        """What this contestant owes for the nodes of a trial, whoever has computed them."""
        paid = paid_for(self.study.trials()) if self.entry.cached else set()
        return charge(nodes, paid, self._consumers, self._load_seconds)

    def _price(self, trial: FrozenTrial) -> float:
        return price(self.study.trials()[trial.number])

    def _load_seconds(self, node: NodeRecord) -> float:
        if node.has_recipes:
            return node.seconds or node.saved
        return sum(self._load(digest, size) for digest, size in node.outputs)

    def _load(self, digest: str, size: int) -> float:
        """Seconds of reading a blob from the cache, measured once, by the clock of the nodes."""
        if digest not in self._loads:
            started = self._clock()
            try:
                self.project.store.load(Blob(digest, size, 0.0))
            except CacheMiss:
                return 0.0
            self._loads[digest] = self._clock() - started
        return self._loads[digest]
