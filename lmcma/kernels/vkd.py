"""Kernels of VkD-CMA: updates of C = D (I + V^T diag(S) V) D, block by block.

A candidate is mean + sigma D (z + V^T q), q = (sqrt(1 + S) - 1) V z: `low_rank.emit`.  An update sees the old
directions, the selected steps and the path as the rows of one stack, in units of D; two passes over its columns
(`gather`, `renew`) do all there is to do, so that the stack is never in memory as a whole.  Rows of the stack, before
they are multiplied by `roots`:

    V (k);  selected steps z + V^T q (s);  points of the caller's own (t);  last step of the mean / D;  p_c / D
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from lmcma.kernels import noise as base
from lmcma.kernels.compile import free_kernel, kernel
from lmcma.kernels.linalg import accumulate, accumulate_transposed
from lmcma.kernels.noise import Noise
from lmcma.typing import FloatArray, IntArray

# noise; rows (s,) and Q (s, k) of the selected steps; V (k, n); foreign (t, n); D, step (n,)
Stack: TypeAlias = tuple[Noise, IntArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]

_TILE = 1024


@free_kernel
def length2(noise: Noise, n: int, row: int, begin: int, end: int) -> float:
    """The share of columns `begin` to `end` in the squared length of a base vector."""
    z, total = np.empty(min(n, _TILE)), 0.0
    for start in range(begin, end, _TILE):
        part = z[: min(_TILE, end - start)]
        base.block(noise, n, row, start, part)
        total += np.dot(part, part)
    return total


@kernel
def _fill(stack: Stack, start: int, W: FloatArray, scalars: FloatArray, ints: IntArray) -> None:
    """Write the columns from `start` on of all rows but the path's into W, (k + s + t + 2, width)."""
    noise, rows, Q, V, foreign, D, step = stack
    k, n = V.shape
    s, t, width = len(rows), foreign.shape[0], W.shape[1]
    for i in range(k):
        for j in range(width):
            W[i, j] = V[i, start + j]
    for i in range(s):
        base.block(noise, n, rows[i], start, W[k + i])
    if s > 0:
        accumulate(Q, V[:, start : start + width], 1.0, 1.0, W[k : k + s], scalars, ints)
    for i in range(t):
        for j in range(width):
            W[k + s + i, j] = foreign[i, start + j]
    for j in range(width):
        W[k + s + t, j] = step[start + j] / D[start + j]


@free_kernel
def gather(
    stack: Stack,
    shares: FloatArray,
    roots: FloatArray,
    sigma: float,
    keep: float,
    gain: float,
    mean: FloatArray,
    p_c: FloatArray,
    delta: FloatArray,
    U: FloatArray,
    begin: int,
    end: int,
) -> tuple[FloatArray, float]:
    """Move the mean and the path in columns `begin` to `end`; the share of these in U U^T, U = diag(roots) W.

    shares : (r,), of the rows of the stack in the step of the mean, delta = D (shares . W); roots : (r,);
    U : (r, n), gets the stack in place of its products, or (0, n).
    The number returned bounds the means there, NaN where one is not finite.
    """
    D, k = stack[5], stack[3].shape[0]
    n, r = len(D), len(roots)
    whole = len(U) > 0
    tile, G = np.empty((r, min(n, _TILE))), np.zeros((0, 0) if whole else (r, r))
    scalars, ints = np.empty(2), np.empty(8, dtype=np.int32)
    reach, total = 0.0, 0.0
    for start in range(begin, end, _TILE):
        stop = min(start + _TILE, end)
        W = tile[:, : stop - start]
        _fill(stack, start, W, scalars, ints)
        y, p, d, scale = mean[start:stop], p_c[start:stop], delta[start:stop], D[start:stop]
        d[:] = 0.0
        for i in range(k, r - 1):
            share = shares[i]
            if share != 0.0:
                for j in range(len(d)):
                    d[j] += share * W[i, j]
        for j in range(len(d)):
            d[j] *= scale[j]
            y[j] += sigma * d[j]
            p[j] = keep * p[j] + gain * d[j]
            W[r - 1, j] = p[j] / scale[j]
            reach = max(reach, abs(y[j]))
            total += y[j] * 0.0
        for i in range(r):
            W[i] *= roots[i]
        if whole:
            U[:, start:stop] = W
        else:
            accumulate_transposed(W, W, 1.0, G, scalars, ints)
    return G, reach + total


@free_kernel
def renew(
    stack: Stack,
    roots: FloatArray,
    alpha2: float,
    S: FloatArray,
    T: FloatArray,
    S_new: FloatArray,
    p_c: FloatArray,
    delta: FloatArray,
    V: FloatArray,
    D: FloatArray,
    begin: int,
    end: int,
) -> tuple[FloatArray, FloatArray]:
    """Put the new directions T U in the place of the old ones, and D such that the diagonal is that of the full update.

    S : (k,); T : (k_new, r); S_new : (k_new,); V : (>= k_new, n); D : (n,), also in the stack.

    Returns four numbers, the sum of log D, the least and the largest log of the factor of a diagonal entry, g . g for
    g = delta / D, and the scalar products V g, (k_new,).
    """
    k, k_new, n, r = len(S), len(S_new), len(D), len(roots)
    tile, fresh = np.empty((r, min(n, _TILE))), np.empty((k_new, min(n, _TILE)))
    scalars, ints = np.empty(2), np.empty(8, dtype=np.int32)
    found, inner = np.array([0.0, np.inf, -np.inf, 0.0]), np.zeros(k_new)
    before, total, after, g = np.empty(_TILE), np.empty(_TILE), np.empty(_TILE), np.empty(_TILE)
    for start in range(begin, end, _TILE):
        stop = min(start + _TILE, end)
        width = stop - start
        W, now = tile[:, :width], fresh[:, :width]
        _fill(stack, start, W, scalars, ints)
        for j in range(width):
            W[r - 1, j] = p_c[start + j] / D[start + j]
            before[j] = after[j] = 1.0
            total[j] = alpha2
        for i in range(k):
            for j in range(width):
                before[j] += S[i] * (W[i, j] * W[i, j])
        for i in range(r):
            for j in range(width):
                W[i, j] *= roots[i]
                total[j] += W[i, j] * W[i, j]
        accumulate(T, W, 1.0, 0.0, now, scalars, ints)
        for i in range(k_new):
            for j in range(width):
                V[i, start + j] = now[i, j]
                after[j] += S_new[i] * (now[i, j] * now[i, j])
        for j in range(width):
            change = np.log(total[j] / before[j])
            found[1], found[2] = min(found[1], change), max(found[2], change)
            D[start + j] *= np.sqrt(total[j] / after[j])
            found[0] += np.log(D[start + j])
            g[j] = delta[start + j] / D[start + j]
            found[3] += g[j] * g[j]
        for i in range(k_new):
            for j in range(width):
                inner[i] += now[i, j] * g[j]
    return found, inner
