"""The decorator of every kernel, and the one line that is logged when kernels are compiled."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba.core import event

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = {"error_model": "numpy"}  # 1/0 is inf, as in NumPy

_log = logging.getLogger("lmcma")


def kernel(function: F) -> F:
    """Compile `function` when first called; keep the result on disk where there is a place for it."""
    try:
        return cast(F, numba.njit(cache=True, **_OPTIONS)(function))
    except RuntimeError:  # no writable place for the cache: compile in every process
        return cast(F, numba.njit(**_OPTIONS)(function))


class _Announce(event.Listener):  # type: ignore[misc]
    """Says once that kernels are being compiled, at the first one that is."""

    def __init__(self) -> None:
        self.said = False

    def on_start(self, event: Any) -> None:
        if not self.said and event.data["dispatcher"].py_func.__module__.startswith("lmcma."):
            self.said = True
            _log.info("compiling kernels; this happens once per installation and takes some seconds")

    def on_end(self, event: Any) -> None:
        """Nothing to do."""


event.register("numba:compile", _Announce())
