"""UP-MO-CMA-ES: the population is all points that no other dominates.

References
----------
O. Krause, T. Glasmachers, N. Hansen, C. Igel. Unbounded Population MO-CMA-ES for the Bi-Objective BBOB Test Suite.
GECCO 2016 Companion.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from lmcma import random
from lmcma.arguments import as_count
from lmcma.errors import ArgumentError
from lmcma.kernels import unbounded as kernels
from lmcma.multiobjective.mo_cma import MOCMAES
from lmcma.multiobjective.population import Population
from lmcma.typing import FloatArray, IntArray, State

_POPSIZE = 10
_P_EXTREME = 0.2  # of the parents
_POWER = 3.0  # of the contribution to which the probability of all others is proportional
_LEAST_SIGMA = 1e-15  # of an extreme that is still a parent, in units of sigma0
_NUMBERS = 2**27  # in the covariance matrices of the largest population


class UnboundedPopulation(Population):
    """All individuals that no other dominates, two objectives.

    Parameters
    ----------
    n : int
        Variables.
    least_sigma : float
        Extremes with smaller step sizes are no parents.
    mu, scale
        As for `Population`.
    """

    def __init__(self, n: int, *, least_sigma: float, mu: float, scale: FloatArray | None = None) -> None:
        super().__init__(n, mu=mu, scale=scale)
        self.least_sigma = least_sigma
        self.constants = self.constants._replace(c_cov=2 / (n**2.1 + 3))
        self.c_r = self.constants.c_cov / 2

    def _allocate(self, capacity: int) -> None:
        super()._allocate(capacity)
        self._total = np.zeros(2 * capacity)

    def _make_room(self, k: int) -> None:
        before = len(self._total)
        super()._make_room(k)
        if len(self._total) != before:
            self._weigh_all()

    def _weigh_all(self) -> None:
        self._total[:] = 0.0
        kernels.set_all_weights(self._census, self._front, self._total, _POWER)

    def offspring(self, k: int, rng: np.random.Generator, *, parents: str = "front") -> IntArray:
        """Make `k` offspring, one parent in five an extreme; their points are ``x[slots]``."""
        chosen, slots = np.empty(k, dtype=np.int64), np.empty(k, dtype=np.int64)
        u = rng.random((k, 3))
        tree = (self._census, self._front, self._who)
        kernels.choose(*tree, self._total, _P_EXTREME, self.least_sigma, u, chosen)
        z = rng.standard_normal((k, self.n))
        self._make_room(k)
        kernels.breed(self._census, self._front, self._who, chosen, z, self.c_r, slots)
        return slots

    def receive(
        self, slots: IntArray, f: FloatArray, violation: FloatArray | None = None, *, together: bool = False
    ) -> None:
        """Take the objectives of offspring, one after the other, and keep those that no member weakly dominates."""
        v = np.zeros(len(slots)) if violation is None else violation
        kernels.receive(
            *(self._census, self._front, self._who, self.constants, self.scale, self._limits),
            *(self._total, _POWER, slots, f, v, self._most()),
        )

    def trim(self) -> None:
        """Let go of all that are dominated, and of the least contributors beyond `mu`."""
        kernels.clear_pool(self._census, self._total)
        self._weigh_all()
        kernels.limit(self._census, self._front, self._total, self._most(), _POWER, self._limits)

    def state_dict(self) -> State:
        """Everything needed to go on to the bit."""
        return {**super().state_dict(), "least_sigma": self.least_sigma}

    @classmethod
    def _blank(cls, state: State) -> Self:
        return cls(int(state["n"]), least_sigma=state["least_sigma"], mu=state["mu"], scale=state["scale"])

    @classmethod
    def from_state(cls, state: State) -> Self:
        """The population whose `state_dict` this is."""
        population = super().from_state(state)
        population._weigh_all()
        return population


class UPMOCMAES(MOCMAES):
    """UP-MO-CMA-ES, MO-CMA-ES with an unbounded population, for two objectives.

    Every point that no other dominates is an individual. Parents are the extremes, one time in five, else drawn with
    probabilities proportional to the third power of their contributions to the hypervolume; steps lean towards the
    neighbours on the front. It needs more evaluations than `mo-cma` for a coarse front, and goes on to refine it.

    Parameters
    ----------
    x0 : (n,) or (k, n) array_like
        The start, or several. Further ones, up to `popsize`, are drawn from a normal distribution around the first one
        with standard deviation `sigma0`, or uniformly from `x0_box`.
    sigma0 : float
        The first step size, in the units of `x0`.
    n_obj : int
        Objectives: 2.
    popsize : int, optional
        Points to begin with; 10 by default.
    max_popsize : int, optional
        Individuals at most; by default as many as have 2^27 numbers (1 GiB) in their covariance matrices, and 10^6.
    batch, bounds, stds, x0_box, reference, archive, hv_target, maxfev, maxiter, rng
        As for `MOCMAES`; selection does not need the `reference`.

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError
        An argument cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> import lmcma
    >>> es = lmcma.UPMOCMAES([0.5] * 3, 0.3, reference=(4, 4), maxfev=2000, rng=1)
    >>> while not es.stop():
    ...     x = es.ask()
    ...     es.tell(x, np.array([(x**2).sum(axis=1), ((x - 1) ** 2).sum(axis=1)]).T)
    >>> bool(es.result().hypervolume > 14)
    True

    References
    ----------
    O. Krause, T. Glasmachers, N. Hansen, C. Igel. Unbounded Population MO-CMA-ES for the Bi-Objective BBOB Test Suite.
    GECCO 2016 Companion. The parent's success rate also falls here when its offspring fails.
    """

    method: ClassVar[str] = "up-mo-cma"

    def __init__(
        self,
        x0: ArrayLike,
        sigma0: float,
        *,
        n_obj: int = 2,
        popsize: int | None = None,
        max_popsize: int | None = None,
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
        if n_obj != 2:
            raise ArgumentError(f"`n_obj` must be 2 for method='up-mo-cma'; got {n_obj!r}. Use method='mo-cma'.")
        super().__init__(
            x0,
            sigma0,
            popsize=_POPSIZE if popsize is None else popsize,
            batch=batch,
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
        most = min(10**6, _NUMBERS // n**2) if max_popsize is None else as_count("max_popsize", max_popsize, 3)
        self.population = UnboundedPopulation(
            n, least_sigma=_LEAST_SIGMA * self.sigma0, mu=max(3, most), scale=self.scale
        )

    def _individuals(self) -> int:
        return len(self.population)

    def _state(self) -> State:
        state = super()._state()
        return {name: state[name] for name in state if name not in ("variant", "success", "parents")}

    @classmethod
    def _blank(cls, options: dict[str, Any], state: State) -> Self:
        return cls(**options, popsize=state["popsize"], batch=state["batch"])
