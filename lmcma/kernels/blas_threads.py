"""Hold BLAS to one thread around a call: small products only lose by more, and the result depends on their number."""

from __future__ import annotations

import functools
import threading
from types import TracebackType
from typing import Any

from threadpoolctl import ThreadpoolController

_lock = threading.Lock()
_inside = 0  # holders, in all threads: the first one sets the number of threads, the last one sets it back
_changed: list[tuple[Any, int]] = []


@functools.cache
def _libraries() -> list[Any]:
    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


def _set(library: Any, number: int) -> None:
    # threadpoolctl lets only the first thread that asks change a number which all threads share, and ignores the
    # others without a word; here all threads ask for the same
    getattr(library, "_real_set_num_threads", library.set_num_threads)(number)


class OneBlasThread:
    """A context manager, cheap enough for every iteration; the caller's setting comes back at its end."""

    def __enter__(self) -> None:
        global _inside
        with _lock:
            _inside += 1
            if _inside == 1:
                for library in _libraries():
                    number = library.get_num_threads()
                    if number != 1:
                        _set(library, 1)
                        _changed.append((library, number))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _inside
        with _lock:
            _inside -= 1
            while _inside == 0 and _changed:
                library, number = _changed.pop()
                _set(library, number)
