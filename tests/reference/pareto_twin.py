"""Non-domination, hypervolume, rank-one updates and the (1+1)-CMA individual in plain NumPy, from the papers."""

import itertools
import math
from fractions import Fraction

import numpy as np


def dominates(a, b):
    return bool((a <= b).all() and (a < b).any())


def ranks(f):
    """Fronts taken off one after the other."""
    rank = np.zeros(len(f), dtype=int)
    level = 0
    while (rank == 0).any():
        level += 1
        left = np.flatnonzero(rank == 0)
        rank[[i for i in left if not any(dominates(f[j], f[i]) for j in left)]] = level
    return rank


def nondominated(f):
    """Distinct points that no other dominates, in order of f_1."""
    f = np.unique(f, axis=0)
    return np.array([a for a in f if not any(dominates(b, a) for b in f)]).reshape(-1, 2)


def hypervolume(f, reference):
    front = nondominated(f[(f < reference).all(axis=1)])
    tops = np.concatenate([[reference[1]], front[:-1, 1]])
    return float(((reference[0] - front[:, 0]) * (tops - front[:, 1])).sum())


def exact_hypervolume(f, reference):
    """Cells of a grid that a point dominates, in fractions; any number of objectives, infinite where too large."""
    r = [Fraction(v) for v in reference]
    points = [[Fraction(v) for v in row] for row in f if (np.asarray(row) < reference).all()]
    grid = [sorted({row[j] for row in points} | {r[j]}) for j in range(len(r))]
    volume = Fraction(0)
    for cell in itertools.product(*(itertools.pairwise(ticks) for ticks in grid)):
        if any(all(a <= low for a, (low, _) in zip(row, cell, strict=True)) for row in points):
            volume += math.prod(high - low for low, high in cell)
    try:
        return float(volume)
    except OverflowError:
        return math.inf


def contributions(f, reference):
    """Of the first front only, among its own; none for others."""
    found = np.zeros(len(f))
    first = np.flatnonzero(ranks(f) == 1)
    front = f[first]
    for k, row in enumerate(first):
        found[row] = hypervolume(front, reference) - hypervolume(np.delete(front, k, axis=0), reference)
    return found


class Individual:
    """(1+1)-CMA, the covariance matrix itself in place of its factor. (Igel, Hansen & Roth 2007)"""

    def __init__(self, n):
        self.n = n
        self.sigma, self.p = 1.0, 2 / 11
        self.C, self.p_c, self.y = np.eye(n), np.zeros(n), np.zeros(n)

    def success(self, s):
        d = 1 + self.n / 2
        self.p = 11 / 12 * self.p + s / 12
        self.sigma *= math.exp((self.p - 2 / 11) / (d * (1 - 2 / 11)))

    def learn(self):
        c_c, c_cov = 2 / (self.n + 2), 2 / (self.n**2 + 6)
        if self.p < 0.44:
            self.p_c = (1 - c_c) * self.p_c + math.sqrt(c_c * (2 - c_c)) * self.y
            self.C = (1 - c_cov) * self.C + c_cov * np.outer(self.p_c, self.p_c)
        else:
            self.p_c = (1 - c_c) * self.p_c
            self.C = (1 - c_cov) * self.C + c_cov * (np.outer(self.p_c, self.p_c) + c_c * (2 - c_c) * self.C)
