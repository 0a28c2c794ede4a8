"""The package with older and newer releases of what it stands on.

    python tests/matrix/run.py [--only PATTERN]

Each row is an environment of its own, made by pip: its releases come first, all else comes from
the environment that runs this. In it a short suite is run and the demo is tuned for six trials.
Prints a table in Markdown; the exit code is 1 where a row failed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUITE = ("tests/hooks/test_cases.py", "tests/cli/test_plan.py", "tests/cli/test_apply.py")
ROWS = (
    ({"kedro": "1.0.0"}, SUITE),
    ({"kedro": "1.3.1"}, SUITE),
    ({"kedro": "1.5.0"}, SUITE),
    ({"kedro": "1.7.0"}, SUITE),
    ({"optuna": "4.5.0"}, ("tests/study",)),
    ({"optuna": "5.0.0"}, ("tests/study",)),
    ({"kedro-viz": "12.0.0"}, ("tests/viz/test_fallback.py",)),
    ({"kedro-viz": "12.3.0"}, ("tests/viz", "tests/browser")),
    ({"kedro-viz": "12.5.0"}, ("tests/viz", "tests/browser")),
)
"""Releases that come before those of the environment, and the tests that they are for."""
TRIALS = "6"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="Rows whose releases have this pattern.")
    only = parser.parse_args().only
    print("| releases | import, seconds | short suite | demo |\n|---|---|---|---|", flush=True)
    passed = True
    for row, tests in ROWS:
        name = ", ".join(f"{package} {release}" for package, release in row.items())
        if not re.search(only, name):
            continue
        with tempfile.TemporaryDirectory() as folder:
            cells, row_passed = measured(Path(folder), row, tests)
        passed = passed and row_passed
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    return 0 if passed else 1


def measured(
    folder: Path, releases: dict[str, str], tests: tuple[str, ...]
) -> tuple[list[str], bool]:
    """The cells of a row, and whether all of it passed."""
    python = environment(folder, releases)
    started = run(python, "-X", "importtime", "-c", "import kedro_eeipu.cli").stderr
    seconds = int(started.splitlines()[-1].split("|")[1]) / 1e6
    suite = run(python, "-m", "pytest", "-q", "-W", "ignore", "-p", "no:cacheprovider", *tests)
    counts = suite.stdout.strip().splitlines()[-1].strip("= ")
    if suite.returncode:
        print(suite.stdout[-3000:], file=sys.stderr)
    demo = run(
        *(python, "-W", "ignore", "-m", "kedro", "eeipu", "tune", "--trials", TRIALS),
        cwd=unused_demo(folder),
    )
    if demo.returncode:
        print((demo.stdout + demo.stderr)[-3000:], file=sys.stderr)
    words = next((li for li in demo.stdout.splitlines() if "node executions" in li), "failed")
    return [f"{seconds:.2f}", counts, words], not (suite.returncode or demo.returncode)


def unused_demo(folder: Path) -> Path:
    """A copy of the demo project without what was computed in it."""
    made = shutil.ignore_patterns(".eeipu", "0[2-9]_*", "__pycache__")
    return Path(shutil.copytree(ROOT / "demo_project", folder / "demo_project", ignore=made))


def environment(folder: Path, releases: dict[str, str]) -> str:
    """An environment with these releases, over the one that runs this; its interpreter."""
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    site = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})["purelib"]
    Path(site, "underlying.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    wanted = [f"{package}=={release}" for package, release in releases.items()]
    done = run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted)
    if done.returncode:
        raise SystemExit(done.stderr)
    return python


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    paths = (str(ROOT), str(ROOT / "tests" / "site"))
    variables = {
        "PYTHONPATH": os.pathsep.join(paths),
        "HIDDEN_DISTRIBUTIONS": "kedro-mlflow",  # it takes part in no row
        "DO_NOT_TRACK": "1",
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "200",
    }
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main())
