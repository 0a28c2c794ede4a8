"""``kedro eeipu plan``."""

from __future__ import annotations

import pytest
from command_line import Shell, block, refused


def test_plan_follows_its_contract(shell: Shell) -> None:
    plan = shell.json("plan")
    assert sorted(n for s in plan["stages"] for n in s["nodes"]) == sorted(
        ["clean", "left", "right", "join", "score"]
    )
    assert all(set(s) == {"id", "nodes", "parameters"} for s in plan["stages"])
    assert {n["name"]: n["parameters"] for n in plan["nodes"]}["left"] == ["left.weight"]
    keys = {"name", "stage", "parameters", "cacheable", "why_not", "called_again"}
    assert all(set(n) == keys for n in plan["nodes"])
    assert all(n["cacheable"] and n["why_not"] is None for n in plan["nodes"])
    assert shell.project.executions() == []


def test_plan_lists_a_stage_after_those_that_it_follows(shell: Shell) -> None:
    """One that is never reused stands in the graph after a stage with the same ranges."""
    shell.project.write_settings({"cache": {"nodes": {"clean": {"cache": False}}}})
    block(shell.project, space={"clean.scale": {"low": 0.5, "high": 2.0}})
    rows = [line.split() for line in shell("plan").stdout.splitlines()]
    stages = {row[0]: row[1] for row in rows if row and row[0] in ("s0", "s1")}
    assert list(stages.items()) == [("s1", "-"), ("s0", "s1")]


def test_plan_shows_what_trials_leave_out_and_its_seconds(shell: Shell) -> None:
    source = shell.project.source
    with (source / "nodes.py").open("a") as file:
        file.write("\n\ndef plot(rows):\n    return len(rows)\n\n\ndef tell(n):\n    pass\n")
    nodes = 'node(nodes.plot, "left_rows", "plotted", name="plot"),'
    nodes += 'node(nodes.tell, "plotted", None, name="tell"),'
    pipeline = (source / "pipeline.py").read_text()
    shell.project.write_pipeline(pipeline.replace("Pipeline([", f"Pipeline([{nodes}"))
    plan = shell.json("plan")
    assert plan["left_out"] == [{"name": n, "seconds": None} for n in ("plot", "tell")]
    assert {n["name"] for n in plan["nodes"]} == {"clean", "left", "right", "join", "score"}
    block(shell.project, also=["tell"])
    assert shell.json("plan")["left_out"] == []
    shell("tune", "--trials", "1")
    block(shell.project, also=None)
    left_out = {n["name"]: n["seconds"] for n in shell.json("plan")["left_out"]}
    assert left_out.keys() == {"plot", "tell"}
    assert all(seconds < 1 for seconds in left_out.values())
    assert "Trials leave out 2 nodes that the objective does not need." in shell("plan").stdout
    assert " Name them under `also:` to run them, too:" in " ".join(shell("plan").stdout.split())


def test_plan_says_why_a_node_is_never_cached(shell: Shell) -> None:
    shell.project.write_settings({"cache": {"nodes": {"le*": {"cache": False}}}})
    nodes = {n["name"]: n for n in shell.json("plan")["nodes"]}
    assert nodes["left"]["why_not"] == "eeipu.yml says cache: false"
    assert nodes["right"]["cacheable"]


def test_plan_says_what_the_study_will_cost(shell: Shell) -> None:
    assert "known once one has run" in shell("plan").stdout
    assert shell.json("plan")["cost"] is None
    shell("tune", "--trials", "3")
    trials = shell.json("trials")
    cost = shell.json("plan")["cost"]
    assert cost["trials"] == 3
    assert cost["spent"] == pytest.approx(sum(t["cost_seconds"] for t in trials))
    assert cost["seconds"] * 3 == pytest.approx(cost["spent"])
    assert 0 < cost["bytes"] <= cost["cold_bytes"]
    assert "The limit of 4 trials has room for about 1 more trial" in shell("plan").stdout
    shell("tune", "--trials", "4")
    assert "The limit of 4 trials is used up" in shell("plan").stdout
    assert "None" not in shell("plan", "--study", "another").stdout
    block(shell.project, trials=None, budget="1h")
    assert "The budget of 60.0 min has room for about" in shell("plan").stdout


def test_plan_refuses_what_tune_would_refuse(shell: Shell) -> None:
    shell("tune", "--trials", "1")
    block(shell.project, space={"shift": {"low": 1.0, "high": 50.0, "log": True}})
    for command in ("plan", "tune"):
        refused(shell(command), "eeipu.space.shift", "floats on a linear scale", "--study NAME")
    assert shell("plan", "--study", "another").exit_code == 0
    objective = {"dataset": "metrics", "key": "nested.n", "direction": "minimize"}
    block(shell.project, space={"shift": {"low": 0.0, "high": 9.0}}, objective=objective)
    for command in ("plan", "tune"):
        refused(shell(command), "is to minimize metrics[loss], not to minimize metrics[nested.n]")
