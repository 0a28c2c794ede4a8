"""A trial in an untested release of Kedro-Viz: `kedro viz run --include-hooks`, for real."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project
from packaging.specifiers import SpecifierSet
from services import free_port

from kedro_eeipu.cli import commands
from kedro_eeipu.viz.fallback import LARGEST_PORT

DEFAULTS = {"clean.scale": 1.0, "left.weight": 2.0, "right.power": 2, "shift": 3.0}
SECRET = "hunter2-correct-horse"
WAIT_SECONDS = 150
# The command, as if no release of Kedro-Viz had been tested.
UNTESTED = """
from packaging.specifiers import SpecifierSet

from kedro.framework.cli import main
from kedro_eeipu.viz import app

app.TESTED = SpecifierSet("<1")
main()
"""


@pytest.fixture
def tuner(project: Any) -> Any:
    """Two trials of a project with secrets."""
    parameters = yaml.safe_load((project.path / "conf/base/parameters.yml").read_text())
    parameters["right"] = {"power": 2, "api_key": SECRET}
    parameters["clean"]["kind"] = f"{SECRET}2"
    project.write_parameters(parameters)
    (project.path / "conf/local/credentials.yml").write_text(
        yaml.safe_dump({"db": {"key": f"{SECRET}2"}})
    )
    made = project.tuner()
    made.evaluate(DEFAULTS)
    made.evaluate({**DEFAULTS, "left.weight": 4.0})
    return made


def begun(project: Any, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", UNTESTED, "eeipu", "viz", *arguments],
        cwd=project.path,
        env=project.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=project.hears_ctrl_c,
    )


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise TimeoutError(f"waited in vain for {what}")


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_trial_is_served_and_its_server_ends_with_the_command(
    project: Any, tuner: Any, tmp_path: Path, end: int
) -> None:
    port = next(port for port in iter(free_port, 0) if port <= LARGEST_PORT)
    address = f"http://127.0.0.1:{port}/api"

    def asked(path: str) -> Any:
        try:
            with urllib.request.urlopen(f"{address}/{path}", timeout=30) as answer:
                return json.load(answer)
        except OSError:
            return None

    process = begun(project, "--trial", "1", "--port", str(port))
    try:
        graph = wait_for(lambda: process.poll() is not None or asked("main"), "Kedro-Viz")
        assert process.poll() is None, process.communicate()[0]
        told = {n["name"]: asked(f"nodes/{n['id']}") for n in graph["nodes"]}
    finally:
        process.send_signal(end)
        output = process.communicate(timeout=240)[0]
    assert "was not tested (tested: <1)" in output
    assert "without a picker" in output
    assert "Traceback" not in output
    assert told["left_rows"]["preview_type"] == "JSONPreview"
    assert json.loads(told["left_rows"]["preview"]) == [4.0, 8.0, 12.0]
    assert told["params:left.weight"]["parameters"] == {"left.weight": 4.0}
    assert told["params:right"]["parameters"] == {"right": {"power": 2, "api_key": "•••"}}
    assert SECRET not in json.dumps(told) + json.dumps(graph)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "nobody serves any more"
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--against", "0"), "a second trial, a static site and --conf-source need a tested"),
        (("--save", "site"), "a second trial, a static site and --conf-source need a tested"),
        (("--conf-source", "conf"), "a second trial, a static site and --conf-source need a"),
        (("--port", "60000"), "--port: Kedro-Viz serves on no port above 49151"),
    ],
)
def test_what_it_cannot_do_is_refused(
    project: Any, tuner: Any, option: tuple[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kedro_eeipu.viz import app

    monkeypatch.setattr(app, "TESTED", SpecifierSet("<1"))
    monkeypatch.chdir(project.path)
    result = CliRunner().invoke(
        commands, ["eeipu", "viz", *option], obj=bootstrap_project(project.path)
    )
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert f"Error: {said}" in result.stderr
