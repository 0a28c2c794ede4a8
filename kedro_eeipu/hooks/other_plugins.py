"""Calling the hooks of other plugins and of the project for nodes that are reused."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from kedro.io.core import is_parameter

from kedro_eeipu.cache.store.store import CacheMiss
from kedro_eeipu.hooks.lazy_values import LazyValues, ValueGoneError

if TYPE_CHECKING:
    from kedro.io import CatalogProtocol

    from kedro_eeipu.hooks.dataset import MemoizedDataset
    from kedro_eeipu.hooks.plan import RunPlan

__all__ = ["OtherPlugins"]

logger = logging.getLogger(__name__)

# They walk through all inputs in search of parameters, and use nothing else.
_PARAMETERS_ONLY = frozenset({"kedro_mlflow", "kedro_telemetry"})
# Which hooks have been warned of: a study reuses the same nodes again and again.
_warned: set[str] = set()


class OtherPlugins:
    """The hooks that follow a run node by node.

    Args:
        manager: Pluggy's manager of the hooks of the session.
        own: The hooks of this plugin, which are not called.
    """

    def __init__(self, manager: Any, own: Any) -> None:
        self._before = list(_callers(manager, "before_node_run", own))
        self._after = list(_callers(manager, "after_node_run", own))

    def tell(
        self, plan: RunPlan, name: str, catalog: CatalogProtocol[Any, Any], run_id: str
    ) -> None:
        """Call them for a node that is reused, as if it ran.

        A hook that looks at a value which is gone gets an error; the others and the run continue.

        Args:
            plan: The plan of the run.
            name: The node.
            catalog: The catalog of the run.
            run_id: Kedro's id of the run.

        Raises:
            Exception: Whatever else a hook raises.
        """
        if not (self._before or self._after):
            return
        node = plan.actions[name].node

        def load(dataset: str) -> Any:
            return _loaded(dataset, name, plan, catalog)

        parameters = LazyValues(filter(is_parameter, node.inputs), load)
        inputs = LazyValues(node.inputs, load)
        outputs = LazyValues(node.outputs, load)
        common = {"node": node, "catalog": catalog, "is_async": False, "run_id": run_id}
        for only_parameters, call in self._before:
            _call(call, inputs=parameters if only_parameters else inputs, **common)
        for only_parameters, call in self._after:
            if only_parameters:
                _call(call, inputs=parameters, outputs={}, **common)
            else:
                _call(call, inputs=inputs, outputs=outputs, **common)


def _callers(manager: Any, spec: str, own: Any) -> Iterator[tuple[bool, Callable[..., Any]]]:
    """What calls the hook of each plugin, and whether it gets parameters only."""
    implementations = getattr(manager.hook, spec).get_hookimpls()
    plugins = [i.plugin for i in reversed(implementations)]
    for plugin in plugins:
        if plugin is not own:
            others = [other for other in plugins if other is not plugin]
            package = type(plugin).__module__.partition(".")[0]
            yield package in _PARAMETERS_ONLY, manager.subset_hook_caller(spec, others)


def _call(call: Callable[..., Any], **arguments: Any) -> None:
    try:
        call(**arguments)
    except Exception as error:
        gone: BaseException | None = error
        while gone is not None and not isinstance(gone, ValueGoneError):
            gone = gone.__cause__ or gone.__context__
        if gone is None:
            raise
        if str(gone) not in _warned:
            _warned.add(str(gone))
            logger.warning("A hook was not called to its end: %s", gone)


def _loaded(dataset: str, node: str, plan: RunPlan, catalog: CatalogProtocol[Any, Any]) -> Any:
    """A value of a reused node, as a plain run shows it to hooks.

    Raises:
        ValueGoneError: It cannot be loaded.
    """
    produced: MemoizedDataset | None = plan.datasets.get(dataset)
    try:
        return catalog.load(dataset) if produced is None else produced.recorded_value()
    except CacheMiss as reason:
        raise ValueGoneError(
            f"it looks at '{dataset}' of {node}, which is reused and no longer has it: {reason}"
        ) from reason
    except Exception as reason:
        raise ValueGoneError(
            f"it looks at '{dataset}' of {node}, which is reused, and it cannot be loaded: {reason}"
        ) from reason
