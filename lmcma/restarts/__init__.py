"""Restarts: strategies that run another strategy again and again, with other population and step sizes."""

from __future__ import annotations

from lmcma.restarts.controller import Restarts
from lmcma.restarts.schemes import SCHEMES, Scheme

__all__ = ["SCHEMES", "Restarts", "Scheme"]
