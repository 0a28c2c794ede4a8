"""What a study may learn from besides its own trials: its former states, and other studies.

The studies that `tune --from` names are kept with the study, so that it resumes with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.search import SearchSpace
from kedro_eeipu.study.audit import REFUTED
from kedro_eeipu.study.former import FormerTrials, former_trials
from kedro_eeipu.study.opening import open_study
from kedro_eeipu.study.storage import TrialStudy
from kedro_eeipu.wording import counted

__all__ = ["Earlier", "earlier_studies"]

_WHERE = "--from"
# The model of each former state takes time, and the oldest ones have least to say.
_MOST_STATES = 4


class Earlier:
    """Trials that are not of today's pipeline, by the state that they were made in.

    Args:
        study: The study; its own former states come first, the latest before the others.
        others: Trials of other studies.
        lost: Studies that it was begun from and that are not there any more.
    """

    def __init__(
        self,
        study: TrialStudy,
        others: Sequence[FormerTrials] = (),
        lost: Sequence[str] = (),
    ) -> None:
        self.others = list(others)
        self.lost = list(lost)
        self._study = study
        self._known: list[FormerTrials] = []
        self._bests: tuple[SearchSpace, list[tuple[str, dict[str, Any]]]] | None = None

    def own(self) -> list[FormerTrials]:
        """Those of the study's former states; of which a value was wrong is passed over."""
        edited = [t for t in self._study.trials() if self._study.changes(t)]
        right = [t for t in edited if REFUTED not in self._study.changes(t)]
        found = former_trials(right, self._study.maximize)
        # Those that are still the same keep their model, which takes time to fit.
        self._known = [next((k for k in self._known if k == f), f) for f in found[:_MOST_STATES]]
        return self._known

    def bests(self, space: SearchSpace) -> list[tuple[str, dict[str, Any]]]:
        """The other studies, with the best values of each that today's ranges admit."""
        if self._bests is None or self._bests[0] != space:
            found: dict[str, dict[str, Any]] = {}
            for trials in self.others:  # of each study the latest state first
                best = trials.best_within(space)
                if best is not None:
                    found.setdefault(trials.study, best)
            self._bests = space, list(found.items())
        return self._bests[1]

    def all(self) -> list[FormerTrials]:
        """All that the optimizer may use."""
        return [*self.own(), *self.others][:_MOST_STATES]

    def sentence(self) -> str:
        """How many earlier trials inform the search; empty if none do."""
        used = self.all()
        counts = {name: sum(len(f) for f in used if f.study == name) for name in _names(used)}
        if not counts:
            return ""
        parts = [
            f"{count} of study {name}" if name else f"{count} from before an edit"
            for name, count in counts.items()
        ]
        total = sum(counts.values())
        verb = "informs" if total == 1 else "inform"
        return f"{counted(total, 'earlier trial')} {verb} the search: {', '.join(parts)}"


def earlier_studies(
    storage: str, study: TrialStudy, space: SearchSpace, asked: Sequence[str]
) -> Earlier:
    """The studies that a study builds on, those that it was begun from included.

    Args:
        storage: Database URL of the study.
        study: The study; what is asked for is kept with it.
        space: What is searched.
        asked: Names of studies in the same storage, or ``FILE:NAME`` of those in another file.

    Raises:
        ConfigurationError: A study that is asked for is not there, is the study itself, has no
            value yet, or shares no parameter with the search.
    """
    others: list[FormerTrials] = []
    lost: list[str] = []
    kept = study.builds_on()
    for reference in dict.fromkeys([*kept, *map(_absolute, asked)]):
        try:
            others += _trials_of(storage, study, space, reference)
        except ConfigurationError:
            if reference not in kept:
                raise
            lost.append(reference)
    study.build_on([*kept, *map(_absolute, asked)])
    return Earlier(study, others, lost)


def _trials_of(
    storage: str, study: TrialStudy, space: SearchSpace, reference: str
) -> list[FormerTrials]:
    file, _, name = reference.rpartition(":")
    place = f"sqlite:///{file}" if file else storage
    if place == storage and name == study.name:
        raise ConfigurationError(
            f"study '{name}' is the one that is tuned",
            where=_WHERE,
            remedy="Its trials from before an edit inform it anyway. Name another one, or start a "
            "new study with --study NAME.",
        )
    try:
        other = open_study(place, name)
    except ConfigurationError as error:
        raise ConfigurationError(error.problem, where=_WHERE, remedy=error.remedy) from None
    found = former_trials(other.trials(), other.maximize, reference)
    if not found:
        raise ConfigurationError(
            f"study '{name}' has no trial with a value",
            where=_WHERE,
            remedy=f"Tune it first (`kedro eeipu tune --study {name}`), or leave --from out.",
        )
    shared = [f for f in found if f.paths() & set(space.paths)]
    if not shared:
        raise ConfigurationError(
            f"study '{name}' has none of the parameters of this search: it has "
            f"{', '.join(sorted(found[0].paths()))}",
            where=_WHERE,
            remedy=f"Name a study with some of {', '.join(space.paths)}.",
        )
    return shared


def _absolute(reference: str) -> str:
    """The same reference from any working directory."""
    file, _, name = reference.rpartition(":")
    return f"{Path(file).absolute()}:{name}" if file else name


def _names(of: Sequence[FormerTrials]) -> list[str]:
    return list(dict.fromkeys(f.study for f in of))
