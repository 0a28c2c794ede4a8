"""The bytes of a stored value.

A payload is a protocol-5 pickle, then the large buffers that the pickle leaves out (arrays are
written and hashed where they are, without a copy), then a JSON index and its length. The index
also lists the project classes and functions that the pickle refers to, each with the digest of
its code: an object whose class was edited is another value to everything downstream. So is one of
another version of its library, which may be all that a node downstream uses of that library.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import math
import mmap
import os
import pickle
import struct
import sys
from typing import IO, Any

from kedro_eeipu.cache.files.status import is_fresh, version_of, why_shared
from kedro_eeipu.cache.identity.code import code_identity
from kedro_eeipu.cache.identity.origin import is_project_object, origin_of
from kedro_eeipu.cache.identity.pickles import find, globals_inside
from kedro_eeipu.cache.identity.requirements import with_requirements
from kedro_eeipu.cache.store.chunks import (
    ChunkWriter,
    descriptor_of,
    digest_of,
    read_hashed,
    read_unhashed,
)
from kedro_eeipu.cache.tensors import storage_bytes, storage_of

__all__ = ["Damaged", "Outdated", "TooLarge", "digest_of", "read", "write"]

_MAGIC = b"EEIPU-1\n"
_FOOTER = struct.Struct("<Q8s")
_OUT_OF_BAND = 1 << 18
_LARGE = 1 << 22
_LONGEST_TEXT = 64
_MOST_TEXTS = 20_000  # each costs a call when it is loaded
_PLAIN_NODES = 10_000
_NUMPY_NAN = -2
# Classes of polars that hold Python functions as pickles within their own bytes.
_POLARS_CODE = frozenset({"Expr"})
# Values that are pickled without their data: queries, and files that are read when it is needed.
_RECIPES = frozenset(
    {
        ("polars", "LazyFrame"),
        ("ibis", "Expr"),
        ("pyarrow", "Dataset"),
        ("xarray", "CachingFileManager"),
        ("datasets", "MemoryMappedTable"),
        *(("zarr", name) for name in ("Array", "Group", "AsyncArray", "AsyncGroup")),
    }
)
_LAZY_LIBRARIES = frozenset(library for library, _ in _RECIPES)
# By digest, the version of the file that was last found to match it.
_checked: dict[str, tuple[int, ...]] = {}


class Damaged(Exception):
    """The bytes are not the payload that their digest promises."""


class Outdated(Exception):
    """The value is an instance of a class whose code has changed."""


class Recipe(Exception):
    """The value says how data is to be got, and would be pickled without the data."""


class TooLarge(Exception):
    """The payload is larger than an entry may be."""


def write(
    value: Any, file: IO[bytes], limit: int | None = None, *, recipes: bool = False
) -> tuple[str, int]:
    """Serialise ``value`` into an unbuffered ``file``; return digest (in hex) and size in bytes.

    Raises:
        TooLarge: more than ``limit`` bytes.
        Recipe: the value, or something in it, is lazy: a query, a graph, a file that is not read;
            unless ``recipes`` are asked for.
        Exception: whatever pickling the value or writing to ``file`` raises.
    """
    with ChunkWriter(file) as writer:
        out = _Limited(writer, limit)
        buffers: list[pickle.PickleBuffer] = []
        pickler = _Pickler(out, buffers, recipes)
        pickler.dump(_Copy().unshared(value))
        stream, pickled = writer.size, out.names
        lengths = [out.write(buffer.raw()) for buffer in buffers]
        names = sorted(pickler.code | pickled)
        code = {
            name: code_identity(obj).digest for name in names if (obj := find(name)) is not None
        }
        libraries = with_requirements(dict(sorted(filter(None, {*map(_library, pickler.kinds)}))))
        described = {"stream": stream, "buffers": lengths, "code": code, "libraries": libraries}
        index = json.dumps({**described, "texts": list(pickler.texts)}).encode()
        out.write(index + _FOOTER.pack(len(index), _MAGIC))
        return writer.finish(), writer.size


def read(file: IO[bytes], size: int, digest: str) -> Any:
    """Return the value in ``file``, whose digest is checked before anything is unpickled.

    A local file that only its owner may write to is hashed once in a process, as long as its inode,
    size and times stay as they are.

    Raises:
        Damaged: size or digest differ, or the layout makes no sense.
        Outdated: project code that the value refers to is not what it was.
        Exception: whatever unpickling raises.
    """
    segments = _segments(file, size)
    parts = [_memory(length) for length in segments]
    version = _version(file)
    if version is not None and _checked.get(digest) == version:
        intact = read_unhashed(file, parts) and _version(file) == version
    else:
        intact = read_hashed(file, parts) == digest
        if intact and version is not None and _version(file) == version:
            _checked[digest] = version
    if not intact:
        raise Damaged("its content does not match its digest")
    index = json.loads(parts[-1][: -_FOOTER.size])
    value = _Unpickler(parts[0], parts[1:-1], index.get("texts", [])).load()
    for name, recorded in index["code"].items():
        obj = find(name)
        if obj is None or code_identity(obj).digest != recorded:
            raise Outdated(f"{name} was edited since")
    return value


def _version(file: IO[bytes]) -> tuple[int, ...] | None:
    descriptor = descriptor_of(file)
    if descriptor is None:
        return None
    status = os.fstat(descriptor)
    # Whoever may write to it could do so through a memory map without a trace.
    return None if is_fresh(status) or why_shared(status) else version_of(status)


def _segments(file: IO[bytes], size: int) -> list[int]:
    """Lengths of pickle, buffers and tail."""
    try:
        if file.seek(0, io.SEEK_END) != size or size < _FOOTER.size:
            raise Damaged("its size is wrong")
        file.seek(size - _FOOTER.size)
        length, magic = _FOOTER.unpack(file.read(_FOOTER.size))
        tail = length + _FOOTER.size
        if magic != _MAGIC or tail > size:
            raise Damaged("it is not a payload")
        file.seek(size - tail)
        index = json.loads(file.read(length))
        segments = [int(index["stream"]), *map(int, index["buffers"]), tail]
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise Damaged("its index is damaged") from error
    if min(segments) < 0 or sum(segments) != size:
        raise Damaged("its index is damaged")
    file.seek(0)
    return segments


def _memory(length: int) -> bytearray | mmap.mmap:
    """Writable memory; fresh private pages for large blocks, which need not be zeroed first."""
    if length < _LARGE or not hasattr(mmap, "MAP_ANONYMOUS"):
        return bytearray(length)
    memory = mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


class _Limited:
    """Passes writes on to ``out`` as long as they stay within ``limit`` bytes.

    Attributes:
        names: project code that pickles within what was written name, in bytes of whatever kind.
    """

    def __init__(self, out: ChunkWriter, limit: int | None) -> None:
        self._out, self._limit = out, limit
        self.names: frozenset[str] = frozenset()

    def write(self, data: Any) -> int:
        if not isinstance(data, memoryview):  # of a buffer, whose kind the pickler knows
            # All but the pickle that is being written, which begins in the first piece.
            self.names |= globals_inside(bytes(data) if self._out.size else bytes(data)[2:])
        size = self._out.size + memoryview(data).nbytes
        if self._limit is not None and size > self._limit:
            raise TooLarge(f"it takes more than the {self._limit} bytes an entry may have")
        return self._out.write(data)


class _Pickler(pickle.Pickler):
    """Keeps large buffers out of the stream and notes the project code it refers to.

    Pickle writes a string once per object, not once per value. Which equal strings are one object,
    a name of an attribute and a letter in an array's description, say, depends on what the process
    has done before, so a fitted model would have another digest in each. Short strings are
    therefore numbered by value, up to so many of them.

    Attributes:
        code: the project code that the pickle names.
        texts: the numbered strings.
        kinds: types of what the pickle builds.
    """

    def __init__(
        self, file: Any, buffers: list[pickle.PickleBuffer], recipes: bool = False
    ) -> None:
        super().__init__(file, protocol=5, buffer_callback=self._keep_apart)
        self._buffers = buffers
        self._recipes = recipes
        self._dtypes: dict[Any, Any] = {}
        self._nans = {id(nan): mark for mark, nan in _nans().items()}
        self._left = _MOST_TEXTS
        self.code: set[str] = set()
        self.texts: dict[str, int] = {}
        self.kinds: set[type] = set()

    def persistent_id(self, obj: Any) -> int | None:
        kind = type(obj)
        if kind is float and obj != obj:
            return self._nans.get(id(obj))
        if kind is not str or self._left == 0 or len(obj) > _LONGEST_TEXT:
            return None
        self._left -= 1
        return self.texts.setdefault(obj, len(self.texts))

    def _keep_apart(self, buffer: pickle.PickleBuffer) -> bool:
        try:
            if buffer.raw().nbytes < _OUT_OF_BAND:
                return True
        except BufferError:  # not contiguous: the pickler copies it
            return True
        self._buffers.append(buffer)
        return False

    def reducer_override(self, obj: Any) -> Any:
        self.kinds.add(obj if isinstance(obj, type) else type(obj))
        recipe = _recipe(obj)
        if recipe and not self._recipes:
            raise Recipe(
                f"a {recipe} is evaluated later, on the content that its files have by then"
            )
        if callable(obj) and hasattr(obj, "__qualname__") and is_project_object(obj):
            self.code.add(f"{obj.__module__}:{obj.__qualname__}")
        if type(obj).__module__.startswith("polars") and type(obj).__name__ in _POLARS_CODE:
            self.code |= globals_inside(_state_bytes(obj))
        stored = storage_bytes(obj)
        if stored is not None:
            return storage_of, (stored, obj.dtype)
        numpy = sys.modules.get("numpy")
        if numpy is not None and type(obj) is numpy.ndarray:
            if obj.dtype.kind in "SV" or obj.dtype == "u1":
                self.code |= globals_inside(obj.tobytes())
            if not (obj.flags.c_contiguous or obj.flags.f_contiguous):
                obj = numpy.ascontiguousarray(obj)  # what it is once it has been loaded
            elif not obj.flags.writeable:
                obj = obj.copy(order="K")  # as Kedro hands it on, which copies
            return self._with_one_dtype(obj.__reduce_ex__(5), numpy.dtype)
        if numpy is not None and isinstance(obj, numpy.generic) and type(obj) is not numpy.void:
            return self._with_one_dtype(obj.__reduce__(), numpy.dtype)
        return NotImplemented

    def _with_one_dtype(self, reduced: tuple[Any, ...], dtype: type) -> tuple[Any, ...]:
        """Let equal data types be one object.

        Arrays that were loaded have their own types, computed ones share them, and pickle
        writes an object once: equal arrays would have different digests.
        """

        def one(item: Any) -> Any:
            if not isinstance(item, dtype) or item.metadata:  # type: ignore[attr-defined]
                return item
            fields = repr(item.descr) if item.fields else ""  # type: ignore[attr-defined]
            aligned = item.isalignedstruct  # type: ignore[attr-defined]
            return self._dtypes.setdefault((item.str, fields, aligned), item)  # type: ignore[attr-defined]

        return tuple(tuple(map(one, part)) if type(part) is tuple else part for part in reduced)


class _Unpickler(pickle.Unpickler):
    """Reads what `_Pickler` has written."""

    def __init__(self, stream: Any, buffers: list[Any], texts: list[str]) -> None:
        super().__init__(io.BytesIO(stream), buffers=buffers)
        self._texts = texts

    def persistent_load(self, number: Any) -> str | float:
        if number >= 0:
            return self._texts[number]
        if number == _NUMPY_NAN:
            importlib.import_module("numpy")  # what was written may need nothing else of it
        return _nans()[number]


def _nans() -> dict[int, float]:
    """The NaNs that code may compare by identity, by a negative number.

    ``value is np.nan`` holds for a value that Kedro hands on, whose copies share them.
    """
    numpy = sys.modules.get("numpy")
    return {-1: math.nan} | ({} if numpy is None else {_NUMPY_NAN: numpy.nan})


def _library(kind: type) -> tuple[str, str] | None:
    """Name and version of the library of a type, None for Python's own and the project's."""
    origin = origin_of(str(kind.__module__))
    return None if origin.name in ("", "python") else (origin.name, origin.version)


def _recipe(obj: Any) -> str:
    """Name of the type of a lazy value, empty for others."""
    kind = type(obj)
    if kind.__module__.partition(".")[0] not in _LAZY_LIBRARIES:
        graph = getattr(obj, "__dask_graph__", None)  # of any library that builds on Dask
        is_lazy = callable(graph) and not isinstance(obj, type) and graph() is not None
        return kind.__name__ if is_lazy else ""
    bases = {(base.__module__.partition(".")[0], base.__name__) for base in kind.__mro__}
    return "" if bases.isdisjoint(_RECIPES) else kind.__name__


def _state_bytes(obj: Any) -> bytes:
    state = obj.__getstate__()
    return state if isinstance(state, bytes) else b""


class _NotPlain(Exception):
    """The value is more than a small tree of built-in types."""


class _Copy:
    """Copies small trees of built-in types so that equal strings are one string.

    Pickle writes a string once per object, not once per value: without this step the same
    metrics read back from the cache would have another digest than when they were computed.
    Lists and dictionaries that are shared stay shared.
    """

    def __init__(self) -> None:
        self._texts: dict[Any, Any] = {}
        self._containers: dict[int, Any] = {}
        self._left = _PLAIN_NODES

    def unshared(self, value: Any) -> Any:
        """The copy of a value that is such a tree, or the value itself."""
        try:
            return self.of(value)
        except (_NotPlain, RecursionError):
            return value

    def of(self, value: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise _NotPlain
        kind = type(value)
        if kind is str or kind is bytes:
            return self._texts.setdefault((kind, value), value)
        if kind in (int, float, bool, type(None)):
            return value
        if kind is tuple:
            return tuple([self.of(item) for item in value])
        if kind is not list and kind is not dict:
            raise _NotPlain
        if id(value) not in self._containers:
            copy: Any = kind()
            self._containers[id(value)] = copy
            if kind is list:
                copy.extend(self.of(item) for item in value)
            else:
                copy.update((self.of(name), self.of(item)) for name, item in value.items())
        return self._containers[id(value)]
