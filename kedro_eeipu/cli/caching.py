"""``explain`` and ``cache``: why nodes ran or were reused, and what is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from kedro_eeipu.cli.common import (
    format_option,
    load_project,
    make_console,
    open_recorded,
    open_settings,
    print_json,
    project_options,
    reports_errors,
    study_name,
    study_option,
)
from kedro_eeipu.cli.tables import entries_table, explanation_table, in_bytes
from kedro_eeipu.cli.tuning import trial_json
from kedro_eeipu.errors import ConfigurationError, EEIPUError
from kedro_eeipu.wording import counted

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata

    from kedro_eeipu.cache.store.store import Store
    from kedro_eeipu.study.storage import TrialStudy


@click.command()
@click.option("--trial", "number", type=int, required=True, help="The trial to explain.")
@click.option("--node", default=None, help="Explain this node only.")
@project_options
@study_option
@format_option
@click.pass_obj
@reports_errors
def explain(
    metadata: ProjectMetadata,
    number: int,
    node: str | None,
    study: str | None,
    form: str,
    **options: Any,
) -> None:
    """Say why each node of a trial ran or was reused.

    Against the nearest earlier trial: which parameter, input, function or library differed.
    """
    project = load_project(metadata, **options)
    nodes = explanation(open_recorded(project, study), project.store, number)
    if node is not None:
        nodes = [n for n in nodes if n["name"] == node]
        if not nodes:
            raise ConfigurationError(f"trial {number} has no node '{node}'", where="--node")
    if form == "json":
        print_json(nodes)
    else:
        make_console().print(explanation_table(number, nodes))


def explanation(study: TrialStudy, store: Store, number: int) -> list[dict[str, Any]]:
    """The node records of a trial, as ``trials`` lists them, with what changed and since when.

    Raises:
        ConfigurationError: The study has no such trial.
    """
    from kedro_eeipu.study.explain import History, changed_parts

    found = study.trials()
    if not 0 <= number < len(found):
        raise ConfigurationError(
            f"study '{study.name}' has no trial {number}",
            remedy="`kedro eeipu trials` lists them.",
        )
    trial, history = found[number], History(found[: number + 1])
    told: list[dict[str, Any]] = trial_json(history, trial)["nodes"]
    for node, entry in zip(trial.nodes, told, strict=True):
        before = history.against(number, node)
        entry["against"] = None if before is None else before[0]
        entry["changed"] = [] if before is None else changed_parts(before[1], node)
        code = _code(store, node.key), _code(store, before[1].key if before else None)
        entry["code"] = code_changes(*code) if "code" in entry["changed"] and all(code) else []
    return told


def code_changes(now: Mapping[str, str], before: Mapping[str, str]) -> list[str]:
    """What differs between the code of two records, in words."""
    changes = []
    for name in sorted(set(now) | set(before)):
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if name.startswith("library ") or name == "python":
            changes.append(f"{name}: {old or 'not used'} -> {new or 'not used'}")
        else:
            module, _, thing = name.partition(":")
            verb = "is new" if old is None else "is no longer used" if new is None else "changed"
            changes.append(f"{thing} in {module} {verb}" if thing else f"{name} {verb}")
    return changes


def _code(store: Store, key: str | None) -> dict[str, str]:
    record = None if key is None else store.get(key)
    return {} if record is None else dict(record.meta.get("code", {}))


@click.group()
def cache() -> None:
    """Look at what is kept, check it, and make room."""


def _cache_command(command: Callable[..., None]) -> Callable[..., None]:
    """Register a command on the cache of the project, which it gets as its first argument."""

    @click.option("--env", "-e", default=None, help="Configuration environment.")
    @click.option("--conf-source", default=None, help="Path of the configuration folder.")
    @click.pass_obj
    @reports_errors
    def opened(
        metadata: ProjectMetadata, env: str | None, conf_source: str | None, **options: Any
    ) -> None:
        command(_Cache(metadata, env, conf_source), **options)

    opened.__doc__ = command.__doc__
    opened.__click_params__ = [  # type: ignore[attr-defined]
        *getattr(command, "__click_params__", []),
        *opened.__click_params__,  # type: ignore[attr-defined]
    ]
    cache.command(name=command.__name__)(opened)
    return command


class _Cache:
    """The cache of a project; no search has to be declared for it."""

    def __init__(self, metadata: ProjectMetadata, env: str | None, conf_source: str | None) -> None:
        from kedro_eeipu.config.loading import check_store, open_store, study_storage

        context, settings = open_settings(metadata, env, {}, conf_source)
        self.max_size = settings.cache.max_size
        self.store = open_store(context, settings)
        check_store(self.store, settings)
        self._storage = study_storage(context, settings)

    def users(self, study: str) -> dict[str, list[int]]:
        """Numbers of the trials of a study that made or were served each key."""
        from kedro_eeipu.study.storage import open_study

        users: dict[str, list[int]] = {}
        try:
            trials = open_study(self._storage, study).trials()
        except EEIPUError:  # there is no study yet: plain runs fill the cache, too
            return users
        for trial in trials:
            for node in trial.nodes:
                if node.key and node.status in ("ran", "reused"):
                    users.setdefault(node.key, []).append(trial.number)
        return users


@_cache_command
@study_option
@format_option
def ls(opened: _Cache, study: str | None, form: str) -> None:
    """List what is kept: node, dataset, size, seconds it saves, age, trials that use it."""
    users = opened.users(study_name(study, "__default__"))
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
                    "key": record.key,
                    "digest": blob.digest,
                }
            )
    entries.sort(key=lambda e: (str(e["node"]), str(e["dataset"]), e["age_seconds"]))
    if form == "json":
        print_json(entries)
    else:
        make_console().print(entries_table(entries))


@_cache_command
@format_option
def stats(opened: _Cache, form: str) -> None:
    """Count what is kept."""
    found = {**opened.store.stats(), "max_size": opened.max_size}
    if form == "json":
        print_json(found)
        return
    for name, value in found.items():
        if name in ("blob_bytes", "total_bytes", "max_size"):
            value = "no limit" if value is None else in_bytes(value)
        click.echo(f"{name.replace('_', ' ')}: {value}")


@_cache_command
@format_option
def verify(opened: _Cache, form: str) -> None:
    """Read everything and say what is damaged; exit code 1 if anything is."""
    problems = opened.store.verify()
    if form == "json":
        print_json([asdict(problem) for problem in problems])
    else:
        for problem in problems:
            click.echo(f"{problem.path or opened.store.root}: {problem.detail}")
        click.echo(f"{len(problems)} problems" if problems else "Everything is as it was written.")
    if problems:
        raise SystemExit(1)


@_cache_command
@format_option
def gc(opened: _Cache, form: str) -> None:
    """Delete what nobody needs, and keep the size limit of eeipu.yml."""
    result = opened.store.gc(opened.max_size)
    if form == "json":
        print_json(asdict(result))
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
    stats = opened.store.stats()
    what = f"{counted(stats.get('blobs', 0), 'output')}, {in_bytes(stats.get('blob_bytes', 0))}"
    if not yes and not click.confirm(f"Delete all of {opened.store.root} ({what})?"):
        return
    opened.store.clear()
    click.echo(f"Deleted {what}.")
