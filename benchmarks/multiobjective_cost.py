"""What an evaluation costs beside the objectives: the archive, and MO-CMA-ES, beside pymoo and comocma.

    python benchmarks/multiobjective_cost.py [--points 100000] [--dim 10] [--popsize 100] [--rounds 5]

Medians over interleaved rounds of processor time (other programs do not count), one thread, microseconds. The archive
holds so many points, none dominating another, when measuring begins; every point inserted is a new one on the same
front, hence all enter and the hypervolume changes. pymoo's SMS-EMOA is asked for one offspring at a time, its steady
state, and keeps no archive; comocma's Sofomore runs up to 20 kernels of CMA-ES, gives the offspring of one of them at a
time, and has its own archive, empty at first. MO-CMA-ES is measured with batches of one and of ten, and compared with
the peer whose batches are like that.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402

from lmcma import MOCMAES, Archive  # noqa: E402

_REFERENCE = (1.1, 1.1)
_KERNELS = 20  # of Sofomore: each is a CMA-ES


def spheres(x):
    n = x.shape[1]
    return np.array([(x**2).sum(axis=1), ((x - 1) ** 2).sum(axis=1)]).T / n


def arc(k: int, seed: int):
    """Points on a quarter of a circle."""
    angle = 0.5 * np.pi * np.random.default_rng(seed).random(k)
    return np.array([1 - np.cos(angle), 1 - np.sin(angle)]).T


def insertions(points: int, dim: int, batch: int) -> Callable[[], tuple[float, int]]:
    """A full archive; a measurement inserts 2000 points, so many a call."""
    archive = Archive(dim, reference=_REFERENCE)
    archive.add(np.zeros((points, dim)), arc(points, 1))
    state = {"round": 0}
    x = np.zeros((batch, dim))

    def measure() -> tuple[float, int]:
        state["round"] += 1
        fresh = arc(2000, 1000 * batch + state["round"])
        t0 = time.process_time()
        for k in range(0, 2000, batch):
            archive.add(x, fresh[k : k + batch])
        return time.process_time() - t0, 2000

    measure()  # compiles
    return measure


def strategy(points: int, dim: int, popsize: int, batch: int) -> Callable[[], tuple[float, int]]:
    """MO-CMA-ES with a full archive, ask and tell alone; the archive's points are worse than those to come."""
    es = MOCMAES([0.5] * dim, 0.1, popsize=popsize, batch=batch, reference=(2, 2), rng=1)
    es.archive.add(np.zeros((points, dim)), 1e-9 * arc(points, 2) + np.array([-1e3, 1e3]))  # aside, not dominated
    return timed(es.ask, lambda x, f: es.tell(None, f), 1000)


def timed(ask: Callable, tell: Callable, evaluations: int) -> Callable[[], tuple[float, int]]:
    """Measure ask and tell, the objectives aside."""

    def measure(enough: int = evaluations) -> tuple[float, int]:
        spent, done = 0.0, 0
        while done < enough:
            t0 = time.process_time()
            x = ask()
            t1 = time.process_time()
            f = spheres(np.asarray(x))
            t2 = time.process_time()
            tell(x, f)
            spent += time.process_time() - t2 + t1 - t0
            done += len(f)
        return spent, done

    measure(300)  # compiles, and fills populations
    return measure


def pymoo_sms(dim: int, popsize: int) -> Callable[[], tuple[float, int]]:
    from pymoo.algorithms.moo.sms import SMSEMOA
    from pymoo.core.evaluator import Evaluator
    from pymoo.core.problem import Problem
    from pymoo.problems.static import StaticProblem

    problem = Problem(n_var=dim, n_obj=2, xl=-1.0, xu=2.0)
    algorithm = SMSEMOA(pop_size=popsize, n_offsprings=1)
    algorithm.setup(problem, termination=("n_eval", 10**9), seed=1, verbose=False)
    asked = []

    def ask():
        asked[:] = [algorithm.ask()]
        return asked[0].get("X")

    def tell(x, f):
        Evaluator().eval(StaticProblem(problem, F=f), asked[0])
        algorithm.tell(infills=asked[0])

    return timed(ask, tell, 200)


def sofomore(dim: int, popsize: int) -> Callable[[], tuple[float, int]]:
    import comocma

    rng = np.random.default_rng(1)
    starts = [rng.random(dim).tolist() for _ in range(min(popsize, _KERNELS))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kernels = comocma.get_cmas(starts, 0.1, inopts={"verbose": -9})
        es = comocma.Sofomore(kernels, opts={"archive": True}, reference_point=[2, 2])
    return timed(es.ask, lambda x, f: es.tell(x, f.tolist()), 200)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=10)
    parser.add_argument("--popsize", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    o = parser.parse_args()
    rows = {
        "archive, insertion and hypervolume, one a call": insertions(o.points, o.dim, 1),
        "archive, insertion and hypervolume, 100 a call": insertions(o.points, o.dim, 100),
        "mo-cma, ask and tell, one at a time": strategy(o.points, o.dim, o.popsize, 1),
        "mo-cma, ask and tell, ten at a time": strategy(o.points, o.dim, o.popsize, 10),
        "pymoo SMS-EMOA, ask and tell, one at a time": pymoo_sms(o.dim, o.popsize),
        "comocma Sofomore, ask and tell, one kernel's": sofomore(o.dim, o.popsize),
    }
    times: dict[str, list[float]] = {name: [] for name in rows}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(o.rounds):
            for name, measure in rows.items():
                spent, done = measure()
                times[name].append(1e6 * spent / done)
    medians = {name: float(np.median(each)) for name, each in times.items()}
    print(f"{o.points} points in the archive, n = {o.dim}, {o.popsize} individuals; microseconds an evaluation")
    for name, value in medians.items():
        print(f"{name:50} {value:10.2f}")
    _, batches, one, ten, sms, kernels = medians.values()
    for what, value, limit in (
        ("insertion with hypervolume, in batches", batches, 5.0),
        ("mo-cma, one at a time, to SMS-EMOA", one / sms, 0.2),
        ("mo-cma, ten at a time, to Sofomore", ten / kernels, 0.2),
    ):
        print(f"demand: {what}: {value:.3g} <= {limit:g}: {'met' if value <= limit else 'MISSED'}")


if __name__ == "__main__":
    main()
