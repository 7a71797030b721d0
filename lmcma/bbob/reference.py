"""COCO's best-of references (best 2009, 2016 with two objectives, 2019 for large scale), from cocopp's files."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from lmcma.bbob.suites import SUITES
from lmcma.bbob.targets import PRECISIONS, Targets, targets_of
from lmcma.errors import MissingDependencyError
from lmcma.typing import FloatArray

_NAME = re.compile(r"_f(\d+)_d(\d+)\.dat$")


@dataclasses.dataclass(frozen=True)
class Reference:
    """The best ERT that any algorithm of a year reached, target by target.

    Parameters
    ----------
    label : str
        Its name in tables.
    erts : mapping
        ERT at the grid of `targets` by (function, dim), infinity where nobody reached it.
    targets : Targets
        Those of its suite.
    """

    label: str
    erts: Mapping[tuple[int, int], FloatArray]
    targets: Targets = PRECISIONS

    def ert(self, function: int, dim: int, targets: Iterable[float]) -> FloatArray:
        """ERT of each target: infinity where nobody reached it, NaN where the problem is not covered."""
        at = self.targets.index(targets)
        found = self.erts.get((function, dim))
        return np.full(len(at), np.nan) if found is None else found[at]


def load(suite: str) -> Reference:
    """The reference of a suite.

    cocopp itself is not imported (that is slow and looks for the network); its data files are read.

    Raises
    ------
    MissingDependencyError
        cocopp is not installed, or does not contain the file.
    """
    spec = importlib.util.find_spec("cocopp")
    folders = list(spec.submodule_search_locations or []) if spec is not None else []
    name = SUITES[suite].reference
    for folder in folders:
        path = Path(folder) / "refalgs" / f"{name}.tar.gz"
        if path.is_file():
            targets = targets_of(suite)
            return Reference(SUITES[suite].label, _read(path, targets), targets)
    raise MissingDependencyError(
        f"the reference {name} is part of the package cocopp, which is not installed; pip install 'lmcma[bbob]'"
    )


def _read(path: Path, targets: Targets) -> dict[tuple[int, int], FloatArray]:
    erts: dict[tuple[int, int], FloatArray] = {}
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:
            match = _NAME.search(member.name)
            file = archive.extractfile(member) if match else None
            if match and file is not None:
                erts[int(match[1]), int(match[2])] = _steps(file.read().decode("utf-8", "replace"), targets)
    return erts


def _steps(text: str, wanted: Targets) -> FloatArray:
    """ERT on the grid from rows ``evaluations target value algorithm ...``, easy targets first.

    A row says how many evaluations its target takes; a target between two rows takes those of the harder one.
    """
    rows = [line.split() for line in text.splitlines() if line and not line.startswith("%")]
    evaluations = np.array([float(r[0]) for r in rows])
    targets = np.array([float(r[1]) for r in rows])
    k = wanted.first(targets)
    found = np.full(len(wanted.grid), np.inf)
    hit = k < len(rows)
    found[hit] = evaluations[k[hit]]
    return found
