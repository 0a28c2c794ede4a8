"""A trial runs what its objective and its reports need, and what the user adds."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.project.description import node_plan, seconds_left_out

NODES = """
from pathlib import Path

EXECUTIONS = Path(__file__).parents[2] / "executions.log"


def ran(name):
    with EXECUTIONS.open("a") as file:
        file.write(name + "\\n")


def prepare(raw, p):
    ran("prepare")
    return sum(raw["rows"]) + p


def score(prepared, q):
    ran("score")
    return {"loss": prepared * q}


def check(prepared, limit):
    ran("check")
    assert prepared < limit


def plot(prepared, metrics, bins):
    ran("plot")
    return {"bins": bins}


def describe(plotted):
    ran("describe")
    return "text"
"""
PIPELINE = """
from kedro.pipeline import Pipeline, node
from . import nodes


def create_pipeline(**kwargs):
    return Pipeline([
        node(nodes.prepare, ["raw", "params:p"], "prepared", name="prepare"),
        node(nodes.score, ["prepared", "params:q"], "metrics", name="score"),
        node(nodes.check, ["prepared", "params:limit"], None, name="check", tags=["checks"]),
        node(nodes.plot, ["prepared", "metrics", "params:bins"], "plotted", name="plot"),
        node(nodes.describe, "plotted", "described", name="describe"),
    ])
"""
SPACE = {"p": {"low": 0, "high": 9}, "q": {"low": 1, "high": 9}}


def write(project: Any, **block: Any) -> None:
    project.write_nodes(NODES)
    project.write_pipeline(PIPELINE)
    objective = {"dataset": "metrics", "key": "loss", "direction": "minimize"}
    project.write_parameters(
        {
            "p": 1,
            "q": 2,
            "bins": 5,
            "limit": 100,
            "eeipu": {"objective": objective, "space": SPACE, "trials": 3, **block},
        }
    )
    catalog = {"raw": {"type": "json.JSONDataset", "filepath": "data/raw.json"}}
    catalog["plotted"] = {"type": "json.JSONDataset", "filepath": "data/plotted.json"}
    project.write_catalog(catalog)


def ran(project: Any, **params: Any) -> list[str]:
    record = project.tuner().evaluate({"p": 1, "q": 2, **params})
    assert record.error is None
    return sorted(project.executions())


def test_only_ancestors_of_the_objective_run(project: Any) -> None:
    write(project)
    loaded = project.load()
    assert loaded.left_out == ["check", "plot", "describe"]
    assert {n["name"] for n in node_plan(loaded)} == {"prepare", "score"}
    assert {n for s in loaded.stage_graph() for n in s.nodes} == {"prepare", "score"}
    assert ran(project) == ["prepare", "score"]
    assert ran(project, q=3) == ["score"]


@pytest.mark.parametrize(
    ("also", "more"),
    [
        ("check", {"check"}),
        (["checks"], {"check"}),
        (["described"], {"plot", "describe"}),
        (["plot", "checks"], {"plot", "check"}),
    ],
)
def test_also_admits_a_node_a_tag_or_a_dataset(project: Any, also: Any, more: set[str]) -> None:
    write(project, also=also)
    assert set(ran(project)) == {"prepare", "score"} | more


def test_a_check_that_is_admitted_fails_the_trial(project: Any) -> None:
    write(project, also="check")
    tuner = project.tuner()
    assert tuner.evaluate({"p": 1, "q": 2}).error is None
    parameters = yaml.safe_load((project.path / "conf/base/parameters.yml").read_text())
    project.write_parameters({**parameters, "limit": 3})
    assert "AssertionError" in project.tuner().evaluate({"p": 5, "q": 2}).error


def test_also_of_what_is_not_there_is_refused(project: Any) -> None:
    write(project, also=["chekc"])
    with pytest.raises(ConfigurationError, match="no node, tag or produced dataset 'chekc'"):
        project.load()
    write(project, also={"a": 1})
    with pytest.raises(ConfigurationError, match="list of nodes, tags and datasets"):
        project.load()


def test_range_of_what_is_left_out_is_refused_with_the_remedy(project: Any) -> None:
    bins = {**SPACE, "bins": {"low": 1, "high": 9}}
    write(project, space=bins)
    with pytest.raises(ConfigurationError, match=r"also: \[plot\]"):
        project.load()
    write(project, space=bins, also=["plot"])
    assert "bins" in project.load().space.paths


def test_reports_are_needed_too(project: Any) -> None:
    write(project, report=["plotted:bins"])
    assert ran(project) == ["plot", "prepare", "score"]


def test_what_is_left_out_does_not_change_keys(project: Any) -> None:
    """What else reads an output says whether it makes the trip through its file."""
    write(project, also=["plot", "describe", "check"])
    assert ran(project) == ["check", "describe", "plot", "prepare", "score"]
    write(project)
    assert ran(project) == []
    write(project, also=["described"])
    assert ran(project) == []


def test_missing_input_of_a_node_that_is_left_out_harms_nobody(project: Any) -> None:
    write(project)
    text = PIPELINE.replace(
        '["prepared", "metrics", "params:bins"]', '["prepared", "none", "params:bins"]'
    )
    project.write_pipeline(text)
    assert ran(project) == ["prepare", "score"]


def test_plain_cached_runs_leave_nothing_out(project: Any) -> None:
    write(project)
    project.write_settings({"cache": {"runs": True}})
    assert project.kedro("run").returncode == 0
    assert sorted(project.executions()) == ["check", "describe", "plot", "prepare", "score"]
    known = seconds_left_out(project.load())
    assert known.keys() == {"plot", "describe"}
    assert ran(project) == []


def test_input_written_under_another_name_is_needed_and_refused(project: Any) -> None:
    write(project)
    project.write_pipeline(PIPELINE.replace('["prepared", "params:q"]', '["copied", "params:q"]'))
    catalog = yaml.safe_load((project.path / "conf/base/catalog.yml").read_text())
    catalog["copied"] = catalog["plotted"]
    project.write_catalog(catalog)
    loaded = project.load()
    assert "plot" in {n.name for n in loaded.pipeline.nodes}
    with pytest.raises(
        ConfigurationError, match="which a node of the pipeline writes as 'plotted'"
    ):
        loaded.dry_plan()


@pytest.mark.parametrize("written", ["data/parts/b.json", "data/link/b.json"])
def test_input_folder_that_a_node_writes_into_is_refused(project: Any, written: str) -> None:
    write(project, space={"q": SPACE["q"]})
    (project.path / "data" / "parts").mkdir(parents=True)
    (project.path / "data" / "link").symlink_to("parts")
    project.write_pipeline(PIPELINE.replace('["prepared", "params:q"]', '["parts", "params:q"]'))
    catalog = yaml.safe_load((project.path / "conf/base/catalog.yml").read_text())
    parts = {"type": "partitions.PartitionedDataset", "path": "data/parts"}
    catalog["parts"] = {**parts, "dataset": "json.JSONDataset", "filename_suffix": ".csv"}
    catalog["plotted"] = {"type": "json.JSONDataset", "filepath": written}
    project.write_catalog(catalog)
    project.load().dry_plan()  # no partition of it
    del catalog["parts"]["filename_suffix"]
    project.write_catalog(catalog)
    with pytest.raises(ConfigurationError, match="a node of the pipeline writes as 'plotted'"):
        project.load().dry_plan()
