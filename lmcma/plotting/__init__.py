"""Figures of runs; matplotlib is imported when one is drawn."""

from __future__ import annotations

from lmcma.plotting.convergence import convergence
from lmcma.plotting.fronts import fronts
from lmcma.plotting.models import models

__all__ = ["convergence", "fronts", "models"]
