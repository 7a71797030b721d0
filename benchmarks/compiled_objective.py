"""Internal cost of whole restart chains around a compiled objective: BIPOP-CMA-ES on the 10-D Rastrigin function.

    python benchmarks/compiled_objective.py [--runs 15] [--dim 10] [--method bipop-cma]

Microseconds per evaluation of `minimize` from start to end (restarts, recording and all), less what the objective
itself takes, which is timed in turns with the runs, in compiled code, at the points of such a run; medians [min - max]
over runs with the seeds 1, 2, ..., each until f <= 1e-8 or 2e5 evaluations, after one run that is not counted. "Python"
is the same function called from Python, its calls counted in. Then the time of as many runs one after the other, over
that of runs in two threads, both without a history.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402

import lmcma  # noqa: E402
from lmcma.evaluate import Compiled  # noqa: E402
from lmcma.testfunctions import compiled, rastrigin  # noqa: E402


def timed(call: Callable[[], object]) -> tuple[float, object]:
    t0 = time.perf_counter()
    value = call()
    return time.perf_counter() - t0, value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--dim", type=int, default=10)
    parser.add_argument("--method", default="bipop-cma")
    options = parser.parse_args()
    fun, x0 = compiled(rastrigin), np.full(options.dim, 2.0)

    def run(seed: int, objective: Callable[[np.ndarray], float] = fun, record: bool = True) -> lmcma.Result:
        given = {"ftarget": 1e-8, "maxfev": 200_000, "method": options.method, "x0_box": (-4, 4)}
        return lmcma.minimize(objective, x0, 2.0, rng=seed, record=record, **given)

    def bare(seed: int) -> lmcma.Result:
        return run(seed, record=False)

    visited: list[np.ndarray] = []

    def noted(x: np.ndarray) -> float:
        visited.append(x.copy())
        return fun(x)

    run(1, noted)
    evaluate, points = Compiled(fun), np.array(visited)
    evaluate(points)
    run(0)
    internal, python, objective, nfev = [], [], [], []
    for seed in range(1, options.runs + 1):
        alone = timed(lambda: evaluate(points))[0] / len(points)
        whole, result = timed(lambda seed=seed: run(seed))
        slow, _ = timed(lambda seed=seed: run(seed, lambda x: fun(x)))
        internal.append(whole / result.nfev - alone)
        python.append(slow / result.nfev - alone)
        objective.append(alone)
        nfev.append(result.nfev)
    print(
        f"{options.method} on the {options.dim}-D Rastrigin function, {options.runs} runs, median {np.median(nfev):g}",
        end="",
    )
    print(" evaluations; microseconds per evaluation")
    for name, times in (("internal", internal), ("Python", python), ("objective", objective)):
        us = np.array(times) * 1e6
        print(f"{name:>10} {np.median(us):6.2f} [{us.min():.2f} - {us.max():.2f}]")
    ratios = []
    for _ in range(3):
        serial, _ = timed(lambda: [bare(seed) for seed in range(1, options.runs + 1)])
        with ThreadPoolExecutor(2) as pool:
            threads, _ = timed(lambda pool=pool: list(pool.map(bare, range(1, options.runs + 1))))
        ratios.append(serial / threads)
    print(f"two threads: {np.median(ratios):.2f} times as fast [{min(ratios):.2f} - {max(ratios):.2f}]")


if __name__ == "__main__":
    main()
