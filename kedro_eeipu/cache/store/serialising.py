"""A value as bytes: into a file, or only to learn their digest and number."""

from __future__ import annotations

import io
from typing import Any

from kedro_eeipu.cache.store import payload
from kedro_eeipu.cache.store.errors import Unstorable, in_words

__all__ = ["Nowhere", "serialise"]


class Nowhere(io.RawIOBase):
    """A file that forgets what is written to it."""

    def write(self, data: Any, /) -> int:
        return len(data)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return offset


def serialise(value: Any, file: Any, limit: int | None) -> tuple[str, int]:
    """Write a value into a file; its digest and its number of bytes.

    Raises:
        Unstorable: it cannot be pickled, or takes more bytes than the limit.
        OSError: of the file.
    """
    try:
        return payload.write(value, file, limit)
    except OSError:
        raise
    except (payload.TooLarge, payload.Recipe) as error:
        raise Unstorable(str(error)) from error
    except Exception as error:
        raise Unstorable(f"it cannot be pickled: {in_words(error)}") from error
