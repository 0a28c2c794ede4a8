"""Trials in Optuna's storage."""

from __future__ import annotations

import random
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.search.block import parse_space
from kedro_eeipu.states import NodeState
from kedro_eeipu.study.encoding import distributions
from kedro_eeipu.study.explain import History, changed_parts
from kedro_eeipu.study.fast_read import read_trials
from kedro_eeipu.study.opening import open_study
from kedro_eeipu.study.records import NodeRecord, TrialRecord, with_defaults

RANGES = {"a": {"low": 0, "high": 1}, "b": {"low": 1, "high": 9}, "c": ["x", "y"]}


def space(ranges: dict[str, Any] | None = None, **objective: Any) -> Any:
    return parse_space(
        {
            "a": 0.5,
            "b": 3,
            "c": "x",
            "eeipu": {
                "objective": {"dataset": "m", "direction": "minimize", **objective},
                "space": ranges or RANGES,
            },
        }
    )  # fmt: skip


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'deep' / 'study.db'}"


def finished(
    study: Any, params: dict[str, Any], value: float | None, **options: Any
) -> TrialRecord:
    number = study.begin(params, distributions(space()), "run", {})
    nodes = [
        NodeRecord(
            "n", NodeState.RAN, seconds=1.5, key="k", outputs=(("d", 3),), parts={"code": "c"}
        )
    ]
    return study.finish(number, value, nodes, **options)


def test_what_is_recorded_is_read_back(url: str) -> None:
    params = {"a": 0.1, "b": 3, "c": "y"}
    told = finished(open_study(url, "s", space(), create=True), params, 2.0)
    (read,) = open_study(url, "s").trials()
    assert read == replace(told, finished=read.finished)
    assert read.started is not None
    assert read.finished is not None
    assert read.started <= read.finished == pytest.approx(told.finished, abs=1.0)
    assert read.finished == pytest.approx(time.time(), abs=60), "the clock of everybody else"
    assert (read.params, read.value, read.cost, read.state) == (params, 2.0, 1.5, "complete")
    stored = optuna.load_study(storage=url, study_name="s").trials[0]
    assert stored.user_attrs["cost"] == 1.5, "the dashboard can sort by it"


def test_one_reading_serves_all_until_we_write(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study = open_study(url, "s", space(), create=True)
    get_trials, readings = study.optuna.get_trials, []

    def read(**options: Any) -> Any:
        readings.append(options)
        return get_trials(**options)

    monkeypatch.setattr(study.optuna, "get_trials", read)
    params = {"a": 0.5, "b": 3, "c": "x"}
    with study.one_reading():
        assert study.trials() == study.orphans() == []
        assert study.best() is None
        assert len(readings) == 1
        number = study.begin(params, distributions(space()), "run", {})
        assert [t.state for t in study.trials()] == ["running"]
        assert len(readings) == 2
        study.finish(number, 1.0, ())
        assert [t.value for t in study.trials()] == [1.0]
    other = open_study(url, "s", space())
    other.begin(params, distributions(space()), "run", {})
    assert len(study.trials()) == 2, "outside, every look is a new one"


def test_failed_and_interrupted_trials(url: str) -> None:
    study = open_study(url, "s", space(), create=True)
    finished(study, {"a": 0.1}, None, error="boom")
    finished(study, {"a": 0.2}, None, error="interrupted", interrupted=True)
    failed, interrupted = study.trials()
    assert (failed.state, failed.error, failed.interrupted) == ("failed", "boom", False)
    assert interrupted.interrupted
    assert study.best() is None


def test_best_follows_the_direction(url: str) -> None:
    low = open_study(url, "low", space(), create=True)
    high = open_study(url, "high", space(direction="maximize"), create=True)
    for study in (low, high):
        for value in (2.0, 1.0, 3.0, 1.0, 3.0):
            finished(study, {"a": 0.1}, value)
    assert [(best := study.best()) and best.number for study in (low, high)] == [1, 2]


def test_trial_with_the_defaults_is_of_the_same_params_as_the_best() -> None:
    own = {"a": 0.5, "b": 3, "c": "x"}
    best = TrialRecord(2, "complete", {**own, "b": 4}, 1.0)
    given = TrialRecord(0, "complete", own, 2.0, runtime_params={"other": 1})
    failed = TrialRecord(1, "failed", own, None)
    found = TrialRecord(3, "complete", own, 3.0)
    assert with_defaults([given, failed, best], space(), best) is None
    assert with_defaults([given, failed, best, found], space(), best) is found


def test_params_of_tuned_parameters_do_not_hide_the_trial_with_the_defaults() -> None:
    own = {"a": 0.5, "b": 3, "c": "x"}
    best = TrialRecord(
        2, "complete", {**own, "b": 4}, 1.0, runtime_params={"a": 0.5, "n": {"m": 1}}
    )
    found = TrialRecord(0, "complete", own, 2.0, runtime_params={"b": 7, "n": {"m": 1}})
    other = TrialRecord(1, "complete", own, 2.0, runtime_params={"b": 7, "n": {"m": 2}})
    assert with_defaults([other, found, best], space(), best) is found


def test_trial_from_before_a_range_was_added_has_the_default_of_that_parameter() -> None:
    best = TrialRecord(1, "complete", {"a": 0.1, "b": 3, "c": "x"}, 1.0)
    found = TrialRecord(0, "complete", {"a": 0.5, "c": "x"}, 2.0)
    removed = TrialRecord(2, "complete", {"a": 0.5, "b": 3, "c": "x", "d": 1}, 2.0)
    assert with_defaults([removed, best, found], space(), best) is found


def test_missing_study_names_the_remedy(url: str) -> None:
    with pytest.raises(ConfigurationError, match="eeipu tune"):
        open_study(url, "s")
    open_study(url, "s", space(), create=True)
    with pytest.raises(ConfigurationError, match="There is: s"):
        open_study(url, "t")


def test_objective_may_be_mended_while_no_trial_has_completed(url: str) -> None:
    finished(open_study(url, "s", space(key="typo"), create=True), {"a": 0.1}, None, error="no key")
    open_study(url, "s", space(key="k"), create=True)
    with pytest.raises(ConfigurationError, match="to minimize"):
        open_study(url, "s", space(key="k", direction="maximize"), create=True)


def test_changed_objective_is_refused(url: str) -> None:
    finished(open_study(url, "s", space(), create=True), {"a": 0.1}, 1.0)
    with pytest.raises(ConfigurationError, match=r"is to minimize m, not to minimize m\[k\]"):
        open_study(url, "s", space(key="k"), create=True)


@pytest.mark.parametrize("ranges", [{"c": ["x", "z"]}, {"b": [1, 2, 3]}, {"c": ["y", "x"]}])
def test_changed_categories_are_refused(url: str, ranges: dict[str, Any]) -> None:
    study = open_study(url, "s", space(), create=True)
    finished(study, {"a": 0.1, "b": 3, "c": "x"}, 1.0)
    with pytest.raises(ConfigurationError, match="--study") as caught:
        open_study(url, "s", space(ranges), create=True)
    assert "eeipu.space." in caught.value.where


@pytest.mark.parametrize("path", ["a", "b"])
def test_another_scale_is_refused(url: str, path: str) -> None:
    """Optuna keeps one scale of a parameter, and raises at each later trial."""
    study = open_study(url, "s", space(), create=True)
    finished(study, {"a": 0.1, "b": 3, "c": "x"}, 1.0)
    ranges = {**RANGES, path: {"low": 1, "high": 9, "log": True}}
    kind = "floats" if path == "a" else "integers"
    told = f"has searched {kind} on a linear scale, not {kind} on a log scale"
    with pytest.raises(ConfigurationError, match=told):
        open_study(url, "s", space(ranges), create=True)


def test_changed_bounds_are_welcome(url: str) -> None:
    study = open_study(url, "s", space(), create=True)
    finished(study, {"a": 0.1, "b": 3, "c": "x"}, 1.0)
    ranges = {"a": {"low": 0.4, "high": 2}, "b": {"low": 2, "high": 5}, "c": ["x", "y"]}
    assert open_study(url, "s", space(ranges), create=True).best() is not None


def trial(number: int, *nodes: NodeRecord) -> TrialRecord:
    return TrialRecord(number, "complete", {}, 1.0, nodes)


def test_reasons_name_what_differs_from_the_nearest_trial() -> None:
    base = {"code": "1", "params:m.lr": "1", "params:m": "1", "rows": "1"}

    def ran(**changes: str) -> NodeRecord:
        parts = {**base, **{k.replace("_", ":").replace("DOT", "."): v for k, v in changes.items()}}
        return NodeRecord("n", NodeState.RAN, 1.0, key=str(sorted(parts.items())), parts=parts)

    history = [
        trial(0, ran()),
        trial(1, ran(params_mDOTlr="2", rows="2")),
        trial(2, ran(params_mDOTlr="3")),
        trial(3, ran(code="2", params_mDOTlr="2", rows="2")),
        trial(4, NodeRecord("n", NodeState.REUSED, saved=1.0, key=ran().key, parts=base)),
        trial(5, ran()),
        trial(6, NodeRecord("n", NodeState.SKIPPED)),
        trial(7, NodeRecord("n", NodeState.RAN, why_not="it is a generator")),
    ]
    known = History(history)
    said = [known.reason(t.number, t.nodes[0]) for t in history]
    assert said[0] == "it had not run before"
    assert said[1] == "against trial 0: parameter m.lr changed, input rows changed"
    assert said[2] == "against trial 0: parameter m.lr changed"
    assert said[3] == "against trial 1: its code changed"
    assert said[4] == "same code, parameters and inputs as trial 0"
    assert known.against(5, history[5].nodes[0]) == (4, history[4].nodes[0])
    assert known.against(4, history[4].nodes[0]) == (0, history[0].nodes[0])
    assert [known.against(n, history[n].nodes[0]) for n in (0, 6, 7)] == 3 * [None]
    assert "no longer in the cache" in said[5]
    assert "ended before" in said[6]
    assert said[7] == "it is never cached: it is a generator"


def test_reason_of_a_node_whose_input_has_no_content_to_tell() -> None:
    nodes = [NodeRecord("n", NodeState.RAN, 1.0, parts={"code": "1"}) for _ in range(2)]
    known = History([trial(i, node) for i, node in enumerate(nodes)])
    for i, node in enumerate(nodes):
        assert "one of its inputs cannot be stored" in known.reason(i, node)
        assert known.against(i, node) is None


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ("params:m", "parameter m changed (m.lr, m.deep.er)"),
        ("params:m.lr", "parameter m.lr changed"),
        ("params:other", "parameter other changed"),
        ("parameters", "parameter m.lr, m.deep.er changed (it takes all of them)"),
    ],
)
def test_reason_names_the_keys_inside_a_mapping(part: str, told: str) -> None:
    def made(number: int, lr: float, er: int) -> TrialRecord:
        node = NodeRecord("n", NodeState.RAN, 1.0, key=str(number), parts={part: str(number)})
        params = {"m.lr": lr, "m.same": 1, "mm": 2}
        given = {"m": {"lr": 9.0, "deep": {"er": er}}}
        return TrialRecord(number, "complete", params, 1.0, (node,), runtime_params=given)

    history = [made(0, 0.1, 1), made(1, 0.2, 2)]
    known = History(history)
    assert known.reason(1, history[1].nodes[0]) == f"against trial 0: {told}"


def test_nearest_trial_is_the_latest_of_those_that_differ_least() -> None:
    draw = random.Random(0)
    history = []
    for number in range(60):
        names = draw.choice([("code", "a", "b"), ("code", "a"), ("code", "a", "b", "c")])
        parts = {name: draw.choice("12") for name in names}
        status = draw.choice([NodeState.RAN, NodeState.REUSED, NodeState.FAILED, NodeState.SKIPPED])
        history.append(trial(number, NodeRecord("n", status, key=str(parts), parts=parts)))
    draw.shuffle(history)
    known = History(history)
    for t in history:
        (node,) = t.nodes
        before = [
            (len(changed_parts(then, node)), -other.number)
            for other in history
            for then in other.nodes
            if other.number < t.number and then.status != "skipped"
        ]
        found = known.nearest(t.number, node)
        assert found == (None if not before else (n := -min(before)[1], by_number(history, n)))


def by_number(history: list[TrialRecord], number: int) -> NodeRecord:
    return next(t.nodes[0] for t in history if t.number == number)


def test_a_large_study_is_explained_in_linear_time() -> None:
    """In time quadratic in trials and in nodes, as it once was, this takes minutes."""

    def node(name: int, number: int) -> NodeRecord:
        parts = {"code": "1", "params:a": f"{number % 7}", "rows": str(number)}
        return NodeRecord(f"n{name}", NodeState.RAN, 1.0, key=f"{number}", parts=parts)

    history = [trial(i, *(node(j, i) for j in range(40))) for i in range(400)]
    started = time.process_time()
    known = History(history)
    said = [known.reason(t.number, n) for t in history for n in t.nodes]
    assert said[-1] == "against trial 392: input rows changed"
    assert time.process_time() - started < 5.0


def test_trials_are_read_without_optuna_as_optuna_reads_them(url: str) -> None:
    study = open_study(url, "s", space(), create=True)
    node = NodeRecord("n", NodeState.RAN, 1.5, key="k", parts={"code": "1"}, outputs=(("d", 3),))
    finished(study, {"a": 0.1, "b": 3, "c": "x"}, 1.0)
    number = study.begin({"a": 0.2, "b": 4}, distributions(space()), "run", {"proposing": 0.5})
    study.finish(number, None, [node], error='it "broke"', interrupted=True)
    number = study.begin({"c": "y", "a": 1.0}, distributions(space()), "run", {})
    study.finish(number, float("inf"), [node])
    number = study.begin({"a": 0.2}, distributions(space()), "run", {})
    study.finish(number, None, [node], pruned=True, reported={0: 1.0})
    study.begin({"a": 0.2}, distributions(space()), "run", {"runtime_params": {"a": {"b": 1}}})
    open_study(url, "another", space(), create=True)
    read, known = read_trials(url, "s"), open_study(url, "s").trials()
    assert read == known
    assert [list(t.params) for t in read] == [list(t.params) for t in known]
    assert [type(v) for t in read for v in t.params.values()] == [
        type(v) for t in known for v in t.params.values()
    ]
    assert read_trials(url, "another") == []


def test_what_only_optuna_can_read_is_left_to_it(url: str) -> None:
    assert read_trials(url, "s") is None
    assert not Path(url.removeprefix("sqlite:///")).exists(), "reading makes nothing"
    assert read_trials("postgresql://host/database", "s") is None
    open_study(url, "s", space(), create=True)
    assert read_trials(url, "another") is None
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v9'")
    assert read_trials(url, "s") is None
    Path(url.removeprefix("sqlite:///")).write_bytes(b"no database" * 100)
    assert read_trials(url, "s") is None
