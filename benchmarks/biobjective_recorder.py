"""What COCO's recorder of two objectives costs, in time and on disk, with and without its archive of points.

    python benchmarks/biobjective_recorder.py [EVALUATIONS]

Points lie around the Pareto set of two spheres (f1 of bbob-biobj, the segment between two optima), nearer and nearer,
so that many are not dominated when they come: the worst case for the archive. CPU time of a call from Python, the
least of three runs, and the size of all files of a trial.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from lmcma.bbob.suites import cocoex, open_problems

SETTINGS = {
    "not recorded": None,
    "log_nondominated: none": "log_nondominated: none",
    "log_nondominated: final": "log_nondominated: final",
    "log_nondominated: all": "log_nondominated: all",
    "  and log_decision_variables: none": "log_nondominated: all log_decision_variables: none",
}


def points(dim: int, count: int) -> np.ndarray:
    """Points around the segment between the optima of the first instance."""
    rng = np.random.default_rng(1)
    bare = cocoex().BareProblem
    ends = [np.array(bare("bbob", 1, dim, instance).best_parameter()) for instance in (2, 4)]
    along = rng.random((count, 1))
    noise = np.geomspace(1.0, 1e-4, count)[:, None] * rng.standard_normal((count, dim))
    return along * ends[0] + (1 - along) * ends[1] + noise


def measure(options: str | None, x: np.ndarray) -> tuple[float, int]:
    """Seconds per call, bytes written."""
    with tempfile.TemporaryDirectory() as folder:
        observer = options and cocoex().Observer("bbob-biobj", f'{options} outer_folder: "{folder}" result_folder: x')
        for problem in open_problems("bbob-biobj", 1, x.shape[1], [1]):
            if observer:
                problem.observe_with(observer)
            started = time.process_time()
            for row in x:
                problem(row)
            spent = time.process_time() - started
        del problem, observer
        gc.collect()
        return spent / len(x), sum(p.stat().st_size for p in Path(folder).rglob("*") if p.is_file())


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print(f"{count} evaluations of f1, us per call and kB per trial")
    for dim in (2, 10):
        x = points(dim, count)
        for name, options in SETTINGS.items():
            runs = [measure(options, x) for _ in range(3)]
            print(f"{dim:3d}-D  {name:36s} {1e6 * min(t for t, _ in runs):6.1f} us {runs[0][1] / 1000:9.1f} kB")


if __name__ == "__main__":
    main()
