"""One computation at a time for each key, across processes."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kedro_eeipu import processes
from kedro_eeipu.cache.identity.canonical import combine
from kedro_eeipu.cache.store.store import Store

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

KEY = combine(code="a")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def _start(work: Callable[[], object]) -> int:
    """Run ``work`` in a forked process, which exits with 0 if it returns."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return pid


def _status(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait for something that another process is about to do."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.005)


def _compute(store: Store, key: str, log: Path) -> object:
    """What a run does for one node: value from the cache, or computed, noted and stored."""
    with store.lease(key) as mine:
        if mine:
            with log.open("a") as file:
                file.write(f"{key}\n")
            store.put(key, [store.dump(key)], {})
    record = store.get(key)
    assert record is not None
    return store.load(record.outputs[0])


@pytest.mark.parametrize("processes", [2, 16])
def test_case_35_processes_that_want_the_same_keys_compute_each_once(
    processes: int, root: Path, tmp_path: Path
) -> None:
    keys = [combine(code=str(number)) for number in range(12)]
    log = tmp_path / "log"

    def work() -> None:
        store = Store(str(root))
        for key in keys:
            assert _compute(store, key, log) == key

    assert [_status(pid) for pid in [_start(work) for _ in range(processes)]] == [0] * processes
    assert sorted(log.read_text().split()) == sorted(keys)
    assert list((root / "leases").iterdir()) == []


def test_case_35_threads_that_want_the_same_key_compute_it_once(root: Path, tmp_path: Path) -> None:
    store = Store(str(root))
    log = tmp_path / "log"
    threads = [threading.Thread(target=_compute, args=(store, KEY, log)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.read_text().split() == [KEY]


def _hold(root: Path, lease_seconds: float) -> int:
    """A process that takes the lease and keeps it until it is killed."""

    def work() -> None:
        with Store(str(root), lease_seconds=lease_seconds).lease(KEY):
            time.sleep(60)

    pid = _start(work)
    _until((root / "leases" / KEY).exists)
    return pid


def test_case_35_killed_holder_of_this_machine_is_taken_over_at_once(root: Path) -> None:
    pid = _hold(root, lease_seconds=60)
    os.kill(pid, signal.SIGKILL)
    _status(pid)
    started = time.monotonic()
    with Store(str(root), lease_seconds=60).lease(KEY) as mine:
        assert mine
        assert time.monotonic() - started < 5
    assert list((root / "leases").iterdir()) == []


def test_case_35_killed_holder_is_taken_over(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = _hold(root, lease_seconds=0.5)
    os.kill(pid, signal.SIGKILL)
    _status(pid)
    monkeypatch.setattr(processes, "machine", lambda: "another")  # on which that pid says nothing
    started = time.monotonic()
    with Store(str(root), lease_seconds=0.5).lease(KEY) as mine:
        assert mine
        assert 0.4 < time.monotonic() - started < 5
    assert list((root / "leases").iterdir()) == []


def test_case_35_killed_holder_is_taken_over_by_one_of_many(root: Path, tmp_path: Path) -> None:
    pid = _hold(root, lease_seconds=1)
    os.kill(pid, signal.SIGKILL)
    _status(pid)
    log = tmp_path / "log"
    pids = [_start(lambda: _compute(Store(str(root), lease_seconds=1), KEY, log)) for _ in range(6)]
    assert [_status(pid) for pid in pids] == [0] * 6
    assert log.read_text().split() == [KEY]


def test_case_35_living_holder_is_waited_for(root: Path) -> None:
    pid = _hold(root, lease_seconds=0.3)
    try:
        started = time.monotonic()
        with Store(str(root), lease_seconds=0.3).lease(KEY, wait=1.5) as mine:
            assert mine  # it waited as long as it was allowed to
        assert time.monotonic() - started >= 1.5
        assert (root / "leases" / KEY).exists()
    finally:
        os.kill(pid, signal.SIGKILL)
        _status(pid)


def test_case_35_clocks_are_not_compared(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = _hold(root, lease_seconds=0.3)
    try:
        monkeypatch.setattr(time, "time", lambda: 4e9)
        monkeypatch.setattr(time, "time_ns", lambda: 4 * 10**18)
        with Store(str(root), lease_seconds=0.3).lease(KEY, wait=1.0):
            pass
        assert (root / "leases" / KEY).exists()
    finally:
        os.kill(pid, signal.SIGKILL)
        _status(pid)


def test_case_35_holder_that_was_frozen_finds_its_lease_gone(root: Path) -> None:
    pid = _hold(root, lease_seconds=0.3)
    os.kill(pid, signal.SIGSTOP)
    with Store(str(root), lease_seconds=0.3).lease(KEY) as mine:
        assert mine
        os.kill(pid, signal.SIGCONT)
        ours = (root / "leases" / KEY).read_bytes()
        time.sleep(0.3)
        os.kill(pid, signal.SIGKILL)
        _status(pid)
        assert b'"pid": %d' % os.getpid() in ours


def test_waiting_ends_when_the_record_appears(root: Path) -> None:
    def work() -> None:
        store = Store(str(root))
        with store.lease(KEY):
            time.sleep(0.3)
            store.put(KEY, [store.dump(1)], {})
            time.sleep(30)

    pid = _start(work)
    try:
        _until((root / "leases" / KEY).exists)
        with Store(str(root)).lease(KEY) as mine:
            assert not mine
    finally:
        os.kill(pid, signal.SIGKILL)
        _status(pid)


def test_case_40_lease_is_released_by_an_error(root: Path) -> None:
    store = Store(str(root))
    with contextlib.suppress(KeyboardInterrupt), store.lease(KEY):
        raise KeyboardInterrupt
    assert list((root / "leases").iterdir()) == []
    with store.lease(KEY, wait=0) as mine:
        assert mine


def test_record_whose_blob_was_evicted_is_computed_again(root: Path) -> None:
    store = Store(str(root))
    store.put(KEY, [store.dump(1)], {})
    with store.lease(KEY) as mine:
        assert not mine
    store.gc(0)
    with store.lease(KEY) as mine:
        assert mine
        store.put(KEY, [store.dump(1)], {})
    with store.lease(KEY) as mine:
        assert not mine


def test_waiting_for_a_key_whose_output_is_not_stored(root: Path) -> None:
    store = Store(str(root))
    store.put(KEY, [store.digest(1)], {})
    with store.lease(KEY) as mine:
        assert mine


def test_leases_on_a_file_system_that_fails(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(str(root), lease_seconds=0.1)

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(5, "Input/output error")

    with store.lease(KEY) as mine:
        assert mine
        monkeypatch.setattr(os, "replace", fail)
        monkeypatch.setattr(os, "link", fail)
        time.sleep(0.2)
    monkeypatch.setattr(os, "open", fail)
    with store.lease(KEY) as mine:
        assert mine
