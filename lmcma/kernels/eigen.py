"""Eigenvectors of a symmetric matrix, by the solver that is cheapest for its size.

Up to `QL_UP_TO` variables: reduction to tridiagonal form by reflections, then QL with implicit shifts, in loops along
contiguous rows.  Beyond, LAPACK's divide and conquer; `benchmarks/eigensolvers.py` compares them.

References
----------
B. N. Parlett. The Symmetric Eigenvalue Problem. SIAM, 1998, chapters 7 and 8.
"""

from __future__ import annotations

import math

import numpy as np

from lmcma.kernels.compile import kernel
from lmcma.kernels.linalg import syevd
from lmcma.typing import FloatArray, IntArray

QL_UP_TO = 80
_MAX_SWEEPS = 60  # for each eigenvalue, on average; two are usual
_EPS = float(np.finfo(np.float64).eps)


@kernel
def eigh(a: FloatArray, w: FloatArray, work: FloatArray, ints: IntArray) -> int:
    """Eigenvalues (ascending) of the symmetric `a` into `w`; its eigenvectors replace `a`, one a row. 0 on success.

    a : (n, n), of which the lower triangle counts; w : (n,); work, ints : scratch, sizes as by
    `linalg.eigh_workspace`.
    """
    if a.shape[0] > QL_UP_TO:
        return syevd(a, w, work, ints)
    return by_ql(a, w, work)


@kernel
def by_ql(a: FloatArray, w: FloatArray, work: FloatArray) -> int:
    """As `eigh`, for any size; work : (>= n^2 + 4n,)."""
    n = a.shape[0]
    q = work[: n * n].reshape((n, n))
    d, e, p, beta = work[n * n :], work[n * n + n :], work[n * n + 2 * n :], work[n * n + 3 * n :]
    largest = 0.0
    for i in range(n):
        for j in range(i + 1):
            a[j, i] = a[i, j]
            largest = max(largest, abs(a[i, j]))
    scale = 1.0  # squares of the entries have to be numbers
    if largest > 1e100 or 0.0 < largest < 1e-100:
        scale = largest
        for i in range(n):
            for j in range(n):
                a[i, j] /= scale
    _tridiagonalise(a, q, d, e, beta, p)
    for i in range(n):
        for j in range(n):
            a[i, j] = q[j, i]
    if _ql(d[:n], e[:n], a) != 0:
        return 1
    for i in range(n):
        place = 0  # in ascending order
        for j in range(n):
            if d[j] < d[i] or (d[j] == d[i] and j < i):
                place += 1
        w[place] = d[i] * scale
        for j in range(n):
            q[place, j] = a[i, j]
    for i in range(n):
        for j in range(n):
            a[i, j] = q[i, j]
    return 0


@kernel
def _tridiagonalise(
    a: FloatArray, q: FloatArray, d: FloatArray, e: FloatArray, beta: FloatArray, scratch: FloatArray
) -> None:
    """``a = q T q^T`` with T tridiagonal: `d` on its diagonal, `e` below.

    a, q : (n, n), `a` is full and overwritten by the vectors of the reflections I - beta v v^T; d, e, beta,
    scratch : (>= n,).
    """
    n = a.shape[0]
    for k in range(n - 2):
        v = a[k, k + 1 :]
        m = n - k - 1
        rest = 0.0
        for j in range(1, m):
            rest += v[j] * v[j]
        d[k] = a[k, k]
        beta[k] = 0.0
        e[k] = v[0]
        if rest == 0.0:
            continue
        norm = math.sqrt(v[0] * v[0] + rest)
        b = 1.0 / (norm * (norm + abs(v[0])))
        e[k] = -norm if v[0] > 0 else norm
        v[0] -= e[k]
        beta[k] = b
        # A <- (I - b v v^T) A (I - b v v^T) = A - v p^T - p v^T
        p = scratch[:m]
        for i in range(m):
            p[i] = 0.0
        for j in range(m):
            factor, row = b * v[j], a[k + 1 + j, k + 1 :]
            for i in range(m):
                p[i] += factor * row[i]
        along = 0.0
        for i in range(m):
            along += p[i] * v[i]
        along *= 0.5 * b
        for i in range(m):
            p[i] -= along * v[i]
        for j in range(m):
            v_j, p_j, row = v[j], p[j], a[k + 1 + j, k + 1 :]
            for i in range(m):
                row[i] -= v_j * p[i] + p_j * v[i]
    if n > 1:
        d[n - 2], e[n - 2] = a[n - 2, n - 2], a[n - 1, n - 2]
    d[n - 1], e[n - 1] = a[n - 1, n - 1], 0.0

    # the product of the reflections, from the last one, which touches least, to the first
    for i in range(n):
        for j in range(n):
            q[i, j] = 0.0
        q[i, i] = 1.0
    for k in range(n - 3, -1, -1):
        if beta[k] == 0.0:
            continue
        v = a[k, k + 1 :]
        m = n - k - 1
        p = scratch[:m]
        for j in range(m):
            p[j] = 0.0
        for i in range(m):
            v_i, row = v[i], q[k + 1 + i, k + 1 :]
            for j in range(m):
                p[j] += v_i * row[j]
        for i in range(m):
            factor, row = beta[k] * v[i], q[k + 1 + i, k + 1 :]
            for j in range(m):
                row[j] -= factor * p[j]


@kernel
def _ql(d: FloatArray, e: FloatArray, rows: FloatArray) -> int:
    """Diagonalise the tridiagonal matrix of `d` and `e`; its rotations are applied to `rows`. 0 on success.

    d : (n,), becomes the eigenvalues; e : (n,), destroyed; rows : (n, n).
    """
    n = len(d)
    left = _MAX_SWEEPS * n
    for first in range(n):
        while True:
            last = first  # the block first ... last hangs together
            while last < n - 1 and abs(e[last]) > _EPS * (abs(d[last]) + abs(d[last + 1])):
                last += 1
            if last == first:
                break
            if left == 0:
                return 1
            left -= 1
            # shift by the eigenvalue of the leading 2 x 2 block that is nearer to d[first]
            half = (d[first + 1] - d[first]) / (2.0 * e[first])
            root = math.sqrt(half * half + 1.0)
            g = d[last] - d[first] + e[first] / (half + (root if half >= 0 else -root))
            c, s, shift = 1.0, 1.0, 0.0
            for i in range(last - 1, first - 1, -1):
                f, b = s * e[i], c * e[i]
                r = math.sqrt(f * f + g * g)
                e[i + 1] = r
                if r == 0.0:  # the block has come apart
                    d[i + 1] -= shift
                    e[last] = 0.0
                    break
                inverse = 1.0 / r
                s, c = f * inverse, g * inverse
                g = d[i + 1] - shift
                r = (d[i] - g) * s + 2.0 * c * b
                shift = s * r
                d[i + 1] = g + shift
                g = c * r - b
                low, high = rows[i], rows[i + 1]
                for k in range(n):
                    x, y = low[k], high[k]
                    high[k] = s * x + c * y
                    low[k] = c * x - s * y
            else:
                d[first] -= shift
                e[first] = g
                e[last] = 0.0
    return 0
