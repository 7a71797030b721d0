"""R1-ES and Rm-ES: one or a few evolution paths as all there is of a covariance matrix.

References
----------
Z. Li, Q. Zhang. A Simple Yet Efficient Evolution Strategy for Large-Scale Black-Box Optimization. IEEE Transactions on
Evolutionary Computation 22(5), 2018.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from lmcma import random
from lmcma.arguments import as_count
from lmcma.kernels import limited_memory as kernels
from lmcma.kernels import stopping
from lmcma.kernels.low_rank import NO_SCALES, combine, emit, move
from lmcma.strategies.base import shared_parts
from lmcma.strategies.foreign import shortening, steps
from lmcma.strategies.large_scale import LargeScaleStrategy, log_weights
from lmcma.termination import StopOption, StopRules
from lmcma.typing import BoolArray, FloatArray, State

_SNAPSHOT_COORDINATES = 4096
_MEMORY = 2


@dataclasses.dataclass(frozen=True)
class RmESParameters:
    """Constants of Rm-ES as functions of the dimension and the population size; the paper's names in parentheses."""

    mu: int
    weights: FloatArray  # (popsize,), 0 beyond mu
    mueff: float
    memory: int  # m, stored paths
    c_1: float  # of the covariance matrix (c_cov)
    c_c: float  # of the path (c)
    target_gap: int  # T, generations between stored paths
    c_sigma: float = 0.3  # of the accumulated success (c_s)
    d_sigma: float = 1.0
    q_star: float = 0.3  # target success


def parameters(n: int, popsize: int, memory: int | None = None) -> RmESParameters:
    """Default constants: c_1 = 1/(3 sqrt(n) + 5), c_c = 2/(n + 7), T = n, w_i ~ ln(mu + 1) - ln i.

    Examples
    --------
    >>> p = parameters(100, 17)
    >>> p.memory, p.target_gap, round(p.c_1, 6), round(p.c_c, 6), round(p.mueff, 4)
    (2, 100, 0.028571, 0.018692, 5.0962)
    """
    mu = popsize // 2
    weights = log_weights(popsize, 1.0)
    return RmESParameters(
        mu=mu,
        weights=weights,
        mueff=float(1 / (weights**2).sum()),
        memory=_MEMORY if memory is None else memory,
        c_1=1 / (3 * math.sqrt(n) + 5),
        c_c=2 / (n + 7),
        target_gap=n,
    )


def rank_success(f: FloatArray, f_previous: FloatArray, weights: FloatArray) -> float:
    """How much better the parents of a generation are than those of the one before, by ranks: in [-1, 1].

    All are ranked together, this generation first on ties, and q = sum_i w_i (R_previous,i - R_i) / mu.

    Parameters
    ----------
    f, f_previous, weights : (mu,) array
        Values in increasing order, NaN last; weights that sum to one.

    Examples
    --------
    >>> w = np.array([0.75, 0.25])
    >>> rank_success(np.array([1.0, 2.0]), np.array([3.0, 4.0]), w)
    1.0
    >>> rank_success(np.array([1.0, 4.0]), np.array([2.0, 3.0]), w)  # ranks 1, 4 and 2, 3
    0.25
    """
    # in R_previous,i - R_i the place among the values of the own generation cancels
    before_previous = np.searchsorted(f, f_previous, side="right")
    before = np.searchsorted(f_previous, f, side="left")
    return float(weights @ (before_previous - before)) / len(f)


class RmES(LargeScaleStrategy):
    """Rm-ES, the rank-m evolution strategy; R1-ES, the rank-one evolution strategy, for ``memory=1``.

    Samples from the covariance matrix that m evolution paths make of the identity, which needs m more random numbers
    for a candidate and neither a factor nor an inverse: the least of a method that learns directions. For functions
    with few long axes; ill-conditioned ones with many different axes take many evaluations.

    Parameters
    ----------
    x0 : (n,) array_like
        Mean of the first search distribution.
    sigma0 : float
        Its standard deviation, in the units of `x0`; about 0.2 to 0.3 of the range where the optimum is expected.
    popsize : int, optional
        Offspring per iteration, at least 2; 4 + floor(3 ln n) by default.
    memory : int
        Stored paths m; 2 by default, as published. With 1 the method is R1-ES.
    stop : str, StopRules or mapping, optional
        Stopping rules; by default the profile "bbob" without its limit of iterations. Rules on the eigenvalues of
        C do not apply; "tolx" and the like are tested every ceil(n / popsize) iterations.
    ftarget, maxfev, maxiter
        Stop at a value <= `ftarget`, after so many evaluations, iterations.
    max_memory : float, optional
        Bytes; four fifths of the machine's memory by default.
    threads : int
        Threads that work on the 65536 columns of a chunk each; the run is the same to the bit for any number.
    rng : None, int, SeedSequence or Generator
        Source of randomness.

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError
        An argument cannot be used.
    MemoryLimitError
        m + popsize vectors, for n <= 10000 another popsize, and about ten more do not fit.

    Notes
    -----
    A candidate is mean + sigma (a^m z + sqrt(c_1) sum_i a^(m - i) r_i p_i), a = sqrt(1 - c_1), with normal numbers z
    and r_i: covariance a^2m I + c_1 sum_i a^(2 (m - i)) p_i p_i^T. The paths, the oldest first, are zero at the start;
    the newest is always the path itself. It displaces the oldest one in the first m iterations, and when the paths
    stored in iterations t_i are all more than T = n iterations apart, else the younger of the two that are closest.

    What the paper leaves open, or has otherwise:

    - The first iteration has no predecessor and leaves sigma as it is; the start is not evaluated.
    - Where values of two iterations are equal, the later one ranks first: sigma grows on a plateau, as of `LMCMA`.
    - A point of the caller's own has its rank in the success of an iteration where it replaces a row; further points
      have no part in it. For the mean its step is shortened in the metric of the covariance matrix.

    Examples
    --------
    >>> import lmcma
    >>> es = lmcma.RmES([1.0] * 200, 0.5, rng=1, ftarget=1e-6)
    >>> while not es.stop():
    ...     x = es.ask()
    ...     es.tell(x, (x**2).sum(axis=1))
    >>> es.stop().reason == "ftarget"
    True

    References
    ----------
    Z. Li, Q. Zhang. A Simple Yet Efficient Evolution Strategy for Large-Scale Black-Box Optimization. IEEE
    Transactions on Evolutionary Computation 22(5), 2018. Algorithms 1 and 2.
    """

    method: ClassVar[str] = "rm-es"

    def __init__(
        self,
        x0: ArrayLike,
        sigma0: float,
        *,
        popsize: int | None = None,
        memory: int | None = None,
        stop: StopOption = None,
        ftarget: float | None = None,
        maxfev: int | None = None,
        maxiter: int | None = None,
        max_memory: float | None = None,
        threads: int = 1,
        rng: random.Seed = None,
    ) -> None:
        if memory is not None:
            memory = as_count("memory", memory, 1)
        super().__init__(
            x0,
            sigma0,
            popsize=popsize,
            stop=stop,
            ftarget=ftarget,
            maxfev=maxfev,
            maxiter=maxiter,
            max_memory=max_memory,
            threads=threads,
            rng=rng,
            stored=memory,
        )
        n, popsize = self._n, self._popsize
        self.params = p = parameters(n, popsize, memory)
        m, a = p.memory, math.sqrt(1 - p.c_1)
        self._s = 0.0  # accumulated success
        self._P = np.zeros((m, n))  # the oldest first; the last is the path that goes on
        self._G = np.zeros((m, m))  # scalar products of the paths
        self._ages = np.zeros(m, dtype=np.int64)
        self._nothing_beside = np.empty((m, 0))  # of the paths, where LM-CMA has companions
        self._f_previous: FloatArray | None = None  # values of the parents
        self._alpha = a**m
        self._scales = math.sqrt(p.c_1) * a ** np.arange(m - 1, -1, -1.0)  # standard deviations along the paths
        # the batch that is out: normal numbers, a path each, and the weights that they make
        self._r, self._Q = np.zeros((popsize, m)), np.zeros((popsize, m))
        self._delta = np.empty(n)

    @staticmethod
    def default_memory(n: int) -> int:
        """Stored paths unless the user says otherwise: 2."""
        return _MEMORY

    @classmethod
    def memory_parts(cls, n: int, popsize: int, stored: int | None = None) -> dict[str, float]:
        """Bytes needed with `stored` paths, by what takes them.

        Other vectors are x0, best point, mean, step of the mean, and the diagonal of C now and then.
        """
        return {"stored paths": 8.0 * n * (stored or cls.default_memory(n)), **shared_parts(n, popsize, 5)}

    @property
    def p_c(self) -> FloatArray:
        """Evolution path, (n,); a view."""
        return self._P[-1]

    @property
    def paths(self) -> FloatArray:
        """Stored evolution paths, the oldest first, (m, n), zero before there are so many; a view."""
        return self._P

    def snapshot(self) -> Mapping[str, Any]:
        """The search distribution in numbers, for a recorder; standard deviations of the first 4096 coordinates."""
        p = self.params
        diagonal = np.empty(min(self._n, _SNAPSHOT_COORDINATES))
        kernels.factor_diagonal(self._P, p.memory, p.c_1, diagonal)
        return {
            "nit": self._nit,
            "best_f": self._best_f,
            "sigma": self.sigma,
            "axis_ratio": kernels.axis_ratio(self._G, self._n, p.c_1),
            "mean": self._mean,
            "stds": self._sigma * np.sqrt(diagonal),
        }

    # ---------------------------------------------------------------- one generation

    def _draw(self) -> None:
        super()._draw()
        self._r[:] = self._rng.standard_normal(self._r.shape)

    def _prepare_rows(self) -> None:
        self._Q[:] = self._r * self._scales

    def _write_rows(self, first: int, out: FloatArray) -> None:
        """Candidates `first`, `first` + 1, ... into the rows of `out`."""
        step = self._noise(), self._mean, self._sigma, self._alpha, self._Q, self._P, NO_SCALES, 1
        with self._blas:
            self._chunks.map(lambda *columns: emit(*step, first, out, *columns))

    def _update(
        self, f: FloatArray, own: BoolArray, foreign_x: FloatArray | None, foreign_f: FloatArray | None
    ) -> None:
        p, ends = self.params, self._ends
        chosen = ends.select(f, own, foreign_f, p.weights)
        if chosen is None:
            return
        values, order, mine, theirs = chosen

        # mean and path
        self._mean_step(mine, theirs, foreign_x)
        self._make_room(int(ends.count[stopping.T]))
        scale = math.sqrt(p.c_c * (2 - p.c_c) * p.mueff)
        changed = self._mean, self._sigma, self._delta, self._P[-1], p.c_c, scale
        reach = float(np.max(self._chunks.map(lambda *columns: move(*changed, *columns))))  # NaN if one is
        last = p.memory - 1
        self._G[last] = self._G[:, last] = self._chunks.sum(
            lambda *columns: kernels.products(self._P, p.memory, last, *columns)
        )
        longest = math.sqrt(float(self._G.diagonal().max()))
        reach = max(reach, 1e3 * self._n * self._sigma * (1 + longest))

        # rank-based success rule; points beyond the population have no part in it
        parents = np.sort(f)[: p.mu]
        if self._f_previous is not None:
            q = rank_success(parents, self._f_previous, p.weights[: p.mu])
            self._s = (1 - p.c_sigma) * self._s + p.c_sigma * (q - p.q_star)
            self._sigma *= math.exp(self._s / p.d_sigma)
        self._f_previous = parents
        ends.test(values, order, reach)
        if ends.sizes_due(self._n):
            diagonal = np.empty(self._n)
            kernels.factor_diagonal(self._P, p.memory, p.c_1, diagonal)
            ends.test_sizes(self._mean, self._sigma, self.sigma0, diagonal, self._P[-1])

    def _mean_step(self, mine: FloatArray, theirs: FloatArray, foreign_x: FloatArray | None) -> None:
        """The weighted mean of the selected steps, in units of sigma, into `_delta`."""
        parts = self._noise(), mine * self._alpha, mine @ self._Q, self._P, 0.0, self._delta[:0], self._delta
        self._chunks.map(lambda *columns: combine(*parts, *columns))
        if foreign_x is not None:
            for step, weight in zip(steps(foreign_x, self._mean, self._sigma), theirs, strict=True):
                if weight > 0:
                    self._delta += weight * shortening(self._length(step), self._n) * step

    def _length(self, step: FloatArray) -> float:
        """The length of a step in the metric of C: that of the shortest (z, r) that makes it.

        With R the scaled paths, step = a^m z + R^T r. Of a sum of two squares for that r which minimises it nothing
        cancels, and errors of r have a part of second order only.
        """
        R = self._scales[:, None] * self._G * self._scales  # R R^T
        spectrum, E = np.linalg.eigh(R)
        with self._blas:
            along = self._scales * (self._P @ step)
            r = E @ ((E.T @ along) / (self._alpha**2 + np.maximum(spectrum, 0.0)))
            rest = step - (self._scales * r) @ self._P
        return math.hypot(float(np.linalg.norm(rest)) / self._alpha, float(np.linalg.norm(r)))

    def _make_room(self, t: int) -> None:
        """Before the path goes on in iteration t: keep its present state too, or that of the last iteration instead."""
        p = self.params
        dropped = 0 if t < p.memory else kernels.replaced(self._ages, p.memory, p.target_gap + 1)
        kernels.drop_row(self._P, self._nothing_beside, self._G, self._ages, dropped, p.memory)
        self._ages[-1] = t

    # ---------------------------------------------------------------- save and restore

    def _state(self) -> State:
        return {
            "memory": self.params.memory,
            "threads": self.threads,
            "rules": dataclasses.asdict(self.rules),
            "mean": self._mean.copy(),
            "sigma": self._sigma,
            "s": self._s,
            "P": self._P.copy(),
            "G": self._G.copy(),
            "ages": self._ages.copy(),
            "f_previous": None if self._f_previous is None else self._f_previous.copy(),
            "r": self._r.copy(),
            **self._ends.state(),
        }

    @classmethod
    def _blank(cls, state: State) -> Self:
        return cls(
            state["x0"],
            state["sigma0"],
            memory=state["memory"],
            threads=state["threads"],
            stop=StopRules(**state["rules"]),
            **cls._limits_of(state),
        )

    def _set_state(self, state: State) -> None:
        self._mean[:], self._P[:] = state["mean"], state["P"]
        self._G[:], self._ages[:] = state["G"], state["ages"]
        self._sigma, self._s = float(state["sigma"]), float(state["s"])
        previous = state["f_previous"]
        self._f_previous = None if previous is None else np.array(previous, dtype=np.float64)
        self._r[:] = state["r"]
        self._ends.restore(state)


__all__ = ["RmES", "RmESParameters", "parameters", "rank_success"]
