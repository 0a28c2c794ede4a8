"""What the tests of the commands share."""

from __future__ import annotations

from typing import Any

import pytest
from command_line import Shell


@pytest.fixture
def shell(project: Any, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("COLUMNS", "120")
    return Shell(project)
