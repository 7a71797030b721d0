"""Evaluations to a target against tables; the bands are stated with the tables in `benchmarks`."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

import lmcma
from benchmarks import evaluation_counts as cma_counts
from benchmarks import large_scale_counts
from lmcma.testfunctions import ellipsoid, random_rotation, rosenbrock


@pytest.mark.parametrize("lazy", ["fast", "reference"])
@pytest.mark.parametrize(("name", "n"), list(cma_counts.REFERENCE))
def test_cma(name, n, lazy):
    """Medians of 21 seeds within 7 % of pycma's, or no difference by a rank-sum test against pycma itself."""
    counts = np.array([cma_counts.lmcma_run(name, n, seed, lazy=lazy) for seed in cma_counts.SEEDS])
    solved = counts[~np.isnan(counts[:, 1])]
    assert len(solved) >= (21 if name != "rosenbrock" else 16)  # a local minimum takes some of the latter
    ratios = np.median(solved, axis=0) / cma_counts.REFERENCE[name, n][:2]
    for k in np.flatnonzero((ratios < 0.93) | (ratios > 1.07)):  # depends on the last bits, so on the machine
        theirs = np.array([cma_counts.pycma_run(name, n, seed)[k] for seed in cma_counts.SEEDS])
        assert mannwhitneyu(solved[:, k], theirs[~np.isnan(theirs)]).pvalue > 1e-3, ratios


@pytest.mark.parametrize(
    ("name", "n", "low", "high"),
    [("ellipsoid", 10, 1.3, 1.45), ("ellipsoid", 20, 1.3, 1.45), ("rosenbrock", 10, 1.1, 1.25)],
)
def test_what_negative_weights_gain(name, n, low, high):
    active, passive = (
        np.nanmedian([cma_counts.lmcma_run(name, n, s, active=a, lazy="reference")[1] for s in cma_counts.SEEDS])
        for a in ("weights", False)
    )
    assert low <= passive / active <= high


@pytest.mark.parametrize(
    "cell", [cell for cell, anchor in large_scale_counts.ANCHORS.items() if cell[2] <= 512 and anchor < 1e5]
)
def test_large_scale(cell):
    """Medians of 11 seeds within 25 % (of the author's program: 10 %); the slower cells are in the benchmark."""
    counts = [large_scale_counts.evaluations(cell, seed) for seed in range(1, 12)]
    assert abs(np.median(counts) / large_scale_counts.ANCHORS[cell] - 1) <= large_scale_counts.band(cell)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["different_powers", "discus"])
def test_lm_cma_long(name):
    """As above with three seeds, for functions that take a hundred thousand evaluations and more."""
    cell = ("lm-cma", name, 128)
    counts = [large_scale_counts.evaluations(cell, seed) for seed in (1, 2, 3)]
    assert 0.75 <= np.median(counts) / large_scale_counts.ANCHORS[cell] <= 1.25


def test_rotation_costs_cma_nothing():
    """Median evaluations on the ellipsoid, along the axes and turned, within 5 % (21 seeds each)."""
    n = 10
    R = random_rotation(n, 2)
    medians = []
    for turn in (np.eye(n), R):
        spent = []
        for seed in cma_counts.SEEDS:
            x0, sigma0 = cma_counts.start("ellipsoid", n, seed)
            es = lmcma.make("cma", x0, sigma0, rng=seed, ftarget=1e-10, stop="none")
            while not es.stop():
                x = es.ask()
                es.tell(None, ellipsoid(x @ turn.T))
            spent.append(es.nfev)
        medians.append(np.median(spent))
    assert 1 / 1.05 < medians[1] / medians[0] < 1.05


def test_lm_cma_on_rosenbrock():
    """Some runs end in the local minimum near f = 4; a majority of 21 does not (n = 32, a small twin of n = 128)."""
    solved = 0
    for seed in range(1, 22):
        x0 = np.random.default_rng([seed, 32]).uniform(-5, 5, 32)
        es = lmcma.make("lm-cma", x0, 3.0, rng=seed, ftarget=1e-8, maxfev=300_000)
        while not es.stop():
            x = es.ask()
            es.tell(None, rosenbrock(x))
        solved += es.result().success
    assert solved > 10
