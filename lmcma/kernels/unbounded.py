"""A population that is all points that no other dominates, two objectives.

References
----------
O. Krause, T. Glasmachers, N. Hansen, C. Igel. Unbounded Population MO-CMA-ES for the Bi-Objective BBOB Test Suite.
GECCO 2016 Companion.
"""

from __future__ import annotations

import math

import numpy as np

from lmcma.kernels import pareto
from lmcma.kernels.cholesky import rank_one, transform
from lmcma.kernels.compile import kernel
from lmcma.kernels.elitist import Constants, Individuals, begin, success_step
from lmcma.kernels.pareto import END, Front
from lmcma.kernels.population import ALL, FRONT, Census, depart, discard, enter, leave_front, parent_of, take
from lmcma.typing import FloatArray, IntArray


@kernel
def _in_between(census: Census, front: Front, u: float, total: FloatArray) -> int:
    """A slot between the extremes, drawn by weight; there must be one."""
    link = front.link
    if 0 < total[1] < math.inf:
        return pareto.draw(total, u)
    slot = census.members[int(u * census.counts[FRONT])]  # contributions that are no numbers
    if link[slot, 0] == END:
        return link[slot, 1]
    return link[slot, 0] if link[slot, 1] == END else slot


@kernel
def choose(
    census: Census,
    front: Front,
    who: Individuals,
    total: FloatArray,
    p_extreme: float,
    least_sigma: float,
    u: FloatArray,
    parents: IntArray,
) -> None:
    """Draw parents: an extreme with probability `p_extreme`, else by weight.

    total : sums of weights, see `pareto.set_weight`; u : (k, 3), uniform in [0, 1); parents : (k,).
    An extreme whose step size is below `least_sigma` gives way to one in between, if there is one.
    """
    for k in range(len(parents)):
        extreme = front.link[END, 0 if u[k, 1] < 0.5 else 1]
        worn = who.sigma[extreme] < least_sigma
        if census.counts[FRONT] <= 2 or (u[k, 0] < p_extreme and not worn):
            parents[k] = extreme
        else:
            parents[k] = _in_between(census, front, u[k, 2], total)


@kernel
def _neighbours(front: Front, slot: int) -> tuple[int, int]:
    """The slots on both sides, at an extreme the two next ones; END where there is none."""
    before, after = front.link[slot, 0], front.link[slot, 1]
    if before == END:
        return after, front.link[after, 1] if after != END else END
    if after == END:
        return before, front.link[before, 0]
    return before, after


@kernel
def breed(
    census: Census,
    front: Front,
    who: Individuals,
    parents: IntArray,
    z: FloatArray,
    c_r: float,
    slots: IntArray,
) -> None:
    """Make one offspring of each parent; its covariance matrix leans towards the parent's neighbours.

    parents, slots : (k,); z : (k, n), normal numbers; c_r : share of the neighbours.
    """
    n = z.shape[1]
    u, w, Lt = np.empty(n), np.empty(n), np.zeros((n, n))
    for k in range(len(parents)):
        parent, slot = parents[k], take(census)
        slots[k] = slot
        census.parent[slot] = parent
        census.parent_generation[slot] = census.generation[parent]
        sigma = who.sigma[parent]
        who.sigma[slot], who.p[slot], who.p_c[slot] = sigma, who.p[parent], 0.0
        who.Lt[slot] = who.Lt[parent]
        alpha = 1 - c_r
        for other in _neighbours(front, parent):
            if other != END:
                for i in range(n):
                    u[i] = (who.x[other, i] - who.x[parent, i]) / sigma
                if rank_one(who.Lt[slot], alpha, 0.5 * c_r, u, w, Lt):
                    who.Lt[slot] = Lt
                    alpha = 1.0
        transform(who.Lt[slot], z[k], who.y[slot])
        for i in range(n):
            who.x[slot, i] = who.x[parent, i] + sigma * who.y[slot, i]


@kernel
def set_weights(census: Census, front: Front, total: FloatArray, slot: int, power: float) -> None:
    """Set the weights of a slot and its neighbours; the extremes have none."""
    for s in (front.link[slot, 0], slot, front.link[slot, 1]):
        if s != END:
            key = census.key[s]
            pareto.set_weight(total, s, key**power if key < math.inf else 0.0)


@kernel
def set_all_weights(census: Census, front: Front, total: FloatArray, power: float) -> None:
    """Set the weights of the whole front."""
    slot = front.link[END, 1]
    while slot != END:
        set_weights(census, front, total, slot, power)
        slot = front.link[slot, 1]


@kernel
def clear_pool(census: Census, total: FloatArray) -> None:
    """Let go of all that are dominated."""
    while census.counts[ALL] > census.counts[FRONT]:
        slot = census.members[census.counts[ALL] - 1]
        pareto.set_weight(total, slot, 0.0)
        depart(census, slot)


@kernel
def limit(census: Census, front: Front, total: FloatArray, mu: int, power: float, reference: FloatArray) -> None:
    """Take out who contributes least until `mu` are left, mu >= 3."""
    while census.counts[FRONT] > mu:
        slot = census.winner[1]
        before, after = front.link[slot, 0], front.link[slot, 1]
        leave_front(census, front, slot, reference)
        pareto.set_weight(total, slot, 0.0)
        for s in (before, after):
            if s != END:
                set_weights(census, front, total, s, power)


@kernel
def _learn(who: Individuals, slot: int, y: FloatArray, c: Constants, scale: FloatArray, w: FloatArray) -> None:
    """C <- (1 - c_cov) C + c_cov y y^T."""
    if not rank_one(who.Lt[slot], 1 - c.c_cov, c.c_cov, y, w, who.Lt[slot]):
        begin(who, slot, scale)


@kernel
def receive(
    census: Census,
    front: Front,
    who: Individuals,
    c: Constants,
    scale: FloatArray,
    reference: FloatArray,
    total: FloatArray,
    power: float,
    slots: IntArray,
    f: FloatArray,
    violation: FloatArray,
    mu: int,
) -> None:
    """Keep the offspring that no member weakly dominates, one after the other.

    slots, violation : (k,); f : (k, 2), of which rows that are not finite are failures, as are infeasible ones.
    reference : (2,), infinite.
    """
    w = np.empty(len(scale))
    for k in range(len(slots)):
        slot, u, v = slots[k], f[k, 0], f[k, 1]
        fails = not (np.isfinite(u) and np.isfinite(v)) or violation[k] > 0
        if fails or pareto.relation(front, pareto.locate(front, u), u, v) != 0:
            discard(census, who, slot, c)
            continue
        census.f[slot], census.violation[slot] = f[k], 0.0
        parent = parent_of(census, slot)
        enter(census, front, slot, reference)
        clear_pool(census, total)
        set_weights(census, front, total, slot, power)
        if parent != END and census.place[parent] != END:
            success_step(who, parent, True, c)
            _learn(who, parent, who.y[slot], c, scale, w)
        success_step(who, slot, True, c)
        _learn(who, slot, who.y[slot], c, scale, w)
        limit(census, front, total, mu, power, reference)
