"""What a trial executes, and that its objective is that of a plain run."""

from __future__ import annotations

import json
from typing import Any

import pytest

DEFAULTS = {"clean.scale": 1.0, "left.weight": 2.0, "right.power": 2, "shift": 3.0}
ALL = ["clean", "left", "right", "join", "score"]


def statuses(trial: Any) -> dict[str, str]:
    return {n.name: n.status for n in trial.nodes}


def test_first_trial_runs_everything(project: Any) -> None:
    trial = project.tuner().evaluate(DEFAULTS)
    assert sorted(project.executions()) == sorted(ALL)
    assert trial.value == abs(2 * 6 + 14 - 3)
    assert all(n.status == "ran" and n.seconds > 0 and n.key for n in trial.nodes)


def test_change_in_last_stage_runs_only_it(project: Any) -> None:
    tuner = project.tuner()
    tuner.evaluate(DEFAULTS)
    project.executions()
    trial = tuner.evaluate({**DEFAULTS, "shift": 10.0})
    assert project.executions() == ["score"]
    assert statuses(trial) == {**dict.fromkeys(ALL, "reused"), "score": "ran"}
    assert trial.value == project.plain_run({"shift": 10.0})["loss"]


def test_only_what_the_last_node_needs_is_loaded(project: Any) -> None:
    tuner = project.tuner()
    tuner.evaluate(DEFAULTS)
    loaded = {n.name: n.load for n in tuner.evaluate({**DEFAULTS, "shift": 10.0}).nodes}
    assert loaded.pop("join") > 0
    loaded.pop("score")  # its own output is read for the objective
    assert set(loaded.values()) == {0.0}


@pytest.mark.parametrize(
    ("change", "branch", "runtime"),
    [
        ({"left.weight": 5.0}, "left", {"left": {"weight": 5.0, "other": "untouched"}}),
        ({"right.power": 3}, "right", {"right": {"power": 3}}),
    ],
)
def test_change_in_one_branch_leaves_the_other(
    project: Any, change: dict[str, Any], branch: str, runtime: dict[str, Any]
) -> None:
    tuner = project.tuner()
    tuner.evaluate(DEFAULTS)
    project.executions()
    trial = tuner.evaluate({**DEFAULTS, **change})
    assert project.executions() == [branch, "join", "score"]
    assert trial.value == project.plain_run(runtime)["loss"]


def test_repeated_trial_executes_nothing(project: Any) -> None:
    tuner = project.tuner()
    first = tuner.evaluate(DEFAULTS)
    project.executions()
    again = tuner.evaluate(DEFAULTS)
    assert project.executions() == []
    assert again.value == first.value
    assert again.cost == 0.0
    assert again.saved == pytest.approx(first.cost)


def test_branches_are_reused_from_different_trials(project: Any) -> None:
    tuner = project.tuner()
    tuner.evaluate({**DEFAULTS, "left.weight": 5.0})
    tuner.evaluate({**DEFAULTS, "right.power": 3})
    project.executions()
    tuner.evaluate({**DEFAULTS, "left.weight": 5.0, "right.power": 3})
    assert project.executions() == ["join", "score"]


def test_recomputed_to_the_same_content_lets_descendants_be_served(project: Any) -> None:
    """`kind` only labels: `left` and `right` see a changed input, `join` sees the same rows."""
    project.write_catalog({k: v for k, v in _catalog(project).items() if k != "cleaned"})
    tuner = project.tuner()
    tuner.evaluate(DEFAULTS)
    project.executions()
    parameters = _parameters(project)
    parameters["clean"]["kind"] = "relabelled"
    project.write_parameters(parameters)
    trial = project.tuner().evaluate(DEFAULTS)
    assert sorted(project.executions()) == ["clean", "left", "right"]
    assert statuses(trial)["join"] == statuses(trial)["score"] == "reused"


def test_code_edit_runs_what_depends_on_it(project: Any) -> None:
    project.tuner().evaluate(DEFAULTS)
    project.executions()
    nodes = project.source / "nodes.py"
    nodes.write_text(
        nodes.read_text().replace('x ** options["power"]', 'x ** options["power"] + 1')
    )
    trial = project.tuner().evaluate(DEFAULTS)
    assert project.executions() == ["right", "join", "score"]
    assert trial.value == project.plain_run()["loss"]


def test_cosmetic_edit_runs_nothing(project: Any) -> None:
    project.tuner().evaluate(DEFAULTS)
    project.executions()
    nodes = project.source / "nodes.py"
    nodes.write_text(
        "# a comment\n\n" + nodes.read_text().replace("joined, shift", "joined, shift, /")
    )
    nodes.write_text(nodes.read_text().replace(", /", ""))
    project.tuner().evaluate(DEFAULTS)
    assert project.executions() == []


def test_changed_input_file_is_seen(project: Any) -> None:
    project.tuner().evaluate(DEFAULTS)
    project.executions()
    (project.path / "data" / "raw.json").write_text(json.dumps({"rows": [1.0, 2.0, 4.0]}))
    trial = project.tuner().evaluate(DEFAULTS)
    assert sorted(project.executions()) == sorted(ALL)
    assert trial.value == project.plain_run()["loss"]


def test_trials_never_write_the_users_files(project: Any) -> None:
    before = project.files()
    tuner = project.tuner()
    tuner.run()
    assert project.files() == before


def test_consumers_see_a_declared_dataset_through_its_file(project: Any) -> None:
    """JSON turns the tuple of `cleaned` into a list; a plain run's `left` sees a list."""
    nodes = project.source / "nodes.py"
    nodes.write_text(
        nodes.read_text().replace(
            "[weight * x for x in cleaned",
            "[weight * x + isinstance(cleaned['rows'], list) for x in cleaned",
        )
    )
    tuner = project.tuner()
    fresh = tuner.evaluate(DEFAULTS)
    reused = tuner.evaluate({**DEFAULTS, "left.weight": 4.0})
    assert fresh.value == project.plain_run()["loss"]
    assert reused.value == project.plain_run({"left": {"weight": 4.0, "other": ""}})["loss"]


def test_node_that_changes_its_input_does_not_change_others(project: Any) -> None:
    nodes = project.source / "nodes.py"
    nodes.write_text(
        nodes.read_text().replace(
            '    ran("left")\n',
            '    ran("left")\n    cleaned["rows"] = [100 * x for x in cleaned["rows"]]\n',
        )
    )
    tuner = project.tuner()
    assert tuner.evaluate(DEFAULTS).value == project.plain_run()["loss"]
    project.executions()
    tuner.evaluate(DEFAULTS)
    assert project.executions() == []


def test_vanished_blob_is_computed_again(project: Any) -> None:
    tuner = project.tuner()
    tuner.evaluate(DEFAULTS)
    project.executions()
    for blob in (project.path / ".eeipu" / "cache" / "cas").rglob("*"):
        if blob.is_file():
            blob.unlink()
    trial = tuner.evaluate({**DEFAULTS, "shift": 10.0})
    assert set(project.executions()) >= {"join", "score"}
    assert trial.value == project.plain_run({"shift": 10.0})["loss"]


def test_evicted_early_node_is_not_run_when_nobody_needs_it(project: Any) -> None:
    tuner = project.tuner()
    first = tuner.evaluate(DEFAULTS)
    project.executions()
    digest = next(n for n in first.nodes if n.name == "clean").outputs[0][0]
    (blob,) = (project.path / ".eeipu" / "cache" / "cas").rglob(digest)
    blob.unlink()
    tuner.evaluate({**DEFAULTS, "shift": 10.0})
    assert project.executions() == ["score"]


def test_deleted_cache_costs_only_time(project: Any) -> None:
    import shutil

    tuner = project.tuner()
    tuner.evaluate(DEFAULTS)
    shutil.rmtree(project.path / ".eeipu" / "cache")
    project.executions()
    trial = tuner.evaluate({**DEFAULTS, "shift": 10.0})
    assert sorted(project.executions()) == sorted(ALL)
    assert trial.value == project.plain_run({"shift": 10.0})["loss"]


def test_tagged_node_always_runs_but_lets_others_be_served(project: Any) -> None:
    pipeline = project.source / "pipeline.py"
    pipeline.write_text(
        pipeline.read_text().replace('name="left")', 'name="left", tags="eeipu.no-cache")')
    )
    tuner = project.tuner()
    tuner.evaluate(DEFAULTS)
    project.executions()
    trial = tuner.evaluate(DEFAULTS)
    assert project.executions() == ["left"]
    assert statuses(trial)["join"] == "reused"


def test_pipeline_keeps_its_nodes(project: Any) -> None:
    from kedro.framework.project import pipelines

    tuner = project.tuner()
    tuner.evaluate(DEFAULTS)
    tuner.evaluate(DEFAULTS)
    registered = pipelines["__default__"]
    assert [n.name for n in registered.nodes] == [n.name for n in tuner.project.pipeline.nodes]
    assert all(n.func.__module__.endswith("nodes") for n in registered.nodes)


def _catalog(project: Any) -> dict[str, Any]:
    import yaml

    return yaml.safe_load((project.path / "conf" / "base" / "catalog.yml").read_text())


def _parameters(project: Any) -> dict[str, Any]:
    import yaml

    return yaml.safe_load((project.path / "conf" / "base" / "parameters.yml").read_text())


def test_what_consumers_of_a_never_cached_node_see_is_in_their_key(project: Any) -> None:
    """Once `cleaned` is declared as JSON, `left` sees a list where it saw a tuple before."""
    nodes = project.source / "nodes.py"
    nodes.write_text(
        nodes.read_text().replace(
            "[weight * x for x in cleaned",
            "[weight * x + isinstance(cleaned['rows'], list) for x in cleaned",
        )
    )
    pipeline = project.source / "pipeline.py"
    pipeline.write_text(
        pipeline.read_text().replace('name="clean")', 'name="clean", tags="eeipu.no-cache")')
    )
    catalog = _catalog(project)
    project.write_catalog({k: v for k, v in catalog.items() if k != "cleaned"})
    assert project.tuner().evaluate(DEFAULTS).value == project.plain_run()["loss"]
    project.write_catalog(catalog)
    assert project.tuner().evaluate(DEFAULTS).value == project.plain_run()["loss"]
