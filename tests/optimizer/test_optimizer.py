from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from scipy.optimize import minimize
from threadpoolctl import threadpool_info, threadpool_limits

from kedro_eeipu.optimizer import (
    Dimension,
    Optimizer,
    Proposal,
    Stage,
    hyperparameters,
    threads,
)
from kedro_eeipu.optimizer.acquisition import EEIPU, StageCost
from kedro_eeipu.optimizer.threads import one_thread
from kedro_eeipu.optimizer.training import Trial

CHAIN = [
    Stage(frozenset({0}), frozenset()),
    Stage(frozenset({0, 1}), frozenset({0})),
    Stage(frozenset({0, 1, 2}), frozenset({1})),
]
DIAMOND = [
    Stage(frozenset({0}), frozenset()),
    Stage(frozenset({0, 1, 2}), frozenset({0})),
    Stage(frozenset({0, 3, 4, 5}), frozenset({0})),
    Stage(frozenset(range(7)), frozenset({1, 2})),
]
MIXED = [
    Dimension(),
    Dimension(levels=50),
    Dimension(levels=5),
    Dimension(levels=3, ordered=False),
    Dimension(levels=20, active_when=(3, frozenset({2}))),
    Dimension(active_when=(3, frozenset({1}))),
    Dimension(),
]


def same(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return all(v == w or (math.isnan(v) and math.isnan(w)) for v, w in zip(a, b, strict=True))


def value(x: tuple[float, ...]) -> float:
    return -sum((v - 0.3) ** 2 for v in x if not math.isnan(v))


def simulate(
    optimizer: Optimizer, trials: int, *, stages: int, scale: float = 1.0, shift: float = 0.0
) -> list[Proposal]:
    """Run trials whose stage s costs s + 1 seconds, a little more where x[0] is large."""
    proposals = []
    for i in range(trials):
        proposal = optimizer.ask(budget_left=1 - i / trials)
        costs = {s: (s + 1) * (1 + proposal.x[0]) for s in set(range(stages)) - proposal.reused}
        optimizer.tell(proposal.x, scale * value(proposal.x) + shift, costs)
        proposals.append(proposal)
    return proposals


def taught(trials: int = 8) -> Optimizer:
    """An optimizer that has run trials which share no stage, none of them its own proposal."""
    optimizer = Optimizer([Dimension()] * 3, CHAIN, seed=0)
    for i in range(trials):
        x = (0.08 * i, 0.37 * i % 1, 0.61 * i % 1)
        optimizer.tell(x, value(x), {s: (s + 1) * (1 + x[0]) for s in range(3)})
    return optimizer


def test_finds_a_smooth_optimum() -> None:
    optimizer = Optimizer([Dimension()] * 3, CHAIN, seed=0)
    proposals = simulate(optimizer, 30, stages=3)
    assert max(value(p.x) for p in proposals) > -1e-3
    assert sum(len(p.reused) for p in proposals) > 15


def test_a_history_gives_the_same_proposal_to_a_new_optimizer() -> None:
    first = Optimizer(MIXED, DIAMOND, seed=3)
    proposals = simulate(first, 16, stages=4)
    second = Optimizer(MIXED, DIAMOND, seed=3)
    torch.manual_seed(99)
    for i, proposal in enumerate(proposals):
        again = second.ask(budget_left=1 - i / 16)
        assert same(again.x, proposal.x)
        assert again.owners == proposal.owners
        costs = {s: (s + 1) * (1 + again.x[0]) for s in set(range(4)) - again.reused}
        second.tell(again.x, value(again.x), costs)


def test_its_models_are_botorch_models_that_it_proposes_by() -> None:
    optimizer = taught(12)
    objective, costs = optimizer.models()
    told = torch.tensor([trial.x for trial in optimizer._trials], dtype=torch.float64)
    incumbent = float(objective.posterior(told).mean.max())
    function = EEIPU(objective, [StageCost(model) for model in costs], incumbent)
    proposal = optimizer.ask(overhead=1e-3)
    paid = torch.ones(1, 3).double(), torch.full((1,), 1e-3, dtype=torch.float64)
    for s in proposal.reused:
        paid[0][0, s] = 0.0
    log_ei, log_inverse = function.parts(torch.tensor([proposal.x], dtype=torch.float64), *paid)
    assert float(log_ei) == pytest.approx(proposal.info["log_ei"], abs=1e-6)
    assert float(log_inverse) == pytest.approx(proposal.info["log_inverse_cost"], abs=1e-6)
    with pytest.raises(ValueError, match="models need two trials"):
        taught(1).models()


def test_seeds_differ() -> None:
    first, second = (Optimizer(MIXED, DIAMOND, seed=s).ask().x for s in (0, 1))
    assert not same(first, second)


def test_global_state_is_left_alone() -> None:
    optimizer = taught()
    state, threads, kind = torch.get_rng_state(), torch.get_num_threads(), torch.get_default_dtype()
    optimizer.ask()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert torch.get_default_dtype() == kind


def test_a_proposal_uses_one_thread_and_gives_them_back(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def watched(*arguments: Any, **options: Any) -> Any:
        seen.extend(pool["num_threads"] for pool in threadpool_info())
        return minimize(*arguments, **options)

    monkeypatch.setattr(hyperparameters, "minimize", watched)
    with threadpool_limits(2):
        simulate(Optimizer([Dimension()] * 3, CHAIN, seed=1, warmup=4), 5, stages=3)
        after = {pool["num_threads"] for pool in threadpool_info()}
    assert set(seen) == {1}
    assert after == {2}


def test_threads_compute_one_after_the_other() -> None:
    """GPyTorch's settings are the process's."""
    inside: list[int] = []

    def compute() -> None:
        with one_thread():
            inside.append(1)

    thread = threading.Thread(target=compute)
    with one_thread():
        thread.start()
        with ThreadPoolExecutor(1) as pool:
            assert not pool.submit(threads._ALONE.acquire, blocking=False).result()
        assert not inside
    thread.join()
    assert inside


def test_memoized_columns_are_exactly_those_of_their_trial() -> None:
    proposals = simulate(Optimizer(MIXED, DIAMOND, seed=1), 25, stages=4)
    for i, proposal in enumerate(proposals):
        for j, owner in enumerate(proposal.owners):
            if owner is not None:
                assert owner < i
                theirs = proposals[owner].x[j]
                assert proposal.x[j] == theirs or math.isnan(proposal.x[j]) == math.isnan(theirs)
        for s in proposal.reused:
            assert all(proposal.owners[j] is not None for j in DIAMOND[s].parameters)
            assert DIAMOND[s].parents <= proposal.reused
    assert sum(len(p.reused) for p in proposals) > 10


def test_proposals_stay_in_the_space() -> None:
    for proposal in simulate(Optimizer(MIXED, DIAMOND, seed=2), 16, stages=4):
        kind = round(proposal.x[3] * 2)
        assert math.isnan(proposal.x[4]) == (kind != 2)
        assert math.isnan(proposal.x[5]) == (kind != 1)
        for v, dimension in zip(proposal.x, MIXED, strict=True):
            if not math.isnan(v):
                assert 0 <= v <= 1
                if dimension.levels:
                    assert v in [k / (dimension.levels - 1) for k in range(dimension.levels)]


def test_the_default_comes_first_and_warm_up_shares_stages() -> None:
    default = [0.2, 0.4, 0.6]
    optimizer = Optimizer([Dimension()] * 3, CHAIN, default=default, warmup=7)
    proposals = simulate(optimizer, 7, stages=3)
    assert list(proposals[0].x) == default
    assert not any(p.info for p in proposals)
    assert sum(0 in p.reused for p in proposals) == 3
    assert optimizer.ask().info


def test_an_affine_change_of_the_objective_changes_nothing() -> None:
    plain = simulate(Optimizer([Dimension()] * 3, CHAIN), 14, stages=3)
    changed = simulate(Optimizer([Dimension()] * 3, CHAIN), 14, stages=3, scale=512.0, shift=64.0)
    for a, b in zip(plain, changed, strict=True):
        assert a.x == pytest.approx(b.x, abs=1e-3)


def test_nothing_is_proposed_twice_until_the_space_is_exhausted() -> None:
    dimensions = [Dimension(levels=3), Dimension(levels=2, ordered=False), Dimension(levels=2)]
    proposals = simulate(Optimizer(dimensions, CHAIN), 13, stages=3)
    assert len({p.x for p in proposals[:12]}) == 12
    assert proposals[12].x in {p.x for p in proposals[:12]}


def test_a_failed_trial_is_not_repeated_and_teaches_its_costs() -> None:
    optimizer = taught()
    x = optimizer.ask().x
    optimizer.tell(x, None, {0: 500.0})
    after = optimizer.ask()
    assert after.x != x
    assert math.isfinite(after.info["expected_cost"])


def test_neighbours_of_failed_trials_are_left_alone() -> None:
    """Half of the space fails, and the best value lies at its edge."""
    stages = [Stage(frozenset({0}), frozenset()), Stage(frozenset({0, 1}), frozenset({0}))]
    optimizer = Optimizer([Dimension()] * 2, stages, seed=0)
    failed, best = [], -math.inf
    for _ in range(30):
        proposal = optimizer.ask()
        x = proposal.x
        failed.append(x[1] < 0.5)
        y = None if failed[-1] else -((x[0] - 0.3) ** 2) - (x[1] - 0.3) ** 2
        ran = {0} - proposal.reused | ({1} if y is not None else set())
        optimizer.tell(x, y, dict.fromkeys(ran, 1.0))
        best = max(best, -math.inf if y is None else y)
    assert sum(failed[10:]) <= 6
    assert best > -0.06


def test_a_failure_is_no_worse_than_a_bad_value_where_one_value_is_terrible() -> None:
    trials = [Trial((0.05 * i,), -float(i % 7), {0: 1.0}, {}) for i in range(19)]
    trials += [Trial((0.97,), -1e30, {0: 1.0}, {}), Trial((0.99,), None, {}, {}, failed=True)]
    optimizer = Optimizer([Dimension()], [Stage(frozenset({0}), frozenset())])
    data, _ = optimizer.training.objective(trials)
    assert data.y[-1] == pytest.approx(-3.0)
    assert data.y[:-1].min() < -3.5


def test_a_stopped_trial_says_nothing_of_its_configuration() -> None:
    def training_points(**how: Any) -> int:
        optimizer = taught()
        optimizer.tell([0.1, 0.2, 0.3], None, {0: 500.0}, **how)
        return len(optimizer.training.objective(optimizer._trials)[0].y)

    assert training_points() == 9
    assert training_points(stopped=True) == 8


def test_a_trial_of_another_objective_tells_of_costs_alone() -> None:
    optimizer = taught()
    ran = len(optimizer.training.costs(optimizer._trials)[0].y)
    for i in range(3):
        optimizer.tell([0.1 * i, 0.2, 0.3], 1e9, {0: 500.0}, costs_only=True)
    assert len(optimizer.training.objective(optimizer._trials)[0].y) == 8
    assert len(optimizer.training.costs(optimizer._trials)[0].y) == ran + 3
    finite = Optimizer([Dimension(levels=2)], [Stage(frozenset({0}), frozenset())])
    for x in (0.0, 1.0):
        finite.tell([x], 1.0, {0: 1.0}, costs_only=True)
    first = finite.ask().x
    finite.tell(first, 1.0, {0: 1.0})
    assert finite.ask().x != first, "they are as good as untried"


def test_all_failed_keeps_exploring() -> None:
    optimizer = Optimizer([Dimension()] * 3, CHAIN, warmup=4)
    seen = set()
    for _ in range(9):
        proposal = optimizer.ask()
        seen.add(proposal.x)
        optimizer.tell(proposal.x, math.nan, {0: 1.0})
    assert len(seen) == 9


def test_pending_trials_are_not_repeated_and_not_counted_as_cached() -> None:
    optimizer = taught()
    pending: list[tuple[float, ...]] = []
    for _ in range(4):
        proposal = optimizer.ask(pending=pending)
        assert proposal.x not in pending
        told = {t.x for t in optimizer._trials}
        for s in proposal.reused:
            columns = CHAIN[s].parameters
            assert any(all(x[j] == proposal.x[j] for j in columns) for x in told)
        pending.append(proposal.x)


def test_what_is_expected_of_a_pending_trial_is_to_be_improved_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pending trial further up a slope raises the incumbent, one at its foot does not."""
    incumbents: list[float] = []

    class Recording(EEIPU):
        def __init__(self, model: Any, stages: Any, best_f: float, *rest: Any) -> None:
            if isinstance(best_f, float):  # and not the same function from fewer samples
                incumbents.append(best_f)
            super().__init__(model, stages, best_f, *rest)

    monkeypatch.setattr("kedro_eeipu.optimizer.optimizer.EEIPU", Recording)
    optimizer = Optimizer([Dimension()] * 3, CHAIN, seed=0, warmup=2)
    for i in range(10):
        x = [0.05 * i, 0.3, 0.1 * (i % 3)]
        optimizer.tell(x, x[0], {0: 1.0, 1: 1.0, 2: 1.0})
    for pending in ([], [[0.55, 0.3, 0.1]], [[0.02, 0.3, 0.1]]):
        optimizer.ask(pending=pending)
    alone, above, below = incumbents
    assert above > alone + 0.1
    assert below == pytest.approx(alone, abs=1e-3)


def test_columns_shared_with_a_pending_trial_name_it_as_their_owner() -> None:
    optimizer = Optimizer([Dimension()] * 3, CHAIN, seed=0)
    first = optimizer.ask()
    second = optimizer.ask(pending=[first.x])
    assert second.x[0] == first.x[0], "in the warm-up every second point keeps the early columns"
    assert second.owners[0] == 0
    assert not second.reused, "it is not in the cache yet"
    told = optimizer.tell(first.x, 1.0, {0: 1.0, 1: 1.0, 2: 1.0})
    third = optimizer.ask(pending=[second.x])
    fourth = optimizer.ask(pending=[second.x, third.x])
    assert fourth.x[0] == third.x[0] != first.x[0]
    assert fourth.owners[0] == told + 2


def test_an_evicted_output_is_not_relied_on() -> None:
    optimizer = taught(12)
    assert optimizer.ask().reused
    assert not optimizer.ask(available={}).reused


def test_cheap_reuse_wins_when_early_stages_are_expensive() -> None:
    def proposals(costs: list[float]) -> list[Proposal]:
        optimizer = Optimizer([Dimension()] * 3, CHAIN, seed=0)
        out = []
        for _ in range(16):
            proposal = optimizer.ask()
            optimizer.tell(
                proposal.x, value(proposal.x), {s: costs[s] for s in {0, 1, 2} - proposal.reused}
            )
            out.append(proposal)
        return out[8:]

    expensive_early = sum(0 in p.reused for p in proposals([1e3, 1.0, 1.0]))
    expensive_late = sum(0 in p.reused for p in proposals([1.0, 1.0, 1e3]))
    assert expensive_early > expensive_late


def test_cost_does_not_count_when_cheap_trials_have_been_of_no_use() -> None:
    optimizer = Optimizer([Dimension()] * 3, CHAIN, seed=0, warmup=4)
    costs = {0: 10.0, 1: 5.0, 2: 1.0}
    for i, x0 in enumerate([0.2, 0.4, 0.6, 0.8]):
        optimizer.tell([x0, 0.1 * i, 0.5], -x0, costs)
    first = optimizer.ask()
    for i in range(15):  # on the best prefix, nothing better, 15 of the 16 seconds of a whole trial
        optimizer.tell([0.2, 0.0, 0.06 * i], -1.0 - 0.01 * i, {2: 1.0})
    cheap = optimizer.ask()
    optimizer.tell([0.2, 0.0, 0.99], -1.5, {2: 1.0})
    whole = optimizer.ask()
    assert first.reused
    assert cheap.reused
    assert not whole.reused
    assert "payoff" in cheap.info
    assert "payoff" not in whole.info
    assert optimizer.ask(pending=[whole.x]).reused  # one at a time
    assert not optimizer.ask(pending=[[0.2, 0.0, 0.97]]).reused
    optimizer.tell(whole.x, -2.0, costs)
    assert optimizer.ask().reused


def test_an_improvement_keeps_cheap_trials_going() -> None:
    optimizer = Optimizer([Dimension()] * 3, CHAIN, seed=0, warmup=4)
    for i, x0 in enumerate([0.2, 0.4, 0.6, 0.8]):
        optimizer.tell([x0, 0.1 * i, 0.5], -x0, {0: 10.0, 1: 5.0, 2: 1.0})
    for i in range(20):
        optimizer.tell([0.2, 0.0, 0.05 * i], -0.2 + 0.001 * (i == 10), {2: 1.0})
    assert "payoff" in optimizer.ask().info


def test_stages_do_not_matter_beside_a_large_overhead() -> None:
    optimizer = taught(12)
    by_cost = optimizer.ask()
    regardless = optimizer.ask(budget_left=0.0)
    assert optimizer.ask(overhead=1e9).x == pytest.approx(regardless.x, abs=1e-3)
    assert by_cost.x != pytest.approx(regardless.x, abs=1e-3)
    info = optimizer.ask(overhead=5.0).info
    assert info["expected_cost"] > 5
    assert info["log_inverse_cost"] < -math.log(5)


def test_wrong_lengths_are_refused() -> None:
    optimizer = Optimizer([Dimension()] * 3, CHAIN)
    with pytest.raises(ValueError, match="3 columns"):
        optimizer.tell([0.1], 1.0, {})
    with pytest.raises(ValueError, match="3 columns"):
        Optimizer([Dimension()] * 3, CHAIN, default=[0.5])


@pytest.mark.parametrize("costs", [{3: 1.0}, {0: -1.0}, {0: math.nan}, {0: math.inf}])
def test_impossible_costs_are_refused(costs: dict[int, float]) -> None:
    with pytest.raises(ValueError, match="stage"):
        Optimizer([Dimension()] * 3, CHAIN).tell([0.1, 0.2, 0.3], 1.0, costs)


def test_one_stage_without_parameters_and_parameters_of_no_stage() -> None:
    stages = [Stage(frozenset(), frozenset()), Stage(frozenset({0}), frozenset({0}))]
    proposals = simulate(Optimizer([Dimension()] * 2, stages, warmup=3), 8, stages=2)
    assert all(0 in proposal.reused for proposal in proposals[1:])


def test_objectives_of_many_magnitudes_and_a_terrible_point() -> None:
    optimizer = Optimizer([Dimension()] * 3, CHAIN, seed=0, warmup=8)
    best = -math.inf
    for i in range(30):
        proposal = optimizer.ask(budget_left=1 - i / 30)
        y = -math.exp(20 * (sum((v - 0.4) ** 2 for v in proposal.x) - 0.5)) - (1e9 if i == 2 else 0)
        optimizer.tell(proposal.x, y, dict.fromkeys({0, 1, 2} - proposal.reused, 1.0))
        best = max(best, -sum((v - 0.4) ** 2 for v in proposal.x))
    assert best > -0.02


def test_proposals_are_on_uneven_levels_and_none_comes_twice() -> None:
    places = tuple(math.log(v) / math.log(8) for v in range(1, 9))  # integers on a logarithm
    dimensions = [Dimension(levels=8, places=places)] * 2
    stages = [Stage(frozenset({0}), frozenset()), Stage(frozenset({0, 1}), frozenset({0}))]
    optimizer = Optimizer(dimensions, stages, seed=0)
    for _ in range(20):
        x = optimizer.ask().x
        assert set(x) <= set(places)
        optimizer.tell(x, -((x[0] - 0.67) ** 2) - (x[1] - 0.86) ** 2, {0: 1.0, 1: 1.0})
    assert len({trial.x for trial in optimizer._trials}) == 20


def test_an_exhausted_conditional_space_is_seen_to_be() -> None:
    """Ten choices with five levels each: 50 configurations, 10 * 5 ** 10 of all columns."""
    choices = [Dimension(levels=5, active_when=(0, frozenset({i}))) for i in range(10)]
    dimensions = [Dimension(levels=10, ordered=False), *choices]
    optimizer = Optimizer(dimensions, [Stage(frozenset(range(11)), frozenset())], warmup=4)
    every = list(optimizer._space.configurations())
    assert len({tuple(map(str, x)) for x in every}) == len(every) == 50
    for i, x in enumerate(every[:-1]):
        optimizer.tell(x, float(i % 7), {0: 1.0})
    assert str(optimizer.ask().x) == str(every[-1])
    optimizer.tell(every[-1], 1.0, {0: 1.0})
    assert str(optimizer.ask().x) in map(str, every)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"budget_left": math.nan}, "budget_left is a share"),
        ({"budget_left": 1.5}, "budget_left is a share"),
        ({"overhead": math.inf}, "overhead is in seconds"),
        ({"available": {9: frozenset()}}, "trial 9, of 8 told"),
        ({"available": {0: frozenset({7})}}, "stages that there are not"),
        ({"pending": [[0.1]]}, "a pending configuration has 1 of 3 columns"),
        ({"pending": [[0.1, 7.0, 0.2]]}, "has 7.0 in column 1"),
    ],
)
def test_wrong_arguments_are_named(options: dict[str, Any], said: str) -> None:
    optimizer = taught()
    with pytest.raises(ValueError, match=said):
        optimizer.ask(**options)
    with pytest.raises(ValueError, match=r"x has 7\.0 in column 0"):
        optimizer.tell([7.0, 0.1, 0.2], 1.0, {})


def test_expected_cost_is_that_of_what_would_run() -> None:
    """Columns of few levels meet a cached value without being taken from it."""
    dimensions = [Dimension(levels=2), Dimension(levels=2), Dimension(levels=9)]
    optimizer = Optimizer(dimensions, CHAIN, seed=3)
    for _ in range(14):
        proposal = optimizer.ask()
        ran = {0, 1, 2} - proposal.reused
        if "expected_cost" in proposal.info:
            assert proposal.info["expected_cost"] == pytest.approx(len(ran), rel=0.05)
        optimizer.tell(proposal.x, value(proposal.x), dict.fromkeys(ran, 1.0))
