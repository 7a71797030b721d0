"""Functions of several objectives, (k, n) -> (k, n_obj), and the best hypervolumes of ten points."""

from __future__ import annotations

import numpy as np

# reference point and optima as the tests of the Shark library have them; the first, second and last also computed anew
REFERENCE = np.array([11.0, 11.0])
BEST = {"zdt1": 120.613761, "zdt2": 120.286820, "zdt3": 128.748470, "zdt6": 117.483246, "dtlz2": 120.178966}


def spheres(x):
    """Two spheres: points between 0 and 1 on the diagonal are the front."""
    return np.array([(x**2).sum(axis=1), ((x - 1) ** 2).sum(axis=1)]).T


def _zdt(x, first, shape, distance=None):
    g = 1 + 9 * x[:, 1:].mean(axis=1) if distance is None else distance(x[:, 1:])
    return np.array([first, g * shape(first, g)]).T


def zdt1(x):
    return _zdt(x, x[:, 0], lambda f, g: 1 - np.sqrt(f / g))


def zdt2(x):
    return _zdt(x, x[:, 0], lambda f, g: 1 - (f / g) ** 2)


def zdt3(x):
    return _zdt(x, x[:, 0], lambda f, g: 1 - np.sqrt(f / g) - f / g * np.sin(10 * np.pi * f))


def zdt6(x):
    first = 1 - np.exp(-4 * x[:, 0]) * np.sin(6 * np.pi * x[:, 0]) ** 6
    return _zdt(x, first, lambda f, g: 1 - (f / g) ** 2, lambda rest: 1 + 9 * rest.mean(axis=1) ** 0.25)


def dtlz2(x, n_obj=2):
    angles = 0.5 * np.pi * x[:, : n_obj - 1]
    radius = 1 + ((x[:, n_obj - 1 :] - 0.5) ** 2).sum(axis=1)
    columns = []
    for j in range(n_obj):
        value = radius * np.prod(np.cos(angles[:, : n_obj - 1 - j]), axis=1)
        columns.append(value * np.sin(angles[:, n_obj - 1 - j]) if j else value)
    return np.array(columns).T


PROBLEMS = {"zdt1": zdt1, "zdt2": zdt2, "zdt3": zdt3, "zdt6": zdt6, "dtlz2": dtlz2}
