"""Where the steps of a range end."""

from __future__ import annotations

from decimal import Decimal

from kedro_eeipu.search import Range


def last_value(r: Range) -> float:
    """The largest value of a numeric range, below its end where its steps do not reach that.

    In decimals, as Optuna counts: three steps of 0.1 are 0.3. It would warn for every trial.
    """
    if r.step is None:
        return r.high
    low, high, step = (Decimal(str(value)) for value in (r.low, r.high, r.step))
    return float(low + (high - low) // step * step)
