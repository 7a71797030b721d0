"""CMA-ES with a full covariance matrix: active, lazily decomposed, compiled.

References
----------
N. Hansen. The CMA Evolution Strategy: A Tutorial. arXiv:1604.00772, 2016, revised 2023 (equation numbers below).
N. Hansen, R. Ros. Benchmarking a weighted negative covariance matrix update on the BBOB-2010 noiseless testbed.
GECCO 2010 (the active update of 2010).
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from lmcma import random
from lmcma.arguments import as_count, one_of
from lmcma.errors import ArgumentError, ShapeError
from lmcma.kernels import covariance as kernels
from lmcma.kernels import stopping
from lmcma.kernels.batch import EDITED, probed
from lmcma.kernels.blas_threads import OneBlasThread
from lmcma.result import Result
from lmcma.strategies.base import PopulationStrategy, default_popsize, shared_parts
from lmcma.strategies.foreign import admit, clipping, steps
from lmcma.termination import PROFILES, Stop, StopOption, StopRules, stop_rules
from lmcma.typing import BoolArray, FloatArray, State

# From this dimension on BLAS is held to one thread around each call, below it never takes more; from the second on
# it may use what it likes.
_ONE_BLAS_THREAD_FROM, _ONE_BLAS_THREAD_BELOW = 100, 500


@dataclasses.dataclass(frozen=True)
class CMAParameters:
    """Constants of CMA-ES as functions of the dimension and the population size.

    `weights` are in order of rank; the first `mu` are positive and sum to 1.
    """

    mu: int
    weights: FloatArray  # (popsize,)
    mueff: float
    mueff_minus: float
    c_1: float
    c_mu: float
    c_c: float
    c_sigma: float
    d_sigma: float
    chi_n: float
    alpha: float  # sum of the absolute negative weights
    c_minus: float  # rate of the 2010 active update, before its safeguard
    c_m: float = 1.0


def parameters(
    n: int, popsize: int, *, constants: str = "tutorial", active: str | bool = "weights", rate: float = 1.0
) -> CMAParameters:
    """Default constants.

    Parameters
    ----------
    n, popsize : int
        Dimension and population size.
    constants : {"tutorial", "bbob"}
        "tutorial": Hansen 2023, Table 1. "bbob": the programs of 2009 to 2012 (weights ln(mu + 1/2) - ln i, c_sigma
        with + 3, c_mu without the later 1/4 and reduced for tiny populations).
    active : {"weights", "2010", False}
        Which update uses the worse half.
    rate : float
        Factor on c_1 and c_mu, for a covariance matrix with fewer than n (n + 1) / 2 free entries.

    Examples
    --------
    >>> p = parameters(10, 10)
    >>> round(p.mueff, 5), round(p.c_1, 7), round(p.alpha, 5)
    (3.1673, 0.0152838, 1.64895)
    """
    mu = popsize // 2
    bbob = constants == "bbob"
    raw = math.log(mu + 0.5 if bbob else (popsize + 1) / 2) - np.log(np.arange(1, popsize + 1))  # (49)
    plus, minus = raw[:mu], raw[mu:]
    mueff = float(plus.sum() ** 2 / (plus**2).sum())
    mueff_minus = float(minus.sum() ** 2 / (minus**2).sum())

    few = min(1.0, popsize / 6)  # learn slower from tiny populations
    c_1 = min(1.0, rate * 2 * few / ((n + 1.3) ** 2 + mueff))  # (57)
    gain = mueff + 1 / mueff - 2 + (0.0 if bbob else 0.25)
    c_mu = min(1 - c_1, rate * 2 * (few if bbob else 1.0) * gain / ((n + 2) ** 2 + mueff))  # (58)
    c_c = (4 + mueff / n) / (n + 4 + 2 * mueff / n)  # (56)
    c_sigma = (mueff + 2) / (n + mueff + (3 if bbob else 5))  # (55)
    d_sigma = 1 + 2 * max(0.0, math.sqrt((mueff - 1) / (n + 1)) - 1) + c_sigma
    chi_n = math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))
    c_minus = (1 - c_mu) * 0.25 * mueff / ((n + 2) ** 1.5 + 2 * mueff)

    weights = np.where(np.arange(popsize) < mu, raw, 0.0)
    weights /= weights.sum()
    alpha = 0.0
    if active == "weights":
        bounds = [1 + 2 * mueff_minus / (mueff + 2)]  # (51)
        if c_mu > 0:
            bounds += [1 + c_1 / c_mu, (1 - c_1 - c_mu) / (n * c_mu)]  # (50), (52)
        alpha = max(0.0, min(bounds))
        weights[mu:] = alpha * minus / abs(minus.sum())  # (53)
    return CMAParameters(
        mu,
        weights,
        mueff,
        mueff_minus,
        c_1,
        c_mu,
        c_c,
        c_sigma,
        d_sigma,
        chi_n,
        alpha,
        c_minus if active == "2010" else 0.0,
    )


def decomposition_gap(n: int, p: CMAParameters, lazy: str) -> int:
    """Updates between two decompositions of C.

    "reference": 1 / (10 n (c_1 + c_mu)), Hansen 2023, appendix B.2. "fast": up to ten times that, as long as
    no sequence of updates in between can make C indefinite.
    """
    rate = p.c_1 + p.c_mu + p.c_minus
    if lazy == "reference":
        return max(1, int(1 / (10 * n * rate)))
    gap = 10 / (10 * n * rate)
    if p.c_mu * p.alpha > 0:
        gap = min(gap, 0.9 / (n * p.c_mu * p.alpha))  # what negative weights take from C, at most
    if p.c_minus > 0:
        gap = min(gap, 0.9 / 0.34)  # the safeguard of the 2010 update lets it take 0.34 at a time
    return max(1, int(gap))


class CMAES(PopulationStrategy):
    """CMA-ES, the covariance matrix adaptation evolution strategy.

    Parameters
    ----------
    x0 : (n,) array_like
        Mean of the first search distribution.
    sigma0 : float
        Its standard deviation, in the units of `x0`; about 0.2 to 0.3 of the range where the optimum is expected.
    popsize : int, optional
        Offspring per iteration, at least 2; 4 + floor(3 ln n) by default.
    active : {"weights", "2010", False}
        How the worse half of the population is used: negative weights (Hansen 2023), the update of IPOP-aCMA-ES
        (Hansen and Ros 2010), or not at all.
    constants : {"tutorial", "bbob"}
        See `parameters`. The 2010 update belongs to "bbob".
    lazy : {"fast", "reference"}
        How often C is decomposed, see `decomposition_gap`. "reference" reproduces published evaluation counts;
        "fast" costs at most some per cent more evaluations and up to ten times fewer decompositions.
    stop : str, StopRules or mapping, optional
        Stopping rules; by default the profile "bbob" without its limit of iterations.
    diagonal_first : bool or int
        Keep C diagonal for so many iterations, True for floor(100 n / sqrt(popsize)), with learning rates (n + 2)/3
        times as large: separable CMA-ES, from which the full matrix then starts. Pays where the variables have
        different scales and hardly interact.
    std_limits : (low, high), optional
        Limits of the standard deviations sigma sqrt(C_jj) of the coordinates, numbers or (n,) arrays; kept from the
        first population on.
    robust : bool
        Go on where the rules would stop: an ill-conditioned C is mended, on a plateau sigma grows. The rules
        conditioncov, equalfunvals and tolhistfun are then off unless `stop` says otherwise.
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
        Five n x n matrices and four populations do not fit.

    Examples
    --------
    >>> import lmcma
    >>> es = lmcma.CMAES([1.0] * 5, 0.5, rng=1)
    >>> while not es.stop():
    ...     x = es.ask()
    ...     es.tell(x, (x**2).sum(axis=1))
    >>> bool(es.result().fun < 1e-12)
    True

    References
    ----------
    N. Hansen. The CMA Evolution Strategy: A Tutorial. arXiv:1604.00772, 2023. Algorithm 1 and Table 1.
    """

    method: ClassVar[str] = "cma"
    advances: ClassVar[bool] = True  # whether `advance` does anything

    def __init__(
        self,
        x0: ArrayLike,
        sigma0: float,
        *,
        popsize: int | None = None,
        active: str | bool = "weights",
        constants: str = "tutorial",
        lazy: str = "fast",
        diagonal_first: bool | int = False,
        stop: StopOption = None,
        std_limits: tuple[ArrayLike, ArrayLike] | None = None,
        robust: bool = False,
        ftarget: float | None = None,
        maxfev: int | None = None,
        maxiter: int | None = None,
        max_memory: float | None = None,
        rng: random.Seed = None,
    ) -> None:
        active = active if isinstance(active, str) else bool(active)  # numpy's False, too
        one_of("active", active, ("weights", "2010", False))
        one_of("constants", constants, ("tutorial", "bbob"))
        one_of("lazy", lazy, ("fast", "reference"))
        super().__init__(
            x0,
            sigma0,
            popsize=popsize,
            rules=stop_rules(stop, default=rules_of(robust)),
            ftarget=ftarget,
            maxfev=maxfev,
            maxiter=maxiter,
            max_memory=max_memory,
            rng=rng,
        )
        n, popsize = self._n, self._popsize
        self.active, self.constants, self.lazy, self.robust = active, constants, lazy, bool(robust)
        self.params = p = parameters(n, popsize, constants=constants, active=active)
        self.diagonal_first = _iterations("diagonal_first", diagonal_first, int(100 * n / math.sqrt(popsize)))
        self.std_limits = None if std_limits is None else _check_limits(std_limits, n)

        tol = stopping.thresholds(self.rules, n, popsize)
        self._table = kernels.layout(
            n,
            popsize,
            int(tol[stopping.HISTORY_LENGTH]),
            int(tol[stopping.EQUAL_WINDOW]),
            std_limits is not None,
            self.diagonal_first > 0,
        )
        self._at, self._count = kernels.offsets(self._table), kernels.counters(self._table)
        self._s = np.zeros(self._at[-1])
        self._long = stopping.long_history()
        self._z = self._field(kernels.Z).reshape(popsize, n)
        self._y = self._field(kernels.Y).reshape(popsize, n)

        scalars = self._field(kernels.SCALARS)
        scalars[kernels.SIGMA] = scalars[kernels.SIGMA0] = self.sigma0
        scalars[kernels.DRIFT] = 1.0
        scalars[kernels.C_SIGMA : kernels.MAX_CONDITION + 1] = (
            *(p.c_sigma, p.d_sigma, p.chi_n, p.mueff, p.c_c, p.c_1, p.c_mu, p.c_m, p.c_minus, 1e14),
        )
        self._field(kernels.MEAN)[:] = self.x0
        self._field(kernels.D_)[:] = self._field(kernels.DIAGONAL)[:] = 1.0
        for matrix in (kernels.C_, kernels.BT):
            self._field(matrix)[:: n + 1] = 1.0
        self._field(kernels.WEIGHTS)[:] = p.weights
        self._field(kernels.TOL)[:] = tol
        if self.diagonal_first:
            q = parameters(
                n, popsize, constants=constants, active="weights" if active == "weights" else False, rate=(n + 2) / 3
            )
            scalars[kernels.DIAGONAL_C_1], scalars[kernels.DIAGONAL_C_MU] = q.c_1, q.c_mu
            self._field(kernels.DIAGONAL_WEIGHTS)[:] = q.weights
        if self.std_limits is not None:
            self._field(kernels.STD_MIN)[:], self._field(kernels.STD_MAX)[:] = self.std_limits
            if kernels.limit_deviations(self._s, self._at):
                kernels.decompose(self._s, self._at, self._count, kernels.lapack_ints(self._table, popsize))
                self._count[:] = 0
        self._count[kernels.GAP] = decomposition_gap(n, p, lazy)
        self._count[kernels.MU] = p.mu
        modes = {"weights": kernels.ACTIVE_WEIGHTS, "2010": kernels.ACTIVE_2010, False: kernels.ACTIVE_NONE}
        self._count[kernels.ACTIVE] = modes[active]
        self._count[kernels.ROBUST] = self.robust
        self._count[kernels.DIAGONAL_FIRST] = self.diagonal_first
        held = _ONE_BLAS_THREAD_FROM <= n < _ONE_BLAS_THREAD_BELOW
        self._blas = OneBlasThread() if held else None

    @classmethod
    def memory_parts(cls, n: int, popsize: int, stored: int | None = None) -> dict[str, float]:
        """Bytes needed, by what takes them.

        Matrices are C, B, LAPACK's copy and its workspace of two; the population is kept as normal numbers and steps,
        with scratch of the same size; the batch can be made again from these. Of the vectors LAPACK takes nine.
        """
        matrices = {"matrices": 8.0 * 5 * n**2, "steps of the population": 8.0 * 3 * popsize * n}
        return {**matrices, **shared_parts(n, popsize, 20, remembered=False)}

    # ---------------------------------------------------------------- the state, by name

    def _field(self, k: int) -> FloatArray:
        return self._s[self._at[k] : self._at[k + 1]]

    @property
    def mean(self) -> FloatArray:
        """Mean of the search distribution, (n,); a view."""
        return self._field(kernels.MEAN)

    @property
    def sigma(self) -> float:
        """Step size."""
        return float(self._s[kernels.SIGMA])

    @property
    def C(self) -> FloatArray:
        """Covariance matrix without the factor sigma^2, (n, n); a copy."""
        lower = np.tril(self._field(kernels.C_).reshape(self._n, self._n))
        return lower + np.tril(lower, -1).T

    @property
    def B(self) -> FloatArray:
        """Eigenvectors of C in columns as of the last decomposition, (n, n); a view."""
        return self._field(kernels.BT).reshape(self._n, self._n).T

    @property
    def D(self) -> FloatArray:
        """Square roots of the eigenvalues of C as of the last decomposition, (n,) ascending; a view."""
        return self._field(kernels.D_)

    @property
    def p_sigma(self) -> FloatArray:
        """Evolution path of the step size, (n,); a view."""
        return self._field(kernels.P_SIGMA)

    @property
    def p_c(self) -> FloatArray:
        """Evolution path of the covariance matrix, (n,); a view."""
        return self._field(kernels.P_C)

    def result(self) -> Result:
        """The best so far, and how it went; `repairs` counts how often C had to be made positive definite."""
        result = super().result()
        result["repairs"] = int(self._count[kernels.REPAIRS])
        return result

    def snapshot(self) -> Mapping[str, Any]:
        """The search distribution in numbers, for a recorder; standard deviations are sigma sqrt(C_jj)."""
        D = self.D
        return {
            "nit": self._nit,
            "best_f": self._best_f,
            "sigma": self.sigma,
            "axis_ratio": float(D[-1] / D[0]),
            "mean": self.mean,
            "stds": self.sigma * np.sqrt(self._field(kernels.DIAGONAL)),
        }

    # ---------------------------------------------------------------- one iteration

    def _write(self, out: FloatArray) -> None:
        if self._blas is None:
            kernels.sample(self._s, self._table, self._key, self._batch, out)
        else:
            with self._blas:
                kernels.sample(self._s, self._table, self._key, self._batch, out)

    def _write_again(self, out: FloatArray) -> None:
        out[:] = self.mean + self.sigma * self._y[: len(out)]  # as `kernels.sample` computes it, to the bit

    def _remember(self, out: FloatArray) -> None:
        """Nothing: the batch can be made again."""

    def _remembered(self) -> FloatArray:
        x = np.empty((self._asked, self._n))
        self._write_again(x)
        x[: len(self._injected)] = self._injected
        return x if self._stride == 1 else probed(x, self._stride, self._probe)

    def _row(self, row: int) -> FloatArray:
        x: FloatArray = self.mean + self.sigma * self._y[row]
        return x

    def _update(
        self, f: FloatArray, own: BoolArray, foreign_x: FloatArray | None, foreign_f: FloatArray | None
    ) -> None:
        if foreign_x is not None and foreign_f is not None:
            f, own = self._admit(f, own, foreign_x, foreign_f)
        self._learn(f, own)

    def _learn(self, f: FloatArray, own: BoolArray) -> None:
        """Update from the population in the state."""
        self._tell(self._nothing, f, own)

    def _learn_whole(self, x: FloatArray, f: FloatArray) -> tuple[int, int, float]:
        return self._tell(x, f, self._own)

    def _tell(self, x: FloatArray, f: FloatArray, own: BoolArray) -> tuple[int, int, float]:
        if self._blas is None:
            n_nan, best, best_f, mask = kernels.tell(
                self._s, self._table, x, f, own, self._long, self._best_x, self._best_f
            )
        else:
            with self._blas:
                n_nan, best, best_f, mask = kernels.tell(
                    self._s, self._table, x, f, own, self._long, self._best_x, self._best_f
                )
        if best == kernels.FULL:
            self._make_room()
            return self._tell(x, f, own)
        if best != EDITED:
            self._mask = mask
        return n_nan, best, best_f

    def advance(self, fun: Any, most: int) -> FloatArray | None:
        """At most so many iterations in compiled code, as `ask` and `tell` would do them, to the bit.

        Parameters
        ----------
        fun : object
            A compiled objective, made of a numba function by `lmcma.kernels.compiled.as_objective`.
        most : int
            Iterations; fewer are done where the run stops before, the budget ends, or `fun` raises.

        Returns
        -------
        (popsize,) array or None
            The values of the last iteration; None where none could be done: the next one has to go through `ask`
            and `tell`.
        """
        from lmcma.kernels.compiled import advance_covariance

        rows = self._popsize
        if self.maxfev < math.inf:
            most = min(most, int(self.maxfev - self._nfev) // rows)
        most = int(min(most, self._iteration_limit - self._nit))
        if most < 1 or not self.advances or self._asked or self._foreign or len(self._waiting) or self._mask:
            return None
        x = np.empty((rows, self._n))
        self._make_room()
        with self._blas or contextlib.nullcontext():
            done, self._best_f, n_nan = advance_covariance(
                *(fun, self._key, self._batch + 1, self._s, self._table, self._own, self._long, x, self._f),
                *(self._best_x, self._best_f, self.ftarget, most),
            )
        raised = done < 0
        done = -1 - done if raised else done
        self._batch += done + raised
        self._nit += done
        self._nfev += done * rows
        self._nfail += n_nan
        self._mask = self._fired()
        if raised:  # the population is drawn, and to be evaluated otherwise
            self._asked = self._missing = rows
        return self._f.copy() if done else None

    def _make_room(self) -> None:
        """Room for more values in the long histories, where there is none."""
        if self._count[stopping.LONG] == self._long.shape[1]:
            self._long = stopping.make_room(self._long, self._count, self._field(kernels.TOL))

    def _admit(
        self, f: FloatArray, own: BoolArray, foreign_x: FloatArray, foreign_f: FloatArray
    ) -> tuple[FloatArray, BoolArray]:
        y = steps(foreign_x, self.mean, self.sigma)
        z = (y @ self.B) / self.D
        scale = clipping(z)
        return admit(f, own, foreign_f, (self._y, y * scale), (self._z, z * scale))

    def _fired(self) -> int:
        return int(self._count[kernels.MASK])

    def _stops(self) -> list[Stop]:
        return stopping.fired(self._fired(), self._field(kernels.VALUE), self._field(kernels.TOL))

    # ---------------------------------------------------------------- save and restore

    _SAVED: ClassVar[Mapping[str, int]] = {
        "mean": kernels.MEAN,
        "p_sigma": kernels.P_SIGMA,
        "p_c": kernels.P_C,
        "C": kernels.C_,
        "Bt": kernels.BT,
        "D": kernels.D_,
        "diagonal": kernels.DIAGONAL,
        "stop_values": kernels.VALUE,
        "recent_best": kernels.RING,
        "flat": kernels.FLAGS,
    }

    def _state(self) -> State:
        return {
            "active": self.active,
            "constants": self.constants,
            "lazy": self.lazy,
            "diagonal_first": self.diagonal_first,
            "robust": self.robust,
            "std_limits": None if self.std_limits is None else np.array(self.std_limits),
            "rules": dataclasses.asdict(self.rules),
            "sigma": self.sigma,
            "drift": float(self._s[kernels.DRIFT]),
            "counters": self._count.copy(),
            "long_history": self._long[:2, : self._count[stopping.LONG]].copy(),
            **{name: self._field(k).copy() for name, k in self._SAVED.items()},
        }

    @classmethod
    def _options(cls, state: State) -> dict[str, Any]:
        """The options in `state`, as the constructor takes them."""
        limits = state["std_limits"]
        names = ("active", "constants", "lazy", "diagonal_first", "robust")
        return {
            **{name: state[name] for name in names},
            "std_limits": None if limits is None else (limits[0], limits[1]),
            "stop": StopRules(**state["rules"]),
            **cls._limits_of(state),
        }

    @classmethod
    def _blank(cls, state: State) -> Self:
        return cls(state["x0"], state["sigma0"], **cls._options(state))

    def _set_state(self, state: State) -> None:
        self._s[kernels.SIGMA], self._s[kernels.DRIFT] = state["sigma"], state["drift"]
        self._count[:] = state["counters"]
        for name, k in self._SAVED.items():
            self._field(k)[:] = np.ravel(state[name])
        self._long = stopping.long_history(state["long_history"])


def rules_of(robust: bool) -> StopRules:
    """The default rules."""
    rules = dataclasses.replace(PROFILES["bbob"], maxiter=None)
    return dataclasses.replace(rules, conditioncov=None, equalfunvals=None, tolhistfun=None) if robust else rules


def _iterations(name: str, value: object, default: int) -> int:
    """A number of iterations: `default` for True, 0 for False."""
    return default * bool(value) if isinstance(value, (bool, np.bool_)) else as_count(name, value, 0)


def _check_limits(limits: tuple[ArrayLike, ArrayLike], n: int) -> tuple[FloatArray, FloatArray]:
    try:
        low, high = (np.broadcast_to(np.asarray(v, dtype=np.float64), (n,)).copy() for v in limits)
    except (TypeError, ValueError):
        raise ShapeError(
            f"`std_limits` must be two numbers or two arrays of shape ({n},); got {limits!r:.80}."
        ) from None
    if not ((low >= 0) & (low <= high) & (high > 0)).all():
        raise ArgumentError("`std_limits` must satisfy 0 <= low <= high, high > 0, in every coordinate.")
    return low, high


__all__ = ["CMAES", "CMAParameters", "decomposition_gap", "default_popsize", "parameters"]
