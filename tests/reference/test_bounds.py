"""The compiled map into bounds, and back, against its NumPy twin."""

import numpy as np
import pytest

from lmcma.transforms import Coordinates
from tests.reference import bounds_twin


def random_map(n, rng):
    """Coordinates with no, one and two bounds, of all sizes."""
    size = 10.0 ** rng.uniform(-3, 3, n)
    low, high = -size * rng.uniform(0.1, 2, n), size * rng.uniform(0.1, 2, n)
    low[rng.random(n) < 0.3] = -np.inf
    high[rng.random(n) < 0.3] = np.inf
    return size, (rng.normal(0, size), size * rng.uniform(0.1, 3, n), low, high)


@pytest.mark.parametrize(("n", "k"), [(1, 2), (1, 1), (2, 6), (30, 9), (700, 3)])
def test_kernels_and_twin(n, k):
    rng = np.random.default_rng([n, k])
    for _ in range(20):
        size, arguments = random_map(n, rng)
        c = Coordinates(*arguments)
        u = rng.normal(0, 10.0 ** rng.uniform(-2, 2), (k, n))
        y = c.to_user(u.copy())
        # sums of the size of the bounds and of v lose that much, and their period comes back as often as v holds it
        lost = 1e-12 * (size + abs(arguments[0] + arguments[1] * u))
        assert (abs(y - bounds_twin.to_user(u, *arguments)) <= lost).all()
        x = np.clip(rng.normal(0, size, (k, n)), *arguments[2:])
        back, twin = c.to_strategy(x), bounds_twin.to_strategy(x, *arguments)
        np.testing.assert_allclose(back, twin, rtol=1e-12, atol=1e-12 * (size / arguments[1]).max())
