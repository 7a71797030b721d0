"""Evaluations of self-CMA-ES against CMA-ES with its default rates: n = 10, popsize 100, to 1e-10, no active weights.

    python benchmarks/self_cma.py [--seeds 15]      # half a minute

x0 uniform in [-4, 4]^n, sigma0 = 2; all stopping rules but the target are off. Demanded: at least 1.2 times as fast on
the sharp ridge, at most 12 % slower on the sphere. The learned rates are medians over runs, of the last iteration.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import lmcma
from lmcma.testfunctions import ellipsoid, random_rotation, rosenbrock, rotated, sphere

N, POPSIZE, TARGET = 10, 100, 1e-10


def sharp_ridge(x: Any) -> Any:
    """Along a ridge that does not get smoother: x_1^2 + 100 times the distance from the axis."""
    return x[..., 0] ** 2 + 100 * np.sqrt(np.square(x[..., 1:]).sum(axis=-1))


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "sphere": sphere,
    "ellipsoid": rotated(ellipsoid, random_rotation(N, 1)),
    "rosenbrock": rosenbrock,
    "sharp_ridge": sharp_ridge,
}
# medians of seven runs of an independent prototype: CMA-ES, self-CMA-ES from uniform and from default rates
PROTOTYPE = {
    "sphere": (9157, 9723, 9792),
    "ellipsoid": (13970, 12027, 11917),
    "rosenbrock": (20305, 15920, 14504),
    "sharp_ridge": (20719, 15005, 14194),
}


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run took, and the rates at its end."""

    evaluations: float
    rates: tuple[float, float, float]


def run(name: str, seed: int, rates0: str | None) -> Run:
    """Evaluations to the target; `rates0` None stands for CMA-ES."""
    f = FUNCTIONS[name]
    x0 = np.random.default_rng([seed, N]).uniform(-4, 4, N)
    common: dict[str, Any] = {"popsize": POPSIZE, "rng": seed, "stop": "none"}
    if rates0 is None:
        es: Any = lmcma.CMAES(x0, 2.0, active=False, **common)
        rates = (es.params.c_1, es.params.c_mu, es.params.c_c)
    else:
        es = lmcma.SelfCMAES(x0, 2.0, rates0=rates0, **common)
    while es.nfev < 200_000:
        values = f(es.ask())
        if values.min() <= TARGET:
            if rates0 is not None:
                rates = (es.rates["c_1"], es.rates["c_mu"], es.rates["c_c"])
            return Run(es.nfev + int(np.argmax(values <= TARGET)) + 1, rates)
        es.tell(None, values)
    return Run(np.nan, (np.nan,) * 3)


def medians(name: str, rates0: str | None, seeds: int) -> tuple[float, np.ndarray, int]:
    """Median evaluations and rates of the runs that reach the target, and how many do."""
    runs = [r for s in range(1, seeds + 1) if not np.isnan((r := run(name, s, rates0)).evaluations)]
    return float(np.median([r.evaluations for r in runs])), np.median([r.rates for r in runs], axis=0), len(runs)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=15)
    seeds = parser.parse_args().seeds
    ratios = {}
    print("function      rates     median  solved  speed-up  prototype   c_1    c_mu   c_c")
    for name in FUNCTIONS:
        for k, rates0 in enumerate((None, "uniform", "default")):
            median, rates, solved = medians(name, rates0, seeds)
            if rates0 is None:
                base = median
            ratios[name, rates0] = base / median
            print(
                f"{name:12}  {rates0 or 'fixed':8} {median:7.0f}  {solved:3}/{seeds:<3}  {base / median:6.3f}"
                f"  {PROTOTYPE[name][k]:9}   {rates[0]:.3f}  {rates[1]:.3f}  {rates[2]:.3f}",
                flush=True,
            )
    holds = all(ratios["sharp_ridge", r] >= 1.2 and 1 / ratios["sphere", r] <= 1.12 for r in ("uniform", "default"))
    print("both demands hold" if holds else "the demands do not hold")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
