"""``kedro eeipu explain`` and ``kedro eeipu cache``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from kedro.framework.startup import bootstrap_project

from kedro_eeipu.cli import commands
from kedro_eeipu.study.explain import code_changes
from kedro_eeipu.wording import counted, duration, in_bytes

DEFAULTS = {"clean.scale": 1.0, "left.weight": 2.0, "right.power": 2, "shift": 3.0}


@pytest.fixture
def kedro(project: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("COLUMNS", "120")

    def invoke(*arguments: str, say: str = "") -> Result:
        project.bootstrap()
        metadata = bootstrap_project(project.path)
        return CliRunner().invoke(commands, ["eeipu", *arguments], obj=metadata, input=say)

    return invoke


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def by_name(nodes: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {n["name"]: n for n in nodes}


def edit(project: Any, old: str, new: str) -> None:
    nodes = project.source / "nodes.py"
    assert old in nodes.read_text()
    nodes.write_text(nodes.read_text().replace(old, new))


def test_explain_names_the_parameter(project: Any, kedro: Any) -> None:
    tuner = project.tuner()
    tuner.evaluate(DEFAULTS)
    tuner.evaluate({**DEFAULTS, "shift": 4.0})
    nodes = by_name(told(kedro("explain", "--trial", "1", "--format", "json")))
    assert nodes["score"]["changed"] == ["params:shift"]
    assert nodes["score"]["against"] == 0
    assert nodes["score"]["reason"] == "against trial 0: parameter shift changed"
    assert nodes["clean"]["status"] == "reused"
    assert nodes["clean"]["changed"] == []


def test_explain_says_why_a_node_runs_whose_input_cannot_be_stored(
    project: Any, kedro: Any
) -> None:
    edit(project, "return [weight * x for", "return lambda: [weight * x for")
    edit(project, "sum(left_rows)", "sum(left_rows())")
    edit(project, "len(left_rows)", "len(left_rows())")
    tuner = project.tuner()
    tuner.evaluate(DEFAULTS)
    tuner.evaluate({**DEFAULTS, "left.weight": 4.0})
    nodes = by_name(told(kedro("explain", "--trial", "1", "--format", "json")))
    assert nodes["left"]["reason"] == "it is never cached: output 'left_rows' cannot be stored"
    assert "one of its inputs cannot be stored" in nodes["join"]["reason"]
    assert (nodes["join"]["against"], nodes["join"]["changed"]) == (None, [])
    assert nodes["score"]["reason"] == "against trial 0: input joined changed"


def test_explain_names_the_trial_that_its_reason_names(project: Any, kedro: Any) -> None:
    tuner = project.tuner()
    for shift in (3.0, 4.0, 5.0):
        tuner.evaluate({**DEFAULTS, "shift": shift})
    nodes = by_name(told(kedro("explain", "--trial", "2", "--format", "json")))
    assert nodes["clean"]["reason"] == "same code, parameters and inputs as trial 0"
    assert nodes["clean"]["against"] == 0
    assert nodes["score"]["against"] == 1


def test_explain_holds_the_node_records_of_trials(project: Any, kedro: Any) -> None:
    project.tuner().evaluate(DEFAULTS)
    listed = told(kedro("trials", "--format", "json"))[0]["nodes"]
    explained = told(kedro("explain", "--trial", "0", "--format", "json"))
    assert [{k: e[k] for k in n} for n, e in zip(listed, explained, strict=True)] == listed


def test_explain_names_the_function_that_changed(project: Any, kedro: Any) -> None:
    edit(
        project,
        "def right(cleaned, options):",
        "def power(x, p):\n    return x ** p\n\n\ndef right(cleaned, options):",
    )
    edit(project, 'x ** options["power"]', 'power(x, options["power"])')
    project.tuner().evaluate(DEFAULTS)
    edit(project, "return x ** p", "return x ** p + 1")
    project.tuner().evaluate(DEFAULTS)
    (node,) = told(kedro("explain", "--trial", "1", "--node", "right", "--format", "json"))
    assert node["changed"] == ["code"]
    assert node["code"] == [f"power in {project.package}.nodes changed"]
    joined = by_name(told(kedro("explain", "--trial", "1", "--format", "json")))["join"]
    assert joined["changed"] == ["right_rows"]
    text = kedro("explain", "--trial", "1").stdout
    assert "its code changed" in text
    assert "power in" in text


def test_explain_names_the_input(project: Any, kedro: Any) -> None:
    project.tuner().evaluate(DEFAULTS)
    (project.path / "data" / "raw.json").write_text('{"rows": [5.0]}')
    project.tuner().evaluate(DEFAULTS)
    (node,) = told(kedro("explain", "--trial", "1", "--node", "clean", "--format", "json"))
    assert node["changed"] == ["raw"]


def test_listings_keep_to_one_line_at_80_columns_and_are_whole_in_a_pipe(
    project: Any, kedro: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = "a_name_that_is_longer_than_a_column_of_80_characters_has_room_for"
    pipeline = project.source / "pipeline.py"
    pipeline.write_text(
        pipeline.read_text()
        .replace('name="left"', f'name="{long}"')
        .replace('"left_rows"', f'"[b]{long}"')
    )
    project.tuner().evaluate(DEFAULTS)
    monkeypatch.setenv("COLUMNS", "80")
    listings = (("cache", "ls"), ("explain", "--trial", "0"), ("plan",))
    for listing in listings:
        assert long in kedro(*listing).stdout
    monkeypatch.setenv("FORCE_COLOR", "1")  # as in a terminal
    for listing in listings:
        shown = re.sub(r"\x1b\[[0-9;]*m", "", kedro(*listing).stdout)
        assert all(len(line) <= 80 for line in shown.splitlines())
        if listing == ("cache", "ls"):
            assert len(shown.splitlines()) == 6
            assert " [b]a_name" in shown, "a name is no markup"


def test_explain_never_shows_a_value(project: Any, kedro: Any) -> None:
    """Tokens are digests, so a secret among the parameters is not told."""
    project.tuner().evaluate({**DEFAULTS, "shift": 47.1123})
    assert "47.1123" not in kedro("explain", "--trial", "0", "--format", "json").stdout


@pytest.mark.parametrize("arguments", [("--trial", "7"), ("--trial", "0", "--node", "nobody")])
def test_explain_refuses_what_is_not_there(
    project: Any, kedro: Any, arguments: tuple[str, ...]
) -> None:
    project.tuner().evaluate(DEFAULTS)
    result = kedro("explain", *arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr


def test_code_changes_in_words() -> None:
    before = {"a:f": "1", "b:g": "1", "library numpy": "numpy 1.0", "python": "3.11"}
    now = {"a:f": "2", "c:h": "1", "library numpy": "numpy 2.0", "python": "3.11"}
    assert code_changes(now, before) == [
        "f in a changed",
        "g in b is no longer used",
        "h in c is new",
        "library numpy: numpy 1.0 -> numpy 2.0",
    ]


def test_ls_lists_what_is_kept_and_who_uses_it(project: Any, kedro: Any) -> None:
    tuner = project.tuner()
    tuner.evaluate(DEFAULTS)
    tuner.evaluate({**DEFAULTS, "shift": 4.0})
    entries = told(kedro("cache", "ls", "--format", "json"))
    assert sorted(e["dataset"] for e in entries) == [
        "cleaned",
        "joined",
        "left_rows",
        "metrics",
        "metrics",
        "right_rows",
    ]
    used = {e["dataset"]: e["trials"] for e in entries if e["dataset"] != "metrics"}
    assert set(map(tuple, used.values())) == {(0, 1)}
    assert all(e["kept"] and e["bytes"] > 0 and e["seconds"] > 0 for e in entries)
    assert all(0 <= e["age_seconds"] < 600 for e in entries)
    assert "right_rows" in kedro("cache", "ls").stdout


def test_cache_of_a_project_without_a_search(project: Any, kedro: Any) -> None:
    project.write_settings({"cache": {"runs": True}})
    project.write_parameters(
        {"clean": {"scale": 1.0, "kind": "a"}, "left": {"weight": 2.0}}
        | {"right": {"power": 2}, "shift": 3.0}
    )
    project.plain_run()
    entries = told(kedro("cache", "ls", "--format", "json"))
    assert len(entries) == 5
    assert all(e["trials"] == [] for e in entries)


def test_stats_verify_and_gc(project: Any, kedro: Any) -> None:
    assert told(kedro("cache", "stats", "--format", "json"))["records"] == 0
    project.write_settings({"cache": {"max_size": "1B"}})
    project.tuner().evaluate(DEFAULTS)
    assert told(kedro("cache", "verify", "--format", "json")) == []
    assert told(kedro("cache", "gc", "--format", "json"))["size"] <= 1
    found = told(kedro("cache", "stats", "--format", "json"))
    assert found["records"] == 5
    assert found["blob_bytes"] <= 1
    assert found["max_size"] == 1
    assert "1 B" in kedro("cache", "stats").stdout


def test_verify_finds_damage(project: Any, kedro: Any) -> None:
    project.tuner().evaluate(DEFAULTS)
    blobs = project.path / ".eeipu" / "cache" / "cas"
    blob = next(p for p in sorted(blobs.rglob("*")) if p.is_file())
    blob.chmod(0o600)
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    result = kedro("cache", "verify")
    assert result.exit_code == 1
    assert blob.name in result.stdout


def test_clear_asks_first(project: Any, kedro: Any) -> None:
    project.tuner().evaluate(DEFAULTS)
    kedro("cache", "clear", say="n\n")
    assert told(kedro("cache", "stats", "--format", "json"))["records"] == 5
    assert kedro("cache", "clear", "--yes").exit_code == 0
    assert told(kedro("cache", "stats", "--format", "json"))["blobs"] == 0


def test_quantities_in_words() -> None:
    assert [in_bytes(n) for n in (0, 999, 1500, 20e9)] == ["0 B", "999 B", "1.5 KB", "20 GB"]
    said = [duration(s) for s in (0, 0.01234, 90, 5400, 172800, 864000)]
    assert said == ["0 s", "0.012 s", "90.0 s", "90.0 min", "48.0 h", "10.0 d"]
    said = [counted(n, "trial") for n in (0, 1, 1.0, 2.5, 2_000_000)]
    assert said == ["0 trials", "1 trial", "1 trial", "2.5 trials", "2000000 trials"]
