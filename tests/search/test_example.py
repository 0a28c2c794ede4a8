"""A first block: which parameters get ranges, and which output is the objective."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from kedro_eeipu.search.block import parse_space
from kedro_eeipu.search.example import (
    example_block,
    guess_direction,
    guess_objective,
    metric_likeness,
    ranges_of,
)


def ranges(parameters: dict[str, Any]) -> dict[str, Any]:
    return dict(
        next(iter(yaml.safe_load(line).items())) for line in ranges_of(parameters, lambda p: True)
    )


@pytest.mark.parametrize(
    ("name", "value", "proposed"),
    [
        ("max_depth", 5, {"low": 2, "high": 10}),
        ("degree", 1, {"low": 1, "high": 4}),
        ("n_estimators", 100, {"low": 25, "high": 400, "log": True}),
        ("learning_rate", 0.05, {"low": 0.005, "high": 0.5, "log": True}),
        ("tol", 1e-6, {"low": 1e-7, "high": 1e-5, "log": True}),
        ("subsample", 1.0, {"low": 0.5, "high": 1.0}),
        ("threshold", 0.5, {"low": 0.25, "high": 0.75}),
        ("scale", 3.0, {"low": 0.3, "high": 30.0, "log": True}),
        ("fit_intercept", True, [True, False]),
    ],
)
def test_ranges_lie_around_the_value(name: str, value: Any, proposed: Any) -> None:
    found = ranges({"model": {name: value}})
    assert found == {f"model.{name}": proposed}
    block = {"objective": {"dataset": "m", "direction": "minimize"}, "space": found}
    space = parse_space({"model": {name: value}, "eeipu": block})
    assert not space.warnings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("random_state", 42), ("seed", 3), ("RandomState", 3), ("verbose_eval", 10), ("n_jobs", 4),
        ("verbosity", 1), ("num_workers", 8), ("port", 8080), ("test_size", 0.2), ("n_splits", 5),
        ("save_plots", True), ("overwrite", False), ("use_cache", True), ("path", "data/x.csv"),
        ("note", None), ("layers", [64, 32]), ("offset", 0), ("shift", -3), ("zero", 0.0),
        ("start_year", 2020), ("id", 12), ("huge", 10**9), ("kernel", "rbf"),
    ],
)  # fmt: skip
def test_what_is_no_hyperparameter_gets_no_range(name: str, value: Any) -> None:
    assert ranges({"model": {name: value}}) == {}


def test_only_what_a_node_takes_gets_a_range() -> None:
    parameters = {"a": {"depth": 3}, "b": {"depth": 3}, "eeipu_x": {"trials": 3}}
    (line,) = ranges_of(parameters, lambda path: path == "b.depth")
    assert line.startswith("b.depth:")
    assert not ranges({"eeipu_vision": {"depth": 3}})


def test_a_block_names_the_ranges_for_which_it_has_no_room() -> None:
    parameters = {f"depth{i}": 3 for i in range(10)}
    text = example_block(parameters, guess_objective(["metrics"]), key="eeipu_x", note="check it")
    block = yaml.safe_load(text)["eeipu_x"]
    assert len(block["space"]) == 8
    assert "# also: depth8, depth9" in text
    assert text.splitlines()[1].endswith("  # check it")


def test_the_objective_is_the_output_that_sounds_most_like_a_metric() -> None:
    outputs = ["model", "X_test", "confusion_matrix", "regressor_scores", "metrics_plot", "report"]
    assert guess_objective(outputs).dataset == "regressor_scores"
    assert guess_objective(["a", "b"]).dataset == "b"
    assert guess_objective([]).dataset == "metrics"
    assert metric_likeness("model_metrics") > metric_likeness("metrics_plot")


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("val_loss", "minimize"), ("RMSE", "minimize"), ("test.mean_absolute_error", "minimize"),
        ("accuracy", "maximize"), ("r2", "maximize"), ("metrics", "maximize"),
    ],
)  # fmt: skip
def test_losses_are_minimized(name: str, direction: str) -> None:
    assert guess_direction(name) == direction
