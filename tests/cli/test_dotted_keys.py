"""Parameters whose keys hold a dot, through all commands that name them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from command_line import Shell, document


@pytest.fixture
def dotted(shell: Shell) -> Shell:
    """`left.weight` is the key `left.cfg` with `weight` in it, and its node takes `left.cfg`."""
    project = shell.project
    parameters = yaml.safe_load((project.path / "conf/base/parameters.yml").read_text())
    parameters["left.cfg"] = parameters.pop("left")
    parameters["eeipu"]["space"] = {
        "left.cfg.weight": {"low": 0.1, "high": 10.0, "when": {"clean.kind": "plain"}},
        "clean.kind": ["plain", "fancy"],
    }
    project.write_parameters(parameters)
    pipeline = project.source / "pipeline.py"
    pipeline.write_text(pipeline.read_text().replace('"params:left.weight"', '"params:left.cfg"'))
    nodes = project.source / "nodes.py"
    nodes.write_text(nodes.read_text().replace("[weight * x", "[weight['weight'] * x"))
    return shell


def test_a_key_with_a_dot_is_tuned_shown_and_applied(dotted: Shell) -> None:
    assert ["left.cfg.weight"] in [n["parameters"] for n in dotted.json("plan")["nodes"]]
    tuned = dotted("tune", "--trials", "6")
    assert tuned.exit_code == 0, tuned.stderr
    trials: list[dict[str, Any]] = dotted.json("trials")
    weights = [t["params"].get("left.cfg.weight", 2.0) for t in trials]
    assert [t["value"] for t in trials] == pytest.approx([6 * w + 11 for w in weights])
    assert len(set(weights)) > 2
    assert dotted("report").exit_code == 0
    assert document(dotted("explain", "--trial", "1", "--format", "json"))
    number = max(t["number"] for t in trials if "left.cfg.weight" in t["params"])
    applied = dotted("apply", "--trial", str(number), "--env", "tuned")
    assert applied.exit_code == 0, applied.stderr
    assert "Warning" not in applied.stderr
    written = yaml.safe_load((dotted.project.path / "conf/tuned/parameters_eeipu.yml").read_text())
    assert written["left.cfg"] == {"weight": weights[number], "other": "untouched"}
    assert dotted.project.kedro("run", "--env", "tuned").returncode == 0
    metrics = json.loads((dotted.project.path / "data/metrics.json").read_text())
    assert metrics["loss"] == trials[number]["value"]
