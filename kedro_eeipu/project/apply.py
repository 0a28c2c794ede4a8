"""Adopt a trial: its values into a configuration environment, its outputs into the catalog."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from kedro.config import MissingConfigException
from omegaconf.errors import OmegaConfBaseException

from kedro_eeipu._kedro import catalog_of, is_ephemeral
from kedro_eeipu.cache.store.store import Blob, CacheMiss
from kedro_eeipu.config.loading import searches_in
from kedro_eeipu.config.redaction import Redactor, without_hidden
from kedro_eeipu.errors import ConfigurationError, EEIPUError
from kedro_eeipu.hooks.kept_files import kept_value
from kedro_eeipu.hooks.opened_files import ChangedFiles
from kedro_eeipu.hooks.process_state import CarriedState
from kedro_eeipu.project.parameters import read_parameters
from kedro_eeipu.project.project import Project
from kedro_eeipu.project.since import SinceTrial
from kedro_eeipu.search.block import is_block
from kedro_eeipu.search.paths import override, scalar_paths
from kedro_eeipu.search.stages import touches
from kedro_eeipu.study.records import TrialRecord
from kedro_eeipu.wording import scalar

__all__ = ["Adoption"]

_MISSING = object()


@dataclass(frozen=True)
class PlainRun:
    """The `kedro run` that uses the values of an adopted trial.

    Attributes:
        pipeline: Name in the registry.
        env: Its configuration environment, ``None`` for the project's default.
        runtime_params: What it must be given with ``--params``.
    """

    pipeline: str
    env: str | None
    runtime_params: Mapping[str, Any]

    @property
    def command(self) -> str:
        """The run as it is typed."""
        words = ["kedro run"]
        if self.pipeline != "__default__":
            words.append(f"--pipeline {shlex.quote(self.pipeline)}")
        if self.env is not None:
            words.append(f"--env {shlex.quote(self.env)}")
        if self.runtime_params:
            values = scalar_paths(Redactor().parameters(self.runtime_params))
            params = ",".join(f"{path}={scalar(value)}" for path, value in values)
            words.append(f"--params {shlex.quote(params)}")
        return " ".join(words)


@dataclass(frozen=True)
class SavedOutputs:
    """What became of a trial's declared outputs.

    Attributes:
        saved: Names of the datasets written.
        missing: Why the cache could not give others, by name.
        failed: Why the dataset could not save others, by name.
        beside: Partitions that are beside those of the trial, by name of the dataset.
    """

    saved: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    beside: dict[str, list[str]] = field(default_factory=dict)

    def refuse_failed(self, trial: TrialRecord, run: PlainRun) -> None:
        """Say what a dataset could not save, after all others were.

        Raises:
            EEIPUError: There is one.
        """
        if not self.failed:
            return
        reasons = [
            f"the dataset '{name}' of the catalog could not save the output of trial "
            f"{trial.number}: {reason}"
            for name, reason in self.failed.items()
        ]
        written = ", ".join(["the values", *self.saved])
        raise EEIPUError(
            "\n".join(reasons)
            + f"\nWritten are {written}. `{run.command}` fails there, too, until the node "
            "returns what can be saved, or the catalog declares another type."
        )


@dataclass(frozen=True)
class Adoption:
    """A trial that is adopted.

    Attributes:
        project: Loaded with the trial's environment and runtime parameters.
        trial: The trial.
        study: Name of its study.
        env: The configuration environment that gets its values.
        changes: What has changed since the trial that its value depends on, in words.
    """

    project: Project
    trial: TrialRecord
    study: str
    env: str
    changes: Sequence[str] = ()

    @cached_property
    def values(self) -> dict[str, Any]:
        """What the trial changed of the project's own parameters, by ``--params`` too.

        Whole top-level sections, as Kedro merges them.
        """
        project = self.project
        given: dict[str, Any] = {}
        if project.runtime_params:
            try:
                own = read_parameters(project.path, project.env, conf_source=project.conf_source)
            except ConfigurationError:  # without the runtime parameters they cannot be read
                own = {}
            hide = project.redactor.parameters
            given = {
                section: value
                for section, value in project.parameters.items()
                if not is_block(section)
                and (section not in own or own[section] != value)
                # A secret is not written into a file with values.
                and not without_hidden({section: hide(value, section)})[1]
            }
        return {**given, **override(project.parameters, self.trial.params)}

    def as_yaml(self) -> str:
        """The values as a parameters file."""
        head = f"# Written by `kedro eeipu apply`: trial {self.trial.number} of study {self.study}"
        if self.trial.value is not None:
            head += f", {self.project.space.objective} {self.trial.value:.6g}"
            head += " before an edit" if self.changes else ""
        return f"{head}\n{yaml.safe_dump(self.values, sort_keys=False)}"

    def write_values(self) -> Path:
        """Write the values into the environment, into their own file; returns the file.

        Raises:
            ConfigurationError: The name leads out of ``conf/``, or another file of the environment
                sets the same keys: Kedro would refuse to load both.
        """
        if not re.fullmatch(r"\w[\w.-]*", self.env):
            raise ConfigurationError(
                f"'{self.env}' is not the name of an environment", where="--env"
            )
        folder = self.project.path / "conf" / self.env
        target = folder / applied_file(self.project.pipeline_name)
        if searches_in(target):  # the user's own block, which is not to be lost
            target = target.with_stem(f"{target.stem}_applied")
        for file in sorted(folder.glob("**/parameters*.y*ml")):
            if file != target:
                self._refuse_same_keys(file)
        folder.mkdir(parents=True, exist_ok=True)
        target.write_text(self.as_yaml())
        return target

    def _refuse_same_keys(self, file: Path) -> None:
        where = file.relative_to(self.project.path).as_posix()
        try:
            content = yaml.safe_load(file.read_text())
        except yaml.YAMLError as error:
            raise ConfigurationError(f"it cannot be read: {error}", where=where) from None
        both = sorted(set(content) & set(self.values)) if isinstance(content, Mapping) else []
        if both:
            raise ConfigurationError(
                f"it already sets {', '.join(both)}, and Kedro refuses a key set twice",
                where=where,
                remedy="Take them out of there, or name another environment, e.g. "
                f"--env {'applied' if self.env == 'tuned' else 'tuned'}.",
            )

    def plain_run(self) -> PlainRun:
        """The plain run that uses the values once they are written."""
        project = self.project
        return PlainRun(
            project.pipeline_name,
            # Kedro reads these two in every run.
            env=None if self.env in ("local", "base") else self.env,
            runtime_params=project.runtime_params if _needs_params(project) else {},
        )

    def differing(self, run: PlainRun) -> list[str]:
        """Dotted paths of what nodes take in a plain run with other values than in the trial.

        Args:
            run: The plain run; the values have been written.

        Raises:
            ConfigurationError: Its parameters cannot be read.
        """
        project = self.project
        then = {**project.parameters, **override(project.parameters, self.trial.params)}
        now = read_parameters(project.path, run.env, run.runtime_params)
        return [
            path
            for path in _differences(then, now)
            if any(touches(node, path, now) for node in project.pipeline.nodes)
        ]

    def save_outputs(self) -> SavedOutputs:
        """Save the outputs where the catalog declares them, from the cache; nothing is run.

        Those of the trial, as far as its nodes have not changed since. For the other nodes, and
        for those that trials leave out, what a run today would find in the cache.
        """
        project = self.project
        runtime = {**self.trial.runtime_params, **override(project.parameters, self.trial.params)}
        catalog: Any = catalog_of(project.session.load_context(runtime))
        outputs = SavedOutputs()
        with ExitStack() as reading:
            for name, blobs in self._declared_outputs(catalog).items():
                try:
                    value = self._cached(blobs, catalog[name], reading)
                except CacheMiss as reason:
                    outputs.missing[name] = str(reason)
                    continue
                try:
                    catalog.save(name, value)
                except Exception as error:  # a dataset may raise anything
                    outputs.failed[name] = _root_cause(error)
                else:
                    outputs.saved.append(name)
                    beside = _other_partitions(catalog[name], value)
                    if beside:
                        outputs.beside[name] = beside
        return outputs

    def _declared_outputs(self, catalog: Any) -> dict[str, list[Blob | None]]:
        """Where the cache may hold the declared outputs, by name.

        Of the trial, of the run that confirmed it, and of any other run that did what a run with
        the trial's values would do today.
        """
        of_trial, today = self._outputs_of_trial(), self._outputs_today(catalog)
        confirmation = None if self.changes else self.trial.confirmation
        confirmed = confirmation.outputs if confirmation else {}
        ran = {n.name for n in self.trial.nodes}
        blobs: dict[str, list[Blob | None]] = {}
        for node in self.project.registered.nodes:
            for name in node.outputs:
                edited = node.name in ran and name not in of_trial
                places = [of_trial[name]] if name in of_trial else []
                if name in confirmed and not edited:
                    places.append(Blob(*confirmed[name], 0.0))
                places += [today[name]] if name in today else []
                if places or node.name in ran:
                    blobs[name] = places
        return {n: b for n, b in blobs.items() if n in catalog and not is_ephemeral(catalog[n])}

    def _cached(self, blobs: list[Blob | None], declared: Any, reading: ExitStack) -> Any:
        """The first of these values that the cache has.

        Args:
            blobs: Where it may be; ``None`` for a value that could not be stored, nothing where
                the only one is from before an edit.
            declared: What the catalog declares.
            reading: Until it is closed, a lazy value can be read.

        Raises:
            CacheMiss: It has none.
        """
        miss = CacheMiss("what the trial made is from before an edit")
        for blob in blobs:
            try:
                if blob is None:
                    raise CacheMiss("it cannot be stored in the cache")
                return reading.enter_context(kept_value(self.project.store, blob, declared))
            except CacheMiss as reason:
                miss = reason
        raise miss

    def _outputs_of_trial(self) -> dict[str, Blob | None]:
        """What the trial made, by name of the dataset, of nodes that have not changed since.

        ``None`` for what could not be stored.
        """
        if self.changes:  # they may be of a node that has no key, and is not known to have changed
            return {}
        project = self.project
        since = SinceTrial(
            project.pipeline,
            project.fixed_parts,
            project.parameters,
            ChangedFiles(project.path),
        )
        outdated = since.outdated_nodes(self.trial)
        names = {n.name: n.outputs for n in project.pipeline.nodes}
        return {
            name: Blob(digest, size, 0.0) if digest else None
            for node in self.trial.nodes
            if node.name not in outdated
            for name, (digest, size) in zip(names.get(node.name, []), node.outputs, strict=False)
        }

    def _outputs_today(self, catalog: Any) -> dict[str, Blob]:
        """What a run with the trial's values would find in the cache today, by name."""
        try:
            carried = CarriedState(self.project.started, self.project.seeded)
            plan = self.project.plan(catalog, carried)
        except ConfigurationError:  # of a node that no trial runs
            return {}
        return {
            name: output.planned.blob
            for action in plan.actions.values()
            for name, output in action.outputs.items()
            if output.planned is not None
        }

    def left_to_plain_run(self, outputs: SavedOutputs) -> tuple[list[str], list[str]]:
        """Declared datasets that only a plain run makes, and those that only it confirms.

        Args:
            outputs: What has become of the outputs.
        """
        project, trial = self.project, self.trial
        catalog: Any = catalog_of(project.session.load_context(dict(trial.runtime_params)))
        ran = {n.name for n in trial.nodes}
        done = {*outputs.saved, *outputs.missing, *outputs.failed}
        unwritten = [
            name
            for node in project.registered.nodes
            if node.name not in ran
            for name in node.outputs
            if name in catalog and not is_ephemeral(catalog[name]) and name not in done
        ]
        return unwritten, sorted({name for n in project.registered.nodes for name in n.confirms})


def applied_file(pipeline: str) -> str:
    """Name of the file that holds the applied values of a pipeline; each has its own."""
    return f"parameters_eeipu{'' if pipeline == '__default__' else f'_{pipeline}'}.yml"


def _needs_params(project: Project) -> bool:
    """Whether a plain run needs the ``--params`` of a trial, though its values are written down.

    It does where the configuration takes them from the command line: ``${runtime_params:…}``.
    """
    if not project.runtime_params:
        return False
    given, plain = (
        project.session.load_context(params).config_loader
        for params in (project.runtime_params, {})
    )
    try:
        plain["parameters"]
        return bool(given["catalog"] != plain["catalog"])
    except MissingConfigException:
        return False
    except OmegaConfBaseException:
        return True


def _differences(a: Mapping[str, Any], b: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key in [*a, *(key for key in b if key not in a)]:
        if not prefix and is_block(key):
            continue
        path, left, right = f"{prefix}{key}", a.get(key, _MISSING), b.get(key, _MISSING)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            yield from _differences(left, right, f"{path}.")
        elif left != right:
            yield path


def _other_partitions(dataset: Any, value: Any) -> list[str]:
    """Partitions in the folder of a partitioned dataset that are not of this value."""
    if not isinstance(value, Mapping):
        return []
    if all(kind.__name__ != "PartitionedDataset" for kind in type(dataset).__mro__):
        return []
    dataset.release()  # it may remember which files there were
    return sorted(set(dataset.load()) - set(map(str, value)))


def _root_cause(error: BaseException) -> str:
    """What a dataset has raised, without Kedro's words around it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}"
