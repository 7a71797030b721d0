"""Whose turn it is in HMO-CMA-ES, and how large its population may be, as functions of the evaluations."""

from __future__ import annotations

import dataclasses
import math

WARM, LOCAL, EXPLORE, SINGLE = "warm", "local", "explore", "single"
PARTS = (WARM, LOCAL, EXPLORE, SINGLE)

_SLICE = 5000  # evaluations (from the published data: 4900 to 5250 in 5, 10 and 20 dimensions)
_SLICE_PER_VARIABLE = 250  # from 20 variables on (a choice)
_MOST_NUMBERS = 2**27  # in all covariance matrices of a population: 1 GiB
_MOST_DOUBLINGS = 12


def slice_length(n: int) -> int:
    """Evaluations of a turn: 5000, or 250 n.

    >>> slice_length(5), slice_length(40)
    (5000, 10000)
    """
    return max(_SLICE, _SLICE_PER_VARIABLE * n)


def population_limit(spent: int, n: int, mu0: int, growth: int) -> int:
    """Individuals at most after so many evaluations: mu0, twice as many after growth n, again after 2 growth n more.

    That is mu0 2^floor(log2(spent / (growth n) + 1)), while all covariance matrices together take less than 1 GiB.

    >>> [population_limit(k, 5, 10, 200) for k in (0, 999, 1000, 3000)]
    [10, 10, 20, 40]
    """
    doublings = min((spent // (growth * n) + 1).bit_length() - 1, _MOST_DOUBLINGS)
    return max(mu0, min(mu0 << doublings, _MOST_NUMBERS // n**2))


@dataclasses.dataclass
class Schedule:
    """The warm start, then local search, which from some time on shares its turns with exploration and with sums.

    Local search has every other turn; the others have theirs one after the other.

    Parameters
    ----------
    explore_from, single_from : float
        Evaluations after which exploration and single-objective search take part; infinite for never.
    length : int
        Evaluations of a turn.
    turn : str
        Whose turn it is, one of `PARTS`.
    left : float
        Evaluations left of it.
    previous : str
        The last one of the others whose turn it was.

    Examples
    --------
    >>> schedule = Schedule(explore_from=100, single_from=200, length=50)
    >>> for nfev in (15, 100, 150, 200, 250, 300):
    ...     _ = schedule.go_on(nfev)
    ...     print(schedule.turn, schedule.left)
    local 85
    explore 50
    local 50
    single 50
    local 50
    explore 50
    """

    explore_from: float
    single_from: float
    length: int
    turn: str = WARM
    left: float = math.inf
    previous: str = ""

    def go_on(self, nfev: int, *, converged: bool = False) -> bool:
        """End the turn; whether there is another one.

        Parameters
        ----------
        nfev : int
            Evaluations so far.
        converged : bool
            Local search has converged, and its turns go to the others.
        """
        starts = {EXPLORE: self.explore_from, SINGLE: self.single_from}
        first = min(starts.values())
        reached = max(nfev, first) if converged else nfev  # where there is nothing else to do, nobody waits
        others = [part for part, start in starts.items() if start <= reached and start < math.inf]
        if converged and not others:
            return False
        if others and (converged or self.turn == LOCAL):
            self.turn = self.previous = min(others, key=lambda part: part == self.previous)
            self.left = self.length
        else:
            self.turn, self.left = LOCAL, self.length if others else first - nfev
        return True
