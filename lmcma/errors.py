"""The errors of lmcma: one tree below `LmcmaError`, each leaf also the built-in that fits.

Every message names the argument, what was expected, what came, and what to do about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class LmcmaError(Exception):
    """Base class of every error that lmcma raises on purpose."""


class ArgumentError(LmcmaError, ValueError):
    """An argument has a value that cannot be used."""


class ArgumentTypeError(LmcmaError, TypeError):
    """An argument has a type that cannot be used, or is not known."""


class ShapeError(ArgumentError):
    """An array has the wrong shape."""


class UnknownMethodError(LmcmaError, LookupError):
    """No method of this name is registered."""


class ProtocolError(LmcmaError, RuntimeError):
    """`ask`, `tell` and `stop` were called in an order that makes no sense."""


class ObjectiveError(LmcmaError, RuntimeError):
    """The objective function raised, or returned something that is not a number.

    Attributes
    ----------
    x : (n,) array or None
        The point at which it happened.
    """

    def __init__(self, message: str, x: Any = None) -> None:
        super().__init__(message)
        self.x = x


class MemoryLimitError(LmcmaError, MemoryError):
    """The method would need more memory than allowed."""


class StateError(LmcmaError, ValueError):
    """A state dictionary, or a file with one, does not belong to this strategy or format."""


class CheckpointError(LmcmaError, OSError):
    """A checkpoint cannot be written, or the file not be read."""


class CampaignError(LmcmaError, ValueError):
    """A benchmark campaign is described in a way that cannot be run."""


class MissingDependencyError(LmcmaError, ImportError):
    """An optional package is not installed."""


class LmcmaWarning(UserWarning):
    """Base class of the warnings of lmcma."""


class RestartWarning(LmcmaWarning):
    """Restarts have no other place to begin than the start of the first run."""


class PopulationWarning(LmcmaWarning):
    """The population is too large for the method in this dimension."""


def near_miss(name: str, known: Iterable[str]) -> str:
    """The end of an error message: the likely meaning of `name`, and what there is.

    >>> near_miss("lmcma", ["cma", "lm-cma"])
    "did you mean 'lm-cma'? Known: 'cma', 'lm-cma'."
    """
    names = sorted(known)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    guess = f"did you mean {close[0]!r}? " if close else ""
    return f"{guess}Known: {', '.join(map(repr, names))}."
