"""Small Kedro projects, as texts of files."""

from __future__ import annotations

import textwrap

PACKAGE = "src/mini"

_PYPROJECT = """
[project]
name = "mini"
version = "0.1"
[tool.kedro]
package_name = "mini"
project_name = "mini"
kedro_init_version = "1.7.0"
source_dir = "src"
"""

_REGISTRY = """
from kedro.pipeline import Pipeline, node

from mini import nodes
from mini.base import total


def register_pipelines():
    if hasattr(nodes, "make_pipeline"):
        return {"__default__": nodes.make_pipeline()}
    last = getattr(nodes, "b", total)
    return {"__default__": Pipeline([
        node(nodes.a, "params:k", "x", name="a"),
        node(last, "x", "metrics", name="b"),
    ])}
"""

# The number by which two results are compared; of what is no number it is one of its text.
_BASE = """
import zlib


def number(x):
    if not isinstance(x, str) and hasattr(x, "__float__"):
        return float(x)
    return float(zlib.crc32(repr(x).encode()))


def total(x):
    return {"loss": number(x)}
"""

_PARAMETERS_BLOCK = """
eeipu:
  objective: {{dataset: metrics, key: loss, direction: minimize}}
  space:
{space}
"""


def project(
    nodes: str,
    *,
    catalog: str = "",
    params: str = "k: 5\n",
    space: str = "k: [5, 3]",
    hooks: str = "",
    settings: str = "",
    eeipu: str = "",
    files: dict[str, str | bytes] | None = None,
    **modules: str,
) -> dict[str, str | bytes]:
    """A project with these nodes.

    Args:
        nodes: Module ``mini.nodes``: either ``make_pipeline()`` gives the pipeline, or ``a(k)``
            and, if it likes, ``b(x)`` are its two nodes.
        catalog: Text of ``catalog.yml``.
        params: Text of ``parameters.yml``.
        space: Lines of the space of the `eeipu` block.
        hooks: Module ``mini.hooks``, whose class ``Hooks`` is registered.
        settings: What ``settings.py`` has besides.
        eeipu: Text of ``eeipu.yml``.
        files: Other files, by path from the root of the project.
        modules: Other modules of the package: ``inner__lib`` is ``mini/inner/lib.py``,
            ``inner__package`` its ``__init__.py``.
    """
    lines = [line.strip() for line in space.splitlines() if line.strip()]
    block = _PARAMETERS_BLOCK.format(space="\n".join(f"    {line}" for line in lines))
    plugins = ("kedro_mlflow", "kedro-telemetry", "kedro-viz")
    head = f"DISABLE_HOOKS_FOR_PLUGINS = {plugins}\n"
    if hooks:
        head += "from mini.hooks import Hooks\nHOOKS = (Hooks(),)\n"
        start = "from kedro.framework.hooks import hook_impl\n"
        modules = {**modules, "hooks": start + textwrap.dedent(hooks)}
    found: dict[str, str | bytes] = {
        "pyproject.toml": _PYPROJECT,
        f"{PACKAGE}/__init__.py": "",
        f"{PACKAGE}/settings.py": head + textwrap.dedent(settings),
        f"{PACKAGE}/pipeline_registry.py": _REGISTRY,
        f"{PACKAGE}/base.py": _BASE,
        f"{PACKAGE}/nodes.py": textwrap.dedent(nodes),
        "conf/base/catalog.yml": textwrap.dedent(catalog),
        "conf/base/parameters.yml": textwrap.dedent(params),
        "conf/base/parameters_eeipu.yml": block,
        "conf/local/.gitkeep": "",
        "data/.gitkeep": "",
    }
    if eeipu:
        found["conf/base/eeipu.yml"] = textwrap.dedent(eeipu)
    for name, text in modules.items():
        parts = ["__init__" if part == "package" else part for part in name.split("__")]
        for depth in range(1, len(parts)):
            found.setdefault("/".join([PACKAGE, *parts[:depth], "__init__.py"]), "")
        found["/".join([PACKAGE, *parts]) + ".py"] = textwrap.dedent(text)
    return {**found, **(files or {})}
