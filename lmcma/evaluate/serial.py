"""One call of the objective after the other, in this process."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from lmcma.errors import ArgumentError, ArgumentTypeError, ObjectiveError
from lmcma.typing import FloatArray

_log = logging.getLogger("lmcma")


class Serial:
    """Evaluate a batch row by row.

    Parameters
    ----------
    fun : callable
        ``fun(x) -> float`` for x of shape (n,). NaN and infinities are legal values and rank last (-inf first).
    on_error : {"worst", "raise"}
        What a call means that raises, or returns something other than one number. The first evaluation must
        succeed: an error there is an error of the program and always raises `ObjectiveError`. Later ones count as
        NaN, are logged the first time, and rank last ("worst"), or raise ("raise").

    Attributes
    ----------
    nfail : int
        Calls that counted as NaN because of an error.
    """

    def __init__(self, fun: Callable[[FloatArray], Any], on_error: str = "worst") -> None:
        if not callable(fun):
            raise ArgumentTypeError(f"`fun` must be callable, fun(x) -> float; got {fun!r:.80}.")
        if on_error not in ("worst", "raise"):
            raise ArgumentError(f"`on_error` must be 'worst' or 'raise'; got {on_error!r}.")
        self.fun = fun
        self.on_error = on_error
        self.nfail = 0
        self._calls = 0

    def __call__(self, x: FloatArray) -> FloatArray:
        """Values of the rows of `x`, (k,)."""
        f = np.empty(len(x))
        fun = self.fun
        for k in range(len(x)):
            try:
                value = fun(x[k])
                f[k] = value if type(value) is float else _as_float(value)
            except Exception as error:
                f[k] = self._failed(x[k], error)
            self._calls += 1
        return f

    def _failed(self, x: FloatArray, error: Exception) -> float:
        if self._calls == 0 or self.on_error == "raise":
            when = "at its first evaluation" if self._calls == 0 else f"at evaluation {self._calls + 1}"
            where = np.array2string(x, threshold=8, precision=6)
            raise ObjectiveError(
                f"`fun` must return one number; it failed {when}, x = {where}: {type(error).__name__}: {error}. "
                "Return float('nan') where f cannot be computed"
                + (", or use on_error='worst'." if self._calls else "; fun(x0) should work."),
                x.copy(),
            ) from error
        if self.nfail == 0:
            _log.warning(
                "objective failed, counted as NaN (said once; `nfail` counts): %s: %s",
                type(error).__name__,
                error,
            )
        self.nfail += 1
        return float("nan")


def _as_float(value: Any) -> float:
    """One number of any kind; not text, not a complex number, not an array of one element."""
    if np.ndim(value) == 0 and hasattr(value, "__float__") and not np.iscomplexobj(value):
        return float(value)
    raise TypeError(f"it returned {value!r:.80} ({type(value).__name__}) instead of one number")
