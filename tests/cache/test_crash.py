"""Processes that are killed while they use the cache."""

from __future__ import annotations

import itertools
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kedro_eeipu.cache.identity.canonical import combine
from kedro_eeipu.cache.store.store import Blob, CacheMiss, Store, Unstorable

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

_KEYS = 30
_LEASE = 0.3


def _value(number: int) -> dict[str, Any]:
    return {"number": number, "data": np.full(40_000 * (number % 4), number)}


def _is_right(value: object, number: int) -> bool:
    expected = _value(number)
    return (
        isinstance(value, dict)
        and value["number"] == number
        and np.array_equal(value["data"], expected["data"])
    )


def _use(root: Path, seed: int) -> None:
    """Ask for random keys; exit with status 3 on a wrong value."""
    store = Store(str(root), lease_seconds=_LEASE)
    order = random.Random(seed)
    for round_ in range(1000):
        number = order.randrange(_KEYS)
        key = combine(code=str(number))
        record = store.get(key)
        try:
            if record is None or not store.has(record.outputs[0]):
                with store.lease(key) as mine:
                    if mine:
                        store.put(key, [store.dump(_value(number))], {"seconds": 0.1})
                continue
            if not _is_right(store.load(record.outputs[0]), number):
                os._exit(3)
        except (CacheMiss, Unstorable):
            pass
        if round_ % 20 == 19:
            store.gc(2_000_000, grace_seconds=5.0)


def _start(root: Path, seed: int) -> int:
    pid = os.fork()
    if pid == 0:
        status = 4
        try:
            _use(root, seed)
            status = 0
        finally:
            os._exit(status)
    return pid


def _kill_in_a_loop(root: Path, kills: int) -> None:
    choose = random.Random(0)
    running = [_start(root, 0), _start(root, 1)]
    statuses = []
    for count in range(kills):
        time.sleep(choose.uniform(0, 0.08))
        victim = running.pop(0)
        os.kill(victim, signal.SIGKILL)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(victim, 0)[1]))
        running.append(_start(root, count + 2))
    for pid in running:
        os.kill(pid, signal.SIGKILL)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    assert set(statuses) <= {-signal.SIGKILL, 0}
    assert statuses.count(-signal.SIGKILL) > kills / 2


def _assert_sound(root: Path) -> None:
    store = Store(str(root), lease_seconds=_LEASE)
    assert store.verify() == []
    assert not (root / "quarantine").exists()
    for number in range(_KEYS):
        key = combine(code=str(number))
        started = time.monotonic()
        with store.lease(key) as mine:
            if mine:
                store.put(key, [store.dump(_value(number))], {})
        assert time.monotonic() - started < 10
        record = store.get(key)
        assert record is not None
        assert _is_right(store.load(record.outputs[0]), number)
    for file in (root / "leases").iterdir():
        os.utime(file, (file.stat().st_mtime - 7200,) * 2)  # two hours later
    store.gc(None, grace_seconds=-10)
    assert list((root / "tmp").iterdir()) == []
    assert list((root / "leases").iterdir()) == []
    assert store.verify() == []


def test_case_36_killed_twenty_times(tmp_path: Path) -> None:
    _kill_in_a_loop(tmp_path / "cache", 20)
    _assert_sound(tmp_path / "cache")


@pytest.mark.slow
def test_case_36_killed_two_hundred_times(tmp_path: Path) -> None:
    _kill_in_a_loop(tmp_path / "cache", 200)
    _assert_sound(tmp_path / "cache")


def _die_at(fatal: int) -> None:
    """Make this process end before its ``fatal``-th system call that changes files."""
    calls = itertools.count(1)

    def dying(call: Callable[..., object]) -> Callable[..., object]:
        def step(*args: object, **kwargs: object) -> object:
            if next(calls) == fatal:
                os._exit(9)
            return call(*args, **kwargs)

        return step

    for name in ("open", "link", "rename", "replace", "unlink", "mkdir", "utime"):
        setattr(os, name, dying(getattr(os, name)))


def test_case_36_killed_at_every_step_of_writing(tmp_path: Path) -> None:
    """A process that dies before its n-th system call that changes files, for every n."""
    for fatal in range(1, 40):
        root = tmp_path / f"cache{fatal}"
        pid = os.fork()
        if pid == 0:
            _die_at(fatal)
            store = Store(str(root))
            store.put(combine(code="0"), [store.dump(_value(1))], {})
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        store = Store(str(root))
        assert store.verify() == []
        record = store.get(combine(code="0"))
        if record is not None:
            assert _is_right(store.load(record.outputs[0]), 1)
        if status == 0:
            assert record is not None
            assert fatal > 10
            return
        store.put(combine(code="0"), [store.dump(_value(1))], {})
        assert store.get(combine(code="0")) is not None
        store.gc(None, grace_seconds=-10)
        assert list((root / "tmp").iterdir()) == []
    pytest.fail("the process never finished")


def test_folder_killed_at_every_step_of_writing(tmp_path: Path) -> None:
    """What a dataset writes is there as a whole, or not at all."""
    key, name = combine(code="0"), combine(code="folder")
    for fatal in range(1, 40):
        root = tmp_path / f"cache{fatal}"
        pid = os.fork()
        if pid == 0:
            store = Store(str(root))
            store.put(key, [Blob(name, 0, 0.0)], {})
            _die_at(fatal)
            folder = store.folders.new()
            for part in ("1", "2"):
                os.close(os.open(os.path.join(folder, part), os.O_CREAT | os.O_WRONLY))
            store.folders.commit(folder, name, key, 1.0)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        store = Store(str(root))
        assert store.verify() == []
        content = store.folders.open(name, "run")
        assert content is None or sorted(os.listdir(content)) == ["1", "2"]
        if status == 0:
            assert content is not None
            assert fatal > 5
            return
        store.gc(None, grace_seconds=-10)
        assert list((root / "tmp").iterdir()) == []
    pytest.fail("the process never finished")


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming somebody else needs root")
def test_case_38_permission_removed_from_an_ordinary_user() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, 65534, 65534)
        pid = os.fork()
        if pid == 0:
            status = 4
            try:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                _use_without_permission(Path(folder) / "cache")
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _use_without_permission(root: Path) -> None:
    store = Store(str(root))
    key = combine(code="0")
    blob = store.dump(1)
    store.put(key, [blob], {})
    for mode in (0o500, 0o000):
        root.chmod(mode)
        for folder in ("tmp", "ac", "cas"):
            if mode:
                (root / folder).chmod(mode)
        store = Store(str(root))
        with pytest.raises(Unstorable):
            store.dump(2)
        with pytest.raises(Unstorable):
            store.put(combine(code="1"), [], {})
        with store.lease(combine(code="1")) as mine:
            assert mine
        record = store.get(key)
        assert (record is not None) == bool(mode)
        store.stats(), store.verify(), store.gc(0, 0)
    root.chmod(0o700)
