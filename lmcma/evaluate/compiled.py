"""Objectives that are compiled functions themselves."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from lmcma.evaluate.base import Evaluator, Failure, by_row
from lmcma.typing import FloatArray

_log = logging.getLogger("lmcma")


def is_compiled(fun: Any) -> bool:
    """Whether `fun` is a function compiled by numba; does not import it to find out."""
    return any(kind.__module__.startswith("numba.") and kind.__name__ == "Dispatcher" for kind in type(fun).__mro__)


class Compiled(Evaluator):
    """Evaluate with a numba function, in compiled code; strategies may run their whole loop around it.

    Parameters
    ----------
    fun : numba function
        ``fun(x) -> number`` for x of shape (n,).
    on_error : {"worst", "raise"}
        See `Evaluator`.

    Attributes
    ----------
    objective : object
        `fun` in the form that kernels take, see `lmcma.kernels.compiled`.

    Raises
    ------
    numba.core.errors.NumbaError
        `fun` cannot be compiled for an array of float64, or does not return one number.
    """

    def __init__(self, fun: Callable[[FloatArray], Any], on_error: str = "worst") -> None:
        super().__init__(fun, on_error)
        from lmcma.kernels.compiled import as_objective, evaluate

        self._evaluate = evaluate
        self.objective = as_objective(fun)

    def __call__(self, x: FloatArray) -> FloatArray:
        """Values of the rows of `x`, (k,)."""
        f, own, raised = np.empty(len(x)), x.copy(), np.zeros(1, dtype=np.bool_)
        failures: dict[int, Failure] = {}
        row = 0
        while row < len(x):
            row += self._evaluate(self.objective, own[row:], f[row:], raised)
            if row < len(x):  # this one raises; Python says what
                values, failed = by_row(self.fun, x[row : row + 1].copy())
                f[row] = values[0]
                failures.update((row, failure) for failure in failed.values())
                row += 1
        return self._settle(x, (f, failures))

    def note(self, evaluations: int) -> None:
        """Count evaluations that a strategy made by itself."""
        self._calls += evaluations


def compiled_or_none(fun: Callable[[FloatArray], Any], on_error: str) -> Compiled | None:
    """An evaluator for a numba function; None where it cannot be compiled for one point, which is logged."""
    from numba.core.errors import NumbaError

    try:
        return Compiled(fun, on_error)
    except NumbaError as error:
        _log.warning("the objective does not compile for a point (n,) of float64, so Python calls it: %s", error)
        return None
