"""What shows that code looks at itself: at docstrings, annotations, its own text and the like.

Only then are these part of its identity.
"""

from __future__ import annotations

__all__ = ["READERS", "SIGNS"]

# Of names in code, or in its strings, which it may look up.
_SEES_DOCS = frozenset(
    {
        *("__doc__", "getdoc", "pydoc", "render_doc", "help"),
        *("model_json_schema", "schema_json", "json_schema", "TypeAdapter"),  # pydantic's
    }
)
_SEES_HINTS = frozenset(
    {
        *("__annotations__", "__annotate__", "get_type_hints", "get_annotations", "signature"),
        *("getfullargspec", "fields", "__dataclass_fields__", "get_args", "get_origin"),
    }
)
_SEES_SOURCE = frozenset({"getsource", "getsourcelines", "findsource", "getcomments"})
_SEES_ORDER = frozenset({"__dict__", "vars", "globals"})
_SEES_ENVIRONMENT = frozenset({"environ", "environb", "getenv", "getenvb", "expandvars"})
SIGNS = {
    "docs": _SEES_DOCS,
    "hints": _SEES_HINTS,
    "source": _SEES_SOURCE,
    "order": _SEES_ORDER,
    "subclasses": frozenset({"__subclasses__"}),
    "environment": _SEES_ENVIRONMENT,
}
# Libraries that act on the annotations of functions they are given.
_READ_HINTS = frozenset(
    {
        *("attr", "attrs", "beartype", "cattr", "cattrs", "fastapi", "injector", "jaxtyping"),
        *("msgspec", "pandera", "plum", "pydantic", "sqlmodel", "typeguard", "typer"),
    }
)
# Libraries that make something of the docstrings of functions and classes they are given.
_READ_DOCS = frozenset(
    {
        *("autogen", "docopt", "docstring_parser", "dspy", "fire", "griffe", "guidance"),
        *("instructor", "langchain", "langchain_core", "llama_index", "marvin", "mirascope"),
        *("outlines", "pydantic_ai", "smolagents", "typer"),
    }
)
# Libraries that are asked for environment variables by name.
_READ_ENVIRONMENT = frozenset({"decouple", "dynaconf", "environ", "environs", "pydantic_settings"})
READERS = {"hints": _READ_HINTS, "docs": _READ_DOCS, "environment": _READ_ENVIRONMENT}
