"""What the hooks of the project and of other plugins may do to the data of a run.

A hook can change data in place, or set what nodes read, so hooks are part of every key: those of
the project by the code of their class, those of installed plugins that see data by name and
version. The state of hook objects is not (timers would make every key another); what `settings.py`
makes them with is. So is a catalog of a class of the project.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from kedro.framework import project as kedro_project
from kedro.io.core import is_parameter
from kedro.pipeline.node import Node

from kedro_eeipu.cache.identity.canonical import Unidentifiable, combine
from kedro_eeipu.cache.identity.code import code_identity
from kedro_eeipu.cache.identity.fingerprint import fingerprint
from kedro_eeipu.cache.identity.origin import is_project_object, origin_of

__all__ = ["DataHooks"]

_SEE_DATA = (
    *("before_dataset_loaded", "after_dataset_loaded"),
    *("before_dataset_saved", "after_dataset_saved"),
    *("before_node_run", "after_node_run"),
)
# In these, code of the project may set what nodes read.
_PREPARE = ("after_context_created", "after_catalog_created", "before_pipeline_run")
# They look at data, and change none.
_ONLY_LOOK = frozenset({"kedro", "kedro_eeipu", "kedro_telemetry", "kedro_viz"})


class DataHooks:
    """The hooks of a run that see data.

    Args:
        manager: Pluggy's manager of the session's hooks, ``None`` for none.
        catalog: The catalog of the run.

    Attributes:
        by_name: Whether code of the project is among them: it may treat one dataset or node
            otherwise than another of the same content, so names, tags and metadata count.

    Raises:
        Unidentifiable: The code of one cannot be identified.
    """

    def __init__(self, manager: Any, catalog: Any = None) -> None:
        self._catalog = catalog
        self.by_name = False
        tokens = [] if manager is None else sorted(self._tokens(manager))
        if is_project_object(type(catalog)):
            self.by_name = True
            tokens.append(["catalog", _code(type(catalog), "the catalog")])
        if self.by_name:
            tokens.append(["made with", _arguments_of_hooks()])
        self._token = combine(hooks=tokens) if tokens else ""

    def token(self, node: Node) -> str:
        """Their part of the key of a node, empty where there are none.

        Raises:
            Unidentifiable: The metadata of one of its datasets cannot be fingerprinted.
        """
        if not self.by_name:
            return self._token
        names = [node.name, *node.inputs, *node.outputs]
        metadata = {name: fingerprint(self._metadata(name)) for name in names[1:]}
        tags = sorted(node.tags)
        return combine(hooks=self._token, names=names, tags=tags, metadata=metadata)

    def _metadata(self, name: str) -> Any:
        if self._catalog is None or is_parameter(name) or name not in self._catalog:
            return None
        return getattr(self._catalog.get(name), "metadata", None)

    def _tokens(self, manager: Any) -> Iterator[list[str]]:
        for spec in (*_SEE_DATA, *_PREPARE):
            caller = getattr(manager.hook, spec, None)
            for implementation in caller.get_hookimpls() if caller is not None else ():
                function = inspect.unwrap(implementation.function)
                module = str(function.__module__)
                if module.partition(".")[0] in _ONLY_LOOK:
                    continue
                origin = origin_of(module)
                if origin.is_project:
                    self.by_name = True
                    owner = getattr(function, "__self__", None)
                    owner = function if owner is None else owner
                    owner = owner if isinstance(owner, FunctionType | type) else type(owner)
                    yield [spec, _code(owner, f"the hook {function.__qualname__}")]
                elif spec in _SEE_DATA:
                    yield [spec, f"{origin.name} {origin.version}"]


def _code(owner: Any, name: str) -> str:
    try:
        return code_identity(owner).digest
    except Unidentifiable as reason:
        # It reaches a client or an open file, say. Its text shows edits, too.
        try:
            return fingerprint(inspect.getsource(sys.modules[owner.__module__]))
        except (OSError, TypeError, KeyError):
            raise Unidentifiable(f"{name} of the project sees its data, and {reason}") from reason


def _arguments_of_hooks() -> str:
    """Token of what stands behind ``HOOKS =`` in `settings.py`, and of the values it names."""
    module = sys.modules.get(f"{kedro_project.PACKAGE_NAME}.settings")
    try:
        tree = ast.parse(inspect.getsource(module)) if module is not None else ast.Module([], [])
    except (OSError, TypeError, SyntaxError):
        return ""
    written, named = [], {}
    for statement in tree.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if any(isinstance(t, ast.Name) and t.id == "HOOKS" for t in targets):
            written.append(ast.dump(statement))
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                    try:
                        named[node.id] = fingerprint(getattr(module, node.id, None))
                    except Unidentifiable:  # a class: its functions are known by their code
                        continue
    return combine(written=written, named=named)
