"""MA-ES: CMA-ES without a covariance matrix; its root is learned directly.

References
----------
H.-G. Beyer, B. Sendhoff. Simplify Your Covariance Matrix Adaptation Evolution Strategy. IEEE Transactions on
Evolutionary Computation 21(5), 2017.
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
from lmcma.kernels import matrix_adaptation as kernels
from lmcma.kernels import normals
from lmcma.kernels.blas_threads import OneBlasThread
from lmcma.strategies import cma
from lmcma.strategies.base import PopulationStrategy, shared_parts
from lmcma.strategies.foreign import admit, clipping, steps
from lmcma.strategies.stop_state import StopState
from lmcma.termination import PROFILES, Stop, StopOption, StopRules, stop_rules
from lmcma.typing import BoolArray, FloatArray, State

# BLAS is held to one thread between these dimensions, see `lmcma.strategies.cma`
_ONE_BLAS_THREAD_FROM, _ONE_BLAS_THREAD_BELOW = 100, 500


@dataclasses.dataclass(frozen=True)
class MAParameters:
    """Constants of MA-ES as functions of the dimension and the population size."""

    mu: int
    weights: FloatArray  # (popsize,), 0 beyond mu
    mueff: float
    c_1: float
    c_mu: float
    c_sigma: float
    d_sigma: float
    chi_n: float


def parameters(n: int, popsize: int) -> MAParameters:
    """Default constants of 2017; c_1 + c_mu is at most 1.

    Examples
    --------
    >>> p = parameters(10, 10)
    >>> p.mu, round(p.c_1, 6), round(p.c_mu, 6)
    (5, 0.015284, 0.020154)
    """
    p = cma.parameters(n, popsize, constants="bbob", active=False)
    mueff = p.mueff
    c_1 = 2 / ((n + 1.3) ** 2 + mueff)
    c_mu = min(1 - c_1, 2 * (mueff - 2 + 1 / mueff) / ((n + 2) ** 2 + mueff))
    c_sigma = (mueff + 2) / (n + mueff + 5)
    d_sigma = 1 + c_sigma + 2 * max(0.0, math.sqrt((mueff - 1) / (n + 1)) - 1)
    return MAParameters(p.mu, p.weights, mueff, c_1, c_mu, c_sigma, d_sigma, p.chi_n)


class MAES(PopulationStrategy):
    """MA-ES, the matrix adaptation evolution strategy.

    Learns the matrix M that turns normal numbers into steps. M M^T is the covariance matrix, which agrees with that of
    CMA-ES without active weights up to squares of the learning rates; nothing is ever decomposed.

    Parameters
    ----------
    x0 : (n,) array_like
        Mean of the first search distribution.
    sigma0 : float
        Its standard deviation, in the units of `x0`; about 0.2 to 0.3 of the range where the optimum is expected.
    popsize : int, optional
        Offspring per iteration, at least 2; 4 + floor(3 ln n) by default.
    stop : str, StopRules or mapping, optional
        Stopping rules; by default the profile "bbob" without its limit of iterations. Rules on the eigenvalues and
        principal axes of C, "conditioncov" and "noeffectaxis", do not apply.
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
        The n x n matrix and five populations, four for n > 10000, do not fit.

    Examples
    --------
    >>> import lmcma
    >>> es = lmcma.MAES([1.0] * 5, 0.5, rng=1, ftarget=1e-9)
    >>> while not es.stop():
    ...     x = es.ask()
    ...     es.tell(x, lmcma.testfunctions.ellipsoid(x))
    >>> es.stop().reason == "ftarget"
    True

    References
    ----------
    H.-G. Beyer, B. Sendhoff. Simplify Your Covariance Matrix Adaptation Evolution Strategy. IEEE Transactions on
    Evolutionary Computation 21(5), 2017. Fig. 3; here in a form that costs O(n^2) per candidate.
    """

    method: ClassVar[str] = "ma"

    def __init__(
        self,
        x0: ArrayLike,
        sigma0: float,
        *,
        popsize: int | None = None,
        stop: StopOption = None,
        ftarget: float | None = None,
        maxfev: int | None = None,
        maxiter: int | None = None,
        max_memory: float | None = None,
        rng: random.Seed = None,
    ) -> None:
        super().__init__(
            x0,
            sigma0,
            popsize=popsize,
            rules=stop_rules(stop, default=dataclasses.replace(PROFILES["bbob"], maxiter=None)),
            ftarget=ftarget,
            maxfev=maxfev,
            maxiter=maxiter,
            max_memory=max_memory,
            rng=rng,
        )
        n, popsize = self._n, self._popsize
        self.params = p = parameters(n, popsize)
        self._Mt = np.eye(n)
        self._vectors = np.zeros((kernels.N_VECTORS, n))
        self._vectors[kernels.MEAN] = self.x0
        self._vectors[kernels.DIAGONAL] = 1.0
        self._scalars = np.zeros(kernels.N_SCALARS)
        self._scalars[: kernels.BLAS] = (
            *(self.sigma0, self.sigma0, p.c_sigma, p.d_sigma, p.chi_n, p.mueff, p.c_1, p.c_mu),
        )
        self._z = np.zeros((popsize, n))
        self._d = np.zeros((popsize, n))
        self._pairs = np.empty((2, p.mu + 1, n))
        self._omega = np.zeros(popsize)
        self._order = np.zeros(2 * popsize, dtype=np.int64)
        self._ints = np.zeros(8, dtype=np.int32)
        self._stop = StopState(self.rules, n, popsize, p.mu)
        held = _ONE_BLAS_THREAD_FROM <= n < _ONE_BLAS_THREAD_BELOW
        self._blas: contextlib.AbstractContextManager[None] = OneBlasThread() if held else contextlib.nullcontext()

    @classmethod
    def memory_parts(cls, n: int, popsize: int, stored: int | None = None) -> dict[str, float]:
        """Bytes needed, by what takes them: M; normal numbers, steps, the selected of both; x0 and best points."""
        matrix = {"matrices": 8.0 * n**2, "steps of the population": 8.0 * n * (3 * popsize + 2)}
        return {**matrix, **shared_parts(n, popsize, kernels.N_VECTORS + 3)}

    # ---------------------------------------------------------------- the state, by name

    @property
    def mean(self) -> FloatArray:
        """Mean of the search distribution, (n,); a view."""
        return self._vectors[kernels.MEAN]

    @property
    def sigma(self) -> float:
        """Step size."""
        return float(self._scalars[kernels.SIGMA])

    @property
    def M(self) -> FloatArray:
        """The matrix that makes steps, (n, n); a view. M M^T is the covariance matrix without the factor sigma^2."""
        return self._Mt.T

    @property
    def path(self) -> FloatArray:
        """Evolution path in the frame of the normal numbers, (n,); a view."""
        return self._vectors[kernels.PATH]

    def snapshot(self) -> Mapping[str, Any]:
        """The search distribution in numbers, for a recorder; standard deviations are those of the coordinates.

        The axis ratio takes O(n^3) time, once per call.
        """
        axes = np.linalg.svd(self._Mt, compute_uv=False)
        return {
            "nit": self._nit,
            "best_f": self._best_f,
            "sigma": self.sigma,
            "axis_ratio": float(axes[0] / axes[-1]),
            "mean": self.mean,
            "stds": self.sigma * np.sqrt(self._vectors[kernels.DIAGONAL]),
        }

    # ---------------------------------------------------------------- one iteration

    def _write(self, out: FloatArray) -> None:
        normals.fill(self._key, self._batch * self._z.size, self._z.reshape(-1))
        self._write_again(out)

    def _write_again(self, out: FloatArray) -> None:
        with self._blas:
            kernels.sample(self._scalars, self._vectors, self._Mt, self._z, self._d, self._ints, out)

    def _row(self, row: int) -> FloatArray:
        x: FloatArray = self.mean + self.sigma * self._d[row]
        return x

    def _update(
        self, f: FloatArray, own: BoolArray, foreign_x: FloatArray | None, foreign_f: FloatArray | None
    ) -> None:
        if foreign_x is not None and foreign_f is not None:
            d = steps(foreign_x, self.mean, self.sigma)
            z = np.array(np.linalg.solve(self.M, d.T).T, dtype=np.float64, order="C")
            scale = clipping(z)
            f, own = admit(f, own, foreign_f, (self._z, z * scale), (self._d, d * scale))
        rules = self._stop
        rules.make_room()
        with self._blas:
            kernels.update(
                *(self._scalars, self._vectors, self._Mt, self._z, self._d, self._pairs[0], self._pairs[1]),
                *(self._ints, f, own, self.params.weights, self._omega, self._order),
                *(rules.count, rules.tol, rules.value, rules.ring, rules.flags, rules.long),
            )

    def _fired(self) -> int:
        return self._stop.mask()

    def _stops(self) -> list[Stop]:
        return self._stop.fired()

    # ---------------------------------------------------------------- save and restore

    def _state(self) -> State:
        return {
            "rules": dataclasses.asdict(self.rules),
            "sigma": self.sigma,
            "mean": self.mean.copy(),
            "path": self.path.copy(),
            "M": np.array(self.M, order="C"),
            "diagonal": self._vectors[kernels.DIAGONAL].copy(),
            **self._stop.state(),
        }

    @classmethod
    def _blank(cls, state: State) -> Self:
        return cls(state["x0"], state["sigma0"], stop=StopRules(**state["rules"]), **cls._limits_of(state))

    def _set_state(self, state: State) -> None:
        self._scalars[kernels.SIGMA] = state["sigma"]
        self.mean[:], self.path[:] = state["mean"], state["path"]
        self._vectors[kernels.DIAGONAL] = state["diagonal"]
        self._Mt[:] = np.transpose(state["M"])
        self._stop.restore(state)


__all__ = ["MAES", "MAParameters", "parameters"]
