"""The one table of methods that `make`, `minimize`, the command line, campaigns and the docs read."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from lmcma.errors import ArgumentTypeError, StateError, UnknownMethodError, near_miss
from lmcma.termination import PROFILES, StopOption, StopRules, stop_rules

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from lmcma.strategies.protocol import Strategy
    from lmcma.typing import State


@dataclasses.dataclass(frozen=True)
class Method:
    """A named method: the class that implements it and the options that make it this one.

    Parameters
    ----------
    name : str
        The name used everywhere.
    target : str
        ``module:class``, imported when first used.
    summary : str
        One line that says when to take it.
    reference : str
        Where it was published.
    settings : str
        The four choices a method fixes: active update, constants, stop profile, evaluation of final means.
    cost : str
        Time per candidate and memory, as functions of the dimension n.
    options : mapping
        Options passed to the class before the user's own.
    inner : str
        The method that this one restarts; empty where it is no restart method.
    n_obj : int
        Objectives: 1, or the least number where there are several.
    """

    name: str
    target: str
    summary: str
    reference: str
    settings: str
    cost: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    inner: str = ""
    n_obj: int = 1

    def load(self) -> type[Strategy]:
        """The class behind the name."""
        module, _, name = self.target.partition(":")
        return cast("type[Strategy]", getattr(importlib.import_module(module), name))


_METHODS = (
    Method(
        "cma",
        "lmcma.strategies.cma:CMAES",
        "the default up to some hundred variables; learns the full covariance matrix",
        "Hansen, The CMA Evolution Strategy: A Tutorial, arXiv:1604.00772, 2023",
        "active weights; tutorial constants; stop profile bbob without maxiter; no final mean",
        "time O(n^2) per candidate, memory O(n^2)",
    ),
    Method(
        "lm-cma",
        "lmcma.strategies.lm_cma:LMCMA",
        "hundreds to millions of variables, ill-conditioned and non-separable",
        "Loshchilov, LM-CMA: An Alternative to L-BFGS for Large-Scale Black-Box Optimization, "
        "Evolutionary Computation 25(1), 2017",
        "no active update; constants of 2017; stop profile bbob without maxiter; no final mean",
        "time O(n) per candidate for ~2.4 of O(log n) stored paths, memory O(n log n)",
    ),
    Method(
        "lm-cma-es",
        "lmcma.strategies.lm_cma_es:LMCMAES",
        "as lm-cma, all stored paths in every candidate; half its memory, twice its time",
        "Loshchilov, A computationally efficient limited memory CMA-ES for large scale optimization, GECCO 2014, "
        "as corrected by Krause",
        "no active update; constants of 2014; stop profile bbob without maxiter; no final mean",
        "time O(n log n) per candidate, memory O(n log n)",
    ),
    Method(
        "lm-ma",
        "lmcma.strategies.lm_ma:LMMAES",
        "hundreds to millions of variables, few important directions; differing less than for lm-cma",
        "Loshchilov, Glasmachers, Beyer, Large Scale Black-box Optimization by Limited-Memory Matrix Adaptation, "
        "IEEE Transactions on Evolutionary Computation 23(2), 2019",
        "no active update; constants of 2017; stop profile bbob without maxiter; no final mean",
        "time O(n log n) per candidate, memory O(n log n)",
    ),
    Method(
        "rm-es",
        "lmcma.strategies.rm_es:RmES",
        "hundreds to millions of variables, one or two long axes; two stored paths, with `memory` = 1 R1-ES",
        "Li, Zhang, A Simple Yet Efficient Evolution Strategy for Large-Scale Black-Box Optimization, "
        "IEEE Transactions on Evolutionary Computation 22(5), 2018",
        "no active update; constants of 2018; stop profile bbob without maxiter; no final mean",
        "time O(n) per candidate, memory of one population, O(n log n)",
    ),
    Method(
        "vkd-cma",
        "lmcma.strategies.vkd_cma:VkDCMA",
        "dozens to thousands of variables, badly scaled coordinates and few important directions, which it counts",
        "Akimoto, Hansen, Projection-Based Restricted Covariance Matrix Adaptation for High Dimension, GECCO 2016; "
        "Online Model Selection for Restricted Covariance Matrix Adaptation, PPSN 2016",
        "no active update; constants of 2016, c_c revised; stop profile bbob without maxiter; no final mean",
        "time O(k n) per candidate, memory O(k n) for at most k directions, n - 1 by default up to n = 3000",
    ),
    Method(
        "sep-cma",
        "lmcma.strategies.sep_cma:SepCMAES",
        "separable or nearly separable functions of any size; learns a scale for every coordinate",
        "Ros, Hansen, A Simple Modification in CMA-ES Achieving Linear Time and Space Complexity, PPSN 2008; "
        "negative weights: Hansen, arXiv:1604.00772, 2023",
        "active weights; tutorial constants, rates times (n + 2)/3; stop profile bbob without maxiter; no final mean",
        "time O(n) per candidate, memory of one or two populations, O(n log n)",
    ),
    Method(
        "ma",
        "lmcma.strategies.ma:MAES",
        "up to some hundred variables; nearly CMA-ES, without its decompositions and without active weights",
        "Beyer, Sendhoff, Simplify Your Covariance Matrix Adaptation Evolution Strategy, "
        "IEEE Transactions on Evolutionary Computation 21(5), 2017",
        "no active update; constants of 2017; stop profile bbob without maxiter; no final mean",
        "time O(n^2) per candidate, memory O(n^2)",
    ),
    Method(
        "self-cma",
        "lmcma.strategies.self_cma:SelfCMAES",
        "large populations (10 n by default) on functions with a hard covariance matrix; adapts its learning rates",
        "Loshchilov, Schoenauer, Sebag, Hansen, Maximum Likelihood-based Online Adaptation of Hyper-parameters in "
        "CMA-ES, PPSN 2014",
        "no active update; tutorial constants but for adapted rates; stop profile bbob without maxiter; no final mean",
        "time O(n^2) per candidate, 20 of them on top; memory O(n^2)",
    ),
)
_ELITIST = Method(
    "elitist-cma",
    "lmcma.strategies.elitist_cma:ElitistCMA",
    "one valley, no noise, up to some dozens of variables: one offspring at a time",
    "Igel, Suttorp, Hansen, A Computational Efficient Covariance Matrix Update and a (1+1)-CMA for Evolution "
    "Strategies, GECCO 2006; active update: Arnold, Hansen, Active Covariance Matrix Adaptation for the (1+1)-CMA-ES, "
    "GECCO 2010",
    "active update of the (1+1)-CMA-ES; constants of 2006; stop profile bbob without maxiter, equalfunvals and "
    "stagnation; no final mean",
    "time O(n^2) per candidate, memory O(n^2)",
)
_MULTI = (
    Method(
        "mo-cma",
        "lmcma.multiobjective:MOCMAES",
        "several objectives: a population of (1+1)-CMA individuals under hypervolume selection",
        "Igel, Hansen, Roth, Covariance Matrix Adaptation for Multi-objective Optimization, Evolutionary Computation "
        "15(1), 2007; steady state: Igel, Suttorp, Hansen, EMO 2007; success: Voss, Hansen, Igel, GECCO 2010",
        "no active update; constants of 2007; stops when all step sizes are tiny; no final mean",
        "two objectives: time O(n^2 + log mu) per candidate, memory O(mu n^2) for mu individuals, and the archive",
        n_obj=2,
    ),
    Method(
        "up-mo-cma",
        "lmcma.multiobjective:UPMOCMAES",
        "two objectives, many evaluations, a fine front: all points that no other dominates are individuals",
        "Krause, Glasmachers, Hansen, Igel, Unbounded Population MO-CMA-ES for the Bi-Objective BBOB Test Suite, "
        "GECCO 2016 Companion",
        "no active update; constants of 2016; stops when all step sizes are tiny; no final mean",
        "time O(n^2 + log K) per candidate, memory O(K n^2) for K points, at most 1 GiB",
        n_obj=2,
    ),
    Method(
        "hmo-cma",
        "lmcma.multiobjective:HMOCMAES",
        "two objectives, a good front after any number of evaluations, from few to very many; many local minima",
        "Loshchilov, Glasmachers, Anytime bi-objective optimization with a hybrid multi-objective CMA-ES (HMO-CMA-ES), "
        "GECCO 2016 Companion, arXiv:1605.02720",
        "the constants and the schedule are a reconstruction; no stop but by limits",
        "time O(n^2 + log mu) per candidate, memory O(mu n^2) for mu individuals, at most 2 GiB, and the archive",
        n_obj=2,
    ),
)
_SURROGATES = (
    Method(
        "saacm",
        "lmcma.surrogate.saacm:SaACMES",
        "costly objectives up to some dozens of variables: two to four times fewer evaluations in a single valley",
        "Loshchilov, Schoenauer, Sebag, Self-adaptive surrogate-assisted covariance matrix adaptation evolution "
        "strategy, GECCO 2012",
        "active update of 2010; constants of the BBOB programs; stop profile bbob without maxiter and tolupsigma; "
        "no final mean",
        "a model of O(n^1.7) points for every popsize evaluations: some four milliseconds for n = 10, 21 times as long "
        "with the search for its parameters, which is on for n <= 10",
    ),
    Method(
        "saacm-k",
        "lmcma.surrogate.saacm:SaACMES",
        "as saacm; from 10 variables on with much larger populations on the model: fewer evaluations where it is good",
        "Loshchilov, Schoenauer, Sebag, Intensive surrogate model exploitation in self-adaptive surrogate-assisted "
        "CMA-ES, GECCO 2013",
        "active update of 2010; constants of the BBOB programs; stop profile bbob without maxiter and tolupsigma; "
        "no final mean",
        "as saacm",
        {"intensity": "k"},
    ),
    Method(
        "kl-acm",
        "lmcma.surrogate.saacm:SaACMES",
        "experimental: saacm that stays on a model until the search distribution has moved too far from it",
        "after Loshchilov, Schoenauer, Sebag, KL-based control of the learning schedule for surrogate black-box "
        "optimization, CAp 2013",
        "active update of 2010; constants of the BBOB programs; stop profile bbob without maxiter and tolupsigma; "
        "no final mean",
        "as saacm",
        {"control": "kl"},
    ),
)
_QUAD = Method(
    "quad-cma",
    "lmcma.surrogate.quad_cma:QuadCMAES",
    "costly objectives of 2 to about 40 variables with few local minima, evaluated one at a time: fewest evaluations",
    "after Hansen, A Global Surrogate Assisted CMA-ES, GECCO 2019, with another quadratic function",
    "active weights; tutorial constants; stop profile quad-cma; no final mean",
    "time O(n^6) per evaluation: half a millisecond for n = 10, two for n = 20; memory O(n^4)",
)
_SCHEMES = {
    "independent": ("every run is like the first", ""),
    "ipop": (
        "the population doubles",
        "Auger & Hansen, A restart CMA evolution strategy with increasing population size, CEC 2005",
    ),
    "bipop": (
        "a doubling population and many small ones take turns",
        "Hansen, Benchmarking a BI-population CMA-ES on the BBOB-2009 function testbed, GECCO 2009",
    ),
    "nipop": (
        "the population doubles, sigma0 shrinks by 1.6",
        "Loshchilov, Schoenauer & Sebag, Alternative restart strategies for CMA-ES, PPSN 2012",
    ),
    "nbipop": (
        "as nipop, and runs from small sigma0 of default size; the better regime gets twice the budget",
        "Loshchilov, Schoenauer & Sebag, Alternative restart strategies for CMA-ES, PPSN 2012",
    ),
}
_RESTARTS = "lmcma.restarts.controller:Restarts"
# on ill-conditioned functions they need more iterations
_SLOW_LEARNERS = ("lm-cma", "lm-cma-es", "lm-ma", "rm-es", "vkd-cma", "elitist-cma")


def _restarted(base: Method, scheme: str) -> Method:
    """`base` with restarts by `scheme`."""
    how, reference = _SCHEMES[scheme]
    profile = f"bbob with{'out' if base.name in _SLOW_LEARNERS else ''} its maxiter"
    profile = base.name if base.name in PROFILES else profile
    return Method(
        f"{scheme}-{base.name}",
        _RESTARTS,
        f"`{base.name}` with restarts: {how}",
        reference,
        f"{base.settings.split('; stop')[0]}; stop profile {profile}; no final mean",
        base.cost,
        {"strategy": base.name, "scheme": scheme, **base.options},
        inner=base.name,
    )


def _acma(scheme: str) -> Method:
    """CMA-ES with the active update of 2010, as the papers of 2010 and 2012 ran it."""
    how, reference = _SCHEMES[scheme]
    profile = f"{scheme}-acma" if scheme in ("ipop", "nipop") else "loshchilov-2012"
    return Method(
        f"{scheme}-acma",
        _RESTARTS,
        f"active CMA-ES of 2010 with restarts: {how}",
        "Hansen & Ros, Benchmarking a weighted negative covariance matrix update on the BBOB-2010 noiseless testbed, "
        "GECCO 2010" + (f"; {reference}" if scheme != "ipop" else ""),
        f"active update of 2010; constants of the BBOB programs; stop profile {profile}; final means evaluated",
        "time O(n^2) per candidate, memory O(n^2)",
        {
            "strategy": "cma",
            "scheme": scheme,
            "active": "2010",
            "constants": "bbob",
            "lazy": "reference",
            "stop": profile,
            "final_mean": True,
        },
        inner="cma",
    )


def _saacm(base: Method, scheme: str) -> Method:
    """A method on models with restarts, as the papers ran them but for limits that end long runs on models."""
    how, reference = _SCHEMES[scheme]
    profile = "nipop-acma" if scheme == "ipop" else "saacm"
    return Method(
        f"{scheme}-{base.name}",
        _RESTARTS,
        f"`{base.name}` with restarts: {how}",
        reference,
        f"{base.settings.split('; stop')[0]}; stop profile {profile}; final means evaluated",
        base.cost,
        {"strategy": base.name, "scheme": scheme, "stop": profile, "final_mean": True},
        inner=base.name,
    )


_AUTO = Method(
    "auto",
    "",
    "`cma` while its matrices fit in memory and n <= 500, `lm-cma` beyond",
    "a choice between the methods below",
    "those of the method chosen",
    "that of the method chosen",
)
_PRESETS = (
    *(_acma(scheme) for scheme in _SCHEMES if scheme != "independent"),
    *(_restarted(base, scheme) for base in _METHODS for scheme in _SCHEMES),
    *(_saacm(base, scheme) for base in _SURROGATES for scheme in _SCHEMES),
    _restarted(_ELITIST, "independent"),
    *(_restarted(_QUAD, scheme) for scheme in ("independent", "ipop", "nipop")),
)
AUTO_MAX_DIM = 500


class MethodTable(Mapping[str, Method]):
    """The methods by name; prints as a table, in a terminal and in a notebook."""

    def __init__(self, methods: tuple[Method, ...]) -> None:
        self._by_name = {m.name: m for m in methods}

    def __getitem__(self, name: str) -> Method:
        try:
            return self._by_name[name]
        except (KeyError, TypeError):
            raise UnknownMethodError(f"`method`: there is no {name!r}; {near_miss(str(name), self._by_name)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def rows(self) -> list[Method]:
        """What a table shows: every method, and one row for those that are another one with restarts."""
        shown = [m for m in self.values() if m.inner == "" or m.name.endswith("-acma")]
        hows = "; ".join(f"{scheme}: {how}" for scheme, (how, _) in _SCHEMES.items())
        names = ", ".join(f"{scheme}-*" for scheme in _SCHEMES)
        settings = (
            "those of the method, but for stop profile bbob with its maxiter (lm-*, rm-es, vkd-cma, elitist-cma: "
            "without; quad-cma: stop profile quad-cma); "
            "saacm, saacm-k and kl-acm: stop profile nipop-acma with ipop, else saacm, final means evaluated"
        )
        when = f"any other method for one objective with restarts (elitist-cma: independent); {hows}"
        restarted = Method(names, "", when, "as above", settings, "that of the method")
        return [*shown, restarted]

    def __str__(self) -> str:
        width = max(map(len, self._by_name))
        lines = []
        for m in self.rows():
            lines.append(f"{m.name:{width}}  {m.summary}")
            lines += [f"{'':{width}}  {text}" for text in (m.settings, m.cost, m.reference)]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td><code>{m.name}</code></td><td>{m.summary}</td><td>{m.settings}</td>"
            f"<td>{m.cost}</td><td>{m.reference}</td></tr>"
            for m in self.rows()
        )
        head = "".join(f"<th>{h}</th>" for h in ("method", "when", "settings", "cost", "reference"))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def methods() -> MethodTable:
    """What there is to choose from.

    Examples
    --------
    >>> import lmcma
    >>> "lm-cma" in lmcma.methods()
    True
    """
    return MethodTable((_AUTO, *_METHODS, _ELITIST, *_SURROGATES, _QUAD, *_MULTI, *_PRESETS))


def resolve(method: str, n: int, max_memory: float | None = None, popsize: int | None = None) -> Method:
    """The method that a name stands for in dimension `n`; only ``"auto"`` depends on it, and on memory."""
    found = methods()[method]
    if found is not _AUTO:
        return found
    kind = cast(Any, methods()["cma"].load())
    small = n <= AUTO_MAX_DIM and kind.fits(n, max_memory, popsize)
    return methods()["cma" if small else "lm-cma"]


def _dimension(x0: ArrayLike) -> int:
    """Entries of `x0`; 1 where it cannot be used, which the strategy says better."""
    import numpy as np

    try:
        return max(1, np.size(x0))
    except ValueError:
        return 1


def _known_options(method: Method) -> list[str]:
    """Names of the options that the class, and that of the method it restarts, takes."""
    kinds = [method.load(), *([methods()[method.inner].load()] if method.inner else [])]
    found = [p for kind in kinds for p in inspect.signature(kind).parameters.values()]
    hidden = ("x0", "sigma0", "strategy", "scheme")
    names = [p.name for p in found if p.kind is p.KEYWORD_ONLY and p.name not in hidden]
    return list(dict.fromkeys([*names, "bounds", "stds"]))


def make(
    method: str,
    x0: ArrayLike,
    sigma0: float | ArrayLike,
    *,
    bounds: Any = None,
    stds: ArrayLike | None = None,
    **options: Any,
) -> Strategy:
    """Build a strategy by its name.

    Parameters
    ----------
    method : str
        A name from `lmcma.methods`, or ``"auto"``.
    x0 : (n,) array_like
        The start: mean of the first search distribution.
    sigma0 : float
        Its standard deviation, in the units of `x0`; about 0.2 to 0.3 of the range where the optimum is expected.
    bounds : (low, high), n pairs, or scipy.optimize.Bounds; optional
        Between them all points stay; as in `lmcma.minimize`.
    stds : (n,) array_like, optional
        Scales of the coordinates: the first standard deviations are ``sigma0 * stds``.
    **options
        Options of the method's class, for example ``popsize=20``, ``rng=1``, ``stop={"tolx": 1e-9}``.

    Returns
    -------
    Strategy

    Raises
    ------
    UnknownMethodError
        The name is not registered; the message suggests the nearest one.
    ArgumentTypeError
        The method has no such option.

    Examples
    --------
    >>> import lmcma
    >>> es = lmcma.make("cma", [1.0, 2.0, 3.0], 0.5, rng=1, ftarget=1e-9)
    >>> while not es.stop():
    ...     x = es.ask()
    ...     es.tell(x, (x**2).sum(axis=1))
    >>> es.stop().reason
    <StopReason.FTARGET: 'ftarget'>
    """
    several = method in methods() and methods()[method].n_obj > 1
    if several:  # these know bounds and scales by themselves
        options |= {"bounds": bounds, "stds": stds}
    elif bounds is not None or stds is not None:
        wrap = importlib.import_module("lmcma.transforms").make_mapped
        return cast("Strategy", wrap(functools.partial(make, method), x0, sigma0, bounds=bounds, stds=stds, **options))
    found = resolve(method, _dimension(x0), options.get("max_memory"), options.get("popsize"))
    known = _known_options(found)
    for name in options:
        if name not in known:
            raise ArgumentTypeError(f"method {found.name!r} has no option {name!r}; {near_miss(name, known)}")
    if not several:
        options["stop"] = _with_own_rules(options.get("stop"), found)
    return cast("Strategy", cast(Any, found.load())(x0, sigma0, **{**found.options, **options}))


def restart_rules(strategy: str) -> StopRules:
    """The default rules of a run of this method in a chain of restarts."""
    family = "saacm" if strategy in {base.name for base in _SURROGATES} else strategy
    rules = PROFILES.get(family, PROFILES["bbob"])
    return dataclasses.replace(rules, maxiter=None) if strategy in _SLOW_LEARNERS else rules


def _with_own_rules(stop: StopOption, method: Method) -> StopOption:
    """A user's `stop` on top of the profile that makes the method what it is, if there is one."""
    own = method.options.get("stop")
    return stop if own is None else stop_rules(stop, default=PROFILES[own])


def from_state(state: State) -> Strategy:
    """The strategy that a `state_dict` was taken from, ready to go on.

    Examples
    --------
    >>> import lmcma
    >>> es = lmcma.make("cma", [1.0, 2.0], 0.5, rng=1)
    >>> lmcma.from_state(es.state_dict()).ask().shape
    (6, 2)
    """
    name = state.get("method") if isinstance(state, Mapping) else None
    table = methods()
    if isinstance(state, Mapping) and "coordinates" in state:  # bounds and scales around a method
        return cast("Strategy", importlib.import_module("lmcma.transforms").Mapped.from_state(state))
    if isinstance(state, Mapping) and "scheme" in state:  # of the user's own, perhaps
        return _acma("ipop").load().from_state(state)
    if isinstance(name, str) and name in table and name != "auto":
        return table[name].load().from_state(state)
    raise StateError(f"`state['method']` must name a method; {near_miss(str(name), [m for m in table if m != 'auto'])}")
