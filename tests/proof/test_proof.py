"""The harness finds what is wrong: a stale value, a state that is left behind, a needless run."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
STALE = "values that hold code / base64 text / trial"
RIGHT = "declared / file with depends_on / trial"
LEFT = "files / file that another program reads / behind"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    out = tmp_path_factory.mktemp("proof") / "proof.jsonl"
    pattern = f"^({STALE}|{RIGHT}|{LEFT})$"
    command = [HERE / "run.py", "--edits", "-1", "--behind", "-1", "--only", pattern, "--out", out]
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "| values that hold code | 1 | 0 |" in done.stdout
    return {r["id"]: r for r in map(json.loads, out.read_text().splitlines())}


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(HERE))
    yield importlib.import_module
    # Modules that assign to `sys` would count for whatever other tests run in this process.
    for name in [n for n, m in sys.modules.items() if Path(_file(m)).parent == HERE]:
        if name != __name__:
            del sys.modules[name]


def _file(module: Any) -> str:
    return str(getattr(module, "__file__", None))


def test_a_stale_value_is_silent(results: Any, harness: Any) -> None:
    stale = results[STALE]
    assert (stale["verdict"], stale["got"], stale["right"]) == ("silent", 10.0, 15.0)
    # Only because docs name its kind it is no failure.
    assert harness("tables").unnamed([stale]) == []
    assert harness("tables").unnamed([{**stale, "documented": ""}]) == [STALE]


def test_a_right_value_is_right_and_the_project_reuses(results: Any) -> None:
    right = results[RIGHT]
    assert (right["verdict"], right["got"], right["right"]) == ("right", 15.0, 15.0)
    assert not right["never_reused"]


def test_state_that_a_node_leaves_behind_is_silent(results: Any) -> None:
    left = results[LEFT]
    assert left["verdict"] == "silent"
    assert left["differ"][0] > 0


def test_words_make_a_wrong_value_told_and_none_make_it_right(harness: Any) -> None:
    verdict = harness("verdicts").verdict
    assert verdict(1.0, 2.0, ["its file changed"]) == "told"
    assert verdict(1.0, 2.0, []) == "silent"
    assert verdict("ValueError: no", 2.0, []) == "failed"
    assert verdict(float("nan"), float("nan"), []) == "right"


def test_an_edit_that_demonstrates_nothing_is_a_fault(harness: Any) -> None:
    edits, sittings = harness("edits"), harness("sittings")
    fault = harness("verdicts").harness_fault
    changing = edits.Edit("kind", "name", {}, {}, changes=True)
    same, other = sittings.Sitting(1.0), sittings.Sitting(2.0)
    assert fault(changing, same, same)
    assert not fault(changing, same, other)
    assert fault(changing, same, sittings.Sitting("ValueError: no"))


def test_faults_are_there_to_be_found(harness: Any) -> None:
    faults = harness("faults").FAULTS
    assert len({fault.name for fault in faults}) == 20
    for fault in faults:
        before, after = fault.files(), fault.files(edited=True)
        assert (before != after) == bool(fault.old), fault.name
        assert fault.guilty
