"""The figures of a study as Plotly figures, for notebooks and scripts.

    view = StudyView(study.trials(), graph, space, study.name, study.maximize)
    figures.history(view).show()

They are those of the report. Each takes a `StudyView`; where there is nothing to draw yet, the
figure says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from kedro_eeipu.reporting import parameters, spending
from kedro_eeipu.reporting.drawing import GREY, Figure, axis, figure, grid, safe
from kedro_eeipu.reporting.view import StudyView

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["history", "importance", "pairs", "parallel", "slice", "stages", "timeline"]

_SLICES_IN_A_ROW = 3
_PAIRED = 3


def history(view: StudyView) -> go.Figure:
    """The best value against the seconds spent, beside the same trials without reuse."""
    if not view.ranked:
        return _nothing("No trial has completed yet.")
    drawn = spending.best_against_seconds(view.current, view.maximize, view.objective)
    return _plotly(drawn, "Best value against node seconds")


def timeline(view: StudyView) -> go.Figure:
    """One row per trial, one segment per stage: solid what ran, pale what was reused."""
    if not any(t.nodes for t in view.done):
        return _nothing("No node has run yet.")
    return _plotly(spending.timeline(view.done, view.totals), "")


def stages(view: StudyView) -> go.Figure:
    """Seconds that each stage ran and saved."""
    if not any(t.nodes for t in view.done):
        return _nothing("No node has run yet.")
    return _plotly(spending.seconds_by_stage(view.totals), "Seconds by stage")


def importance(view: StudyView) -> go.Figure:
    """How much each parameter matters."""
    shares = parameters.parameter_importances(view.current, view.columns, view.maximize)
    if not shares:
        return _nothing(f"Importance needs {parameters.IMPORTANCE_TRIALS} complete trials.")
    return _plotly(parameters.importances(shares), "Importance")


def slice(view: StudyView, paths: Sequence[str] | None = None) -> go.Figure:
    """The values of the trials against each parameter.

    Args:
        view: The study.
        paths: Parameters to show; all by default.
    """
    shown = [c for c in view.columns if paths is None or c.range.path in paths]
    if not shown:
        return _nothing("No trial has completed yet.")
    drawn = {safe(c.range.path): parameters.slice_of(c, view.maximize) for c in shown}
    return _plotly(grid(drawn, _SLICES_IN_A_ROW), "")


def pairs(view: StudyView, paths: Sequence[str] | None = None) -> go.Figure:
    """The trials over each pair of parameters, coloured by their value.

    Args:
        view: The study.
        paths: Parameters to pair; the most important ones by default.
    """
    shown = [c for c in view.columns if paths is None or c.range.path in paths]
    if len(shown) < 2:
        return _nothing("There is no pair of parameters to show yet.")
    if paths is None:
        shares = parameters.parameter_importances(view.current, view.columns, view.maximize)
        ranks = {path: i for i, path in enumerate(shares)}
        shown = sorted(shown, key=lambda c: ranks.get(c.range.path, len(ranks)))[:_PAIRED]
    drawn = {
        safe(f"{b.range.path} over {a.range.path}", 60): parameters.pair_of(a, b, view.maximize)
        for a, b in combinations(shown, 2)
    }
    return _plotly(grid(drawn, _SLICES_IN_A_ROW), "")


def parallel(view: StudyView) -> go.Figure:
    """Parallel coordinates of the parameters and the value, the best trials in blue and orange."""
    if not view.ranked:
        return _nothing("No trial has completed yet.")
    shares = parameters.parameter_importances(view.current, view.columns, view.maximize)
    drawn = parameters.parallel(view.current, view.columns, view.maximize, view.objective, shares)
    return _plotly(drawn, "")


def _plotly(drawn: Figure, title: str) -> go.Figure:
    import plotly.graph_objects as go

    layout = dict(drawn["layout"])
    if title:
        layout["title"] = {"text": title, "x": 0, "xref": "paper", "y": 1, "yref": "container"}
        layout["title"] |= {"yanchor": "top", "pad": {"t": 8}, "font": {"size": 15}}
        layout["margin"] = {**layout["margin"], "t": layout["margin"]["t"] + 32}
        layout["height"] += 32
    return go.Figure({"data": drawn["data"], "layout": layout})


def _nothing(why: str) -> go.Figure:
    """A figure that says why there is nothing in it."""
    note = {"text": why, "showarrow": False, "font": {"color": GREY, "size": 14}}
    place = {"x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper"}
    empty = figure([], 160, axis("", visible=False), axis("", visible=False))
    empty["layout"]["annotations"] = [note | place]
    return _plotly(empty, "")
