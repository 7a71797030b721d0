"""Hold BLAS to one thread around a call: small products only lose by more, and the result depends on their number."""

from __future__ import annotations

from types import TracebackType

from threadpoolctl import ThreadpoolController


class OneBlasThread:
    """A context manager, cheap enough for every iteration; the caller's setting comes back at its end."""

    def __init__(self) -> None:
        self._libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        self._before: list[int] = []

    def __enter__(self) -> None:
        self._before = [library.get_num_threads() for library in self._libraries]
        for library in self._libraries:
            library.set_num_threads(1)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for library, number in zip(self._libraries, self._before, strict=True):
            library.set_num_threads(number)
