"""A value as bytes: into a file, or only to learn their digest and number."""

from __future__ import annotations

import io
from typing import Any

from kedro_eeipu.cache.identity.canonical import Unidentifiable
from kedro_eeipu.cache.store import payload
from kedro_eeipu.cache.store.errors import Unstorable, in_words

__all__ = ["Nowhere", "serialise"]


class Nowhere(io.RawIOBase):
    """A file that forgets what is written to it."""

    def write(self, data: Any, /) -> int:
        return len(data)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return offset


def serialise(
    value: Any, file: Any, limit: int | None, *, recipes: bool = False
) -> tuple[str, int]:
    """Write a value into a file; its digest and its number of bytes.

    Args:
        value: The value.
        file: The file.
        limit: The most bytes.
        recipes: Whether a lazy value is written as its recipe.

    Raises:
        Unstorable: it cannot be pickled, or takes more bytes than the limit.
        OSError: of the file.
    """
    try:
        return payload.write(value, file, limit, recipes=recipes)
    except OSError:
        raise
    except payload.TooLarge as error:
        raise Unstorable(str(error)) from error
    except payload.Recipe as error:
        raise Unstorable(str(error), no_bytes=True) from error
    except Exception as error:
        # Code that cannot be identified is in no key, either.
        known = not isinstance(error, Unidentifiable)
        reason = f"it cannot be pickled: {in_words(error)}" if known else str(error)
        raise Unstorable(reason, no_bytes=known) from error
