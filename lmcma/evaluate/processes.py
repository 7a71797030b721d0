"""Worker processes that never outlive their parent and leave the keyboard to it."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self, TypeVar

_T = TypeVar("_T")
_PR_SET_PDEATHSIG = 1  # of Linux's prctl
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # read by libraries loaded later


class Processes:
    """A pool of spawned processes.

    They ignore Ctrl-C, share the processors instead of starting threads for all of them each, and end when this process
    does, even if it is killed. A script that starts them needs ``if __name__ == "__main__":``.

    Parameters
    ----------
    count : int
        Processes at most; they are started as work comes in.
    begin : callable
        Called with `args` in every process first.
    *args
        Sent once to every process.
    threads : int, optional
        Threads of BLAS and the like in every process; by default the share of one process.
    """

    def __init__(self, count: int, begin: Callable[..., None], *args: Any, threads: int | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        self._lifeline, self._ours = context.Pipe(duplex=False)
        threads = threads or max(1, processors() // count)
        self._pool = ProcessPoolExecutor(
            count, context, initializer=_begin, initargs=(self._lifeline, threads, begin, args)
        )

    def submit(self, function: Callable[..., _T], /, *args: Any) -> Future[_T]:
        """Have `function` called in one of the processes."""
        with _interrupts_held_back():  # processes are started in here
            return self._pool.submit(function, *args)

    def close(self, *, now: bool = False) -> None:
        """End the processes; `now`: whatever they are doing."""
        if now:
            self._ours.close()
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._kill()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._ours.close()
        self._lifeline.close()

    def _kill(self) -> None:
        """End processes that do not leave by themselves, at work in compiled code that holds on to the interpreter."""
        processes = list((getattr(self._pool, "_processes", None) or {}).values())
        deadline = time.monotonic() + 1
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.is_alive():
                process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close(now=True)


def processors() -> int:
    """Processors that this process may use."""
    if sys.platform != "win32" and hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Deliver Ctrl-C at the end; processes started meanwhile hold it back for good, it is the parent's affair."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# ---------------------------------------------------------------- in the process


def _begin(lifeline: Connection, threads: int, begin: Callable[..., None], args: tuple[Any, ...]) -> None:
    import threading

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":  # where the kernel ends this process with its parent, whatever it is doing
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_leave_with, args=(lifeline,), daemon=True).start()
    begin(*args)
    _limit_threads(threads)


def _leave_with(lifeline: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv()  # nothing is ever sent: this ends when the parent closes its end, or dies
    os._exit(1)


def _limit_threads(threads: int) -> None:
    """Let libraries for arrays use so many threads at most, those loaded already and those to come."""
    import numpy.linalg  # noqa: F401 - so that its BLAS is there to be limited
    from threadpoolctl import threadpool_info, threadpool_limits

    for name in _THREADS:
        os.environ.setdefault(name, str(threads))
    threadpool_limits({library["prefix"]: min(threads, library["num_threads"]) for library in threadpool_info()})
