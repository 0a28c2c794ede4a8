"""The size limit of eeipu.yml over a study and over plain runs; results stay right."""

from __future__ import annotations

from typing import Any

from kedro_eeipu.cache.store.store import Store


def kept(project: Any) -> int:
    return Store(str(project.path / ".eeipu" / "cache")).stats()["blob_bytes"]


def test_limit_holds_over_a_study_and_results_stay_right(project: Any) -> None:
    project.tuner("unlimited").evaluate({"clean.scale": 1.0, "shift": 1.0})
    limit = kept(project) * 2
    project.write_settings({"cache": {"max_size": f"{limit}B"}})
    tuner = project.tuner("limited")
    for scale in (0.5, 0.75, 1.25, 1.5, 2.0, 0.5):
        trial = tuner.evaluate({"clean.scale": scale, "shift": 1.0})
        assert trial.value == abs(12 * scale + 14 * scale**2 - 1.0)
        assert kept(project) <= limit


def test_limit_holds_over_plain_runs(project: Any) -> None:
    project.write_settings({"cache": {"runs": True}})
    project.plain_run()
    limit = kept(project) * 2
    project.write_settings({"cache": {"runs": True, "max_size": f"{limit}B"}})
    for scale in (0.5, 0.75, 1.25, 1.5):
        found = project.plain_run({"clean": {"scale": scale, "kind": "plain"}})
        assert found["loss"] == abs(12 * scale + 14 * scale**2 - 3.0)
        assert kept(project) <= limit
