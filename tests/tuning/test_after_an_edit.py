"""A study goes on after an edit: what counts, and what is tried first."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import yaml

from kedro_eeipu.study.limits import Limits

DEFAULTS = {"clean.scale": 1.0, "left.weight": 2.0, "right.power": 2, "shift": 3.0}


def edit(project: Any, old: str = '"loss": abs(', new: str = '"loss": 2 * abs(') -> None:
    nodes = project.source / "nodes.py"
    assert old in nodes.read_text()
    nodes.write_text(nodes.read_text().replace(old, new))


def tune(project: Any, trials: int, **options: Any) -> Any:
    return project.tuner(limits=Limits(trials=trials), **options).run()


def test_counts_start_afresh_and_the_former_best_is_tried_first(project: Any) -> None:
    first = tune(project, 4)
    edit(project)
    project.executions()
    result = tune(project, 3)
    assert [t.number for t in result.trials] == [4, 5, 6]
    assert result.others == 4
    assert result.trials[0].params == DEFAULTS
    tried = [t.params for t in result.trials[:2]]
    assert first.best.params in tried
    assert project.executions()[: len(tried)] == ["score"] * len(tried), "the rest was cached"
    assert result.best.value == min(t.value for t in result.trials)
    assert result.best.number >= 4
    again = tune(project, 4)
    assert [t.number for t in again.trials] == [4, 5, 6, 7]
    edit(project, '"loss": 2 * abs(', '"loss": abs(')
    back = tune(project, 6)
    assert [t.number for t in back.trials][:4] == [0, 1, 2, 3], "they count again"
    assert back.others == 4


def test_peers_learn_from_the_trials_of_today_only(project: Any) -> None:
    tune(project, 3, sampler="tpe")
    edit(project)
    result = tune(project, 4, sampler="tpe")
    assert [t.number for t in result.trials] == [3, 4, 5, 6]


def test_a_finite_space_is_new_after_an_edit(project: Any) -> None:
    parameters = yaml.safe_load((project.path / "conf/base/parameters.yml").read_text())
    parameters["eeipu"]["space"] = {"right.power": {"low": 1, "high": 3}}
    project.write_parameters(parameters)
    assert len(tune(project, 9).trials) == 3
    edit(project)
    result = tune(project, 9)
    assert len(result.trials) == 3
    assert "nothing new" in result.stopped
    assert {t.params["right.power"] for t in result.trials} == {1, 2, 3}


def test_failures_of_before_do_not_count(project: Any) -> None:
    edit(project, 'ran("score")', 'raise ValueError("no")')
    tuner = project.tuner(limits=Limits(trials=4, max_failures=9))
    assert all(t.state == "failed" for t in tuner.run().trials)
    edit(project, 'raise ValueError("no")', 'ran("score")')
    result = tune(project, 2)
    assert [t.state for t in result.trials] == ["complete"] * 2
    assert result.trials[0].params == DEFAULTS


def test_trials_of_an_earlier_version_count_unless_their_keys_tell_otherwise(project: Any) -> None:
    tune(project, 2)
    with sqlite3.connect(project.path / ".eeipu/study.db") as database:
        rows = database.execute(
            "SELECT trial_user_attribute_id, value_json FROM trial_user_attributes "
            "WHERE key = 'run'"
        ).fetchall()
        for row, stored in rows:
            run = json.loads(stored)
            del run["pipeline_state"]
            database.execute(
                "UPDATE trial_user_attributes SET value_json = ? WHERE trial_user_attribute_id = ?",
                (json.dumps(run), row),
            )
    assert len(tune(project, 3).trials) == 3
    edit(project)
    result = tune(project, 1)
    assert result.others == 3
    assert project.tuner().study.name == "default"


def test_costs_are_learnt_from_all_trials_and_values_from_those_of_today(project: Any) -> None:
    tune(project, 3)
    edit(project)
    tuner = project.tuner()
    tuner.study.compare_with(tuner.project.state)
    sampler = tuner.proposer.eeipu()
    seen = [sampler.observe(t) for t in tuner.study.frozen()]
    graph = tuner.project.stage_graph()
    last = graph.stage_of("score")
    assert all(o.costs_only and o.costs for o in seen)
    assert all(last not in o.available for o in seen)
    assert all(graph.stage_of("clean") in o.available for o in seen)
