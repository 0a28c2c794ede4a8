"""Files that are hashed, written and read in chunks."""

from __future__ import annotations

import hashlib
import io
import itertools
import tempfile
from typing import IO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedro_eeipu.cache.store import chunks
from kedro_eeipu.cache.store.chunks import CHUNK, ChunkWriter, digest_of, read_hashed

sizes = st.lists(
    st.integers(0, 100) | st.integers(-2, 2).map(lambda n: CHUNK + n) | st.just(3 * CHUNK + 7),
    max_size=6,
)


def _pieces(lengths: list[int]) -> list[bytes]:
    return [bytes([number + 1]) * length for number, length in enumerate(lengths)]


@pytest.mark.parametrize("on_disk", [True, False])
@settings(max_examples=30, deadline=None)
@given(sizes, sizes)
def test_what_is_written_in_pieces_is_read_in_others(
    on_disk: bool, lengths: list[int], others: list[int]
) -> None:
    pieces = _pieces(lengths)
    content = b"".join(pieces)
    with tempfile.TemporaryFile(buffering=0) if on_disk else io.BytesIO() as file:
        with ChunkWriter(file) as writer:
            assert [writer.write(piece) for piece in pieces] == lengths
            digest = writer.finish()
        assert writer.size == len(content)
        file.seek(0)
        assert file.read() == content
        file.seek(0)
        assert digest_of(file) == digest
        cuts = sorted(min(sum(others[: i + 1]), len(content)) for i in range(len(others)))
        edges = [0, *cuts, len(content)]
        targets = [bytearray(end - start) for start, end in itertools.pairwise(edges)]
        assert read_hashed(file, targets) == digest
        assert b"".join(targets) == content
        assert read_hashed(file, [*targets, bytearray(1)]) is None


def test_digest_is_that_of_the_digests_of_the_chunks() -> None:
    content = b"x" * CHUNK + b"y"
    expected = hashlib.sha256(
        hashlib.sha256(content[:CHUNK]).digest() + hashlib.sha256(content[CHUNK:]).digest()
    ).hexdigest()
    assert digest_of(io.BytesIO(content)) == expected


def test_error_while_writing_reaches_the_writer() -> None:
    class Full(io.RawIOBase):
        def seek(self, offset: int, whence: int = 0, /) -> int:
            return offset

        def write(self, data: object, /) -> int:
            raise OSError(28, "No space left on device")

    def write() -> None:
        with ChunkWriter(cast("IO[bytes]", Full())) as writer:
            for _ in range(2 * chunks._AHEAD):
                writer.write(b"x" * CHUNK)
            writer.finish()

    with pytest.raises(OSError, match="No space"):
        write()
