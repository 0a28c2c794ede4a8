"""Stages of chains and graphs."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from kedro_eeipu.search.stages import StageGraph, holds, reaching_parameters


def f(*args: object) -> object:
    return args


CHAIN = Pipeline(
    [
        node(f, ["raw"], "a", name="load"),
        node(f, ["a", "params:p.x"], "b", name="one"),
        node(f, ["b"], "c", name="same"),
        node(f, ["c", "params:q"], "d", name="two"),
    ]
)
DIAMOND = Pipeline(
    [
        node(f, ["raw", "params:p"], "a", name="top"),
        node(f, ["a", "params:l"], "b", name="left"),
        node(f, ["a", "params:r"], "c", name="right"),
        node(f, ["b", "c"], "d", name="join"),
    ]
)


def test_chain_gives_prefixes() -> None:
    graph = StageGraph.from_pipeline(CHAIN, ["p.x", "q.y"])
    assert [s.nodes for s in graph] == [("load",), ("one", "same"), ("two",)]
    assert [s.parameters for s in graph] == [(), ("p.x",), ("p.x", "q.y")]
    assert [s.parents for s in graph] == [frozenset(), {0}, {1}]


def test_branches_are_stages_of_their_own() -> None:
    graph = StageGraph.from_pipeline(DIAMOND, ["p", "l", "r"])
    assert [s.nodes for s in graph] == [("top",), ("left",), ("right",), ("join",)]
    assert graph[3].parameters == ("p", "l", "r")
    assert [set(s.parents) for s in graph] == [set(), {0}, {0}, {1, 2}]
    assert graph.stage_of("right") == 2


def test_untuned_join_of_untuned_branches_is_one_stage() -> None:
    graph = StageGraph.from_pipeline(DIAMOND, ["p"])
    assert [s.nodes for s in graph] == [("top", "left", "right", "join")]


def test_uncacheable_node_is_apart_and_nobodys_parent() -> None:
    graph = StageGraph.from_pipeline(DIAMOND, ["p", "l", "r"], uncacheable={"left"})
    by_node = {n: s for s in graph for n in s.nodes}
    assert not by_node["left"].cacheable
    assert {graph[p].nodes for p in by_node["join"].parents} == {("top",), ("right",)}


def test_parents_come_first() -> None:
    for paths in (["p"], ["l"], ["p", "l", "r"], ["r", "l"]):
        graph = StageGraph.from_pipeline(DIAMOND, paths)
        assert all(p < i for i, s in enumerate(graph) for p in s.parents)


def test_input_holds_parameter() -> None:
    assert holds("parameters", "a.b")
    assert holds("params:a", "a.b")
    assert holds("params:a.b", "a.b")
    assert holds("params:a.b.c", "a.b")
    assert not holds("params:a.bc", "a.b")
    assert not holds("a", "a")


def test_all_parameters_reach_a_node_that_takes_them_all() -> None:
    pipeline = Pipeline([node(f, ["parameters"], "a", name="n"), node(f, "a", "b", name="m")])
    assert reaching_parameters(pipeline, ["x", "y.z"]) == {
        "n": frozenset({"x", "y.z"}),
        "m": frozenset({"x", "y.z"}),
    }


def test_a_key_with_a_dot_is_not_inside_the_key_before_the_dot() -> None:
    both = {"demo": 5, "demo.config": {"x": 1}}
    assert not holds("params:demo", "demo.config.x", both)
    assert not holds("params:demo.config", "demo", both)
    assert holds("params:demo.config", "demo.config.x", both)
    assert holds("params:demo", "demo.config.x", {"demo": {"config": {"x": 1}}})
    assert holds("parameters", "demo", both)
