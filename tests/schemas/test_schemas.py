"""The schemas for editors accept what the product accepts, and know the same keys."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from kedro_eeipu.config.settings import Settings
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.schemas import SCHEMAS_URL, parameters_schema, settings_schema
from kedro_eeipu.search.block import parse_space

ROOT = Path(__file__).parents[2]
PARAMETERS = Draft7Validator(parameters_schema())
SETTINGS = Draft7Validator(settings_schema())
VALUES = {"a": 3, "b": 0.5, "c": "rbf", "d": True, "e": [64, 32], "f": {"x": 1, "y": 0.1}}
BLOCK: dict[str, Any] = yaml.safe_load("""
objective: {dataset: metrics, key: accuracy, direction: maximize}
space:
  a: {low: 1, high: 9, step: 2}
  b: {low: 0.1, high: 1.0, log: true, when: {c: rbf}}
  c: [rbf, linear]
  d: {choices: [true, false], when: {c: [linear]}}
  e: [[64, 32], [128]]
  f: [{x: 1, y: 0.1}, {x: 2, y: 0.2}]
budget: 30min
trials: 100
timeout: 1h
max_failures: 3
report: [teacher:error, {dataset: draft, key: [auc, 1]}]
also: [checks]
confirm: {tolerance: 1.0e-6}
holdout: {dataset: test_metrics, key: accuracy, direction: minimize}
""")
FILE: dict[str, Any] = yaml.safe_load("""
cache:
  root: s3://bucket/cache
  credentials: bucket
  signing_key: signing
  max_size: 20GB
  max_entry_bytes: 500 mb
  runs: true
  audit: 0.1
  nodes: {train: {cache: false, version: 2, depends_on: [page.html, $LOCALE]}}
  inputs: {orders: {version: 2026-01}, people: {version_query: select 1}}
study: {storage: "postgresql://db/studies", credentials: database}
cluster: {resources: {GPU: 1}}
nodes: {"train_*": {timeout: 10min}}
mlflow: true
""")
ODD = st.sampled_from(
    [None, True, 0, 1, 2.5, -1, "", "x", "90s", "1.5 H", "7 MB", [], ["x"], [1, "x"], {}, {"x": 1}]
)


def accepts(parse: Any, content: Any) -> bool:
    try:
        parse(content)
    except ConfigurationError:
        return False
    return True


def parse_block(block: Any) -> Any:
    return parse_space({**VALUES, "eeipu": block})


def places(content: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all values inside, by keys."""
    inner = content.items() if isinstance(content, dict) else ()
    return [deeper for key, value in inner for deeper in places(value, (*place, key))] + [place]


def changed(content: Any, place: tuple[Any, ...], value: Any) -> Any:
    content = deepcopy(content)
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return content


def without(content: Any, *place: Any) -> Any:
    content = deepcopy(content)
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    del inner[place[-1]]
    return content


def test_examples_are_accepted_by_both() -> None:
    assert parse_block(BLOCK).budget == 1800
    assert Settings.parse(FILE).cache.runs
    PARAMETERS.validate({**VALUES, "eeipu": BLOCK, "eeipu_other": BLOCK})
    SETTINGS.validate(FILE)
    Draft7Validator.check_schema(parameters_schema())
    Draft7Validator.check_schema(settings_schema())


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_what_is_accepted_fits_the_schema(data: st.DataObject) -> None:
    for content, parse, schema, top in (
        (BLOCK, parse_block, PARAMETERS, "eeipu"),
        (FILE, Settings.parse, SETTINGS, ""),
    ):
        place = data.draw(st.sampled_from(places(content)[:-1]))
        odd = changed(content, place, data.draw(ODD))
        if accepts(parse, odd):
            assert schema.is_valid({top: odd} if top else odd), (place, odd)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("objectives",), {}),
        (("objective", "direction"), "up"),
        (("objective", "dataset"), 3),
        (("objective", "dir"), "maximize"),
        (("space",), {}),
        (("space", "a"), 3),
        (("space", "a"), {"low": 1}),
        (("space", "a", "log"), True),
        (("space", "a", "choices"), [1]),
        (("space", "a", "minimum"), 1),
        (("space", "b", "log"), "yes"),
        (("space", "b", "when"), {"c": "rbf", "d": True}),
        (("space", "c"), []),
        (("budget",), "soon"),
        (("budget",), 0),
        (("trials",), 2.5),
        (("max_failures",), 0),
        (("report",), "teacher"),
        (("also",), [3]),
        (("confirm",), 0.1),
        (("confirm", "tolerance"), -1),
        (("holdout",), {"key": "accuracy"}),
    ],
)
def test_wrong_blocks_are_refused_by_both(place: tuple[str, ...], value: Any) -> None:
    block = changed(BLOCK, place, value)
    assert not accepts(parse_block, block)
    assert not PARAMETERS.is_valid({"eeipu": block})


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("caches",), {}),
        (("cache", "size"), 3),
        (("cache", "root"), 3),
        (("cache", "max_size"), "much"),
        (("cache", "runs"), "yes"),
        (("cache", "audit"), 2),
        (("cache", "nodes", "train", "cached"), False),
        (("cache", "nodes", "train", "depends_on"), 3),
        (("cache", "inputs", "orders"), {}),
        (("study", "url"), "sqlite://"),
        (("cluster", "resources", "GPU"), 0),
        (("nodes", "train_*"), {}),
        (("mlflow",), 1),
    ],
)
def test_wrong_settings_are_refused_by_both(place: tuple[str, ...], value: Any) -> None:
    content = changed(FILE, place, value)
    assert not accepts(Settings.parse, content)
    assert not SETTINGS.is_valid(content)


@pytest.mark.parametrize("place", [("objective",), ("space",), ("objective", "direction")])
def test_what_is_needed_is_needed_by_both(place: tuple[str, ...]) -> None:
    block = without(BLOCK, *place)
    assert not accepts(parse_block, block)
    assert not PARAMETERS.is_valid({"eeipu": block})


def test_null_puts_a_setting_back_to_its_default() -> None:
    for place in places(FILE)[:-1]:
        if place[:2] in (("cluster", "resources"), ("cache", "inputs")) or place[0] == "nodes":
            continue
        content = changed(FILE, place, None)
        assert accepts(Settings.parse, content), place
        assert SETTINGS.is_valid(content), place
    assert Settings.parse({"cache": {"root": None, "audit": None}}) == Settings()


def test_editors_find_the_schemas_in_the_repository() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    repository = SCHEMAS_URL.removeprefix("https://raw.githubusercontent.com/").split("/main/")[0]
    assert f'Repository = "https://github.com/{repository}"' in project
