"""LM-MA-ES: limited-memory matrix adaptation for large n.

References
----------
I. Loshchilov, T. Glasmachers, H.-G. Beyer. Large Scale Black-box Optimization by Limited-Memory Matrix Adaptation. IEEE
Transactions on Evolutionary Computation 23(2), 2019.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from lmcma import random
from lmcma.arguments import as_count
from lmcma.errors import PopulationWarning
from lmcma.kernels import lm_ma as kernels
from lmcma.kernels import stopping
from lmcma.kernels.low_rank import NO_SCALES, emit, project
from lmcma.kernels.noise import kept_columns
from lmcma.strategies.base import default_popsize, shared_parts
from lmcma.strategies.foreign import clipping, steps
from lmcma.strategies.large_scale import LargeScaleStrategy, log_weights
from lmcma.termination import StopOption, StopRules
from lmcma.typing import BoolArray, FloatArray, State

_SNAPSHOT_COORDINATES = 4096
_REFRESH = 1000  # generations after which scalar products are computed anew


@dataclasses.dataclass(frozen=True)
class LMMAParameters:
    """Constants of LM-MA-ES as functions of the dimension and the population size."""

    mu: int
    weights: FloatArray  # (popsize,), 0 beyond mu
    mueff: float
    memory: int  # m, direction vectors
    c_sigma: float
    c_d: FloatArray  # (m,), how much of a candidate each vector makes
    c_c: FloatArray  # (m,), rates at which they are learned


def parameters(n: int, popsize: int, memory: int | None = None) -> LMMAParameters:
    """Default constants: c_sigma = 2 popsize/n, c_d = 1.5^-(i-1)/n, c_c = 4^-(i-1) popsize/n, i = 1, ..., m.

    Rates are at most 1 (c_d at most 1/2), which matters where n < 2 popsize.

    Examples
    --------
    >>> p = parameters(128, 18)
    >>> p.memory, p.c_sigma, float(p.c_d[1] * 128).__round__(6), float(p.c_c[1])
    (18, 0.28125, 0.666667, 0.03515625)
    """
    mu = popsize // 2
    weights = log_weights(popsize)
    m = default_popsize(n) if memory is None else memory
    i = np.arange(m)
    return LMMAParameters(
        mu=mu,
        weights=weights,
        mueff=float(1 / (weights**2).sum()),
        memory=m,
        c_sigma=min(1.0, 2 * popsize / n),
        c_d=np.minimum(0.5, 1.5**-i / n),
        c_c=np.minimum(1.0, popsize / (4.0**i * n)),
    )


class LMMAES(LargeScaleStrategy):
    """LM-MA-ES, the limited-memory matrix adaptation evolution strategy.

    Learns m = 4 + floor(3 ln n) direction vectors with as many horizons, the first of n/popsize iterations, each
    further one four times as long. For n of 64 or more: popsize > n/4 makes it unstable, and is warned of; take `MAES`
    there, or a smaller popsize.

    Parameters
    ----------
    x0 : (n,) array_like
        Mean of the first search distribution.
    sigma0 : float
        Its standard deviation, in the units of `x0`; about 0.2 to 0.3 of the range where the optimum is expected.
    popsize : int, optional
        Offspring per iteration, at least 2; 4 + floor(3 ln n) by default.
    memory : int, optional
        Direction vectors m; 4 + floor(3 ln n) by default.
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

    Warns
    -----
    PopulationWarning
        popsize > n/4, the default for n < 64 included.

    Examples
    --------
    >>> import lmcma
    >>> es = lmcma.LMMAES([1.0] * 200, 0.5, rng=1, ftarget=1e-6)
    >>> while not es.stop():
    ...     x = es.ask()
    ...     es.tell(x, (x**2).sum(axis=1))
    >>> es.stop().reason == "ftarget"
    True

    References
    ----------
    I. Loshchilov, T. Glasmachers, H.-G. Beyer. Large Scale Black-box Optimization by Limited-Memory Matrix Adaptation.
    IEEE Transactions on Evolutionary Computation 23(2), 2019. Algorithm 1.
    """

    method: ClassVar[str] = "lm-ma"

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
        m = p.memory
        self._p_sigma = np.zeros(n)
        self._M = np.zeros((m, n))
        self._G = np.zeros((m, m))  # scalar products of the rows of M
        self._keep, self._gain = 1 - p.c_c, np.sqrt(p.mueff * p.c_c * (2 - p.c_c))
        # the batch that is out: scalar products of base vectors and directions, and what each step is made of
        self._U, self._Q = np.zeros((popsize, m)), np.zeros((popsize, m))
        self._alpha = 1.0
        self._kept = np.empty((popsize, kept_columns(n, popsize)))
        if popsize > n / 4:
            warnings.warn(  # the same text for all population sizes: a chain of restarts says it once
                f"lm-ma is unstable for popsize > n/4, which is {n / 4:g} here; use method 'ma' or a smaller popsize.",
                PopulationWarning,
                stacklevel=2,
            )

    @classmethod
    def memory_parts(cls, n: int, popsize: int, stored: int | None = None) -> dict[str, float]:
        """Bytes needed with `stored` direction vectors, by what takes them.

        Other vectors are x0, best point, mean, p_sigma, and two now and then for the rules on sizes.
        """
        parts = {"direction vectors": 8.0 * n * (stored or default_popsize(n)), **shared_parts(n, popsize, 6)}
        return {**parts, "normal numbers of the population": 8.0 * popsize * kept_columns(n, popsize)}

    @property
    def p_sigma(self) -> FloatArray:
        """Evolution path of the step size, (n,); a view."""
        return self._p_sigma

    @property
    def directions(self) -> FloatArray:
        """Direction vectors, that of the shortest horizon first, (m, n); a view."""
        return self._M

    def _used(self) -> int:
        """How many direction vectors candidates use: one more with every iteration, m in the end."""
        return min(int(self._ends.count[stopping.T]), self.params.memory)

    def _shape(self) -> tuple[float, FloatArray]:
        """Alpha and S in A A^T = alpha^2 (I + M^T S M)."""
        k, c = self._used(), self.params.c_d
        G = self._G[:k, :k]
        T = np.linalg.inv(np.diag((1 - c[:k]) / c[:k]) - np.tril(G, -1)) if k else np.zeros((0, 0))
        return float(np.prod(1 - c[:k])), T + T.T + T @ G @ T.T

    def snapshot(self) -> Mapping[str, Any]:
        """The search distribution in numbers, for a recorder; standard deviations of the first 4096 coordinates."""
        alpha, S = self._shape()
        k = len(S)
        diagonal = np.empty(min(self._n, _SNAPSHOT_COORDINATES))
        kernels.diagonal(self._M, k, S, alpha, diagonal)
        # the eigenvalues of A A^T besides alpha^2, of which there are n - k
        spectrum = 1 + np.linalg.eigvals(S @ self._G[:k, :k]).real if k else np.ones(1)
        if self._n > k:
            spectrum = np.append(spectrum, 1.0)
        low = max(np.sort(spectrum)[-self._n :][0], 1e-300)
        return {
            "nit": self._nit,
            "best_f": self._best_f,
            "sigma": self.sigma,
            "axis_ratio": float(np.sqrt(spectrum.max() / low)),
            "mean": self._mean,
            "stds": self._sigma * np.sqrt(diagonal),
        }

    # ---------------------------------------------------------------- one generation

    def _prepare_rows(self) -> None:
        noise, popsize = self._noise(), self._popsize
        with self._blas:
            self._U[:] = self._chunks.sum(lambda *columns: project(noise, popsize, self._M, self._kept, *columns))
        self._kept_batch = self._batch
        self._alpha = kernels.solve(self._U, self._G, self.params.c_d, self._used(), self._Q)

    def _write_rows(self, first: int, out: FloatArray) -> None:
        """Candidates `first`, `first` + 1, ... into the rows of `out`."""
        k = self._used()
        step = self._noise(), self._mean, self._sigma, self._alpha, self._Q[:, :k], self._M[:k], NO_SCALES, 1
        with self._blas:
            self._chunks.map(lambda *columns: emit(*step, first, out, *columns))

    def _update(
        self, f: FloatArray, own: BoolArray, foreign_x: FloatArray | None, foreign_f: FloatArray | None
    ) -> None:
        p = self.params
        chosen = self._ends.select(f, own, foreign_f, p.weights)
        if chosen is None:
            return
        values, order, mine, theirs = chosen
        foreign, h = np.empty((2, 0)), mine @ self._U
        if foreign_x is not None:
            with self._blas:
                foreign = self._foreign_steps(steps(foreign_x, self._mean, self._sigma), theirs)
                h += self._M @ foreign[0]

        learned = (
            *(self._noise(), mine, foreign, self._alpha, mine @ self._Q, self._keep, self._gain),
            *(p.c_sigma, math.sqrt(p.mueff * p.c_sigma * (2 - p.c_sigma)), self._sigma),
            *(self._M, self._p_sigma, self._mean),
        )
        parts = np.array(self._chunks.map(lambda *columns: kernels.learn(*learned, *columns)))
        norm2, length2 = parts[:, :2].sum(axis=0)
        reach = float(parts[:, 2].max())  # NaN if one is
        t = int(self._ends.count[stopping.T]) + 1
        if t % _REFRESH:
            kernels.follow(self._G, h, self._keep, self._gain, norm2)
        else:
            with self._blas:
                kernels.gram(self._M, self._G)
        self._sigma *= math.exp(min(1.0, p.c_sigma / 2 * (length2 / self._n - 1)))

        longest = math.sqrt(max(float(self._G.diagonal().max()), 0.0))
        self._ends.test(values, order, reach + 1e3 * self._n * self._sigma * (1 + longest))
        if self._ends.sizes_due(self._n):
            diagonal = np.empty(self._n)
            alpha, S = self._shape()
            kernels.diagonal(self._M, len(S), S, alpha, diagonal)
            self._ends.test_sizes(self._mean, self._sigma, self.sigma0, diagonal)

    def _foreign_steps(self, d: FloatArray, weights: FloatArray) -> FloatArray:
        """Weighted sums, (2, n), of the base vectors of steps d, (k, n), and of d, both shortened where too long."""
        z = d.copy()
        k, c = self._used(), self.params.c_d
        if k:
            M, G, c = self._M[:k], self._G[:k, :k], c[:k]
            # (1/E + strictly upper part of G) r = M d, E = c / (1 - c + c diag G)
            r = np.linalg.solve(np.diag((1 - c + c * G.diagonal()) / c) + np.triu(G, 1), M @ d.T)
            z = (d - r.T @ M) / np.prod(1 - c)
        used = weights > 0
        scale = weights[used] * clipping(z[used])[:, 0]
        return np.array([scale @ z[used], scale @ d[used]]).reshape(2, self._n)

    # ---------------------------------------------------------------- save and restore

    def _state(self) -> State:
        return {
            "memory": self.params.memory,
            "threads": self.threads,
            "rules": dataclasses.asdict(self.rules),
            "mean": self._mean.copy(),
            "sigma": self._sigma,
            "p_sigma": self._p_sigma.copy(),
            "M": self._M.copy(),
            "G": self._G.copy(),
            **self._ends.state(),
        }

    @classmethod
    def _blank(cls, state: State) -> Self:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PopulationWarning)  # said when the run began
            return cls(
                state["x0"],
                state["sigma0"],
                memory=state["memory"],
                threads=state["threads"],
                stop=StopRules(**state["rules"]),
                **cls._limits_of(state),
            )

    def _set_state(self, state: State) -> None:
        self._mean[:], self._p_sigma[:] = state["mean"], state["p_sigma"]
        self._sigma = float(state["sigma"])
        self._M[:], self._G[:] = state["M"], state["G"]
        self._ends.restore(state)


__all__ = ["LMMAES", "LMMAParameters", "parameters"]
