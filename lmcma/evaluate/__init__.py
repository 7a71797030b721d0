"""How a batch of points becomes a vector of values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lmcma.evaluate.base import Evaluator
from lmcma.evaluate.compiled import Compiled, compiled_or_none, is_compiled
from lmcma.evaluate.executor import Pooled, Workers, as_workers
from lmcma.evaluate.serial import Serial, Vectorized

__all__ = ["Compiled", "Evaluator", "Pooled", "Serial", "Vectorized", "Workers", "evaluator"]


def evaluator(
    fun: Callable[..., Any],
    on_error: str = "worst",
    *,
    workers: Workers = 1,
    vectorized: bool = False,
    n_obj: int = 1,
) -> Evaluator:
    """The evaluator that the arguments of `minimize` or `minimize_multi` describe."""
    workers = as_workers(workers)
    if workers != 1:
        return Pooled(fun, on_error, workers=workers, vectorized=bool(vectorized), n_obj=n_obj)
    if vectorized:
        return Vectorized(fun, on_error, n_obj=n_obj)
    compiled = compiled_or_none(fun, on_error) if n_obj == 1 and is_compiled(fun) else None
    return compiled or Serial(fun, on_error, n_obj=n_obj)
