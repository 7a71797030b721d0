"""(1+1)-CMA-ES, with active update: one parent, one offspring.

References
----------
C. Igel, T. Suttorp, N. Hansen. A Computational Efficient Covariance Matrix Update and a (1+1)-CMA for Evolution
Strategies. GECCO 2006.
D. V. Arnold, N. Hansen. Active Covariance Matrix Adaptation for the (1+1)-CMA-ES. GECCO 2010.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from lmcma import random
from lmcma.errors import ArgumentError
from lmcma.kernels import elitist as kernels
from lmcma.kernels import normals, stopping
from lmcma.kernels.cholesky import transform
from lmcma.kernels.elitist import OFFSPRING, PARENT, Individuals
from lmcma.strategies.base import PopulationStrategy, default_popsize, shared_parts
from lmcma.strategies.foreign import shortening, steps
from lmcma.strategies.stop_state import StopState
from lmcma.termination import PROFILES, Stop, StopOption, StopRules, stop_rules
from lmcma.typing import BoolArray, FloatArray, State

_REMEMBERED = 5  # parents; what is worse than the oldest of them is worth unlearning
_SLOTS = 3


class ElitistCMA(PopulationStrategy):
    """(1+1)-CMA-ES: the best point so far, and steps around it.

    An offspring that is no worse takes the parent's place, and its step is learned; one that is worse than the last
    five parents is unlearned. The step size follows the rate of success. Fast where there is one valley and no noise.

    Parameters
    ----------
    x0 : (n,) array_like
        The first parent, evaluated first.
    sigma0 : float
        The first step size, in the units of `x0`; about 0.2 to 0.3 of the range where the optimum is expected.
    popsize : int, optional
        1: there is one offspring.
    active : bool
        Unlearn bad steps.
    stop : str, StopRules or mapping, optional
        Stopping rules; by default "tolhistfun" (of the parents' values, over 10 + 30 n evaluations), "tolx",
        "tolupsigma", "noeffectcoor" and "all_nan" of the profile "bbob". The limit of "all_nan" counts as many
        evaluations as other methods have in an iteration. "equalfunvals", "conditioncov" and "noeffectaxis" do not
        apply.
    ftarget, maxfev, maxiter
        Stop at a value <= `ftarget`, after so many evaluations, iterations; an iteration is one evaluation.
    max_memory : float, optional
        Bytes; four fifths of the machine's memory by default.
    rng : None, int, SeedSequence or Generator
        Source of randomness.

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError
        An argument cannot be used.
    MemoryLimitError
        Three n x n matrices do not fit.

    Examples
    --------
    >>> import lmcma
    >>> es = lmcma.ElitistCMA([1.0] * 5, 0.5, rng=1, ftarget=1e-9)
    >>> while not es.stop():
    ...     x = es.ask()
    ...     es.tell(x, lmcma.testfunctions.ellipsoid(x))
    >>> es.stop().reason == "ftarget"
    True

    References
    ----------
    D. V. Arnold, N. Hansen. Active Covariance Matrix Adaptation for the (1+1)-CMA-ES. GECCO 2010. With the update of
    the triangular factor by O. Krause, C. Igel, FOGA 2015.
    """

    method: ClassVar[str] = "elitist-cma"

    def __init__(
        self,
        x0: ArrayLike,
        sigma0: float,
        *,
        popsize: int | None = None,
        active: bool = True,
        stop: StopOption = None,
        ftarget: float | None = None,
        maxfev: int | None = None,
        maxiter: int | None = None,
        max_memory: float | None = None,
        rng: random.Seed = None,
    ) -> None:
        if popsize is not None and popsize != 1:
            raise ArgumentError(
                f"`popsize` must be 1 for method='elitist-cma'; got {popsize!r}. Use method='cma' for more offspring."
            )
        default = dataclasses.replace(PROFILES["bbob"], maxiter=None, stagnation=None)
        rules = dataclasses.replace(stop_rules(stop, default=default), equalfunvals=None)
        super().__init__(
            x0,
            sigma0,
            popsize=None,
            rules=rules,
            ftarget=ftarget,
            maxfev=maxfev,
            maxiter=maxiter,
            max_memory=max_memory,
            rng=rng,
        )
        n = self._n
        self.active = bool(active)
        self.params = kernels.constants(n)
        self._who = Individuals(
            x=np.zeros((_SLOTS, n)),
            y=np.zeros((_SLOTS, n)),
            sigma=np.full(_SLOTS, self.sigma0),
            p=np.full(_SLOTS, self.params.p_target),
            Lt=np.zeros((_SLOTS, n, n)),
            p_c=np.zeros((_SLOTS, n)),
        )
        self._scale = np.ones(n)
        kernels.begin(self._who, PARENT, self._scale)
        self._who.x[PARENT] = self.x0
        self._recent = np.full(_REMEMBERED, math.inf)
        self._begun = False  # whether the first parent has been evaluated
        self._failed = 0  # evaluations without a finite value, in a row
        self._z, self._w = np.zeros(n), np.zeros(n)
        self._stop = StopState(rules, n, 1, 1)
        self._stop.tol[stopping.ALL_NAN] *= default_popsize(n)

    @staticmethod
    def default_popsize(n: int) -> int:
        """One offspring."""
        return 1

    @classmethod
    def memory_parts(cls, n: int, popsize: int, stored: int | None = None) -> dict[str, float]:
        """Bytes needed, by what takes them: three triangular factors; points, steps, paths."""
        return {"matrices": 8.0 * _SLOTS * n**2, **shared_parts(n, 1, 3 * _SLOTS + 8)}

    # ---------------------------------------------------------------- the state, by name

    @property
    def mean(self) -> FloatArray:
        """The parent, (n,); a view."""
        return self._who.x[PARENT]

    @property
    def sigma(self) -> float:
        """Step size."""
        return float(self._who.sigma[PARENT])

    @property
    def success_rate(self) -> float:
        """Smoothed rate of success."""
        return float(self._who.p[PARENT])

    @property
    def C(self) -> FloatArray:
        """Covariance matrix without the factor sigma^2, (n, n); a copy."""
        Lt = self._who.Lt[PARENT]
        C: FloatArray = Lt.T @ Lt
        return C

    def snapshot(self) -> Mapping[str, Any]:
        """The search distribution in numbers, for a recorder; the axis ratio takes O(n^3) time."""
        axes = np.linalg.svd(self._who.Lt[PARENT], compute_uv=False)
        return {
            "nit": self._nit,
            "best_f": self._best_f,
            "sigma": self.sigma,
            "axis_ratio": float(axes[0] / axes[-1]),
            "mean": self.mean,
            "stds": self.sigma * np.sqrt(self._diagonal()),
        }

    def _diagonal(self) -> FloatArray:
        found: FloatArray = (self._who.Lt[PARENT] ** 2).sum(axis=0)
        return found

    # ---------------------------------------------------------------- one iteration

    def _write(self, out: FloatArray) -> None:
        who = self._who
        who.x[OFFSPRING], who.y[OFFSPRING] = who.x[PARENT], 0.0
        if self._begun:
            normals.fill(self._key, self._batch * self._n, self._z)
            transform(who.Lt[PARENT], self._z, who.y[OFFSPRING])
            who.x[OFFSPRING] += self.sigma * who.y[OFFSPRING]
        out[0] = who.x[OFFSPRING]

    def _row(self, row: int) -> FloatArray:
        return self._who.x[OFFSPRING].copy()

    def _update(
        self, f: FloatArray, own: BoolArray, foreign_x: FloatArray | None, foreign_f: FloatArray | None
    ) -> None:
        value = float(f[0])
        self._failed = 0 if math.isfinite(value) else self._failed + 1
        if own[0]:
            self._compare(math.inf if math.isnan(value) else value)
        if foreign_x is not None and foreign_f is not None:
            for x, theirs in zip(foreign_x, foreign_f.tolist(), strict=True):
                self._take_over(x, theirs)
        self._test()

    def _compare(self, value: float) -> None:
        if not self._begun:
            self._begun = True
            self._recent[:] = value
            return
        zz = float(self._z @ self._z)
        kernels.select(self._who, value, self._recent, zz, self.active, self.params, self._scale, self._w)

    def _take_over(self, x: FloatArray, value: float) -> None:
        """A point of the caller's own: the parent if it is no worse, learned as a step of the usual length."""
        if not value <= self._recent[-1] or value == math.inf:
            return
        who = self._who
        y = steps(x, self.mean, self.sigma)
        who.y[PARENT] = y * shortening(np.linalg.norm(np.linalg.solve(who.Lt[PARENT].T, y)), self._n)
        who.x[PARENT] = x
        self._recent[:-1] = self._recent[1:].copy() if self._begun else value
        self._recent[-1] = value
        self._begun = True
        kernels.covariance_step(who, PARENT, self.params, self._scale, self._w)

    def _test(self) -> None:
        """The stopping rules."""
        rules, diagonal = self._stop, self._diagonal()
        reach = float(np.abs(self.mean).max() + 40 * self.sigma * math.sqrt(diagonal.sum() * self._n))
        rules.test(self._recent[-1:], np.zeros(1, dtype=np.int64), reach)
        if rules.sizes_due(self._n):
            rules.test_sizes(self.mean, self.sigma, self.sigma0, diagonal, self._who.p_c[PARENT])
        rules.value[stopping.ALL_NAN] = self._failed

    def _fired(self) -> int:
        failed = self._failed >= self._stop.tol[stopping.ALL_NAN]
        return self._stop.mask() | (int(failed) << stopping.ALL_NAN)

    def _stops(self) -> list[Stop]:
        return stopping.fired(self._fired(), self._stop.value, self._stop.tol)

    # ---------------------------------------------------------------- save and restore

    def _state(self) -> State:
        who = self._who
        return {
            "rules": dataclasses.asdict(self.rules),
            "active": self.active,
            "sigma": self.sigma,
            "success_rate": self.success_rate,
            "mean": self.mean.copy(),
            "path": who.p_c[PARENT].copy(),
            "factor": np.array(who.Lt[PARENT].T, order="C"),
            "recent_f": self._recent.copy(),
            "begun": self._begun,
            "failed": self._failed,
            **self._stop.state(),
        }

    @classmethod
    def _blank(cls, state: State) -> Self:
        own = {"active": state["active"], "stop": StopRules(**state["rules"])}
        return cls(state["x0"], state["sigma0"], **own, **cls._limits_of(state))

    def _set_state(self, state: State) -> None:
        who = self._who
        who.sigma[PARENT], who.p[PARENT] = state["sigma"], state["success_rate"]
        who.x[PARENT], who.p_c[PARENT] = state["mean"], state["path"]
        who.Lt[PARENT] = np.transpose(state["factor"])
        self._recent[:] = state["recent_f"]
        self._begun, self._failed = bool(state["begun"]), int(state["failed"])
        self._stop.restore(state)


__all__ = ["ElitistCMA"]
