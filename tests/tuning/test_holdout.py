"""A held out value: never in a trial, measured of the best and the defaults at the end."""

from __future__ import annotations

from typing import Any

import pytest

from kedro_eeipu.tuning.holdout import measure_holdout, unmeasured

TEST = """

def test_score(joined, shift):
    ran("test_score")
    return {"loss": 100 + abs(joined["sum"] - shift)}
"""


@pytest.fixture
def held_out(project: Any) -> Any:
    """The project with a node that computes a held out value, which nothing else needs."""
    nodes, pipeline = project.source / "nodes.py", project.source / "pipeline.py"
    nodes.write_text(nodes.read_text() + TEST)
    node = (
        '        node(nodes.test_score, ["joined", "params:shift"], "test", name="test"),\n    ])'
    )
    pipeline.write_text(pipeline.read_text().replace("    ])", node))
    return project


def declare(project: Any, **holdout: str) -> None:
    import yaml

    file = project.path / "conf/base/parameters.yml"
    parameters = yaml.safe_load(file.read_text())
    parameters["eeipu"]["holdout"] = holdout
    project.write_parameters(parameters)


def test_held_out_value_is_measured_apart_from_the_trials(held_out: Any) -> None:
    declare(held_out, dataset="test", key="loss")
    tuner = held_out.tuner(sampler="random")
    result = tuner.run()
    assert "test_score" not in held_out.executions(), "no trial runs it"
    trials = unmeasured(tuner.project, tuner.study, result.best)
    assert {t.number for t in trials} == {0, result.best.number}
    measure_holdout(tuner.project, tuner.study, trials)
    assert held_out.executions() == ["test_score"] * len(trials), "all else is reused"
    study = tuner.study
    assert len(study.trials()) == 4
    for trial in study.confirmed(trials):
        assert trial.holdout is not None
        assert trial.holdout.value == pytest.approx(100 + trial.value)
    assert not unmeasured(tuner.project, study, result.best)
    edited = held_out.source / "nodes.py"
    edited.write_text(edited.read_text().replace("100 +", "200 +"))
    again = held_out.tuner()
    again.study.compare_with(again.project.state)
    assert len(again.study.current()) == 4, "its code is no part of the state"


def test_node_that_fails_says_so(held_out: Any) -> None:
    declare(held_out, dataset="test", key="loss")
    nodes = held_out.source / "nodes.py"
    nodes.write_text(
        nodes.read_text().replace('return {"loss": 100', '1 / 0\n    return {"loss": 100')
    )
    tuner = held_out.tuner(sampler="random")
    best = tuner.run().best
    measure_holdout(tuner.project, tuner.study, [best])
    (trial,) = tuner.study.confirmed([best])
    assert trial.holdout is not None
    assert "ZeroDivisionError" in trial.holdout.error


@pytest.mark.parametrize(
    ("holdout", "words"),
    [
        ({"dataset": "metrics", "key": "loss"}, "is also under `objective`"),
        ({"dataset": "tset", "key": "loss"}, "eeipu.holdout: no node"),
        ({"key": "loss"}, "names no dataset"),
        ({"dataset": "test", "direction": "up"}, "direction is 'up'"),
    ],
)
def test_what_is_refused(held_out: Any, holdout: dict[str, str], words: str) -> None:
    from kedro_eeipu.errors import ConfigurationError

    declare(held_out, **holdout)
    with pytest.raises(ConfigurationError, match=words):
        held_out.load()
