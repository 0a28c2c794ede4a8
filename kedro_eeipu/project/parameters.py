"""The parameters of a project, and the file that holds the search in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from kedro.io import DatasetError

from kedro_eeipu._kedro import base_environment, is_kedro_loader
from kedro_eeipu._kedro_sessions import create_session
from kedro_eeipu.config.loading import (
    UNREADABLE,
    check_environment,
    configuration_files,
    content_of,
    unreadable,
)
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.hooks.mlflow import unopened_store
from kedro_eeipu.search import SearchSpace
from kedro_eeipu.search.paths import lookup, override

__all__ = [
    "catalog_errors",
    "check_loader",
    "context_parameters",
    "open_context",
    "parameters_file",
    "read_parameters",
    "shown_path",
]


def open_context(session: Any, runtime_params: Mapping[str, Any] | None = None) -> KedroContext:
    """The context of a session, for the first time.

    Raises:
        ConfigurationError: MLflow cannot open its store, which kedro-mlflow does here; or
            ``eeipu.yml`` is a list.
    """
    try:
        context: KedroContext = session.load_context(dict(runtime_params or {}))
    except Exception as error:
        if type(error).__name__ != "MlflowException":
            raise
        raise unopened_store(error, "mlflow.yml") from None
    _refuse_lists(context, "eeipu")
    return context


def _refuse_lists(context: KedroContext, key: str) -> None:
    """Refuse files of a key of the configuration that hold something else than keys and values.

    Raises:
        ConfigurationError: One does.
    """
    for file in configuration_files(context, key):
        try:
            content = yaml.safe_load(file.read_text())
        except (OSError, ValueError, yaml.YAMLError):  # who reads it in earnest says what is wrong
            continue
        if content is not None and not isinstance(content, Mapping):
            raise ConfigurationError(
                f"it must be a mapping, not a {type(content).__name__}",
                where=shown_path(context, file),
                remedy="Write a `key: value` on each line.",
            )


def parameters_file(context: KedroContext, block: str = "eeipu") -> str:
    """The file that holds a block, as a user would name it; a likely one where none does."""
    for file in configuration_files(context, "parameters"):
        if block in content_of(file, block):
            return shown_path(context, file)
    loader: Any = context.config_loader
    base = Path(str(loader.conf_source)) / base_environment(loader)
    usual = base / "parameters.yml"
    others = [f for f in configuration_files(context, "parameters") if f.is_relative_to(base)]
    return shown_path(context, others[0] if others and usual not in others else usual)


def shown_path(context: KedroContext, file: Path) -> str:
    """The path of a file, relative to the project if it is inside."""
    root = Path(context.project_path)
    return (file.relative_to(root) if file.is_relative_to(root) else file).as_posix()


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
    session = create_session(path, env, conf_source)
    context = open_context(session, runtime_params)
    return context_parameters(context, parameters_file(context))


@contextmanager
def catalog_errors(context: KedroContext) -> Iterator[None]:
    """Inside, the catalog of a context is made and its datasets, which Kedro makes when asked for.

    Raises:
        ConfigurationError: Something in the catalog is wrong.
    """
    try:
        yield
    except MissingConfigException:
        raise ConfigurationError(
            "the configuration has no catalog, and Kedro does not run without one",
            where="catalog.yml",
            remedy="Make an empty file conf/base/catalog.yml.",
        ) from None
    except DatasetError as error:
        raise ConfigurationError(str(error), where="catalog.yml") from None
    except KeyError as error:
        if "credentials" not in str(error):
            raise
        raise ConfigurationError(str(error.args[0]).splitlines()[0], where="catalog.yml") from None
    except UNREADABLE as error:
        _refuse_lists(context, "catalog")
        raise unreadable(error, context, "catalog.yml") from None


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
    except AttributeError:  # Kedro asks a list for its keys
        _refuse_lists(context, "parameters")
        raise
    except UNREADABLE as error:
        _refuse_lists(context, "parameters")
        raise unreadable(error, context, where) from None


def check_loader(
    context: KedroContext,
    session: Any,
    runtime_params: Mapping[str, Any],
    parameters: Mapping[str, Any],
    space: SearchSpace,
) -> None:
    """Refuse a loader of the project's own that drops runtime parameters: all trials would be one.

    Args:
        context: The context of the project.
        session: What loads it with other parameters.
        runtime_params: What the user gave with ``--params``.
        parameters: The parameters of the project, these among them.
        space: What is searched.

    Raises:
        ConfigurationError: It does.
    """
    if is_kedro_loader(context.config_loader):
        return
    for r in space:
        value = next((v for v in r.choices or (r.low, r.last) if v != r.default), r.default)
        given = {**runtime_params, **override(parameters, {r.path: value})}
        read = dict(session.load_context(given).config_loader["parameters"])
        if lookup(read, r.path) != value:
            raise ConfigurationError(
                f"the loader {type(context.config_loader).__name__} does not put the values of a "
                f"trial into the parameters: '{r.path}' is {lookup(read, r.path)!r} with any value",
                where="settings.py: CONFIG_LOADER_CLASS",
                remedy="Let it put `self.runtime_params` over the parameters, as `kedro run "
                "--params` needs, or derive it from Kedro's OmegaConfigLoader.",
            )
