"""What the commands say of trials from before an edit."""

from __future__ import annotations

import json
from typing import Any

import pytest
from command_line import Shell, refused

SCORE = "node `score`'s code"


@pytest.fixture
def edited(shell: Shell) -> Shell:
    shell("tune", "--trials", "3")
    nodes = shell.project.source / "nodes.py"
    nodes.write_text(nodes.read_text().replace('"loss": abs(', '"loss": 2 * abs('))
    return shell


def test_trials_best_and_report_tell_them_apart(edited: Shell) -> None:
    assert [t["changed_since"] for t in edited.json("trials")] == [[SCORE]] * 3
    refused(edited("best"), SCORE, "--any-state")
    assert edited.json("best", "--any-state")["changed_since"] == [SCORE]
    assert f"Changed since then: {SCORE}" in edited("best", "--any-state").stdout
    noticed = edited("tune", "--trials", "2")
    assert f"since trial 2 these have changed: {SCORE}. 3 trials from before" in noticed.stderr
    assert "3 trials from before an edit not counted" in noticed.stdout
    assert [t["changed_since"] for t in edited.json("trials")] == [[SCORE]] * 3 + [[]] * 2
    lines = edited("trials").stdout.splitlines()
    assert lines[0].endswith("changed since")
    assert [line.endswith(SCORE) for line in lines[1:]] == [True] * 3 + [False] * 2
    assert edited.json("best")["number"] >= 3
    assert "have changed" not in edited("tune", "--trials", "3").stderr, "it was said"
    assert edited("report").exit_code == 0
    page = (edited.project.path / ".eeipu/report.html").read_text()
    assert "Trials from before an edit" in page


def test_apply_leaves_out_what_today_would_not_give(edited: Shell) -> None:
    refused(edited("apply", "--best", "--env", "tuned"), SCORE)
    result = edited("apply", "--trial", "1", "--env", "tuned")
    assert result.exit_code == 0, result.stderr
    assert f"since trial 1 these have changed: {SCORE}" in result.stderr
    assert "Wrote conf/tuned/parameters_eeipu.yml" in result.stdout
    assert "Saved cleaned from the cache" in result.stdout, "its node has not changed"
    assert "Not saved: metrics (what the trial made is from before an edit)" in result.stderr
    assert not (edited.project.path / "data/metrics.json").exists()


def test_apply_brings_what_plain_runs_have_cached_of_left_out_nodes(shell: Shell) -> None:
    project: Any = shell.project
    with (project.source / "nodes.py").open("a") as file:
        file.write("\n\ndef odd(raw):\n    return {'n': 1}\n")
    text = (project.source / "pipeline.py").read_text()
    first = 'Pipeline([node(nodes.odd, "raw", "odd", name="a"),'
    project.write_pipeline(text.replace("Pipeline([", first))
    project.write_settings({"cache": {"runs": True}})
    odd = {"type": "json.JSONDataset", "filepath": "data/odd.json"}
    project.write_catalog({**CATALOG, "odd": odd})
    project.plain_run()
    (project.path / "data/odd.json").unlink()
    shell("tune", "--trials", "1")
    result = shell("apply", "--best", "--env", "tuned")
    assert "Saved odd from the cache" in result.stdout
    assert json.loads((project.path / "data/odd.json").read_text()) == {"n": 1}


CATALOG = {
    "raw": {"type": "json.JSONDataset", "filepath": "data/raw.json"},
    "cleaned": {"type": "json.JSONDataset", "filepath": "data/cleaned.json"},
    "metrics": {"type": "json.JSONDataset", "filepath": "data/metrics.json"},
}


def test_trials_given_params_are_today_s_as_long_as_they_are_given(shell: Shell) -> None:
    shell("tune", "--trials", "2", "--params", "clean.kind=fancy")
    assert [t["changed_since"] for t in shell.json("trials")] == [[], []]
    assert shell.json("best")["changed_since"] == []
    noticed = shell("tune", "--trials", "1")
    assert "parameter `clean.kind`" in noticed.stderr
    assert [bool(t["changed_since"]) for t in shell.json("trials")] == [True, True, False]


def test_tune_says_how_many_earlier_trials_inform_the_search(edited: Shell) -> None:
    said = edited("tune", "--trials", "1")
    assert "3 earlier trials inform the search: 3 from before an edit." in said.stdout
    other = edited("tune", "--trials", "1", "--study", "june", "--from", "default")
    assert "4 earlier trials inform the search: 4 of study default." in other.stdout
    again = edited("tune", "--trials", "2", "--study", "june")
    assert "4 earlier trials inform the search: 4 of study default." in again.stdout
    assert "inform" not in edited("tune", "--trials", "3", "--sampler", "tpe").stdout
    refused(edited("tune", "--from", "missing"), "--from", "no study 'missing'", "default")
    edited("studies", "rm", "default", "--yes")
    gone = edited("tune", "--trials", "3", "--study", "june")
    assert "study default, from which this one was begun, is not there any more" in gone.stderr
    assert gone.exit_code == 0
