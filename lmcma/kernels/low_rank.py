"""Populations of the form mean + sigma D (alpha z + Q P) for a few long rows P, all candidates at once; often D = 1.

Three passes over blocks of columns that stay in the second-level cache: `project` gives the scalar products U = Z P^T
from which a strategy makes the coefficients Q; `emit` writes the candidates; `combine` makes the weighted mean of steps
from coefficients, not from differences of candidates, which lose all digits where sigma is small against the mean.
Base vectors Z are made anew in each pass (`noise`).  A base vector serves `twins` candidates: one, or two that mirror
each other.
"""

from __future__ import annotations

import numpy as np

from lmcma.kernels import noise as base
from lmcma.kernels.compile import free_kernel, kernel
from lmcma.kernels.linalg import accumulate, accumulate_transposed
from lmcma.kernels.noise import Noise
from lmcma.kernels.stream import STREAM_FROM, add_scaled
from lmcma.typing import FloatArray

_TILE = 1024
_GROUP = 16  # base vectors in a product,
_FEWEST = 4  # and a divisor of how many are in the last one

NO_SCALES = np.empty(0)


@free_kernel
def project(noise: Noise, bases: int, P: FloatArray, kept: FloatArray, begin: int, end: int) -> FloatArray:
    """The share of columns `begin` to `end` in Z P^T, (bases, k).

    P : (k, n), float64 or float32, in which products are computed, too; kept : (bases, n) of the same type, gets the
    base vectors Z, or (bases, 0).
    """
    k, n = P.shape
    keep = kept.shape[1] == n
    buffer = np.empty((bases, 0 if keep else min(n, _TILE)), dtype=P.dtype)
    U, part = np.zeros((bases, k)), np.empty((bases, k), dtype=P.dtype)
    scalars, ints = np.empty(2, dtype=P.dtype), np.empty(8, dtype=np.int32)
    for start in range(begin, end, _TILE):
        width = min(_TILE, end - start)
        Z = kept[:, start : start + width] if keep else buffer[:, :width]
        for row in range(bases):
            base.block(noise, n, row, start, Z[row])
        accumulate_transposed(Z, P[:, start : start + width], 0.0, part, scalars, ints)
        U += part
    return U


@free_kernel
def emit(
    noise: Noise,
    mean: FloatArray,
    sigma: float,
    alpha: float,
    Q: FloatArray,
    P: FloatArray,
    scales: FloatArray,
    twins: int,
    first: int,
    out: FloatArray,
    begin: int,
    end: int,
) -> None:
    """Write columns `begin` to `end` of candidates `first`, `first` + 1, ... into the rows of `out`.

    mean : (n,); Q : (bases, k); P : (k, n), float64 or float32, in which steps are computed, too; scales : (n,), of the
    coordinates of steps, or `NO_SCALES`; twins : 1 or 2, candidates of a base vector.
    """
    n, k = len(mean), P.shape[0]
    low = first // twins // _GROUP * _GROUP
    high = (first + out.shape[0] + twins - 1) // twins
    # products of one shape whichever rows are wanted, since the last bits depend on it
    rounded = (len(Q) + _FEWEST - 1) // _FEWEST * _FEWEST
    weights = np.zeros((min((high - low + _GROUP - 1) // _GROUP * _GROUP, rounded - low), k), dtype=P.dtype)
    weights[: min(len(weights), len(Q) - low)] = Q[low : low + len(weights)]
    Z = np.zeros((_GROUP, min(n, _TILE)), dtype=P.dtype)
    scalars, ints = np.empty(2, dtype=P.dtype), np.empty(8, dtype=np.int32)
    buffer = np.empty(_TILE if n >= STREAM_FROM else 0)
    for start in range(begin, end, _TILE):
        width = min(_TILE, end - start)
        y = mean[start : start + width]
        for group in range(low, high, _GROUP):
            rows = weights[group - low : group - low + _GROUP]
            for row in range(group, min(group + _GROUP, len(Q))):
                base.block(noise, n, row, start, Z[row - group, :width])
            scale = sigma
            if k > 0:
                accumulate(rows, P[:, start : start + width], 1.0, alpha, Z[: len(rows), :width], scalars, ints)
            else:
                scale *= alpha
            if len(scales):
                for row in range(min(high - group, _GROUP)):
                    z = Z[row, :width]
                    for j in range(width):
                        z[j] *= scales[start + j]
            for row in range(max(first, group * twins), min(first + out.shape[0], (group + _GROUP) * twins)):
                x = out[row - first, start : start + width]
                sign = scale if row % twins == 0 else -scale
                add_scaled(y, sign, Z[row // twins - group, :width], x, buffer)


@free_kernel
def combine(
    noise: Noise,
    weights: FloatArray,
    coefficients: FloatArray,
    P: FloatArray,
    share: float,
    step: FloatArray,
    out: FloatArray,
    begin: int,
    end: int,
) -> None:
    """Write share step + sum_l weights_l z_l + sum_t coefficients_t p_t into columns `begin` to `end` of `out`, (n,).

    weights : (bases,); coefficients : (k,); P : (k, n); step : (n,), or (0,) for none.
    """
    n = len(out)
    z = np.empty(min(n, _TILE), dtype=P.dtype)
    for start in range(begin, end, _TILE):
        width = min(_TILE, end - start)
        part, zs = out[start : start + width], z[:width]
        if len(step):
            for j in range(width):
                part[j] = share * step[start + j]
        else:
            part[:] = 0.0
        for row in range(len(weights)):
            w = weights[row]
            if w != 0.0:
                base.block(noise, n, row, start, zs)
                for j in range(width):
                    part[j] += w * zs[j]
        add_rows(P, 0, coefficients, start, part)


@kernel
def add_rows(P: FloatArray, first: int, coefficients: FloatArray, start: int, part: FloatArray) -> None:
    """Add sum_t coefficients_t p_t over rows `first`, ... of P, at the columns from `start` on, to `part`.

    Four rows at a time, so that `part` is read and written less often than they are.
    """
    width, k = len(part), len(coefficients)
    end = start + width
    t = 0
    while t + 4 <= k:
        a, b, c, d = coefficients[t], coefficients[t + 1], coefficients[t + 2], coefficients[t + 3]
        if a != 0.0 or b != 0.0 or c != 0.0 or d != 0.0:
            row = first + t
            pa, pb, pc, pd = P[row, start:end], P[row + 1, start:end], P[row + 2, start:end], P[row + 3, start:end]
            for j in range(width):
                part[j] += (a * pa[j] + b * pb[j]) + (c * pc[j] + d * pd[j])
        t += 4
    while t < k:
        a, pa = coefficients[t], P[first + t, start:end]
        for j in range(width):
            part[j] += a * pa[j]
        t += 1


@free_kernel
def move(
    mean: FloatArray,
    sigma: float,
    delta: FloatArray,
    path: FloatArray,
    c: float,
    scale: float,
    begin: int,
    end: int,
) -> float:
    """Set ``mean += sigma delta`` and ``path = (1 - c) path + scale delta`` in columns `begin` to `end`.

    The number returned bounds |mean_j| + 1000 n sigma (1 + |path_j|) there; NaN where one of them is.
    """
    n = len(mean)
    reach, longest, total = 0.0, 0.0, 0.0
    for start in range(begin, end, _TILE):
        width = min(_TILE, end - start)
        y, d, p = mean[start : start + width], delta[start : start + width], path[start : start + width]
        for j in range(width):
            y[j] += sigma * d[j]
            p[j] = (1 - c) * p[j] + scale * d[j]
        for j in range(width):
            reach = max(reach, abs(y[j]))
            longest = max(longest, abs(p[j]))
            total += y[j] * 0.0 + p[j] * 0.0  # NaN where one is not finite
    return reach + 1e3 * n * sigma * (1 + longest) + total
