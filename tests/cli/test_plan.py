"""``kedro eeipu plan``."""

from __future__ import annotations

from command_line import Shell, block


def test_plan_follows_its_contract(shell: Shell) -> None:
    plan = shell.json("plan")
    assert sorted(n for s in plan["stages"] for n in s["nodes"]) == sorted(
        ["clean", "left", "right", "join", "score"]
    )
    assert all(set(s) == {"id", "nodes", "parameters"} for s in plan["stages"])
    assert {n["name"]: n["parameters"] for n in plan["nodes"]}["left"] == ["left.weight"]
    assert all(
        set(n) == {"name", "stage", "parameters", "cacheable", "why_not"} for n in plan["nodes"]
    )
    assert all(n["cacheable"] and n["why_not"] is None for n in plan["nodes"])
    assert shell.project.executions() == []


def test_plan_lists_a_stage_after_those_that_it_follows(shell: Shell) -> None:
    """One that is never reused stands in the graph after a stage with the same ranges."""
    shell.project.write_settings({"cache": {"nodes": {"clean": {"cache": False}}}})
    block(shell.project, space={"clean.scale": {"low": 0.5, "high": 2.0}})
    rows = [line.split() for line in shell("plan").stdout.splitlines()]
    stages = {row[0]: row[1] for row in rows if row and row[0] in ("s0", "s1")}
    assert list(stages.items()) == [("s1", "-"), ("s0", "s1")]


def test_plan_says_why_a_node_is_never_cached(shell: Shell) -> None:
    shell.project.write_settings({"cache": {"nodes": {"le*": {"cache": False}}}})
    nodes = {n["name"]: n for n in shell.json("plan")["nodes"]}
    assert nodes["left"]["why_not"] == "eeipu.yml says cache: false"
    assert nodes["right"]["cacheable"]
