"""The population: selection, success, slots; and who may come in from elsewhere."""

import numpy as np
import pytest

from lmcma.multiobjective import Population, contributions, hypervolume, many, ranks
from tests.multiobjective.problems import spheres

FAR = np.array([11.0, 11.0])


def filled(f, mu=100, n=2, **options):
    """A population whose individual k has the point (k, k) and the objectives f[k]."""
    f = np.array(f, dtype=float)
    population = Population(n, f.shape[1], mu=mu, **options)
    population.add(np.repeat(np.arange(len(f), dtype=float)[:, None], n, axis=1), f, 1.0)
    return population


def names(population, slots=None):
    return sorted(population.x[population.members if slots is None else slots, 0].astype(int).tolist())


def told(population, parent, f):
    """Objectives of one offspring of individual `parent`; its slot."""
    slots = population.offspring(1, np.random.default_rng(0))
    population._census.parent[slots] = parent
    population._census.parent_generation[slots] = population._census.generation[parent]
    population.receive(slots, np.array([f], dtype=float))
    return int(slots[0])


def test_least_contributor_goes_one_at_a_time():
    """A rule that removes both at once would take (1, 5)."""
    population = filled([(0, 10), (1, 5), (1.2, 4.8), (5, 1.5), (10, 0)])
    interior = contributions(population.f[population.front], FAR)[1:-1]
    np.testing.assert_allclose(interior, [1.0, 0.76, 16.5], rtol=1e-12)
    population.mu = 4
    population.trim()
    assert names(population) == [0, 1, 3, 4]
    np.testing.assert_allclose(population._census.key[population.front[1:-1]], [20, 17.5])
    population.mu = 3
    population.trim()
    assert names(population) == [0, 1, 4]
    population.mu = 2
    population.trim()
    assert names(population) == [0, 4]  # without a reference the extremes stay
    population.mu = 1
    population.trim()
    assert names(population) == [0]  # of two, the last in order of f_1 goes


def test_with_a_reference_extremes_may_go():
    population = filled([(0, 10), (1, 1), (10, 0)], reference=(10.5, 10.5))
    population.mu = 1
    population.trim()
    assert names(population) == [1]
    outside = filled([(0, 12), (1, 1), (12, 0)], reference=(10, 10))
    np.testing.assert_array_equal(outside._census.key[outside.front], [0, 81, 0])
    outside.mu = 2
    outside.trim()
    assert names(outside) == [0, 1]  # of equals the younger goes


def test_equal_points():
    population = filled([(0, 2), (1, 1), (1, 1), (2, 0), (1, 1)])
    assert len(population.front) == 5
    population.mu = 4
    population.trim()
    assert names(population) == [0, 1, 2, 3]  # the youngest of the equal ones
    population.mu = 3
    population.trim()
    assert names(population) == [0, 1, 3]
    extremes = filled([(0, 1), (0, 1), (1, 0)], mu=2)
    assert names(extremes) == [0, 2]


def test_whole_fronts_go_first():
    f = [(0, 0), (1, 1), (2, 2), (1, 2.5), (3, 3), (4, 2.9)]
    assert ranks(f).tolist() == [1, 2, 3, 3, 4, 4]
    assert names(filled(f, mu=4)) == [0, 1, 2, 3]
    assert names(filled(f, mu=5)) == [0, 1, 2, 3, 4]
    assert names(filled(f, mu=1)) == [0]
    assert len(filled(f, mu=4).front) == 1


@pytest.mark.parametrize("reference", [None, FAR])
@pytest.mark.parametrize("n_obj", [2, 3])
def test_selection_as_by_brute_force(reference, n_obj):
    """One offspring after the other, ties included: the same survivors as full ranking would leave."""
    if n_obj == 3 and reference is not None:
        reference = np.full(3, 11.0)
    rng = np.random.default_rng(n_obj)
    population = Population(2, n_obj, mu=8, reference=reference)
    alive: list[np.ndarray] = []
    for _ in range(300):
        f = rng.integers(0, 10, n_obj).astype(float)
        if not len(population):
            population.add(np.zeros((1, 2)), f[None], 1.0)
        else:
            population.receive(population.offspring(1, rng), f[None])
        alive.append(f)
        if len(alive) > 8:
            every = np.array(alive)
            level = ranks(every)
            last = np.flatnonzero(level == level.max())
            if n_obj == 3:
                alone = many.contributions(every[last], reference)
            elif reference is not None:
                alone = contributions(every[last], reference)
            else:
                order = np.lexsort((every[last, 1], every[last, 0]))
                alone = np.zeros(len(last))
                g = every[last][order]
                for t, k in enumerate(order):
                    right = g[t + 1, 0] - g[t, 0] if t + 1 < len(g) else np.inf
                    top = g[t - 1, 1] - g[t, 1] if t else np.inf
                    alone[k] = 0 if min(right, top) == 0 else right * top
                if np.isinf(alone).all() and len(last) == 2:
                    alone[order[-1]] = 0
            gone = last[np.lexsort((-last, alone))[0]]
            alive.pop(int(gone))
        mine = population.f[population.members]
        assert sorted(map(tuple, mine)) == sorted(map(tuple, alive))
        front = population.f[population.front]
        np.testing.assert_array_equal(ranks(front), 1)
        assert len(front) == np.count_nonzero(ranks(mine) == 1)


@pytest.mark.parametrize(("notion", "success"), [("population", 1), ("individual", 0)])
@pytest.mark.parametrize("together", [False, True])
def test_notions_of_success(notion, success, together):
    """The offspring is selected, but ranks behind its parent: a success of the population only."""
    population = filled([(0, 0), (5, 5), (6, 6)], mu=3, success=notion)
    parent = int(population.front[0])
    p = population.p[parent]
    slots = population.offspring(1, np.random.default_rng(0))
    population.receive(slots, np.array([[1.0, 1.0]]), together=together)
    assert population._census.place[slots[0]] >= 0
    assert population.p[parent] == pytest.approx(11 / 12 * p + success / 12, rel=1e-15)
    assert population.p[slots[0]] == population.p[parent]


def test_while_it_grows():
    """Offspring are kept, and succeed where no more fronts are before them than before their parents."""
    for f, success in (((2, -1), 1), ((-1, -1), 1), ((1, 1), 0)):
        population = filled([(0, 0)], mu=10)
        p = population.p[0]
        told(population, 0, f)
        assert len(population) == 2
        assert population.p[0] == pytest.approx(11 / 12 * p + success / 12, rel=1e-15)
    population = filled([(0, 0), (3, 3), (9, 9)], mu=10)
    for f, success in (((4, 4), 0), ((3, 2), 1)):  # a parent that is dominated itself
        parent = int(population.members[population.x[population.members, 0] == 1][0])
        p = population.p[parent]
        told(population, parent, f)
        assert population.p[parent] == pytest.approx(11 / 12 * p + success / 12, rel=1e-15)


def test_matrix_of_the_parent_is_untouched():
    rng = np.random.default_rng(1)
    population = Population(3, mu=5)
    population.add(x := rng.standard_normal((5, 3)), spheres(x), 0.3)
    for _ in range(200):
        before = {int(s): (population._who.Lt[s].copy(), population.x[s].copy()) for s in population.members}
        slots = population.offspring(1, rng)
        population.receive(slots, spheres(population.x[slots]))
        for slot, (Lt, x) in before.items():
            if population._census.place[slot] >= 0 and slot != slots[0]:
                np.testing.assert_array_equal(population._who.Lt[slot], Lt)
                np.testing.assert_array_equal(population.x[slot], x)


def test_offspring_that_come_late():
    """The parent has gone, and its slot to another one, who must not learn from the step."""
    rng = np.random.default_rng(1)
    population = filled([(0, 0)], mu=1)
    late = population.offspring(3, rng)
    told(population, 0, (-1, -1))  # takes the place of the parent
    again = population.offspring(2, rng)
    population.receive(again[:1], np.array([[-2.0, -2.0]]))
    assert len(population) == 1
    [only] = population.members
    p, sigma = population.p[only], population.sigma[only]
    population.receive(late[:1], np.array([[7.0, 7.0]]))
    assert (population.p[only], population.sigma[only]) == (p, sigma)
    population.receive(late[1:2], np.array([[np.nan, 0.0]]))
    assert (population.p[only], population.sigma[only]) == (p, sigma)
    population.receive(late[2:], np.array([[-3.0, -3.0]]))
    assert population.f[population.members].tolist() == [[-3, -3]]
    population.release(again[1:])
    assert int(population._census.counts[2]) == len(population._census.place) - 1  # no slot is lost


def test_failures():
    population = filled([(0, 0)], mu=5)
    p = population.p[0]
    for f in ((np.nan, 0), (0, np.inf), (-np.inf, 0)):
        told(population, 0, f)
        p *= 11 / 12
    assert len(population) == 1
    assert population.p[0] == pytest.approx(p, rel=1e-14)


def test_injection():
    rng = np.random.default_rng(4)
    population = filled([(0, 10), (4, 4), (5, 5), (6, 6), (10, 0)], mu=5)
    other = filled([(1, 1), (0, 10), (20, 20)], mu=5)
    slots = other.members
    other._who.Lt[slots] += 0.1 * np.triu(rng.standard_normal((2, 2)))
    other._who.sigma[slots] = [0.5, 0.6, 0.7]
    before = hypervolume(population.f[population.members], FAR)
    assert population.inject(other) == 1  # the others are weakly dominated
    assert hypervolume(population.f[population.members], FAR) > before
    assert len(population) == 5
    assert len(population.front) == 3
    [slot] = [s for s in population.front if population.f[s, 0] == 1]
    assert population.sigma[slot] == 0.5
    np.testing.assert_array_equal(population._who.Lt[slot], other._who.Lt[slots[0]])
    assert population.add(np.zeros((2, 2)), np.array([[1.0, 1.0], [0.5, 0.5]]), 0.25, only_new=True) == 1
    assert sorted(population.sigma[population.front].tolist()) == [0.25, 1, 1]


def test_infeasible_individuals():
    population = Population(1, mu=3)
    x, f = np.arange(4.0)[:, None], np.array([[0.0, 0.0], [9, 9], [8, 8], [7, 7]])
    population.add(x[:3], f[:3], 1.0, np.array([3.0, 2.0, 1.0]))
    assert len(population.front) == 0
    chosen = population.offspring(5, np.random.default_rng(0))
    assert set(population._census.parent[chosen]) == {s for s in population.members if population.x[s, 0] == 2}
    population.release(chosen)
    population.add(x[3:], f[3:], 1.0)
    assert names(population) == [1, 2, 3]  # the most infeasible has gone, however good
    assert names(population, population.front) == [3]
    slots = population.offspring(1, np.random.default_rng(0))
    population.receive(slots, np.array([[-1.0, -1.0]]), np.array([0.5]))
    assert len(population) == 3
    assert names(population, population.front) == [3]


def test_slots_and_the_order_of_birth_survive_growth_and_state():
    rng = np.random.default_rng(2)
    a = Population(3, mu=np.inf)
    a.add(x := rng.standard_normal((5, 3)), spheres(x), 0.3)
    for k in range(120):
        slots = a.offspring(3, rng)
        a.receive(slots, spheres(a.x[slots]))
        if k == 60:
            b = Population.from_state(a.state_dict())
            other = np.random.default_rng(9)
            other.bit_generator.state = rng.bit_generator.state
        elif k > 60:
            slots = b.offspring(3, other)
            b.receive(slots, spheres(b.x[slots]))
    assert len(a) == 365
    left, right = a.state_dict(), b.state_dict()
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)
    for mu in (100, 20, 3):
        a.mu = b.mu = mu
        a.trim()
        b.trim()
        np.testing.assert_array_equal(a.members, b.members)
        assert len(a) == mu
