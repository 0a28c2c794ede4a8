"""Tables on a terminal and in a pipe."""

from __future__ import annotations

import re
from typing import Any

import pytest

DEFAULTS = {"clean.scale": 1.0, "left.weight": 2.0, "right.power": 2, "shift": 3.0}


def test_listings_keep_to_one_line_at_80_columns_and_are_whole_in_a_pipe(
    project: Any, shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = "a_name_that_is_longer_than_a_column_of_80_characters_has_room_for"
    pipeline = project.source / "pipeline.py"
    pipeline.write_text(
        pipeline.read_text()
        .replace('name="left"', f'name="{long}"')
        .replace('"left_rows"', f'"[b]{long}"')
    )
    project.tuner().evaluate(DEFAULTS)
    monkeypatch.setenv("COLUMNS", "80")
    listings = (("cache", "ls"), ("explain", "--trial", "0"), ("plan",))
    for listing in listings:
        assert long in shell(*listing).stdout
    monkeypatch.setenv("FORCE_COLOR", "1")  # as in a terminal
    for listing in listings:
        shown = re.sub(r"\x1b\[[0-9;]*m", "", shell(*listing).stdout)
        assert all(len(line) <= 80 for line in shown.splitlines())
        if listing == ("cache", "ls"):
            assert len(shown.splitlines()) == 6
            assert " [b]a_name" in shown, "a name is no markup"
