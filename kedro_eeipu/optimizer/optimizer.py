"""Ask and tell: the EEIPU optimizer.

optimizer = Optimizer(dimensions, stages, seed=1)
while budget:
    proposal = optimizer.ask()
    optimizer.tell(proposal.x, value, stage_costs={0: 12.1, 1: 0.4})
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch.quasirandom import SobolEngine

from kedro_eeipu.optimizer.acquisition import EEIPU, StageCost
from kedro_eeipu.optimizer.beliefs import Beliefs
from kedro_eeipu.optimizer.cut_search import Candidate, CutSearch, CutTable, cut_table
from kedro_eeipu.optimizer.cuts import CacheView, candidate_cuts
from kedro_eeipu.optimizer.former import Former, best_ranking
from kedro_eeipu.optimizer.proposal import Proposal
from kedro_eeipu.optimizer.stages import ReuseGraph, Stage
from kedro_eeipu.optimizer.surrogates import Surrogate
from kedro_eeipu.optimizer.threads import one_thread
from kedro_eeipu.optimizer.training import (
    Related,
    Training,
    Trial,
    WholeTraining,
    load_seconds,
    usual_costs,
)
from kedro_eeipu.optimizer.unit_cube import Dimension, Space, identity
from kedro_eeipu.optimizer.warmup import warmup_points, warmup_trials

__all__ = ["Optimizer", "Proposal"]

_MAX_CUTS = 48
_INCUMBENTS = 4
_SMALLEST_OVERHEAD = 1e-6
# Share of the cost of a trial without reuse below which a trial is a cheap one.
_CHEAP = 0.5
# Trials with a value before a former study may cut the warm-up short.
_FEWEST_WITH_FORMER = 3
# Beliefs of larger stage graphs have one kernel component for all stages.
_MOST_COMPONENTS = 8


class Optimizer:
    """EEIPU over a stage graph; the objective is maximised.

    A proposal depends on the seed, the told trials and the arguments of `ask` alone, so an
    optimizer that is rebuilt from its history continues as the first one would have.

    Args:
        dimensions: d tuned parameters.
        stages: the stage graph.
        seed: of every random choice.
        default: configuration of length d that is proposed first.
        warmup: number of trials before the first model-based proposal. A former study that predicts
            today's trials well cuts it short.
        former: trials of related objectives. The one that ranks today's trials best is used, and
            only while they are more likely with it than without.

    Attributes:
        trained_by: what makes and fits the surrogates; a variant of the optimizer sets its own.
        training: of this optimizer's space and stages.

    Raises:
        ValueError: the space or the stage graph contradicts itself.
    """

    trained_by: type[Training] = Training

    def __init__(
        self,
        dimensions: Sequence[Dimension],
        stages: Sequence[Stage],
        *,
        seed: int = 0,
        default: Sequence[float] | None = None,
        warmup: int | None = None,
        former: Sequence[Former] = (),
    ) -> None:
        self._space = Space(dimensions)
        self._graph = ReuseGraph(stages, self._space)
        self.training = self.trained_by(self._space, self._graph)
        if default is not None:
            self._space.check(default, "the default")
        self._seed = seed
        self._default = None if default is None else tuple(default)
        self._warmup = warmup_trials(self._space.d) if warmup is None else max(2, warmup)
        self._trials: list[Trial] = []
        for study in former:
            if study.d != self._space.d:
                raise ValueError(f"a former study has {study.d} of {self._space.d} columns")
        self._former = tuple(former)

    @property
    def warmup(self) -> int:
        """Number of trials before the first model-based proposal."""
        return self._warmup

    def tell(
        self,
        x: Sequence[float],
        y: float | None,
        stage_costs: Mapping[int, float],
        load_costs: Mapping[int, float] | None = None,
        *,
        stopped: bool = False,
        costs_only: bool = False,
    ) -> int:
        """Record a finished trial and return its index.

        Args:
            x: configuration of length d, NaN where inactive.
            y: objective, or None for a trial that failed or was pruned (NaN and infinities count as
                failed). It counts as bad as the worst one told.
            stage_costs: seconds of the stages that really ran.
            load_costs: seconds to load the outputs of the stages that were reused.
            stopped: whether a trial without objective was stopped from outside, which says nothing
                of its configuration.
            costs_only: whether the trial reports costs alone, since its objective was another: y
                is passed over, and the configuration is as good as untried.

        Raises:
            ValueError: x is no configuration, or a cost is of no stage, negative or not finite.
        """
        self._space.check(x, "x")
        for s, seconds in [*stage_costs.items(), *(load_costs or {}).items()]:
            if not 0 <= s < len(self._graph) or not 0 <= seconds < math.inf:
                raise ValueError(f"stage {s} cannot have cost {seconds} seconds")
        value = None if y is None or costs_only or not math.isfinite(y) else float(y)
        point = tuple(float(v) for v in x)
        failed = value is None and not stopped and not costs_only
        costs, loads = dict(stage_costs), dict(load_costs or {})
        self._trials.append(Trial(point, value, costs, loads, failed, costs_only))
        return len(self._trials) - 1

    def ask(
        self,
        *,
        budget_left: float = 1.0,
        overhead: float = 0.0,
        available: Mapping[int, frozenset[int]] | None = None,
        pending: Sequence[Sequence[float]] = (),
    ) -> Proposal:
        """Propose the next trial.

        Args:
            budget_left: exponent eta of the cost, in [0, 1]; the paper's is the share of the budget
                that is left. Cost does not count at all when cheap trials have been of no use for
                as long as a trial without reuse takes.
            overhead: seconds that any trial takes besides its stages, those of this call included.
            available: for each told trial index the stages whose outputs are in the cache now;
                None: every stage that ran or was reused in a told trial.
            pending: configurations that other workers are evaluating now.

        Returns:
            A proposal that repeats no told or pending configuration while the space has others.

        Raises:
            ValueError: an argument is out of its range, or of a trial or stage that there is not.
        """
        self._check(budget_left, overhead, available, pending)
        with one_thread(), torch.no_grad():
            running = [tuple(float(v) for v in x) for x in pending]
            if available is None:
                available = {
                    t: frozenset(trial.stage_costs) | frozenset(trial.load_costs)
                    for t, trial in enumerate(self._trials)
                }
            finished = [trial.x for trial in self._trials]
            view = CacheView(self._graph, finished, available)
            # With what is being computed now, whose exact values a proposal may share.
            soon = CacheView(self._graph, [*finished, *running], self._with(available, running))
            own = self._own_trials()
            tried = {identity(x) for x in [*(trial.x for trial in own), *running]}
            successes = sum(trial.y is not None for trial in own)
            related = self._related()
            if successes < 2 or (
                len(own) + len(running) < self._warmup and not self._predicted(related)
            ):
                return _proposal(self._warmup_x(tried), view, soon, {})
            return self._model_based(budget_left, overhead, running, tried, view, soon, related)

    def _related(self) -> Related | None:
        """What the former study that ranks today's trials best lets expect."""
        valued = [trial for trial in self._own_trials() if trial.y is not None]
        if len(valued) < _FEWEST_WITH_FORMER:
            return None
        return best_ranking(self._former, self.training.points([t.x for t in valued]), valued)

    def _predicted(self, related: Related | None) -> bool:
        """Whether today's trials are more likely with what a former study lets expect."""
        if related is None:
            return False
        return self.training.objective(self._trials, related)[0].expects is not None

    def _own_trials(self) -> list[Trial]:
        """The trials of this objective."""
        return [trial for trial in self._trials if not trial.costs_only]

    def left_out_costs(self, stages: Sequence[int]) -> dict[int, dict[int, float]]:
        """What stages were expected to cost where they ran, had that one run not been seen.

        Args:
            stages: Positions in the stage graph.

        Returns:
            Per stage, by index of the told trial: the median of its cost in seconds, under its
            surrogate of the other runs.
        """
        with one_thread(), torch.no_grad():
            costs = self.training.costs(self._trials)
            data = [costs[s] for s in stages]
            surrogates = [self.training.surrogate(part) for part in data]
            left_out = {}
            for s, surrogate in zip(stages, surrogates, strict=True):
                ran = [t for t, trial in enumerate(self._trials) if s in trial.stage_costs]
                left_out[s] = dict(zip(ran, surrogate.left_out().exp().tolist(), strict=True))
            return left_out

    def models(self) -> tuple[Surrogate, list[Surrogate]]:
        """The fitted surrogates, for any use that BoTorch has for a model.

        Returns:
            The model of the objective, in the unit of `Proposal.info`, and for each stage that of
            the natural logarithm of its seconds. They take configurations on the unit cube.

        Raises:
            ValueError: fewer than two trials have a value.
        """
        self._check_valued("models need")
        with one_thread(), torch.no_grad():
            return self.training.models(self._trials)

    def beliefs(self) -> Beliefs:
        """What the objective's surrogate believes of the told trials that have a value.

        Raises:
            ValueError: fewer than two have one.
        """
        valued = self._check_valued("beliefs need")
        many = len(self._graph) > _MOST_COMPONENTS
        training = WholeTraining(self._space, self._graph) if many else self.training
        with one_thread(), torch.no_grad():
            return Beliefs(self._space, *training.warped_objective(valued))

    def _check_valued(self, what: str) -> list[Trial]:
        """The trials of this objective that have a value."""
        valued = [trial for trial in self._own_trials() if trial.y is not None]
        if len(valued) < 2:
            raise ValueError(f"{what} two trials with a value")
        return valued

    def _check(
        self,
        budget_left: float,
        overhead: float,
        available: Mapping[int, frozenset[int]] | None,
        pending: Sequence[Sequence[float]],
    ) -> None:
        if not 0 <= budget_left <= 1:
            raise ValueError(f"budget_left is a share, from 0 to 1, not {budget_left}")
        if not 0 <= overhead < math.inf:
            raise ValueError(f"overhead is in seconds, at least 0, not {overhead}")
        for t, stages in (available or {}).items():
            if not 0 <= t < len(self._trials):
                raise ValueError(f"available: trial {t}, of {len(self._trials)} told")
            if not stages <= frozenset(range(len(self._graph))):
                raise ValueError(f"available: trial {t} has stages that there are not")
        for x in pending:
            self._space.check(x, "a pending configuration")

    def _with(
        self, available: Mapping[int, frozenset[int]], pending: Sequence[object]
    ) -> dict[int, frozenset[int]]:
        """What is cached, and every stage of the pending trials, which are numbered after."""
        every, finished = frozenset(range(len(self._graph))), len(self._trials)
        return {**available, **{finished + i: every for i in range(len(pending))}}

    def _warmup_x(self, tried: set[tuple[float, ...]]) -> tuple[float, ...]:
        count = max(self._warmup, len(tried) + 1)
        for x in warmup_points(self._space, self._graph, count, self._seed, self._default):
            point = tuple(x.tolist())
            if identity(point) not in tried:
                return point
        return self._new_point(tried) or point

    def _new_point(self, tried: set[tuple[float, ...]]) -> tuple[float, ...] | None:
        """Some configuration that was not tried; None when a finite space has no other."""
        engine = SobolEngine(self._space.d, scramble=True, seed=self._seed + len(tried))
        for z in engine.draw(128, dtype=torch.float64):
            x = tuple(self._space.hide(self._space.snap(z)).tolist())
            if identity(x) not in tried:
                return x
        return next((x for x in self._space.configurations() if identity(x) not in tried), None)

    def _model_based(
        self,
        budget_left: float,
        overhead: float,
        pending: list[tuple[float, ...]],
        tried: set[tuple[float, ...]],
        view: CacheView,
        soon: CacheView,
        related: Related | None,
    ) -> Proposal:
        objective, costs = self.training.models(self._trials, pending, related)
        # Of pending trials, too: the value to improve on may be one that is being computed.
        fitted_values = objective.fitted()
        succeeded = [t for t, trial in enumerate(self._trials) if trial.y is not None]
        scores = fitted_values[: len(succeeded)]
        eta = 0.0 if self._fruitless(view, pending) else budget_left
        stages = [StageCost(model) for model in costs]
        acquisition = EEIPU(objective, stages, float(fitted_values.max()), eta)
        ranked = [succeeded[i] for i in scores.argsort(descending=True, stable=True).tolist()]
        table = self._cut_table(soon, pending, ranked)
        table = replace(table, load=table.load + max(overhead, _SMALLEST_OVERHEAD))
        points = [self._trials[t].x for t in ranked[:_INCUMBENTS]]
        incumbents = self._space.reveal(torch.tensor(points, dtype=torch.float64))
        search = CutSearch(
            self._space, acquisition, table, incumbents, self._proposal_seed(pending)
        )
        candidates = search.run()
        best = next((c for c in candidates if identity(c.x) not in tried), None)
        if best is None:
            fallback = self._new_point(tried)
            best = candidates[0] if fallback is None else Candidate(fallback, 0, -math.inf)
        return _proposal(best.x, view, soon, self._info(acquisition, best.x, soon, overhead))

    def _fruitless(self, view: CacheView, pending: Sequence[Sequence[float]]) -> bool:
        """Whether what a trial without reuse costs was spent on cheap ones that improved nothing.

        A trial is cheap below half of that. One that is not restarts the count, and while such
        a trial is pending no other is asked for.
        """
        usual = usual_costs(self._trials, len(self._graph))
        whole = sum(usual)
        for x in pending:
            reused = view.reused(x)
            if sum(c for s, c in enumerate(usual) if s not in reused) >= _CHEAP * whole:
                return False
        best, spent = -math.inf, 0.0
        for trial in self._own_trials():
            y = -math.inf if trial.y is None else trial.y
            whole_one = trial.seconds >= _CHEAP * whole
            spent = 0.0 if whole_one or y > best else spent + trial.seconds
            best = max(best, y)
        return whole > 0 and spent >= whole

    def _proposal_seed(self, pending: Sequence[object]) -> int:
        return (self._seed * 1_000_003 + 7919 * len(self._trials) + len(pending)) % 2**31

    def _cut_table(
        self, view: CacheView, pending: list[tuple[float, ...]], ranked: list[int]
    ) -> CutTable:
        """Candidate cuts, the best of the trials `ranked` first, then those of pending ones."""
        points = [*(trial.x for trial in self._trials), *pending]
        failed = [t for t, trial in enumerate(self._trials) if trial.y is None]
        order = [*ranked, *range(len(self._trials), len(points)), *failed]
        cuts = candidate_cuts(view, points, order, _MAX_CUTS)
        loads = load_seconds(self._trials, len(self._graph))
        return cut_table(self._space, view, cuts, loads, len(self._trials))

    def _info(
        self, acquisition: EEIPU, x: tuple[float, ...], view: CacheView, overhead: float
    ) -> dict[str, float]:
        points = self.training.points([x])
        loads = load_seconds(self._trials, len(self._graph))
        paid, load = view.price(view.reused(x), x, loads, len(self._trials))
        load += max(overhead, _SMALLEST_OVERHEAD)
        share = torch.tensor(paid, dtype=torch.float64)
        log_ei, log_inverse = acquisition.parts(
            points, share[None], torch.tensor([load], dtype=torch.float64)
        )
        mean, deviation = acquisition.log_costs(points)
        spent = sum(overhead + trial.seconds for trial in self._own_trials())
        seconds = (share * torch.exp(mean[0] + deviation[0] ** 2 / 2)).sum() + load
        info = {
            "log_ei": float(log_ei),
            "log_inverse_cost": float(log_inverse),
            "expected_cost": float(seconds),
        }
        if acquisition.eta:
            info["payoff"] = float((log_ei + log_inverse).exp()) * spent
        return info


def _proposal(
    x: tuple[float, ...], view: CacheView, soon: CacheView, info: dict[str, float]
) -> Proposal:
    return Proposal(x, soon.owners(x), view.reused(x), info)
