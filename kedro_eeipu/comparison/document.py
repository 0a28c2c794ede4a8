"""A comparison as one JSON document, from which its tables and its page are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from kedro_eeipu.comparison.paired import best_peer, paired
from kedro_eeipu.comparison.results import Run, ratios, summaries

__all__ = ["as_json", "run_from_json"]


def as_json(runs: Sequence[Run], about: Mapping[str, Any]) -> dict[str, Any]:
    """A comparison in the contract of ``kedro eeipu compare --format json``.

    Args:
        runs: All runs so far.
        about: What was compared, and how.
    """
    maximize = about["direction"] == "maximize"
    return {
        **about,
        "samplers": summaries(runs),
        "ratios": ratios(runs),
        "against": paired(runs, maximize),
        "best_peer": best_peer(runs, maximize),
        "runs": [asdict(r) | {"curve": [list(point) for point in r.curve]} for r in runs],
    }


def run_from_json(run: Mapping[str, Any]) -> Run:
    """One of the `runs` of such a document."""
    return Run(**{**run, "curve": tuple((float(x), float(y)) for x, y in run["curve"])})
