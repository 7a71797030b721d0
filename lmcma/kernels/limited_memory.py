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

from lmcma.kernels.compile import kernel
from lmcma.kernels.low_rank import add_rows
from lmcma.kernels.noise import Noise, block
from lmcma.kernels.ranking import rank
from lmcma.typing import FloatArray, IntArray

_TILE = 2048  # columns worked on at a time, so that a step stays in the first-level cache


@kernel
def prepare(
    noise: Noise,
    V: FloatArray,
    b: FloatArray,
    k: int,
    used: IntArray,
    c_1: float,
    Q: FloatArray,
    alpha: FloatArray,
) -> None:
    """Write the weights of stored paths and of the base vector in each step into `Q` and `alpha`.

    Base vector l uses the newest used[l] of k paths: q_t = a^(k - t) b_t (v_t . z) for them, 0 for the others, and
    alpha_l = a^used[l].  V : (m, n); b : (m,); used, alpha : (bases,); Q : (bases, m).
    """
    n = V.shape[1]
    a = math.sqrt(1 - c_1)
    z = np.empty(min(n, _TILE))
    Q[:] = 0.0
    for start in range(0, n, _TILE):
        end = min(start + _TILE, n)
        part = z[: end - start]
        for base in range(len(used)):
            if used[base] > 0:
                block(noise, n, base, start, part)
                q = Q[base]
                for t in range(k - used[base], k):
                    q[t] += np.dot(V[t, start:end], part)
    for base in range(len(used)):
        q, factor = Q[base], 1.0
        for back in range(used[base]):
            t = k - 1 - back
            q[t] *= factor * b[t]
            factor *= a
        alpha[base] = factor


@kernel
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
) -> None:
    """Write candidates `first`, `first` + 1, ... into the rows of `out`: mean +- sigma times the step of a base vector.

    mean : (n,); alpha, used : (bases,), Q : (bases, m) as of `prepare`; P : (m, n); twins : 1 or 2, candidates of a
    base vector.
    """
    n = len(mean)
    step = np.empty(min(n, _TILE))
    last = first + out.shape[0]
    for start in range(0, n, _TILE):
        end = min(start + _TILE, n)
        width = end - start
        part, y = step[:width], mean[start:end]
        for base in range(first // twins, (last + twins - 1) // twins):
            block(noise, n, base, start, part)
            weight = alpha[base]
            for j in range(width):
                part[j] *= weight
            oldest = k - used[base]
            add_rows(P, oldest, Q[base, oldest:k], start, part)
            for twin in range(twins):
                row = base * twins + twin - first
                if 0 <= row < out.shape[0]:
                    scale = sigma if twin == 0 else -sigma
                    x = out[row, start:end]
                    for j in range(width):
                        x[j] = y[j] + scale * part[j]


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
def refresh(P: FloatArray, V: FloatArray, b: FloatArray, d: FloatArray, first: int, k: int, c_1: float) -> None:
    """Recompute v, b, d of rows `first` to k - 1; each depends on all rows before it."""
    a = math.sqrt(1 - c_1)
    for t in range(first, k):
        v = V[t]
        v[:] = P[t]
        inverse_times(v, V, d, t, c_1)
        s = math.sqrt(1 + c_1 * np.dot(v, v) / (1 - c_1))
        b[t] = c_1 / (a * (1 + s))
        d[t] = c_1 / (a**3 * s * (1 + s))


@kernel
def inverse_times(x: FloatArray, V: FloatArray, d: FloatArray, k: int, c_1: float) -> None:
    """Replace `x` by A_k^{-1} x; each dot product takes the running x."""
    a = math.sqrt(1 - c_1)
    for t in range(k):
        v = V[t]
        weight = d[t] * np.dot(v, x)
        for j in range(len(x)):
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


def replaced(ages: IntArray, k: int, target: int) -> int:
    """Which of k = m stored paths makes room for a new one, by the generations `ages` at which they were stored.

    The younger of the closest pair while its gap is below `target`, else the oldest; 0-based.
    """
    gaps = np.diff(ages[:k])
    j = int(np.argmin(gaps)) if k > 1 else 0
    return j + 1 if k > 1 and gaps[j] < target else 0


@kernel
def drop_row(P: FloatArray, V: FloatArray, b: FloatArray, d: FloatArray, ages: IntArray, q: int, k: int) -> None:
    """Remove row q of k, the later ones move up."""
    for t in range(q, k - 1):
        P[t] = P[t + 1]
        V[t] = V[t + 1]
        b[t], d[t], ages[t] = b[t + 1], d[t + 1], ages[t + 1]
