"""What takes turns in HMO-CMA-ES after the warm start: local search, exploration, restarts on weighted sums.

Each draws points (`draw`) and takes their objectives (`update`), for all rows of a draw at once and in their order.
"""

from __future__ import annotations

import math

import numpy as np

from lmcma import random, registry
from lmcma.multiobjective.archive import Archive
from lmcma.multiobjective.population import Population
from lmcma.multiobjective.schedule import population_limit
from lmcma.multiobjective.warm_start import scales
from lmcma.strategies.protocol import Strategy
from lmcma.typing import BoolArray, FloatArray, IntArray, State

LOCAL_SIGMA = 0.03  # widths (reconstruction: anything from 0.01 to 0.05 does, 0.1 is worse)
EXPLORE_SIGMA = 0.1  # widths (reconstruction)
_SINGLE_SIGMA = 0.2  # widths (reconstruction)
_SINGLE_WEIGHTS = (1.0, 0.0, 0.5, 0.25, 0.75)  # of f_1, one a run (reconstruction)


class Steady:
    """A steady-state MO-CMA-ES that begins with given points, or with such as are drawn uniformly from a box.

    Parameters
    ----------
    box : (2, n) array
        Its lower and its upper corner.
    width : (n,) array
        Units of step sizes.
    mu : int
        Individuals at most.
    rng : Generator
        Source of randomness.
    starts : (k, n) array, optional
        Points to begin with; `mu` uniform ones by default.
    """

    def __init__(
        self,
        box: FloatArray,
        width: FloatArray,
        mu: int,
        rng: np.random.Generator,
        starts: FloatArray | None = None,
    ) -> None:
        self.box, self.width, self.rng = box, width, rng
        self.population = Population(len(width), mu=mu, scale=width)
        self._starts = self._uniform(mu) if starts is None else starts  # to be evaluated
        self._slots: IntArray = np.empty(0, dtype=np.int64)  # of the offspring that are out; none: starts are

    def _uniform(self, k: int) -> FloatArray:
        low, high = self.box
        return self.rng.uniform(low, high, (k, len(low)))

    def rows(self) -> int:
        """Points to draw at a time: all starts, then half as many as there may be individuals."""
        return len(self._starts) or max(1, int(self.population.mu) // 2)

    def most(self) -> float:
        """Points that can be drawn at a time."""
        return len(self._starts) or math.inf

    def draw(self, rows: int) -> FloatArray:
        """New points, (rows, n)."""
        if len(self._starts):
            return self._starts[:rows]
        self._slots = self.population.offspring(rows, self.rng)
        return self.population.x[self._slots]

    def update(self, f: FloatArray, violation: FloatArray, own: BoolArray) -> None:
        """Take the objectives of the points drawn last.

        f : (rows, 2); violation : (rows,), of constraints; own : (rows,), False where they are those of another point.
        """
        if len(self._slots):
            slots, self._slots = self._slots, self._slots[:0]
            self.population.release(slots[~own])
            self.population.receive(slots[own], f[own], violation[own])
            return
        x, self._starts = self._starts[: len(f)], self._starts[len(f) :]
        self.population.add(x[own], f[own], EXPLORE_SIGMA, violation[own])
        if not len(self._starts) and not len(self.population):
            self._starts = self._uniform(int(self.population.mu))

    def state_dict(self) -> State:
        """Everything needed to go on to the bit, apart from box and widths."""
        return {
            "population": self.population.state_dict(),
            "rng": random.generator_state(self.rng),
            "starts": self._starts.copy(),
            "slots": self._slots.copy(),
        }

    def set_state(self, state: State) -> None:
        """Take over what `state_dict` gave."""
        self.population = Population.from_state(state["population"])
        self.rng = random.generator_from_state(state["rng"])
        self._starts = np.array(state["starts"], dtype=np.float64)
        self._slots = np.array(state["slots"], dtype=np.int64)


class Local(Steady):
    """The steady-state MO-CMA-ES that is never restarted; its population grows.

    Parameters
    ----------
    box, width, rng, starts
        See `Steady`.
    mu0, growth : int
        Individuals at first, and how many evaluations per variable it takes to double them; see `population_limit`.
    """

    def __init__(
        self,
        box: FloatArray,
        width: FloatArray,
        mu0: int,
        growth: int,
        rng: np.random.Generator,
        starts: FloatArray | None = None,
    ) -> None:
        super().__init__(box, width, mu0, rng, starts)
        self.mu0, self.growth = mu0, growth
        self.spent = 0

    def update(self, f: FloatArray, violation: FloatArray, own: BoolArray) -> None:
        """As `Steady.update`; then the population may be larger."""
        super().update(f, violation, own)
        self.spent += len(f)
        self.population.mu = population_limit(self.spent, len(self.width), self.mu0, self.growth)

    def begin(self, x: FloatArray, f: FloatArray) -> None:
        """Begin with the best of these points, (k, n), and their objectives, if there are any, in place of `starts`."""
        self.population.add(x, f, LOCAL_SIGMA)
        self._settle()

    def inject(self, other: Population) -> None:
        """Take over individuals of another population that no individual of this one weakly dominates."""
        self.population.inject(other)
        self._settle()

    def join(self, x: FloatArray, f: FloatArray, sigma: float, violation: FloatArray | None = None) -> None:
        """Take in points, (k, n), that no individual weakly dominates, with a step size of their own."""
        self.population.add(x, f, sigma, violation, only_new=True)
        self._settle()

    def _settle(self) -> None:
        """With individuals from elsewhere, nothing has to be begun."""
        if len(self.population):
            self._starts = self._starts[:0]

    def reach(self) -> float:
        """The largest standard deviation of any individual of the front along any variable, in widths."""
        return self.population.reach(self.width)

    def state_dict(self) -> State:
        """Everything needed to go on to the bit, apart from box, widths and options."""
        return {**super().state_dict(), "spent": self.spent}

    def set_state(self, state: State) -> None:
        """Take over what `state_dict` gave."""
        super().set_state(state)
        self.spent = int(state["spent"])


class Single:
    """BIPOP-CMA-ES on weighted sums of the objectives, every run with another weight.

    Before a run the objectives are shifted and scaled by the ideal and nadir point of what is known.

    Parameters
    ----------
    box, bounds : (2, n) arrays
        Where runs start, and what they must not leave; infinite for no bound.
    width : (n,) array
        Unit of step sizes.
    archive : Archive
        What is known.
    rng : Generator
        Source of randomness.

    Attributes
    ----------
    found : tuple or None
        Of a run that has ended with the last update: its best point, the objectives there, its last step size.
    """

    def __init__(
        self, box: FloatArray, bounds: FloatArray, width: FloatArray, archive: Archive, rng: np.random.Generator
    ) -> None:
        self.box, self.bounds, self.width, self.archive, self.rng = box, bounds, width, archive, rng
        self.found: tuple[FloatArray, FloatArray, float] | None = None
        self._runs = 0  # finished, of all chains
        self._of_chain = 0  # of this one
        self._shift, self._scale = np.zeros(2), np.ones(2)
        self._rows: IntArray = np.empty(0, dtype=np.int64)  # of the chain's batch, those that are out
        self._x = np.empty((0, len(width)))
        self._begin_run()
        self._chain = self._new_chain()

    def _new_chain(self) -> Strategy:
        self._of_chain = 0
        low, high = self.box
        return registry.make(
            "bipop-cma",
            self.rng.uniform(low, high),
            _SINGLE_SIGMA,
            stds=self.width,
            bounds=self.bounds.T,
            x0_box=(low, high),
            rng=int(self.rng.integers(2**63)),
        )

    def _begin_run(self) -> None:
        self._fresh = True
        self._best = np.inf
        self._best_x, self._best_f = np.zeros(len(self.width)), np.full(2, np.nan)

    def rows(self) -> int:
        """Points to draw: what is left of the chain's batch."""
        return len(self._chain.missing) or self._chain.popsize

    most = rows

    def draw(self, rows: int) -> FloatArray:
        """Points, (rows, n)."""
        if self._fresh and len(self.archive):
            known = self.archive.F
            self._shift, self._scale = known.min(axis=0), scales(known, "range")
        self._fresh = False
        x = self._chain.ask()
        self._rows = self._chain.missing[:rows]
        self._x = x[self._rows]
        return self._x

    def update(self, f: FloatArray, violation: FloatArray, own: BoolArray) -> None:
        """Take the objectives of the points drawn last; what violates a constraint counts as a failure.

        f : (rows, 2); violation : (rows,); own : (rows,), False where they are those of another point.
        """
        w = _SINGLE_WEIGHTS[self._runs % len(_SINGLE_WEIGHTS)]
        ok = own & np.isfinite(f).all(axis=1) & (violation == 0)
        units = (np.where(ok[:, None], f, np.nan) - self._shift) / self._scale
        sums = w * units[:, 0] + (1 - w) * units[:, 1]
        if ok.any() and np.nanmin(sums) < self._best:
            row = int(np.nanargmin(sums))
            self._best, self._best_x, self._best_f = float(sums[row]), self._x[row].copy(), f[row].copy()
        self._chain.tell(None, sums, ids=self._rows)
        so_far = self._chain.result()
        finished = sum(run.stop is not None for run in so_far.runs)
        self.found = None
        if finished == self._of_chain:
            return
        self._of_chain = finished
        self._runs += 1
        if np.isfinite(self._best):
            self.found = self._best_x, self._best_f, float(so_far.sigma)
        self._begin_run()
        if self._chain.stop() is not None:
            self._chain = self._new_chain()

    def state_dict(self) -> State:
        """Everything needed to go on to the bit, apart from box, bounds and widths."""
        return {
            "rng": random.generator_state(self.rng),
            "runs": self._runs,
            "of_chain": self._of_chain,
            "fresh": self._fresh,
            "best": self._best,
            **{name: getattr(self, f"_{name}").copy() for name in _ARRAYS},
            "rows": self._rows.copy(),
            "chain": self._chain.state_dict(),
        }

    def set_state(self, state: State) -> None:
        """Take over what `state_dict` gave."""
        self.rng = random.generator_from_state(state["rng"])
        self._runs, self._of_chain = int(state["runs"]), int(state["of_chain"])
        self._fresh, self._best = bool(state["fresh"]), float(state["best"])
        for name in _ARRAYS:
            setattr(self, f"_{name}", np.array(state[name], dtype=np.float64))
        self._rows = np.array(state["rows"], dtype=np.int64)
        self._chain = registry.from_state(state["chain"])


_ARRAYS = ("shift", "scale", "x", "best_x", "best_f")
