"""HMO-CMA-ES on COCO's bbob-biobj: the share of targets reached over evaluations, beside the published one.

    python benchmarks/hmo_biobjective.py --dims 2,5,10,20 --budget 1000 --instances 1 [--warm-start bobyqa]

A share is that of the pairs of function and target of all 55 functions and the 58 targets of the hypervolume indicator.
The published ones are those of HMO-CMA-ES in the COCO data archive (bbob-biobj 2016, instances 1 to 10).
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import cocoex
import numpy as np

import lmcma

TARGETS = np.concatenate([10.0 ** -np.linspace(0, 5, 51), [0.0], -(10.0 ** np.linspace(-5, -4, 6))])
AT = 10.0 ** (np.arange(9) / 2)  # evaluations / n
PUBLISHED = {
    2: (0.038, 0.076, 0.138, 0.210, 0.283, 0.373, 0.462, 0.523, 0.623),
    3: (0.044, 0.084, 0.137, 0.205, 0.264, 0.342, 0.398, 0.448, 0.521),
    5: (0.041, 0.089, 0.137, 0.200, 0.258, 0.329, 0.382, 0.435, 0.504),
    10: (0.047, 0.090, 0.144, 0.196, 0.256, 0.316, 0.372, 0.431, 0.499),
    20: (0.049, 0.092, 0.153, 0.191, 0.250, 0.313, 0.367, 0.439, 0.509),
}


def shares(dim: int, budget: int, instances: str, warm_start: str) -> np.ndarray:
    """Share of targets reached at `AT`, mean over functions and instances; COCO writes into the current folder."""
    suite = cocoex.Suite("bbob-biobj", f"instances: {instances}", f"dimensions: {dim}")
    observer = cocoex.Observer("bbob-biobj", "result_folder: run algorithm_name: hmo log_nondominated: none")
    for problem in suite:
        problem.observe_with(observer)
        seed = 1000 * problem.id_function + problem.id_instance
        es = lmcma.HMOCMAES(np.zeros(dim), 1.0, warm_start=warm_start, maxfev=budget * dim, rng=seed)
        while not es.stop():
            x = es.ask()
            es.tell(x, np.array([problem(row) for row in x]))
    folder = Path(observer.result_folder)
    del observer, suite, problem
    reached = []
    for path in folder.glob("**/*_hyp.dat"):
        for trial in path.read_text().split("% instance")[1:]:
            rows = [line.split()[:2] for line in trial.splitlines()[2:] if not line.startswith("%")]
            nfev, indicator = np.array(rows, dtype=float).T
            best = np.array([indicator[nfev <= at * dim].min(initial=np.inf) for at in AT])
            reached.append((best[:, None] <= TARGETS + 1e-9 * np.abs(TARGETS)).mean(axis=1))
    return np.mean(reached, axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dims", default="5")
    parser.add_argument("--budget", type=int, default=1000, help="evaluations / n")
    parser.add_argument("--instances", default="1")
    parser.add_argument("--warm-start", default="star")
    args = parser.parse_args()
    cocoex.log_level("error")
    shown = args.budget * 1.001 >= AT
    print("evaluations / n  " + " ".join(f"{at:6.4g}" for at in AT[shown]))
    for dim in map(int, args.dims.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            ours = shares(dim, args.budget, args.instances, args.warm_start)
            os.chdir("/")
        for name, row in (("published", np.array(PUBLISHED[dim])), (args.warm_start, ours)):
            print(f"{dim:3}-D  {name:10} " + " ".join(f"{value:6.3f}" for value in row[shown]), flush=True)


if __name__ == "__main__":
    main()
