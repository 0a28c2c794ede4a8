"""The store: records, blobs, trust and trouble."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import pickle
import shutil
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import fsspec
import numpy as np
import pytest
from code_edits import Loader

from kedro_eeipu.cache.files import status
from kedro_eeipu.cache.identity.canonical import combine
from kedro_eeipu.cache.store import payload
from kedro_eeipu.cache.store.chunks import read_hashed
from kedro_eeipu.cache.store.record import Blob, InvalidRecord, Record, decode, encode
from kedro_eeipu.cache.store.store import CacheMiss, Store, Unstorable

KEY = combine(code="a")
OTHER = combine(code="b")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture(params=["local", "memory", "s3"])
def store(request: pytest.FixtureRequest, root: Path) -> Iterator[Store]:
    if request.param == "local":
        yield Store(str(root))
    elif request.param == "s3":
        yield request.getfixturevalue("s3").store()
    else:
        yield Store("memory://store-tests/cache")
        with contextlib.suppress(FileNotFoundError):
            fsspec.filesystem("memory").rm("/store-tests", recursive=True)


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._folder),)


def _blob_file(root: Path, blob: Blob) -> Path:
    return root / "cas" / blob.digest[:2] / blob.digest


def _record_file(root: Path, key: str = KEY) -> Path:
    return root / "ac" / key[:2] / f"{key}.json"


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


# --- the normal case ------------------------------------------------------------------------------


def test_value_and_record_come_back(store: Store) -> None:
    blobs = [store.dump({"a": 1}), store.dump(np.arange(300_000))]
    record = store.put(KEY, blobs, {"node": "n", "seconds": 1.5})
    assert store.get(KEY) == record == Record(KEY, tuple(blobs), {"node": "n", "seconds": 1.5})
    assert store.load(record.outputs[0]) == {"a": 1}
    np.testing.assert_array_equal(store.load(record.outputs[1]), np.arange(300_000))
    assert list(store.records()) == [record]
    assert store.get(OTHER) is None
    assert store.verify() == []


def test_identical_values_are_stored_once(store: Store) -> None:
    first, second = store.dump([1, 2]), store.dump([1, 2])
    assert first.digest == second.digest == store.digest([1, 2]).digest
    assert store.stats()["blobs"] == 1


def test_digest_stores_nothing(store: Store) -> None:
    blob = store.digest("x")
    assert not store.has(blob)
    with pytest.raises(CacheMiss):
        store.load(blob)
    record = store.put(KEY, [blob], {})
    assert store.get(KEY) == record
    assert store.verify() == []


def test_case_35_first_committed_record_wins(store: Store) -> None:
    one, two = store.dump(1), store.dump(2)
    assert store.put(KEY, [one], {}).outputs == (one,)
    assert store.put(KEY, [two], {}).outputs == (one,)
    assert store.get(KEY) == Record(KEY, (one,), {})


def test_store_travels_to_other_processes(root: Path) -> None:
    store = pickle.loads(pickle.dumps(Store(str(root), secret=b"s", max_entry_bytes=1000)))
    store.put(KEY, [store.dump(1)], {})
    assert Store(str(root), secret=b"s").get(KEY) is not None
    with pytest.raises(Unstorable):
        store.dump("x" * 1001)


def test_threads_share_a_store(store: Store) -> None:
    def use(number: int) -> bool:
        key = combine(code=str(number % 5))
        record = store.put(key, [store.dump(number % 5)], {})
        found = store.get(key)
        return found is not None and store.load(found.outputs[0]) == number % 5 and bool(record)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(100)))
    assert store.stats()["records"] == 5


def test_clear_leaves_nothing(store: Store) -> None:
    store.put(KEY, [store.dump(1)], {})
    store.clear()
    assert store.stats()["total_bytes"] == 0
    assert store.get(KEY) is None


# --- values that cannot be stored -----------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [lambda: 0, threading.Lock(), (i for i in range(3)), [open]],
    ids=["lambda", "lock", "generator", "builtin"],
)
def test_case_29_unpicklable_value_is_refused(value: object, root: Path) -> None:
    store = Store(str(root))
    if value == [open]:
        store.dump(value)  # a builtin function is picklable
        return
    with pytest.raises(Unstorable) as refusal:
        store.dump(value)
    assert "pickle" in refusal.value.reason
    with pytest.raises(Unstorable):
        store.digest(value)
    assert store.stats()["total_bytes"] == 0


def test_case_30_value_over_the_limit_is_refused_but_has_a_digest(root: Path) -> None:
    store = Store(str(root), max_entry_bytes=1000)
    with pytest.raises(Unstorable, match="1000 bytes"):
        store.dump("x" * 10_000)
    assert store.stats()["total_bytes"] == 0
    assert store.digest("x" * 10_000).size > 10_000


def test_description_that_is_not_json_is_refused(store: Store) -> None:
    with pytest.raises(Unstorable):
        store.put(KEY, [], {"x": object()})
    assert store.get(KEY) is None


def test_blob_is_hashed_again_only_when_its_file_has_changed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[object] = []

    def reading(*arguments: Any) -> Any:
        hashed.append(arguments)
        return read_hashed(*arguments)

    monkeypatch.setattr(payload, "read_hashed", reading)
    store = Store(str(root))
    blob = store.dump(list(range(1000)))
    for _ in range(2):
        assert store.load(blob) == list(range(1000))
    assert len(hashed) == 2  # just written: a write that follows may leave its times as they are
    monkeypatch.setattr(status, "_FRESH_SECONDS", -1.0)
    for _ in range(3):
        assert store.load(blob) == list(range(1000))
    assert len(hashed) == 3
    file = _blob_file(root, blob)
    data = file.read_bytes()
    file.write_bytes(data[:50] + b"?" + data[51:])
    with pytest.raises(CacheMiss):
        store.load(blob)
    assert len(hashed) == 4


# --- damage ---------------------------------------------------------------------------------------


def _damages(data: bytes) -> dict[str, bytes]:
    return {
        "truncated": data[:-3],
        "empty": b"",
        "altered": data[:10] + bytes([data[10] ^ 1]) + data[11:],
        "longer": data + b" x",
    }


@pytest.mark.parametrize("damage", ["truncated", "empty", "altered", "longer"])
def test_case_37_damaged_blob_is_put_into_quarantine(
    damage: str, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(str(root))
    blob = store.dump({"a": "value"})
    store.put(KEY, [blob], {})
    file = _blob_file(root, blob)
    file.write_bytes(_damages(file.read_bytes())[damage])
    assert len(store.verify()) >= 1
    for _ in range(2):
        with pytest.raises(CacheMiss):
            store.load(blob)
    assert not store.has(blob)
    assert len(list((root / "quarantine").iterdir())) == 1
    assert len(_warnings(caplog)) == 1
    assert store.load(store.dump({"a": "value"})) == {"a": "value"}


@pytest.mark.parametrize(
    "damage", ["truncated", "empty", "altered", "longer", "newer", "null", "array", "binary"]
)
def test_case_37_damaged_record_is_put_into_quarantine(
    damage: str, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(str(root))
    store.put(KEY, [store.dump(1)], {})
    file = _record_file(root)
    data = file.read_bytes()
    document = json.loads(data)
    document["record"]["schema"] = 999
    more = {
        "newer": json.dumps(document).encode(),
        "null": b"null",
        "array": b"[]",
        "binary": b"\xff\x00",
    }
    file.write_bytes({**_damages(data), **more}[damage])
    assert len(store.verify()) == 1
    assert store.get(KEY) is None
    assert store.get(KEY) is None
    assert len(list((root / "quarantine").iterdir())) == 1
    assert len(_warnings(caplog)) == 1
    assert store.put(KEY, [store.dump(2)], {}).meta == {}
    assert store.get(KEY) is not None


def test_case_39_missing_blob_is_a_miss(root: Path) -> None:
    store = Store(str(root))
    blob = store.dump(1)
    store.put(KEY, [blob], {})
    _blob_file(root, blob).unlink()
    assert not store.has(blob)
    with pytest.raises(CacheMiss, match="no longer"):
        store.load(blob)
    assert [problem.path for problem in store.verify()] == [f"ac/{KEY[:2]}/{KEY}.json"]


def test_blob_of_a_class_that_is_gone(project: Loader, root: Path) -> None:
    store = Store(str(root))
    with project({"nodes.py": "class M:\n    pass\n"}) as nodes:
        blob = store.dump(nodes.M())
        assert type(store.load(blob)) is nodes.M
    with project({"nodes.py": ""}), pytest.raises(CacheMiss):
        store.load(blob)


# --- trouble with the storage ---------------------------------------------------------------------


def test_case_38_root_deleted_between_operations(root: Path) -> None:
    store = Store(str(root))
    blob = store.dump(1)
    store.put(KEY, [blob], {})
    shutil.rmtree(root)
    assert store.get(KEY) is None
    assert not store.has(blob)
    with pytest.raises(CacheMiss):
        store.load(blob)
    assert list(store.records()) == []
    assert store.verify() == []
    assert store.gc(0).size == 0
    with store.lease(KEY) as mine:
        assert mine
        shutil.rmtree(root)
    store.put(KEY, [store.dump(1)], {})
    assert store.get(KEY) is not None


def test_case_38_root_deleted_all_the_time(root: Path) -> None:
    store = Store(str(root), lease_seconds=0.2)
    done = threading.Event()

    def delete() -> None:
        while not done.is_set():
            shutil.rmtree(root, ignore_errors=True)

    thread = threading.Thread(target=delete)
    thread.start()
    try:
        for number in range(200):
            key = combine(code=str(number))
            with store.lease(key, wait=0.5):
                try:
                    store.put(key, [store.dump(number)], {})
                    record = store.get(key)
                    if record is not None:
                        assert store.load(record.outputs[0]) == number
                except (Unstorable, CacheMiss):
                    pass
            store.stats()
            store.gc(0, 0)
    finally:
        done.set()
        thread.join()


def test_case_38_root_is_a_file(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    root.write_text("")
    store = Store(str(root))
    _assert_useless(store)
    assert 1 <= len(_warnings(caplog)) <= 4


def _assert_useless(store: Store) -> None:
    """Nothing can be stored or found, and nothing else happens."""
    blob = store.digest(1)
    assert store.get(KEY) is None
    assert not store.has(blob)
    with pytest.raises(CacheMiss):
        store.load(blob)
    with pytest.raises(Unstorable):
        store.dump(1)
    with pytest.raises(Unstorable):
        store.put(KEY, [blob], {})
    with store.lease(KEY, wait=0) as mine:
        assert mine
    assert list(store.records()) == []
    store.stats(), store.verify(), store.gc(0)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_case_38_writing_fails(
    number: int, root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(str(root))
    blob = store.dump(1)
    store.put(KEY, [blob], {})
    open_file = os.open

    def refuse(path: str, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & os.O_WRONLY and str(path).startswith(str(root)):
            raise OSError(number, os.strerror(number), path)
        return open_file(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    for _ in range(3):
        with pytest.raises(Unstorable, match=errno.errorcode[number]):
            store.dump(2)
        with pytest.raises(Unstorable):
            store.put(OTHER, [blob], {})
    with store.lease(OTHER) as mine:
        assert mine
    assert store.load(store.get(KEY).outputs[0]) == 1  # type: ignore[union-attr]
    assert len(_warnings(caplog)) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_case_38_disk_full(tmp_path: Path) -> None:
    root = tmp_path / "small"
    root.mkdir()
    if os.system(f"mount -t tmpfs -o size=1m,mode=0700 tmpfs {root} 2>/dev/null") != 0:
        pytest.skip("mounting is not allowed here")
    try:
        store = Store(str(root))
        kept = store.dump("small")
        store.put(KEY, [kept], {})
        with pytest.raises(Unstorable, match="ENOSPC"):
            store.dump(np.zeros(1_000_000))
        blobs: list[Blob] = []
        with contextlib.suppress(Unstorable):
            while True:
                blobs += [store.dump([len(blobs)] * 5000)]
        assert len(blobs) > 10
        assert store.get(KEY) is not None
        assert store.load(kept) == "small"
        assert all(store.load(blob) == [n] * 5000 for n, blob in enumerate(blobs))
        assert store.verify() == []
        assert list((root / "tmp").iterdir()) == []
    finally:
        os.system(f"umount {root}")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_case_38_read_only_root(root: Path) -> None:
    store = Store(str(root))
    blob = store.dump([1])
    store.put(KEY, [blob], {})
    if os.system(f"mount --bind {root} {root} && mount -o remount,bind,ro {root} 2>/dev/null") != 0:
        os.system(f"umount {root} 2>/dev/null")
        pytest.skip("mounting is not allowed here")
    try:
        store = Store(str(root))
        assert store.load(store.get(KEY).outputs[0]) == [1]  # type: ignore[union-attr]
        with pytest.raises(Unstorable, match="EROFS"):
            store.dump(2)
        with store.lease(OTHER) as mine:
            assert mine
        store.gc(0, 0)
    finally:
        os.system(f"umount {root}")


def test_case_38_permission_removed(root: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("permissions do not bind root; the mounted file systems stand for them")
    store = Store(str(root))
    store.put(KEY, [store.dump(1)], {})
    root.chmod(0)
    try:
        _assert_useless(Store(str(root)))
    finally:
        root.chmod(0o700)


def test_case_41_nothing_is_published_when_an_object_store_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Store("memory://fails/cache")
    memory = type(fsspec.filesystem("memory"))

    def fail(*args: object, **kwargs: object) -> NoReturn:
        raise ConnectionError("reset by peer")

    monkeypatch.setattr(memory, "pipe_file", fail)
    with pytest.raises(Unstorable):
        store.dump(1)
    with pytest.raises(Unstorable):
        store.put(KEY, [], {})
    monkeypatch.undo()

    class Failing:
        def __reduce__(self) -> NoReturn:
            raise ConnectionError("while pickling")

    with pytest.raises(Unstorable):
        store.dump([1, Failing()])
    assert store.stats()["total_bytes"] == 0


# --- names and trust ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../../etc/passwd", "a" * 63, "A" * 64, KEY + "\n", "", "/" * 64])
def test_case_42_only_digests_become_paths(name: str, root: Path) -> None:
    store = Store(str(root))
    with pytest.raises(ValueError, match="not a digest"):
        store.get(name)
    with pytest.raises(ValueError, match="not a digest"):
        store.put(name, [], {})
    with pytest.raises(ValueError, match="not a digest"):
        store.load(Blob(name, 1, 0.0))
    with store.lease(name) as mine:
        assert mine


def test_case_42_any_name_may_stand_in_the_description(store: Store) -> None:
    meta = {"node": "../" * 100 + "ü:#\0", "seconds": 1}
    store.put(KEY, [], meta)
    found = store.get(KEY)
    assert found is not None
    assert found.meta == meta


def test_case_43_record_that_points_outside_the_root(root: Path) -> None:
    store = Store(str(root))
    blob = store.dump(1)
    store.put(KEY, [blob], {})
    file = _record_file(root)
    document = json.loads(file.read_bytes())
    document["record"]["outputs"][0]["digest"] = "../../../../etc/passwd"
    file.write_text(json.dumps(document))
    assert store.get(KEY) is None


def test_case_43_record_under_another_key(root: Path) -> None:
    store = Store(str(root))
    store.put(KEY, [store.dump(1)], {})
    _record_file(root, OTHER).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(_record_file(root), _record_file(root, OTHER))
    assert store.get(OTHER) is None
    assert store.get(KEY) is not None


def test_case_43_blob_under_another_digest(root: Path) -> None:
    store = Store(str(root))
    one, two = store.dump("aaaa"), store.dump("bbbb")
    assert one.size == two.size
    shutil.copy(_blob_file(root, two), _blob_file(root, one))
    with pytest.raises(CacheMiss):
        store.load(one)
    assert store.load(two) == "bbbb"


@pytest.mark.skipif(os.name == "nt", reason="modes mean nothing there")
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
@pytest.mark.parametrize("folder", ["", "ac", "cas"])
def test_case_44_root_that_others_may_write_to_is_not_used(
    folder: str, mode: int, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(str(root))
    blob = store.dump(1)
    store.put(KEY, [blob], {})
    (root / folder).chmod(mode)
    _assert_useless(store)
    assert len(_warnings(caplog)) == 1
    assert "secret" in _warnings(caplog)[0]
    (root / folder).chmod(0o700)
    assert store.load(blob) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_case_44_root_of_another_user_is_not_used(root: Path) -> None:
    store = Store(str(root))
    store.put(KEY, [store.dump(1)], {})
    os.chown(root, 12345, 12345)
    _assert_useless(store)


def test_folders_are_made_private(root: Path) -> None:
    before = os.umask(0)
    try:
        store = Store(str(root / "a" / "b"))
        store.put(KEY, [store.dump(1)], {})
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (root / "a").rglob("*")}
    assert modes == {0o700, 0o600}


def test_case_44_planted_pickle_in_a_shared_root(root: Path, tmp_path: Path) -> None:
    """Somebody who may write to the root, but has not the secret, plants a record and a blob."""
    ours = Store(str(root), secret=b"ours")
    blob = ours.dump(1)
    ours.put(KEY, [blob], {})
    root.chmod(0o777)
    assert ours.load(ours.get(KEY).outputs[0]) == 1  # type: ignore[union-attr]
    exploded = tmp_path / "exploded"
    theirs = Store(str(root), secret=b"theirs")
    planted = theirs.dump(Bomb(exploded))
    theirs.put(OTHER, [planted], {})
    unsigned = encode(Record(KEY, (planted,), {}), (True,), None)
    _record_file(root).write_bytes(unsigned)
    shutil.copy(_blob_file(root, planted), _blob_file(root, blob))
    assert ours.get(KEY) is None
    assert ours.get(OTHER) is None
    assert list(ours.records()) == []
    with pytest.raises(CacheMiss):
        ours.load(blob)
    ours.verify(), ours.gc(0, 0), ours.stats()
    assert not exploded.exists()


def test_case_44_remote_root_needs_a_secret(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    memory = type(fsspec.filesystem("memory"))
    monkeypatch.setattr(memory, "protocol", ("memory", "remote"))
    _assert_useless(Store("memory://needs-secret"))
    assert len(_warnings(caplog)) == 1
    store = Store("memory://needs-secret", secret=b"s")
    store.put(KEY, [store.dump(1)], {})
    assert store.load(store.get(KEY).outputs[0]) == 1  # type: ignore[union-attr]


def test_case_44_every_part_of_a_record_is_signed() -> None:
    blob = Blob("a" * 64, 3, 0.5)
    data = encode(Record(KEY, (blob,), {"node": "n"}), (True,), b"secret")
    assert decode(data, KEY, b"secret")[0].outputs == (blob,)
    assert b"secret" not in data
    document = json.loads(data)
    changes: list[dict[str, object]] = [
        {"meta": {"node": "m"}},
        {"outputs": []},
        {"outputs": [{**document["record"]["outputs"][0], "digest": "b" * 64}]},
        {"outputs": [{**document["record"]["outputs"][0], "size": 4}]},
    ]
    for change in changes:
        tampered = {**document, "record": {**document["record"], **change}}
        with pytest.raises(InvalidRecord, match="signature"):
            decode(json.dumps(tampered).encode(), KEY, b"secret")
    for signature in (None, "", "0" * 64, 1):
        with pytest.raises(InvalidRecord, match="signature"):
            decode(json.dumps({**document, "signature": signature}).encode(), KEY, b"secret")
    with pytest.raises(InvalidRecord, match="another key"):
        decode(data, OTHER, b"secret")


def test_case_17_secret_is_in_no_file(root: Path) -> None:
    store = Store(str(root), secret=b"hunter2", storage_options={"auto_mkdir": False})
    with store.lease(KEY):
        store.put(KEY, [store.dump(1)], {})
        files = [path for path in root.rglob("*") if path.is_file()]
        assert len(files) >= 3
        assert not any(b"hunter2" in path.read_bytes() for path in files)
    assert "hunter2" not in repr(store)


def test_sweeping_never_follows_links_out_of_the_root(root: Path, tmp_path: Path) -> None:
    store = Store(str(root))
    store.put(KEY, [store.dump(1)], {})
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / ("a" * 32)).write_text("x")
    shutil.rmtree(root / "tmp")
    (root / "tmp").symlink_to(precious, target_is_directory=True)
    (root / "quarantine").mkdir()
    (root / "quarantine" / "b").symlink_to(precious, target_is_directory=True)
    store.gc(None, -10)
    store.clear()
    assert (precious / ("a" * 32)).exists()


def test_record_whose_blobs_are_gone_is_replaced(root: Path) -> None:
    """Of a draw that is not repeated, the new blobs would otherwise never be found."""
    store = Store(str(root))
    first, second = store.dump([0.1]), store.dump([0.2])
    store.put(KEY, [first], {})
    assert store.put(KEY, [second], {}).outputs == (first,), "a whole record stays"
    (root / "cas" / first.digest[:2] / first.digest).unlink()
    assert store.put(KEY, [second], {}).outputs == (second,)
    record = store.get(KEY)
    assert record is not None
    assert record.outputs == (second,)


def test_notes_are_replaced_and_counted(store: Store) -> None:
    assert store.notes.get("verified", KEY) is None
    assert not store.notes.keys("verified")
    store.put(KEY, [store.dump(1)], {})
    for world in ("then", "now"):
        store.notes.put("verified", KEY, {"world": world})
    store.notes.put("verified", OTHER, {})  # of a record that is gone
    store.notes.put("doubts", KEY, {"never": True})
    assert store.notes.get("verified", KEY) == {"world": "now"}
    assert store.notes.keys("verified") == {KEY, OTHER}
    assert store.stats()["verified"] == 1
    store.clear()
    assert store.notes.get("doubts", KEY) == {"never": True}, "trials stay, and so it stays true"
    assert not store.notes.keys("verified")
    assert store.notes.get("verified", KEY) is None


def test_notes_are_signed(root: Path) -> None:
    ours = Store(str(root), secret=b"ours")
    for kind in ("verified", "doubts"):
        ours.notes.put(kind, KEY, {"kind": kind})
    assert Store(str(root), secret=b"theirs").notes.get("verified", KEY) is None
    inside = Path(KEY[:2]) / f"{KEY}.json"
    (root / "notes" / "verified" / inside).replace(root / "notes" / "doubts" / inside)
    assert ours.notes.get("doubts", KEY) is None, "a note is none of another kind"
