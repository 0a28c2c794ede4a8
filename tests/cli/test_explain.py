"""``kedro eeipu explain``."""

from __future__ import annotations

from typing import Any

import pytest
from command_line import by_name, document

from kedro_eeipu.study.explain import code_changes

DEFAULTS = {"clean.scale": 1.0, "left.weight": 2.0, "right.power": 2, "shift": 3.0}


def edit(project: Any, old: str, new: str) -> None:
    nodes = project.source / "nodes.py"
    assert old in nodes.read_text()
    nodes.write_text(nodes.read_text().replace(old, new))


def test_explain_names_the_parameter(project: Any, shell: Any) -> None:
    tuner = project.tuner()
    tuner.evaluate(DEFAULTS)
    tuner.evaluate({**DEFAULTS, "shift": 4.0})
    nodes = by_name(document(shell("explain", "--trial", "1", "--format", "json")))
    assert nodes["score"]["changed"] == ["params:shift"]
    assert nodes["score"]["against"] == 0
    assert nodes["score"]["reason"] == "against trial 0: parameter shift changed"
    assert nodes["clean"]["status"] == "reused"
    assert nodes["clean"]["changed"] == []


def test_explain_says_why_a_node_runs_whose_input_cannot_be_stored(
    project: Any, shell: Any
) -> None:
    # Of what draws random numbers, another call is none that stands for it.
    drawing = "__import__('random').random()\n    return lambda: [weight * x for"
    edit(project, "return [weight * x for", drawing)
    edit(project, "sum(left_rows)", "sum(left_rows())")
    edit(project, "len(left_rows)", "len(left_rows())")
    tuner = project.tuner()
    tuner.evaluate(DEFAULTS)
    tuner.evaluate({**DEFAULTS, "left.weight": 4.0})
    nodes = by_name(document(shell("explain", "--trial", "1", "--format", "json")))
    why = "it is never cached: output 'left_rows' cannot be stored: it cannot be pickled: "
    assert nodes["left"]["reason"].startswith(why)
    assert ", and it draws random numbers, so another" in nodes["left"]["reason"]
    assert "one of its inputs cannot be stored" in nodes["join"]["reason"]
    assert (nodes["join"]["against"], nodes["join"]["changed"]) == (None, [])
    assert nodes["score"]["reason"] == "against trial 0: input joined changed"


def test_explain_names_the_trial_that_its_reason_names(project: Any, shell: Any) -> None:
    tuner = project.tuner()
    for shift in (3.0, 4.0, 5.0):
        tuner.evaluate({**DEFAULTS, "shift": shift})
    nodes = by_name(document(shell("explain", "--trial", "2", "--format", "json")))
    assert nodes["clean"]["reason"] == "same code, parameters and inputs as trial 0"
    assert nodes["clean"]["against"] == 0
    assert nodes["score"]["against"] == 1


def test_explain_holds_the_node_records_of_trials(project: Any, shell: Any) -> None:
    project.tuner().evaluate(DEFAULTS)
    listed = document(shell("trials", "--format", "json"))[0]["nodes"]
    explained = document(shell("explain", "--trial", "0", "--format", "json"))
    assert [{k: e[k] for k in n} for n, e in zip(listed, explained, strict=True)] == listed


def test_explain_names_the_function_that_changed(project: Any, shell: Any) -> None:
    edit(
        project,
        "def right(cleaned, options):",
        "def power(x, p):\n    return x ** p\n\n\ndef right(cleaned, options):",
    )
    edit(project, 'x ** options["power"]', 'power(x, options["power"])')
    project.tuner().evaluate(DEFAULTS)
    edit(project, "return x ** p", "return x ** p + 1")
    project.tuner().evaluate(DEFAULTS)
    (node,) = document(shell("explain", "--trial", "1", "--node", "right", "--format", "json"))
    assert node["changed"] == ["code"]
    assert node["code"] == [f"power in {project.package}.nodes changed"]
    joined = by_name(document(shell("explain", "--trial", "1", "--format", "json")))["join"]
    assert joined["changed"] == ["right_rows"]
    text = shell("explain", "--trial", "1").stdout
    assert "its code changed" in text
    assert "power in" in text


def test_explain_names_the_input(project: Any, shell: Any) -> None:
    project.tuner().evaluate(DEFAULTS)
    (project.path / "data" / "raw.json").write_text('{"rows": [5.0]}')
    project.tuner().evaluate(DEFAULTS)
    (node,) = document(shell("explain", "--trial", "1", "--node", "clean", "--format", "json"))
    assert node["changed"] == ["raw"]


def test_explain_never_shows_a_value(project: Any, shell: Any) -> None:
    """Tokens are digests, so a secret among the parameters is not told."""
    project.tuner().evaluate({**DEFAULTS, "shift": 47.1123})
    assert "47.1123" not in shell("explain", "--trial", "0", "--format", "json").stdout


def test_explain_names_the_setting_that_a_node_before_has_changed(project: Any, shell: Any) -> None:
    setting = "__import__('os').environ['WEIGHT'] = str(weight)\n    return [weight * x for"
    edit(project, "return [weight * x for", setting)
    tuner = project.tuner()
    for weight in (2.0, 4.0, 2.0):
        tuner.evaluate({**DEFAULTS, "left.weight": weight})
    nodes = by_name(document(shell("explain", "--trial", "1", "--format", "json")))
    assert nodes["left"]["reason"] == "against trial 0: parameter left.weight changed"
    differed = "the environment variables differed when it began"
    assert nodes["right"]["reason"] == f"against trial 0: {differed}"
    assert nodes["right"]["changed"] == ["state: the environment variables"]
    nodes = by_name(document(shell("explain", "--trial", "2", "--format", "json")))
    assert {n["status"] for n in nodes.values()} == {"reused"}


@pytest.mark.parametrize("arguments", [("--trial", "7"), ("--trial", "0", "--node", "nobody")])
def test_explain_refuses_what_is_not_there(
    project: Any, shell: Any, arguments: tuple[str, ...]
) -> None:
    project.tuner().evaluate(DEFAULTS)
    result = shell("explain", *arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr


def test_code_changes_in_words() -> None:
    before = {"a:f": "1", "b:g": "1", "library numpy": "numpy 1.0", "python": "3.11"}
    now = {"a:f": "2", "c:h": "1", "library numpy": "numpy 2.0", "python": "3.11"}
    assert code_changes(now, before) == [
        "f in a changed",
        "g in b is no longer used",
        "h in c is new",
        "library numpy: numpy 1.0 -> numpy 2.0",
    ]


def test_what_a_library_requires_is_named_where_it_alone_differs() -> None:
    before = {"library scipy": "scipy 1.0", "required numpy": "1.0", "required old": "1.0"}
    upgraded = {**before, "required numpy": "2.0"}
    assert code_changes(upgraded, before) == ["numpy, which a library requires: 1.0 -> 2.0"]
    with_another = {**upgraded, "library dask": "dask 1.0", "required toolz": "1.0"}
    assert code_changes(with_another, upgraded) == ["library dask: not used -> dask 1.0"]
    installed = {**before, "required new": "1.0"}
    assert code_changes(installed, before) == ["new, which a library requires: none -> 1.0"]
