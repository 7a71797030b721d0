"""Constants of CMA-ES against the values worked out in the literature."""

import numpy as np
import pytest

import lmcma
from lmcma.strategies.cma import decomposition_gap, parameters
from lmcma.testfunctions import sphere

# n, popsize, mueff, mueff_minus, c_1, c_mu, c_c, c_sigma, d_sigma, alpha, chi_n, c_sigma of the BBOB programs
TABLE = """
2 6 2.02861 2.43192 0.154815 0.0855928 0.624555 0.446205 1.4462 2.20732 1.25427 0.573173
5 8 2.60018 3.20707 0.0472923 0.0478590 0.450200 0.365088 1.36509 1.98816 2.12852 0.433972
10 10 3.16730 3.98912 0.0152838 0.0235518 0.294990 0.284429 1.28443 1.64895 3.08473 0.319614
20 12 3.72946 4.77460 0.00437235 0.00921656 0.171767 0.199428 1.19943 1.47440 4.41677 0.214350
40 15 4.54092 5.88905 0.00116943 0.00340522 0.0930092 0.132031 1.13203 1.34342 6.28522 0.137585
100 17 5.09619 6.68596 0.000194803 0.000680638 0.0389134 0.0644544 1.06445 1.28621 9.97505 0.065647
"""
ROWS = [list(map(float, line.split())) for line in TABLE.strip().splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"n={row[0]:.0f}")
def test_table(row):
    n, popsize = int(row[0]), int(row[1])
    assert popsize == 4 + int(3 * np.log(n))
    p = parameters(n, popsize)
    found = (p.mueff, p.mueff_minus, p.c_1, p.c_mu, p.c_c, p.c_sigma, p.d_sigma, p.alpha, p.chi_n)
    # six digits are printed
    np.testing.assert_allclose(found, row[2:11], rtol=6e-6)
    # the offset 3 instead of 5, with the tutorial's weights (they differ from the program's for odd popsize)
    np.testing.assert_allclose((p.mueff + 2) / (n + p.mueff + 3), row[11], rtol=6e-6)
    if popsize % 2 == 0:
        np.testing.assert_allclose(parameters(n, popsize, constants="bbob").c_sigma, row[11], rtol=6e-6)


def test_weights_in_ten_dimensions():
    p = parameters(10, 10)
    expected = [0.456273, 0.270753, 0.162231, 0.085234, 0.025510, -0.080013, -0.221764, -0.344555, -0.452864, -0.549750]
    np.testing.assert_allclose(p.weights, expected, atol=6e-7)
    assert p.weights.sum() == pytest.approx(-0.648946, abs=6e-7)


@pytest.mark.parametrize("n", [5, 10, 20, 40, 100, 400])  # for n = 2, 3 the bound by mueff is smaller
def test_update_has_no_decay_of_its_own(n):
    p = parameters(n, 4 + int(3 * np.log(n)))
    assert p.alpha == pytest.approx(1 + p.c_1 / p.c_mu, rel=1e-15)
    assert abs(p.c_1 + p.c_mu * p.weights.sum()) < 1e-15


def test_large_populations():
    p = parameters(10, 100)
    assert p.alpha == pytest.approx(0.234, abs=5e-4)
    p = parameters(10, 1000)
    assert p.c_mu == 1 - p.c_1
    assert p.alpha == 0
    assert (p.weights[p.mu :] == 0).all()
    es = lmcma.make("cma", np.ones(10), 1.0, popsize=1000, rng=1, ftarget=1e-3, maxiter=500)
    while not es.stop():
        es.tell(None, sphere(es.ask()))
    assert es.stop().reason == "ftarget"


def test_constants_of_the_2009_programs():
    p = parameters(10, 11, constants="bbob")
    raw = np.log(5.5) - np.log(np.arange(1, 6))
    np.testing.assert_allclose(p.weights[:5], raw / raw.sum(), rtol=1e-15)
    assert p.c_mu == pytest.approx(2 * (p.mueff - 2 + 1 / p.mueff) / (12**2 + p.mueff))
    small = parameters(10, 3, constants="bbob")
    assert small.c_1 == pytest.approx(1.0 / (11.3**2 + 1))  # min(2, popsize / 3)
    assert parameters(10, 10, active="2010").c_minus > 0
    assert parameters(10, 10, active=False).alpha == 0


@pytest.mark.parametrize(("n", "popsize"), [(1, 2), (1, 4), (2, 2), (3, 3)])
def test_smallest_sizes(n, popsize):
    for constants in ("tutorial", "bbob"):
        for active in ("weights", "2010", False):
            p = parameters(n, popsize, constants=constants, active=active)
            assert p.weights[: p.mu].sum() == pytest.approx(1)
            assert np.isfinite([p.c_1, p.c_mu, p.alpha, p.c_minus, p.d_sigma]).all()


def test_gap_between_decompositions():
    for n, reference in ((10, 1), (40, 1), (90, 1), (100, 1), (200, 2)):
        p = parameters(n, 4 + int(3 * np.log(n)))
        assert decomposition_gap(n, p, "reference") == max(1, int(1 / (10 * n * (p.c_1 + p.c_mu)))) == reference
        fast = decomposition_gap(n, p, "fast")
        assert fast == 1 or fast * n * p.c_mu * p.alpha <= 0.9
    assert decomposition_gap(10, parameters(10, 500), "fast") == 1
