"""Rows of a matrix, four at a time, taken off a vector: in lines of the cache, multiplied and added in one step."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from lmcma.kernels.compile import kernel
from lmcma.typing import FloatArray, IntArray

LINE = 64  # bytes in a line of the cache
_LINES = 2  # lines of each row at a time


def aligned(rows: int, columns: int, kind: type[np.floating[Any]]) -> FloatArray:
    """An uninitialised (rows, >= columns) array whose rows are whole pairs of lines, and begin with one.

    >>> aligned(3, 5, np.float32).shape
    (3, 32)
    """
    size = np.dtype(kind).itemsize
    step = _LINES * LINE // size
    width = -(-columns // step) * step
    memory = np.empty(rows * width * size + LINE, dtype=np.uint8)
    first = -memory.ctypes.data % LINE
    return memory[first : first + rows * width * size].view(kind).reshape(rows, width)


@intrinsic
def _subtract(
    typing_context: Any, K: Any, i0: Any, i1: Any, i2: Any, i3: Any, s0: Any, s1: Any, s2: Any, s3: Any, g: Any, j: Any
) -> Any:
    """Take s0 K[i0] + ... + s3 K[i3] off g at some places from j on, as many as make up two lines of the cache."""
    signature = types.void(K, i0, i1, i2, i3, s0, s1, s2, s3, g, j)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        matrix, *others, vector, place = arguments
        size = signature.args[0].dtype.bitwidth // 8
        number = context.get_data_type(signature.args[0].dtype)
        lanes = LINE // size
        line = ir.VectorType(number, lanes)
        name = f"llvm.fmuladd.v{lanes}f{8 * size}"
        fused = cgutils.get_or_insert_function(builder.module, ir.FunctionType(line, [line] * 3), name)
        K_, g_ = (
            context.make_array(kind)(context, builder, array)
            for kind, array in ((signature.args[0], matrix), (signature.args[9], vector))
        )
        stride = builder.extract_value(K_.strides, 0)
        places = [builder.add(place, ir.Constant(place.type, k * lanes)) for k in range(_LINES)]
        targets = [builder.bitcast(builder.gep(g_.data, [at]), line.as_pointer()) for at in places]
        sums = [builder.load(target, align=size) for target in targets]
        for row, factor in zip(others[:4], others[4:], strict=True):
            lane = builder.insert_element(ir.Constant(line, ir.Undefined), builder.fneg(factor), cgutils.int32_t(0))
            every = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
            factors = builder.shuffle_vector(lane, ir.Constant(line, ir.Undefined), every)
            begin = builder.gep(builder.bitcast(K_.data, cgutils.voidptr_t), [builder.mul(row, stride)])
            begin = builder.bitcast(begin, number.as_pointer())
            for k, at in enumerate(places):
                part = builder.load(builder.bitcast(builder.gep(begin, [at]), line.as_pointer()), align=size)
                sums[k] = builder.call(fused, [factors, part, sums[k]])
        for total, target in zip(sums, targets, strict=True):
            builder.store(total, target, align=size)
        return context.get_dummy_value()

    return signature, generate


@kernel
def subtract_four(K: FloatArray, rows: IntArray, factors: FloatArray, first: int, g: FloatArray) -> None:
    """Take the sum of four rows of K, times factors, off g: those at places `first` to `first` + 3 of `rows`.

    K : (>= m, >= m), rows contiguous; rows, factors : (>= first + 4,); g : (m,). All but `rows` of one type.
    """
    i0, i1, i2, i3 = rows[first], rows[first + 1], rows[first + 2], rows[first + 3]
    s0, s1, s2, s3 = factors[first], factors[first + 1], factors[first + 2], factors[first + 3]
    step = _LINES * LINE // K.itemsize
    whole = len(g) // step * step
    for j in range(0, whole, step):
        _subtract(K, i0, i1, i2, i3, s0, s1, s2, s3, g, j)
    for j in range(whole, len(g)):
        g[j] -= (s0 * K[i0, j] + s1 * K[i1, j]) + (s2 * K[i2, j] + s3 * K[i3, j])
