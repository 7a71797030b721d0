"""Hold BLAS to one thread around a call: small products only lose by more, and the result depends on their number."""

from __future__ import annotations

from types import TracebackType

from threadpoolctl import ThreadpoolController


class OneBlasThread:
    """A context manager, cheap enough for every iteration; the caller's setting comes back at its end."""

    def __init__(self) -> None:
        self._libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        self._changed: list[tuple[object, int]] = []

    def __enter__(self) -> None:
        for library in self._libraries:
            number = library.get_num_threads()
            if number != 1:
                library.set_num_threads(1)
                self._changed.append((library, number))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._changed:
            library, number = self._changed.pop()
            library.set_num_threads(number)  # type: ignore[attr-defined]
