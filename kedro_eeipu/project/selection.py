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
        pipeline: Registered pipeline; instead of the default one, a study's is that of its trials.
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

        Unless asked otherwise, the project is loaded with the pipeline, in the environment and with
        the ``--params`` of the latest trial.

        Raises:
            ConfigurationError: Something in its configuration is wrong, or there is no such study.
        """
        from kedro_eeipu.config.opening import study_storage
        from kedro_eeipu.errors import ConfigurationError
        from kedro_eeipu.study.opening import open_study

        storage = study_storage(*self.open_settings())
        try:
            opened = open_study(storage, self.study_name)
        except ConfigurationError:
            self.load_project()  # an unknown pipeline is told before the study named after it
            raise
        latest = next((t for t in reversed(opened.trials()) if t.pipeline_state), None)
        project, withheld = (self.load_project(), []) if latest is None else self.load_like(latest)
        opened.compare_with(project.state, withheld)
        return project, opened

    def load_like(self, latest: TrialRecord) -> tuple[Project, list[str]]:
        """The project as the latest trial had it, where nothing else is asked for.

        Returns:
            The project, and the paths of the trial's secrets, whose values are not known.

        Raises:
            ConfigurationError: Something in its configuration is wrong.
        """
        if self.params:
            return replace(self, pipeline=self._pipeline_of(latest)).load_project(), []
        return self.load_as(latest)

    def load_as(self, trial: TrialRecord, option: str = "--env") -> tuple[Project, list[str]]:
        """The project as a trial had it, in another environment only if one is asked for.

        Args:
            trial: The trial.
            option: The option that asks for an environment.

        Returns:
            The project, and the paths of the trial's secrets, whose values are not known.

        Raises:
            ConfigurationError: Something in its configuration is wrong.
        """
        from kedro_eeipu.config.loading import NoEnvironmentError
        from kedro_eeipu.errors import ConfigurationError

        given, withheld = self.given_to(trial)
        env, pipeline = self.env or trial.env, self._pipeline_of(trial)
        try:
            return replace(self, env=env, params=given, pipeline=pipeline).load_project(), withheld
        except NoEnvironmentError as error:
            if self.env is not None:
                raise
            raise ConfigurationError(
                f"trial {trial.number} ran with --env {env}, and that environment is gone",
                remedy=f"{error.remedy} Put it back, or name another one with {option}.",
            ) from None

    def _pipeline_of(self, trial: TrialRecord) -> str:
        """The pipeline asked for, by default that of a trial: a study may have any name."""
        return (
            trial.pipeline or self.pipeline if self.pipeline == DEFAULT_PIPELINE else self.pipeline
        )

    def given_to(self, trial: TrialRecord) -> tuple[dict[str, Any], list[str]]:
        """The ``--params`` of a trial, with those asked for.

        Returns:
            The parameters, and the paths of secrets of the trial that are not known.
        """
        from kedro_eeipu.config.redaction import without_hidden

        given, withheld = without_hidden(trial.runtime_params)
        given.update(self.params)
        return given, [path for path in withheld if path.split(".")[0] not in given]
