"""What a study has searched so far must compare with what is to be searched now."""

from __future__ import annotations

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import TrialState

from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.search import SearchSpace
from kedro_eeipu.study.encoding import distributions

__all__ = ["check_objective", "check_ranges"]

_OBJECTIVE = "eeipu:objective"


def check_objective(study: optuna.Study, space: SearchSpace) -> None:
    """Refuse another objective than that of the study's values, and note the first one.

    Raises:
        ConfigurationError: It is another one.
    """
    asked = [str(space.objective), space.objective.direction]
    recorded = study.user_attrs.get(_OBJECTIVE)
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    direction = study.direction.name.lower()
    if direction == asked[1] and (recorded is None or not complete):
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
        same_choices = (
            isinstance(before, CategoricalDistribution)
            and isinstance(asked, CategoricalDistribution)
            and before.choices == asked.choices
        )
        both_numbers = type(before) is type(asked) and not isinstance(
            asked, CategoricalDistribution
        )
        if not same_choices and not both_numbers:
            raise ConfigurationError(
                f"study '{study.study_name}' has searched {_words(before)}, not {_words(asked)}",
                where=f"{space.where}.space.{path}",
                remedy="Start a new study with --study NAME, or put the range back.",
            )


def _words(d: BaseDistribution) -> str:
    if isinstance(d, CategoricalDistribution):
        return f"the choices {list(d.choices)}"
    return "integers" if isinstance(d, IntDistribution) else "floats"
