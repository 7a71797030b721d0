"""What a run leaves behind."""

from __future__ import annotations

import math
from typing import Any

from scipy.optimize import OptimizeResult

from lmcma.termination import Stop, StopReason

_LIMITS = (StopReason.MAXFEV, StopReason.MAXITER, StopReason.MAX_TIME, StopReason.CALLBACK)


class Result(OptimizeResult):  # type: ignore[misc]
    """A `scipy.optimize.OptimizeResult` of a run of an evolution strategy.

    Attributes
    ----------
    x : (n,) array
        The best point evaluated; the start where nothing was evaluated.
    fun : float
        Its value; NaN where nothing was evaluated.
    nfev, nit : int
        Evaluations and iterations.
    nfail : int
        Evaluations that gave no number (NaN, or an error counted as such).
    success : bool
        True when the search converged, or reached `ftarget` where one was given.
    status : int
        0 for success, 1 for a limit (evaluations, iterations, time, callback), 2 for any other end, -1 while running.
    message : str
        Why it ended, for people.
    stop : Stop or None
        The same as data: reason, value, threshold, and what else fired.
    mean : (n,) array
        The mean of the search distribution, often better than `x` on noisy functions.
    sigma : float
        The step size.
    method : str
        Its name in the registry.
    popsize : int
        The population size, of the last run.
    runs : list
        One entry a run where a method restarts; empty otherwise.
    history : History or None
        What was recorded on the way; see `lmcma.record`.
    """


class MultiResult(OptimizeResult):  # type: ignore[misc]
    """A `scipy.optimize.OptimizeResult` of a run with several objectives.

    Attributes
    ----------
    X : (K, n) array
        All points that no other dominates, of all that were evaluated, in order of the first objective.
    F : (K, n_obj) array
        Their objectives.
    eval_index : (K,) array
        The evaluations that found them, counted from 1.
    ideal, nadir : (n_obj,) array
        Least and largest values in `F`; NaN where it is empty.
    best_x : (n_obj, n) array
        A point with the least value of each objective.
    best_f : (n_obj, n_obj) array
        Their objectives.
    hypervolume : float or None
        Of `F`, where a reference point was given.
    hv_history : (r, 2) array or None
        How it grew: evaluations, value; at most fifty rows for each power of ten.
    nfev, nit, nfail : int
        Evaluations, iterations, evaluations without finite values.
    success : bool
        True when the search converged, or reached `hv_target` where one was given.
    status : int
        0 for success, 1 for a limit (evaluations, iterations, time, callback), 2 for any other end, -1 while running.
    message : str
        Why it ended, for people.
    stop : Stop or None
        The same as data.
    thinned : int
        Points that the archive gave up because there were too many.
    method : str
        Its name in the registry.
    n_obj, popsize : int
        Objectives; individuals of the population.
    """


def outcome(stop: Stop | None, best_f: float, ftarget: float) -> dict[str, Any]:
    """The fields of a result that say how the run ended: success, status, message, stop."""
    if stop is None:
        return {"success": False, "status": -1, "message": "running", "stop": None}
    success = bool(best_f <= ftarget) if ftarget > -math.inf else stop.converged
    status = 0 if success else 1 if stop.reason in _LIMITS else 2
    return {"success": success, "status": status, "message": stop.message, "stop": stop}
