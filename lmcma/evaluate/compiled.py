"""Objectives that are compiled functions themselves."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from lmcma.evaluate.base import Evaluator, by_row
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
        f = np.empty(len(x))
        done = self._evaluate(self.objective, x, f, np.zeros(1, dtype=np.bool_))
        if done == len(x):
            self._calls += done
            return f
        return self._settle(x, by_row(self.fun, x))  # some row raises: row by row, each as the rule says


def compiled_or_none(fun: Callable[[FloatArray], Any], on_error: str) -> Compiled | None:
    """An evaluator for a numba function; None where it cannot be compiled for one point, which is logged."""
    from numba.core.errors import NumbaError

    try:
        return Compiled(fun, on_error)
    except NumbaError as error:
        _log.warning("the objective does not compile for a point (n,) of float64, so Python calls it: %s", error)
        return None
