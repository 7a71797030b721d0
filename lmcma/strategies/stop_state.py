"""What the stopping rules remember between iterations, for strategies that keep it apart from their own arrays."""

from __future__ import annotations

import numpy as np

from lmcma.kernels import selection, stopping
from lmcma.kernels.selection import select
from lmcma.termination import Stop, StopRules
from lmcma.typing import BoolArray, FloatArray, IntArray, State


class StopState:
    """Thresholds, measured values, histories and counters of the compiled rules.

    Parameters
    ----------
    rules : StopRules
        Their thresholds.
    n, popsize, mu : int
        Dimension, population size, number of parents.
    """

    def __init__(self, rules: StopRules, n: int, popsize: int, mu: int) -> None:
        self.tol = stopping.thresholds(rules, n, popsize)
        self.value = np.zeros(stopping.N_TOL)
        self.ring = np.zeros(int(self.tol[stopping.HISTORY_LENGTH]))
        self.flags = np.zeros(int(self.tol[stopping.EQUAL_WINDOW]))
        self.count = np.zeros(selection.N_COUNT, dtype=np.int64)
        self.count[selection.MU] = mu
        self.long = stopping.long_history()
        self._popsize = popsize
        self._omega = np.empty(popsize)
        self._order = np.empty(2 * popsize, dtype=np.int64)
        self._everyone = np.ones(popsize, dtype=np.bool_)

    def select(
        self, f: FloatArray, own: BoolArray, foreign_f: FloatArray | None, weights: FloatArray
    ) -> tuple[FloatArray, IntArray, FloatArray, FloatArray] | None:
        """Selection by weights of which none is negative, points of the caller's own among the population.

        Parameters
        ----------
        f, own, weights : (popsize,) array
            Values, which rows are as asked, weights by rank.
        foreign_f : (k,) array or None
            Values of the caller's points: those that replace rows first, in order of row, then further ones.

        Returns
        -------
        tuple or None
            All values, their ranking, the weights of the rows as asked, 0 for others, and the weights of the
            caller's points. None where not one value is finite.
        """
        popsize = k = self._popsize
        values, omega, order, everyone = f, self._omega, self._order, self._everyone
        if foreign_f is not None:
            values = np.concatenate([f, foreign_f[np.count_nonzero(~own) :]])
            k = len(values)
            weights = np.concatenate([weights, np.zeros(k - popsize)])
            omega, order, everyone = np.empty(k), np.empty(2 * k, dtype=np.int64), np.ones(k, dtype=np.bool_)
        if not select(values, everyone, weights, omega, order, self.count, self.tol, self.value):
            return None
        if foreign_f is None:
            return values, order[:k], omega, omega[:0]
        theirs = np.concatenate([omega[:popsize][~own], omega[popsize:]])
        return values, order[:k], np.where(own, omega[:popsize], 0.0), theirs

    def test(self, f: FloatArray, order: IntArray, reach: float) -> None:
        """After an iteration, the rules on values, (k,), and their ranking; `reach` bounds all next candidates."""
        self.make_room()
        mask = stopping.value_rules(f, order, self.tol, self.value, self.count, self.ring, self.flags, self.long)
        self.value[stopping.NUMERIC] = reach
        if not reach < self.tol[stopping.NUMERIC]:
            mask |= 1 << stopping.NUMERIC
        self.count[selection.MASK] = mask

    def sizes_due(self, n: int) -> bool:
        """Whether it is time for `test_sizes`: every ceil(n / popsize) iterations."""
        return int(self.count[stopping.T]) % -(-n // self._popsize) == 0

    def test_sizes(
        self, mean: FloatArray, sigma: float, sigma0: float, diagonal: FloatArray, path: FloatArray | None = None
    ) -> None:
        """The rules on the size of a distribution known by its diagonal, (n,), and by a path of C, if there is one."""
        widest = float(np.sqrt(diagonal.max()))  # for its largest axis, which is not known
        path = np.zeros(len(mean)) if path is None else path
        self.count[selection.MASK] |= stopping.size_rules(
            mean, sigma, sigma0, 1.0, path, diagonal, np.nan, widest, self.tol, self.value
        )

    def make_room(self) -> None:
        """Before an iteration: room for one more value in the long histories."""
        if self.count[stopping.LONG] == self.long.shape[1]:
            self.long = stopping.make_room(self.long, self.count, self.tol)

    def mask(self) -> int:
        """The rules that hold since the last iteration, a bit each."""
        return int(self.count[selection.MASK])

    def fired(self) -> list[Stop]:
        """The rules that hold since the last iteration."""
        return stopping.fired(self.mask(), self.value, self.tol)

    def state(self) -> State:
        """All but the thresholds, which follow from the options."""
        return {
            "counters": self.count.copy(),
            "stop_values": self.value.copy(),
            "recent_best": self.ring.copy(),
            "flat": self.flags.copy(),
            "long_history": self.long[:2, : self.count[stopping.LONG]].copy(),
        }

    def restore(self, state: State) -> None:
        """Take over what `state` gave."""
        self.count[:], self.value[:] = state["counters"], state["stop_values"]
        self.ring[:], self.flags[:] = state["recent_best"], state["flat"]
        self.long = stopping.long_history(state["long_history"])
