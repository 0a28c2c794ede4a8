"""Edits of what stands around the code: catalog, datasets, hooks, parameters, files, settings."""

# ruff: noqa: E501 - each is read as the small program that it is
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edits import edit
from projects import project

PIPE = """
from kedro.pipeline import Pipeline, node
from mini.base import total
def make_pipeline():
    return Pipeline([node(a, ["raw", "params:k"], "x", name="a"), node(total, "x", "metrics", name="b")])
"""
THREE = """
from kedro.pipeline import Pipeline, node
from mini.base import total
def make_pipeline():
    return Pipeline([
        node(a, "params:k", "x", name="a"),
        node(b, "x", "y", name="b"),
        node(total, "y", "metrics", name="c"),
    ])
"""
LENGTH = "def a(raw, k):\n    return len(raw) * k\n"
TEXT = "raw: {type: text.TextDataset, filepath: data/raw.txt%s}\n"
LOAD = "    fs_args: {open_args_load: {%s}}\n"
HEAD = "raw:\n    type: text.TextDataset\n    filepath: data/raw.txt\n"


def data(
    kind: str,
    name: str,
    body: str,
    catalog: str,
    old: str = "",
    new: str = "",
    *,
    pipe: str = PIPE,
    raw: Mapping[str, str | bytes] | None = None,
    after: Mapping[str, str | bytes | None] | None = None,
    changes: bool = True,
    documented: str = "",
    runs: bool = False,
    **project_options: str,
) -> None:
    """An edit of a project whose node ``a(raw, k)`` reads an input."""
    files = project(body + pipe, catalog=catalog, files=dict(raw or {}), **project_options)
    edit(
        kind, name, files, old, new, after=after, changes=changes, documented=documented, runs=runs
    )


def intermediate(
    kind: str, name: str, body: str, catalog: str, old: str, new: str, **options: Any
) -> None:
    """An edit of a project whose nodes ``a(k)`` and ``b(x)`` hand on a dataset x of the catalog."""
    data(kind, name, body, catalog, old, new, pipe=THREE, **options)


# --- catalog: how files are read --------------------------------------------------------------------
ACCENTS = {"data/raw.txt": "é\r\nü\r\nabc\r\n".encode()}
data(
    "catalog: open_args_load",
    "encoding of an input",
    LENGTH,
    HEAD + LOAD % "encoding: utf-8",
    "utf-8",
    "latin-1",
    raw=ACCENTS,
    runs=True,
)
data(
    "catalog: open_args_load",
    "encoding added",
    LENGTH,
    HEAD + LOAD % "mode: r",
    "mode: r",
    "mode: r, encoding: latin-1",
    raw=ACCENTS,
)
data(
    "catalog: open_args_load",
    "newline of an input",
    LENGTH,
    HEAD + LOAD % "newline: null",
    "newline: null",
    'newline: ""',
    raw=ACCENTS,
)
data(
    "catalog: open_args_load",
    "errors",
    LENGTH,
    HEAD + LOAD % "encoding: ascii, errors: ignore",
    "errors: ignore",
    "errors: replace",
    raw=ACCENTS,
)
data(
    "catalog: open_args_load",
    "compression",
    LENGTH,
    HEAD + LOAD % "mode: r",
    "mode: r",
    "mode: r, encoding: utf-16-le",
    raw={"data/raw.txt": "abcd"},
)
INTER = "def a(k):\n    return 'é' * k\ndef b(x):\n    return len(x)\n"
XTEXT = "x:\n    type: text.TextDataset\n    filepath: data/x.txt\n    fs_args: {open_args_load: {%s}, open_args_save: {encoding: utf-8}}\n"
intermediate(
    "catalog: open_args_load",
    "encoding of an intermediate",
    INTER,
    XTEXT % "encoding: utf-8",
    "open_args_load: {encoding: utf-8}",
    "open_args_load: {encoding: latin-1}",
    runs=True,
)
intermediate(
    "catalog: open_args_load",
    "newline of an intermediate",
    "def a(k):\n    return 'a\\r\\n' * k\ndef b(x):\n    return len(x)\n",
    "x:\n    type: text.TextDataset\n    filepath: data/x.txt\n    fs_args: {open_args_load: {newline: ''}, open_args_save: {newline: ''}}\n",
    "open_args_load: {newline: ''}",
    "open_args_load: {newline: null}",
)
intermediate(
    "catalog: open_args_save",
    "encoding of an intermediate",
    "def a(k):\n    return 'a' * k\ndef b(x):\n    return len(x)\n",
    "x:\n    type: text.TextDataset\n    filepath: data/x.txt\n    fs_args: {open_args_load: {encoding: latin-1}, open_args_save: {encoding: latin-1}}\n",
    "open_args_save: {encoding: latin-1}",
    "open_args_save: {encoding: utf-16}",
)
intermediate(
    "catalog: open_args_save",
    "newline of an intermediate",
    "def a(k):\n    return 'a\\n' * k\ndef b(x):\n    return len(x)\n",
    "x:\n    type: text.TextDataset\n    filepath: data/x.txt\n    fs_args: {open_args_load: {newline: ''}, open_args_save: {newline: \"\\n\"}}\n",
    'open_args_save: {newline: "\\n"}',
    'open_args_save: {newline: "\\r\\n"}',
)
intermediate(
    "catalog: open_args_save",
    "errors of an intermediate",
    "def a(k):\n    return 'aé' * k\ndef b(x):\n    return len(x)\n",
    "x:\n    type: text.TextDataset\n    filepath: data/x.txt\n    fs_args: {open_args_save: {encoding: ascii, errors: ignore}}\n",
    "errors: ignore",
    "errors: replace",
)
PARTS = {"data/parts/one.txt": "é".encode(), "data/parts/two.txt": "üü".encode()}
JOIN = "def a(raw, k):\n    return sum(len(v()) if callable(v) else len(v) for v in raw.values()) * k\n"
NESTED = "raw:\n    type: partitions.PartitionedDataset\n    path: data/parts\n    dataset:\n        type: %s\n%s"
data(
    "catalog: nested dataset",
    "encoding of the partitions",
    JOIN,
    NESTED % ("text.TextDataset", "        fs_args: {open_args_load: {encoding: utf-8}}\n"),
    "utf-8",
    "latin-1",
    raw=PARTS,
    runs=True,
)
data(
    "catalog: nested dataset",
    "load_args of the partitions",
    "def a(raw, k):\n    return sum(len(v().columns) for v in raw.values()) * k\n",
    NESTED % ("pandas.CSVDataset", "        load_args: {sep: ','}\n"),
    "sep: ','",
    "sep: ';'",
    raw={"data/parts/one.txt": "a,b\n1,2\n"},
)
data(
    "catalog: nested dataset",
    "type of the partitions",
    "def a(raw, k):\n    return sum(len(v()) for v in raw.values()) * k\n",
    NESTED % ("text.TextDataset", ""),
    "text.TextDataset",
    "json.JSONDataset",
    raw={"data/parts/one.txt": "[1, 2]"},
)
data(
    "catalog: nested dataset",
    "filename_suffix",
    JOIN,
    "raw: {type: partitions.PartitionedDataset, path: data/parts, dataset: text.TextDataset, filename_suffix: .txt}\n",
    ".txt",
    "e.txt",
    raw=PARTS,
)
data(
    "catalog: nested dataset",
    "load_args of the folder (maxdepth)",
    JOIN,
    "raw:\n    type: partitions.PartitionedDataset\n    path: data/parts\n    dataset: text.TextDataset\n    load_args: {maxdepth: 1}\n",
    "maxdepth: 1",
    "maxdepth: 2",
    raw={**PARTS, "data/parts/deep/three.txt": "abc"},
)
data(
    "catalog: nested dataset",
    "path of the folder",
    JOIN,
    NESTED % ("text.TextDataset", ""),
    "data/parts",
    "data/other",
    raw={**PARTS, "data/other/one.txt": "abcdef"},
)
data(
    "catalog: nested dataset",
    "CachedDataset around another",
    "def a(raw, k):\n    return len(raw.columns) * k\n",
    "raw:\n    type: CachedDataset\n    dataset:\n        type: pandas.CSVDataset\n        filepath: data/raw.csv\n        load_args: {sep: ','}\n",
    "sep: ','",
    "sep: ';'",
    raw={"data/raw.csv": "a,b\n1,2\n"},
)
intermediate(
    "catalog: nested dataset",
    "partitions of an intermediate",
    "def a(k):\n    return {'one': 'é' * k}\ndef b(x):\n    return sum(len(v()) for v in x.values())\n",
    "x:\n    type: partitions.PartitionedDataset\n    path: data/x\n    dataset:\n        type: text.TextDataset\n        fs_args: {open_args_load: {encoding: utf-8}, open_args_save: {encoding: utf-8}}\n",
    "open_args_load: {encoding: utf-8}",
    "open_args_load: {encoding: latin-1}",
)

CSV = "raw:\n    type: pandas.CSVDataset\n    filepath: data/raw.csv\n    load_args: {%s}\n"
CSV_RAW = {"data/raw.csv": "a,b\n1,2\n3,x\n5,6\n"}
SUM = "def a(raw, k):\n    return raw.to_json() + str(k)\n"
for name, old, new in [
    ("sep", "sep: ','", "sep: 'b'"),
    ("nrows", "nrows: 2", "nrows: 1"),
    ("dtype", "dtype: {a: int64}", "dtype: {a: str}"),
    ("index_col", "index_col: null", "index_col: 0"),
    ("header", "header: 0", "header: null"),
    ("na_values", "na_values: [y]", "na_values: [x]"),
    ("skiprows", "skiprows: []", "skiprows: [1]"),
    ("usecols", "usecols: [a, b]", "usecols: [a]"),
    ("names and order of keys", "names: [p, q]", "names: [q, p]"),
]:
    data("catalog: load_args", name, SUM, CSV % old, old, new, raw=CSV_RAW, runs=name == "nrows")
FRAME = "import pandas as pd\ndef a(k):\n    return pd.DataFrame({'a': [1.256, k]})\ndef b(x):\n    return x.to_json()\n"
XCSV = "x:\n    type: pandas.CSVDataset\n    filepath: data/x.csv\n    save_args: {%s}\n    load_args: {%s}\n"
intermediate(
    "catalog: save_args",
    "float_format of an intermediate",
    FRAME,
    XCSV % ("index: false, float_format: '%.2f'", ""),
    "%.2f",
    "%.1f",
    runs=True,
)
intermediate(
    "catalog: save_args",
    "index of an intermediate",
    FRAME,
    XCSV % ("index: false", ""),
    "index: false",
    "index: true",
)
intermediate(
    "catalog: save_args",
    "header of an intermediate",
    FRAME,
    XCSV % ("index: false, header: true", ""),
    "header: true",
    "header: false",
)
intermediate(
    "catalog: load_args",
    "nrows of an intermediate",
    FRAME,
    XCSV % ("index: false", "nrows: 2"),
    "nrows: 2",
    "nrows: 1",
)
intermediate(
    "catalog: type",
    "intermediate leaves the catalog",
    "def a(k):\n    return {1: k}\ndef b(x):\n    return sorted(map(repr, x))\n",
    "x: {type: json.JSONDataset, filepath: data/x.json}\n",
    "x: {type: json.JSONDataset, filepath: data/x.json}\n",
    "",
)
intermediate(
    "catalog: type",
    "intermediate as JSON, then as pickle",
    "def a(k):\n    return (k, k)\ndef b(x):\n    return repr(x)\n",
    "x: {type: json.JSONDataset, filepath: data/x.json}\n",
    "{type: json.JSONDataset, filepath: data/x.json}",
    "{type: pickle.PickleDataset, filepath: data/x.pkl}",
)
data(
    "catalog: type",
    "input as text, then as JSON",
    LENGTH,
    "raw: {type: text.TextDataset, filepath: data/raw.json}\n",
    "text.TextDataset",
    "json.JSONDataset",
    raw={"data/raw.json": "[1, 2]"},
)
data(
    "catalog: type",
    "suffix that pandas infers compression from",
    "def a(raw, k):\n    return len(raw) * k\n",
    "raw: {type: pandas.CSVDataset, filepath: data/raw.csv, load_args: {}}\n",
    after={
        "conf/base/catalog.yml": "raw: {type: pandas.CSVDataset, filepath: data/raw2.csv, load_args: {comment: '3'}}\n",
        "data/raw2.csv": "a,b\n1,2\n3,x\n5,6\n",
    },
    raw=CSV_RAW,
)
data(
    "catalog: type",
    "MemoryDataset with data in the catalog",
    "def a(raw, k):\n    return raw * k\n",
    "raw: {type: MemoryDataset, data: 2}\n",
    "data: 2",
    "data: 3",
)
data(
    "catalog: type",
    "copy_mode of an intermediate",
    "def a(raw, k):\n    raw.append(k)\n    return sum(raw)\n",
    "raw: {type: MemoryDataset, data: [1, 2]}\n",
    "[1, 2]",
    "[1, 3]",
)
data(
    "catalog: place",
    "re-pointed to another file",
    LENGTH,
    TEXT % "",
    "data/raw.txt}",
    "data/two.txt}",
    raw={"data/raw.txt": "ab", "data/two.txt": "abc"},
)
data(
    "catalog: place",
    "re-pointed to an equal file",
    LENGTH,
    TEXT % "",
    "data/raw.txt}",
    "data/two.txt}",
    raw={"data/raw.txt": "ab", "data/two.txt": "ab"},
    changes=False,
)
data(
    "catalog: place",
    "interpolation from globals.yml",
    LENGTH,
    "raw: {type: text.TextDataset, filepath: 'data/${globals:which}.txt'}\n",
    after={"conf/base/globals.yml": "which: two\n"},
    raw={"data/one.txt": "ab", "data/two.txt": "abc", "conf/base/globals.yml": "which: one\n"},
)
data(
    "catalog: place",
    "environment overrides the entry",
    LENGTH,
    TEXT % "",
    after={"conf/local/catalog.yml": "raw: {type: text.TextDataset, filepath: data/two.txt}\n"},
    raw={"data/raw.txt": "ab", "data/two.txt": "abc"},
)
data(
    "catalog: place",
    "template variable of the catalog",
    LENGTH,
    "_which: raw\nraw: {type: text.TextDataset, filepath: 'data/${_which}.txt'}\n",
    "_which: raw",
    "_which: two",
    raw={"data/raw.txt": "ab", "data/two.txt": "abc"},
)
data(
    "catalog: factories",
    "load_args of a pattern",
    SUM,
    '"{name}w":\n    type: pandas.CSVDataset\n    filepath: data/{name}w.csv\n    load_args: {nrows: 2}\n',
    "nrows: 2",
    "nrows: 1",
    raw=CSV_RAW,
    runs=True,
)
data(
    "catalog: factories",
    "encoding of a pattern",
    LENGTH,
    '"{name}w":\n    type: text.TextDataset\n    filepath: data/{name}w.txt\n'
    + LOAD % "encoding: utf-8",
    "utf-8",
    "latin-1",
    raw=ACCENTS,
)
data(
    "catalog: factories",
    "a more specific pattern is added",
    SUM,
    '"{name}":\n    type: pandas.CSVDataset\n    filepath: data/raw.csv\n    load_args: {nrows: 2}\n',
    after={
        "conf/base/catalog.yml": 'metrics: {type: MemoryDataset}\nx: {type: MemoryDataset}\n"r{name}":\n    type: pandas.CSVDataset\n    filepath: data/raw.csv\n    load_args: {nrows: 1}\n'
    },
    raw={
        **CSV_RAW,
        "conf/base/catalog.yml": 'metrics: {type: MemoryDataset}\nx: {type: MemoryDataset}\n"{name}w":\n    type: pandas.CSVDataset\n    filepath: data/raw.csv\n    load_args: {nrows: 2}\n',
    },
)
TRANS = """
from kedro.pipeline import Pipeline, node
from mini.base import total
def make_pipeline():
    return Pipeline([
        node(a, "params:k", "x@frame", name="a"),
        node(b, "x@text", "y", name="b"),
        node(total, "y", "metrics", name="c"),
    ])
"""
XTRANS = '"x@frame":\n    type: pandas.CSVDataset\n    filepath: data/x.csv\n    save_args: {index: false, sep: ","}\n"x@text":\n    type: text.TextDataset\n    filepath: data/x.csv\n    fs_args: {open_args_load: {encoding: utf-8}}\n'
TFRAME = "import pandas as pd\ndef a(k):\n    return pd.DataFrame({'é': [1.5, k], 'b': [1, 2]})\ndef b(x):\n    return x\n"
data(
    "catalog: transcoding",
    "how the reading side reads",
    TFRAME,
    XTRANS,
    "encoding: utf-8",
    "encoding: latin-1",
    pipe=TRANS,
    runs=True,
)
data(
    "catalog: transcoding",
    "how the writing side writes",
    TFRAME,
    XTRANS,
    'sep: ","',
    'sep: ";"',
    pipe=TRANS,
)
VERSIONED = "raw: {type: text.TextDataset, filepath: data/raw.txt, versioned: true}\n"
FIRST = {"data/raw.txt/2024-01-01T00.00.00.000Z/raw.txt": "ab"}
data(
    "catalog: versioned",
    "a newer version of an input",
    LENGTH,
    VERSIONED,
    raw=FIRST,
    after={"data/raw.txt/2024-01-02T00.00.00.000Z/raw.txt": "abc"},
    runs=True,
)
data(
    "catalog: versioned",
    "an older version of an input",
    LENGTH,
    VERSIONED,
    raw=FIRST,
    after={"data/raw.txt/2023-01-02T00.00.00.000Z/raw.txt": "abc"},
    changes=False,
)
data(
    "catalog: versioned",
    "content of the version",
    LENGTH,
    VERSIONED,
    raw=FIRST,
    after={"data/raw.txt/2024-01-01T00.00.00.000Z/raw.txt": "abc"},
)
data(
    "catalog: metadata",
    "of a dataset of a library",
    LENGTH,
    HEAD + "    metadata: {note: one}\n",
    "note: one",
    "note: two",
    raw={"data/raw.txt": "ab"},
    changes=False,
)

# --- datasets of the project ------------------------------------------------------------------------
OWN = """
from kedro.io import AbstractDataset
from mini.parsing import parse
class {name}(AbstractDataset):
    FACTOR = 2
    def __init__(self, filepath, load_args=None, fs_args=None, metadata=None, credentials=None):
        self._filepath, self.load_args = filepath, load_args or {{}}
        self.fs_args, self.metadata = fs_args or {{}}, metadata or {{}}
    def _load(self):
        with open(self._filepath) as f:
            return parse(f.read()) * self.FACTOR * self.metadata.get('scale', 1) * self.fs_args.get('scale', 1) * self.load_args.get('scale', 1)
    def _save(self, value):
        with open(self._filepath, 'w') as f:
            f.write(str(value * 1))
    def _describe(self):
        return {{}}
"""
PARSING = "def parse(text):\n    return len(text) + 10\n"
NUMBER = "def a(raw, k):\n    return raw * k\n"
ONE = {"data/raw.txt": "ab"}
for how, base in [("", "AbstractDataset"), ("versioned base", "AbstractVersionedDataset")]:
    own = OWN.format(name="Own")
    entry = "raw:\n    type: mini.datasets.Own\n    filepath: data/raw.txt\n    metadata: {scale: 2}\n    fs_args: {scale: 2}\n    load_args: {scale: 2}\n"
    if base == "AbstractVersionedDataset":
        own = (
            own.replace("AbstractDataset", base)
            .replace(
                "self._filepath, self.load_args = filepath",
                "from pathlib import PurePosixPath\n        import fsspec\n        super().__init__(PurePosixPath(filepath), None)\n        self._fs = fsspec.filesystem('file')\n        self.load_args = ",
            )
            .replace("self.load_args = , load_args", "self.load_args = load_args")
        )
    for name, old, new in [
        ("body of _load", "len(text) + 10", "len(text) + 20")
        if how
        else ("helper of _load", "len(text) + 10", "len(text) + 20"),
        ("class attribute", "FACTOR = 2", "FACTOR = 3"),
        ("_load itself", "* self.FACTOR", "+ self.FACTOR"),
        ("metadata that it reads", "metadata: {scale: 2}", "metadata: {scale: 3}"),
        ("fs_args that it reads", "fs_args: {scale: 2}", "fs_args: {scale: 3}"),
        ("load_args that it reads", "load_args: {scale: 2}", "load_args: {scale: 3}"),
    ]:
        data(
            "dataset class",
            f"{name}{', ' if how else ''}{how}",
            NUMBER,
            entry,
            old,
            new,
            raw=ONE,
            datasets=own,
            parsing=PARSING,
            runs=not how and name == "helper of _load",
        )
for where, spec in [
    ("by string", "    dataset: mini.datasets.Own\n"),
    ("by mapping", "    dataset: {type: mini.datasets.Own, metadata: {scale: 2}, fs_args: {}}\n"),
]:
    own = OWN.format(name="Own")
    total = "def a(raw, k):\n    return sum(v() for v in raw.values()) * k\n"
    entry = "raw:\n    type: partitions.PartitionedDataset\n    path: data/parts\n" + spec
    for name, old, new in [
        ("_load", "* self.FACTOR", "+ self.FACTOR"),
        ("helper", "len(text) + 10", "len(text) + 20"),
        ("class attribute", "FACTOR = 2", "FACTOR = 3"),
    ]:
        data(
            "dataset class in partitions",
            f"{name}, {where}",
            total,
            entry,
            old,
            new,
            raw=PARTS,
            datasets=own,
            parsing=PARSING,
        )
    if "mapping" in where:
        data(
            "dataset class in partitions",
            f"metadata, {where}",
            total,
            entry,
            "scale: 2",
            "scale: 3",
            raw=PARTS,
            datasets=own,
            parsing=PARSING,
        )
PICKLELIKE = OWN.format(name="PickleDataset")
data(
    "dataset class",
    "merely named PickleDataset",
    NUMBER,
    "raw: {type: mini.datasets.PickleDataset, filepath: data/raw.txt}\n",
    "len(text) + 10",
    "len(text) + 20",
    raw=ONE,
    datasets=PICKLELIKE,
    parsing=PARSING,
)
XOWN = (
    "x: {type: mini.datasets.%s, filepath: data/x.txt, fs_args: {scale: 1}, metadata: {scale: 1}}\n"
)
PASS = "def a(k):\n    return k\ndef b(x):\n    return x\n"
for cls in ("Own", "PickleDataset"):
    own = OWN.format(name=cls)
    for name, old, new in [
        ("_load", "len(text) + 10", "len(text) + 20"),
        ("_save", "value * 1", "value * 100"),
        ("metadata", "metadata: {scale: 1}", "metadata: {scale: 2}"),
        ("fs_args", "fs_args: {scale: 1}", "fs_args: {scale: 2}"),
    ]:
        intermediate(
            "dataset class of an intermediate",
            f"{name} of {cls}",
            PASS,
            XOWN % cls,
            old,
            new,
            datasets=own,
            parsing=PARSING,
            runs=name == "_save",
        )
SUB = "from kedro_datasets.text import TextDataset\nclass Own(TextDataset):\n    def load(self):\n        return super().load() + 'xx'\n"
data(
    "dataset class",
    "subclass of one of kedro-datasets",
    LENGTH,
    "raw: {type: mini.datasets.Own, filepath: data/raw.txt}\n",
    "'xx'",
    "'xxx'",
    raw=ONE,
    datasets=SUB,
)
data(
    "dataset class",
    "subclass that reads its metadata",
    LENGTH,
    "raw: {type: mini.datasets.Own, filepath: data/raw.txt, metadata: {n: 2}}\n",
    "n: 2",
    "n: 3",
    raw=ONE,
    datasets="from kedro_datasets.text import TextDataset\nclass Own(TextDataset):\n    def load(self):\n        return super().load() * self.metadata['n']\n",
)
intermediate(
    "dataset class of an intermediate",
    "subclass of PickleDataset",
    PASS,
    "x: {type: mini.datasets.Own, filepath: data/x.pkl}\n",
    "+ 2",
    "+ 3",
    datasets="from kedro_datasets.pickle import PickleDataset\nclass Own(PickleDataset):\n    def load(self):\n        return super().load() + 2\n",
)
intermediate(
    "dataset class of an intermediate",
    "subclass of MemoryDataset",
    PASS,
    "x: {type: mini.datasets.Own}\n",
    "+ 2",
    "+ 3",
    datasets="from kedro.io import MemoryDataset\nclass Own(MemoryDataset):\n    def load(self):\n        return super().load() + 2\n",
)
data(
    "dataset class",
    "mixin and module constant",
    LENGTH,
    "raw: {type: mini.datasets.Own, filepath: data/raw.txt}\n",
    "EXTRA = 'xx'",
    "EXTRA = 'xxx'",
    raw=ONE,
    datasets="from kedro_datasets.text import TextDataset\nEXTRA = 'xx'\nclass Mixin:\n    def load(self):\n        return super().load() + EXTRA\nclass Own(Mixin, TextDataset):\n    pass\n",
)
data(
    "dataset class",
    "comment in it",
    LENGTH,
    "raw: {type: mini.datasets.Own, filepath: data/raw.txt}\n",
    "    def load(self):\n",
    "    # A comment.\n    def load(self):\n",
    raw=ONE,
    datasets=SUB,
    changes=False,
)
data(
    "dataset class",
    "SQL-like that opens a file of its own",
    NUMBER,
    "raw: {type: mini.datasets.Own, name: data/raw.txt}\n",
    after={"data/raw.txt": "abc"},
    raw=ONE,
    datasets="from kedro.io import AbstractDataset\nclass Own(AbstractDataset):\n    def __init__(self, name):\n        self.name = name\n    def _load(self):\n        return len(open(self.name).read())\n    def _save(self, v):\n        pass\n    def _describe(self):\n        return {}\n",
)

# --- hooks --------------------------------------------------------------------------------------------
LISTS = "raw: {type: json.JSONDataset, filepath: data/raw.json}\n"
LIST_RAW = {"data/raw.json": "[1, 2]"}
HSUM = "SCALE = [1]\ndef a(raw, k):\n    return sum(raw) * k * SCALE[0]\n"


def hook(
    kind: str,
    name: str,
    text: str,
    old: str = "",
    new: str = "",
    body: str = HSUM,
    **options: Any,
) -> None:
    files = project(body + PIPE, catalog=LISTS, hooks=text, files=dict(LIST_RAW), **options)
    edit(
        f"hooks: {kind}",
        name,
        files,
        old,
        new,
        runs=name in ("changes data in place", "sets a global"),
    )


def method(name: str, arguments: str, *body: str, before: str = "") -> str:
    lines = "".join(f"        {line}\n" for line in body)
    return f"{before}class Hooks:\n    @hook_impl\n    def {name}(self, {arguments}):\n{lines}"


IS_RAW = "if dataset_name == 'raw': data.append(7)"
hook(
    "after_dataset_loaded",
    "changes data in place",
    method("after_dataset_loaded", "dataset_name, data", IS_RAW),
    "append(7)",
    "append(8)",
)
hook(
    "after_dataset_loaded",
    "through a helper",
    method(
        "after_dataset_loaded",
        "dataset_name, data",
        "if dataset_name == 'raw': clean(data)",
        before="from mini.cleaning import clean\n",
    ),
    "append(7)",
    "append(8)",
    cleaning="def clean(data):\n    data.append(7)\n",
)
hook(
    "after_dataset_loaded",
    "through a constant of its module",
    method(
        "after_dataset_loaded",
        "dataset_name, data",
        "if dataset_name == 'raw': data.append(N)",
        before="N = 7\n",
    ),
    "N = 7",
    "N = 8",
)
hook(
    "after_dataset_loaded",
    "through an attribute of its class",
    "class Hooks:\n    n = 7\n    @hook_impl\n    def after_dataset_loaded(self, dataset_name, data):\n        if dataset_name == 'raw': data.append(self.n)\n",
    "n = 7",
    "n = 8",
)
hook(
    "after_dataset_loaded",
    "through its instance's state",
    "class Hooks:\n    def __init__(self):\n        self.n = 7\n    @hook_impl\n    def after_dataset_loaded(self, dataset_name, data):\n        if dataset_name == 'raw': data.append(self.n)\n",
    "n = 7",
    "n = 8",
)
hook(
    "after_dataset_loaded",
    "added to hooks that had none",
    "class Hooks:\n    pass\n",
    "class Hooks:\n    pass\n",
    method("after_dataset_loaded", "dataset_name, data", IS_RAW),
)
hook(
    "after_dataset_loaded",
    "taken away",
    method("after_dataset_loaded", "dataset_name, data", IS_RAW),
    "append(7)",
    "count(7)",
)
hook(
    "after_dataset_loaded",
    "sets a global",
    method(
        "after_dataset_loaded",
        "dataset_name, data",
        "if dataset_name == 'raw': nodes.SCALE[0] = 7",
        before="from mini import nodes\n",
    ),
    "= 7",
    "= 8",
)
hook(
    "after_dataset_loaded",
    "of an intermediate",
    method("after_dataset_loaded", "dataset_name, data", "if dataset_name == 'x': data.append(7)"),
    "append(7)",
    "append(8)",
    body="def a(raw, k):\n    return [k]\n",
)
hook(
    "before_dataset_loaded",
    "sets a global",
    method(
        "before_dataset_loaded",
        "dataset_name",
        "nodes.SCALE[0] = 7",
        before="from mini import nodes\n",
    ),
    "= 7",
    "= 8",
)
hook(
    "before_dataset_loaded",
    "sets the environment",
    method("before_dataset_loaded", "dataset_name", "os.environ['N'] = '7'", before="import os\n"),
    "'7'",
    "'8'",
    body="import os\ndef a(raw, k):\n    return int(os.environ.get('N', 1)) * k\n",
)
hook(
    "before_dataset_saved",
    "changes data in place",
    method("before_dataset_saved", "dataset_name, data", "if dataset_name == 'x': data.append(7)"),
    "append(7)",
    "append(8)",
    body="def a(raw, k):\n    return [k]\n",
)
hook(
    "before_dataset_saved",
    "of the objective",
    method(
        "before_dataset_saved",
        "dataset_name, data",
        "if dataset_name == 'metrics': data['loss'] += 7",
    ),
    "+= 7",
    "+= 8",
)
hook(
    "before_dataset_saved",
    "of a data frame",
    method("before_dataset_saved", "dataset_name, data", "if dataset_name == 'x': data['b'] = 7"),
    "= 7",
    "= 8",
    body="import pandas as pd\ndef a(raw, k):\n    return pd.DataFrame({'a': [k]})\n",
)
hook(
    "after_node_run",
    "changes outputs in place",
    method("after_node_run", "node, outputs", "if node.name == 'a': outputs['x'].append(7)"),
    "append(7)",
    "append(8)",
    body="def a(raw, k):\n    return [k]\n",
)
hook(
    "after_node_run",
    "replaces outputs in the dict",
    method("after_node_run", "node, outputs", "if node.name == 'a': outputs['x'] = 7"),
    "= 7",
    "= 8",
)
hook(
    "before_node_run",
    "changes inputs in place",
    method("before_node_run", "node, inputs", "if node.name == 'a': inputs['raw'].append(7)"),
    "append(7)",
    "append(8)",
)
hook(
    "before_node_run",
    "returns other inputs",
    method("before_node_run", "node, inputs", "return {'raw': [7]} if node.name == 'a' else None"),
    "[7]",
    "[8]",
)
hook(
    "before_node_run",
    "sets a global",
    method("before_node_run", "node", "nodes.SCALE[0] = 7", before="from mini import nodes\n"),
    "= 7",
    "= 8",
)
hook(
    "before_node_run",
    "sets the environment",
    method("before_node_run", "node", "os.environ['N'] = '7'", before="import os\n"),
    "'7'",
    "'8'",
    body="import os\ndef a(raw, k):\n    return int(os.environ.get('N', 1)) * k\n",
)
hook(
    "before_node_run",
    "seeds a generator",
    method("before_node_run", "node", "random.seed(7)", before="import random\n"),
    "seed(7)",
    "seed(8)",
    body="import random\ndef a(raw, k):\n    return random.random() * k\n",
)
hook(
    "before_pipeline_run",
    "sets a global",
    method(
        "before_pipeline_run", "run_params", "nodes.SCALE[0] = 7", before="from mini import nodes\n"
    ),
    "= 7",
    "= 8",
)
hook(
    "before_pipeline_run",
    "puts a dataset into the catalog",
    method(
        "before_pipeline_run",
        "catalog",
        "catalog['raw'] = MemoryDataset([7])",
        before="from kedro.io import MemoryDataset\n",
    ),
    "[7]",
    "[8]",
)
hook(
    "before_pipeline_run",
    "sets a library",
    method(
        "before_pipeline_run",
        "run_params",
        "decimal.getcontext().prec = 7",
        before="import decimal\n",
    ),
    "= 7",
    "= 8",
    body="import decimal\ndef a(raw, k):\n    return float(decimal.Decimal(k) / 3)\n",
)
hook(
    "before_pipeline_run",
    "replaces a function of the project",
    method(
        "before_pipeline_run",
        "run_params",
        "nodes.scale = lambda v: v * 7",
        before="from mini import nodes\n",
    ),
    "v * 7",
    "v * 8",
    body="def scale(v):\n    return v\ndef a(raw, k):\n    return scale(k)\n",
)
hook(
    "after_catalog_created",
    "replaces a dataset",
    method(
        "after_catalog_created",
        "catalog",
        "catalog['raw'] = MemoryDataset([7])",
        before="from kedro.io import MemoryDataset\n",
    ),
    "[7]",
    "[8]",
)
hook(
    "after_catalog_created",
    "adds a parameter",
    method(
        "after_catalog_created",
        "catalog",
        "catalog['raw'] = MemoryDataset([catalog.load('params:k') * 7])",
        before="from kedro.io import MemoryDataset\n",
    ),
    "* 7",
    "* 8",
)
hook(
    "after_context_created",
    "sets the environment",
    method("after_context_created", "context", "os.environ['N'] = '7'", before="import os\n"),
    "'7'",
    "'8'",
    body="import os\ndef a(raw, k):\n    return int(os.environ.get('N', 1)) * k\n",
)
hook(
    "after_context_created",
    "sets a global",
    method(
        "after_context_created", "context", "nodes.SCALE[0] = 7", before="from mini import nodes\n"
    ),
    "= 7",
    "= 8",
)
TWO_HOOKS = "class Add:\n    @hook_impl\n    def after_dataset_loaded(self, dataset_name, data):\n        if dataset_name == 'raw': data.append(len(data))\nclass Hooks:\n    @hook_impl\n    def after_dataset_loaded(self, dataset_name, data):\n        if dataset_name == 'raw': data.append(7)\n"
for order in ("HOOKS = (Hooks(), Add())",):
    files = project(
        HSUM + PIPE,
        catalog=LISTS,
        hooks=TWO_HOOKS,
        settings=f"from mini.hooks import Add\n{order}\n",
        files=dict(LIST_RAW),
    )
    edit("hooks: settings", "one hook less", files, order, "HOOKS = (Hooks(),)")
files = project(
    HSUM + PIPE,
    catalog=LISTS,
    hooks=method("after_dataset_loaded", "dataset_name, data", IS_RAW),
    settings="HOOKS = ()\n",
    files=dict(LIST_RAW),
)
edit("hooks: settings", "hooks are switched on", files, "HOOKS = ()\n", "")
files = project(
    HSUM + PIPE,
    catalog=LISTS,
    hooks=method("after_node_run", "node", "print(node.name)"),
    files=dict(LIST_RAW),
)
edit(
    "hooks: harmless",
    "a hook that only prints",
    files,
    "print(node.name)",
    "print(node.name, 1)",
    changes=False,
)
files = project(
    HSUM + PIPE,
    catalog=LISTS,
    hooks=method(
        "after_dataset_loaded", "dataset_name, data", "# nothing", "self.seen = dataset_name"
    ),
    files=dict(LIST_RAW),
)
edit(
    "hooks: harmless",
    "comment in a hook that sees data",
    files,
    "# nothing",
    "# nothing at all",
    changes=False,
)

# --- parameters ---------------------------------------------------------------------------------------
PARAM_PIPE = """
from kedro.pipeline import Pipeline, node
from mini.base import total
def make_pipeline():
    return Pipeline([node(a, ["params:k", "{given}"], "x", name="a"), node(total, "x", "metrics", name="b")])
"""
for name, given, before, after, value, changes in [
    ("another value", "params:p", "p: 2", "p: 3", "p", True),
    ("integer to float", "params:p", "p: 2", "p: 2.0", "repr(p)", True),
    ("integer to text", "params:p", "p: 2", "p: '2'", "repr(p)", True),
    ("one to true", "params:p", "p: 1", "p: true", "repr(p)", True),
    ("null to absent text", "params:p", "p: null", "p: ''", "repr(p)", True),
    ("order of keys", "params:p", "p: {a: 1, b: 2}", "p: {b: 2, a: 1}", "list(p)[0]", True),
    ("order of a list", "params:p", "p: [1, 2]", "p: [2, 1]", "repr(p)", True),
    ("nested value", "params:p.q.r", "p: {q: {r: 1}}", "p: {q: {r: 2}}", "p", True),
    ("sibling of a nested value", "params:p.q", "p: {q: 1, r: 1}", "p: {q: 1, r: 2}", "p", False),
    ("date", "params:p", "p: 2024-01-01", "p: 2024-01-02", "repr(p)", True),
    (
        "date written as text, which it is",
        "params:p",
        "p: 2024-01-01",
        "p: '2024-01-01'",
        "repr(p)",
        False,
    ),
    (
        "timestamp with a zone",
        "params:p",
        "p: 2024-01-01 00:00:00+00:00",
        "p: 2024-01-01 00:00:00+01:00",
        "repr(p)",
        True,
    ),
    ("exponent written otherwise", "params:p", "p: 1.0e-3", "p: 1e-3", "repr(p)", False),
    ("infinity", "params:p", "p: .inf", "p: -.inf", "repr(p)", True),
    ("key of another type", "params:p", "p: {1: a}", "p: {'1': a}", "repr(p)", True),
    ("whole of the parameters", "parameters", "p: 1", "p: 1\nq: 1", "len(p)", True),
    ("same number written otherwise", "params:p", "p: 0.1", "p: 0.10", "p", False),
    ("comment", "params:p", "p: 1", "p: 1  # one", "p", False),
    ("very long text", "params:p", "p: '" + "a" * 300 + "'", "p: '" + "a" * 299 + "b'", "p", True),
    ("interpolation", "params:p", "p: ${q}\nq: 2", "p: ${q}\nq: 3", "p", True),
]:
    files = project(
        f"def a(k, p):\n    return {value}\n" + PARAM_PIPE.format(given=given),
        params=f"k: 5\n{before}\n",
    )
    edit(
        "parameters",
        name,
        files,
        after={"conf/base/parameters.yml": f"k: 5\n{after}\n"},
        changes=changes,
        runs=name == "another value",
    )
USE_P = "def a(k, p):\n    return p\n" + PARAM_PIPE.format(given="params:p")
edit(
    "parameters: where from",
    "environment overrides",
    project(USE_P, params="k: 5\np: 1\n"),
    after={"conf/local/parameters.yml": "p: 2\n"},
)
edit(
    "parameters: where from",
    "globals.yml",
    project(USE_P, params="k: 5\np: ${globals:n}\n", files={"conf/base/globals.yml": "n: 1\n"}),
    after={"conf/base/globals.yml": "n: 2\n"},
)
edit(
    "parameters: where from",
    "a second file",
    project(USE_P, params="k: 5\n", files={"conf/base/parameters_p.yml": "p: 1\n"}),
    after={"conf/base/parameters_p.yml": "p: 2\n"},
)
RESOLVER = "from mini.resolving import resolve\nCONFIG_LOADER_ARGS = {'base_env': 'base', 'default_run_env': 'local', 'custom_resolvers': {'mine': resolve}}\n"
edit(
    "parameters: where from",
    "resolver of the project",
    project(
        USE_P,
        params="k: 5\np: ${mine:2}\n",
        settings=RESOLVER,
        resolving="def resolve(v):\n    return v * 2\n",
    ),
    "v * 2",
    "v * 3",
)
edit(
    "parameters: where from",
    "environment variable in a resolver",
    project(
        USE_P,
        params="k: 5\np: ${mine:2}\n",
        settings=RESOLVER,
        resolving="import os\nos.environ['Q'] = '2'\ndef resolve(v):\n    return int(os.environ['Q'])\n",
    ),
    "'2'",
    "'3'",
)
TYPED = """
from kedro.pipeline import Pipeline, node
from mini.base import total
from mini.models import Config
def a(k, config: Config):
    return config.value()
def make_pipeline():
    return Pipeline([node(a, ["params:k", "params:config"], "x", name="a"), node(total, "x", "metrics", name="b")])
"""
for library, model in [
    (
        "pydantic",
        "from pydantic import BaseModel\nclass Config(BaseModel):\n    n: int = 2\n    m: int\n    def value(self):\n        return self.n * 10 + self.m\n",
    ),
    (
        "dataclass",
        "from dataclasses import dataclass\n@dataclass\nclass Config:\n    m: int\n    n: int = 2\n    def value(self):\n        return self.n * 10 + self.m\n",
    ),
]:
    for name, old, new in [
        ("default", "n: int = 2", "n: int = 3"),
        ("method", "* 10", "* 20"),
        ("value", "config: {m: 1}", "config: {m: 2}"),
    ]:
        files = project(TYPED, params="k: 5\nconfig: {m: 1}\n", models=model)
        edit(
            "typed parameters",
            f"{name} of a {library} model",
            files,
            after=None
            if name != "value"
            else {"conf/base/parameters.yml": "k: 5\nconfig: {m: 2}\n"},
            old=old,
            new=new,
        )

# --- input files --------------------------------------------------------------------------------------
data("input files", "content", LENGTH, TEXT % "", raw=ONE, after={"data/raw.txt": "abc"}, runs=True)
data(
    "input files",
    "content of the same size",
    "def a(raw, k):\n    return ord(raw[0]) * k\n",
    TEXT % "",
    raw=ONE,
    after={"data/raw.txt": "bb"},
)
data(
    "input files",
    "rewritten with the same content",
    LENGTH,
    TEXT % "",
    raw=ONE,
    after={"data/raw.txt": "ab"},
    changes=False,
)
data(
    "input files",
    "an unrelated file",
    LENGTH,
    TEXT % "",
    raw={**ONE, "data/other.txt": "a"},
    after={"data/other.txt": "b"},
    changes=False,
)
PLIST = "def a(raw, k):\n    return ''.join(f'{n}{v()}' for n, v in sorted(raw.items()))\n"
PCAT = "raw: {type: partitions.PartitionedDataset, path: data/parts, dataset: text.TextDataset}\n"
data("partitions", "added", PLIST, PCAT, raw=PARTS, after={"data/parts/zoo.txt": "a"}, runs=True)
data("partitions", "removed", PLIST, PCAT, raw=PARTS, after={"data/parts/one.txt": None})
data(
    "partitions",
    "renamed",
    PLIST,
    PCAT,
    raw=PARTS,
    after={"data/parts/one.txt": None, "data/parts/uno.txt": "é"},
)
data("partitions", "edited", PLIST, PCAT, raw=PARTS, after={"data/parts/one.txt": "x"})
data(
    "partitions",
    "swapped contents",
    PLIST,
    PCAT,
    raw=PARTS,
    after={
        "data/parts/one.txt": PARTS["data/parts/two.txt"],
        "data/parts/two.txt": PARTS["data/parts/one.txt"],
    },
)
data(
    "partitions",
    "in a new subfolder",
    PLIST,
    PCAT,
    raw=PARTS,
    after={"data/parts/sub/three.txt": "a"},
)
data("partitions", "hidden file", PLIST, PCAT, raw=PARTS, after={"data/parts/.hidden": "a"})
data("partitions", "emptied file", PLIST, PCAT, raw=PARTS, after={"data/parts/one.txt": ""})
intermediate(
    "partitions",
    "names that a node makes",
    "N = 2\ndef a(k):\n    return {f'p{i}': str(i) for i in range(N)}\ndef b(x):\n    return len(x)\n",
    "x: {type: partitions.PartitionedDataset, path: data/x, dataset: text.TextDataset}\n",
    "N = 2",
    "N = 3",
)
intermediate(
    "partitions",
    "lazily saved functions",
    "N = 2\ndef a(k):\n    return {'p': lambda: str(N * k)}\ndef b(x):\n    return x['p']()\n",
    "x: {type: partitions.PartitionedDataset, path: data/x, dataset: text.TextDataset}\n",
    "N = 2",
    "N = 3",
)

# --- values that hold code ----------------------------------------------------------------------------
VALUES = "import pickle\nfrom mini.funcs import h\n{head}\ndef a(k):\n    return {make}\n"
SECOND = "import pickle\n{head}\ndef b(x):\n    return {use}\n"
FUNCS = "def h(v=5):\n    return v * 2\nclass M:\n    n = 1\n    def go(self, v=5):\n        return v * 2\n"
for name, head, make, use in [
    ("bytes", "", "pickle.dumps(h)", "pickle.loads(x)()"),
    ("bytes in a list", "", "[[pickle.dumps(h)]]", "pickle.loads(x[0][0])()"),
    ("bytes in a dict", "", "{'h': pickle.dumps(h)}", "pickle.loads(x['h'])()"),
    ("bytes in a set", "", "{pickle.dumps(h)}", "pickle.loads(next(iter(x)))()"),
    (
        "bytes in a frozenset in a tuple",
        "",
        "(frozenset({pickle.dumps(h)}),)",
        "pickle.loads(next(iter(x[0])))()",
    ),
    (
        "cell of a DataFrame",
        "import pandas as pd\n",
        "pd.DataFrame({'p': [pickle.dumps(h)]})",
        "pickle.loads(x.p.iloc[0])()",
    ),
    (
        "Series of objects",
        "import pandas as pd\n",
        "pd.Series([pickle.dumps(h)], dtype=object)",
        "pickle.loads(x.iloc[0])()",
    ),
    (
        "uint8 array",
        "import numpy as np\n",
        "np.frombuffer(pickle.dumps(h), dtype='u1').copy()",
        "pickle.loads(x.tobytes())()",
    ),
    ("bytearray", "", "bytearray(pickle.dumps(h))", "pickle.loads(x)()"),
    (
        "void scalar of numpy",
        "import numpy as np\n",
        "np.void(pickle.dumps(h))",
        "pickle.loads(x.tobytes())()",
    ),
    ("BytesIO", "import io\n", "io.BytesIO(pickle.dumps(h))", "pickle.loads(x.getvalue())()"),
    (
        "array of objects",
        "import numpy as np\n",
        "np.array([pickle.dumps(h), 1], dtype=object)",
        "pickle.loads(x[0])()",
    ),
    (
        "bytes column of structured array",
        "import numpy as np\n",
        "np.array([(pickle.dumps(h) + b'.',)], dtype=[('p', 'S200')])",
        "pickle.loads(x['p'][0])()",
    ),
    (
        "base64 text",
        "import base64\n",
        "base64.b64encode(pickle.dumps(h)).decode()",
        "pickle.loads(base64.b64decode(x))()",
    ),
    ("hexadecimal text", "", "pickle.dumps(h).hex()", "pickle.loads(bytes.fromhex(x))()"),
    (
        "compressed",
        "import zlib\n",
        "zlib.compress(pickle.dumps(h))",
        "pickle.loads(zlib.decompress(x))()",
    ),
    (
        "joblib dump",
        "import io, joblib\n",
        "(lambda f: (joblib.dump(h, f), f.getvalue())[1])(io.BytesIO())",
        "joblib.load(io.BytesIO(x))()",
    ),
    ("the function itself", "", "h", "x()"),
    ("function in a dict", "", "{'h': h}", "x['h']()"),
    ("partial of it", "import functools\n", "functools.partial(h, 4)", "x()"),
    (
        "name of it",
        "",
        "'mini.funcs:h'",
        "getattr(__import__('mini.funcs', fromlist=['h']), x[-1])()",
    ),
    ("object of a project class", "from mini.funcs import M\n", "M()", "x.go()"),
    ("class itself", "from mini.funcs import M\n", "M", "x().go()"),
    ("bound method", "from mini.funcs import M\n", "M().go", "x()"),
    (
        "sklearn transformer of a function",
        "from sklearn.preprocessing import FunctionTransformer\n",
        "FunctionTransformer(h)",
        "x.transform(5)",
    ),
    ("deque of functions", "import collections\n", "collections.deque([h])", "x[0]()"),
    (
        "object with __getstate__ that hides it",
        "from mini.hiding import Hiding\n",
        "Hiding()",
        "x.go()",
    ),
]:
    documented = "names in strings that come as parameters" if name == "name of it" else ""
    if name in ("base64 text", "hexadecimal text", "compressed"):
        documented = "pickles inside of text or of compressed bytes"
    nodes = "from mini.one import a\nfrom mini.two import b\n" + THREE
    files = project(
        nodes,
        one=VALUES.format(head=head, make=make),
        two=SECOND.format(
            head=head.replace("from mini.funcs import M\n", "").replace(
                "from mini.hiding import Hiding\n", ""
            ),
            use=use,
        ),
        funcs=FUNCS,
        hiding="class Hiding:\n    def __getstate__(self):\n        return {'n': 1}\n    def go(self):\n        from mini.funcs import h\n        return h()\n",
    )
    edit("values that hold code", name, files, "v * 2", "v * 3", documented=documented)
for name, head, make, use in [
    (
        "bytes in a dataclass",
        "from mini.models import T\n",
        "T(pickle.dumps(h))",
        "pickle.loads(x.p)()",
    ),
    (
        "bytes in a named tuple",
        "from mini.models import N\n",
        "N(pickle.dumps(h))",
        "pickle.loads(x.p)()",
    ),
    (
        "bytes in a pydantic model",
        "from mini.models import P\n",
        "P(p=pickle.dumps(h))",
        "pickle.loads(x.p)()",
    ),
    (
        "bytes in an attrs class",
        "from mini.models import A\n",
        "A(pickle.dumps(h))",
        "pickle.loads(x.p)()",
    ),
]:
    models = "from dataclasses import dataclass\nfrom typing import NamedTuple\nimport attrs\nfrom pydantic import BaseModel\n@dataclass\nclass T:\n    p: bytes\nclass N(NamedTuple):\n    p: bytes\nclass P(BaseModel):\n    p: bytes\n    model_config = {'val_json_bytes': 'base64'}\n@attrs.define\nclass A:\n    p: bytes\n"
    files = project(
        "from mini.one import a\nfrom mini.two import b\n" + THREE,
        one=VALUES.format(head=head, make=make),
        two=SECOND.format(head="", use=use),
        funcs=FUNCS,
        models=models,
    )
    edit("values that hold code", name, files, "v * 2", "v * 3")

# --- pipelines ----------------------------------------------------------------------------------------
SHAPE = """
from kedro.pipeline import Pipeline, node
from mini.base import total
def first(k):
    return k, k * 10
def join(one, two):
    return one - two
def other(one, two):
    return one + two
def make_pipeline():
    return Pipeline([
        node(first, "params:k", ["p", "q"], name="first"),
        node(join, ["p", "q"], "x", name="join"),
        node(total, "x", "metrics", name="b"),
    ])
"""
for name, old, new, changes in [
    ("order of inputs", 'join, ["p", "q"]', 'join, ["q", "p"]', True),
    ("order of outputs", '"params:k", ["p", "q"]', '"params:k", ["q", "p"]', True),
    ("another function", "node(join", "node(other", True),
    ("one input twice", 'join, ["p", "q"]', 'join, ["p", "p"]', True),
    ("inputs by name", 'join, ["p", "q"]', 'join, {"two": "p", "one": "q"}', True),
    ("a lambda in between", "node(join", "node(lambda one, two: join(two, one)", True),
    (
        "a node more",
        '        node(total, "x"',
        '        node(abs, "x", "z", name="abs"),\n        node(total, "z"',
        True,
    ),
    ("a node renamed", 'name="join"', 'name="renamed"', False),
    ("a tag", 'name="join"', 'name="join", tags=["t"]', False),
    ("a dataset renamed", '"x"', '"renamed"', False),
    (
        "order of the nodes",
        '        node(first, "params:k", ["p", "q"], name="first"),\n        node(join, ["p", "q"], "x", name="join"),\n',
        '        node(join, ["p", "q"], "x", name="join"),\n        node(first, "params:k", ["p", "q"], name="first"),\n',
        False,
    ),
]:
    edit(
        "pipeline", name, project(SHAPE), old, new, changes=changes, runs=name == "order of inputs"
    )

# --- settings -----------------------------------------------------------------------------------------
CATALOG_CLASS = "from kedro.io import DataCatalog\nclass Own(DataCatalog):\n    def load(self, name, *a, **kw):\n        got = super().load(name, *a, **kw)\n        return got * 2 if name == 'raw' else got\n"
edit(
    "settings.py",
    "catalog class of the project",
    project(
        LENGTH + PIPE,
        catalog=TEXT % "",
        files=dict(ONE),
        settings="from mini.catalogs import Own\nDATA_CATALOG_CLASS = Own\n",
        catalogs=CATALOG_CLASS,
    ),
    "got * 2",
    "got * 3",
)
CONTEXT_CLASS = "from kedro.framework.context import KedroContext\nclass Own(KedroContext):\n    @property\n    def params(self):\n        return {**super().params, 'p': 2}\n    def _get_parameters(self):\n        return {**super()._get_parameters(), 'params:p': 2}\n"
edit(
    "settings.py",
    "another parameters pattern",
    project(
        USE_P,
        params="k: 5\n",
        files={"conf/base/one.yml": "p: 1\n", "conf/base/two.yml": "p: 2\n"},
        settings="CONFIG_LOADER_ARGS = {'base_env': 'base', 'default_run_env': 'local', 'config_patterns': {'parameters': ['parameters*', 'one*']}}\n",
    ),
    "'one*'",
    "'two*'",
)
edit(
    "settings.py",
    "another base environment",
    project(
        USE_P,
        params="k: 5\np: 1\n",
        files={
            "conf/second/parameters.yml": "k: 5\np: 2\n",
            "conf/second/parameters_eeipu.yml": project("")["conf/base/parameters_eeipu.yml"],
            "conf/second/catalog.yml": "",
        },
        settings="CONFIG_LOADER_ARGS = {'base_env': 'base', 'default_run_env': 'local'}\n",
    ),
    "'base_env': 'base'",
    "'base_env': 'second'",
)
edit(
    "settings.py",
    "sets an environment variable",
    project(
        "import os\ndef a(k):\n    return int(os.environ['N']) * k\n",
        settings="import os\nos.environ['N'] = '2'\n",
    ),
    "'2'",
    "'3'",
)
edit(
    "settings.py",
    "sets a global of a node module",
    project(
        "N = [1]\ndef a(k):\n    return N[0] * k\n",
        settings="from mini import nodes\nnodes.N[0] = 2\n",
    ),
    "N[0] = 2",
    "N[0] = 3",
)
edit(
    "settings.py",
    "in pipeline_registry by a hook on import",
    project(
        "import mini.setup\nfrom mini import state\ndef a(k):\n    return state.N * k\n",
        setup="from mini import state\nstate.N = 2\n",
        state="N = 0\n",
    ),
    "state.N = 2",
    "state.N = 3",
)

# --- what the docs ask the user to declare -----------------------------------------------------------
READS = "def a(k):\n    return len(open('data/template.txt').read()) * k\n"
TEMPLATE: dict[str, str | bytes] = {"data/template.txt": "ab"}
edit(
    "declared",
    "file with depends_on",
    project(
        READS,
        files=dict(TEMPLATE),
        eeipu="cache: {nodes: {a: {depends_on: [data/template.txt]}}}\n",
    ),
    after={"data/template.txt": "abc"},
    runs=True,
)
edit(
    "declared",
    "file without",
    project(READS, files=dict(TEMPLATE)),
    after={"data/template.txt": "abc"},
)
edit(
    "declared",
    "file, node with cache: false",
    project(READS, files=dict(TEMPLATE), eeipu="cache: {nodes: {a: {cache: false}}}\n"),
    after={"data/template.txt": "abc"},
)
edit(
    "declared",
    "folder with depends_on",
    project(
        "import os\ndef a(k):\n    return len(os.listdir('data/t')) * k\n",
        files={"data/t/one.txt": "a"},
        eeipu="cache: {nodes: {a: {depends_on: [data/t]}}}\n",
    ),
    after={"data/t/two.txt": "b"},
)
edit(
    "declared",
    "package data with depends_on",
    project(
        "import pathlib\ndef a(k):\n    return len((pathlib.Path(__file__).parent / 'p.sql').read_text()) * k\n",
        files={"src/mini/p.sql": "ab"},
        eeipu="cache: {nodes: {a: {depends_on: [src/mini/p.sql]}}}\n",
    ),
    after={"src/mini/p.sql": "abc"},
)
edit(
    "declared",
    "package data without",
    project(
        "from importlib.resources import files\ndef a(k):\n    return len(files('mini').joinpath('p.sql').read_text()) * k\n",
        files={"src/mini/p.sql": "ab"},
    ),
    after={"src/mini/p.sql": "abc"},
)
edit(
    "declared",
    "package data read at import",
    project(
        "from importlib.resources import files\nSQL = files('mini').joinpath('p.sql').read_text()\ndef a(k):\n    return len(SQL) * k\n",
        files={"src/mini/p.sql": "ab"},
    ),
    after={"src/mini/p.sql": "abc"},
)
edit(
    "declared",
    "configuration file read at import",
    project(
        "import json, pathlib\nCONFIG = json.loads((pathlib.Path(__file__).parent / 'c.json').read_text())\ndef a(k):\n    return CONFIG['n'] * k\n",
        files={"src/mini/c.json": '{"n": 2}'},
    ),
    after={"src/mini/c.json": '{"n": 3}'},
)
edit(
    "declared",
    "version of a node",
    project(
        "import os\nN = os.environ.setdefault('N', '2')\ndef a(k):\n    return len(open('data/template.txt').read()) * k\n",
        files=dict(TEMPLATE),
        eeipu="cache: {nodes: {a: {version: '1'}}}\n",
    ),
    after={
        "data/template.txt": "abc",
        "conf/base/eeipu.yml": "cache: {nodes: {a: {version: '2'}}}\n",
    },
)
PICKLED_INPUT = "raw: {type: json.JSONDataset, filepath: data/raw.json}\n"
data(
    "declared",
    "SQLite file as an input that states no version",
    "def a(raw, k):\n    return raw * k\n",
    "raw: {type: mini.datasets.Table, path: data/t.db}\n",
    after={"data/n.txt": "3"},
    raw={"data/n.txt": "2"},
    datasets="from kedro.io import AbstractDataset\nclass Table(AbstractDataset):\n    def __init__(self, path):\n        self.p = path\n    def _load(self):\n        import sqlite3\n        c = sqlite3.connect(':memory:')\n        return c.execute('select ' + open('data/n.txt').read()).fetchone()[0]\n    def _save(self, v):\n        pass\n    def _describe(self):\n        return {}\n",
)
