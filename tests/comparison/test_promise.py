"""The measurement on the demo: its lines, which seeds are missing, and its tables."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kedro_eeipu.comparison import Run
from kedro_eeipu.comparison.contest import optimizer_digest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import promise
import promise_lines as lines
import promise_tables as tables

ABOUT: dict[str, Any] = {
    "pipeline": "default",
    "objective": "metrics[loss]",
    "direction": "minimize",
    "budget": "12 cold trials",
    "warmup_trials": 10,
    "seeds": 1,
    "clock": "cpu",
    "costs": "Each node execution was measured once.",
    "optimizer": "aaa",
}
CURVE = ((0.0, 3.0), (1.0, 3.0), (2.12345678, 2.0), (3.0, 2.0))
OURS = Run("eeipu", 0, True, 5.0, True, 3, 3.0, 2.0, 1.0, 0.5, 1.0, 4.0, CURVE)
PEER = replace(OURS, sampler="gp", candidates=1, improvement=0.5, best=2.5)
PEER = replace(PEER, curve=((0.0, 3.0), (4.0, 2.5)))


def entry(seed: int, optimizer: str = "aaa") -> dict[str, Any]:
    runs = [replace(OURS, seed=seed), replace(PEER, seed=seed)]
    return lines.line(seed, ABOUT | {"optimizer": optimizer}, runs)


def write(results: Path, entries: list[dict[str, Any]], name: str = "ml") -> None:
    for e in entries:
        lines.append(lines.file_of(name, "cache", results), e, results / "lock")


def test_a_line_keeps_where_the_best_value_changes() -> None:
    assert entry(4)["runs"][0]["curve"] == [[0.0, 3.0], [2.123457, 2.0]]
    assert "seeds" not in entry(4)


def test_lines_are_added_and_read(tmp_path: Path) -> None:
    write(tmp_path, [entry(100), entry(101)])
    found = lines.read(lines.file_of("ml", "cache", tmp_path))
    assert found == [entry(100), entry(101)]
    assert lines.read(lines.file_of("vision", "cache", tmp_path)) == []
    assert lines.document(found, "aaa")["against"]["gp"]["better"] == 2
    assert len(json.dumps(found[0])) < 1200


def test_versions_of_the_optimizer_are_kept_apart() -> None:
    found = [entry(1, "bbb"), entry(2, "bbb"), entry(1), entry(2), entry(2), entry(3, "ccc")]
    assert lines.optimizers(found) == {"aaa": 2, "bbb": 2, "ccc": 1}
    assert next(iter(lines.optimizers(found))) == "aaa"
    assert lines.seeds_of(found, "ccc") == {3}
    assert [r["seed"] for r in lines.document(found, "bbb")["runs"]] == [1, 1, 2, 2]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "page.md"
    file.write_text(f"# Before\n{tables.BEGIN}\nold\n{tables.END}\nAfter\n", encoding="utf-8")
    return file


def test_tables_show_one_version_and_say_which_they_leave_out(
    tmp_path: Path, page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, [entry(seed) for seed in range(100, 106)] + [entry(100, "bbb")])
    tables.write_tables(page=page, results=tmp_path)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Before\n")
    assert text.endswith("\nAfter\n")
    assert "\nold\n" not in text
    assert "6 seeds (100-105). Optimizer aaa." in text
    assert "| gp (best peer) | 3.00 × | 2.00 × | 6, 0, 0 | 0.031 | 0.53 (6 of 6) |" in text
    assert "| ml | gp (best peer) | 3.00 × | 2.00 × | 6, 0, 0 | 0.031 | 0.53 (6 of 6) |" in text
    assert "ml, cache: not shown: 1 seed of optimizer bbb" in capsys.readouterr().out
    tables.write_tables("bbb", page=page, results=tmp_path)
    assert "1 seed (100). Optimizer bbb." in page.read_text(encoding="utf-8")


def test_former_results_stay_until_there_are_enough_seeds(tmp_path: Path, page: Path) -> None:
    former = lines.document([entry(0, "former"), entry(1, "former")], "former")
    del former["optimizer"]
    (tmp_path / "ml-cache.json").write_text(json.dumps(former))
    write(tmp_path, [entry(seed) for seed in range(100, 104)])
    tables.write_tables(page=page, results=tmp_path)
    assert "2 seeds (0-1)." in page.read_text(encoding="utf-8")
    write(tmp_path, [entry(104)])
    tables.write_tables(page=page, results=tmp_path)
    assert "5 seeds (100-104)." in page.read_text(encoding="utf-8")


def test_only_missing_seeds_are_measured_each_in_a_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, [entry(100, optimizer_digest()), entry(101, "former")])
    measured: list[str] = []

    def measure(task: promise.Task, _: Any) -> int:
        measured.append(str(task))
        return 0

    monkeypatch.setattr(promise, "file_of", lambda p, s: lines.file_of(p, s, tmp_path))
    monkeypatch.setattr(promise, "interrupt_on_signals", lambda: None)
    monkeypatch.setattr(promise, "_in_a_process", measure)
    arguments = ["promise.py", "--seeds", "100-102", "--pipelines", "ml"]
    monkeypatch.setattr(sys, "argv", arguments)
    assert promise.main() == 0
    assert measured == ["ml, cache, seed 101", "ml, cache, seed 102"]
    assert "ml, cache: 1 seed of optimizer former\n" in capsys.readouterr().out


def test_every_setting_has_a_heading() -> None:
    assert set(promise.SETTINGS) <= set(tables.HEADINGS)
    assert tuple(promise.PIPELINES) == tables.PIPELINES


def test_ratios_after_shares_of_the_budget() -> None:
    """Of five seconds: eeipu has 1.0 after 2.1 s, the peer 0.5 after 4 s."""
    found = {"ml": lines.document([entry(100), entry(101)], "aaa")}
    *_, row = tables.over_the_budget(found).splitlines()
    assert row == "| ml | - | - | - | 2.00 × (gp 2.00 ×) |"
    later = replace(PEER, curve=((0.0, 3.0), (3.0, 2.8), (4.0, 2.5)))
    both = lines.line(100, ABOUT, [OURS, later])
    *_, row = tables.over_the_budget({"ml": lines.document([both], "aaa")}).splitlines()
    assert row == "| ml | - | - | 5.00 × (gp 5.00 ×) | 2.00 × (gp 2.00 ×) |"
