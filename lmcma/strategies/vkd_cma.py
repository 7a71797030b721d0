"""VkD-CMA-ES: a covariance matrix of scales and some directions, whose number adapts to the function.

References
----------
Y. Akimoto, N. Hansen. Projection-Based Restricted Covariance Matrix Adaptation for High Dimension. GECCO 2016.
Y. Akimoto, N. Hansen. Online Model Selection for Restricted Covariance Matrix Adaptation. PPSN 2016.
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
from lmcma.errors import ArgumentError
from lmcma.kernels import vkd as kernels
from lmcma.kernels.low_rank import emit, project
from lmcma.kernels.noise import kept_columns
from lmcma.strategies.base import default_popsize, shared_parts
from lmcma.strategies.foreign import clipping, steps
from lmcma.strategies.large_scale import LargeScaleStrategy, log_weights
from lmcma.termination import StopOption, StopRules
from lmcma.typing import BoolArray, FloatArray, State

_SNAPSHOT_COORDINATES = 4096
_LEAST_POPSIZE = 4  # two points on a line, and two more
_NUMBERS = 10**7  # in the directions by default
_NEGLIGIBLE = 1e-14  # eigenvalues of U U^T below so much of the largest are rounding

# choice of k (PPSN 2016; values of the author's program)
_IMPORTANT = 30.0  # an eigenvalue 1 + S of this size is worth a direction
_GROWTH = 1.414
_SIGMA_SLOPE, _DIAGONAL_SLOPE = 0.1, 2.0
_SLOWDOWN = 3.0


def rates(n: int, k: int, mueff: float) -> tuple[float, float, float]:
    """Learning rates c_1, c_mu, c_c of the matrix with k directions.

    c_1 = 2 / (n (k + 1) + n + 2 (k + 2) + mueff), c_c = sqrt(c_1),
    c_mu = min(1 - c_1, 2 (mueff - 2 + 1 / mueff) / (n (k + 1) + 4 (k + 2) + mueff)).

    Examples
    --------
    >>> [round(1 / c, 6) for c in rates(20, 0, 4.0)]
    [24.0, 7.111111, 4.898979]
    """
    size = n * (k + 1)
    c_1 = 2 / (size + n + 2 * (k + 2) + mueff)
    c_mu = min(1 - c_1, 2 * (mueff - 2 + 1 / mueff) / (size + 4 * (k + 2) + mueff))
    return c_1, c_mu, math.sqrt(c_1)


@dataclasses.dataclass(frozen=True)
class VkDParameters:
    """Constants of VkD-CMA-ES as functions of the dimension, the population size and k."""

    mu: int
    weights: FloatArray  # (popsize,), 0 beyond mu
    mueff: float
    k: int  # directions
    c_1: float
    c_mu: float
    c_c: float
    c_s: float  # of the step size
    d_s: float

    def with_directions(self, n: int, k: int) -> VkDParameters:
        """The constants with k directions."""
        c_1, c_mu, c_c = rates(n, k, self.mueff)
        return dataclasses.replace(self, k=k, c_1=c_1, c_mu=c_mu, c_c=c_c)


def parameters(n: int, popsize: int, k: int = 0) -> VkDParameters:
    """Default constants: weights ln(mu + 1/2) - ln i, mu = popsize // 2; `rates`; c_s = 0.3, d_s = 4 - 3/n.

    Examples
    --------
    >>> p = parameters(20, 12, 3)
    >>> p.mu, round(p.mueff, 4), round(p.d_s, 4)
    (6, 3.7295, 3.85)
    """
    mu = popsize // 2
    weights = log_weights(popsize)
    mueff = float(1 / (weights**2).sum())
    c_1, c_mu, c_c = rates(n, k, mueff)
    return VkDParameters(mu, weights, mueff, k, c_1, c_mu, c_c, c_s=0.3, d_s=4 - 3 / n)


def default_k_max(n: int) -> int:
    """The most directions in dimension `n`: n - 1 while they have 10^7 numbers at most, 4 + floor(3 ln n) at least.

    >>> [default_k_max(n) for n in (1, 20, 3000, 10**5, 10**7)]
    [0, 19, 2999, 100, 52]
    """
    return min(n - 1, max(default_popsize(n), _NUMBERS // n))


class VkDCMA(LargeScaleStrategy):
    """VkD-CMA-ES: learns a scale for every coordinate and k directions, C = D (I + V^T diag(S) V) D.

    Lies between `SepCMAES`, which it is with k = 0 but for its step size, and `CMAES`. It begins with k = 0 and adds
    directions while those it has are all important: where they are few, it learns them as fast as the scales. Time
    per candidate grows with k n. For dozens to thousands of variables whose dependencies come from few directions,
    whether or not they are also badly scaled; the scales are those of the coordinates, so rotations matter.

    Parameters
    ----------
    x0 : (n,) array_like
        Mean of the first search distribution.
    sigma0 : float
        Its standard deviation, in the units of `x0`; about 0.2 to 0.3 of the range where the optimum is expected.
    popsize : int, optional
        Offspring per iteration, at least 4; 4 + floor(3 ln n) by default. The last two lie on a line through the mean.
    k : int, optional
        Directions, 0 to n - 1, from beginning to end; by default their number adapts.
    k_max : int, optional
        Limit of their number where it adapts, 0 to n - 1; by default n - 1 while these have at most 10^7 numbers,
        else max(10^7 / n, 4 + floor(3 ln n)). Memory for so many is reserved.
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
        k_max + popsize vectors, twice popsize for n <= 2^27 / popsize, and about ten more do not fit.

    Notes
    -----
    What the papers leave open is as in the author's program, and so are these departures from them:

    - The step size (two-point adaptation): two points lie on the line of the last step of the mean, at either side, as
      far out in the metric of C as a normal vector is long. With alpha = (rank of the one behind - rank of the one
      ahead) / (popsize - 1), s <- s + c_s (alpha - s) and sigma <- sigma exp(s / d_s). p_c waits while s >= 1/2.
    - k becomes max(k + 1, ceil(1.414 k)) once it was the same for 2n - 1 iterations and in the last one all
      1 + S_i > 30, log sigma changed by less than 0.1 min(1, popsize/n) / 6, and the logs of all variances, sigma
      apart, by less than 2 (c_1 + c_mu). The PPSN paper averages these changes over iterations; the program means to,
      but its averages consist of the last change only, and so it ran on the large-scale suite of COCO.
    - More than k (2n - 1) iterations after the last growth, directions with 1 + S_i < 30 that became less important in
      the last iteration are dropped.
    - c_c = sqrt(c_1) instead of a formula in k.

    Our own: the two points are the last ones of a population, and as long as its last but one normal vector; where the
    caller replaced one of them by a point farther from it than the mean is, in the metric of C, sigma waits. Equal
    values have a rank in the middle. Weights are ln(mu + 1/2) - ln i for odd population sizes, too. One normal vector
    makes a candidate, not two.

    Examples
    --------
    >>> import lmcma
    >>> es = lmcma.VkDCMA([1.0] * 40, 0.5, rng=1, ftarget=1e-9)
    >>> while not es.stop():
    ...     x = es.ask()
    ...     es.tell(x, x[:, 0] ** 2 + 1e6 * (x[:, 1:] ** 2).sum(axis=1))
    >>> es.stop().reason == "ftarget"
    True

    References
    ----------
    Y. Akimoto, N. Hansen. Projection-Based Restricted Covariance Matrix Adaptation for High Dimension. GECCO 2016.
    Y. Akimoto, N. Hansen. Online Model Selection for Restricted Covariance Matrix Adaptation. PPSN 2016.
    N. Hansen, A. Atamna, A. Auger. How to Assess Step-Size Adaptation Mechanisms in Randomised Search. PPSN 2014
    (two-point step-size adaptation).
    """

    method: ClassVar[str] = "vkd-cma"

    def __init__(
        self,
        x0: ArrayLike,
        sigma0: float,
        *,
        popsize: int | None = None,
        k: int | None = None,
        k_max: int | None = None,
        stop: StopOption = None,
        ftarget: float | None = None,
        maxfev: int | None = None,
        maxiter: int | None = None,
        max_memory: float | None = None,
        threads: int = 1,
        rng: random.Seed = None,
    ) -> None:
        if popsize is not None:
            popsize = as_count("popsize", popsize, _LEAST_POPSIZE)
        if k is not None and k_max is not None:
            raise ArgumentError(f"`k_max` is for k=None, where the number adapts; got k={k!r}. Leave one of them out.")
        most = {"k": k} if k is not None else {"k_max": k_max}
        for name, value in most.items():
            if value is not None:
                most[name] = as_count(name, value, 0)
        ((most_name, limit),) = most.items()
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
            stored=limit,
        )
        n, popsize = self._n, self._popsize
        if limit is not None and limit >= n:
            raise ArgumentError(f"`{most_name}` must be at most n - 1 = {n - 1}; got {limit}.")
        self._adaptive = k is None
        self.k_max = default_k_max(n) if limit is None else limit
        self.params = parameters(n, popsize, 0 if k is None else k)

        self._s = 0.0  # accumulated success of the longer step
        self._p_c = np.zeros(n)
        self._D = np.ones(n)
        self._V = np.zeros((max(1, self.k_max), n))  # without a direction there is one of length 0, of no effect
        self._S = np.zeros(1)
        self._active = 0  # directions there are, at most k
        self._since = 0  # iterations since k grew
        self._step = np.zeros(n)  # last step of the mean, in units of sigma
        self._length = 0.0  # of it, in the metric of C
        self._delta = np.empty(n)
        # the batch that is out: scalar products of base vectors and directions, how far out the points on the line are
        self._Q = np.zeros((popsize, 1))
        self._reach = 0.0
        self._kept = np.empty((popsize, kept_columns(n, popsize)))

    @classmethod
    def memory_parts(cls, n: int, popsize: int, stored: int | None = None) -> dict[str, float]:
        """Bytes needed with at most `stored` directions, by what takes them.

        Other vectors are x0, best point, mean, p_c, D, last and next step, two now and then for the rules on sizes.
        """
        k = max(1, min(n - 1, default_k_max(n) if stored is None else stored))
        rows = k + popsize // 2 + 2
        wide = popsize // 2 + 2 > n
        return {
            "directions": 8.0 * n * k,
            **shared_parts(n, popsize, 9),
            "normal numbers of the population": 8.0 * popsize * kept_columns(n, popsize),
            "update of the directions": 8.0 * (2 * n * rows + 5 * n * n if wide else 5 * rows * rows),
        }

    @property
    def p_c(self) -> FloatArray:
        """Evolution path of the covariance matrix, (n,); a view."""
        return self._p_c

    @property
    def D(self) -> FloatArray:
        """Scales of the coordinates, (n,); a view."""
        return self._D

    @property
    def V(self) -> FloatArray:
        """Directions, orthonormal, the most important first, (at most k, n); a view."""
        return self._V[: self._active]

    @property
    def S(self) -> FloatArray:
        """By how much the variance along each direction is above 1, (at most k,); a view."""
        return self._S[: self._active]

    @property
    def k(self) -> int:
        """The number of directions; less are in use where fewer were found yet."""
        return self.params.k

    def _diagonal(self, columns: int) -> FloatArray:
        """The first entries of the diagonal of C, (columns,)."""
        V = self._V[: len(self._S), :columns]
        diagonal = np.einsum("i,ij,ij->j", self._S, V, V)
        diagonal += 1.0
        with np.errstate(over="ignore"):  # a rule ends the run then
            diagonal *= self._D[:columns]
            diagonal *= self._D[:columns]
        return diagonal

    def snapshot(self) -> Mapping[str, Any]:
        """The search distribution in numbers, for a recorder.

        Standard deviations are those of the first 4096 coordinates; the axis ratio is that of D times that of the
        directions, which the true one does not exceed.
        """
        spread = float(self._D.max() / self._D.min())
        return {
            "nit": self._nit,
            "best_f": self._best_f,
            "sigma": self.sigma,
            "axis_ratio": spread * math.sqrt(1 + float(self._S[0])),
            "mean": self._mean,
            "stds": self._sigma * np.sqrt(self._diagonal(min(self._n, _SNAPSHOT_COORDINATES))),
            "k": self.k,
        }

    # ---------------------------------------------------------------- one generation

    def _prepare_rows(self) -> None:
        noise, popsize, V = self._noise(), self._popsize, self._V[: len(self._S)]
        with self._blas:
            U = self._chunks.sum(lambda *columns: project(noise, popsize, V, self._kept, *columns))
        self._kept_batch = self._batch
        self._Q = U * (np.sqrt(1 + self._S) - 1)
        self._reach = 0.0
        if self._length > 0:
            noise, ahead = self._noise(), popsize - 2
            parts = self._chunks.map(lambda *columns: kernels.length2(noise, self._n, ahead, *columns))
            self._reach = math.sqrt(sum(parts)) / self._length

    def _write_rows(self, first: int, out: FloatArray) -> None:
        """Candidates `first`, `first` + 1, ... into the rows of `out`."""
        step = self._noise(), self._mean, self._sigma, 1.0, self._Q, self._V[: len(self._S)], self._D, 1
        with self._blas:
            self._chunks.map(lambda *columns: emit(*step, first, out, *columns))
        if self._reach > 0:
            ahead = self._popsize - 2
            for row, sign in ((ahead, 1.0), (ahead + 1, -1.0)):
                if first <= row < first + len(out):
                    x = out[row - first]
                    np.multiply(self._step, sign * self._sigma * self._reach, out=x)
                    x += self._mean

    def _update(
        self, f: FloatArray, own: BoolArray, foreign_x: FloatArray | None, foreign_f: FloatArray | None
    ) -> None:
        chosen = self._ends.select(f, own, foreign_f, self.params.weights)
        if chosen is None:
            return
        values, order, mine, theirs = chosen
        with self._blas:
            reach = self._learn(f, own, mine, theirs, foreign_x)
        longest = float(self._D.max()) * math.sqrt(1 + float(self._S[0]))
        self._ends.test(values, order, reach + 1e3 * self._n * self._sigma * longest)
        if self._ends.sizes_due(self._n):
            self._ends.test_sizes(self._mean, self._sigma, self.sigma0, self._diagonal(self._n), self._p_c)

    def _learn(
        self, f: FloatArray, own: BoolArray, mine: FloatArray, theirs: FloatArray, foreign_x: FloatArray | None
    ) -> float:
        """Step size, mean, path and matrix; what bounds the entries of the mean, NaN where one is not finite."""
        p, sigma = self.params, self._sigma
        foreign, in_place = np.empty((0, self._n)), True
        if foreign_x is not None:
            foreign = steps(foreign_x, self._mean, sigma)
            in_place = self._reach > 0 and self._still_on_the_line(own, foreign)
            foreign, theirs = self._clipped(foreign, theirs)

        # two-point adaptation of the step size; points beyond the population have no part in it
        ahead = behind = 0.0  # weights of the two points
        if self._reach > 0:
            if in_place:
                self._s += p.c_s * (_lead(f) - self._s)
                self._sigma *= math.exp(self._s / p.d_s)
            ahead, behind = mine[-2:].tolist()
            mine = mine.copy()
            mine[-2:] = 0.0
        h = float(self._s < 0.5)

        # the mean, the path, and the matrix U U^T of all that C is made of
        rows = np.flatnonzero(mine)
        V, S = self._V[: len(self._S)], self._S
        alpha2 = 1 - p.c_1 - p.c_mu + p.c_1 * (1 - h) * p.c_c * (2 - p.c_c)
        stack = self._noise(), rows, self._Q[rows], V, foreign, self._D, self._step
        weights = [mine[rows], theirs]
        shares = np.concatenate([np.zeros(len(S)), *weights, [self._reach * (ahead - behind), 0.0]])
        weights.append(np.array([self._reach**2 * (ahead + behind)]))
        roots = np.sqrt(np.concatenate([alpha2 * S, p.c_mu * np.concatenate(weights), [p.c_1]]))
        gain = h * math.sqrt(p.c_c * (2 - p.c_c) * p.mueff)
        moved = sigma, 1 - p.c_c, gain, self._mean, self._p_c, self._delta
        U = np.empty((len(roots) if len(roots) - len(S) > self._n else 0, self._n))  # more rows than columns
        parts = self._chunks.map(lambda *columns: kernels.gather(stack, shares, roots, *moved, U, *columns))
        reach = float(np.max([bound for _, bound in parts]))  # NaN if one is
        G = U.T @ U if len(U) else np.sum([share for share, _ in parts], axis=0)
        if math.isfinite(reach) and np.isfinite(G).all():
            self._project(stack, roots, alpha2, G, U, math.log(self._sigma / sigma))
        else:
            reach = math.nan
        self._step, self._delta = self._delta, self._step
        return reach

    def _project(
        self, stack: kernels.Stack, roots: FloatArray, alpha2: float, G: FloatArray, U: FloatArray, log_step: float
    ) -> None:
        """The matrix D (alpha2 I + U^T U) D in the form that it has to have, and of determinant 1; then k.

        G : U U^T, or U^T U where U has rows; log_step : by how much log sigma grew.
        """
        n, k = self._n, self.k
        eigenvalues, R = np.linalg.eigh(G)
        eigenvalues, R = np.maximum(eigenvalues[::-1], 0.0), R[:, ::-1]
        spread = float(eigenvalues[k:].sum()) / (n - k)  # what is left out, over all other directions
        active = min(k, int((eigenvalues > _NEGLIGIBLE * eigenvalues[0]).sum()))
        spread = max(spread, _NEGLIGIBLE * float(eigenvalues[0]))  # where alpha2 is 0, nothing else may be left
        found = eigenvalues[:active]
        S, T = np.zeros(max(1, active)), np.zeros((max(1, active), len(roots)))  # V = T U
        S[:active] = np.maximum(found - spread, 0.0) / (alpha2 + spread)
        T[:active] = (U @ R[:, :active] / found if len(U) else R[:, :active] / np.sqrt(found)).T
        old_S, self._S = self._S, S
        before = np.log1p(self._of_k(old_S[: self._active]))
        self._active = active
        changed = stack, roots, alpha2, old_S, T, S, self._p_c, self._delta, self._V, self._D
        parts = self._chunks.map(lambda *columns: kernels.renew(*changed, *columns))
        sums = np.array([numbers for numbers, _ in parts])
        inner = np.sum([products for _, products in parts], axis=0)
        log_mean = self._normalize(float(sums[:, 0].sum()))
        change = max(float(sums[:, 2].max()) - 2 * log_mean, 2 * log_mean - float(sums[:, 1].min()))

        self._since += 1
        length2, kept = float(sums[:, 3].sum()) * math.exp(2 * log_mean), None
        inner *= math.exp(log_mean)
        if self._adaptive:
            kept = self._choose_k(log_step, change, np.log1p(self._of_k(S[:active])) - before)
        if kept is not None:
            inner = inner[kept] if kept.any() else np.zeros(1)
            log_mean = self._normalize(float(np.log(self._D).sum()))
            length2, inner = length2 * math.exp(2 * log_mean), inner * math.exp(log_mean)
        # in the metric of C; not below what the largest eigenvalue allows, however the difference is rounded
        inside = float((inner**2 * (self._S / (1 + self._S))).sum())
        self._length = math.sqrt(max(length2 - inside, length2 / (1 + float(self._S.max()))))

    def _of_k(self, values: FloatArray) -> FloatArray:
        """The values, and 0 for directions not found yet, (k,)."""
        return np.concatenate([values, np.zeros(self.k - len(values))])

    def _normalize(self, log_scales: float) -> float:
        """Divide D and p_c by the geometric mean of the standard deviations along the axes of C; its log.

        log_scales : sum of log D.
        """
        log_mean = (log_scales + float(np.log1p(self._S).sum()) / 2) / self._n
        self._D *= math.exp(-log_mean)
        self._p_c *= math.exp(-log_mean)
        return log_mean

    def _choose_k(self, log_step: float, change: float, grown: FloatArray) -> BoolArray | None:
        """More directions, or less; the mask of those kept where some were dropped.

        log_step, change, grown : (k,); by how much, in this iteration, log sigma, at most the logs of the diagonal of
        C, and log(1 + S) grew.
        """
        n, p, k, wait = self._n, self.params, self.k, 2 * self._n - 1
        usual = 0.5 * min(1.0, self._popsize / n) / _SLOWDOWN  # slope of log sigma that still is progress
        important = 1 + self._of_k(self.S) > _IMPORTANT
        if (
            self._since > wait
            and k < self.k_max
            and important.all()
            and abs(log_step) < _SIGMA_SLOPE * usual
            and change < _DIAGONAL_SLOPE * (p.c_1 + p.c_mu)
        ):
            self.params = p.with_directions(n, min(max(math.ceil(_GROWTH * k), k + 1), self.k_max))
            self._since = 0
            return None
        fading = ~important & (grown < 0)
        if self._since > k * wait and fading.any():
            kept = ~fading[: self._active]
            self._active = int(kept.sum())
            self._V[: self._active] = self._V[: len(kept)][kept]
            self._S = self._S[: len(kept)][kept]
            if not self._active:
                self._S, self._V[0] = np.zeros(1), 0.0
            self.params = p.with_directions(n, self._active)
            return kept
        return None

    def _whitened(self, u: FloatArray) -> FloatArray:
        """Steps (k, n) in units of D, in the metric of C."""
        V = self._V[: len(self._S)]
        whitened: FloatArray = u + ((u @ V.T) * (1 / np.sqrt(1 + self._S) - 1)) @ V
        return whitened

    def _still_on_the_line(self, own: BoolArray, d: FloatArray) -> bool:
        """Whether the last two of the population are about where they were asked, given steps d of replaced rows first.

        That is, whether each is nearer, in the metric of C, to the point asked than the mean is.
        """
        places = np.cumsum(~own) - 1
        for row, sign in ((-2, 1.0), (-1, -1.0)):
            if not own[row]:
                off = self._whitened((d[places[row]] - sign * self._reach * self._step)[None, :] / self._D)
                if not np.linalg.norm(off) < self._reach * self._length:
                    return False
        return True

    def _clipped(self, d: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Those of the steps d, (k, n), that have a weight, in units of D, shortened where too long; their weights."""
        used = weights > 0
        u = d[used] / self._D
        return u * clipping(self._whitened(u)), weights[used]

    # ---------------------------------------------------------------- save and restore

    def _state(self) -> State:
        return {
            "k": self.k,
            "k_max": self.k_max,
            "adaptive": self._adaptive,
            "threads": self.threads,
            "rules": dataclasses.asdict(self.rules),
            "mean": self._mean.copy(),
            "sigma": self._sigma,
            "s": self._s,
            "p_c": self._p_c.copy(),
            "D": self._D.copy(),
            "V": self.V.copy(),
            "S": self.S.copy(),
            "since": self._since,
            "step": self._step.copy(),
            "step_length": self._length,
            **self._ends.state(),
        }

    @classmethod
    def _blank(cls, state: State) -> Self:
        return cls(
            state["x0"],
            state["sigma0"],
            threads=state["threads"],
            stop=StopRules(**state["rules"]),
            **({"k_max": state["k_max"]} if state["adaptive"] else {"k": state["k"]}),
            **cls._limits_of(state),
        )

    def _set_state(self, state: State) -> None:
        self.params = self.params.with_directions(self._n, int(state["k"]))
        self._mean[:], self._p_c[:], self._D[:], self._step[:] = (state[name] for name in ("mean", "p_c", "D", "step"))
        self._sigma, self._s = float(state["sigma"]), float(state["s"])
        self._length, self._since = float(state["step_length"]), int(state["since"])
        active = self._active = len(state["S"])
        self._V[:active] = state["V"]
        self._S = np.zeros(max(1, active))
        self._S[:active] = state["S"]
        self._ends.restore(state)


def _lead(f: FloatArray) -> float:
    """How much better the last but one of the values is than the last, by rank, in [-1, 1]; NaN is the worst.

    >>> _lead(np.array([3.0, 4.0, 1.0, 7.0]))
    1.0
    """
    f = np.where(np.isnan(f), np.inf, f)
    ahead, behind = ((f < value).sum() + (f <= value).sum() for value in f[-2:])
    return float(behind - ahead) / (2 * (len(f) - 1))


__all__ = ["VkDCMA", "VkDParameters", "default_k_max", "parameters", "rates"]
