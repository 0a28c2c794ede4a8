"""Eviction, collection and verification."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedro_eeipu.cache.identity.canonical import combine
from kedro_eeipu.cache.store.eviction import Candidate, Usage, victims
from kedro_eeipu.cache.store.store import Store


@pytest.fixture(params=["local", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "local":
        yield Store(str(tmp_path / "cache"))
    elif request.param == "s3":
        yield request.getfixturevalue("s3").store()
    else:
        yield Store("memory://upkeep-tests/cache")
        fsspec.filesystem("memory").rm("/upkeep-tests", recursive=True)


def _fill(store: Store, costs: dict[str, float]) -> dict[str, str]:
    """One record for each name, with a blob of a kilobyte; returns the keys."""
    keys = {}
    for name, seconds in costs.items():
        keys[name] = combine(code=name)
        store.put(keys[name], [store.dump(name * 1000)], {"seconds": seconds})
    return keys


def _kept(store: Store, keys: dict[str, str]) -> set[str]:
    records = {name: store.get(key) for name, key in keys.items()}
    return {name for name, record in records.items() if record and store.has(record.outputs[0])}


def _candidate(size: int, seconds: float, frequency: int, inflation: float = 0.0) -> Candidate:
    return Candidate(f"{size}", size, seconds, Usage(frequency, inflation))


def test_priority_is_gdsf() -> None:
    assert _candidate(100, 5.0, 3, 0.5).priority == 0.5 + 3 * 5.0 / 100


@given(
    st.lists(
        st.builds(
            _candidate,
            st.integers(1, 10**6),
            st.floats(0, 1e4),
            st.integers(1, 100),
            st.floats(0, 10),
        )
    ),
    st.integers(-10, 10**7),
)
def test_victims_are_the_least_and_no_more_than_needed(
    candidates: list[Candidate], excess: int
) -> None:
    chosen = victims(candidates, excess)
    freed = sum(victim.size for victim in chosen)
    assert freed >= min(max(excess, 0), sum(c.size for c in candidates))
    assert not chosen or freed - chosen[-1].size < excess
    rest = list(candidates)
    for victim in chosen:
        rest.remove(victim)
    if chosen and rest:
        assert max(c.priority for c in chosen) <= min(c.priority for c in rest)


def test_cheap_blobs_go_first_and_records_stay(store: Store) -> None:
    keys = _fill(store, {"a": 1.0, "b": 3.0, "c": 2.0, "d": 4.0})
    result = store.gc(2300)
    assert _kept(store, keys) == {"b", "d"}
    assert len(result.evicted) == 2
    assert result.size == store.stats()["blob_bytes"] <= 2300
    assert store.stats()["records"] == 4
    assert store.verify() == []


def test_used_blobs_stay(store: Store) -> None:
    keys = _fill(store, {"a": 1.0, "b": 1.5, "c": 1.2})
    record = store.get(keys["a"])
    assert record is not None
    for _ in range(3):
        store.load(record.outputs[0])
    store.gc(2300)
    assert _kept(store, keys) == {"a", "b"}


def test_blobs_that_were_popular_long_ago_are_overtaken(store: Store) -> None:
    keys = _fill(store, {"old": 1.0})
    record = store.get(keys["old"])
    assert record is not None
    store.load(record.outputs[0])
    for name in "abcdefgh":
        keys |= _fill(store, {name: 1.9})
        record = store.get(keys[name])
        assert record is not None
        store.load(record.outputs[0])
        store.gc(3300)
    assert "old" not in _kept(store, keys)
    assert len(_kept(store, keys)) >= 1


def test_no_limit_evicts_nothing(store: Store) -> None:
    keys = _fill(store, {"a": 1.0, "b": 2.0})
    result = store.gc(None)
    assert (result.evicted, result.orphans, result.freed) == ((), 0, 0)
    assert _kept(store, keys) == {"a", "b"}


def test_blob_under_lease_stays(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "cache"))
    keys = _fill(store, {"a": 1.0, "b": 2.0})
    lease = tmp_path / "cache" / "leases" / keys["a"]
    lease.parent.mkdir()
    lease.write_bytes(b"{}")
    store.gc(0)
    assert _kept(store, keys) == {"a"}


def test_case_36_orphans_and_temporaries_go_after_the_grace_period(tmp_path: Path) -> None:
    root = tmp_path / "cache"
    store = Store(str(root))
    keys = _fill(store, {"a": 1.0})
    orphan = store.dump("orphan")
    (root / "tmp" / ("f" * 32)).write_bytes(b"half")
    (root / "tmp" / "notes.txt").write_bytes(b"not ours")
    assert store.gc(None).orphans == 0
    assert store.has(orphan)
    for file in [*root.rglob("*")]:
        if file.is_file():
            os.utime(file, (file.stat().st_mtime - 7200,) * 2)
    result = store.gc(None)
    assert (result.orphans, result.swept) == (1, 1)
    assert not store.has(orphan)
    assert _kept(store, keys) == {"a"}
    assert (root / "tmp" / "notes.txt").exists()


def test_orphan_that_is_found_again_is_young_again(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "cache"))
    blob = store.dump("value")
    file = tmp_path / "cache" / "cas" / blob.digest[:2] / blob.digest
    os.utime(file, (1, 1))
    again = store.dump("value")
    assert again.digest == blob.digest
    assert store.gc(None).orphans == 0
    assert store.has(again)


def test_age_is_told_by_the_clock_of_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(str(tmp_path / "cache"))
    orphan = store.dump("value")
    monkeypatch.setattr("time.time", lambda: 4e9)
    assert store.gc(None).orphans == 0
    assert store.has(orphan)


def test_verify_names_strangers(tmp_path: Path) -> None:
    root = tmp_path / "cache"
    store = Store(str(root))
    _fill(store, {"a": 1.0})
    (root / "cas" / "stranger").write_bytes(b"")
    (root / "ac" / "stranger.json").write_bytes(b"")
    blob = store.dump("b")
    good = root / "cas" / blob.digest[:2] / blob.digest
    misplaced = root / "cas" / "00" / blob.digest
    misplaced.parent.mkdir(exist_ok=True)
    good.rename(misplaced)
    assert {problem.path for problem in store.verify()} == {
        "ac/stranger.json",
        "cas/stranger",
        f"cas/00/{blob.digest}",
    }
    assert store.gc(0, 0).orphans == 0
