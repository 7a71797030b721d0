"""Compiled objectives: the loop of an optimiser runs without coming back to Python.

An objective reaches these kernels as a value of one type, so that they are compiled once and not for each objective:
``fun(x, raised) -> float`` that sets ``raised[0]`` where the user's function raises, made by `as_objective`. Importing
this module compiles the kernels, or loads them from the cache.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import types

from lmcma.kernels import covariance, stopping
from lmcma.kernels.compile import kernel
from lmcma.kernels.selection import MASK
from lmcma.typing import BoolArray, FloatArray, IntArray

_SIGNATURE = types.float64(types.float64[::1], types.boolean[::1])
OBJECTIVE = types.FunctionType(_SIGNATURE)
_VECTOR, _MATRIX, _INTS = types.float64[::1], types.float64[:, ::1], types.int64[::1]


@functools.lru_cache(maxsize=64)
def as_objective(fun: Callable[[FloatArray], Any]) -> Any:
    """A numba function ``fun(x) -> number`` as an objective.

    Raises
    ------
    numba.core.errors.NumbaError
        It cannot be compiled for an array (n,) of float64, or does not return one number.
    """

    def objective(x: FloatArray, raised: BoolArray) -> float:
        try:
            return 1.0 * fun(x)  # of truth values, too
        except Exception:  # of which kind it was, Python will find out
            raised[0] = True
            return np.nan

    return numba.cfunc(_SIGNATURE)(objective)


@kernel(types.int64(OBJECTIVE, _MATRIX, _VECTOR, types.boolean[::1]))
def evaluate(fun: Any, x: FloatArray, f: FloatArray, raised: BoolArray) -> int:
    """Values of the rows of `x`, (k, n), into `f`, (k,); how many there are before the first that raised.

    raised : (1,), scratch.
    """
    raised[0] = False
    for row in range(len(x)):
        f[row] = fun(x[row], raised)
        if raised[0]:
            return row
    return len(x)


# fmt: off
@kernel(types.Tuple((types.int64, types.float64, types.int64))(
    OBJECTIVE, types.int64, types.int64, _VECTOR, _INTS, types.boolean[::1], _MATRIX, _MATRIX, _VECTOR, _VECTOR,
    types.float64, types.float64, types.int64,
))
def advance_covariance(
    fun: Any, key: int, batch: int, state: FloatArray, table: IntArray, own: BoolArray, long: FloatArray,
    x: FloatArray, f: FloatArray, best_x: FloatArray, best_f: float, ftarget: float, most: int,
) -> tuple[int, float, int]:
    """Iterations of CMA-ES, at most `most`: how many were done, the best value, how many values were NaN.

    key, batch : see `covariance.sample`, `batch` being the number of the first; state, table, own, long : see
    `covariance.update`; x, f : the population and its values; best_x : (n,), follows `best_f`.  Ends earlier where a
    rule stops the run, the histories are full, or the objective raised: then the population that was drawn is still to
    be evaluated, which is told by minus one minus the number of iterations.
    """
    # fmt: on
    n_nan = 0
    raised = np.zeros(1, dtype=np.bool_)
    values = np.empty(len(f))  # until all are there
    count = table[covariance._COUNT : covariance._ORDER]
    for done in range(most):
        if count[stopping.LONG] == long.shape[1]:
            return done, best_f, n_nan
        covariance.sample(state, table, key, batch + done, x)
        if evaluate(fun, x, values, raised) < len(x):
            return -1 - done, best_f, n_nan
        f[:] = values
        nans, _, best_f, _ = covariance.tell(state, table, x[:0], f, own, long, best_x, best_f)
        n_nan += nans
        if count[MASK] != 0 or best_f <= ftarget:
            return done + 1, best_f, n_nan
    return most, best_f, n_nan
