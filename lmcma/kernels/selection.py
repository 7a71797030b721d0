"""Selection, the first step of every update: from values to weights of rows."""

from __future__ import annotations

import math

from lmcma.kernels import stopping
from lmcma.kernels.compile import kernel
from lmcma.kernels.ranking import assign_weights, count_finite, rank
from lmcma.typing import BoolArray, FloatArray, IntArray

# places in `count`, after those of the stopping rules
MASK, NAN_IN_ROW, MU = range(stopping.N_COUNT, stopping.N_COUNT + 3)
N_COUNT = stopping.N_COUNT + 3


@kernel
def select(
    f: FloatArray,
    own: BoolArray,
    weights: FloatArray,
    omega: FloatArray,
    order: IntArray,
    count: IntArray,
    tol: FloatArray,
    value: FloatArray,
) -> bool:
    """Write the weight of each row into `omega`, the ranking into the first half of `order`; False without a number.

    f, own, weights, omega : (popsize,), see `ranking.assign_weights`; order : (2 popsize,); count : (N_COUNT,);
    tol, value : see `stopping`.  Where no value is finite, nothing is selected, only counted.
    """
    k = len(f)
    n_finite = count_finite(f)
    if n_finite == 0:
        count[NAN_IN_ROW] += 1
        value[stopping.ALL_NAN] = count[NAN_IN_ROW]
        count[MASK] = (1 << stopping.ALL_NAN) if count[NAN_IN_ROW] >= tol[stopping.ALL_NAN] else 0
        return False
    count[NAN_IN_ROW] = 0
    rank(f, order[:k], order[k:])
    assign_weights(order[:k], weights, count[MU], n_finite, own, omega)
    return True


@kernel
def path_goes_on(length: float, t: int, n: int, c_sigma: float, chi_n: float) -> float:
    """h_sigma: 0 where p_sigma is so long that p_c had better wait for sigma to grow, else 1.

    length : of p_sigma after `t` updates, this one included.
    """
    usual = chi_n * math.sqrt(1 - (1 - c_sigma) ** (2 * t))
    return 1.0 if length < (1.4 + 2 / (n + 1)) * usual else 0.0
