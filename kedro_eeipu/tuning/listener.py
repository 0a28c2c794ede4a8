"""What a view of a study overrides to follow it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kedro_eeipu.hooks.run import PlannedRun
    from kedro_eeipu.study.records import TrialRecord
    from kedro_eeipu.study.storage import TrialStudy

__all__ = ["Listener"]


class Listener:
    """Follows a study; each method may be overridden."""

    def study_started(self, study: TrialStudy) -> None:
        """The first trial is about to be proposed; the study holds the trials of earlier calls."""

    def noticed(self, text: str) -> None:
        """Something happened that the user should know of; trials continue."""

    def audited(self, seconds: float) -> None:
        """What trials reuse was checked for so many seconds, which count to the budget."""

    def recounted(self, study: TrialStudy) -> None:
        """Some trials no longer count: an audit has found that they reused wrong records."""

    def proposed(self, why: str) -> None:
        """The parameters of the next trial are chosen.

        Args:
            why: Where they come from, in a few words; empty for a proposal of the model.
        """

    def trial_started(self, number: int, params: Mapping[str, Any], run: PlannedRun | None) -> None:
        """A trial is running.

        Args:
            number: Its number in the study.
            params: Values by dotted path, of the active parameters.
            run: The run, whose ``directory`` says what its nodes do; ``None`` for a trial that
                runs in another process.
        """

    def trial_finished(self, trial: TrialRecord) -> None:
        """A trial is recorded."""
