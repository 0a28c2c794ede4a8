"""Several drivers with several workers each, on one study in PostgreSQL and one bucket."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from many_workers import check, put_to_sleep, tune


@pytest.mark.slow
def test_two_drivers_of_two_workers_lose_and_repeat_nothing(
    project: Any, s3: Any, postgresql: Any
) -> None:
    put_to_sleep(project, s3, postgresql, seconds=0.1)
    tune(project, 2, 4, "--trials", "16", "--sampler", "random")
    told = check(project, trials=16)
    assert told["trials"] <= 17, "a driver may begin one more than the limit"
