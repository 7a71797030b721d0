"""The triangular factor of a covariance matrix under rank-one changes.

Factors are kept transposed: row j of `Lt` is column j of the lower triangular L, and C = L L^T. So both loops below
run along memory.

References
----------
O. Krause, C. Igel. A More Efficient Rank-one Covariance Matrix Update for Evolution Strategies. FOGA 2015.
"""

from __future__ import annotations

import math

from lmcma.kernels.compile import kernel
from lmcma.typing import FloatArray


@kernel
def rank_one(Lt: FloatArray, alpha: float, beta: float, v: FloatArray, w: FloatArray, out: FloatArray) -> bool:
    """Write the factor of alpha L L^T + beta v v^T into `out`; False, and rubbish there, where it has none.

    Lt, out : (n, n), upper triangles; v, w : (n,).  alpha > 0; beta of either sign: it cannot fail for beta >= 0 and
    finite numbers, and then `out` may be `Lt`.  Overwrites `w`.  O(n^2).
    """
    n = len(v)
    root_alpha = math.sqrt(alpha)
    w[:] = v
    b = 1.0
    for j in range(n):
        diagonal = root_alpha * Lt[j, j]
        r = w[j]
        square = diagonal**2 + beta * r**2 / b
        if not 0 < square < math.inf:
            return False
        new = math.sqrt(square)
        shift = r / diagonal
        stretch = new / diagonal
        lift = new * beta * r / (b * diagonal**2 + beta * r**2)
        out[j, j] = new
        for i in range(j + 1, n):
            old = root_alpha * Lt[j, i]
            w[i] -= shift * old
            out[j, i] = stretch * old + lift * w[i]
        b += beta * shift**2
    return True


@kernel
def transform(Lt: FloatArray, z: FloatArray, y: FloatArray) -> None:
    """Write L z into `y`.  Lt : (n, n), upper triangle; z, y : (n,)."""
    n = len(z)
    for i in range(n):
        y[i] = 0.0
    for j in range(n):
        factor = z[j]
        for i in range(j, n):
            y[i] += factor * Lt[j, i]
