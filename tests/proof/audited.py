"""Whether audits find faults that are planted in the identity itself, and accuse nobody else.

    python tests/proof/audited.py --faults -1 --alarms 200 --out audited.jsonl

Nodes of these projects take no time, so the clock of the audit is simulated: each execution of a
node takes ten seconds, wherever it happens. What the share of the saved seconds pays for is then as
in a project whose nodes take much longer than Kedro's own part of a run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import random
import re
import statistics
import sys
import traceback
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import sittings
import verdicts
import walks
from faults import FAULTS, Fault
from sittings import Place

SECONDS = 10.0
TRIALS = (20, 200)  # before and after the edit
SERVERS = 6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--faults", type=int, default=0, help="Number of faults; -1: all.")
    parser.add_argument("--only", default="", help="Only faults whose name has this pattern.")
    parser.add_argument("--alarms", type=int, default=0, help="Number of studies without one.")
    parser.add_argument("--share", type=float, default=0.05, help="As cache.audit in eeipu.yml.")
    parser.add_argument("--first", type=int, default=0, help="Number of the first study.")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("audited.jsonl"))
    options = parser.parse_args()
    sittings.warm_up()
    faults = [fault for fault in FAULTS if re.search(options.only, fault.name)]
    faults = faults if options.faults < 0 else faults[: options.faults]
    numbers = range(options.first, options.first + options.alarms)
    cases: list[Any] = [*faults, *numbers]
    workers = []
    for i in range(options.processes):
        workers.append(os.fork())
        if not workers[-1]:
            for case in cases[i :: options.processes]:
                append(options.out, case, options.share)
            os._exit(0)
    for worker in workers:
        os.waitpid(worker, 0)
    lines = list(map(json.loads, options.out.read_text().splitlines()))
    tried = [line for line in lines if line["kind"] == "fault"]
    found = [line["trials"] for line in tried if line["result"] == "found"]
    if tried:
        print(f"{len(found)} of {len(tried)} faults found", end="")
        print(f", after {statistics.median(found)} trials (median), {max(found)} at worst")
    for kind in ("fault", "alarm"):
        for result, count in Counter(x["result"] for x in lines if x["kind"] == kind).items():
            print(f"{kind}: {result}: {count}")
    return 1 if len(found) < len(tried) or any(x["result"] == "false alarm" for x in lines) else 0


def append(out: Path, case: Any, share: float) -> None:
    is_fault = isinstance(case, Fault)
    try:
        line = judge_fault(case, share) if is_fault else judge_alarm(case)
    except Exception:
        line = {"result": "trouble", "text": traceback.format_exc()[-2000:]}
    named = {"kind": "fault" if is_fault else "alarm", "id": case.name if is_fault else case}
    with out.open("a") as file:
        file.write(json.dumps({**named, **line}, default=repr) + "\n")


def judge_fault(fault: Fault, share: float) -> dict[str, Any]:
    """How many trials run after the edit until the fault is found, and who is accused."""
    drawn = random.Random(fault.name)
    params = [{"p": drawn.randint(1, 6), "q": drawn.randint(1, 6)} for _ in range(sum(TRIALS))]
    with Place(fault.files()) as place:
        if fault.old:
            audited(place, params[: TRIALS[0]], share, fault)
            place.write(fault.files(edited=True))
        sitting = audited(place, params[-TRIALS[1] :], share, fault)
    if not isinstance(sitting.value, int):
        return {"result": "trouble", "text": f"{sitting.value} {sitting.text[-2000:]}"}
    named = any(f"node {name} " in " ".join(sitting.warnings) for name in fault.guilty)
    result = "found" if sitting.value and named else "blamed" if sitting.value else "not found"
    return {"result": result, "trials": sitting.value, "words": sitting.warnings}


def judge_alarm(number: int) -> dict[str, Any]:
    """Whether an audit of everything accuses a pipeline whose trials are all right."""
    drawn = random.Random(number)
    world = walks.drawn(drawn)
    params = [{"p": drawn.randint(1, 3), "q": drawn.randint(1, 3)} for _ in range(6)]
    with Place(world.files()) as place:
        sitting = audited(place, params, 1e9)
    with Place(world.files()) as plain:
        right = plain.runs(params).values
    if not isinstance(sitting.value, int):
        return {"result": "trouble", "text": f"{sitting.value} {sitting.text[-2000:]}"}
    wrong = [not verdicts.same(*pair) for pair in zip(sitting.values, right, strict=True)]
    if sitting.value:
        accused = re.findall(
            r"trial (\d+) has .* came out twice as (\S+) ", "\n".join(sitting.warnings)
        )
        just = all(wrong[int(n)] and verdicts.same(float(v), right[int(n)]) for n, v in accused)
        result = "found what was wrong" if any(wrong) and just else "false alarm"
    else:
        told = "warned of" if sitting.warnings else "not found"
        result = f"wrong, {told}" if any(wrong) else "quiet"
    audits = sum(len(nodes) for nodes in sitting.nodes)
    kind = f"{world.state}{', hooks' if world.hooks else ''}"
    return {"result": result, "words": sitting.warnings, "audits": audits, "of": kind}


def audited(place: Place, params: Any, share: float, fault: Fault | None = None) -> Any:
    """A sitting whose trials are audited, until something is found."""
    name = "" if fault is None else fault.name
    return place._sit("audited", params=list(params), share=share, fault=name)


class Clock:
    """Tells the seconds that executions of nodes would have taken."""

    def __init__(self) -> None:
        self.now = 1.0

    def ran(self, task: Any) -> None:
        nodes = len(getattr(task, "expected", ())) or 1 + len(getattr(task, "before", ()))
        self.now += SECONDS * nodes


def _audited(root: Path, params: list[dict[str, Any]], share: float, fault: str) -> dict[str, Any]:
    for planted in FAULTS:
        if planted.name == fault:
            planted.plant()
    # Each is a process that has imported nothing of the project; most are never asked for one.
    servers = [_server() for _ in range(SERVERS)]
    from kedro_eeipu.project.project import Project
    from kedro_eeipu.study.limits import Limits
    from kedro_eeipu.study.opening import open_study
    from kedro_eeipu.study.records import TrialRecord
    from kedro_eeipu.tuning import auditing
    from kedro_eeipu.tuning.audit_process import AuditProcess
    from kedro_eeipu.tuning.listener import Listener
    from kedro_eeipu.tuning.runner import EEIPURunner

    clock, notices, checked, waiting = Clock(), [], [], list(servers)

    class Process(AuditProcess):
        def _start(self) -> Any:
            _, tasks, answers = waiting.pop()
            return os.fdopen(tasks, "wb"), os.fdopen(answers, "rb"), lambda: None

        def send(self, task: Any) -> None:
            clock.ran(task)
            checked.append(type(task).__name__)
            super().send(task)

    class Notices(Listener):
        def noticed(self, text: str) -> None:
            notices.append(text)

    auditing._EACH = 0.0
    auditing._Pending.seconds = SECONDS  # type: ignore[assignment,method-assign]
    auditing._cold_seconds = lambda trial: SECONDS * len(trial.nodes)
    auditing.time = SimpleNamespace(monotonic=lambda: clock.now)  # type: ignore[attr-defined,assignment]
    saved = property(lambda t: SECONDS * sum(n.status == "reused" for n in t.nodes))
    TrialRecord.saved = saved  # type: ignore[method-assign,assignment]
    sittings._bootstrap(root)
    project = Project.load(root)
    study = open_study(project.storage, "default", project.space, create=True)
    audit = {"starting": 0.0, "executor": Process}
    runner = EEIPURunner(
        project, study, Limits(trials=10**6), sampler="random", listener=Notices(), audit=audit
    )
    auditor = runner.auditor
    assert auditor is not None
    auditor.share = min(share, 1.0)
    values, found = [], 0
    with project.quiet(), contextlib.closing(auditor):
        study.compare_with(project.state)
        auditor.begin()
        auditor._saved += 1e9 if share > 1 else 0.0
        for number, tried in enumerate(params, start=1):
            values.append(runner.evaluate(tried).value)
            auditor.work(wait=True)
            if any("not deterministic" not in text for text in notices) and not found:
                found = number
                if share <= 1:
                    break
    for line in notices:
        logging.getLogger("kedro_eeipu").warning("%s", line)
    for process, *_ in servers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, 9)
    return {
        "value": found,
        "values": values,
        "nodes": [dict.fromkeys(map(str, enumerate(checked)))],
    }


def _server() -> tuple[int, int, int]:
    """Fork the process of an audit: its number, where tasks go, and whence answers come."""
    from kedro_eeipu.hooks.random_generators import draw_anew
    from kedro_eeipu.tuning.audit_process import serve

    tasks, answers = os.pipe(), os.pipe()
    process = os.fork()
    if process:
        os.close(tasks[0])
        os.close(answers[1])
        return process, tasks[1], answers[0]
    try:
        os.setsid()
        draw_anew(())  # as in a new process
        os.close(tasks[1])
        os.close(answers[0])
        serve(os.fdopen(tasks[0], "rb"), os.fdopen(answers[1], "wb"))
    finally:
        os._exit(0)


sittings._TASKS["audited"] = _audited


if __name__ == "__main__":
    sys.exit(main())
