"""Kernels of LM-CMA: a covariance factor kept as m pairs of vectors, never as a matrix.

With C_0 = I and C_t = (1 - c_1) C_{t-1} + c_1 p_t p_t^T, a factor A_t (A_t A_t^T = C_t) and its inverse are
(a = sqrt(1 - c_1), v_t = A_{t-1}^{-1} p_t)

    A_t      = a A_{t-1} + b_t p_t v_t^T                         b_t = c_1 / (a (1 + s_t))
    A_t^{-1} = A_{t-1}^{-1} / a - d_t v_t (v_t^T A_{t-1}^{-1})   d_t = c_1 / (a^3 s_t (1 + s_t))

with s_t = sqrt(1 + c_1 ||v_t||^2 / (1 - c_1)): no cancellation, no division by ||v_t||.  Unrolled,
A_k z = a^k z + sum_t a^(k - t) b_t (v_t . z) p_t, where each dot product takes the original z.

Rows of `P` and `V` are in order of age, the oldest first.
"""

from __future__ import annotations

import math

import numpy as np

from lmcma.kernels.compile import free_kernel, kernel
from lmcma.kernels.low_rank import add_rows
from lmcma.kernels.noise import Noise, block
from lmcma.kernels.ranking import rank
from lmcma.kernels.stream import STREAM_FROM, add_scaled
from lmcma.typing import FloatArray, IntArray

_LANES = 32
_TILE = 2048  # columns worked on at a time, so that a step stays in the first-level cache

# of digits, by which scalar products of paths may be worse than the paths themselves
LARGEST_LOSS = 1e8
LARGEST_LOSS_FLOAT32 = 1e4


@free_kernel
def project_newest(noise: Noise, V: FloatArray, k: int, used: IntArray, begin: int, end: int) -> FloatArray:
    """The share of columns `begin` to `end` in v_t . z, (bases, m), for the newest used[l] of k rows, 0 for others.

    V : (m, n), float64 or float32; used : (bases,).
    """
    m, n = V.shape
    z, U = np.empty(min(n, _TILE), dtype=V.dtype), np.zeros((len(used), m))
    for start in range(begin, end, _TILE):
        stop = min(start + _TILE, end)
        part = z[: stop - start]
        for base in range(len(used)):
            if used[base] > 0:
                block(noise, n, base, start, part)
                for t in range(k - used[base], k):
                    U[base, t] += np.dot(V[t, start:stop], part)
    return U


@kernel
def weigh_newest(
    U: FloatArray, b: FloatArray, k: int, used: IntArray, c_1: float, Q: FloatArray, alpha: FloatArray
) -> None:
    """Write the weights of stored paths and of the base vector in each step into `Q` and `alpha`.

    Base vector l uses the newest used[l] of k paths: q_t = a^(k - t) b_t (v_t . z) for them, 0 for the others, and
    alpha_l = a^used[l].  U, Q : (bases, m); b : (m,); used, alpha : (bases,).
    """
    a = math.sqrt(1 - c_1)
    Q[:] = U
    for base in range(len(used)):
        q, factor = Q[base], 1.0
        for back in range(used[base]):
            t = k - 1 - back
            q[t] *= factor * b[t]
            factor *= a
        alpha[base] = factor


@kernel
def weigh(U: FloatArray, b: FloatArray, c_1: float, Q: FloatArray, alpha: FloatArray) -> None:
    """`weigh_newest` where all paths are in use, from the scalar products U = Z V^T, (bases, k), of contiguous rows."""
    k = U.shape[1]
    a = math.sqrt(1 - c_1)
    factor = 1.0
    for back in range(k):
        t = k - 1 - back
        for base in range(U.shape[0]):
            Q[base, t] = factor * b[t] * U[base, t]
        factor *= a
    alpha[:] = factor


@free_kernel
def write_candidates(
    noise: Noise,
    mean: FloatArray,
    sigma: float,
    alpha: FloatArray,
    Q: FloatArray,
    P: FloatArray,
    k: int,
    used: IntArray,
    twins: int,
    first: int,
    out: FloatArray,
    longest: FloatArray,
    begin: int,
    end: int,
) -> None:
    """Write columns `begin` to `end` of candidates `first`, ... into rows of `out`: mean +- sigma times a step.

    mean : (n,); alpha, used : (bases,), Q : (bases, m) as of `weigh_newest`; P : (m, n); twins : 1 or 2, candidates of
    a base vector; longest : (n,), gets the step of base vector 0, if that is one of them.
    """
    n = len(mean)
    step = np.empty(min(n, _TILE))
    buffer = np.empty(_TILE if n >= STREAM_FROM else 0)
    last = first + out.shape[0]
    for start in range(begin, end, _TILE):
        width = min(_TILE, end - start)
        part, y = step[:width], mean[start : start + width]
        for base in range(first // twins, (last + twins - 1) // twins):
            block(noise, n, base, start, part)
            weight = alpha[base]
            for j in range(width):
                part[j] *= weight
            oldest = k - used[base]
            add_rows(P, oldest, Q[base, oldest:k], start, part)
            if base == 0:
                longest[start : start + width] = part
            for twin in range(twins):
                row = base * twins + twin - first
                if 0 <= row < out.shape[0]:
                    scale = sigma if twin == 0 else -sigma
                    add_scaled(y, scale, part, out[row, start : start + width], buffer)


@kernel
def population_success(f: FloatArray, f_previous: FloatArray) -> float:
    """How much better a generation is than the one before, by ranks: in [-1, 1], 0 for equally good ones.

    Both are ranked together, this generation first on ties; the difference of the mean ranks over their size.
    """
    k = len(f)
    both = np.empty(2 * k)
    both[:k] = f
    both[k:] = f_previous
    order, work = np.empty(2 * k, dtype=np.int64), np.empty(2 * k, dtype=np.int64)
    rank(both, order, work)
    ahead = 0
    for place in range(2 * k):
        ahead += place if order[place] >= k else -place
    return ahead / k**2


@kernel
def companions(
    G: FloatArray, k: int, c_1: float, W: FloatArray, H: FloatArray, b: FloatArray, d: FloatArray, loss: FloatArray
) -> None:
    """The companions v_t = sum_j W_tj p_j of k paths from the scalar products of the paths alone, in O(k^3).

    Fills the leading parts of W (lower triangular), H = V V^T, b, d, and in `loss` by how much the terms of ||v_t||^2
    are larger than their sum, which is how errors of rounding grow.  G, W, H : (m, m), G = P P^T; b, d, loss : (m,).
    """
    a = math.sqrt(1 - c_1)
    K = np.empty((k, k))  # V P^T
    r, delta = np.empty(k), np.empty(k)
    phi = 1.0
    for t in range(k):
        for j in range(t):
            r[j] = K[j, t]
            for i in range(j):
                r[j] -= H[j, i] * r[i]
            r[j] *= delta[j]
        w, g = W[t], K[t]
        w[:k] = 0.0
        w[t] = phi
        for i in range(k):
            g[i] = phi * G[t, i]
        for j in range(t):
            weight = phi * r[j]
            for i in range(j + 1):
                w[i] -= weight * W[j, i]
            for i in range(k):
                g[i] -= weight * K[j, i]
        nu, size = 0.0, 0.0
        for i in range(t + 1):
            nu += w[i] * g[i]
            for j in range(t + 1):
                size += abs(w[i] * G[i, j] * w[j])
        if nu > 0.0 and np.isfinite(size):
            loss[t] = size / nu
        else:
            loss[t] = 1.0 if size == 0.0 else np.inf
        nu = max(nu, 0.0)
        for i in range(t):
            h = K[i, t]
            for j in range(t):
                h -= H[i, j] * r[j]
            H[t, i] = H[i, t] = phi * h
        H[t, t] = nu
        s = math.sqrt(1 + c_1 * nu / (1 - c_1))
        b[t] = c_1 / (a * (1 + s))
        d[t] = c_1 / (a**3 * s * (1 + s))
        delta[t] = a * d[t]
        phi /= a


@kernel
def recur(P: FloatArray, k: int, c_1: float, V: FloatArray, b: FloatArray, d: FloatArray) -> None:
    """Compute v_t, b, d of k paths by the recursion itself, for paths whose scalar products would lose digits.

    P, V : (m, n); b, d : (m,).
    """
    a = math.sqrt(1 - c_1)
    v = np.empty(P.shape[1])
    for t in range(k):
        v[:] = P[t]
        inverse_times(v, V, d, t, c_1)
        V[t] = v
        s = math.sqrt(1 + c_1 * np.dot(v, v) / (1 - c_1))
        b[t] = c_1 / (a * (1 + s))
        d[t] = c_1 / (a**3 * s * (1 + s))


@kernel
def dot_in_double(part: FloatArray, p: FloatArray) -> float:
    """The scalar product of `part`, of float32 or float64, with `p`, of float64, to the digits of the latter."""
    if part.itemsize == 8:
        return np.dot(part.view(np.float64), p)
    sums = np.zeros(_LANES)  # side by side, which processors do at a time
    whole = len(p) // _LANES * _LANES
    for first in range(0, whole, _LANES):
        for j in range(_LANES):
            sums[j] += part[first + j] * p[first + j]
    total = sums.sum()
    for j in range(whole, len(p)):
        total += part[j] * p[j]
    return total


@free_kernel
def products(P: FloatArray, k: int, row: int, begin: int, end: int) -> FloatArray:
    """The share of columns `begin` to `end` in the scalar products of path `row` with the k paths, (k,).

    Block by block of columns, in this order: the same numbers whenever the same paths are there.
    """
    found = np.zeros(k)
    wide = np.empty(min(P.shape[1], _TILE))
    for start in range(begin, end, _TILE):
        stop = min(start + _TILE, end)
        p = wide[: stop - start]
        p[:] = P[row, start:stop]
        for t in range(k):
            found[t] += dot_in_double(P[t, start:stop], p)
    return found


@free_kernel
def write_companions(P: FloatArray, W: FloatArray, first: int, last: int, V: FloatArray, begin: int, end: int) -> None:
    """Write columns `begin` to `end` of v_t = sum_j W_tj p_j into rows `first` to `last` of V."""
    sums = np.empty(min(P.shape[1], _TILE))
    for start in range(begin, end, _TILE):
        stop = min(start + _TILE, end)
        part = sums[: stop - start]
        for row in range(first, last):
            part[:] = 0.0
            add_rows(P, 0, W[row, : row + 1], start, part)
            V[row, start:stop] = part


@kernel
def inverse_times(x: FloatArray, V: FloatArray, d: FloatArray, k: int, c_1: float) -> None:
    """Replace `x` by A_k^{-1} x; each dot product takes the running x."""
    a = math.sqrt(1 - c_1)
    n = len(x)
    for t in range(k):
        product = 0.0
        for start in range(0, n, _TILE):
            stop = min(start + _TILE, n)
            product += dot_in_double(V[t, start:stop], x[start:stop])
        weight, v = d[t] * product, V[t]
        for j in range(n):
            x[j] = x[j] / a - weight * v[j]


@kernel
def factor_diagonal(P: FloatArray, k: int, c_1: float, out: FloatArray) -> None:
    """Write the diagonal of C_k for the first len(out) coordinates: a^(2k) + c_1 sum_t a^(2 (k - t)) p_t^2."""
    out[:] = (1 - c_1) ** k
    decay = c_1
    for back in range(k):
        p = P[k - 1 - back]
        for j in range(len(out)):
            out[j] += decay * p[j] * p[j]
        decay *= 1 - c_1


def axis_ratio(G: FloatArray, n: int, c_1: float) -> float:
    """The longest over the shortest axis of C_k in n dimensions, from the scalar products G = P P^T, (k, k)."""
    # C = a^2k I + R^T R: its largest eigenvalue from the small matrix R R^T
    k, a2 = len(G), 1 - c_1
    scales = np.sqrt(c_1 * a2 ** np.arange(k - 1, -1, -1.0))
    gram = np.linalg.eigvalsh(G * np.outer(scales, scales)) if k else np.zeros(1)
    low = a2**k + (max(float(gram[k - n]), 0.0) if k >= n else 0.0)
    return float(np.sqrt((a2**k + gram[-1]) / low))


def replaced(ages: IntArray, k: int, target: int) -> int:
    """Which of k = m stored paths makes room for a new one, by the generations `ages` at which they were stored.

    The younger of the closest pair while its gap is below `target`, else the oldest; 0-based.
    """
    gaps = np.diff(ages[:k])
    j = int(np.argmin(gaps)) if k > 1 else 0
    return j + 1 if k > 1 and gaps[j] < target else 0


@kernel
def drop_row(P: FloatArray, V: FloatArray, G: FloatArray, ages: IntArray, q: int, k: int) -> None:
    """Remove row q of k, the later ones move up; V may have no columns."""
    for t in range(q, k - 1):
        P[t] = P[t + 1]
        V[t] = V[t + 1]
        ages[t] = ages[t + 1]
        G[t, :k] = G[t + 1, :k]
    for t in range(q, k - 1):
        for i in range(k):
            G[i, t] = G[i, t + 1]
