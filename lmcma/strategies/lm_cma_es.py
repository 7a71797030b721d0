"""LM-CMA-ES: limited-memory CMA-ES for large n, the version of 2014.

References
----------
I. Loshchilov. A computationally efficient limited memory CMA-ES for large scale optimization. GECCO 2014.
O. Krause: correction of the 2014 program, which recomputes the stored inverse vectors after a replacement.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from lmcma import random
from lmcma.kernels import limited_memory as kernels
from lmcma.kernels.low_rank import NO_SCALES, emit, project
from lmcma.kernels.noise import kept_columns
from lmcma.strategies import lm_cma
from lmcma.strategies.base import PopulationStrategy, shared_parts
from lmcma.strategies.lm_cma import LMCMA, LMCMAParameters, path_bytes
from lmcma.termination import StopOption
from lmcma.typing import FloatArray


def parameters(n: int, popsize: int, memory: int | None = None) -> LMCMAParameters:
    """Default constants of 2014.

    Examples
    --------
    >>> p = parameters(128, 18)
    >>> p.memory, p.period, round(p.c_c, 4), p.target_gap
    (18, 1, 0.0556, 18)
    """
    p = lm_cma.parameters(n, popsize, memory)
    return dataclasses.replace(p, c_c=1 / p.memory, target_gap=p.memory, period=1, z_star=0.25)


class LMCMAES(LMCMA):
    """LM-CMA-ES, the limited-memory CMA evolution strategy of 2014.

    All of the m = 4 + floor(3 ln n) stored paths take part in every candidate, and one path is stored in every
    iteration; otherwise as `LMCMA`. The companions of the paths are kept as coefficients, so that memory is that of
    the m paths alone.

    Parameters
    ----------
    x0 : (n,) array_like
        Mean of the first search distribution.
    sigma0 : float
        Its standard deviation, in the units of `x0`; about 0.2 to 0.5 of the range where the optimum is expected.
    popsize : int, optional
        Offspring per iteration, at least 2; 4 + floor(3 ln n) by default.
    memory : int, optional
        Stored paths m; 4 + floor(3 ln n) by default, whatever the population size.
    storage : {"float64", "float32"}, optional
        As for `LMCMA`; base vectors and steps are computed in the same.
    noise : {"gaussian", "rademacher"}
        Law of the base vectors: normal numbers, as published, or random signs (a little faster).
    mirrored : bool
        Candidates in pairs mean + step, mean - step, which the author recommends: half the cost, and fewer evaluations.
        Not by default, as published.
    stop, ftarget, maxfev, maxiter, max_memory, threads, rng
        As for `LMCMA`.

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError
        An argument cannot be used.
    MemoryLimitError
        m + popsize vectors, for n <= 10000 another popsize, and about ten more do not fit.

    Examples
    --------
    >>> import lmcma
    >>> es = lmcma.LMCMAES([1.0] * 200, 0.5, rng=1, ftarget=1e-6)
    >>> while not es.stop():
    ...     x = es.ask()
    ...     es.tell(x, (x**2).sum(axis=1))
    >>> es.stop().reason == "ftarget"
    True

    References
    ----------
    I. Loshchilov. A computationally efficient limited memory CMA-ES for large scale optimization. GECCO 2014.
    """

    method: ClassVar[str] = "lm-cma-es"

    def __init__(
        self,
        x0: ArrayLike,
        sigma0: float,
        *,
        popsize: int | None = None,
        memory: int | None = None,
        storage: str | None = None,
        noise: str | None = "gaussian",
        mirrored: bool = False,
        stop: StopOption = None,
        ftarget: float | None = None,
        maxfev: int | None = None,
        maxiter: int | None = None,
        max_memory: float | None = None,
        threads: int = 1,
        rng: random.Seed = None,
    ) -> None:
        super().__init__(
            x0,
            sigma0,
            popsize=popsize,
            memory=memory,
            storage=storage,
            noise=noise,
            mirrored=mirrored,
            stop=stop,
            ftarget=ftarget,
            maxfev=maxfev,
            maxiter=maxiter,
            max_memory=max_memory,
            threads=threads,
            rng=rng,
        )
        bases = len(self._used)
        kept = kept_columns(self._n, self._popsize) if self.noise == "gaussian" else 0
        self._kept = np.empty((bases, kept), self.storage)
        self._longest = np.empty(0)
        # companions as vectors: only where coefficients would lose too many digits
        self._V = np.empty((self.params.memory, 0), self.storage)

    _parameters = staticmethod(parameters)

    @classmethod
    def memory_parts(cls, n: int, popsize: int, stored: int | None = None) -> dict[str, float]:
        """Bytes needed with `stored` paths, by what takes them; vectors as of `LMCMA` but for its one more step.

        While coefficients would lose too many digits, companions take as much as the paths, on top of this.
        """
        kept = path_bytes(n, popsize) if kept_columns(n, popsize) else 0.0
        parts = {"stored paths": path_bytes(n, stored), **shared_parts(n, popsize, 6)}
        return {**parts, "normal numbers of the population": kept}

    # ---------------------------------------------------------------- one generation

    def _draw(self) -> None:
        PopulationStrategy._draw(self)
        self._draw_signs()
        self._used[:] = self._stored

    def _prepare_rows(self) -> None:
        k = self._stored
        stored = self._V.shape[1] > 0
        rows, noise, bases = (self._V if stored else self._P)[:k], self._noise(), len(self._used)
        with self._blas:
            U = self._chunks.sum(lambda *columns: project(noise, bases, rows, self._kept, *columns))
            U = U if stored else U @ self._W[:k, :k].T
        kernels.weigh(U, self._b, self.params.c_1, self._Q, self._alpha)
        self._kept_batch = self._batch

    def _write_rows(self, first: int, out: FloatArray) -> None:
        k = self._stored
        step = (
            self._noise(),
            self._mean,
            self._sigma,
            self._alpha[0],
            self._Q[:, :k],
            self._P[:k],
            NO_SCALES,
            self._twins,
        )
        with self._blas:
            self._chunks.map(lambda *columns: emit(*step, first, out, *columns))

    def _refresh(self, first: int) -> None:
        k, c_1 = self._stored, self.params.c_1
        kernels.companions(self._G, k, c_1, self._W, self._H, self._b, self._d, self._loss)
        exact = k == 0 or self._loss[:k].max() <= self._largest_loss
        if exact != (self._V.shape[1] == 0):
            self._V = np.empty((self.params.memory, 0 if exact else self._n), self.storage)
        if not exact:
            with self._blas:
                kernels.recur(self._P, k, c_1, self._V, self._b, self._d)

    def _longest_step(self, weights: FloatArray) -> tuple[float, FloatArray]:
        return 0.0, self._longest  # all use all paths

    def _invert(self, x: FloatArray) -> None:
        if self._V.shape[1]:
            super()._invert(x)
            return
        k, c_1 = self._stored, self.params.c_1
        P, W = self._P[:k], self._W[:k, :k]
        # A^-1 x = a^-k (x - V^T r) with (1/delta + strictly lower part of H) r = V x, delta = a d
        delta = np.sqrt(1 - c_1) * self._d[:k]
        with self._blas:
            products = np.array([p @ x for p in P])  # row by row: P may be of float32, and huge
            r = np.linalg.solve(np.diag(1 / delta) + np.tril(self._H[:k, :k], -1), W @ products)
            for weight, p in zip(r @ W, P, strict=True):
                x -= weight * p
        x *= (1 - c_1) ** (-k / 2)


__all__ = ["LMCMAES", "parameters"]
