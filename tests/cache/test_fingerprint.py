"""Fingerprints of values and content tokens of files."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import math
import os
import pathlib
import pickle
import subprocess
import sys
import time
from typing import Any

import fsspec
import numpy as np
import pytest
from code_edits import Loader
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem
from hypothesis import given
from hypothesis import strategies as st

from kedro_eeipu.cache.identity import contents
from kedro_eeipu.cache.identity.canonical import Unidentifiable, combine
from kedro_eeipu.cache.identity.contents import content_token
from kedro_eeipu.cache.identity.fingerprint import fingerprint

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.dates()
    | st.decimals(allow_nan=False)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner)
        | st.frozensets(st.integers() | st.text())
    ),
    max_leaves=20,
)


def _same(left: object, right: object) -> bool:
    """Equality that tells types apart, and signs of zero."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict) and isinstance(right, dict):
        return _same(list(left.items()), list(right.items()))
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, float) and isinstance(right, float):
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    if isinstance(left, decimal.Decimal) and isinstance(right, decimal.Decimal):
        return left.as_tuple() == right.as_tuple()
    return left == right


@given(values, values)
def test_equal_fingerprints_mean_equal_values(left: object, right: object) -> None:
    assert (fingerprint(left) == fingerprint(right)) == _same(left, right)


@given(st.dictionaries(st.text(), values, min_size=2))
def test_case_14_order_of_keys_matters(mapping: dict[str, object]) -> None:
    """A node may go through them, and columns, features and models come out in that order."""
    assert fingerprint(dict(reversed(mapping.items()))) != fingerprint(mapping)


def test_case_14_numbers() -> None:
    assert fingerprint(0.1) == fingerprint(0.10)
    assert len({fingerprint(value) for value in (1, 1.0, True, "1", b"1", None)}) == 6
    assert fingerprint(math.nan) == fingerprint(float("-nan"))
    assert fingerprint(0.0) != fingerprint(-0.0)
    assert fingerprint([1, 2]) != fingerprint([2, 1])
    assert fingerprint([1, 2]) != fingerprint((1, 2))
    assert fingerprint({"a": {}}) != fingerprint({"a": []})


def test_case_15_exponent_without_a_dot_is_text_in_yaml() -> None:
    assert fingerprint("1e-3") != fingerprint(1e-3)


def test_case_14_numpy() -> None:
    array = np.arange(6.0).reshape(2, 3)
    assert fingerprint(array) == fingerprint(np.asfortranarray(array))
    different = [array.T, array.astype("f4"), array.reshape(3, 2), array + 1, array.tolist()]
    assert len({fingerprint(value) for value in [array, *different]}) == 6
    assert fingerprint(np.float64(1)) not in (fingerprint(1.0), fingerprint(np.float32(1)))
    assert fingerprint(np.float32("nan")) == fingerprint(-np.float32("nan"))
    assert fingerprint(np.array([])) != fingerprint(np.array([[]]))
    assert fingerprint(np.array(["a", None])) != fingerprint(np.array(["a", "None"]))
    record = np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])
    assert fingerprint(record) != fingerprint(record.astype([("a", "i4"), ("c", "f8")]))


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Shade(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Options:
    rate: float = 0.1
    inner: dict[str, object] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Settings:
    rate: float = 0.1
    inner: dict[str, object] = dataclasses.field(default_factory=dict)


def test_case_16_type_and_fields() -> None:
    assert fingerprint(Options()) == fingerprint(Options(0.1))
    assert len({fingerprint(v) for v in (Options(), Options(0.2), Settings(), {"rate": 0.1})}) == 4
    assert len({fingerprint(v) for v in (Colour.RED, Colour.BLUE, Shade.RED, 1)}) == 4


def test_case_16_what_a_dataclass_sets_besides_its_fields() -> None:
    @dataclasses.dataclass
    class Model:
        scale: dataclasses.InitVar[float]

        def __post_init__(self, scale: float) -> None:
            self.double = 2 * scale

    assert fingerprint(Model(1.0)) != fingerprint(Model(2.0))
    assert fingerprint(Model(1.0)) == fingerprint(Model(1.0))


def test_case_16_pydantic_model() -> None:
    pytest.importorskip("pydantic")
    from pydantic import BaseModel

    class Model(BaseModel):
        rate: float = 0.1

    assert fingerprint(Model()) == fingerprint(Model(rate=0.1))
    assert fingerprint(Model()) != fingerprint(Model(rate=0.2))


def test_case_16_method_of_a_dataclass_edited(project: Loader) -> None:
    text = (
        "import dataclasses\n@dataclasses.dataclass\nclass P:\n    k: int = 1\n"
        "    def scale(self):\n        return self.k * 2\n"
    )
    with project({"nodes.py": text}) as nodes:
        before = fingerprint(nodes.P())
    with project({"nodes.py": text.replace("* 2", "* 3")}) as nodes:
        assert fingerprint(nodes.P()) != before


@pytest.mark.parametrize(
    "value",
    [object(), lambda: 0, {"a": object()}, {1: open}, type, np.array([object()]), os.environ],
    ids=["object", "lambda", "inside a dict", "builtin", "class", "inside an array", "environ"],
)
def test_case_16_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(Unidentifiable):
        fingerprint(value)


def test_container_that_contains_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(Unidentifiable):
        fingerprint(loop)
    shared = [1]
    assert fingerprint([shared, shared]) == fingerprint([[1], [1]])


def test_moments_and_paths() -> None:
    utc = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    values = [utc, utc.replace(tzinfo=None), utc.date(), pathlib.Path("a"), "a", utc.isoformat()]
    assert len({fingerprint(value) for value in values}) == len(values)


def test_case_11_same_fingerprint_under_another_hash_seed() -> None:
    script = (
        "from kedro_eeipu.cache.identity.fingerprint import fingerprint;"
        "print(fingerprint({'a': {'x', 'y', 'z'}, 'b': [1.5, None]}))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


def test_combine_tells_parts_apart() -> None:
    assert combine(code="a", inputs={"x": "1"}) == combine(inputs={"x": "1"}, code="a")
    keys = [
        combine(code="a", inputs={"x": "1"}),
        combine(code="a", inputs={"y": "1"}),
        combine(code="a", inputs=["x", "1"]),
        combine(code="a", inputs=["1", "x"]),
        combine(code="ax", inputs=["1"]),
        combine(code="a"),
    ]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 64 for key in keys)


# --- files ----------------------------------------------------------------------------------------

LOCAL = LocalFileSystem()


def test_case_18_content_counts_and_the_path_does_not(tmp_path: pathlib.Path) -> None:
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text("a,b\n")
    two.write_text("a,b\n")
    before = content_token(LOCAL, str(one))
    assert before == content_token(LOCAL, str(two))
    one.write_text("a,c\n")
    assert content_token(LOCAL, str(one)) != before


def test_case_18_rewritten_at_once_with_the_same_size(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "data"
    tokens = set()
    for number in range(50):
        file.write_text(f"{number:04}")
        tokens.add(content_token(LOCAL, str(file)))
    assert len(tokens) == 50


def test_case_18_rewritten_with_its_old_time(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "data"
    file.write_text("one")
    os.utime(file, (1_000_000, 1_000_000))
    before = content_token(LOCAL, str(file))
    file.write_text("two")
    os.utime(file, (1_000_000, 1_000_000))
    assert content_token(LOCAL, str(file)) != before


def test_old_file_is_read_once(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "data"
    file.write_text("x")
    reads = []
    read = contents._hash_file

    def hash_file(path: str) -> str:
        reads.append(path)
        return read(path)

    monkeypatch.setattr(contents, "_hash_file", hash_file)
    content_token(LOCAL, str(file))
    content_token(LOCAL, str(file))
    assert len(reads) == 2  # written just now: it might change without a trace
    monkeypatch.setattr(time, "time", lambda: os.stat(file).st_mtime + 10)
    content_token(LOCAL, str(file))
    content_token(LOCAL, str(file))
    assert len(reads) == 3


def test_case_20_partitions(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "parts"
    (folder / "sub").mkdir(parents=True)
    (folder / "a").write_text("1")
    (folder / "sub" / "b").write_text("2")
    tokens = [content_token(LOCAL, str(folder))]

    def edited() -> bool:
        tokens.append(content_token(LOCAL, str(folder)))
        return tokens[-1] not in tokens[:-1]

    (folder / "c").write_text("3")
    assert edited()
    (folder / "c").rename(folder / "d")
    assert edited()
    (folder / "sub" / "b").write_text("4")
    assert edited()
    (folder / "sub" / "b").unlink()
    assert edited()
    (folder / "d").unlink()
    (folder / "sub" / "b").write_text("2")
    assert not edited()


def test_case_18_missing_or_unreadable(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").mkdir()
    (tmp_path / "loop" / "again").symlink_to(tmp_path / "loop", target_is_directory=True)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("missing", "pipe", "loop", "dangling"):
        with pytest.raises(Unidentifiable) as refusal:
            content_token(LOCAL, str(tmp_path / name))
        assert name in refusal.value.reason


def test_case_18_file_that_keeps_changing(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "log"
    file.write_text("")

    def read_while_somebody_appends(path: str) -> str:
        with open(path, "a") as other:
            other.write("x")
        return "0" * 64

    monkeypatch.setattr(contents, "_hash_file", read_while_somebody_appends)
    with pytest.raises(Unidentifiable, match="changing"):
        content_token(LOCAL, str(file))


_CLASSES = (
    "import enum\nclass Kind(enum.Enum):\n    A = 1\n"
    "class Model:\n    def __init__(self, k):\n        self.k = k\n"
    "    def predict(self, x):\n        return self.k * x\n"
    "    class Inner:\n        def get(self):\n            return 1\n"
)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    ("edit", "counts"),
    [
        (("self.k * x", "self.k - x"), True),
        (("return 1", "return 2"), True),
        (("A = 1", "B = 1\n    A = 2"), True),
        (("import enum", "# comment\nimport enum"), False),
    ],
)
def test_case_05_class_of_a_pickled_input(
    protocol: int, edit: tuple[str, str], counts: bool, project: Loader, tmp_path: pathlib.Path
) -> None:
    file = tmp_path / "model.pkl"
    fs = fsspec.filesystem("memory")
    with project({"nodes.py": _CLASSES}) as nodes:
        value = ["text", nodes.Model(1), {"a": nodes.Model.Inner()}, nodes.Model(2), nodes.Kind.A]
        file.write_bytes(pickle.dumps(value, protocol))
        fs.pipe_file("/pickles/model.pkl", file.read_bytes())
        before = [content_token(LOCAL, str(file)), content_token(fs, "/pickles/model.pkl")]
    with project({"nodes.py": _CLASSES.replace(*edit)}):
        after = [content_token(LOCAL, str(file)), content_token(fs, "/pickles/model.pkl")]
    assert [b != a for b, a in zip(before, after, strict=True)] == [counts, counts]


@pytest.mark.parametrize("content", [b"", b"\x80", b"\x80\x04", b"\x80\x05 text", b"\x80\x99."])
def test_file_that_only_begins_like_a_pickle(content: bytes, tmp_path: pathlib.Path) -> None:
    (tmp_path / "data").write_bytes(content)
    assert content_token(LOCAL, str(tmp_path / "data")).startswith("file:")


def test_pickle_is_not_loaded_to_look_into_it(tmp_path: pathlib.Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "exploded"),)

    (tmp_path / "data.pkl").write_bytes(pickle.dumps(Bomb()))
    content_token(LOCAL, str(tmp_path / "data.pkl"))
    assert not (tmp_path / "exploded").exists()


def test_remote_files_are_read_or_known_by_their_checksum() -> None:
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/tokens/a/x", b"1")
    fs.pipe_file("/tokens/b/x", b"1")
    assert content_token(fs, "/tokens/a") == content_token(fs, "/tokens/b")
    assert content_token(fs, "/tokens/a/x") == content_token(fs, "/tokens/b/x")
    before = content_token(fs, "/tokens/a/x")
    fs.pipe_file("/tokens/a/x", b"2")
    assert content_token(fs, "/tokens/a/x") != before
    with pytest.raises(Unidentifiable):
        content_token(fs, "/tokens/missing")
    fs.rm("/tokens", recursive=True)


class _Tagged(AbstractFileSystem):  # type: ignore[misc]
    """A filesystem with one file, an entity tag, and no way to read it."""

    cachable = False
    tag = '"1"'

    def info(self, path: str, **kwargs: object) -> dict[str, object]:
        return {"name": path, "type": "file", "size": 3, "ETag": self.tag}


def test_remote_entity_tag_is_trusted_if_it_is_strong() -> None:
    fs = _Tagged()
    before = content_token(fs, "x")
    assert content_token(fs, "y") == before
    fs.tag = '"2"'
    assert content_token(fs, "x") != before
    fs.tag = 'W/"2"'
    with pytest.raises(Unidentifiable):
        content_token(fs, "x")
