"""An archive of non-dominated points: entering rows of points, one after the other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lmcma.kernels import pareto
from lmcma.kernels.compile import kernel
from lmcma.kernels.pareto import END, Front
from lmcma.typing import BoolArray, FloatArray, IntArray

ALIVE, FREE, ENTERED = range(3)  # places in `Store.counts`
N_COUNT = 3
SUM, ERROR = range(2)  # places in `Store.area`
_ANEW = 2**16  # insertions after which the hypervolume is summed up anew


class Store(NamedTuple):
    """Points in slots."""

    x: FloatArray  # (capacity, n)
    f: FloatArray  # (capacity, n_obj)
    birth: IntArray  # (capacity,), the evaluation that found it
    death: IntArray  # (capacity,), the one that found what dominates it; END while there is none
    free: IntArray  # (capacity,), slots to be taken, the next one last
    alive: IntArray  # (capacity,), slots of the archive where there are three objectives or more
    counts: IntArray  # (N_COUNT,)
    area: FloatArray  # (2,), hypervolume and what rounding took from it


@kernel
def _take(store: Store, x: FloatArray, f: FloatArray, birth: int) -> int:
    store.counts[FREE] -= 1
    slot = store.free[store.counts[FREE]]
    store.x[slot], store.f[slot] = x, f
    store.birth[slot], store.death[slot] = birth, END
    store.counts[ALIVE] += 1
    store.counts[ENTERED] += 1
    return slot


@kernel
def _die(store: Store, slot: int, now: int, log: bool) -> None:
    """Leave the archive; the slot is free unless a log is kept."""
    store.counts[ALIVE] -= 1
    store.death[slot] = now
    if not log:
        store.free[store.counts[FREE]] = slot
        store.counts[FREE] += 1


@kernel
def enter(
    front: Front,
    store: Store,
    reference: FloatArray,
    log: bool,
    x: FloatArray,
    f: FloatArray,
    birth: IntArray,
    entered: BoolArray,
    area: FloatArray,
) -> None:
    """Enter the rows that no point of the archive weakly dominates; two objectives.

    x, f : (k, n), (k, 2), finite; birth : (k,); there must be k free slots.  Into `entered`, (k,), whether a row
    entered; into `area`, (k,), the hypervolume after it.  reference : (2,), infinite without one.
    """
    measured = reference[0] < np.inf
    for k in range(len(f)):
        u, v = f[k, 0], f[k, 1]
        before = pareto.locate(front, u)
        entered[k] = pareto.relation(front, before, u, v) == 0
        if entered[k]:
            if measured:
                more = pareto.gain(front, before, u, v, reference)
                store.area[SUM], store.area[ERROR] = pareto.add(store.area[SUM], store.area[ERROR], more)
            slot = _take(store, x[k], f[k], birth[k])
            gone, other = pareto.insert(front, slot, before, False)
            for _ in range(gone):
                after = front.link[other, 1]
                _die(store, other, birth[k], log)
                other = after
            if measured and store.counts[ENTERED] % _ANEW == 0:
                store.area[SUM], store.area[ERROR] = measure(front, reference)
        area[k] = store.area[SUM] + store.area[ERROR]


@kernel
def measure(front: Front, reference: FloatArray) -> tuple[float, float]:
    """The hypervolume of a front, and what rounding took from it."""
    total, error = 0.0, 0.0
    top = reference[1]
    slot = front.link[END, 1]
    while slot != END:
        u, v = front.f[slot, 0], front.f[slot, 1]
        if u < reference[0] and v < top:
            total, error = pareto.add(total, error, pareto.rectangle(u, reference[0], v, top))
            top = v
        slot = front.link[slot, 1]
    return total, error


@kernel
def enter_many(store: Store, log: bool, x: FloatArray, f: FloatArray, birth: IntArray, entered: BoolArray) -> None:
    """Enter the rows that no point of the archive weakly dominates; any number of objectives, O(K) for a row.

    Arguments as those of `enter`; f : (k, n_obj).
    """
    alive, m = store.alive, f.shape[1]
    for k in range(len(f)):
        entered[k] = True
        i = 0
        while i < store.counts[ALIVE]:
            slot = alive[i]
            less, more = False, False  # somewhere, than the newcomer
            for j in range(m):
                if store.f[slot, j] < f[k, j]:
                    less = True
                elif store.f[slot, j] > f[k, j]:
                    more = True
                if less and more:
                    break
            if not more:
                entered[k] = False
                break
            if not less:
                _die(store, slot, birth[k], log)
                alive[i] = alive[store.counts[ALIVE]]
            else:
                i += 1
        if entered[k]:
            slot = _take(store, x[k], f[k], birth[k])
            alive[store.counts[ALIVE] - 1] = slot


@kernel
def thin(front: Front, store: Store, keep: int, now: int, log: bool) -> None:
    """Take out the point that contributes least, one after the other, until `keep` are left; two objectives."""
    capacity = len(store.birth)
    reference = np.full(2, np.inf)
    key, winner = np.zeros(capacity), np.full(2 * capacity, END)
    slot = front.link[END, 1]
    while slot != END:
        key[slot] = pareto.contribution(front, slot, reference)
        pareto.compete(winner, slot, True, key, store.birth)
        slot = front.link[slot, 1]
    while store.counts[ALIVE] > max(keep, 2):
        slot = winner[1]
        pareto.remove(front, slot)
        pareto.compete(winner, slot, False, key, store.birth)
        _die(store, slot, now, log)
        for neighbour in front.link[slot]:
            if neighbour != END:
                key[neighbour] = pareto.contribution(front, neighbour, reference)
                pareto.compete(winner, neighbour, True, key, store.birth)
