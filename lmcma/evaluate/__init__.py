"""How a batch of points becomes a vector of values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lmcma.evaluate.base import Evaluator
from lmcma.evaluate.executor import Pooled, Workers, as_workers
from lmcma.evaluate.serial import Serial, Vectorized

__all__ = ["Evaluator", "Pooled", "Serial", "Vectorized", "Workers", "evaluator"]


def evaluator(
    fun: Callable[..., Any], on_error: str = "worst", *, workers: Workers = 1, vectorized: bool = False
) -> Evaluator:
    """The evaluator that the arguments of `minimize` describe."""
    workers = as_workers(workers)
    if workers != 1:
        return Pooled(fun, on_error, workers=workers, vectorized=bool(vectorized))
    return (Vectorized if vectorized else Serial)(fun, on_error)
