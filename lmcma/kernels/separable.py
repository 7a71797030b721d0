"""The iteration of CMA-ES with a diagonal covariance matrix: a few passes over the population, tile by tile.

The distribution is `vectors`, (N_VECTORS, n), with a row for each of the names below; the population is z,
(popsize, n), the standard normal numbers that candidate mean + sigma D * z was made of.
"""

from __future__ import annotations

import math

from lmcma.kernels import stopping
from lmcma.kernels.compile import kernel
from lmcma.kernels.selection import MASK, path_goes_on, select
from lmcma.typing import BoolArray, FloatArray, IntArray

# rows of `vectors`; D_ is the root of C_, WORK scratch
MEAN, P_SIGMA, P_C, C_, D_, WORK = range(6)
N_VECTORS = 6
# places in `scalars`; COMPENSATE: 1 where C gets the variance that p_c misses while it is stalled
SIGMA, SIGMA0, C_SIGMA, D_SIGMA, CHI_N, MUEFF, C_C, C_1, C_MU, COMPENSATE = range(10)
N_SCALARS = 10

_TILE = 2048  # columns worked on at a time, so that sums over the population stay in the first-level cache
_LEAST = 1e-290  # variance of a coordinate


@kernel
def sample(scalars: FloatArray, vectors: FloatArray, z: FloatArray, x: FloatArray) -> None:
    """Write the first rows of ``mean + sigma D * z`` into `x`."""
    mean, D, sigma = vectors[MEAN], vectors[D_], scalars[SIGMA]
    for k in range(x.shape[0]):
        z_k, x_k = z[k], x[k]
        for j in range(len(mean)):
            x_k[j] = mean[j] + sigma * (D[j] * z_k[j])


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
    """One update from the values `f` of the population `z`.

    f, own, weights, omega, order, count, tol, value : see `selection.select`; ring, flags, long : see
    `stopping.value_rules`.
    """
    popsize, n = z.shape
    s = scalars
    mean, p_sigma, p_c, c, D, work = (
        *(vectors[MEAN], vectors[P_SIGMA], vectors[P_C]),
        *(vectors[C_], vectors[D_], vectors[WORK]),
    )
    c_sigma, c_c, c_1, c_mu, chi_n = s[C_SIGMA], s[C_C], s[C_1], s[C_MU], s[CHI_N]
    if not select(f, own, weights, omega, order, count, tol, value):
        return

    # recombination; p_sigma, since C^(-1/2) y_w = z_w
    for start in range(0, n, _TILE):
        end = min(start + _TILE, n)
        z_w = work[start:end]
        for j in range(end - start):
            z_w[j] = 0.0
        for k in range(popsize):
            if omega[k] > 0:
                w, part = omega[k], z[k, start:end]
                for j in range(end - start):
                    z_w[j] += w * part[j]
    norm = math.sqrt(c_sigma * (2 - c_sigma) * s[MUEFF])
    length = 0.0
    for j in range(n):
        mean[j] += s[SIGMA] * (D[j] * work[j])
        p_sigma[j] = (1 - c_sigma) * p_sigma[j] + norm * work[j]
        length += p_sigma[j] * p_sigma[j]
    length = math.sqrt(length)
    t = count[stopping.T] + 1
    h = path_goes_on(length, t, n, c_sigma, chi_n)
    norm = h * math.sqrt(c_c * (2 - c_c) * s[MUEFF])
    for j in range(n):
        p_c[j] = (1 - c_c) * p_c[j] + norm * D[j] * work[j]

    # variances: c <- decay c + c_1 p_c^2 + c_mu sum_k omega_k c z_k^2
    sum_omega = 0.0
    for k in range(popsize):
        sum_omega += omega[k]
        if omega[k] < 0:
            norm2, z_k = 0.0, z[k]
            for j in range(n):
                norm2 += z_k[j] * z_k[j]
            omega[k] *= n / (norm2 + 1e-18 * n)  # ||z|| scaled to sqrt(n)
    decay = 1 - c_1 - c_mu * sum_omega + s[COMPENSATE] * c_1 * (1 - h) * c_c * (2 - c_c)
    shortest, longest = math.inf, 0.0
    for start in range(0, n, _TILE):
        end = min(start + _TILE, n)
        total = work[start:end]
        for j in range(end - start):
            total[j] = 0.0
        for k in range(popsize):
            if omega[k] != 0:
                w, part = omega[k], z[k, start:end]
                for j in range(end - start):
                    total[j] += w * (part[j] * part[j])
        for j in range(start, end):
            c[j] = max(_LEAST, (decay + c_mu * work[j]) * c[j] + c_1 * p_c[j] * p_c[j])
            D[j] = math.sqrt(c[j])
            shortest, longest = min(shortest, D[j]), max(longest, D[j])

    s[SIGMA] *= math.exp(min(1.0, max(-1.0, c_sigma / s[D_SIGMA] * (length / chi_n - 1))))

    mask = stopping.value_rules(f, order[:popsize], tol, value, count, ring, flags, long)
    mask |= stopping.diagonal_rules(t, mean, s[SIGMA], s[SIGMA0], p_c, c, shortest, longest, tol, value)
    count[MASK] = mask
