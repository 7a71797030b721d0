"""The iteration of MA-ES: a matrix M that turns normal numbers into steps, learned without a covariance matrix.

M is kept transposed, so that both products run over rows: steps D = Z @ Mt, and the update adds Z^T diag(w) D to Mt.
`vectors` is (N_VECTORS, n), with a row for each of the names below.
"""

from __future__ import annotations

import math

from lmcma.kernels import stopping
from lmcma.kernels.compile import kernel
from lmcma.kernels.linalg import add_product, gemm
from lmcma.kernels.selection import MASK, select
from lmcma.typing import BoolArray, FloatArray, IntArray

# rows of `vectors`: mean, path in the frame of z, diagonal of C = M M^T, M s
MEAN, PATH, DIAGONAL, MOVED = range(4)
N_VECTORS = 4
# places in `scalars`, then scratch for BLAS
SIGMA, SIGMA0, C_SIGMA, D_SIGMA, CHI_N, MUEFF, C_1, C_MU, BLAS = range(9)
N_SCALARS = 11


@kernel
def sample(
    scalars: FloatArray,
    vectors: FloatArray,
    Mt: FloatArray,
    z: FloatArray,
    d: FloatArray,
    ints: IntArray,
    x: FloatArray,
) -> None:
    """Write the steps of all z into `d`, and the first rows of ``mean + sigma d`` into `x`.

    Mt : (n, n); z, d : (popsize, n); ints : (>= 8,) int32 scratch.
    """
    gemm(z, Mt, d, scalars[BLAS:], ints)
    write(scalars, vectors, d, x)


@kernel
def write(scalars: FloatArray, vectors: FloatArray, d: FloatArray, x: FloatArray) -> None:
    """Write the first rows of ``mean + sigma d`` into `x`."""
    mean, sigma = vectors[MEAN], scalars[SIGMA]
    for k in range(x.shape[0]):
        x_k, d_k = x[k], d[k]
        for j in range(len(mean)):
            x_k[j] = mean[j] + sigma * d_k[j]


@kernel
def update(
    scalars: FloatArray,
    vectors: FloatArray,
    Mt: FloatArray,
    z: FloatArray,
    d: FloatArray,
    left: FloatArray,
    right: FloatArray,
    ints: IntArray,
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
    """One update from the values `f` of the population `z` with its steps `d`.

    left, right : (popsize + 1, n) scratch; f, own, weights, omega, order, count, tol, value : see `selection.select`;
    ring, flags, long : see `stopping.value_rules`.
    """
    popsize, n = z.shape
    s = scalars
    mean, path, diagonal, moved = vectors[MEAN], vectors[PATH], vectors[DIAGONAL], vectors[MOVED]
    c_sigma, c_1, c_mu = s[C_SIGMA], s[C_1], s[C_MU]
    if not select(f, own, weights, omega, order, count, tol, value):
        return

    # mean, path; the pairs (z_i, w_i d_i) of the selected, from the second row on
    norm = math.sqrt(s[MUEFF] * c_sigma * (2 - c_sigma))
    for j in range(n):
        path[j] *= 1 - c_sigma
    rows = 1
    for k in range(popsize):
        w = omega[k]
        if w > 0:
            z_k, d_k, left_k, right_k = z[k], d[k], left[rows], right[rows]
            for j in range(n):
                mean[j] += s[SIGMA] * (w * d_k[j])
                path[j] += norm * w * z_k[j]
                left_k[j] = z_k[j]
                right_k[j] = 0.5 * c_mu * w * d_k[j]
            rows += 1
    # and the pair (s, M s)
    for j in range(n):
        left[0, j] = path[j]
        moved[j] = 0.0
    for i in range(n):
        a, row = path[i], Mt[i]
        for j in range(n):
            moved[j] += a * row[j]
    length = 0.0
    for j in range(n):
        right[0, j] = 0.5 * c_1 * moved[j]
        length += path[j] * path[j]

    # M <- M [I + c_1/2 (s s^T - I) + c_mu/2 (sum_i w_i z_i z_i^T - I)], transposed
    add_product(left[:rows], right[:rows], 1 - 0.5 * c_1 - 0.5 * c_mu, Mt, scalars[BLAS:], ints)
    s[SIGMA] *= math.exp(c_sigma / s[D_SIGMA] * (math.sqrt(length) / s[CHI_N] - 1))

    total = 0.0
    for j in range(n):
        diagonal[j] = 0.0
    for i in range(n):
        row = Mt[i]
        for j in range(n):
            diagonal[j] += row[j] * row[j]
    for j in range(n):
        total += diagonal[j]
    # the trace bounds the longest axis from above
    mask = stopping.value_rules(f, order[:popsize], tol, value, count, ring, flags, long)
    mask |= stopping.size_rules(mean, s[SIGMA], s[SIGMA0], 1.0, moved, diagonal, math.nan, math.sqrt(total), tol, value)
    count[MASK] = mask
