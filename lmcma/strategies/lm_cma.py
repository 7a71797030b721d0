"""LM-CMA: limited-memory CMA-ES for large n, the version of 2017.

References
----------
I. Loshchilov. LM-CMA: An Alternative to L-BFGS for Large-Scale Black-Box Optimization. Evolutionary Computation
25(1), 2017.
I. Loshchilov. A computationally efficient limited memory CMA-ES for large scale optimization. GECCO 2014.
O. Krause: correction of the 2014 program, which recomputes the stored inverse vectors after a replacement.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from lmcma import random
from lmcma.arguments import as_count, as_point
from lmcma.errors import ArgumentError
from lmcma.kernels import limited_memory as kernels
from lmcma.kernels import stopping
from lmcma.kernels.low_rank import combine, move
from lmcma.kernels.noise import NO_GAUSS
from lmcma.strategies.base import default_popsize, shared_parts
from lmcma.strategies.foreign import clipping, steps
from lmcma.strategies.large_scale import LargeScaleStrategy, log_weights
from lmcma.termination import StopOption, StopRules
from lmcma.typing import BoolArray, FloatArray, State

_SNAPSHOT_COORDINATES = 4096
_FLOAT32_FROM = 65_536  # variables
_LONGEST_FLOAT32 = 1e33  # length of a path whose products with base vectors are still numbers
_SIGNS_FROM = 10  # below, so few sign vectors exist (2^n) that candidates coincide


@dataclasses.dataclass(frozen=True)
class LMCMAParameters:
    """Constants of LM-CMA as functions of the dimension and the population size."""

    mu: int
    weights: FloatArray  # (popsize,), 0 beyond mu
    mueff: float
    memory: int  # m, stored paths
    c_1: float
    c_c: float
    target_gap: int  # N_steps, generations between stored paths
    period: int  # T, generations between insertions
    c_sigma: float = 0.3
    d_sigma: float = 1.0
    z_star: float = 0.3  # target success
    m_sigma: float = 4.0  # scale of the random number of paths a candidate uses
    m_sigma_first: float = 40.0  # the same for the first of a generation


def parameters(n: int, popsize: int, memory: int | None = None) -> LMCMAParameters:
    """Default constants of 2017.

    Examples
    --------
    >>> p = parameters(128, 18)
    >>> p.memory, p.period, round(p.c_1, 6), round(p.mueff, 4)
    (18, 4, 0.020577, 5.3913)
    """
    mu = popsize // 2
    weights = log_weights(popsize)
    return LMCMAParameters(
        mu=mu,
        weights=weights,
        mueff=float(1 / (weights**2).sum()),
        memory=default_popsize(n) if memory is None else memory,
        c_1=1 / (10 * math.log(n + 1)),
        c_c=0.5 / math.sqrt(n),
        target_gap=n,
        period=max(1, int(math.log(n))),
    )


def _storage(n: int, storage: str | None = None) -> str:
    return storage or ("float64" if n < _FLOAT32_FROM else "float32")


def _in_default(x0: ArrayLike, stored: int | None, storage: str | None) -> int | None:
    """How many paths in the default storage take the memory of so many in the storage wanted."""
    n = len(as_point("x0", x0))
    if storage in (None, _storage(n)):
        return stored
    paths = (stored or default_popsize(n)) * np.dtype(storage).itemsize
    return int(-(-paths // np.dtype(_storage(n)).itemsize))


def path_bytes(n: int, stored: int | None) -> float:
    """Bytes of so many stored paths, m = 4 + floor(3 ln n) by default, in the default storage."""
    return float(np.dtype(_storage(n)).itemsize) * n * (stored or default_popsize(n))


class LMCMA(LargeScaleStrategy):
    """LM-CMA, the limited-memory covariance matrix adaptation evolution strategy of 2017.

    Stores m = 4 + floor(3 ln n) evolution paths instead of a matrix; a candidate costs O(n) time, the strategy
    O(n log n) memory.

    Parameters
    ----------
    x0 : (n,) array_like
        Mean of the first search distribution.
    sigma0 : float
        Its standard deviation, in the units of `x0`; about 0.2 to 0.3 of the range where the optimum is expected.
    popsize : int, optional
        Offspring per iteration, at least 2; 4 + floor(3 ln n) by default.
    memory : int, optional
        Stored paths m; 4 + floor(3 ln n) by default. More help on functions with many different axes.
    storage : {"float64", "float32"}, optional
        Numbers that paths and their companions are stored in, and multiplied with base vectors. By default float64 for
        n < 65536, float32 beyond: half of the memory, and less time. Candidates and all else are float64 always.
    noise : {"rademacher", "gaussian"}, optional
        Law of the base vectors: random signs, as published, or normal numbers (rotationally invariant, slower).
        Signs by default; for n < 10, where few sign vectors exist, normal numbers.
    mirrored : bool
        Candidates in pairs mean + step, mean - step.
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
        2 m + popsize vectors, for n <= 10000 another popsize, and about ten more do not fit.

    Examples
    --------
    >>> import lmcma
    >>> es = lmcma.LMCMA([1.0] * 200, 0.5, rng=1, ftarget=1e-6)
    >>> while not es.stop():
    ...     x = es.ask()
    ...     es.tell(x, (x**2).sum(axis=1))
    >>> es.stop().reason == "ftarget"
    True

    References
    ----------
    I. Loshchilov. LM-CMA: An Alternative to L-BFGS for Large-Scale Black-Box Optimization. Evolutionary Computation
    25(1), 2017. Algorithms 1 to 7.
    """

    method: ClassVar[str] = "lm-cma"

    def __init__(
        self,
        x0: ArrayLike,
        sigma0: float,
        *,
        popsize: int | None = None,
        memory: int | None = None,
        storage: str | None = None,
        noise: str | None = None,
        mirrored: bool = True,
        stop: StopOption = None,
        ftarget: float | None = None,
        maxfev: int | None = None,
        maxiter: int | None = None,
        max_memory: float | None = None,
        threads: int = 1,
        rng: random.Seed = None,
    ) -> None:
        if storage not in (None, "float64", "float32"):
            raise ArgumentError(f"`storage` must be 'float64' or 'float32'; got {storage!r}.")
        if noise not in (None, "rademacher", "gaussian"):
            raise ArgumentError(f"`noise` must be 'rademacher' or 'gaussian'; got {noise!r}.")
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
            stored=_in_default(x0, memory, storage),
        )
        n, popsize = self._n, self._popsize
        self.noise = noise or ("rademacher" if n >= _SIGNS_FROM else "gaussian")
        self.mirrored = bool(mirrored)
        self.params = p = self._parameters(n, popsize, memory)
        self._twins = 2 if mirrored else 1
        bases = -(-popsize // self._twins)

        self._s = 0.0  # accumulated success
        self._p_c = np.zeros(n)
        self._stored = 0  # k, paths stored so far
        self.storage = _storage(n, storage)
        self._P = np.empty((p.memory, n), self.storage)
        self._V = np.empty((p.memory, n), self.storage)  # companions of the paths
        self._largest_loss = kernels.LARGEST_LOSS if self.storage == "float64" else kernels.LARGEST_LOSS_FLOAT32
        self._G = np.zeros((p.memory, p.memory))  # scalar products of the paths
        self._W, self._H = np.empty((p.memory, p.memory)), np.empty((p.memory, p.memory))
        self._loss = np.empty(p.memory)
        self._by_recursion = False  # whether the companions were made by it, all of them
        self._b = np.zeros(p.memory)
        self._d = np.zeros(p.memory)
        self._ages = np.zeros(p.memory, dtype=np.int64)
        self._f_previous: FloatArray | None = None

        # the batch that is out: base vectors, paths used, weights of path and base vector in each step
        self._signs = np.zeros((bases, -(-n // 64) if self.noise == "rademacher" else 0), dtype=np.uint64)
        self._gauss = NO_GAUSS.astype(self.storage)
        self._kept = np.empty((bases, 0), self.storage)
        self._used = np.zeros(bases, dtype=np.int64)
        self._Q = np.zeros((bases, p.memory))
        self._alpha = np.ones(bases)

        self._delta = np.empty(n)
        self._longest = np.empty(n)  # step of the first base vector, which uses the most paths
        self._longest_batch = -1  # whose it is

    _parameters = staticmethod(parameters)

    @classmethod
    def memory_parts(cls, n: int, popsize: int, stored: int | None = None) -> dict[str, float]:
        """Bytes needed with `stored` paths, by what takes them.

        Vectors are x0, best point, mean, p_c, step of the mean, one more step, and the diagonal of C now and then.
        """
        paths = path_bytes(n, stored)
        parts = {"stored paths": paths, "their companions": paths, **shared_parts(n, popsize, 7)}
        parts["what is remembered of it"] += 8.0 * n * popsize / 64  # signs of half as many base vectors, drawn anew
        return parts

    @property
    def p_c(self) -> FloatArray:
        """Evolution path, (n,); a view."""
        return self._p_c

    @property
    def paths(self) -> FloatArray:
        """Stored evolution paths, the oldest first, (k, n) with k <= m; a view."""
        return self._P[: self._stored]

    def snapshot(self) -> Mapping[str, Any]:
        """The search distribution in numbers, for a recorder.

        Standard deviations are those of the factor that all stored paths make, of the first 4096 coordinates; the
        axis ratio is NaN where there are more.
        """
        k, c_1 = self._stored, self.params.c_1
        diagonal = np.empty(min(self._n, _SNAPSHOT_COORDINATES))
        kernels.factor_diagonal(self._P, k, c_1, diagonal)
        small = self._n <= _SNAPSHOT_COORDINATES
        ratio = kernels.axis_ratio(self._G[:k, :k], self._n, c_1) if small else math.nan
        return {
            "nit": self._nit,
            "best_f": self._best_f,
            "sigma": self.sigma,
            "axis_ratio": ratio,
            "mean": self._mean,
            "stds": self._sigma * np.sqrt(diagonal),
        }

    # ---------------------------------------------------------------- one generation

    def _draw(self) -> None:
        super()._draw()
        self._draw_signs()
        p = self.params
        r = p.m_sigma * np.abs(self._rng.standard_normal(len(self._used)))
        r[0] *= p.m_sigma_first / p.m_sigma
        np.minimum(self._stored, np.ceil(r), out=self._used, casting="unsafe")

    def _draw_signs(self) -> None:
        if self.noise == "rademacher":
            self._signs[:] = self._rng.integers(0, 2**64, self._signs.shape, dtype=np.uint64)

    def _prepare_rows(self) -> None:
        """The weights of stored paths and of base vectors in the steps."""
        k, c_1 = self._stored, self.params.c_1
        noise = self._noise()
        U = self._chunks.sum(lambda *columns: kernels.project_newest(noise, self._V, k, self._used, *columns))
        kernels.weigh_newest(U, self._b, k, self._used, c_1, self._Q, self._alpha)

    def _write_rows(self, first: int, out: FloatArray) -> None:
        """Candidates `first`, `first` + 1, ... into the rows of `out`."""
        step = self._noise(), self._mean, self._sigma, self._alpha, self._Q, self._P, self._stored, self._used
        where = self._twins, first, out, self._longest
        self._chunks.map(lambda *columns: kernels.write_candidates(*step, *where, *columns))
        if first == 0:
            self._longest_batch = self._batch

    def _update(
        self, f: FloatArray, own: BoolArray, foreign_x: FloatArray | None, foreign_f: FloatArray | None
    ) -> None:
        p, ends = self.params, self._ends
        g = int(ends.count[stopping.T])
        chosen = ends.select(f, own, foreign_f, p.weights)
        if chosen is None:
            return
        values, order, mine, theirs = chosen

        # mean and path
        self._mean_step(mine, theirs, foreign_x)
        scale = math.sqrt(p.c_c * (2 - p.c_c) * p.mueff)
        changed = self._mean, self._sigma, self._delta, self._p_c, p.c_c, scale
        reach = float(np.max(self._chunks.map(lambda *columns: move(*changed, *columns))))  # NaN if one is
        if g % p.period == 0:
            self._insert(g)
        k = self._stored
        longest = math.sqrt(float(self._G.diagonal()[:k].max()))  # NaN and infinity come through
        factors = float(self._b[:k].sum() + self._d[:k].sum())
        reach = max(reach, 1e3 * self._n * self._sigma * (1 + longest)) + 0.0 * factors * longest
        if self.storage == "float32" and not longest < _LONGEST_FLOAT32:
            reach = math.inf

        # population success rule; points beyond the population have no part in it
        if self._f_previous is not None:
            z_psr = kernels.population_success(f, self._f_previous) - p.z_star
            self._s = (1 - p.c_sigma) * self._s + p.c_sigma * z_psr
            self._sigma *= math.exp(self._s / p.d_sigma)
            self._f_previous[:] = f
        else:
            self._f_previous = f.copy()
        ends.test(values, order, reach)
        if ends.sizes_due(self._n):
            diagonal = np.empty(self._n)
            kernels.factor_diagonal(self._P, self._stored, p.c_1, diagonal)
            ends.test_sizes(self._mean, self._sigma, self.sigma0, diagonal, self._p_c)

    def _mean_step(self, mine: FloatArray, theirs: FloatArray, foreign_x: FloatArray | None) -> None:
        """The weighted mean of the selected steps, in units of sigma, into `_delta`."""
        popsize = self._popsize
        if self.mirrored:
            singles = mine[0::2].copy()
            singles[: popsize // 2] -= mine[1::2]
            mine = singles
        else:
            mine = mine.copy()
        share, step = self._longest_step(mine)
        k = self._stored
        parts = self._noise(), mine * self._alpha, mine @ self._Q[:, :k], self._P[:k], share, step, self._delta
        self._chunks.map(lambda *columns: combine(*parts, *columns))
        if foreign_x is not None:
            for step, weight in zip(steps(foreign_x, self._mean, self._sigma), theirs, strict=True):
                if weight > 0:
                    z = step.copy()
                    self._invert(z)
                    self._delta += weight * clipping(z[None, :])[0] * step

    def _longest_step(self, weights: FloatArray) -> tuple[float, FloatArray]:
        """Weight and step of the first base vector, whose many paths need not be read again; 0 is left in `weights`."""
        share = float(weights[0])
        if share != 0.0 and self._longest_batch != self._batch:
            self._row(0)
        weights[0] = 0.0
        return share, self._longest if share != 0.0 else self._longest[:0]

    def _invert(self, x: FloatArray) -> None:
        """Replace `x` by the base vector whose step it is, with all paths in use."""
        with self._blas:
            kernels.inverse_times(x, self._V, self._d, self._stored, self.params.c_1)

    def _insert(self, g: int) -> None:
        """Store the path of generation g; where all places are taken, one makes room."""
        p, first = self.params, self._stored
        if first == p.memory:
            first = kernels.replaced(self._ages, first, p.target_gap)
            kernels.drop_row(self._P, self._V, self._G, self._ages, first, p.memory)
            self._stored -= 1
        last = self._stored
        with np.errstate(over="ignore"):  # float32; a rule ends the run
            self._P[last] = self._p_c
        self._ages[last] = g
        self._stored += 1
        self._multiply(last)
        self._refresh(first)

    def _multiply(self, row: int) -> None:
        """Enter the scalar products of one path with all into `_G`."""
        k = self._stored
        found = self._chunks.sum(lambda *columns: kernels.products(self._P, k, row, *columns))
        self._G[row, :k] = self._G[:k, row] = found

    def _refresh(self, first: int) -> None:
        """What follows from the stored paths, of which those from `first` on are new in their places."""
        k, P, V, W = self._stored, self._P, self._V, self._W
        kernels.companions(self._G, k, self.params.c_1, W, self._H, self._b, self._d, self._loss)
        if k == 0 or self._loss[:k].max() <= self._largest_loss:
            first = 0 if self._by_recursion else first
            self._chunks.map(lambda *columns: kernels.write_companions(P, W, first, k, V, *columns))
            self._by_recursion = False
            return
        self._by_recursion = True
        with self._blas:
            kernels.recur(P, k, self.params.c_1, V, self._b, self._d)

    # ---------------------------------------------------------------- save and restore

    def _state(self) -> State:
        k = self._stored
        return {
            "memory": self.params.memory,
            "storage": self.storage,
            "noise": self.noise,
            "mirrored": self.mirrored,
            "threads": self.threads,
            "rules": dataclasses.asdict(self.rules),
            "mean": self._mean.copy(),
            "sigma": self._sigma,
            "s": self._s,
            "p_c": self._p_c.copy(),
            "P": self._P[:k].copy(),
            "ages": self._ages[:k].copy(),
            "G": self._G[:k, :k].copy(),
            "f_previous": None if self._f_previous is None else self._f_previous.copy(),
            "signs": self._signs.copy(),
            "used": self._used.copy(),
            **self._ends.state(),
        }

    @classmethod
    def _blank(cls, state: State) -> Self:
        return cls(
            state["x0"],
            state["sigma0"],
            memory=state["memory"],
            storage=state.get("storage", "float64"),
            noise=state["noise"],
            mirrored=state["mirrored"],
            threads=state["threads"],
            stop=StopRules(**state["rules"]),
            **cls._limits_of(state),
        )

    def _set_state(self, state: State) -> None:
        self._mean[:], self._p_c[:] = state["mean"], state["p_c"]
        self._sigma, self._s = float(state["sigma"]), float(state["s"])
        previous = state["f_previous"]
        self._f_previous = None if previous is None else np.array(previous, dtype=np.float64)
        k = self._stored = len(state["ages"])
        self._P[:k], self._ages[:k] = state["P"], state["ages"]
        self._G[:k, :k] = state["G"]
        self._refresh(0)
        self._signs[:], self._used[:] = state["signs"], state["used"]
        self._ends.restore(state)
