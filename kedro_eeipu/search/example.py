"""A first ``eeipu`` block for a pipeline that has none: its ranges and objective are guessed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from kedro_eeipu.search.paths import scalar_paths
from kedro_eeipu.search.space import Objective
from kedro_eeipu.wording import scalar

__all__ = ["example_block", "guess_direction", "guess_objective", "metric_likeness", "ranges_of"]

_MOST_RANGES = 8


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words in the names of numbers that say how something is run, or what is asked, and not how well.
_NO_RANGES = _words(
    "seed state verbose verbosity job jobs worker workers thread threads nthread device devices "
    "gpu gpus cpu cpus log logging level debug version port path file filepath dir folder url uri "
    "host id date year years month day timeout retries memory cache dpi figsize plot fig show save "
    "load write read export upload download overwrite force refresh print test train val "
    "validation holdout split splits fold folds cv horizon limit rows nrows chunk chunksize "
    "partition partitions column columns col cols index target label labels class classes metric "
    "eval report"
)
_LOGARITHMIC = _words(
    "rate lr alpha lambda l1 l2 reg regularization regularisation decay gamma eta tol eps epsilon c"
)
_SHARES = _words("sample subsample colsample fraction frac ratio share dropout momentum")
_SMALLER_IS_BETTER = _words(
    "loss losses error errors err rmse mae mse mape smape cost costs deviance brier perplexity "
    "logloss time latency residual distance"
)
_METRICS = _words(
    "metric metrics accuracy acc auc roc f1 r2 precision recall score scores performance evaluation"
)
_PERHAPS_METRICS = _words("eval result results report summary stats kpi kpis")
_NO_METRICS = _words(
    "model models classifier regressor plot plots figure fig image chart matrix prediction "
    "predictions pred table dataset features"
)


def words_of(name: str) -> list[str]:
    """The words of a name: ``XGB.randomState_1`` is xgb, random, state, 1."""
    parted = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return [word for word in re.split(r"[^0-9a-zA-Z]+", parted.lower()) if word]


def ranges_of(parameters: Mapping[str, Any], taken: Callable[[str], bool]) -> Iterator[str]:
    """Lines of a block: a range for each number or boolean that looks like a hyperparameter.

    Args:
        parameters: The parameters of the project.
        taken: Whether a node takes the parameter with this path.
    """
    for path, value in scalar_paths(parameters):
        words = words_of(path.rpartition(".")[2])
        if _NO_RANGES.isdisjoint(words) and taken(path):
            written = _range(value, words)
            if written:
                yield f"{scalar(path)}: {written}"


def _range(value: Any, words: Sequence[str]) -> str:
    """A range around a value, as YAML; empty where none suggests itself."""
    if isinstance(value, bool):
        return "[true, false]"
    if isinstance(value, int):
        if value < 1 or value > 10**6:
            return ""
        if value < 16:
            return f"{{low: {max(1, value // 2)}, high: {max(value * 2, 4)}}}"
        return f"{{low: {value // 4}, high: {value * 4}, log: true}}"
    if not isinstance(value, float) or not 0 < value < 1e9:
        return ""
    if value <= 1 and not _SHARES.isdisjoint(words):
        return f"{{low: {_number(value / 2)}, high: {_number(min(1.0, (1 + value) / 2))}}}"
    if value < 1 and value >= 0.1 and _LOGARITHMIC.isdisjoint(words):
        return f"{{low: {_number(value / 2)}, high: {_number((1 + value) / 2)}}}"
    return f"{{low: {_number(value / 10)}, high: {_number(value * 10)}, log: true}}"


def _number(value: float) -> str:
    """A float to three digits, with the dot without which YAML reads an exponent as text."""
    return repr(float(f"{value:.3g}")) if 1e-4 <= value < 1e9 else f"{value:.1e}"


def metric_likeness(dataset: str) -> int:
    """How much a dataset's name sounds like that of a metric, from -3 to 5."""
    words = words_of(dataset)
    # `model_metrics` are metrics, `metrics_plot` is a plot.
    likeness = -3 if words and words[-1] in _NO_METRICS else 0
    if (_METRICS | _SMALLER_IS_BETTER).intersection(words):
        return likeness + 5
    return likeness + (2 if _PERHAPS_METRICS.intersection(words) else 0)


def guess_direction(*names: str) -> str:
    """Whether a value of these names is to be maximized or minimized."""
    words = {word for name in names for word in words_of(name)}
    return "minimize" if words & _SMALLER_IS_BETTER else "maximize"


def guess_objective(outputs: Sequence[str]) -> Objective:
    """The output that sounds most like a metric, the last of equals."""
    dataset = max(reversed(outputs), key=metric_likeness, default="metrics")
    return Objective(dataset, "accuracy", guess_direction(dataset))


def example_block(
    parameters: Mapping[str, Any],
    objective: Objective,
    *,
    key: str = "eeipu",
    taken: Callable[[str], bool] = lambda path: True,
    note: str = "",
) -> str:
    """An ``eeipu`` block to paste.

    Args:
        parameters: The parameters of the project, of which the ranges are made.
        objective: The objective.
        key: The key of the block.
        taken: Whether a node takes the parameter with this path.
        note: A comment on the objective.
    """
    lines = list(ranges_of(parameters, taken))
    ranges = lines[:_MOST_RANGES] or ["model.learning_rate: {low: 1.0e-4, high: 1.0e-1, log: true}"]
    others = [line.partition(": {")[0].partition(": [")[0] for line in lines[_MOST_RANGES:]]
    inside = f", key: {scalar(objective.key)}" if objective.key else ""
    return "\n".join(
        [
            f"{key}:",
            f"  objective: {{dataset: {scalar(objective.dataset)}{inside}, "
            f"direction: {objective.direction}}}" + (f"  # {note}" if note else ""),
            "  space:",
            *(f"    {line}" for line in ranges),
            *([f"    # also: {', '.join(others)}"] if others else []),
            "  budget: 30min",
        ]
    )
