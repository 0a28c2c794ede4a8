"""Verdicts: what a cached sitting gave, against what a plain run gives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from behind import LATER, TRIALS, Way
from edits import Edit
from sittings import Place, Sitting

RUNS_YML = {"conf/base/eeipu.yml": "cache: {runs: true}\n"}


def same(a: Any, b: Any) -> bool:
    """Whether two objectives are one value."""
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return a == b or math.isclose(a, b, rel_tol=1e-12) or (math.isnan(a) and math.isnan(b))
    return bool(a == b)


def verdict(got: Any, right: Any, told: list[str]) -> str:
    """`right`; else `failed` if there is no value, `told` if the user was warned, or `silent`."""
    if same(got, right):
        return "right"
    if not isinstance(got, (int, float)):
        return "failed"
    return "told" if told else "silent"


def judge_edit(edit: Edit, fresh: bool = False) -> dict[str, Any]:
    """Two sittings with an edit between them, against plain runs before and after it.

    Where the value is right, the edit is taken back, to see whether anything of the project is
    reused at all: where nothing is, a right value proves little.
    """
    cached = "tune" if edit.mode == "trial" else "run"
    with Place(edit.before, fresh) as plain:
        before = plain.run()
    with Place(edited(edit), fresh) as plain:
        after = plain.run()
    with Place(edit.before, fresh) as place:
        if cached == "run":
            place.write(with_runs(edit.before))
        first = _sit(place, cached, "first")
        place.write(edit.after)
        last = _sit(place, cached, "last")
        correct = same(last.value, after.value)
        plan = None if correct else place.plan()
        again = Sitting()
        if correct and edit.changes and cached == "tune":
            place.write({name: None for name in edit.after if (place.root / name).exists()})
            place.write(edit.before)
            again = _sit(place, cached, "again")
    fault = harness_fault(edit, before, after)
    told = [*last.warnings, *([] if plan is None else map(str, plan.why_not.values()))]
    found = verdict(last.value, after.value, told)
    cold = verdict(first.value, before.value, first.warnings)
    return {
        "id": edit.id,
        "kind": edit.kind,
        "mode": edit.mode,
        "verdict": "fault" if fault else found if cold == "right" else cold,
        "cold": cold,
        "fault": fault,
        "changes": edit.changes,
        "documented": edit.documented,
        "before": before.value,
        "first": first.value,
        "got": last.value,
        "right": after.value,
        # Where nothing was edited, and where the edit changes nothing: what ran all the same.
        "never_reused": bool(again.nodes) and "reused" not in status(again),
        "unchanged_ran": ran(again),
        "edited_ran": ran(last),
        "needless": ran(last) if not edit.changes and cached == "tune" else [],
        "told": told,
        "text": "" if found == "right" and not fault else (last.text + after.text)[-3000:],
    }


def edited(edit: Edit) -> dict[str, str | bytes]:
    """All files of a project after its edit."""
    files = {**edit.before, **{k: v for k, v in edit.after.items() if v is not None}}
    gone = [name for name, content in edit.after.items() if content is None]
    return {
        name: content
        for name, content in files.items()
        if not any(name == g or name.startswith(f"{g}/") for g in gone)
    }


def with_runs(files: Mapping[str, str | bytes]) -> dict[str, str | bytes]:
    """What makes plain runs of a project go through the cache."""
    settings = files.get("conf/base/eeipu.yml")
    if settings is None:
        return dict(RUNS_YML)
    assert isinstance(settings, str)
    return {"conf/base/eeipu.yml": settings.replace("cache: {", "cache: {runs: true, ")}


def harness_fault(edit: Edit, before: Sitting, after: Sitting) -> str:
    """Why the edit demonstrates nothing; empty if it does."""
    for which, sitting in (("before", before), ("after", after)):
        if not isinstance(sitting.value, (int, float)):
            return f"the plain run {which} the edit gave {sitting.value}: {sitting.text[-1500:]}"
    if edit.changes == same(before.value, after.value):
        return f"the edit should{'' if edit.changes else ' not'} change {before.value}"
    return ""


def status(sitting: Sitting) -> list[str]:
    """Status of each node of the last trial."""
    return list(sitting.nodes[-1].values()) if sitting.nodes else []


def ran(sitting: Sitting) -> list[str]:
    """The nodes that the last trial executed."""
    nodes = sitting.nodes[-1] if sitting.nodes else {}
    return [name for name, status in nodes.items() if status != "reused"]


def _sit(place: Place, how: str, study: str) -> Sitting:
    return place.tune(study) if how == "tune" else place.run()


def judge_way(way: Way, fresh: bool = False) -> dict[str, Any]:
    """Trials in one process, and then others in another, each against a plain run of its own."""
    with Place(way.files, fresh) as place:
        first = place.tune("first", [{"p": p, "q": q} for p, q in TRIALS])
        later = place.tune("later", [{"p": p, "q": q} for p, q in LATER])
    got: list[Any] = []
    with Place(way.files, fresh) as plain:
        right = plain.runs([{"p": p, "q": q} for p, q in [*TRIALS, *LATER]]).values
    fault = ""
    if not all(isinstance(v, (int, float)) for v in right):
        fault = f"a plain run gave {next(v for v in right if not isinstance(v, (int, float)))}"
    # A study that a node brought down has no values for its last trials.
    for sitting, at in ((first, len(TRIALS)), (later, len(right))):
        got += sitting.values
        got += [str(sitting.value)] * (at - len(got))
    pairs = list(zip(got, right, strict=True))
    differ = [not same(g, r) for g, r in pairs]
    told = [*first.warnings, *later.warnings]
    worst = next((v for v in pairs if not same(*v)), (0.0, 0.0))
    statuses = [s for sitting in (first, later) for t in sitting.nodes for s in t.values()]
    return {
        "id": way.id,
        "kind": way.kind,
        "mode": "behind",
        "verdict": "fault" if fault else verdict(worst[0], worst[1], told),
        "fault": fault,
        "documented": way.documented,
        "differ": [sum(differ[: len(TRIALS)]), sum(differ[len(TRIALS) :])],
        "got": got,
        "right": right,
        "never_reused": "reused" not in statuses,
        "reused": [s.count("reused") for s in ([*t.values()] for t in first.nodes)],
        "told": told,
        "text": (first.text + later.text)[-3000:] if any(differ) or fault else "",
    }
