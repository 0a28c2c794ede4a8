"""The states of the pipeline in which the trials of a study began, kept with the study."""

from __future__ import annotations

import optuna

from kedro_eeipu.study.database_wait import StudyFile
from kedro_eeipu.study.pipeline_state import STATE_ATTRIBUTE, PipelineState, states_in

__all__ = ["KeptStates"]


class KeptStates:
    """The states that a study keeps, each once, as user attributes of the study.

    Args:
        study: The Optuna study.
        file: Its file, if it has one.
    """

    def __init__(self, study: optuna.Study, file: StudyFile) -> None:
        self._study = study
        self._file = file
        self._kept: set[str] = set()

    def keep(self, state: PipelineState) -> None:
        """Keep a state, so that later differences from it can be named."""
        if state.digest not in self._kept and state.digest not in self.all():
            self._file.use(
                lambda: self._study.set_user_attr(
                    f"{STATE_ATTRIBUTE}{state.digest}", state.to_json()
                )
            )
        self._kept.add(state.digest)

    def all(self) -> dict[str, PipelineState]:
        """The states, by digest."""
        return states_in(self._file.use(lambda: self._study.user_attrs))
