"""``kedro eeipu cache``: what is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from kedro_eeipu.cli.common import (
    format_option,
    make_console,
    print_json,
    selecting,
    study_option,
)
from kedro_eeipu.errors import EEIPUError
from kedro_eeipu.states import NodeState
from kedro_eeipu.wording import counted, in_bytes

if TYPE_CHECKING:
    from kedro_eeipu.project.selection import Selection

__all__ = ["cache"]


@click.group()
def cache() -> None:
    """Look at what is kept, check it, and make room."""


def _cache_command(command: Callable[..., None]) -> Callable[..., None]:
    """Register a command on the cache of the project, which it gets as its first argument."""

    @click.option("--env", "-e", default=None, help="Configuration environment.")
    @click.option("--conf-source", default=None, help="Path of the configuration folder.")
    @selecting
    def opened(selection: Selection, **options: Any) -> None:
        command(_Cache(selection), **options)

    opened.__doc__ = command.__doc__
    opened.__click_params__ = [  # type: ignore[attr-defined]
        *getattr(command, "__click_params__", []),
        *opened.__click_params__,  # type: ignore[attr-defined]
    ]
    cache.command(name=command.__name__)(opened)
    return command


class _Cache:
    """The cache of a project; no search has to be declared for it."""

    def __init__(self, selection: Selection) -> None:
        from kedro_eeipu.config.opening import HOME, check_store, open_store, study_storage

        context, settings = selection.open_settings()
        self.max_size = settings.cache.max_size
        self.store = open_store(context, settings)
        if self.store.is_remote:  # a folder may well be looked at that cannot be written
            check_store(self.store, settings)
        self.runs = selection.path / HOME / "runs"
        self._storage = study_storage(context, settings)
        self._study, self._is_named = selection.study_name, selection.study is not None

    def users(self) -> dict[str, list[int]]:
        """Numbers of the trials of the study that made or were served each key.

        Raises:
            EEIPUError: The study that was asked for is not there.
        """
        from kedro_eeipu.study.opening import open_study

        users: dict[str, list[int]] = {}
        try:
            trials = open_study(self._storage, self._study).trials()
        except EEIPUError:
            if self._is_named:
                raise
            return users  # there is no study yet: plain runs fill the cache, too
        for trial in trials:
            for node in trial.nodes:
                if node.key and node.status in (NodeState.RAN, NodeState.REUSED):
                    users.setdefault(node.key, []).append(trial.number)
        return users


@_cache_command
@study_option
@format_option()
def ls(opened: _Cache, form: str) -> None:
    """List what is kept.

    Node, dataset, size, seconds that it saves, age, trials that use it.
    """
    users = opened.users()
    now = time.time()
    entries = []
    for record in opened.store.records():
        names = record.meta.get("datasets", [])
        for name, blob in zip(names, record.outputs, strict=False):
            entries.append(
                {
                    "node": record.meta.get("node"),
                    "dataset": name,
                    "bytes": blob.size,
                    "seconds": float(record.meta.get("seconds", 0.0)),
                    "age_seconds": max(0.0, now - float(record.meta.get("created", now))),
                    "trials": users.get(record.key, []),
                    "kept": opened.store.has(blob),
                    "recipe": blob.is_recipe,
                    "key": record.key,
                    "digest": blob.digest,
                }
            )
    entries.sort(key=lambda e: (str(e["node"]), str(e["dataset"]), e["age_seconds"]))
    if form == "json":
        print_json(entries)
        return
    from kedro_eeipu.cli.tables import entries_table

    make_console().print(entries_table(entries))


@_cache_command
@format_option()
def stats(opened: _Cache, form: str) -> None:
    """Count what is kept."""
    figures = {**opened.store.stats(), "max_size": opened.max_size}
    if form == "json":
        print_json(figures)
        return
    for name, value in figures.items():
        if name in ("blob_bytes", "folder_bytes", "total_bytes", "max_size"):
            value = "no limit" if value is None else in_bytes(value)
        elif name == "verified":
            value = f"{value} of {counted(figures['records'], 'record')}"
        click.echo(f"{name.replace('_', ' ')}: {value}")


@_cache_command
@format_option()
def verify(opened: _Cache, form: str) -> None:
    """Read everything and name what is damaged.

    Exit code 1 if anything is.
    """
    problems = opened.store.verify()
    if form == "json":
        print_json([asdict(problem) for problem in problems])
    else:
        for problem in problems:
            click.echo(f"{problem.path or opened.store.root}: {problem.detail}")
        click.echo(f"{len(problems)} problems" if problems else "No problems found.")
    if problems:
        raise SystemExit(1)


@_cache_command
@format_option()
def gc(opened: _Cache, form: str) -> None:
    """Delete what is not needed.

    What no record names, and what is above the size limit of eeipu.yml.
    """
    from kedro_eeipu.hooks.run_directory import sweep_plans

    result = opened.store.gc(opened.max_size)
    result = replace(result, swept=result.swept + sweep_plans(opened.runs))
    if form == "json":
        print_json(asdict(result))
    if result.error:
        raise EEIPUError(
            f"the cache at {opened.store.root} was not cleaned, or only in part: {result.error}\n"
            "Fix that and run the same command again."
        )
    if form == "json":
        return
    click.echo(
        f"Dropped {counted(len(result.evicted), 'output')} for the size limit, {result.orphans} "
        f"that no record names and {counted(result.swept, 'old temporary file')}: "
        f"{in_bytes(result.freed)} freed, {in_bytes(result.size)} kept."
    )


@_cache_command
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def clear(opened: _Cache, yes: bool) -> None:
    """Delete everything that is kept; trials stay recorded."""
    before = opened.store.stats()
    if not yes and not click.confirm(f"Delete all of {opened.store.root} ({_outputs(before)})?"):
        return
    trouble = opened.store.clear()
    after = opened.store.stats()
    gone = {key: max(0, before.get(key, 0) - after.get(key, 0)) for key in _COUNTED}
    click.echo(f"Deleted {_outputs(gone)}.")
    if trouble:
        raise EEIPUError(
            f"{_outputs(after)} in the cache at {opened.store.root} could not be deleted: "
            f"{trouble}\nFix that and run the same command again."
        )


_COUNTED = ("blobs", "blob_bytes", "folders", "folder_bytes")


def _outputs(stats: Mapping[str, Any]) -> str:
    """How many outputs these are, and their size; kept as files or not."""
    blobs, blob_bytes, folders, folder_bytes = (stats.get(key, 0) for key in _COUNTED)
    return f"{counted(blobs + folders, 'output')}, {in_bytes(blob_bytes + folder_bytes)}"
