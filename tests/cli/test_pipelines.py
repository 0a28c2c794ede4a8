"""Several pipelines in one project, each with a block, a study and applied values of its own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from kedro_eeipu.cli.recorded import apply_command, confirm_command
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.project.apply import Adoption, PlainRun
from kedro_eeipu.study.limits import Limits
from kedro_eeipu.study.opening import open_study
from kedro_eeipu.tuning.runner import EEIPURunner

REGISTRY = """
from .pipeline import create_pipeline


def register_pipelines():
    whole = create_pipeline()
    return {"__default__": whole, "clean-only": whole.only_nodes("clean", "left")}
"""


@pytest.fixture
def two(project: Any) -> Any:
    """The project with a second pipeline, which has a block of its own."""
    (project.source / "pipeline_registry.py").write_text(REGISTRY)
    base = project.path / "conf" / "base"
    (base / "parameters_clean.yml").write_text(
        yaml.safe_dump(
            {
                "eeipu_clean-only": {
                    "objective": {"dataset": "left_rows", "direction": "minimize"},
                    "space": {"left.weight": {"low": 1.0, "high": 3.0}},
                    "trials": 2,
                }
            }
        )
    )
    return project


def test_each_pipeline_takes_its_block(two: Any) -> None:
    assert two.load().space.paths == ("clean.scale", "left.weight", "right.power", "shift")
    other = two.load(pipeline_name="clean-only")
    assert other.space.paths == ("left.weight",)
    assert other.space.objective.dataset == "left_rows"


def test_errors_name_the_file_and_the_block(two: Any) -> None:
    file = two.path / "conf" / "base" / "parameters_clean.yml"
    file.write_text(file.read_text().replace("left.weight", "shift"))
    with pytest.raises(ConfigurationError) as refused:
        two.load(pipeline_name="clean-only")
    assert refused.value.where == "conf/base/parameters_clean.yml: eeipu_clean-only.space.shift"


def test_a_pipeline_that_lacks_the_objective_is_told_of_its_own_block(two: Any) -> None:
    (two.path / "conf/base/parameters_clean.yml").unlink()
    with pytest.raises(ConfigurationError, match="no node of the pipeline produces") as refused:
        two.load(pipeline_name="clean-only")
    assert refused.value.remedy == (
        "Its nodes produce: cleaned, left_rows. For this pipeline write a block of its own, "
        "`eeipu_clean-only`."
    )
    registry = two.source / "pipeline_registry.py"
    registry.write_text(
        registry.read_text().replace('whole.only_nodes("clean", "left")', "whole - whole")
    )
    two.bootstrap()
    with pytest.raises(ConfigurationError, match="The pipeline has no nodes\\."):
        two.load(pipeline_name="clean-only")


def test_an_objective_without_its_reading_is_told_the_whole_name(project: Any) -> None:
    file = project.source / "pipeline.py"
    file.write_text(file.read_text().replace('"metrics"', '"metrics@pandas"'))
    with pytest.raises(ConfigurationError, match="Did you mean 'metrics@pandas'"):
        project.load()


def test_commands_quote_the_names_that_they_are_given() -> None:
    run = PlainRun("de only", "my env", {})
    assert run.command == "kedro run --pipeline 'de only' --env 'my env'"
    project = SimpleNamespace(pipeline_name="de only", env="my env", path=Path())
    study = SimpleNamespace(name="de only")
    confirm = "kedro eeipu confirm --pipeline 'de only' --env 'my env'"
    assert confirm_command(project, study) == confirm  # type: ignore[arg-type]
    apply = "kedro eeipu apply --best --pipeline 'de only'"
    assert apply_command(project, study) == apply  # type: ignore[arg-type]


def test_values_of_both_pipelines_can_be_applied(two: Any) -> None:
    two.write_nodes(
        (two.source / "nodes.py")
        .read_text()
        .replace('return [weight * x for x in cleaned["rows"]]', "return weight")
    )
    project = two.load(pipeline_name="clean-only")
    study = open_study(project.storage, "clean-only", project.space, create=True)
    trial = EEIPURunner(project, study, Limits(trials=1)).evaluate({"left.weight": 2.5})
    written = Adoption(project, trial, "clean-only", "local").write_values()
    assert written.name == "parameters_eeipu_clean-only.yml"
    assert yaml.safe_load(written.read_text())["left"]["weight"] == 2.5
    assert two.load(pipeline_name="clean-only").parameters["left"]["weight"] == 2.5
