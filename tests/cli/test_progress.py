"""What the terminal shows of a study while it runs."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from kedro_eeipu.cli.progress import LiveView, sparkline, time_left
from kedro_eeipu.study.limits import Limits


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


def test_sparkline_rises_with_the_values() -> None:
    assert sparkline([0.0, 0.5, 1.0]) == "▁▅█"
    assert sparkline([2.0, 2.0]) == "▁▁"
    assert sparkline([]) == ""


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
