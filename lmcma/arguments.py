"""Arguments, checked once, at the door: what was given in its proper form, or an error that says what is wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lmcma.errors import ArgumentError, ArgumentTypeError, ShapeError
from lmcma.typing import FloatArray, IntArray


def as_point(name: str, x: ArrayLike) -> FloatArray:
    """`x` as a new (n,) array of finite numbers, n >= 1."""
    try:
        if np.iscomplexobj(x):
            raise TypeError
        point = np.array(x, dtype=np.float64)
    except (TypeError, ValueError):
        raise ArgumentTypeError(f"`{name}` must be a sequence of numbers; got {x!r:.80}.") from None
    if point.ndim != 1 or not len(point):
        raise ShapeError(
            f"`{name}` must have shape (n,), n >= 1; got shape {point.shape}. numpy.ravel({name}) flattens an array."
        )
    bad = np.flatnonzero(~np.isfinite(point))
    if len(bad):
        raise ArgumentError(
            f"`{name}` must be finite; got {point[bad[0]]} at index {bad[0]}. "
            "Start from a point where f can be evaluated."
        )
    return point


def as_points(name: str, x: ArrayLike, n: int) -> FloatArray:
    """`x`, (n,) or (k, n), as a new (k, n) array of finite numbers; nothing is no point."""
    try:
        if np.iscomplexobj(x):
            raise TypeError
        points = np.array(x, dtype=np.float64, ndmin=2)
    except (TypeError, ValueError):
        raise ArgumentTypeError(f"`{name}` must be an array of numbers, ({n},) or (k, {n}); got {x!r:.80}.") from None
    if not points.size:
        return np.empty((0, n))
    if points.ndim != 2 or points.shape[1] != n:
        raise ShapeError(f"`{name}` must have shape ({n},) or (k, {n}), one point a row; got {np.shape(x)}.")
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(bad):
        raise ArgumentError(f"`{name}` must be finite; row {bad[0]} is not. Leave out what cannot be evaluated.")
    return points


def shape_of(x: ArrayLike) -> tuple[int, ...]:
    """The shape of `x`; (0,) where it has none."""
    try:
        return np.shape(x)
    except ValueError:  # rows of different lengths
        return (0,)


def as_starts(x0: ArrayLike) -> FloatArray:
    """`x0`, (n,) or (k, n), as a (k, n) array of finite numbers, k >= 1."""
    shape = shape_of(x0)
    if 0 in shape or len(shape) > 2:
        raise ShapeError(f"`x0` must have shape (n,) or (k, n), one start a row; got {x0!r:.80}.")
    return as_points("x0", x0, shape[-1] if shape else 1)


def as_batch(x: ArrayLike, k: int, n: int) -> FloatArray:
    """`x` as a (k, n) array; not copied where it is one."""
    try:
        if np.iscomplexobj(x):
            raise TypeError
        points = np.ascontiguousarray(x, dtype=np.float64)
    except (TypeError, ValueError):
        raise ArgumentTypeError(f"`x` must be an array of numbers of shape ({k}, {n}); got {x!r:.80}.") from None
    if points.shape != (k, n):
        raise ShapeError(
            f"`x` must have shape ({k}, {n}), one row per value of `f`; got {points.shape}. "
            "Pass the array that `ask` returned, or the rows that `ids` names."
        )
    return points


def as_out(out: FloatArray, rows: int, n: int) -> FloatArray:
    """The first `rows` rows of the caller's array for a batch."""
    ok = (
        isinstance(out, np.ndarray)
        and out.ndim == 2
        and out.shape[1] == n
        and out.shape[0] >= rows
        and out.dtype == np.float64
        and out.flags.carray  # contiguous, aligned, writeable
    )
    if not ok:
        found = f"shape {out.shape}, {out.dtype}" if isinstance(out, np.ndarray) else repr(type(out))
        raise ShapeError(
            f"`out` must be a writeable, aligned, C-contiguous float64 array of shape (>= {rows}, {n}); got {found}. "
            f"numpy.empty(({rows}, {n})) makes one."
        )
    return out[:rows]


def check_finite(points: FloatArray, rows: list[int]) -> None:
    """Points of the caller's own must be points."""
    for row in rows:
        if not np.isfinite(points[row]).all():
            raise ArgumentError(
                f"`x` must be finite in rows of your own; row {row} is not. Tell the row as asked, with f = nan."
            )


def as_box(name: str, box: Any, n: int) -> tuple[FloatArray, FloatArray]:
    """`box` as two (n,) arrays of finite numbers, low < high."""
    try:
        low, high = (np.broadcast_to(np.asarray(v, dtype=np.float64), (n,)).copy() for v in box)
    except (TypeError, ValueError):
        raise ShapeError(
            f"`{name}` must be (low, high), two numbers or arrays of shape ({n},); got {box!r:.80}."
        ) from None
    if not (np.isfinite(low) & np.isfinite(high) & (low < high)).all():
        raise ArgumentError(f"`{name}` must be finite with low < high in every coordinate; got {box!r:.80}.")
    return low, high


def as_bounds(bounds: Any, n: int) -> tuple[FloatArray, FloatArray]:
    """Bounds in any of their forms as two (n,) arrays, low < high, infinite where there is no bound.

    The forms: None; (low, high), each a number, None or an (n,) array; n pairs (low, high), one a coordinate; an object
    with `lb` and `ub`, such as `scipy.optimize.Bounds`. Two rows of two numbers are two pairs.

    >>> as_bounds([(0, None), (None, None), (-1, 1)], 3)
    (array([  0., -inf,  -1.]), array([inf, inf,  1.]))
    """
    if bounds is None:
        bounds = (None, None)
    try:
        if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
            low, high = bounds.lb, bounds.ub
        else:
            given = list(bounds)
            if len(given) == n and all(np.shape(pair) == (2,) for pair in given):
                low, high = zip(*given, strict=True)
            else:
                low, high = given
        low, high = _side(low, -math.inf, n), _side(high, math.inf, n)
    except (TypeError, ValueError):
        raise ShapeError(
            f"`bounds` must be (low, high), two numbers or arrays of shape ({n},), or {n} pairs (low, high), "
            f"one a coordinate; got {bounds!r:.80}."
        ) from None
    bad = np.flatnonzero(~(low < high))
    if len(bad):
        j = bad[0]
        fixed = " Leave out of `x0` what is fixed, and put it into the function." if low[j] == high[j] else ""
        pairs = " Two rows of two numbers are the pairs of two coordinates." if n == 2 else ""
        raise ArgumentError(
            "`bounds` must have low < high in every coordinate; "
            f"got low[{j}] = {low[j]:g}, high[{j}] = {high[j]:g}.{fixed}{pairs}"
        )
    return low, high


def _side(values: Any, none: float, n: int) -> FloatArray:
    """One side of the bounds as an (n,) array; None counts as `none`."""
    array = np.asarray(values)
    if array.dtype == object:
        array = np.reshape([none if v is None else v for v in array.ravel()], array.shape)
    if array.dtype.kind not in "fiub":
        raise TypeError
    return np.broadcast_to(array, (n,)).astype(np.float64)


def as_stds(stds: ArrayLike, n: int) -> FloatArray:
    """The scales of n coordinates as an (n,) array of finite numbers > 0."""
    scale = as_point("stds", stds)
    if scale.shape != (n,):
        raise ShapeError(f"`stds` must have shape ({n},), one number per coordinate of `x0`; got {scale.shape}.")
    bad = np.flatnonzero(scale <= 0)
    if len(bad):
        raise ArgumentError(
            f"`stds` must be > 0; got stds[{bad[0]}] = {scale[bad[0]]:g}. Leave a variable that is fixed out of `x0`."
        )
    return scale


def check_inside(name: str, x: FloatArray, low: FloatArray, high: FloatArray) -> None:
    """Raise an `ArgumentError` unless all points, (n,) or (k, n), are within the bounds; what is not finite is."""
    outside = ((x < low) | (x > high)) & np.isfinite(x)
    if outside.any():
        at = tuple(int(i[0]) for i in np.nonzero(outside))
        j, value = at[-1], float(x[at])
        side = f"below low[{j}] = {float(low[j])}" if value < low[j] else f"above high[{j}] = {float(high[j])}"
        raise ArgumentError(
            f"`{name}` must lie within `bounds`; {name}[{', '.join(map(str, at))}] = {value} is {side}. "
            "Move it inside or onto the bound, or give wider bounds."
        )


def as_real(name: str, value: Any) -> float:
    """`value` as a number that is not NaN."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if number != number or isinstance(value, (str, bytes)):
        raise ArgumentTypeError(f"`{name}` must be a number; got {value!r:.80}.")
    return number


def as_positive(name: str, value: Any) -> float:
    """`value` as a finite number > 0."""
    number = as_real(name, value)
    if not 0 < number < math.inf:
        raise ArgumentError(
            f"`{name}` must be > 0 and finite; got {value!r}. "
            "About 0.2 to 0.3 of the range where the optimum is expected is a good choice for sigma0."
            if name == "sigma0"
            else f"`{name}` must be > 0 and finite; got {value!r}."
        )
    return number


def one_of(name: str, value: Any, known: tuple[Any, ...]) -> Any:
    """`value`, which must be one of those `known`: text, or objects such as False."""
    if not any(value is k or (isinstance(k, str) and isinstance(value, str) and value == k) for k in known):
        raise ArgumentError(f"`{name}` must be one of {', '.join(map(repr, known))}; got {value!r:.80}.")
    return value


def as_count(name: str, value: Any, least: int) -> int:
    """`value` as an integer of at least `least`; 1e5 counts as one."""
    try:
        number = float(value)
        ok = number == int(number) and not isinstance(value, (str, bool))
    except (TypeError, ValueError, OverflowError):
        ok = False
    if not ok:
        raise ArgumentTypeError(f"`{name}` must be an integer >= {least}; got {value!r:.80}.")
    if number < least:
        raise ArgumentError(f"`{name}` must be >= {least}; got {value!r}.")
    return int(number)


def as_limits(ftarget: Any, maxfev: Any, maxiter: Any) -> tuple[float, float, float]:
    """The limits of a run as numbers, infinite where there is none."""
    return (
        -math.inf if ftarget is None else as_real("ftarget", ftarget),
        math.inf if maxfev is None else as_count("maxfev", maxfev, 1),
        math.inf if maxiter is None else as_count("maxiter", maxiter, 1),
    )


def as_values(f: ArrayLike) -> FloatArray:
    """`f` as a new (k,) array of float64."""
    try:
        values = np.asarray(f)
        if values.dtype.kind not in "fiub":
            values = np.asarray([float(v) for v in values.tolist() if not _is_text(v)], dtype=np.float64)
            if values.shape != np.shape(f):
                raise TypeError
    except (TypeError, ValueError):
        raise ArgumentTypeError(
            f"`f` must be numbers, one per row of `x`; got {f!r:.80}. Tell numpy.nan for a failed evaluation."
        ) from None
    if values.ndim != 1:
        raise ShapeError(f"`f` must have shape (k,), one value per row of `x`; got {values.shape}.")
    return values.astype(np.float64)


def as_objectives(f: ArrayLike, n_obj: int) -> FloatArray:
    """`f` as a new (k, n_obj) array of float64."""
    try:
        if np.iscomplexobj(f):
            raise TypeError
        values = np.array(f, dtype=np.float64, order="C")
    except (TypeError, ValueError):
        raise ArgumentTypeError(
            f"`f` must be numbers, {n_obj} per row of `x`; got {f!r:.80}. Tell numpy.nan for a failed evaluation."
        ) from None
    if values.ndim != 2 or values.shape[1] != n_obj:
        raise ShapeError(f"`f` must have shape (k, {n_obj}), one row of objectives per row of `x`; got {values.shape}.")
    return values


def as_ids(ids: Any, k: int, asked: int) -> IntArray:
    """`ids` as k rows of a batch of `asked`, or -1."""
    rows = np.asarray(ids)
    if rows.shape != (k,) or not (np.issubdtype(rows.dtype, np.integer) or k == 0):
        raise ShapeError(f"`ids` must be {k} integers, one per value of `f`; got shape {rows.shape}, {rows.dtype}.")
    if ((rows < -1) | (rows >= asked)).any():
        raise ArgumentError(
            f"`ids` must be rows of the batch, 0 to {asked - 1}, or -1 for points of your own; got {rows.tolist()}."
        )
    return rows.astype(np.int64)


def _is_text(value: Any) -> bool:
    return isinstance(value, (str, bytes, complex))
