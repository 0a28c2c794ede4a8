"""``kedro eeipu cache``."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from typing import Any

import pytest
from command_line import document, refused

from kedro_eeipu.cache.files.local import LocalFiles
from kedro_eeipu.processes import machine

DEFAULTS = {"clean.scale": 1.0, "left.weight": 2.0, "right.power": 2, "shift": 3.0}


def test_ls_lists_what_is_kept_and_who_uses_it(project: Any, shell: Any) -> None:
    tuner = project.tuner()
    tuner.evaluate(DEFAULTS)
    tuner.evaluate({**DEFAULTS, "shift": 4.0})
    entries = document(shell("cache", "ls", "--format", "json"))
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
    assert "right_rows" in shell("cache", "ls").stdout


def test_cache_of_a_project_without_a_search(project: Any, shell: Any) -> None:
    project.write_settings({"cache": {"runs": True}})
    project.write_parameters(
        {"clean": {"scale": 1.0, "kind": "a"}, "left": {"weight": 2.0}}
        | {"right": {"power": 2}, "shift": 3.0}
    )
    project.plain_run()
    entries = document(shell("cache", "ls", "--format", "json"))
    assert len(entries) == 5
    assert all(e["trials"] == [] for e in entries)


def test_stats_verify_and_gc(project: Any, shell: Any) -> None:
    assert document(shell("cache", "stats", "--format", "json"))["records"] == 0
    project.write_settings({"cache": {"max_size": "1B"}})
    project.tuner().evaluate(DEFAULTS)
    assert document(shell("cache", "verify", "--format", "json")) == []
    assert document(shell("cache", "gc", "--format", "json"))["size"] <= 1
    found = document(shell("cache", "stats", "--format", "json"))
    assert found["records"] == 5
    assert found["blob_bytes"] <= 1
    assert found["max_size"] == 1
    assert "1 B" in shell("cache", "stats").stdout


def test_verify_finds_damage(project: Any, shell: Any) -> None:
    project.tuner().evaluate(DEFAULTS)
    blobs = project.path / ".eeipu" / "cache" / "cas"
    blob = next(p for p in sorted(blobs.rglob("*")) if p.is_file())
    blob.chmod(0o600)
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    result = shell("cache", "verify")
    assert result.exit_code == 1
    assert blob.name in result.stdout


def test_clear_asks_first(project: Any, shell: Any) -> None:
    project.tuner().evaluate(DEFAULTS)
    shell("cache", "clear", say="n\n")
    assert document(shell("cache", "stats", "--format", "json"))["records"] == 5
    assert shell("cache", "clear", "--yes").exit_code == 0
    assert document(shell("cache", "stats", "--format", "json"))["blobs"] == 0


def test_a_read_only_cache_is_not_said_to_be_cleared(
    project: Any, shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.tuner().evaluate(DEFAULTS)

    def refuse(files: LocalFiles, path: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(LocalFiles, "delete", refuse)
    result = shell("cache", "clear", "--yes")
    assert result.exit_code == 1
    assert "Deleted 0 outputs, 0 B." in result.stdout
    assert "5 outputs, " in result.stderr
    assert "EROFS" in result.stderr
    monkeypatch.setattr(LocalFiles, "_write_temporary", refuse)
    result = shell("cache", "gc")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "EROFS" in result.stderr


def test_ls_refuses_a_study_that_is_not_there(project: Any, shell: Any) -> None:
    project.tuner().evaluate(DEFAULTS)
    refused(shell("cache", "ls", "--study", "nope"), "there is no study 'nope'")


def test_gc_sweeps_what_ended_processes_left(project: Any, shell: Any) -> None:
    """Leases and plans; those of living processes and of other machines stay."""
    project.tuner().evaluate(DEFAULTS)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    owners = {
        "dead": {"machine": machine(), "pid": dead.pid},
        "alive": {"machine": machine(), "pid": os.getpid()},
        "elsewhere": {"machine": "another pid:[1]", "pid": dead.pid},
    }
    leases = project.path / ".eeipu" / "cache" / "leases"
    runs = project.path / ".eeipu" / "runs"
    for i, (name, owner) in enumerate(owners.items()):
        (leases / f"{i:064x}").write_text(json.dumps({"token": name, "beat": 0, **owner}))
        (runs / f"plan-{name}").mkdir()
        (runs / f"plan-{name}" / "owner").write_text(json.dumps(owner))
    for name, age in (("plan-17", 7200), ("plan-18", 0)):  # of an earlier version
        (runs / name).mkdir()
        os.utime(runs / name, (time.time() - age,) * 2)
    assert document(shell("cache", "gc", "--format", "json"))["swept"] == 3
    assert sorted(p.name for p in leases.iterdir()) == [f"{1:064x}", f"{2:064x}"]
    assert sorted(p.name for p in runs.iterdir()) == ["plan-18", "plan-alive", "plan-elsewhere"]
