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

from kedro_eeipu.reporting import believing, parameters, spending
from kedro_eeipu.reporting.drawing import GREY, Figure, axis, figure, grid, safe
from kedro_eeipu.reporting.view import PAIRED, StudyView
from kedro_eeipu.study.beliefs import FEWEST_TRIALS

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = [
    "history",
    "importance",
    "pairs",
    "parallel",
    "predictions",
    "slice",
    "stages",
    "timeline",
]

_SLICES_IN_A_ROW = 3
# With more trials, hovers name no parameters: they would make notebooks of many megabytes.
_HOVERED_TRIALS = 300


def history(view: StudyView) -> go.Figure:
    """The best value against the seconds spent, beside the same trials without reuse."""
    if not view.ranked:
        return _nothing("No trial has completed yet.")
    drawn = spending.best_against_seconds(view.current, view.maximize, view.objective)
    return _plotly(drawn, "Best value against node seconds", view)


def timeline(view: StudyView) -> go.Figure:
    """One row per trial, one segment per stage: solid what ran, pale what was reused."""
    if not any(t.nodes for t in view.done):
        return _nothing("No node has run yet.")
    return _plotly(spending.timeline(view.done, view.totals), "", view)


def stages(view: StudyView) -> go.Figure:
    """Seconds that each stage ran and saved."""
    if not any(t.nodes for t in view.done):
        return _nothing("No node has run yet.")
    return _plotly(spending.seconds_by_stage(view.totals), "Seconds by stage")


def importance(view: StudyView, stages: bool = False) -> go.Figure:
    """How much each parameter matters, over the range and among the best, with 90 % intervals.

    Args:
        view: The study.
        stages: Whether to show the stages, each with all parameters that enter with it.
    """
    if view.beliefs is None:
        return _nothing(f"Importance needs {FEWEST_TRIALS} complete trials.")
    weights = view.stage_weights if stages else view.parameter_weights
    return _plotly(believing.importances(weights), "Importance")


def slice(view: StudyView, paths: Sequence[str] | None = None) -> go.Figure:
    """The trials against each parameter, over what is expected if only it is changed at the best.

    Args:
        view: The study.
        paths: Parameters to show; all by default.
    """
    shown = [c for c in view.columns if paths is None or c.range.path in paths]
    if not shown:
        return _nothing("No trial has completed yet.")
    drawn = {
        safe(c.range.path): believing.slice_with_beliefs(
            c, view.beliefs, view.ranked[0], view.maximize
        )
        for c in shown
    }
    return _plotly(grid(drawn, _SLICES_IN_A_ROW), "", view)


def pairs(view: StudyView, paths: Sequence[str] | None = None) -> go.Figure:
    """What is expected of each pair of parameters, the others as in the best trial.

    Args:
        view: The study.
        paths: Parameters to pair; the most important ones by default.
    """
    chosen = view.ranking[:PAIRED] if paths is None else view.columns
    shown = [c for c in chosen if paths is None or c.range.path in paths]
    if len(shown) < 2:
        return _nothing("There is no pair of parameters to show yet.")
    drawn = {
        safe(f"{b.range.path} over {a.range.path}", 60): believing.pair(
            a, b, view.beliefs, view.ranked[0], view.maximize
        )
        for a, b in combinations(shown, 2)
    }
    return _plotly(grid(drawn, _SLICES_IN_A_ROW), "", view)


def parallel(view: StudyView) -> go.Figure:
    """Parallel coordinates of the parameters and the value, the best trials in blue and orange."""
    if not view.ranked:
        return _nothing("No trial has completed yet.")
    drawn = parameters.parallel(
        view.current, view.columns, view.maximize, view.objective, view.ranking
    )
    return _plotly(drawn, "")


def predictions(view: StudyView) -> go.Figure:
    """The value of each trial against what the model fitted to all others expects."""
    if view.beliefs is None:
        return _nothing(f"Predictions need {FEWEST_TRIALS} complete trials.")
    drawn = believing.predictions(view.beliefs, view.objective)
    return _plotly(drawn, "Expected and measured values", view)


def _plotly(drawn: Figure, title: str, view: StudyView | None = None) -> go.Figure:
    import plotly.graph_objects as go

    for trace in drawn["data"]:
        if trace.get("meta") != "trials" or "hovertemplate" not in trace:
            continue
        if view is not None and len(view.trials) <= _HOVERED_TRIALS:
            trace["hovertext"] = [view.hovers[n] for n in trace["customdata"]]
        else:
            trace["hovertemplate"] = trace["hovertemplate"].replace("%{hovertext}", "")
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
