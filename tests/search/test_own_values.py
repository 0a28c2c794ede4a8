"""Values that a user gives to be tried."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.search import parse_space
from kedro_eeipu.search.own_values import own_values

SPACE = parse_space(
    {
        "model": {"depth": 3, "rate": 0.1, "kind": "tree", "C": 1.0, "layers": [64, 32]},
        "eeipu": {
            "objective": {"dataset": "metrics", "direction": "minimize"},
            "space": {
                "model.depth": {"low": 1, "high": 9},
                "model.rate": {"low": 0.001, "high": 1.0, "log": True},
                "model.kind": ["tree", "svm"],
                "model.C": {"low": 0.1, "high": 10.0, "when": {"model.kind": "svm"}},
                "model.layers": [[64, 32], [128]],
            },
        },
    }
)
DEFAULTS = SPACE.defaults()


def test_pairs_with_the_defaults_for_all_else() -> None:
    (values,) = own_values(["model.depth=5,model.rate=1,model.layers=[128]"], SPACE)
    assert values == {**DEFAULTS, "model.depth": 5, "model.rate": 1.0, "model.layers": [128]}
    assert type(values["model.rate"]) is float
    (values,) = own_values(["model.kind=svm,model.C=1e-1"], SPACE)
    assert values == {**DEFAULTS, "model.kind": "svm", "model.C": 0.1}


@pytest.mark.parametrize(
    "content",
    [
        [{"model": {"depth": 5}}, {"model.depth": 7}, {"model.depth": 5}],
        [{"number": 3, "params": {"model.depth": 5}}, {"params": {"model.depth": 7}}],
    ],
    ids=["parameters", "trials"],
)
def test_files(tmp_path: Path, content: Any) -> None:
    file = tmp_path / "try.json"
    file.write_text(json.dumps(content))
    assert [v["model.depth"] for v in own_values([str(file), "model.depth=7"], SPACE)] == [5, 7]


def test_a_file_that_begins_with_kedro_s_log(tmp_path: Path) -> None:
    """`trials --format json > best.json` in a project that logs to stdout, as Kedro's starters."""
    file = tmp_path / "best.json"
    log = "[11/29/26 07:18:29] INFO     Using 'conf/logging.yml'\n" + " " * 29 + "as logging\n"
    file.write_text(log + json.dumps([{"number": 3, "params": {"model.depth": 5}}], indent=None))
    assert [v["model.depth"] for v in own_values([str(file)], SPACE)] == [5]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model.dept=5", "'model.dept' is not tuned\nDid you mean 'model.depth'"),
        ("model.depth=20", "model.depth = 20 is not in its range: 1 … 9"),
        ("model.depth=2.5", "model.depth = 2.5 is not in its range"),
        ("model.kind=forest", "model.kind = forest is not in its range: tree, svm"),
        (
            "model.C=2",
            "'model.C' has no effect with these values: it is used only where model.kind",
        ),
        ("model.depth=5,seed", "'seed' is not path=value"),
        ("model.depth=[", "'\\[' is not a value"),
        ("none.yml", "--try none.yml: cannot be read"),
    ],
)
def test_mistakes_are_one_clear_error(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        own_values([text], SPACE)
