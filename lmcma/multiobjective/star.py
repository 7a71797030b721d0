"""The warm start on coordinate stars: separable quadratic models of both objectives, one minimiser a weight.

A star of 2n points around a centre shows slope and curvature of both objectives along every variable. The minimiser of
the model of a weighted sum then costs one evaluation for any weight, where a solver for one objective needs all its
points again. The paper starts with BOBYQA on weighted sums instead, see `bobyqa`; this is a design of our own.
"""

from __future__ import annotations

import numpy as np

from lmcma.multiobjective.warm_start import WarmStart
from lmcma.typing import FloatArray, State

_MAX_ROUNDS = 9
_LARGEST_STEP = 2.0  # radii, of a model's minimiser from the centre
_FLAT = 1e-12  # curvatures up to so much of the largest one count as none


class Star(WarmStart):
    """Rounds of a star and of the minimisers of its models; the centre moves to the best point, the radius shrinks.

    Parameters
    ----------
    x0, radius, low, high, normalise, budget
        See `WarmStart`. A round is begun only if it ends within the budget, the first one always.

    Examples
    --------
    >>> import numpy as np
    >>> star = Star([0.0, 0.0], [1.0, 1.0], [-5.0, -5.0], [5.0, 5.0])
    >>> x = star.pending()
    >>> x.tolist()
    [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]
    >>> f = np.stack([((x - 1) ** 2).sum(axis=1), ((x - [1, -0.5]) ** 2).sum(axis=1)], axis=1)
    >>> star.receive(np.arange(5), f)
    >>> star.pending()[:3].tolist()
    [[1.0, 0.25], [1.0, 1.0], [1.0, -0.5]]
    """

    name = "star"

    def _first(self) -> FloatArray:
        self._rounds = 0
        self._centre = 0  # its row in `x`
        self._shrunk = 1.0  # rho, in units of the first radius
        self._models_next = True  # whether the batch that is out is a star
        return np.concatenate([self.x0[None], self._star(self.x0)])

    def _next(self) -> FloatArray:
        if self._models_next:
            self._models_next = False
            points = self._minimisers()
            if len(points):
                return points
        return self._go_on()

    def _go_on(self) -> FloatArray:
        """End a round: centre and radius of the next one, and its star; no points at the end."""
        n = len(self.x0)
        best = self._best(0.5)
        if np.linalg.norm((self.x[best] - self.x[self._centre]) / self.radius) <= self._shrunk / 2:
            self._shrunk /= 2
        self._centre = best
        self._rounds += 1
        self._models_next = True
        if self._rounds == _MAX_ROUNDS or len(self.x) + 2 * n + len(self.weights) > self.budget:
            return np.empty((0, n))
        return self._star(self.x[best])

    def _steps(self, c: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Two steps along each variable that stay within the bounds: there and back, or one and two on one side."""
        rho = self._shrunk * self.radius
        one = np.where(c + rho <= self.high, rho, -rho)
        there_and_back = (c - one >= self.low) & (c - one <= self.high)
        return one, np.where(there_and_back, -one, 2 * one)

    def _star(self, c: FloatArray) -> FloatArray:
        """The two points along each variable, (2n, n): one of each first, then the others."""
        return np.clip(np.concatenate([c + np.diag(h) for h in self._steps(c)]), self.low, self.high)

    def _minimisers(self) -> FloatArray:
        """Minimisers of the models of all weighted sums, (k, n): those that were not evaluated before."""
        n = len(self.x0)
        c, h1, h2 = self.x[self._centre], *self._steps(self.x[self._centre])
        finite = np.where(np.isfinite(self.f), self.f, -np.inf)
        f = np.where(np.isfinite(self.f), self.f, finite.max(axis=0))  # failures: the largest value seen
        with np.errstate(invalid="ignore", over="ignore"):
            slope1 = (f[-2 * n : -n] - f[self._centre]) / self.scale / h1[:, None]  # (n, 2): variables, objectives
            slope2 = (f[-n:] - f[self._centre]) / self.scale / h2[:, None]
            q = (slope1 - slope2) / (h1 - h2)[:, None]
            slopes, curvatures = slope1 - q * h1[:, None], 2 * q
        if not (np.isfinite(slopes).all() and np.isfinite(curvatures).all()):
            return np.empty((0, n))  # an objective was never finite, or leaves the floating point numbers
        limit = _LARGEST_STEP * self._shrunk * self.radius
        points: list[FloatArray] = []
        for w in self.weights:
            g = w * slopes[:, 0] + (1 - w) * slopes[:, 1]
            D = w * curvatures[:, 0] + (1 - w) * curvatures[:, 1]
            flat = _FLAT * np.abs(D).max()
            curved = flat < D
            s = np.where(curved, -g / np.where(curved, D, 1.0), -np.sign(g) * limit)
            x = np.clip(c + np.clip(s, -limit, limit), self.low, self.high)
            if not any(np.array_equal(x, known) for known in (*points, *self.x)):
                points.append(x)
        return np.array(points).reshape(-1, n)

    # ---------------------------------------------------------------- save and restore

    def _state(self) -> State:
        return {
            "rounds": self._rounds,
            "centre": self._centre,
            "shrunk": self._shrunk,
            "models_next": self._models_next,
        }

    def _set_state(self, state: State) -> None:
        self._rounds, self._centre = int(state["rounds"]), int(state["centre"])
        self._shrunk, self._models_next = float(state["shrunk"]), bool(state["models_next"])
