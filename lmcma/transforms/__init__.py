"""Between the user's space and that of a strategy: bounds and scales."""

from __future__ import annotations

from lmcma.transforms.coordinates import Coordinates
from lmcma.transforms.mapped import Mapped, make_mapped

__all__ = ["Coordinates", "Mapped", "make_mapped"]
