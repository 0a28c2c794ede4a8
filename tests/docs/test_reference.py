"""What the documentation makes from the code is up to date."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def reference() -> Any:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_made_from_the_code_is_up_to_date() -> None:
    stale = [
        file.relative_to(ROOT).as_posix()
        for file, text in reference().made().items()
        if not file.exists() or file.read_text(encoding="utf-8") != text
    ]
    assert not stale, "run `make reference`"
