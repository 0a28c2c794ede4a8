"""Read ``eeipu.yml``, and say what is wrong with configuration that Kedro cannot read."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from omegaconf.errors import OmegaConfBaseException

from kedro_eeipu._kedro import configuration_folders
from kedro_eeipu.config.settings import FILE, Settings
from kedro_eeipu.errors import ConfigurationError

__all__ = [
    "UNREADABLE",
    "NoEnvironmentError",
    "check_environment",
    "configuration_files",
    "content_of",
    "load_settings",
    "searches_in",
    "unreadable",
]

_PATTERNS = ["eeipu*", "eeipu*/**", "**/eeipu*"]

# What Kedro's loader raises for files that hold no configuration, or contradict each other.
UNREADABLE = (yaml.YAMLError, OmegaConfBaseException, ValueError)


class NoEnvironmentError(ConfigurationError):
    """A configuration environment has no folder."""


def check_environment(context: KedroContext) -> None:
    """Refuse a configuration environment that has no folder: a typing error, most likely.

    Raises:
        NoEnvironmentError: It has none.
    """
    folder = Path(str(context.config_loader.conf_source)) / (context.env or "")
    if context.env and not folder.exists():
        raise NoEnvironmentError(
            f"there is no configuration environment '{context.env}'",
            where="--env",
            remedy=f"It would be the folder {folder}.",
        )


def load_settings(context: KedroContext) -> Settings:
    """The settings in ``eeipu.yml``, if there is one; those of environments merged key by key.

    Raises:
        ConfigurationError: Something in it is wrong.
    """
    loader: Any = context.config_loader
    if loader.config_patterns.setdefault("eeipu", _PATTERNS) is _PATTERNS:
        loader.config_patterns["eeipu"] = _without_searches(context) or _PATTERNS
    # A key that one environment sets must not take back what base says about its neighbours, as
    # that a node is not to be cached. A copy: the user's other types are merged as they say.
    loader.merge_strategy = {**getattr(loader, "merge_strategy", {}), "eeipu": "soft"}
    try:
        content = loader["eeipu"]
    except MissingConfigException:
        return Settings()
    except TypeError:
        raise ConfigurationError(
            "an environment has a list where conf/base has a mapping, or the other way round",
            where=FILE,
            remedy="`cache`, `nodes`, a node, `inputs` and an input are mappings in each of them.",
        ) from None
    except UNREADABLE as error:
        raise unreadable(error, context, FILE) from None
    return Settings.parse(content)


def configuration_files(context: KedroContext, key: str) -> list[Path]:
    """The local files that hold a key of the configuration, those of the environment first.

    Args:
        context: The context.
        key: A key of the loader's patterns, such as ``parameters``.
    """
    loader: Any = context.config_loader
    files: dict[Path, None] = {}
    patterns = loader.config_patterns.get(key, _PATTERNS if key == "eeipu" else ())
    for folder in reversed(configuration_folders(loader)):
        for pattern in patterns:
            below = f"{pattern}/*" if pattern.endswith("**") else pattern
            files.update(dict.fromkeys(sorted(Path(folder).glob(below))))
    return [f for f in files if f.suffix in (".yml", ".yaml", ".json") and f.is_file()]


def searches_in(file: Path) -> list[str]:
    """The keys of a file that declare a search, as the ``eeipu`` block does."""
    content = content_of(file, "objective") or content_of(file, "space")
    return [
        str(key)
        for key, value in content.items()
        if isinstance(value, Mapping) and ("objective" in value or "space" in value)
    ]


def content_of(file: Path, mentioning: str) -> Mapping[Any, Any]:
    """What a YAML file holds, nothing of one that does not mention a word or cannot be read."""
    try:
        text = file.read_text()
        content = yaml.safe_load(text) if mentioning in text else None
    except (OSError, ValueError, yaml.YAMLError):  # who reads it in earnest says what is wrong
        content = None
    return content if isinstance(content, Mapping) else {}


def _without_searches(context: KedroContext) -> list[str]:
    """Patterns of the settings that leave out files with a search in them; empty for none such.

    ``conf/base/parameters/eeipu.yml`` holds parameters, though its name is that of the settings.
    """
    loader: Any = context.config_loader
    files = configuration_files(context, "eeipu")
    searches = [file for file in files if searches_in(file)]
    if not searches:
        return []
    folders = list(map(Path, configuration_folders(loader)))
    return [
        glob.escape(file.relative_to(folder).as_posix())
        for file in files
        for folder in folders
        if file not in searches and file.is_relative_to(folder)
    ] or ["eeipu.yml/no settings"]


def unreadable(error: Exception, context: KedroContext, where: str) -> ConfigurationError:
    """What to say about configuration that Kedro cannot read.

    Args:
        error: What the loader has raised, one of `UNREADABLE`.
        context: The context of the loader.
        where: The file that is most likely meant, for errors that name none.
    """
    message, cause = str(error), error.__cause__
    named = re.match(r"Invalid YAML or JSON file (.+), unable to read line", message)
    if named and isinstance(cause, yaml.MarkedYAMLError) and cause.problem_mark:
        mark, file = cause.problem_mark, Path(named[1])
        if file.is_relative_to(context.project_path):
            file = file.relative_to(context.project_path)
        return ConfigurationError(
            f"line {mark.line + 1}, column {mark.column + 1}: {cause.problem}",
            where=file.as_posix(),
        )
    names_files = str(context.config_loader.conf_source) in message
    return ConfigurationError(message, where="" if names_files else where)
