"""``kedro eeipu apply``."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from command_line import Shell, block, refused


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
    block(shell.project, also=["odd"])
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


def test_apply_names_what_only_a_plain_run_makes_and_confirms(shell: Shell) -> None:
    source = shell.project.source
    with (source / "nodes.py").open("a") as file:
        file.write("\n\ndef odd(raw):\n    return 1\n")
    first = 'Pipeline([node(nodes.odd, "raw", "odd", confirms="odd", name="a"),'
    shell.project.write_pipeline((source / "pipeline.py").read_text().replace("Pipeline([", first))
    catalog = yaml.safe_load((shell.project.path / "conf/base/catalog.yml").read_text())
    catalog["odd"] = {"type": "pickle.PickleDataset", "filepath": "data/odd.pkl"}
    shell.project.write_catalog(catalog)
    shell("tune", "--trials", "1")
    result = shell("apply", "--best", "--env", "tuned")
    assert result.exit_code == 0, result.stderr
    assert "Trials left out odd; `kedro run --env tuned` makes it" in result.stdout
    assert "Trials do not confirm the dataset odd; `kedro run --env tuned` will" in result.stdout
    assert not (shell.project.path / "data/odd.pkl").exists()


def test_apply_names_an_output_that_cannot_be_stored(shell: Shell) -> None:
    source = shell.project.source
    with (source / "nodes.py").open("a") as file:
        file.write("\n\ndef odd(raw):\n    return {'p': lambda: raw}\n")
    first = 'Pipeline([node(nodes.odd, "raw", "odd", name="a"),'
    shell.project.write_pipeline((source / "pipeline.py").read_text().replace("Pipeline([", first))
    catalog = yaml.safe_load((shell.project.path / "conf/base/catalog.yml").read_text())
    catalog["odd"] = {"type": "pickle.PickleDataset", "filepath": "data/odd.pkl"}
    shell.project.write_catalog(catalog)
    block(shell.project, also=["odd"])
    shell("tune", "--trials", "1")
    result = shell("apply", "--best", "--env", "tuned")
    assert result.exit_code == 0, result.stderr
    assert (
        "Not saved: odd (it is not stored, because it is lazy or cannot be pickled); `kedro run"
        in result.stderr
    )
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
    shell.project.write_parameters({"shift": 1.0}, env="tuned")
    refused(shell("apply", "--best", "--env", "tuned"), "already sets shift", "--env applied")


@pytest.mark.parametrize("env", ["../evil", "/tmp", "", ".."])
def test_apply_stays_inside_conf(shell: Shell, env: str) -> None:
    shell("tune", "--trials", "1")
    before = shell.project.files()
    refused(shell("apply", "--best", "--env", env), "not the name of an environment")
    assert shell.project.files() == before


@pytest.mark.parametrize("arguments", [(), ("--best", "--trial", "1")])
def test_apply_wants_one_trial(shell: Shell, arguments: tuple[str, ...]) -> None:
    refused(shell("apply", *arguments), "--best or --trial N")


def test_apply_of_a_trial_that_is_not_there(shell: Shell) -> None:
    shell("tune", "--trials", "2")
    refused(shell("apply", "--trial", "7"), "no complete trial 7", "kedro eeipu trials")


def test_apply_tells_of_partitions_of_earlier_runs(project: Any) -> None:
    project.write_nodes(
        "def split(shift):\n    return {f'p{i}': {'v': i} for i in range(int(shift))}\n\n"
        "def join(parts):\n    return {'loss': sum(part()['v'] for part in parts.values())}\n"
    )
    project.write_pipeline(
        "from kedro.pipeline import Pipeline, node\nfrom . import nodes\n\n"
        "def create_pipeline(**kwargs):\n    return Pipeline([\n"
        "        node(nodes.split, 'params:shift', 'parts'),\n"
        "        node(nodes.join, 'parts', 'metrics')])\n"
    )
    project.write_catalog(
        {
            "metrics": {"type": "json.JSONDataset", "filepath": "data/metrics.json"},
            "parts": {
                "type": "partitions.PartitionedDataset",
                "path": "data/parts",
                "dataset": "json.JSONDataset",
                "filename_suffix": ".json",
            },
        }
    )
    objective = {"dataset": "metrics", "key": "loss", "direction": "minimize"}
    searched = {"objective": objective, "space": {"shift": {"low": 1, "high": 9}}}
    project.write_parameters({"shift": 1, "eeipu": searched})
    folder = project.path / "data" / "parts"
    folder.mkdir()
    (folder / "old.json").write_text('{"v": 50}')
    project.tuner().evaluate({"shift": 1})
    done = project.kedro("eeipu", "apply", "--best", "--env", "local")
    assert done.returncode == 0, done.stderr
    assert "parts also holds old from earlier runs" in done.stderr
