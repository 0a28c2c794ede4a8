"""Build the distributions, and try the wheel as a user would: install, starter, quickstart.

    make release-check

Everything happens in a temporary folder with an environment of its own; the distributions stay in
`dist/`. Each step is timed. The first one that fails ends it with exit code 1.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
DIST = ROOT / "dist"


def step(name: str, *command: str | Path, cwd: Path = ROOT, log: bool = False) -> str:
    """Run a command, print how long it took, and return its stdout, or its log."""
    began = time.monotonic()
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    result = subprocess.run(
        [str(c) for c in command],
        cwd=cwd,
        env={**clean, "DO_NOT_TRACK": "1", "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )
    print(f"{time.monotonic() - began:7.1f} s  {name}", flush=True)
    if result.returncode:
        sys.exit(f"{result.stdout}\n{result.stderr}\n{name} failed ({result.returncode})")
    return result.stderr if log else result.stdout


def build() -> Path:
    """Both distributions, checked; returns the wheel."""
    shutil.rmtree(DIST, ignore_errors=True)
    # An old build folder would put files that are gone into the wheel.
    shutil.rmtree(ROOT / "build" / "lib", ignore_errors=True)
    step("python -m build", sys.executable, "-m", "build", "--outdir", DIST)
    files = sorted(DIST.iterdir())
    step("twine check --strict", sys.executable, "-m", "twine", "check", "--strict", *files)
    (wheel,) = DIST.glob("*.whl")
    return wheel


def install(wheel: Path, folder: Path) -> Path:
    """A fresh environment with the wheel in it; returns its folder of programs."""
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    options = ["--quiet", "--disable-pip-version-check", "-c", str(ROOT / "constraints.txt")]
    step("pip install the wheel", programs / "python", "-m", "pip", "install", *options, wheel)
    size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file() and not f.is_symlink())
    print(f"           the environment has {size / 1e9:.1f} GB")
    return programs


def quickstart(programs: Path, folder: Path) -> None:
    """The commands of the quickstart, on a project of the starter."""
    kedro = programs / "kedro"
    project = folder / "digits"
    new = ["new", "--starter", "eeipu", "--name", "Digits", "--telemetry", "no"]
    step("kedro new --starter eeipu", kedro, *new, cwd=folder)
    plan = step("kedro eeipu plan", kedro, "eeipu", "plan", cwd=project)
    assert "model.C" in plan, plan
    tuned = step("kedro eeipu tune", kedro, "eeipu", "tune", "--trials", "12", cwd=project)
    assert "the study has its 12 trials" in tuned, tuned
    trials = json.loads(
        step(
            "kedro eeipu trials",
            *(kedro, "eeipu", "trials", "--sort", "value", "--format", "json"),
            cwd=project,
        )
    )
    assert len(trials) == 12
    assert any(n["status"] == "reused" for t in trials for n in t["nodes"])
    page = Path(step("kedro eeipu report", kedro, "eeipu", "report", cwd=project).strip())
    assert page.stat().st_size > 1e6
    apply = ["eeipu", "apply", "--best", "--env", "tuned"]
    step("kedro eeipu apply --best --env tuned", kedro, *apply, cwd=project)
    log = step("kedro run --env tuned", kedro, "run", "--env", "tuned", cwd=project, log=True)
    assert f"'log_loss': {trials[0]['value']!r}," in log, (log, trials[0])
    print(f"           kedro run gives the value of trial {trials[0]['number']}, to the last digit")


def main() -> None:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        quickstart(install(build(), folder / "venv"), folder)
    print(f"{time.monotonic() - began:7.1f} s  altogether")


if __name__ == "__main__":
    main()
