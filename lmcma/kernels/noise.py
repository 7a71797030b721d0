"""Base vectors of a batch, made block by block wherever they are needed, so that they are never in memory as a whole.

`noise` is a tuple (signs, gauss, key, first).  Base vector l consists of random signs, packed into the words signs[l],
or, where `signs` has no columns, of row l of `gauss`, or, where that has none either, of the numbers from
first + l n on of the stream `key` of normal numbers.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from lmcma.kernels import normals
from lmcma.kernels.compile import kernel
from lmcma.typing import FloatArray, IntArray

Noise: TypeAlias = tuple[IntArray, FloatArray, int, int]

NO_SIGNS = np.empty((1, 0), dtype=np.uint64)
NO_GAUSS = np.empty((1, 0))


@kernel
def block(noise: Noise, n: int, row: int, start: int, z: FloatArray) -> None:
    """Write the coordinates from `start` on of base vector `row` into `z`; `start` is a multiple of 64."""
    signs, gauss, key, first = noise
    if signs.shape[1]:
        words = signs[row, start // 64 :]
        width = len(z)
        for w in range(width // 64):
            bits = words[w]
            part = z[64 * w : 64 * w + 64]
            for j in range(64):
                part[j] = 1.0 - 2.0 * ((bits >> np.uint64(j)) & np.uint64(1))
        for j in range(64 * (width // 64), width):
            z[j] = 1.0 - 2.0 * ((words[j // 64] >> np.uint64(j % 64)) & np.uint64(1))
    elif gauss.shape[1]:
        z[:] = gauss[row, start : start + len(z)]
    else:
        normals.fill(key, first + row * n + start, z)
