"""The decorator of every kernel, and the one line that is logged when kernels are compiled."""

from __future__ import annotations

import functools
import hashlib
import logging
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast, overload

import numba
from numba.core import event

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = {"error_model": "numpy"}  # 1/0 is inf, as in NumPy

_LOCK = threading.RLock()

_log = logging.getLogger("lmcma")


def _cache_folder() -> str:
    """Where compiled kernels are kept: one folder for each state of all their sources.

    The compiler itself notices a change of the file of a function only, not of those that it calls.
    """
    here = Path(__file__).parent
    sources = sorted(here.glob("*.py"))
    state = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    user = numba.config.CACHE_DIR
    return str(Path(user) / f"lmcma-{state}" if user else here / "__pycache__" / f"kernels-{state}")


_CACHE = _cache_folder()


@overload
def kernel(function: F) -> F: ...
@overload
def kernel(function: object) -> Callable[[F], F]: ...
def kernel(function: Any) -> Any:
    """Compile a function when first called; keep the result on disk where there is a place for it.

    Given a signature instead, the decorator that compiles for it at once; the interpreter is released in such a one.
    """
    if not isinstance(function, types.FunctionType):
        return functools.partial(_compile, (function,))
    return _compile((), function)


def free_kernel(function: F) -> F:
    """As `kernel`; the interpreter is released meanwhile, so that threads may work side by side."""
    return _compile((), function, nogil=True)


def _compile(signature: tuple[Any, ...], function: F, *, nogil: bool = False) -> F:
    options = {**_OPTIONS, "nogil": nogil or bool(signature)}
    with _LOCK:  # several threads may import kernels
        user, numba.config.CACHE_DIR = numba.config.CACHE_DIR, _CACHE
        try:
            return cast(F, numba.njit(*signature, cache=True, **options)(function))
        except RuntimeError:  # no writable place for the cache: compile in every process
            return cast(F, numba.njit(*signature, **options)(function))
        finally:
            numba.config.CACHE_DIR = user


class _Announce(event.Listener):  # type: ignore[misc]
    """Says once that kernels are being compiled, at the first one that is."""

    def __init__(self) -> None:
        self.said = False

    def on_start(self, event: Any) -> None:
        if not self.said and (event.data["dispatcher"].py_func.__module__ or "").startswith("lmcma."):
            self.said = True
            _log.info("compiling kernels; this happens once per installation and takes some seconds")

    def on_end(self, event: Any) -> None:
        """Nothing to do."""


event.register("numba:compile", _Announce())
