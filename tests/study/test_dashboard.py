"""Optuna's dashboard on a study of this plugin, started as the documentation says."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest


def asked(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/{path}", timeout=30) as answer:
        return json.load(answer)


def test_dashboard_shows_the_study(project: Any) -> None:
    command = Path(sys.executable).with_name("optuna-dashboard")
    if not command.exists():
        found = shutil.which("optuna-dashboard")
        if found is None:
            pytest.skip("optuna-dashboard is not installed")
        command = Path(found)
    tuner = project.tuner(sampler="random")
    tuner.evaluate({"clean.scale": 1.0, "left.weight": 2.0, "right.power": 2, "shift": 3.0})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(
        [str(command), "--port", str(port), "sqlite:///.eeipu/study.db"],
        cwd=project.path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            end = time.monotonic() + 60
            while True:
                try:
                    (study,) = asked(port, "studies")["study_summaries"]
                    break
                except OSError:
                    assert time.monotonic() < end, "it does not start"
                    assert server.poll() is None, "it has ended"
                    time.sleep(0.1)
            assert study["study_name"] == "default"
            (trial,) = asked(port, f"studies/{study['study_id']}?after=0")["trials"]
            attributes = {a["key"] for a in trial["user_attrs"]}
            assert {"cost", "saved"} <= attributes, "one can sort by them"
            assert trial["values"] == [23.0]
        finally:
            server.terminate()
