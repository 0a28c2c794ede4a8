"""Kedro's own commands do with the plugin what they do without it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

HIDDEN = (
    "import sys, importlib.metadata as m; sys.modules['kedro_eeipu'] = None\n"
    "found = m.Distribution.discover\n"
    "m.Distribution.discover = classmethod(lambda c, **k: "
    "(d for d in found(**k) if d.metadata['Name'] != 'kedro-eeipu'))\n"
)


def kedro(project: Any, *arguments: str, plugin: bool) -> str:
    """What `kedro …` prints on stdout, with the plugin installed or as if it were not."""
    call = f"sys.argv = {['kedro', *arguments]!r}\nfrom kedro.framework.cli import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ("import sys\n" if plugin else HIDDEN) + call],
        cwd=project.path,
        # Kedro lists sets in the order of their hashes.
        env={**project.environment(), "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("catalog", "describe-datasets"),
        ("registry", "describe"),
        ("run",),
        ("viz", "build"),
    ],
    ids=" ".join,
)
def test_command_is_as_without_the_plugin(project: Any, arguments: tuple[str, ...]) -> None:
    def result(plugin: bool) -> tuple[str, dict[str, bytes], Any]:
        said = kedro(project, *arguments, plugin=plugin)
        said = "" if arguments[0] == "viz" else said  # it prints how long it takes
        main = project.path / "build" / "api" / "main"
        return said, project.files(), json.loads(main.read_text()) if main.exists() else None

    assert result(plugin=True) == result(plugin=False)


def test_uninstalled_project_loads_and_runs(project: Any) -> None:
    assert "eeipu" not in kedro(project, "--help", plugin=False)
    kedro(project, "run", plugin=False)
    assert json.loads((project.path / "data" / "metrics.json").read_text())["loss"] == 23.0


def test_installed_plugin_adds_its_group(project: Any) -> None:
    assert "eeipu" in kedro(project, "--help", plugin=True)


def test_importing_the_plugin_does_not_import_torch() -> None:
    script = (
        "import kedro_eeipu.cli, kedro_eeipu.hooks, sys\n"
        "print([m for m in ('torch', 'botorch', 'optuna', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
