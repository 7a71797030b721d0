"""Internal cost of CMA-ES: microseconds of ask + tell (+ stop) per evaluation, the objective excluded.

    python benchmarks/internal_cost.py [--dims 2,5,10,20,40,100,200] [--repeats 9] [--method cma]

Default population size, one thread. lmcma and pycma run in turn in one process, both on the ellipsoid from the same
start; a repetition is a block of iterations of each, the figures are medians over the blocks. The required ratio at
n = 10 and n = 40 is 10.
"""

from __future__ import annotations

import argparse
import os
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import cma  # noqa: E402
import numpy as np  # noqa: E402

import lmcma  # noqa: E402
from lmcma.testfunctions import ellipsoid  # noqa: E402


def block(es: object, iterations: int) -> float:
    """Seconds per evaluation that `es` itself takes over some iterations."""
    spent, nfev = 0.0, 0
    for _ in range(iterations):
        t0 = time.perf_counter()
        x = es.ask()
        t1 = time.perf_counter()
        f = ellipsoid(np.asarray(x))
        t2 = time.perf_counter()
        es.tell(x, f)
        es.stop()
        spent += time.perf_counter() - t2 + t1 - t0
        nfev += len(f)
    return spent / nfev


def restarted(method: str, n: int, seed: int) -> tuple[object, object]:
    """Both optimisers, well before convergence."""
    x0 = np.random.default_rng(seed).uniform(-4, 4, n)
    return (
        lmcma.make(method, x0, 2.0, rng=seed),
        cma.CMAEvolutionStrategy(x0, 2.0, {"seed": seed + 1, "verbose": -9, "verb_log": 0}),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dims", default="2,5,10,20,40,100,200")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--method", default="cma", help="a method of lmcma, to compare with pycma's CMA-ES")
    options = parser.parse_args()
    print(f"{options.method} of lmcma {lmcma.__version__}, pycma {cma.__version__}")
    print("microseconds per evaluation, median [min - max]")
    print("   n  popsize  lmcma                   pycma                     ratio")
    for n in map(int, options.dims.split(",")):
        iterations = 40 if n <= 5 else 100 if n <= 40 else 30
        times = []
        for repeat in range(options.repeats + 1):
            ours, theirs = restarted(options.method, n, repeat)
            block(ours, 5), block(theirs, 5)
            times.append((block(ours, iterations), block(theirs, iterations)))
        ours_us, theirs_us = np.array(times[1:]).T * 1e6  # the first repetition warms up
        cells = [f"{np.median(t):7.2f} [{t.min():.2f} - {t.max():.2f}]" for t in (ours_us, theirs_us)]
        ratio = np.median(theirs_us / ours_us)
        print(f"{n:4}  {4 + int(3 * np.log(n)):7}  {cells[0]:23} {cells[1]:25} {ratio:6.1f}", flush=True)


if __name__ == "__main__":
    main()
