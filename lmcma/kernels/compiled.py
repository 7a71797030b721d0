"""Compiled objectives: the loop of an optimiser runs without coming back to Python.

An objective reaches these kernels as a value of one type, so that they are compiled once and not for each objective.
Importing this module compiles them, or loads them from the cache.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import types

from lmcma.kernels import covariance, stopping
from lmcma.kernels.compile import kernel
from lmcma.typing import BoolArray, FloatArray, IntArray

OBJECTIVE = types.FunctionType(types.float64(types.float64[::1]))
_GENERATOR = numba.typeof(np.random.default_rng())
_VECTOR, _MATRIX, _INTS = types.float64[::1], types.float64[:, ::1], types.int64[::1]


@kernel(types.int64(OBJECTIVE, _MATRIX, _VECTOR))
def evaluate(fun: object, x: FloatArray, f: FloatArray) -> int:
    """Values of the rows of `x`, (k, n), into `f`, (k,); how many there are before the first that raised."""
    for row in range(len(x)):
        try:
            f[row] = fun(x[row])  # type: ignore[operator]
        except Exception:  # of which kind it was, Python will find out
            return row
    return len(x)


# fmt: off
@kernel(types.Tuple((types.int64, types.float64, types.int64))(
    OBJECTIVE, _GENERATOR, _VECTOR, _INTS, types.boolean[::1], _MATRIX, _MATRIX, _VECTOR, _VECTOR,
    types.float64, types.float64, types.int64,
))
def advance_covariance(
    fun: object, rng: np.random.Generator, state: FloatArray, table: IntArray, own: BoolArray, long: FloatArray,
    x: FloatArray, f: FloatArray, best_x: FloatArray, best_f: float, ftarget: float, most: int,
) -> tuple[int, float, int]:
    """Iterations of CMA-ES, at most `most`: how many were done, the best value, how many values were NaN.

    state, table, own, long : see `covariance.update`; x, f : the population and its values; best_x : (n,), follows
    `best_f`.  Ends earlier where a rule stops the run, the histories are full, or the objective raised: then the
    population that was drawn is still to be evaluated, which is told by minus one minus the number of iterations.
    """
    # fmt: on
    n_nan = 0
    count = table[covariance._COUNT : covariance._ORDER]
    z = state[table[covariance.Z] : table[covariance.Z + 1]]
    for done in range(most):
        if count[stopping.LONG] == long.shape[1]:
            return done, best_f, n_nan
        for i in range(len(z)):
            z[i] = rng.standard_normal()
        covariance.sample(state, table, x)
        if evaluate(fun, x, f) < len(x):
            return -1 - done, best_f, n_nan
        for row in range(len(x)):
            if f[row] != f[row]:
                n_nan += 1
            elif f[row] < best_f or best_f != best_f:
                best_f = f[row]
                best_x[:] = x[row]
        if covariance.update(state, table, f, own, long) != 0 or best_f <= ftarget:
            return done + 1, best_f, n_nan
    return most, best_f, n_nan
