"""A population of (1+1)-CMA individuals under selection by non-domination and hypervolume, two objectives.

Feasible points that no other dominates are kept in order (`pareto.Front`); all others are a pool, ranked when somebody
has to leave it.

References
----------
C. Igel, N. Hansen, S. Roth. Covariance Matrix Adaptation for Multi-objective Optimization. Evolutionary Computation
15(1), 2007.
C. Igel, T. Suttorp, N. Hansen. Steady-state Selection and Efficient Covariance Matrix Update in the Multi-objective
CMA-ES. EMO 2007.
T. Voss, N. Hansen, C. Igel. Improved Step Size Adaptation for the MO-CMA-ES. GECCO 2010.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmcma.kernels import pareto
from lmcma.kernels.cholesky import transform
from lmcma.kernels.compile import kernel
from lmcma.kernels.elitist import Constants, Individuals, covariance_step, success_step
from lmcma.kernels.pareto import END, Front
from lmcma.typing import FloatArray, IntArray

# places in `Census.counts`
FRONT, ALL, FREE, BORN = range(4)
N_COUNT = 4


class Census(NamedTuple):
    """Who is in the population, and where: ``members`` are the front up to ``counts[FRONT]``, then the pool."""

    f: FloatArray  # (capacity, n_obj), objectives that selection sees
    violation: FloatArray  # (capacity,), of constraints, 0 for feasible points
    birth: IntArray  # (capacity,), serial number
    generation: IntArray  # (capacity,), how often the slot has changed hands
    parent: IntArray  # (capacity,), slot of the parent, END without any
    parent_generation: IntArray  # (capacity,), its generation then
    members: IntArray  # (capacity,)
    place: IntArray  # (capacity,), in `members`, END for who is not in
    free: IntArray  # (capacity,), slots to be taken, the next one last
    key: FloatArray  # (capacity,), contributions of the front
    winner: IntArray  # (2 capacity,), tournament of the front for the least of them
    counts: IntArray  # (N_COUNT,)


# -------------------------------------------------------------------- slots


@kernel
def take(census: Census) -> int:
    """A free slot; there must be one."""
    census.counts[FREE] -= 1
    return census.free[census.counts[FREE]]


@kernel
def give_back(census: Census, slot: int) -> None:
    """Free a slot; who still refers to it can tell by its generation."""
    census.generation[slot] += 1
    census.free[census.counts[FREE]] = slot
    census.counts[FREE] += 1


@kernel
def swap(census: Census, a: int, b: int) -> None:
    """Exchange two places of `members`."""
    members, place = census.members, census.place
    members[a], members[b] = members[b], members[a]
    place[members[a]], place[members[b]] = a, b


@kernel
def join(census: Census, slot: int) -> None:
    """Become a member, of the pool at first."""
    last = census.counts[ALL]
    census.members[last], census.place[slot] = slot, last
    census.birth[slot] = census.counts[BORN]
    census.counts[ALL] += 1
    census.counts[BORN] += 1


@kernel
def to_front(census: Census, slot: int) -> None:
    """Go from the pool to the front."""
    swap(census, census.place[slot], census.counts[FRONT])
    census.counts[FRONT] += 1


@kernel
def to_pool(census: Census, slot: int) -> None:
    """Go from the front to the pool."""
    census.counts[FRONT] -= 1
    swap(census, census.place[slot], census.counts[FRONT])


@kernel
def depart(census: Census, slot: int) -> None:
    """Leave the pool, and the population."""
    census.counts[ALL] -= 1
    swap(census, census.place[slot], census.counts[ALL])
    census.place[slot] = END
    give_back(census, slot)


# -------------------------------------------------------------------- offspring


@kernel
def breed(census: Census, who: Individuals, parents: IntArray, z: FloatArray, slots: IntArray) -> None:
    """Make one offspring of each parent, in free slots that are written into `slots`.

    parents, slots : (k,); z : (k, n), normal numbers.  Strategies are copied as they are now.
    """
    for k in range(len(parents)):
        parent, slot = parents[k], take(census)
        slots[k] = slot
        census.parent[slot] = parent
        census.parent_generation[slot] = census.generation[parent]
        who.sigma[slot], who.p[slot] = who.sigma[parent], who.p[parent]
        who.Lt[slot], who.p_c[slot] = who.Lt[parent], who.p_c[parent]
        transform(who.Lt[slot], z[k], who.y[slot])
        for i in range(z.shape[1]):
            who.x[slot, i] = who.x[parent, i] + who.sigma[slot] * who.y[slot, i]


@kernel
def parent_of(census: Census, slot: int) -> int:
    """The parent, END where it is gone."""
    parent = census.parent[slot]
    alive = parent != END and census.generation[parent] == census.parent_generation[slot]
    return parent if alive else END


# -------------------------------------------------------------------- coming and going, two objectives


@kernel
def weigh(census: Census, front: Front, slot: int, reference: FloatArray) -> None:
    """Note the contribution of a slot of the front."""
    if slot != END:
        census.key[slot] = pareto.contribution(front, slot, reference)
        pareto.compete(census.winner, slot, True, census.key, census.birth)


@kernel
def enter(census: Census, front: Front, slot: int, reference: FloatArray) -> None:
    """Come in, and send those that the newcomer dominates to the pool."""
    join(census, slot)
    if census.violation[slot] > 0:
        return
    u, v = census.f[slot, 0], census.f[slot, 1]
    before = pareto.locate(front, u)
    relation = pareto.relation(front, before, u, v)
    if relation == pareto.DOMINATED:
        return
    gone, other = pareto.insert(front, slot, before, relation == pareto.EQUAL)
    for _ in range(gone):
        pareto.compete(census.winner, other, False, census.key, census.birth)
        to_pool(census, other)
        other = front.link[other, 1]
    to_front(census, slot)
    weigh(census, front, slot, reference)
    weigh(census, front, front.link[slot, 0], reference)
    weigh(census, front, front.link[slot, 1], reference)


@kernel
def leave_front(census: Census, front: Front, slot: int, reference: FloatArray) -> None:
    """Leave the front, and the population."""
    pareto.remove(front, slot)
    pareto.compete(census.winner, slot, False, census.key, census.birth)
    to_pool(census, slot)
    depart(census, slot)
    weigh(census, front, front.link[slot, 0], reference)
    weigh(census, front, front.link[slot, 1], reference)


@kernel
def least(f: FloatArray, birth: IntArray, reference: FloatArray) -> int:
    """Row of a front in order, (k, 2), that adds least: of equal ones the youngest, of infinite ones the last."""
    value = pareto.contributions(f, reference)
    found = len(f) - 1
    for t in range(len(f)):
        if value[t] < value[found] or (value[t] == value[found] < math.inf and birth[t] > birth[found]):
            found = t
    return found


@kernel
def thin_pool(census: Census, surplus: int, reference: FloatArray) -> None:
    """Take out the worst of the pool, at most `surplus`: the most infeasible one, or (a part of) its last front."""
    first, last = census.counts[FRONT], census.counts[ALL]
    pool = census.members[first:last].copy()
    violation = census.violation[pool]
    worst = 0
    for k in range(len(pool)):
        younger = census.birth[pool[k]] > census.birth[pool[worst]]
        if violation[k] > violation[worst] or (violation[k] == violation[worst] and younger):
            worst = k
    if violation[worst] > 0:
        depart(census, pool[worst])
        return
    rank = pareto.ranks(census.f[pool])
    slots = pool[rank == rank.max()]
    if len(slots) <= surplus:
        for slot in slots:
            depart(census, slot)
        return
    slots = slots[pareto.order(census.f[slots])]
    for _ in range(surplus):
        row = least(census.f[slots], census.birth[slots], reference)
        depart(census, slots[row])
        slots = np.concatenate((slots[:row], slots[row + 1 :]))


@kernel
def trim(census: Census, front: Front, mu: int, reference: FloatArray) -> None:
    """Take out the worst until `mu` are left."""
    counts = census.counts
    while counts[ALL] > mu:
        if counts[ALL] > counts[FRONT]:
            thin_pool(census, counts[ALL] - mu, reference)
        else:
            slot = census.winner[1]
            if census.key[slot] == math.inf:
                slot = front.link[END, 0]
            leave_front(census, front, slot, reference)


@kernel
def standings(census: Census, reference: FloatArray) -> tuple[IntArray, FloatArray]:
    """Rank and contribution of every member, by slot, (capacity,) each."""
    rank, value = np.zeros(len(census.place), dtype=np.int64), np.zeros(len(census.place))
    first, last = census.counts[FRONT], census.counts[ALL]
    for slot in census.members[:first]:
        rank[slot], value[slot] = 1, census.key[slot]
    pool = census.members[first:last].copy()
    violation = census.violation[pool]
    feasible = pool[violation == 0]
    own = pareto.ranks(census.f[feasible])
    fronts = 0
    for k in range(len(own)):
        fronts = max(fronts, own[k])
    for r in range(1, fronts + 1):
        slots = feasible[own == r]
        slots = slots[pareto.order(census.f[slots])]
        alone = pareto.contributions(census.f[slots], reference)
        for k in range(len(slots)):
            rank[slots[k]], value[slots[k]] = 1 + r, alone[k]
    for k in range(len(pool)):
        if violation[k] > 0:
            rank[pool[k]], value[pool[k]] = 2 + fronts + np.sum((violation > 0) & (violation < violation[k])), 0.0
    return rank, value


# -------------------------------------------------------------------- what is learned


@kernel
def reward(
    census: Census, who: Individuals, slot: int, parent: int, success: bool, c: Constants, scale: FloatArray
) -> None:
    """Give parent and offspring their steps, where they are in; END for a parent that was gone before."""
    if parent != END and census.place[parent] != END:
        success_step(who, parent, success, c)
    if census.place[slot] != END:
        success_step(who, slot, success, c)
        covariance_step(who, slot, c, scale, np.empty(len(scale)))


@kernel
def discard(census: Census, who: Individuals, slot: int, c: Constants) -> None:
    """An offspring without values: a failure of its parent."""
    parent = parent_of(census, slot)
    if parent != END:
        success_step(who, parent, False, c)
    give_back(census, slot)


@kernel
def succeeds(rank: IntArray, value: FloatArray, slot: int, parent: int, individual: bool) -> bool:
    """Whether the offspring precedes its parent (individual), or is in no later front."""
    if parent == END:
        return rank[slot] == 1
    if individual:
        return rank[slot] < rank[parent] or (rank[slot] == rank[parent] and value[slot] > value[parent])
    return rank[slot] <= rank[parent]


@kernel
def one_by_one(
    census: Census,
    front: Front,
    who: Individuals,
    c: Constants,
    scale: FloatArray,
    reference: FloatArray,
    slots: IntArray,
    f: FloatArray,
    violation: FloatArray,
    mu: int,
    individual: bool,
) -> None:
    """(mu + 1)-selection for one offspring after the other.

    slots, violation : (k,); f : (k, 2), of which rows that are not finite are failures.
    """
    for k in range(len(slots)):
        slot = slots[k]
        if not (np.isfinite(f[k, 0]) and np.isfinite(f[k, 1])):
            discard(census, who, slot, c)
            continue
        census.f[slot], census.violation[slot] = f[k], violation[k]
        enter(census, front, slot, reference)
        parent = parent_of(census, slot)
        grows = census.counts[ALL] <= mu
        success = False
        if grows or individual:
            first = census.counts[FRONT]
            if parent != END and not individual and min(census.place[slot], census.place[parent]) < first:
                success = census.place[slot] < first  # the usual case: one of them, at least, is of rank 1
            else:
                rank, value = standings(census, reference)
                success = succeeds(rank, value, slot, parent, individual)
        trim(census, front, mu, reference)
        if not (grows or individual):
            success = census.place[slot] != END
        reward(census, who, slot, parent, success, c, scale)


@kernel
def together(
    census: Census,
    front: Front,
    who: Individuals,
    c: Constants,
    scale: FloatArray,
    reference: FloatArray,
    slots: IntArray,
    f: FloatArray,
    violation: FloatArray,
    mu: int,
    individual: bool,
) -> None:
    """(mu + lambda)-selection for all offspring at once; arguments as those of `one_by_one`."""
    kept = np.zeros(len(slots), dtype=np.bool_)
    parents = np.empty(len(slots), dtype=np.int64)
    for k in range(len(slots)):
        slot = slots[k]
        if np.isfinite(f[k, 0]) and np.isfinite(f[k, 1]):
            census.f[slot], census.violation[slot] = f[k], violation[k]
            enter(census, front, slot, reference)
            kept[k] = True
            parents[k] = parent_of(census, slot)
        else:
            discard(census, who, slot, c)
    rank, value = standings(census, reference) if individual else (census.birth, census.key)
    trim(census, front, mu, reference)
    for k in range(len(slots)):
        if kept[k]:
            slot, parent = slots[k], parents[k]
            success = census.place[slot] != END
            if individual:
                success = succeeds(rank, value, slot, parent, True)
            reward(census, who, slot, parent, success, c, scale)
