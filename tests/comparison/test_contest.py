"""Comparisons on a real project: shared warm-up, own accounts, and going on after an end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kedro_eeipu.cli.compare import parsed_budget, parsed_seeds
from kedro_eeipu.comparison import Comparison
from kedro_eeipu.comparison.account import price
from kedro_eeipu.comparison.contest import Contestant
from kedro_eeipu.errors import ConfigurationError

ALL = ("eeipu", "random", "tpe", "gp", "logei", "carbo")


def comparison(project: Any, **options: Any) -> Comparison:
    given = {"samplers": ("eeipu", "random"), "seeds": [0], "budget": 2.0, "in_trials": True}
    return Comparison(project.load(), **{**given, **options})


def test_every_sampler_starts_from_the_same_warmup_and_spends_its_budget(project: Any) -> None:
    compared = comparison(project, samplers=ALL)
    runs = compared.run()
    assert [r.sampler for r in runs] == list(ALL)
    assert all(r.finished for r in runs)
    contestants = compared.contestants()
    first = [[t.params for t in c.trials()[: c.warmup]] for c in contestants]
    assert all(params == first[0] for params in first)
    assert len({r.warmup_best for r in runs}) == 1
    for c in contestants:
        assert [price(t) for t in c.trials()[: c.warmup]] == pytest.approx(
            [price(t) for t in contestants[0].trials()[: c.warmup]], rel=0.5, abs=0.01
        )
        assert sum(map(price, c.trials()[c.warmup : -1])) <= c.budget


def test_from_scratch_all_begin_with_the_defaults_and_pay_for_them(project: Any) -> None:
    compared = comparison(project, samplers=ALL, from_scratch=True, budget=4.0)
    runs = compared.run()
    contestants = compared.contestants()
    defaults = compared.project.space.defaults()
    assert all(c.trials()[0].params == defaults for c in contestants)
    second = {c.entry.sampler: c.trials()[1].params for c in contestants}
    assert second["random"] == second["tpe"] == second["gp"], "Optuna's startup trials"
    assert second["logei"] == second["carbo"], "Sobol points"
    assert second["eeipu"] != second["random"] != second["logei"] != second["eeipu"]
    cold = price(contestants[0].trials()[0])
    for c, run in zip(contestants, runs, strict=True):
        assert run.finished
        assert c.budget == pytest.approx(4 * cold)
        assert sum(map(price, c.trials()[:-1])) <= c.budget
        assert run.curve[0] == pytest.approx((cold, run.warmup_best), abs=1e-3)
        assert run.candidates == len([t for t in c.trials()[:-1] if t.value is not None])
    about = compared.about()
    assert (about["from_scratch"], about["warmup_trials"]) == (True, 1)


def test_from_scratch_continues_alike_and_apart_from_other_comparisons(project: Any) -> None:
    options: dict[str, Any] = {"samplers": ("eeipu", "logei"), "budget": 3.0}
    warm = comparison(project, **options).run()
    first = comparison(project, from_scratch=True, **options)
    runs = first.run()
    project.executions()
    assert comparison(project, from_scratch=True, **options).run() == runs
    assert comparison(project, **options).run() == warm
    assert project.executions() == []
    sobol = first.contestants()[1].trials()[1:8]
    assert len({t.params["left.weight"] for t in sobol}) == len(sobol)


def test_a_cold_trial_of_values_that_fail_has_no_length(project: Any) -> None:
    source = project.source / "nodes.py"
    source.write_text(source.read_text().replace('ran("score")', "1 / (shift - 3.0)"))
    with pytest.raises(ConfigurationError, match=r"--budget: .*own values failed.*\n.*10min"):
        comparison(project, from_scratch=True).run()


def test_a_computation_is_done_once_and_paid_for_by_all(project: Any) -> None:
    compared = comparison(project)
    compared.run()
    executed = project.executions()
    ours, other = compared.contestants()
    records = [n for c in (ours, other) for t in c.trials() for n in t.nodes]
    assert len(executed) == len({n.key for n in records})
    assert len(executed) < sum(n.status == "ran" for n in records)
    for c in (ours, other):
        ran = [n.key for t in c.trials() for n in t.nodes if n.status == "ran"]
        assert len(ran) == len(set(ran))


def test_samplers_without_a_cache_pay_for_every_node(project: Any) -> None:
    compared = comparison(project, uncached=("random",))
    run = compared.run()[1]
    assert run.label == "random, no cache"
    assert run.reuse == 0
    nodes = [n for t in compared.contestants()[1].trials() for n in t.nodes]
    assert all(n.status == "ran" for n in nodes)


def test_measuring_runs_all_for_each_sampler(project: Any) -> None:
    compared = comparison(project, measure=True, uncached=("random",), budget=1.0)
    compared.run()
    executed = project.executions()
    ran = [
        n for c in compared.contestants() for t in c.trials() for n in t.nodes if n.status == "ran"
    ]
    assert len(executed) == len(ran)


def test_what_is_finished_is_not_repeated_after_an_interruption(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = comparison(project, samplers=("random", "tpe"))
    turns = []

    def stop(contestant: Contestant) -> None:
        turns.append(contestant)
        if len(turns) == 7:
            raise KeyboardInterrupt

    compared.after_trial = stop
    with pytest.raises(KeyboardInterrupt):
        compared.run()
    half = [[t.params for t in c.trials()] for c in compared.contestants()]
    assert sum(map(len, half)) == 7
    again = comparison(project, samplers=("random", "tpe"))
    runs = again.run()
    whole = [[t.params for t in c.trials()] for c in again.contestants()]
    assert [w[: len(h)] for w, h in zip(whole, half, strict=True)] == half
    executed = len(project.executions())
    assert comparison(project, samplers=("random", "tpe")).run() == runs
    assert executed > 0
    assert project.executions() == []


def test_cpu_time_is_not_spent_by_waiting(project: Any) -> None:
    source = project.source / "nodes.py"
    slow = source.read_text().replace('ran("join")', 'ran("join"); import time; time.sleep(0.05)')
    source.write_text(slow)
    compared = comparison(project, samplers=("random",), budget=0.01, clock="cpu")
    compared.run()
    first = compared.contestants()[0].trials()[0]
    assert next(n.seconds for n in first.nodes if n.name == "join") < 0.05


def test_a_changed_node_begins_a_new_comparison(project: Any) -> None:
    before = comparison(project).run()
    source = project.source / "nodes.py"
    source.write_text(
        source.read_text().replace('joined["sum"] - shift', 'joined["sum"] - 2 * shift')
    )
    after = comparison(project).run()
    assert after[0].warmup_best != before[0].warmup_best


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"samplers": ("eeipu", "grid")}, "'grid'"),
        ({"samplers": ("eeipu", "hebo")}, "Known: eeipu, random"),
        ({"samplers": ()}, "--samplers: it names no sampler"),
        ({"uncached": ("eeipu",)}, "needs the cache"),
        ({"uncached": ("tpe",)}, "not compared"),
    ],
)
def test_wrong_samplers_are_refused(project: Any, options: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigurationError, match=word):
        comparison(project, **options)


@pytest.mark.parametrize("name", ["smac", "ax"])
def test_samplers_without_their_package_are_refused(
    project: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kedro_eeipu.comparison.sampler_choice.find_spec", lambda module: None)
    with pytest.raises(ConfigurationError, match=rf"'{name}' needs .*\n.*'kedro-eeipu\[peers\]'"):
        comparison(project, samplers=("eeipu", name))


@pytest.mark.parametrize(
    ("text", "budget"),
    [(None, None), ("12 trials", (12.0, True)), ("1 trial", (1.0, True)), ("2min", (120.0, False))],
)
def test_budgets_are_times_or_trials(text: str | None, budget: Any) -> None:
    assert parsed_budget(text) == budget


@pytest.mark.parametrize("text", ["0 trials", "some trials", "soon"])
def test_other_budgets_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="not a duration"):
        parsed_budget(text)


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("3", [0, 1, 2]), ("100-102", [100, 101, 102]), (" 7 - 7 ", [7])],
)
def test_seeds_are_a_number_or_a_range(text: str, seeds: list[int]) -> None:
    assert list(parsed_seeds(text)) == seeds


@pytest.mark.parametrize("text", ["0", "", "three", "5-4", "-3", "1.5", "1-2-3", "1,2", "٣"])
def test_other_seeds_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--seeds: '.*' names no seeds\nWrite how many"):
        parsed_seeds(text)


def test_seeds_are_any_and_comparisons_may_have_folders_of_their_own(
    project: Any, tmp_path: Path
) -> None:
    runs = comparison(project, seeds=[7, 3], folder=tmp_path / "own").run()
    assert [(r.sampler, r.seed) for r in runs] == [
        ("eeipu", 7),
        ("random", 7),
        ("eeipu", 3),
        ("random", 3),
    ]
    assert runs[0].warmup_best != runs[2].warmup_best
    assert (tmp_path / "own" / "studies.db").exists()
    assert not (project.path / ".eeipu" / "compare").exists()


def test_a_changed_optimizer_begins_new_studies_on_the_same_cache(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = ("random", "tpe")  # whose proposals do not depend on seconds
    before = comparison(project, samplers=both)
    runs = before.run()
    project.executions()
    monkeypatch.setattr("kedro_eeipu.comparison.contest.optimizer_digest", lambda: "another")
    after = comparison(project, samplers=both)
    assert [c.trials() for c in after.contestants()] == [[], []]
    assert [r.best for r in after.run()] == [r.best for r in runs]
    assert project.executions() == []
    assert after.about()["optimizer"] == "another"


def test_command_refuses_a_folder_as_its_page_before_anything_runs(project: Any) -> None:
    told = project.kedro("eeipu", "compare", "--budget", "2 trials", "--output", "conf")
    assert told.returncode == 2
    assert "'conf' is a directory" in told.stderr
    assert not (project.path / ".eeipu" / "compare").exists()


def test_command_prints_one_json_document_and_writes_a_page(project: Any) -> None:
    told = project.kedro(
        *("eeipu", "compare", "--samplers", "random,tpe", "--seeds", "4-5"),
        *("--budget", "2 trials", "--format", "json"),
    )
    assert told.returncode == 0, told.stderr
    document = json.loads(told.stdout)
    assert [(r["sampler"], r["seed"]) for r in document["runs"]] == [
        ("random", 4),
        ("tpe", 4),
        ("random", 5),
        ("tpe", 5),
    ]
    assert document["seeds"] == 2
    assert document["against"] == {}
    assert document["budget"] == "2 cold trials"
    assert "<html" in (project.path / ".eeipu" / "compare" / "compare.html").read_text()
