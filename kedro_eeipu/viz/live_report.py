"""The report as the server of `kedro eeipu viz` shows it: it follows the study."""

from __future__ import annotations

import hashlib
import threading
import time
from typing import TYPE_CHECKING

from kedro_eeipu.reporting import report_html

if TYPE_CHECKING:
    from kedro_eeipu.project.project import Project
    from kedro_eeipu.study.storage import TrialStudy

__all__ = ["LiveReport", "report_of"]

# A report that took a second is not made again within this many seconds: `tune` needs the cores.
_REST = 9.0


def report_of(project: Project, study: TrialStudy, tag: str = "") -> str:
    """The report of a study, secrets hidden.

    Args:
        project: The project.
        study: Its study.
        tag: Names this state of the study, for a page that follows it; empty for one that does not.
    """
    trials, redactor = study.trials(), project.redactor
    return report_html(
        [t.redacted(redactor.text, redactor.value) for t in study.confirmed(trials)],
        project.stage_graph(),
        project.space,
        study=study.name,
        maximize=study.maximize,
        changes={t.number: study.changes(t) for t in trials},
        live=tag,
    )


class LiveReport:
    """The report, made again when trials have ended and it is asked for.

    Args:
        project: The project.
        study: The study.
    """

    def __init__(self, project: Project, study: TrialStudy) -> None:
        self._project, self._study = project, study
        self._lock = threading.Lock()
        self._page, self._tag = "", ""
        self._written, self._took = 0.0, 0.0

    def tag(self) -> str:
        """The state of the study that a page asked for now would show."""
        rested = time.monotonic() - self._written > _REST * self._took
        return self._present() if rested or not self._page else self._tag

    def page(self) -> str:
        """The report."""
        with self._lock:
            tag = self.tag()
            if tag != self._tag or not self._page:
                started = time.monotonic()
                self._page, self._tag = report_of(self._project, self._study, tag), tag
                self._written = time.monotonic()
                self._took = self._written - started
            return self._page

    def _present(self) -> str:
        trials = self._study.confirmed(self._study.trials())
        shown = [(t.number, t.state, t.value, t.confirmation is None) for t in trials]
        return hashlib.sha1(repr(shown).encode()).hexdigest()
