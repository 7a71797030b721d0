"""Array types used in annotations; all arrays are C-contiguous unless said otherwise."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.integer[Any]]
BoolArray: TypeAlias = NDArray[np.bool_]
State: TypeAlias = dict[str, Any]  # arrays, numbers, strings, None, and such dictionaries again

__all__ = ["BoolArray", "FloatArray", "IntArray", "State"]
