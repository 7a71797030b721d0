"""One trial: one method, one start, one problem of COCO, until the last target or the end of the budget."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from typing import Any

import numpy as np

from lmcma import driver
from lmcma.bbob.baselines import BASELINES
from lmcma.bbob.campaign import Campaign, MethodSpec
from lmcma.bbob.optima import CLOSE, measured_optimum
from lmcma.bbob.suites import suite
from lmcma.typing import FloatArray


class TrialOver(Exception):  # noqa: N818 - an end, not an error
    """Raised out of the evaluation when a trial has nothing left to do; `reason` is "target" or "budget"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Parameters
    ----------
    calls : int
        Evaluations asked for; COCO counts those whose x is finite.
    target : bool
        The final target, 1e-8, was hit.
    reason : str
        "target", "budget", or the stopping rule of the method. With two objectives COCO has no final target.
    """

    calls: int
    target: bool
    reason: str


class Objective:
    """An observed problem that ends the trial at its final target and at `maxfev` calls, exactly.

    COCO does not count a point with NaN; counting calls here keeps a broken method from running for ever. A value of
    `optimum` hits the final target, too: with noise COCO does not tell.
    """

    def __init__(self, problem: Any, maxfev: int, n_obj: int = 1, optimum: float = math.nan) -> None:
        self._problem = problem
        self._left = maxfev
        self._n_obj = n_obj
        self._optimum = optimum
        self._optimal = False  # the last value
        self.calls = 0

    @property
    def target(self) -> bool:
        """Whether the final target is hit."""
        return self._optimal or bool(self._problem.final_target_hit)

    def one(self, x: FloatArray) -> Any:
        """The value at `x`; `TrialOver` in place of the value that would be the first one too many."""
        if self.target:
            raise TrialOver("target")
        if self._left <= 0:
            raise TrialOver("budget")
        self._left -= 1
        self.calls += 1
        f = self._problem(x)
        if self._n_obj > 1:
            return f
        value = float(f)
        self._optimal = abs(value - self._optimum) <= CLOSE
        return value

    def batch(self, x: FloatArray) -> FloatArray:
        """The values of the rows of `x`, (k,) or, with several objectives, (k, n_obj)."""
        f = np.empty(len(x) if self._n_obj == 1 else (len(x), self._n_obj))
        one = self.one
        for k, row in enumerate(x):
            f[k] = one(row)
        return f


def seeds(*key: str | int) -> np.random.SeedSequence:
    """The seed that a key stands for, the same one on every machine and in every Python.

    >>> seeds(1, "x").entropy == seeds(1, "x").entropy != seeds(1, "y").entropy
    True
    """
    digest = hashlib.sha256("\x1f".join(map(str, key)).encode()).digest()
    return np.random.SeedSequence(int.from_bytes(digest[:16], "big"))


def start(campaign: Campaign, function: int, dim: int, instance: int, repetition: int) -> FloatArray:
    """The start of a trial, the same one for every method: uniform in the campaign's box, 0 with two objectives."""
    if suite(campaign.suite).n_obj > 1:  # COCO's initial solution, the middle of the box
        return np.zeros(dim)
    key = seeds("start", campaign.seed, campaign.suite, function, dim, instance, repetition)
    return np.random.default_rng(key).uniform(*campaign.x0_box, dim)


def run(campaign: Campaign, spec: MethodSpec, problem: Any, repetition: int = 0) -> Outcome:
    """Run one trial.

    Parameters
    ----------
    campaign : Campaign
        Gives budget, seed, start and sigma0.
    spec : MethodSpec
        The method; it is run once, with restarts only if it restarts by itself.
    problem : cocoex.Problem
        Already observed.
    repetition : int
        How often the same instance came before in the campaign.
    """
    function, dim, instance = problem.id_triple
    x0 = start(campaign, function, dim, instance, repetition)
    seed = seeds("method", campaign.seed, campaign.suite, function, dim, instance, repetition, spec.name)
    maxfev = campaign.max_evaluations(dim)
    optimum = measured_optimum(function, instance) if campaign.suite == "bbob-noisy" else math.nan
    objective = Objective(problem, maxfev, suite(campaign.suite).n_obj, optimum)
    try:
        if spec.method in BASELINES:
            baseline = BASELINES[spec.method].run
            reason = baseline(objective.one, x0, campaign.sigma0, campaign.x0_box, maxfev, seed, spec.options)
        else:
            strategy = campaign.strategy(spec, x0, rng=seed, maxfev=maxfev)
            stop = driver.run(strategy, objective.batch).stop
            reason = str(stop.reason) if stop is not None else "end"
    except TrialOver as end:
        reason = end.reason
    if objective.target:
        reason = "target"
    elif objective.calls >= maxfev:
        reason = "budget"
    return Outcome(objective.calls, objective.target, reason)
