"""`minimize` and `minimize_multi`, the front doors for those who have a function and a start."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lmcma import driver
from lmcma.arguments import as_bounds, as_count, as_point, as_real, as_starts
from lmcma.errors import ArgumentError, ArgumentTypeError, near_miss
from lmcma.evaluate import Evaluator, Workers, evaluator
from lmcma.random import Seed
from lmcma.record import Checkpoint, History
from lmcma.record.checkpoint import PathLike
from lmcma.registry import make, methods, resolve
from lmcma.restarts import SCHEMES, Restarts, Scheme
from lmcma.result import MultiResult, Result
from lmcma.strategies.protocol import Strategy
from lmcma.termination import StopOption
from lmcma.transforms import make_mapped
from lmcma.typing import FloatArray


def minimize(
    fun: Callable[[FloatArray], Any],
    x0: ArrayLike,
    sigma0: float,
    *,
    method: str = "auto",
    options: Mapping[str, Any] | None = None,
    bounds: Any = None,
    stds: ArrayLike | None = None,
    restarts: str | Scheme | None = None,
    x0_box: tuple[ArrayLike, ArrayLike] | None = None,
    popsize: int | None = None,
    maxfev: int | None = None,
    maxiter: int | None = None,
    ftarget: float | None = None,
    max_time: float | None = None,
    max_memory: float | None = None,
    stop: StopOption = None,
    workers: Workers = 1,
    vectorized: bool = False,
    on_error: str = "worst",
    rng: Seed = None,
    callback: driver.Callback | None = None,
    record: bool = True,
    checkpoint: PathLike | None = None,
    resume: bool = False,
) -> Result:
    """Minimise a function of n real variables, without derivatives.

    Parameters
    ----------
    fun : callable
        ``fun(x) -> float`` for x of shape (n,). Return NaN where it cannot be computed.
    x0 : (n,) array_like
        The start: mean of the first search distribution.
    sigma0 : float
        Its standard deviation, in the units of `x0`; about 0.2 to 0.3 of the range where the optimum is expected.
        One number suits all variables where their scales are alike; `stds` tells where they are not.
    method : str
        A name from `lmcma.methods`; "auto" takes `cma` while its matrices fit in memory and n <= 500, else `lm-cma`.
    options : mapping, optional
        Further options of the method, such as ``{"active": False}`` for `cma`.
    bounds : (low, high), n pairs, or scipy.optimize.Bounds; optional
        All points evaluated are within them. Either (low, high), each a number or an (n,) array; or a sequence of one
        pair (low, high) a variable. None and infinities mean no bound on that side. For n = 2, two rows of two
        numbers are two pairs. See `lmcma.transforms.Coordinates` for how.
    stds : (n,) array_like, optional
        Scales of the variables: the first standard deviations are ``sigma0 * stds``.
    restarts : {"independent", "ipop", "bipop", "nipop", "nbipop"} or Scheme, optional
        Run `method` again and again, with other population and step sizes, until a limit is reached; for functions
        with many local minima. Set `maxfev`, `ftarget` or `max_time`. ``method="bipop-cma"`` says the same.
    x0_box : (low, high), optional
        Where restarts begin: points drawn uniformly from this box, numbers or (n,) arrays; within `bounds`.
    popsize : int, optional
        Offspring per iteration; 4 + floor(3 ln n) by default.
    maxfev, maxiter : int, optional
        Limits of evaluations and iterations; none by default. The stopping rules end a run that makes no progress.
    ftarget : float, optional
        Stop when a value <= `ftarget` is found; `success` then means that it was.
    max_time : float, optional
        Seconds after which no further iteration is started.
    max_memory : float, optional
        Bytes that the method may take; four fifths of the machine's memory by default.
    stop : str or mapping, optional
        Stopping rules: the name of a profile (`lmcma.termination.PROFILES`), or changes of single rules such as
        ``{"tolx": 1e-9, "stagnation": None}``.
    workers : int, Executor or callable
        How many points are evaluated at the same time, in processes of their own; -1: as many as there are processors.
        Or a `concurrent.futures.Executor`, or a function that works like `map`. The run is the same for any number.
    vectorized : bool
        `fun` takes a whole batch, (k, n), and returns its k values. With `workers`, each gets a part of the batch.
    on_error : {"worst", "raise"}
        What an evaluation means that raises or returns no number: counted as NaN, which ranks last, or raised
        as `ObjectiveError`. An error at the very first evaluation is always raised.
    rng : None, int, SeedSequence or Generator
        Source of randomness. The same seed gives the same run, to the bit, on the same machine and libraries.
    callback : callable, optional
        ``callback(result)`` after every iteration; a true return value or `StopIteration` ends the run.
    record : bool
        Keep the course of the run in `result.history`, for `lmcma.plotting.convergence`.
    checkpoint : str or path, optional
        A file that keeps the run: written every ten seconds (less often where writing takes long) and at the end.
    resume : bool
        Go on with the run in the file `checkpoint`, to the bit, if it is there. The other arguments must be the same,
        but for limits: new `maxfev`, `maxiter` and `ftarget` count, `max_time` begins anew; `rng` has no effect.

    Returns
    -------
    Result
        A `scipy.optimize.OptimizeResult`: `x`, `fun`, `nfev`, `success`, `message`, `stop`, `mean`, `history`, ...

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError, UnknownMethodError
        An argument cannot be used; the message says which, what was expected, and what to do.
    ObjectiveError
        `fun` failed at its first evaluation, or later with ``on_error="raise"``; or its workers did.
    CheckpointError, StateError
        The file `checkpoint` cannot be written or read; is none.
    MemoryLimitError
        The method needs too much memory in this dimension.

    Examples
    --------
    >>> import lmcma
    >>> def rosenbrock(x):
    ...     return sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
    >>> res = lmcma.minimize(rosenbrock, [0.0] * 5, 0.3, ftarget=1e-9, rng=1)
    >>> bool(abs(res.x - 1).max() < 1e-3)
    True
    """
    evaluate = evaluator(fun, on_error, workers=workers, vectorized=vectorized)
    given: dict[str, Any] = {
        "popsize": popsize,
        "maxfev": maxfev,
        "maxiter": maxiter,
        "ftarget": ftarget,
        "max_memory": max_memory,
        "stop": stop,
        "rng": rng,
        "bounds": bounds,
        "stds": stds,
    }
    given |= _options(options, given) if x0_box is None else {"x0_box": x0_box, **_options(options, given)}
    build = functools.partial(strategy_of, method, x0, sigma0, restarts, given)
    recorder = History() if record else None
    keeper: Checkpoint | None = None
    if checkpoint is not None:
        parts: dict[str, Any] = {"evaluator": evaluate, **({} if recorder is None else {"history": recorder})}
        start = as_point("x0", x0)
        name = resolve(method, len(start), given["max_memory"], given["popsize"]).name
        described = _described(name, start, sigma0, {"restarts": restarts, **given}, (*_LIMITS, "max_memory"))
        keeper = Checkpoint(checkpoint, described, parts)
    return _run(build, evaluate, recorder, keeper, {k: given[k] for k in _LIMITS}, resume, callback, max_time)


_LIMITS = ("ftarget", "maxfev", "maxiter")
_LIMITS_MULTI = ("hv_target", "maxfev", "maxiter")


def minimize_multi(
    fun: Callable[[FloatArray], Any],
    x0: ArrayLike,
    sigma0: float,
    *,
    n_obj: int = 2,
    method: str = "auto",
    options: Mapping[str, Any] | None = None,
    bounds: Any = None,
    stds: ArrayLike | None = None,
    x0_box: tuple[ArrayLike, ArrayLike] | None = None,
    popsize: int | None = None,
    maxfev: int | None = None,
    maxiter: int | None = None,
    hv_target: float | None = None,
    max_time: float | None = None,
    reference: ArrayLike | None = None,
    workers: Workers = 1,
    vectorized: bool = False,
    on_error: str = "worst",
    rng: Seed = None,
    callback: Callable[[MultiResult], Any] | None = None,
    checkpoint: PathLike | None = None,
    resume: bool = False,
) -> MultiResult:
    """Minimise several functions of n real variables at once: find points that no other dominates.

    Parameters
    ----------
    fun : callable
        ``fun(x) -> n_obj numbers`` for x of shape (n,). A NaN among them means that the evaluation failed.
    x0 : (n,) or (k, n) array_like
        The start, or several.
    sigma0 : float
        The first step size, in the units of `x0`; about 0.1 of the range where good points are expected.
    n_obj : int
        Objectives. More than two need the package moocore.
    method : str
        "mo-cma", or for two objectives "up-mo-cma" or "hmo-cma"; see `lmcma.methods`. "auto" takes `hmo-cma` for two,
        `mo-cma` for more.
    options : mapping
        Further options of the method, such as ``{"variant": "generational"}``, or ``{"batch": 8}`` for eight points at
        a time.
    bounds : (low, high), n pairs, or scipy.optimize.Bounds; optional
        No point is evaluated outside. As in `minimize`.
    stds : (n,) array_like, optional
        Scales of the variables: the first standard deviations are ``sigma0 * stds``.
    x0_box : (low, high), optional
        Where individuals start, numbers or (n,) arrays; within `bounds`. By default around `x0`.
    popsize : int, optional
        Individuals; by default as the method says.
    maxfev, maxiter : int, optional
        Limits of evaluations and iterations; none by default. One of the limits, or `hv_target`, is needed: a run ends
        by itself only when all step sizes have become tiny.
    hv_target : float, optional
        Stop at this hypervolume; needs `reference`. `success` then means that it was reached.
    max_time : float, optional
        Seconds after which no further iteration is started.
    reference : (n_obj,) array_like, optional
        Reference point of the hypervolume: worse in every objective than all points that matter. With it the result has
        the hypervolume and how it grew.
    workers : int, Executor or callable
        How many points are evaluated at the same time, as in `minimize`; the batches of the method limit it.
    vectorized : bool
        `fun` takes a whole batch, (k, n), and returns (k, n_obj).
    on_error : {"worst", "raise"}
        What an evaluation means that raises or returns something else: counted as NaN, or raised. As in `minimize`.
    rng : None, int, SeedSequence or Generator
        Source of randomness. The same seed gives the same run, to the bit, on the same machine and libraries.
    callback : callable, optional
        ``callback(result)`` after every iteration; a true return value or `StopIteration` ends the run.
    checkpoint : str or path, optional
        A file that keeps the run, as in `minimize`.
    resume : bool
        Go on with the run in the file `checkpoint`, to the bit, if it is there; only limits may be new.

    Returns
    -------
    MultiResult
        A `scipy.optimize.OptimizeResult`: `X`, `F`, `nfev`, `message`, `hypervolume`, ...

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError, UnknownMethodError
        An argument cannot be used; the message says which, what was expected, and what to do.
    ObjectiveError
        `fun` failed at its first evaluation, or later with ``on_error="raise"``; or had no finite values for long.
    CheckpointError, StateError
        The file `checkpoint` cannot be written or read; is none.
    MissingDependencyError
        More than two objectives without moocore.

    Examples
    --------
    >>> import lmcma
    >>> def distances(x):
    ...     return sum(x**2), sum((x - 1) ** 2)
    >>> res = lmcma.minimize_multi(distances, [0.5] * 3, 0.3, popsize=20, maxfev=2000, reference=(4, 4), rng=1)
    >>> bool(res.hypervolume > 14)
    True
    """
    objectives = as_count("n_obj", n_obj, 2)
    if method == "auto":
        method = "hmo-cma" if objectives == 2 else "mo-cma"
    elif methods()[method].n_obj == 1:
        several = [m.name for m in methods().values() if m.n_obj > 1]
        raise ArgumentError(
            f"`method` must be one of {', '.join(map(repr, several))}; got {method!r}, for one objective."
        )
    evaluate = evaluator(fun, on_error, workers=workers, vectorized=vectorized, n_obj=objectives)
    given: dict[str, Any] = {
        "n_obj": objectives,
        "popsize": popsize,
        "maxfev": maxfev,
        "maxiter": maxiter,
        "hv_target": hv_target,
        "reference": reference,
        "rng": rng,
        "bounds": bounds,
        "stds": stds,
        "x0_box": x0_box,
    }
    given |= _options(options, given)
    limits = {name: given[name] for name in _LIMITS_MULTI}
    if max_time is None and callback is None and all(limit is None for limit in limits.values()):
        raise ArgumentError("`maxfev`, `maxiter`, `hv_target`, `max_time` or `callback` must end the run; got none.")
    keeper: Checkpoint | None = None
    if checkpoint is not None:
        described = _described(method, as_starts(x0), sigma0, given, _LIMITS_MULTI)
        keeper = Checkpoint(checkpoint, described, {"evaluator": evaluate})
    build = functools.partial(make, method, x0, sigma0, **given)
    return _run(build, evaluate, None, keeper, limits, resume, callback, max_time)


def _options(options: Mapping[str, Any] | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the method, which must not repeat arguments."""
    if not isinstance(options, Mapping | None):
        raise ArgumentTypeError(f"`options` must be a mapping of names to values; got {options!r:.80}.")
    extra = dict(options or {})
    twice = sorted(name for name in extra if given.get(name) is not None)
    if twice:
        raise ArgumentError(f"`options` repeats {', '.join(map(repr, twice))}, given as an argument too. Give it once.")
    return extra


def _run(
    build: Callable[[], Strategy],
    evaluate: Evaluator,
    recorder: History | None,
    keeper: Checkpoint | None,
    limits: Mapping[str, Any],
    resume: bool,
    callback: Callable[[Any], Any] | None,
    max_time: float | None,
) -> Any:
    """Drive the strategy that `build` makes, or that of a checkpoint with new limits."""
    if callback is not None and not callable(callback):
        raise ArgumentTypeError(f"`callback` must be callable, callback(result); got {callback!r:.80}.")
    if max_time is not None and not as_real("max_time", max_time) > 0:
        raise ArgumentError(f"`max_time` must be a number of seconds > 0; got {max_time!r}.")
    if keeper is not None:
        strategy = keeper.begin(build, limits, resume=resume)
    elif resume:
        raise ArgumentError("`resume` needs the name of a file, `checkpoint`; got None.")
    else:
        strategy = build()
    with evaluate:
        return driver.run(
            strategy, evaluate, recorder=recorder, checkpoint=keeper, callback=callback, max_time=max_time
        )


def strategy_of(
    method: str, x0: ArrayLike, sigma0: float, restarts: str | Scheme | None, given: Mapping[str, Any]
) -> Strategy:
    """What the arguments of `minimize` describe; `given` are all others that `make` takes."""
    if methods()[method].n_obj > 1:
        raise ArgumentError(f"`method`: {method!r} is for several objectives. Call lmcma.minimize_multi.")
    if restarts is None:
        return make(method, x0, sigma0, **given)
    base = resolve(method, len(as_point("x0", x0)), given.get("max_memory"), given.get("popsize"))
    if base.inner:
        raise ArgumentError(f"`restarts`: method {base.name!r} restarts by itself. Give one of the two.")
    if isinstance(restarts, Scheme):
        chain = functools.partial(Restarts, strategy=base.name, scheme=restarts)
        return make_mapped(chain, x0, sigma0, **given)
    if restarts not in SCHEMES:
        raise ArgumentError(f"`restarts`: there is no scheme {restarts!r}; {near_miss(str(restarts), SCHEMES)}")
    known = [scheme for scheme in SCHEMES if f"{scheme}-{base.name}" in methods()]
    if restarts not in known:
        raise ArgumentError(f"`restarts` must be one of {known} for method {base.name!r}; got {restarts!r}.")
    return make(f"{restarts}-{base.name}", x0, sigma0, **given)


def _described(
    method: str, start: FloatArray, sigma0: float, given: Mapping[str, Any], free: tuple[str, ...]
) -> dict[str, Any]:
    """The arguments as data, without `rng` and those `free` to differ when the run goes on."""
    own = {key: _plain(value) for key, value in given.items() if key not in (*free, "rng")}
    if own.get("bounds") is not None:
        own["bounds"] = np.array(as_bounds(own["bounds"], start.shape[-1]))  # the same in whatever form they were given
    return {"method": method, "x0": start, "sigma0": sigma0, **own}


def _plain(value: Any) -> Any:
    """`value` as numbers and text, where it is an object of ours or a scipy.optimize.Bounds."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return (value.lb, value.ub) if hasattr(value, "lb") and hasattr(value, "ub") else value
