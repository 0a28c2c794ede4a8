"""What a study will cost, predicted from the trials that have run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from kedro_eeipu.study.limits import counted_trials
from kedro_eeipu.study.records import NodeRecord, TrialRecord
from kedro_eeipu.wording import counted, duration, in_bytes

__all__ = ["Forecast", "forecast"]


@dataclass(frozen=True)
class Forecast:
    """What trials of a study cost.

    Attributes:
        cold_seconds: Node seconds of a trial that reuses nothing.
        cold_bytes: What such a trial adds to the cache.
        seconds: Node seconds of a trial, on average over those that ran.
        bytes: What a trial adds to the cache, on average over those that ran.
        trials: How many ran.
        counted: How many count towards the limit.
        spent: Node seconds that count towards the budget.
    """

    cold_seconds: float
    cold_bytes: float
    seconds: float
    bytes: float
    trials: int
    counted: int
    spent: float

    def in_words(self, trials: int | None, budget: float | None) -> Iterable[str]:
        """Sentences about the study.

        Args:
            trials: Number of trials it may have.
            budget: Node seconds it may take.
        """
        yield (
            f"A trial that reuses nothing takes {duration(self.cold_seconds)} in its nodes and "
            f"stores {in_bytes(self.cold_bytes)}. So far {counted(self.trials, 'trial')} took "
            f"{duration(self.seconds)} and stored {in_bytes(self.bytes)} on average."
        )
        left = self.left(trials, budget)
        if left is None:
            return
        count, limit = left
        if count == 0:
            yield f"{limit} is used up."
            return
        yield (
            f"{limit} has room for about {counted(count, 'more trial')} at that rate: "
            f"{duration(count * self.seconds)} of node time and {in_bytes(count * self.bytes)}."
        )

    def left(self, trials: int | None, budget: float | None) -> tuple[int, str] | None:
        """How many more trials the limits allow, and which of them ends the study first."""
        rooms = []
        if trials is not None:
            rooms.append((max(0, trials - self.counted), f"The limit of {trials} trials"))
        if budget is not None and self.seconds > 0:
            more = max(0.0, budget - self.spent) / self.seconds
            rooms.append((min(round(more), 10**9), f"The budget of {duration(budget)}"))
        return min(rooms, default=None)


def forecast(
    trials: Sequence[TrialRecord],
    nodes: Collection[str],
    current: Sequence[TrialRecord] | None = None,
) -> Forecast | None:
    """What trials cost, None until every node has run in one.

    Args:
        trials: The trials of the study.
        nodes: Names of the nodes that a trial runs or reuses.
        current: Those trials that limits count, by default all.
    """
    limited = trials if current is None else current
    ended = [t for t in trials if t.state != "running" and t.nodes]
    records: dict[str, list[NodeRecord]] = {name: [] for name in nodes}
    for trial in ended:
        for node in trial.nodes:
            if node.has_outputs and node.name in records:
                records[node.name].append(node)
    if not ended or not all(records.values()):
        return None
    stored_bytes = [sum(_size(n) for n in t.nodes if n.was_stored) for t in ended]
    spent = sum(t.cost for t in ended)
    return Forecast(
        # What is reused took `saved` seconds when it ran.
        cold_seconds=sum(median(n.seconds or n.saved for n in ns) for ns in records.values()),
        cold_bytes=sum(median(map(_size, ns)) for ns in records.values()),
        seconds=spent / len(ended),
        bytes=sum(stored_bytes) / len(ended),
        trials=len(ended),
        counted=counted_trials(limited),
        spent=sum(t.cost for t in limited),
    )


def _size(node: NodeRecord) -> int:
    return 0 if node.why_not else sum(size for _, size in node.outputs)
