"""Whether a process lives, asked by host and PID namespace; how to end one at once."""

from __future__ import annotations

import os
import signal
import socket

__all__ = ["has_ended", "kill", "machine"]


def machine() -> str:
    """Where process numbers mean what they mean here: the host and, in a container, its namespace.

    Two containers may share a host name, and both number their first process 1.
    """
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return f"{socket.gethostname()} {namespace}"


def kill(pid: int) -> None:
    """End a process at once, without a word to it."""
    os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))  # Windows has the second only


def has_ended(on: str, pid: int) -> bool:
    """Whether a process is certain to be over; False if that is unknown.

    Args:
        on: Its `machine`. Of a process on another one nothing is known.
        pid: Its number there.
    """
    if on != machine() or pid <= 0 or os.name == "nt":  # there, a signal 0 is no mere question
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
