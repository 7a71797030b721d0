"""self-CMA-ES: CMA-ES that adapts its learning rates online, by maximising the likelihood of good points.

References
----------
I. Loshchilov, M. Schoenauer, M. Sebag, N. Hansen. Maximum Likelihood-based Online Adaptation of Hyper-parameters in
CMA-ES. PPSN 2014.

The paper leaves open, or we could not check, and so chosen here: the auxiliary strategy works in the unit cube with a
first step size of 0.3, which is kept between 1e-3 and 1, rates that are not feasible rank behind all
others by their violation, the mean of the auxiliary strategy is what is applied, and the ranks are weighted with the
weights of recombination.
"""

from __future__ import annotations

import contextlib
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from lmcma import random
from lmcma.arguments import as_point, one_of
from lmcma.kernels import covariance as kernels
from lmcma.kernels import self_adaptation, stopping
from lmcma.kernels.selection import path_goes_on
from lmcma.strategies.base import PopulationStrategy, default_popsize, shared_parts
from lmcma.strategies.cma import CMAES
from lmcma.termination import StopOption, StopRules
from lmcma.typing import BoolArray, FloatArray, State

LARGEST = 0.9  # of each rate, and of c_1 + c_mu
TRIALS = 20  # auxiliary population size


def feasible(u: FloatArray) -> FloatArray:
    """`u`, (3,), brought into the unit cube, and its first two entries to a sum of at most 1.

    Examples
    --------
    >>> import numpy as np
    >>> feasible(np.array([1.5, 1.0, -0.1])).tolist()
    [0.5, 0.5, 0.0]
    """
    inside: FloatArray = np.clip(u, 0.0, 1.0)
    inside[:2] /= max(1.0, inside[0] + inside[1])
    return inside


class SelfCMAES(CMAES):
    """self-CMA-ES: CMA-ES whose learning rates c_1, c_mu, c_c are adapted while it runs.

    After every generation an auxiliary CMA-ES proposes 20 settings of the rates. Each is judged by redoing the last
    update of the covariance matrix with it, and asking how likely that matrix makes the best points of the generation.
    It pays for large populations, of 10 n and more, on functions where the matrix is the bottleneck; with the default
    popsize of CMA-ES the few ranks tell too little.

    Parameters
    ----------
    x0 : (n,) array_like
        Mean of the first search distribution.
    sigma0 : float
        Its standard deviation, in the units of `x0`; about 0.2 to 0.3 of the range where the optimum is expected.
    popsize : int, optional
        Offspring per iteration, at least 2; by default 10 n, or 4 + floor(3 ln n) where that is more.
    rates0 : {"uniform", "default"}
        Where the auxiliary strategy starts: at random in the range of the rates, as published, or at the rates of
        CMA-ES.
    constants : {"tutorial", "bbob"}
        As of `CMAES`; there are no active weights.
    stop : str, StopRules or mapping, optional
        Stopping rules; by default the profile "bbob" without its limit of iterations.
    ftarget, maxfev, maxiter
        Stop at a value <= `ftarget`, after so many evaluations, iterations.
    max_memory : float, optional
        Bytes; four fifths of the machine's memory by default.
    rng : None, int, SeedSequence or Generator
        Source of randomness.

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError
        An argument cannot be used.
    MemoryLimitError
        Nine n x n matrices and seven populations, six for n > 10000, do not fit.

    Examples
    --------
    >>> import lmcma
    >>> es = lmcma.SelfCMAES([1.0] * 5, 0.5, rng=1, ftarget=1e-9)
    >>> while not es.stop():
    ...     x = es.ask()
    ...     es.tell(x, lmcma.testfunctions.ellipsoid(x))
    >>> es.stop().reason == "ftarget"
    True
    >>> sorted(es.rates)
    ['c_1', 'c_c', 'c_mu']

    References
    ----------
    I. Loshchilov, M. Schoenauer, M. Sebag, N. Hansen. Maximum Likelihood-based Online Adaptation of Hyper-parameters
    in CMA-ES. PPSN 2014.
    """

    method: ClassVar[str] = "self-cma"
    advances: ClassVar[bool] = False  # rates are adapted between iterations, outside of compiled code

    def __init__(
        self,
        x0: ArrayLike,
        sigma0: float,
        *,
        popsize: int | None = None,
        rates0: str = "uniform",
        constants: str = "tutorial",
        stop: StopOption = None,
        ftarget: float | None = None,
        maxfev: int | None = None,
        maxiter: int | None = None,
        max_memory: float | None = None,
        rng: random.Seed = None,
    ) -> None:
        one_of("rates0", rates0, ("uniform", "default"))
        x0 = as_point("x0", x0)
        super().__init__(
            x0,
            sigma0,
            popsize=popsize,
            active=False,
            constants=constants,
            stop=stop,
            ftarget=ftarget,
            maxfev=maxfev,
            maxiter=maxiter,
            max_memory=max_memory,
            rng=rng,
        )
        n, popsize = self._n, self._popsize
        self.rates0 = rates0
        self._count[kernels.GAP] = 1  # rates may get so large that an old decomposition is no use
        p, trials_rng = self.params, self._rng.spawn(1)[0]
        u0 = feasible(np.array([p.c_1, p.c_mu, p.c_c]) / LARGEST)
        if rates0 == "uniform":
            u0 = trials_rng.random(3)
        self._trials = CMAES(u0, 0.3, popsize=TRIALS, robust=True, stop="none", rng=trials_rng)

        # the update before, as it was before the covariance matrix changed
        self._h = np.nan  # NaN: there was none
        self._last_C = np.zeros((n, n))
        self._last_M = np.zeros((n, n))
        self._last_p_c = np.zeros(n)
        self._last_y_w = np.zeros(n)
        self._scratch = (
            *(np.empty((n, n)), np.empty(n), np.empty((n, popsize)), np.empty(popsize)),
            np.empty(3 * popsize, dtype=np.int64),
        )

    @staticmethod
    def default_popsize(n: int) -> int:
        """The population size in dimension `n` unless the user says otherwise: 10 n, at least that of CMA-ES."""
        return max(default_popsize(n), 10 * n)

    @classmethod
    def memory_parts(cls, n: int, popsize: int, stored: int | None = None) -> dict[str, float]:
        """Bytes needed, by what takes them: what CMA-ES takes, and for the replay of the last update four matrices, two
        arrays of the size of a population, four vectors.
        """
        parts = {**super().memory_parts(n, popsize), **shared_parts(n, popsize, 24)}
        parts["matrices"] += 8.0 * 4 * n**2
        parts["steps of the population"] += 8.0 * 2 * popsize * n
        return parts

    @property
    def rates(self) -> dict[str, float]:
        """The learning rates in use."""
        s = self._s
        return {"c_1": float(s[kernels.C_1]), "c_mu": float(s[kernels.C_MU]), "c_c": float(s[kernels.C_C])}

    # ---------------------------------------------------------------- one iteration

    _learn_whole = PopulationStrategy._learn_whole  # which calls `_learn`
    _remember, _remembered = PopulationStrategy._remember, PopulationStrategy._remembered

    def _learn(self, f: FloatArray, own: BoolArray) -> None:
        t = int(self._count[stopping.T])
        if self._h == self._h and (f < np.inf).any():
            self._adapt_rates(f, apply=t >= 2)
        C, p_c = self._field(kernels.C_).reshape(self._n, self._n).copy(), self.p_c.copy()
        super()._learn(f, own)
        if self._count[stopping.T] == t:
            return  # not one number in the generation, so that nothing was learned
        p, n = self.params, self._n
        length = float(np.linalg.norm(self.p_sigma))
        self._h = path_goes_on(length, t + 1, n, p.c_sigma, p.chi_n)
        self._last_C[:], self._last_p_c[:] = C, p_c
        self._last_y_w[:] = self._field(kernels.Y_W)
        with self._blas or contextlib.nullcontext():
            np.matmul(self._y.T * self._field(kernels.OMEGA), self._y, out=self._last_M)

    def _adapt_rates(self, f: FloatArray, apply: bool) -> None:
        """One generation of the auxiliary strategy; its mean becomes the rates."""
        u = self._trials.ask()
        self._trials.tell(None, self._scores(u, f))
        sigma = self._trials._s[kernels.SIGMA :]
        sigma[0] = min(1.0, max(1e-3, sigma[0]))
        if apply:
            c_1, c_mu, c_c = (LARGEST * feasible(self._trials.mean)).tolist()
            self._s[kernels.C_1], self._s[kernels.C_MU], self._s[kernels.C_C] = c_1, c_mu, c_c

    def _scores(self, u: FloatArray, f: FloatArray) -> FloatArray:
        """How badly the rates `LARGEST` u, (k, 3), would have prepared the update for the population that came."""
        p, scores = self.params, np.empty(len(u))
        # fmt: off
        self_adaptation.replay(
            u, LARGEST, self._last_C, self._last_M, self._last_p_c, self._last_y_w, self._h, p.mueff,
            self._y, f, p.weights, p.mu, *self._scratch, scores,
        )
        # fmt: on
        return scores

    # ---------------------------------------------------------------- save and restore

    def _state(self) -> State:
        return {
            **super()._state(),
            **self.rates,
            "rates0": self.rates0,
            "auxiliary": self._trials.state_dict(),
            "last_h": self._h,
            "last_C": self._last_C.copy(),
            "last_M": self._last_M.copy(),
            "last_p_c": self._last_p_c.copy(),
            "last_y_w": self._last_y_w.copy(),
        }

    @classmethod
    def _blank(cls, state: State) -> Self:
        return cls(
            state["x0"],
            state["sigma0"],
            rates0=state["rates0"],
            constants=state["constants"],
            stop=StopRules(**state["rules"]),
            **cls._limits_of(state),
        )

    def _set_state(self, state: State) -> None:
        super()._set_state(state)
        for name, place in (("c_1", kernels.C_1), ("c_mu", kernels.C_MU), ("c_c", kernels.C_C)):
            self._s[place] = state[name]
        self._trials = CMAES.from_state(state["auxiliary"])
        self._h = float(state["last_h"])
        self._last_C[:], self._last_M[:] = state["last_C"], state["last_M"]
        self._last_p_c[:], self._last_y_w[:] = state["last_p_c"], state["last_y_w"]


__all__ = ["SelfCMAES", "feasible"]
