"""The report of recorded and of made-up studies, read as a browser would read it."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from click.testing import CliRunner, Result
from kedro.framework.startup import bootstrap_project

from kedro_eeipu.cli import commands
from kedro_eeipu.optimizer import importance
from kedro_eeipu.reporting import StudyView, figures, report_html
from kedro_eeipu.reporting.believing import ends_of_ranges
from kedro_eeipu.reporting.spending import StageTotals, best_so_far, elapsed
from kedro_eeipu.search import Objective, PipelineStage, Range, SearchSpace, StageGraph
from kedro_eeipu.states import NodeState
from kedro_eeipu.study.audit import Audit
from kedro_eeipu.study.costs import expected_costs
from kedro_eeipu.study.records import NodeRecord, TrialRecord

SPACE = SearchSpace(
    (
        Range("clean.scale", "float", 1.0, low=0.5, high=2.0),
        Range("model.rate", "float", 0.01, low=1e-4, high=1.0, log=True),
        Range("model.depth", "int", 3, low=1, high=9),
        Range("model.kind", "categorical", "tree", choices=("tree", "line", None)),
        Range("model.C", "float", 1.0, low=0.1, high=9.0, when=(("model.kind", ("line",)),)),
    ),
    Objective("metrics", "loss", "minimize"),
)
GRAPH = StageGraph(
    (
        PipelineStage("s0", ("load",), (), frozenset()),
        PipelineStage("s1", ("clean", "join"), ("clean.scale",), frozenset({0})),
        PipelineStage("s2", ("train",), SPACE.paths, frozenset({1})),
    )
)
SCRIPT = '"><script>alert(1)</script>'
FIGURES = {
    "Best value against node seconds",
    "Best value against wall time",
    "Best value by trial",
    "Node seconds by trial",
    "Timeline",
    "Seconds by stage",
    "Reuse by stage",
    "Reuse over the last ten trials",
    "Expected and measured seconds",
    "Importance",
    "Importance of the stages",
    "Expected and measured values",
    "Parallel coordinates",
    *SPACE.paths,
}


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importances from few points: `tests/benchmarks/importance.py` tells whether they hold."""
    monkeypatch.setattr(importance, "_FITS", 3)
    monkeypatch.setattr(importance, "_POINTS", 3_000)


class Page(HTMLParser):
    """A parsed page.

    Attributes:
        text: What it shows.
        tags: All elements, with their attributes.
        figures: What plotly.js is given to draw, by title.
        scripts: How many scripts it runs.
        rows: The cells of its tables.
        data: What the table of all trials is drawn from.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.figures: dict[str, dict[str, Any]] = {}
        self.scripts = 0
        self.rows: list[list[str]] = []
        self.data: dict[str, Any] = {}
        self._is_data = False
        self._open: list[str] = []
        self._plot = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "wbr", "input"):
            self._open.append(tag)
        if tag == "script":
            self._is_figure = dict(attrs).get("type") == "application/json"
            self.scripts += not self._is_figure
            self._is_data = dict(attrs).get("class") == "data"
        if dict(attrs).get("class") == "plot":
            self._plot = str(dict(attrs)["aria-label"])
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        if inside == "script":
            if self._is_data:
                self.data = json.loads(data)
            elif self._is_figure:
                self.figures[self._plot] = json.loads(data)
        elif inside != "style":
            self.text += data
            if inside in ("td", "th"):
                self.rows[-1][-1] += data


def study(count: int, seed: int = 0) -> list[TrialRecord]:
    """Trials of three stages in which half of the time only the last one runs."""
    draw = random.Random(seed)
    trials: list[TrialRecord] = []
    scale = 1.0
    for number in range(count):
        fresh = number == 0 or draw.random() < 0.5
        scale = draw.uniform(0.5, 2.0) if fresh and number else scale
        values: dict[str, Any] = (
            SPACE.defaults()
            if number == 0
            else {
                "clean.scale": scale,
                "model.rate": 10 ** draw.uniform(-4, 0),
                "model.depth": draw.randint(1, 9),
                "model.kind": draw.choice(["tree", "line", None]),
            }
        )
        if values["model.kind"] == "line":
            values["model.C"] = draw.uniform(0.1, 9.0)
        clean = (NodeState.RAN, 2.0, 0.0) if fresh else (NodeState.REUSED, 0.0, 2.0)
        load = (NodeState.RAN, 1.0, 0.0) if number == 0 else (NodeState.REUSED, 0.0, 1.0)
        nodes = (
            NodeRecord("load", *load),
            NodeRecord("clean", *clean),
            NodeRecord("join", *clean),
            NodeRecord("train", NodeState.RAN, 0.5),
        )
        value = abs(values["model.rate"] - 0.3) + 0.01 * values["model.depth"]
        began = 1_800_000_000.0 + 10 * number
        trials.append(
            TrialRecord(number, "complete", values, value, nodes, started=began, finished=began + 5)
        )
    return trials


def failed(number: int, error: str, node: str = "train") -> TrialRecord:
    nodes = (
        NodeRecord("load", NodeState.REUSED, 0.0, 1.0),
        NodeRecord(node, NodeState.FAILED, 0.2, error=error),
    )
    return TrialRecord(number, "failed", SPACE.defaults(), None, nodes, error=error)


def large_study() -> tuple[list[TrialRecord], StageGraph, SearchSpace]:
    """1,000 trials of 100 nodes in 40 stages over 20 parameters."""
    draw = random.Random(1)
    space = SearchSpace(
        tuple(
            Range(f"part_{i}.some_parameter", "float", 0.5, low=0.01, high=1.0, log=i % 2 == 0)
            for i in range(20)
        ),
        SPACE.objective,
    )
    names = [f"node_number_{i}" for i in range(100)]
    graph = StageGraph(
        tuple(
            PipelineStage(f"s{i}", tuple(names[i::40]), space.paths[: i // 2 + 1], frozenset())
            for i in range(40)
        )
    )
    trials = []
    for number in range(1000):
        first = draw.randrange(100) if number else 0
        nodes = tuple(
            NodeRecord(name, NodeState.RAN, draw.random())
            if i >= first
            else NodeRecord(name, NodeState.REUSED, 0.0, draw.random())
            for i, name in enumerate(names)
        )
        values = {path: draw.uniform(0.01, 1.0) for path in space.paths}
        value = None if number % 50 == 7 else sum(values.values()) + draw.random()
        state, error = ("failed", "out of memory") if value is None else ("complete", None)
        trials.append(TrialRecord(number, state, values, value, nodes, error=error))
    return trials, graph, space


def page_of(trials: Sequence[TrialRecord], space: SearchSpace = SPACE, **changes: Any) -> Page:
    stages = (
        replace(s, parameters=tuple(p for p in s.parameters if p in space.paths))
        for s in GRAPH.stages
    )
    told = {"study": "s", "maximize": False, **changes}
    return Page(report_html(trials, StageGraph(tuple(stages)), space, **told))


def drawn(figure: dict[str, Any]) -> int:
    """How many points, bars or lines a figure draws."""
    return sum(
        len(trace["dimensions"][0]["values"])
        if trace["type"] == "parcoords"
        else sum(v is not None for v in trace["y"])
        for trace in figure["data"]
    )


def test_every_figure_is_there_and_has_data() -> None:
    page = page_of(study(30))
    pairs = {title for title in page.figures if " over model" in title}
    assert len(pairs) == 3
    assert set(page.figures) - pairs == FIGURES
    for title, figure in page.figures.items():
        assert drawn(figure) > 0, title
        go.Figure(figure)  # raises on what plotly.js does not know


def test_curves_are_those_of_the_trials() -> None:
    trials = [*study(3), failed(3, "boom"), replace(study(1)[0], number=4, value=0.001)]
    figures = page_of(trials).figures
    _, whole, spent = figures["Best value against node seconds"]["data"]
    assert spent["x"] == pytest.approx([sum(t.cost for t in trials[: i + 1]) for i in range(5)])
    assert whole["x"][-1] == pytest.approx(sum(t.cost + t.saved for t in trials))
    assert spent["y"] == whole["y"]
    assert spent["y"][-1] == 0.001
    assert spent["y"][3] == spent["y"][2], "a failed trial costs and does not improve"


def test_wall_time_leaves_pauses_out_and_counts_overlaps_once() -> None:
    trial = study(1)[0]
    spans = [(0.0, 10.0, 0.0), (12.0, 20.0, 2.0), (15.0, 18.0, 1.0), (1000.0, 1005.0, 1.0)]
    trials = [
        replace(trial, number=i, started=begin, finished=end, proposing=proposing)
        for i, (begin, end, proposing) in enumerate(spans)
    ]
    assert elapsed(trials).tolist() == [10.0, 20.0, 18.0, 26.0]
    whole = page_of(trials).figures["Best value against wall time"]["data"]
    assert [d["name"] for d in whole] == ["a trial's value", "best value"], "two ran at a time"
    unknown = [replace(t, started=None, finished=None) for t in trials]
    assert "Best value against wall time" not in page_of(unknown).figures


def test_costs_are_told_as_the_model_of_the_other_runs_expects_them() -> None:
    trials = []
    for t in study(40):
        depth = t.params["model.depth"]
        nodes = (*t.nodes[:-1], replace(t.nodes[-1], seconds=0.1 * 1.5**depth))
        trials.append(replace(t, nodes=nodes))
    load, clean, train = None, *expected_costs(trials, GRAPH, SPACE, most=2)
    assert (load, clean.stage, train.stage) == (None, 1, 2), "load ran once only"
    assert len(train.trials) == 40
    assert np.median(np.abs(np.log(train.expected / train.measured))) < 0.2
    assert clean.measured.tolist() == [4.0] * len(clean.trials)
    assert clean.expected == pytest.approx(clean.measured, rel=0.05)
    page = page_of(trials)
    shown = {d["name"]: d for d in page.figures["Expected and measured seconds"]["data"]}
    assert shown["s2 train"]["customdata"] == list(range(40))
    assert ["s2 train", "40"] in [row[:2] for row in page.rows]
    assert expected_costs(trials[:4], GRAPH, SPACE, most=2) == []


def test_trainings_are_drawn_once_and_stopped_ones_end_with_a_cross() -> None:
    whole, reused, stopped, plain = study(4)
    curve = ((0, 3.0), (1, 2.0), (2, 1.5))

    def with_training(trial: TrialRecord, status: NodeState, key: str, points: Any) -> TrialRecord:
        last = replace(trial.nodes[-1], status=status, key=key, curve=points)
        return replace(trial, nodes=(*trial.nodes[:-1], last))

    trials = [
        with_training(whole, NodeState.RAN, "a", curve),
        with_training(reused, NodeState.REUSED, "a", curve),
        replace(
            with_training(stopped, NodeState.STOPPED, "b", curve[:2]), state="pruned", value=None
        ),
        plain,
    ]
    page = page_of(trials)
    shown = {d["name"]: d for d in page.figures["train"]["data"]}
    assert shown["complete"]["x"] == [0, 1, 2, None]
    assert shown["complete"]["y"][:3] == [3.0, 2.0, 1.5]
    assert set(shown["complete"]["customdata"]) == {whole.number}, "the first trial that used it"
    assert shown["stopped"]["marker"]["symbol"] == ["circle", "x", "circle"]
    assert "2 trainings, 1 of them stopped early" in page.text
    assert "train" not in page_of([plain]).figures


def test_best_so_far_follows_the_direction() -> None:
    trials = [replace(study(1)[0], number=i, value=v) for i, v in enumerate([None, 2.0, 1.0, 3.0])]
    assert best_so_far(trials, maximize=False)[1:].tolist() == [2.0, 1.0, 1.0]
    assert best_so_far(trials, maximize=True)[1:].tolist() == [2.0, 2.0, 3.0]
    assert best_so_far(trials, maximize=True)[0] != best_so_far(trials, maximize=True)[0]


def test_totals_by_stage_lose_nothing() -> None:
    trials = [*study(20), failed(20, "boom"), failed(21, "gone", node="no_such_node")]
    totals = StageTotals.of(trials, GRAPH)
    assert totals.labels == ("s0 load", "s1 clean +1", "s2 train", "no longer in the pipeline")
    assert totals.ran.sum(axis=0).tolist() == pytest.approx([t.cost for t in trials])
    assert totals.saved.sum(axis=0).tolist() == pytest.approx([t.saved for t in trials])
    assert totals.failed[2].tolist() == [0] * 20 + [1, 0]
    folded = totals.heaviest(1)
    assert folded.labels == ("s1 clean +1", "3 smaller stages")
    assert folded.ran.sum() == pytest.approx(totals.ran.sum())
    assert folded.reused_nodes.sum() == totals.reused_nodes.sum()


def test_timeline_tells_ran_reused_and_failed_apart() -> None:
    trials = [*study(12), failed(12, "boom")]
    data = page_of(trials).figures["Timeline"]["data"]
    bars = [d for d in data if d["type"] == "bar"]
    assert sum(sum(d["x"]) for d in bars) == pytest.approx(sum(t.cost + t.saved for t in trials))
    train = [d for d in bars if d["name"] == "s2 train"]
    assert [d["y"] for d in train] == [list(range(12)), [12]]
    assert train[0]["marker"]["color"] != train[1]["marker"]["color"]
    assert all(sum(d["showlegend"] for d in bars if d["name"] == n) == 1 for n in ("s0 load",))
    assert data[-1]["name"] == "failed"
    assert data[-1]["y"] == [12]


def test_reuse_over_trials_averages_the_last_ten() -> None:
    trials = study(25)
    nodes, _ = page_of(trials).figures["Reuse over the last ten trials"]["data"]
    last = [n.status for t in trials[-10:] for n in t.nodes]
    assert nodes["y"][-1] == pytest.approx(last.count(NodeState.REUSED) / len(last))
    assert nodes["y"][0] == 0.0


def test_importances_find_what_matters_and_wait_for_enough_trials() -> None:
    view = StudyView(study(40), GRAPH, SPACE, "s", maximize=False)
    assert view.beliefs is not None
    parameters, stages = view.beliefs.weights
    assert max(parameters, key=lambda path: parameters[path].over_range.middle) == "model.rate"
    assert parameters["clean.scale"].over_range.middle < 0.05, "it has no effect"
    assert parameters["clean.scale"].over_range.low < 1e-9
    rate = parameters["model.rate"].over_range
    assert 0 < rate.low <= rate.middle <= rate.high <= 1
    assert stages[2].over_range.middle > 0.9, "all that matters enters with the last stage"
    few = page_of(study(9))
    assert "Importance" not in few.figures
    assert "they need 10 complete trials" in few.text


def test_steps_of_integers_are_kept() -> None:
    """A parameter without effect, in steps that miss the upper end, has no importance."""
    space = SearchSpace(
        (Range("a", "float", 0.5, low=0.0, high=1.0), Range("n", "int", 3, low=3, high=48, step=7)),
        SPACE.objective,
    )
    graph = StageGraph((PipelineStage("s0", ("train",), space.paths, frozenset()),))
    draw = random.Random(0)
    trials = []
    for number in range(24):
        a, n = draw.random(), 3 + 7 * draw.randrange(7)
        trials.append(TrialRecord(number, "complete", {"a": a, "n": n}, (a - 0.3) ** 2))
    view = StudyView(trials, graph, space, "s", maximize=False)
    assert view.beliefs is not None
    assert view.beliefs.values_of(space.ranges[1]) == [3, 10, 17, 24, 31, 38, 45]
    weights, _ = view.beliefs.weights
    assert weights["n"].over_range.middle < 0.05 < 0.9 < weights["a"].over_range.middle


def test_a_best_value_at_the_end_of_its_range_is_told() -> None:
    best = replace(study(1)[0], params={"clean.scale": 2.0, "model.rate": 1.01e-4})
    told = ends_of_ranges(best, SPACE)
    assert told == [
        "clean.scale of the best lies at the upper end of its range (2 in 0.5 … 2).",
        "model.rate of the best lies at the lower end of its range (0.000101 in 0.0001 … 1 (log)).",
    ]
    inside = {"clean.scale": 1.9, "model.rate": 0.01, "model.depth": 5}
    assert ends_of_ranges(replace(best, params=inside), SPACE) == []
    page = page_of([replace(t, params={**t.params, "clean.scale": 2.0}) for t in study(4)])
    assert "clean.scale of the best lies at the upper end" in page.text


def test_beliefs_stand_beside_the_trials() -> None:
    trials = study(40)
    view = StudyView(trials, GRAPH, SPACE, "s", maximize=False)
    drawn = figures.slice(view, ["model.depth"])
    curve = next(t for t in drawn.data if t.name == "expected")
    assert list(curve.x) == list(range(1, 10)), "an integer has a value each"
    low, high = drawn.data[0], drawn.data[1]
    assert all(lo <= m <= hi for lo, m, hi in zip(low.y, curve.y, high.y, strict=True))
    dots = next(t for t in drawn.data if t.meta == "trials")
    assert "model.rate = " in dots.hovertext[0]
    predicted = figures.predictions(view).data[1]
    assert np.corrcoef(predicted.x, predicted.y)[0, 1] > 0.7
    assert list(predicted.y) == [t.value for t in trials]


def test_the_table_holds_every_trial() -> None:
    trials = [*study(12), failed(12, "boom")]
    data = page_of(trials).data
    assert data["parameters"] == list(SPACE.paths)
    assert [t["number"] for t in data["trials"]] == list(range(13))
    assert data["trials"][12]["value"] is None
    first = dict(zip(data["parameters"], data["trials"][0]["values"], strict=True))
    assert first == {**SPACE.defaults(), "model.C": None}


def test_values_on_the_way_are_shown_with_the_pruned_trials() -> None:
    reports = tuple(Objective("early", key, "minimize") for key in ("a", "b"))
    space = replace(SPACE, reports=reports)
    trials = [replace(t, reported={0: t.number, 1: 2.0 * t.number}) for t in study(5)]
    trials.append(replace(failed(5, "early[a] is 9"), state="pruned", reported={0: 9.0}))
    page = page_of(trials, space)
    assert {"Intermediate values", "early[a]", "early[b]"} <= set(page.figures)
    bound, complete, pruned = page.figures["early[a]"]["data"]
    assert bound["y"] == [None, None, None, None, None, 3.0]
    assert complete["y"] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert (pruned["customdata"], pruned["marker"]["symbol"]) == ([5], "x")
    assert page.figures["Intermediate values"]["data"][1]["marker"]["symbol"][0] == "x"
    assert "1 trial ended early" in page.text


def test_head_and_tables() -> None:
    trials = [*study(15), failed(15, "no licence"), TrialRecord(16, "running", {}, None)]
    page = page_of(trials, study="tuesday")
    best = min(trials[:15], key=lambda t: t.value or 0.0)
    assert "Study tuesday" in page.text
    assert (
        f"{best.value:.6g}in trial {best.number}, {trials[0].value:.6g} with the def" in page.text
    )
    assert "15 complete, 1 failed, 1 running" in page.text
    first = next(i for i, row in enumerate(page.rows) if row[:2] == ["trial", "default"])
    head, values = page.rows[first], page.rows[first + 1]
    assert head[:3] == ["trial", "default", str(best.number)]
    assert len(head) == 12
    assert values[:3] == ["metrics[loss]", "", f"{best.value:.6g}"]
    kinds = next(r for r in page.rows if r[0] == "model.kind")
    assert kinds[1] == "tree"
    assert set(kinds[2:]) <= {"tree", "line", "null"}
    assert next(r for r in page.rows if r[0] == "model.C")[1] == "–", "not used by the defaults"
    assert page.rows[-1] == ["15", "0.20", "train", "no licence"]


def test_audits_are_counted_and_what_they_found_is_told() -> None:
    trials = study(3)
    assert "audited" not in page_of(trials).text
    wrong = Audit(2.0, ("train",), replayed=True, findings=("node train was served <wrongly>",))
    trials[1:] = [replace(trials[1], audit=Audit(1.0, ("clean",))), replace(trials[2], audit=wrong)]
    page = page_of(trials)
    assert "2 nodes and 1 trial checked" in page.text
    assert ["2", "node train was served <wrongly>"] in page.rows


@pytest.mark.parametrize("trials", [[], [failed(0, "boom")], study(1), [failed(0, "b"), *study(2)]])
def test_short_studies(trials: list[TrialRecord]) -> None:
    trials = [replace(t, number=i) for i, t in enumerate(trials)]
    page = page_of(trials)
    assert page.scripts == 2
    assert ("Timeline" in page.figures) == bool(trials)
    assert ("Parallel coordinates" in page.figures) == any(t.value is not None for t in trials)


def test_ranges_that_changed_after_the_trials() -> None:
    changed = {
        "clean.scale": Range("clean.scale", "float", 1.0, low=0.9, high=1.1),
        "model.rate": Range("model.rate", "categorical", "low", choices=("low", "high")),
        "model.depth": Range("model.depth", "int", 3, low=2, high=8, step=2),
        "model.kind": Range("model.kind", "float", 0.5, low=0.0, high=1.0),
        "model.new": Range("model.new", "float", 0.5, low=0.0, high=1.0),
    }
    page = page_of(study(30), SearchSpace(tuple(changed.values()), SPACE.objective))
    assert set(changed) - set(page.figures) == {"model.new"}
    assert "Importance" not in page.figures, "no trial has values of all of today's ranges"


def test_choices_that_are_numbers_stay_choices() -> None:
    sizes = Range("model.depth", "categorical", 16, choices=(16, 4, 64))
    trials = [
        replace(t, params={"model.depth": (16, 4, 64)[t.number % 3]}, value=float(t.number % 3))
        for t in study(21)
    ]
    page = page_of(trials, SearchSpace((sizes,), SPACE.objective))
    assert page.figures["model.depth"]["layout"]["xaxis"]["ticktext"] == ["16", "4", "64"]
    assert page.figures["model.depth"]["data"][-2]["x"][:3] == [0, 1, 2]


@pytest.mark.parametrize("maximize", [False, True])
def test_slices_mark_the_best_trial(maximize: bool) -> None:
    trials = study(12)
    best = (max if maximize else min)(trials, key=lambda t: t.value or 0.0)
    every, marked = page_of(trials, maximize=maximize).figures["model.rate"]["data"][-2:]
    assert every["y"] == [t.value for t in trials]
    assert marked["customdata"] == [best.number]
    assert 10 ** marked["x"][0] == pytest.approx(best.params["model.rate"])
    x = page_of(trials).figures["model.rate"]["layout"]["xaxis"]
    assert x["range"][0] < -4 < 0 < x["range"][1], "the whole range is shown"


def test_user_text_is_escaped_everywhere() -> None:
    evil = replace(SPACE.ranges[3], path=SCRIPT, default=SCRIPT, choices=(SCRIPT, "b"))
    space = SearchSpace((*SPACE.ranges[:3], evil), Objective(SCRIPT, "", "minimize"))
    graph = StageGraph(
        (*GRAPH.stages[:2], PipelineStage("s2", (SCRIPT,), space.paths, frozenset()))
    )
    trials = []
    for t in study(25):
        params = {p: v for p, v in t.params.items() if p in space.paths}
        nodes = (*t.nodes[:-1], replace(t.nodes[-1], name=SCRIPT))
        trials.append(replace(t, params={**params, SCRIPT: SCRIPT}, nodes=nodes))
    trials.append(replace(failed(25, f"{SCRIPT} broke\n{SCRIPT}", node=SCRIPT), params={}))
    source = report_html(trials, graph, space, study=SCRIPT, maximize=False)
    page = Page(source)
    assert "<script>alert" not in source
    assert page.scripts == 2, "plotly.js and what draws the figures"
    assert page.text.count(SCRIPT) > 5, "it is shown as what it is"
    for dimension in page.figures["Parallel coordinates"]["data"][0]["dimensions"]:
        dimension.pop("ticktext", None)  # plotly.js shows these as they are
    for figure in page.figures.values():
        assert "<script" not in json.dumps(figure), "plotly.js reads HTML in labels"
    assert page.rows[-1][2:] == [SCRIPT, f"{SCRIPT} broke\n{SCRIPT}"]


def test_nothing_is_loaded_from_elsewhere() -> None:
    page = page_of(study(25))
    assert not [tag for tag, attrs in page.tags if set(attrs) & {"src", "href", "srcset", "data"}]
    assert not [tag for tag, _ in page.tags if tag in ("link", "iframe", "img", "base", "object")]
    policy = next(a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a)
    assert str(policy).startswith("default-src 'none'")
    assert "http" not in str(policy)


def test_no_other_configuration_is_shown() -> None:
    trials = [
        replace(t, runtime_params={"password": "hunter2"}, run_id="run-hunter2") for t in study(4)
    ]
    assert "hunter2" not in report_html(trials, GRAPH, SPACE, study="s", maximize=False)


def test_large_study_within_twenty_seconds_and_ten_megabytes() -> None:
    trials, graph, space = large_study()
    started = time.process_time()  # other processes may be at work
    page = report_html(trials, graph, space, study="large", maximize=False)
    assert time.process_time() - started < 20
    assert len(page.encode()) < 10_000_000


def report(project: Any, *arguments: str) -> Result:
    """`kedro eeipu report` in this process."""
    project.bootstrap()
    metadata = bootstrap_project(project.path)
    return CliRunner().invoke(commands, ["eeipu", "report", *arguments], obj=metadata)


def test_command_writes_the_report_of_a_tuned_project(project: Any, tmp_path: Path) -> None:
    project.tuner(sampler="random").run()
    result = report(project)
    assert result.exit_code == 0, result.output
    written = project.path / ".eeipu" / "report.html"
    assert result.stdout == f"{written}\n"
    page = Page(written.read_text(encoding="utf-8"))
    assert {"Timeline", "clean.scale", "Parallel coordinates"} <= set(page.figures)
    assert "4 complete" in page.text
    other = tmp_path / "new folder" / "mine.html"
    assert report(project, "--output", str(other)).stdout == f"{other}\n"
    assert other.read_bytes() == written.read_bytes()


def test_command_hides_credentials(project: Any) -> None:
    (project.path / "conf/local/credentials.yml").write_text("db: {password: hunter2-horse}\n")
    nodes = (project.source / "nodes.py").read_text()
    project.write_nodes(
        nodes.replace('    ran("score")', '    raise ValueError("no login with hunter2-horse")')
    )
    tuner = project.tuner(sampler="random")
    tuner.evaluate({"clean.scale": 1.0, "left.weight": 2.0, "right.power": 2, "shift": 3.0})
    assert report(project).exit_code == 0
    page = (project.path / ".eeipu" / "report.html").read_text(encoding="utf-8")
    assert "no login with •••" in page
    assert "hunter2" not in page


def test_command_refuses_what_it_cannot_do(project: Any) -> None:
    project.tuner(sampler="random").run()
    missing = report(project, "--study", "tuesday")
    assert missing.exit_code == 2
    assert "no study 'tuesday'" in missing.stderr
    blocked = report(project, "--output", str(project.path / "pyproject.toml" / "report.html"))
    assert blocked.exit_code == 2
    assert "cannot write the report" in blocked.stderr


def test_importing_the_commands_does_not_import_plotly() -> None:
    script = "import kedro_eeipu.cli, sys; print('plotly' in sys.modules, 'optuna' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False False"


def test_figures_are_plotly_figures_and_say_when_there_is_nothing() -> None:
    functions = [getattr(figures, name) for name in figures.__all__]
    view = StudyView([*study(30), failed(30, "boom")], GRAPH, SPACE, "s", maximize=False)
    for draw in functions:
        assert isinstance(draw(view), go.Figure)
        assert len(draw(view).data) > 0, draw.__name__
    one = figures.slice(view, ["model.rate"])
    assert len(one.layout.annotations) == 1
    for draw in functions:
        assert len(draw(replace(view, trials=[])).data) == 0
