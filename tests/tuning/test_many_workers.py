"""Several drivers with several workers each, on one study in PostgreSQL and one bucket."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from many_workers import check, put_to_sleep, tune


@pytest.mark.slow
def test_six_workers_of_two_drivers_lose_and_repeat_nothing(
    project: Any, s3: Any, postgresql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD")
    put_to_sleep(project, s3, postgresql, seconds=0.2)
    _, confirmed = tune(project, 2, 6, "--trials", "16", "--sampler", "random")
    told = check(project, 16, confirmed)
    assert told["trials"] == 16, "the drivers keep the limit together"
