"""Optimisers that every comparison should contain: pure random search, and those that everybody knows."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

import numpy as np

from lmcma.bbob import biobjective
from lmcma.errors import CampaignError, MissingDependencyError, near_miss
from lmcma.typing import FloatArray

# f, start, sigma0, box of new starts, evaluations left, random numbers, options -> why it ended
Run: TypeAlias = Callable[
    [
        Callable[[FloatArray], Any],
        FloatArray,
        float,
        tuple[float, float],
        int,
        np.random.SeedSequence,
        Mapping[str, Any],
    ],
    str,
]


@dataclasses.dataclass(frozen=True)
class Baseline:
    """An optimiser of somebody else, or none.

    Parameters
    ----------
    run : callable
        One trial of it.
    objectives : tuple of int
        How many objectives it can have.
    options : callable
        Returns the names of the options that it takes.
    """

    run: Run
    objectives: tuple[int, ...] = (1,)
    options: Callable[[], Collection[str]] = tuple


_BLOCK = 256
# Options of pycma that the harness decides.
_PYCMA_RESERVED = (
    "seed",
    "maxfevals",
    "ftarget",
    "termination_callback",
    "verbose",
    "verb_log",
    "verb_disp",
    "bounds",
)


def random_search(
    f: Callable[[FloatArray], Any],
    x0: FloatArray,
    sigma0: float,
    box: tuple[float, float],
    maxfev: int,
    seed: np.random.SeedSequence,
    options: Mapping[str, Any],
) -> str:
    """Points drawn uniformly from [-5, 5]^D, the region of interest of BBOB; `x0`, `sigma0` are not used."""
    rng = np.random.default_rng(seed)
    left = maxfev
    while left > 0:
        for x in rng.uniform(-5.0, 5.0, (min(left, _BLOCK), len(x0))):
            f(x)
        left -= _BLOCK
    return "maxfev"


def pycma_bipop(
    f: Callable[[FloatArray], float],
    x0: FloatArray,
    sigma0: float,
    box: tuple[float, float],
    maxfev: int,
    seed: np.random.SeedSequence,
    options: Mapping[str, Any],
) -> str:
    """BIPOP-CMA-ES of pycma with up to nine doublings; each restart starts at a new point of the box."""
    streams = seed.spawn(2)
    rng = np.random.default_rng(streams[1])
    starts = iter([x0])  # of the first run; restarts draw theirs

    def start() -> FloatArray:
        first = next(starts, None)
        return rng.uniform(*box, len(x0)) if first is None else first

    return _fmin2(f, start, sigma0, maxfev, streams[0], options, restarts=9, bipop=True)


def pycma_single(
    f: Callable[[FloatArray], float],
    x0: FloatArray,
    sigma0: float,
    box: tuple[float, float],
    maxfev: int,
    seed: np.random.SeedSequence,
    options: Mapping[str, Any],
) -> str:
    """One run of pycma's CMA-ES, without restarts."""
    return _fmin2(f, x0, sigma0, maxfev, seed.spawn(1)[0], options)


def _fmin2(
    f: Callable[[FloatArray], float],
    x0: FloatArray | Callable[[], FloatArray],
    sigma0: float,
    maxfev: int,
    seed: np.random.SeedSequence,
    options: Mapping[str, Any],
    **restarts: Any,
) -> str:
    cma = _pycma()
    settings = {
        **options,
        "seed": int(seed.generate_state(1)[0]) % (2**31 - 2**16) + 1,  # 0 means the clock; restarts count upwards
        "maxfevals": maxfev,
        "verbose": -9,
        "verb_log": 0,
        "verb_disp": 0,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, es = cma.fmin2(f, x0, sigma0, settings, **restarts)
    return ",".join(sorted(es.stop(check=False))) or "end"


def _pycma() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import cma
    except ImportError as error:
        raise MissingDependencyError(
            "the baselines 'pycma' and 'pycma-single' need the package cma, which is not installed; "
            "pip install 'lmcma[bbob]'"
        ) from error
    return cma


def _pycma_options() -> list[str]:
    return [k for k in _pycma().CMAOptions.defaults() if k not in _PYCMA_RESERVED]


BASELINES: Mapping[str, Baseline] = {
    "random": Baseline(random_search, (1, 2)),
    "pycma": Baseline(pycma_bipop, (1,), _pycma_options),
    "pycma-single": Baseline(pycma_single, (1,), _pycma_options),
    "nsga2": Baseline(biobjective.nsga2, (2,), lambda: biobjective.PYMOO_OPTIONS),
    "sms-emoa": Baseline(biobjective.sms_emoa, (2,), lambda: biobjective.PYMOO_OPTIONS),
    "como-cma": Baseline(biobjective.como_cma, (2,), lambda: biobjective.COMO_OPTIONS),
}


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Whether the baseline has these options; those of pycma are the ones of `cma.CMAOptions`."""
    known = BASELINES[name].options()
    for key in options:
        if key not in known:
            if not known:
                raise CampaignError(f"baseline {name!r} has no options; got {key!r}. Remove it.")
            if name.startswith("pycma") and key in _PYCMA_RESERVED:
                raise CampaignError(f"baseline {name!r}: option {key!r} is set by the harness. Remove it.")
            raise CampaignError(f"baseline {name!r} has no option {key!r}; {near_miss(key, known)}")
