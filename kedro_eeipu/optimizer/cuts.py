"""Candidate cuts: what a proposal may take from the cache.

A cut is a set of stages closed under ancestors, together with the exact values of all columns that
reach them, taken from the trials whose outputs are in the cache. On a chain a cut is one of the
prefixes of the EEIPU paper; on a graph it may be put together from several trials. The empty cut
takes nothing and is always a candidate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from kedro_eeipu.optimizer.stages import ReuseGraph
from kedro_eeipu.optimizer.unit_cube import identity

__all__ = ["CacheView", "Cut", "candidate_cuts"]

# A stage that another worker is computing is on average half done.
_WAITING_SHARE = 0.5

Values = tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Cut:
    """Stages to reuse and the column values that this takes.

    Args:
        stages: the reused stages, closed under ancestors.
        values: exact value of each column that reaches one of them; NaN where inactive.
    """

    stages: frozenset[int]
    values: Mapping[int, float]

    def key(self) -> Values:
        """Hashable identity of the column values (NaN equal to NaN)."""
        return _key(self.values)


def _key(values: Mapping[int, float]) -> Values:
    columns = sorted(values)
    return tuple(zip(columns, identity(values[j] for j in columns), strict=True))


class CacheView:
    """Which stage outputs exist for which column values, and from which trial.

    Args:
        graph: the stage graph.
        points: configurations of the trials, each of length d; pending ones last.
        available: for each trial index, the stages whose outputs are in the cache.
    """

    def __init__(
        self,
        graph: ReuseGraph,
        points: Sequence[Sequence[float]],
        available: Mapping[int, frozenset[int]],
    ) -> None:
        self.graph = graph
        self._columns = [sorted(columns) for columns in graph.columns]
        self._owner: dict[tuple[int, tuple[float, ...]], int] = {}
        for t in sorted(available):
            for s in available[t]:
                self._owner.setdefault((s, self._stage_key(s, points[t])), t)

    def _stage_key(self, s: int, x: Sequence[float]) -> tuple[float, ...]:
        return identity([x[j] for j in self._columns[s]])

    def owner(self, s: int, x: Sequence[float]) -> int | None:
        """The first trial whose output of stage s is the one that x would compute, if cached."""
        return self._owner.get((s, self._stage_key(s, x)))

    def reused(self, x: Sequence[float]) -> frozenset[int]:
        """Stages that need not run at x: cached, or wanted by cached ones only."""
        run: set[int] = set()
        for s in reversed(self.graph.order):
            children = self.graph.children[s]
            if (not children or children & run) and self.owner(s, x) is None:
                run.add(s)
        return frozenset(range(len(self.graph))) - run

    def price(
        self,
        reused: frozenset[int],
        x: Sequence[float],
        load_seconds: Sequence[float],
        finished: int,
    ) -> tuple[list[float], float]:
        """What x pays where it reuses these stages.

        Args:
            reused: stages, closed under ancestors.
            x: configuration, NaN where it does not reach them.
            load_seconds: of each stage's outputs.
            finished: number of finished trials; those from it on are pending.

        Returns:
            The share of each stage's cost, and the seconds of loading what has to be loaded.
        """
        share, load = [1.0] * len(self.graph), 0.0
        for s in reused:
            owner = self.owner(s, x)
            share[s] = 0.0 if owner is None or owner < finished else _WAITING_SHARE
            if not self.graph.children[s] <= reused:
                load += load_seconds[s]
        return share, load

    def owners(self, x: Sequence[float]) -> tuple[int | None, ...]:
        """Per column of x, a trial whose cached stages hold exactly this value; None if free."""
        owners: list[int | None] = [None] * len(x)
        for s in range(len(self.graph)):
            if (t := self.owner(s, x)) is not None:
                for j in self.graph.columns[s]:
                    owners[j] = t
        return tuple(owners)


def candidate_cuts(
    view: CacheView, points: Sequence[Sequence[float]], order: Sequence[int], limit: int
) -> list[Cut]:
    """At most `limit` distinct cuts, the empty one first.

    Args:
        view: what is cached.
        points: configurations to take values from.
        order: indices into `points`, the most promising first; those left out give no cuts.
        limit: how many cuts to return at most.
    """
    graph = view.graph
    cuts: dict[Values, Cut] = {}
    empty = graph.reusable(graph.determined_by(frozenset()), _cached(view, points, order))
    cuts[()] = Cut(empty, {})
    singles = limit if graph.is_chain else 1 + limit // 2
    for t in order:
        x = points[t]
        cached = frozenset(s for s in range(len(graph)) if view.owner(s, x) is not None)
        for stages in graph.reusable_sets:
            _add(cuts, graph, graph.reusable(stages, cached), x)
        if len(cuts) >= singles:
            break
    if not graph.is_chain:
        _add_unions(cuts, graph, limit)
    return list(cuts.values())[:limit]


def _cached(
    view: CacheView, points: Sequence[Sequence[float]], order: Sequence[int]
) -> frozenset[int]:
    stages = range(len(view.graph))
    return frozenset(s for s in stages for t in order if view.owner(s, points[t]) is not None)


def _add(
    cuts: dict[Values, Cut], graph: ReuseGraph, stages: frozenset[int], x: Sequence[float]
) -> None:
    values = {j: x[j] for j in graph.columns_of(stages)}
    if values:
        cut = Cut(stages, values)
        other = cuts.get(cut.key())
        if other is None or len(other.stages) < len(stages):
            cuts[cut.key()] = cut


def _add_unions(cuts: dict[Values, Cut], graph: ReuseGraph, limit: int) -> None:
    """Add unions of cuts of different trials that agree on the columns they share."""
    for a, b in combinations(list(cuts.values())[1:], 2):
        if len(cuts) >= limit:
            return
        values = {**a.values, **b.values}
        shared = a.values.keys() & b.values.keys()
        agree = _key({j: a.values[j] for j in shared}) == _key({j: b.values[j] for j in shared})
        if agree and frozenset(values) < graph.reached:
            cut = Cut(a.stages | b.stages, values)
            cuts.setdefault(cut.key(), cut)
