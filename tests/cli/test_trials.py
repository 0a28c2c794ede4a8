"""``kedro eeipu trials``."""

from __future__ import annotations

import subprocess
import sys

from command_line import Shell, refused


def test_trials_follow_their_contract(shell: Shell) -> None:
    shell("tune", "--trials", "3")
    trials = shell.json("trials")
    assert [t["number"] for t in trials] == [0, 1, 2]
    keys = {"number", "state", "params", "value", "cost_seconds", "saved_seconds", "nodes", "error"}
    keys |= {"confirmation", "audit", "changed_since"}
    assert all(set(t) == keys for t in trials)
    node_keys = {"name", "status", "seconds", "reason", "key", "curve"}
    assert all(set(n) == node_keys for t in trials for n in t["nodes"])
    assert all(n["reason"] for t in trials for n in t["nodes"])
    assert trials[0]["params"]["shift"] == 3.0
    lines = shell("trials").stdout.splitlines()
    assert lines[0].split() == [
        "trial",
        "state",
        "value",
        "cost",
        "s",
        "saved",
        "s",
        "ran",
        "reused",
    ]
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1, "numbers are right-aligned"


def test_trials_are_listed_though_the_pipeline_cannot_be_imported(shell: Shell) -> None:
    shell("tune", "--trials", "1")
    shell.project.write_pipeline("import no_such_library\n")
    assert [t["changed_since"] for t in shell.json("trials")] == [None]
    refused(shell("trials", "--env", "none"), "no configuration environment 'none'")
    refused(shell("trials", "--pipeline", "other"), "no study 'other'", "default")


def test_listing_trials_imports_neither_optuna_nor_torch() -> None:
    modules = "kedro_eeipu.cli, kedro_eeipu.config.loading, kedro_eeipu.study.fast_read"
    heavy = "{'optuna', 'torch', 'sqlalchemy', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", f"import sys, {modules}; assert not {heavy}"], check=True)
