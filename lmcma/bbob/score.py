"""Scores of COCO's data: hit evaluations of targets, ERT, ECDFs of runtime, ratios with intervals.

Definitions
-----------
A *target* is a precision, of f or, with two objectives, of the hypervolume indicator. COCO notes the first
evaluation at which each one of a grid is reached (`lmcma.bbob.targets`), and all scores use these.

ERT(target), the expected running time: all evaluations made until the target was hit, summed over all trials
(trials that missed it count with their whole length), divided by the number of trials that hit it.

ECDF: the fraction of all (function, target, trial) triples hit within a number of evaluations divided by the
dimension. Every function has the same weight. No restarts are simulated: what a trial missed is missed.

Area: the mean height of the ECDF between 1 and B evaluations per dimension on the logarithmic axis.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from lmcma.bbob import coco_files
from lmcma.bbob.suites import SUITES
from lmcma.bbob.targets import Targets, targets_of
from lmcma.errors import ArgumentError, CampaignError
from lmcma.typing import FloatArray, IntArray


@dataclasses.dataclass(frozen=True)
class Trials:
    """All trials of one method on one function in one dimension.

    Parameters
    ----------
    instances : (k,) int array
        The instance of each trial.
    lengths : (k,) int array
        Its evaluations.
    hits : (k, number of targets) float array
        The evaluation at which each target of the suite's grid was hit, NaN where it was not.
    """

    instances: IntArray
    lengths: IntArray
    hits: FloatArray


@dataclasses.dataclass(frozen=True)
class Results:
    """All trials of one method.

    Parameters
    ----------
    name : str
        The method's label.
    suite : str
        COCO's name of the suite.
    trials : mapping
        `Trials` by (function, dim).
    """

    name: str
    suite: str
    trials: Mapping[tuple[int, int], Trials]

    @property
    def targets(self) -> Targets:
        """Those of the suite."""
        return targets_of(self.suite)

    def dims(self) -> list[int]:
        """The dimensions there are data of."""
        return sorted({d for _, d in self.trials})

    def functions(self, dim: int) -> list[int]:
        """The functions there are data of in `dim`."""
        return sorted(f for f, d in self.trials if d == dim)

    def ert(self, function: int, dim: int, targets: Iterable[float] | None = None) -> FloatArray:
        """Expected running time of each target, by default the standard ones; infinity where no trial hit it."""
        trials = self._problem(function, dim)
        return ert(trials.hits[:, self._index(targets)], trials.lengths)

    def successes(self, function: int, dim: int, targets: Iterable[float] | None = None) -> IntArray:
        """How many trials hit each target."""
        hits = self._problem(function, dim).hits[:, self._index(targets)]
        return np.isfinite(hits).sum(axis=0, dtype=np.int64)

    def evaluations(self, dim: int) -> int:
        """Evaluations of all trials in `dim`."""
        return sum(int(t.lengths.sum()) for (_, d), t in self.trials.items() if d == dim)

    def ecdf(self, dim: int, at: FloatArray, functions: Sequence[int] | None = None) -> FloatArray:
        """Height of the runtime ECDF at evaluations per dimension `at`, over all or some functions."""
        curves = [
            np.searchsorted(np.sort(t.hits[np.isfinite(t.hits)] / dim), at * (1 + 1e-12), side="right") / t.hits.size
            for t in self._some(dim, functions)
        ]
        return np.mean(curves, axis=0) if curves else np.full(len(at), np.nan)

    def solved(self, dim: int, functions: Sequence[int] | None = None) -> float:
        """Fraction of (function, target, trial) triples hit: the final height of the ECDF."""
        parts = [float(np.isfinite(t.hits).mean()) for t in self._some(dim, functions)]
        return float(np.mean(parts)) if parts else math.nan

    def area(self, dim: int, budget: float, functions: Sequence[int] | None = None) -> float:
        """Mean height of the ECDF over log10(evaluations/dim) from 0 to log10(`budget`)."""
        parts = [area(t.hits, dim, budget) for t in self._some(dim, functions)]
        return float(np.mean(parts)) if parts else math.nan

    def _index(self, targets: Iterable[float] | None) -> IntArray:
        return self.targets.index(self.targets.standard if targets is None else targets)

    def _some(self, dim: int, functions: Sequence[int] | None) -> list[Trials]:
        wanted = self.functions(dim) if functions is None else [f for f in functions if (f, dim) in self.trials]
        return [self.trials[f, dim] for f in wanted]

    def _problem(self, function: int, dim: int) -> Trials:
        try:
            return self.trials[function, dim]
        except KeyError:
            raise ArgumentError(
                f"`function`, `dim`: there are no trials of {self.name!r} on f{function} in dimension {dim}; "
                f"there are dimensions {self.dims()}, functions {self.functions(dim)} in this one."
            ) from None


def ert(hits: FloatArray, lengths: IntArray) -> FloatArray:
    """ERT from hit evaluations (trials x targets, NaN: missed) and trial lengths; infinity without a hit."""
    hit = np.isfinite(hits)
    total = np.where(hit, hits, lengths[:, None]).sum(axis=0)
    return np.where(hit.any(axis=0), total / np.maximum(hit.sum(axis=0), 1), np.inf)


def area(hits: FloatArray, dim: int, budget: float) -> float:
    """Mean height of the ECDF of `hits` over log10(evaluations/dim) from 0 to log10(`budget`)."""
    if not budget > 1:
        return math.nan
    height = 1 - np.log10(np.maximum(hits / dim, 1)) / math.log10(budget)
    return float(np.where(np.isfinite(hits), np.clip(height, 0, 1), 0.0).mean())


def load(folder: str | Path) -> dict[str, Results]:
    """Read all of COCO's data below a folder, by the algorithm names they carry.

    Parameters
    ----------
    folder : str or Path
        An output folder of a campaign, or any folder with COCO's ``.info`` and ``.dat`` files. Trials that were
        not finished (no entry in ``.info``) are skipped, and so are those of instances without a score.

    Returns
    -------
    dict
        `Results` by method name, in alphabetical order.

    Raises
    ------
    CampaignError
        There are no data, or one algorithm name carries data of several suites.
    """
    path = Path(folder)
    if not path.is_dir():
        raise CampaignError(
            f"{str(folder)!r} is not a folder. Give the output folder of a campaign, or one with COCO's data."
        )
    parts: dict[str, dict[tuple[int, int], list[Trials]]] = {}
    suites: dict[str, str] = {}
    for info in sorted(path.rglob("*.info")):
        for entry in coco_files.entries(info):
            if suites.setdefault(entry.algorithm, entry.suite) != entry.suite:
                raise CampaignError(
                    f"{path} has data of {entry.algorithm!r} on {suites[entry.algorithm]} and on "
                    f"{entry.suite}. Give the folder of one of them."
                )
            trials = _trials(entry)
            if len(trials.lengths):
                parts.setdefault(entry.algorithm, {}).setdefault((entry.function, entry.dim), []).append(trials)
    if not parts:
        raise CampaignError(
            f"there are no finished trials of COCO below {str(folder)!r}. Give the folder of a campaign."
        )
    return {
        name: Results(name, suites[name], {key: _joined(found) for key, found in sorted(parts[name].items())})
        for name in sorted(parts)
    }


def _trials(entry: coco_files.Entry) -> Trials:
    curves = coco_files.curves(entry.data, entry.layout) if entry.finished else []
    finished = entry.finished[: len(curves)]
    targets = targets_of(entry.suite)
    hits = np.full((len(finished), len(targets.grid)), np.nan)
    for row, (evaluations, best) in zip(hits, curves, strict=False):
        k = targets.first(best)
        hit = k < len(best)
        row[hit] = evaluations[k[hit]]
    instances = np.array([i for i, _ in finished], dtype=np.int64)
    lengths = np.array([n for _, n in finished], dtype=np.int64)
    meant = SUITES[entry.suite].instances if entry.suite in SUITES else None
    scored = np.isin(instances, instances if meant is None else meant)
    return Trials(instances[scored], lengths[scored], hits[scored])


def _joined(parts: Sequence[Trials]) -> Trials:
    return Trials(
        np.concatenate([t.instances for t in parts]),
        np.concatenate([t.lengths for t in parts]),
        np.concatenate([t.hits for t in parts]),
    )
