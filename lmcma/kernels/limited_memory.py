"""Kernels of LM-CMA: a covariance factor kept as m pairs of vectors, never as a matrix.

With C_0 = I and C_t = (1 - c_1) C_{t-1} + c_1 p_t p_t^T, a factor A_t (A_t A_t^T = C_t) and its inverse are
(a = sqrt(1 - c_1), v_t = A_{t-1}^{-1} p_t)

    A_t      = a A_{t-1} + b_t p_t v_t^T                         b_t = c_1 / (a (1 + s_t))
    A_t^{-1} = A_{t-1}^{-1} / a - d_t v_t (v_t^T A_{t-1}^{-1})   d_t = c_1 / (a^3 s_t (1 + s_t))

with s_t = sqrt(1 + c_1 ||v_t||^2 / (1 - c_1)): no cancellation, no division by ||v_t||.  Unrolled,
A_k z = a^k z + sum_t a^(k - t) b_t (v_t . z) p_t, where each dot product takes the original z.

Rows of `P` and `V` are in order of age, the oldest first.  Base vectors z are rows of `gauss`, or, where that has no
columns, signs +1 and -1 packed into the words of `signs`.
"""

from __future__ import annotations

import math

import numpy as np

from lmcma.kernels.compile import kernel
from lmcma.typing import FloatArray, IntArray

_TILE = 2048  # columns worked on at a time, so that a step stays in the first-level cache


@kernel
def base_vector(signs: IntArray, gauss: FloatArray, row: int, z: FloatArray) -> None:
    """Write base vector `row` into z, (n,)."""
    n = len(z)
    if gauss.shape[1]:
        z[:] = gauss[row]
        return
    words = signs[row]
    for w in range(n // 64):
        bits = words[w]
        part = z[64 * w : 64 * w + 64]
        for j in range(64):
            part[j] = 1.0 - 2.0 * ((bits >> np.uint64(j)) & np.uint64(1))
    for j in range(64 * (n // 64), n):
        z[j] = 1.0 - 2.0 * ((words[j // 64] >> np.uint64(j % 64)) & np.uint64(1))


@kernel
def coefficients(z: FloatArray, V: FloatArray, b: FloatArray, k: int, used: int, c_1: float, q: FloatArray) -> float:
    """Write the weight of p_t, a^(k - t) b_t (v_t . z), into q[t] for the newest `used` of k rows, 0 elsewhere.

    Returns the weight of z itself, a^used.
    """
    a = math.sqrt(1 - c_1)
    q[:] = 0.0
    factor = 1.0
    for back in range(used):
        t = k - 1 - back
        q[t] = factor * b[t] * np.dot(V[t], z)
        factor *= a
    return factor


@kernel
def write_candidates(
    mean: FloatArray,
    sigma: float,
    signs: IntArray,
    gauss: FloatArray,
    mirrored: bool,
    P: FloatArray,
    V: FloatArray,
    b: FloatArray,
    k: int,
    used: IntArray,
    c_1: float,
    z: FloatArray,
    Q: FloatArray,
    alpha: FloatArray,
    first: int,
    out: FloatArray,
) -> None:
    """Write candidates `first`, `first` + 1, ... into the rows of `out`: mean +- sigma times the step of a base vector.

    mean, z : (n,), z scratch; P, V : (m, n); b : (m,); used : (bases,) rows each base vector uses, the newest ones;
    Q : (bases, m) and alpha : (bases,), overwritten with the weights of stored paths and base vector in each step.
    A base vector serves candidates 2l and 2l + 1 where `mirrored`, else candidate l.
    """
    n = len(mean)
    step = np.empty(_TILE)
    twins = 2 if mirrored else 1
    last = first + out.shape[0]
    for base in range(first // twins, (last + twins - 1) // twins):
        base_vector(signs, gauss, base, z)
        q = Q[base]
        alpha[base] = coefficients(z, V, b, k, used[base], c_1, q)
        for start in range(0, n, _TILE):
            end = min(start + _TILE, n)
            width = end - start
            part, y = step[:width], mean[start:end]
            part[:] = alpha[base] * z[start:end]
            for t in range(k - used[base], k):
                weight, p = q[t], P[t, start:end]
                for j in range(width):
                    part[j] += weight * p[j]
            for twin in range(twins):
                row = base * twins + twin - first
                if 0 <= row < out.shape[0]:
                    scale = sigma if twin == 0 else -sigma
                    x = out[row, start:end]
                    for j in range(width):
                        x[j] = y[j] + scale * part[j]


@kernel
def mean_step(
    signs: IntArray,
    gauss: FloatArray,
    weights: FloatArray,
    Q: FloatArray,
    alpha: FloatArray,
    P: FloatArray,
    z: FloatArray,
    out: FloatArray,
) -> None:
    """Write the weighted sum of steps into `out`: sum_l w_l alpha_l z_l + (w^T Q) P.

    weights : (bases,), a mirrored twin counted with a minus sign.  From coefficients, not from differences of
    candidates, which lose all digits when sigma is small against the mean.
    """
    out[:] = 0.0
    for base in range(len(weights)):
        w = weights[base] * alpha[base]
        if w != 0.0:
            base_vector(signs, gauss, base, z)
            for j in range(len(out)):
                out[j] += w * z[j]
    for t in range(P.shape[0]):
        w = 0.0
        for base in range(len(weights)):
            w += weights[base] * Q[base, t]
        if w != 0.0:
            p = P[t]
            for j in range(len(out)):
                out[j] += w * p[j]


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
