"""What the status of a local file says: whether it changed, and who may write to it."""

from __future__ import annotations

import os
import stat
import time

__all__ = ["is_fresh", "version_of", "why_shared"]

_FRESH_SECONDS = 2.0


def version_of(status: os.stat_result) -> tuple[int, ...]:
    """What changes when a local file does."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def is_fresh(status: os.stat_result) -> bool:
    """Whether a write that follows could leave the file's version as it is."""
    return time.time() - max(status.st_mtime_ns, status.st_ctime_ns) / 1e9 < _FRESH_SECONDS


def why_shared(status: os.stat_result) -> str | None:
    """Why others may write to a local file or folder (None if they cannot)."""
    if os.name == "nt":
        return None  # the mode bits say nothing about access there
    if status.st_uid not in (os.geteuid(), 0):
        return "it belongs to another user"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "its group or everybody may write to it (chmod go-w makes it private)"
    return None
