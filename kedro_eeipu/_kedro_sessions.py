"""Sessions that run one project again and again, in every release of Kedro 1.

Kedro has them from 1.4 on. Before that, a session runs once, and its store holds what it runs with.
"""

from __future__ import annotations

import inspect
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext
    from kedro.runner import AbstractRunner

__all__ = ["Session", "create_session"]


class Session:
    """A session for releases of Kedro that have no ``KedroServiceSession``; it has its methods.

    Nothing is saved of it, and git is not asked: Kedro does both for every session that is created.

    Args:
        project_path: Root of the project.
        env: Environment of the configuration.
        conf_source: Where the configuration is.
    """

    def __init__(self, project_path: Path, env: str | None, conf_source: str | None) -> None:
        from kedro.framework.project import PACKAGE_NAME, validate_settings
        from kedro.framework.session import KedroSession

        validate_settings()
        self.env = env or os.getenv("KEDRO_ENV")
        self._inner: Any = KedroSession(
            session_id=str(uuid.uuid4()),
            package_name=PACKAGE_NAME,
            project_path=project_path,
            save_on_close=False,
            conf_source=conf_source,
        )
        self._hook_manager = self._inner._hook_manager
        self._conf_source = self._inner._conf_source
        # As in Kedro's own: what is put in its place makes the loaders from then on.
        self._get_config_loader: Any = self._config_loader
        vars(self._inner)["_get_config_loader"] = lambda: self._get_config_loader(
            self._inner._store.get("runtime_params")
        )

    def _config_loader(self, runtime_params: dict[str, Any] | None = None) -> Any:
        from kedro.framework.project import settings

        return settings.CONFIG_LOADER_CLASS(
            conf_source=self._conf_source,
            env=self.env,
            runtime_params=runtime_params,
            **settings.CONFIG_LOADER_ARGS,
        )

    def load_context(self, runtime_params: dict[str, Any] | None = None) -> KedroContext:
        """The context with these parameters put over those of the configuration."""
        self._prepare(self._inner.session_id, runtime_params)
        context: KedroContext = self._inner.load_context()
        return context

    def run(
        self,
        run_id: str,
        pipeline_names: Sequence[str],
        runner: AbstractRunner,
        runtime_params: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Run pipelines, as often as one likes.

        Raises:
            Exception: Whatever a node, a dataset or Kedro itself raised.
        """
        self._prepare(run_id, runtime_params)
        self._inner._run_called = False
        by_name: dict[str, Any] = {"pipeline_names": list(pipeline_names)}
        if "pipeline_names" not in inspect.signature(self._inner.run).parameters:  # before 1.2
            by_name = {"pipeline_name": pipeline_names[0]}
        outputs: dict[str, Any] = self._inner.run(runner=runner, **by_name)
        return outputs

    def _prepare(self, session_id: str, runtime_params: Mapping[str, Any] | None) -> None:
        self._inner.session_id = session_id
        self._inner._store.update(
            project_path=self._inner._project_path,
            session_id=session_id,
            env=self.env,
            runtime_params=dict(runtime_params or {}),
        )


def create_session(
    project_path: Path, env: str | None = None, conf_source: str | None = None
) -> Any:
    """Kedro's own ``KedroServiceSession``, or what does the same where there is none."""
    try:
        from kedro.framework.session import KedroServiceSession
    except ImportError:
        return Session(project_path, env, conf_source)
    return KedroServiceSession.create(project_path=project_path, env=env, conf_source=conf_source)
