"""What a project's configuration says of the plugin: settings, cache and study storage."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from omegaconf.errors import OmegaConfBaseException

from kedro_eeipu.cache.store import Store
from kedro_eeipu.cache.upkeep import in_words
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
        ConfigurationError: Credentials that they name are not there, or stand in the URL.
    """
    cache = settings.cache
    _refuse_password(cache.root, "cache.root")
    options = _credentials(context, cache.credentials, "cache.credentials")
    signing = _credentials(context, cache.signing_key, "cache.signing_key")
    secret = signing.get("key") if signing else None
    project = Path(context.project_path)
    return Store(
        absolute_root(cache.root, project),
        storage_options=options or None,
        secret=str(secret).encode() if secret else None,
        max_entry_bytes=cache.max_entry_bytes,
        copies=str(project / ".eeipu" / "copies"),
    )


def check_store(store: Store, settings: Settings) -> None:
    """Refuse a remote root that cannot be used, before hours are spent on what it will not keep.

    A local root that cannot be used costs computing time only, as a remote one does that fails
    later.

    Raises:
        ConfigurationError: Its library is missing, it cannot be written, or nothing signs records.
    """
    if not store.is_remote:
        return
    where, cache = f"{FILE}: cache.root", settings.cache
    if not store.is_signed:
        raise ConfigurationError(
            f"the cache at {store.root} is on another machine, and loading from it could run other "
            "people's code",
            where=where,
            remedy="Name an entry of credentials.yml with a secret `key` that signs what we write: "
            "`cache: {signing_key: NAME}`.",
        )
    try:
        store.probe()
    except ImportError as error:
        raise ConfigurationError(
            f"the library for {store.root} is missing: {error}",
            where=where,
            remedy="For S3: pip install 'kedro-eeipu[s3]'.",
        ) from None
    except Exception as error:
        options = f"the entry '{cache.credentials}'" if cache.credentials else "an entry"
        raise ConfigurationError(
            f"the cache at {store.root} cannot be written: {in_words(error)}",
            where=where,
            remedy="Check that the bucket exists, and that the environment or "
            f"{options} of credentials.yml named by cache.credentials lets us write to it.",
        ) from None


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


def _refuse_password(url: str, key: str) -> None:
    if "://" in url and "@" in urlsplit(url).netloc and urlsplit(url).password:
        raise ConfigurationError(
            "it holds a password",
            where=f"{FILE}: {key}",
            remedy="Put it into credentials.yml, and the name of that entry into "
            f"{key.split('.')[0]}.credentials.",
        )
