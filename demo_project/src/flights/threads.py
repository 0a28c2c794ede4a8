"""One thread for numerical libraries."""

from __future__ import annotations

from threadpoolctl import threadpool_limits


def use_one_thread() -> None:
    """Let BLAS and OpenMP use one thread from here on, in this process.

    Threads change the order in which floats are added, and with it the last bits of a result.
    The limit is not lifted again, because it would be lifted for all nodes that run beside.
    """
    threadpool_limits(limits=1)
