"""One self-contained HTML page about a study: its best trials, their cost, what was reused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape, unescape
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from kedro_eeipu.reporting import spending
from kedro_eeipu.reporting.believing import (
    ends_of_ranges,
    held,
    importances,
    pair,
    predictions,
    slice_with_beliefs,
)
from kedro_eeipu.reporting.drawing import STAGE_COLOURS
from kedro_eeipu.reporting.on_the_way import curves, reported_by_trial, trainings
from kedro_eeipu.reporting.parameters import PARALLEL_AXES, parallel
from kedro_eeipu.reporting.shell import figure_html, page_html
from kedro_eeipu.reporting.tables import (
    before_edits,
    failures,
    findings,
    row,
    section,
    table,
    trial_table,
    written,
)
from kedro_eeipu.reporting.view import PAIRED, StudyView
from kedro_eeipu.states import NodeState
from kedro_eeipu.study.beliefs import FEWEST_TRIALS
from kedro_eeipu.study.costs import StageCosts, expected_costs
from kedro_eeipu.study.records import TrialRecord, with_defaults
from kedro_eeipu.wording import counted, duration

if TYPE_CHECKING:
    from kedro_eeipu.search import SearchSpace, StageGraph

__all__ = ["report_html"]

_BEST_TRIALS = 10
_GAIN_HEIGHT = 420


def report_html(
    trials: Sequence[TrialRecord],
    graph: StageGraph,
    space: SearchSpace,
    *,
    study: str,
    maximize: bool,
    changes: Mapping[int, Sequence[str]] | None = None,
    live: str = "",
) -> str:
    """The report of a study.

    Nothing in it is loaded from elsewhere. It shows parameters, names of nodes, values and
    errors, and no other configuration.

    Args:
        trials: What the study recorded, by number.
        graph: The stages of the pipeline.
        space: What is searched.
        study: The study's name.
        maximize: Whether larger values are better.
        changes: What has changed since a trial that its value depends on, by its number. The
            values of such trials are listed apart; what they cost and reused still counts.
        live: Names this state of the study where a server shows the page, which then follows the
            study and links to its trials in Kedro-Viz; empty for a page that stands alone.
    """
    view = StudyView(trials, graph, space, study, maximize, changes or {})
    done, ranked, ran = view.done, view.ranked, any(t.nodes for t in view.done)
    sections = [
        _head(view),
        _gain(view) if ranked else "",
        trial_table(view) if trials else "",
        _progress(view) if ranked else "",
        _reuse(view) if ran else "",
        _costs(done, graph, space) if ran else "",
        _on_the_way(view),
        _trainings(view),
        _importance(view) if ranked else "",
        _beliefs(view) if ranked else "",
        _best(ranked[:_BEST_TRIALS], space) if ranked else "",
        findings(trials),
        before_edits([t for t in done if t.number in view.since], view.since),
        failures([t for t in done if t.state == "failed"]),
    ]
    return page_html(f"{study}: {view.objective}", "\n".join(filter(None, sections)), live)


def _head(view: StudyView) -> str:
    trials, ranked, space = view.trials, view.ranked, view.space
    before = len(view.since)
    nodes = [n for t in trials for n in t.nodes]
    ran = sum(n.was_called for n in nodes)
    reused = sum(n.status == NodeState.REUSED for n in nodes)
    spent, saved = sum(t.cost for t in trials), sum(t.saved for t in trials)
    states = [t.state for t in trials]
    counts = {
        s: states.count(s) for s in ("complete", "pruned", "failed", "running") if s in states
    }
    states_in_words = [f"{n} {s}" for s, n in counts.items()]
    edited = [f"{before} from before an edit"] if before else []
    share = f"{reused / (ran + reused):.0%} of executions" if ran + reused else ""
    cards = [
        _card("best value", *_best_beside_defaults(ranked, space)),
        *_confirmed(ranked),
        _card("trials", str(len(trials)), ", ".join([*states_in_words, *edited])),
        _card("nodes run", f"{ran:,}", f"in {duration(spent)}"),
        _card("nodes reused", f"{reused:,}", share),
        _card("time saved", duration(saved), f"{duration(spent + saved)} without reuse"),
        *_audited(trials),
    ]
    goal = f"{'Maximize' if view.maximize else 'Minimize'} <b>{escape(str(space.objective))}</b>"
    return (
        f"<header><h1>Study <em>{escape(view.study)}</em></h1>"
        f"<p>{goal} over {len(space)} parameters. "
        "Seconds are node seconds: the time that nodes ran, loading and saving left out.</p>"
        f'<div class="cards">{"".join(cards)}</div></header>'
    )


def _best_beside_defaults(ranked: Sequence[TrialRecord], space: SearchSpace) -> tuple[str, str]:
    if not ranked:
        return "–", "no trial has completed"
    first = with_defaults(ranked, space, ranked[0])
    beside = f", {_value(first)} with the defaults" if first else ""
    return _value(ranked[0]), f"in trial {ranked[0].number}{beside}"


def _confirmed(ranked: Sequence[TrialRecord]) -> list[str]:
    """Whether the best trial gave the same value without the cache."""
    if not ranked:
        return []
    result = ranked[0].confirmation
    if result is None:
        return [_card("confirmed", "not yet", "<code>kedro eeipu confirm</code>")]
    beside = f"without the cache, in {duration(result.seconds)}"
    if not result.confirmed:
        beside = escape(result.words.partition(": ")[2])
    return [_card("confirmed", "yes" if result.confirmed else "no", beside)]


def _audited(trials: Sequence[TrialRecord]) -> list[str]:
    """How much of what was reused was checked; nothing where nothing was."""
    audits = [t.audit for t in trials if t.audit is not None]
    if not audits:
        return []
    checked, replayed = sum(len(a.checked) for a in audits), sum(a.replayed for a in audits)
    beside = f"{counted(checked, 'node')} and {counted(replayed, 'trial')} checked"
    return [_card("audited", duration(sum(a.seconds for a in audits)), beside)]


def _gain(view: StudyView) -> str:
    """The best parameters beside the defaults, and what the search and reuse have gained."""
    best, space, defaults = view.ranked[0], view.space, view.space.defaults()
    first = with_defaults(view.ranked, space, best)
    rows = [row("th", ["parameter", "default", f"best: trial {best.number}"])]
    rows.append(row("td", [view.objective, _value(first) if first else "–", _value(best)], "value"))
    for path in space.paths:
        cells = [path, written(defaults, path), written(best.params, path)]
        rows.append(row("td", cells, "" if cells[1] == cells[2] else "changed"))
    gained = " ".join(map(escape, view.gain.in_words())) if view.gain else ""
    notes = "".join(f"<p>{escape(s)}</p>" for s in ends_of_ranges(best, space))
    curve = spending.best_against_seconds(view.current, view.maximize, view.objective)
    curve["layout"]["height"] = _GAIN_HEIGHT
    return section(
        "What was gained",
        f"{gained} The dotted line shows the same trials as if every node had run.",
        f'<div class="beside half">{table(rows)}{notes}</div>',
        figure_html("Best value against node seconds", curve, "half"),
    )


def _progress(view: StudyView) -> str:
    done, maximize = view.current, view.maximize
    figures = {
        "Best value by trial": spending.best_by_trial(done, maximize, view.objective),
        "Node seconds by trial": spending.seconds_by_trial(done),
    }
    kind = "half"
    if any(t.finished for t in done):
        wall = spending.best_against_wall_time(done, maximize, view.objective)
        figures, kind = {"Best value against wall time": wall, **figures}, ""
    return section(
        "How good, at what cost",
        "The dotted lines show the same trials as if every node had run.",
        *(figure_html(title, drawn, kind) for title, drawn in figures.items()),
    )


def _reuse(view: StudyView) -> str:
    done, totals = view.done, view.totals
    legend = (
        "A stage is the nodes that the same parameters can change. One row per trial: "
        '<span class="key ran"></span>ran, <span class="key reused"></span>reused, '
        '<span class="key failed"></span>failed.'
    )
    return section(
        "What ran and what was reused",
        legend,
        figure_html("Timeline", spending.timeline(done, totals), "wide scroll"),
        figure_html("Seconds by stage", spending.seconds_by_stage(totals)),
        figure_html("Reuse by stage", spending.reuse_by_stage(totals)),
        figure_html("Reuse over the last ten trials", spending.reuse_by_trial(done, totals)),
    )


def _costs(done: Sequence[TrialRecord], graph: StageGraph, space: SearchSpace) -> str:
    costs = expected_costs(done, graph, space, most=len(STAGE_COLOURS))
    if not costs:
        return ""
    totals = spending.StageTotals.of(done, graph)
    off = [f"{_off(c):.0%}" for c in costs]
    names = [spending.stage_label(list(graph)[c.stage]) for c in costs]
    rows = [row("th", ["stage", "runs", "seconds", "off by"])]
    rows += [
        row("td", [unescape(name), str(len(c.trials)), f"{np.median(c.measured):.3g}", o])
        for name, c, o in zip(names, costs, off, strict=True)
    ]
    return section(
        "What stages cost, expected and measured",
        "For each run of a stage, what the fitted cost model expects when it has seen all runs "
        "but this one. This is what the optimizer knows about costs. The table has medians.",
        figure_html(
            "Expected and measured seconds", spending.cost_model(costs, names, totals), "broad"
        ),
        f'<div class="beside">{table(rows)}</div>',
    )


def _off(costs: StageCosts) -> float:
    """Median of the factor between measured and expected seconds, less one."""
    return float(np.exp(np.median(np.abs(np.log(costs.measured / costs.expected)))) - 1)


def _on_the_way(view: StudyView) -> str:
    """What trials have reported before they ended."""
    if not any(t.reported for t in view.current):
        return ""
    names = [str(report) for report in view.space.reports]
    drawn = {
        name: reported_by_trial(view.current, step, name, view.maximize)
        for step, name in enumerate(names)
        if any(step in t.reported for t in view.current)
    }
    if len(drawn) > 1:
        best = view.ranked[0] if view.ranked else None
        drawn = {"Intermediate values": curves(view.current, best, names), **drawn}
    pruned = sum(t.state == "pruned" for t in view.current)
    return section(
        "Intermediate values",
        f"The values under <code>report:</code>; {counted(pruned, 'trial')} ended early. "
        "A trial is pruned when three quarters of the earlier values were better.",
        *(figure_html(name, one, "" if len(drawn) > 1 else "wide") for name, one in drawn.items()),
    )


def _trainings(view: StudyView) -> str:
    """What the code in nodes has reported while it trained."""
    nodes = dict.fromkeys(n.name for t in view.current for n in t.nodes if n.curve)
    if not nodes:
        return ""
    best = view.ranked[0] if view.ranked else None
    drawn = {name: trainings(view.current, best, name) for name in nodes}
    keys = {(n.name, n.key or t.number) for t in view.current for n in t.nodes if n.curve}
    stopped = sum(n.status == NodeState.STOPPED for t in view.current for n in t.nodes)
    return section(
        "Trainings",
        f"What nodes report while they train: {counted(len(keys), 'training')}, {stopped} of them "
        "stopped early. A training is stopped when three quarters of the earlier ones were better "
        "at the same step. Each is drawn once, under the first trial that used it.",
        *(figure_html(name, one, "" if len(drawn) > 1 else "wide") for name, one in drawn.items()),
    )


def _importance(view: StudyView) -> str:
    axes = ", most important parameters" if len(view.columns) > PARALLEL_AXES else ""
    drawn = parallel(view.current, view.columns, view.maximize, view.objective, view.ranking)
    lines = figure_html(f"Parallel coordinates{axes}", drawn, "parallel wide")
    if view.beliefs is None:
        note = f"Importances are left out: they need {FEWEST_TRIALS} complete trials."
        return section("Which parameters matter", f"{note} The best trial is in orange.", lines)
    figures = [figure_html("Importance", importances(view.parameter_weights), "half")]
    if len(view.stage_weights) > 1:
        stages = importances(view.stage_weights)
        figures.append(figure_html("Importance of the stages", stages, "half"))
    return section(
        "Which parameters matter",
        "How much the value still changes, on average, when only this parameter changes, as a "
        "share of its variance; that of a stage when all parameters that enter with it change. "
        "From the optimizer's model; the thin lines are its 90% intervals. "
        "<i>Among the best</i>: within the best tenth of the space.",
        *figures,
        lines,
    )


def _beliefs(view: StudyView) -> str:
    best, beliefs, maximize = view.ranked[0], view.beliefs, view.maximize
    slices = [
        figure_html(c.range.path, slice_with_beliefs(c, beliefs, best, maximize), "small")
        for c in view.columns
    ]
    note = f"{escape(view.objective)} of every complete trial against each parameter."
    if beliefs is not None:
        note += (
            " The line is what the model expects when only this parameter is changed in the best "
            "trial, with its 90% interval; other trials differ in the other parameters, too."
        )
    parts = [section("Slices", note, *slices, kind="slices")]
    if beliefs is not None:
        pairs = [
            figure_html(f"{b.range.path} over {a.range.path}", pair(a, b, beliefs, best, maximize))
            for a, b in combinations(view.ranking[:PAIRED], 2)
        ]
        share = held(beliefs)
        measured = predictions(beliefs, view.objective)
        parts.append(
            section(
                "Pairs, and how far to trust the model",
                "Expected values over the most important parameters, the others as in the best "
                "trial; dotted lines say how far the 90% interval reaches to either side. "
                f"Predicted from all others, {share:.0%} of the trials lie within "
                "their 90% interval.",
                *pairs,
                figure_html("Expected and measured values", measured, "broad"),
            )
        )
    return "\n".join(parts)


def _best(best: Sequence[TrialRecord], space: SearchSpace) -> str:
    defaults = space.defaults()
    rows = [row("th", ["trial", "default", *(str(t.number) for t in best)])]
    rows += [
        row("td", [str(space.objective), "", *map(_value, best)], kind="value"),
        row("td", ["seconds spent", "", *(f"{t.cost:.2f}" for t in best)]),
        row("td", ["seconds saved", "", *(f"{t.saved:.2f}" for t in best)]),
    ]
    rows += [
        row("td", [path, written(defaults, path), *(written(t.params, path) for t in best)])
        for path in space.paths
    ]
    return section(f"Best {len(best)} trials" if len(best) > 1 else "Best trial", "", table(rows))


def _card(name: str, value: str, beside: str) -> str:
    return f"<div><span>{name}</span><strong>{escape(value)}</strong><small>{beside}</small></div>"


def _value(trial: TrialRecord) -> str:
    return f"{trial.value:.6g}"
