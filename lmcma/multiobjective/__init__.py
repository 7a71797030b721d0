"""Several objectives: populations, archives of what is not dominated, indicators, and the strategies made of them."""

from __future__ import annotations

from lmcma.multiobjective.archive import Archive, Log
from lmcma.multiobjective.base import MultiObjectiveStrategy
from lmcma.multiobjective.hmo import HMOCMAES
from lmcma.multiobjective.indicators import contributions, hypervolume, nondominated, ranks
from lmcma.multiobjective.mo_cma import MOCMAES
from lmcma.multiobjective.population import Population
from lmcma.multiobjective.up_mo_cma import UPMOCMAES

__all__ = [
    "HMOCMAES",
    "MOCMAES",
    "UPMOCMAES",
    "Archive",
    "Log",
    "MultiObjectiveStrategy",
    "Population",
    "contributions",
    "hypervolume",
    "nondominated",
    "ranks",
]
