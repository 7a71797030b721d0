"""Long rows cut into chunks of columns that threads work on: the same cut, and so the same results, for any number."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from lmcma.typing import FloatArray

T = TypeVar("T")

CHUNK = 65_536  # columns; a multiple of the blocks of all kernels


class Chunks:
    """The chunks of rows of n numbers.

    Parameters
    ----------
    n : int
        Columns.
    threads : int
        How many work at a time.
    """

    def __init__(self, n: int, threads: int) -> None:
        self._ranges = [(start, min(start + CHUNK, n)) for start in range(0, n, CHUNK)]
        self._threads = threads if len(self._ranges) > 1 else 1
        self._pool: tuple[int, ThreadPoolExecutor] | None = None  # and the process that it belongs to

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pool": None}

    def __len__(self) -> int:
        return len(self._ranges)

    def map(self, action: Callable[[int, int], T]) -> list[T]:
        """What action(start, stop) returns for each chunk, in their order."""
        if self._threads == 1:
            return [action(start, stop) for start, stop in self._ranges]
        if self._pool is None or self._pool[0] != os.getpid():
            self._pool = os.getpid(), ThreadPoolExecutor(self._threads, "lmcma")
        return list(self._pool[1].map(lambda bounds: action(*bounds), self._ranges))

    def sum(self, action: Callable[[int, int], FloatArray]) -> FloatArray:
        """The sum of the arrays that action(start, stop) returns, added in the order of the chunks."""
        first, *others = self.map(action)
        for share in others:
            first += share
        return first
