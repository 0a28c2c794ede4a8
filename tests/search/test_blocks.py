"""Which block belongs to a pipeline, and what it reports on the way."""

from __future__ import annotations

from typing import Any

import pytest

from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.search.block import block_of, parse_space
from kedro_eeipu.search.space import Objective

BLOCK: dict[str, Any] = {
    "objective": {"dataset": "metrics", "key": "loss", "direction": "minimize"},
    "space": {"vision.steps": {"low": 1, "high": 9}},
    "trials": 3,
}


def parameters(**blocks: Any) -> dict[str, Any]:
    return {"vision": {"steps": 3}, **blocks}


def test_a_pipeline_takes_its_own_block_before_the_common_one() -> None:
    both = parameters(eeipu={}, eeipu_vision=BLOCK)
    assert block_of("vision", both) == "eeipu_vision"
    assert block_of("language", both) == "eeipu"
    assert block_of("__default__", both) == "eeipu"
    space = parse_space(both, key="eeipu_vision")
    assert space.paths == ("vision.steps",)


def test_errors_name_the_block() -> None:
    wrong = parameters(eeipu_vision={**BLOCK, "trails": 3})
    with pytest.raises(ConfigurationError, match=r"parameters.yml: eeipu_vision: unknown key"):
        parse_space(wrong, key="eeipu_vision")
    with pytest.raises(ConfigurationError, match=r"eeipu_vision.objective"):
        parse_space(parameters(eeipu_vision={**BLOCK, "objective": 3}), key="eeipu_vision")


def test_reports_are_datasets_with_keys_and_the_direction_of_the_objective() -> None:
    space = parse_space({**parameters(eeipu={**BLOCK, "report": ["teacher:per", "draft"]})})
    assert space.reports == (
        Objective("teacher", "per", "minimize", "report"),
        Objective("draft", "", "minimize", "report"),
    )
    space = parse_space(parameters(eeipu={**BLOCK, "report": [{"dataset": "t", "key": ["a.b"]}]}))
    assert space.reports == (Objective("t", ("a.b",), "minimize", "report"),)
    assert parse_space(parameters(eeipu=BLOCK)).reports == ()


@pytest.mark.parametrize("report", ["teacher:per", [3], {"teacher": "per"}, [""]])
def test_reports_of_another_form_are_refused(report: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"eeipu.report: `report` is a list"):
        parse_space(parameters(eeipu={**BLOCK, "report": report}))
