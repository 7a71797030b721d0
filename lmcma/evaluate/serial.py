"""In this process: one call of the objective after the other, or one for the whole batch."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lmcma.evaluate.base import Evaluator, Failure, as_float, at_once
from lmcma.typing import FloatArray


class Serial(Evaluator):
    """Evaluate a batch row by row: ``fun(x) -> float`` for x of shape (n,).

    NaN and infinities are legal values and rank last (-inf first).

    Parameters
    ----------
    fun, on_error
        As for `Evaluator`.
    """

    def __call__(self, x: FloatArray) -> FloatArray:
        """Values of the rows of `x`, (k,)."""
        return self.one_by_one(x, len(x))

    def one_by_one(self, points: Iterable[FloatArray], k: int) -> FloatArray:
        """Values of a batch of k points, (k,), each evaluated before the next one is taken."""
        f = np.empty(k)
        failures: dict[int, Failure] = {}
        failed: dict[int, FloatArray] = {}  # the first of them
        fun = self.fun
        for row, x in enumerate(points):
            try:
                value = fun(x)
                f[row] = value if type(value) is float else as_float(value)
            except Exception as error:
                failures[row] = Failure(error)
                f[row] = np.nan
                if not failed:
                    failed[row] = x.copy()
                if self._fatal(row):  # no need to go on
                    break
        return self._settle(failed, (f, failures))


class Vectorized(Evaluator):
    """Evaluate a batch by one call: ``fun(x) -> (k,)`` for x of shape (k, n).

    A call that fails costs the values of the whole batch.

    Parameters
    ----------
    fun, on_error
        As for `Evaluator`.
    """

    _promise = "one number for each row of its argument"

    def __call__(self, x: FloatArray) -> FloatArray:
        """Values of the rows of `x`, (k,)."""
        return self._settle(x, at_once(self.fun, x))
