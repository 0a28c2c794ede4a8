"""What it is worth to stop trainings early by what they report: with and without, paired by seed.

    python tests/benchmarks/early_stop.py PROBLEM [--seeds 100-119] [--arms none,stop]
    python tests/benchmarks/early_stop.py PROBLEM --random 80 --seeds 1-2
    python tests/benchmarks/early_stop.py --table

Problems:

- ``boosted``: a principal component analysis, XGBoost (`pip install xgboost optuna-integration`)
  with Optuna's callback in 150 rounds, and a temperature, on noisy digits;
- ``vision``: the demo's, whose training reports the Dice of some validation slices ten times.

Arms: ``none`` stops nothing; ``stop`` is what `tune` does; ``worst`` also stops, and takes a
stopped trial to be as bad as the worst one, as a failed one is taken; ``half`` stops the worse half
of trainings in place of the worst quarter.

An arm runs until it has both as many trials and as many seconds of node time as ``none``, but at
most twice as many trials. Costs are CPU seconds; the time of a proposal is taken to be constant, so
that other work on the machine changes nothing but the measured seconds. Results are appended to
``early_stop.jsonl``; what is there is not run again.

``--random N`` measures whole trainings at random values, the defaults first. From them the table
also replays random search with several rules for stopping, on the same 200 random orders for each
set of trainings: 40 trials, and as many as fit into the seconds of 20 that are not stopped.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import tempfile
import textwrap
from collections import defaultdict
from contextlib import AbstractContextManager, nullcontext
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, median
from typing import Any
from unittest import mock

import numpy as np
from kedro.framework.startup import bootstrap_project
from scipy.stats import wilcoxon

from kedro_eeipu.hooks.pruning import Gate
from kedro_eeipu.project.project import Project
from kedro_eeipu.study import curves
from kedro_eeipu.study.limits import Limits
from kedro_eeipu.study.opening import open_study
from kedro_eeipu.tuning import proposing
from kedro_eeipu.tuning.observing import Observer
from kedro_eeipu.tuning.proposing import Proposer
from kedro_eeipu.tuning.runner import EEIPURunner

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).with_suffix(".jsonl")
TRIALS = {"boosted": 30, "vision": 30}
PROPOSAL_SECONDS = 0.3

BOOSTED = {
    "pyproject.toml": """
        [tool.kedro]
        package_name = "boosted"
        project_name = "Boosted"
        kedro_init_version = "1.0.0"
        source_dir = "src"
        """,
    "src/boosted/__init__.py": "",
    "src/boosted/settings.py": 'DISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow",)\n',
    "src/boosted/pipeline_registry.py": """
        from kedro.pipeline import Pipeline, node

        from boosted import nodes


        def register_pipelines():
            return {"__default__": Pipeline([
                node(nodes.prepare, ["params:seed", "params:features"], "digits", name="prepare"),
                node(nodes.train, ["digits", "params:model"], "margins", name="train"),
                node(nodes.score, ["margins", "digits", "params:temperature"], "metrics",
                     name="score"),
            ])}
        """,
    "src/boosted/nodes.py": """
        import numpy as np
        import xgboost
        from optuna_integration import XGBoostPruningCallback
        from scipy.special import log_softmax
        from sklearn.datasets import load_digits
        from sklearn.decomposition import PCA

        from kedro_eeipu import optuna_trial


        def prepare(seed, features):
            images, labels = load_digits(return_X_y=True)
            rng = np.random.default_rng(seed)
            order = rng.permutation(len(images))
            images, labels = images[order] + rng.normal(0, 6, images.shape), labels[order]
            reduced = PCA(features["components"], whiten=features["whiten"], random_state=0)
            reduced.fit(images[:600])
            return {"images": reduced.transform(images), "labels": labels}


        def train(digits, model):
            train, validation = (
                xgboost.DMatrix(digits["images"][rows], digits["labels"][rows])
                for rows in (slice(600), slice(600, 1200))
            )
            booster = xgboost.train(
                {"objective": "multi:softmax", "num_class": 10, "eval_metric": "mlogloss",
                 "nthread": 1, "seed": 0, **model},
                train,
                num_boost_round=150,
                evals=[(validation, "validation")],
                callbacks=[XGBoostPruningCallback(optuna_trial(), "validation-mlogloss")],
                verbose_eval=False,
            )
            return booster.predict(xgboost.DMatrix(digits["images"]), output_margin=True)


        def score(margins, digits, temperature):
            right = log_softmax(margins / temperature, axis=1)
            right = right[np.arange(len(right)), digits["labels"]]
            return {
                "validation": -float(right[600:1200].mean()),
                "test": -float(right[1200:].mean()),
            }
        """,
    "conf/local/.gitkeep": "",
    "conf/base/catalog.yml": "",
    "conf/base/parameters.yml": """
        seed: 1
        features: {components: 20, whiten: false}
        model:
          eta: 0.3
          max_depth: 6
          min_child_weight: 1.0
          subsample: 1.0
          colsample_bytree: 1.0
          lambda: 1.0
        temperature: 1.0
        eeipu:
          objective: {dataset: metrics, key: validation, direction: minimize}
          space:
            features.components: {low: 5, high: 40}
            features.whiten: [true, false]
            model.eta: {low: 0.01, high: 1.0, log: true}
            model.max_depth: {low: 2, high: 8}
            model.min_child_weight: {low: 0.1, high: 20.0, log: true}
            model.subsample: {low: 0.3, high: 1.0}
            model.colsample_bytree: {low: 0.2, high: 1.0}
            model.lambda: {low: 0.01, high: 100.0, log: true}
            temperature: {low: 0.3, high: 3.0, log: true}
          trials: 40
        """,
}

# Of the demo: what is put in the place of what.
VISION = {
    "nodes.py": (
        (
            "training_slices: Slices, train: dict",
            "training_slices: Slices, slices: Slices, train: dict",
        ),
        (
            'training_slices["labels"], train)',
            'training_slices["labels"], train, slices)',
        ),
    ),
    "pipeline.py": (
        (
            '["training_slices", "params:vision.train"]',
            '["training_slices", "slices", "params:vision.train"]',
        ),
    ),
    "unet.py": (
        (
            "labels: np.ndarray, settings: Mapping[str, Any])",
            "labels: np.ndarray, settings: Mapping[str, Any], slices)",
        ),
        ("for _ in range(settings", "for i in range(settings"),
        (
            "            schedule.step()\n",
            """            schedule.step()
            if (i + 1) * 10 // settings["steps"] > i * 10 // settings["steps"]:
                report(_dice(model, slices, settings), (i + 1) * 10 // settings["steps"])
                if should_prune():
                    raise TrialPruned
""",
        ),
        (
            "def _loss(",
            """@torch.no_grad()
def _dice(model, slices, settings):
    rows = np.flatnonzero(slices["part"] == 1)[::6]
    x = torch.from_numpy(slices["images"][rows])[:, None].float().to(settings["device"])
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = model(x).argmax(1).cpu().numpy()  # by the batch's own statistics, as in training
    model.load_state_dict(state)
    true = slices["labels"][rows]
    both = [2 * ((found == t) & (true == t)).sum() for t in (1, 2)]
    return float(np.mean([b / max(1, (found == t).sum() + (true == t).sum())
                          for b, t in zip(both, (1, 2))]))


def _loss(""",
        ),
        (
            "from torch.nn import functional\n",
            "from torch.nn import functional\nfrom optuna import TrialPruned\n\n"
            "from kedro_eeipu import report, should_prune\n",
        ),
    ),
}


def write(problem: str, seed: int, path: Path) -> Project:
    """Make a project in a new folder."""
    if problem == "boosted":
        for name, text in BOOSTED.items():
            file = path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(text).lstrip())
        parameters = path / "conf" / "base" / "parameters.yml"
        parameters.write_text(parameters.read_text().replace("seed: 1\n", f"seed: {seed}\n"))
        bootstrap_project(path)
        return Project.load(path)
    shutil.copytree(
        ROOT / "demo_project", path, ignore=shutil.ignore_patterns(".eeipu", "*.parquet")
    )
    for name, replaced in VISION.items():
        file = path / "src" / "flights" / "pipelines" / "vision" / name
        text = file.read_text()
        for old, new in replaced:
            assert text.count(old) == 1, (name, old)
            text = text.replace(old, new)
        file.write_text(text)
    bootstrap_project(path)
    given = {"vision": {"scan": {"random_state": seed}, "train": {"random_state": seed}}}
    return Project.load(path, pipeline_name="vision", runtime_params=given)


def run(problem: str, seed: int, arm: str, budget: float) -> list[list[Any]]:
    """The trials of one arm: seconds, value and state of each."""
    with tempfile.TemporaryDirectory() as folder:
        project = write(problem, seed, Path(folder) / "project")
        study = open_study(project.storage, "study", project.space, create=True)
        observer = Observer(project, overhead=lambda trial: PROPOSAL_SECONDS)
        proposer = Proposer(project, study, observer, seed=seed)
        runner = EEIPURunner(
            project,
            study,
            Limits(trials=10_000),
            proposer=proposer,
            meta={"clock": "cpu"},
            audit=None,
        )
        if arm == "none":
            runner._gate = lambda: Gate((), {}, study.maximize)  # type: ignore[method-assign]
        curves._STOPPED_SHARE = 0.5 if arm == "half" else 0.25
        worst: AbstractContextManager[object] = mock.patch.object(
            proposing, "expected_of_stopped", return_value={}
        )
        spent = 0.0
        with worst if arm == "worst" else nullcontext(), project.quiet():
            while len(study.trials()) < TRIALS[problem] or (
                spent < budget and len(study.trials()) < 2 * TRIALS[problem]
            ):
                spent += runner.evaluate(proposer.propose().params).cost
        sign = 1 if study.maximize else -1
        failed = [t.error for t in study.trials() if t.state == "failed"]
        assert not failed, failed
        return [
            [round(t.cost, 4), None if t.value is None else sign * t.value, t.state]
            for t in study.trials()
        ]


def random_trainings(problem: str, seed: int, number: int) -> list[dict[str, Any]]:
    """Curves, objectives and seconds of trainings at random; of long curves every third value."""
    with tempfile.TemporaryDirectory() as folder:
        project = write(problem, seed, Path(folder) / "project")
        study = open_study(project.storage, "study", project.space, create=True)
        runner = EEIPURunner(
            project,
            study,
            Limits(trials=number),
            sampler="random",
            seed=seed,
            meta={"clock": "cpu"},
            audit=None,
        )
        runner._gate = lambda: Gate((), {}, study.maximize)  # type: ignore[method-assign]
        runner.run()
        sign = 1 if study.maximize else -1
        return [
            {
                "curve": [round(sign * v, 4) for _, v in n.curve[:: 1 if len(n.curve) < 20 else 3]],
                "value": round(sign * (t.value or 0.0), 5),
                "seconds": round(n.seconds, 3),
            }
            for t in study.trials()
            for n in t.nodes
            if n.curve
        ]


def replay(
    trainings: list[dict[str, Any]],
    order: list[int],
    share: float,
    with_stopped: bool,
    budget: float = math.inf,
) -> tuple[float, float, int]:
    """Random search that stops the worst share: its seconds, its best value, how many it stops.

    What ends after the budget does not count.
    """
    reached: defaultdict[int, list[float]] = defaultdict(list)
    ended, spent, best_value, stopped = 0, 0.0, -math.inf, 0
    for training in (trainings[i] for i in order):
        curve, so_far, length = training["curve"], -math.inf, 0
        for step, value in enumerate(curve):
            so_far, length = max(so_far, value), step + 1
            known = reached[step]
            if share and ended >= 5 and len(known) >= 5 and so_far < np.quantile(known, share):
                break
        else:
            step = len(curve)
        is_stopped = step < len(curve)
        spent += training["seconds"] * length / len(curve)
        if spent > budget * (1 + 1e-9):
            break
        stopped += is_stopped
        if not is_stopped:
            ended, best_value = ended + 1, max(best_value, training["value"])
        if not is_stopped or with_stopped:
            for at, value in enumerate(curve[:length]):
                reached[at].append(value)
    return spent, best_value, stopped


RULES = {
    "the worse half of those that ended (Optuna's median)": (0.5, False),
    "the worst quarter of those that ended": (0.25, False),
    "the worse half of all": (0.5, True),
    "the worst third of all": (1 / 3, True),
    "the worst quarter of all (ours)": (0.25, True),
}


def replays(problem: str, sets: list[list[dict[str, Any]]]) -> None:
    rng = random.Random(0)
    print(f"{problem}: random search, {len(sets)} sets of trainings")
    for name, (share, with_stopped) in RULES.items():
        ratios, losses, stops, same, gains = [], [], [], [], []
        for i, trainings in enumerate(sets):
            rng.seed(i)
            for _ in range(200):
                order = rng.sample(range(len(trainings)), len(trainings))
                cost, value, _ = replay(trainings, order[:40], 0.0, True)
                less, reached, stopped = replay(trainings, order[:40], share, with_stopped)
                ratios.append(less / cost)
                losses.append(value - reached)
                stops.append(stopped)
                same.append(reached == value)
                cost, value, _ = replay(trainings, order[:20], 0.0, True)
                gains.append(replay(trainings, order, share, with_stopped, cost)[1] - value)
        better, worse = (mean(sign * g > 0 for g in gains) for sign in (1, -1))
        print(
            f"  {name}: seconds {mean(ratios):.2f}, stopped {mean(stops):.0f} of 40, "
            f"the same best {mean(same):.0%}, loss {mean(losses):.4f}; at the seconds of 20 "
            f"{mean(gains):+.4f}, better {better:.0%}, worse {worse:.0%}"
        )


def results() -> list[dict[str, Any]]:
    return (
        [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    )


def append(**row: Any) -> None:
    with RESULTS.open("a") as file:
        file.write(json.dumps(row, separators=(",", ":")) + "\n")


def measure(problem: str, seeds: range, arms: list[str]) -> None:
    for seed in seeds:
        for arm in arms:
            done = {(r["problem"], r["seed"], r["arm"]): r for r in results()}
            if (problem, seed, arm) in done:
                continue
            none = done.get((problem, seed, "none"), {"trials": []})["trials"]
            budget = sum(t[0] for t in none[: TRIALS[problem]])
            # In a process of its own: Kedro knows one project of a name.
            with get_context("spawn").Pool(1) as pool:
                trials = pool.apply(run, (problem, seed, arm, budget))
            append(problem=problem, seed=seed, arm=arm, trials=trials)
            stopped = sum(t[2] == "pruned" for t in trials)
            print(problem, seed, arm, len(trials), f"{stopped} stopped", best(trials), flush=True)


def best(trials: list[list[Any]]) -> float:
    return max(t[1] for t in trials if t[1] is not None)


def at_budget(trials: list[list[Any]], seconds: float) -> list[list[Any]]:
    """The trials that ended within so many seconds."""
    within, spent = [], 0.0
    for trial in trials:
        spent += trial[0]
        if spent > seconds * (1 + 1e-9):
            break
        within.append(trial)
    return within


def table() -> None:
    by: dict[tuple[str, str], dict[int, list[list[Any]]]] = {}
    sets: defaultdict[str, list[list[dict[str, Any]]]] = defaultdict(list)
    for r in results():
        if r["arm"] == "random":
            sets[r["problem"]].append(r["trainings"])
        else:
            by.setdefault((r["problem"], r["arm"]), {})[r["seed"]] = r["trials"]
    for problem, trainings in sorted(sets.items()):
        replays(problem, trainings)
    for (problem, arm), studies in sorted(by.items()):
        none, count = by.get((problem, "none"), {}), TRIALS[problem]
        seeds = sorted(none.keys() & studies.keys())
        if arm == "none" or not seeds:
            continue
        first = {s: studies[s][:count] for s in seeds}
        goal = {s: best(none[s][:count]) for s in seeds}
        cost = {s: sum(t[0] for t in none[s][:count]) for s in seeds}
        print(f"{problem} {arm}: {len(seeds)} seeds")
        share = mean(mean(t[2] == "pruned" for t in first[s]) for s in seeds)
        print(f"  of {count} trials stopped {share:.0%}")
        ratio = [sum(t[0] for t in first[s]) / cost[s] for s in seeds]
        print(f"  seconds of {count} trials against none: {told(ratio, 1.0)}")
        gains = [best(first[s]) - goal[s] for s in seeds]
        print(f"  value after {count} trials less that of none: {told(gains, 0.0)}")
        equal = {s: at_budget(studies[s], cost[s]) for s in seeds}
        gains = [best(equal[s]) - goal[s] for s in seeds]
        number = median(len(equal[s]) for s in seeds)
        print(f"  value after equal seconds ({number} trials) likewise: {told(gains, 0.0)}")
        reached = [until(studies[s], goal[s]) / until(none[s], goal[s]) for s in seeds]
        within = sum(r < float("inf") for r in reached)
        print(f"  seconds to the best of none: {within} reach it, median {median(reached):.2f}")


def until(trials: list[list[Any]], value: float) -> float:
    """Seconds until a value was reached, infinite where it was not."""
    spent = 0.0
    for cost, reached, _ in trials:
        spent += cost
        if reached is not None and reached >= value:
            return spent
    return float("inf")


def told(values: list[float], nothing: float) -> str:
    """The median, the quartiles, and a paired Wilcoxon test against nothing."""
    ordered = sorted(values)
    low, high = ordered[len(values) // 4], ordered[-1 - len(values) // 4]
    differences = [v - nothing for v in values]
    p = wilcoxon(differences).pvalue if any(differences) and len(values) > 4 else float("nan")
    more = sum(d > 0 for d in differences)
    return (
        f"median {median(values):.5f}, quartiles {low:.5f} to {high:.5f}, "
        f"more in {more} of {len(values)}, p {p:.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("problem", nargs="?", choices=sorted(TRIALS))
    parser.add_argument("--seeds", default="100-119")
    parser.add_argument("--arms", default="none,stop")
    parser.add_argument("--random", type=int, metavar="N")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if options.problem:
        first, _, last = options.seeds.partition("-")
        seeds = range(int(first), int(last or first) + 1)
        if options.random:
            for seed in seeds:
                # In a process of its own: Kedro knows one project of a name.
                with get_context("spawn").Pool(1) as pool:
                    found = pool.apply(random_trainings, (options.problem, seed, options.random))
                append(problem=options.problem, seed=seed, arm="random", trainings=found)
        else:
            measure(options.problem, seeds, options.arms.split(","))
    if options.table:
        table()


if __name__ == "__main__":
    main()
