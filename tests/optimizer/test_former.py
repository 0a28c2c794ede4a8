"""Trials of related objectives: what they change, and that misleading ones change nothing."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from kedro_eeipu.optimizer import Dimension, Former, Optimizer, Stage
from kedro_eeipu.optimizer import hyperparameters as module
from kedro_eeipu.optimizer.former import best_ranking
from kedro_eeipu.optimizer.hyperparameters import Hyperparameters
from kedro_eeipu.optimizer.surrogates import Features, Surrogate, TrainingData
from kedro_eeipu.optimizer.training import Trial
from kedro_eeipu.optimizer.unit_cube import Space

D = 4
DIMENSIONS = [Dimension()] * D
CHAIN = [Stage(frozenset({0, 1}), frozenset()), Stage(frozenset(range(D)), frozenset({0}))]
COLUMNS = torch.arange(D)
ALL = frozenset(range(D))
OPTIMUM = (0.7, 0.2, 0.6, 0.35)

Objective = Callable[[tuple[float, ...]], float]


def objective(x: tuple[float, ...], at: tuple[float, ...] = OPTIMUM) -> float:
    return -sum((v - a) ** 2 for v, a in zip(x, at, strict=True))


def moved(x: tuple[float, ...]) -> float:
    """Another unit, and an optimum a little elsewhere."""
    return 40 * objective(x, (0.76, 0.15, 0.66, 0.3)) - 7


def points(n: int, seed: int = 0) -> list[tuple[float, ...]]:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(n, D, generator=generator, dtype=torch.float64)
    return [tuple(row) for row in drawn.tolist()]


def former(of: Objective, n: int = 40) -> Former:
    return Former(DIMENSIONS, CHAIN, points(n), [of(x) for x in points(n)])


def tuned(trials: int, *studies: Former, seed: int = 0) -> tuple[Optimizer, list[float]]:
    """An optimizer with so many of its own proposals, and their values."""
    optimizer = Optimizer(DIMENSIONS, CHAIN, seed=seed, former=studies)
    values = []
    for _ in range(trials):
        proposal = optimizer.ask()
        values.append(objective(proposal.x))
        costs = {s: s + 1.0 for s in {0, 1} - proposal.reused}
        optimizer.tell(proposal.x, values[-1], costs)
    return optimizer, values


def test_a_related_study_finds_the_optimum_sooner() -> None:
    def trials_to(values: list[float]) -> int:
        return next(i for i, v in enumerate(values) if v > -0.01)

    alone = [trials_to(tuned(24, seed=seed)[1]) for seed in range(2)]
    informed = [trials_to(tuned(16, former(moved), seed=seed)[1]) for seed in range(2)]
    assert sum(informed) <= sum(alone) / 2


def test_a_study_that_predicts_today_cuts_the_warm_up_short_and_another_one_does_not() -> None:
    def model_based(study: Former, trials: int = 5) -> bool:
        optimizer, _ = tuned(trials, study)
        assert trials < optimizer.warmup
        return bool(optimizer.ask().info)

    assert model_based(former(moved))
    assert not model_based(former(moved), trials=2)
    assert not model_based(former(lambda x: math.sin(40 * x[0] + 23 * x[1] - 31 * x[2])))


@pytest.mark.parametrize("of", [lambda x: 3.0, lambda x: -moved(x)])
def test_a_study_that_predicts_nothing_changes_no_proposal(of: Objective) -> None:
    optimizer, _ = tuned(14)
    knowing = Optimizer(DIMENSIONS, CHAIN, seed=0, former=[former(of)])
    for trial in optimizer._trials:
        knowing.tell(trial.x, trial.y, trial.stage_costs, trial.load_costs)
    assert knowing.ask() == optimizer.ask()


def test_of_several_the_one_that_ranks_today_best_is_used() -> None:
    studies = [former(lambda x: -objective(x)), former(lambda x: x[0]), former(moved)]
    trials = [Trial(x, objective(x), {}, {}) for x in points(8, seed=5)]
    z = torch.tensor([t.x for t in trials], dtype=torch.float64)
    assert best_ranking(studies, z, trials) is studies[2]
    assert studies[2].concordance(z, studies[2].mean(z)) == 1.0
    assert studies[2].concordance(z, -studies[2].mean(z)) == 0.0
    assert studies[2].concordance(z, torch.zeros(8)) == 0.5
    assert best_ranking([], z, trials) is None


def test_the_unit_of_a_former_study_does_not_matter() -> None:
    z = torch.tensor(points(20, seed=7), dtype=torch.float64)
    mean = former(moved).mean(z)
    assert torch.allclose(former(lambda x: moved(x) / 400 + 1e3).mean(z), mean, atol=1e-4)
    truth = torch.tensor([moved(x) for x in points(20, seed=7)], dtype=torch.float64)
    assert former(moved).concordance(z, truth) > 0.95


def test_proposals_are_a_function_of_seed_trials_and_former_trials() -> None:
    first, _ = tuned(9, former(moved))
    second = Optimizer(DIMENSIONS, CHAIN, seed=0, former=[former(moved)])
    for trial in first._trials:
        torch.manual_seed(len(second._trials))
        second.tell(trial.x, trial.y, trial.stage_costs, trial.load_costs)
    assert second.ask() == first.ask()


def test_columns_that_a_study_knows_nothing_of_do_not_matter_to_it() -> None:
    values = [moved(x) for x in points(40)]
    known = [(*x[:3], math.nan) for x in points(40)]
    study = Former(DIMENSIONS, CHAIN, known, values, unknown=[3])
    z = torch.tensor(points(6, seed=2), dtype=torch.float64)
    other = z.clone()
    other[:, 3] = 1 - other[:, 3]
    assert torch.equal(study.mean(z), study.mean(other))
    assert study.mean(z).std() > 0.1


def test_points_beyond_todays_ranges_count() -> None:
    wide = [tuple(3 * v - 1 for v in x) for x in points(80)]
    study = Former(DIMENSIONS, CHAIN, wide, [moved(x) for x in wide])
    z = torch.tensor(points(20, seed=7), dtype=torch.float64)
    truth = torch.tensor([moved(x) for x in points(20, seed=7)], dtype=torch.float64)
    assert study.concordance(z, truth) > 0.9


def test_of_many_trials_the_best_is_kept_and_others_evenly() -> None:
    values = [0.0] * 400
    values[201] = 1.0
    study = Former(DIMENSIONS, CHAIN, points(400), values)
    assert len(study._trials) <= 151
    assert max(t.y or 0.0 for t in study._trials) == 1.0


def test_what_is_no_study_is_refused() -> None:
    with pytest.raises(ValueError, match="two at least"):
        Former(DIMENSIONS, CHAIN, points(1), [1.0])
    with pytest.raises(ValueError, match="two at least"):
        Former(DIMENSIONS, CHAIN, points(3), [1.0, 2.0])
    with pytest.raises(ValueError, match="finite"):
        Former(DIMENSIONS, CHAIN, points(2), [1.0, math.nan])
    with pytest.raises(ValueError, match="3 of 4 columns"):
        Former(DIMENSIONS, CHAIN, [x[:3] for x in points(2)], [1.0, 2.0])
    with pytest.raises(ValueError, match="4 of 2 columns"):
        Optimizer(DIMENSIONS[:2], [Stage(frozenset({0, 1}), frozenset())], former=[former(moved)])


def test_running_trials_count_beside_a_former_study() -> None:
    optimizer, _ = tuned(6, former(moved))
    first = optimizer.ask()
    second = optimizer.ask(pending=[first.x])
    assert first.info
    assert second.info
    assert second.x != first.x


def test_categories_and_conditions_count_in_a_former_study() -> None:
    dimensions = [
        Dimension(),
        Dimension(levels=3, ordered=False),
        Dimension(levels=9, active_when=(1, frozenset({0, 2}))),
        Dimension(levels=4, places=(0.0, 0.5, 0.8, 1.0)),
    ]
    stages = [Stage(frozenset({0}), frozenset()), Stage(frozenset(range(4)), frozenset({0}))]
    space = Space(dimensions)

    def of(x: tuple[float, ...]) -> float:
        kind = (0.0, 0.6, 0.2)[round(2 * x[1])]
        return kind - (x[0] - 0.3) ** 2 - (0 if math.isnan(x[2]) else (x[2] - 0.5) ** 2) + x[3] / 9

    told = space.hide(space.snap(torch.tensor(points(40), dtype=torch.float64)))
    xs = [tuple(x) for x in told.tolist()]
    study = Former(dimensions, stages, xs, [3 * of(x) + 1 for x in xs])
    optimizer = Optimizer(dimensions, stages, former=[study])
    values = []
    for _ in range(8):
        x = optimizer.ask().x
        values.append(of(x))
        optimizer.tell(x, values[-1], {0: 1.0, 1: 2.0})
    assert max(values[3:6]) > 0.68, "at the best category, near the best number"


def test_the_lengthscales_are_those_of_the_former_study() -> None:
    def wavy(x: tuple[float, ...]) -> float:
        return math.sin(9 * x[0]) + 0.5 * x[1]

    study = former(wavy, 60)
    assert study.lengthscale[0] < study.lengthscale[2]
    told = [Trial(x, wavy(x), {}, {}) for x in points(9, seed=4)]
    data, fit = Optimizer(DIMENSIONS, CHAIN).training.objective(told, study)
    assert data.expects is not None
    assert torch.allclose(fit.lengthscale, study.lengthscale)
    assert float(fit.slope_scale) > 0.01


def test_a_study_of_the_opposite_is_not_used() -> None:
    """Better then is better now, or nothing is known."""
    told = [Trial(x, objective(x), {}, {}) for x in points(12, seed=4)]
    training = Optimizer(DIMENSIONS, CHAIN).training
    assert training.objective(told, former(moved))[0].expects is not None
    assert training.objective(told, former(lambda x: -moved(x)))[0].expects is None


def test_beliefs_are_of_todays_trials_alone() -> None:
    knowing, _ = tuned(12, former(moved))
    alone = Optimizer(DIMENSIONS, CHAIN, seed=0)
    for trial in knowing._trials:
        alone.tell(trial.x, trial.y, trial.stage_costs, trial.load_costs)
    z = torch.tensor(points(5), dtype=torch.float64)
    assert torch.equal(knowing.beliefs().at(z).middle, alone.beliefs().at(z).middle)


def test_the_gradient_of_the_fit_is_right_for_slopes() -> None:
    x = torch.tensor(points(15), dtype=torch.float64)
    y = torch.tensor([objective(p) for p in points(15)], dtype=torch.float64)
    y = (y - y.mean()) / y.std()
    expected = torch.stack([x[:, 0], (3 * x[:, 1]).sin()])
    density = module._Posterior(x, y, COLUMNS, (ALL,), D, (frozenset({0}),), expected)
    theta = density.start(None)
    theta += torch.randn(len(theta), generator=torch.Generator().manual_seed(3)).numpy() * 0.3
    _, slope = density.negative_log_density(theta)
    for j in range(len(theta)):
        step = 1e-5
        up, down = theta.copy(), theta.copy()
        up[j], down[j] = up[j] + step, down[j] - step
        rise = density.negative_log_density(up)[0] - density.negative_log_density(down)[0]
        assert slope[j] == pytest.approx(rise / (2 * step), rel=1e-4, abs=1e-5)


def test_predictions_with_a_slope_are_those_of_the_formula() -> None:
    space = Space(DIMENSIONS)
    x = torch.tensor(points(12), dtype=torch.float64)
    y = torch.tensor([objective(p) for p in points(12)], dtype=torch.float64)

    def expects(z: torch.Tensor) -> torch.Tensor:
        return (2 * z).sin().sum(-1)

    h = Hyperparameters(
        torch.full((D,), 0.8).double(),
        torch.ones(1).double(),
        0.01,
        0.2,
        slope_scale=torch.tensor([1.7]).double(),
    )
    transform = Features(space, expects)
    part = TrainingData(transform.transform(x), y, (ALL,), points=x, expects=expects)
    columns = torch.cat([COLUMNS, torch.tensor([D])])
    model = Surrogate(part, h, columns, transform)
    plain = TrainingData(x, y, (ALL,), points=x)
    without = Surrogate(plain, Hyperparameters(h.lengthscale, h.outputscale, 0.01, 0.2), COLUMNS)
    test = torch.tensor(points(5, seed=1), dtype=torch.float64)

    def covariance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return without.covar_module.forward(a, b) + 1.7 * expects(a)[:, None] * expects(b)

    inverse = torch.linalg.inv(covariance(x, x) + 0.01 * torch.eye(12).double())
    k = covariance(test, x)
    mean = 0.2 + k @ inverse @ (y - 0.2)
    variance = covariance(test, test).diagonal() - (k @ inverse * k).sum(-1)
    with torch.no_grad():
        alone, together = model.posterior(test[:, None]), model.posterior(test)
    for posterior in (alone, together):
        assert torch.allclose(posterior.mean.flatten(), mean, atol=1e-6)
        assert torch.allclose(posterior.variance.flatten(), variance, atol=1e-6)
