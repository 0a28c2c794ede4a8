"""When `--stop auto` would have ended the studies that `promise.py` has left, and what was gained
after.

    python tests/benchmarks/stopping_real.py --seeds 110-119 [--settings cache scratch long]

Each study of EEIPU is proposed once more, trial by trial, from what it knew then; no node runs. A
proposal that is not the trial that followed is counted, so that one sees that this is the same
search. The studies lie in demo_project/.eeipu/promise/, and can only be read with the code and the
packages that they were made with.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import optuna
import torch
from kedro.framework.startup import bootstrap_project
from promise import DEMO, HOME, PIPELINES, SETTINGS, Setting
from stopping import _spread

from kedro_eeipu.cli.compare import parsed_seeds
from kedro_eeipu.comparison import Comparison
from kedro_eeipu.comparison.contest import Contestant
from kedro_eeipu.logs import logs_to_stderr
from kedro_eeipu.project.project import Project
from kedro_eeipu.study.limits import not_worth_it
from kedro_eeipu.study.opening import open_study
from kedro_eeipu.tuning.observing import Observer
from kedro_eeipu.tuning.proposing import Proposer


@dataclass(frozen=True)
class Replay:
    """A study, proposed once more.

    Args:
        trials: Of the study.
        others: Proposals that were not the trial that followed.
        least: The lowest of the payoffs that three proposals in a row stay below.
        stopped: How many trials there were when the rule would have ended it; None: never.
        spent: Share of all its seconds until then.
        missed: What it gained after, as a share of what it gained in all.
    """

    trials: int
    others: int
    least: float
    stopped: int | None
    spent: float = 1.0
    missed: float = 0.0


def replay(contestant: Contestant, folder: Path) -> Replay:
    """Propose each trial of a study from those before it."""
    records = contestant.trials()
    frozen = [t for t in contestant.study.frozen() if t.number in {r.number for r in records}]
    storage, space = f"sqlite:///{folder / 'replay.db'}", contestant.project.space
    study = open_study(storage, "replay", space, create=True)
    copy = optuna.load_study(study_name="replay", storage=storage)
    for key, value in optuna.load_study(
        study_name=contestant.study.name, storage=contestant.comparison.storage
    ).user_attrs.items():
        copy.set_user_attr(key, value)
    proposer = Proposer(
        contestant.project,
        study,
        Observer(contestant.project, attrgetter("proposing")),
        seed=contestant.entry.seed,
        choose=lambda _: proposer.eeipu(),
    )
    others, stopped, least = 0, None, float("inf")
    for number, trial in enumerate(frozen):
        proposed = proposer.propose().params
        others += proposed != records[number].params
        payoffs = proposer.payoffs[-3:]
        if len(payoffs) == 3:
            least = min(least, max(payoffs))
        if stopped is None and not_worth_it(proposer.payoffs):
            stopped = number
        copy.add_trial(trial)
    if stopped is None:
        return Replay(len(records), others, least, None)
    sign = 1 if contestant.study.maximize else -1
    values = [sign * r.value for r in records if r.value is not None]
    costs = [r.cost for r in records]
    first, then, last = values[0], max(values[:stopped]), max(values)
    missed = (last - then) / (last - first) if last > first else 0.0
    return Replay(len(records), others, least, stopped, sum(costs[:stopped]) / sum(costs), missed)


def _contestant(pipeline: str, seed: int, setting: Setting, folder: Path) -> Contestant | None:
    source = HOME / f"{pipeline}-{seed}"
    if not (source / "studies.db").exists():
        return None
    shutil.copy(source / "studies.db", folder)
    (folder / "cache-cpu").symlink_to(source / "cache-cpu")
    comparison = Comparison(
        Project.load(DEMO, pipeline_name=PIPELINES[pipeline]),
        ("eeipu", *setting.peers),
        [seed],
        setting.trials,
        in_trials=True,
        from_scratch=setting.from_scratch,
        clock="cpu",
        folder=folder,
    )
    found = comparison.contestants()[0]
    return found if found.trials() and found.over() else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", default="110-119")
    parser.add_argument("--pipelines", nargs="+", default=list(PIPELINES), choices=list(PIPELINES))
    parser.add_argument("--settings", nargs="+", default=["cache"], choices=list(SETTINGS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    bootstrap_project(DEMO)
    logs_to_stderr()
    print("| pipeline | setting | ended | trials | share of the seconds | of the gain missed |")
    print("|---|---|---|---|---|---|", flush=True)
    for pipeline in options.pipelines:
        for setting in options.settings:
            replays = []
            for seed in parsed_seeds(options.seeds):
                with tempfile.TemporaryDirectory() as folder:
                    contestant = _contestant(pipeline, seed, SETTINGS[setting], Path(folder))
                    if contestant is not None:
                        replays.append(replay(contestant, Path(folder)))
                        print(seed, replays[-1], flush=True)
            ended = [r for r in replays if r.stopped is not None]
            cells = [
                _spread([getattr(r, key) for r in ended]) if ended else ""
                for key in ("stopped", "spent", "missed")
            ]
            print(
                f"| `{pipeline}` | {setting} | {len(ended)} of {len(replays)} "
                f"| {' | '.join(cells)} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
