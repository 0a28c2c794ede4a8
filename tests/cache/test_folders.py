"""Files that datasets have written into the cache: whole or not at all."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from kedro_eeipu.cache.identity.canonical import combine
from kedro_eeipu.cache.store import folders
from kedro_eeipu.cache.store.store import Blob, Store

KEY, NAME, OTHER = (combine(code=name) for name in ("key", "name", "other"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(str(tmp_path / "cache"))
    store.put(KEY, [Blob(NAME, 0, 0.0)], {"seconds": 2.0})
    return store


def write(store: Store, name: str = NAME, key: str = KEY, text: str = "content") -> int:
    folder = store.folders.new()
    Path(folder, "table").mkdir()
    Path(folder, "table", "part").write_text(text)
    return store.folders.commit(folder, name, key, 2.0)


def read(store: Store, name: str = NAME, owner: str = "run") -> str | None:
    folder = store.folders.open(name, owner)
    return None if folder is None else Path(folder, "table", "part").read_text()


def test_folder_is_there_once_it_is_whole(store: Store) -> None:
    folder = store.folders.new()
    Path(folder, "part").write_text("half")
    assert not store.folders.has(NAME)
    assert read(store) is None
    assert write(store) == len("content")
    assert write(store, text="of another") == len("of another"), "the first one stays"
    assert read(store) == "content"
    assert store.stats()["folders"] == 1
    assert store.verify() == []
    assert store.gc(None, grace_seconds=0).swept >= 1
    assert not os.path.exists(folder), "what a killed process left is swept"
    assert read(store) == "content"


@pytest.mark.parametrize("secret", [None, b"secret"])
@pytest.mark.parametrize("damage", ["size", "content", "missing", "account"])
def test_damaged_folder_is_not_read(tmp_path: Path, damage: str, secret: bytes | None) -> None:
    store = Store(str(tmp_path), secret=secret)
    write(store)
    store.folders.release("run")
    file = next(tmp_path.rglob("part"))
    account = next(tmp_path.rglob("account.json"))
    status = os.stat(file)
    if damage == "size":
        file.write_text("longer content")
    elif damage == "content":
        file.write_text("altered")
        if secret:  # without, only its owner can write, and no one sets back the time
            os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif damage == "missing":
        file.unlink()
    else:
        account.write_text(account.read_text().replace(KEY, OTHER) if secret else "{")
    assert [problem.path for problem in store.verify()] == [f"files/{NAME[:2]}/{NAME}"]
    assert read(store) is None
    assert not store.folders.has(NAME)


def test_digests_of_large_files_come_later(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_QUICKLY_HASHED", 3)
    may_hash, hashed = threading.Event(), folders._hash

    def hash_then(path: str) -> str:
        assert may_hash.wait(30)
        return hashed(path)

    monkeypatch.setattr(folders, "_hash", hash_then)
    write(store)
    assert read(store) == "content", "nobody waits for them"
    account = store.folders._account(NAME)
    assert account["files"]["table/part"][2] == ""
    may_hash.set()
    store.folders.settle()
    assert len(store.folders._account(NAME)["files"]["table/part"][2]) == 64
    assert store.verify() == []


def test_file_that_changes_before_its_digest_is_known_is_not_read(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "_QUICKLY_HASHED", 3)
    monkeypatch.setattr(folders.Folders, "_hash_later", lambda *_: None)  # as if killed
    write(store)
    assert read(store) == "content"
    assert store.verify() == []
    file = next(Path(store.root).rglob("part"))
    status = os.stat(file)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert [problem.detail for problem in store.verify()] == ["table/part was changed"]
    store.folders.release("run")
    assert read(store) is None


def test_files_beside_the_content_do_not_count(store: Store, tmp_path: Path) -> None:
    write(store)
    next(tmp_path.rglob("part")).with_name("cache-1.arrow").write_text("of a library")
    assert read(store) == "content"
    assert store.verify() == []


def test_collection_spares_what_a_run_reads(store: Store, tmp_path: Path) -> None:
    write(store)
    write(store, OTHER, key=OTHER)  # it has no record
    assert read(store) == read(store, OTHER) == "content"
    assert store.gc(0, grace_seconds=0).size == 2 * len("content")
    store.folders.release("run")
    assert store.folders.open(OTHER, "later")
    assert store.gc(0, grace_seconds=0).evicted == (NAME,)
    pin = next((tmp_path / "cache" / "pins").iterdir())
    holder = json.loads(pin.read_text())
    pin.write_text(json.dumps({**holder, "pid": 2**22 + 1}))  # a process that has ended
    assert store.gc(None, grace_seconds=0).orphans == 1
    assert not any(store.folders.all())


def test_clear_deletes_all_but_what_a_run_reads(store: Store) -> None:
    write(store)
    write(store, OTHER)
    assert read(store) == "content"
    store.clear()
    assert [folder.digest for folder in store.folders.all()] == [NAME]
    assert read(store) == "content"


def test_no_folders_where_others_may_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    store = Store(str(tmp_path))
    assert not store.folders.are_possible
    assert read(store) is None
    assert not Store("memory://folders").folders.are_possible
