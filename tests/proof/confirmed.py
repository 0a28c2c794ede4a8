"""Hold `confirm` against plain runs: it must refuse every wrong value, and no right one.

    python tests/proof/confirmed.py --edits 100 --behind -1 --out confirmed.jsonl

The cases are those of `run.py`. After an edit, the trial that reused what it could is confirmed; of
nodes that leave something behind, some trials of one process.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import behind
import edits
import edits_code  # noqa: F401 - fills the list
import edits_data  # noqa: F401
import sittings
import verdicts
from sittings import Place

NUMBERS = (1, 4, 8, 11)
WORDS = {
    (True, True): "right, confirmed",
    (False, False): "wrong, not confirmed",
    (True, False): "right, not confirmed",
    (False, True): "wrong, confirmed",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--edits", type=int, default=0, help="Number of edits; -1: all.")
    parser.add_argument("--behind", type=int, default=0, help="Ways to leave state behind.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="Only those whose name has this pattern.")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("confirmed.jsonl"))
    options = parser.parse_args()
    sittings.warm_up()
    cases: list[Any] = []
    for count, members in ((options.edits, edits.EDITS), (options.behind, behind.WAYS)):
        named = [m for m in members if re.search(options.only, m.id)]
        named = [m for m in named if getattr(m, "mode", "trial") == "trial"]
        random.Random(options.seed).shuffle(named)
        cases += named if count < 0 else named[:count]
    workers = []
    for i in range(options.processes):
        workers.append(os.fork())
        if not workers[-1]:
            for case in cases[i :: options.processes]:
                append(options.out, case)
            os._exit(0)
    for worker in workers:
        os.waitpid(worker, 0)
    told = Counter(line["result"] for line in map(json.loads, options.out.read_text().splitlines()))
    for words, count in sorted(told.items()):
        print(f"{words}: {count}")
    return 1 if told[WORDS[False, True]] or told[WORDS[True, False]] else 0


def append(out: Path, case: Any) -> None:
    judged = judge_edit if isinstance(case, edits.Edit) else judge_way
    try:
        lines = list(judged(case))
    except Exception:
        lines = [{"id": case.id, "result": "fault", "text": traceback.format_exc()[-2000:]}]
    with out.open("a") as file:
        file.writelines(json.dumps(line, default=repr) + "\n" for line in lines)


def judge_edit(edit: edits.Edit) -> Iterator[dict[str, Any]]:
    with Place(verdicts.edited(edit)) as plain:
        right = plain.run().value
    with Place(edit.before) as place:
        place.tune("first")
        place.write(edit.after)
        got = place.tune("last").value
        yield compared(edit.id, got, right, place, "last", 0)


def judge_way(way: behind.Way) -> Iterator[dict[str, Any]]:
    params = [{"p": p, "q": q} for p, q in behind.TRIALS]
    with Place(way.files) as plain:
        right = plain.runs([params[n] for n in NUMBERS]).values
    with Place(way.files) as place:
        got = place.tune("first", params).values
        for number, value in zip(NUMBERS, right, strict=True):
            if number < len(got):
                yield compared(way.id, got[number], value, place, "first", number)


def compared(
    name: str, got: Any, right: Any, place: Place, study: str, number: int
) -> dict[str, Any]:
    """What `confirm` says of a trial, against the value of a plain run."""
    line = {"id": name, "trial": number, "got": got, "right": right}
    if not isinstance(got, (int, float)) or not isinstance(right, (int, float)):
        return {**line, "result": "no value"}
    sitting = place.confirm(study, number)
    if not isinstance(sitting.value, bool):
        return {**line, "result": "fault", "text": f"{sitting.value} {sitting.text[-2000:]}"}
    result = WORDS[verdicts.same(got, right), sitting.value]
    return {**line, "result": result, "again": sitting.values, "words": sitting.why_not[study]}


if __name__ == "__main__":
    sys.exit(main())
