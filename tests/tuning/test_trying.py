"""The user's own values: once each, before proposals, whatever the limits."""

from __future__ import annotations

from typing import Any

from kedro_eeipu.study.limits import Limits


def test_own_values_run_once_each_though_the_limit_is_reached(project: Any) -> None:
    defaults = project.load().space.defaults()
    own = [{**defaults, "shift": 7.0}, {**defaults, "shift": 9.0}]
    one = Limits(trials=1)
    trials = project.tuner(limits=one, own=own).run().trials
    assert [t.params for t in trials] == [defaults, *own], "the defaults are still first"
    project.executions()
    again = project.tuner(limits=one, own=[*own, {**defaults, "shift": 11.0}]).run().trials
    assert [t.params["shift"] for t in again] == [3.0, 7.0, 9.0, 11.0]
    assert project.executions() == ["score"], "a repeated call runs only what is new"


def test_values_that_a_worker_has_are_handed_to_no_other(project: Any) -> None:
    defaults = project.load().space.defaults()
    own = [{**defaults, "shift": 7.0}, {**defaults, "shift": 9.0}]
    tuner = project.tuner(sampler="random", own=own)
    tuner.study.compare_with(tuner.project.state)
    handed = []
    for _ in range(4):  # none of them ends
        params = tuner.proposer.propose().params
        tuner._begin(params, 0.0)
        handed.append(params)
    assert handed[:3] == [defaults, *own]
    assert handed[3] not in handed[:3]
