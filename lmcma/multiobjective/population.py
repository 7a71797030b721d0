"""A population of (1+1)-CMA individuals: what MO-CMA-ES is about, without the questions of when and where.

References
----------
C. Igel, N. Hansen, S. Roth. Covariance Matrix Adaptation for Multi-objective Optimization. Evolutionary Computation
15(1), 2007.
C. Igel, T. Suttorp, N. Hansen. Steady-state Selection and Efficient Covariance Matrix Update in the Multi-objective
CMA-ES. EMO 2007.
T. Voss, N. Hansen, C. Igel. Improved Step Size Adaptation for the MO-CMA-ES. GECCO 2010.
O. Krause, C. Igel. A More Efficient Rank-one Covariance Matrix Update for Evolution Strategies. FOGA 2015.
"""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np

from lmcma.errors import ArgumentError, StateError
from lmcma.kernels import elitist, pareto
from lmcma.kernels import population as kernels
from lmcma.kernels.elitist import Individuals
from lmcma.kernels.pareto import END, Front
from lmcma.kernels.population import ALL, FREE, FRONT, N_COUNT, Census
from lmcma.multiobjective import many
from lmcma.typing import BoolArray, FloatArray, IntArray, State

_START = 16  # slots; a power of two


class Population:
    """At most `mu` individuals, each with a step size and a covariance matrix of its own.

    Selection is by non-domination rank, then by contribution to the hypervolume, one individual at a time. It sees the
    objectives it is given: penalties are the caller's affair, and so are bounds; points are never moved.

    Parameters
    ----------
    n, n_obj : int
        Variables and objectives; more than two objectives take moocore.
    mu : float
        Individuals at most. May be changed at any time, see `trim`; infinite for no limit.
    reference : (n_obj,) array, optional
        Reference point of the hypervolume. Without it the extremes of a front contribute infinitely much.
    scale : (n,) array, optional
        Standard deviations of an individual with sigma = 1 that has learned nothing; 1 by default.
    success : {"population", "individual"}
        A success is an offspring that is selected, or one that precedes its parent.

    Attributes
    ----------
    x, y : (capacity, n) arrays
        By slot: points, and the steps that led to them.
    f : (capacity, n_obj) array
        By slot: objectives.
    sigma, p : (capacity,) arrays
        By slot: step sizes and smoothed success rates.

    Notes
    -----
    Individuals live in slots: rows of the arrays, which move to larger ones when there is no room. Offspring get theirs
    when they are made, and free it when they are not selected. Two objectives: O(n^2) for an offspring, O(log mu) for
    its selection where no individual is dominated, else O(k log k) for the k that are.

    Examples
    --------
    >>> import numpy as np
    >>> from lmcma.multiobjective import Population
    >>> rng = np.random.default_rng(1)
    >>> objectives = lambda x: np.array([(x**2).sum(axis=1), ((x - 1) ** 2).sum(axis=1)]).T
    >>> population = Population(3, mu=10)
    >>> _ = population.add(x := rng.standard_normal((10, 3)), objectives(x), sigma=0.3)
    >>> for _ in range(1000):
    ...     slots = population.offspring(1, rng)
    ...     population.receive(slots, objectives(population.x[slots]))
    >>> len(population), len(population.front)
    (10, 10)
    """

    def __init__(
        self,
        n: int,
        n_obj: int = 2,
        *,
        mu: float,
        reference: FloatArray | None = None,
        scale: FloatArray | None = None,
        success: str = "population",
    ) -> None:
        if success not in ("population", "individual"):
            raise ArgumentError(f"`success` must be 'population' or 'individual'; got {success!r}.")
        if n_obj > 2:
            many.library()
        self.n, self.n_obj, self.mu, self.success = n, n_obj, mu, success
        self.reference = None if reference is None else np.array(reference, dtype=np.float64)
        self.scale = np.ones(n) if scale is None else np.array(scale, dtype=np.float64)
        self.constants = elitist.constants(n)
        self._limits = np.full(n_obj, np.inf) if self.reference is None else self.reference
        self._allocate(_START)
        self._census.counts[:] = 0
        self._release(np.arange(_START))

    def _allocate(self, capacity: int) -> None:
        n, m = self.n, self.n_obj
        self._who = Individuals(
            x=np.zeros((capacity, n)),
            y=np.zeros((capacity, n)),
            sigma=np.zeros(capacity),
            p=np.zeros(capacity),
            Lt=np.zeros((capacity, n, n)),
            p_c=np.zeros((capacity, n)),
        )
        self._census = Census(
            f=np.full((capacity, m), np.nan),
            violation=np.zeros(capacity),
            birth=np.zeros(capacity, dtype=np.int64),
            generation=np.zeros(capacity, dtype=np.int64),
            parent=np.full(capacity, END),
            parent_generation=np.zeros(capacity, dtype=np.int64),
            members=np.zeros(capacity, dtype=np.int64),
            place=np.full(capacity, END),
            free=np.zeros(capacity, dtype=np.int64),
            key=np.zeros(capacity),
            winner=np.full(2 * capacity, END),
            counts=np.zeros(N_COUNT, dtype=np.int64),
        )
        self._front = Front(self._census.f, np.full((capacity + 1, 2), END), np.full((capacity + 1, 2), END))

    # ---------------------------------------------------------------- who is there

    def __len__(self) -> int:
        return int(self._census.counts[ALL])

    @property
    def members(self) -> IntArray:
        """Slots of all individuals, those of the front first; a copy."""
        return self._census.members[: len(self)].copy()

    @property
    def front(self) -> IntArray:
        """Slots of the feasible individuals that no other dominates, two objectives: in order of f_1; a copy."""
        size = int(self._census.counts[FRONT])
        slots = self._census.members[:size].copy()
        if self.n_obj == 2:
            pareto.walk(self._front, slots)
        return slots

    @property
    def x(self) -> FloatArray:
        """Points by slot, (capacity, n)."""
        return self._who.x

    @property
    def y(self) -> FloatArray:
        """Steps by slot, (capacity, n)."""
        return self._who.y

    @property
    def f(self) -> FloatArray:
        """Objectives by slot, (capacity, n_obj)."""
        return self._census.f

    @property
    def sigma(self) -> FloatArray:
        """Step sizes by slot, (capacity,)."""
        return self._who.sigma

    @property
    def p(self) -> FloatArray:
        """Smoothed success rates by slot, (capacity,)."""
        return self._who.p

    def covariance(self, slot: int) -> FloatArray:
        """The covariance matrix of an individual without the factor sigma^2, (n, n)."""
        Lt = self._who.Lt[slot]
        C: FloatArray = Lt.T @ Lt
        return C

    def stds(self, slots: IntArray) -> FloatArray:
        """Standard deviations of the coordinates of the next steps, (k, n)."""
        found: FloatArray = self.sigma[slots, None] * np.sqrt((self._who.Lt[slots] ** 2).sum(axis=1))
        return found

    def reach(self, width: FloatArray) -> float:
        """The largest standard deviation of any individual of the front along any variable, in widths, (n,).

        Infinite where there is no front: nothing has converged before a point is feasible.
        """
        front = self.front
        return float((self.stds(front) / width).max()) if len(front) else math.inf

    def spread(self, x0: FloatArray, sigma0: float) -> tuple[float, float, FloatArray, FloatArray]:
        """Step size, axis ratio, mean (n,) and standard deviations (n,): medians of the members, and their mean.

        An empty population has the start, `x0` and `sigma0`.
        """
        slots = self.members
        if not len(slots):
            return sigma0, float(self.scale.max() / self.scale.min()), x0.copy(), sigma0 * self.scale
        middle = slots[np.argsort(self.sigma[slots], kind="stable")[len(slots) // 2]]
        axes = np.linalg.svd(self._who.Lt[middle], compute_uv=False)
        stds: FloatArray = np.median(self.stds(slots), axis=0)
        return float(self.sigma[middle]), float(axes[0] / axes[-1]), self.x[slots].mean(axis=0), stds

    # ---------------------------------------------------------------- offspring

    def offspring(self, k: int, rng: np.random.Generator, *, parents: str = "front") -> IntArray:
        """Make `k` offspring; their points are ``x[slots]``.

        Parameters
        ----------
        k : int
            How many; they know nothing of each other.
        rng : Generator
            Gives places for the parents, then k n normal numbers.
        parents : {"front", "all", "each"}
            Drawn uniformly from the front (where none is feasible, from the least infeasible), or from all; or each
            in turn, in order of slot, from anywhere on where k is no multiple of their number.

        Returns
        -------
        (k,) array of int
            Their slots, which `receive` takes; the slots are theirs until then.
        """
        if parents == "each":
            among = np.sort(self.members)
            chosen = np.resize(np.roll(among, -rng.integers(len(among))) if k % len(among) else among, k)
        else:
            among = self._parents() if parents == "front" else self.members
            chosen = among[rng.integers(len(among), size=k)]
        z = rng.standard_normal((k, self.n))
        self._make_room(k)
        slots = np.empty(k, dtype=np.int64)
        kernels.breed(self._census, self._who, chosen, z, slots)
        return slots

    def _parents(self) -> IntArray:
        """Slots of the front, in no particular order; where it is empty, of the least infeasible."""
        census = self._census
        size = int(census.counts[FRONT])
        if size:
            return census.members[:size]
        slots = self.members
        violation = census.violation[slots]
        return slots[violation == violation.min()]

    def receive(
        self, slots: IntArray, f: FloatArray, violation: FloatArray | None = None, *, together: bool = False
    ) -> None:
        """Take the objectives of offspring, and select.

        Parameters
        ----------
        slots : (k,) array of int
            Offspring, as `offspring` gave them, in any number of calls; each once.
        f : (k, n_obj) array
            Their objectives. A row that is not finite is a failure of the parent.
        violation : (k,) array, optional
            How much they violate constraints, 0 for feasible points, which precede all others.
        together : bool
            (mu + k)-selection, instead of (mu + 1) for one after the other.
        """
        v = np.zeros(len(slots)) if violation is None else violation
        if self.n_obj > 2:
            self._receive_many(slots, f, v, together=together)
            return
        select = kernels.together if together else kernels.one_by_one
        select(
            *(self._census, self._front, self._who, self.constants, self.scale, self._limits),
            *(slots, f, v, self._most(), self.success == "individual"),
        )

    def release(self, slots: IntArray) -> None:
        """Give up offspring that will never be received."""
        for slot in slots:
            kernels.give_back(self._census, slot)

    def _most(self) -> int:
        return int(min(self.mu, 2**62))

    # ---------------------------------------------------------------- others

    def add(
        self,
        x: FloatArray,
        f: FloatArray,
        sigma: float | FloatArray,
        violation: FloatArray | None = None,
        *,
        only_new: bool = False,
    ) -> int:
        """Take in points that have learned nothing, then `trim`.

        Parameters
        ----------
        x, f : (k, n), (k, n_obj) arrays
            Points and their objectives; rows of `f` that are not finite are left out.
        sigma : float or (k,) array
            Their step sizes.
        violation : (k,) array, optional
            As for `receive`.
        only_new : bool
            Leave out what a member weakly dominates.

        Returns
        -------
        int
            How many were taken in, whether they stayed or not.
        """
        v = np.zeros(len(x)) if violation is None else violation
        sigmas = np.broadcast_to(np.asarray(sigma, dtype=np.float64), (len(x),))
        taken = 0
        for k in np.flatnonzero(np.isfinite(f).all(axis=1)):
            if only_new and (v[k] > 0 or self._weakly_dominated(f[k])):
                continue
            slot = self._newcomer(x[k], f[k], float(v[k]))
            elitist.begin(self._who, slot, self.scale)
            self._who.y[slot] = 0.0
            self._who.sigma[slot], self._who.p[slot] = sigmas[k], self.constants.p_target
            taken += 1
        self.trim()
        return taken

    def inject(self, other: Population, slots: IntArray | None = None) -> int:
        """Take over individuals of another population that no member weakly dominates, as they are, then `trim`.

        Parameters
        ----------
        other : Population
            Of the same dimensions.
        slots : array of int, optional
            Which of its members; all by default.

        Returns
        -------
        int
            How many were taken in, whether they stayed or not.
        """
        taken = 0
        for old in other.members if slots is None else slots:
            violation = float(other._census.violation[old])
            if violation > 0 or self._weakly_dominated(other.f[old]):
                continue
            slot = self._newcomer(other.x[old], other.f[old], violation)
            for mine, theirs in zip(self._who, other._who, strict=True):
                mine[slot] = theirs[old]
            taken += 1
        self.trim()
        return taken

    def trim(self) -> None:
        """Take out the worst until `mu` are left."""
        if self.n_obj == 2:
            kernels.trim(self._census, self._front, self._most(), self._limits)
        else:
            self._trim_many()

    def _weakly_dominated(self, f: FloatArray) -> bool:
        if self.n_obj == 2:
            return bool(pareto.relation(self._front, pareto.locate(self._front, f[0]), f[0], f[1]))
        front = self.f[self._census.members[: self._census.counts[FRONT]]]
        return bool((front <= f).all(axis=1).any())

    def _newcomer(self, x: FloatArray, f: FloatArray, violation: float) -> int:
        self._make_room(1)
        slot = int(kernels.take(self._census))
        census = self._census
        census.parent[slot], census.violation[slot], census.f[slot] = END, violation, f
        self._who.x[slot] = x
        if self.n_obj == 2:
            kernels.enter(census, self._front, slot, self._limits)
        else:
            kernels.join(census, slot)
            self._sort_many()
        return slot

    # ---------------------------------------------------------------- more than two objectives

    def _receive_many(self, slots: IntArray, f: FloatArray, violation: FloatArray, *, together: bool) -> None:
        if not together:
            for k in range(len(slots)):
                self._select_many(slots[k : k + 1], f[k : k + 1], violation[k : k + 1], steady=True)
        else:
            self._select_many(slots, f, violation, steady=False)

    def _select_many(self, slots: IntArray, f: FloatArray, violation: FloatArray, *, steady: bool) -> None:
        census, individual = self._census, self.success == "individual"
        valid = np.isfinite(f).all(axis=1)
        for slot in slots[~valid]:
            kernels.discard(census, self._who, slot, self.constants)
        mine = slots[valid]
        census.f[mine], census.violation[mine] = f[valid], violation[valid]
        for slot in mine:
            kernels.join(census, slot)
        parents = [kernels.parent_of(census, slot) for slot in mine]
        by_rank = individual or (steady and len(self) <= self.mu)
        if by_rank:
            rank, value = self._standings_many()
        self._trim_many()
        for slot, parent in zip(mine, parents, strict=True):
            success = kernels.succeeds(rank, value, slot, parent, individual) if by_rank else census.place[slot] != END
            kernels.reward(census, self._who, slot, parent, bool(success), self.constants, self.scale)

    def _standings_many(self) -> tuple[IntArray, FloatArray]:
        """Rank and contribution of every member, by slot."""
        census, slots = self._census, self.members
        rank, value = np.zeros(len(census.place), dtype=np.int64), np.zeros(len(census.place))
        violation = census.violation[slots]
        feasible = slots[violation == 0]
        rank[feasible] = many.ranks(census.f[feasible])
        last = int(rank[feasible].max(initial=0))
        for r in range(1, last + 1):
            of_front = feasible[rank[feasible] == r]
            value[of_front] = many.contributions(census.f[of_front], self.reference)
        infeasible = violation > 0
        rank[slots[infeasible]] = 1 + last + np.unique(violation[infeasible], return_inverse=True)[1]
        return rank, value

    def _trim_many(self) -> None:
        census = self._census
        while len(self) > self.mu:
            surplus = len(self) - self._most()
            slots = self.members
            violation = census.violation[slots]
            if violation.max() > 0:
                of_worst = slots[violation == violation.max()]
                kernels.depart(census, of_worst[census.birth[of_worst].argmax()])
                continue
            rank = many.ranks(census.f[slots])
            of_worst = slots[rank == rank.max()]
            leaving = of_worst if len(of_worst) <= surplus else [self._least_many(of_worst)]
            for slot in leaving:
                kernels.depart(census, slot)
        self._sort_many()

    def _least_many(self, slots: IntArray) -> int:
        """Who of a front contributes least; of equal ones the youngest."""
        value = many.contributions(self.f[slots], self.reference)
        return int(slots[np.lexsort((-self._census.birth[slots], value))[0]])

    def _sort_many(self) -> None:
        """Put the front before the pool."""
        census, slots = self._census, np.sort(self.members)
        feasible = census.violation[slots] == 0
        first: BoolArray = np.zeros(len(slots), dtype=np.bool_)
        first[feasible] = many.ranks(census.f[slots[feasible]]) == 1
        ordered = np.concatenate([slots[first], slots[~first]])
        census.members[: len(slots)], census.place[ordered] = ordered, np.arange(len(slots))
        census.counts[FRONT] = np.count_nonzero(first)

    # ---------------------------------------------------------------- slots, save and restore

    def _make_room(self, k: int) -> None:
        """Have `k` free slots at least."""
        while self._census.counts[FREE] < k:
            who, census, front = self._who, self._census, self._front
            old = len(census.place)
            self._allocate(2 * old)
            pairs = [(who, self._who), (census[:-2], self._census[:-2])]
            for before, now in pairs:
                for mine, theirs in zip(now, before, strict=True):
                    mine[:old] = theirs
            self._census.counts[:] = census.counts
            for mine, theirs in ((self._front.child, front.child), (self._front.link, front.link)):
                mine[:old], mine[END] = theirs[:old], theirs[END]
            for slot in census.members[: census.counts[FRONT]] if self.n_obj == 2 else ():
                pareto.compete(self._census.winner, slot, True, self._census.key, self._census.birth)
            self._release(np.arange(old, 2 * old))

    def _release(self, slots: IntArray) -> None:
        """Make slots free, the first of them the next to be taken."""
        counts = self._census.counts
        size = counts[FREE]
        self._census.free[: size + len(slots)] = np.concatenate([slots[::-1], self._census.free[:size]])
        counts[FREE] += len(slots)

    def state_dict(self) -> State:
        """Everything needed to go on to the bit: options, and the arrays by slot."""
        arrays = {**self._who._asdict(), **self._census._asdict(), **self._front._asdict()}
        return {
            "n": self.n,
            "n_obj": self.n_obj,
            "mu": self.mu,
            "reference": None if self.reference is None else self.reference.copy(),
            "scale": self.scale.copy(),
            "success": self.success,
            **{name: array.copy() for name, array in arrays.items()},
        }

    @classmethod
    def _blank(cls, state: State) -> Self:
        options: dict[str, Any] = {name: state[name] for name in ("mu", "reference", "scale", "success")}
        return cls(int(state["n"]), int(state["n_obj"]), **options)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """The population whose `state_dict` this is."""
        population = cls._blank(state)
        population._allocate(len(state["place"]))
        for arrays in (population._who, population._census, population._front):
            for name, array in arrays._asdict().items():
                if np.shape(state[name]) != array.shape:
                    raise StateError(f"`state[{name!r}]` must have shape {array.shape}; got {np.shape(state[name])}.")
                array[:] = state[name]
        return population
