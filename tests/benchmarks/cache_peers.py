"""The cache beside joblib.Memory and Hamilton: edits it gets right, and milliseconds.

Run ``python tests/benchmarks/cache_peers.py`` with ``joblib``, ``sf-hamilton`` and ``pandas``
installed. Every edit of ``tests/cache/code_edits.py`` is made on disk between two processes; a
tool is wrong if it then returns the old result (stale), and wasteful if it computes again after
an edit that changes nothing. Times are the fastest of several calls in one process, with the cache
on the file system of ``TMPDIR``, less the time of the function itself.
"""

from __future__ import annotations

import argparse
import importlib
import json
import linecache
import logging
import os
import pickle
import shutil
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hamilton.driver
import hamilton.telemetry
import joblib
import numpy as np
import pandas as pd
from hamilton.ad_hoc_utils import create_temporary_module

from kedro_eeipu.cache.identity.canonical import combine
from kedro_eeipu.cache.identity.code import code_identity
from kedro_eeipu.cache.identity.fingerprint import fingerprint
from kedro_eeipu.cache.store.store import Store

sys.path.insert(0, str(Path(__file__).parents[1] / "cache"))
from code_edits import EDITS, Edit

hamilton.telemetry.disable_telemetry()
logging.disable(logging.ERROR)


class Eeipu:
    """This package, used as its hooks use it."""

    name = "kedro-eeipu"
    takes_any_callable = True

    def __init__(self, folder: str) -> None:
        self._store = Store(folder + "/eeipu")

    def call(self, func: Callable[..., Any], argument: Any) -> Any:
        key = combine(code=code_identity(func).digest, inputs=[fingerprint(argument)])
        record = self._store.get(key)
        if record is not None:
            return self._store.load(record.outputs[0])
        with self._store.lease(key):
            started = time.perf_counter()
            value = func(argument)
            seconds = time.perf_counter() - started
            self._store.put(key, [self._store.dump(value)], {"seconds": seconds})
        return value

    def chain(self, make: Callable[..., Any], use: Callable[..., Any], argument: Any) -> Any:
        """Return ``use(make(argument))``, both cached; an intermediate is not loaded on a hit."""
        key = combine(code=code_identity(make).digest, inputs=[fingerprint(argument)])
        record = self._store.get(key)
        if record is not None:
            inner = combine(code=code_identity(use).digest, inputs=[record.outputs[0].digest])
            found = self._store.get(inner)
            if found is not None:
                return self._store.load(found.outputs[0])
        value = make(argument)
        blob = self._store.dump(value)
        self._store.put(key, [blob], {"seconds": 1.0})
        result = use(value)
        inner = combine(code=code_identity(use).digest, inputs=[blob.digest])
        self._store.put(inner, [self._store.dump(result)], {"seconds": 1.0})
        return result


class Joblib:
    """joblib.Memory with its defaults."""

    name = "joblib.Memory"
    takes_any_callable = False

    def __init__(self, folder: str) -> None:
        self._memory = joblib.Memory(folder + "/joblib", verbose=0)

    def call(self, func: Callable[..., Any], argument: Any) -> Any:
        return self._memory.cache(func)(argument)

    def chain(self, make: Callable[..., Any], use: Callable[..., Any], argument: Any) -> Any:
        return self._memory.cache(use)(self._memory.cache(make)(argument))


class Hamilton:
    """Hamilton's caching with its defaults."""

    name = "Hamilton"
    takes_any_callable = False

    def __init__(self, folder: str) -> None:
        self._folder = folder + "/hamilton"

    def _driver(self, *functions: Callable[..., Any]) -> hamilton.driver.Driver:
        module = create_temporary_module(*functions)
        return hamilton.driver.Builder().with_modules(module).with_cache(self._folder).build()

    def call(self, func: Callable[..., Any], argument: Any) -> Any:
        func.__annotations__ = {"x": type(argument), "return": object}
        driver = self._driver(func)
        return driver.execute([func.__name__], inputs={"x": argument})[func.__name__]

    def chain(self, make: Callable[..., Any], use: Callable[..., Any], argument: Any) -> Any:
        make.__annotations__ = {"x": type(argument), "return": object}
        use.__annotations__ = {make.__name__: object, "return": float}
        driver = self._driver(make, use)
        return driver.execute([use.__name__], inputs={"x": argument})[use.__name__]


TOOLS: list[Callable[[str], Any]] = [Eeipu, Joblib, Hamilton]


# --- edits ----------------------------------------------------------------------------------------

_FLOW = "import nodes\ndef node(x):\n    return nodes.node(x)\n"


def _in_a_process(work: Callable[[], Any]) -> Any:
    """Result of ``work`` in a fork, as after a restart; None if it failed."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        try:
            with os.fdopen(writer, "wb") as file:
                pickle.dump(work(), file)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        data = file.read()
    os.waitpid(pid, 0)
    return pickle.loads(data) if data else None


def _run(tool: Callable[[str], Any], project: Path, cache: str) -> Callable[[], Any]:
    def work() -> tuple[str, bool]:
        sys.path.insert(0, str(project))
        sys.dont_write_bytecode = True
        importlib.invalidate_caches()
        linecache.clearcache()
        instance = tool(cache)
        func = importlib.import_module("nodes").node
        if not instance.takes_any_callable and not isinstance(func, types.FunctionType):
            func = importlib.import_module("flow").node
        called: list[str] = []

        def note(frame: types.FrameType, event: str, _: object) -> None:
            if event == "call" and frame.f_code.co_filename.startswith(str(project)):
                called.append(frame.f_code.co_name)

        sys.setprofile(note)
        threading.setprofile(note)
        value = instance.call(func, 3.0)
        sys.setprofile(None)
        return repr(value), bool(called)

    return work


def _write(project: Path, files: dict[str, str]) -> None:
    shutil.rmtree(project, ignore_errors=True)
    for path, text in {**files, "flow.py": _FLOW}.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text)


def _verdict(tool: Callable[[str], Any], edit: Edit, folder: Path) -> str:
    """``right``, ``stale`` (the old result), ``wasted`` (computed for nothing) or ``failed``."""
    project, cache = folder / "project", str(folder / "cache")
    shutil.rmtree(cache, ignore_errors=True)
    _write(project, edit.before)
    before = _in_a_process(_run(tool, project, cache))
    _write(project, edit.after)
    after = _in_a_process(_run(tool, project, cache))
    if before is None or after is None:
        return "failed"
    if not edit.is_hit:
        return "right" if after[0] != before[0] else "stale"
    return "wasted" if after[1] else "right"


def judge_edits() -> dict[str, dict[str, int]]:
    table: dict[str, dict[str, int]] = {}
    for tool in TOOLS:
        counts = dict.fromkeys(("right", "stale", "wasted", "failed"), 0)
        for edit in EDITS:
            with tempfile.TemporaryDirectory() as folder:
                counts[_verdict(tool, edit, Path(folder))] += 1
        table[tool.name] = counts  # type: ignore[attr-defined]
    return table


# --- times ----------------------------------------------------------------------------------------


def small(x: int) -> dict[str, float]:
    return {f"metric {number}": number / (abs(x) + 1) for number in range(10)}


def frame(x: int) -> pd.DataFrame:
    return pd.DataFrame(np.arange(12_500_000.0).reshape(-1, 10) + x)


def array(x: int) -> np.ndarray:
    return np.arange(50_000_000.0) + x


def use_small(small: dict[str, float]) -> float:
    return sum(small.values())


def use_frame(frame: pd.DataFrame) -> float:
    return float(frame.iloc[0, 0])


def use_array(array: np.ndarray) -> float:
    return float(array[0])


PAYLOADS = [
    ("small dict", small, use_small),
    ("100 MB data frame", frame, use_frame),
    ("400 MB array", array, use_array),
]


def _seconds(call: Callable[..., Any], *arguments: Any) -> float:
    started = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - started


def measure(repeats: int) -> dict[str, dict[str, list[float]]]:
    """Milliseconds of a miss, a hit and a later hit of one node; of a miss and a hit of two."""
    table: dict[str, dict[str, list[float]]] = {}
    for label, make, use in PAYLOADS:
        table[label] = {}
        bare = min(_seconds(make, 1) for _ in range(repeats))
        for tool in TOOLS:
            with tempfile.TemporaryDirectory() as folder:
                instance = tool(folder)
                instance.call(small, -10)  # imports and metadata are read once
                columns = [
                    [_seconds(instance.call, make, n) - bare for n in range(repeats)],
                    [_seconds(instance.call, make, n) for n in range(repeats)],
                    [_seconds(instance.call, make, n) for n in range(repeats)],
                    [_seconds(instance.chain, make, use, -n - 1) - bare for n in range(repeats)],
                    [_seconds(instance.chain, make, use, -n - 1) for n in range(repeats)],
                ]
            table[label][tool.name] = [1000 * min(column) for column in columns]  # type: ignore[attr-defined]
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--format", choices=["text", "json"], default="text")
    options = parser.parse_args()
    edits, times = judge_edits(), measure(options.repeats)
    if options.format == "json":
        print(json.dumps({"edits": edits, "milliseconds": times}))
        return
    hits = sum(edit.is_hit for edit in EDITS)
    print(f"{len(EDITS) - hits} edits that change the result, {hits} that do not\n")
    print(f"{'':16}{'right':>8}{'stale':>8}{'wasted':>8}{'failed':>8}")
    for name, counts in edits.items():
        print(f"{name:16}" + "".join(f"{count:8}" for count in counts.values()))
    heads = ("miss", "hit", "again", "miss of 2", "hit of 2")
    print(f"\n{'milliseconds':36}" + "".join(f"{head:>11}" for head in heads))
    for label, rows in times.items():
        for name, row in rows.items():
            print(f"{label:20}{name:16}" + "".join(f"{value:11.1f}" for value in row))


if __name__ == "__main__":
    main()
