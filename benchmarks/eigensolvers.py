"""Which eigensolver for which dimension: microseconds of one decomposition of C.

    python benchmarks/eigensolvers.py [--dims 2,5,10,20,40,60,80,100] [--repeats 15]

LAPACK's divide and conquer (syevd, with preallocated workspace), reduction to tridiagonal form + implicit QL
(`lmcma.kernels.eigen`), and Jacobi sweeps that start from the eigenvectors of the decomposition before, as a C
that changes little would suggest. C has condition number 1e4 and got the updates of one default gap since it was
decomposed. Interleaved, one thread, medians [min - max]; "sweeps" are those that Jacobi needs to 1e-9, relative to the
diagonal, which is far less accurate than what the other two give.
"""

from __future__ import annotations

import argparse
import math
import os
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402

from lmcma.kernels.compile import kernel  # noqa: E402
from lmcma.kernels.eigen import by_ql  # noqa: E402
from lmcma.kernels.linalg import eigh_workspace, syevd  # noqa: E402
from lmcma.strategies.cma import decomposition_gap, parameters  # noqa: E402

TOLERANCE = 1e-9


@kernel
def jacobi(C: np.ndarray, Bt: np.ndarray, a: np.ndarray, t: np.ndarray) -> int:
    """Diagonalise C in the frame of the rows of Bt, which turn into its eigenvectors; the number of sweeps."""
    n = len(C)
    t[:] = 0.0
    for i in range(n):
        row = t[i]
        for k in range(n):
            b, c = Bt[i, k], C[k]
            for j in range(n):
                row[j] += b * c[j]
    for i in range(n):
        for j in range(i + 1):
            dot = 0.0
            for k in range(n):
                dot += t[i, k] * Bt[j, k]
            a[i, j] = a[j, i] = dot
    for sweep in range(30):
        quiet = True
        for p in range(n - 1):
            for q in range(p + 1, n):
                if a[p, q] ** 2 <= TOLERANCE**2 * abs(a[p, p] * a[q, q]):
                    continue
                quiet = False
                theta = 0.5 * (a[q, q] - a[p, p]) / a[p, q]
                tangent = 1.0 / (abs(theta) + math.sqrt(theta * theta + 1.0))
                if theta < 0:
                    tangent = -tangent
                c = 1.0 / math.sqrt(tangent * tangent + 1.0)
                s = tangent * c
                a_pp, a_qq = a[p, p] - tangent * a[p, q], a[q, q] + tangent * a[p, q]
                for rows in (a, Bt):
                    low, high = rows[p], rows[q]
                    for k in range(n):
                        x, y = low[k], high[k]
                        low[k] = c * x - s * y
                        high[k] = s * x + c * y
                for k in range(n):
                    a[k, p], a[k, q] = a[p, k], a[q, k]
                a[p, p], a[q, q] = a_pp, a_qq
                a[p, q] = a[q, p] = 0.0
        if quiet:
            return sweep
    return 30


def problem(n: int) -> tuple[np.ndarray, np.ndarray]:
    """A covariance matrix, and the eigenvectors (in rows) of what it was a gap before."""
    rng = np.random.default_rng(n)
    popsize = 4 + int(3 * math.log(n))
    p = parameters(n, popsize)
    B, _ = np.linalg.qr(rng.standard_normal((n, n)))
    before = (B * 10.0 ** (4 * np.arange(n) / max(1, n - 1))) @ B.T
    C, root = before.copy(), np.linalg.cholesky((before + before.T) / 2)
    for _ in range(decomposition_gap(n, p, "fast")):
        y = rng.standard_normal((popsize, n)) @ root.T
        C = (1 - p.c_1 - p.c_mu) * C + (p.c_1 + p.c_mu) * y.T @ y / popsize
    return (C + C.T) / 2, np.ascontiguousarray(np.linalg.eigh(before)[1].T)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dims", default="2,5,10,20,40,60,80,100")
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    print("   n  syevd                     QL                        Jacobi                    sweeps")
    for n in map(int, options.dims.split(",")):
        C, frame = problem(n)
        a, Bt, t, w = np.empty((n, n)), np.empty((n, n)), np.empty((n, n)), np.empty(n)
        size, n_ints = eigh_workspace(n)
        work, ints = np.empty(size), np.zeros(n_ints, dtype=np.int32)
        solvers = {  # what has to be copied before a call, from where, and the call
            "syevd": (a, C, syevd, (a, w, work, ints)),
            "ql": (a, C, by_ql, (a, w, work)),
            "jacobi": (Bt, frame, jacobi, (C, Bt, a, t)),
        }
        calls = max(5, 20_000 // n**2)
        times = np.empty((options.repeats + 1, len(solvers)))
        for repeat in range(len(times)):
            for k, (target, source, solve, arguments) in enumerate(solvers.values()):
                t0 = time.perf_counter()
                for _ in range(calls):
                    target[:] = source
                    sweeps = solve(*arguments)
                times[repeat, k] = (time.perf_counter() - t0) / calls * 1e6
        cells = [f"{np.median(u):8.1f} [{u.min():.1f} - {u.max():.1f}]".ljust(25) for u in times[1:].T]
        print(f"{n:4}  {' '.join(cells)} {sweeps}", flush=True)


if __name__ == "__main__":
    main()
