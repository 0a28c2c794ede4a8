"""Generators whose chunks a declared dataset takes in: its files are kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from kedro.runner import ParallelRunner
from test_recipes import JSON, PARTITIONED, PIPELINE, Trials, folders, in_csv, loss_of, write

from kedro_eeipu.hooks.streams import StreamAction, StreamedDataset

# `raw` holds the numbers 1, 2 and 3.
NODES = """
def prepare(raw, p):
    ran("prepare")
    for i, x in enumerate(raw["rows"]):
        yield {str(i): x * p}


def feature(x, q):
    ran("feature")
    return {name: lambda load=load: load() + q for name, load in x.items()}


def total(y):
    ran("total")
    return sum(load() for load in y.values())
"""
X = {"x": {**PARTITIONED, "path": "data/x"}}
ALL = {"prepare", "feature", "total", "score"}


@pytest.fixture
def streaming(project: Any) -> Any:
    write(project, loss_of(NODES), **JSON, **X)
    return project


def described(project: Any, trials: Any = ()) -> dict[str, Any]:
    from kedro_eeipu.project.description import node_plan

    return {node["name"]: node for node in node_plan(project.load(), trials)}


def test_what_a_generator_yields_is_kept(streaming: Any) -> None:
    trial = Trials(streaming)
    assert trial(1, 0, 0) == (6, ALL)
    assert trial.last.nodes[0].kept > 0
    assert trial(1, 0, 1) == (7, {"score"})
    assert trial(1, 5, 0) == (21, ALL - {"prepare"}), "one consumer loads the parts lazily"
    assert trial.states()["prepare"] == "reused"
    assert trial(2, 5, 0) == (27, ALL)
    assert not (streaming.path / "data" / "x").exists()
    assert not any(folder.is_pinned for folder in folders(streaming))
    store = streaming.load().store
    assert (len(folders(streaming)), store.verify()) == (2, [])
    assert list((streaming.path / ".eeipu" / "cache" / "tmp").iterdir()) == []
    plan = described(streaming, [trial.last])["prepare"]
    assert (plan["cacheable"], plan["why_not"], plan["called_again"]) == (True, None, None)
    streaming.write_nodes(loss_of(NODES.replace("x * p}", "x * p + 1}")))
    assert Trials(streaming, "later")(1, 5, 0) == (24, ALL)
    assert streaming.plain_run({"p": 1, "q": 5})["loss"] == 24


def test_generator_runs_again_where_its_files_are_gone_or_damaged(streaming: Any) -> None:
    trial = Trials(streaming)
    assert trial(1, 0, 0)[0] == 6
    kept = streaming.path / ".eeipu" / "cache" / "files"
    shutil.rmtree(kept)
    assert trial(1, 0, 1) == (7, {"score"}), "nobody needs them"
    assert trial(1, 5, 0) == (21, ALL)
    assert trial.states()["prepare"] == "reused", "it is called for its files, and that is all"
    next(path for path in kept.rglob("1") if path.is_file()).write_text("700")
    assert trial(1, 6, 0) == (24, ALL)
    assert trial(1, 7, 0) == (27, ALL - {"prepare"}), "they are kept again"


TWO = """
def prepare(raw, p):
    ran("prepare")
    for i, x in enumerate(raw["rows"]):
        yield {"parts": {str(i): x * p}, "text": f"{x * p} "}


def feature(x, text, q):
    ran("feature")
    return [load() + q for load in x.values()], [float(word) for word in text.split()]


def total(y):
    ran("total")
    return sum(map(sum, y))
"""
TWO_PIPELINE = PIPELINE.replace("'x', name", "{'parts': 'x', 'text': 'text'}, name").replace(
    "['x', 'params:q']", "['x', 'text', 'params:q']"
)
TEXT = {
    "type": "text.TextDataset",
    "filepath": "data/text.txt",
    "fs_args": {"open_args_save": {"mode": "a"}},
}


@pytest.mark.parametrize("runner", [None, ParallelRunner(2)], ids=["one process", "parallel"])
def test_generator_of_two_outputs(project: Any, runner: Any) -> None:
    write(project, loss_of(TWO), TWO_PIPELINE, **JSON, **X, text=TEXT)
    trial = Trials(project)
    if runner is not None:
        trial.tuner = project.tuner(runner=runner)
    assert trial(1, 0, 0) == (12, ALL)
    assert trial(1, 5, 0) == (27, ALL - {"prepare"})
    shutil.rmtree(project.path / ".eeipu" / "cache" / "files")
    assert trial(1, 6, 0) == (30, ALL)


def test_two_workers_make_the_same_parts_once(streaming: Any) -> None:
    """The second finds them when it has waited for the first, and hands on what is there."""
    trial = Trials(streaming)
    looked_up = StreamAction._looked_up

    def late(self: StreamAction, args: Any, kwargs: Any) -> Any:
        if self.node.name == "prepare":
            StreamAction._looked_up = looked_up  # type: ignore[method-assign]
            assert Trials(streaming, "other")(1, 0, 0) == (6, ALL)
        return looked_up(self, args, kwargs)

    StreamAction._looked_up = late  # type: ignore[method-assign,assignment]
    value, called = trial(1, 5, 0)
    assert (value, called) == (21, ALL - {"prepare"})
    assert trial.states()["prepare"] == "reused"
    assert len(folders(streaming)) == 1


NOT_KEPT: dict[str, tuple[dict[str, Any], str, str]] = {
    "not declared": ({}, "", "declare 'x' in the catalog as a dataset that lies in files"),
    "random": (X, "    import random\n    random.random()\n", "it draws random numbers"),
    "stopped": (X, "    return\n", ""),
}


@pytest.mark.parametrize("case", NOT_KEPT)
def test_generator_that_is_not_kept_is_told(project: Any, case: str) -> None:
    declared, line, reason = NOT_KEPT[case]
    nodes = NODES.replace('    ran("prepare")\n', '    ran("prepare")\n' + line)
    if not declared:  # the last chunk is what the next node gets
        nodes = nodes.replace("load() + q", "load + q")
    write(project, loss_of(nodes), **JSON, **declared)
    if case == "stopped":
        record = project.tuner().evaluate({"p": 1, "q": 0, "r": 0})
        assert "No partitions found" in str(record.error), "as in a plain run"
        return
    trial = Trials(project)
    for r in (0, 1):
        assert trial(1, 0, r) == ((6 if declared else 3) + r, ALL)
        assert reason in trial.last.nodes[0].why_not
    plan = described(project, [trial.last])["prepare"]
    assert reason in f"{plan['why_not']} {plan['called_again']}"


def test_parts_made_from_data_that_changed_meanwhile_do_not_stay(project: Any) -> None:
    """What is made from them is not recorded, either: its key says what was there before."""
    pytest.importorskip("polars")
    lazily = NODES.replace('enumerate(raw["rows"])', 'enumerate(raw.collect()["x"])')
    write(project, loss_of(lazily), raw=in_csv("raw"), **X)
    file = project.path / "data" / "raw.csv"
    opened = StreamedDataset.open

    def late(self: StreamedDataset, **options: Any) -> None:
        file.write_text("x\n7\n")
        opened(self, **options)

    for q in (0, 5):  # the second time the generator has a record, and is called for its files
        file.write_text("x\n1\n2\n")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(StreamedDataset, "open", late)
            assert Trials(project, f"{q}")(1, q, 0) == (7 + q, ALL), "as in a plain run"
        assert folders(project) == []
        file.write_text("x\n1\n2\n")
        assert Trials(project, f"again-{q}")(1, q, 0) == (3 + 2 * q, ALL)
        shutil.rmtree(project.path / ".eeipu" / "cache" / "files")


def test_generator_that_fails_leaves_nothing(streaming: Any) -> None:
    streaming.write_nodes(
        loss_of(NODES.replace("yield {str(i): x * p}", "yield {str(i): 6 / (2 - i)}"))
    )
    record = streaming.tuner().evaluate({"p": 1, "q": 0, "r": 0})
    assert "ZeroDivisionError" in str(record.error)
    assert folders(streaming) == []
    assert list((streaming.path / ".eeipu" / "cache" / "tmp").iterdir()) == []


def test_apply_brings_what_a_generator_yielded(streaming: Any) -> None:
    from kedro_eeipu.project.apply import Adoption

    trial = Trials(streaming)
    assert trial(1, 0, 0)[0] == 6
    Adoption(streaming.load(), trial.last, "default", "local").save_outputs()
    parts = sorted((streaming.path / "data" / "x").iterdir())
    assert [part.read_text() for part in parts] == ["1.0", "2.0", "3.0"]
    assert Path(parts[0]).name == "0"
