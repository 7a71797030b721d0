"""Evaluations of MA-ES against counts measured with another program (pypop7), three seeds a cell.

    python benchmarks/ma_counts.py        # 15 seeds, a quarter of a minute

x0 = (1, ..., 1), sigma0 = 1, to 1e-15; all stopping rules but the target are off. The median has to be within 10 % of
the middle of the three. Whole generations are counted. Seeds are 1, 2, ...
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

import lmcma
from lmcma import testfunctions

# least and largest of three seeds
REFERENCE = {
    ("sphere", 3): (666, 704),
    ("cigar", 3): (1220, 1431),
    ("discus", 3): (1360, 1440),
    ("ellipsoid", 3): (1255, 1423),
    ("sphere", 30): (6502, 6737),
    ("cigar", 30): (13847, 14493),
    ("discus", 30): (30172, 31778),
    ("ellipsoid", 30): (39032, 39947),
}


def evaluations(name: str, n: int, seed: int) -> float:
    """Evaluations until a generation reaches 1e-15; NaN where three times the reference do not."""
    f = getattr(testfunctions, name)
    es = lmcma.make("ma", np.ones(n), 1.0, rng=seed, stop="none", ftarget=1e-15, maxfev=3 * REFERENCE[name, n][1])
    while not es.stop():
        es.tell(None, f(es.ask()))
    return es.result().nfev if es.result().success else np.nan


def ratio(name: str, n: int, seeds: int) -> tuple[float, float]:
    """Median over seeds, and its ratio to the middle of the reference; NaN unless all runs reach the target."""
    median = float(np.median([evaluations(name, n, seed) for seed in range(1, seeds + 1)]))
    return median, median / np.mean(REFERENCE[name, n])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=15)
    options = parser.parse_args()
    holds = True
    print("function    n   median  reference      ratio")
    for (name, n), (low, high) in REFERENCE.items():
        median, r = ratio(name, n, options.seeds)
        holds &= abs(r - 1) <= 0.1
        print(f"{name:10} {n:2}  {median:7.0f}  {low:5} - {high:5}  {r:6.3f}", flush=True)
    print("all cells hold" if holds else "not all cells hold")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
