"""What the bases of strategies, and strategies around others, check alike: states that are read, rows that are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from lmcma.errors import ProtocolError, StateError
from lmcma.typing import BoolArray, IntArray, State


def check_head(state: State, method: str, number: int) -> None:
    """Raise a `StateError` unless `state` is of this method, in the format of this number."""
    if state.get("method") != method:
        raise StateError(
            f"`state` must be of method {method!r}; got {state.get('method')!r}. "
            "lmcma.from_state finds the class by itself."
        )
    check_format(state, number)


def check_format(state: State, number: int) -> None:
    """Raise a `StateError` unless `state` is in the format of this number."""
    if state.get("format") != number:
        raise StateError(
            f"`state['format']` must be {number}; got {state.get('format')!r}. Read it with the version that wrote it."
        )


@contextmanager
def reading_state() -> Iterator[None]:
    """Within it, an entry of a state that is missing or does not fit is a `StateError`."""
    try:
        yield
    except StateError:  # of a strategy inside
        raise
    except KeyError as e:
        raise StateError(f"`state` must have the entry {e}; it is missing. The state is incomplete.") from e
    except (ValueError, TypeError) as e:
        raise StateError(f"`state` has an entry that does not fit the others: {e}") from e


def check_foreign(x: Any, ids: Any) -> None:
    """Raise a `ProtocolError` unless all that is told are points of the caller's own; no batch is out."""
    if ids is None or x is None or not np.array_equal(ids, np.full(np.shape(ids), -1)):
        raise ProtocolError(
            "`tell` needs a batch that was asked for; none is out. Call `ask()` first; points of your own have id -1."
        )


def told_before(received: BoolArray, missing: IntArray) -> ProtocolError:
    """The error where rows told in order were `received` in part, for the first of these."""
    return ProtocolError(
        f"`ids`: row {int(np.argmax(received))} was told before. When telling a batch in parts, give `ids`; "
        f"missing are the rows {missing.tolist()}."
    )


def not_missing(rows: IntArray, missing: IntArray) -> ProtocolError:
    """The error where `rows`, told by id, are not all `missing`, or one comes twice."""
    return ProtocolError(
        f"`ids` must name rows that are not told yet, each once; got {rows.tolist()}, missing are {missing.tolist()}."
    )
