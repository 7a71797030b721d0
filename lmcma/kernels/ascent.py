"""Coordinate ascent of a quadratic function in a box, eight coordinates at a turn, at the speed of the cache.

The function is epsilon sum alpha - alpha^T K alpha / 2, and K symmetric. One half of it is read in a cycle, and each
number used twice: before eight coordinates move, the steps that those before them took in this cycle are taken off
their gradient (rows of K times steps); after they have moved, their steps are taken off the gradient of those before
them, and of their neighbours (the same rows, by now in the first-level cache).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from lmcma.kernels.compile import kernel
from lmcma.typing import FloatArray

LINE = 64  # bytes in a line of the cache
_TURN = 8  # coordinates; a line has a multiple of so many numbers
_FRESH = 50  # cycles, after which the gradient is computed anew


def square(k: int, kind: type[np.floating[Any]]) -> FloatArray:
    """An uninitialised matrix of at least (k, k), whose rows are whole lines of the cache and begin with one.

    >>> square(5, np.float32).shape
    (16, 16)
    """
    size = np.dtype(kind).itemsize
    width = -(-k // (LINE // size)) * (LINE // size)
    memory = np.empty(width * width * size + LINE, dtype=np.uint8)
    first = -memory.ctypes.data % LINE
    return memory[first : first + width * width * size].view(kind).reshape(width, width)


@kernel
def ascend(K: FloatArray, alpha: FloatArray, bound: FloatArray, epsilon: float, updates: int) -> None:
    """So many steps of cyclic coordinate ascent on epsilon sum alpha - alpha^T K alpha / 2, 0 <= alpha <= bound.

    K : a `square` of (m, m), whose type is that of the ascent; rows and columns from m to the end of a line are
    overwritten with zeros; alpha, bound : (m,); what has a `bound` of 0 stays.  A cycle without a step is the end.
    """
    m, lanes = len(alpha), LINE // K.itemsize
    padded = (m + lanes - 1) // lanes * lanes
    K[m:padded, :padded] = 0.0
    K[:m, m:padded] = 0.0
    a, most, inverse, g, steps = np.zeros((5, padded), dtype=K.dtype)
    for i in range(m):
        a[i], most[i] = alpha[i], bound[i]
        if bound[i] > 0.0:
            inverse[i] = 1.0 / K[i, i]
    cycle = 0
    while updates > 0:
        if cycle % _FRESH == 0:
            gradient(K, a, m, epsilon, g)
        cycle += 1
        if updates < m:
            inverse[updates:] = 0.0  # those whose turn does not come
        updates -= m
        steps[:] = 0.0
        moved = False
        for first in range(0, m, _TURN):
            if _turn(K, first, a, most, inverse, steps, g):
                moved = True
        if not moved:
            break
    alpha[:] = a[:m]


@kernel
def gradient(K: FloatArray, alpha: FloatArray, m: int, epsilon: float, g: FloatArray) -> None:
    """Write epsilon - K alpha, summed in float64, into the first m numbers of `g`."""
    sums = np.full(m, epsilon)
    for i in range(m):
        a = np.float64(alpha[i])
        if a != 0.0:
            row = K[i]
            for j in range(m):
                sums[j] -= a * row[j]
    g[:m] = sums


@intrinsic
def _turn(typing_context: Any, K: Any, first: Any, alpha: Any, bound: Any, inverse: Any, steps: Any, g: Any) -> Any:
    """Move the coordinates from `first` on, `_TURN` of them; whether any of them moved.

    All arrays are of one type, their lengths whole lines.  `steps` : those of this cycle so far, otherwise 0; `g` : the
    gradient, from which those steps are not taken off yet from `first` on, but for the line that `first` is in.
    """
    signature = types.boolean(K, first, alpha, bound, inverse, steps, g)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        size = kinds[0].dtype.bitwidth // 8
        lanes = LINE // size
        number = context.get_data_type(kinds[0].dtype)
        zeros, zero_line = (ir.Constant(ir.VectorType(number, n), [0.0] * n) for n in (_TURN, lanes))
        block, line = zeros.type, zero_line.type

        def load(kind: Any, base: Any, at: Any) -> Any:
            return builder.load(builder.bitcast(builder.gep(base, [at]), kind.as_pointer()), align=size)

        def store(value: Any, base: Any, at: Any) -> None:
            builder.store(value, builder.bitcast(builder.gep(base, [at]), value.type.as_pointer()), align=size)

        def fused(a: Any, b: Any, c: Any) -> Any:
            """The sum of c and the product of a and b."""
            name = f"llvm.fmuladd.v{a.type.count}f{8 * size}"
            function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(a.type, [a.type] * 3), name)
            return builder.call(function, [a, b, c])

        def picked(a: Any, b: Any, places: Sequence[int]) -> Any:
            """Numbers at some places of a and b one after the other."""
            return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(places)), list(places)))

        def clamped(x: Any, low: Any, high: Any) -> Any:
            x = builder.select(builder.fcmp_ordered(">", x, low), x, low)
            return builder.select(builder.fcmp_ordered("<", x, high), x, high)

        first = arguments[1]
        whole = first.type
        none, width = (ir.Constant(whole, n) for n in (0, lanes))
        matrix, *vectors = (context.make_array(kinds[k])(context, builder, arguments[k]) for k in (0, 2, 3, 4, 5, 6))
        alpha, bound, inverse, steps, g = (vector.data for vector in vectors)
        stride = builder.extract_value(matrix.strides, 0)
        rows = []
        for k in range(2 * _TURN):  # those of this turn, and of the next one
            offset = builder.mul(builder.add(first, ir.Constant(whole, k)), stride)
            row = builder.gep(builder.bitcast(matrix.data, cgutils.voidptr_t), [offset])
            rows.append(builder.bitcast(row, number.as_pointer()))
        rows, following = rows[:_TURN], rows[_TURN:]
        line_of_first = builder.and_(first, ir.Constant(whole, -lanes))

        # what others did, up to the line of these: their rows times steps
        sums = [cgutils.alloca_once_value(builder, zero_line) for _ in rows]
        with cgutils.for_range_slice(builder, none, line_of_first, width, whole) as (j, _):
            taken = load(line, steps, j)
            for row, total in zip(rows, sums, strict=True):
                builder.store(fused(load(line, row, j), taken, builder.load(total)), total)
        totals = [builder.load(total) for total in sums]
        while len(totals) > 1:  # pairs of lanes are added, until there is one a row
            n = 2 * totals[0].type.count
            totals = [
                builder.fadd(picked(a, b, range(0, n, 2)), picked(a, b, range(1, n, 2)))
                for a, b in zip(totals[::2], totals[1::2], strict=True)
            ]
        total = totals[0]
        while total.type.count > _TURN:
            n = total.type.count
            total = builder.fadd(picked(total, total, range(0, n, 2)), picked(total, total, range(1, n, 2)))
        near = builder.fsub(load(block, g, first), total)
        store(near, g, first)

        # one after the other: the way to the top of each parabola, as far as the box goes
        before, most, scale = (load(block, base, first) for base in (alpha, bound, inverse))
        low, high = builder.fsub(zeros, before), builder.fsub(most, before)
        way, steps_now = builder.fmul(near, scale), zeros
        for k, row in enumerate(rows):
            step = clamped(way, low, high)
            steps_now = picked(steps_now, step, [_TURN + i if i == k else i for i in range(_TURN)])
            if k + 1 < _TURN:
                slope = builder.fneg(builder.fmul(load(block, row, first), scale))
                way = fused(slope, picked(step, step, [k] * _TURN), way)
        after = clamped(builder.fadd(before, steps_now), zeros, most)
        steps_now = builder.fsub(after, before)
        store(after, alpha, first)
        store(steps_now, steps, first)

        # what that does to the others, and to these; the rows of the next turn are fetched meanwhile
        bits = builder.bitcast(builder.fcmp_unordered("!=", steps_now, zeros), ir.IntType(_TURN))
        moved = builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))
        int32 = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, int32, int32, int32])
        fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        to_read = [ir.Constant(int32, n) for n in (0, 3, 1)]
        with builder.if_then(moved):
            against = builder.fneg(steps_now)
            factors = [picked(against, against, [k] * lanes) for k in range(_TURN)]
            with cgutils.for_range_slice(builder, none, builder.add(line_of_first, width), width, whole) as (j, _):
                parts = [load(line, g, j), zero_line]  # two sums wait less for each other than one
                for k, row in enumerate(rows):
                    parts[k % 2] = fused(load(line, row, j), factors[k], parts[k % 2])
                store(builder.fadd(*parts), g, j)
                for row in following:
                    place = builder.bitcast(builder.gep(row, [j]), cgutils.voidptr_t)
                    builder.call(fetch, [place, *to_read])
        return moved

    return signature, generate
