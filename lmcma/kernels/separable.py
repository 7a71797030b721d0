"""The iteration of CMA-ES with a diagonal covariance matrix: two passes over the population, tile by tile.

`emit` draws the normal numbers of the population and writes the candidates; `recombine` sums over the population what
the update needs.  All else are passes over vectors.  Each works on a range of columns, which threads may share.

The distribution is `vectors`, (N_VECTORS, n), with a row for each of the names below.  Candidate k is mean + sigma D *
z_k; its numbers z_k are kept in a row of `z`, (popsize, n), or, where `z` has no columns, drawn again in every pass:
they are those from start + k n on of the stream `key` of normal numbers.  `sample` and `update` are what is left for
small populations, to the bit the same with fewer calls.
"""

from __future__ import annotations

import math

import numpy as np

from lmcma.kernels import normals, stopping
from lmcma.kernels.chunks import CHUNK
from lmcma.kernels.compile import free_kernel, kernel
from lmcma.kernels.selection import MASK, path_goes_on, select
from lmcma.kernels.stream import STREAM_FROM, copy
from lmcma.typing import BoolArray, FloatArray, IntArray

# rows of `vectors`; D_ is the root of C_, Z_W and SQUARES weighted sums of z_k and of z_k^2, scratch
MEAN, P_SIGMA, P_C, C_, D_, Z_W, SQUARES = range(7)
N_VECTORS = 7
# places in `scalars`; COMPENSATE: 1 where C gets the variance that p_c misses while it is stalled
SIGMA, SIGMA0, C_SIGMA, D_SIGMA, CHI_N, MUEFF, C_C, C_1, C_MU, COMPENSATE = range(10)
N_SCALARS = 10

_TILE = 2048  # columns worked on at a time, so that what they share stays in the second-level cache
_LEAST = 1e-290  # variance of a coordinate
_GROUP = 4  # rows whose squares are added side by side


@kernel
def _add_squares(z: FloatArray, row: int, rows: int, begin: int, end: int, norm2: FloatArray) -> None:
    """Add the squares in columns `begin` to `end` of rows `row`, `row` + 1, ... of `z` to `norm2`, (rows,).

    One after the other in each row, four rows at a time, so that an addition need not wait for the one before.
    """
    k = 0
    while k + _GROUP <= rows:
        a, b, c, d = norm2[k], norm2[k + 1], norm2[k + 2], norm2[k + 3]
        i = row + k
        za, zb, zc, zd = z[i, begin:end], z[i + 1, begin:end], z[i + 2, begin:end], z[i + 3, begin:end]
        for j in range(end - begin):
            a += za[j] * za[j]
            b += zb[j] * zb[j]
            c += zc[j] * zc[j]
            d += zd[j] * zd[j]
        norm2[k], norm2[k + 1], norm2[k + 2], norm2[k + 3] = a, b, c, d
        k += _GROUP
    while k < rows:
        a, za = norm2[k], z[row + k, begin:end]
        for j in range(end - begin):
            a += za[j] * za[j]
        norm2[k] = a
        k += 1


@kernel
def sample(scalars: FloatArray, vectors: FloatArray, z: FloatArray, x: FloatArray) -> None:
    """Write the first rows of ``mean + sigma D * z`` into `x`."""
    mean, D, sigma = vectors[MEAN], vectors[D_], scalars[SIGMA]
    for k in range(x.shape[0]):
        z_k, x_k = z[k], x[k]
        for j in range(len(mean)):
            x_k[j] = mean[j] + sigma * (D[j] * z_k[j])


@free_kernel
def emit(
    scalars: FloatArray,
    vectors: FloatArray,
    key: int,
    start: int,
    first: int,
    rows: int,
    draws: bool,
    z: FloatArray,
    norm2: FloatArray,
    x: FloatArray,
    begin: int,
    end: int,
) -> None:
    """Write columns `begin` to `end` of candidates `first`, `first` + 1, ... into the rows of `x`, if it has any.

    rows : how many candidates; draws : whether their numbers have to be drawn, into `z` where that has columns; norm2 :
    (chunks, popsize), gets the squared lengths of what is drawn in this chunk of columns.
    """
    n = vectors.shape[1]
    mean, D, sigma = vectors[MEAN], vectors[D_], scalars[SIGMA]
    kept, streams = z.shape[1] > 0, n >= STREAM_FROM
    numbers = z if kept else np.empty((_GROUP, min(n, _TILE)))
    line = np.empty(_TILE if streams else 0)
    squares = norm2[begin // CHUNK]
    if draws:
        squares[first : first + rows] = 0.0
    for at in range(begin, end, _TILE):
        to = min(at + _TILE, end)
        width, left = to - at, at if kept else 0
        y, scale = mean[at:to], D[at:to]
        for group in range(first, first + rows, _GROUP):
            size, top = min(_GROUP, first + rows - group), group if kept else 0
            for row in range(size):
                k, part = group + row, numbers[top + row, left : left + width]
                if draws:
                    normals.fill(key, start + k * n + at, part)
                if x.shape[0]:
                    x_k = x[k - first, at:to]
                    out = line[:width] if streams else x_k
                    for j in range(width):
                        out[j] = y[j] + sigma * (scale[j] * part[j])
                    if streams:
                        copy(out, x_k)
            if draws:
                _add_squares(numbers, top, size, left, left + width, squares[group : group + size])


@kernel
def scale_worst(norm2: FloatArray, omega: FloatArray, n: int) -> float:
    """Scale the negative weights as if their rows had the length sqrt(n); the sum of all weights before.

    norm2 : (chunks, popsize), shares in the squared lengths of the rows; omega : (popsize,).
    """
    sum_omega = 0.0
    for k in range(len(omega)):
        sum_omega += omega[k]
        if omega[k] < 0:
            length2 = 0.0
            for chunk in range(norm2.shape[0]):
                length2 += norm2[chunk, k]
            omega[k] *= n / (length2 + 1e-18 * n)
    return sum_omega


@kernel
def _recombine(
    scalars: FloatArray,
    vectors: FloatArray,
    key: int,
    start: int,
    z: FloatArray,
    places: IntArray,
    omega: FloatArray,
    buffer: FloatArray,
    begin: int,
    end: int,
) -> float:
    """`recombine` with a place for numbers drawn again."""
    s, n = scalars, vectors.shape[1]
    sigma, c_sigma = s[SIGMA], s[C_SIGMA]
    norm = math.sqrt(c_sigma * (2 - c_sigma) * s[MUEFF])
    length2 = 0.0
    for at in range(begin, end, _TILE):
        to = min(at + _TILE, end)
        width = to - at
        z_w, total = vectors[Z_W, at:to], vectors[SQUARES, at:to]
        for j in range(width):
            z_w[j] = total[j] = 0.0
        for k in range(len(omega)):
            w = omega[k]
            if w != 0:
                part = buffer[:width]
                if places[k] >= 0:
                    part = z[places[k], at:to]
                else:
                    normals.fill(key, start + k * n + at, part)
                if w > 0:
                    for j in range(width):
                        z_w[j] += w * part[j]
                        total[j] += w * (part[j] * part[j])
                else:
                    for j in range(width):
                        total[j] += w * (part[j] * part[j])
        # p_sigma, since C^(-1/2) y_w = z_w
        mean, p_sigma, D = vectors[MEAN, at:to], vectors[P_SIGMA, at:to], vectors[D_, at:to]
        for j in range(width):
            mean[j] += sigma * (D[j] * z_w[j])
            p_sigma[j] = (1 - c_sigma) * p_sigma[j] + norm * z_w[j]
        for j in range(width):
            length2 += p_sigma[j] * p_sigma[j]
    return length2


@free_kernel
def recombine(
    scalars: FloatArray,
    vectors: FloatArray,
    key: int,
    start: int,
    z: FloatArray,
    places: IntArray,
    omega: FloatArray,
    begin: int,
    end: int,
) -> float:
    """Move the mean and the path of the step size in columns `begin` to `end`, sum weighted squares there.

    places : (popsize,), the row of `z` that holds a candidate's numbers, -1 where they are drawn again; omega :
    (popsize,), weights, the positive ones of the mean.  Returns the share in p_sigma . p_sigma.
    """
    buffer = np.empty(min(vectors.shape[1], _TILE))
    return _recombine(scalars, vectors, key, start, z, places, omega, buffer, begin, end)


@kernel
def control(scalars: FloatArray, length2: float, sum_omega: float, t: int, n: int) -> tuple[float, float]:
    """Adapt the step size; what y_w gets as a factor in p_c, and how much of the variances stays.

    length2 : p_sigma . p_sigma after `t` updates; sum_omega : sum of the weights.
    """
    s = scalars
    c_sigma, c_c, c_1, c_mu, chi_n = s[C_SIGMA], s[C_C], s[C_1], s[C_MU], s[CHI_N]
    length = math.sqrt(length2)
    h = path_goes_on(length, t, n, c_sigma, chi_n)
    decay = 1 - c_1 - c_mu * sum_omega + s[COMPENSATE] * c_1 * (1 - h) * c_c * (2 - c_c)
    s[SIGMA] *= math.exp(min(1.0, max(-1.0, c_sigma / s[D_SIGMA] * (length / chi_n - 1))))
    return h * math.sqrt(c_c * (2 - c_c) * s[MUEFF]), decay


@free_kernel
def adapt(
    scalars: FloatArray, vectors: FloatArray, gain: float, decay: float, begin: int, end: int
) -> tuple[float, float]:
    """Move p_c and the variances in columns `begin` to `end`; the least and the largest root of a variance there.

    c <- decay c + c_1 p_c^2 + c_mu sum_k omega_k c z_k^2, p_c <- (1 - c_c) p_c + gain y_w.
    """
    c_c, c_1, c_mu = scalars[C_C], scalars[C_1], scalars[C_MU]
    shortest, longest = math.inf, 0.0
    for at in range(begin, end, _TILE):
        to = min(at + _TILE, end)
        p_c, c, D = vectors[P_C, at:to], vectors[C_, at:to], vectors[D_, at:to]
        z_w, total = vectors[Z_W, at:to], vectors[SQUARES, at:to]
        for j in range(to - at):
            p_c[j] = (1 - c_c) * p_c[j] + gain * D[j] * z_w[j]
            c[j] = max(_LEAST, (decay + c_mu * total[j]) * c[j] + c_1 * p_c[j] * p_c[j])
            D[j] = math.sqrt(c[j])
        for j in range(to - at):
            shortest, longest = min(shortest, D[j]), max(longest, D[j])
    return shortest, longest


@kernel
def test(
    scalars: FloatArray,
    vectors: FloatArray,
    f: FloatArray,
    order: IntArray,
    shortest: float,
    longest: float,
    count: IntArray,
    tol: FloatArray,
    value: FloatArray,
    ring: FloatArray,
    flags: FloatArray,
    long: FloatArray,
) -> None:
    """The stopping rules after an iteration; see `stopping.value_rules`."""
    s = scalars
    mask = stopping.value_rules(f, order[: len(f)], tol, value, count, ring, flags, long)
    mask |= stopping.diagonal_rules(
        *(count[stopping.T], vectors[MEAN], s[SIGMA], s[SIGMA0], vectors[P_C], vectors[C_]),
        *(shortest, longest, tol, value),
    )
    count[MASK] = mask


@kernel
def update(
    scalars: FloatArray,
    vectors: FloatArray,
    z: FloatArray,
    f: FloatArray,
    own: BoolArray,
    weights: FloatArray,
    omega: FloatArray,
    order: IntArray,
    count: IntArray,
    tol: FloatArray,
    value: FloatArray,
    ring: FloatArray,
    flags: FloatArray,
    long: FloatArray,
) -> None:
    """One update from the values `f` of a small population, whose numbers are all kept, in one call.

    f, own, weights, omega, order, count, tol, value : see `selection.select`; ring, flags, long : see
    `stopping.value_rules`.
    """
    popsize, n = z.shape
    if not select(f, own, weights, omega, order, count, tol, value):
        return
    norm2 = np.zeros((1, popsize))
    _add_squares(z, 0, popsize, 0, n, norm2[0])
    sum_omega = scale_worst(norm2, omega, n)
    places = order[popsize:]  # free after the selection
    for k in range(popsize):
        places[k] = k
    length2 = _recombine(scalars, vectors, 0, 0, z, places, omega, vectors[SQUARES], 0, n)
    gain, decay = control(scalars, length2, sum_omega, count[stopping.T] + 1, n)
    shortest, longest = adapt(scalars, vectors, gain, decay, 0, n)
    test(scalars, vectors, f, order, shortest, longest, count, tol, value, ring, flags, long)
