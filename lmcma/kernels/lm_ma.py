"""Kernels of LM-MA-ES: the recursion over m direction vectors solved for the whole population at once.

With rows M_j, rates c_j, alpha = prod_j (1 - c_j), D_j = c_j / (1 - c_j) and G = M M^T, the recursion
d <- (1 - c_j) d + c_j (M_j . d) M_j, j = 1, ..., k, started at d = z, is

    d = alpha (z + M^T r),     r_j = D_j (M_j . z + sum_{i < j} G_ji r_i)
"""

from __future__ import annotations

import numpy as np

from lmcma.kernels import noise as base
from lmcma.kernels.compile import free_kernel, kernel
from lmcma.kernels.linalg import accumulate_transposed
from lmcma.kernels.low_rank import add_rows
from lmcma.kernels.noise import Noise
from lmcma.typing import FloatArray

_TILE = 1024


@kernel
def solve(U: FloatArray, G: FloatArray, rates: FloatArray, k: int, Q: FloatArray) -> float:
    """Write alpha r of every candidate into `Q`, 0 from column k on; alpha.

    U : (popsize, m), Z M^T; G : (m, m); rates : (m,); Q : (popsize, m).
    """
    alpha = 1.0
    for j in range(k):
        alpha *= 1 - rates[j]
    for row in range(U.shape[0]):
        q = Q[row]
        q[:] = 0.0
        for j in range(k):
            r = U[row, j]
            for i in range(j):
                r += G[j, i] * q[i]
            q[j] = rates[j] / (1 - rates[j]) * r
        for j in range(k):
            q[j] *= alpha
    return alpha


@kernel
def gram(M: FloatArray, G: FloatArray) -> None:
    """Write M M^T into G."""
    n = M.shape[1]
    scalars, ints = np.empty(2), np.empty(8, dtype=np.int32)
    G[:] = 0.0
    for start in range(0, n, _TILE):
        part = M[:, start : min(start + _TILE, n)]
        accumulate_transposed(part, part, 1.0, G, scalars, ints)


@kernel
def follow(G: FloatArray, h: FloatArray, keep: FloatArray, gain: FloatArray, norm2: float) -> None:
    """The scalar products after every M_i has become keep_i M_i + gain_i z, h = M z before, norm2 = z . z."""
    m = len(h)
    for i in range(m):
        for j in range(m):
            G[i, j] = (
                keep[i] * keep[j] * G[i, j]
                + keep[i] * h[i] * gain[j]
                + gain[i] * keep[j] * h[j]
                + gain[i] * gain[j] * norm2
            )


@free_kernel
def learn(
    noise: Noise,
    weights: FloatArray,
    foreign: FloatArray,
    alpha: float,
    coefficients: FloatArray,
    keep: FloatArray,
    gain: FloatArray,
    c_sigma: float,
    gain_sigma: float,
    sigma: float,
    M: FloatArray,
    p_sigma: FloatArray,
    mean: FloatArray,
    begin: int,
    end: int,
) -> tuple[float, float, float]:
    """Move the mean, the path of the step size and all direction vectors in columns `begin` to `end`.

    Block by block, so that M is read and written once.

    weights : (popsize,); foreign : (2, n), weighted sums of base vectors and of steps to add, or (2, 0);
    coefficients : (m,), weighted mean of the rows of Q.  Returns the share in z . z of the mean base vector and in
    p_sigma . p_sigma, and what bounds the numbers there, NaN where one is not finite.
    """
    m, n = M.shape
    z, zbar, dbar = np.empty(min(n, _TILE)), np.empty(min(n, _TILE)), np.empty(min(n, _TILE))
    norm2, length2, reach, total = 0.0, 0.0, 0.0, 0.0
    for start in range(begin, end, _TILE):
        stop = min(start + _TILE, end)
        width = stop - start
        zb, db, zs = zbar[:width], dbar[:width], z[:width]
        y, p = mean[start:stop], p_sigma[start:stop]
        zb[:] = 0.0
        for row in range(len(weights)):
            w = weights[row]
            if w != 0.0:
                base.block(noise, n, row, start, zs)
                for j in range(width):
                    zb[j] += w * zs[j]
        for j in range(width):
            db[j] = alpha * zb[j]
        add_rows(M, 0, coefficients, start, db)
        if foreign.shape[1]:
            zb += foreign[0, start:stop]
            db += foreign[1, start:stop]
        norm2 += np.dot(zb, zb)
        for j in range(width):
            y[j] += sigma * db[j]
            p[j] = (1 - c_sigma) * p[j] + gain_sigma * zb[j]
        length2 += np.dot(p, p)
        for j in range(width):
            reach = max(reach, abs(y[j]))
            total += y[j] * 0.0
        for i in range(m):
            row_i, a, b = M[i, start:stop], keep[i], gain[i]
            for j in range(width):
                row_i[j] = a * row_i[j] + b * zb[j]
    return norm2, length2, reach + total


@kernel
def diagonal(M: FloatArray, k: int, S: FloatArray, alpha: float, out: FloatArray) -> None:
    """Write the first len(out) diagonal entries of A A^T = alpha^2 (I + M^T S M), S : (k, k), over k rows of M."""
    column = np.empty(k)
    for j in range(len(out)):
        for i in range(k):
            column[i] = M[i, j]
        total = 1.0
        for i in range(k):
            inner = 0.0
            for h in range(k):
                inner += S[i, h] * column[h]
            total += column[i] * inner
        out[j] = alpha * alpha * max(total, 0.0)
