r"""Evaluations of the surrogate-assisted methods to 1e-10, against CMA-ES with the same options and, if asked, pycma.

    python benchmarks/surrogate_counts.py [--methods saacm,saacm-k,kl-acm] [--dims 5,10] [--functions ...] [--seeds 5]
        [--hyper-popsize 0] [--jobs 2] [--pycma] [--pycma-budget 2e4]
    python benchmarks/surrogate_counts.py --pycma --methods saacm-k,quad-cma --dims 10,20 --seeds 15 \
        --functions rosenbrock,rotated_different_powers,bent_cigar,rotated_ellipsoid

Functions are those of `lmcma.testfunctions`, with ``rotated_`` before the name turned by a random rotation, and
``bent_cigar``, the rotated one of the BBOB suite. x0 is uniform in [-4, 4]^n, sigma0 = 2, seeds are 1, 2, ...; on
Rosenbrock's function runs may end in the local minimum near f = 4, and the counts are those of the others. `cma` has
the active update of 2010 and the constants of the BBOB programs, as the methods on models have inside. With
``--pycma``, `cma.fmin_lq_surr2` of pycma runs from the same starts, for `--pycma-budget` evaluations per variable.
Seconds are those of the models, of one run.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

import lmcma
from lmcma import testfunctions

Job = tuple[str, str, int, int, dict[str, Any]]
FUNCTIONS = "sphere,ellipsoid,cigar,discus,different_powers,rosenbrock"
PAPER = {"active": "2010", "constants": "bbob", "lazy": "reference"}


def objective(name: str, n: int) -> Callable[[np.ndarray], Any]:
    """The function of that name."""
    if name == "bent_cigar":
        R, bend = testfunctions.random_rotation(n, n), 0.5 * np.arange(n) / (n - 1)

        def bent_cigar(x: np.ndarray) -> Any:
            z = np.asarray(x) @ R.T
            z = np.where(z > 0, np.maximum(z, 0) ** (1 + bend * np.sqrt(np.maximum(z, 0))), z)
            return testfunctions.cigar(z @ R.T)

        return bent_cigar
    plain = getattr(testfunctions, name.removeprefix("rotated_"))
    return plain if plain.__name__ == name else testfunctions.rotated(plain, testfunctions.random_rotation(n, n))


def evaluations(job: Job) -> tuple[float, float]:
    """Evaluations until the first generation with a value of 1e-10, NaN without; seconds on models."""
    method, name, n, seed, options = job
    f = objective(name, n)
    x0 = np.random.default_rng(seed).uniform(-4, 4, n)
    if method == "pycma":
        import cma

        limit = options["budget"] * n
        _, es = cma.fmin_lq_surr2(f, x0, 2, {"seed": seed, "verbose": -9, "ftarget": 1e-10, "maxfevals": limit})
        return (es.countevals if es.best.f <= 1e-10 else np.nan), np.nan
    chosen = {"cma": PAPER, "quad-cma": {}}.get(method, options)
    es = lmcma.make(method, x0, 2.0, rng=seed, ftarget=1e-10, maxfev=10**4 * n, **chosen)
    while not es.stop():
        x = es.ask()
        es.tell(x, f(x))
    return (es.nfev if es.best_f <= 1e-10 else np.nan), getattr(es, "model_seconds", np.nan)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", default="saacm,saacm-k,kl-acm")
    parser.add_argument("--dims", default="5,10")
    parser.add_argument("--functions", default=FUNCTIONS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--hyper-popsize", type=int, help="of the search for the models' parameters")
    parser.add_argument("--jobs", type=int, default=1, help="worker processes")
    parser.add_argument("--pycma", action="store_true")
    parser.add_argument("--pycma-budget", type=float, default=2e4, help="evaluations per variable")
    options = parser.parse_args()
    searched = {} if options.hyper_popsize is None else {"hyper_popsize": options.hyper_popsize}
    methods = ["cma", *options.methods.split(","), *(["pycma"] if options.pycma else [])]
    print("function                   n  method    median [min - max]          solved  cma / it   seconds")
    with ProcessPoolExecutor(options.jobs) as pool:
        for name in options.functions.split(","):
            for n in map(int, options.dims.split(",")):
                plain = np.nan
                for method in methods:
                    given = {"budget": options.pycma_budget} if method == "pycma" else searched
                    jobs = [(method, name, n, seed, given) for seed in range(1, options.seeds + 1)]
                    counts, seconds = np.array(list(pool.map(evaluations, jobs))).T
                    solved = counts[~np.isnan(counts)]
                    median = np.median(solved) if len(solved) else np.nan
                    plain = median if method == "cma" else plain
                    spread = f"{median:.0f} [{solved.min():.0f} - {solved.max():.0f}]" if len(solved) else "-"
                    print(
                        f"{name:24} {n:3}  {method:8}  {spread:26}  {len(solved)}/{len(counts)}    "
                        f"{plain / median:5.2f}  {np.median(seconds):8.2f}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
