"""What the stopping rules remember between iterations, for strategies that keep it apart from their own arrays."""

from __future__ import annotations

import numpy as np

from lmcma.kernels import selection, stopping
from lmcma.termination import Stop, StopRules
from lmcma.typing import State


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
