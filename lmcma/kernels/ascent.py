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
    used = np.flatnonzero(alpha[:m])
    a = alpha[used].astype(np.float64)
    whole = len(used) // 4 * 4
    for k in range(0, whole, 4):
        a0, a1, a2, a3 = a[k], a[k + 1], a[k + 2], a[k + 3]
        row0, row1, row2, row3 = K[used[k]], K[used[k + 1]], K[used[k + 2]], K[used[k + 3]]
        for j in range(m):
            sums[j] = (((sums[j] - a0 * row0[j]) - a1 * row1[j]) - a2 * row2[j]) - a3 * row3[j]
    for k in range(whole, len(used)):
        a0, row0 = a[k], K[used[k]]
        for j in range(m):
            sums[j] -= a0 * row0[j]
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
            kind = f"f{8 * size}" if a.type == number else f"v{a.type.count}f{8 * size}"
            signature = ir.FunctionType(a.type, [a.type] * 3)
            function = cgutils.get_or_insert_function(builder.module, signature, f"llvm.fmuladd.{kind}")
            return builder.call(function, [a, b, c])

        def picked(a: Any, b: Any, places: Sequence[int]) -> Any:
            """Numbers at some places of a and b one after the other."""
            return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(places)), list(places)))

        def clamped(x: Any, low: Any, high: Any) -> Any:
            x = builder.select(builder.fcmp_ordered(">", x, low), x, low)
            return builder.select(builder.fcmp_ordered("<", x, high), x, high)

        def lane(k: int) -> Any:
            return ir.Constant(ir.IntType(32), k)

        def at(a: Any, k: int) -> Any:
            return builder.extract_element(a, lane(k))

        def any_of(truths: Any) -> Any:
            bits = builder.bitcast(truths, ir.IntType(_TURN))
            return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

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
        way = builder.fmul(near, scale)
        slopes = [builder.fneg(builder.fmul(load(block, row, first), scale)) for row in rows]

        # first as if those on the border stay there and none of the others comes to it, so that they hardly wait for
        # each other: what a step does to the next two is computed alone, sooner than what it does to all
        free = builder.and_(builder.fcmp_ordered(">", before, zeros), builder.fcmp_ordered("<", before, most))
        bits = ir.IntType(8 * size)
        mask = builder.sext(free, ir.VectorType(bits, _TURN))
        ways, expected, others = zeros, zeros, way
        ahead = [at(way, 0), at(way, 1)]
        for k in range(_TURN):
            mine = ahead.pop(0)
            step = builder.bitcast(builder.and_(builder.bitcast(mine, bits), at(mask, k)), number)
            ways, expected = (builder.insert_element(a, b, lane(k)) for a, b in ((ways, mine), (expected, step)))
            if k + 1 < _TURN:
                ahead[0] = fused(at(slopes[k], k + 1), step, ahead[0])
            if k + 2 < _TURN:
                ahead.append(fused(at(slopes[k], k + 2), step, at(others, k + 2)))
            if k + 3 < _TURN:
                others = fused(slopes[k], picked(expected, expected, [k] * _TURN), others)

        # where that is not so, again
        chosen = cgutils.alloca_once_value(builder, expected)
        wrong = builder.fcmp_unordered("!=", clamped(ways, low, high), expected)
        with builder.if_then(any_of(wrong), likely=False):
            steps_now = zeros
            for k in range(_TURN):
                step = clamped(way, low, high)
                steps_now = picked(steps_now, step, [_TURN + i if i == k else i for i in range(_TURN)])
                if k + 1 < _TURN:
                    way = fused(slopes[k], picked(step, step, [k] * _TURN), way)
            builder.store(steps_now, chosen)
        steps_now = builder.load(chosen)
        after = clamped(builder.fadd(before, steps_now), zeros, most)
        steps_now = builder.fsub(after, before)
        store(after, alpha, first)
        store(steps_now, steps, first)

        # what that does to the others, and to these; the rows of the next turn are fetched meanwhile
        moved = any_of(builder.fcmp_unordered("!=", steps_now, zeros))
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
