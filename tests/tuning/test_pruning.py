"""Trials that end early by what they report on the way, in one process and in several."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import yaml
from kedro.runner import ParallelRunner, SequentialRunner, ThreadRunner
from optuna.trial import TrialState

from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.study.limits import Limits
from kedro_eeipu.tuning.proposing import Proposed

GOOD = {"clean.scale": 0.5, "left.weight": 0.1, "right.power": 1, "shift": 0.0}
BAD = {"clean.scale": 2.0, "left.weight": 10.0, "right.power": 3, "shift": 0.0}


def reporting(project: Any, *reports: str) -> Any:
    file = project.path / "conf" / "base" / "parameters.yml"
    parameters = yaml.safe_load(file.read_text())
    parameters["eeipu"]["report"] = list(reports)
    project.write_parameters(parameters)
    return project


def after_five(project: Any, **options: Any) -> Any:
    """A tuner of which five complete trials have reported different values."""
    tuner = reporting(project, "joined:sum").tuner(**options)
    for scale in range(5):
        tuner.evaluate({**GOOD, "clean.scale": 1.0 + 0.01 * scale})
    project.executions()
    return tuner


@pytest.mark.parametrize("runner", [SequentialRunner, ThreadRunner, ParallelRunner])
def test_trial_ends_before_its_tail_when_it_reports_too_little(project: Any, runner: Any) -> None:
    tuner = after_five(project, runner=runner())
    trial = tuner.evaluate(BAD)
    assert trial.state == "pruned"
    assert "joined[sum] is 408" in str(trial.error)
    assert [n.status for n in trial.nodes] == ["ran", "ran", "ran", "ran", "skipped"]
    assert "score" not in project.executions()
    good = tuner.evaluate(GOOD)
    assert good.state == "complete"
    told = tuner.study.optuna.trials
    assert told[5].state == TrialState.PRUNED
    assert told[5].intermediate_values == {0: 408.0}
    assert told[6].intermediate_values[0] < 408.0
    assert trial.reported == tuner.study.trials()[5].reported == {0: 408.0}
    assert tuner.study.optuna.metric_names == ["metrics[loss]"], "no 'Objective 0' in dashboards"


def test_trial_whose_report_is_cached_ends_before_anything_runs(project: Any) -> None:
    tuner = after_five(project)
    tuner.evaluate(BAD)
    project.executions()
    trial = tuner.evaluate({**BAD, "shift": 1.0})
    assert trial.state == "pruned"
    assert trial.cost == 0
    assert project.executions() == []
    assert {n.status for n in trial.nodes} == {"reused", "skipped"}


def test_a_budget_ends_though_nothing_but_pruned_prefixes_is_proposed(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuner = after_five(project, limits=Limits(budget=3600.0))
    tuner.evaluate(BAD)
    shifts = itertools.count()
    propose = lambda: Proposed({**BAD, "shift": 0.1 * next(shifts)})  # noqa: E731
    monkeypatch.setattr(tuner.proposer, "propose", propose)
    outcome = tuner.run()
    assert outcome.stopped == "the last 10 trials were pruned before a node ran"
    assert len(outcome.trials) == 16


def test_nothing_is_pruned_before_five_trials_are_complete(project: Any) -> None:
    tuner = reporting(project, "joined:sum").tuner()
    tuner.evaluate(GOOD)
    assert tuner.evaluate(BAD).state == "complete"


def test_a_value_that_trials_share_counts_once(project: Any) -> None:
    tuner = reporting(project, "joined:sum").tuner()
    for shift in range(6):
        tuner.evaluate({**GOOD, "shift": float(shift)})
    assert tuner.evaluate(BAD).state == "complete", "two values are too few to judge by"


def test_only_what_is_in_the_worst_quarter_is_pruned(project: Any) -> None:
    tuner = after_five(project)
    middling = tuner.evaluate({**GOOD, "clean.scale": 1.025})
    assert middling.state == "complete"
    worse = tuner.evaluate({**GOOD, "clean.scale": 1.035})
    assert worse.state == "pruned"
    assert "three quarters of the earlier values were better" in str(worse.error)


def test_pruned_trials_teach_what_their_stages_cost(project: Any) -> None:
    tuner = after_five(project)
    trial = tuner.evaluate(BAD)
    observed = tuner.observer.observation(trial, tuner.project.store.digests())
    ran = {tuner.project.stage_graph().stage_of(n.name) for n in trial.nodes if n.status == "ran"}
    assert set(observed.costs) == ran
    assert observed.available == ran
    study = tuner.study.optuna
    sampler = tuner.proposer.eeipu()
    numbers: list[int] = []
    observe = sampler.observe

    def observing(trial: Any) -> Any:
        numbers.append(trial.number)
        return observe(trial)

    sampler.observe = observing
    sampler.propose(study.get_trials(deepcopy=False), study.direction)
    assert numbers == list(range(6))


@pytest.mark.parametrize("sampler", ["eeipu", "tpe"])
def test_study_goes_on_past_pruned_trials(project: Any, sampler: str) -> None:
    tuner = reporting(project, "joined:n", "joined:sum").tuner(
        sampler=sampler, limits=Limits(trials=16)
    )
    outcome = tuner.run()
    states = [t.state for t in outcome.trials]
    assert len(states) == 16
    assert {"complete", "pruned"} == set(states)
    assert outcome.best is not None


def test_maximised_reports_are_pruned_when_they_are_low(project: Any) -> None:
    reporting(project, "joined:sum")
    file = project.path / "conf" / "base" / "parameters.yml"
    parameters = yaml.safe_load(file.read_text())
    parameters["eeipu"]["objective"]["direction"] = "maximize"
    project.write_parameters(parameters)
    tuner = project.tuner()
    for scale in range(5):
        tuner.evaluate({**GOOD, "clean.scale": 1.0 + 0.01 * scale})
    assert tuner.evaluate(BAD).state == "complete"
    assert tuner.evaluate(GOOD).state == "pruned"


@pytest.mark.parametrize(
    ("reports", "word"),
    [
        (["joind:sum"], "Did you mean 'joined'"),
        ([3], "list of datasets"),
    ],
)
def test_wrong_reports_are_refused_before_anything_runs(
    project: Any, reports: list[Any], word: str
) -> None:
    with pytest.raises(ConfigurationError, match=word):
        reporting(project, *reports).load()


def test_a_report_without_its_key_ends_the_study(project: Any) -> None:
    tuner = reporting(project, "joined:total").tuner()
    with pytest.raises(ConfigurationError, match=r"eeipu.report: dataset 'joined' has no key"):
        tuner.run()
