"""A store within a size, listed only when it may have outgrown it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kedro_eeipu.cache.store.size_limit import SizeLimit
from kedro_eeipu.cache.store.store import Store


@pytest.fixture
def listings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    store = Store(str(tmp_path / "cache"))
    calls: list[int] = []
    collect = store.gc

    def gc(max_size: int | None, grace_seconds: float = 3600) -> Any:
        calls.append(1)
        return collect(max_size, grace_seconds)

    monkeypatch.setattr(store, "gc", gc)
    return store, calls


def put(store: Store, number: int) -> int:
    blob = store.dump(bytes([number]) * 1000)
    store.put(f"{number:064x}", [blob], {"seconds": 1.0})
    return blob.size


def test_the_limit_holds(listings: Any) -> None:
    store, _ = listings
    limit = SizeLimit(store, 4000)
    for number in range(12):
        limit.written(put(store, number))
        assert store.stats()["blob_bytes"] <= 4000


def test_the_store_is_listed_only_when_it_may_be_full(listings: Any) -> None:
    store, calls = listings
    limit = SizeLimit(store, 100_000)
    for number in range(12):
        limit.written(put(store, number))
        limit.written(0)
    assert len(calls) == 1


def test_without_a_limit_or_anything_written_nothing_is_listed(listings: Any) -> None:
    store, calls = listings
    SizeLimit(store, None).written(put(store, 1))
    SizeLimit(store, 10).written(0)
    assert calls == []
