"""The table of all trials with their parameters, for narrow and for wide terminals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console
from rich.text import Text

from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.study.records import TrialRecord
from kedro_eeipu.wording import did_you_mean, scalar

__all__ = ["csv_rows", "in_order", "parameter_paths", "print_parameters"]

_GAP = "  "
_WIDEST = 24  # of a cell: lists and mappings are cut
_LARGEST_FIRST = {"cost", "saved"}
_FIGURES: dict[str, Callable[[TrialRecord], Any]] = {
    "value": lambda t: t.value,
    "cost": lambda t: t.cost,
    "saved": lambda t: t.saved,
    "number": lambda t: t.number,
}


def parameter_paths(trials: Sequence[TrialRecord]) -> list[str]:
    """Paths of all parameters that some trial has, in the order in which they appear."""
    return list(dict.fromkeys(path for trial in trials for path in trial.params))


def in_order(
    trials: Sequence[TrialRecord],
    by: str,
    *,
    maximize: bool,
    former: Callable[[TrialRecord], bool] = lambda _: False,
) -> list[TrialRecord]:
    """Trials in order; those without the figure come last, before them those from before an edit.

    Args:
        trials: The trials.
        by: ``value`` (the best first), ``cost`` or ``saved`` (the largest first), ``number``, or a
            parameter (the smallest first): its path, or the end of it where that is clear.
        maximize: Whether larger values are better.
        former: Whether a trial is from before an edit.

    Raises:
        ConfigurationError: There is no such figure or parameter.
    """
    figure = _FIGURES.get(by) or _parameter(trials, by)
    reverse = by in _LARGEST_FIRST or (by == "value" and maximize)
    there = [t for t in trials if figure(t) is not None]
    # Choices need not have an order among each other: numbers first, then everything else by name.
    keys: dict[int, tuple[bool, Any]] = {}
    for t in there:
        x = figure(t)
        number = isinstance(x, (int, float)) and not isinstance(x, bool)
        keys[t.number] = (not number, x if number else scalar(x))
    there.sort(key=lambda t: keys[t.number], reverse=reverse)
    there.sort(key=former)
    return [*there, *(t for t in trials if t.number not in keys)]


def _parameter(trials: Sequence[TrialRecord], name: str) -> Callable[[TrialRecord], Any]:
    paths = parameter_paths(trials)
    fitting = [name] if name in paths else [p for p in paths if p.endswith(f".{name}")]
    if len(fitting) == 1:
        return lambda trial: trial.params.get(fitting[0])
    shown = ["value", "cost", "saved", "number", *(fitting or paths)]
    problem = f"'{name}' may be several parameters" if fitting else f"there is no '{name}'"
    hint = "" if fitting else did_you_mean(name, [*_FIGURES, *paths])
    raise ConfigurationError(
        f"{problem} to sort by",
        where="--sort",
        remedy=" ".join(filter(None, (hint, f"Known: {', '.join(shown)}."))),
    )


@dataclass(frozen=True)
class _Column:
    """A column: two lines of head, above cells of one width."""

    group: str
    name: str
    cells: tuple[str, ...]
    left: bool = False
    least: int = 0

    @property
    def width(self) -> int:
        return max(self.least, *map(len, (self.name, *self.cells)))

    def line(self, text: str) -> str:
        return text.ljust(self.width) if self.left else text.rjust(self.width)


def print_parameters(
    console: Console,
    trials: Sequence[TrialRecord],
    *,
    best: int | None = None,
    former: Callable[[TrialRecord], bool] = lambda _: False,
) -> None:
    """Trials with their parameters, one a line.

    In a narrow terminal the columns continue below, and each part has the trials' numbers.

    Args:
        console: Where they go.
        trials: The trials, in their order.
        best: Number of the best trial, which is marked.
        former: Whether a trial is from before an edit.
    """
    fixed = [
        _Column("", "trial", tuple(f"{'*' if t.number == best else ''}{t.number}" for t in trials)),
        _Column("", "value", tuple(_value(t) for t in trials)),
    ]
    edited = tuple("yes" if former(t) else "" for t in trials)
    columns = [
        _Column("", "cost s", tuple(f"{t.cost:.2f}" for t in trials)),
        _Column("", "saved s", tuple(f"{t.saved:.2f}" for t in trials)),
        *([_Column("", "before edit", edited)] if any(edited) else []),
        *_parameter_columns(trials),
    ]
    for i, part in enumerate(_parts(fixed, columns, console.width)):
        if i:
            console.out("")
        shown = [*fixed, *part]
        groups = _groups(shown)
        if groups:
            console.print(Text(groups, style="dim"), crop=True, no_wrap=True)
        head = _GAP.join(c.line(c.name) for c in shown).rstrip()
        console.print(Text(head, style="dim"), crop=True, no_wrap=True)
        for row in range(len(trials)):
            text = _GAP.join(c.line(c.cells[row]) for c in shown).rstrip()
            if console.is_terminal and len(text) > console.width:
                text = f"{text[: console.width - 1]}…"
            marked = trials[row].number == best
            console.print(Text(text, style="bold" if marked else ""), crop=True, no_wrap=True)
    if best is not None and any(t.number == best for t in trials):
        console.print(Text("* the best trial", style="dim"))


def _value(trial: TrialRecord) -> str:
    return trial.state if trial.value is None else f"{trial.value:.6g}"


def _parameter_columns(trials: Sequence[TrialRecord]) -> list[_Column]:
    columns = [_parameter_column(path, trials) for path in parameter_paths(trials)]
    groups = [c.group for c in columns]
    return [
        # Where a column stands alone in its place, the name of that has room above it.
        replace(c, least=min(len(c.group), _WIDEST)) if groups.count(c.group) == 1 else c
        for c in columns
    ]


def _parameter_column(path: str, trials: Sequence[TrialRecord]) -> _Column:
    group, _, name = path.rpartition(".")
    values = [t.params.get(path) for t in trials if path in t.params]
    texts = all(not isinstance(v, (int, float)) or isinstance(v, bool) for v in values)
    cells = (scalar(t.params[path]) if path in t.params else "-" for t in trials)
    cut = (c if len(c) <= _WIDEST else f"{c[: _WIDEST - 1]}…" for c in cells)
    return _Column(group, name, tuple(cut), left=texts)


def _parts(fixed: Sequence[_Column], columns: Sequence[_Column], width: int) -> list[list[_Column]]:
    """The columns in parts that fit beside the fixed ones."""
    own = sum(c.width + len(_GAP) for c in fixed)
    parts: list[list[_Column]] = [[]]
    left = width - own
    for column in columns:
        needed = column.width + len(_GAP)
        # The last column needs no gap after it.
        if parts[-1] and needed - len(_GAP) > left:
            parts.append([])
            left = width - own
        parts[-1].append(column)
        left -= needed
    return parts


def _groups(columns: Sequence[_Column]) -> str:
    """The line above the heads: where the parameters are, once for neighbours of one place."""
    text, at = "", 0
    for i, column in enumerate(columns):
        if column.group and (not i or columns[i - 1].group != column.group):
            end = i
            while end < len(columns) and columns[end].group == column.group:
                end += 1
            room = sum(c.width for c in columns[i:end]) + len(_GAP) * (end - i - 1)
            name = column.group
            if len(name) > room:  # what is inner says more
                name = f"…{name[len(name) - room + 1 :]}" if room > 1 else "…"
            single = end - i == 1 and not column.left
            text = text.ljust(at) + (name.rjust(room) if single else name)
        at += column.width + len(_GAP)
    return text.rstrip()


def csv_rows(trials: Sequence[TrialRecord]) -> list[list[Any]]:
    """Trials as rows of a CSV file, the head first; parameters as YAML writes them."""
    paths = parameter_paths(trials)
    head = ["number", "state", "value", "cost_seconds", "saved_seconds", "started", "finished"]
    rows: list[list[Any]] = [[*head, *paths, "error"]]
    for t in trials:
        figures = [t.number, t.state, t.value, round(t.cost, 6), round(t.saved, 6)]
        values = (_written(t.params[path]) if path in t.params else "" for path in paths)
        rows.append([*figures, t.started, t.finished, *values, t.error])
    return rows


def _written(value: Any) -> Any:
    """Numbers and text as they are, what else there is as YAML."""
    plain = isinstance(value, (int, float, str)) and not isinstance(value, bool)
    return value if plain else scalar(value)
