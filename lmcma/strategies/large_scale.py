"""What the strategies for many variables share: base vectors by number, chunks of columns, rows made on demand."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import ArrayLike

from lmcma import random
from lmcma.arguments import as_count
from lmcma.kernels.blas_threads import OneBlasThread
from lmcma.kernels.chunks import Chunks
from lmcma.kernels.noise import NO_GAUSS, NO_SIGNS, Noise
from lmcma.strategies.base import PopulationStrategy
from lmcma.strategies.stop_state import StopState
from lmcma.termination import PROFILES, Stop, StopOption, stop_rules
from lmcma.typing import FloatArray


def log_weights(popsize: int, shift: float = 0.5) -> FloatArray:
    """Weights ln(mu + shift) - ln i of the best mu = popsize // 2, which sum to one; 0 for the others; (popsize,).

    >>> log_weights(4).round(4).tolist()
    [0.8042, 0.1958, 0.0, 0.0]
    """
    mu = popsize // 2
    raw = np.where(np.arange(popsize) < mu, math.log(mu + shift) - np.log(np.arange(1, popsize + 1)), 0.0)
    weights: FloatArray = raw / raw.sum()
    return weights


class LargeScaleStrategy(PopulationStrategy):
    """Base of the strategies that never have a batch in memory unless it is asked for.

    A strategy on this base supplies, in place of `_write`: `_prepare_rows`, after which `_write_rows` makes any rows of
    the batch that is out. It keeps the base vectors of a batch in `_kept`, if there is room, and says so by
    `_kept_batch`.
    """

    def __init__(
        self,
        x0: ArrayLike,
        sigma0: float,
        *,
        popsize: int | None,
        stop: StopOption,
        ftarget: float | None,
        maxfev: int | None,
        maxiter: int | None,
        max_memory: float | None,
        threads: int,
        rng: random.Seed,
        stored: int | None,
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
            stored=stored,
        )
        self._mean = self.x0.copy()
        self._sigma = self.sigma0
        # base vectors of the batch that is out: see `noise`
        self._signs, self._gauss = NO_SIGNS, NO_GAUSS
        self._kept = np.empty((self._popsize, 0))
        self._kept_batch = -1  # whose base vectors these are
        self._ends = StopState(self.rules, self._n, self._popsize, self._popsize // 2)
        self._blas = OneBlasThread()
        self.threads = as_count("threads", threads, 1)
        self._chunks = Chunks(self._n, self.threads)

    @property
    def mean(self) -> FloatArray:
        """Mean of the search distribution, (n,); a view."""
        return self._mean

    @property
    def sigma(self) -> float:
        """Step size."""
        return float(self._sigma)

    def _noise(self) -> Noise:
        kept = self._kept if self._kept_batch == self._batch else self._gauss
        return self._signs, kept, self._key, self._batch * len(self._kept) * self._n

    def _write(self, out: FloatArray) -> None:
        self._prepare_rows()
        self._write_again(out)

    def _write_again(self, out: FloatArray) -> None:
        self._write_rows(0, out)

    def _row(self, row: int) -> FloatArray:
        x = np.empty((1, self._n))
        self._write_rows(row, x)
        return x[0]

    def _fired(self) -> int:
        return self._ends.mask()

    def _stops(self) -> list[Stop]:
        return self._ends.fired()
