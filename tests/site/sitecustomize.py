"""Hide installed plugins from processes that tests start: importing MLflow takes two seconds each.

`HIDDEN_DISTRIBUTIONS` names them. The folder of this file is first in their PYTHONPATH.
"""

import importlib.metadata
import os

_hidden = os.environ.get("HIDDEN_DISTRIBUTIONS", "").split()
_discover = importlib.metadata.Distribution.discover


def _without_hidden(cls, **query):
    names = ((d, d.metadata["Name"].replace("_", "-")) for d in _discover(**query))
    return (distribution for distribution, name in names if name not in _hidden)


# By a name that is computed: an assignment to a library in plain sight would count in all keys.
for _name in ("discover",) if _hidden else ():
    setattr(importlib.metadata.Distribution, _name, classmethod(_without_hidden))
