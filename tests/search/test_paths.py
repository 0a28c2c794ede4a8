"""Paths to parameters and into values, with keys that hold dots or are numbers."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from kedro_eeipu.search.paths import (
    MissingKey,
    find,
    item_names,
    key_chains,
    lookup,
    override,
    scalar_paths,
)

PARAMETERS: dict[Any, Any] = {
    "demo.config": {"x": 1.0, "a.b": {"c": 2}},
    "demo": {"other": 3},
    "layers": {1: {"width": 8}},
}


@dataclasses.dataclass
class Scores:
    auc: float


def test_every_path_that_is_listed_leads_to_its_parameter() -> None:
    listed = dict(scalar_paths(PARAMETERS))
    assert listed == {
        "demo.config.x": 1.0, "demo.config.a.b.c": 2, "demo.other": 3, "layers.1.width": 8,
    }  # fmt: skip
    assert {path: lookup(PARAMETERS, path) for path in listed} == listed


def test_override_sets_values_under_the_keys_that_are_there() -> None:
    values = override(PARAMETERS, {"demo.config.a.b.c": 5, "layers.1.width": 9})
    assert values == {
        "demo.config": {"x": 1.0, "a.b": {"c": 5}},
        "layers": {1: {"width": 9}},
    }
    assert override(PARAMETERS, {"new.key": 1}) == {"new": {"key": 1}}
    assert PARAMETERS["demo.config"]["a.b"] == {"c": 2}


MODEL: dict[str, Any] = {"model": {"rate": 0.05, "depth": 3}, "seed": 1}


def test_override_carries_siblings_and_leaves_the_original() -> None:
    values = override(MODEL, {"model.rate": 0.5, "seed": 2})
    assert values == {"model": {**MODEL["model"], "rate": 0.5}, "seed": 2}
    assert MODEL["model"]["rate"] == 0.05


def test_two_parameters_with_one_path() -> None:
    both = {"a.b": 1, "a": {"b": 2}}
    assert key_chains(both, "a.b") == [("a.b",), ("a", "b")]
    assert lookup(both, "a.b") == 2, "as Kedro does"


def test_the_longest_key_comes_first() -> None:
    value = {"val.loss": 1, "val": {"loss": 2, "other": 3}}
    assert find(value, "val.loss") == 1
    assert find(value, "val.other") == 3
    assert find(value, ["val", "loss"]) == 2
    assert find(value, ["val.loss"]) == 1


def test_keys_that_are_numbers() -> None:
    assert find({1: 0.5}, "1") == 0.5
    assert find({1.0: {"f1-score": 0.5}}, "1.0.f1-score") == 0.5
    assert find({"1.0": {"f1-score": 0.5}}, [1.0, "f1-score"]) == 0.5
    assert find([[0.1], [0.5, 0.6]], "1.-1") == 0.6
    assert find({"auc": [0.1, 0.5]}, ["auc", 1]) == 0.5


def test_fields_of_records() -> None:
    assert find({"test": Scores(0.5)}, "test.auc") == 0.5
    with pytest.raises(MissingKey):
        find(Scores, "auc")


def test_rows_and_columns_of_tables() -> None:
    import pandas as pd

    report = pd.DataFrame({"precision": [0.1, 0.2], "f1-score": [0.3, 0.5]}, index=["0", "1.0"])
    assert find(report, "1.0.f1-score") == 0.5
    assert find(report, "f1-score.1.0") == 0.5
    history = pd.DataFrame({"loss": [3.0, 2.0, 0.5]})
    assert find(history, "loss.-1") == 0.5
    assert find(history, "2.loss") == 0.5
    assert find(pd.Series({"auc": 0.5}), "auc") == 0.5
    assert item_names(report) == "precision, f1-score, 0, 1.0"


def test_rows_and_columns_of_polars() -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"loss": [3.0, 0.5], "n": [1, 2]})
    assert find(frame, "loss.-1") == 0.5
    assert find(frame, "1.loss") == 0.5
    with pytest.raises(MissingKey):
        find(frame, "2.loss")


def test_the_key_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(MissingKey) as caught:
        find({"test": {"auc": 1, 2: 3}}, "test.acc")
    assert caught.value.key == "acc"
    assert item_names(caught.value.value) == "auc, 2"
    assert item_names([1, 2, 3]) == "0 … 2"
    assert item_names(3.0) == "float"
    for value in ("text", None, 3, [], {}, object()):
        with pytest.raises(MissingKey):
            find(value, "0.a")
