"""Small projects on disk, imported afresh."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from code_edits import Loader


@contextmanager
def _imported(folder: Path) -> Iterator[Any]:
    """The module ``nodes`` in ``folder``; all modules imported meanwhile are forgotten again."""
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield importlib.import_module("nodes")
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None) or ""
            if file.startswith(str(folder)):
                del sys.modules[name]


@pytest.fixture
def project(tmp_path: Path) -> Loader:
    """Write files (by path) to a new folder and return a context with its module ``nodes``."""
    count = 0

    def load(files: dict[str, str]) -> AbstractContextManager[Any]:
        nonlocal count
        count += 1
        folder = tmp_path / f"version{count}"
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        return _imported(folder)

    return load
