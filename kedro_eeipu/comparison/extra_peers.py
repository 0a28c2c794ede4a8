"""Peers from other packages, SMAC3 and Ax: ``pip install 'kedro-eeipu[peers]'``.

Both get the finished trials, the warm-up's among them, as observations, and give the next
parameters. An inactive parameter has the default's value for them. A category is its number, a
range with steps the number of its level; a continuous range is itself, with its scale.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from kedro_eeipu.comparison.model_peer import ModelPeer
from kedro_eeipu.search import Range
from kedro_eeipu.study.encoding import from_unit, to_unit

__all__ = ["AxSampler", "SMACSampler", "decoded", "encoded"]

_TRIALS = 10**6  # SMAC asks how many there will be; more than any


class ExtraPeer(ModelPeer):
    """A sampler of another package, which knows ranges by other names and values."""

    @property
    def names(self) -> dict[str, Range]:
        """The ranges that have more than one value, by names that any package takes."""
        return {f"x{i}": r for i, r in enumerate(self.space) if r.levels != 1}

    def codes(self, trial: FrozenTrial) -> dict[str, float]:
        """A trial's values as other packages get them, by the name of the range."""
        values = self.complete(trial.params)
        return {name: encoded(r, values[r.path]) for name, r in self.names.items()}

    def values(self, codes: Mapping[str, Any]) -> dict[str, Any]:
        """What `codes` means, by path."""
        return self.complete({r.path: decoded(r, codes[n]) for n, r in self.names.items()})


class SMACSampler(ExtraPeer):
    """SMAC3 (Lindauer et al., 2022): a random forest and expected improvement, a fifth at random.

    It is SMAC's facade for hyperparameters, without the logarithm of the objective, which may be
    negative here.
    """

    def next_values(
        self, trials: Sequence[FrozenTrial], goodness: Sequence[float]
    ) -> Mapping[str, Any]:
        import ConfigSpace
        from smac import HyperparameterOptimizationFacade as Facade
        from smac import Scenario
        from smac.acquisition.function import EI
        from smac.model.random_forest import RandomForest
        from smac.runhistory import TrialInfo, TrialValue
        from smac.runhistory.encoder import RunHistoryEncoder

        seed = (self.seed * 1_000_003 + len(trials)) % 2**31
        space = ConfigSpace.ConfigurationSpace(seed=seed)
        space.add([_hyperparameter(name, r) for name, r in self.names.items()])
        with tempfile.TemporaryDirectory() as folder, _quiet("smac"):
            scenario = Scenario(
                space,
                deterministic=True,
                n_trials=_TRIALS,
                seed=seed,
                output_directory=Path(folder),
            )
            smac = Facade(
                scenario,
                _never_called,
                model=RandomForest(
                    space,
                    n_trees=10,
                    ratio_features=1.0,
                    min_samples_split=2,
                    min_samples_leaf=1,
                    seed=seed,
                ),
                acquisition_function=EI(),
                initial_design=Facade.get_initial_design(scenario, n_configs=0),
                intensifier=Facade.get_intensifier(scenario, max_config_calls=1),
                runhistory_encoder=RunHistoryEncoder(scenario),
                logging_level=False,
                overwrite=True,
            )
            for trial, good in zip(trials, goodness, strict=True):
                tried = ConfigSpace.Configuration(space, values=self.codes(trial))
                smac.tell(TrialInfo(tried, seed=0), TrialValue(cost=-good))
            return self.values(dict(smac.ask().config))


class AxSampler(ExtraPeer):
    """Ax (Olson et al., 2025) with its default model and acquisition, on BoTorch."""

    def next_values(
        self, trials: Sequence[FrozenTrial], goodness: Sequence[float]
    ) -> Mapping[str, Any]:
        from ax.api.client import Client

        with _quiet("ax"):
            client = Client(random_seed=self.seed * 10_000 + len(trials))
            client.configure_experiment([_parameter(name, r) for name, r in self.names.items()])
            client.configure_optimization(objective="goodness")
            client.configure_generation_strategy(
                initialization_budget=0, initialize_with_center=False
            )
            for trial, good in zip(trials, goodness, strict=True):
                number = client.attach_trial(self.codes(trial))
                client.complete_trial(number, raw_data={"goodness": good})
            (proposed,) = client.get_next_trials(max_trials=1).values()
            return self.values(proposed)


def encoded(r: Range, value: Any) -> float:
    """A value as other packages get it: of categories and steps the number of the level."""
    if _is_numbered(r):
        return round(to_unit(r, value) * max(1, r.levels - 1))
    return int(value) if r.kind == "int" else float(value)


def decoded(r: Range, code: Any) -> Any:
    """The value that `code` stands for."""
    if _is_numbered(r):
        return from_unit(r, int(code) / max(1, r.levels - 1))
    value = min(max(float(code), r.low), r.last)
    return round(value) if r.kind == "int" else value


def _is_numbered(r: Range) -> bool:
    return bool(r.levels) and not r.log


def _hyperparameter(name: str, r: Range) -> Any:
    """A range as SMAC knows it."""
    import ConfigSpace

    if r.kind == "categorical":
        return ConfigSpace.CategoricalHyperparameter(name, list(range(r.levels)))
    low, high = encoded(r, r.low), encoded(r, r.last)
    if isinstance(low, int):
        return ConfigSpace.UniformIntegerHyperparameter(name, low, int(high), log=r.log)
    return ConfigSpace.UniformFloatHyperparameter(name, low, high, log=r.log)


def _parameter(name: str, r: Range) -> Any:
    """A range as Ax knows it."""
    from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig

    if r.kind == "categorical":
        return ChoiceParameterConfig(name, list(range(r.levels)), "int", is_ordered=False)
    low, high = encoded(r, r.low), encoded(r, r.last)
    kind: Any = "int" if isinstance(low, int) else "float"
    return RangeParameterConfig(name, (low, high), kind, scaling="log" if r.log else "linear")


def _never_called(config: Any, seed: int = 0) -> float:
    raise AssertionError("trials are run elsewhere")


@contextmanager
def _quiet(package: str) -> Iterator[None]:
    """Let a package log nothing but errors: it says of every trial that it was recorded."""
    loggers = [
        logger
        for name, logger in logging.Logger.manager.loggerDict.items()
        if name.split(".")[0] == package and isinstance(logger, logging.Logger)
    ]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
