"""What the terminal shows: a study while it runs, and its listings."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from kedro_eeipu.graph import SearchSpace, StageGraph
from kedro_eeipu.hooks import PlannedRun
from kedro_eeipu.runner import EEIPURunner, Limits, Listener, Outcome
from kedro_eeipu.study.storage import TrialRecord

_MARKS = {
    "ran": ("●", "green"),
    "reused": ("◌", "cyan"),
    "running": ("▶", "yellow"),
    "failed": ("✗", "red"),
    "skipped": ("·", "dim"),
    "waiting": ("·", "dim"),
}
_SPARKS = "▁▂▃▄▅▆▇█"


class PlainView(Listener):
    """One line per trial, for logs and pipes."""

    def __init__(self, console: Console, limits: Limits) -> None:
        self.console = console
        self.limits = limits
        self.best: TrialRecord | None = None
        self.spent = 0.0
        self.maximize = True
        self._runner: EEIPURunner | None = None

    def study_started(self, runner: EEIPURunner) -> None:
        self._runner = runner
        self.maximize = runner.study.maximize
        trials = runner.study.trials()
        self.spent = sum(t.cost for t in trials)
        self.best = runner.study.best()
        if trials:
            self._line(
                f"study {runner.study.name} goes on after {len(trials)} trials, {self._used()}"
            )

    def trial_finished(self, trial: TrialRecord) -> None:
        self.spent += trial.cost
        self._keep_best(trial)
        self._line(f"{self.summary(trial)}  best {self._best()}  {self._used()}")
        if trial.error:
            self._line(f"          {trial.error}")

    def summary(self, trial: TrialRecord) -> str:
        """A trial in one line: value, cost, and which nodes ran."""
        value = "failed" if trial.value is None else f"{trial.value:.6g}"
        ran = [n.name for n in trial.nodes if n.status in ("ran", "failed")]
        reused = sum(n.status == "reused" for n in trial.nodes)
        what = f"ran {', '.join(ran)}" if 0 < len(ran) <= 3 else f"ran {len(ran)}"
        return (
            f"trial {trial.number:>3}  {value:>10}  {trial.cost:>6.2f} s  "
            f"{what}, reused {reused} of {len(trial.nodes)} nodes"
        )

    def _line(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True, markup=False)

    def _keep_best(self, trial: TrialRecord) -> None:
        sign = 1 if self.maximize else -1
        if trial.value is not None and (
            self.best is None or sign * trial.value > sign * (self.best.value or 0.0)
        ):
            self.best = trial

    def _best(self) -> str:
        return "-" if self.best is None else f"{self.best.value:.6g} (trial {self.best.number})"

    def _used(self) -> str:
        if self.limits.budget is None:
            return f"{self.spent:.1f} s used"
        return f"{self.spent:.1f} of {self.limits.budget:g} s used"


class LiveView(PlainView):
    """The pipeline's nodes with their state, the best so far and what is used, redrawn in place."""

    def __init__(self, console: Console, limits: Limits) -> None:
        super().__init__(console, limits)
        self._run: PlannedRun | None = None
        self._number = 0
        self._trials: list[TrialRecord] = []
        self._started = time.monotonic()
        self._live = Live(
            console=console, get_renderable=self._render, refresh_per_second=8, transient=True
        )

    def __enter__(self) -> LiveView:
        self._live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._run = None
        self._live.__exit__(*error)

    def study_started(self, runner: EEIPURunner) -> None:
        super().study_started(runner)
        self._trials = runner.study.trials()

    def trial_started(self, number: int, params: Mapping[str, Any], run: PlannedRun) -> None:
        self._number, self._run = number, run

    def trial_finished(self, trial: TrialRecord) -> None:
        self._run = None
        self._trials.append(trial)
        super().trial_finished(trial)

    def _render(self) -> RenderableType:
        saved = sum(t.saved for t in self._trials)
        lines: list[RenderableType] = [
            Text.assemble(
                ("best ", "dim"),
                (self._best(), "bold"),
                f"  {sparkline(self._running_best())}",
                ("   saved ", "dim"),
                f"{duration(saved)}",
                ("   node time ", "dim"),
                self._used(),
            )
        ]
        share = self._share()
        if share is not None:
            lines.append(ProgressBar(total=1.0, completed=share, width=60))
        lines.append(self._nodes())
        return Group(*lines)

    def _nodes(self) -> Text:
        run = self._run
        if run is None or run.plan is None:
            return Text("choosing the next trial …", style="dim")
        events = run.directory.nodes()
        text = Text(f"trial {self._number:>3}  ")
        for name in run.plan.actions:
            mark, style = _MARKS[events.get(name, {"status": "waiting"})["status"]]
            text.append(f"{mark} {name}  ", style=style)
        return text

    def _share(self) -> float | None:
        shares = []
        if self.limits.budget is not None:
            shares.append(self.spent / self.limits.budget)
        if self.limits.trials is not None:
            shares.append(len(self._trials) / self.limits.trials)
        return min(1.0, max(shares)) if shares else None

    def _running_best(self) -> list[float]:
        values: list[float] = []
        for trial in self._trials:
            if trial.value is None:
                continue
            better = max if self.maximize else min
            values.append(better(values[-1], trial.value) if values else trial.value)
        return values[-24:]


def sparkline(values: Sequence[float]) -> str:
    """Values as a row of block characters."""
    if not values:
        return ""
    low, span = min(values), (max(values) - min(values)) or 1.0
    return "".join(_SPARKS[round((v - low) / span * (len(_SPARKS) - 1))] for v in values)


def duration(seconds: float) -> str:
    """Seconds as a person would say them."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 7200:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def outcome(console: Console, result: Outcome, space: SearchSpace) -> None:
    """How a study ended: the best values beside the defaults, and what reuse has saved."""
    nodes = [n for t in result.trials for n in t.nodes]
    ran = sum(n.status in ("ran", "failed") for n in nodes)
    reused = sum(n.status == "reused" for n in nodes)
    spent, saved = sum(t.cost for t in result.trials), sum(t.saved for t in result.trials)
    say = lambda text: console.print(text, highlight=False, soft_wrap=True, markup=False)  # noqa: E731
    say("")
    say(f"Stopped: {result.stopped}.")
    if result.best is None:
        say("No trial has completed.")
        return
    first = next((t for t in result.trials if t.value is not None and not _differs(t, space)), None)
    say(
        f"Best: {space.objective} {result.best.value:.6g} in trial {result.best.number}"
        + (f", {first.value:.6g} with the defaults." if first is not None else ".")
    )
    console.print(values_table(space, result.best))
    say(
        f"{len(result.trials)} trials, {ran + reused} node executions: {ran} run "
        f"({duration(spent)}), {reused} reused ({duration(saved)} saved)."
    )


def values_table(space: SearchSpace, trial: TrialRecord) -> Table:
    """A trial's values beside the defaults and the ranges."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("parameter", no_wrap=True)
    table.add_column("best", justify="right", style="bold")
    table.add_column("default", justify="right")
    table.add_column("range", style="dim")
    for r in space:
        value = scalar(trial.params[r.path]) if r.path in trial.params else "-"
        table.add_row(r.path, value, scalar(r.default), r.describe())
    return table


def plan_tables(graph: StageGraph, nodes: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    """The stages and the nodes, as `kedro eeipu plan` shows them."""
    stages = Table(
        title="Stages", title_justify="left", box=None, pad_edge=False, header_style="dim"
    )
    for column in ("stage", "nodes", "run again when one of these changes"):
        stages.add_column(column)
    for s in graph:
        stages.add_row(s.id, ", ".join(s.nodes), ", ".join(s.parameters) or "never: paid once")
    table = Table(
        title="\nNodes", title_justify="left", box=None, pad_edge=False, header_style="dim"
    )
    for column in ("node", "stage", "own ranges", "reuse"):
        table.add_column(column)
    for n in nodes:
        reuse = "yes" if n["cacheable"] else f"no: {n['why_not']}"
        table.add_row(n["name"], n["stage"], ", ".join(n["parameters"]) or "-", reuse)
    return [stages, table]


def trials_table(trials: Sequence[TrialRecord]) -> Table:
    """The trials of a study, one a row."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("trial", justify="right")
    table.add_column("state")
    for column in ("value", "cost s", "saved s", "ran", "reused"):
        table.add_column(column, justify="right")
    table.add_column("why it failed", overflow="ellipsis", no_wrap=True)
    for t in trials:
        table.add_row(
            str(t.number),
            t.state,
            "-" if t.value is None else f"{t.value:.6g}",
            f"{t.cost:.2f}",
            f"{t.saved:.2f}",
            str(sum(n.status in ("ran", "failed") for n in t.nodes)),
            str(sum(n.status == "reused" for n in t.nodes)),
            Text((t.error or "").split("\n")[0]),
        )
    return table


def scalar(value: Any) -> str:
    """A parameter's value as YAML would write it, floats to six digits."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _differs(trial: TrialRecord, space: SearchSpace) -> bool:
    return dict(trial.params) != space.defaults()
