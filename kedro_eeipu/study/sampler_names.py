"""Names of the samplers; apart from them, so that a command need not import Optuna to list them."""

from __future__ import annotations

__all__ = ["EEIPU", "PEERS", "SAMPLERS"]

EEIPU = "eeipu"
PEERS = ("random", "tpe", "gp")  # Optuna's own
SAMPLERS = (EEIPU, *PEERS)
