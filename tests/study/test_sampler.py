"""The Optuna sampler: plain Optuna use, and what it learns from."""

from __future__ import annotations

import pickle
import re
import threading
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from kedro_eeipu.optimizer import Optimizer, Proposal
from kedro_eeipu.search import PipelineStage, StageGraph, parse_space
from kedro_eeipu.study.encoding import from_unit, to_unit
from kedro_eeipu.study.peers import propose
from kedro_eeipu.study.sampler import EEIPUSampler, Observation

PARAMETERS: dict[str, Any] = {
    "early": {"n": 4, "rate": 0.01},
    "late": {"kind": "rf", "depth": 8, "C": 1.0},
    "eeipu": {
        "objective": {"dataset": "m", "direction": "maximize"},
        "space": {
            "early.n": {"low": 1, "high": 64, "log": True},
            "early.rate": {"low": 1e-4, "high": 1.0, "log": True},
            "late.kind": ["rf", "svm"],
            "late.depth": {"low": 2, "high": 20, "step": 3, "when": {"late.kind": "rf"}},
            "late.C": {"low": 0.1, "high": 10.0, "when": {"late.kind": "svm"}},
        },
    },
}
SPACE = parse_space(PARAMETERS)
EARLY = ("early.n", "early.rate")
GRAPH = StageGraph(
    (
        PipelineStage("s0", ("a",), EARLY, frozenset()),
        PipelineStage("s1", ("b",), SPACE.paths, frozenset({0})),
    )
)


def suggest(trial: optuna.Trial) -> tuple[int, float, float]:
    n = trial.suggest_int("early.n", 1, 64, log=True)
    rate = trial.suggest_float("early.rate", 1e-4, 1.0, log=True)
    if trial.suggest_categorical("late.kind", ["rf", "svm"]) == "rf":
        return n, rate, trial.suggest_int("late.depth", 2, 20, step=3) / 20
    return n, rate, trial.suggest_float("late.C", 0.1, 10.0) / 10


def run(sampler: EEIPUSampler, count: int) -> optuna.Study:
    study = optuna.create_study(direction="maximize", sampler=sampler)
    paid: set[tuple[Any, ...]] = set()
    for _ in range(count):
        trial = study.ask()
        n, rate, late = suggest(trial)
        costs = {"s1": 1.0} if (n, rate) in paid else {"s0": 10.0, "s1": 1.0}
        paid.add((n, rate))
        trial.set_user_attr("stage_costs", costs)
        study.tell(trial, -((rate - 0.1) ** 2) + late)
    return study


def test_works_in_plain_optuna_and_shares_early_stages() -> None:
    study = run(EEIPUSampler(SPACE, GRAPH, seed=3), 24)
    early = [(t.params["early.n"], t.params["early.rate"]) for t in study.trials]
    assert len(set(early)) <= 16, "exact values are reused"
    assert len({tuple(sorted(t.params.items())) for t in study.trials}) == 24
    assert all(("late.depth" in t.params) == (t.params["late.kind"] == "rf") for t in study.trials)


def test_same_seed_same_proposals() -> None:
    a, b = (run(EEIPUSampler(SPACE, GRAPH, seed=7), 14) for _ in range(2))
    assert [t.params for t in a.trials] == [t.params for t in b.trials]


def test_first_proposal_is_the_defaults() -> None:
    study = optuna.create_study(direction="maximize", sampler=EEIPUSampler(SPACE, GRAPH))
    assert study.ask().relative_params == SPACE.defaults()


def test_trials_outside_changed_ranges_are_passed_over() -> None:
    study = run(EEIPUSampler(SPACE, GRAPH), 4)
    narrowed = {**PARAMETERS, "eeipu": {**PARAMETERS["eeipu"], "space": {
        **PARAMETERS["eeipu"]["space"], "early.n": {"low": 60, "high": 64, "log": True},
    }}}  # fmt: skip
    sampler = EEIPUSampler(parse_space(narrowed), GRAPH)
    study.sampler = sampler
    assert 60 <= study.ask().relative_params["early.n"] <= 64


def test_overheads_of_the_last_trials_reach_the_optimizer(monkeypatch: pytest.MonkeyPatch) -> None:
    study = run(EEIPUSampler(SPACE, GRAPH), 14)
    seen: list[float] = []
    ask = Optimizer.ask

    def watched(self: Optimizer, **options: Any) -> Proposal:
        seen.append(options["overhead"])
        return ask(self, **options)

    monkeypatch.setattr(Optimizer, "ask", watched)
    study.sampler = EEIPUSampler(
        SPACE, GRAPH, observe=lambda t: Observation(overhead=100.0 if t.number < 4 else t.number)
    )
    assert study.ask().relative_params
    assert seen == [8.5], "the median of 4 to 13"


def test_proposal_that_shares_a_running_trials_stage_has_its_exact_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rebuilt from the unit cube they may differ in the last bit, and the stage would run twice."""
    sampler = EEIPUSampler(SPACE, GRAPH)
    r = next(r for r in SPACE if r.path == "early.rate")
    rate = next(v for v in (k / 997 for k in range(1, 997)) if from_unit(r, to_unit(r, v)) != v)
    params = {**SPACE.defaults(), "early.rate": rate}
    study = optuna.create_study(direction="maximize")
    study.add_trial(
        create_trial(
            state=TrialState.RUNNING,
            params=params,
            distributions={path: sampler._distributions[path] for path in params},
        )
    )

    def ask(optimizer: Optimizer, *, pending: Any, **_: Any) -> Proposal:
        early = [path in EARLY for path in SPACE.paths]
        return Proposal(pending[0], tuple(0 if e else None for e in early), frozenset(), {})

    monkeypatch.setattr(Optimizer, "ask", ask)
    assert propose(sampler, study.get_trials(), study.direction, SPACE)["early.rate"] == rate


def test_trials_that_have_suggested_nothing_yet_are_seen() -> None:
    """Or every worker that starts at the same time would run the same trial."""
    study = optuna.create_study(direction="maximize", sampler=EEIPUSampler(SPACE, GRAPH))
    trials = [study.ask() for _ in range(4)]
    assert len({tuple(sorted(t.relative_params.items())) for t in trials}) == 4
    study = run(EEIPUSampler(SPACE, GRAPH), 12)
    trials = [study.ask() for _ in range(4)]
    assert len({tuple(sorted(t.relative_params.items())) for t in trials}) == 4


def test_trials_asked_for_by_threads_differ() -> None:
    together = threading.Barrier(4)

    def objective(trial: optuna.Trial) -> float:
        together.wait(timeout=30)
        return suggest(trial)[-1]

    study = optuna.create_study(direction="maximize", sampler=EEIPUSampler(SPACE, GRAPH))
    study.optimize(objective, n_trials=8, n_jobs=4)
    assert len({tuple(sorted(t.params.items())) for t in study.trials}) == 8


def test_a_sampler_can_be_pickled() -> None:
    sampler = EEIPUSampler(SPACE, GRAPH, seed=7)
    run(sampler, 3)
    again = pickle.loads(pickle.dumps(sampler))
    assert [t.params for t in run(again, 4).trials] == [t.params for t in run(sampler, 4).trials]


def test_stages_of_other_parameters_are_named() -> None:
    graph = StageGraph((PipelineStage("s0", ("a",), ("early.m",), frozenset()),))
    with pytest.raises(ValueError, match=r"stage s0 .*early\.m"):
        EEIPUSampler(SPACE, graph)


def test_costs_of_other_stages_are_named() -> None:
    study = run(EEIPUSampler(SPACE, GRAPH), 2)
    strange = study.trials[0]
    strange.user_attrs = {"stage_costs": {"first": 1.0}}
    study.add_trial(strange)
    with pytest.raises(ValueError, match=r"trial 2 .*first.*s0.*s1"):
        assert study.ask().relative_params


def test_trials_that_teach_nothing_are_told_of() -> None:
    study = optuna.create_study(direction="maximize", sampler=EEIPUSampler(SPACE, GRAPH))
    trial = study.ask()
    trial.suggest_float("early.extra", 0, 1)
    study.tell(trial, 1.0)
    with pytest.warns(UserWarning, match=r"learns from none of 1 trials.*early\.extra"):
        assert study.ask().relative_params


def test_example_of_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "pages" / "optimizer.md").read_text()
    (code,) = (c for c in re.findall(r"```python\n(.*?)```", page, re.S) if "create_study" in c)
    told: dict[str, Any] = {}
    exec(code.replace("n_trials=40", "n_trials=20"), told)
    assert told["study"].best_value < 0.05
    assert len(told["cache"]) < 15, "the expensive stage is shared"
