"""What the bases of strategies, and strategies around others, check alike: states that are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lmcma.errors import StateError
from lmcma.typing import State


def check_head(state: State, method: str, number: int) -> None:
    """Raise a `StateError` unless `state` is of this method, in the format of this number."""
    if state.get("method") != method:
        raise StateError(
            f"`state` must be of method {method!r}; got {state.get('method')!r}. "
            "lmcma.from_state finds the class by itself."
        )
    if state.get("format") != number:
        raise StateError(
            f"`state['format']` must be {number}; got {state.get('format')!r}. Read it with the version that wrote it."
        )


@contextmanager
def reading_state() -> Iterator[None]:
    """Within it, an entry of a state that is missing or does not fit is a `StateError`."""
    try:
        yield
    except KeyError as e:
        raise StateError(f"`state` must have the entry {e}; it is missing. The state is incomplete.") from e
    except (ValueError, TypeError) as e:
        raise StateError(f"`state` has an entry that does not fit the others: {e}") from e
