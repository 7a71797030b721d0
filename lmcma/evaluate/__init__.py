"""How a batch of points becomes a vector of values."""

from __future__ import annotations

from lmcma.evaluate.serial import Serial

__all__ = ["Serial"]
