"""What the key of a node is made of.

A key is the code of the node's function, its parameters and the content of its inputs, and what
``eeipu.yml`` and validators add. Names of nodes and datasets, tags and order are no part of it, so
a renamed node still hits.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec
from kedro.io import AbstractDataset, CatalogProtocol
from kedro.io.core import is_parameter
from kedro.pipeline.node import Node

from kedro_eeipu._kedro import input_structure, location, output_structure, wrapped_dataset
from kedro_eeipu.cache.identity.canonical import Unidentifiable, combine
from kedro_eeipu.cache.identity.code import CodeIdentity, code_identity
from kedro_eeipu.cache.identity.contents import content_token
from kedro_eeipu.cache.identity.fingerprint import fingerprint
from kedro_eeipu.config.settings import CacheSettings
from kedro_eeipu.hooks.data_hooks import DataHooks
from kedro_eeipu.hooks.dataset import MemoizedDataset
from kedro_eeipu.hooks.inputs import FileToken, free_input, validators_token
from kedro_eeipu.hooks.library_settings import settings_that_were_made
from kedro_eeipu.hooks.process_parts import may_be_recorded
from kedro_eeipu.hooks.shared_state import refuse_touched

__all__ = [
    "KEY_SCHEMA",
    "NO_CACHE_TAG",
    "Identity",
    "changed_inputs",
    "identify",
    "key_in_state",
    "key_parts",
    "made_token",
    "node_key",
    "variable_tokens",
]

KEY_SCHEMA = 3
NO_CACHE_TAG = "eeipu.no-cache"


@dataclass(frozen=True)
class Identity:
    """What is known about a node's key before anything runs.

    Attributes:
        code: Identity of its function.
        tokens: Tokens of its parameters and free inputs, by input name.
        current: For each free input that is in a file, what makes its token again.
        extra: What ``eeipu.yml`` adds: a version, files, environment variables.
        validators: Token of what validates, and may change, what it loads and saves.
        hooks: Token of the hooks that see its data.
        variables: Digests of the environment variables that its code names, by name.
        made: Token of settings of libraries that imports and hooks have made.
        world: Digest of the project's world, for a node that once reused a wrong record.
        project: The folder of the project.
        files: Files and folders that its key sees: free inputs and what ``eeipu.yml`` names.
        outputs: Files and folders in which nodes of the run save their outputs.
    """

    code: CodeIdentity
    tokens: Mapping[str, str]
    current: Mapping[str, FileToken] = field(default_factory=dict)
    extra: str = ""
    validators: str = ""
    hooks: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    made: str = ""
    world: str = ""
    project: Path = Path()
    files: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


def identify(
    node: Node,
    inputs: Mapping[str, AbstractDataset[Any, Any]],
    catalog: CatalogProtocol[Any, Any],
    settings: CacheSettings,
    project: Path,
    hooks: DataHooks,
) -> Identity:
    """What can be known about a node's key before the run.

    Args:
        node: The node.
        inputs: Its parameters and free inputs, by name.
        catalog: The catalog of the run.
        settings: What ``eeipu.yml`` says about the cache.
        project: Where relative paths in the settings start.
        hooks: The hooks of the run that see data.

    Raises:
        Unidentifiable: The node is never cached; the reason says why.
    """
    reason = _static_reason(node, settings)
    if reason:
        raise Unidentifiable(reason)
    tokens, current = {}, {}
    for name, dataset in inputs.items():
        if is_parameter(name):
            tokens[name] = fingerprint(dataset.load())
        else:
            tokens[name], again = free_input(name, dataset, settings.inputs)
            if again is not None:
                current[name] = again
    code = code_identity(node.func)
    refuse_touched(code)
    return Identity(
        code,
        tokens,
        current,
        settings_token(node, settings, project),
        validators_token(node, catalog),
        hooks.token(node),
        variable_tokens(code),
        made_token(code),
        project=project,
        files=(
            *(location(d) for d in map(wrapped_dataset, inputs.values())),
            *(str(project / d) for d in settings.of_node(node.name).depends_on),
        ),
    )


def node_key(node: Node, identity: Identity, inputs: Mapping[str, Any]) -> str | None:
    """The key of a node, ``None`` while the content of an input is not known.

    Args:
        node: The node.
        identity: What was known about it before the run.
        inputs: The datasets it loads, by name.
    """
    tokens = dict(identity.tokens)
    for name, dataset in inputs.items():
        if isinstance(dataset, MemoizedDataset):
            token = _produced_token(dataset)
            if token is None:
                return None
            tokens[name] = token
    key = combine(
        schema=str(KEY_SCHEMA),
        code=identity.code.digest,
        inputs=in_input_structure(input_structure(node), tokens),
        outputs=structure_of_outputs(output_structure(node)),
        extra=identity.extra,
        validators=identity.validators,
        hooks=identity.hooks,
    )
    if identity.variables:
        key = combine(key=key, variables=identity.variables)
    if identity.made:
        key = combine(key=key, made=identity.made)
    return combine(key=key, world=identity.world) if identity.world else key


def key_in_state(key: str, token: str) -> str:
    """The key of a node whose value also depends on the state of the process."""
    return combine(key=key, state=token)


def changed_inputs(identity: Identity) -> list[str]:
    """Which free inputs are no longer what they were before the run, or why that is not known."""
    try:
        return [name for name, now in identity.current.items() if now() != identity.tokens[name]]
    except Unidentifiable as reason:
        return [str(reason)]


def key_parts(identity: Identity, inputs: Mapping[str, Any]) -> dict[str, str]:
    """What a key is made of, shortened, to tell later why two runs of a node differ."""
    parts = {
        "code": identity.code.digest,
        "settings": identity.extra,
        "validators": identity.validators,
        "hooks": identity.hooks,
        "made": identity.made,
        "world": identity.world,
    }
    parts.update({f"${name}": token for name, token in identity.variables.items()})
    parts.update(identity.tokens)
    for name, dataset in inputs.items():
        if isinstance(dataset, MemoizedDataset):
            parts[name] = _produced_token(dataset) or ""
    return {name: token[:12] for name, token in parts.items() if token}


def _static_reason(node: Node, settings: CacheSettings) -> str | None:
    """Why a node is never cached, as far as the node itself shows."""
    if not node.outputs:
        return "it has no outputs, so it is run for its side effects"
    if node.confirms:
        return "it confirms a dataset"
    if NO_CACHE_TAG in node.tags:
        return f"it is tagged {NO_CACHE_TAG}"
    if not settings.of_node(node.name).cache:
        return "eeipu.yml says cache: false"
    return None


def variable_tokens(code: CodeIdentity) -> dict[str, str]:
    """Tokens of the environment variables that are set and that code names, by name.

    Secrets are left out: a short one could be guessed from its digest.
    """
    names = sorted(name for name in code.variables & os.environ.keys() if may_be_recorded(name))
    return {name: combine(variable=name, value=os.environ[name]) for name in names}


def made_token(code: CodeIdentity) -> str:
    """Token of settings of libraries that imports and hooks have made, empty for none."""
    made = settings_that_were_made(code.parts)
    return combine(made={name: repr(values) for name, values in made.items()}) if made else ""


def settings_token(node: Node, settings: CacheSettings, project: Path) -> str:
    """Token of the version, files and variables that ``eeipu.yml`` names; empty for none."""
    of_node = settings.of_node(node.name)
    if not of_node.version and not of_node.depends_on:
        return ""
    local = fsspec.filesystem("file")
    watched = {
        d: os.environ.get(d[1:], "")
        if d.startswith("$")
        else content_token(local, str(project / d))
        for d in of_node.depends_on
    }
    return combine(version=of_node.version, watched=watched)


def _produced_token(dataset: MemoizedDataset) -> str | None:
    """Token of a produced dataset as its consumers see it; ``None`` while it is unknown."""
    output = dataset.output
    if output is None or dataset.kind_token is None or not dataset.is_known:
        return None
    return combine(content=output.blob.digest, seen_as=dataset.kind_token)


def in_input_structure(names: Any, tokens: Mapping[str, str]) -> Any:
    """The tokens of a node's inputs as its function takes them: by position or by argument."""
    if isinstance(names, Mapping):
        return {argument: tokens[name] for argument, name in names.items()}
    if isinstance(names, list):
        return [tokens[name] for name in names]
    return [] if names is None else [tokens[names]]


def in_output_structure(node: Node, values: Mapping[str, Any]) -> Any:
    """Values of a node's outputs, by name, in the structure that its function returns."""
    names = output_structure(node)
    if isinstance(names, Mapping):
        return {key: values[name] for key, name in names.items()}
    return [values[name] for name in names] if isinstance(names, list) else values[names]


def structure_of_outputs(names: Any) -> Any:
    """How a function returns its outputs, in the order in which a record holds them.

    Their names in the catalog are no part of it.
    """
    if isinstance(names, Mapping):
        return list(names)
    return len(names) if isinstance(names, list) else type(names).__name__
