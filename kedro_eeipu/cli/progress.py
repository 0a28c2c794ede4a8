"""What the terminal shows of a study while it runs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from kedro_eeipu.hooks.run import PlannedRun
from kedro_eeipu.states import NodeState
from kedro_eeipu.study.limits import Limits
from kedro_eeipu.study.records import TrialRecord
from kedro_eeipu.study.storage import TrialStudy
from kedro_eeipu.tuning.listener import Listener
from kedro_eeipu.wording import counted, duration, scalar

__all__ = ["LiveView", "PlainView", "sparkline", "time_left"]

_MARKS = {
    NodeState.RAN: ("●", "green"),
    NodeState.REUSED: ("◌", "cyan"),
    NodeState.RUNNING: ("▶", "yellow"),
    NodeState.FAILED: ("✗", "red"),
    NodeState.STOPPED: ("■", "yellow"),
    NodeState.SKIPPED: ("·", "dim"),
    "waiting": ("·", "dim"),
}
# Share of a study that must be done before the time left is estimated.
_ESTIMATE_SHARE = 0.03
_ROOM_FOR_SECONDS = 8  # behind the name of a running node
_SPARKS = "▁▂▃▄▅▆▇█"


class PlainView(Listener):
    """One line per trial, for logs and pipes."""

    def __init__(self, console: Console, limits: Limits) -> None:
        self.console = console
        self.limits = limits
        self.best: TrialRecord | None = None
        self.spent = 0.0
        self.maximize = True

    def study_started(self, study: TrialStudy) -> None:
        self.maximize = study.maximize
        self.recounted(study)
        trials = study.current()
        if trials:
            self._line(
                f"study {study.name} resumes after {counted(len(trials), 'trial')}, {self._used()}"
            )

    def noticed(self, text: str) -> None:
        self.console.print(Text(f"Warning: {text}", style="yellow"), soft_wrap=True)

    def audited(self, seconds: float) -> None:
        self.spent += seconds

    def recounted(self, study: TrialStudy) -> None:
        self.spent = sum(t.cost for t in study.current()) + study.audited_seconds()
        self.best = study.best()

    def trial_finished(self, trial: TrialRecord) -> None:
        self.spent += trial.cost
        self._keep_best(trial)
        self._line(f"{self.summary(trial)}  best {self._best()}  {self._used()}")
        if trial.error:
            self._line(f"          {trial.error}")

    def summary(self, trial: TrialRecord) -> str:
        """A trial in one line: value, cost, and which nodes ran."""
        value = trial.state if trial.value is None else f"{trial.value:.6g}"
        ran = [n.name for n in trial.nodes if n.was_called]
        reused = sum(n.status == NodeState.REUSED for n in trial.nodes)
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
        return f"{_of(self.spent, self.limits.budget)} used"


class LiveView(PlainView):
    """A row per trial, and below them the running trial, node by node, redrawn in place."""

    def __init__(self, console: Console, limits: Limits) -> None:
        super().__init__(console, limits)
        self._run: PlannedRun | None = None
        self._number = 0
        self._params: Mapping[str, Any] = {}
        self._why = ""
        self._elsewhere: dict[int, tuple[Mapping[str, Any], str, float]] = {}
        self._node_since: dict[str, float] = {}  # when a node was first seen running
        self._trials: list[TrialRecord] = []
        self._headed = False
        self._since: tuple[float | None, float] = (None, 0.0)
        self._earlier = 0.0  # seconds that the trials of earlier calls took
        self._live = Live(
            console=console, get_renderable=self._render, refresh_per_second=8, transient=True
        )

    def __enter__(self) -> LiveView:
        self._live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._run = None
        self._live.__exit__(*error)

    def study_started(self, study: TrialStudy) -> None:
        super().study_started(study)
        self._since = (self._share(self.spent), time.monotonic())
        self._earlier = busy_seconds(self._trials)
        self._live.refresh()  # what is known at once, however short the trials are

    def recounted(self, study: TrialStudy) -> None:
        super().recounted(study)
        self._trials = study.current()

    def proposed(self, why: str) -> None:
        self._why = why

    def trial_started(self, number: int, params: Mapping[str, Any], run: PlannedRun | None) -> None:
        self._node_since = {}
        self._number, self._params, self._run = number, params, run
        if run is None:
            self._elsewhere[number] = params, self._why, time.monotonic()

    def trial_finished(self, trial: TrialRecord) -> None:
        self._run = None
        self._elsewhere.pop(trial.number, None)
        self._trials.append(trial)
        self.spent += trial.cost
        before = self.best
        self._keep_best(trial)
        self._live.refresh()  # else the row would be above the panel of its own trial
        if not self._headed:
            self._headed = True
            head = f"{'trial':>5} {'value':>11} {'cost':>9} {'saved':>9}  nodes run"
            self._row(Text(head, style="dim"))
        self._row(_row(trial, better=self.best is not before))

    def _row(self, text: Text) -> None:
        self.console.print(text, no_wrap=True, overflow="ellipsis", crop=True)

    def _render(self) -> RenderableType:
        events = self._events()
        spent = self.spent + sum(float(e.get("seconds", 0.0)) for e in events.values())
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(no_wrap=True, overflow="ellipsis")
        grid.add_row("best", Text.assemble((self._best(), "bold"), "  ", self._improvement()))
        grid.add_row("used", self._progress(spent))
        share = self._share(spent)
        began, at = self._since
        grid.add_row("left", time_left(began, share, time.monotonic() - at, self._earlier))
        if share is not None:
            width = self._width() - 6
            grid.add_row("", ProgressBar(1.0, share, width, complete_style="cyan"))
        return Group("", *self._trial(events), grid)

    def _trial(self, events: Mapping[str, Mapping[str, Any]]) -> list[RenderableType]:
        """What the running trial tries, and what has become of each node."""
        run = self._run
        if self._elsewhere:
            return [self._on_workers()]
        if run is None or run.plan is None:
            return [Text("choosing the next trial …", style="dim")]
        states = {
            name: str(events.get(name, {"status": "waiting"})["status"])
            for name in run.plan.actions
        }
        counts = Text("  ")
        for state in (NodeState.REUSED, NodeState.RAN, NodeState.RUNNING, "waiting"):
            mark, style = _MARKS[state]
            count = sum(s == state for s in states.values())
            counts.append(f"{mark} {count} {state}   ", style=style)
        tried = Text.assemble(
            (f"trial {self._number}", "bold"), "  ", self._tried(self._params, self._why)
        )
        tried.truncate(2 * self._width() - 4, overflow="ellipsis")
        return [tried, self._nodes(states), counts]

    def _tried(self, params: Mapping[str, Any], why: str) -> Text:
        """Where the values of a trial come from, and those that are not the best trial's."""
        best = {} if self.best is None else self.best.params
        differs = {p: v for p, v in params.items() if p not in best or best[p] != v}
        text = "  ".join(f"{p}={scalar(v)}" for p, v in differs.items())
        line = Text(f"{why}  " if why else "", style="dim", overflow="ellipsis", no_wrap=True)
        return line.append(text, style="not dim magenta")

    def _on_workers(self) -> Table:
        """The trials that workers have: for how long, and what each tries."""
        grid = Table.grid(padding=(0, 2), pad_edge=True)
        grid.add_column(no_wrap=True, style="bold")
        grid.add_column(no_wrap=True, justify="right")
        grid.add_column(no_wrap=True, overflow="ellipsis")
        for number, (params, why, since) in list(self._elsewhere.items()):
            seconds = duration(time.monotonic() - since)
            grid.add_row(f"trial {number}", seconds, self._tried(params, why))
        return grid

    def _nodes(self, states: Mapping[str, str]) -> Table:
        columns = max(1, self._width() // (max(map(len, states)) + 4 + _ROOM_FOR_SECONDS))
        most = columns * max(3, self.console.height - 10)
        if len(states) > most:  # the counts below include the others
            busy = {n: s for n, s in states.items() if s not in (NodeState.REUSED, "waiting")}
            states = dict(list(busy.items())[-most:])
        cells = []
        for name, state in states.items():
            mark, style = _MARKS[state]
            text = f"{mark} {name}"
            if state == NodeState.RUNNING:
                now = time.monotonic()
                text += f" {duration(now - self._node_since.setdefault(name, now))}"
            cells.append(Text(text, style=style, no_wrap=True, overflow="ellipsis"))
        grid = Table.grid(padding=(0, 0, 0, 2), pad_edge=True)
        for i in range(0, len(cells), columns):
            grid.add_row(*cells[i : i + columns])
        return grid

    def _events(self) -> dict[str, dict[str, Any]]:
        try:
            return {} if self._run is None else self._run.directory.nodes()
        except FileNotFoundError:  # the run has just ended, and its directory with it
            return {}

    def _progress(self, spent: float) -> str:
        budget, trials = self.limits.budget, self.limits.trials
        seconds = f"{spent:.1f} s" if budget is None else _of(spent, budget)
        done = len(self._trials)
        count = "" if trials is None else f"{done} of "
        count += counted(done if trials is None else trials, "trial")
        saved = duration(sum(t.saved for t in self._trials))
        return f"{seconds} of node time   {count}   {saved} saved by reuse"

    def _share(self, spent: float) -> float | None:
        shares = []
        if self.limits.budget is not None:
            shares.append(spent / self.limits.budget)
        if self.limits.trials is not None:
            shares.append(len(self._trials) / self.limits.trials)
        return min(1.0, max(shares)) if shares else None

    def _width(self) -> int:
        return min(self.console.width, 120)

    def _improvement(self) -> str:
        values: list[float] = []
        for trial in self._trials:
            if trial.value is None:
                continue
            better = max if self.maximize else min
            values.append(better(values[-1], trial.value) if values else trial.value)
        return sparkline(values[-24:])


def _row(trial: TrialRecord, better: bool) -> Text:
    """A finished trial, marked when it is better than all before it."""
    ran = [n.name for n in trial.nodes if n.was_called]
    text = Text(f"{trial.number:>5} ")
    if trial.value is None:
        text.append(f"{trial.state:>11}", style="yellow" if trial.state == "pruned" else "red")
    else:
        mark = "★" if better else " "
        text.append(f"{mark} {trial.value:>9.6g}", style="bold green" if better else "")
    text.append(f" {duration(trial.cost):>9} {duration(trial.saved):>9}  ")
    if trial.error:
        style = "yellow" if trial.state == "pruned" else "red"
        return text.append(trial.error.split("\n")[0], style=style)
    what = "all" if len(ran) == len(trial.nodes) else f"{len(ran)} of"
    text.append(f"{what} {len(trial.nodes)}")
    if 0 < len(ran) < len(trial.nodes):
        text.append(f": {', '.join(ran)}", style="dim")
    return text


def busy_seconds(trials: Sequence[TrialRecord]) -> float:
    """Wall seconds in which some trial was chosen or ran; times between two calls left out."""
    spans = sorted(
        (t.started - t.proposing, t.finished)
        for t in trials
        if t.started is not None and t.finished is not None
    )
    total, until = 0.0, 0.0
    for start, end in spans:
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def time_left(
    began: float | None, share: float | None, seconds: float, earlier: float = 0.0
) -> str:
    """How long a study will still take, at its rate so far.

    Args:
        began: Share of the study that was done when this process took it up.
        share: Share that is done now.
        seconds: Between the two.
        earlier: Seconds that the share took that was done before.
    """
    if began is None or share is None:
        return "not known yet"
    if share - began < _ESTIMATE_SHARE:
        if began < _ESTIMATE_SHARE or not earlier:
            return "not known yet"
        began, seconds = 0.0, earlier + seconds
    return f"about {duration(seconds * (1.0 - share) / (share - began))}"


def sparkline(values: Sequence[float]) -> str:
    """Values as a row of block characters."""
    if not values:
        return ""
    low, span = min(values), (max(values) - min(values)) or 1.0
    return "".join(_SPARKS[round((v - low) / span * (len(_SPARKS) - 1))] for v in values)


def _of(spent: float, budget: float) -> str:
    if budget < 120:
        return f"{spent:.1f} of {budget:g} s"
    return f"{duration(spent)} of {duration(budget)}"
