"""What the package imports is declared; what serves a part of it alone is an extra."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

import kedro_eeipu

PACKAGE = Path(kedro_eeipu.__file__).parent
# Where a distribution has another name than what is imported.
DISTRIBUTIONS = {"ConfigSpace": "configspace", "ax": "ax-platform", "yaml": "pyyaml"}
# Who may import what an extra installs.
MAY_IMPORT = {
    "dask": ("tuning/cluster.py", "tuning/timeouts.py", "tuning/worker.py"),
    "notebook": ("notebook/",),
    "peers": ("comparison/extra_peers.py",),
    "viz": ("viz/", "cli/viz.py"),
}


def imports() -> dict[str, set[str]]:
    """The files that import a distribution, by its name."""
    importing: dict[str, set[str]] = {}
    for file in PACKAGE.rglob("*.py"):
        name = file.relative_to(PACKAGE).as_posix()
        if name.startswith("starter/template/"):  # a project of its own
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                modules = [str(node.module)]
            for top in {module.split(".")[0] for module in modules}:
                if top != "kedro_eeipu" and top not in sys.stdlib_module_names:
                    distribution = DISTRIBUTIONS.get(top, top.replace("_", "-"))
                    importing.setdefault(distribution, set()).add(name)
    return importing


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=;]", requirement)[0] for requirement in requirements}


def test_every_import_is_declared() -> None:
    toml = pytest.importorskip("tomllib")  # from Python 3.11 on
    project = toml.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {name: names(project["optional-dependencies"][name]) for name in MAY_IMPORT}
    always = names(project["dependencies"])
    for distribution, files in imports().items():
        if distribution not in always:
            places = [MAY_IMPORT[name] for name in extras if distribution in extras[name]]
            astray = [f for f in files if not any(f.startswith(place) for place in places)]
            assert not astray, f"{distribution} is not a dependency of {astray}"
    unused = always - imports().keys()
    assert not unused, "declared and never imported"
