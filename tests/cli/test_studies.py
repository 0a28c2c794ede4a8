"""``kedro eeipu studies``, ``tune --try`` and ``explain N``."""

from __future__ import annotations

import csv
import json
from typing import Any

import pytest
from command_line import Shell, block, refused


@pytest.fixture
def tuned(shell: Shell) -> Shell:
    """A project with two studies."""
    shell("tune", "--trials", "2", "--sampler", "random")
    shell("tune", "--trials", "1", "--sampler", "random", "--study", "other one")
    return shell


def test_studies_are_listed_exported_and_deleted(tuned: Shell, tmp_path: Any) -> None:
    listed = tuned.json("studies", "ls")
    assert [(s["name"], s["trials"], s["direction"]) for s in listed] == [
        ("default", 2, "minimize"),
        ("other one", 1, "minimize"),
    ]
    assert "other one" in tuned("studies", "ls").stdout
    text = tuned("studies", "export", "other one").stdout
    (row,) = csv.DictReader(text.splitlines())
    assert (row["value"], row["shift"]) == ("23.0", "3.0")
    file = tmp_path / "trials.json"
    assert "Wrote 2 trials" in tuned("studies", "export", "-o", str(file)).stdout
    assert json.loads(file.read_text()) == tuned.json("trials")

    asked = tuned("studies", "rm", "other one", say="n\n").stdout
    assert "Delete study 'other one' with 1 trial?" in asked
    assert len(tuned.json("studies", "ls")) == 2
    refused(tuned("studies", "rm", "othr one", "-y"), "Did you mean 'other one'?")
    assert tuned("studies", "rm", "other one", "--yes").exit_code == 0
    assert [s["name"] for s in tuned.json("studies", "ls")] == ["default"]
    assert {p.name for p in (tuned.project.path / ".eeipu").glob("other*")} == set()
    assert tuned.json("cache", "stats")["blobs"], "the cache is as it was"


def test_no_study_is_no_error(shell: Shell) -> None:
    assert shell.json("studies", "ls") == []
    assert "There is no study yet" in shell("studies", "ls").stdout
    refused(shell("studies", "rm", "x", "-y"), "there is no study 'x'", "There is none.")


def test_own_values_are_checked_before_anything_runs(shell: Shell) -> None:
    result = shell("tune", "--trials", "1", "--try", "right.power=2", "--try", "shift=99")
    refused(result, "--try shift=99: shift = 99 is not in its range: 0 … 50")
    assert not shell.project.executions()
    assert not (shell.project.path / ".eeipu/study.db").exists()
    shown = shell("tune", "--trials", "1", "--try", "right.power=3").stdout
    assert shell.json("trials")[1]["params"]["right.power"] == 3
    assert "Stopped: the study has its 1 trial." in shown


def test_explain_takes_a_number(tuned: Shell) -> None:
    assert tuned.json("explain", "1") == tuned.json("explain", "--trial", "1")
    refused(tuned("explain"), "no trial is named", "kedro eeipu explain 8")
    refused(tuned("explain", "1", "--trial", "0"), "two trials are named")


def test_held_out_value_is_shown_by_all_commands(shell: Shell) -> None:
    block(shell.project, holdout={"dataset": "metrics", "key": "nested.n"})
    shown = shell("tune", "--trials", "2", "--sampler", "random").stdout
    assert "Held out metrics[nested.n] is measured for trial" in shown
    assert "Held out metrics[nested.n]: 3, as with the defaults." in shown
    for command in (("best",), ("apply", "--best", "--env", "tuned")):
        assert "Held out metrics[nested.n]: 3," in shell(*command).stdout
    assert shell.json("best")["gain"]["holdout"] == {
        "name": "metrics[nested.n]",
        "value": 3.0,
        "defaults": 3.0,
    }
