"""Open the store and find the study that a project's configuration describes."""

from __future__ import annotations

import contextlib
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kedro.framework.context import KedroContext

from kedro_eeipu._kedro import credentials_of
from kedro_eeipu.cache.store.errors import in_words
from kedro_eeipu.cache.store.store import Store
from kedro_eeipu.config.settings import FILE, Settings, absolute_root
from kedro_eeipu.errors import ConfigurationError

__all__ = ["HOME", "check_store", "ensure_home", "open_store", "study_storage"]

HOME = ".eeipu"


def ensure_home(project: Path) -> Path:
    """The folder of a project for what the plugin keeps here, which keeps itself out of git."""
    home = project / HOME
    marker = home / ".gitignore"
    if not marker.exists():
        with contextlib.suppress(OSError):  # a run that cannot write there says so itself
            home.mkdir(exist_ok=True)
            marker.write_text(
                "# Written by kedro-eeipu: its trials and cached outputs are not for git.\n*\n"
            )
    return home


def open_store(context: KedroContext, settings: Settings) -> Store:
    """The store that the settings describe.

    Raises:
        ConfigurationError: Credentials that they name are missing, or are in the URL; or the
            root is a file.
    """
    cache = settings.cache
    _refuse_password(cache.root, "cache.root")
    project = Path(context.project_path)
    root = absolute_root(cache.root, project)
    _refuse_file(root)
    options = _credentials(context, cache.credentials, "cache.credentials")
    signing = _credentials(context, cache.signing_key, "cache.signing_key")
    secret = signing.get("key") if signing else None
    return Store(
        root,
        storage_options=options or None,
        secret=str(secret).encode() if secret else None,
        max_entry_bytes=cache.max_entry_bytes,
        copies=str(project / HOME / "copies"),
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
    """The database URL of the study, credentials included: not to be shown.

    Raises:
        ConfigurationError: It holds a password, or is no URL.
    """
    storage, name = settings.study.storage, settings.study.credentials
    if not storage:
        return f"sqlite:///{Path(context.project_path) / HOME / 'study.db'}"
    # Not above: a plain run reads the settings too, and has no study.
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    _refuse_password(storage, "study.storage")
    try:
        url = make_url(storage)
    except ArgumentError:
        raise ConfigurationError(
            f"'{storage}' is not a database URL",
            where=f"{FILE}: study.storage",
            remedy="Write, for example, postgresql://host/database.",
        ) from None
    login = _credentials(context, name, "study.credentials")
    if login:
        url = url.set(
            username=str(login.get("username", "")) or None,
            password=str(login.get("password", "")) or None,
        )
    if url.drivername in ("postgresql", "postgres") and find_spec("psycopg"):
        url = url.set(drivername="postgresql+psycopg")
    return url.render_as_string(hide_password=False)


def _credentials(context: KedroContext, name: str, key: str) -> dict[str, Any]:
    if not name:
        return {}
    credentials = credentials_of(context)
    if name not in credentials:
        raise ConfigurationError(
            f"credentials.yml has no entry '{name}'", where=f"eeipu.yml: {key}"
        )
    return dict(credentials[name])


def _refuse_file(root: str) -> None:
    """Refuse a local root that is a file, or is below one."""
    path = Path(root.removeprefix("file://"))
    if "://" in str(path):
        return
    there = next((p for p in (path, *path.parents) if os.path.exists(p)), None)
    if there is not None and not there.is_dir():
        raise ConfigurationError(
            f"{there} is a file, not a directory",
            where=f"{FILE}: cache.root",
            remedy="Name a folder; one that is not there yet is made.",
        )


def _refuse_password(url: str, key: str) -> None:
    if "://" in url and "@" in urlsplit(url).netloc and urlsplit(url).password:
        raise ConfigurationError(
            "it holds a password",
            where=f"{FILE}: {key}",
            remedy="Put it into credentials.yml, and the name of that entry into "
            f"{key.split('.')[0]}.credentials.",
        )
