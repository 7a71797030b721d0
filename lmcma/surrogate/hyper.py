"""The search for the parameters of saACM-ES's models, by a second CMA-ES."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import numpy as np

from lmcma.kernels import ranksvm as kernels
from lmcma.strategies.cma import CMAES
from lmcma.surrogate.ranksvm import Frame, Settings, enough, framed, in_order, scratch
from lmcma.typing import FloatArray, IntArray, State

SEARCHED = ("points", "c_base", "c_pow", "c_sigma", "sweeps")


def default_points(n: int) -> int:
    """Training points N_0 = 40 + floor(4 n^1.7).

    >>> [default_points(n) for n in (2, 5, 10, 20)]
    [52, 101, 240, 691]
    """
    return 40 + int(4 * n**1.7)


class HyperSearch:
    """CMA-ES on five parameters of the model, whose objective is the rank error on the newest points.

    Parameters
    ----------
    n : int
        Variables of the points.
    popsize : int
        Models tried in each generation; 0: the parameters stay the default ones.
    rest : int
        Generations left out in a row while models are not used.
    threads : int
        Threads that train; the result is the same for any number.
    key : int
        Of its random numbers.

    Attributes
    ----------
    settings : Settings
        The parameters of the next model.
    searcher : CMAES or None
        In the unit cube, within which `box` lies; None before the first model was tested.
    rested : int
        Generations left out by now.
    """

    def __init__(self, n: int, popsize: int, *, rest: int = 0, threads: int = 1, key: int = 0) -> None:
        self.n, self.popsize, self.rest, self.threads, self.key = n, popsize, rest, threads, key
        self.settings = self.default_settings
        self.searcher: CMAES | None = None
        self.rested = 0

    @property
    def default_settings(self) -> Settings:
        """The parameters to begin with, and where the mean of the search is outside of the box."""
        return Settings(default_points(self.n))

    @property
    def box(self) -> tuple[FloatArray, FloatArray]:
        """Least and largest parameters."""
        return np.array([4.0 * self.n, 0, 0, 0.5, 100]), np.array([2.0 * default_points(self.n), 10, 6, 2, 1500])

    def decoded(self, u: FloatArray) -> Settings:
        """The parameters at a place in the unit cube."""
        low, high = self.box
        numbers = dict(zip(SEARCHED, (low + u * (high - low)).tolist(), strict=True))
        return Settings(**{**numbers, "points": int(numbers["points"])})

    def gone_on(
        self, used: bool, X: FloatArray, F: FloatArray, frame: Frame, x: FloatArray, f: FloatArray
    ) -> tuple[Self, int]:
        """The search after one more generation, and how many models it trained; this one stays as it is.

        Parameters
        ----------
        used : bool
            Whether there were generations on the last model.
        X, F : (m, n) array, (m,) array
            The points that models are trained on.
        frame : (mean, W)
            Of the models.
        x, f : (k, n) array, (k,) array
            New points that they are tested on.
        """
        if not self.popsize:
            return self, 0
        after = copy.copy(self)
        if self.searcher is None:
            rng = np.random.default_rng(np.random.SeedSequence([self.key, 1]))
            options: dict[str, Any] = {"active": "2010", "constants": "bbob", "lazy": "reference", "stop": "none"}
            after.searcher = CMAES(rng.uniform(0.2, 0.8, len(SEARCHED)), 0.6, popsize=self.popsize, rng=rng, **options)
            return after, 0
        if not used and self.rested < self.rest:
            after.rested += 1
            return after, 0
        after.rested = 0
        after.searcher = searcher = copy.deepcopy(self.searcher)
        u = searcher.ask()
        errors = self.errors(u, X, F, frame, x, f)
        searcher.tell(u, errors)
        inside = ((searcher.mean >= 0) & (searcher.mean <= 1)).all()
        after.settings = self.decoded(searcher.mean) if inside else self.default_settings
        return after, int((errors <= 1).sum())

    def errors(
        self, u: FloatArray, X: FloatArray, F: FloatArray, frame: Frame, x: FloatArray, f: FloatArray
    ) -> FloatArray:
        """The errors on points x, (k, n), of models with parameters u, trained on X; penalties outside of the box."""
        Z, new = framed(frame, X), framed(frame, x)
        size = len(F)
        order, _ = in_order(F)
        D2, D2_new = np.empty((size, size)), np.empty((len(f), size))
        kernels.squared_distances(Z, Z, D2)
        kernels.squared_distances(new, Z, D2_new)
        buffers = [scratch(size) for _ in range(self.threads)]

        def error(v: FloatArray, K: FloatArray) -> float:
            outside = float(np.maximum(0, np.maximum(-v, v - 1)).sum())
            s = self.decoded(v)
            if s.points > size:
                return 1.0 + (s.points - size)
            if outside > 0:
                return 1.0 + outside
            points: IntArray = order[order >= size - s.points]  # the most recent ones, best first
            ranked = F[points]
            if not enough(ranked, self.n):
                return 1.0
            tied = np.append(ranked[:-1] == ranked[1:], False)
            beta, model = np.empty(len(points)), np.empty(len(f))
            width = kernels.fit(D2, points, tied, s.c_base, s.c_pow, s.c_sigma, s.sweeps, K, beta)
            if not width > 0:
                return 1.0
            kernels.predict_from(D2_new, points, beta, width, model)
            return float(kernels.rank_error(f, model))

        def share(first: int) -> list[float]:
            return [error(v, buffers[first]) for v in u[first :: self.threads]]

        if self.threads == 1:
            shares = [share(0)]
        else:
            with ThreadPoolExecutor(self.threads, "lmcma") as pool:
                shares = list(pool.map(share, range(self.threads)))
        errors = np.empty(len(u))
        for first, found in enumerate(shares):
            errors[first :: self.threads] = found
        return errors

    def state_dict(self) -> State:
        """Where the search is."""
        points, *others = (getattr(self.settings, name) for name in SEARCHED)
        return {
            "settings": np.array([points, *others], dtype=np.float64),
            "searcher": None if self.searcher is None else self.searcher.state_dict(),
            "rested": self.rested,
        }

    def restore(self, state: State) -> None:
        """Go on from there."""
        points, *others = (float(v) for v in state["settings"])
        self.settings = Settings(int(points), *others)
        self.searcher = None if state["searcher"] is None else CMAES.from_state(state["searcher"])
        self.rested = int(state["rested"])
