"""What the terminal shows of a study while it runs."""

from __future__ import annotations

import io
import re
import types
from typing import Any

import pytest
from rich.console import Console

from kedro_eeipu.cli.progress import LiveView, busy_seconds, sparkline, time_left
from kedro_eeipu.study.limits import Limits
from kedro_eeipu.study.records import TrialRecord


@pytest.mark.parametrize(
    ("began", "share", "seconds", "told"),
    [
        (0.0, 0.5, 60.0, "about 60.0 s"),
        (0.5, 0.75, 60.0, "about 60.0 s"),
        (0.0, 1.0, 60.0, "about 0 s"),
        (0.5, 0.5, 60.0, "not known yet"),
        (None, None, 60.0, "not known yet"),
    ],
)
def test_time_left(began: float | None, share: float | None, seconds: float, told: str) -> None:
    assert time_left(began, share, seconds) == told


def test_time_left_of_a_continued_study_is_known_at_once() -> None:
    assert time_left(0.5, 0.5, 0.0, earlier=60.0) == "about 60.0 s"
    assert time_left(0.0, 0.0, 0.0, earlier=0.0) == "not known yet"


def test_time_between_two_calls_is_no_work() -> None:
    spans = [(0.0, 10.0), (5.0, 12.0), (1000.0, 1003.0)]
    trials = [
        TrialRecord(i, "complete", {}, 1.0, started=a, finished=b) for i, (a, b) in enumerate(spans)
    ]
    assert busy_seconds(trials) == 15.0


def test_sparkline_rises_with_the_values() -> None:
    assert sparkline([0.0, 0.5, 1.0]) == "▁▅█"
    assert sparkline([2.0, 2.0]) == "▁▁"
    assert sparkline([]) == ""


def test_live_view_says_what_a_trial_is_and_how_long_its_node_has_run() -> None:
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=100, height=40, color_system=None)
    view = LiveView(console, Limits(trials=3))
    events = {"clean": {"status": "running", "seconds": 0.0}}
    plan = types.SimpleNamespace(actions=events)
    run: Any = types.SimpleNamespace(
        plan=plan, directory=types.SimpleNamespace(nodes=lambda: events)
    )
    with view:
        view.proposed("warm-up 3 of 8")
        view.trial_started(2, {"depth": 5}, run)
        view._live.refresh()
    assert "trial 2  warm-up 3 of 8  depth=5" in written.getvalue()
    assert re.search(r"▶ clean [0-9.e-]+ s", written.getvalue())


def test_proposals_say_where_they_come_from(project: Any) -> None:
    tuner = project.tuner()
    tuner.study.compare_with(tuner.project.state)
    whys = []
    for _ in range(2):
        proposed = tuner.proposer.propose()
        whys.append(proposed.why)
        tuner.evaluate(proposed.params)
    assert whys == ["the defaults", "warm-up 2 of 8"]


def test_live_view_tells_of_each_trial_and_of_the_time_left(project: Any) -> None:
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=100, height=40)
    view = LiveView(console, Limits(trials=3))
    tuner = project.tuner(sampler="random", limits=Limits(trials=3), listener=view)
    with view:
        tuner.run()
    shown = written.getvalue()
    assert "not known yet" in shown
    assert "about " in shown
    assert "3 of 3" in shown
    assert "saved by reuse" in shown
