"""What the optimizer's surrogate believes of a study: which parameters matter, values anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from kedro_eeipu.search import Range, SearchSpace, StageGraph
from kedro_eeipu.study.encoding import from_unit, to_unit
from kedro_eeipu.study.records import TrialRecord
from kedro_eeipu.study.sampler import EEIPUSampler

if TYPE_CHECKING:
    from kedro_eeipu.optimizer.beliefs import Spread
    from kedro_eeipu.optimizer.importance import Share

__all__ = ["FEWEST_TRIALS", "Believed", "StudyBeliefs", "Weight"]

# Fewer complete trials say nothing.
FEWEST_TRIALS = 10
# A fit takes the cube of their number.
_MOST_TRIALS = 300
# Values of a continuous range that a slice shows.
_STEPS = 41


@dataclass(frozen=True)
class Believed:
    """Expected values, and the ends of intervals that hold 90 %."""

    middle: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Weight:
    """How much a parameter or a stage matters: shares of variance with 90 % intervals.

    Attributes:
        over_range: Over the whole range, with its interactions.
        among_best: Among the best tenth of the space, with its interactions.
        alone: Over the whole range, without its interactions; ``None`` for a stage.
    """

    over_range: Share
    among_best: Share
    alone: Share | None = None


class StudyBeliefs:
    """The surrogate of a study's objective.

    Args:
        trials: Trials of today's pipeline.
        graph: The stages.
        space: What is searched.
        maximize: Whether larger values are better.

    Attributes:
        trials: Those that it has learnt from: complete and within today's ranges.
    """

    def __init__(
        self, trials: Sequence[TrialRecord], graph: StageGraph, space: SearchSpace, maximize: bool
    ) -> None:
        self._sampler = EEIPUSampler(space, graph)
        self._space, self._graph, self._sign = space, graph, 1.0 if maximize else -1.0
        usable = [t for t in trials if t.value is not None and self._sampler.fits(t.params)]
        if len(usable) > _MOST_TRIALS:
            best = max(usable, key=lambda t: self._sign * (t.value or 0.0))
            places = np.linspace(0, len(usable) - 1, _MOST_TRIALS).round().astype(int)
            usable = [t for i, t in enumerate(usable) if i in set(places) or t is best]
        self.trials = usable

    @property
    def enough(self) -> bool:
        """Whether there are trials enough to believe anything."""
        return len(self.trials) >= FEWEST_TRIALS

    @cached_property
    def weights(self) -> tuple[dict[str, Weight], dict[int, Weight]]:
        """By path of a parameter, and by position of a stage with its own parameters."""
        from kedro_eeipu.optimizer.importance import importance

        own = {s: columns for s, columns in enumerate(self._own_columns()) if columns}
        over, best = importance(self._fitted, list(own.values()))
        parameters = {
            path: Weight(over.total[j], best.total[j], over.alone[j])
            for j, path in enumerate(self._space.paths)
        }
        stages = {s: Weight(over.groups[i], best.groups[i]) for i, s in enumerate(own)}
        return parameters, stages

    def left_out(self) -> Believed:
        """What is expected of each of its trials from all the others."""
        return self._believed(self._fitted.left_out())

    def around(
        self, params: Mapping[str, Any], axes: Sequence[tuple[Range, Sequence[Any]]]
    ) -> Believed:
        """Expected values where one or more parameters vary and the others stay.

        Args:
            params: Values that stay.
            axes: Ranges with the values they take; the results have the shape of their product.
        """
        import torch

        columns = [self._space.paths.index(r.path) for r, _ in axes]
        units = [[to_unit(r, value) for value in values] for r, values in axes]
        mesh = np.stack(np.meshgrid(*units, indexing="ij"), axis=-1)
        base = np.nan_to_num(np.array(self._sampler.point(params)), nan=0.5)
        points = np.broadcast_to(base, (*mesh.shape[:-1], len(base))).copy()
        points[..., columns] = mesh
        spread = self._fitted.at(torch.from_numpy(points.reshape(-1, len(base))))
        believed = self._believed(spread)
        shape = mesh.shape[:-1]
        return Believed(*(a.reshape(shape) for a in (believed.middle, believed.low, believed.high)))

    def values_of(self, r: Range, most: int = _STEPS) -> list[Any]:
        """Values of a range for an axis: all of a short one, else evenly spaced."""
        count = r.levels if r.kind == "categorical" or 0 < r.levels <= most else most
        units = np.linspace(0, 1, count) if count > 1 else np.zeros(1)
        values = [from_unit(r, float(u)) for u in units]
        return list({repr(v): v for v in values}.values())  # choices may be lists and mappings

    @cached_property
    def _fitted(self) -> Any:
        optimizer = self._sampler.new_optimizer()
        for t in self.trials:
            optimizer.tell(self._sampler.point(t.params), self._sign * (t.value or 0.0), {})
        return optimizer.beliefs()

    def _own_columns(self) -> list[frozenset[int]]:
        """Columns that enter with each stage."""
        place = {path: j for j, path in enumerate(self._space.paths)}
        reached = [frozenset(place[p] for p in stage.parameters) for stage in self._graph]
        return [
            columns.difference(*(reached[p] for p in stage.parents))
            for columns, stage in zip(reached, self._graph, strict=True)
        ]

    def _believed(self, spread: Spread) -> Believed:
        middle, low, high = (
            self._sign * part.numpy() for part in (spread.middle, spread.low, spread.high)
        )
        return Believed(middle, low, high) if self._sign > 0 else Believed(middle, high, low)
