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
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState

from kedro_eeipu.search import SearchSpace, StageGraph
from kedro_eeipu.study.storage import distributions

if TYPE_CHECKING:
    from kedro_eeipu.optimizer import Dimension, Optimizer, Proposal

# A range with more values than this is searched as a continuous one and rounded: neighbours are
# then closer than any surrogate can tell apart.
_MOST_LEVELS = 10_000
# As in `kedro_eeipu.optimizer.unit_cube.RESOLUTION`, which is not imported for it brings torch.
_RESOLUTION = 1e12

# Choosing a trial takes longer the more there are.
_LAST_OVERHEADS = 10

# System attribute of a trial: the values proposed for it, which it may take its time to suggest.
_PROPOSED = "eeipu:proposed"

# A trial that failed or was pruned still tells what its stages cost.
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@dataclass(frozen=True)
class Observation:
    """What a finished trial says of the stages, by position in the stage graph.

    Attributes:
        costs: Seconds of each stage that ran as a whole.
        loads: Seconds that reading the outputs of each reused stage took.
        available: Stages whose outputs can be served now to a trial that shares their parameters.
        overhead: Seconds that the trial took besides: choosing it, Kedro's own work, storing.
        stopped: Whether that it has no value says nothing of its parameters: it was interrupted, or
            failed for a reason that has been mended.
    """

    costs: Mapping[int, float] = field(default_factory=dict)
    loads: Mapping[int, float] = field(default_factory=dict)
    available: frozenset[int] = frozenset()
    overhead: float = 0.0
    stopped: bool = False


class EEIPUSampler(BaseSampler):
    """Memoization-aware, cost-aware Bayesian optimisation (Essofi et al., arXiv 2411.03731).

    Works in any Optuna study whose trials tell what their stages cost.

    Args:
        space: The ranges, their conditions and defaults.
        graph: The stages, each with the parameters that reach it.
        seed: Seed of everything random.
        observe: What a finished trial says of the stages. By default its user attribute
            ``stage_costs`` is read, ``{id of the stage: seconds}`` of those that ran, and a stage
            that ran is taken to be available.

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
    ) -> None:
        for stage in graph:
            unknown = [path for path in stage.parameters if path not in space.paths]
            if unknown:
                raise ValueError(f"stage {stage.id} has parameters that are no ranges: {unknown}")
        self.space = space
        self.graph = graph
        self.seed = seed
        self.observe = observe or self._read_attribute
        self.last_proposal: Proposal | None = None
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
        optimizer, told, seen = self._told(trials, direction)
        running = [self._proposed(t) for t in trials if t.state == TrialState.RUNNING]
        pending = [params for params in running if self.fits(params)]
        proposal = optimizer.ask(
            overhead=median([o.overhead for o in seen[-_LAST_OVERHEADS:]] or [0.0]),
            available={i: o.available for i, o in enumerate(seen)},
            pending=[self.point(params) for params in pending],
        )
        self.last_proposal = proposal
        return self._values(proposal, [*(t.params for t in told), *pending])

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
        """An optimizer that has been told of no trial."""
        from kedro_eeipu.optimizer import Optimizer, Stage

        return Optimizer(
            [self._dimension(path) for path in self.space.paths],
            [
                Stage(
                    parameters=frozenset(map(self.space.paths.index, s.parameters)),
                    parents=s.parents,
                )
                for s in self.graph
            ],
            seed=self.seed,
            default=self.point(self.space.defaults()),
        )

    def _read_attribute(self, trial: FrozenTrial) -> Observation:
        ids = {stage.id: s for s, stage in enumerate(self.graph)}
        told = trial.user_attrs.get("stage_costs", {})
        unknown = [name for name in told if name not in ids]
        if unknown:
            raise ValueError(
                f"trial {trial.number} has stage_costs of {unknown}: the stages are {list(ids)}"
            )
        costs = {ids[name]: float(seconds) for name, seconds in told.items()}
        return Observation(costs=costs, available=frozenset(costs))

    def _told(
        self, trials: Sequence[FrozenTrial], direction: optuna.study.StudyDirection
    ) -> tuple[Optimizer, list[FrozenTrial], list[Observation]]:
        """An optimizer that knows the finished trials, these in the order told, what each says."""
        optimizer = self.new_optimizer()
        sign = 1.0 if direction == optuna.study.StudyDirection.MAXIMIZE else -1.0
        told, seen = [], []
        for t in trials:
            # A trial from outside today's ranges teaches nothing about the inside that its
            # surrogates could place.
            if t.state not in _ENDED or not self.fits(t.params):
                continue
            y = sign * t.value if t.state == TrialState.COMPLETE and t.value is not None else None
            told.append(t)
            seen.append(self.observe(t))
            said = seen[-1]
            optimizer.tell(self.point(t.params), y, said.costs, said.loads, stopped=said.stopped)
        return optimizer, told, seen

    def fits(self, params: Mapping[str, Any]) -> bool:
        """Whether these are values of all active parameters, each within its range."""
        active = {r.path: r for r in self.space.active(params)}
        return set(active) == set(params) and all(
            active[path].contains(value) for path, value in params.items()
        )

    def _values(self, proposal: Proposal, told: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for path, u, owner in zip(self.space.paths, proposal.x, proposal.owners, strict=True):
            if owner is not None and path in told[owner]:
                # The exact value: one rebuilt from the unit cube may differ in its last bit,
                # and then its key misses.
                values[path] = told[owner][path]
            elif not math.isnan(u):
                values[path] = from_unit(self._distributions[path], u)
        return {r.path: values[r.path] for r in self.space.active(values)}

    def point(self, params: Mapping[str, Any]) -> tuple[float, ...]:
        """Values as the optimizer knows them, on the unit cube, NaN where inactive."""
        return tuple(
            to_unit(self._distributions[path], params[path]) if path in params else math.nan
            for path in self.space.paths
        )

    def _dimension(self, path: str) -> Dimension:
        from kedro_eeipu.optimizer import Dimension

        r = next(r for r in self.space if r.path == path)
        condition = None
        for parent, allowed in r.when:
            at = frozenset(_level(self._distributions[parent], value) for value in allowed)
            condition = (self.space.paths.index(parent), at)
        own = self._distributions[path]
        places: tuple[float, ...] = ()
        if isinstance(own, IntDistribution) and own.log and levels(own):
            places = tuple(to_unit(own, value) for value in range(own.low, own.high + 1))
        return Dimension(
            levels=levels(own),
            ordered=r.kind != "categorical",
            active_when=condition,
            places=places,
        )


def _level(d: BaseDistribution, value: Any) -> int:
    """Which of the values of a distribution this one is."""
    if isinstance(d, CategoricalDistribution):
        return int(d.to_internal_repr(value))
    assert isinstance(d, (IntDistribution, FloatDistribution))
    return round((value - d.low) / float(d.step or 1))


def levels(d: BaseDistribution) -> int:
    """Number of values of a distribution, 0 where it is searched as continuous."""
    if isinstance(d, CategoricalDistribution):
        return len(d.choices)
    if isinstance(d, (IntDistribution, FloatDistribution)) and d.step:
        count = round((d.high - d.low) / d.step) + 1
        return count if count <= _MOST_LEVELS else 0
    return 0


def to_unit(d: BaseDistribution, value: Any) -> float:
    """Place of a value on the unit interval, on the optimizer's grid."""
    if isinstance(d, CategoricalDistribution):
        return d.to_internal_repr(value) / max(1, len(d.choices) - 1)
    assert isinstance(d, (IntDistribution, FloatDistribution))
    if d.high == d.low:
        return 0.0
    if levels(d) and not d.log:
        return round((value - d.low) / float(d.step or 1)) / (levels(d) - 1)
    u = (
        math.log(value / d.low) / math.log(d.high / d.low)
        if d.log
        else ((value - d.low) / (d.high - d.low))
    )
    return round(u * _RESOLUTION) / _RESOLUTION


def from_unit(d: BaseDistribution, u: float) -> Any:
    """The value at a place on the unit interval."""
    if isinstance(d, CategoricalDistribution):
        return d.choices[round(u * (len(d.choices) - 1))]
    assert isinstance(d, (IntDistribution, FloatDistribution))
    value = d.low * (d.high / d.low) ** u if d.log else d.low + u * (d.high - d.low)
    if d.step and not d.log:
        value = d.low + d.step * round((value - d.low) / d.step)
    value = min(max(value, d.low), d.high)
    return round(value) if isinstance(d, IntDistribution) else float(value)
