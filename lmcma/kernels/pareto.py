"""Two objectives: non-domination ranks, hypervolume, and a front that is kept in order while points come and go.

A front is a doubly linked list of slots in order of f_1, with a search tree above it: inserting and removing take
O(log K) of time, finding the neighbours none.  The tree is a treap whose priorities are a hash of the slot, so that its
shape follows from what is in it.

References
----------
C. R. Aragon, R. G. Seidel. Randomized search trees. FOCS 1989.
M. T. Jensen. Reducing the Run-Time Complexity of Multiobjective EAs: The NSGA-II and Other Algorithms. IEEE
Transactions on Evolutionary Computation 7(5), 2003.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmcma.kernels.compile import kernel
from lmcma.kernels.normals import mix
from lmcma.typing import FloatArray, IntArray

END = -1  # no slot: before the first and after the last one; row -1 of the arrays belongs to it
DOMINATED, EQUAL = -1, -2  # why a point is not inserted
_LARGEST = np.finfo(np.float64).max


# -------------------------------------------------------------------- sets of points


@kernel
def order(f: FloatArray) -> IntArray:
    """Rows of `f`, (k, 2), by f_1, then by f_2, then by row."""
    by_second = np.argsort(f[:, 1], kind="mergesort")
    return by_second[np.argsort(f[by_second, 0], kind="mergesort")]


@kernel
def ranks(f: FloatArray) -> IntArray:
    """Non-domination ranks, 1 for the points that no other dominates.  f : (k, 2), finite.  O(k log k)."""
    k = len(f)
    rank = np.empty(k, dtype=np.int64)
    last = np.empty(k, dtype=np.int64)  # of each front so far; their f_2 do not decrease
    fronts = 0
    for row in order(f):
        low, high = 0, fronts
        while low < high:  # the first front whose last member does not dominate the point
            middle = (low + high) // 2
            other = last[middle]
            if f[other, 1] > f[row, 1] or (f[other, 1] == f[row, 1] and f[other, 0] == f[row, 0]):
                high = middle
            else:
                low = middle + 1
        fronts = max(fronts, low + 1)
        last[low] = row
        rank[row] = low + 1
    return rank


@kernel
def hypervolume(f: FloatArray, reference: FloatArray) -> float:
    """Area dominated by `f`, (k, 2), and not by the reference, (2,); dominated points and others do no harm."""
    area, error = 0.0, 0.0
    height = reference[1]
    for row in order(f):
        if f[row, 0] < reference[0] and f[row, 1] < height:
            area, error = add(area, error, rectangle(f[row, 0], reference[0], f[row, 1], height))
            height = f[row, 1]
    return area + error


@kernel
def add(total: float, error: float, term: float) -> tuple[float, float]:
    """The sum and what rounding took from it, one term later (Neumaier 1974); nothing from an infinite sum."""
    new = total + term
    if new == math.inf:
        return new, 0.0
    if abs(total) >= abs(term):
        error += (total - new) + term
    else:
        error += (term - new) + total
    return new, error


@kernel
def rectangle(left: float, right: float, low: float, high: float) -> float:
    """Area between finite sides; infinite only where it is beyond the largest number, though a side may be."""
    width, height = right - left, high - low
    if width == math.inf:
        return 2.0 * ((0.5 * right - 0.5 * left) * height)
    if height == math.inf:
        return 2.0 * (width * (0.5 * high - 0.5 * low))
    return width * height


@kernel
def box(left: float, right: float, low: float, high: float) -> float:
    """What a point adds alone: 0 where it is equal to a neighbour or outside; infinite only where a side is."""
    if not (right > left and high > low):
        return 0.0
    if right == math.inf or high == math.inf:
        return math.inf
    return min(rectangle(left, right, low, high), _LARGEST)


@kernel
def contributions(f: FloatArray, reference: FloatArray) -> FloatArray:
    """What each point adds to the hypervolume, (k,).

    f : (k, 2), in order of `order`, none dominating another; reference : (2,), infinite for infinite extremes.
    """
    k = len(f)
    out = np.empty(k)
    for t in range(k):
        right = min(f[t + 1, 0], reference[0]) if t + 1 < k else reference[0]
        top = min(f[t - 1, 1], reference[1]) if t > 0 else reference[1]
        out[t] = box(f[t, 0], right, f[t, 1], top)
    return out


# -------------------------------------------------------------------- a front in order


class Front(NamedTuple):
    """Points in slots, those of the front in order; no point dominates another."""

    f: FloatArray  # (capacity, 2), of any slots
    child: IntArray  # (capacity + 1, 2), smaller and larger ones in the tree; row END: the root
    link: IntArray  # (capacity + 1, 2), slots before and after; row END: the last and the first


@kernel
def _comes_before(f: FloatArray, a: int, b: int) -> bool:
    return f[a, 0] < f[b, 0] or (f[a, 0] == f[b, 0] and a < b)


@kernel
def _priority(slot: int) -> np.uint64:
    return mix(np.uint64(slot))


@kernel
def _plant(front: Front, slot: int) -> None:
    """Put a slot into the tree."""
    f, child = front.f, front.child
    at, side = END, 0
    node = child[at, side]
    while node != END and _priority(node) > _priority(slot):
        at, side = node, 1 if _comes_before(f, node, slot) else 0
        node = child[at, side]
    child[at, side] = slot
    smaller, smaller_side = slot, 0  # where what is below goes, split at the slot
    larger, larger_side = slot, 1
    while node != END:
        if _comes_before(f, node, slot):
            child[smaller, smaller_side] = node
            smaller, smaller_side = node, 1
            node = child[node, 1]
        else:
            child[larger, larger_side] = node
            larger, larger_side = node, 0
            node = child[node, 0]
    child[smaller, smaller_side] = END
    child[larger, larger_side] = END


@kernel
def _uproot(front: Front, slot: int) -> None:
    """Take a slot out of the tree."""
    f, child = front.f, front.child
    at, side = END, 0
    node = child[at, side]
    while node != slot:
        at, side = node, 1 if _comes_before(f, node, slot) else 0
        node = child[at, side]
    smaller, larger = child[slot, 0], child[slot, 1]
    while smaller != END and larger != END:
        if _priority(smaller) > _priority(larger):
            child[at, side] = smaller
            at, side = smaller, 1
            smaller = child[at, side]
        else:
            child[at, side] = larger
            at, side = larger, 0
            larger = child[at, side]
    child[at, side] = smaller if larger == END else larger


@kernel
def locate(front: Front, u: float) -> int:
    """The last slot with f_1 < u."""
    f, child, link = front.f, front.child, front.link
    found, node = END, child[END, 0]
    while node != END:
        if f[node, 0] < u:
            found = node
            node = child[node, 1]
        else:
            node = child[node, 0]
    after = link[found, 1]
    while after != END and f[after, 0] < u:  # equal points stand in the list in another order than in the tree
        found, after = after, link[after, 1]
    return found


@kernel
def relation(front: Front, before: int, u: float, v: float) -> int:
    """`DOMINATED` or `EQUAL`, or 0 for a point that would be new to the front.  before : ``locate(front, u)``."""
    f, after = front.f, front.link[before, 1]
    if before != END and f[before, 1] <= v:
        return DOMINATED
    if after != END and f[after, 0] == u and f[after, 1] <= v:
        return EQUAL if f[after, 1] == v else DOMINATED
    return 0


@kernel
def gain(front: Front, before: int, u: float, v: float, reference: FloatArray) -> float:
    """What a point that is new to the front adds to the hypervolume.  before : ``locate(front, u)``."""
    f, link = front.f, front.link
    r1, r2 = reference[0], reference[1]
    if not (u < r1 and v < r2):
        return 0.0
    top = min(f[before, 1], r2) if before != END else r2
    last = link[before, 1]
    while last != END and f[last, 1] >= v:
        last = link[last, 1]
    right = min(f[last, 0], r1) if last != END else r1
    area = rectangle(u, right, v, top)
    if area == math.inf:  # and so is the hypervolume then
        return area
    slot = link[before, 1]
    while slot != last:  # less what the points that it dominates had
        height = min(f[slot, 1], r2)
        area -= rectangle(min(f[slot, 0], r1), right, height, top)
        top = height
        slot = link[slot, 1]
    return area


@kernel
def insert(front: Front, slot: int, before: int, equal: bool) -> tuple[int, int]:
    """Insert a slot whose point no other dominates, and take out those that it dominates.

    before : ``locate(front, f_1)``; equal : whether the front has its point already.  How many went, and the first of
    them: they stay linked, one after the other.
    """
    f, link = front.f, front.link
    after = link[before, 1]
    first, gone = after, 0
    if not equal:
        while after != END and f[after, 1] >= f[slot, 1]:
            _uproot(front, after)
            after = link[after, 1]
            gone += 1
    link[slot, 0], link[slot, 1] = before, after
    link[before, 1] = slot
    link[after, 0] = slot
    _plant(front, slot)
    return gone, first


@kernel
def remove(front: Front, slot: int) -> None:
    """Take a slot out of the front."""
    link = front.link
    _uproot(front, slot)
    before, after = link[slot, 0], link[slot, 1]
    link[before, 1] = after
    link[after, 0] = before


@kernel
def contribution(front: Front, slot: int, reference: FloatArray) -> float:
    """What a slot of the front adds alone.  reference : (2,), infinite for infinite extremes."""
    f, before, after = front.f, front.link[slot, 0], front.link[slot, 1]
    right = min(f[after, 0], reference[0]) if after != END else reference[0]
    top = min(f[before, 1], reference[1]) if before != END else reference[1]
    return box(f[slot, 0], right, f[slot, 1], top)


@kernel
def walk(front: Front, out: IntArray) -> int:
    """Write the slots of the front in order of f_1 into `out`; how many."""
    k, slot = 0, front.link[END, 1]
    while slot != END:
        out[k] = slot
        k += 1
        slot = front.link[slot, 1]
    return k


# -------------------------------------------------------------------- the least, and a draw


@kernel
def _goes_first(a: int, b: int, key: FloatArray, birth: IntArray) -> bool:
    """Whether slot a goes before slot b: the smaller key, of equal ones the younger."""
    if a == END or b == END:
        return b == END
    return key[a] < key[b] or (key[a] == key[b] and birth[a] > birth[b])


@kernel
def compete(winner: IntArray, slot: int, present: bool, key: FloatArray, birth: IntArray) -> None:
    """Play a tournament again from one slot on, after it came, went or changed its key.

    winner : (2 capacity,), END without any; ``winner[1]`` is the slot with the least key, of equal ones the youngest.
    """
    node = len(winner) // 2 + slot
    winner[node] = slot if present else END
    while node > 1:
        node //= 2
        a, b = winner[2 * node], winner[2 * node + 1]
        winner[node] = a if _goes_first(a, b, key, birth) else b


@kernel
def set_weight(total: FloatArray, slot: int, weight: float) -> None:
    """Set the weight of a slot.  total : (2 capacity,), sums of pairs of pairs; ``total[1]`` is that of all."""
    node = len(total) // 2 + slot
    total[node] = weight
    while node > 1:
        node //= 2
        total[node] = total[2 * node] + total[2 * node + 1]


@kernel
def draw(total: FloatArray, u: float) -> int:
    """A slot with probability proportional to its weight.  u : in [0, 1); ``total[1]`` > 0 and finite."""
    size = len(total) // 2
    rest = u * total[1]
    node = 1
    while node < size:
        node *= 2
        if total[node + 1] > 0 and (rest >= total[node] or not total[node] > 0):
            rest -= total[node]
            node += 1
    return node - size
