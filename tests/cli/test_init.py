"""``kedro eeipu init``, and ``plan`` where there is no block."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
import yaml
from command_line import Shell, refused


@pytest.fixture
def bare(shell: Shell) -> Shell:
    """A project without a block."""
    change(shell, lambda p: p.pop("eeipu"))
    return shell


def change(shell: Shell, edit: Any) -> None:
    path = shell.project.path / "conf/base/parameters.yml"
    parameters = yaml.safe_load(path.read_text())
    edit(parameters)
    shell.project.write_parameters(parameters)


def test_init_writes_a_block_with_which_tune_runs(bare: Shell) -> None:
    bare.project.plain_run()  # so that the metrics of an earlier run say which key there is
    bare.project.executions()
    before = bare.project.files()
    result = bare("init")
    assert result.exit_code == 0, result.stderr
    assert "Wrote conf/base/parameters_eeipu.yml" in result.stdout
    after = bare.project.files()
    assert after.keys() - before.keys() == {"conf/base/parameters_eeipu.yml"}
    assert {k: after[k] for k in before} == before
    block = yaml.safe_load(after["conf/base/parameters_eeipu.yml"])["eeipu"]
    assert block["objective"] == {"dataset": "metrics", "key": "loss", "direction": "minimize"}
    assert set(block["space"]) == {"clean.scale", "left.weight", "right.power", "shift"}
    assert bare.project.executions() == []
    tuned = bare("tune", "--trials", "2")
    assert tuned.exit_code == 0, tuned.stderr
    assert "Warning" not in tuned.stderr


def test_init_never_overwrites_a_block(shell: Shell) -> None:
    refused(shell("init"), "conf/base/parameters.yml", "a block `eeipu` already")
    change(shell, lambda p: p.pop("eeipu"))
    file = shell.project.path / "conf/base/parameters_eeipu.yml"
    file.write_text("other: 1\n")
    refused(shell("init"), "conf/base/parameters_eeipu.yml", "nothing is overwritten", "space:")
    assert file.read_text() == "other: 1\n"


def test_init_for_a_pipeline_of_its_own_and_an_environment(shell: Shell) -> None:
    registry = shell.project.source / "pipeline_registry.py"
    registry.write_text(
        registry.read_text().replace("{'__default__'", "{'ml': create_pipeline(), '__default__'")
    )
    result = shell("init", "--pipeline", "ml", "--env", "local")
    assert result.exit_code == 0, result.stderr
    file = shell.project.path / "conf/local/parameters_eeipu_ml.yml"
    assert "eeipu_ml" in yaml.safe_load(file.read_text())
    assert "kedro eeipu plan --pipeline ml" in result.stdout


def test_init_writes_into_the_folder_of_the_parameters(bare: Shell) -> None:
    folder = bare.project.path / "conf/base/parameters"
    folder.mkdir()
    (bare.project.path / "conf/base/parameters.yml").rename(folder / "science.yml")
    assert "Wrote conf/base/parameters/parameters_eeipu.yml" in bare("init").stdout
    assert bare("plan").exit_code == 0


def test_plan_without_a_block_prints_one(bare: Shell) -> None:
    before = bare.project.files()
    result = bare("plan")
    refused(result, "no `eeipu` block", "kedro eeipu init", "conf/base/parameters_eeipu.yml")
    assert "clean.scale" in yaml.safe_load(result.stdout)["eeipu"]["space"]
    assert bare.project.files() == before
    assert bare("plan", "--format", "json").stdout == ""


def test_without_a_number_to_tune_init_writes_nothing(bare: Shell) -> None:
    text = (
        "\ndef create_pipeline():\n    return Pipeline([node(nodes.join, ['raw', 'raw'], 'm')])\n"
    )
    pipeline = bare.project.source / "pipeline.py"
    pipeline.write_text(pipeline.read_text().partition("\ndef ")[0] + text)
    refused(bare("init"), "looks like one to tune")
    assert not (bare.project.path / "conf/base/parameters_eeipu.yml").exists()


def test_where_the_metric_is_not_returned_init_says_how_to_return_it(bare: Shell) -> None:
    pipeline = bare.project.source / "pipeline.py"
    pipeline.write_text(
        pipeline.read_text().replace('"metrics", name="score"', 'None, name="score"')
    )
    result = bare("init")
    assert "outputs=None: score" in result.stderr
    assert 'outputs="metrics"' in result.stderr
    written = (bare.project.path / "conf/base/parameters_eeipu.yml").read_text()
    assert "dataset: metrics, key: accuracy, direction: maximize}  # no node returns" in written
    refused(bare("plan"), "no node of the pipeline produces the dataset 'metrics'", "outputs=None")


def test_without_a_block_a_file_that_is_there_is_named(bare: Shell) -> None:
    path = bare.project.path / "conf/base/parameters.yml"
    path.rename(path.with_stem("parameters_ml"))
    refused(bare("plan"), "conf/base/parameters_ml.yml: there is no `eeipu` block")


def test_pictures_are_no_objective(bare: Shell) -> None:
    catalog = yaml.safe_load((bare.project.path / "conf/base/catalog.yml").read_text())
    catalog["metrics"] = {"type": "matplotlib.MatplotlibDataset", "filepath": "data/m.png"}
    bare.project.write_catalog(catalog)
    bare("init")
    written = (bare.project.path / "conf/base/parameters_eeipu.yml").read_text()
    assert yaml.safe_load(written)["eeipu"]["objective"]["dataset"] == "joined"


def test_apply_leaves_the_block_that_init_wrote(bare: Shell) -> None:
    bare("init")
    block = bare.project.path / "conf/base/parameters_eeipu.yml"
    block.write_text(block.read_text().replace("key: accuracy", "key: loss"))
    before = block.read_text()
    (bare.project.path / "conf/base/parameters.yml").rename(
        bare.project.path / "conf/base/parameters_own.yml"
    )
    assert bare("tune", "--trials", "1").exit_code == 0
    refused(bare("apply", "--best", "--env", "base"), "already sets")
    block.rename(bare.project.path / "conf/local/parameters_eeipu.yml")
    result = bare("apply", "--best", "--env", "local")
    assert "Wrote conf/local/parameters_eeipu_applied.yml" in result.stdout
    assert (bare.project.path / "conf/local/parameters_eeipu.yml").read_text() == before
    assert bare("plan").exit_code == 0
    assert json.loads((bare.project.path / "data/metrics.json").read_text())


def test_pipelines_that_cannot_be_imported_are_named_in_one_line(bare: Shell) -> None:
    bare.project.write_pipeline("import library_that_is_missing")
    for command in ("init", "plan"):
        refused(bare(command), "cannot be imported", "No module named 'library_that_is_missing'")


def test_init_writes_into_no_archive(bare: Shell) -> None:
    path = bare.project.path
    archive = shutil.make_archive(str(path / "packed"), "zip", path / "conf")
    refused(bare("init", "--conf-source", archive), "--conf-source", "is not a folder")
