"""What all evaluators share: the objective, and what it means when a call of it fails."""

from __future__ import annotations

import logging
import pickle
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, NoReturn, Self, TypeAlias

import numpy as np

from lmcma.errors import ArgumentError, ArgumentTypeError, ObjectiveError
from lmcma.typing import FloatArray, State

_log = logging.getLogger("lmcma")


class Failure:
    """An exception in place of values; survives the way back from another process.

    Parameters
    ----------
    error : Exception
        What was raised.
    rows : int
        Evaluations that have no value because of it.
    text : str, optional
        Type and message, where `error` is only a stand-in.
    """

    def __init__(self, error: Exception, rows: int = 1, text: str = "") -> None:
        self.error = error
        self.rows = rows
        self.text = text or f"{type(error).__name__}: {error}"

    def __reduce__(self) -> tuple[Any, ...]:
        try:
            data = pickle.dumps(self.error)
        except Exception:  # whatever a foreign class does when it is pickled
            data = b""
        return _arrived, (data, self.rows, self.text, "".join(traceback.format_exception(self.error)))


def _arrived(data: bytes, rows: int, text: str, trace: str) -> Failure:
    try:
        error = pickle.loads(data)
    except Exception:
        error = None
    if not isinstance(error, Exception):
        error = RuntimeError(text)
    error.add_note(f"In the worker:\n{trace}")
    return Failure(error, rows, text)


Outcome: TypeAlias = tuple[FloatArray, Mapping[int, Failure]]  # values, and what failed by its (first) row


class Evaluator(ABC):
    """Maps a (k, n) batch to its k values, or rows of objectives; a context manager that lets go of workers.

    Parameters
    ----------
    fun : callable
        The objective.
    on_error : {"worst", "raise"}
        What a call means that raises, or returns something other than numbers. The first evaluation must succeed: an
        error there is an error of the program and always raises `ObjectiveError`. Later ones count as NaN, are logged
        the first time, and rank last ("worst"), or raise ("raise").
    n_obj : int
        Objectives. More than one: `fun` returns so many numbers for a point, and values are (k, n_obj).

    Attributes
    ----------
    nfail : int
        Evaluations that counted as NaN because of an error.
    """

    def __init__(self, fun: Callable[..., Any], on_error: str = "worst", *, n_obj: int = 1) -> None:
        if not callable(fun):
            raise ArgumentTypeError(
                f"`fun` must be callable, fun(x) -> {'float' if n_obj == 1 else f'{n_obj} numbers'}; got {fun!r:.80}."
            )
        if on_error not in ("worst", "raise"):
            raise ArgumentError(f"`on_error` must be 'worst' or 'raise'; got {on_error!r}.")
        self.fun = fun
        self.on_error = on_error
        self.n_obj = n_obj
        self._promise = "one number" if n_obj == 1 else f"{n_obj} numbers"  # what `fun` returns
        self.nfail = 0
        self._calls = 0  # evaluations of the batches before
        self._worked = False  # whether anything did, in this session

    @abstractmethod
    def __call__(self, x: FloatArray) -> FloatArray:
        """Values of the rows of `x`, (k,) or (k, n_obj)."""

    def close(self, *, now: bool = False) -> None:  # noqa: B027 - most have nothing to do
        """Let go of workers; `now`: even of those at work."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close(now=error is not None)

    def state_dict(self) -> State:
        """What a checkpoint keeps: counts."""
        return {"calls": self._calls, "nfail": self.nfail}

    def restore(self, state: State) -> None:
        """Take over what `state_dict` gave."""
        self._calls, self.nfail = int(state["calls"]), int(state["nfail"])

    def _settle(self, x: FloatArray | Mapping[int, FloatArray], outcome: Outcome) -> FloatArray:
        """The values of a batch, once the rule for failures is applied.

        Of the points `x`, by row, one that failed is looked at: the first, or the first whose failure is fatal.
        """
        values, failures = outcome
        failed = sum(failure.rows for failure in failures.values())
        if failed == len(values) and not self._worked:  # nothing has worked since this session began
            self._raise(x[min(failures)], min(failures), failures[min(failures)])
        self._worked = True
        for row in sorted(failures):
            if self._fatal(row):
                self._raise(x[row], row, failures[row])
            self._forgive(failures[row])
        self._calls += len(values)
        return values

    def _fatal(self, row: int) -> bool:
        """Whether a failure in this row of the current batch ends the run."""
        return self.on_error == "raise" or self._calls + row == 0

    def _raise(self, x: FloatArray, row: int, failure: Failure) -> NoReturn:
        call = self._calls + row
        when = "at its first evaluation" if call == 0 else f"at evaluation {call + 1}"
        where = np.array2string(x, threshold=8, precision=6)
        raise ObjectiveError(
            f"`fun` must return {self._promise}; it failed {when}, x = {where}: {failure.text}. "
            "Return float('nan') where f cannot be computed"
            + (", or use on_error='worst'." if call else "; most points around x0 should work."),
            x.copy(),
        ) from failure.error

    def _forgive(self, failure: Failure) -> None:
        """Note a failure that ends nothing."""
        if self.nfail == 0:
            _log.warning("objective failed, counted as NaN (said once; `nfail` counts): %s", failure.text)
        self.nfail += failure.rows


def no_values(k: int, n_obj: int) -> FloatArray:
    """Values of k points that have none: NaN."""
    return np.full(k if n_obj == 1 else (k, n_obj), np.nan)


def by_row(fun: Callable[[FloatArray], Any], x: FloatArray, n_obj: int = 1) -> Outcome:
    """One call a row."""
    values = no_values(len(x), n_obj)
    failures = {}
    for row in range(len(x)):
        try:
            values[row] = as_value(fun(x[row]), n_obj)
        except Exception as error:
            failures[row] = Failure(error)
    return values, failures


def at_once(fun: Callable[[FloatArray], Any], x: FloatArray, n_obj: int = 1) -> Outcome:
    """One call for all rows."""
    try:
        return _as_values(fun(x), no_values(len(x), n_obj).shape), {}
    except Exception as error:
        return no_values(len(x), n_obj), {0: Failure(error, rows=len(x))}


def as_value(value: Any, n_obj: int) -> float | FloatArray:
    """What `fun` returned for a point: one number, or `n_obj` of them."""
    return as_float(value) if n_obj == 1 else _as_values(value, (n_obj,))


def as_float(value: Any) -> float:
    """One number of any kind; not text, not a complex number, not an array of one element."""
    if np.ndim(value) == 0 and hasattr(value, "__float__") and not np.iscomplexobj(value):
        return float(value)
    raise TypeError(f"it returned {value!r:.80} ({type(value).__name__}) instead of one number")


def _as_values(value: Any, shape: tuple[int, ...]) -> FloatArray:
    """Numbers of this shape; not one number for all, not a column."""
    try:
        values = np.asarray(value)
    except ValueError:  # rows of different lengths
        values = np.empty(0, dtype=object)
    if values.dtype.kind not in "biuf":
        numbers = " x ".join(map(str, shape))
        raise TypeError(f"it returned {value!r:.80} ({type(value).__name__}) instead of {numbers} numbers")
    if values.shape != shape:
        raise TypeError(f"it returned shape {values.shape} instead of {shape}")
    return values.astype(np.float64)
