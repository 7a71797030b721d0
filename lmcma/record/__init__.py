"""What is remembered of a run."""

from __future__ import annotations

from lmcma.record.checkpoint import Checkpoint, load, save
from lmcma.record.history import History

__all__ = ["Checkpoint", "History", "load", "save"]
