"""What stages cost, beside what the optimizer's cost model expects of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kedro_eeipu.search import PipelineStage, SearchSpace, StageGraph
from kedro_eeipu.states import NodeState
from kedro_eeipu.study.records import TrialRecord
from kedro_eeipu.study.sampler import EEIPUSampler

__all__ = ["StageCosts", "expected_costs"]

# A prediction from fewer other runs says nothing.
FEWEST_RUNS = 8
# The latest ones, for a fit takes the cube of their number.
_MOST_RUNS = 300


@dataclass(frozen=True)
class StageCosts:
    """Runs of one stage.

    Attributes:
        stage: Its position in the stage graph.
        trials: Number of the trial of each run.
        measured: Seconds that it took.
        expected: Seconds that the model fitted to all other runs expects.
    """

    stage: int
    trials: tuple[int, ...]
    measured: np.ndarray
    expected: np.ndarray


def expected_costs(
    trials: Sequence[TrialRecord], graph: StageGraph, space: SearchSpace, most: int
) -> list[StageCosts]:
    """The stages that took most seconds, in the order of the graph.

    Args:
        trials: Finished trials; those outside today's ranges are passed over.
        graph: The stages.
        space: What is searched.
        most: Number of stages.
    """
    sampler = EEIPUSampler(space, graph)
    fitting = [t for t in trials if sampler.fits(t.params)][-_MOST_RUNS:]
    measured = [{s: c for s, g in enumerate(graph) if (c := _cost(t, g)) > 0} for t in fitting]
    runs = {s: sum(s in costs for costs in measured) for s in range(len(graph))}
    total = {s: sum(costs.get(s, 0.0) for costs in measured) for s in runs}
    usable = [s for s in sorted(runs, key=lambda s: -total[s]) if runs[s] >= FEWEST_RUNS]
    shown = sorted(usable[:most])
    if not shown:
        return []
    optimizer = sampler.new_optimizer()
    for trial, costs in zip(fitting, measured, strict=True):
        optimizer.tell(sampler.point(trial.params), trial.value, costs)
    return [
        StageCosts(
            stage=s,
            trials=tuple(fitting[t].number for t in left_out),
            measured=np.array([measured[t][s] for t in left_out]),
            expected=np.array(list(left_out.values())),
        )
        for s, left_out in optimizer.left_out_costs(shown).items()
    ]


def _cost(trial: TrialRecord, stage: PipelineStage) -> float:
    """Seconds of a stage all of whose nodes ran, else 0."""
    members = [n for n in trial.nodes if n.name in stage.nodes]
    whole = len(members) == len(stage.nodes) and all(n.status == NodeState.RAN for n in members)
    return sum(n.seconds for n in members) if whole else 0.0
