"""A root in a bucket: what an object store does otherwise than a folder, and the local copies."""

from __future__ import annotations

import json
import logging
import os
import pickle
import threading
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from kedro_eeipu.cache.files import mirrored as copies
from kedro_eeipu.cache.identity.canonical import combine
from kedro_eeipu.cache.store.record import Record, encode
from kedro_eeipu.cache.store.store import CacheMiss, Store, Unstorable

KEY = combine(code="a")
OTHER = combine(code="b")
LARGE = 120 * 2**20  # beyond what s3fs uploads in one request


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._folder),)


def place(root: str, path: str) -> dict[str, str]:
    """Bucket and key of a file of a store, as boto3 wants them."""
    bucket, _, prefix = root.removeprefix("s3://").partition("/")
    return {"Bucket": bucket, "Key": f"{prefix}/{path}"}


def blob_at(store: Store, digest: str) -> dict[str, str]:
    return place(store.root, f"cas/{digest[:2]}/{digest}")


@pytest.mark.parametrize("kept", [False, True], ids=["from memory", "from a copy"])
def test_interrupted_upload_publishes_nothing(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    store = s3.store(copies=str(tmp_path / "copies") if kept else None)
    filesystem = type(fsspec.filesystem("s3", **s3.options))
    send, calls = filesystem._call_s3, []

    async def fail(self: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        calls.append(method)
        if method == "upload_part" and calls.count("upload_part") > 1:
            raise OSError("the line is cut")
        return await send(self, method, *args, **kwargs)

    monkeypatch.setattr(filesystem, "_call_s3", fail)
    with pytest.raises(Unstorable, match="the line is cut"):
        store.dump(np.zeros(LARGE, dtype=np.uint8))
    monkeypatch.undo()
    assert calls.count("upload_part") > 1, "the upload was under way"
    assert s3.keys(place(store.root, "")["Bucket"]) == []
    assert store.verify() == []


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_interrupted_serialising_publishes_nothing(s3: Any, tmp_path: Path, error: type) -> None:
    class Stops:
        def __reduce__(self) -> Any:
            raise error("in the middle")

    store = s3.store(copies=str(tmp_path / "copies"))
    with pytest.raises((Unstorable, KeyboardInterrupt)):
        store.dump([np.zeros(10**6), Stops()])
    assert s3.keys(place(store.root, "")["Bucket"]) == []
    assert [f for f in (tmp_path / "copies").rglob("*") if f.is_file()] == []


def test_stale_listing_gives_no_wrong_answer(s3: Any) -> None:
    """Another machine deletes and writes while this one has listed the bucket before."""
    here = s3.store()
    blob, other = here.dump("one"), here.digest("two")
    here.put(KEY, [blob], {})
    listed = here._files._fs
    bucket = place(here.root, "")["Bucket"]
    for folder in ("ac", "cas"):
        listed.find(f"{bucket}/some/prefix/{folder}", detail=True)
        listed.ls(f"{bucket}/some/prefix/{folder}")
    client = s3.client()
    client.delete_object(**blob_at(here, blob.digest))
    there = Store(
        here.root, storage_options={**s3.options, "version_aware": False}, secret=b"signs"
    )
    there.put(OTHER, [there.dump("two")], {})
    assert not here.has(blob)
    with pytest.raises(CacheMiss):
        here.load(blob)
    assert here.has(other)
    found = here.get(OTHER)
    assert found is not None
    assert here.load(found.outputs[0]) == "two"
    assert here.digests() == {other.digest}
    assert {record.key for record in here.records()} == {KEY, OTHER}


def test_first_of_two_writers_wins(s3: Any) -> None:
    stores = [s3.store()]
    stores.append(s3.store(stores[0].root))
    blobs = [store.dump(number) for number, store in enumerate(stores)]
    barrier, records = threading.Barrier(2), {}

    def write(number: int) -> None:
        barrier.wait()
        records[number] = stores[number].put(KEY, [blobs[number]], {})

    threads = [threading.Thread(target=write, args=(n,)) for n in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert records[0] == records[1] == stores[0].get(KEY)


def test_planted_and_tampered_records_are_refused(
    s3: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours = s3.store(copies=str(tmp_path / "copies"))
    theirs = s3.store(ours.root, secret=b"guessed")
    exploded = tmp_path / "exploded"
    blob, planted = ours.dump("ours"), theirs.dump(Bomb(exploded))
    theirs.put(KEY, [planted], {})
    ours.put(OTHER, [blob], {"seconds": 1.0})
    client, at = s3.client(), place(ours.root, f"ac/{OTHER[:2]}/{OTHER}.json")
    signed = json.loads(client.get_object(**at)["Body"].read())
    signed["record"]["outputs"][0]["digest"] = planted.digest
    client.put_object(**at, Body=json.dumps(signed).encode())
    with caplog.at_level(logging.WARNING):
        assert ours.get(KEY) is None
        assert ours.get(OTHER) is None
    assert caplog.text.count("refused: its signature is missing or wrong") == 1
    unsigned = encode(Record(KEY, (planted,), {}), (True,), None)
    client.put_object(**place(ours.root, f"ac/{KEY[:2]}/{KEY}.json"), Body=unsigned)
    assert ours.get(KEY) is None
    assert list(ours.records()) == []
    assert ours.put(KEY, [blob], {}).outputs == (blob,), "the refused record is out of the way"
    ours.verify(), ours.gc(0, 0), ours.stats()
    assert not exploded.exists()


def test_blob_swapped_in_the_bucket_is_not_loaded(s3: Any, tmp_path: Path) -> None:
    store, exploded = s3.store(), tmp_path / "exploded"
    blob = store.dump("ours")
    store.put(KEY, [blob], {})
    s3.client().put_object(**blob_at(store, blob.digest), Body=pickle.dumps(Bomb(exploded)))
    with pytest.raises(CacheMiss, match="damaged"):
        store.load(blob)
    assert not exploded.exists()
    assert any("/quarantine/" in key for key in s3.keys(place(store.root, "")["Bucket"]))


@pytest.mark.parametrize("kept", [False, True], ids=["in memory", "with copies"])
def test_a_computation_takes_six_requests(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    """Each is a round trip to a bucket that may be far away."""
    store = s3.store(copies=str(tmp_path) if kept else None)
    filesystem = type(fsspec.filesystem("s3", **s3.options))
    send, calls = filesystem._call_s3, []

    async def count(self: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        calls.append(method)
        return await send(self, method, *args, **kwargs)

    monkeypatch.setattr(filesystem, "_call_s3", count)
    assert store.get(KEY) is None
    with store.lease(KEY) as mine:
        assert mine
        store.put(KEY, [store.dump({"a": 1})], {})
    looked, held, asked, blob, record, released = (
        "get_object", "put_object", "get_object", "put_object", "put_object", "delete_object",
    )  # fmt: skip
    assert calls == [looked, held, asked, blob, record, released]
    calls.clear()
    found = store.get(KEY)
    assert found is not None
    assert store.has(found.outputs[0])
    assert calls == ["get_object", "head_object"]


# --- copies on this machine -----------------------------------------------------------------------


def copied(folder: Path) -> list[Path]:
    return [f for f in (folder / "cas").rglob("*") if f.is_file()]


def test_blob_is_fetched_once_per_machine(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = s3.store(copies=str(tmp_path / "one machine"))
    value = np.arange(10**6)
    blob = writer.dump(value)
    filesystem = fsspec.filesystem("s3", **s3.options)
    fetched: list[str] = []
    get = filesystem.get_file

    def count(remote: str, local: str, **options: Any) -> None:
        fetched.append(remote)
        get(remote, local, **options)

    monkeypatch.setattr(filesystem, "get_file", count)
    np.testing.assert_array_equal(writer.load(blob), value)
    assert fetched == [], "who has written it has it already"
    readers = [s3.store(writer.root, copies=str(tmp_path / "another")) for _ in range(4)]
    threads = [threading.Thread(target=reader.load, args=(blob,)) for reader in readers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(readers[0].load(blob), value)
    assert len(fetched) == 1
    assert [f.name for f in copied(tmp_path / "another")] == [blob.digest]


@pytest.mark.parametrize("harm", ["altered", "truncated", "replaced"])
def test_harmed_copy_is_fetched_again(s3: Any, tmp_path: Path, harm: str) -> None:
    store, exploded = s3.store(copies=str(tmp_path)), tmp_path / "exploded"
    blob = store.dump({"a": "x" * 1000})
    (copy,) = copied(tmp_path)
    content = copy.read_bytes()
    copy.write_bytes(
        {
            "altered": content.replace(b"x", b"y", 1),
            "truncated": content[:-1],
            "replaced": pickle.dumps(Bomb(exploded)),
        }[harm]
    )
    assert store.load(blob) == {"a": "x" * 1000}
    assert copied(tmp_path)[0].read_bytes() == content
    assert not exploded.exists()
    assert store.verify() == []


def test_copies_keep_within_their_limit(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "_MOST_BYTES", 3500)
    store = s3.store(copies=str(tmp_path))
    blobs = [store.dump(str(n) * 1000) for n in range(3)]
    for age, blob in enumerate(blobs):
        os.utime(tmp_path / "cas" / blob.digest[:2] / blob.digest, (age, age))
    assert store.load(blobs[0]) == "0" * 1000, "used, so the youngest now"
    newest = store.dump("3" * 1000)
    left = {f.name for f in copied(tmp_path)}
    assert left == {blobs[0].digest, blobs[2].digest, newest.digest}
    store.dump("4" * 10_000)
    assert {f.name for f in copied(tmp_path)} == left, "what is too large is not kept"
    assert store.load(blobs[1]) == "1" * 1000, "and what was dropped comes from the bucket"


def test_without_room_for_copies_all_works(s3: Any, tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("no folder can be made here")
    store = s3.store(copies=str(in_the_way / "copies"))
    blob = store.dump("value")
    store.put(KEY, [blob], {})
    assert store.load(blob) == "value"
    assert s3.store(store.root, copies=str(in_the_way / "copies")).load(blob) == "value"


def test_evicted_blob_is_not_served_from_its_copy(s3: Any, tmp_path: Path) -> None:
    """What the bucket no longer has nobody else could get: all machines see one cache."""
    store = s3.store(copies=str(tmp_path))
    blob = store.dump("value")
    store.put(KEY, [blob], {"seconds": 1.0})
    assert store.gc(0, 3600).evicted == (blob.digest,)
    assert not store.has(blob)
    assert copied(tmp_path) == []
    assert store.verify() == []
