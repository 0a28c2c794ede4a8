"""The parameters of a project, and the file that holds the search in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from kedro.framework.session import KedroServiceSession

from kedro_eeipu.config.loading import UNREADABLE, check_environment, unreadable

__all__ = ["context_parameters", "parameters_file", "read_parameters"]


def parameters_file(path: Path, env: str | None, block: str = "eeipu") -> str:
    """The file that holds a block, as a user would name it; a likely one where none does."""
    for folder in dict.fromkeys(filter(None, (env, "local", "base"))):
        for file in sorted((path / "conf" / folder).glob("**/parameters*.y*ml")):
            if any(line.startswith(f"{block}:") for line in file.read_text().splitlines()):
                return file.relative_to(path).as_posix()
    return "conf/base/parameters.yml"


def read_parameters(
    path: Path,
    env: str | None,
    runtime_params: Mapping[str, Any] | None = None,
    conf_source: str | None = None,
) -> dict[str, Any]:
    """The parameters of a plain run.

    Raises:
        ConfigurationError: They cannot be read.
    """
    session = KedroServiceSession.create(project_path=path, env=env, conf_source=conf_source)
    context = session.load_context(dict(runtime_params or {}))
    return context_parameters(context, parameters_file(path, env))


def context_parameters(context: KedroContext, where: str) -> dict[str, Any]:
    """The parameters of a context.

    Args:
        context: The context.
        where: The file to name in errors that name none.

    Raises:
        ConfigurationError: They cannot be read.
    """
    check_environment(context)
    try:
        return dict(context.config_loader["parameters"])
    except MissingConfigException:
        return {}
    except UNREADABLE as error:
        raise unreadable(error, context, where) from None
