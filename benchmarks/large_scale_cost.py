r"""Internal cost of the large-scale methods: microseconds of ask + tell per candidate, the objective excluded.

    python -m pip install -e . && python -m pip install --no-deps pypop7
    python benchmarks/large_scale_cost.py [--dims 1e3,1e4,1e5,1e6] [--repeats 3] [--methods ...] [--no-peers]

Default population sizes, one thread, one process, all in turn; medians over the repetitions. Values are random, so that
nothing converges. All stored paths are there, at the ages they have in the middle of a run: the ages that the methods'
own rule leads to, since they decide how much has to be recomputed with a new path. A block lasts for whole periods of
insertions. With pypop7 installed (its dependencies are not needed), its LMCMA, LMCMAES, LMMAES and SEPCMAES run the
same way; its LMCMAES has mirrored pairs, as `lm-cma-es` has by option.

The floors, timed in the same turns: a copy of n doubles, n normal numbers by NumPy, n random signs expanded to doubles.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import time
from collections.abc import Callable

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402

import lmcma  # noqa: E402
from lmcma.kernels import limited_memory, noise  # noqa: E402
from lmcma.strategies.base import default_popsize  # noqa: E402

Block = Callable[[], float]  # -> seconds per candidate
PEERS = {
    "lm-cma": "lmcma:LMCMA",
    "lm-cma-es-mirrored": "lmcmaes:LMCMAES",
    "lm-ma": "lmmaes:LMMAES",
    "sep-cma": "sepcmaes:SEPCMAES",
}


def ages(m: int, gap: int, period: int) -> np.ndarray:
    """At which generations the m stored paths were taken, some time after all places are taken."""
    found, k = np.zeros(m, dtype=np.int64), 0
    nothing = np.zeros((m, 0)), np.zeros((m, 0)), np.zeros((m, m))
    for g in range(0, (4 * m + m // 3) * period, period):
        if k == m:
            limited_memory.drop_row(*nothing, found, limited_memory.replaced(found, k, gap), k)
            k -= 1
        found[k] = g
        k += 1
    return found


def ours(method: str, n: int, values: np.ndarray, threads: int, new_arrays: bool) -> tuple[Block, int]:
    """A strategy of lmcma in the middle of a run; its period of insertions."""
    options = {"mirrored": True} if method.endswith("-mirrored") else {}
    es = lmcma.make(method.removesuffix("-mirrored"), np.zeros(n), 1.0, rng=1, stop="none", threads=threads, **options)
    p, popsize = es.params, es.popsize
    x = np.empty((popsize, n))
    rng = np.random.default_rng(2)
    m = getattr(p, "memory", 0)
    period = getattr(p, "period", 1)
    start = 0
    if method == "sep-cma":
        limited = es._stop
    elif method == "lm-ma":
        for row in es._M:
            rng.standard_normal(out=row)
        limited = es._ends
        from lmcma.kernels.lm_ma import gram

        gram(es._M, es._G)
        start = 2 * m
    else:
        for row in es._P:
            row[:] = rng.standard_normal(n)
        es._ages[:] = ages(m, p.target_gap, period)
        start = int(es._ages[-1]) + period
        es._stored = m
        for row in range(m):
            es._multiply(row)
        es._refresh(0)
        limited = es._ends
    limited.count[0] = start  # generations done

    def block(generations: int = period) -> float:
        if method.startswith("lm-cma"):  # with random values sigma shrinks to where arithmetic is slow
            es._sigma, es._s = 1.0, 0.0
        t0 = time.perf_counter()
        for g in range(generations):
            es.tell(es.ask() if new_arrays else es.ask(out=x), values[g])
        return (time.perf_counter() - t0) / (generations * popsize)

    return block, period


def theirs(method: str, n: int, values: np.ndarray) -> Block:
    """A strategy of pypop7 in the middle of a run."""
    module, _, name = PEERS[method].partition(":")
    cls = getattr(importlib.import_module(f"pypop7.optimizers.es.{module}"), name)
    flat = values.ravel()
    calls = 0

    def fun(_: np.ndarray) -> float:
        nonlocal calls
        calls += 1
        return float(flat[calls % len(flat)])

    problem = {
        "fitness_function": fun,
        "ndim_problem": n,
        "lower_boundary": np.full(n, -5.0),
        "upper_boundary": np.full(n, 5.0),
    }
    limits = {"max_function_evaluations": 10**12, "verbose": 0, "saving_fitness": 0}
    es = cls(problem, {**limits, "mean": np.zeros(n), "sigma": 1.0, "seed_rng": 1})
    es.start_time = time.time()
    es.fitness_function = fun
    rng = np.random.default_rng(2)
    if method == "sep-cma":
        z, x, mean, s, p, c, d, y = es.initialize()

        def generation() -> None:
            nonlocal z, x, mean, s, p, c, d, y
            z, x, y = es.iterate(z, x, mean, d, y, None)
            mean, s, p, c, d = es._update_distribution(z, x, s, p, c, d, y)
            es._n_generations += 1

    elif method == "lm-ma":
        z, d, mean, s, tm, y = es.initialize()
        tm[:] = rng.standard_normal(tm.shape)
        es._n_generations = 2 * len(tm)

        def generation() -> None:
            nonlocal z, d, y, mean, s, tm
            z, d, y = es.iterate(z, d, mean, tm, y, None)
            mean, s, tm = es._update_distribution(z, d, mean, s, tm, y)
            es._n_generations += 1

    else:
        mean, x, p_c, s, vm, pm, b, d, y = es.initialize()
        m = es.m
        period = getattr(es, "period", 1)
        for row in pm:
            rng.standard_normal(out=row)
        vm[:] = pm
        b[:], d[:] = 1e-3, 1e-3
        found = ages(m, es.n_steps, period)
        es._j, es._l, es._it = list(range(m)), found.tolist(), m
        es._n_generations = int(found[-1]) + period
        update = getattr(es, "update_distribution", None) or es._update_distribution

        def generation() -> None:
            nonlocal x, y, mean, p_c, s, vm, pm, b, d
            last = np.copy(y)
            x, y = es.iterate(mean, x, pm, vm, y, b, None)
            mean, p_c, s, vm, pm, b, d = update(mean, x, p_c, s, vm, pm, b, d, y, last)
            es._n_generations += 1

    def block(generations: int) -> float:
        t0 = time.perf_counter()
        for _ in range(generations):
            generation()
        return (time.perf_counter() - t0) / (generations * es.n_individuals)

    return block


def floors(n: int) -> list[float]:
    """Seconds of a copy, of normal numbers, of random signs, n of each."""
    rng = np.random.default_rng(3)
    a, b = np.zeros(n), np.empty(n)
    times = []
    for action in (
        lambda: np.copyto(b, a),
        lambda: rng.standard_normal(out=b),
        lambda: noise.block(
            (rng.integers(0, 2**64, (1, -(-n // 64)), dtype=np.uint64), noise.NO_GAUSS, 0, 0), n, 0, 0, b
        ),
    ):
        action()
        parts = []
        for _ in range(7):
            t0 = time.perf_counter()
            action()
            parts.append(time.perf_counter() - t0)
        times.append(float(np.median(parts)))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dims", default="1e3,1e4,1e5,1e6")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--methods", default="lm-cma,lm-cma-es,lm-cma-es-mirrored,lm-ma,sep-cma")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--threads", type=int, default=1, help="threads of lmcma's methods")
    parser.add_argument("--new-arrays", action="store_true", help="a new array in every ask")
    options = parser.parse_args()
    peers = importlib.util.find_spec("pypop7") is not None and not options.no_peers
    print("microseconds per candidate, medians; in parentheses over that of n normal numbers by NumPy")
    print("      n  method                lmcma             pypop7 (times)       copy   normals  signs")
    for n in (int(float(v)) for v in options.dims.split(",")):
        for method in options.methods.split(","):
            values = np.random.default_rng(4).standard_normal((1000, default_popsize(n)))
            mine, period = ours(method, n, values, options.threads, options.new_arrays)
            least = max(1, round(2e7 / (n * values.shape[1])))
            generations = -(-least // period) * period if n >= 10**4 else least
            mine(generations)
            other = theirs(method, n, values) if peers and method in PEERS else None
            slow = period if method == "lm-cma" else 1  # generations of the peer in a block
            if other is not None and n < 10**6:
                other(slow)
            table = []
            for _ in range(options.repeats):
                table.append([mine(generations), other(slow) if other is not None else np.nan, *floors(n)])
            us = np.array(table) * 1e6
            of_normals, times = np.median(us[:, 0] / us[:, 3]), np.median(us[:, 1] / us[:, 0])
            a, b, c, d, e = np.median(us, axis=0)
            line = f"{n:7}  {method:18} {a:9.1f} ({of_normals:5.2f})"
            line += f"  {b:10.1f} ({times:5.1f})" if other is not None else " " * 20
            print(f"{line}  {c:8.1f} {d:8.1f} {e:7.1f}", flush=True)


if __name__ == "__main__":
    main()
