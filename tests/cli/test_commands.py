"""The commands as a user types them: contract, exit codes, and errors without tracebacks."""

from __future__ import annotations

import json
import logging
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from kedro.framework.startup import bootstrap_project

from kedro_eeipu.cli import commands
from kedro_eeipu.config.settings import NodeSettings


class Shell:
    """Runs `kedro eeipu …` of a project in this process."""

    def __init__(self, project: Any) -> None:
        self.project = project

    def __call__(self, *arguments: str, say: str = "") -> Result:
        self.project.bootstrap()
        metadata = bootstrap_project(self.project.path)
        try:
            return CliRunner().invoke(commands, ["eeipu", *arguments], obj=metadata, input=say)
        finally:
            logging.disable(logging.NOTSET)

    def json(self, *arguments: str) -> Any:
        result = self(*arguments, "--format", "json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)


@pytest.fixture
def shell(project: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.setenv("COLUMNS", "120")
    return Shell(project)


def block(project: Any, **changes: Any) -> None:
    """Change keys of the `eeipu` block; `None` takes a key out."""
    parameters = yaml.safe_load((project.path / "conf/base/parameters.yml").read_text())
    for key, value in changes.items():
        if value is None:
            parameters["eeipu"].pop(key)
        else:
            parameters["eeipu"][key] = value
    project.write_parameters(parameters)


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    for word in words:
        assert word in result.stderr, result.stderr


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


def test_tune_says_what_happens_and_what_came_out(shell: Shell) -> None:
    result = shell("tune", "--trials", "4")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("trial   0")
    assert "ran 5, reused 0 of 5 nodes" in lines[0]
    assert any("reused" in line and "ran score" in line for line in lines)
    assert "Best: metrics[loss]" in result.stdout
    assert "with the defaults." in result.stdout
    assert "clean.scale" in result.stdout
    assert "0.5 … 2" in result.stdout
    assert "node executions" in result.stdout
    assert "saved" in result.stdout


def test_value_of_the_defaults_is_told_only_of_a_trial_that_ran_with_them(shell: Shell) -> None:
    block(shell.project, space={"shift": {"low": 0.0, "high": 50.0}})
    assert "23 with the defaults." in shell("tune", "--trials", "1").stdout
    block(shell.project, space={"shift": {"low": 10.0, "high": 50.0}})
    assert "23 with the defaults." in shell("tune", "--trials", "1").stdout
    moved = shell("tune", "--study", "moved", "--trials", "1")
    assert moved.exit_code == 0, moved.stderr
    assert "with the defaults" not in moved.stdout


def test_tune_goes_on_and_says_so(shell: Shell) -> None:
    shell("tune", "--trials", "2")
    result = shell("tune", "--trials", "3")
    assert "goes on after 2 trials" in result.stdout
    assert [t["number"] for t in shell.json("trials")] == [0, 1, 2]


def test_quiet_says_nothing(shell: Shell) -> None:
    assert shell("tune", "--trials", "2", "--quiet").output == ""
    assert len(shell.json("trials")) == 2


def test_trials_follow_their_contract(shell: Shell) -> None:
    shell("tune", "--trials", "3")
    trials = shell.json("trials")
    assert [t["number"] for t in trials] == [0, 1, 2]
    keys = {"number", "state", "params", "value", "cost_seconds", "saved_seconds", "nodes", "error"}
    assert all(set(t) == keys for t in trials)
    node_keys = {"name", "status", "seconds", "reason", "key"}
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
    assert [t["number"] for t in shell.json("trials")] == [0]
    refused(shell("trials", "--env", "none"), "no configuration environment 'none'")
    refused(shell("trials", "--pipeline", "other"), "no study 'other'", "default")


def test_listing_trials_imports_neither_optuna_nor_torch() -> None:
    modules = "kedro_eeipu.cli, kedro_eeipu.config.loading, kedro_eeipu.study.fast_read"
    heavy = "{'optuna', 'torch', 'sqlalchemy', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", f"import sys, {modules}; assert not {heavy}"], check=True)


def test_best_is_a_trial(shell: Shell) -> None:
    shell("tune", "--trials", "4")
    best = shell.json("best")
    assert best["value"] == min(t["value"] for t in shell.json("trials"))
    shown = shell("best").stdout
    assert f"Trial {best['number']}: metrics[loss] {best['value']:.6g}" in shown
    assert "clean.scale" in shown


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


def test_apply_writes_the_values_and_brings_the_outputs(shell: Shell) -> None:
    shell("tune", "--trials", "4")
    before = shell.project.files()
    best = shell.json("best")
    shell.project.executions()
    result = shell("apply", "--best", "--env", "tuned")
    assert result.exit_code == 0, result.stderr
    assert shell.project.executions() == [], "nothing is run"
    after = shell.project.files()
    new = set(after) - set(before)
    assert new == {"conf/tuned/parameters_eeipu.yml", "data/cleaned.json", "data/metrics.json"}
    assert {k: after[k] for k in before} == before, "the user's own files are untouched"
    assert json.loads(after["data/metrics.json"])["loss"] == best["value"]
    done = shell.project.kedro("run", "--env", "tuned")
    assert done.returncode == 0, done.stderr
    assert (
        json.loads((shell.project.path / "data/metrics.json").read_text())["loss"] == best["value"]
    )


def test_apply_reproduces_a_trial_that_was_given_params(shell: Shell) -> None:
    params = "right.power=1,left.other=given,clean.kind=fancy"
    block(shell.project, space={"shift": {"low": 0.0, "high": 50.0}})
    shell("tune", "--trials", "1", "--params", params)
    shown = shell("apply", "--trial", "0", say="n\n").stdout
    assert "power: 1" in shown
    result = shell("apply", "--trial", "0", "--env", "tuned")
    assert result.exit_code == 0, result.stderr
    assert "Warning" not in result.stderr
    written = yaml.safe_load((shell.project.path / "conf/tuned/parameters_eeipu.yml").read_text())
    assert written == {
        "clean": {"scale": 1.0, "kind": "fancy"},
        "left": {"weight": 2.0, "other": "given"},
        "right": {"power": 1},
        "shift": 3.0,
    }
    before = json.loads((shell.project.path / "data/metrics.json").read_text())
    assert shell.project.kedro("run", "--env", "tuned").returncode == 0
    assert json.loads((shell.project.path / "data/metrics.json").read_text()) == before


def test_apply_says_which_params_the_parameters_take_from_the_command_line(shell: Shell) -> None:
    path = shell.project.path / "conf/base/parameters.yml"
    path.write_text(path.read_text().replace("untouched", "${runtime_params:who}"))
    shell("tune", "--trials", "1", "--params", "who=them")
    result = shell("apply", "--best", "--env", "tuned")
    assert result.exit_code == 0, result.stderr
    assert "`kedro run --env tuned --params who=them` uses it" in result.stdout
    run = shell.project.kedro("run", "--env", "tuned", "--params", "who=them")
    assert run.returncode == 0, run.stderr


def test_apply_says_which_params_the_catalog_takes_from_the_command_line(shell: Shell) -> None:
    catalog = yaml.safe_load((shell.project.path / "conf/base/catalog.yml").read_text())
    catalog["raw"]["filepath"] = "data/${runtime_params:source,raw}.json"
    shell.project.write_catalog(catalog)
    (shell.project.path / "data/other.json").write_text('{"rows": [5.0]}')
    shell("tune", "--trials", "1", "--params", "source=other")
    result = shell("apply", "--best", "--env", "tuned")
    assert result.exit_code == 0, result.stderr
    assert "`kedro run --env tuned --params source=other` uses it" in result.stdout
    assert "every run needs those of the trial" in result.stderr


def test_apply_names_what_the_environment_of_the_trial_has_and_the_new_one_lacks(
    shell: Shell,
) -> None:
    block(shell.project, space={"shift": {"low": 0.0, "high": 50.0}})
    shell.project.write_parameters({"right": {"power": 1}, "unused": 1}, env="prod")
    shell("tune", "--trials", "1", "--env", "prod")
    result = shell("apply", "--best", "--env", "tuned")
    assert result.exit_code == 0, result.stderr
    assert "than trial 0 had in the environment prod: right.power. Set them" in result.stderr
    shell.project.write_parameters({"right": {"power": 1}}, env="tuned")
    assert "Warning" not in shell("apply", "--best", "--env", "tuned").stderr


def test_apply_saves_the_other_outputs_where_a_dataset_cannot_save_one(shell: Shell) -> None:
    source = shell.project.source
    with (source / "nodes.py").open("a") as file:
        file.write("\n\ndef odd(raw):\n    return {1}\n")
    pipeline = (source / "pipeline.py").read_text()
    first = 'Pipeline([node(nodes.odd, "raw", "odd", name="a"),'
    shell.project.write_pipeline(pipeline.replace("Pipeline([", first))
    catalog = yaml.safe_load((shell.project.path / "conf/base/catalog.yml").read_text())
    catalog["odd"] = {"type": "json.JSONDataset", "filepath": "data/odd.json"}
    shell.project.write_catalog(catalog)
    shell("tune", "--trials", "1")
    result = shell("apply", "--best", "--env", "tuned")
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "Wrote conf/tuned/parameters_eeipu.yml" in result.stdout
    assert "Saved cleaned from the cache\nSaved metrics from the cache" in result.stdout
    assert "Saved odd" not in result.stdout
    assert "'odd'" in result.stderr
    assert "TypeError: Object of type set is not JSON serializable" in result.stderr
    assert "Written are the values, cleaned, metrics." in result.stderr


def test_apply_names_an_output_that_cannot_be_stored(shell: Shell) -> None:
    source = shell.project.source
    with (source / "nodes.py").open("a") as file:
        file.write("\n\ndef odd(raw):\n    return {'p': lambda: raw}\n")
    first = 'Pipeline([node(nodes.odd, "raw", "odd", name="a"),'
    shell.project.write_pipeline((source / "pipeline.py").read_text().replace("Pipeline([", first))
    catalog = yaml.safe_load((shell.project.path / "conf/base/catalog.yml").read_text())
    catalog["odd"] = {"type": "pickle.PickleDataset", "filepath": "data/odd.pkl"}
    shell.project.write_catalog(catalog)
    shell("tune", "--trials", "1")
    result = shell("apply", "--best", "--env", "tuned")
    assert result.exit_code == 0, result.stderr
    assert "Not saved: odd (it cannot be stored in the cache); `kedro run" in result.stderr
    assert "Saved metrics from the cache" in result.stdout


def test_apply_into_an_environment_with_a_broken_file_is_refused(shell: Shell) -> None:
    shell("tune", "--trials", "1")
    shell.project.write_parameters({}, env="prod")
    (shell.project.path / "conf/prod/parameters.yml").write_text("broken: [1,\n")
    refused(shell("apply", "--best", "--env", "prod"), "conf/prod/parameters.yml", "cannot be read")


def test_apply_asks_first(shell: Shell) -> None:
    shell("tune", "--trials", "2")
    before = shell.project.files()
    result = shell("apply", "--trial", "1", say="n\n")
    assert "shift:" in result.stdout
    assert shell.project.files() == before
    result = shell("apply", "--trial", "1", say="y\n")
    assert "Wrote conf/local/parameters_eeipu.yml" in result.stdout


def test_apply_into_a_file_that_sets_the_same_key_is_refused(shell: Shell) -> None:
    shell("tune", "--trials", "2")
    shell.project.write_parameters({"shift": 1.0}, env="local")
    refused(
        shell("apply", "--best", "--env", "local"),
        "conf/local/parameters.yml",
        "already sets shift",
        "--env tuned",
    )


@pytest.mark.parametrize("env", ["../evil", "/tmp", "", ".."])
def test_apply_stays_inside_conf(shell: Shell, env: str) -> None:
    shell("tune", "--trials", "1")
    before = shell.project.files()
    refused(shell("apply", "--best", "--env", env), "no name of an environment")
    assert shell.project.files() == before


@pytest.mark.parametrize("arguments", [(), ("--best", "--trial", "1")])
def test_apply_wants_one_trial(shell: Shell, arguments: tuple[str, ...]) -> None:
    refused(shell("apply", *arguments), "--best or --trial N")


def test_apply_of_a_trial_that_is_not_there(shell: Shell) -> None:
    shell("tune", "--trials", "2")
    refused(shell("apply", "--trial", "7"), "no complete trial 7", "kedro eeipu trials")


def test_no_block_prints_one_to_paste(shell: Shell) -> None:
    parameters = yaml.safe_load((shell.project.path / "conf/base/parameters.yml").read_text())
    del parameters["eeipu"]
    shell.project.write_parameters(parameters)
    result = shell("tune")
    refused(result, "conf/base/parameters.yml", "eeipu:", "space:", "clean.scale:")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"space": {"clean.scal": {"low": 0.1, "high": 1.0}}}, ["clean.scal", "clean.scale"]),
        ({"space": {"left.other": ["untouched", "b"]}}, ["left.other", "no node", "left.weight"]),
        ({"space": {"shift": {"low": 2.0, "high": 1.0}}}, ["eeipu.space.shift", "not below"]),
        ({"objective": {"dataset": "metric", "direction": "minimize"}}, ["metric", "metrics"]),
        ({"objective": {"dataset": "raw", "direction": "minimize"}}, ["raw", "produces"]),
        ({"budget": "soon"}, ["eeipu.budget", "30min"]),
        ({"trials": 0}, ["eeipu.trials"]),
        ({"trials": None}, ["when to stop", "--budget"]),
        ({"sapce": {}}, ["sapce", "space"]),
    ],
)
def test_bad_configuration_is_refused_before_anything_runs(
    shell: Shell, changes: dict[str, Any], words: list[str]
) -> None:
    block(shell.project, **changes)
    refused(
        shell("tune"), *words, "conf/base/parameters.yml" if changes != {"trials": None} else ""
    )
    assert shell.project.executions() == []
    assert not (shell.project.path / ".eeipu" / "study.db").exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"cahce": {}}, ["cahce", "cache"]),
        ({"cache": {"max_size": "big"}}, ["cache.max_size", "20GB"]),
        ({"cache": {"runs": "yes"}}, ["cache.runs"]),
        ({"cache": {"nodes": {"left": {"depends_on": 3}}}}, ["cache.nodes.left"]),
        ({"cache": {"credentials": "s3"}}, ["credentials.yml", "s3"]),
    ],
)
def test_bad_settings_are_refused(shell: Shell, settings: dict[str, Any], words: list[str]) -> None:
    shell.project.write_settings(settings)
    refused(shell("tune"), *words, "eeipu.yml")


@pytest.mark.parametrize("strategy", [None, {"eeipu": "destructive", "parameters": "soft"}])
def test_settings_of_an_environment_leave_those_of_base_that_they_do_not_name(
    project: Any, strategy: dict[str, str] | None
) -> None:
    """Else a size in `conf/local` takes back that a node is not to be cached."""
    if strategy is not None:
        arguments = {"base_env": "base", "default_run_env": "local", "merge_strategy": strategy}
        with (project.source / "settings.py").open("a") as file:
            file.write(f"CONFIG_LOADER_ARGS = {arguments}\n")
    left = {"cache": False, "depends_on": ["a.txt", "b.txt"]}
    cache = {"max_size": "1GB", "runs": True, "nodes": {"left": left}}
    project.write_settings({"cache": {**cache, "inputs": {"raw": {"version": "1"}}}})
    project.write_settings(
        {"cache": {"max_size": "2GB", "nodes": {"left": {"depends_on": ["c.txt"]}, "join": {}}}},
        env="local",
    )
    settings = project.load().settings.cache
    assert settings.max_size == 2 * 10**9
    assert settings.runs
    assert settings.inputs == {"raw": "1"}
    assert settings.nodes["left"] == NodeSettings(cache=False, depends_on=("c.txt",))
    assert settings.nodes["join"] == NodeSettings()


def test_settings_of_two_environments_that_cannot_be_merged_are_refused(shell: Shell) -> None:
    shell.project.write_settings({"cache": {"nodes": {"left": {"cache": False}}}})
    shell.project.write_settings({"cache": {"nodes": ["left"]}}, env="local")
    refused(shell("plan"), "eeipu.yml", "a list where", "mapping")


def test_other_configuration_is_merged_as_the_project_says(project: Any) -> None:
    project.write_settings({"cache": {"runs": True}})
    project.write_parameters({"left": {"weight": 3.0}}, env="local")
    assert project.load().parameters["left"] == {"weight": 3.0}


def test_input_in_a_file_that_a_node_writes_is_refused(shell: Shell) -> None:
    """The trial would read what an earlier plain run left there."""
    catalog = yaml.safe_load((shell.project.path / "conf/base/catalog.yml").read_text())
    shell.project.write_catalog({**catalog, "again": catalog["cleaned"]})
    pipeline = shell.project.source / "pipeline.py"
    pipeline.write_text(
        pipeline.read_text().replace('["cleaned", "params:left', '["again", "params:left')
    )
    refused(shell("tune"), "'again'", "data/cleaned.json", "'cleaned'")
    assert shell.project.executions() == []


def test_unknown_names_are_refused(shell: Shell) -> None:
    refused(shell("tune", "--env", "nowhere"), "no configuration environment 'nowhere'")
    refused(shell("tune", "--pipeline", "training"), "no pipeline 'training'", "__default__")
    refused(shell("tune", "--runner", "SlowRunner"), "SlowRunner", "ThreadRunner")
    refused(shell("tune", "--trials", "0"), "--trials")
    refused(shell("tune", "--budget", "soon"), "--budget")


def test_default_outside_its_range_is_a_warning(shell: Shell) -> None:
    block(shell.project, space={"shift": {"low": 10.0, "high": 20.0}})
    result = shell("tune", "--trials", "1")
    assert result.exit_code == 0
    assert "outside" in result.stderr
    assert shell.json("trials")[0]["params"] == {"shift": 10.0}


def test_changed_categories_are_refused(shell: Shell) -> None:
    block(shell.project, space={"clean.kind": ["plain", "fancy"]})
    shell("tune", "--trials", "1")
    block(shell.project, space={"clean.kind": ["plain", "other"]})
    refused(shell("tune", "--trials", "2"), "clean.kind", "--study")


def test_broken_yaml_is_a_message(shell: Shell) -> None:
    path = shell.project.path / "conf" / "base" / "parameters.yml"
    path.write_text(path.read_text() + "\n  broken: [1,\n")
    result = shell("tune")
    refused(result, "parameters.yml")


@pytest.mark.parametrize("name", ["parameters_more.yml", "eeipu.yml", "eeipu_more.yml"])
def test_broken_yaml_is_told_of_the_file_that_holds_it(shell: Shell, name: str) -> None:
    (shell.project.path / "conf/local" / name).write_text("a: 1\n\n  broken: [1,\n")
    result = shell("tune")
    refused(result, f"Error: conf/local/{name}: line 3, column 9: ")


def test_key_set_twice_is_told_of_the_files_that_set_it(shell: Shell) -> None:
    (shell.project.path / "conf/base/parameters_more.yml").write_text("shift: 1\n")
    refused(shell("tune"), "Error: Duplicate keys", "parameters_more.yml", "shift")


@pytest.mark.parametrize("root", ["afile", "afile/cache", "file://{}/afile"])
def test_root_that_is_a_file_is_told(shell: Shell, root: str) -> None:
    (shell.project.path / "afile").touch()
    shell.project.write_settings({"cache": {"root": root.format(shell.project.path)}})
    for command in (["plan"], ["tune"], ["cache", "ls"]):
        refused(shell(*command), "eeipu.yml: cache.root", "afile is a file, not a directory")


@pytest.mark.parametrize("sampler", ["eeipu", "random"])
def test_steps_that_do_not_reach_the_end_are_told_in_our_words(
    shell: Shell, sampler: str, recwarn: pytest.WarningsRecorder
) -> None:
    space = {
        "shift": {"low": 0.0, "high": 10.0, "step": 3.0},
        "right.power": {"low": 1, "high": 6, "step": 2},
        "clean.scale": {"low": 0.1, "high": 1.0, "step": 0.3},
    }
    block(shell.project, space=space)
    result = shell("tune", "--trials", "3", "--sampler", sampler)
    assert result.exit_code == 0, result.stderr
    assert (
        "conf/base/parameters.yml: eeipu.space.shift: steps of 3 from 0 do not reach 10; "
        "the last value is 9\n" in result.stderr
    )
    assert "eeipu.space.right.power: steps of 2 from 1 do not reach 6" in result.stderr
    assert "eeipu.space.clean.scale: steps" not in result.stderr
    assert not [w for w in recwarn if "divisible" in str(w.message)]


def test_changed_code_is_told(shell: Shell) -> None:
    shell("tune", "--trials", "1")
    nodes = shell.project.source / "nodes.py"
    nodes.write_text(nodes.read_text().replace('"loss": abs(', '"loss": 2 * abs('))
    result = shell("tune", "--trials", "2")
    assert "there has changed: code of score" in result.stderr
    assert "--study" in result.stderr


def test_names_in_settings_that_match_nothing_are_told(shell: Shell) -> None:
    shell.project.write_settings({"cache": {"nodes": {"scor": {"cache": False}}}})
    result = shell("tune", "--trials", "1")
    assert result.exit_code == 0
    assert "cache.nodes.scor matches nothing" in result.stderr
    assert "Did you mean 'score'?" in result.stderr


@pytest.mark.parametrize("url", ["nosuch://host/db", "sqlite:////proc/x/study.db", "what"])
def test_storage_that_cannot_be_opened_is_a_message(shell: Shell, url: str) -> None:
    shell.project.write_settings({"study": {"storage": url}})
    refused(shell("tune"), "eeipu.yml: study.storage", "database URL")


def test_settings_that_are_no_mapping(shell: Shell) -> None:
    (shell.project.path / "conf" / "base" / "eeipu.yml").write_text("[1]\n")
    refused(shell("tune"), "eeipu.yml")


def test_failing_study_exits_with_one(shell: Shell) -> None:
    nodes = shell.project.source / "nodes.py"
    nodes.write_text(nodes.read_text().replace('ran("score")', 'raise RuntimeError("no licence")'))
    result = shell("tune", "--trials", "9")
    assert result.exit_code == 1
    assert "no licence" in result.stderr
    assert "Traceback" not in result.output
    assert all(t["nodes"][-1]["status"] == "failed" for t in shell.json("trials"))


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
    assert "Best: metrics[loss]" in text


def test_importing_the_plugin_does_not_import_torch() -> None:
    script = (
        "import kedro_eeipu.cli, kedro_eeipu.hooks, sys\n"
        "print([m for m in ('torch', 'botorch', 'optuna', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_project_path_with_spaces(project: Any, tmp_path: Path) -> None:
    project = type(project)(tmp_path / "a project with spaces")
    result = Shell(project)("tune", "--trials", "1")
    assert result.exit_code == 0, result.stderr
