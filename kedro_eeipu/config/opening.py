"""Open the store and find the study that a project's configuration describes."""

from __future__ import annotations

import contextlib
import os
import re
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

__all__ = ["HOME", "check_library", "check_store", "ensure_home", "open_store", "study_storage"]

HOME = ".eeipu"
_MEMORY = "mode=memory"


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
            root is a file, or a URL with a slash missing.
    """
    cache = settings.cache
    _refuse_password(cache.root, "cache.root")
    _refuse_one_slash(cache.root)
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
    """Refuse a root that cannot be used, before hours are spent on what it will not keep.

    One that fails later costs computing time only.

    Raises:
        ConfigurationError: Its library is missing, it cannot be written, or nothing signs the
            records of a remote one.
    """
    where, cache = f"{FILE}: cache.root", settings.cache
    if store.is_remote and not store.is_signed:
        raise ConfigurationError(
            f"the cache at {store.root} is on another machine, and loading from it could run other "
            "people's code",
            where=where,
            remedy="Name an entry of credentials.yml with a secret `key` that signs what we write: "
            "`cache: {signing_key: NAME}`.",
        )
    check_library(store)
    try:
        store.probe()
    except Exception as error:
        if not store.is_remote:
            raise ConfigurationError(
                f"the cache at {store.root} cannot be written: {in_words(error)}",
                where=where,
                remedy="Check that its disk is not full and its folder not read-only, or name "
                "another folder.",
            ) from None
        options = f"the entry '{cache.credentials}'" if cache.credentials else "an entry"
        raise ConfigurationError(
            f"the cache at {store.root} cannot be written: {in_words(error)}",
            where=where,
            remedy="Check that the bucket exists, and that the environment or "
            f"{options} of credentials.yml named by cache.credentials lets us write to it.",
        ) from None


def check_library(store: Store) -> None:
    """Refuse a root of a kind that cannot be opened here; nothing is written.

    Raises:
        ConfigurationError: Its library is missing, or there is none.
    """
    try:
        store.open()
    except ImportError as error:
        raise ConfigurationError(
            f"the library for {store.root} is missing: {error}",
            where=f"{FILE}: cache.root",
            remedy="pip install 'kedro-eeipu[s3]'" if store.root.startswith("s3") else "",
        ) from None
    except Exception as error:
        raise ConfigurationError(
            f"the cache at {store.root} cannot be opened: {in_words(error)}",
            where=f"{FILE}: cache.root",
            remedy="Write a folder or a URL that fsspec knows, and name the entry of "
            "credentials.yml that it needs in cache.credentials.",
        ) from None


def study_storage(context: KedroContext, settings: Settings) -> str:
    """The database URL of the study, credentials included: not to be shown.

    Raises:
        ConfigurationError: It holds a password, is no URL, or a database in memory.
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
    database = url.database or ""
    if url.get_backend_name() == "sqlite" and (database in ("", ":memory:") or _MEMORY in storage):
        raise ConfigurationError(
            f"'{storage}' is a database in memory, which keeps nothing after the command",
            where=f"{FILE}: study.storage",
            remedy="Name a file, for example sqlite:////home/me/study.db, or leave it out.",
        )
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


def _refuse_one_slash(root: str) -> None:
    """Refuse ``s3:/bucket``, which would be a local folder; a drive's letter has no such length."""
    match = re.match(r"([A-Za-z0-9]{2,}):/(?!/)", root)
    if match is not None:
        raise ConfigurationError(
            f"'{root}' is neither a URL nor a folder",
            where=f"{FILE}: cache.root",
            remedy=f"Write two slashes: {match[1]}://{root[match.end() :]}",
        )


def _refuse_password(url: str, key: str) -> None:
    if "://" in url and "@" in urlsplit(url).netloc and urlsplit(url).password:
        raise ConfigurationError(
            "it holds a password",
            where=f"{FILE}: {key}",
            remedy="Put it into credentials.yml, and the name of that entry into "
            f"{key.split('.')[0]}.credentials.",
        )
