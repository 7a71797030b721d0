"""Separable CMA-ES: CMA-ES with a diagonal covariance matrix, linear in the number of variables.

References
----------
R. Ros, N. Hansen. A Simple Modification in CMA-ES Achieving Linear Time and Space Complexity. PPSN 2008.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from lmcma import random
from lmcma.arguments import as_count, one_of
from lmcma.kernels import normals, stopping
from lmcma.kernels import separable as kernels
from lmcma.kernels.chunks import Chunks
from lmcma.kernels.noise import kept_columns
from lmcma.kernels.selection import select
from lmcma.strategies import cma
from lmcma.strategies.base import PopulationStrategy, shared_parts
from lmcma.strategies.cma import CMAParameters
from lmcma.strategies.foreign import admit, clipping, steps
from lmcma.strategies.stop_state import StopState
from lmcma.termination import PROFILES, Stop, StopOption, StopRules, stop_rules
from lmcma.typing import BoolArray, FloatArray, IntArray, State

_SMALL = 2**19  # numbers of a population; up to so many, a few long passes are faster than one in chunks

VARIANTS = ("active", "passive", "2008")


def parameters(n: int, popsize: int, variant: str = "active") -> CMAParameters:
    """Default constants.

    Parameters
    ----------
    n, popsize : int
        Dimension and population size.
    variant : {"active", "passive", "2008"}
        "active" and "passive": those of CMA-ES (Hansen 2023) with c_1 and c_mu larger by (n + 2)/3, as the n entries of
        the matrix can be learned faster; with and without negative weights. "2008": as published.

    Examples
    --------
    >>> p = parameters(20, 12)
    >>> round(p.c_1 / cma.parameters(20, 12).c_1, 6)  # (20 + 2) / 3
    7.333333
    """
    rate = (n + 2) / 3
    if variant != "2008":
        return cma.parameters(n, popsize, active="weights" if variant == "active" else False, rate=rate)
    p = cma.parameters(n, popsize, constants="bbob", active=False)
    mueff = p.mueff
    gain = min(1.0, (2 * mueff - 1) / ((n + 2) ** 2 + mueff))
    c_cov = min(1.0, rate * (2 / (mueff * (n + math.sqrt(2)) ** 2) + (1 - 1 / mueff) * gain))
    return dataclasses.replace(p, c_c=4 / (n + 4), c_1=c_cov / mueff, c_mu=c_cov * (1 - 1 / mueff))


class SepCMAES(PopulationStrategy):
    """Separable CMA-ES: learns a scale for every coordinate, and no dependencies between them.

    Time per candidate and memory grow linearly with n, and the scales are learned faster than by the full matrix.
    The result depends on how the coordinates are turned: on ill-conditioned functions whose axes are not those of the
    coordinates it needs many times the evaluations of CMA-ES.

    Parameters
    ----------
    x0 : (n,) array_like
        Mean of the first search distribution.
    sigma0 : float
        Its standard deviation, in the units of `x0`; about 0.2 to 0.3 of the range where the optimum is expected.
    popsize : int, optional
        Offspring per iteration, at least 2; 4 + floor(3 ln n) by default.
    variant : {"active", "passive", "2008"}
        With negative weights for the worse half, without, or as published in 2008; see `parameters`.
    stop : str, StopRules or mapping, optional
        Stopping rules; by default the profile "bbob" without its limit of iterations.
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
        The population, its normal numbers while there are at most 2^27 of them, for n <= 10000 another population, and
        about eleven vectors do not fit.

    Examples
    --------
    >>> import lmcma
    >>> es = lmcma.SepCMAES([1.0] * 50, 0.5, rng=1, ftarget=1e-9)
    >>> while not es.stop():
    ...     x = es.ask()
    ...     es.tell(x, lmcma.testfunctions.ellipsoid(x))
    >>> es.stop().reason == "ftarget"
    True

    References
    ----------
    R. Ros, N. Hansen. A Simple Modification in CMA-ES Achieving Linear Time and Space Complexity. PPSN 2008.
    N. Hansen. The CMA Evolution Strategy: A Tutorial. arXiv:1604.00772, 2023 (negative weights).
    """

    method: ClassVar[str] = "sep-cma"

    def __init__(
        self,
        x0: ArrayLike,
        sigma0: float,
        *,
        popsize: int | None = None,
        variant: str = "active",
        stop: StopOption = None,
        ftarget: float | None = None,
        maxfev: int | None = None,
        maxiter: int | None = None,
        max_memory: float | None = None,
        threads: int = 1,
        rng: random.Seed = None,
    ) -> None:
        one_of("variant", variant, VARIANTS)
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
        self.variant = variant
        self.params = p = parameters(n, popsize, variant)
        self._vectors = np.zeros((kernels.N_VECTORS, n))
        self._vectors[kernels.MEAN] = self.x0
        self._vectors[kernels.C_] = self._vectors[kernels.D_] = 1.0
        self._scalars = np.empty(kernels.N_SCALARS)
        self._scalars[: kernels.C_SIGMA] = self.sigma0
        self._scalars[kernels.C_SIGMA : kernels.COMPENSATE] = (
            *(p.c_sigma, p.d_sigma, p.chi_n, p.mueff, p.c_c, p.c_1, p.c_mu),
        )
        self._scalars[kernels.COMPENSATE] = variant != "2008"
        self._z = np.empty((popsize, kept_columns(n, popsize)))
        self._omega = np.zeros(popsize)
        self._order = np.zeros(2 * popsize, dtype=np.int64)
        self._stop = StopState(self.rules, n, popsize, p.mu)
        self.threads = as_count("threads", threads, 1)
        self._chunks = Chunks(n, self.threads)
        self._norm2 = np.full((len(self._chunks), popsize), np.nan)  # squared lengths of the normal numbers of rows
        self._kept = self._z.shape[1] > 0
        # the row of `_z` that holds a candidate's numbers, -1 where they are drawn again
        self._places = np.arange(popsize) if self._kept else np.full(popsize, -1)
        self._small = self._kept and len(self._chunks) == 1 and n * popsize <= _SMALL

    @classmethod
    def memory_parts(cls, n: int, popsize: int, stored: int | None = None) -> dict[str, float]:
        """Bytes needed, by what takes them; the vectors that no kernel has are x0, best point, a new best point."""
        numbers = {"normal numbers of the population": 8.0 * popsize * kept_columns(n, popsize)}
        return {**numbers, **shared_parts(n, popsize, kernels.N_VECTORS + 3)}

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
    def c(self) -> FloatArray:
        """Diagonal of the covariance matrix without the factor sigma^2, (n,); a view."""
        return self._vectors[kernels.C_]

    @property
    def p_sigma(self) -> FloatArray:
        """Evolution path of the step size, (n,); a view."""
        return self._vectors[kernels.P_SIGMA]

    @property
    def p_c(self) -> FloatArray:
        """Evolution path of the covariance matrix, (n,); a view."""
        return self._vectors[kernels.P_C]

    def snapshot(self) -> Mapping[str, Any]:
        """The search distribution in numbers, for a recorder; standard deviations are sigma sqrt(c)."""
        D = self._vectors[kernels.D_]
        return {
            "nit": self._nit,
            "best_f": self._best_f,
            "sigma": self.sigma,
            "axis_ratio": float(D.max() / D.min()),
            "mean": self.mean,
            "stds": self.sigma * D,
        }

    # ---------------------------------------------------------------- one iteration

    def _draw(self) -> None:
        super()._draw()
        if not self._kept:
            self._norm2[:] = np.nan

    def _emit(self, first: int, rows: int, out: FloatArray, draws: bool) -> None:
        """Write rows `first`, `first` + 1, ... of the batch into `out`, if it has any; draw their numbers before."""
        job = (
            *(self._scalars, self._vectors, self._key, self._batch * self._popsize * self._n, first, rows, draws),
            *(self._z, self._norm2, out),
        )
        self._chunks.map(lambda *columns: kernels.emit(*job, *columns))

    def _write(self, out: FloatArray) -> None:
        if self._small:
            normals.fill(self._key, self._batch * self._z.size, self._z.reshape(-1))
            kernels.sample(self._scalars, self._vectors, self._z, out)
        else:
            self._emit(0, len(out), out, True)

    def _write_again(self, out: FloatArray) -> None:
        self._write_rows(0, out)

    def _prepare_rows(self) -> None:
        if self._small:
            normals.fill(self._key, self._batch * self._z.size, self._z.reshape(-1))
        elif self._kept:
            self._emit(0, self._asked, self._nothing, True)

    def _write_rows(self, first: int, out: FloatArray) -> None:
        if self._small:
            kernels.sample(self._scalars, self._vectors, self._z[first:], out)
        else:
            self._emit(first, len(out), out, not self._kept)

    def _row(self, row: int) -> FloatArray:
        x = np.empty((1, self._n))
        self._write_rows(row, x)
        return x[0]

    def _update(
        self, f: FloatArray, own: BoolArray, foreign_x: FloatArray | None, foreign_f: FloatArray | None
    ) -> None:
        z, places = self._z, self._places
        if foreign_x is not None and foreign_f is not None:
            theirs = steps(foreign_x, self.mean, self.sigma) / self._vectors[kernels.D_]
            theirs *= clipping(theirs)
            if self._kept:
                f, own = admit(f, own, foreign_f, (z, theirs))
            else:
                z, places = theirs, places.copy()
                f, own = admit(f, own, foreign_f, (places, np.arange(len(theirs))))
        rules = self._stop
        rules.make_room()
        chosen = f, own, self.params.weights, self._omega, self._order, rules.count, rules.tol, rules.value
        if self._small:
            kernels.update(self._scalars, self._vectors, z, *chosen, rules.ring, rules.flags, rules.long)
        elif select(*chosen):
            self._learn(f, z, places)

    def _learn(self, f: FloatArray, z: FloatArray, places: IntArray) -> None:
        """`kernels.update` after the selection, chunk by chunk."""
        s, v, n, omega, rules = self._scalars, self._vectors, self._n, self._omega, self._stop
        for row in np.flatnonzero((omega < 0) & np.isnan(self._norm2[0])).tolist():  # never asked, only told
            self._emit(row, 1, self._nothing, True)
        sum_omega = kernels.scale_worst(self._norm2, omega, n)
        job = s, v, self._key, self._batch * self._popsize * n, z, places, omega
        length2 = sum(self._chunks.map(lambda *columns: kernels.recombine(*job, *columns)))
        gain, decay = kernels.control(s, length2, sum_omega, int(rules.count[stopping.T]) + 1, n)
        lengths = np.array(self._chunks.map(lambda *columns: kernels.adapt(s, v, gain, decay, *columns)))
        kernels.test(
            *(s, v, f, self._order, lengths[:, 0].min(), lengths[:, 1].max()),
            *(rules.count, rules.tol, rules.value, rules.ring, rules.flags, rules.long),
        )

    def _fired(self) -> int:
        return self._stop.mask()

    def _stops(self) -> list[Stop]:
        return self._stop.fired()

    # ---------------------------------------------------------------- save and restore

    def _state(self) -> State:
        v = self._vectors
        return {
            "variant": self.variant,
            "threads": self.threads,
            "rules": dataclasses.asdict(self.rules),
            "sigma": self.sigma,
            "mean": v[kernels.MEAN].copy(),
            "p_sigma": v[kernels.P_SIGMA].copy(),
            "p_c": v[kernels.P_C].copy(),
            "c": v[kernels.C_].copy(),
            **self._stop.state(),
        }

    @classmethod
    def _blank(cls, state: State) -> Self:
        return cls(
            state["x0"],
            state["sigma0"],
            variant=state["variant"],
            threads=state.get("threads", 1),
            stop=StopRules(**state["rules"]),
            **cls._limits_of(state),
        )

    def _set_state(self, state: State) -> None:
        self._scalars[kernels.SIGMA] = state["sigma"]
        for name, row in (
            *(("mean", kernels.MEAN), ("p_sigma", kernels.P_SIGMA)),
            *(("p_c", kernels.P_C), ("c", kernels.C_)),
        ):
            self._vectors[row] = state[name]
        np.sqrt(self.c, out=self._vectors[kernels.D_])
        self._stop.restore(state)


__all__ = ["CMAParameters", "SepCMAES", "parameters"]
