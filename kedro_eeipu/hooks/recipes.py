"""Values of which no bytes are kept: they are known by the key of the node that made them.

A lazy frame, a Spark frame, an Ibis expression, a Dask graph, a mapping of functions that load
partitions, a model that cannot be pickled: no bytes stand for their content. The same function on
the same inputs makes the same again, so the key of the node stands for it. Who needs the value has
the node called again and gets what it returns, as Kedro hands it on.
"""

from __future__ import annotations

import io
import logging
import types
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from kedro.io.core import is_parameter
from kedro.pipeline.node import Node

from kedro_eeipu.cache.identity.canonical import combine
from kedro_eeipu.cache.identity.code import CodeIdentity
from kedro_eeipu.cache.store.store import Blob
from kedro_eeipu.hooks.dataset import MemoizedDataset
from kedro_eeipu.hooks.key import Identity, changed_inputs
from kedro_eeipu.hooks.maker import Maker
from kedro_eeipu.hooks.run_directory import RunDirectory
from kedro_eeipu.hooks.shared_state import reached

__all__ = ["code_with_sources", "disown", "recipe_of", "warn_of_changes", "why_no_recipe"]

logger = logging.getLogger(__name__)

# Handles of storage that nodes write to: two of them made alike may hold other data.
_WRITABLE = frozenset({"zarr", "h5py", "netCDF4", "sqlite3", "tables"})


def recipe_of(key: str, index: int) -> Blob:
    """What stands for an output of a node in records and in the keys of the nodes after it.

    Args:
        key: The key of the node's record.
        index: The place of the output among its outputs.
    """
    return Blob(combine(recipe=key, output=str(index)), 0, 0.0)


def why_no_recipe(value: Any, node: Node, identity: Identity) -> str:
    """Why the key of its node does not stand for a value, as the end of a sentence; empty if it
    does.

    Args:
        value: What the node has returned.
        node: The node.
        identity: What its key is made of.
    """
    kind = type(value)
    if isinstance(value, Iterator):
        return f"a {kind.__name__} can be read only once"
    if isinstance(value, types.ModuleType | io.IOBase):
        return f"a {kind.__name__} is shared by all that use it"
    if kind.__module__.partition(".")[0] in _WRITABLE:
        return f"what a {kind.__name__} refers to may be written to"
    if all(map(is_parameter, node.inputs)) and not identity.extra:
        return (
            "the catalog does not say what data it is made from; state that in "
            f"eeipu.yml as cache.nodes.{node.name}.depends_on or .version"
        )
    return ""


def sources(inputs: Mapping[str, Any]) -> Iterator[Maker]:
    """What has made the lazy inputs of a node: they are evaluated while the node runs.

    Args:
        inputs: The datasets that the node loads, by name.
    """
    for dataset in inputs.values():
        if isinstance(dataset, MemoizedDataset) and dataset.is_lazy and dataset.maker is not None:
            yield dataset.maker
            yield from sources(dataset.maker.inputs)


def warn_of_changes(node: str, identity: Identity | None, inputs: Mapping[str, Any]) -> bool:
    """Whether what a node's outputs are made from has changed since the run began.

    Args:
        node: Its name.
        identity: What its key is made of.
        inputs: The datasets that it loads, by name.
    """
    changes = ", ".join(_changed_meanwhile(identity, inputs))
    if changes:
        logger.warning("%s is not recorded: its input changed while it ran (%s)", node, changes)
    return bool(changes)


def disown(run: RunDirectory, outputs: Mapping[str, MemoizedDataset]) -> None:
    """Tell that recipes do not stand for what the readers of outputs get.

    Args:
        run: The directory of the run.
        outputs: The outputs of one node, by name.
    """
    for name, dataset in outputs.items():
        output = dataset.output
        if output is not None and output.blob.is_recipe:
            run.put_output(name, replace(output, is_known=False))


def _changed_meanwhile(identity: Identity | None, inputs: Mapping[str, Any]) -> list[str]:
    """What has changed, since the run began, of that from which a node's outputs are made.

    Args:
        identity: What the node's key is made of.
        inputs: The datasets that it loads, by name.
    """
    changes = [] if identity is None else changed_inputs(identity)
    for maker in sources(inputs):
        if maker.identity is None:
            changes.append(f"{maker.node.name} is not reused")
        else:
            changes += changed_inputs(maker.identity)
    return changes


def code_with_sources(
    own: CodeIdentity | None, inputs: Mapping[str, Any], *, now: bool
) -> CodeIdentity | None:
    """A node's code together with that of its lazy inputs, which may run while it does.

    Args:
        own: What the node reaches.
        inputs: The datasets that the node loads, by name.
        now: Whether the others are asked what they reach now; else as of their keys.
    """
    if own is None:
        return None
    makers = {maker.node.name: maker for maker in sources(inputs)}
    if not makers:
        return own
    parts, lazy, caches = dict(own.parts), set(own.lazy), dict(own.caches)
    keepers = set(own.keepers)
    for name, maker in makers.items():
        code = reached(maker.node) if now else maker.identity and maker.identity.code
        if code is None:
            continue
        # Things of one name are numbered by each node for itself.
        parts.update({f"{label} ({name})": digest for label, digest in code.parts.items()})
        lazy |= code.lazy
        caches.update(code.caches)
        keepers |= code.keepers
    return replace(
        own, parts=parts, lazy=frozenset(lazy), caches=caches, keepers=frozenset(keepers)
    )
