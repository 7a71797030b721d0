"""Optimisers of two objectives that others wrote: NSGA-II and SMS-EMOA of pymoo, COMO-CMA-ES of comocma."""

from __future__ import annotations

import functools
import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lmcma.errors import MissingDependencyError
from lmcma.typing import FloatArray

PYMOO_OPTIONS = ("pop_size", "n_offsprings")
COMO_OPTIONS = ("kernels",)


def pymoo(
    f: Callable[[FloatArray], FloatArray],
    x0: FloatArray,
    sigma0: float,
    box: tuple[float, float],
    maxfev: int,
    seed: np.random.SeedSequence,
    options: Mapping[str, Any],
    *,
    baseline: str,
    module: str,
    name: str,
) -> str:
    """The class `name` of pymoo with pymoo's operators, which stay in the box; `x0` is in the first population.

    `sigma0` is not used.
    """
    try:
        kind = getattr(importlib.import_module(f"pymoo.algorithms.moo.{module}"), name)
        from pymoo.core.problem import Problem
        from pymoo.core.termination import NoTermination
    except ImportError as error:
        raise _missing(baseline, "pymoo") from error
    n = len(x0)
    first, rest = seed.spawn(2)
    size = options.get("pop_size", 100)
    starts = np.vstack([x0, np.random.default_rng(first).uniform(*box, (size - 1, n))])
    algorithm = kind(sampling=starts, **options)
    algorithm.setup(
        Problem(n_var=n, n_obj=2, xl=np.full(n, box[0]), xu=np.full(n, box[1])),
        termination=NoTermination(),
        seed=int(rest.generate_state(1)[0]),
        verbose=False,
    )
    while (population := algorithm.ask()) is not None and len(population):
        population.set("F", np.array([f(x) for x in population.get("X")]))
        algorithm.tell(infills=population)
    return "no new offspring"


nsga2 = functools.partial(pymoo, baseline="nsga2", module="nsga2", name="NSGA2")
sms_emoa = functools.partial(pymoo, baseline="sms-emoa", module="sms", name="SMSEMOA")  # as many offspring as parents


def como_cma(
    f: Callable[[FloatArray], FloatArray],
    x0: FloatArray,
    sigma0: float,
    box: tuple[float, float],
    maxfev: int,
    seed: np.random.SeedSequence,
    options: Mapping[str, Any],
) -> str:
    """COMO-CMA-ES with `kernels` runs of CMA-ES, 32 by default, of which one starts at `x0`, the others in the box.

    The reference point of the hypervolume is the worst of both objectives among the starts.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import comocma
    except ImportError as error:
        raise _missing("como-cma", "comocma") from error
    first, rest = seed.spawn(2)
    others = np.random.default_rng(first).uniform(*box, (options.get("kernels", 32) - 1, len(x0)))
    starts = np.vstack([x0, others])
    quiet = {"verbose": -9, "verb_log": 0, "verb_disp": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kernels = comocma.get_cmas(
            list(starts), sigma0, {**quiet, "seed": int(rest.generate_state(1)[0]) % (2**31 - 2) + 1}
        )
        settings = {"archive": False, "verb_log": 0, "verb_disp": 0, "verb_filename": ""}
        strategy = comocma.Sofomore(kernels, opts=settings)
        while not strategy.stop():
            x = strategy.ask()  # the first time all starts, then offspring
            values = np.array([f(row) for row in x])
            if strategy.reference_point is None:
                strategy.reference_point = values[: len(kernels)].max(axis=0).tolist()
            strategy.tell(x, values)
    return "all kernels stopped"


def _missing(baseline: str, package: str) -> MissingDependencyError:
    return MissingDependencyError(
        f"the baseline {baseline!r} needs the package {package}, which is not installed; pip install 'lmcma[bench]'"
    )
