"""MO-CMA-ES: a population of (1+1)-CMA individuals under hypervolume selection.

References
----------
C. Igel, N. Hansen, S. Roth. Covariance Matrix Adaptation for Multi-objective Optimization. Evolutionary Computation
15(1), 2007.
C. Igel, T. Suttorp, N. Hansen. Steady-state Selection and Efficient Covariance Matrix Update in the Multi-objective
CMA-ES. EMO 2007.
T. Voss, N. Hansen, C. Igel. Improved Step Size Adaptation for the MO-CMA-ES. GECCO 2010.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from lmcma import random
from lmcma.arguments import as_count, one_of
from lmcma.multiobjective.base import FOREIGN, MultiObjectiveStrategy, check_memory
from lmcma.multiobjective.population import Population
from lmcma.termination import Stop, StopReason
from lmcma.typing import BoolArray, FloatArray, IntArray, State

_POPSIZE = 100
_TOLX = 1e-14  # standard deviations in units of the width
_LOOK = 10  # times the population size: evaluations from one test of `tolx` to the next


class MOCMAES(MultiObjectiveStrategy):
    """MO-CMA-ES, for two objectives or more.

    Every individual has a step size and a covariance matrix of its own, which it learns from its successful steps.
    Selection is by non-domination rank, then by contribution to the hypervolume. All points that no other dominates are
    in `archive`, whatever the size of the population.

    Parameters
    ----------
    x0 : (n,) or (k, n) array_like
        The start, or several: the first individuals. The others are drawn from a normal distribution around the first
        one with standard deviation `sigma0`, or uniformly from `x0_box`.
    sigma0 : float
        The first step size, in the units of `x0`; about 0.1 of the range where good points are expected if that is
        where individuals start, 0.03 if they are good already.
    n_obj : int
        Objectives. More than two need the package moocore.
    popsize : int, optional
        Individuals, mu; 100 by default.
    variant : {"steady-state", "generational"}
        One offspring at a time, or one of each individual before anything is selected.
    success : {"population", "individual"}
        An offspring succeeds that is selected (2010), or that precedes its parent (2007).
    parents : {"front", "all"}
        Whose offspring there are in the steady state: of individuals that no other dominates, or of all.
    batch : int
        Points a call of `ask` gives in the steady state, for evaluation in parallel; 1 by default. Up to `popsize` it
        costs little.
    bounds : (low, high), n pairs, or scipy.optimize.Bounds; optional
        Points are moved onto the bounds. Selection sees a small penalty for how far, 1e-6 of the range of each
        objective among the first points for the width of the box, squared.
    stds : (n,) array_like, optional
        Scales of the coordinates: the first standard deviations are ``sigma0 * stds``.
    x0_box : (low, high), optional
        Individuals start in this box, numbers or (n,) arrays; within `bounds`.
    reference : (n_obj,) array_like, optional
        Reference point of the hypervolume, worse than all points that matter. Selection measures contributions against
        it. Without it the best individual in each objective always stays.
    archive : {"front", "log"}
        Keep points that are not dominated, or all that were not when they came, see `Archive`.
    hv_target, maxfev, maxiter
        Stop at a hypervolume of `hv_target`, after so many evaluations, iterations. The run also stops when all
        individuals of the front have standard deviations below 1e-14 of the box (10 sigma0 without one).
    rng : None, int, SeedSequence or Generator
        Source of randomness.

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError
        An argument cannot be used.
    MissingDependencyError
        More than two objectives without moocore.
    MemoryLimitError
        A matrix for each individual does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> import lmcma
    >>> es = lmcma.MOCMAES([0.5] * 3, 0.3, popsize=20, reference=(4, 4), maxfev=2000, rng=1)
    >>> while not es.stop():
    ...     x = es.ask()
    ...     es.tell(x, np.array([(x**2).sum(axis=1), ((x - 1) ** 2).sum(axis=1)]).T)
    >>> bool(es.result().hypervolume > 14)
    True

    References
    ----------
    T. Voss, N. Hansen, C. Igel. Improved Step Size Adaptation for the MO-CMA-ES. GECCO 2010. Algorithm 1.
    """

    method: ClassVar[str] = "mo-cma"

    def __init__(
        self,
        x0: ArrayLike,
        sigma0: float,
        *,
        n_obj: int = 2,
        popsize: int | None = None,
        variant: str = "steady-state",
        success: str = "population",
        parents: str = "front",
        batch: int = 1,
        bounds: Any = None,
        stds: ArrayLike | None = None,
        x0_box: tuple[ArrayLike, ArrayLike] | None = None,
        reference: ArrayLike | None = None,
        archive: str = "front",
        hv_target: float | None = None,
        maxfev: int | None = None,
        maxiter: int | None = None,
        rng: random.Seed = None,
    ) -> None:
        super().__init__(
            x0,
            sigma0,
            n_obj=n_obj,
            bounds=bounds,
            stds=stds,
            x0_box=x0_box,
            reference=reference,
            archive=archive,
            hv_target=hv_target,
            maxfev=maxfev,
            maxiter=maxiter,
            rng=rng,
        )
        n = self._n
        self._popsize = _POPSIZE if popsize is None else as_count("popsize", popsize, 1)
        self.variant = one_of("variant", variant, ("steady-state", "generational"))
        self.parents = one_of("parents", parents, ("front", "all"))
        self.batch = as_count("batch", batch, 1)
        check_memory(self.method, self.memory(n, self._popsize), n, self._popsize)
        self.population: Population = Population(
            n,
            self._n_obj,
            mu=self._popsize,
            reference=self.archive.reference,
            scale=self.scale,
            success=one_of("success", success, ("population", "individual")),
        )
        self._started = 0  # individuals drawn to begin with
        self._slots: IntArray = np.empty(0, dtype=np.int64)  # offspring that are out for evaluation; none: beginners
        self._drawn = np.empty((0, n))  # the beginners
        self._looked = 0  # evaluations when `_width_left` was measured
        self._width_left = np.inf  # of the front, in units of the width

    @classmethod
    def memory(cls, n: int, popsize: int) -> float:
        """Bytes needed in dimension `n`, the archive aside: twice an individual, one for its offspring."""
        return 16.0 * popsize * (n**2 + 5 * n + 20)

    # ---------------------------------------------------------------- one iteration

    def _rows(self) -> int:
        if self._beginning:
            return max(1, self._beginners_wanted - self._started)
        return self._popsize if self.variant == "generational" else self.batch

    @property
    def _beginning(self) -> bool:
        """Whether there are individuals still to begin with."""
        return self._started < self._beginners_wanted or not len(self.population)

    @property
    def _beginners_wanted(self) -> int:
        """So many are evaluated first: all starts, and `popsize` at least."""
        return max(self._popsize, len(self.starts))

    def _draw(self, rows: int) -> FloatArray:
        if self._beginning:
            self._drawn = self._beginners(rows)
            self._started += rows
            return self._drawn
        parents = "each" if self.variant == "generational" else self.parents
        self._slots = self.population.offspring(rows, self._rng, parents=parents)
        return self.population.x[self._slots]

    def _beginners(self, rows: int) -> FloatArray:
        """The starts, then points drawn around the first one, or from the box."""
        given = self.starts[self._started : self._started + rows]
        shape = (rows - len(given), self._n)
        if self.box is None:
            others = self.starts[0] + self.sigma0 * self.scale * self._rng.standard_normal(shape)
        else:
            others = self._rng.uniform(*self.box, size=shape)
        return np.concatenate([given, others])

    def _update(self, f: FloatArray, violation: FloatArray, own: BoolArray) -> None:
        slots, self._slots = self._slots, self._slots[:0]
        if not len(slots):
            drawn, self._drawn = self._drawn, self._drawn[:0]
            self.population.add(drawn[own], f[own], self.sigma0, violation[own])
            return
        if not own.all():
            self.population.release(slots[~own])
            slots, f, violation = slots[own], f[own], violation[own]
        self.population.receive(slots, f, violation, together=self.variant == "generational")
        if self._nfev >= self._looked + _LOOK * max(self._popsize, len(self.population)):
            self._looked = self._nfev
            self._width_left = self.population.reach(self._width)

    def _welcome(self, x: FloatArray, f: FloatArray, violation: FloatArray) -> None:
        self.population.add(x, f, FOREIGN * self.sigma0, violation, only_new=True)

    def _stops(self) -> list[Stop]:
        left = self._width_left
        return [Stop(StopReason.TOLX, left, _TOLX)] if left < _TOLX else []

    def _individuals(self) -> int:
        return self._popsize

    def _spread(self) -> tuple[float, float, FloatArray, FloatArray]:
        return self.population.spread(self.starts[0], self.sigma0)

    # ---------------------------------------------------------------- save and restore

    def _state(self) -> State:
        return {
            "popsize": self._popsize,
            "variant": self.variant,
            "success": self.population.success,
            "parents": self.parents,
            "batch": self.batch,
            "started": self._started,
            "slots": self._slots.copy(),
            "drawn": self._drawn.copy(),
            "looked": self._looked,
            "width_left": self._width_left,
            "population": self.population.state_dict(),
        }

    @classmethod
    def _blank(cls, options: dict[str, Any], state: State) -> Self:
        own = {name: state[name] for name in ("popsize", "variant", "success", "parents", "batch")}
        return cls(**options, **own)

    def _set_state(self, state: State) -> None:
        self._started, self._looked = int(state["started"]), int(state["looked"])
        self._width_left = float(state["width_left"])
        self._slots = np.array(state["slots"], dtype=np.int64)
        self._drawn = np.array(state["drawn"], dtype=np.float64)
        self.population = type(self.population).from_state(state["population"])
