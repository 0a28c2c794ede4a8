"""What a project's configuration says of the plugin: settings, cache and study storage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from omegaconf.errors import OmegaConfBaseException

from kedro_eeipu.cache.store import Store
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.settings import FILE, Settings, absolute_root


def load_settings(context: KedroContext) -> Settings:
    """The settings in ``eeipu.yml``, if there is one.

    Raises:
        ConfigurationError: Something in it is wrong.
    """
    loader: Any = context.config_loader
    loader.config_patterns.setdefault("eeipu", ["eeipu*", "eeipu*/**", "**/eeipu*"])
    try:
        content = loader["eeipu"]
    except MissingConfigException:
        return Settings()
    except (yaml.YAMLError, OmegaConfBaseException, ValueError) as error:
        raise ConfigurationError(str(error), where=FILE) from None
    return Settings.parse(content)


def open_store(context: KedroContext, settings: Settings) -> Store:
    """The store that the settings describe.

    Raises:
        ConfigurationError: Credentials that they name are not there.
    """
    cache = settings.cache
    options = _credentials(context, cache.credentials, "cache.credentials")
    signing = _credentials(context, cache.signing_key, "cache.signing_key")
    secret = signing.get("key") if signing else None
    return Store(
        absolute_root(cache.root, Path(context.project_path)),
        storage_options=options or None,
        secret=str(secret).encode() if secret else None,
        max_entry_bytes=cache.max_entry_bytes,
    )


def study_storage(context: KedroContext, settings: Settings) -> str:
    """The database URL of the study."""
    if settings.study.storage:
        found = _credentials(context, settings.study.credentials, "study.credentials")
        if not found:
            return settings.study.storage
        scheme, _, rest = settings.study.storage.partition("://")
        return f"{scheme}://{found.get('username', '')}:{found.get('password', '')}@{rest}"
    return f"sqlite:///{Path(context.project_path) / '.eeipu' / 'study.db'}"


def _credentials(context: KedroContext, name: str, key: str) -> dict[str, Any]:
    if not name:
        return {}
    known = context._get_config_credentials()
    if name not in known:
        raise ConfigurationError(
            f"credentials.yml has no entry '{name}'", where=f"eeipu.yml: {key}"
        )
    return dict(known[name])
