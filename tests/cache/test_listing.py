"""What a store holds, as of a moment ago."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from kedro_eeipu.cache.store.listing import Listing
from kedro_eeipu.cache.store.store import Store


def test_slow_listing_is_made_rarely_and_what_is_made_since_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, now, listings = Store(str(tmp_path / "root")), [0.0], []
    first, evicted = store.dump("first").digest, "0" * 64
    digests = store.digests

    def slow() -> frozenset[str]:
        now[0] += 1.0
        listings.append(now[0])
        return digests()

    monkeypatch.setattr(store, "digests", slow)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    listing = Listing(store)
    assert listing.digests({first, evicted}) == {first}
    second = store.dump("second").digest
    assert listing.digests({first, evicted}) == {first}, "it is not listed again yet"
    assert listing.digests({first, evicted, second}) == {first, second}
    assert len(listings) == 1
    now[0] += 30.0
    assert listing.digests({first, evicted, second}) == {first, second}
    assert len(listings) == 2
