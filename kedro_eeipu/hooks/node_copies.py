"""The nodes that Kedro runs in place of the user's: copies of them that ask their action."""

from __future__ import annotations

from functools import partial
from typing import Any

from kedro.io.core import is_parameter
from kedro.pipeline.node import Node

from kedro_eeipu._kedro import copy_node
from kedro_eeipu.hooks.action import NodeAction
from kedro_eeipu.hooks.streams import StreamAction, stream

__all__ = ["calling_node", "delivering_node"]


def calling_node(action: NodeAction, confirms: bool) -> Node:
    """A copy of the action's node that calls the action.

    Args:
        action: What the node does.
        confirms: Whether it confirms datasets as the node does. Of a trial none may: the user's
            checkpoint would move, and the next trial see no data.
    """
    func: Any = action
    if isinstance(action, StreamAction):
        func = _named(partial(stream, action), action)
    return copy_node(action.node, func=func, confirms=action.node.confirms if confirms else None)


def delivering_node(action: NodeAction) -> Node:
    """A copy of a served node that saves what is served.

    Its parameters stay its inputs, for plugins that log them.
    """
    parameters = [name for name in action.node.inputs if is_parameter(name)]
    func = _named(partial(_deliver, action), action)
    return copy_node(action.node, func=func, inputs=parameters or None)


def _named(func: Any, action: NodeAction) -> Any:
    func.__name__ = action.__name__  # from which Kedro names a node that the user did not name
    return func


def _deliver(action: NodeAction, *parameters: Any) -> Any:
    """Stand in for the function of a node that is served but whose outputs must be saved."""
    return action.deliver()
