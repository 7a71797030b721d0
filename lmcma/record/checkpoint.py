"""A run in a file: data only, always whole, enough to go on to the bit.

The file is a NumPy .npz archive. Its entry "header" is JSON text with the number of the format and a tree of what is
kept; arrays are entries of their own, and the tree names them. Reading one runs no code.
"""

from __future__ import annotations

import contextlib
import glob
import json
import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lmcma import registry
from lmcma.errors import ArgumentError, ArgumentTypeError, CheckpointError, LmcmaError, StateError
from lmcma.strategies.protocol import Strategy
from lmcma.typing import State

FORMAT = 1
PathLike: TypeAlias = str | os.PathLike[str]
_Arrays: TypeAlias = dict[str, NDArray[Any]]
_log = logging.getLogger("lmcma")


def save(strategy: Strategy, path: PathLike) -> None:
    """Write a strategy to a file, from which `load` makes one that goes on to the bit.

    At any time the file is there as a whole, the old one or the new one.

    Parameters
    ----------
    strategy : Strategy
        Between any two calls of its methods, a batch may be out for evaluation.
    path : str or path
        The file, replaced if there is one; by custom its name ends in ``.npz``.

    Raises
    ------
    CheckpointError
        The file cannot be written; an old one is unchanged.

    Examples
    --------
    >>> import lmcma, os, tempfile
    >>> es = lmcma.make("cma", [1.0, 2.0], 0.5, rng=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lmcma.save(es, os.path.join(folder, "run.npz"))
    ...     again = lmcma.load(os.path.join(folder, "run.npz"))
    >>> bool((again.ask() == es.ask()).all())
    True
    """
    write(Path(path), {"strategy": strategy.state_dict()})


def load(path: PathLike) -> Strategy:
    """The strategy in a file that `save`, or ``minimize(..., checkpoint=path)``, has written.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    Strategy
        Ready to go on.

    Raises
    ------
    StateError
        The file is damaged, no such file at all, or from a newer version.
    CheckpointError
        It cannot be read.
    """
    return _strategy(read(Path(path)), Path(path))


def _strategy(content: State, path: Path) -> Strategy:
    try:
        return registry.from_state(content["strategy"])
    except LmcmaError as error:
        raise StateError(f"{str(path)!r} cannot be used: {error}") from error
    except Exception as error:  # entries that are there, but not what they should be
        raise StateError(f"{str(path)!r} holds no usable strategy: {type(error).__name__}: {error}.") from error


# -------------------------------------------------------------------- while a run goes on


class Part(Protocol):
    """Something else that a checkpoint keeps."""

    def state_dict(self) -> State:
        """What is to be kept."""

    def restore(self, state: State) -> None:
        """Take it over."""


class Checkpoint:
    """Keeps a run in a file: now and then while it goes on, and at its end.

    Parameters
    ----------
    path : str or path
        The file.
    arguments : mapping
        What describes the problem: numbers, strings, arrays, and tuples, lists, dictionaries of them. To go on with
        the run takes the same ones; None and a missing entry are the same.
    parts : mapping
        What else is kept, by name.
    """

    _interval = 10.0  # seconds from one file to the next, at least ...
    _share = 20.0  # ... and so many times what it took to write one

    def __init__(self, path: PathLike, arguments: Mapping[str, Any], parts: Mapping[str, Part]) -> None:
        try:
            self.path = Path(path)
        except TypeError:
            raise ArgumentTypeError(f"`checkpoint` must be the name of a file; got {path!r:.80}.") from None
        self.arguments = {name: value for name, value in arguments.items() if value is not None}
        self.parts = parts
        self._due = math.inf
        self._complained = False

    def begin(self, make: Callable[[], Strategy], limits: Mapping[str, Any], *, resume: bool) -> Strategy:
        """The strategy to run: that of the file with new limits, or a new one where there is no file.

        Parameters
        ----------
        make : callable
            Makes the new strategy.
        limits : mapping
            `ftarget`, `maxfev`, `maxiter`, which take the place of those in the file.
        resume : bool
            Whether a file may be there.
        """
        with contextlib.suppress(OSError):
            folder, name = os.path.split(os.path.realpath(self.path))
            for left in Path(folder).glob(f".{glob.escape(name)}.*.tmp"):  # by one that was killed while writing
                left.unlink()
        if not os.path.isfile(self.path):
            strategy = make()
            _in_place_of(self.path, {"arguments": self.arguments}, keep=False)  # find out now, not after ten seconds
        elif not resume:
            raise ArgumentError(
                f"`checkpoint`: there is a file {str(self.path)!r} already. Go on with its run (`resume`), or name "
                "another one."
            )
        else:
            content = read(self.path)
            self._compare(content.get("arguments"))
            strategy = _strategy(content, self.path)
            strategy.limit(**limits)
            for name, part in self.parts.items():
                if name in content:
                    part.restore(content[name])
        self._due = time.monotonic() + self._interval
        return strategy

    def note(self, strategy: Strategy) -> None:
        """Write the file if it is time to."""
        if time.monotonic() >= self._due:
            self.write(strategy)

    def write(self, strategy: Strategy) -> None:
        """Write the file; where that fails the log says so, once, and the old file stays."""
        started = time.monotonic()
        parts = {name: part.state_dict() for name, part in self.parts.items()}
        try:
            write(self.path, {"strategy": strategy.state_dict(), "arguments": self.arguments, **parts})
        except CheckpointError as error:
            if not self._complained:
                _log.warning("%s The run goes on (said once).", error)
            self._complained = True
        done = time.monotonic()
        self._due = done + max(self._interval, self._share * (done - started))

    def _compare(self, there: Mapping[str, Any] | None) -> None:
        if there is None:
            raise StateError(
                f"{str(self.path)!r} was written by `save`, not by a run with checkpoints. `load` gives its strategy."
            )
        for name in [*there, *(n for n in self.arguments if n not in there)]:
            found = _difference(name, there.get(name), self.arguments.get(name))
            if found is not None:
                raise ArgumentError(
                    f"`{found[0]}` must be that of the run in {str(self.path)!r}, {_short(found[1])}; got "
                    f"{_short(found[2])}. Only limits may change; for another run name another `checkpoint`."
                )


def _difference(name: str, a: Any, b: Any) -> tuple[str, Any, Any] | None:
    """The first place where two values differ, and both; whether tuples, lists or arrays hold them does not matter."""
    if isinstance(a, Mapping) and isinstance(b, Mapping) and a.keys() == b.keys():
        entries = ((f"{name}[{key!r}]", a[key], b[key]) for key in a)
    elif _is_sequence(a) and _is_sequence(b) and len(a) == len(b):
        if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.array_equal(a, b):
            return None
        entries = ((f"{name}[{k}]", a[k], b[k]) for k in range(len(a)))
    else:
        same = not _is_sequence(a) and not _is_sequence(b) and bool(a == b or (a != a and b != b))  # NaN is itself
        return None if same else (name, a, b)
    return next(filter(None, (_difference(*entry) for entry in entries)), None)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, (tuple, list)) or (isinstance(value, np.ndarray) and value.ndim > 0)


def _short(value: Any) -> str:
    text = " ".join(repr(value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value).split())
    return text if len(text) <= 80 else text[:77] + "..."


# -------------------------------------------------------------------- the file


def write(path: Path, content: Mapping[str, State]) -> None:
    """Put `content` in a file, which is there as a whole at any time.

    Raises
    ------
    CheckpointError
        It cannot be written.
    StateError
        Something in `content` is not data.
    """
    _in_place_of(path, content, keep=True)


def _in_place_of(path: Path, content: Mapping[str, State], *, keep: bool) -> None:
    arrays: _Arrays = {}
    strategy = content.get("strategy", {})
    header = {
        "lmcma checkpoint": FORMAT,
        "lmcma": _version(),
        "method": strategy.get("method"),
        "content": _encoded(content, "", arrays),
    }
    text = json.dumps(header, allow_nan=False).encode()
    target = Path(os.path.realpath(path))  # a link stays one
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        if target.is_dir():
            raise IsADirectoryError("it is a folder")
        with temporary.open("wb") as file:
            np.savez(file, **{"header": np.frombuffer(text, dtype=np.uint8), **arrays})  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        if keep:
            temporary.replace(target)
    except OSError as error:
        raise CheckpointError(
            f"the checkpoint {str(path)!r} cannot be written: {error.strerror or error}. An old file is unchanged. "
            "Make room, or name a file in a folder that exists and can be written to."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def read(path: Path) -> State:
    """What `write` put in a file.

    Raises
    ------
    StateError
        The file is none of ours, damaged, or from a newer version.
    CheckpointError
        It cannot be read.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            header = json.loads(bytes(arrays["header"]))
            version = header["lmcma checkpoint"]
            if version == FORMAT:
                content: State = _decoded(header["content"], arrays)
                return content
    except OSError as error:
        if error.errno is not None:
            raise CheckpointError(f"the checkpoint {str(path)!r} cannot be read: {error.strerror}.") from error
        raise _damaged(path, error) from error
    except Exception as error:  # zipfile, zlib, json and numpy have many names for it
        raise _damaged(path, error) from error
    raise StateError(
        f"{str(path)!r} has format {version!r}, written by lmcma {header.get('lmcma')}; lmcma {_version()} reads "
        f"format {FORMAT}. Update lmcma, or use the version that wrote it."
    )


def _damaged(path: Path, error: Exception) -> StateError:
    return StateError(
        f"{str(path)!r} must be a checkpoint of lmcma; it is another file, or damaged ({type(error).__name__}: "
        f"{error}). Take a copy of it, or begin anew under another name."
    )


def _version() -> str:
    import lmcma

    return lmcma.__version__


# In the tree a dictionary is an object; None, strings, booleans, integers and finite floats are themselves; all else is
# a list that begins with what it is.


def _encoded(value: Any, path: str, arrays: _Arrays) -> Any:
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _encoded(entry, f"{path}/{key}" if path else key, arrays) for key, entry in value.items()}
    if isinstance(value, (np.ndarray, np.generic)) and not value.dtype.hasobject:
        name = path
        while name in arrays:
            name += "_"
        arrays[name] = np.asarray(value)
        return ["array" if isinstance(value, np.ndarray) else "scalar", name]
    if isinstance(value, (tuple, list)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return [kind, *(_encoded(entry, f"{path}/{k}", arrays) for k, entry in enumerate(value))]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else ["float", str(float(value))]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    kind = type(value).__name__
    raise StateError(f"{path!r} must be numbers, text or arrays to be saved; got {value!r:.80} ({kind}).")


def _decoded(tree: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if isinstance(tree, dict):
        return {key: _decoded(entry, arrays) for key, entry in tree.items()}
    if not isinstance(tree, list):
        return tree
    kind, *rest = tree
    if kind in ("array", "scalar"):
        array = arrays[rest[0]]
        return array if kind == "array" else array[()]
    if kind == "float":
        return float(rest[0])
    entries = (_decoded(entry, arrays) for entry in rest)
    return {"tuple": tuple, "list": list}[kind](entries)
