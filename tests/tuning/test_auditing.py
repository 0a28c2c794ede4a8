"""What is checked of what trials reuse, and what follows from a difference."""

from __future__ import annotations

import colorsys
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from kedro_eeipu.config.settings import Settings
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.hooks.units import UnitAction
from kedro_eeipu.states import NodeState
from kedro_eeipu.study.limits import Limits
from kedro_eeipu.study.records import NodeRecord, TrialRecord
from kedro_eeipu.tuning.audit_findings import Finding, Kind, Procedure, examine_node, examine_trial
from kedro_eeipu.tuning.audit_process import _in_child
from kedro_eeipu.tuning.audit_tasks import Answer, NodeTask, ReplayTask
from kedro_eeipu.tuning.auditing import Auditor, _Pending
from kedro_eeipu.tuning.listener import Listener

LOOKS_UP = """
import colorsys
import subprocess
from pathlib import Path

from .nodes_before import *  # noqa

LOOKUP = Path(__file__).parent / "lookup.txt"


def left(cleaned, weight):
    ran("left")
    vars(colorsys)["passed_on"] = weight  # of a library, which nobody looks into
    found = float(subprocess.check_output(["cat", str(LOOKUP)]))  # nobody listens to that
    return [weight * x + found for x in cleaned["rows"]]
"""

PASSES_ON = """
def right(cleaned, options):
    ran("right")
    return [x ** options["power"] + vars(colorsys).get("passed_on", 0) for x in cleaned["rows"]]
"""

VARIES = """
def right(cleaned, options):
    import os
    ran("right")
    return [int.from_bytes(os.urandom(4), "big") for x in cleaned["rows"]]
"""

PARAMS = {"clean.scale": 1.0, "left.weight": 2.0, "right.power": 2, "shift": 3.0}


class Forks:
    """Runs tasks in forks of this process, at once."""

    is_running = True

    def __init__(self, project: Any, on_worker: bool = False) -> None:
        self.project = project
        self.folder = project.path / "audits"
        self.folder.mkdir(exist_ok=True)
        self.tasks: list[Any] = []
        reading, self.writing = os.pipe()
        self.given = os.fdopen(reading, "rb")

    def send(self, task: Any) -> None:
        self.tasks.append(task)
        left_behind = vars(colorsys).pop("passed_on", None)
        folder = self.folder / str(len(self.tasks))
        self.answer = _in_child(self.project, task, folder, self.given, ())
        if left_behind is not None:
            vars(colorsys)["passed_on"] = left_behind

    def poll(self, seconds: float) -> Answer:
        return self.answer

    def close(self) -> None:
        os.close(self.writing)
        self.given.close()


class Notices(Listener):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def noticed(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def audited(project: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Makes tuners of a project that reads a file of its own, which no key knows."""
    from kedro_eeipu.tuning import auditing

    monkeypatch.setattr(auditing, "_EACH", 0.0)
    (project.source / "nodes.py").rename(project.source / "nodes_before.py")
    (project.source / "lookup.txt").write_text("0")
    project.write_settings({"cache": {"audit": 1.0}})

    def make(study: str = "default", *, more: str = "", saved: float = 1e9) -> Any:
        project.write_nodes(LOOKS_UP + more)
        made = project.tuner(
            study,
            listener=Notices(),
            limits=Limits(trials=1),
            sampler="random",
            audit={"starting": 0.0, "executor": Forks},
        )
        made.study.compare_with(made.project.state)
        made.auditor.begin()
        made.auditor._saved = saved
        return made

    return make


def trial(tuner: Any, **values: Any) -> TrialRecord:
    """Run a trial, and audit what it reuses."""
    record = tuner.evaluate({**PARAMS, **values})
    tuner.auditor.work(wait=True)
    return record


def test_records_that_come_out_alike_are_verified(project: Any, audited: Any) -> None:
    tuner = audited()
    trial(tuner)
    record = trial(tuner, shift=4.0)
    assert not tuner.listener.texts
    (listed,) = tuner.study.confirmed([record])
    assert listed.audit.replayed
    assert listed.audit.seconds > 0
    assert tuner.study.audited_seconds() == pytest.approx(tuner.auditor.seconds, abs=0.01)
    assert tuner.project.store.stats()["verified"] == len(record.nodes)
    before = len(tuner.auditor._executor.tasks)
    trial(tuner, shift=4.0)
    assert len(tuner.auditor._executor.tasks) == before, "each record is verified once"


def test_file_that_no_key_knows_is_found(project: Any, audited: Any) -> None:
    tuner = audited()
    trial(tuner)
    (project.source / "lookup.txt").write_text("5")
    later = audited("later")
    wrong = trial(later)
    assert wrong.value == tuner.study.best().value, "served from before the edit"
    (text,) = later.listener.texts
    assert text.startswith("node left reused a wrong record")
    assert "/lookup.txt." in text, "the edit is named"
    assert later.study.changes(wrong) == ("what node `left` was served",)
    assert later.study.best() is None
    right = trial(later)
    assert [n.name for n in right.nodes if n.status == NodeState.RAN] == ["left", "join", "score"]
    assert later.study.best().number == right.number
    assert trial(later).saved > 0, "and is reused, as long as nothing changes"
    (project.source / "lookup.txt").write_text("6")
    last = trial(audited("last"))
    assert "left" in [n.name for n in last.nodes if n.status == NodeState.RAN]
    assert last.value != right.value


def test_what_is_no_file_of_the_project_is_never_served_again(
    project: Any, audited: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = "\nLOOKUP = Path(__file__).parents[2] / 'data' / 'lookup.txt'\n"
    (project.path / "data" / "lookup.txt").write_text("0")
    tuner = audited(more=more)
    first = trial(tuner)
    (project.path / "data" / "lookup.txt").write_text("5")
    wrong = trial(tuner, shift=4.0)
    (text,) = tuner.listener.texts
    assert "depends_on" in text
    assert tuner.study.changes(first)
    assert tuner.study.changes(wrong)
    for value in ("6", "7"):
        (project.path / "data" / "lookup.txt").write_text(value)
        record = trial(tuner)
        assert not tuner.study.changes(record)
        (left,) = (n for n in record.nodes if n.name == "left")
        assert left.status == NodeState.RAN
        assert left.why_not == (
            "an audit found that it depends on something that its key does not contain"
        )
    project.write_settings({"cache": {"nodes": {"left": {"depends_on": "data/lookup.txt"}}}})
    assert not project.load().state.doubted, "who names the file has answered the doubt"


def test_what_nodes_pass_on_is_found_by_a_replay(project: Any, audited: Any) -> None:
    tuner = audited(more=PASSES_ON)
    vars(colorsys).pop("passed_on", None)
    trial(tuner)
    mixed = trial(tuner, **{"left.weight": 5.0})  # `right` is reused, and was left 2
    assert any("node right depends on what left leaves" in t for t in tuner.listener.texts), (
        tuner.listener.texts
    )
    assert tuner.study.changes(mixed)
    assert states(again := trial(tuner, **{"left.weight": 5.0})) == {NodeState.RAN}
    assert again.value != mixed.value
    assert states(trial(tuner, **{"left.weight": 7.0})) == {NodeState.RAN}
    reused = trial(tuner, shift=4.0, **{"left.weight": 5.0})
    assert states(reused) == {NodeState.REUSED}
    assert outputs(reused) == outputs(again)


def test_where_one_of_them_is_lost_all_of_them_run(project: Any, audited: Any) -> None:
    tuner = audited(more=PASSES_ON)
    trial(tuner)
    trial(tuner, **{"left.weight": 5.0})
    first = trial(tuner)
    trial(tuner, **{"left.weight": 6.0})
    keys = {n.name: n.key for n in first.nodes}
    cache = project.path / ".eeipu" / "cache" / "ac"
    next(cache.rglob(f"{keys['right']}.json")).unlink()
    again = trial(tuner)
    assert states(again) == {NodeState.RAN}
    assert outputs(again) == outputs(first)
    assert states(trial(tuner, shift=4.0)) == {NodeState.REUSED}


def test_lost_output_of_one_of_them_is_computed_after_the_others(
    project: Any, audited: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuner = audited(more=PASSES_ON)
    trial(tuner)
    trial(tuner, **{"left.weight": 5.0})
    first = trial(tuner)
    trial(tuner, **{"left.weight": 6.0})
    (lost,) = (n.outputs[0][0] for n in first.nodes if n.name == "right")
    cas = project.path / ".eeipu" / "cache" / "cas"
    serve = UnitAction.serve

    def late(action: UnitAction, record: Any, **options: Any) -> None:
        serve(action, record, **options)
        for path in cas.rglob(lost):
            path.unlink()

    monkeypatch.setattr(UnitAction, "serve", late)
    # Another shift lets the node after it run, which loads what has just been lost.
    expected = {3.0: first.value, 4.0: None}
    again = trial(tuner, shift=4.0)
    assert outputs(again)["right"] == outputs(first)["right"]
    assert again.value != expected[3.0]
    assert not list(tuner.listener.texts[1:])


def states(record: TrialRecord) -> set[str]:
    """The states of the two nodes of which one passes something on to the other."""
    return {n.status for n in record.nodes if n.name in ("left", "right")}


def outputs(record: TrialRecord) -> dict[str, Any]:
    return {n.name: n.outputs for n in record.nodes if n.name in ("left", "right")}


def test_node_that_is_not_deterministic_is_told_once(project: Any, audited: Any) -> None:
    tuner = audited(more=VARIES)
    trial(tuner)
    trial(tuner, shift=4.0)
    trial(tuner, shift=5.0)
    (text,) = tuner.listener.texts
    assert text.startswith("node right is not deterministic")
    assert "without the cache it is " in text
    assert len(tuner.study.current()) == 3
    later = audited("later", more=VARIES)
    trial(later)
    assert not later.listener.texts


def test_nothing_is_audited_that_the_saved_seconds_do_not_pay_for(
    project: Any, audited: Any
) -> None:
    tuner = audited(saved=0.0)
    tuner.auditor._starting = 60.0
    trial(tuner)
    trial(tuner, shift=4.0)
    assert tuner.auditor.seconds == 0
    assert tuner.auditor._executor is None


def test_nodes_take_turns_and_what_is_dear_is_saved_for() -> None:
    auditor = Auditor.__new__(Auditor)
    auditor._checks, auditor._random = Counter(), random.Random(0)
    costs = {"cheap 1": 1.0, "cheap 2": 1.0, "dear 1": 60.0, "old": 5.0}
    auditor._pending = {
        key: _Pending(
            TRIAL, NodeRecord(key.split()[0], NodeState.REUSED, saved=saved, key=key), key == "old"
        )
        for key, saved in costs.items()
    }
    assert auditor._chosen(30.0) == "old", "made in another world"
    del auditor._pending["old"]
    assert str(auditor._chosen(30.0)).startswith("cheap")
    auditor._checks["cheap"] = 1
    assert auditor._chosen(30.0) is None, "saved for"
    assert auditor._chosen(70.0) == "dear 1"


def test_audits_count_to_the_budget() -> None:
    limits = Limits(budget=10)
    assert not limits.reached([])
    assert limits.reached([], 10.0)


@pytest.mark.parametrize("audit", [True, -0.1, 1.5, "often"])
def test_share_is_checked(audit: Any) -> None:
    assert Settings.parse({"cache": {"audit": 0}}).cache.audit == 0
    with pytest.raises(ConfigurationError, match=r"cache\.audit"):
        Settings.parse({"cache": {"audit": audit}})


# --- procedures ---------------------------------------------------------------------------------


class Place:
    def __init__(self, place: str = "", inferred: bool = True) -> None:
        self._place, self._inferred = place, inferred

    def place(self, node: NodeRecord) -> str:
        return self._place

    def is_inferred(self, node: NodeRecord) -> bool:
        return self._inferred


def nodes() -> Iterator[NodeRecord]:
    for name in ("first", "second", "third"):
        yield NodeRecord(name, NodeState.REUSED, key=name, outputs=((name, 1),))


TRIAL = TrialRecord(0, "complete", {}, 1.0, tuple(nodes()))
THIRD = TRIAL.nodes[-1]


def found(procedure: Procedure, *answers: Answer) -> Finding:
    """What a procedure finds, given what comes out one after the other."""
    next(procedure)
    try:
        for answer in answers:
            procedure.send(answer)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("more is to be run")


DIFFERS = Answer(same=False, folder="f", place="here")
AGAIN = Answer(same=False, as_earlier=True)
AS_THEN = Answer()
NOT_AS_THEN = Answer(differing=("third",), value=2.0, as_earlier=True)


def test_record_of_another_machine_is_kept() -> None:
    finding = found(examine_node(TRIAL, THIRD, Place("there")), DIFFERS, AGAIN)
    assert finding.kind == Kind.ELSEWHERE
    finding = found(examine_node(TRIAL, THIRD, Place("here")), DIFFERS, AGAIN, NOT_AS_THEN)
    assert finding.kind == Kind.WRONG


def test_chance_is_asked_twice_where_nothing_has_changed() -> None:
    varying = Answer(same=False, as_earlier=False)
    procedure = examine_node(TRIAL, THIRD, Place(inferred=False))
    chance = (DIFFERS, AGAIN, varying, NOT_AS_THEN, replace(NOT_AS_THEN, as_earlier=False))
    assert found(procedure, *chance).kind == Kind.VARIES


def test_node_that_is_by_chance_only_by_itself_is_left_something() -> None:
    """It draws from a generator that a node before it seeds."""
    varying, right = Answer(same=False, as_earlier=False), Answer(as_earlier=True)
    procedure = examine_node(TRIAL, THIRD, Place())
    finding = found(procedure, DIFFERS, varying, NOT_AS_THEN, NOT_AS_THEN, varying, right)
    assert (finding.kind, finding.others) == (Kind.PASSED_ON, ("first",))


def test_right_record_of_a_node_that_is_left_something_is_not_wrong() -> None:
    """By itself it returns something else, after the nodes before it what was recorded."""
    failed, right = Answer(error="KeyError"), Answer(same=True, as_earlier=True)
    wrong = Answer(same=False, as_earlier=False)
    for alone, after_second in (((DIFFERS, AGAIN), wrong), ((failed,), failed)):
        procedure = examine_node(TRIAL, THIRD, Place())
        finding = found(procedure, *alone, AS_THEN, after_second, right)
        assert (finding.kind, finding.others) == (Kind.PASSED_ON, ("first",))


def test_wrong_record_of_a_node_that_is_left_something() -> None:
    """It was made in a process in which other nodes had left something else."""
    procedure = examine_node(TRIAL, THIRD, Place())
    replay, right = Answer(differing=("third",), as_earlier=False), Answer(as_earlier=True)
    assert found(procedure, DIFFERS, AGAIN, replay, right).others == ("second",)


def test_node_that_fails_by_itself_and_in_a_replay_says_nothing() -> None:
    failed = Answer(error="KeyError")
    finding = found(examine_node(TRIAL, THIRD, Place()), failed, failed)
    assert finding.kind == Kind.UNKNOWN


def test_all_nodes_before_are_named_where_no_single_one_explains_it() -> None:
    right, other = Answer(same=True), Answer(as_earlier=False)
    procedure = examine_trial(TRIAL, Place())
    finding = found(procedure, NOT_AS_THEN, right, NOT_AS_THEN, other, other)
    assert (finding.kind, finding.others) == (Kind.PASSED_ON, ("first", "second"))


def test_trial_that_comes_out_otherwise_twice_is_refuted() -> None:
    """The first node that differs was never cached, so there is no record to blame."""
    trial = replace(TRIAL, nodes=(*TRIAL.nodes[:2], replace(THIRD, key=None)))
    finding = found(examine_trial(trial, Place()), NOT_AS_THEN, NOT_AS_THEN)
    assert (finding.kind, finding.value) == (Kind.REFUTED, 2.0)
    chance = replace(NOT_AS_THEN, value=3.0)
    finding = found(examine_trial(trial, Place()), NOT_AS_THEN, chance)
    assert finding.kind == Kind.VARIES


def test_what_a_replay_does_not_show_twice_is_chance() -> None:
    procedure = examine_trial(TRIAL, Place())
    assert found(procedure, NOT_AS_THEN, Answer(same=True), AS_THEN).kind == Kind.VARIES


# --- the process --------------------------------------------------------------------------------


@pytest.mark.slow
def test_process_runs_what_it_is_sent(project: Any) -> None:
    from kedro_eeipu.tuning.audit_process import AuditProcess

    tuner = project.tuner()
    record = tuner.evaluate(PARAMS)
    process = AuditProcess(tuner.project)
    left = record.nodes[1]
    try:
        process.send(NodeTask(record.params, left.name, left.key, left.outputs))
        alone = process.poll(60.0)
        process.send(ReplayTask(record.params, {n.name: n.outputs for n in record.nodes}))
        whole = process.poll(60.0)
    finally:
        process.close()
    assert alone is not None
    assert alone.same
    assert alone.place == tuner.project.world.place
    assert whole is not None
    assert whole.value == record.value
    assert not whole.differing
    assert not list((project.path / ".eeipu" / "runs").iterdir())
    assert json.loads((project.path / "data" / "raw.json").read_text())
