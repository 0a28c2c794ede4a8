"""``kedro eeipu tune``."""

from __future__ import annotations

import json
import os
import pty
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import Shell, block, refused


def test_tune_says_what_happens_and_what_came_out(shell: Shell) -> None:
    result = shell("tune", "--trials", "4")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("trial   0")
    assert "ran 5, reused 0 of 5 nodes" in lines[0]
    assert any("reused" in line and "ran score" in line for line in lines)
    best = shell.json("best")
    assert f"Trial {best['number']}: metrics[loss] {best['value']:.6g}, " in result.stdout
    assert "better than the defaults (23)." in result.stdout
    assert "clean.scale" in result.stdout
    assert "0.5 … 2" in result.stdout
    assert "node executions" in result.stdout
    assert "saved" in result.stdout


def test_value_of_the_defaults_is_told_only_of_a_trial_that_ran_with_them(shell: Shell) -> None:
    block(shell.project, space={"shift": {"low": 0.0, "high": 50.0}})
    assert "23, with the defaults: no trial is better." in shell("tune", "--trials", "1").stdout
    block(shell.project, space={"shift": {"low": 10.0, "high": 50.0}})
    assert "23, with the defaults: no trial is better." in shell("tune", "--trials", "1").stdout
    moved = shell("tune", "--study", "moved", "--trials", "1")
    assert moved.exit_code == 0, moved.stderr
    assert "There is no trial with the defaults." in moved.stdout
    assert "`kedro eeipu apply --best --study moved` adopts the best values" in moved.stdout


def test_params_of_a_tuned_parameter_are_told_to_change_its_default_only(shell: Shell) -> None:
    given = ("--params", "left.weight=0.9,left.other=given")
    assert "left.weight" not in shell("tune", "--trials", "1", "--study", "new", *given).stderr
    assert "left.weight" not in shell("tune", "--trials", "1", "--study", "new", *given).stderr
    shell("tune", "--trials", "1")
    told = shell("tune", "--trials", "2", "--params", "left.weight=0.9").stderr
    assert "`left.weight` is tuned, so --params only changes its default. To try it: " in told
    assert "`--try left.weight=0.9`" in told


def test_a_range_that_was_added_leaves_the_trial_with_the_defaults(shell: Shell) -> None:
    block(shell.project, space={"shift": {"low": 0.0, "high": 50.0}})
    shell("tune", "--trials", "2")
    ranges = {"shift": {"low": 0.0, "high": 50.0}, "left.weight": {"low": 0.1, "high": 10.0}}
    block(shell.project, space=ranges)
    assert shell.json("best")["gain"]["defaults"] == 23.0


def test_tune_goes_on_and_says_so(shell: Shell) -> None:
    shell("tune", "--trials", "2")
    result = shell("tune", "--trials", "3")
    assert "resumes after 2 trials" in result.stdout
    assert [t["number"] for t in shell.json("trials")] == [0, 1, 2]


def test_a_limit_that_is_reached_already_says_what_to_type(shell: Shell) -> None:
    assert "is a total" not in shell("tune", "--trials", "3").stdout
    result = shell("tune", "--trials", "2")
    assert "the study has 3 trials already. For 10 more: --trials 13" in result.stdout
    assert "ran 0" not in result.stdout
    result = shell("tune", "--budget", "0.0001")
    more = result.stdout.partition("more: --budget ")[2].split()[0]
    assert "--budget is a total" in result.stdout
    assert shell("tune", "--trials", "5", "--budget", more).exit_code == 0
    assert len(shell.json("trials")) > 3


def test_quiet_says_nothing(shell: Shell) -> None:
    assert shell("tune", "--trials", "2", "--quiet").output == ""
    assert len(shell.json("trials")) == 2


def test_studies_are_apart(shell: Shell) -> None:
    shell("tune", "--trials", "2", "--study", "one", "--sampler", "random")
    shell("tune", "--trials", "3", "--study", "two", "--seed", "4")
    assert len(shell.json("trials", "--study", "one")) == 2
    assert len(shell.json("trials", "--study", "two")) == 3
    refused(shell("trials", "--study", "three"), "no study 'three'", "one, two")


@pytest.mark.parametrize("name", ["a/b", "../x", "", "  ", "a\nb", "x" * 300])
def test_names_that_no_study_can_have_are_refused(shell: Shell, name: str) -> None:
    refused(shell("tune", "--study", name), "--study", "letters, digits")
    assert shell.project.executions() == []
    assert not (shell.project.path / ".eeipu" / "study.db").exists()
    assert shell("trials", "--study", name).exit_code == 2


@pytest.mark.parametrize("name", ["..", "wide ranges, v1.2_b-c", "größer"])
def test_other_names_of_studies_are_taken(shell: Shell, name: str) -> None:
    result = shell("tune", "--study", name, "--trials", "1")
    assert result.exit_code == 0, result.stderr
    assert len(shell.json("trials", "--study", name)) == 1


def test_params_and_env_reach_the_run(shell: Shell) -> None:
    shell.project.write_parameters({"shift": 5.0}, env="other")
    shell("tune", "--trials", "1", "--env", "other", "--params", "right.power=1")
    (trial,) = shell.json("trials", "--env", "other")
    assert trial["params"]["shift"] == 5.0
    assert trial["value"] == abs(2 * 6 + 6 - 5)


@pytest.mark.parametrize("sampler", ["eeipu", "random", "tpe", "gp"])
def test_lists_and_mappings_are_tuned_shown_and_applied(shell: Shell, sampler: str) -> None:
    project = shell.project
    nodes = project.source / "nodes.py"
    nodes.write_text(nodes.read_text().replace('options["power"]', 'options["power"][0]'))
    parameters = yaml.safe_load((project.path / "conf/base/parameters.yml").read_text())
    parameters["right"]["power"] = [2, 9]
    parameters["eeipu"]["space"] = {
        "right.power": [[2, 9], [1], [3, 4, 5]],
        "left": [{"weight": 2.0, "other": "untouched"}, {"weight": 5.0, "other": None}],
        "clean.scale": {"low": 0.1, "high": 1.0, "step": 0.1},
    }
    project.write_parameters(parameters)
    for count in ("7", "14"):  # from a study that is read back, too
        result = shell("tune", "--trials", count, "--sampler", sampler)
        assert result.exit_code == 0, result.stderr
        assert "Warning" not in result.stderr
    trials = shell.json("trials")
    for t in trials:
        scale, power, left = (t["params"][key] for key in ("clean.scale", "right.power", "left"))
        assert scale == round(scale, 1)
        rows = [x * scale for x in (1.0, 2.0, 3.0)]
        total = sum(left["weight"] * x + x ** power[0] for x in rows)
        assert t["value"] == pytest.approx(abs(total - 3.0))
    assert len({str(t["params"]["right.power"]) for t in trials}) == 3
    if sampler != "eeipu":
        return
    assert shell("report").exit_code == 0
    assert "[2, 9], [1], [3, 4, 5]" in result.stdout
    number = next(t["number"] for t in trials if t["params"]["left"]["other"] is None)
    applied = shell("apply", "--trial", str(number), "--env", "tuned")
    assert applied.exit_code == 0, applied.stderr
    assert "Warning" not in applied.stderr
    assert project.kedro("run", "--env", "tuned").returncode == 0
    metrics = json.loads((project.path / "data/metrics.json").read_text())
    assert metrics["loss"] == trials[number]["value"]


def test_changed_categories_are_refused(shell: Shell) -> None:
    block(shell.project, space={"clean.kind": ["plain", "fancy"]})
    shell("tune", "--trials", "1")
    block(shell.project, space={"clean.kind": ["plain", "other"]})
    refused(shell("tune", "--trials", "2"), "clean.kind", "--study")


@pytest.mark.parametrize(
    ("runner", "told"),
    [
        ("json.JSONDecoder", "is not a runner"),
        ("kedro.framework.session.KedroSession", "is not a runner"),
        ("kedro.runner.AbstractRunner", "cannot be made"),
        ("NoRunner", "there is no runner"),
    ],
)
def test_what_is_no_runner_is_refused(shell: Shell, runner: str, told: str) -> None:
    refused(shell("tune", "--runner", runner), f"'{runner}'", told, "--runner")


def test_failing_study_exits_with_one(shell: Shell) -> None:
    nodes = shell.project.source / "nodes.py"
    nodes.write_text(nodes.read_text().replace('ran("score")', 'raise RuntimeError("no licence")'))
    result = shell("tune", "--trials", "9")
    assert result.exit_code == 1
    assert "no licence" in result.stderr
    assert "Traceback" not in result.output
    assert all(t["nodes"][-1]["status"] == "failed" for t in shell.json("trials"))


@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_study_that_ends_without_a_value_exits_with_one(
    shell: Shell, quiet: tuple[str, ...]
) -> None:
    nodes = shell.project.source / "nodes.py"
    nodes.write_text(nodes.read_text().replace('ran("score")', 'raise RuntimeError("no licence")'))
    result = shell("tune", "--trials", "2", "--study", "my study", *quiet)
    assert result.exit_code == 1
    assert "no trial of study 'my study' has completed. The last error: " in result.stderr
    assert "no licence" in result.stderr
    assert "`kedro eeipu trials --study 'my study'` lists them." in result.stderr
    assert ("Stopped: the study has its 2 trials." in result.stdout) is (not quiet)


def test_live_view_in_a_terminal(project: Any) -> None:
    """The whole command under a pseudo-terminal: what is redrawn, and what stays."""
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover - the child
        os.chdir(project.path)
        os.environ.update(project.environment(), TERM="xterm-256color")
        arguments = project.command("eeipu", "tune", "--trials", "3")
        os.execv(arguments[0], arguments)
    seen = b""
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, seen.decode()
    text = seen.decode()
    assert "node time" in text
    assert "choosing the next trial" in text
    assert "better than the defaults (23)" in text


def test_project_path_with_spaces(project: Any, tmp_path: Path) -> None:
    project = type(project)(tmp_path / "a project with spaces")
    result = Shell(project)("tune", "--trials", "1")
    assert result.exit_code == 0, result.stderr
