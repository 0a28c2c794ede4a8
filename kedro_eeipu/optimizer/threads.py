"""One thread while the optimizer computes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

__all__ = ["one_thread"]


# The number of threads and GPyTorch's settings are the process's: two at a time would leave each
# other's behind.
_ALONE = threading.RLock()


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread inside: two on two busy cores make small problems many times slower.

    Threads of the process come in one after the other.

    Not only torch: SciPy's L-BFGS-B hands vectors of a dozen entries to a BLAS whose threads wait
    for each other by spinning.
    """
    with _ALONE:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with threadpool_limits(1):
                yield
        finally:
            torch.set_num_threads(threads)
