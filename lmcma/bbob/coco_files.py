"""COCO's files: ``.info`` (what was run) and ``.dat`` (when a precision was reached), in two layouts."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lmcma.typing import FloatArray

_PAIR = re.compile(r"(\w+) *= *(?:'([^']*)'|([^,]*))")
_TRIAL = re.compile(r"(\d+):(\d+)\|([-+0-9.eE]+|inf|nan)")


@dataclasses.dataclass(frozen=True)
class Layout:
    """How the files of a suite are to be read.

    Parameters
    ----------
    function, dim, algorithm : str
        The keys of these in an ``.info`` file.
    start : str
        What the one line of a ``.dat`` file begins with that comes before the rows of a trial.
    best : int
        The column of the best precision so far; the first one counts evaluations.
    """

    function: str
    dim: str
    algorithm: str
    start: str
    best: int


ONE_OBJECTIVE = Layout("funcId", "DIM", "algId", "%", 2)  # the best noise-free precision
TWO_OBJECTIVES = Layout("function", "dim", "algorithm", "% instance", 1)  # that of the indicator


@dataclasses.dataclass(frozen=True)
class Entry:
    """A line of an ``.info`` file.

    Parameters
    ----------
    suite, algorithm, function, dim
        What was run.
    data : Path
        The ``.dat`` file.
    layout : Layout
        How it is to be read.
    finished : list of (instance, evaluations)
        Its finished trials, in order.
    """

    suite: str
    algorithm: str
    function: int
    dim: int
    data: Path
    layout: Layout
    finished: list[tuple[int, int]]


def entries(info: Path) -> Iterator[Entry]:
    """The entries of an ``.info`` file; anything that an interruption left incomplete is passed over."""
    head: dict[str, str] = {}
    for raw in info.read_text(encoding="utf-8", errors="replace").splitlines():
        line = raw.strip()
        if not line or line.startswith("%"):
            continue
        if "funcId" in line or "indicator" in line:
            head = _pairs(line)
            continue
        layout = TWO_OBJECTIVES if "indicator" in head else ONE_OBJECTIVE
        fields = [part.strip() for part in line.split(",")]
        if layout is TWO_OBJECTIVES:  # names the problem in the line itself
            head |= _pairs(",".join(fields[:2]))
            del fields[:2]
        name, *trials = fields or [""]
        data = info.parent / head.get("folder", "") / name.replace("\\", "/")
        if not {layout.function, layout.dim} <= head.keys() or not data.is_file():
            continue
        yield Entry(
            head.get("suite", "bbob"),
            head.get(layout.algorithm, info.parent.name),
            int(head[layout.function]),
            int(head[layout.dim]),
            data,
            layout,
            _finished(trials),
        )


def _pairs(line: str) -> dict[str, str]:
    return {key: (quoted or plain).strip() for key, quoted, plain in _PAIR.findall(line)}


def _finished(trials: list[str]) -> list[tuple[int, int]]:
    found = []
    for text in trials:
        match = _TRIAL.fullmatch(text)
        if match is None or not _is_number(match[3]):
            break  # cut off: the file ends here
        found.append((int(match[1]), int(match[2])))
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def curves(data: Path, layout: Layout) -> list[tuple[FloatArray, FloatArray]]:
    """For each trial in a ``.dat`` file the evaluations noted and the best precision then."""
    trials: list[tuple[list[float], list[float]]] = []
    with data.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("%"):
                if line.startswith(layout.start):
                    trials.append(([], []))
                continue
            fields = line.split()
            if not trials or len(fields) <= layout.best:
                continue
            try:
                evaluation, best = float(fields[0]), float(fields[layout.best])
            except ValueError:
                continue
            trials[-1][0].append(evaluation)
            trials[-1][1].append(best)
    return [(np.array(n, dtype=float), np.minimum.accumulate(np.array(b, dtype=float))) for n, b in trials]
