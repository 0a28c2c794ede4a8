"""What a study may learn from besides today's trials: former states, other ranges and studies.

The studies that `tune --from` names are kept with the study, so that it resumes with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.search import SearchSpace
from kedro_eeipu.study.audit import REFUTED
from kedro_eeipu.study.former import FormerTrials, former_trials
from kedro_eeipu.study.opening import open_study
from kedro_eeipu.study.records import TrialRecord
from kedro_eeipu.study.storage import TrialStudy
from kedro_eeipu.wording import counted

__all__ = ["Earlier", "check_earlier", "earlier_studies"]

_WHERE = "--from"
_EDITED, _ELSEWHERE = "from before an edit", "of other ranges"
# The model of each former state takes time, and the oldest ones have least to say.
_MOST_STATES = 4


class Earlier:
    """Trials that today's surrogate cannot take as its own, by where they come from.

    Args:
        study: The study. Its trials of other ranges come first, then its former states, the latest
            before the others.
        space: What is searched.
        others: Trials of other studies.
        lost: Studies that it was begun from and that are not there any more.
    """

    def __init__(
        self,
        study: TrialStudy,
        space: SearchSpace,
        others: Sequence[FormerTrials] = (),
        lost: Sequence[str] = (),
    ) -> None:
        self.lost = list(lost)
        self._study, self._space, self._others = study, space, list(others)
        self._known: list[FormerTrials] = []
        self._fits: dict[int, bool] = {}  # by number of a trial, whose values never change

    def all(self) -> list[FormerTrials]:
        """All that the optimizer may use."""
        trials, maximize = self._study.trials(), self._study.maximize
        changes = {t.number: self._study.changes(t) for t in trials}
        elsewhere = [t for t in trials if not changes[t.number] and not self._fit(t)]
        edited = [t for t in trials if changes[t.number] and REFUTED not in changes[t.number]]
        found = former_trials(elsewhere, maximize, _ELSEWHERE)
        found = [*found, *former_trials(edited, maximize, _EDITED), *self._others][:_MOST_STATES]
        # Those that are still the same keep their model, which takes time to fit.
        self._known = [next((k for k in self._known if k == f), f) for f in found]
        return list(self._known)

    def _fit(self, trial: TrialRecord) -> bool:
        """Whether today's ranges admit a trial; asked of all trials before each new one."""
        if trial.number not in self._fits:
            self._fits[trial.number] = self._space.fits(trial.params)
        return self._fits[trial.number]

    def bests(self) -> list[tuple[str, dict[str, Any]]]:
        """Of the study's other ranges and of each other study the best values for today's ranges.

        With where they come from. The best before an edit are not among them.
        """
        found: dict[str, dict[str, Any]] = {}
        for trials in self.all():
            best = trials.best_within(self._space)
            if best is not None and trials.origin != _EDITED:
                found.setdefault(trials.origin, best)
        return list(found.items())

    def sentence(self) -> str:
        """How many earlier trials inform the search; empty if none do."""
        counts: dict[str, int] = {}
        for trials in self.all():
            counts[trials.origin] = counts.get(trials.origin, 0) + len(trials)
        if not counts:
            return ""
        total = sum(counts.values())
        verb = "informs" if total == 1 else "inform"
        parts = ", ".join(f"{count} {origin}" for origin, count in counts.items())
        return f"{counted(total, 'earlier trial')} {verb} the search: {parts}"


def check_earlier(storage: str, name: str, space: SearchSpace, asked: Sequence[str]) -> None:
    """Refuse what is wrong with the studies asked for before a study is made that builds on them.

    Args:
        storage: Database URL of the study.
        name: Its name.
        space: What is searched.
        asked: As for `earlier_studies`.

    Raises:
        ConfigurationError: As `earlier_studies` does.
    """
    try:
        kept = open_study(storage, name).builds_on() if asked else []
    except ConfigurationError:  # it is not there yet, or cannot be opened, which is told then
        kept = []
    for reference in map(_absolute, asked):
        if reference not in kept:
            _trials_of(storage, name, space, reference)


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
            others += _trials_of(storage, study.name, space, reference)
        except ConfigurationError:
            if reference not in kept:
                raise
            lost.append(reference)
    study.build_on([*kept, *map(_absolute, asked)])
    return Earlier(study, space, others, lost)


def _trials_of(storage: str, tuned: str, space: SearchSpace, reference: str) -> list[FormerTrials]:
    file, _, name = reference.rpartition(":")
    place = f"sqlite:///{file}" if file else storage
    if "://" in reference:
        raise ConfigurationError(
            "a database URL cannot be named, because the study would keep its password",
            where=_WHERE,
            remedy="Name a study of the same storage, or of a file: FILE:NAME. "
            "`optuna.copy_study` copies a study into a file.",
        )
    if file and not Path(file).exists():
        raise ConfigurationError(
            f"there is no file {file}",
            where=_WHERE,
            remedy="Name the database of a study, such as ../other/.eeipu/study.db:default.",
        )
    if place == storage and name == tuned:
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
    found = former_trials(other.trials(), other.maximize, f"of study {reference}")
    if not found:
        raise ConfigurationError(
            f"study '{name}' has no trial with a value",
            where=_WHERE,
            remedy=f"Tune it first (`kedro eeipu tune --study {quote(name)}`), or leave --from "
            "out.",
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
    reference = reference.removeprefix("sqlite:///")
    file, _, name = reference.rpartition(":")
    return f"{Path(file).absolute()}:{name}" if file and "://" not in reference else reference
