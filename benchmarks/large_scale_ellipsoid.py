"""LM-CMA on the ellipsoid in many variables: to a fraction of the first value, for some minutes, for some generations.

    python -m pip install -e . && python -m pip install --no-deps pypop7
    python benchmarks/large_scale_ellipsoid.py --dim 1e4 --fraction 1e-3
    python benchmarks/large_scale_ellipsoid.py --dim 1e6 --minutes 10 [--no-peers]
    python benchmarks/large_scale_ellipsoid.py --dim 1e7 --generations 10

x0 is uniform in [-5, 5]^n, sigma0 = 3, one thread, whose time is measured. With `--fraction`, evaluations and seconds
until the value is below that fraction of f(x0), for LM-CMA of lmcma, of pypop7, and L-BFGS with finite differences
(SciPy). With `--minutes`, the best value after that time, of the first two. With `--generations`, time and peak
memory of LM-CMA, all places for paths taken from the start on, which is when it needs most.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import resource
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402
from scipy.optimize import minimize  # noqa: E402

import lmcma  # noqa: E402


class ReachedError(Exception):
    """The goal, or the end of the time."""


class Ellipsoid:
    """The function, its evaluations, the best value and when it fell below a goal."""

    def __init__(self, n: int) -> None:
        self.scales = 10 ** (6 * np.arange(n) / (n - 1))
        self.square = np.empty(n)
        self.goal, self.seconds = -np.inf, np.inf
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.nfev, self.best, self.start = 0, np.inf, time.process_time()

    def elapsed(self) -> float:
        """Seconds of processor time since the beginning."""
        return time.process_time() - self.start

    def __call__(self, x: np.ndarray) -> float:
        """The value at x, (n,)."""
        np.multiply(x, x, out=self.square)
        value = float(self.square @ self.scales)
        self.nfev += 1
        self.best = min(self.best, value)
        if value <= self.goal or self.elapsed() > self.seconds:
            raise ReachedError
        return value


def ours(f: Ellipsoid, x0: np.ndarray) -> None:
    es = lmcma.LMCMA(x0, 3.0, rng=1, stop="none")
    x, values = np.empty((es.popsize, es.dim)), np.empty(es.popsize)
    while True:
        for row, point in enumerate(es.ask(out=x)):
            values[row] = f(point)
        es.tell(None, values)


def pypop7(f: Ellipsoid, x0: np.ndarray) -> None:
    from pypop7.optimizers.es.lmcma import LMCMA

    n = len(x0)
    problem = {
        "fitness_function": f,
        "ndim_problem": n,
        "lower_boundary": np.full(n, -5.0),
        "upper_boundary": np.full(n, 5.0),
    }
    options = {"mean": x0, "sigma": 3.0, "seed_rng": 1, "max_function_evaluations": 10**12, "verbose": 0}
    LMCMA(problem, {**options, "is_restart": False, "saving_fitness": 0}).optimize()


def lbfgs(f: Ellipsoid, x0: np.ndarray) -> None:
    minimize(f, x0, method="L-BFGS-B", options={"maxfun": 10**9, "maxiter": 10**6})


def generations(n: int, k: int) -> None:
    rng = np.random.default_rng(1)
    f = Ellipsoid(n)
    es = lmcma.LMCMA(rng.uniform(-5, 5, n), 3.0, rng=1, stop="none")
    m = es.params.memory
    for row in es._P:
        row[:] = rng.standard_normal(n)
    es._stored, es._ages[:] = m, np.arange(m) * es.params.period
    for row in range(m):
        es._multiply(row)
    es._refresh(0)
    x, values = np.empty((es.popsize, n)), np.empty(es.popsize)
    spent = []
    for _ in range(k):
        t0 = time.perf_counter()
        es.ask(out=x)
        t1 = time.perf_counter()
        for row in range(es.popsize):
            values[row] = f(x[row])
        t2 = time.perf_counter()
        es.tell(None, values)
        spent.append((t1 - t0, time.perf_counter() - t2))
    ask, tell = np.array(spent).sum(axis=0)
    a = np.empty(n)
    t0 = time.perf_counter()
    rng.standard_normal(out=a)
    normals = time.perf_counter() - t0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    each = (ask + tell) / (k * es.popsize)
    print(
        f"n = {n:g}: {k} generations of {es.popsize} candidates, {m} paths; ask {ask:.1f} s, tell {tell:.1f} s, "
        f"{1e3 * each:.1f} ms per candidate ({each / normals:.2f} of n normal numbers by NumPy); "
        f"peak memory {peak:.2f} GiB, planned {es.memory(n, es.popsize) / 2**30:.2f} GiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dim", type=float, default=1e4)
    parser.add_argument("--fraction", type=float)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--generations", type=int)
    parser.add_argument("--no-peers", action="store_true")
    options = parser.parse_args()
    n = int(options.dim)
    if options.generations:
        generations(n, options.generations)
        return
    f = Ellipsoid(n)
    x0 = np.random.default_rng(1).uniform(-5, 5, n)
    first = f(x0)
    if options.fraction:
        f.goal = options.fraction * first
    if options.minutes:
        f.seconds = 60 * options.minutes
    runs = {"lmcma LM-CMA": ours}
    if not options.no_peers:
        if importlib.util.find_spec("pypop7"):
            runs["pypop7 LMCMA"] = pypop7
        if n <= 10**4:
            runs["L-BFGS, finite differences"] = lbfgs
    for storage in ("float64", "float32"):  # compiles
        few = {"options": {"storage": storage}, "maxfev": 100, "record": False}
        lmcma.minimize(lambda x: float(x @ x), np.ones(20), 1.0, method="lm-cma", **few)
    print(f"ellipsoid, n = {n:g}, f(x0) = {first:.4g}")
    for name, run in runs.items():
        f.reset()
        with contextlib.suppress(ReachedError):
            run(f, x0.copy())
        print(
            f"{name:28} {f.elapsed():8.1f} s  {f.nfev:10} evaluations  best / f(x0) = {f.best / first:.4g}", flush=True
        )


if __name__ == "__main__":
    main()
