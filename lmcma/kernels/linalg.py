"""BLAS and LAPACK for kernels: SciPy's own routines, called without a copy, a wrapper or a workspace query.

The routines are bound as external symbols, which the compiler's disk cache can keep; their addresses are registered
when this module is imported.  All matrices here are C-ordered (row-major); of symmetric ones only the lower triangle
counts.  LAPACK reads memory column-major, so "lower" here is "U" there.

`ints` is a scratch array of int32: eight places for arguments, then LAPACK's integer workspace.
"""

from __future__ import annotations

import ctypes

from llvmlite import binding
from numba import types
from scipy.linalg import cython_blas, cython_lapack

from lmcma.kernels.compile import kernel
from lmcma.typing import FloatArray, IntArray

_P = types.voidptr


def _external(module: object, name: str, n_args: int) -> types.ExternalFunction:
    """A kernel-callable function for `name` of one of SciPy's Cython modules; all arguments are pointers."""
    capsule = module.__pyx_capi__[name]  # type: ignore[attr-defined]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    symbol = f"lmcma_{name}"
    binding.add_symbol(symbol, api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule)))
    return types.ExternalFunction(symbol, types.void(*[_P] * n_args))


_dsyevd = _external(cython_lapack, "dsyevd", 11)
_dsyrk = _external(cython_blas, "dsyrk", 10)
_dgemm = _external(cython_blas, "dgemm", 13)
_sgemm = _external(cython_blas, "sgemm", 13)

# ASCII codes of LAPACK's options; an option is the first byte of an int32
_N, _T, _U, _V = ord("N"), ord("T"), ord("U"), ord("V")


def eigh_workspace(n: int) -> tuple[int, int]:
    """Sizes of `work` (float64) and `ints` (int32) for `eigh` in dimension n; `ints` also serves the other routines."""
    return 1 + 6 * n + 2 * n * n, 8 + 3 + 5 * n


@kernel
def syevd(a: FloatArray, w: FloatArray, work: FloatArray, ints: IntArray) -> int:
    """Eigenvalues (ascending) of the symmetric `a` into `w`; its eigenvectors replace `a`, one a row. 0 on success.

    a : (n, n); w : (n,); work : (1 + 6n + 2n^2,); ints : (11 + 5n,) int32.
    """
    ints[0], ints[1], ints[2] = _V, _U, a.shape[0]
    ints[3], ints[4], ints[5] = len(work), len(ints) - 8, 0
    jobz, uplo, n, lwork, liwork, info = ints[0:], ints[1:], ints[2:], ints[3:], ints[4:], ints[5:]
    # fmt: off
    _dsyevd(jobz.ctypes, uplo.ctypes, n.ctypes, a.ctypes, n.ctypes, w.ctypes,
            work.ctypes, lwork.ctypes, ints[8:].ctypes, liwork.ctypes, info.ctypes)
    # fmt: on
    return ints[5]


@kernel
def syrk(alpha: float, rows: FloatArray, beta: float, c: FloatArray, scalars: FloatArray, ints: IntArray) -> None:
    """Set ``c = beta c + alpha rows.T @ rows`` in the lower triangle of `c`.

    rows : (k, n); c : (n, n); scalars : (>= 2,) scratch.
    """
    ints[0], ints[1], ints[2], ints[3] = _U, _N, c.shape[0], rows.shape[0]
    scalars[0], scalars[1] = alpha, beta
    uplo, trans, n, k, beta_ = ints[0:], ints[1:], ints[2:], ints[3:], scalars[1:]
    # fmt: off
    _dsyrk(uplo.ctypes, trans.ctypes, n.ctypes, k.ctypes, scalars.ctypes, rows.ctypes, n.ctypes,
           beta_.ctypes, c.ctypes, n.ctypes)
    # fmt: on


@kernel
def gemm(a: FloatArray, b: FloatArray, out: FloatArray, scalars: FloatArray, ints: IntArray) -> None:
    """Write ``a @ b`` into `out`.

    a : (k, n); b : (n, m); out : (k, m); scalars : (>= 2,) scratch.
    """
    accumulate(a, b, 1.0, 0.0, out, scalars, ints)


@kernel
def accumulate(
    a: FloatArray, b: FloatArray, alpha: float, beta: float, out: FloatArray, scalars: FloatArray, ints: IntArray
) -> None:
    """Set ``out = beta out + alpha a @ b``.

    a : (k, n); b : (n, m); out : (k, m), each may be a block of columns of a larger array; scalars : (>= 2,) scratch.
    All four of float64, or all of float32.
    """
    size = a.itemsize
    ints[0], ints[1], ints[2], ints[3] = _N, b.shape[1], a.shape[0], a.shape[1]
    ints[4], ints[5], ints[6] = a.strides[0] // size, b.strides[0] // size, out.strides[0] // size
    scalars[0], scalars[1] = alpha, beta
    trans, m, k, n, beta_ = ints[0:], ints[1:], ints[2:], ints[3:], scalars[1:]
    # fmt: off
    if size == 8:
        _dgemm(trans.ctypes, trans.ctypes, m.ctypes, k.ctypes, n.ctypes, scalars.ctypes, b.ctypes, ints[5:].ctypes,
               a.ctypes, ints[4:].ctypes, beta_.ctypes, out.ctypes, ints[6:].ctypes)
    else:
        _sgemm(trans.ctypes, trans.ctypes, m.ctypes, k.ctypes, n.ctypes, scalars.ctypes, b.ctypes, ints[5:].ctypes,
               a.ctypes, ints[4:].ctypes, beta_.ctypes, out.ctypes, ints[6:].ctypes)
    # fmt: on


@kernel
def accumulate_transposed(
    a: FloatArray, b: FloatArray, beta: float, out: FloatArray, scalars: FloatArray, ints: IntArray
) -> None:
    """Set ``out = beta out + a @ b.T``.

    a : (k, n); b : (m, n); out : (k, m), each may be a block of columns of a larger array; scalars : (>= 2,) scratch.
    All four of float64, or all of float32.
    """
    size = a.itemsize
    ints[0], ints[1], ints[2], ints[3], ints[7] = _N, b.shape[0], a.shape[0], a.shape[1], _T
    ints[4], ints[5], ints[6] = a.strides[0] // size, b.strides[0] // size, out.strides[0] // size
    scalars[0], scalars[1] = 1.0, beta
    trans_a, trans_b, m, k, n, beta_ = ints[0:], ints[7:], ints[1:], ints[2:], ints[3:], scalars[1:]
    # fmt: off
    if size == 8:
        _dgemm(trans_b.ctypes, trans_a.ctypes, m.ctypes, k.ctypes, n.ctypes, scalars.ctypes, b.ctypes, ints[5:].ctypes,
               a.ctypes, ints[4:].ctypes, beta_.ctypes, out.ctypes, ints[6:].ctypes)
    else:
        _sgemm(trans_b.ctypes, trans_a.ctypes, m.ctypes, k.ctypes, n.ctypes, scalars.ctypes, b.ctypes, ints[5:].ctypes,
               a.ctypes, ints[4:].ctypes, beta_.ctypes, out.ctypes, ints[6:].ctypes)
    # fmt: on


@kernel
def add_product(
    a: FloatArray, b: FloatArray, beta: float, out: FloatArray, scalars: FloatArray, ints: IntArray
) -> None:
    """Set ``out = beta out + a.T @ b``.

    a : (k, n); b : (k, m); out : (n, m); scalars : (>= 2,) scratch.
    """
    ints[0], ints[1], ints[2], ints[3], ints[4] = _N, _T, b.shape[1], a.shape[1], a.shape[0]
    scalars[0], scalars[1] = 1.0, beta
    trans_b, trans_a, m, n, k, beta_ = ints[0:], ints[1:], ints[2:], ints[3:], ints[4:], scalars[1:]
    # fmt: off
    _dgemm(trans_b.ctypes, trans_a.ctypes, m.ctypes, n.ctypes, k.ctypes, scalars.ctypes, b.ctypes, m.ctypes,
           a.ctypes, n.ctypes, beta_.ctypes, out.ctypes, m.ctypes)
    # fmt: on
