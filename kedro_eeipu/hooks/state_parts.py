"""What the state of a pipeline is made of, as the keys of its nodes are.

A node that is never cached has no key, but a trial's value depends on it all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, CatalogProtocol
from kedro.io.core import is_parameter
from kedro.pipeline.node import Node

from kedro_eeipu._kedro import input_structure, output_structure
from kedro_eeipu.cache.identity.canonical import Unidentifiable
from kedro_eeipu.cache.identity.code import CodeIdentity, code_identity
from kedro_eeipu.cache.identity.fingerprint import fingerprint
from kedro_eeipu.config.settings import CacheSettings
from kedro_eeipu.hooks.data_hooks import DataHooks
from kedro_eeipu.hooks.inputs import free_input, validators_token
from kedro_eeipu.hooks.key import (
    in_input_structure,
    made_token,
    settings_token,
    structure_of_outputs,
    variable_tokens,
)

__all__ = ["connections", "parameter_token", "parts_without_key"]

_LENGTH = 12


def connections(node: Node, tokens: Mapping[str, str]) -> list[Any]:
    """How a node takes its inputs, given a token of each, and how it returns its outputs."""
    return [
        in_input_structure(input_structure(node), tokens),
        structure_of_outputs(output_structure(node)),
    ]


def parameter_token(value: Any) -> str:
    """Token of a parameter's value; empty for an object that cannot be identified."""
    return _or_empty(lambda: fingerprint(value))


def parts_without_key(
    node: Node,
    inputs: Mapping[str, Any],
    catalog: CatalogProtocol[Any, Any],
    settings: CacheSettings,
    project: Path,
    manager: Any,
) -> dict[str, str]:
    """What a node depends on that is never cached, as `key_parts` says it of others.

    Parameters are left out, and so is what cannot be identified: its changes are not seen.

    Args:
        node: The node.
        inputs: The datasets it loads, by name.
        catalog: The catalog.
        settings: What ``eeipu.yml`` says about the cache.
        project: Where relative paths in the settings start.
        manager: Pluggy's manager of the session's hooks.
    """

    try:
        code = code_identity(node.func)
    except Unidentifiable:
        code = CodeIdentity("", {})
    parts = {
        "code": code.digest[:_LENGTH],
        "made": made_token(code)[:_LENGTH],
        "settings": _or_empty(lambda: settings_token(node, settings, project)),
        "validators": _or_empty(lambda: validators_token(node, catalog)),
        "hooks": _or_empty(lambda: DataHooks(manager, catalog).token(node)),
        **{f"${name}": token[:_LENGTH] for name, token in variable_tokens(code).items()},
    }
    for name, dataset in inputs.items():
        if not is_parameter(name):
            parts[name] = _input_token(name, dataset, settings)
    return {name: token for name, token in parts.items() if token}


def _input_token(name: str, dataset: AbstractDataset[Any, Any], settings: CacheSettings) -> str:
    return _or_empty(lambda: free_input(name, dataset, settings.inputs)[0])


def _or_empty(token: Callable[[], str]) -> str:
    try:
        return token()[:_LENGTH]
    except Unidentifiable:
        return ""
