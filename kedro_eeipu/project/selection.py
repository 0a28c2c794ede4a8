"""Which study of which project: what the options of a command say, and what they open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext

    from kedro_eeipu.config.settings import Settings
    from kedro_eeipu.project.project import Project
    from kedro_eeipu.study.records import TrialRecord
    from kedro_eeipu.study.storage import TrialStudy

__all__ = ["DEFAULT_PIPELINE", "Selection"]

DEFAULT_PIPELINE = "__default__"


@dataclass(frozen=True)
class Selection:
    """A study of a project, by the options that nearly all commands take.

    Nothing is imported or read before it is asked for.

    Attributes:
        path: The project's root; the project is bootstrapped.
        study: Name of the study, ``None`` for the one named after the pipeline.
        pipeline: Registered pipeline.
        env: Configuration environment, ``None`` for the default one or that of the latest trial.
        params: Runtime parameters, as for `kedro run`.
        conf_source: Another configuration folder than the project's own.
    """

    path: Path
    study: str | None = None
    pipeline: str = DEFAULT_PIPELINE
    env: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    conf_source: str | None = None

    @property
    def study_name(self) -> str:
        """The study: the one asked for, else the one named after the pipeline."""
        if self.study is not None:
            return self.study
        return "default" if self.pipeline == DEFAULT_PIPELINE else self.pipeline

    def load_project(self) -> Project:
        """The project with its pipeline.

        Raises:
            ConfigurationError: Something in its configuration is wrong.
        """
        from kedro_eeipu.project.project import Project

        return Project.load(
            self.path,
            env=self.env,
            pipeline_name=self.pipeline,
            runtime_params=self.params,
            conf_source=self.conf_source,
        )

    def open_settings(self) -> tuple[KedroContext, Settings]:
        """The configuration of the project, without importing its pipelines.

        Raises:
            ConfigurationError: There is no such environment, or its `eeipu.yml` is wrong.
        """
        from kedro_eeipu._kedro_sessions import create_session
        from kedro_eeipu.config.loading import check_environment, load_settings
        from kedro_eeipu.project.parameters import open_context

        session = create_session(self.path, self.env, self.conf_source)
        context = open_context(session, self.params)
        check_environment(context)
        return context, load_settings(context)

    def open_recorded(self, project: Project) -> TrialStudy:
        """The study of a loaded project.

        Raises:
            ConfigurationError: There is none.
        """
        from kedro_eeipu.study.opening import open_study

        return open_study(project.storage, self.study_name)

    def load_study(self) -> tuple[Project, TrialStudy]:
        """The project and its study, which tells the trials of today's pipeline from others.

        Unless asked otherwise, the project is loaded in the environment and with the ``--params``
        of the latest trial.

        Raises:
            ConfigurationError: Something in its configuration is wrong, or there is no such study.
        """
        project = self.load_project()
        opened = self.open_recorded(project)
        latest = next((t for t in reversed(opened.trials()) if t.pipeline_state), None)
        asked, withheld = (self, []) if latest is None else self.like(latest)
        if asked.params != self.params or (
            self.env is None and latest is not None and latest.env != project.env
        ):
            project = asked.load_project()
        opened.compare_with(project.state, withheld)
        return project, opened

    def like(self, latest: TrialRecord) -> tuple[Selection, list[str]]:
        """The selection with the environment and the ``--params`` of a trial where none are given.

        Returns:
            The selection, and the paths of the trial's secrets, whose values are not known.
        """
        if self.params:
            return self, []
        given, withheld = self.given_to(latest)
        return replace(self, env=self.env or latest.env, params=given), withheld

    def given_to(self, trial: TrialRecord) -> tuple[dict[str, Any], list[str]]:
        """The ``--params`` of a trial, with those asked for.

        Returns:
            The parameters, and the paths of secrets of the trial that are not known.
        """
        from kedro_eeipu.config.redaction import without_hidden

        given, withheld = without_hidden(trial.runtime_params)
        given.update(self.params)
        return given, [path for path in withheld if path.split(".")[0] not in given]
