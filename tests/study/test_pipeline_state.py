"""What has changed since a trial, in words."""

from __future__ import annotations

from dataclasses import replace

from kedro_eeipu.study.pipeline_state import Comparison, PipelineState, in_few_words
from kedro_eeipu.study.records import TrialRecord

NOW = PipelineState(
    graph="g",
    parts={"node `train`'s code": "1", "input `raw`": "2"},
    parameters={"size": "3", "model.layers": "4"},
    defaults={"model.lr": "5"},
)


def trial(state: PipelineState | None, **params: float) -> TrialRecord:
    digest = "" if state is None else state.digest
    return TrialRecord(0, "complete", params, 1.0, pipeline_state=digest)


def changes(then: PipelineState, **params: float) -> tuple[str, ...]:
    paths = {path.replace("__", "."): value for path, value in params.items()}
    return Comparison(NOW, lambda: {then.digest: then}).changes(trial(then, **paths))


def test_nothing_has_changed() -> None:
    assert changes(NOW, model__lr=0.1) == ()
    assert changes(replace(NOW, defaults={"model.lr": "6"}), model__lr=0.1) == ()


def test_changes_have_names() -> None:
    code = replace(NOW, graph="h", parts={**NOW.parts, "node `train`'s code": "0"})
    assert changes(code, model__lr=0.1) == ("node `train`'s code",)
    assert changes(replace(NOW, graph="h"), model__lr=0.1) == ("how the nodes are connected",)
    size = replace(NOW, parameters={**NOW.parameters, "size": "0"})
    assert changes(size, model__lr=0.1) == ("parameter `size`",)
    assert in_few_words(["a", "b", "c", "d", "e", "f"]) == "a, b, c, d, e and 1 more thing"


def test_own_values_of_a_trial_are_no_state_of_it_whether_or_not_they_are_tuned_today() -> None:
    fixed_then = PipelineState(NOW.graph, NOW.parts, {**NOW.parameters, "model.lr": "5"}, {})
    assert changes(fixed_then) == (), "it had what is the default today"
    other = replace(fixed_then, parameters={**NOW.parameters, "model.lr": "6"})
    assert changes(other) == ("parameter `model.lr`",)
    tuned_then = PipelineState(
        NOW.graph, NOW.parts, {"model.layers": "4"}, {"size": "0", "model.lr": "5"}
    )
    assert changes(tuned_then, model__lr=0.1, size=7) == ()
    assert changes(tuned_then, model__lr=0.1) == ("parameter `size`",), "it was inactive"


def test_secrets_that_are_not_known_count_as_unchanged() -> None:
    then = replace(NOW, parameters={**NOW.parameters, "login.token": "7"})
    states = {then.digest: then}
    assert Comparison(NOW, lambda: states).changes(trial(then)) == ("parameter `login.token`",)
    assert Comparison(NOW, lambda: states, ["login.token"]).changes(trial(then)) == ()


def test_trials_without_a_state_count_unless_their_keys_tell_otherwise() -> None:
    assert Comparison(NOW, dict).changes(trial(None)) == ()
    lost = replace(NOW, graph="h")
    assert Comparison(NOW, dict).changes(trial(lost)) == ("something that was not recorded",)
