"""One self-contained HTML page about a study: its best trials, their cost, what was reused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape, unescape
from typing import TYPE_CHECKING, Any

import numpy as np

from kedro_eeipu.reporting import parameters, spending
from kedro_eeipu.reporting.drawing import STAGE_COLOURS
from kedro_eeipu.reporting.shell import figure_html, page_html
from kedro_eeipu.states import NodeState
from kedro_eeipu.study.costs import StageCosts, expected_costs
from kedro_eeipu.study.pipeline_state import in_few_words
from kedro_eeipu.study.records import TrialRecord, with_defaults
from kedro_eeipu.wording import counted, duration, scalar

if TYPE_CHECKING:
    from kedro_eeipu.search import SearchSpace, StageGraph

__all__ = ["report_html"]

_BEST_TRIALS = 10
_FAILED_TRIALS = 100
_LONGEST_REASON = 600


def report_html(
    trials: Sequence[TrialRecord],
    graph: StageGraph,
    space: SearchSpace,
    *,
    study: str,
    maximize: bool,
    changes: Mapping[int, Sequence[str]] | None = None,
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
    """
    since = {n: c for n, c in (changes or {}).items() if c}
    done = [t for t in trials if t.state != "running"]
    current = [t for t in done if t.number not in since]
    ranked = sorted(
        (t for t in current if t.value is not None),
        key=lambda t: (-(t.value or 0.0) if maximize else t.value or 0.0, t.number),
    )
    objective = str(space.objective)
    sections = [
        _head(trials, ranked, space, study, maximize, len(since)),
        _progress(current, maximize, objective) if ranked else "",
        _reuse(done, graph) if any(t.nodes for t in done) else "",
        _costs(done, graph, space) if any(t.nodes for t in done) else "",
        _parameters(current, space, maximize, objective) if ranked else "",
        _best(ranked[:_BEST_TRIALS], space) if ranked else "",
        _findings(trials),
        _before_edits([t for t in done if t.number in since], since),
        _failures([t for t in done if t.state == "failed"]),
    ]
    return page_html(f"{study}: {objective}", "\n".join(filter(None, sections)))


def _head(
    trials: Sequence[TrialRecord],
    ranked: Sequence[TrialRecord],
    space: SearchSpace,
    study: str,
    maximize: bool,
    before: int,
) -> str:
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
    goal = f"{'Maximize' if maximize else 'Minimize'} <b>{escape(str(space.objective))}</b>"
    return (
        f"<header><h1>Study <em>{escape(study)}</em></h1><p>{goal} over {len(space)} parameters. "
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


def _findings(trials: Sequence[TrialRecord]) -> str:
    """What audits have found, by trial."""
    rows = [
        _row("td", [f"after {t.number}", text])
        for t in trials
        if t.audit is not None
        for text in t.audit.findings
    ]
    note = "What was reused ran once more in a fresh process, and came out otherwise."
    heads = _row("th", ["trial", "found"])
    return _section("Found by audits", note, _table([heads, *rows])) if rows else ""


def _progress(done: Sequence[TrialRecord], maximize: bool, objective: str) -> str:
    figures = {
        "Best value against node seconds": spending.best_against_seconds(done, maximize, objective),
        "Best value by trial": spending.best_by_trial(done, maximize, objective),
        "Node seconds by trial": spending.seconds_by_trial(done),
    }
    kind = ""
    if any(t.finished for t in done):
        wall = spending.best_against_wall_time(done, maximize, objective)
        figures, kind = {"Best value against wall time": wall, **figures}, "half"
    return _section(
        "How good, at what cost",
        "The dotted lines are the same trials at the price of running every node.",
        *(figure_html(title, drawn, kind) for title, drawn in figures.items()),
    )


def _reuse(done: Sequence[TrialRecord], graph: StageGraph) -> str:
    totals = spending.StageTotals.of(done, graph)
    legend = (
        "A stage is the nodes that the same parameters can change. One row per trial: "
        '<span class="key ran"></span>ran, <span class="key reused"></span>reused, '
        '<span class="key failed"></span>failed.'
    )
    return _section(
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
    rows = [_row("th", ["stage", "runs", "seconds", "off by"])]
    rows += [
        _row("td", [unescape(name), str(len(c.trials)), f"{np.median(c.measured):.3g}", o])
        for name, c, o in zip(names, costs, off, strict=True)
    ]
    return _section(
        "What stages cost, expected and measured",
        "For each run of a stage, what the fitted cost model expects when it has seen all runs "
        "but this one. It is what the optimizer knows of costs. In the table, medians.",
        figure_html(
            "Expected and measured seconds", spending.cost_model(costs, names, totals), "broad"
        ),
        f'<div class="beside">{_table(rows)}</div>',
    )


def _off(costs: StageCosts) -> float:
    """Median of the factor between measured and expected seconds, less one."""
    return float(np.exp(np.median(np.abs(np.log(costs.measured / costs.expected)))) - 1)


def _parameters(
    done: Sequence[TrialRecord], space: SearchSpace, maximize: bool, objective: str
) -> str:
    columns = parameters.columns(done, space)
    shares = parameters.parameter_importances(done, columns, maximize)
    if shares:
        note = "Importance: how well a parameter tells the best trials from all (PED-ANOVA)."
        first = figure_html("Importance", parameters.importances(shares))
    else:
        note = (
            "Importances are left out: they need "
            f"{parameters.IMPORTANCE_TRIALS} complete trials to mean anything."
        )
        first = ""
    axes = "" if len(columns) <= parameters.PARALLEL_AXES else ", most important parameters"
    return _section(
        "Which parameters matter",
        f"{note} The best trial is marked in orange.",
        first,
        figure_html(
            f"Parallel coordinates{axes}",
            parameters.parallel(done, columns, maximize, objective, shares),
            "parallel wide" if not first else "parallel broad",
        ),
    ) + _section(
        "Slices",
        f"{escape(objective)} of every complete trial against each parameter.",
        *(figure_html(c.range.path, parameters.slice_of(c, maximize), "small") for c in columns),
        kind="slices",
    )


def _best(best: Sequence[TrialRecord], space: SearchSpace) -> str:
    defaults = space.defaults()
    rows = [_row("th", ["trial", "default", *(str(t.number) for t in best)])]
    rows += [
        _row("td", [str(space.objective), "", *map(_value, best)], kind="value"),
        _row("td", ["seconds spent", "", *(f"{t.cost:.2f}" for t in best)]),
        _row("td", ["seconds saved", "", *(f"{t.saved:.2f}" for t in best)]),
    ]
    rows += [
        _row("td", [path, _written(defaults, path), *(_written(t.params, path) for t in best)])
        for path in space.paths
    ]
    return _section(f"Best {len(best)} trials" if len(best) > 1 else "Best trial", "", _table(rows))


def _before_edits(trials: Sequence[TrialRecord], since: Mapping[int, Sequence[str]]) -> str:
    """The trials from before edits, those of the same state of the pipeline in one row."""
    if not trials:
        return ""
    groups: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        groups.setdefault(in_few_words(since[trial.number]), []).append(trial)
    rows = [_row("th", ["trials", "values", "changed since"])]
    for changed, group in groups.items():
        values = [t.value for t in group if t.value is not None]
        spread = f"{min(values):.6g} to {max(values):.6g}" if values else "–"
        rows.append(_row("td", [_numbers([t.number for t in group]), spread, changed]))
    note = (
        "Their values are of the pipeline as it was, so they are not compared with the others. "
        "What they cost and what they reused is counted above."
    )
    return _section("Trials from before an edit", note, _table(rows))


def _numbers(numbers: Sequence[int]) -> str:
    """Numbers of trials, runs of them shortened: ``0–11, 14``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    return ", ".join("–".join(map(str, run)) for run in runs)


def _failures(failed: Sequence[TrialRecord]) -> str:
    if not failed:
        return ""
    shown = failed[-_FAILED_TRIALS:]
    rows = [_row("th", ["trial", "seconds", "node", "reason"])]
    for t in reversed(shown):
        node = next((n for n in t.nodes if n.status == NodeState.FAILED), None)
        reason = t.error or (node.error if node else None) or ""
        if t.interrupted:
            reason = f"stopped from outside {reason}"
        if len(reason) > _LONGEST_REASON:
            reason = reason[:_LONGEST_REASON] + "…"
        rows.append(_row("td", [str(t.number), f"{t.cost:.2f}", node.name if node else "", reason]))
    note = "" if len(shown) == len(failed) else f"The latest {len(shown)} of {len(failed)}."
    return _section("Failed trials", note, _table(rows, kind="failures"))


def _section(title: str, note: str, *content: str, kind: str = "figures") -> str:
    head = f"<h2>{title}</h2>" + (f"<p>{note}</p>" if note else "")
    return f'<section>{head}<div class="{kind}">{"".join(content)}</div></section>'


def _card(name: str, value: str, beside: str) -> str:
    return f"<div><span>{name}</span><strong>{escape(value)}</strong><small>{beside}</small></div>"


def _table(rows: Iterable[str], kind: str = "best") -> str:
    return f'<div class="table"><table class="{kind}">{"".join(rows)}</table></div>'


def _row(tag: str, cells: Iterable[str], kind: str = "") -> str:
    return f'<tr class="{kind}">{"".join(f"<{tag}>{escape(c)}</{tag}>" for c in cells)}</tr>'


def _written(values: Mapping[str, Any], path: str) -> str:
    return scalar(values[path]) if path in values else "–"


def _value(trial: TrialRecord) -> str:
    return f"{trial.value:.6g}"
