"""Settings that are not about the search: the optional ``conf/<env>/eeipu.yml``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from kedro_eeipu.errors import ConfigurationError, refuse_unknown_keys
from kedro_eeipu.wording import parsed_duration

__all__ = ["FILE", "CacheSettings", "Settings", "absolute_root"]

FILE = "eeipu.yml"
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@dataclass(frozen=True)
class NodeSettings:
    """What is said about one node, or about all nodes whose name matches a pattern.

    Attributes:
        cache: Whether its outputs may be served from the cache.
        version: Part of its key; change it to make the node run again.
        depends_on: Files (relative to the project) whose content is part of its key, and
            environment variables, written ``$NAME``.
    """

    cache: bool = True
    version: str = ""
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class InputSettings:
    """What is said about a free input whose content cannot be read as a file.

    Attributes:
        version: The version of its data.
        version_query: A query of its database that tells it.
    """

    version: str = ""
    version_query: str = ""


@dataclass(frozen=True)
class CacheSettings:
    """Where outputs are kept and what may be kept.

    Attributes:
        root: Local path (relative to the project) or any fsspec URL.
        credentials: Name of the entry in ``credentials.yml`` with the storage options of ``root``.
        signing_key: Name of the entry in ``credentials.yml`` whose ``key`` signs the records.
        max_size: Bytes kept at most, ``None`` for no limit.
        max_entry_bytes: A larger output is not stored.
        runs: Whether plain ``kedro run`` is cached too.
        audit: Share of the seconds saved that may go into checking what was reused.
        nodes: Settings by node name or pattern.
        inputs: What is said about inputs whose content cannot be read as a file, by name.
    """

    root: str = ".eeipu/cache"
    credentials: str = ""
    signing_key: str = ""
    max_size: int | None = None
    max_entry_bytes: int | None = None
    runs: bool = False
    audit: float = 0.05
    nodes: Mapping[str, NodeSettings] = field(default_factory=dict)
    inputs: Mapping[str, InputSettings] = field(default_factory=dict)

    def of_node(self, name: str) -> NodeSettings:
        """The settings of a node: an exact name before the first matching pattern."""
        if name in self.nodes:
            return self.nodes[name]
        for pattern, settings in self.nodes.items():
            if fnmatchcase(name, pattern):
                return settings
        return NodeSettings()


@dataclass(frozen=True)
class StudySettings:
    """Where trials are recorded.

    Attributes:
        storage: Database URL, empty for ``.eeipu/study.db`` in the project.
        credentials: Name of the entry in ``credentials.yml`` with ``username`` and ``password``.
    """

    storage: str = ""
    credentials: str = ""


@dataclass(frozen=True)
class ClusterSettings:
    """How trials run on the workers of a cluster.

    Attributes:
        resources: What a trial takes of a worker's resources, as Dask names them: ``{GPU: 1}``.
    """

    resources: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """The whole of ``eeipu.yml``.

    Attributes:
        cache: Where outputs are kept.
        study: Where trials are recorded.
        cluster: How trials run on workers.
        timeouts: Seconds after which a node is ended, by name or pattern.
        mlflow: Whether trials are MLflow runs, also without kedro-mlflow.
    """

    cache: CacheSettings = field(default_factory=CacheSettings)
    study: StudySettings = field(default_factory=StudySettings)
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    timeouts: Mapping[str, float] = field(default_factory=dict)
    mlflow: bool = False

    def timeout(self, node: str) -> float | None:
        """Seconds after which a node is ended: of an exact name before the first pattern."""
        if node in self.timeouts:
            return self.timeouts[node]
        return next((s for p, s in self.timeouts.items() if fnmatchcase(node, p)), None)

    @classmethod
    def parse(cls, content: Mapping[str, Any], where: str = FILE) -> Settings:
        """Check the content of ``eeipu.yml``.

        Raises:
            ConfigurationError: A key is unknown or a value is of the wrong kind.
        """
        refuse_unknown_keys(content, {"cache", "study", "cluster", "nodes", "mlflow"}, where)
        cache = _mapping(content.get("cache"), f"{where}: cache")
        study = _mapping(content.get("study"), f"{where}: study")
        refuse_unknown_keys(cache, set(CacheSettings.__dataclass_fields__), f"{where}: cache")
        cluster = _mapping(content.get("cluster"), f"{where}: cluster")
        refuse_unknown_keys(study, set(StudySettings.__dataclass_fields__), f"{where}: study")
        refuse_unknown_keys(cluster, set(ClusterSettings.__dataclass_fields__), f"{where}: cluster")
        nodes = _mapping(cache.get("nodes"), f"{where}: cache.nodes")
        inputs = _mapping(cache.get("inputs"), f"{where}: cache.inputs")
        return cls(
            CacheSettings(
                root=_text(cache, "root", ".eeipu/cache", f"{where}: cache"),
                credentials=_text(cache, "credentials", "", f"{where}: cache"),
                signing_key=_text(cache, "signing_key", "", f"{where}: cache"),
                max_size=_bytes(cache.get("max_size"), f"{where}: cache.max_size"),
                max_entry_bytes=_bytes(
                    cache.get("max_entry_bytes"), f"{where}: cache.max_entry_bytes"
                ),
                runs=_flag(cache.get("runs"), False, f"{where}: cache.runs"),
                audit=_share(cache.get("audit"), CacheSettings.audit, f"{where}: cache.audit"),
                nodes={n: _node(spec, f"{where}: cache.nodes.{n}") for n, spec in nodes.items()},
                inputs={
                    n: _input(spec, f"{where}: cache.inputs.{n}") for n, spec in inputs.items()
                },
            ),
            StudySettings(
                storage=_text(study, "storage", "", f"{where}: study"),
                credentials=_text(study, "credentials", "", f"{where}: study"),
            ),
            ClusterSettings(
                resources=_amounts(cluster.get("resources"), f"{where}: cluster.resources")
            ),
            _timeouts(content.get("nodes"), f"{where}: nodes"),
            _flag(content.get("mlflow"), False, f"{where}: mlflow"),
        )


def absolute_root(root: str, project: Path) -> str:
    """The cache's root: a local path is meant relative to the project."""
    return root if "://" in root else str(project / Path(root).expanduser())


def _node(spec: Any, where: str) -> NodeSettings:
    spec = _mapping(spec, where)
    refuse_unknown_keys(spec, set(NodeSettings.__dataclass_fields__), where)
    depends_on = spec.get("depends_on")
    depends_on = [] if depends_on is None else depends_on
    if isinstance(depends_on, str):
        depends_on = [depends_on]
    if not isinstance(depends_on, list) or not all(isinstance(d, str) for d in depends_on):
        raise ConfigurationError("`depends_on` is a list of files and $VARIABLES", where=where)
    return NodeSettings(
        cache=_flag(spec.get("cache"), True, f"{where}.cache"),
        version=_version(spec.get("version"), f"{where}.version"),
        depends_on=tuple(depends_on),
    )


def _timeouts(nodes: Any, where: str) -> dict[str, float]:
    timeouts = {}
    for name, spec in _mapping(nodes, where).items():
        at = f"{where}.{name}"
        spec = _mapping(spec, at)
        refuse_unknown_keys(spec, {"timeout"}, at)
        timeouts[str(name)] = seconds = parsed_duration(spec.get("timeout"))
        if math.isnan(seconds):
            raise ConfigurationError(
                f"'{spec.get('timeout')}' is not a duration",
                where=f"{at}.timeout",
                remedy="Write seconds, or 30min, 2h, 1d.",
            )
    return timeouts


def _input(spec: Any, where: str) -> InputSettings:
    spec = _mapping(spec, where)
    refuse_unknown_keys(spec, set(InputSettings.__dataclass_fields__), where)
    version = _version(spec.get("version") or None, f"{where}.version")
    query = _text(spec, "version_query", "", where)
    if bool(version) == bool(query):
        raise ConfigurationError(
            "state the data's version, or a query that returns it",
            where=where,
            remedy="version: 2026-01, or version_query: select max(updated_at) from orders",
        )
    return InputSettings(version, query)


def _version(value: Any, where: str) -> str:
    if isinstance(value, list | Mapping):
        raise ConfigurationError(
            f"{value!r} is not a version", where=where, remedy="Write a text or a number."
        )
    return "" if value is None else str(value)


def _amounts(value: Any, where: str) -> dict[str, float]:
    amounts = _mapping(value, where)
    for name, amount in amounts.items():
        if isinstance(amount, bool) or not isinstance(amount, int | float) or amount <= 0:
            raise ConfigurationError(
                f"{amount!r} is not an amount", where=f"{where}.{name}", remedy="Write {GPU: 1}."
            )
    return {str(name): float(amount) for name, amount in amounts.items()}


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{value!r} is not a mapping", where=where)
    return value


def _text(spec: Mapping[str, Any], key: str, default: str, where: str) -> str:
    value = default if spec.get(key) is None else spec[key]
    if not isinstance(value, str):
        raise ConfigurationError(f"{value!r} is not text", where=f"{where}.{key}")
    return value


def _flag(value: Any, default: bool, where: str) -> bool:
    value = default if value is None else value
    if not isinstance(value, bool):
        raise ConfigurationError(f"{value!r} is not true or false", where=where)
    return value


def _share(value: Any, default: float, where: str) -> float:
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ConfigurationError(
            f"{value!r} is not a share", where=where, remedy="Write 0.05; 0 turns it off."
        )
    return float(value)


def _bytes(value: Any, where: str) -> int | None:
    if value is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?B?)\s*", str(value).upper())
    unit = match[2] if match else "?"
    factor = _UNITS.get(unit, _UNITS.get(f"{unit}B"))
    if match is None or factor is None or isinstance(value, bool):
        raise ConfigurationError(
            f"'{value}' is not a size", where=where, remedy="Write 500MB, 20GB."
        )
    return int(float(match[1]) * factor)
