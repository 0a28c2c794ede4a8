from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedro_eeipu.optimizer.cuts import CacheView, candidate_cuts
from kedro_eeipu.optimizer.stages import ReuseGraph, Stage
from kedro_eeipu.optimizer.unit_cube import Dimension, Space

DIAMOND = [
    Stage(frozenset({0}), frozenset()),
    Stage(frozenset({0, 1}), frozenset({0})),
    Stage(frozenset({0, 2}), frozenset({0})),
    Stage(frozenset({0, 1, 2, 3}), frozenset({1, 2})),
]


def graph_of(stages: list[Stage], d: int) -> ReuseGraph:
    return ReuseGraph(stages, Space([Dimension()] * d))


@st.composite
def graphs(draw: st.DrawFn) -> tuple[ReuseGraph, list[list[float]], dict[int, frozenset[int]]]:
    """A random graph with a column of its own per stage, told points and what is cached."""
    stages: list[Stage] = []
    for s in range(draw(st.integers(1, 6))):
        parents = draw(st.frozensets(st.integers(0, s - 1), max_size=3)) if s else frozenset()
        columns = frozenset({s}).union(*(stages[p].parameters for p in parents))
        stages.append(Stage(columns, parents))
    d = len(stages)
    point = st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=d, max_size=d)
    points = draw(st.lists(point, min_size=1, max_size=6))
    cached = st.frozensets(st.integers(0, d - 1))
    available = {t: draw(cached) for t in range(len(points))}
    return graph_of(stages, d), points, available


@given(graphs())
def test_cuts_are_closed_and_run_nothing(case: Any) -> None:
    graph, points, available = case
    view = CacheView(graph, points, available)
    cuts = candidate_cuts(view, points, range(len(points)), 40)
    assert len(cuts) <= 40
    assert len({cut.key() for cut in cuts}) == len(cuts)
    for cut in cuts:
        assert frozenset(cut.values) == graph.columns_of(cut.stages)
        # Free columns get a value that no trial has: whatever is reused is due to the cut.
        x = [cut.values.get(j, 0.123) for j in range(len(points[0]))]
        assert cut.stages <= view.reused(x)
        for s in cut.stages:
            assert graph.parents[s] <= cut.stages


def test_a_chain_gives_its_prefixes() -> None:
    chain = [Stage(frozenset(range(s + 1)), frozenset({s - 1} - {-1})) for s in range(4)]
    graph = graph_of(chain, 4)
    points = [[0.1, 0.2, 0.3, 0.4]]
    view = CacheView(graph, points, {0: frozenset(range(4))})
    cuts = candidate_cuts(view, points, [0], 10)
    assert [len(cut.values) for cut in cuts] == [0, 3, 2, 1]


def test_branches_of_different_trials_are_joined_where_their_ancestors_agree() -> None:
    graph = graph_of(DIAMOND, 4)
    points = [[0.1, 0.2, 0.3, 0.4], [0.1, 0.5, 0.6, 0.7], [0.9, 0.5, 0.8, 0.7]]
    everything = frozenset(range(4))
    view = CacheView(graph, points, dict.fromkeys(range(3), everything))
    found = {cut.key() for cut in candidate_cuts(view, points, range(3), 100)}
    assert ((0, 0.1), (1, 0.2), (2, 0.6)) in found
    assert ((0, 0.1), (1, 0.5), (2, 0.3)) in found
    assert not any(dict(key).get(0) == 0.1 and dict(key).get(2) == 0.8 for key in found)


def test_an_evicted_stage_is_not_needed_behind_cached_children() -> None:
    graph = graph_of(DIAMOND, 4)
    x = [0.1, 0.2, 0.3, 0.4]
    view = CacheView(graph, [x], {0: frozenset({1, 2})})
    assert view.reused(x) == {0, 1, 2}
    assert view.reused([0.1, 0.2, 0.9, 0.4]) == {1}
    cuts = candidate_cuts(view, [x], [0], 10)
    assert {cut.stages for cut in cuts} == {frozenset(), frozenset({0, 1, 2})}


def test_owners_name_the_trial_that_has_the_value() -> None:
    graph = graph_of(DIAMOND, 4)
    points = [[0.1, 0.2, 0.3, 0.4], [0.1, 0.5, 0.6, 0.7]]
    view = CacheView(graph, points, dict.fromkeys(range(2), frozenset(range(4))))
    owners = view.owners([0.1, 0.5, 0.3, 0.9])
    assert owners == (0, 1, 0, None)


def test_inactive_values_match_inactive_values() -> None:
    graph = graph_of(
        [Stage(frozenset({0}), frozenset()), Stage(frozenset({0, 1}), frozenset({0}))], 2
    )
    view = CacheView(graph, [[math.nan, 0.2]], {0: frozenset({0, 1})})
    assert view.reused([math.nan, 0.9]) == {0}


def test_a_stage_without_parameters_is_always_reused() -> None:
    stages = [Stage(frozenset(), frozenset()), Stage(frozenset({0}), frozenset({0}))]
    graph = graph_of(stages, 1)
    view = CacheView(graph, [[0.1]], {0: frozenset({0, 1})})
    assert candidate_cuts(view, [[0.1]], [0], 5)[0].stages == {0}


def test_a_controlling_column_belongs_to_the_stage() -> None:
    space = Space([Dimension(levels=2, ordered=False), Dimension(active_when=(0, frozenset({1})))])
    stages = [Stage(frozenset({1}), frozenset()), Stage(frozenset({0, 1}), frozenset({0}))]
    assert ReuseGraph(stages, space).columns[0] == {0, 1}


def test_many_parallel_stages_stay_few_sets() -> None:
    branches = [Stage(frozenset({s}), frozenset()) for s in range(14)]
    graph = graph_of([*branches, Stage(frozenset(range(14)), frozenset(range(14)))], 14)
    assert 14 <= len(graph.reusable_sets) <= 200
    for stages in graph.reusable_sets:
        assert all(graph.parents[s] <= stages for s in stages)


@pytest.mark.parametrize(
    "stages",
    [
        [],
        [Stage(frozenset({9}), frozenset())],
        [Stage(frozenset({0}), frozenset({0}))],
        [Stage(frozenset({0}), frozenset({1})), Stage(frozenset({0}), frozenset({0}))],
        [Stage(frozenset({0}), frozenset()), Stage(frozenset({1}), frozenset({0}))],
    ],
)
def test_contradictory_graphs_are_refused(stages: list[Stage]) -> None:
    with pytest.raises(ValueError, match="stage"):
        graph_of(stages, 2)
