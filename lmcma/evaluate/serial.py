"""In this process: one call of the objective after the other, or one for the whole batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from lmcma.evaluate.base import Evaluator, Failure, as_value, at_once, no_values
from lmcma.typing import FloatArray


class Serial(Evaluator):
    """Evaluate a batch row by row: ``fun(x) -> float``, or n_obj numbers, for x of shape (n,).

    NaN and infinities are legal values and rank last (-inf first).

    Parameters
    ----------
    fun, on_error, n_obj
        As for `Evaluator`.
    """

    def __call__(self, x: FloatArray) -> FloatArray:
        """Values of the rows of `x`, (k,) or (k, n_obj)."""
        return self.one_by_one(x, len(x))

    def one_by_one(self, points: Iterable[FloatArray], k: int) -> FloatArray:
        """Values of a batch of k points, each evaluated before the next one is taken."""
        f = no_values(k, self.n_obj)
        failures: dict[int, Failure] = {}
        failed: dict[int, FloatArray] = {}  # the first of them
        fun = self.fun
        for row, x in enumerate(points):
            try:
                value = fun(x)
                f[row] = value if type(value) is float and self.n_obj == 1 else as_value(value, self.n_obj)
            except Exception as error:
                failures[row] = Failure(error)
                if not failed:
                    failed[row] = x.copy()
                if self._fatal(row):  # no need to go on
                    break
        return self._settle(failed, (f, failures))


class Vectorized(Evaluator):
    """Evaluate a batch by one call: ``fun(x) -> (k,)``, or (k, n_obj), for x of shape (k, n).

    A call that fails costs the values of the whole batch.

    Parameters
    ----------
    fun, on_error, n_obj
        As for `Evaluator`.
    """

    def __init__(self, fun: Callable[..., Any], on_error: str = "worst", *, n_obj: int = 1) -> None:
        super().__init__(fun, on_error, n_obj=n_obj)
        self._promise = promise_of_rows(n_obj)

    def __call__(self, x: FloatArray) -> FloatArray:
        """Values of the rows of `x`, (k,) or (k, n_obj)."""
        return self._settle(x, at_once(self.fun, x, self.n_obj))


def promise_of_rows(n_obj: int) -> str:
    """What a function of a whole batch returns."""
    return f"{'one number' if n_obj == 1 else f'{n_obj} numbers'} for each row of its argument"
