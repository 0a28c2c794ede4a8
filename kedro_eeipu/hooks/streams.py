"""Nodes that are generators: Kedro saves each chunk by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from kedro_eeipu.hooks.action import NodeAction
from kedro_eeipu.hooks.shared_state import reached
from kedro_eeipu.hooks.sharing import bypass_what_shares_state
from kedro_eeipu.states import NodeState

__all__ = ["stream"]


def stream(action: NodeAction, *args: Any, **kwargs: Any) -> Iterator[Any]:
    """Run a generator node chunk by chunk, and time it; it is never cached."""
    started = time.perf_counter()
    action.tell(NodeState.RUNNING)
    before = reached(action.node)
    try:
        yield from action.node.func(*args, **kwargs)
    except BaseException as error:
        action.failed(error)
        raise
    finally:
        action.seconds = time.perf_counter() - started
    bypass_what_shares_state(action, action.peers.values(), before)
    action.tell(NodeState.RAN)
