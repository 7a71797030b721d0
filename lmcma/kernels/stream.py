"""Writing long rows past the caches: what is not read again soon need not be fetched before it is overwritten."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from lmcma.kernels.compile import kernel
from lmcma.typing import FloatArray

STREAM_FROM = 65_536  # numbers in a row; shorter rows had better stay in the caches
_LANES = 8  # doubles in a line of the cache


@intrinsic
def _write_line(typing_context: Any, source: Any, i: Any, target: Any, j: Any) -> Any:
    """Copy eight doubles, source[i:] to target[j:], which lies at a multiple of 64 bytes, with a non-temporal store."""
    signature = types.void(source, i, target, j)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        line = ir.VectorType(ir.DoubleType(), _LANES).as_pointer()
        places = []
        for kind, array, index in zip(signature.args[::2], arguments[::2], arguments[1::2], strict=True):
            data = context.make_array(kind)(context, builder, array).data
            places.append(builder.bitcast(builder.gep(data, [index]), line))
        numbers = builder.load(places[0])
        numbers.align = 8
        store = builder.store(numbers, places[1])
        store.align = 64
        store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
        return context.get_dummy_value()

    return signature, generate


@kernel
def copy(source: FloatArray, x: FloatArray) -> None:
    """Copy the first numbers of `source` into `x`, past the caches.

    source : (>= k,); x : (k,); both contiguous.
    """
    k = len(x)
    first = min(k, -(x.ctypes.data // 8) % _LANES)
    for j in range(first):
        x[j] = source[j]
    j = first
    while j + _LANES <= k:
        _write_line(source, j, x, j)
        j += _LANES
    for i in range(j, k):
        x[i] = source[i]


@kernel
def add_scaled(y: FloatArray, scale: float, step: FloatArray, x: FloatArray, buffer: FloatArray) -> None:
    """Write ``y + scale step`` into `x`, past the caches where `buffer` has room for it.

    y, step, x : (k,), contiguous; buffer : (>= k,) scratch, or (0,).
    """
    k = len(x)
    if len(buffer) < k:
        for j in range(k):
            x[j] = y[j] + scale * step[j]
        return
    for j in range(k):
        buffer[j] = y[j] + scale * step[j]
    copy(buffer, x)
