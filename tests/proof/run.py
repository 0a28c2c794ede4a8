"""Prove the law of reuse: what a cached sitting gives is what a plain run gives, or it is told.

    python tests/proof/run.py --edits 400 --behind 60 --out proof.jsonl

Each case is a line of the file; what stands there of the same package is not run again. At the end
it prints a table with a row for each kind. The exit code is 1 if there was a wrong value that no
warning and no docs name.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import random
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import behind
import edits
import edits_code  # noqa: F401 - fills the list
import edits_data  # noqa: F401
import sittings
import tables
import verdicts
import walks


def main() -> int:
    options = parsed()
    sittings.warm_up()
    chosen = cases(options)
    known = {r["id"] for r in read(options.out) if r["verdict"] != "fault"}
    todo = [case for case in chosen if case[0] not in known]
    print(f"{len(chosen)} cases, {len(chosen) - len(todo)} of them known", file=sys.stderr)
    workers = [start(todo[i :: options.processes], options.out) for i in range(options.processes)]
    for worker in workers:
        os.waitpid(worker, 0)
    asked = {case[0] for case in chosen}
    results = [r for r in read(options.out) if r["id"] in asked]
    if options.confirm:
        confirm([c for c in chosen if c[0] in wrong(results)], options.out)
    print(tables.report(results))
    print()
    print(tables.ways(results))
    return 1 if tables.unnamed(results) else 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--edits", type=int, default=0, help="Number of edits; -1: all.")
    parser.add_argument("--behind", type=int, default=0, help="Ways to leave state behind.")
    parser.add_argument("--walks", type=int, default=0, help="Walks of random pipelines.")
    parser.add_argument("--lazy-walks", type=int, default=0, help="Walks with lazy values.")
    parser.add_argument("--seed", type=int, default=0, help="Which of them, and which walks.")
    parser.add_argument("--only", default="", help="Only those whose name has this pattern.")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("proof.jsonl"))
    parser.add_argument(
        "--confirm", action="store_true", help="Repeat what was wrong in new interpreters."
    )
    return parser.parse_args()


Case = tuple[str, Callable[[bool], dict[str, Any]]]


def cases(options: argparse.Namespace) -> list[Case]:
    """The cases that are asked for, in an order that the seed decides."""
    found: list[Case] = []
    for count, members, judge in (
        (options.edits, edits.EDITS, verdicts.judge_edit),
        (options.behind, behind.WAYS, verdicts.judge_way),
    ):
        named = [m for m in members if re.search(options.only, m.id)]
        random.Random(options.seed).shuffle(named)
        found += [(m.id, _judged(judge, m)) for m in (named if count < 0 else named[:count])]
    first = options.seed * 1_000_000
    for number in range(first, first + options.walks):
        found.append((f"walk / {number}", _judged(walks.judge_walk, number)))
    for number in range(first, first + options.lazy_walks):
        found.append((f"lazy walk / {number}", _judged(walks.judge_lazy_walk, number)))
    return found


def _judged(judge: Any, member: Any) -> Callable[[bool], dict[str, Any]]:
    return lambda fresh: judge(member, fresh)


def start(todo: list[Case], out: Path) -> int:
    """Work through some cases in a process of its own."""
    child = os.fork()
    if child:
        return child
    for name, judge in todo:
        append(out, attempt(name, judge, False))
    os._exit(0)


def attempt(name: str, judge: Callable[[bool], dict[str, Any]], fresh: bool) -> dict[str, Any]:
    try:
        return judge(fresh)
    except Exception:
        return {
            "id": name,
            "kind": name.partition(" / ")[0],
            "verdict": "fault",
            "fault": traceback.format_exc()[-2000:],
        }


def confirm(again: list[Case], out: Path) -> None:
    """Repeat cases in new interpreters; the verdict there is kept beside the first."""
    for name, judge in again:
        found = attempt(name, judge, True)
        print(f"{name}: {found['verdict']}, {found.get('got')} for {found.get('right')}")
        append(out.with_suffix(".confirmed"), found)


def wrong(results: list[dict[str, Any]]) -> set[str]:
    return {r["id"] for r in results if r["verdict"] in ("silent", "failed", "told")}


def append(out: Path, result: dict[str, Any]) -> None:
    with out.open("a") as file:
        file.write(json.dumps({**result, "package": package()}, default=repr) + "\n")


def read(out: Path) -> list[dict[str, Any]]:
    """The results of the package as it is now; of a case that was run again, the last."""
    lines = out.read_text().splitlines() if out.exists() else []
    found = {r["id"]: r for r in map(json.loads, lines) if r["package"] == package()}
    return list(found.values())


@functools.cache
def package() -> str:
    """Digest of the sources of the package."""
    import kedro_eeipu

    root = Path(kedro_eeipu.__file__).parent
    texts = [f"{p.relative_to(root)}\0{p.read_text()}" for p in sorted(root.rglob("*.py"))]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


if __name__ == "__main__":
    sys.exit(main())
