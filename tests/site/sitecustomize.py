"""Hide installed plugins from processes that tests start: importing MLflow takes two seconds each.

`HIDDEN_DISTRIBUTIONS` names them. The folder of this file is first in their PYTHONPATH.
"""

import importlib.metadata
import os
from collections.abc import Iterator
from typing import Any

_hidden = os.environ.get("HIDDEN_DISTRIBUTIONS", "").split()
_discover = importlib.metadata.Distribution.discover


def _without_hidden(cls: Any, /, **query: Any) -> Iterator[importlib.metadata.Distribution]:
    return (distribution for distribution in _discover(**query) if not _is_hidden(distribution))


def _is_hidden(distribution: importlib.metadata.Distribution) -> bool:
    # By the name of its folder, "kedro_mlflow-2.0.1.dist-info": its metadata takes long to parse.
    folder = getattr(distribution, "_path", None)
    return folder is not None and folder.name.split("-")[0].replace("_", "-") in _hidden


# By a name that is computed: an assignment to a library in plain sight would count in all keys.
for _name in ("discover",) if _hidden else ():
    setattr(importlib.metadata.Distribution, _name, classmethod(_without_hidden))
