"""Several objectives: populations, archives of what is not dominated, indicators, and the strategies made of them."""

from __future__ import annotations

from lmcma.multiobjective.archive import Archive, Log
from lmcma.multiobjective.indicators import contributions, hypervolume, nondominated, ranks
from lmcma.multiobjective.population import Population

__all__ = ["Archive", "Log", "Population", "contributions", "hypervolume", "nondominated", "ranks"]
