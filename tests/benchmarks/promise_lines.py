"""What `promise.py` has measured: one line of JSON per pipeline, setting and seed.

A line has the runs of all samplers of one seed, which were measured together, and the digest of the
optimizer's code. Numbers have seven digits; a curve has a point where the best value changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock

from kedro_eeipu.comparison import Run, as_json
from kedro_eeipu.comparison.document import run_from_json

RESULTS = Path(__file__).parent / "promise"
_DIGITS = 7


def file_of(pipeline: str, setting: str, results: Path = RESULTS) -> Path:
    """The file that has the lines of a pipeline in a setting."""
    return results / f"{pipeline}-{setting}.jsonl"


def line(seed: int, about: Mapping[str, Any], runs: Iterable[Run]) -> dict[str, Any]:
    """The line of one seed.

    Args:
        seed: The seed.
        about: What was compared, and how; see `Comparison.about`.
        runs: One for each sampler, all finished.
    """
    rest = {name: value for name, value in about.items() if name != "seeds"}
    return {"seed": seed, **rest, "runs": [_short(asdict(r)) for r in runs]}


def _short(run: Mapping[str, Any]) -> dict[str, Any]:
    points = [[_rounded(x), _rounded(y)] for x, y in run["curve"]]
    kept = [p for i, p in enumerate(points) if i == 0 or p[1] != points[i - 1][1]]
    return {name: _rounded(value) for name, value in run.items()} | {"curve": kept}


def _rounded(value: Any) -> Any:
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def append(file: Path, new: Mapping[str, Any], lock: Path) -> None:
    """Add a line; the file is replaced as a whole, so that a kill leaves none that is cut off."""
    with FileLock(lock):
        file.parent.mkdir(parents=True, exist_ok=True)
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        beside = file.with_suffix(".tmp")
        beside.write_text(text + json.dumps(new, separators=(",", ":")) + "\n", encoding="utf-8")
        beside.replace(file)


def read(file: Path) -> list[dict[str, Any]]:
    """All lines of a file, empty if there is none."""
    if not file.exists():
        return []
    return [json.loads(text) for text in file.read_text(encoding="utf-8").splitlines()]


def seeds_of(lines: Iterable[Mapping[str, Any]], optimizer: str) -> set[int]:
    """The seeds that were measured with one version of the optimizer."""
    return {entry["seed"] for entry in lines if entry["optimizer"] == optimizer}


def optimizers(lines: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many seeds each version of the optimizer has: most first, of equals the latest."""
    lines = list(lines)
    latest_first = dict.fromkeys(entry["optimizer"] for entry in reversed(lines))
    counts = {name: len(seeds_of(lines, name)) for name in latest_first}
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def document(lines: Sequence[Mapping[str, Any]], optimizer: str) -> dict[str, Any]:
    """The lines of one version of the optimizer as the JSON document of ``compare``."""
    own = {entry["seed"]: entry for entry in lines if entry["optimizer"] == optimizer}
    ordered = [own[seed] for seed in sorted(own)]
    about = {n: v for n, v in ordered[0].items() if n not in ("seed", "runs")}
    runs = [run_from_json(run) for entry in ordered for run in entry["runs"]]
    return as_json(runs, about | {"seeds": len(ordered)})
