"""The libraries that a library requires."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from code_edits import Loader

from kedro_eeipu.cache.identity import origin, requirements
from kedro_eeipu.cache.identity.code import code_identity
from kedro_eeipu.cache.identity.requirements import required, with_requirements
from kedro_eeipu.cache.store import payload

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a distribution, or another version of it, of one module with its name."""
    site = tmp_path / "site-packages"
    monkeypatch.syspath_prepend(str(site))

    def forget() -> None:
        origin._origin.cache_clear()
        origin._owners.cache_clear()
        origin._library_version.cache_clear()
        requirements._required.cache_clear()
        requirements._asked_by.cache_clear()
        requirements._installed.cache_clear()

    def install(name: str, version: str, *requires: str) -> None:
        for old in site.glob(f"{name}-*.dist-info"):
            (old / "METADATA").unlink()
            (old / "RECORD").unlink()
            old.rmdir()
        info = site / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {line}" for line in requires]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        (info / "RECORD").write_text(f"{name}.py,,\n")
        (site / f"{name}.py").write_text("def solve(x):\n    return x\n")
        forget()

    yield install
    forget()


def test_what_a_library_requires_and_what_that_requires(install: Install) -> None:
    install("solvers", "1.0", "arrays>=1", 'plots; extra == "all"', "absent")
    install("arrays", "2.0", "kernels", 'old; python_version < "3"')
    install("kernels", "3.0", "solvers", "tables[fast]")
    install("tables", "4.0", 'speedups; extra == "fast"', 'slow; extra == "slow"', "=odd=")
    for name in ("plots", "old", "speedups", "slow"):
        install(name, "1.0")
    expected = {"arrays": "2.0", "kernels": "3.0", "speedups": "1.0", "tables": "4.0"}
    assert required(["solvers"]) == {f"required {name}": v for name, v in expected.items()}
    assert "required arrays" not in required(["solvers", "arrays"])
    assert with_requirements({"slow": "slow 1.0"}) == {"slow": "slow 1.0"}
    assert required(["python", ""]) == {}


def test_upgrade_of_what_a_library_requires_counts(install: Install, project: Loader) -> None:
    install("solvers", "1.0", "arrays")
    install("arrays", "2.0")
    install("besides", "1.0")
    text = "def node(x):\n    from solvers import solve\n    return solve(x)\n"
    with project({"nodes.py": text}) as nodes:
        before = code_identity(nodes.node)
        install("besides", "1.1")
        assert code_identity(nodes.node).digest == before.digest
        install("arrays", "2.1")
        after = code_identity(nodes.node)
    assert after.digest != before.digest
    assert {n for n in after.parts if after.parts[n] != before.parts.get(n)} == {"required arrays"}


def test_what_a_value_s_library_requires_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node may use NumPy through the frame that it takes in."""
    assert "required numpy" in required(["pandas"])
    frame = pd.DataFrame({"a": [1.0]})
    before, _ = payload.write(frame, io.BytesIO(), None)
    monkeypatch.setattr(
        "kedro_eeipu.cache.store.payload.with_requirements",
        lambda libraries: {**libraries, "required numpy": "99"} if libraries else {},
    )
    assert payload.write(frame, io.BytesIO(), None)[0] != before


def test_what_kedro_requires_has_no_part_in_what_a_node_computes() -> None:
    assert required(["kedro", "kedro_datasets"]) == {}
