"""COCO's files: ``.info`` (what was run) and ``.dat`` (when a precision was reached), layout bbob-new2."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lmcma.typing import FloatArray

_PAIR = re.compile(r"(\w+) *= *(?:'([^']*)'|([^,]*))")
_TRIAL = re.compile(r"(\d+):(\d+)\|([-+0-9.eE]+|inf|nan)")
_BEST = 2  # column of the best noise-free precision so far


@dataclasses.dataclass(frozen=True)
class Entry:
    """A line of an ``.info`` file.

    Parameters
    ----------
    suite, algorithm, function, dim
        What was run.
    data : Path
        The ``.dat`` file.
    finished : list of (instance, evaluations)
        Its finished trials, in order.
    """

    suite: str
    algorithm: str
    function: int
    dim: int
    data: Path
    finished: list[tuple[int, int]]


def entries(info: Path) -> Iterator[Entry]:
    """The entries of an ``.info`` file; anything that an interruption left incomplete is passed over."""
    head: dict[str, str] = {}
    for raw in info.read_text(encoding="utf-8", errors="replace").splitlines():
        line = raw.strip()
        if not line or line.startswith("%"):
            continue
        if "funcId" in line:
            head = {key: (quoted or plain).strip() for key, quoted, plain in _PAIR.findall(line)}
            continue
        name, *trials = (part.strip() for part in line.split(","))
        data = info.parent / name.replace("\\", "/")
        if not {"funcId", "DIM"} <= head.keys() or not data.is_file():
            continue
        yield Entry(
            head.get("suite", "bbob"),
            head.get("algId", info.parent.name),
            int(head["funcId"]),
            int(head["DIM"]),
            data,
            _finished(trials),
        )


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


def curves(data: Path) -> list[tuple[FloatArray, FloatArray]]:
    """For each trial in a ``.dat`` file the evaluations noted and the best precision then."""
    trials: list[tuple[list[float], list[float]]] = []
    with data.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("%"):
                trials.append(([], []))
                continue
            fields = line.split()
            if not trials or len(fields) <= _BEST:
                continue
            try:
                evaluation, best = float(fields[0]), float(fields[_BEST])
            except ValueError:
                continue
            trials[-1][0].append(evaluation)
            trials[-1][1].append(best)
    return [(np.array(n, dtype=float), np.minimum.accumulate(np.array(b, dtype=float))) for n, b in trials]
