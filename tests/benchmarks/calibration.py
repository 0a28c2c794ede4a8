"""How well the optimizer's surrogate foretells the objective of real trials.

    python tests/benchmarks/calibration.py PROJECT PIPELINE [--samplers eeipu gp --seeds 5]

takes the studies that `kedro eeipu compare` has left in PROJECT, tells an optimizer their trials
one by one and scores, after the warm-up, what the surrogate says of the next: the log density
of its value (in units of the standard deviation of the study's values; higher is better) and its z
score (standard deviation 1 where uncertainty is told as it is). Apart for trials that reuse at
least half of their nodes and for those that do not. For the optimizer as it is and with one thing
changed.
"""

from __future__ import annotations

import argparse
import math
import re
import statistics
import warnings
from pathlib import Path

import torch
from kedro.framework.startup import bootstrap_project
from samplers import NoEffects, NoWarping

from kedro_eeipu.comparison.contest import Comparison
from kedro_eeipu.optimizer.surrogates import Surrogate
from kedro_eeipu.optimizer.training import Training, Trial
from kedro_eeipu.optimizer.warmup import warmup_trials
from kedro_eeipu.project.project import Project
from kedro_eeipu.study import TrialStudy, open_study
from kedro_eeipu.study.sampler import EEIPUSampler

MODELS: dict[str, type[Training]] = {
    "as it is": Training,
    "without effects of executions": NoEffects,
    "without warping": NoWarping,
}
Score = tuple[float, float]


def score(training: Training, trials: list[Trial], x: tuple[float, ...], y: float) -> Score:
    """Log density and z score of objective `y` at `x` under the surrogate of the told trials."""
    told = torch.tensor([t.y for t in trials], dtype=torch.float64)
    data, fit = training.objective(trials)
    surrogate = Surrogate(data, fit, training.space.feature_column)
    posterior = surrogate.posterior(training.features(training.points([x])))
    mean, deviation = posterior.mean, posterior.variance.sqrt()
    # The warping between the told values, known by its values and slopes there; beyond, a line.
    order = told.argsort()
    at, to = told[order], data.y[order]
    keep = torch.cat([torch.tensor([True]), at.diff() > 1e-9 * (at[-1] - at[0])])
    at, to = at[keep], to[keep]
    i = int(torch.searchsorted(at, torch.tensor(y, dtype=torch.float64)).clamp(1, len(at) - 1))
    slope = float((to[i] - to[i - 1]) / (at[i] - at[i - 1]))
    warped = float(to[i - 1]) + slope * (y - float(at[i - 1]))
    spread = math.hypot(float(deviation), math.sqrt(fit.noise))
    score = (warped - float(mean)) / spread
    return -0.5 * score**2 - math.log(spread * math.sqrt(2 * math.pi)) + math.log(slope), score


def scores(
    project: Project, study: TrialStudy, seed: int, model: type[Training]
) -> dict[str, list[Score]]:
    """Of a study's trials, by whether they reuse at least half of their nodes."""
    sampler = EEIPUSampler(project.space, project.stage_graph(), seed=seed)
    plain = sampler.new_optimizer().training
    training = model(plain.space, plain.graph)
    told: list[Trial] = []
    trials = [t for t in study.trials() if t.value is not None]
    sign = 1.0 if study.maximize else -1.0
    unit = math.log(statistics.pstdev(t.value for t in trials if t.value is not None))
    found: dict[str, list[Score]] = {"reuse": [], "run": []}
    for number, trial in enumerate(trials):
        assert trial.value is not None
        x = sampler.point(trial.params)
        if number >= warmup_trials(len(project.space)):
            density, z = score(training, told, x, sign * trial.value)
            reused = sum(n.status == "reused" for n in trial.nodes)
            kind = "reuse" if 2 * reused >= len(trial.nodes) else "run"
            found[kind].append((max(-20.0, density + unit), z))
        told.append(Trial(x, sign * trial.value, {}, {}))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("project", type=Path)
    parser.add_argument("pipeline", help="__default__ for the default pipeline")
    parser.add_argument("--samplers", nargs="*", default=["eeipu"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    path = arguments.project.resolve()
    bootstrap_project(path)
    project = Project.load(path, pipeline_name=arguments.pipeline)
    comparison = Comparison(project, arguments.samplers, arguments.seeds, 1.0)
    names = re.compile(
        rf"{arguments.pipeline.strip('_')}-({'|'.join(arguments.samplers)})-(\d+)-\w+"
    )
    with torch.no_grad():
        for model in arguments.models:
            found: dict[str, list[Score]] = {"reuse": [], "run": []}
            for name in study_names(comparison.storage):
                match = names.fullmatch(name)
                if match and int(match[2]) < arguments.seeds:
                    study = open_study(comparison.storage, name, project.space)
                    parts = scores(project, study, int(match[2]), MODELS[model])
                    for kind, part in parts.items():
                        found[kind] += part
            for kind, part in found.items():
                if part:
                    densities, z = zip(*part, strict=True)
                    print(
                        f"{arguments.pipeline:12} {model:30} {kind:6} {len(part):4} trials  "
                        f"log density {statistics.mean(densities):6.2f}  "
                        f"z {statistics.mean(z):5.2f} +- {statistics.pstdev(z):.2f}",
                        flush=True,
                    )


def study_names(storage: str) -> list[str]:
    """Names of all studies in a database."""
    import optuna

    return optuna.get_all_study_names(storage)


if __name__ == "__main__":
    main()
