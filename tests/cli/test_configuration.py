"""Configuration that commands refuse, warn of and merge."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
import yaml
from command_line import Shell, block, refused

from kedro_eeipu.config.settings import NodeSettings


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
    assert settings.inputs["raw"].version == "1"
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


@pytest.mark.parametrize("nodes", ["one", "two"])
@pytest.mark.parametrize("reads", [True, False])
def test_two_outputs_in_one_file_of_which_one_is_read_are_refused(
    shell: Shell, nodes: str, reads: bool
) -> None:
    """A plain run reads what was written last, a trial what the node returned."""
    catalog = yaml.safe_load((shell.project.path / "conf/base/catalog.yml").read_text())
    rows = {"left_rows": catalog["cleaned"], "right_rows": catalog["cleaned"]}
    if not reads:  # `cleaned` is read
        rows["left_rows"] = {**catalog["cleaned"], "filepath": "data/others.json"}
        rows["right_rows"] = rows["left_rows"]
    shell.project.write_catalog({"raw": catalog["raw"], "metrics": catalog["metrics"], **rows})
    pipeline = shell.project.source / "pipeline.py"
    text = pipeline.read_text()
    if nodes == "one":
        text = text.replace('"left_rows", name="left"', '["left_rows", "right_rows"], name="left"')
        text = text.replace(
            '        node(nodes.right, ["cleaned", "params:right"], "right_rows", name="right"),\n',
            "",
        )
    if not reads:
        text = text.replace(
            '["left_rows", "right_rows"], "joined"', '["cleaned", "cleaned"], "joined"'
        )
    pipeline.write_text(text)
    block(shell.project, space={"shift": {"low": 0.0, "high": 50.0}})
    result = shell("plan")
    if reads:
        refused(result, "'left_rows' and 'right_rows' are both written to", "place of its own")
    else:
        assert result.exit_code == 0, result.stderr
    assert shell.project.executions() == []


def test_sheets_of_one_file_are_no_two_files(shell: Shell) -> None:
    catalog = yaml.safe_load((shell.project.path / "conf/base/catalog.yml").read_text())
    for name in ("left_rows", "right_rows"):
        catalog[name] = {"type": "pandas.ExcelDataset", "filepath": "data/rows.xlsx"}
    shell.project.write_catalog(catalog)
    assert shell("plan").exit_code == 0


def test_the_folder_of_the_plugin_keeps_itself_out_of_git(shell: Shell) -> None:
    subprocess.run(["git", "init", "-q"], cwd=shell.project.path, check=True)
    assert shell("tune", "--trials", "1").exit_code == 0
    listed = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=all"],
        cwd=shell.project.path, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert "conf/base/parameters.yml" in listed
    assert ".eeipu" not in listed
    (shell.project.path / ".eeipu/.gitignore").write_text("")  # by a user who keeps it
    assert shell("tune", "--trials", "2").exit_code == 0
    assert (shell.project.path / ".eeipu/.gitignore").read_text() == ""


def test_objective_of_a_node_that_returns_nothing_is_told_what_to_change(shell: Shell) -> None:
    pipeline = shell.project.source / "pipeline.py"
    pipeline.write_text(
        pipeline.read_text().replace('"metrics", name="score"', 'None, name="score"')
    )
    refused(shell("tune"), "'metrics'", "outputs=None: score", 'outputs="metrics"')


def test_objective_in_a_picture_is_refused_before_anything_runs(shell: Shell) -> None:
    catalog = yaml.safe_load((shell.project.path / "conf/base/catalog.yml").read_text())
    catalog["metrics"] = {"type": "matplotlib.MatplotlibDataset", "filepath": "data/m.png"}
    shell.project.write_catalog(catalog)
    for command in ("plan", "tune"):
        refused(shell(command), "eeipu.objective", "MatplotlibDataset", "no number")
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


def test_a_broken_catalog_is_a_message(shell: Shell) -> None:
    catalog = yaml.safe_load((shell.project.path / "conf/base/catalog.yml").read_text())
    catalog["cleaned"]["type"] = "json.NoSuchDataset"
    shell.project.write_catalog(catalog)
    refused(shell("plan"), "catalog.yml", "'cleaned'", "NoSuchDataset")
    refused(shell("tune"), "catalog.yml", "'cleaned'", "NoSuchDataset")
    shell.project.write_parameters({"shift": 3.0})
    refused(shell("init"), "catalog.yml", "'cleaned'", "NoSuchDataset")


def test_a_catalog_that_cannot_be_read_is_a_message(shell: Shell) -> None:
    file = shell.project.path / "conf/base/catalog.yml"
    catalog = yaml.safe_load(file.read_text())
    catalog["cleaned"]["credentials"] = "nobody"
    shell.project.write_catalog(catalog)
    refused(shell("plan"), "catalog.yml: Unable to find credentials 'nobody'")
    file.write_text("a: [1\nb: {")
    refused(shell("plan"), "conf/base/catalog.yml: line 2, column 2")
    file.unlink()
    refused(shell("plan"), "catalog.yml: ", "no catalog", "Make an empty file")


def test_key_set_twice_is_told_of_the_files_that_set_it(shell: Shell) -> None:
    (shell.project.path / "conf/base/parameters_more.yml").write_text("shift: 1\n")
    refused(shell("tune"), "Error: Duplicate keys", "parameters_more.yml", "shift")


@pytest.mark.parametrize(
    "name", ["parameters/eeipu.yml", "parameters_x.yml", "ml/parameters.yml", "parameters/a/b.json"]
)
def test_messages_name_the_file_in_which_the_block_stands(shell: Shell, name: str) -> None:
    path = shell.project.path / "conf/base/parameters.yml"
    parameters = yaml.safe_load(path.read_text())
    declared = parameters.pop("eeipu")
    file = shell.project.path / "conf/base" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    shell.project.write_parameters(parameters)
    shell.project.write_settings({"cache": {"nodes": {"left": {"cache": False}}}})

    def with_block(**changes: Any) -> None:
        file.write_text(json.dumps({"eeipu": {**declared, **changes}, "another": 1}))

    with_block()
    nodes = {n["name"]: n for n in shell.json("plan")["nodes"]}
    assert not nodes["left"]["cacheable"], "the settings are read all the same"
    where = f"conf/base/{name}: eeipu"
    with_block(sapce={})
    refused(shell("tune"), f"{where}: unknown key 'sapce'")
    with_block(trials=None)
    refused(shell("tune"), f"{where}: nothing says when to stop")
    with_block(objective={**declared["objective"], "key": "los"})
    refused(shell("tune"), f"{where}.objective: dataset 'metrics' has no key 'los'")
    with_block()
    shell("tune", "--trials", "1")
    with_block(objective={**declared["objective"], "direction": "maximize"})
    refused(shell("tune"), f"{where}.objective: study 'default' is to minimize")
    with_block(space={**declared["space"], "shift": [3.0]})
    refused(shell("tune"), f"{where}.space.shift: study 'default' has searched")


def test_a_block_in_a_file_of_settings_is_told_where_to_go(shell: Shell) -> None:
    path = shell.project.path / "conf/base/parameters.yml"
    parameters = yaml.safe_load(path.read_text())
    text = yaml.safe_dump({"eeipu": parameters.pop("eeipu")})
    (shell.project.path / "conf/base/eeipu.yml").write_text(text)
    shell.project.write_parameters(parameters)
    refused(shell("tune"), "conf/base/eeipu.yml holds a block", "parameters_eeipu.yml")


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


def test_a_missing_file_that_a_node_depends_on_is_told(shell: Shell) -> None:
    shell.project.write_settings({"cache": {"nodes": {"left": {"depends_on": ["no.html", "$X"]}}}})
    result = shell("tune", "--trials", "1")
    assert result.exit_code == 0
    said = "eeipu.yml: cache.nodes.left.depends_on: there is no file no.html, so left is never"
    assert result.stderr.count(said) == 1


def test_names_in_settings_that_match_nothing_are_told(shell: Shell) -> None:
    shell.project.write_settings({"cache": {"nodes": {"scor": {"cache": False}}}})
    result = shell("tune", "--trials", "1")
    assert result.exit_code == 0
    assert "cache.nodes.scor matches nothing" in result.stderr
    assert "Did you mean 'score'?" in result.stderr


@pytest.mark.parametrize("name", ["eeipu.yml", "catalog.yml", "parameters.yml"])
def test_configuration_that_is_no_mapping(shell: Shell, name: str) -> None:
    (shell.project.path / "conf" / "base" / name).write_text("[1]\n")
    refused(shell("tune"), f"Error: conf/base/{name}: it must be a mapping, not a list\n")
