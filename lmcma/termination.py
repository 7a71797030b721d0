"""Why a run ends: reasons, the rules with their thresholds, and the published sets of rules.

A rule compares a measured value with a threshold; `None` as threshold switches it off.  The tests
themselves are compiled (`lmcma.kernels.stopping`); this file says what is tested, and against what.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from lmcma.errors import ArgumentError, ArgumentTypeError, near_miss


class StopReason(enum.StrEnum):
    """The name of the rule that ended a run."""

    FTARGET = "ftarget"
    HYPERVOLUME = "hypervolume"
    MAXFEV = "maxfev"
    MAXITER = "maxiter"
    TOLFUN = "tolfun"
    TOLHISTFUN = "tolhistfun"
    EQUALFUNVALS = "equalfunvals"
    STAGNATION = "stagnation"
    TOLX = "tolx"
    TOLFACUPX = "tolfacupx"
    TOLUPSIGMA = "tolupsigma"
    CONDITIONCOV = "conditioncov"
    NOEFFECTAXIS = "noeffectaxis"
    NOEFFECTCOOR = "noeffectcoor"
    NUMERIC = "numeric"
    EIGEN_FAILURE = "eigen_failure"
    ALL_NAN = "all_nan"
    MAXRESTARTS = "maxrestarts"
    MAX_TIME = "max_time"
    CALLBACK = "callback"


# What a reader of a result wants to know.  {v} is the measured value, {t} the threshold.
_TEXT = {
    StopReason.FTARGET: "the best value {v} reached ftarget = {t}",
    StopReason.HYPERVOLUME: "the hypervolume {v} reached its target {t}",
    StopReason.MAXFEV: "{v} evaluations used, the limit is {t}",
    StopReason.MAXITER: "{v} iterations done, the limit is {t}",
    StopReason.TOLFUN: "values of this iteration and recent best values differ by {v} <= {t}",
    StopReason.TOLHISTFUN: "recent best values differ by {v} <= {t}",
    StopReason.EQUALFUNVALS: "equal best values in {v} recent iterations, the limit is {t}",
    StopReason.STAGNATION: "medians of best and median values got worse by {v} >= {t} over the long history",
    StopReason.TOLX: "the search distribution shrank to {v} < {t} in every coordinate",
    StopReason.TOLFACUPX: "a standard deviation grew to {v} > {t}; sigma0 was far too small, or f has no minimum",
    StopReason.TOLUPSIGMA: "sigma/sigma0 grew to {v} > {t} times the longest axis",
    StopReason.CONDITIONCOV: "the condition number of the covariance matrix is {v} > {t}",
    StopReason.NOEFFECTAXIS: "a step along principal axis {v} no longer changes the mean",
    StopReason.NOEFFECTCOOR: "a step along coordinate {v} no longer changes the mean",
    StopReason.NUMERIC: "the search distribution reaches beyond the floating point numbers ({v} > {t})",
    StopReason.EIGEN_FAILURE: "the covariance matrix could not be decomposed",
    StopReason.ALL_NAN: "{v} iterations in a row without one finite value, the limit is {t}",
    StopReason.MAXRESTARTS: "{v} restarts with a larger population done, the limit is {t}",
    StopReason.MAX_TIME: "{v} seconds used, the limit is {t}",
    StopReason.CALLBACK: "the callback asked to stop",
}
_CONVERGED = frozenset(
    {
        StopReason.FTARGET,
        StopReason.HYPERVOLUME,
        StopReason.TOLFUN,
        StopReason.TOLHISTFUN,
        StopReason.EQUALFUNVALS,
        StopReason.TOLX,
        StopReason.NOEFFECTAXIS,
        StopReason.NOEFFECTCOOR,
    }
)


@dataclasses.dataclass(frozen=True)
class Stop:
    """Why a run ended; always truthy.

    Parameters
    ----------
    reason : StopReason
        The rule; compares equal to its name, ``stop.reason == "tolx"``.
    value, threshold : float
        What was measured, and the limit it passed.
    also : tuple of Stop
        Other rules that fired in the same iteration.
    """

    reason: StopReason
    value: float = math.nan
    threshold: float = math.nan
    also: tuple[Stop, ...] = ()

    @property
    def converged(self) -> bool:
        """True where the end means that the search is finished rather than cut short or broken."""
        return self.reason in _CONVERGED

    @property
    def message(self) -> str:
        """One line for people, built from the data."""
        text = _TEXT[self.reason].format(v=_number(self.value), t=_number(self.threshold))
        more = f" (also {', '.join(s.reason for s in self.also)})" if self.also else ""
        return f"{self.reason}: {text}{more}"

    def __str__(self) -> str:
        return self.message


def _number(value: float) -> str:
    """Counts in full, other numbers with six digits."""
    return str(int(value)) if abs(value) < 1e15 and value == int(value) else f"{value:g}"


def first_of(fired: Sequence[Stop]) -> Stop | None:
    """The first of several ends, with the others in `also`; None where there is none."""
    return dataclasses.replace(fired[0], also=tuple(fired[1:])) if fired else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class StopRules:
    """Thresholds of the stopping rules; None switches a rule off.

    All fields are numbers apart from three rules that exist in two published forms, "bbob" (BIPOP-CMA-ES,
    2009) and "matlab" (version 3.55, IPOP-aCMA-ES 2010): `maxiter`, `equalfunvals`, `stagnation`.
    With n the dimension, popsize the population size, t the iteration and k = 1 + ceil(0.1 + popsize/4):

    maxiter : number, "bbob" or "matlab"
        Iterations; "bbob" is 100 + 50 (n + 3)^2 / sqrt(popsize), "matlab" 1000 (n + 5)^2 / sqrt(popsize).
    tolfun : float
        Range of the values of this iteration and the best values of the last L = 10 + ceil(30 n/popsize)
        iterations, from t = 3 on.
    tolhistfun : float
        Range of the best values of the last L iterations, from t = L on.
    equalfunvals : "bbob" or "matlab"
        The best and the k-th best value are equal in more than a third of the last n iterations ("bbob"),
        or in 10 + n of the last 3 (10 + n) ("matlab").
    stagnation : "bbob" or "matlab"
        The medians of the best and of the median values are no better in the newest part of a long window
        than in its oldest part.
    tolx : float
        In units of sigma0: every sigma max(abs(p_c), sqrt(diag C)) is smaller.
    tolfacupx : float
        In units of sigma0: some sigma sqrt(diag C) is larger.
    tolupsigma : float
        sigma / sigma0 exceeds this many times the longest principal axis of C.
    conditioncov : float
        The ratio of the largest to the smallest eigenvalue of C is larger.
    noeffectaxis, noeffectcoor : bool
        A tenth of a principal axis, a fifth of a coordinate's standard deviation, do not change the mean.
    all_nan : int
        So many iterations in a row without a finite value.

    References
    ----------
    N. Hansen. Benchmarking a BI-population CMA-ES on the BBOB-2009 function testbed. GECCO 2009.
    """

    maxiter: float | str | None = None
    tolfun: float | None = None
    tolhistfun: float | None = None
    equalfunvals: str | None = None
    stagnation: str | None = None
    tolx: float | None = None
    tolfacupx: float | None = None
    tolupsigma: float | None = None
    conditioncov: float | None = None
    noeffectaxis: bool = False
    noeffectcoor: bool = False
    all_nan: int | None = 5

    def iteration_limit(self, n: int, popsize: int) -> float:
        """The number of iterations that `maxiter` stands for; infinity where it is off."""
        if self.maxiter == "bbob":
            return 100 + 50 * (n + 3) ** 2 / math.sqrt(popsize)
        if self.maxiter == "matlab":
            return 1000 * (n + 5) ** 2 / math.sqrt(popsize)
        return math.inf if self.maxiter is None else float(self.maxiter)


_BBOB = StopRules(
    maxiter="bbob",
    tolhistfun=1e-12,
    equalfunvals="bbob",
    stagnation="bbob",
    tolx=1e-12,
    tolupsigma=1e20,
    conditioncov=1e14,
    noeffectaxis=True,
    noeffectcoor=True,
)
_MATLAB = StopRules(
    maxiter="matlab",
    tolfun=1e-12,
    tolhistfun=1e-13,
    equalfunvals="matlab",
    stagnation="matlab",
    tolx=1e-11,
    tolfacupx=1e3,
    conditioncov=1e14,
    noeffectaxis=True,
    noeffectcoor=True,
)
PROFILES: Mapping[str, StopRules] = {
    # BIPOP-CMA-ES on BBOB-2009
    "bbob": _BBOB,
    # The Matlab program with its own limit of iterations, as NIPOP-aCMA-ES used it in 2012
    "nipop-acma": _MATLAB,
    # IPOP-aCMA-ES of 2010: its results are those of the limit of BIPOP-CMA-ES, see docs/restarts.md
    "ipop-acma": dataclasses.replace(_MATLAB, maxiter="bbob"),
    # BIPOP-aCMA-ES and NBIPOP-aCMA-ES of 2012: the first with tolfun, tolfacupx off
    "loshchilov-2012": dataclasses.replace(_BBOB, tolfun=1e-12),
    # Generations on models count, too, and in so many sigma grows and C shrinks where the distribution does neither
    "saacm": dataclasses.replace(_BBOB, maxiter="matlab", tolfun=1e-12, tolupsigma=None),
    # An iteration with one evaluation has a fifth to a twentieth of the usual news, and values are those of a model
    "quad-cma": dataclasses.replace(_BBOB, maxiter=None, stagnation=None, tolhistfun=1e-13),
    # Nothing but a broken objective stops the run
    "none": StopRules(),
}

StopOption: TypeAlias = str | StopRules | Mapping[str, float | str | bool | None] | None


def stop_rules(option: StopOption, *, default: StopRules) -> StopRules:
    """The rules that a user's `stop` option means.

    Parameters
    ----------
    option : None, str, StopRules or mapping
        None takes `default`; a string is the name of a profile; a mapping changes single rules of `default`,
        or of its entry "profile", and None, False in it switch a rule off.
    default : StopRules
        What the method uses by itself.

    Examples
    --------
    >>> stop_rules({"tolx": 1e-9, "stagnation": None}, default=PROFILES["bbob"]).tolx
    1e-09
    """
    if option is None:
        return default
    if isinstance(option, StopRules):
        for name, value in dataclasses.asdict(option).items():
            _checked_rule(name, value)
        return option
    if isinstance(option, str):
        return _profile(option)
    if not isinstance(option, Mapping):
        raise ArgumentTypeError(
            f"`stop` must be the name of a profile, a StopRules or a mapping of rules; got {option!r}. "
            f"Profiles: {', '.join(PROFILES)}."
        )
    changes: dict[str, Any] = dict(option)
    base = _profile(changes.pop("profile")) if "profile" in changes else default
    fields = {f.name for f in dataclasses.fields(StopRules)}
    for name, value in changes.items():
        if name not in fields:
            raise ArgumentError(f"`stop` has no rule {name!r}; {near_miss(name, fields)}")
        changes[name] = _checked_rule(name, value)
    return dataclasses.replace(base, **changes)


def _profile(name: object) -> StopRules:
    if not isinstance(name, str) or name not in PROFILES:
        raise ArgumentError(f"`stop` names no profile {name!r}; {near_miss(str(name), PROFILES)}")
    return PROFILES[name]


def _checked_rule(name: str, value: Any) -> Any:
    forms = {"maxiter", "equalfunvals", "stagnation"}
    if name.startswith("noeffect"):
        ok = isinstance(value, bool) or value is None
        value = bool(value)
    elif value is None or value is False:
        return None
    elif isinstance(value, str):
        ok = name in forms and value in ("bbob", "matlab")
    else:
        ok = isinstance(value, numbers.Real) and float(value) >= 0 and name not in forms - {"maxiter"}
    if not ok:
        expected = (
            "'bbob', 'matlab' or None"
            if name in forms
            else "True or False"
            if name.startswith("no")
            else "a number >= 0 or None"
        )
        raise ArgumentError(f"`stop` rule {name!r} must be {expected}; got {value!r}.")
    return value
