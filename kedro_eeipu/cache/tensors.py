"""Storages of torch as arrays.

Torch pickles a storage under its address, so equal tensors would have different digests.
"""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["storage_bytes", "storage_of"]


def storage_bytes(obj: Any) -> Any:
    """The bytes of a storage in main memory as an array that shares them, None of what is none."""
    if type(obj).__name__ != "TypedStorage" or type(obj).__module__ != "torch.storage":
        return None
    untyped = obj._untyped_storage  # the public way warns that this class will go
    if untyped.device.type != "cpu":
        return None
    torch = sys.modules["torch"]
    return torch.empty(0, dtype=torch.uint8).set_(untyped).numpy()


def storage_of(data: Any, dtype: Any) -> Any:
    """The storage that has these bytes, which it shares, of elements of the given type."""
    import torch

    return torch.storage.TypedStorage(
        wrap_storage=torch.from_numpy(data).untyped_storage(), dtype=dtype, _internal=True
    )
