"""Trials of a related objective: of the pipeline before an edit, of another study, other ranges.

They are placed in today's ranges by their real values, so that other ranges, or a logarithmic
scale, do not matter. A number may lie outside of today's range.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kedro_eeipu.search import Range, SearchSpace, StageGraph
from kedro_eeipu.study.encoding import dimension, optimizer_stages, to_unit
from kedro_eeipu.study.records import TrialRecord

if TYPE_CHECKING:
    from kedro_eeipu.optimizer import Former

__all__ = ["FormerTrials", "former_trials"]

# Fewer trials say next to nothing.
_FEWEST = 3


@dataclass
class FormerTrials:
    """Trials of one state of one study, with a value each.

    Args:
        params: Their values by dotted path, of the active parameters.
        values: Their objectives.
        maximize: Whether larger values were better.
        origin: Where they come from, in words that go on from "the trials".
    """

    params: Sequence[Mapping[str, Any]]
    values: Sequence[float]
    maximize: bool
    origin: str = ""
    _best: tuple[SearchSpace, dict[str, Any] | None] | None = field(
        default=None, repr=False, compare=False
    )
    _fitted: tuple[SearchSpace, StageGraph, Former | None] | None = field(
        default=None, repr=False, compare=False
    )

    def __len__(self) -> int:
        return len(self.values)

    def paths(self) -> set[str]:
        """Dotted paths of the parameters that they have values of."""
        return {path for params in self.params for path in params}

    def best_within(self, space: SearchSpace) -> dict[str, Any] | None:
        """The best trial whose values today's ranges admit, with today's defaults of new ranges."""
        if self._best is None or self._best[0] != space:
            self._best = (space, self._best_within(space))
        return self._best[1]

    def _best_within(self, space: SearchSpace) -> dict[str, Any] | None:
        sign, defaults, known = 1.0 if self.maximize else -1.0, space.defaults(), self.paths()
        best, highest = None, -math.inf
        for params, value in zip(self.params, self.values, strict=True):
            values = {path: v for path, v in params.items() if path in space.paths}
            new = {path: v for path, v in defaults.items() if path not in known}
            values = {r.path: v for r in space if (v := {**new, **values}.get(r.path)) is not None}
            if sign * value > highest and space.fits(values):
                best, highest = values, sign * value
        return best

    def model(self, space: SearchSpace, graph: StageGraph) -> Former | None:
        """What they let the optimizer expect; ``None`` of too few trials.

        Fitted once for the same ranges and stages.

        Args:
            space: Today's ranges.
            graph: Today's stages.
        """
        if self._fitted is None or self._fitted[:2] != (space, graph):
            self._fitted = (space, graph, self._model(space, graph))
        return self._fitted[2]

    def _model(self, space: SearchSpace, graph: StageGraph) -> Former | None:
        from kedro_eeipu.optimizer import Former

        sign, known = 1.0 if self.maximize else -1.0, self.paths()
        placed = [
            (point, sign * value)
            for params, value in zip(self.params, self.values, strict=True)
            if (point := _point(space, params)) is not None
        ]
        unknown = [j for j, path in enumerate(space.paths) if path not in known]
        if len(placed) < _FEWEST or len(unknown) == len(space):
            return None
        points, values = zip(*placed, strict=True)
        dimensions = [dimension(space, r) for r in space]
        return Former(dimensions, optimizer_stages(space, graph), points, values, unknown)


def former_trials(
    trials: Iterable[TrialRecord], maximize: bool, origin: str = ""
) -> list[FormerTrials]:
    """Trials by the state of the pipeline that they were made in, the latest state first.

    Args:
        trials: Trials of one study, by number; those without a value are passed over.
        maximize: Whether larger values are better.
        origin: Where they come from, in words.
    """
    states: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        if trial.value is not None and math.isfinite(trial.value):
            states.setdefault(trial.pipeline_state, []).append(trial)
    latest = sorted(states.values(), key=lambda of: of[-1].number, reverse=True)
    return [
        FormerTrials([t.params for t in of], [t.value or 0.0 for t in of], maximize, origin)
        for of in latest
    ]


def _point(space: SearchSpace, params: Mapping[str, Any]) -> tuple[float, ...] | None:
    """A trial on today's unit cube or outside of it; ``None`` where it has no place there."""
    try:
        return tuple(
            _place(r, params[r.path]) if r.path in params else math.nan for r in space.ranges
        )
    except (TypeError, ValueError):
        return None


def _place(r: Range, value: Any) -> float:
    if r.kind != "categorical" and (isinstance(value, bool) or not math.isfinite(value)):
        raise ValueError(f"{value!r} is not a number")
    return to_unit(r, value)
