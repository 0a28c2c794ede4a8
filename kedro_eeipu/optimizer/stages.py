"""The stage graph: which parameters reach which stage, and which stages can be reused together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from kedro_eeipu.optimizer.unit_cube import Space

__all__ = ["ReuseGraph", "Stage"]

# Above this many closed sets only single and paired changes are enumerated.
_MAX_SETS = 64


@dataclass(frozen=True)
class Stage:
    """A group of nodes that the same parameters reach.

    Args:
        parameters: columns of x that reach this stage, those of its ancestors included.
        parents: indices of the stages whose outputs it consumes directly.
    """

    parameters: frozenset[int]
    parents: frozenset[int]


class ReuseGraph:
    """Stages, their order and the sets of stages that one set of fixed columns makes reusable.

    A parameter whose condition is decided by another column is, for the cache, a function of both,
    so A(s) is closed under controlling columns here.

    Raises:
        ValueError: there are no stages, a stage names an unknown column or stage, the stages form
            a cycle, or a stage lacks a column of its parents.
    """

    def __init__(self, stages: Sequence[Stage], space: Space) -> None:
        if not stages:
            raise ValueError("there are no stages")
        for s, stage in enumerate(stages):
            if any(not 0 <= j < space.d for j in stage.parameters):
                raise ValueError(f"stage {s}: no such column among {sorted(stage.parameters)}")
            if any(not 0 <= p < len(stages) or p == s for p in stage.parents):
                raise ValueError(f"stage {s}: no such parent among {sorted(stage.parents)}")
            for p in stage.parents:
                if not stages[p].parameters <= stage.parameters:
                    raise ValueError(f"stage {s}: lacks parameters of its parent {p}")
        self.parents = [stage.parents for stage in stages]
        self.columns = [space.controllers(stage.parameters) for stage in stages]
        self.children: list[frozenset[int]] = [
            frozenset(c for c, stage in enumerate(stages) if s in stage.parents)
            for s in range(len(stages))
        ]
        self.order = self._topological_order()
        self.ancestors: list[frozenset[int]] = [frozenset()] * len(stages)
        for s in self.order:
            self.ancestors[s] = self.parents[s].union(*(self.ancestors[p] for p in self.parents[s]))
        self.own_columns = [
            self.columns[s].difference(*(self.columns[p] for p in self.parents[s]))
            for s in range(len(stages))
        ]
        self.reached = frozenset().union(*self.columns)
        self.reusable_sets = self._reusable_sets()

    def __len__(self) -> int:
        return len(self.parents)

    def _topological_order(self) -> list[int]:
        order: list[int] = []
        while len(order) < len(self.parents):
            ready = [
                s for s in range(len(self)) if s not in order and self.parents[s] <= set(order)
            ]
            if not ready:
                raise ValueError("the stages form a cycle")
            order += ready
        return order

    @property
    def is_chain(self) -> bool:
        """Whether the stages with parameters follow each other in one line."""
        nested = sorted(self.columns, key=len)
        return all(a <= b for a, b in pairwise(nested))

    def depth(self, s: int) -> int:
        """Number of stages with parameters on the longest path that ends in s."""
        longest = max((self.depth(p) for p in self.parents[s]), default=0)
        return longest + bool(self.columns[s])

    def determined_by(self, columns: frozenset[int]) -> frozenset[int]:
        """Stages whose outputs are decided by `columns` alone."""
        return frozenset(s for s in range(len(self)) if self.columns[s] <= columns)

    def columns_of(self, stages: frozenset[int]) -> frozenset[int]:
        """Union of A(s) over `stages`."""
        return frozenset().union(*(self.columns[s] for s in stages))

    def reusable(self, stages: frozenset[int], available: frozenset[int]) -> frozenset[int]:
        """Largest ancestor-closed part of `stages` that can be had without running anything.

        A stage that is not available is still not needed when all who consume it are reused.
        """
        kept = set(stages)
        while True:
            lost = {
                s
                for s in kept
                if not self.parents[s] <= kept
                or (s not in available and not (self.children[s] and self.children[s] <= kept))
            }
            if not lost:
                return frozenset(kept)
            kept -= lost

    def _reusable_sets(self) -> list[frozenset[int]]:
        """Ancestor-closed sets of stages that leave at least one reached column free.

        All of them when there are few, else those that one or two freely changing stages leave.
        The largest set is listed for every set of columns, larger sets first.
        """
        sets = {self.determined_by(frozenset())}
        for s in self.order:
            grown = {self.determined_by(self.columns_of(q) | self.columns[s]) for q in sets}
            sets |= {q for q in grown if s in q}
            if len(sets) > _MAX_SETS:
                sets = self._sets_after_few_changes()
                break
        proper = [q for q in sets if q and self.columns_of(q) < self.reached]
        return sorted(proper, key=lambda q: (-len(q), sorted(q)))

    def _sets_after_few_changes(self) -> set[frozenset[int]]:
        unaffected = [
            frozenset(t for t in range(len(self)) if t != s and s not in self.ancestors[t])
            for s in range(len(self))
        ]
        needed = [self.ancestors[s] | {s} for s in range(len(self))]
        pairs = [a & b for a, b in combinations(unaffected, 2)]
        closed = (*unaffected, *needed, *pairs)
        return {self.determined_by(self.columns_of(q)) for q in closed}
