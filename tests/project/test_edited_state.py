"""What is the state of a pipeline, and what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml


def state(project: Any, **options: Any) -> Any:
    return project.load(**options).state


def edit(project: Any, file: str, old: str, new: str) -> None:
    path = project.path / file.replace("SOURCE", f"src/{project.package}")
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def changed(project: Any, file: str, old: str, new: str) -> tuple[str, ...]:
    """What an edit changes."""
    before = state(project)
    edit(project, file, old, new)
    now = state(project)
    differing = now.changes_since(before, ())
    assert bool(differing) == (now.digest != before.digest)
    return differing


PARAMETERS = "conf/base/parameters.yml"
ROWS = '"left_rows", "right_rows"], "joined"'


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("SOURCE/nodes.py", '"loss": abs(', '"loss": 2 * abs(', "node `score`'s code"),
        ("data/raw.json", "3.0", "4.0", "input `raw`"),
        (PARAMETERS, "kind: plain", "kind: fancy", "parameter `clean.kind`"),
        (
            "SOURCE/pipeline.py",
            ROWS,
            '"right_rows", "left_rows"], "joined"',
            "how the nodes are connected",
        ),
    ],
)
def test_edits_that_change_values(
    project: Any, file: str, old: str, new: str, expected: str
) -> None:
    assert changed(project, file, old, new) == (expected,)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("SOURCE/nodes.py", 'ran("score")', 'ran("score")  # a comment'),
        (PARAMETERS, "other: untouched", "other: touched"),
        (PARAMETERS, "shift: 3.0", "shift: 4.0"),
        (PARAMETERS, "key: loss", "key: nested.n"),
        ("SOURCE/pipeline.py", 'name="join"', 'name="sum"'),
        ("SOURCE/pipeline.py", '"joined"', '"both"'),
    ],
)
def test_edits_that_change_no_value(project: Any, file: str, old: str, new: str) -> None:
    assert changed(project, file, old, new) == ()


def test_nodes_that_the_objective_does_not_need_are_no_part_of_it(project: Any) -> None:
    with (project.source / "nodes.py").open("a") as file:
        file.write("\n\ndef plot(joined, parameters):\n    return 1\n")
    more = 'Pipeline([\n        node(nodes.plot, ["joined", "parameters"], "plot", name="plot"),'
    edit(project, "SOURCE/pipeline.py", "Pipeline([", more)
    assert changed(project, "SOURCE/nodes.py", "return 1", "return 2") == ()
    edit(project, PARAMETERS, "eeipu:\n", "eeipu:\n  also: [plot]\n")
    assert changed(project, "SOURCE/nodes.py", "return 2", "return 3") == ()


def test_nodes_that_are_never_cached_are_part_of_it(project: Any) -> None:
    edit(project, "SOURCE/pipeline.py", 'name="score"', 'name="score", tags=["eeipu.no-cache"]')
    new = '"loss": 2 * abs('
    assert changed(project, "SOURCE/nodes.py", '"loss": abs(', new) == ("node `score`'s code",)


def test_a_node_that_takes_all_parameters_depends_on_each(project: Any) -> None:
    with (project.source / "nodes.py").open("a") as file:
        file.write("\n\ndef final(metrics, parameters):\n    return metrics\n")
    more = 'Pipeline([\n        node(nodes.final, ["metrics", "parameters"], "last", name="last"),'
    edit(project, "SOURCE/pipeline.py", "Pipeline([", more)
    edit(project, PARAMETERS, "dataset: metrics", "dataset: last")
    assert changed(project, PARAMETERS, "untouched", "touched") == ("parameter `left.other`",)
    assert changed(project, PARAMETERS, "trials: 4", "trials: 5") == ()


def test_state_is_the_same_in_another_load_and_with_the_same_params(project: Any) -> None:
    given = state(project, runtime_params={"clean": {"scale": 1.0, "kind": "fancy"}})
    assert given.changes_since(state(project), ()) == ("parameter `clean.kind`",)
    parameters = yaml.safe_load((project.path / PARAMETERS).read_text())
    project.write_parameters({**parameters, "clean": {"scale": 1.0, "kind": "fancy"}})
    assert state(project) == given
    json.dumps(given.to_json())
