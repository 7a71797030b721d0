"""Several objectives: populations, archives of what is not dominated, indicators, and the strategies made of them."""

from __future__ import annotations

from lmcma.multiobjective.population import Population

__all__ = ["Population"]
