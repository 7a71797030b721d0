"""Which run comes next, as pure functions of what the runs so far have cost and found.

Independent runs, IPOP, BIPOP, NIPOP and NBIPOP.

References
----------
A. Auger, N. Hansen. A restart CMA evolution strategy with increasing population size. CEC 2005 (IPOP).
N. Hansen. Benchmarking a BI-population CMA-ES on the BBOB-2009 function testbed. GECCO 2009 (BIPOP).
I. Loshchilov, M. Schoenauer, M. Sebag. Alternative restart strategies for CMA-ES. PPSN 2012 (NIPOP, NBIPOP).
"""

from __future__ import annotations

import dataclasses
import enum
import math

from lmcma.errors import ArgumentError


class Kind(enum.StrEnum):
    """The regime of a run."""

    FIRST = "first"
    LARGE = "large"
    SMALL = "small"


@dataclasses.dataclass(frozen=True)
class Scheme:
    """A restart scheme.

    Parameters
    ----------
    name : str
        Its name in tables.
    growth : float
        The population of every large restart is so many times that of the one before.
    small_runs : bool
        Whether runs with small populations alternate with the growing ones (BIPOP, NBIPOP).
    small_popsize : {"random", "default"}
        Population of a small run: log-uniformly squared between the default and the last large one (BIPOP), or the
        default (NBIPOP).
    sigma_decay : float
        Each large restart starts with sigma0 divided by this (1.6 in NIPOP and NBIPOP).
    adaptive_budget : bool
        Whether the regime that found the better value gets twice the evaluations of the other (NBIPOP).
    max_large : float
        Large restarts at most.
    """

    name: str
    growth: float = 2.0
    small_runs: bool = False
    small_popsize: str = "random"
    sigma_decay: float = 1.0
    adaptive_budget: bool = False
    max_large: float = 9

    def __post_init__(self) -> None:
        if not self.growth >= 1:
            raise ArgumentError(f"`growth` must be >= 1; got {self.growth!r}.")


SCHEMES = {
    "independent": Scheme("independent", growth=1.0, max_large=math.inf),
    "ipop": Scheme("ipop"),
    "nipop": Scheme("nipop", sigma_decay=1.6),
    "bipop": Scheme("bipop", small_runs=True),
    "nbipop": Scheme("nbipop", small_runs=True, small_popsize="default", sigma_decay=1.6, adaptive_budget=True),
}


@dataclasses.dataclass(frozen=True)
class Tally:
    """What the runs so far have cost and found.

    Parameters
    ----------
    runs : int
        Runs finished.
    large : int
        Large restarts among them, i.
    cost_small, cost_large : int
        Evaluations of small runs, the first run included, and of large runs.
    best_small, best_large : float
        Best value of each regime; runs 1 and 2 enter both.
    """

    runs: int = 0
    large: int = 0
    cost_small: int = 0
    cost_large: int = 0
    best_small: float = math.inf
    best_large: float = math.inf


@dataclasses.dataclass(frozen=True)
class Plan:
    """The next run: its regime, population size, step size in units of sigma0, and most iterations of its own."""

    kind: Kind
    popsize: int
    sigma_factor: float
    maxiter: float = math.inf


def book(tally: Tally, kind: Kind, evaluations: int, best: float) -> Tally:
    """The tally after one more run."""
    value = math.inf if math.isnan(best) else best
    shared = tally.runs < 2
    large = kind is Kind.LARGE
    return Tally(
        runs=tally.runs + 1,
        large=tally.large + large,
        cost_small=tally.cost_small + (0 if large else evaluations),
        cost_large=tally.cost_large + (evaluations if large else 0),
        best_small=min(tally.best_small, value) if shared or not large else tally.best_small,
        best_large=min(tally.best_large, value) if shared or large else tally.best_large,
    )


def small_share(scheme: Scheme, tally: Tally) -> float:
    """How many evaluations small runs may spend per evaluation of large runs, rho."""
    if not scheme.adaptive_budget or tally.runs == 0:
        return 1.0
    return 0.5 if tally.best_large < tally.best_small else 2.0


def next_run(scheme: Scheme, tally: Tally, default_popsize: int, u_sigma: float, u_popsize: float) -> Plan | None:
    """The plan of the next run; None at the end.

    Parameters
    ----------
    scheme, tally
        The scheme, and what came before.
    default_popsize : int
        Of the first run.
    u_sigma, u_popsize : float
        Two independent numbers, uniform in [0, 1); only small runs use them.
    """
    if tally.runs == 0:
        return Plan(Kind.FIRST, default_popsize, 1.0)
    due = scheme.small_runs and tally.runs >= 2 and tally.cost_small < small_share(scheme, tally) * tally.cost_large
    if due:
        popsize = default_popsize
        if scheme.small_popsize == "random":
            # the last large population is growth^i times the default
            popsize = int(default_popsize * (scheme.growth**tally.large) ** (u_popsize**2))
        return Plan(Kind.SMALL, popsize, 10 ** (-2 * u_sigma), tally.cost_large / (2 * popsize))
    if tally.large >= scheme.max_large:
        return None
    i = tally.large + 1
    return Plan(Kind.LARGE, int(scheme.growth**i * default_popsize), scheme.sigma_decay**-i)
