"""Two methods, or a method and a reference: the geometric mean of ratios of ERT."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np

from lmcma.bbob.reference import Reference
from lmcma.bbob.score import Results, Trials
from lmcma.typing import FloatArray, IntArray


@dataclasses.dataclass(frozen=True)
class Ratio:
    """Geometric mean of ERT_a / ERT_b: below 1, `a` is faster.

    Parameters
    ----------
    value : float
        Mean over the targets of each function that both reached, then over functions and dimensions; NaN if
        there are none.
    low, high : float
        The 2.5 and 97.5 % quantiles of this number over bootstrap samples of the trials; NaN if not asked for.
    targets, problems : int
        How many targets, on how many (function, dimension) pairs, both reached.
    only_a, only_b : int
        Targets that only one of them reached, which do not enter `value`.
    """

    value: float
    low: float
    high: float
    targets: int
    problems: int
    only_a: int
    only_b: int


def compare(
    a: Results,
    b: Results | Reference,
    targets: Iterable[float] | None = None,
    *,
    dims: Sequence[int] | None = None,
    functions: Sequence[int] | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Ratio:
    """Compare the expected running times of two methods.

    Parameters
    ----------
    a, b : Results, or Reference for `b`
        Whose ERT are divided.
    targets : iterable of float
        Precisions of the grid of the suite (`lmcma.bbob.targets`); its standard ones by default.
    dims, functions : sequence of int, optional
        Restrict the comparison; all problems that both have by default.
    bootstrap : int
        Bootstrap samples for the interval, 0 for none. Trials are drawn with replacement, per problem and
        method; a sample in which nothing hit a target counts as if its last evaluation had. With few trials
        the interval is too narrow. A reference is a fixed number.
    seed : int
        Of the bootstrap.
    """
    wanted = a.targets.standard if targets is None else list(targets)
    rng = np.random.default_rng(seed)
    logs: list[float] = []
    samples: list[FloatArray] = []
    reached = only_a = only_b = 0
    for function, dim in sorted(a.trials):
        if (dims is not None and dim not in dims) or (functions is not None and function not in functions):
            continue
        if (function, dim) not in (b.erts if isinstance(b, Reference) else b.trials):
            continue
        ert_a, ert_b = a.ert(function, dim, wanted), b.ert(function, dim, wanted)
        both = np.isfinite(ert_a) & np.isfinite(ert_b)
        only_a += int((np.isfinite(ert_a) & ~both).sum())
        only_b += int((np.isfinite(ert_b) & ~both).sum())
        reached += int(both.sum())
        if not both.any():
            continue
        logs.append(float(np.log(ert_a[both] / ert_b[both]).mean()))
        if bootstrap:
            at = a.targets.index(wanted)[both]
            drawn = _log_ert(a.trials[function, dim], at, bootstrap, rng)
            if isinstance(b, Reference):
                drawn = drawn - np.log(ert_b[both])
            else:
                drawn = drawn - _log_ert(b.trials[function, dim], at, bootstrap, rng)
            samples.append(drawn.mean(axis=1))
    value = math.exp(np.mean(logs)) if logs else math.nan
    low = high = math.nan
    if samples:
        low, high = (float(v) for v in np.exp(np.quantile(np.mean(samples, axis=0), [0.025, 0.975])))
    return Ratio(value, low, high, reached, len(logs), only_a, only_b)


def _log_ert(trials: Trials, at: IntArray, samples: int, rng: np.random.Generator) -> FloatArray:
    """Logarithms of the ERT of `samples` bootstrap samples, (samples, targets)."""
    hits = trials.hits[:, at]
    hit = np.isfinite(hits)
    spent = np.where(hit, hits, trials.lengths[:, None])
    drawn = rng.multinomial(len(hits), np.full(len(hits), 1 / len(hits)), size=samples).astype(float)
    log_ert: FloatArray = np.log((drawn @ spent) / np.maximum(drawn @ hit, 1))
    return log_ert
