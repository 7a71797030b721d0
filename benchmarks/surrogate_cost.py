"""What a model of saACM-ES costs: training, prediction, and a whole generation, beside floors.

    python benchmarks/surrogate_cost.py [--dims 2,5,10,20,40] [--repeats 5]
    python benchmarks/surrogate_cost.py --runs

Medians, one thread. The floors: the matrix of distances by one product of matrices in NumPy, and the multiplications
and additions of all sweeps of the training at the rate of `numpy.dot` on vectors that stay in the first-level cache.
A sweep goes through all constraints; eight of them that do not move cost half as much, so that a training may take less
than that.

With ``--runs``, whole runs to 1e-10 in 10 and 20 variables: seconds of processor time, and the share of these spent on
models; the median of `--repeats` seeds (5).
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402

import lmcma  # noqa: E402
from lmcma import testfunctions  # noqa: E402
from lmcma.surrogate.ranksvm import Settings, train  # noqa: E402
from lmcma.surrogate.saacm import SaACMES, default_intensity, default_points  # noqa: E402


def median(action: Callable[[], object], repeats: int) -> float:
    """Milliseconds of a call."""
    times = []
    for _ in range(repeats):
        t0 = time.perf_counter()
        action()
        times.append(time.perf_counter() - t0)
    return 1e3 * float(np.median(times))


def run(f: Callable[..., Any], n: int, method: str, popsize: int, seed: int, maxfev: int | None = None) -> Any:
    """A strategy that has stopped, and the seconds of processor time it took."""
    x0 = np.random.default_rng(seed).uniform(-4, 4, n)
    es: Any = lmcma.make(method, x0, 2.0, rng=seed, ftarget=1e-10, maxfev=maxfev, hyper_popsize=popsize)
    t0 = time.process_time()
    while not es.stop():
        x = es.ask()
        es.tell(x, f(x))
    return es, time.process_time() - t0


def runs(repeats: int) -> None:
    """Whole runs, with and without the search for parameters."""
    for popsize in (0, 20):  # compiles
        run(testfunctions.sphere, 10, "saacm-k", popsize, seed=1, maxfev=400)
    print("  n  function      method    search   evaluations   seconds [least, most]   on models   per evaluation ms")
    for n, name, method, popsize in (
        *((10, name, "saacm", 0) for name in ("sphere", "ellipsoid", "rosenbrock")),
        *((20, name, "saacm", 0) for name in ("sphere", "ellipsoid", "rosenbrock")),
        *((10, "ellipsoid", method, 20) for method in ("saacm", "saacm-k")),
        (10, "rosenbrock", "saacm", 20),
    ):
        f = getattr(testfunctions, name)
        found = []
        for seed in range(1, repeats + 1):
            es, seconds_of_run = run(f, n, method, popsize, seed)
            if es.best_f <= 1e-10:  # not in the local minimum
                found.append((es.nfev, seconds_of_run, es.model_seconds))
        title = f"{n:3}  {name:12}  {method:8}  {'yes' if popsize else 'no':6}"
        if not found:
            print(f"{title}   no run reached 1e-10", flush=True)
            continue
        nfev, seconds, on_models = np.array(found).T
        print(
            f"{title}   {np.median(nfev):11.0f}   "
            f"{np.median(seconds):6.2f} [{seconds.min():.2f}, {seconds.max():.2f}]   "
            f"{(on_models / seconds).mean():14.2f}   {1e3 * np.median(seconds / nfev):17.2f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dims", default="2,5,10,20,40")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--runs", action="store_true", help="whole runs")
    options = parser.parse_args()
    train(np.random.default_rng(0).random((2, 9)), np.arange(9.0), Settings(9))  # compiles
    if options.runs:
        runs(options.repeats)
        return
    a = np.random.default_rng(0).random(1000)
    rate = 1e6 * 1000 / (median(lambda: [a.dot(a) for _ in range(1000)], 9))  # multiply-adds a second
    print("  n     N   train ms   distances   sweeps    predict   true generation (life)  intensive (life)")
    for n in map(int, options.dims.split(",")):
        rng = np.random.default_rng(n)
        N = default_points(n)
        Z = rng.standard_normal((n, N))
        f = testfunctions.ellipsoid(Z.T)
        settings = Settings(N)
        model = train(Z, f, settings)
        assert model is not None
        new = np.ascontiguousarray(rng.standard_normal((n, 10)))
        columns = [
            median(partial(train, Z, f, settings), options.repeats),
            median(partial(np.matmul, Z.T, Z), options.repeats),
            1e3 * settings.sweeps * N**2 / rate,
            median(partial(model.values, new), options.repeats),
        ]
        line = f"{n:3} {N:5} {columns[0]:10.2f} {columns[1]:11.3f} {columns[2]:8.2f} {columns[3]:10.3f}"
        for intensity in (1, default_intensity(n)):
            es = SaACMES(rng.uniform(-4, 4, n), 2.0, rng=1, hyper_popsize=0, intensity=intensity, stop="none")
            times, lives = [], []
            while len(es.archive[1]) < N or len(times) < 30:
                t0 = time.perf_counter()
                x = es.ask()
                middle = time.perf_counter()
                values = testfunctions.ellipsoid(x)
                t1 = time.perf_counter()
                es.tell(x, values)
                times.append(time.perf_counter() - t1 + middle - t0)
                lives.append(es.life_length)
            line += f"   {1e3 * np.median(times[-10:]):9.1f} ({np.median(lives[-10:]):.0f})"
        print(line, flush=True)


if __name__ == "__main__":
    main()
