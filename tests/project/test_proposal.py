"""A block for a pipeline that has none."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from kedro_eeipu.project.proposal import NoBlockError

PARAMETERS = {"clean": {"scale": 1.0, "kind": "plain"}, "left": {"weight": 2.0}, "shift": 3.0}


def test_the_error_reaches_the_tuning_process_from_a_worker(project: Any) -> None:
    project.write_parameters({**PARAMETERS, "right": {"power": 2}})
    with pytest.raises(NoBlockError) as caught:
        project.load()
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert again.proposed == caught.value.proposed


def test_only_what_the_objective_needs_gets_a_range(project: Any) -> None:
    """`shift` reaches what comes after the objective."""
    project.write_parameters({**PARAMETERS, "right": {"power": 2}})
    pipeline = project.source / "pipeline.py"
    pipeline.write_text(
        pipeline.read_text().replace('"joined", name', '"losses", name').replace(
            '["joined", "params:shift"], "metrics"', '["losses", "params:shift"], "plot"'
        )
    )  # fmt: skip
    with pytest.raises(NoBlockError) as caught:
        project.load()
    text = caught.value.proposed.text
    assert "dataset: losses, key: accuracy, direction: minimize" in text
    assert "right.power" in text
    assert "shift" not in text
