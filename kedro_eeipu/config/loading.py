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
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kedro_eeipu._kedro import configuration_folders, is_kedro_loader
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
    """Refuse local configuration of which a folder is missing: a typing error, most likely.

    Kedro itself goes on without some of them and raises later, or reads nothing.

    Raises:
        NoEnvironmentError: The environment that was asked for has none.
        ConfigurationError: There is no configuration at all, or an environment that is always read
            has no folder.
    """
    loader: Any = context.config_loader
    source = Path(str(loader.conf_source))
    folders = list(map(Path, configuration_folders(loader)))
    if not folders:  # an archive, a bucket, or whatever a loader of another kind reads
        return
    if not source.is_dir():
        raise ConfigurationError(
            "there is no such configuration folder",
            where=_inside(source, context),
            remedy="Name one that exists: --conf-source PATH, or CONF_SOURCE in settings.py.",
        )
    if context.env and not (source / context.env).exists():
        raise NoEnvironmentError(
            f"there is no configuration environment '{context.env}'",
            where="--env",
            remedy=f"It would be the folder {source / context.env}.",
        )
    for folder in folders if is_kedro_loader(loader) else ():
        if not folder.is_dir():
            raise ConfigurationError(
                "the configuration environment has no folder, and Kedro reads it in each run",
                where=_inside(folder, context),
                remedy="Make the folder; it may be empty.",
            )


def load_settings(context: KedroContext) -> Settings:
    """The settings in ``eeipu.yml``, if there is one; those of environments merged key by key.

    Raises:
        ConfigurationError: Something in it is wrong.
    """
    try:
        content = _settings_content(context)
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


def _settings_content(context: KedroContext) -> Any:
    loader: Any = context.config_loader
    if not is_kedro_loader(loader):
        return _settings_in_files(context)
    if loader.config_patterns.setdefault("eeipu", _PATTERNS) is _PATTERNS:
        loader.config_patterns["eeipu"] = _without_searches(context) or _PATTERNS
    # A key that one environment sets must not take back what base says about its neighbours, as
    # that a node is not to be cached. A copy: the user's other types are merged as they say.
    loader.merge_strategy = {**getattr(loader, "merge_strategy", {}), "eeipu": "soft"}
    return loader["eeipu"]


def _settings_in_files(context: KedroContext) -> Any:
    """The settings of a project whose loader knows nothing of them, read from its folders."""
    merged: Any = OmegaConf.create({})
    for file in reversed(configuration_files(context, "eeipu")):
        if not searches_in(file):
            with file.open(encoding="utf-8") as text:  # which errors name
                merged = OmegaConf.merge(merged, OmegaConf.create(yaml.safe_load(text) or {}))
    return OmegaConf.to_container(merged, resolve=True)


def configuration_files(context: KedroContext, key: str) -> list[Path]:
    """The local files that hold a key of the configuration, those of the environment first.

    Args:
        context: The context.
        key: A key of the loader's patterns, such as ``parameters``.
    """
    loader: Any = context.config_loader
    files: dict[Path, None] = {}
    usual = [f"{key}*", f"{key}*/**", f"**/{key}*"]
    # Only Kedro's own loader says which files it reads.
    default = usual if key == "eeipu" or not is_kedro_loader(loader) else ()
    patterns = getattr(loader, "config_patterns", {}).get(key, default)
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


def _inside(path: Path, context: KedroContext) -> str:
    """A path, relative to the project if it is inside."""
    root = Path(context.project_path)
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


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
