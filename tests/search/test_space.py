"""Reading the `eeipu` block: types follow the defaults, and what is wrong is refused by name."""

from __future__ import annotations

import datetime
import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedro_eeipu.errors import ConfigurationError, ObjectiveError
from kedro_eeipu.search.block import parse_budget, parse_space, parse_trials
from kedro_eeipu.search.space import Objective, Range, same_value

PARAMETERS = {
    "model": {
        "rate": 0.05,
        "depth": 3,
        "kernel": "rbf",
        "fast": True,
        "note": None,
        "layers": [64, 32],
    },
    "optimizer": {"name": "adam", "beta": {"one": 0.9}},
    "seed": 1,
    "text": "1e-3",
}
OBJECTIVE = {"dataset": "metrics", "key": "loss", "direction": "minimize"}


def space(ranges: dict[str, Any], **block: Any) -> Any:
    return parse_space(
        {**PARAMETERS, "eeipu": {"objective": OBJECTIVE, "space": ranges, **block}}, "p.yml"
    )


def only(ranges: dict[str, Any]) -> Range:
    (found,) = space(ranges).ranges
    return found


def test_type_follows_the_default() -> None:
    assert only({"model.depth": {"low": 1, "high": 9}}).kind == "int"
    rate = only({"model.rate": {"low": 0, "high": 1}})
    assert (rate.kind, type(rate.low)) == ("float", float)
    assert only({"model.kernel": ["rbf", "linear"]}).kind == "categorical"
    assert only({"model.fast": [True, False]}).choices == (True, False)
    assert only({"model.note": [None, 2, "x"]}).choices == (None, 2, "x")


@pytest.mark.parametrize(
    ("ranges", "problem", "remedy"),
    [
        ({"model.rat": {"low": 0, "high": 1}}, "no parameter 'model.rat'", "'model.rate'"),
        ({"model.rate": 3}, "a range is", ""),
        ({"model": [1, 2]}, "several parameters", "dotted paths"),
        ({"model": {"low": 1, "high": 2}}, "not a single value", "dotted paths: model.rate"),
        ({"model": {"rate": {"low": 0, "high": 1}}}, "several parameters", "model.rate: "),
        ({"model.rate": {"low": 1, "high": 1}}, "not below", ""),
        ({"model.rate": {"low": 0, "high": 1, "log": True}}, "low > 0", ""),
        ({"model.rate": {"low": 0, "high": 1, "log": "yes"}}, "`log` is 'yes'", ""),
        ({"model.rate": {"low": 0, "hihg": 1}}, "unknown key 'hihg'", "'high'"),
        ({"model.rate": {"low": 0}}, "`high` is missing", ""),
        ({"model.rate": {"low": "1e-4", "high": 1}}, "`low` is '1e-4'", "as text: write 0.0001"),
        ({"model.depth": {"low": "1", "high": 9}}, "`low` is '1'", "quotes it is text: write 1."),
        ({"text": {"low": 0.1, "high": 1.0}}, "not a number", "write 0.001"),
        ({"model.kernel": {"low": 0, "high": 1}}, "rbf, not a number", "model.kernel: [rbf, …]"),
        ({"model.fast": {"low": 0, "high": 1}}, "true, not a number", ": [true, false]"),
        ({"model.note": {"low": 1, "high": 9}}, "is null, not", "model.note: [null, 1, 9]"),
        ({"model.layers": {"low": 1, "high": 9}}, "not a single value", "[[64, 32], […]]"),
        ({"model.depth": {"low": 0, "high": 10**30}}, "beyond the integers", "floats: 1.0e+30"),
        ({"model.depth": {"low": 1, "high": 10**400}}, "beyond the integers", ""),
        ({"model.rate": {"low": -1.7e308, "high": 1.7e308}}, "too wide", ""),
        ({"model.rate": {"low": 1e-320, "high": 1e308, "log": True}}, "too wide", ""),
        ({"model.rate": {"low": 0, "high": 10**400}}, "too wide", ""),
        ({"model.rate": {"low": 0, "high": 1, "step": 1e-30}}, "too small for", "Leave it out"),
        ({"model.rate": {"low": 0, "high": 1, "step": "1e-3"}}, "`step` is '1e-3'", "write 0.001"),
        ({"model.rate": ["1e-3", 0.1]}, "'1e-3' is text", "write 0.001"),
        ({"model.depth": {"low": 1, "high": 9, "step": 0}}, "`step` is 0", ""),
        ({"model.depth": {"low": 1, "high": 9, "step": 20}}, "is 20, but must be above 0", ""),
        ({"model.depth": {"low": 1, "high": 9, "step": 2, "log": True}}, "exclude", ""),
        ({"model.kernel": []}, "at least one", ""),
        ({"model.kernel": ["rbf", "rbf"]}, "twice", ""),
        ({"model.layers": [[64], [32], [64]]}, "twice", ""),
        ({"model.kernel": [datetime.date(2026, 1, 1)]}, "cannot be stored", "Choices are"),
        ({"model.kernel": [{1: 2}]}, "cannot be stored", "are text"),
        ({"optimizer": [{"name": "sgd"}]}, "lacks the key 'beta'", "write beta: null"),
        ({"optimizer": [{"name": "sgd", "beta": {}}]}, "lacks the key 'beta.one'", ""),
        ({"model.note": [1, True]}, "cannot tell the choices 1 and True apart", ""),
        ({"model.kernel": {"choices": ["rbf"], "low": 1}}, "exclude", ""),
        ({"model.rate": {"low": 0, "high": 1, "when": {"seed": 1}}}, "not itself tuned", "Add a"),
        ({"model.rate": {"low": 0, "high": 1, "when": "rbf"}}, "`when` maps", "when:"),
        ({"model.rate": {"low": 0, "high": 1, "when": {"model.kernel": []}}}, "no value", "when:"),
    ],
)  # fmt: skip
def test_bad_range_is_refused(ranges: dict[str, Any], problem: str, remedy: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        space(ranges)
    assert problem in str(caught.value)
    assert remedy in caught.value.remedy
    assert caught.value.where.startswith("p.yml: eeipu.space.")


def test_integer_default_with_a_range_of_floats() -> None:
    found = space({"model.depth": {"low": 0.5, "high": 9}})
    assert (found.ranges[0].kind, found.warnings) == ("float", ())
    assert same_value(found.defaults()["model.depth"], 3.0)
    assert only({"model.depth": {"low": 1, "high": 9, "step": 0.5}}).kind == "float"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"low": 1.0, "high": 9}, "`low: 1.0` is not, so trials get numbers such as 1.5; "
         "write low: 1 to try integers only"),
        ({"low": 1.0, "high": 9.0}, "`low: 1.0` and `high: 9.0` are not, so trials get numbers "
         "such as 1.5; write low: 1, high: 9 to try integers only"),
        ({"low": 1, "high": 9, "step": 0.5}, "`step: 0.5` is not, so trials get numbers such as "
         "1.5; write a whole number as the step to try integers only"),
        ({"low": 1, "high": 9, "step": 2.0}, "`step: 2.0` is not, so trials get numbers such as "
         "3.0; write step: 2 to try integers only"),
        ({"low": 1, "high": 1e20}, "`high: 1e+20` is not, so trials get numbers such as 1.5"),
    ],
)  # fmt: skip
def test_what_makes_floats_of_an_integer_is_named(spec: dict[str, Any], said: str) -> None:
    (warning,) = space({"model.depth": spec}).warnings
    where = "p.yml: eeipu.space.model.depth"
    assert warning == f"{where}: the default 3 is an integer, but {said}"


def test_names_that_are_not_like_a_parameter_are_not_suggested() -> None:
    def remedy(path: str) -> str:
        with pytest.raises(ConfigurationError, match="there is no parameter") as caught:
            space({path: [1, 2]})
        return caught.value.remedy

    assert remedy("model.dept") == "Did you mean 'model.depth'?"
    assert remedy("model.layers.0").startswith("'model.layers' is a list, which is tuned as a")
    assert remedy("5").startswith("There is: model.rate, model.depth, ")


def test_lists_and_mappings_as_choices() -> None:
    choices = [[64, 32], [128], {"name": "x"}, None]
    layers = only({"model.layers": choices})
    assert layers.choices == tuple(choices)
    assert layers.contains([64, 32])
    assert not layers.contains([64, 32.0])
    assert layers.nearest([1]) == [64, 32]
    assert layers.describe() == "[64, 32], [128], {name: x}, null"
    both = [{"name": "adam", "beta": {"one": 0.9}}, {"name": "sgd", "beta": {"one": None}}]
    assert only({"optimizer": both}).nearest(PARAMETERS["optimizer"]) == both[0]


def test_a_range_inside_a_parameter_that_is_tuned_as_a_whole_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="lies inside 'optimizer'"):
        space(
            {
                "optimizer": [PARAMETERS["optimizer"], None],
                "optimizer.beta.one": {"low": 0.5, "high": 0.9},
            }
        )


def test_values_on_steps_are_those_that_people_write() -> None:
    tenths = only({"model.rate": {"low": 0.1, "high": 1.0, "step": 0.1}})
    written = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert [tenths.at(i) for i in range(10)] == written
    assert [tenths.nearest(0.1 + i * 0.1) for i in range(10)] == written
    assert tenths.describe() == "0.1 … 1 (step 0.1)"
    assert only({"model.depth": {"low": 1, "high": 12345678}}).describe() == "1 … 12345678"


def test_condition_on_a_value_that_never_is() -> None:
    with pytest.raises(ConfigurationError, match="is never poly"):
        space(
            {
                "model.kernel": ["rbf", "linear"],
                "model.rate": {"low": 0, "high": 1, "when": {"model.kernel": "poly"}},
            }
        )


def test_circular_conditions() -> None:
    with pytest.raises(ConfigurationError, match="circle"):
        space(
            {
                "model.kernel": {"choices": ["rbf", "linear"], "when": {"model.fast": True}},
                "model.fast": {"choices": [True, False], "when": {"model.kernel": "rbf"}},
            }
        )


def test_conditional_range_is_active_only_where_its_condition_holds() -> None:
    found = space(
        {
            "model.depth": {"low": 1, "high": 9, "when": {"model.fast": True}},
            "model.fast": {"choices": [True, False], "when": {"model.kernel": ["rbf", "linear"]}},
            "model.kernel": ["rbf", "linear", "none"],
        }
    )
    assert found.paths == ("model.kernel", "model.fast", "model.depth")

    def active(**values: Any) -> list[str]:
        dotted = {f"model.{k}": v for k, v in values.items()}
        return [r.path.removeprefix("model.") for r in found.active(dotted)]

    assert active(kernel="rbf", fast=True, depth=2) == ["kernel", "fast", "depth"]
    assert active(kernel="rbf", fast=False) == ["kernel", "fast"]
    assert active(kernel="none", fast=True) == ["kernel"], "the parent is itself inactive"


def test_default_outside_its_range_is_a_warning() -> None:
    found = space({"model.rate": {"low": 0.1, "high": 1.0}})
    assert "outside" in found.warnings[0]
    assert found.defaults() == {"model.rate": 0.1}


@pytest.mark.parametrize("block", [None, 3, {"space": {"seed": [1]}}, {"objective": OBJECTIVE}])
def test_incomplete_block_is_refused(block: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_space({**PARAMETERS, "eeipu": block}, "p.yml")
    assert "p.yml" in str(caught.value)


def test_missing_block_prints_one_to_paste() -> None:
    import yaml

    with pytest.raises(ConfigurationError) as caught:
        parse_space(PARAMETERS, "p.yml")
    pasted = yaml.safe_load(caught.value.remedy.split("\n\n")[1])
    assert parse_space({**PARAMETERS, **pasted}).paths


@pytest.mark.parametrize(
    ("text", "seconds"), [(90, 90), ("90", 90), ("30min", 1800), ("2h", 7200), ("1.5 h", 5400)]
)
def test_budget(text: Any, seconds: float) -> None:
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["soon", "-3", 0, "3 parsecs", True, "nan", "inf"])
def test_bad_budget(text: Any) -> None:
    with pytest.raises(ConfigurationError, match="not a duration"):
        parse_budget(text)


@pytest.mark.parametrize("count", [0, -1, 2.5, True, "3"])
def test_bad_trials(count: Any) -> None:
    with pytest.raises(ConfigurationError, match="not a number of trials"):
        parse_trials(count)


@given(
    low=st.integers(-50, 50),
    span=st.integers(1, 100),
    step=st.integers(1, 30),
    value=st.floats(-200, 200),
)
def test_nearest_is_in_the_range_and_idempotent(
    low: int, span: int, step: int, value: float
) -> None:
    r = Range("a", "int", 0, low=low, high=low + span, step=min(step, span))
    near = r.nearest(value)
    assert r.contains(near)
    assert r.nearest(near) == near


def test_objective_reads_numbers_of_any_kind() -> None:
    import numpy as np

    objective = Objective("m", "a.b", "minimize")
    assert objective.read({"a": {"b": np.float32(0.5)}}) == 0.5
    assert Objective("m", "", "minimize").read(np.array(2)) == 2.0
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="objective"):
            objective.read({"a": {"b": bad}})
    for wrong in ("0.5", True, None, [1]):
        with pytest.raises(ConfigurationError):
            objective.read({"a": {"b": wrong}})


def test_objective_reads_what_float_reads() -> None:
    from decimal import Decimal
    from fractions import Fraction

    import numpy as np
    import pandas as pd
    import torch

    objective = Objective("m", "", "minimize")
    for value in (
        Decimal("0.5"), Fraction(1, 2), torch.tensor(0.5), torch.ones(1, 1, requires_grad=True) / 2,
        np.array([[0.5]]), pd.Series([0.5]), pd.DataFrame({"a": [0.5]}),
    ):  # fmt: skip
        assert objective.read(value) == 0.5
    assert objective.read(np.int64(2)) == 2.0
    for wrong in (
        1j,
        np.bool_(True),
        torch.tensor(True),
        torch.zeros(2),
        pd.DataFrame({"a": [1, 2]}),
    ):
        with pytest.raises(ObjectiveError, match="not a number"):
            objective.read(wrong)
    with pytest.raises(ValueError, match="inf"):
        objective.read(10**400)


def test_objective_reads_what_float_reads_of_polars() -> None:
    polars = pytest.importorskip("polars")
    objective = Objective("m", "", "minimize")
    assert objective.read(polars.DataFrame({"a": [0.5]})) == 0.5
    assert objective.read(polars.Series([0.5])) == 0.5
    assert Objective("m", ("a", 1), "minimize").read(polars.DataFrame({"a": [1.0, 0.5]})) == 0.5
    for key in ("", "a"):
        with pytest.raises(ObjectiveError, match="It is a LazyFrame, whose values"):
            Objective("m", key, "minimize").read(polars.LazyFrame({"a": [0.5]}))


def test_what_is_wrong_with_a_value_is_said_with_what_to_write() -> None:
    where = "conf/base/parameters_a.yml: eeipu"
    with pytest.raises(ObjectiveError) as caught:
        Objective("m", "los", "minimize", where=where).read({"loss": 1, "val.loss": 2})
    assert str(caught.value) == (
        f"{where}.objective: dataset 'm' has no key 'los'\nThere is: loss, val.loss."
    )
    with pytest.raises(ObjectiveError, match="There is: a, b"):
        Objective("m", "", "minimize").read({"a": 1, "b": 2})
    nothing: list[Any] = [{}, [], pd.DataFrame()]
    for empty in nothing:
        for key in ("", "loss"):
            with pytest.raises(ObjectiveError, match="It is empty\\."):
                Objective("m", key, "minimize").read(empty)
    with pytest.raises(ObjectiveError, match="There is: 0\\."):
        Objective("m", "loss", "minimize").read([0.5])
    with pytest.raises(ObjectiveError, match="It is of type float\\."):
        Objective("m", "loss", "minimize").read(0.5)
    with pytest.raises(ObjectiveError, match="a number instead of text"):
        Objective("m", "a", "minimize").read({"a": "0.5"})


def test_a_list_is_a_path_of_keys() -> None:
    def key(spec: Any) -> Any:
        parameters = {
            **PARAMETERS,
            "eeipu": {"objective": {**OBJECTIVE, "key": spec}, "space": {"seed": [1]}},
        }
        return parse_space(parameters).objective.key

    assert key(["auc", 1]) == ("auc", 1)
    assert key("val.loss") == "val.loss"
    assert key(0) == (0,)
    assert key(None) == key("") == ""
    for wrong in ({"a": 1}, [["a"]]):
        with pytest.raises(ConfigurationError, match="a list of keys"):
            key(wrong)


def test_two_parameters_with_one_path_are_refused() -> None:
    both = {"a.b": 1, "a": {"b": 2}}
    with pytest.raises(ConfigurationError, match=r"'a.b' and 'a' > 'b'"):
        parse_space({**both, "eeipu": {"objective": OBJECTIVE, "space": {"a.b": [1, 2]}}})
