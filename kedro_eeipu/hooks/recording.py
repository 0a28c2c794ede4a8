"""What is written down of a node: in its record, and for the trial."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from kedro.pipeline.node import Node

from kedro_eeipu.cache.store.store import Blob, Record, Store, Unstorable
from kedro_eeipu.hooks.calling import NodeCall
from kedro_eeipu.hooks.key import Identity
from kedro_eeipu.hooks.world import short

__all__ = ["node_event", "put_record", "record_meta"]

logger = logging.getLogger(__name__)


def record_meta(
    node: Node,
    identity: Identity,
    run: Mapping[str, Any],
    call: NodeCall,
    outputs: Sequence[Blob],
    parts: Mapping[str, str],
) -> dict[str, Any]:
    """What the record of a node says besides its outputs.

    Args:
        node: The node.
        identity: What its key is made of.
        run: What records say about the run.
        call: The call that has made them.
        outputs: What it has returned.
        parts: What its key is made of, shortened.
    """
    meta = {
        **run,
        "node": node.name,
        "datasets": list(node.outputs),
        "seconds": call.seconds,
        "created": round(time.time(), 3),
        "code": identity.code.parts,
        "parts": parts,
    }
    recipes = [n for n, blob in zip(node.outputs, outputs, strict=True) if blob.is_recipe]
    more = {"recipes": recipes, "curve": list(call.curve)}
    return meta | {name: known for name, known in more.items() if known}


def put_record(
    store: Store, key: str, outputs: Sequence[Blob], meta: dict[str, Any]
) -> Record | None:
    """Write a record; ``None`` where the store refuses it, for that never fails a run.

    Args:
        store: The store, which says why it refuses.
        key: The key.
        outputs: What the node has returned.
        meta: What the record says besides.
    """
    try:
        return store.put(key, outputs, meta)
    except Unstorable as error:
        logger.debug("%s is not recorded: %s", meta.get("node"), error)
        return None


def node_event(
    status: str,
    *,
    call: NodeCall,
    key: str | None,
    parts: Mapping[str, str],
    meta: Mapping[str, Any],
    record: Record | None,
    outputs: Sequence[Blob],
    why_not: str | None,
    error: str,
    kept: int,
) -> dict[str, Any]:
    """What a run tells of a node.

    Args:
        status: What has become of it.
        call: The call of its function, if there was one.
        key: Its key.
        parts: What its key is made of, shortened.
        meta: What records say about the run.
        record: The record that serves it, ``None`` for none.
        outputs: What it has returned, once all of it is saved.
        why_not: Why it is never cached.
        error: What it has raised.
        kept: Bytes of files that were kept of its lazy outputs.
    """
    event: dict[str, Any] = {
        "status": status,
        "seconds": 0.0 if record else call.seconds,
        "saved": float(record.meta.get("seconds", 0.0)) if record else 0.0,
        "key": key or (record.key if record else None),
        "parts": parts,
        "world": short(str((record.meta if record else meta).get("world", ""))),
    }
    if why_not:
        event["why_not"] = why_not
    if error:
        event["error"] = error
    if kept:
        event["kept"] = kept
    if curve := record.meta.get("curve") if record else list(call.curve):
        event["curve"] = curve
    if record:
        event["from"] = {k: record.meta[k] for k in ("study", "trial") if k in record.meta}
        event["outputs"] = [[b.digest, b.size] for b in record.outputs]
    elif outputs:
        event["outputs"] = [[b.digest, b.size] for b in outputs]
    return event
