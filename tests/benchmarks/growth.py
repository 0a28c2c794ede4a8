"""Whether a trial takes longer the more trials its study has, beyond the proposal.

    python tests/benchmarks/growth.py [trials]

One study of six trivial nodes, each trial with values that are drawn at random, in one process. CPU
milliseconds of a trial and of what lies between two, the proposal included: median (quartiles) of
each tenth of the study.
"""

from __future__ import annotations

import logging
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from conftest import PIPELINE, KedroProject
from overhead import SIXTH

from kedro_eeipu.study.limits import Limits


def main(trials: int) -> None:
    warnings.simplefilter("ignore")
    project = KedroProject(Path(tempfile.mkdtemp()))
    project.write_pipeline(PIPELINE.replace("])", SIXTH))
    nodes = project.source / "nodes.py"
    nodes.write_text(nodes.read_text().replace("with EXECUTIONS", "return\n    with EXECUTIONS"))
    tuner = project.tuner(limits=Limits(trials=trials), sampler="random")
    logging.disable(logging.CRITICAL)
    evaluate, spent = tuner.evaluate, []
    ends = [time.process_time()]

    def timed(*args: Any, **kwargs: Any) -> Any:
        begun = time.process_time()
        record = evaluate(*args, **kwargs)
        spent.append((1e3 * (begun - ends[-1]), 1e3 * (time.process_time() - begun)))
        ends.append(time.process_time())
        return record

    tuner.evaluate = timed
    tuner.run()
    print(f"{len(spent)} trials, CPU milliseconds: median (quartiles)")
    print("| trials | between trials | a trial |\n|---|---|---|")
    size = max(len(spent) // 10, 2)
    for start in range(0, len(spent) - size + 1, size):
        cells = []
        for values in zip(*spent[start : start + size], strict=True):
            low, middle, high = statistics.quantiles(values, n=4)
            cells.append(f"{middle:.1f} ({low:.1f} to {high:.1f})")
        print(f"| {start + 1} to {start + size} | {cells[0]} | {cells[1]} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3000)
