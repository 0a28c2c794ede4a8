"""The Optuna sampler that asks EEIPU: it translates trials to the unit cube and back."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState

from kedro_eeipu.search import SearchSpace, StageGraph
from kedro_eeipu.study.encoding import (
    dimension,
    distributions,
    from_unit,
    optimizer_stages,
    to_unit,
)
from kedro_eeipu.study.former import FormerTrials

if TYPE_CHECKING:
    from kedro_eeipu.optimizer import Optimizer, Proposal

__all__ = ["EEIPUSampler", "Observation"]

# Choosing a trial takes longer the more there are.
_LAST_OVERHEADS = 10

# System attribute of a trial: the values proposed for it, which it may take its time to suggest.
_PROPOSED = "eeipu:proposed"

# A trial that failed or was pruned still shows what its stages cost.
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@dataclass(frozen=True)
class Observation:
    """What a finished trial says about the stages, by position in the stage graph.

    Attributes:
        costs: Seconds of each stage that ran as a whole.
        loads: Seconds that reading the outputs of each reused stage took.
        available: Stages whose outputs can be served now to a trial that shares their parameters.
        overhead: Seconds that the trial took besides: choosing it, Kedro's own work, storing.
        stopped: True if a missing value is not its parameters' fault: it was interrupted, or failed
            for a reason that has been fixed.
        costs_only: True if its value says nothing of today's objective, such as after an edit.
        expected: What a trial without a value would have come to, where that is foreseen; by
            default as bad a value as any.
    """

    costs: Mapping[int, float] = field(default_factory=dict)
    loads: Mapping[int, float] = field(default_factory=dict)
    available: frozenset[int] = frozenset()
    overhead: float = 0.0
    stopped: bool = False
    costs_only: bool = False
    expected: float | None = None


class EEIPUSampler(BaseSampler):
    """Memoization-aware, cost-aware Bayesian optimisation (Essofi et al., arXiv 2411.03731).

    Works in any Optuna study whose trials tell what their stages cost.

    Args:
        space: The ranges, their conditions and defaults.
        graph: The stages, each with the parameters that reach it.
        seed: Seed of everything random.
        observe: What a finished trial says about the stages. By default its user attribute
            ``stage_costs`` is read, ``{id of the stage: seconds}`` of those that ran, and a stage
            that ran is taken to be available.
        former: Trials of related objectives, such as of an earlier study. They are used while they
            predict the study's own.

    Raises:
        ValueError: A stage has a parameter that is no range.
    """

    def __init__(
        self,
        space: SearchSpace,
        graph: StageGraph,
        *,
        seed: int = 0,
        observe: Callable[[FrozenTrial], Observation] | None = None,
        former: Sequence[FormerTrials] = (),
    ) -> None:
        for stage in graph:
            unknown = [path for path in stage.parameters if path not in space.paths]
            if unknown:
                raise ValueError(f"stage {stage.id} has parameters that are no ranges: {unknown}")
        self.space = space
        self.graph = graph
        self.seed = seed
        self.observe = observe or self._read_attribute
        self.former = tuple(former)
        self.last_proposal: Proposal | None = None
        self.warmup = 0  # trials before the first proposal of the model, once one was asked for
        self._distributions = distributions(space)
        self._independent = RandomSampler(seed=seed)
        self._asking = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "_asking"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _asking=threading.Lock())

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return dict(self._distributions)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        # Of two threads that ask at once, the second is to see the trial of the first.
        with self._asking:
            others = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
            ended = [t for t in others if t.state in _ENDED]
            strange = [set(t.params) ^ {r.path for r in self.space.active(t.params)} for t in ended]
            if strange and all(strange):
                warnings.warn(
                    f"EEIPU learns from none of {len(ended)} trials: their parameters and the "
                    f"ranges differ in {sorted(strange[0])}",
                    stacklevel=2,
                )
            values = self.propose(others, study.direction)
            study._storage.set_trial_system_attr(trial._trial_id, _PROPOSED, values)
            return values

    def propose(
        self, trials: Sequence[FrozenTrial], direction: optuna.study.StudyDirection
    ) -> dict[str, Any]:
        """Values of the active parameters for the next trial.

        Args:
            trials: All trials so far, running ones among them.
            direction: Whether larger or smaller values are better.
        """
        finished = [t for t in trials if t.state in _ENDED and self.fits(t.params)]
        observations = [self.observe(t) for t in finished]
        optimizer = self._informed(finished, observations, direction)
        running = [self._proposed(t) for t in trials if t.state == TrialState.RUNNING]
        pending = [params for params in running if self.fits(params)]
        proposal = optimizer.ask(
            overhead=median([o.overhead for o in observations[-_LAST_OVERHEADS:]] or [0.0]),
            available={i: o.available for i, o in enumerate(observations)},
            pending=[self.point(params) for params in pending],
        )
        self.last_proposal, self.warmup = proposal, optimizer.warmup
        return self._values(proposal, [*(t.params for t in finished), *pending])

    def _proposed(self, running: FrozenTrial) -> Mapping[str, Any]:
        """Parameters of a trial, also of one that has not suggested all of them yet."""
        params: Mapping[str, Any] = {**running.system_attrs.get(_PROPOSED, {}), **running.params}
        return params

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        self._independent.reseed_rng()

    def new_optimizer(self) -> Optimizer:
        """An optimizer that knows no trial of today's objective."""
        from kedro_eeipu.optimizer import Optimizer

        models = [trials.model(self.space, self.graph) for trials in self.former]
        return Optimizer(
            [dimension(self.space, r) for r in self.space],
            optimizer_stages(self.space, self.graph),
            seed=self.seed,
            default=self.point(self.space.defaults()),
            former=[model for model in models if model is not None],
        )

    def _read_attribute(self, trial: FrozenTrial) -> Observation:
        ids = {stage.id: s for s, stage in enumerate(self.graph)}
        stage_costs = trial.user_attrs.get("stage_costs", {})
        unknown = [name for name in stage_costs if name not in ids]
        if unknown:
            raise ValueError(
                f"trial {trial.number} has stage_costs of {unknown}: the stages are {list(ids)}"
            )
        costs = {ids[name]: float(seconds) for name, seconds in stage_costs.items()}
        return Observation(costs=costs, available=frozenset(costs))

    def _informed(
        self,
        trials: Sequence[FrozenTrial],
        observations: Sequence[Observation],
        direction: optuna.study.StudyDirection,
    ) -> Optimizer:
        """An optimizer that knows finished trials, in their order."""
        optimizer = self.new_optimizer()
        sign = 1.0 if direction == optuna.study.StudyDirection.MAXIMIZE else -1.0
        for t, o in zip(trials, observations, strict=True):
            value = t.value if t.state == TrialState.COMPLETE else o.expected
            y = None if value is None else sign * value
            point = self.point(t.params)
            optimizer.tell(point, y, o.costs, o.loads, stopped=o.stopped, costs_only=o.costs_only)
        return optimizer

    def fits(self, params: Mapping[str, Any]) -> bool:
        """Whether the surrogates can place a trial with these values."""
        return self.space.fits(params)

    def _values(self, proposal: Proposal, params: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for r, u, owner in zip(self.space, proposal.x, proposal.owners, strict=True):
            if owner is not None and r.path in params[owner]:
                # The exact value: one rebuilt from the unit cube may differ in its last bit,
                # and then its key misses.
                values[r.path] = params[owner][r.path]
            elif not math.isnan(u):
                values[r.path] = from_unit(r, u)
        return {r.path: values[r.path] for r in self.space.active(values)}

    def point(self, params: Mapping[str, Any]) -> tuple[float, ...]:
        """Values as the optimizer knows them, on the unit cube, NaN where inactive."""
        return tuple(
            to_unit(r, params[r.path]) if r.path in params else math.nan for r in self.space
        )
