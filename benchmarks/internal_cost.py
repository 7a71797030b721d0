"""Internal cost of CMA-ES: microseconds of ask + tell (+ stop) per evaluation, the objective excluded.

    python -m pip install -e ".[bench]"
    python benchmarks/internal_cost.py [--dims 2,5,10,20,40,100,200,500] [--repeats 9] [--method cma]

Default population sizes, one thread, active CMA-ES on the ellipsoid. lmcma and its peers run in turn in one process
from the same start; a repetition is a block of iterations of each, well before convergence, and the figures are medians
over the blocks. lmcma is timed with its default gap between decompositions and with that of the reference programs
(`lazy="reference"`), which is what its peers keep to. modcma runs its C++ loop, which calls the objective itself: the
time inside is measured and subtracted; the way from C++ into Python and back, which it cannot do without, counts.

From n = 100 on the floor is timed in the same turns: for K iterations, K being the updates per decomposition, one
symmetric eigendecomposition by LAPACK (syevd) and K times the matrix product that makes a population from normal
numbers and the symmetric update that a population makes (BLAS gemm and syrk).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import cma  # noqa: E402
import numpy as np  # noqa: E402
from scipy.linalg import blas, lapack  # noqa: E402

import lmcma  # noqa: E402
from lmcma.kernels.covariance import GAP  # noqa: E402
from lmcma.testfunctions import ellipsoid  # noqa: E402

try:
    from cmaes import CMA
    from modcma import c_maes
except ImportError:
    sys.exit(__doc__)

Block = Callable[[int], float]  # iterations -> seconds per evaluation


def batches(es: object) -> Block:
    """An optimiser that is asked for whole populations: lmcma, pycma."""

    def block(iterations: int) -> float:
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

    return block


def singles(es: CMA) -> Block:
    """cmaes, asked for one candidate after the other."""

    def block(iterations: int) -> float:
        spent, nfev = 0.0, 0
        for _ in range(iterations):
            t0 = time.perf_counter()
            x = [es.ask() for _ in range(es.population_size)]
            t1 = time.perf_counter()
            told = list(zip(x, ellipsoid(np.asarray(x)).tolist(), strict=True))
            t2 = time.perf_counter()
            es.tell(told)
            es.should_stop()
            spent += time.perf_counter() - t2 + t1 - t0
            nfev += len(x)
        return spent / nfev

    return block


def stepped(x0: np.ndarray, sigma0: float) -> Block:
    """Modcma's C++ strategy, active."""
    modules = c_maes.Modules()
    modules.active = True
    limits = {"target": -1e300, "max_generations": 10**9, "budget": 10**9}
    settings = c_maes.Settings(len(x0), modules, x0=x0, sigma0=sigma0, **limits)
    es = c_maes.ModularCMAES(c_maes.Parameters(settings))
    scales = 10 ** (6 * np.arange(len(x0)) / max(1, len(x0) - 1))
    inside = 0.0

    def objective(x: np.ndarray) -> float:
        nonlocal inside
        t0 = time.perf_counter()
        value = float((x * x) @ scales)
        inside += time.perf_counter() - t0
        return value

    def block(iterations: int) -> float:
        nonlocal inside
        inside = 0.0
        t0 = time.perf_counter()
        for _ in range(iterations):
            es.step(objective)
        return (time.perf_counter() - t0 - inside) / (iterations * es.p.lamb)

    return block


def floor(es: lmcma.CMAES, gap: int) -> float:
    """Seconds per evaluation of the algebra that no implementation can do without."""
    n, popsize = es.dim, es.popsize
    C, B = np.asfortranarray(es.C), np.ascontiguousarray(es.B)
    z = np.random.default_rng(1).standard_normal((popsize, n))
    rows, out = np.asfortranarray(z.T), np.empty((popsize, n))
    times = []
    for a in [C.copy(order="F") for _ in range(3)]:
        t0 = time.perf_counter()
        lapack.dsyevd(a, overwrite_a=1)
        times.append(time.perf_counter() - t0)
    once = float(np.median(times))
    t0 = time.perf_counter()
    for _ in range(gap):
        np.matmul(z, B, out=out)
        blas.dsyrk(0.1, rows, beta=0.9, c=C, overwrite_c=1)
    return (once + time.perf_counter() - t0) / (gap * popsize)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dims", default="2,5,10,20,40,100,200,500")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--method", default="cma", help="a method of lmcma, to compare with the others' CMA-ES")
    options = parser.parse_args()
    versions = ", ".join(f"{name} {version(name)}" for name in ("cma", "cmaes", "modcma"))
    print(f"{options.method} of lmcma {lmcma.__version__}; {versions}")
    print("microseconds per evaluation, medians; in parentheses how many times cheaper lmcma is (least - most)")
    print("   n  popsize    lmcma  reference  pycma                            cmaes", end="")
    print("                            modcma                           K  to floor")
    for n in map(int, options.dims.split(",")):
        times = []
        for repeat in range((10 if n <= 5 else 5 if n <= 10 else 1) * options.repeats + 1):  # short ones scatter most
            x0 = np.random.default_rng(repeat).uniform(-4, 4, n)
            ours = lmcma.make(options.method, x0, 2.0, rng=repeat)
            reference = {"lazy": "reference"} if isinstance(ours, lmcma.CMAES) else {}
            gap = int(ours._count[GAP]) if isinstance(ours, lmcma.CMAES) else 1
            peers = {
                "lmcma": batches(ours),
                "reference": batches(lmcma.make(options.method, x0, 2.0, rng=repeat, **reference)),
                "pycma": batches(cma.CMAEvolutionStrategy(x0, 2.0, {"seed": repeat + 1, "verbose": -9, "verb_log": 0})),
                "cmaes": singles(CMA(mean=x0, sigma=2.0, seed=repeat)),
                "modcma": stepped(x0, 2.0),
            }
            iterations = {2: 40, 5: 60}.get(n, 100) if n <= 40 else gap * max(1, 40 // gap)
            row = []
            for name, block in peers.items():
                slow = name == "cmaes" and n >= 40  # ten milliseconds per evaluation
                block(max(gap, 30) if not slow else 2)
                row.append(block(iterations if not slow else 2))
            if (ended := ours.stop()) is not None:
                sys.exit(f"the block at n={n} is too long: {ended.message}")
            row.append(floor(ours, gap) if n >= 100 and isinstance(ours, lmcma.CMAES) else np.nan)
            times.append(row)
        us = np.array(times[1:]) * 1e6  # the first repetition warms up
        ratios = us / us[:, :1]
        cells = [
            f"{np.median(us[:, k]):8.2f} ({np.median(r):5.1f}, {r.min():.1f} - {r.max():.1f})".ljust(32)
            for k, r in ((k, ratios[:, k]) for k in (2, 3, 4))
        ]
        to_floor = f"{np.median(us[:, 0] / us[:, 5]):.2f}" if n >= 100 else ""
        own = f"{np.median(us[:, 0]):8.2f} {np.median(us[:, 1]):10.2f}"
        print(f"{n:4}  {ours.popsize:7} {own}  {' '.join(cells)} {gap:3}  {to_floor}", flush=True)


if __name__ == "__main__":
    main()
