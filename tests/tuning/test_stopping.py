"""Trainings that are stopped inside a node, by what their code reports."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from kedro.runner import ParallelRunner, SequentialRunner, ThreadRunner
from optuna.trial import TrialState

from kedro_eeipu.cli.common import make_console
from kedro_eeipu.cli.progress import PlainView
from kedro_eeipu.study.limits import Limits

TRAINING = """
from kedro_eeipu import optuna_trial, report, should_prune


def left(cleaned, weight):
    ran("left")
    for step in range(4):
        ran(f"step{step}")
        report(weight * (5 - step), step)
        if should_prune():
            ENDING
    return [weight * x for x in cleaned["rows"]]
"""
RAISED = "import optuna; raise optuna.TrialPruned"
RETURNED = "return [weight]"
WRAPPED = "raise RuntimeError('a callback has failed')"
GOOD: dict[str, Any] = {"clean.scale": 1.0, "left.weight": 1.0, "right.power": 1, "shift": 0.0}
BAD = {**GOOD, "left.weight": 9.0}


def training(project: Any, code: str = TRAINING, ending: str = RAISED) -> Any:
    """The project with a node that trains in four steps; the less weight, the better."""
    source = (project.source / "nodes.py").read_text()
    before, _, after = source.partition("def left(")
    rest = after[after.index("def right(") :]
    project.write_nodes(before + rest + code.replace("ENDING", ending))
    return project


def after_five(project: Any, code: str = TRAINING, ending: str = RAISED, **options: Any) -> Any:
    """A tuner with as many trainings as are waited for."""
    tuner = training(project, code, ending).tuner(**options)
    for i in range(5):
        assert tuner.evaluate({**GOOD, "left.weight": 1.0 + i}).state == "complete"
    project.executions()
    return tuner


def left(trial: Any) -> Any:
    return next(n for n in trial.nodes if n.name == "left")


def plain_value(project: Any, params: Mapping[str, Any]) -> float:
    """The objective of a plain run."""
    given: dict[str, Any] = {"shift": params["shift"]}
    for path in ("clean.scale", "left.weight", "right.power"):
        section, _, name = path.partition(".")
        given[section] = {name: params[path]}
    return float(project.plain_run(given)["loss"])


@pytest.mark.parametrize(
    ("runner", "ending"),
    [
        (SequentialRunner, RAISED),
        (SequentialRunner, RETURNED),
        (SequentialRunner, WRAPPED),
        (ThreadRunner, RETURNED),
        (ParallelRunner, RAISED),
    ],
)
def test_a_training_that_promises_little_is_stopped(project: Any, runner: Any, ending: str) -> None:
    tuner = after_five(project, ending=ending, runner=runner())
    trial = tuner.evaluate(BAD)
    assert trial.state == "pruned"
    assert trial.error == (
        "left: stopped at step 0: its best value so far is 45, and three quarters of the earlier "
        "trainings were at 20 or better"
    )
    assert (left(trial).status, left(trial).curve) == ("stopped", ((0, 45.0),))
    assert 0 < left(trial).seconds <= trial.cost, "what it has cost counts to the budget"
    ran = project.executions()
    assert "step0" in ran
    assert not {"step1", "join", "score"} & set(ran)
    assert tuner.study.optuna.trials[5].state == TrialState.PRUNED
    # Nobody finds a record of it: the same training runs again.
    assert left(tuner.evaluate(BAD)).status == "stopped"
    tuner._gate = lambda: None
    whole = tuner.evaluate(BAD)
    assert (whole.state, left(whole).status) == ("complete", "ran")
    assert whole.value == plain_value(project, BAD)


def test_a_reused_training_keeps_its_curve_and_counts_once(project: Any) -> None:
    tuner = after_five(project)
    for shift in range(1, 6):
        trial = tuner.evaluate({**GOOD, "shift": float(shift)})
        assert (left(trial).status, left(trial).curve) == (
            "reused",
            ((0, 5.0), (1, 4.0), (2, 3.0), (3, 2.0)),
        )
    assert tuner._gate().thresholds("left").by_step == {0: 20.0, 1: 16.0, 2: 12.0, 3: 8.0}
    other = project.tuner("another study")
    assert left(other.evaluate(GOOD)).curve == left(trial).curve


def test_stopped_trainings_teach_no_cost_and_a_value_like_theirs(project: Any) -> None:
    tuner = after_five(project)
    trial = tuner.evaluate({**BAD, "left.weight": 4.5})
    kept = tuner.project.store.digests()
    observed = tuner.observer.observation(trial, kept)
    stage = tuner.project.stage_graph().stage_of("left")
    assert stage not in observed.costs
    assert stage not in observed.available
    sampler, frozen = tuner.proposer.eeipu(), tuner.study.frozen()
    # No better at step 0 was the training with weight 5 alone.
    assert sampler.observe(frozen[5]).expected == tuner.study.trials()[4].value
    assert sampler.observe(frozen[4]).expected is None


@pytest.mark.parametrize("seed", range(2))
def test_values_curves_and_stops_are_right_on_a_random_walk(project: Any, seed: int) -> None:
    """Held against plain runs, and against the rule written down once more."""
    tuner = training(project, ending=random.Random(seed).choice([RAISED, RETURNED])).tuner()
    rng = random.Random(seed)
    reached: list[dict[float, float]] = [{} for _ in range(4)]  # by step and weight
    ended: set[float] = set()
    states = set()
    for _ in range(16):
        new = round(rng.uniform(0.5, 9.0), 1)
        weight = new if rng.random() < 0.7 else rng.choice([new, *sorted(ended)])
        params = {**GOOD, "left.weight": weight, "shift": rng.choice([0.0, 1.0])}
        curve = tuple((step, weight * (5 - step)) for step in range(4))
        stop = None
        if weight not in ended and len(ended) >= 5:
            over = (
                s
                for s, value in curve
                if len(reached[s]) >= 5 and value > np.quantile(list(reached[s].values()), 0.75)
            )
            stop = next(over, None)
        trial = tuner.evaluate(params)
        states.add(trial.state)
        assert left(trial).curve == curve[: 4 if stop is None else stop + 1]
        for step, value in left(trial).curve:
            reached[step][weight] = value
        if stop is not None:
            assert (trial.state, trial.value) == ("pruned", None)
            continue
        assert left(trial).status == ("reused" if weight in ended else "ran")
        ended.add(weight)
        assert trial.value == pytest.approx(6.0 + 6.0 * weight - params["shift"])
    assert states == {"complete", "pruned"}, "the walk sees both"
    best = tuner.study.best()
    assert best.value == plain_value(project, best.params)


def test_a_plain_run_and_a_trial_without_rivals_are_not_stopped(project: Any) -> None:
    asked = TRAINING.replace("if should_prune():", "assert not should_prune()\n        if False:")
    training(project, asked)
    assert plain_value(project, BAD) == 60.0
    assert project.tuner().evaluate(BAD).value == 60.0


def test_a_node_may_end_its_trial_by_itself(project: Any) -> None:
    code = TRAINING.replace("if should_prune():", "if weight > 5:")
    tuner = training(project, code, "import optuna; raise optuna.TrialPruned('too heavy')").tuner()
    trial = tuner.evaluate(BAD)
    assert (trial.state, left(trial).status) == ("pruned", "stopped")
    assert trial.error == "left: stopped by itself: TrialPruned: too heavy"
    with pytest.raises(Exception, match="too heavy"):
        plain_value(project, BAD)


def test_pruned_trials_are_no_failures(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    limits = Limits(trials=7, max_failures=1)
    tuner = after_five(project, limits=limits, listener=PlainView(make_console(), limits))
    tuner.evaluate(BAD)
    tuner.check_failures()
    *_, told, why = capsys.readouterr().out.splitlines()
    assert told.startswith("trial   5      pruned")
    assert why.strip().startswith("left: stopped at step 0")
    done = project.kedro("eeipu", "explain", "5", "--format", "json")
    node = next(n for n in json.loads(done.stdout) if n["name"] == "left")
    assert node["status"] == "stopped"
    assert node["reason"].startswith("stopped at step 0")
    assert node["curve"] == [[0, 45.0]]


def test_curves_that_run_the_other_way_stop_nothing(
    project: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    listener = PlainView(make_console(), Limits(trials=7))
    code = TRAINING.replace("report(weight", "report(-weight")
    tuner = after_five(project, code, listener=listener)
    assert tuner._gate().thresholds("left").by_step == {}
    assert tuner.evaluate(BAD).state == "complete"
    told = capsys.readouterr().out
    assert told.count("Warning: node left reports values that are better where") == 1
    assert "smaller ones are better" in told


@pytest.mark.slow
def test_trainings_are_stopped_on_workers(project: Any) -> None:
    after_five(project)
    tries = [f"--try=left.weight={w},clean.scale=1.0" for w in (9.0, 9.5)]
    done = project.kedro("eeipu", "tune", "--workers", "2", "--trials", "7", *tries)
    assert done.returncode == 0, done.stderr
    found = json.loads(project.kedro("eeipu", "trials", "--format", "json").stdout)
    assert {t["state"] for t in found if t["params"]["left.weight"] >= 9.0} == {"pruned"}
    assert list((project.path / ".eeipu" / "cache" / "leases").iterdir()) == []
