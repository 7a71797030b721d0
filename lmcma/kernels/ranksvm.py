"""Ranking by a support vector machine: a function whose order follows that of the training points.

Of N points, best first, only neighbours in rank are compared: N - 1 constraints F(z_i) - F(z_i+1) >= epsilon - xi_i, of
weight C_i = 10^C_base (N - 1 - i)^C_pow.  Their dual variables alpha go up from near the upper corner of the box by so
many steps of cyclic coordinate ascent; the early end is part of the method.  All is scaled by C_1, which changes no
ranking: alpha / C_1 in [0, 1] and epsilon / C_1.

With E = 1 - K, K = exp(-d^2 / (2 s^2)) and s a multiple of the mean distance, the matrix of the dual problem is
K'_ij = -(E_ij - E_i,j+1 - E_i+1,j + E_i+1,j+1), and the model sum_j beta_j E(z_j, z), beta_j = alpha_j - alpha_j-1: no
difference of numbers close to 1 is ever formed.

References
----------
I. Loshchilov, M. Schoenauer, M. Sebag. Self-adaptive surrogate-assisted CMA-ES. GECCO 2012.
"""

from __future__ import annotations

import math

import numpy as np

from lmcma.kernels.ascent import ascend
from lmcma.kernels.compile import free_kernel, kernel
from lmcma.kernels.ranking import rank
from lmcma.typing import BoolArray, FloatArray, IntArray

_START = 0.975  # of the upper bound: where each dual variable begins
_LEAST = 1e-30  # K'_ii of two points that are one
_FEW = 64  # values whose order is compared pair by pair

_LOG2_E, _LN2_HIGH, _LN2_LOW = 1.4426950408889634, 0.6931471803691238, 1.9082149292705877e-10
_HALVINGS = 2.0 ** -np.arange(1024.0)


@kernel
def falloff(t: float) -> float:
    """1 - exp(-t) for t >= 0, to the last digits; loops over it become vector code."""
    if not t <= 700.0:  # NaN, too: it would be a place outside of the table
        t = 700.0
    k = int(t * _LOG2_E + 0.5)
    x = (k * _LN2_HIGH - t) + k * _LN2_LOW  # -t = x - k ln 2
    p = 1 / 479001600.0 + x * (1 / 6227020800.0)
    p = 1 / 39916800.0 + x * p
    p = 1 / 3628800.0 + x * p
    p = 1 / 362880.0 + x * p
    p = 1 / 40320.0 + x * p
    p = 1 / 5040.0 + x * p
    p = 1 / 720.0 + x * p
    p = 1 / 120.0 + x * p
    p = 1 / 24.0 + x * p
    p = 1 / 6.0 + x * p
    p = 0.5 + x * p
    p = x * (1.0 + x * p)  # exp(x) - 1
    scale = _HALVINGS[k]
    return (1.0 - scale) - scale * p


@free_kernel
def squared_distances(a: FloatArray, b: FloatArray, out: FloatArray) -> None:
    """Write the squared distances of the columns of `a` from those of `b` into `out`.

    a : (n, k); b : (n, m); out : (k, m).
    """
    n, m = b.shape
    for i in range(a.shape[1]):
        row = out[i]
        row[:] = 0.0
        for d in range(0, n - 3, 4):
            x0, x1, x2, x3 = a[d, i], a[d + 1, i], a[d + 2, i], a[d + 3, i]
            b0, b1, b2, b3 = b[d], b[d + 1], b[d + 2], b[d + 3]
            for j in range(m):
                s0, s1, s2, s3 = x0 - b0[j], x1 - b1[j], x2 - b2[j], x3 - b3[j]
                row[j] += (s0 * s0 + s1 * s1) + (s2 * s2 + s3 * s3)
        for d in range(n // 4 * 4, n):
            x, line = a[d, i], b[d]
            for j in range(m):
                step = x - line[j]
                row[j] += step * step


@free_kernel
def mean_distance(D2: FloatArray, points: IntArray) -> float:
    """The mean over all pairs of some points, from the matrix of squared distances of all; 0 for fewer than two."""
    k = len(points)
    total = 0.0
    for i in range(1, k):
        row = D2[points[i]]
        for j in range(i):
            total += math.sqrt(row[points[j]])
    return total / (k * (k - 1) / 2) if k > 1 else 0.0


@free_kernel
def fit(
    D2: FloatArray,
    points: IntArray,
    tied: BoolArray,
    c_base: float,
    c_pow: float,
    c_sigma: float,
    sweeps: float,
    K: FloatArray,
    beta: FloatArray,
) -> float:
    """Train on some of the points whose squared distances are D2; what 2 s^2 is, 0 where there is no model.

    D2 : (m, m); points : (k,), best first; tied : (k,), whether a point's value is that of the next one; K : scratch, a
    `square` of at least (k, k), whose type, float64 or float32, is that of the ascent; beta : (>= k,), weights of the
    points in the model: `predict`.
    """
    k = len(points)
    width = 2 * (c_sigma * mean_distance(D2, points)) ** 2
    if k < 3 or not 0.0 < width < np.inf:
        return 0.0

    # K' from two rows of E at a time
    m = k - 1
    rows = np.empty((2, k))
    for i in range(k):
        row, before, source = rows[i % 2], rows[1 - i % 2], D2[points[i]]
        for j in range(k):
            row[j] = source[points[j]]
        for j in range(k):
            row[j] = falloff(row[j] / width)
        row[i] = 0.0
        if i > 0:
            target = K[i - 1]
            for j in range(m):
                target[j] = (before[j + 1] - before[j]) + (row[j] - row[j + 1])

    alpha, bound = np.empty(m), np.empty(m)
    most = 0.0
    for i in range(m):
        bound[i] = ((m - 1 - i) / (m - 1)) ** c_pow if m > 1 else 1.0
        if tied[i] or not K[i, i] > _LEAST:
            bound[i] = 0.0
        alpha[i] = _START * bound[i]
        most = max(most, alpha[i])
    if most == 0.0:
        return 0.0
    epsilon = 10.0**-c_base * (m - 1.0) ** -c_pow if m > 1 else 10.0**-c_base
    ascend(K, alpha, bound, epsilon, int(sweeps * k))

    total = 0.0
    for i in range(k):
        beta[i] = (alpha[i] if i < m else 0.0) - (alpha[i - 1] if i > 0 else 0.0)
        total += beta[i] * 0.0
    return width if total == 0.0 else 0.0


@free_kernel
def predict(points: FloatArray, beta: FloatArray, width: float, x: FloatArray, out: FloatArray) -> None:
    """Write the model's value at the columns of `x` into `out`: smaller is better, only the order means anything.

    points : (n, N); beta : (N,); x : (n, k); out : (k,).
    """
    N = points.shape[1]
    d2 = np.empty((1, N))
    for i in range(x.shape[1]):
        squared_distances(x[:, i : i + 1], points, d2)
        row = d2[0]
        for j in range(N):
            row[j] = falloff(row[j] / width)
        out[i] = np.dot(row, beta)


@free_kernel
def predict_from(D2: FloatArray, points: IntArray, beta: FloatArray, width: float, out: FloatArray) -> None:
    """`predict` from squared distances of the places from all points, (k, m), of which `points` are trained on."""
    row = np.empty(len(points))
    for i in range(D2.shape[0]):
        source = D2[i]
        for j in range(len(points)):
            row[j] = source[points[j]]
        for j in range(len(points)):
            row[j] = falloff(row[j] / width)
        total = 0.0
        for j in range(len(points)):
            total += row[j] * beta[j]
        out[i] = total


@free_kernel
def rank_error(f: FloatArray, model: FloatArray) -> float:
    """The share of pairs with different values that the model puts in the wrong order, equal model values half.

    NaN where there is no such pair; NaN in `f` takes no part, in `model` it counts as equal.  f, model : (k,).
    """
    if len(f) > _FEW and not np.isnan(f.sum() + model.sum()):
        return _rank_error_of_many(f, model)
    wrong, pairs = 0.0, 0
    for i in range(len(f)):
        for j in range(len(f)):
            if f[i] < f[j]:
                pairs += 1
                if model[i] > model[j]:
                    wrong += 1.0
                elif not model[i] < model[j]:
                    wrong += 0.5
    return wrong / pairs if pairs else np.nan


@kernel
def _rank_error_of_many(f: FloatArray, model: FloatArray) -> float:
    """`rank_error` in O(k log k), without NaN: in order of `f`, then of the model, inversions of the model."""
    k = len(f)
    first, second, scratch = np.empty(k, np.int64), np.empty(k, np.int64), np.empty(k, np.int64)
    rank(model, first, scratch)
    rank(f[first], second, scratch)
    order = first[second]
    a, b = model[order], np.empty(k)
    same_f = same_both = 0  # pairs with equal values; of these with equal model values
    run_f = run_both = 0
    for i in range(1, k):
        run_f = run_f + 1 if f[order[i]] == f[order[i - 1]] else 0
        run_both = run_both + 1 if run_f > 0 and a[i] == a[i - 1] else 0
        same_f += run_f
        same_both += run_both
    wrong = 0
    width = 1
    while width < k:  # merge sort, from the bottom up
        for low in range(0, k, 2 * width):
            middle, high = min(low + width, k), min(low + 2 * width, k)
            i, j = low, middle
            for place in range(low, high):
                if j == high or (i < middle and a[i] <= a[j]):
                    b[place] = a[i]
                    i += 1
                else:
                    b[place] = a[j]
                    j += 1
                    wrong += middle - i
        a, b = b, a
        width *= 2
    same_model = run = 0
    for i in range(1, k):
        run = run + 1 if a[i] == a[i - 1] else 0
        same_model += run
    pairs = k * (k - 1) // 2 - same_f
    return (wrong + 0.5 * (same_model - same_both)) / pairs if pairs else np.nan
