"""Read ``eeipu.yml``, and say what is wrong with configuration that Kedro cannot read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from omegaconf.errors import OmegaConfBaseException

from kedro_eeipu.config.settings import FILE, Settings
from kedro_eeipu.errors import ConfigurationError

__all__ = ["UNREADABLE", "check_environment", "load_settings", "unreadable"]

# What Kedro's loader raises for files that hold no configuration, or contradict each other.
UNREADABLE = (yaml.YAMLError, OmegaConfBaseException, ValueError)


def check_environment(context: KedroContext) -> None:
    """Refuse a configuration environment that has no folder: a typing error, most likely.

    Raises:
        ConfigurationError: It has none.
    """
    folder = Path(str(context.config_loader.conf_source)) / (context.env or "")
    if context.env and not folder.exists():
        raise ConfigurationError(
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
    loader.config_patterns.setdefault("eeipu", ["eeipu*", "eeipu*/**", "**/eeipu*"])
    # A key that one environment sets must not take back what base says of its neighbours, such as
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


def unreadable(error: Exception, context: KedroContext, where: str) -> ConfigurationError:
    """What to say of configuration that Kedro cannot read.

    Args:
        error: What the loader has raised, one of `UNREADABLE`.
        context: The context of the loader.
        where: The file that is most likely meant, for errors that name none.
    """
    told, cause = str(error), error.__cause__
    named = re.match(r"Invalid YAML or JSON file (.+), unable to read line", told)
    if named and isinstance(cause, yaml.MarkedYAMLError) and cause.problem_mark:
        mark, file = cause.problem_mark, Path(named[1])
        if file.is_relative_to(context.project_path):
            file = file.relative_to(context.project_path)
        return ConfigurationError(
            f"line {mark.line + 1}, column {mark.column + 1}: {cause.problem}",
            where=file.as_posix(),
        )
    names_files = str(context.config_loader.conf_source) in told
    return ConfigurationError(told, where="" if names_files else where)
