"""What other learning rates would have made of the last update of CMA-ES, judged by the points that came after it."""

from __future__ import annotations

import math

from lmcma.kernels.compile import kernel
from lmcma.kernels.ranking import rank
from lmcma.typing import FloatArray, IntArray


@kernel
def replay(
    u: FloatArray,
    largest: float,
    C: FloatArray,
    M: FloatArray,
    p_c: FloatArray,
    y_w: FloatArray,
    h: float,
    mueff: float,
    y: FloatArray,
    f: FloatArray,
    weights: FloatArray,
    mu: int,
    root: FloatArray,
    path: FloatArray,
    solved: FloatArray,
    distance: FloatArray,
    order: IntArray,
    scores: FloatArray,
) -> None:
    """Write into `scores` how badly each row of `u` ranks the points `y`; the best possible makes the best the closest.

    u : (k, 3), (c_1, c_mu, c_c) / `largest`, feasible in the unit cube with c_1 + c_mu <= `largest`; C, M : (n, n),
    lower triangles of the matrix before its last update and of that update's sum of w_i y_i y_i^T; p_c, y_w : (n,),
    path before the update and its mean step; h : whether the path took it; y, f : (popsize, n), (popsize,), steps of
    the generation after the update and their values; weights : (popsize,) by rank, `mu` of them positive.
    Scratch: root (n, n), path (n,), solved (n, popsize), distance (popsize,), order (3 popsize,).

    A score is the weighted mean rank, by Mahalanobis distance under the replayed matrix, of the points ranked by f.
    Infeasible rows get 10 popsize (1 + violation), a matrix that is not positive definite 10 popsize.
    """
    popsize, n = y.shape
    by_value, by_distance, work = order[:popsize], order[popsize : 2 * popsize], order[2 * popsize :]
    rank(f, by_value, work)
    for candidate in range(len(scores)):
        violation = max(0.0, u[candidate, 0] + u[candidate, 1] - 1)
        for i in range(3):
            violation += max(0.0, -u[candidate, i]) + max(0.0, u[candidate, i] - 1)
        scores[candidate] = 10.0 * popsize * (1 + violation)
        if violation > 0:
            continue
        c_1, c_mu, c_c = largest * u[candidate, 0], largest * u[candidate, 1], largest * u[candidate, 2]
        norm = h * math.sqrt(c_c * (2 - c_c) * mueff)
        decay = 1 - c_1 - c_mu + c_1 * (1 - h) * c_c * (2 - c_c)
        for i in range(n):
            path[i] = (1 - c_c) * p_c[i] + norm * y_w[i]
            for j in range(i + 1):
                root[i, j] = decay * C[i, j] + c_1 * path[i] * path[j] + c_mu * M[i, j]
        if not _mahalanobis(root, y, solved, distance):
            continue
        rank(distance, by_distance, work)
        for r in range(popsize):
            work[by_distance[r]] = r + 1
        score = 0.0
        for r in range(mu):
            score += weights[r] * work[by_value[r]]
        scores[candidate] = score


@kernel
def _mahalanobis(root: FloatArray, y: FloatArray, solved: FloatArray, distance: FloatArray) -> bool:
    """Write ``y_k^T A^-1 y_k`` into `distance`; False where A is not positive definite.

    root : (n, n), lower triangle of A, replaced by its Cholesky factor; y : (k, n); solved : (n, k) scratch.
    """
    k, n = y.shape
    for i in range(n):
        row = root[i]
        for j in range(i):
            other, total = root[j], row[j]
            for m in range(j):
                total -= row[m] * other[m]
            row[j] = total / other[j]
        total = row[i]
        for m in range(i):
            total -= row[m] * row[m]
        if not total > 0:
            return False
        row[i] = math.sqrt(total)
    for p in range(k):
        distance[p] = 0.0
    for i in range(n):
        row, x = root[i], solved[i]
        for p in range(k):
            x[p] = y[p, i]
        for j in range(i):
            a, other = row[j], solved[j]
            for p in range(k):
                x[p] -= a * other[p]
        a = 1 / row[i]
        for p in range(k):
            x[p] *= a
            distance[p] += x[p] * x[p]
    return True
