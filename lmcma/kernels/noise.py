"""Base vectors of a batch, made block by block wherever they are needed, so that they are never in memory as a whole.

`noise` is a tuple (signs, gauss, key, first).  Base vector l consists of random signs, packed into the words signs[l],
or, where `signs` has no columns, of row l of `gauss`, or, where that has none either, of the numbers from
first + l n on of the stream `key` of normal numbers.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from lmcma.kernels import normals
from lmcma.kernels.compile import kernel
from lmcma.typing import FloatArray, IntArray

Noise: TypeAlias = tuple[IntArray, FloatArray, int, int]

_KEPT = 2**27  # numbers; so many are kept between passes, since reading them is faster than making them

NO_SIGNS = np.empty((1, 0), dtype=np.uint64)
NO_GAUSS = np.empty((1, 0))


def kept_columns(n: int, bases: int) -> int:
    """Columns of the array that keeps the normal numbers of a batch between passes: n, or 0 where that is too large."""
    return n if n * bases <= _KEPT else 0


@intrinsic
def _write_signs(typing_context: Any, words: Any, w: Any, z: Any, j: Any) -> Any:
    """Write the 64 bits of words[w], the lowest first, into z from j on: 1.0 for 0, -1.0 for 1."""
    signature = types.void(words, w, z, j)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        places = []
        for kind, array, index in zip(signature.args[::2], arguments[::2], arguments[1::2], strict=True):
            data = context.make_array(kind)(context, builder, array).data
            places.append(builder.gep(data, [index]))
        bits = builder.bitcast(builder.load(places[0]), ir.VectorType(ir.IntType(1), 64))
        line = ir.VectorType(context.get_data_type(signature.args[2].dtype), 64)
        numbers = builder.select(bits, ir.Constant(line, [-1.0] * 64), ir.Constant(line, [1.0] * 64))
        builder.store(numbers, builder.bitcast(places[1], line.as_pointer())).align = 4
        return context.get_dummy_value()

    return signature, generate


@kernel
def block(noise: Noise, n: int, row: int, start: int, z: FloatArray) -> None:
    """Write the coordinates from `start` on of base vector `row` into `z`; `start` is a multiple of 64."""
    signs, gauss, key, first = noise
    if signs.shape[1]:
        words = signs[row, start // 64 :]
        width = len(z)
        for w in range(width // 64):
            _write_signs(words, w, z, 64 * w)
        for j in range(64 * (width // 64), width):
            z[j] = 1.0 - 2.0 * ((words[j // 64] >> np.uint64(j % 64)) & np.uint64(1))
    elif gauss.shape[1]:
        z[:] = gauss[row, start : start + len(z)]
    elif z.itemsize < 8:  # made as float64 and then rounded, which is faster than at once
        line = np.empty(len(z))
        normals.fill(key, first + row * n + start, line)
        z[:] = line
    else:
        normals.fill(key, first + row * n + start, z)
