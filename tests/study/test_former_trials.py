"""Earlier trials in today's ranges: other ranges, new and removed parameters, other choices."""

from __future__ import annotations

import copy
import math
from typing import Any

import optuna
import pytest

from kedro_eeipu.search import PipelineStage, SearchSpace, StageGraph, parse_space
from kedro_eeipu.study.former import FormerTrials, former_trials
from kedro_eeipu.study.records import TrialRecord
from kedro_eeipu.study.sampler import EEIPUSampler

BLOCK: dict[str, Any] = {
    "a": 0.5,
    "b": 10.0,
    "kind": "rf",
    "eeipu": {
        "objective": {"dataset": "m", "direction": "maximize"},
        "space": {
            "a": {"low": 0.0, "high": 1.0},
            "b": {"low": 1.0, "high": 100.0, "log": True},
            "kind": ["rf", "svm"],
        },
    },
}


def space_of(**ranges: Any) -> SearchSpace:
    """The search with other ranges; `None` takes one out."""
    block = copy.deepcopy(BLOCK)
    for path, r in ranges.items():
        if r is None:
            del block["eeipu"]["space"][path]
        else:
            block["eeipu"]["space"][path] = r
            block.setdefault(path, 0.5)
    return parse_space(block)


def graph_of(space: SearchSpace) -> StageGraph:
    return StageGraph((PipelineStage("s", ("n",), space.paths, frozenset()),))


def value(a: float, b: float) -> float:
    return -((a - 0.7) ** 2) - (math.log10(b) - 0.4) ** 2


def trials(maximize: bool = True, kinds: tuple[str, ...] = ("rf", "svm")) -> FormerTrials:
    params: list[dict[str, Any]] = [
        {"a": (0.37 * i) % 1, "b": 10 ** ((0.61 * i) % 1 * 2), "kind": kinds[i % len(kinds)]}
        for i in range(24)
    ]
    sign = 1 if maximize else -1
    return FormerTrials(params, [sign * value(p["a"], p["b"]) for p in params], maximize)


def expected(of: FormerTrials, space: SearchSpace, **values: Any) -> float:
    import torch

    model = of.model(space, graph_of(space))
    assert model is not None
    point = EEIPUSampler(space, graph_of(space)).point({**space.defaults(), **values})
    return float(model.mean(torch.tensor(point, dtype=torch.float64)))


@pytest.mark.parametrize(
    "ranges",
    [
        {},
        {"a": {"low": 0.4, "high": 0.9}},
        {"a": {"low": -2.0, "high": 3.0}},
        {"b": {"low": 1.0, "high": 60.0}},
        {"b": {"low": 2.0, "high": 20.0, "log": True}},
        {"kind": ["svm", "rf", "gbm"]},
        {"kind": None},
        {"c": {"low": 0.0, "high": 1.0}},
    ],
)
def test_real_values_count_whatever_todays_ranges_are(ranges: dict[str, Any]) -> None:
    space = space_of(**ranges)
    good, bad = ({"a": 0.7, "b": 2.5}, {"a": 0.42, "b": 18.0})
    assert expected(trials(), space, **good) > expected(trials(), space, **bad) + 0.3
    assert expected(trials(maximize=False), space, **good) == pytest.approx(
        expected(trials(), space, **good), abs=1e-6
    ), "the better is the better, whichever way it was counted"


def test_a_new_parameter_is_one_that_they_say_nothing_of() -> None:
    space = space_of(c={"low": 0.0, "high": 1.0})
    assert expected(trials(), space, c=0.1) == expected(trials(), space, c=0.9)


def test_trials_without_a_place_today_are_left_out() -> None:
    only = space_of(kind=["rf"])
    assert trials(kinds=("svm",)).model(only, graph_of(only)) is None
    whole = space_of()
    assert trials(kinds=("svm",)).model(whole, graph_of(whole)) is not None
    odd = FormerTrials([{"a": "x"}, {"a": True}, {"a": math.inf}, {"a": 0.1}], [1.0] * 4, True)
    assert odd.model(whole, graph_of(whole)) is None
    log = FormerTrials([{"b": v} for v in (-1.0, 0.0, 2.0, 3.0)], [1.0] * 4, True)
    assert log.model(whole, graph_of(whole)) is None
    strange = FormerTrials([{"z": 1.0 * i} for i in range(5)], [1.0 * i for i in range(5)], True)
    assert strange.model(whole, graph_of(whole)) is None


def test_the_best_that_today_admits_with_todays_defaults_of_what_is_new() -> None:
    space = space_of(a={"low": 0.0, "high": 0.5}, c={"low": 0.0, "high": 1.0})
    found = trials().best_within(space)
    assert found is not None
    inside = [p for p in trials().params if p["a"] <= 0.5]
    best = max(inside, key=lambda p: value(p["a"], p["b"]))
    assert found == {**best, "c": 0.5}
    assert trials(maximize=False).best_within(space) == found
    assert trials().best_within(space_of(a={"low": 2.0, "high": 3.0})) is None


def test_trials_are_parted_by_state_the_latest_first() -> None:
    def trial(number: int, state: str, value: float | None) -> TrialRecord:
        return TrialRecord(
            number, "complete", {"a": 0.1 * number}, value=value, pipeline_state=state
        )

    told = [trial(0, "x", 1.0), trial(1, "y", 2.0), trial(2, "x", None), trial(3, "x", 3.0)]
    found = former_trials(told, True, "may")
    assert [list(f.values) for f in found] == [[1.0, 3.0], [2.0]]
    assert {f.origin for f in found} == {"may"}


def test_a_plain_optuna_study_learns_from_former_trials() -> None:
    space = space_of(kind=None)
    graph = graph_of(space)

    def objective(trial: optuna.Trial) -> float:
        a, b = trial.suggest_float("a", 0, 1), trial.suggest_float("b", 1, 100, log=True)
        trial.set_user_attr("stage_costs", {"s": 1.0})
        return value(a, b)

    def values(former: tuple[FormerTrials, ...]) -> list[float]:
        sampler = EEIPUSampler(space, graph, former=former)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.optimize(objective, n_trials=4)
        return [t.value or 0.0 for t in study.trials]

    alone, informed = values(()), values((trials(),))
    assert informed[:3] == alone[:3], "today's own trials come first"
    assert informed[3] > max(alone)
