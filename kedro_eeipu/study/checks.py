"""What a study has searched so far must compare with what is to be searched now."""

from __future__ import annotations

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import TrialState

from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.search import SearchSpace
from kedro_eeipu.study.encoding import distributions

__all__ = ["check_objective", "check_ranges", "check_search"]

_OBJECTIVE = "eeipu:objective"


def check_search(study: optuna.Study, space: SearchSpace) -> None:
    """Refuse what `tune` would refuse, and note nothing.

    Raises:
        ConfigurationError: The objective is another one, or a range of another kind.
    """
    check_objective(study, space, note=False)
    check_ranges(study, space)


def check_objective(study: optuna.Study, space: SearchSpace, *, note: bool = True) -> None:
    """Refuse another objective than that of the study's values, and note the first one.

    Args:
        study: The study.
        space: What is searched.
        note: Whether it is noted.

    Raises:
        ConfigurationError: It is another one.
    """
    asked = [str(space.objective), space.objective.direction]
    recorded = study.user_attrs.get(_OBJECTIVE)
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    direction = study.direction.name.lower()
    if direction == asked[1] and (recorded is None or not complete):
        if note:
            study.set_user_attr(_OBJECTIVE, asked)
    elif recorded != asked:
        before = f"{recorded[1]} {recorded[0]}" if recorded else direction
        raise ConfigurationError(
            f"study '{study.study_name}' is to {before}, not to {asked[1]} {asked[0]}",
            where=f"{space.where}.objective",
            remedy="Start a new study with --study NAME, or put the objective back.",
        )


def check_ranges(study: optuna.Study, space: SearchSpace) -> None:
    """Refuse ranges of another kind than those of the study's trials.

    Raises:
        ConfigurationError: There is one.
    """
    recorded: dict[str, BaseDistribution] = {}
    for trial in study.get_trials(deepcopy=False):
        recorded.update(trial.distributions)
    for path, asked in distributions(space).items():
        before = recorded.get(path)
        if before is None:
            continue
        if not _compatible(before, asked):
            was, now = _in_words(before, asked)
            raise ConfigurationError(
                f"study '{study.study_name}' has searched {was}, not {now}",
                where=f"{space.where}.space.{path}",
                remedy="Start a new study with --study NAME, or put the range back.",
            )


def _compatible(before: BaseDistribution, asked: BaseDistribution) -> bool:
    """Whether Optuna admits both in one study."""
    if isinstance(before, CategoricalDistribution) and isinstance(asked, CategoricalDistribution):
        return bool(before.choices == asked.choices)
    return type(before) is type(asked) and _is_log(before) == _is_log(asked)


def _in_words(before: BaseDistribution, asked: BaseDistribution) -> tuple[str, str]:
    """Two ranges, by what tells them apart."""
    if type(before) is type(asked) and not isinstance(before, CategoricalDistribution):
        of = f"{_words(before)} on a"
        was, now = (f"{of} {'log' if _is_log(d) else 'linear'} scale" for d in (before, asked))
        return was, now
    return _words(before), _words(asked)


def _is_log(d: BaseDistribution) -> bool:
    return bool(getattr(d, "log", False))


def _words(d: BaseDistribution) -> str:
    if isinstance(d, CategoricalDistribution):
        return f"the choices {list(d.choices)}"
    return "integers" if isinstance(d, IntDistribution) else "floats"
