"""What a run leaves behind."""

from __future__ import annotations

from scipy.optimize import OptimizeResult


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
    runs : list
        One entry a run where a method restarts; empty otherwise.
    history : History or None
        What was recorded on the way; see `lmcma.record`.
    """
