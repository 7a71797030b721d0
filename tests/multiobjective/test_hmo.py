"""HMO-CMA-ES: whose turn it is, what the parts hand over, and the protocol in all of its phases."""

import copy
import math
import pickle

import numpy as np
import pytest

from lmcma.errors import ArgumentError, ObjectiveError
from lmcma.multiobjective import HMOCMAES, Population
from lmcma.multiobjective.components import Local
from lmcma.multiobjective.schedule import Schedule, population_limit, slice_length

SHORT = {"t_explore": 30, "t_single": 80, "turn": 60}  # all phases within some hundred evaluations


def spheres(x):
    return np.stack([(x**2).sum(axis=1), ((x - 1) ** 2).sum(axis=1)], axis=1)


def rugged(x):
    """Two functions with many local minima, in steps that are exact in binary."""
    f = [((x - c) ** 2).sum(axis=1) + np.cos(5 * (x - c)).sum(axis=1) for c in (0.0, 1.0)]
    return np.round(1024 * np.stack(f, axis=1)) / 1024


def build(n=3, **options):
    return HMOCMAES(np.linspace(-1, 1, n), 0.5, **{"rng": 1, **SHORT, **options})


def run(es, fun=spheres, maxfev=600):
    """Tell whole batches; all points in their order."""
    seen = []
    while es.nfev < maxfev and not es.stop():
        x = es.ask()
        seen.append(x)
        es.tell(x, fun(x))
    return np.concatenate(seen)


# ------------------------------------------------------------------ turns


def test_population_limit():
    n = 7
    assert [population_limit(k * n, n, 10, 200) for k in (0, 199, 200, 599, 600, 1400)] == [10, 10, 20, 20, 40, 80]
    assert population_limit(10**9, 2, 10, 200) == 40_960
    assert population_limit(10**9, 1000, 10, 200) * 1000**2 <= 2**27
    assert population_limit(10**9, 20_000, 10, 200) == 10
    assert [slice_length(n) for n in (2, 20, 40)] == [5000, 5000, 10_000]


def turns(es, fun, maxfev):
    """Lengths of the turns, with their names."""
    found = []
    while es.nfev < maxfev:
        turn = es._schedule.turn
        x = es.ask()
        es.tell(x, fun(x))
        if not found or found[-1][0] != turn or es._schedule.left == es.turn:
            if found and found[-1][0] == turn:
                found[-1][1] += len(x)
                continue
            found.append([turn, 0])
        found[-1][1] += len(x)
    return found


def test_whose_turn_it_is():
    """n = 2: local search until 2000 evaluations exactly, then exploration in turn with it, sums from 40000 on."""
    es = HMOCMAES([0.0, 0.0], 1.0, rng=1)
    found = turns(es, rugged, 63_000)
    names = [name for name, _ in found]
    lengths = [k for _, k in found]
    assert names[:2] == ["warm", "local"]
    assert lengths[0] <= 30
    assert lengths[0] + lengths[1] == 2000
    assert names[2:10] == ["explore", "local"] * 4
    assert lengths[2:10] == [5000] * 8  # up to 42000
    assert names[10:13] == ["single", "local", "explore"]
    assert 5000 <= lengths[10] < 5000 + es._single._chain.popsize + 200
    assert lengths[11:13] == [5000] * 2
    shares = es.result().shares
    assert sum(share["nfev"] for share in shares.values()) == es.nfev
    assert sum(share["entered"] for share in shares.values()) == es.archive.entered >= len(es.archive)
    assert min(shares[part]["entered"] for part in ("warm", "local", "explore")) > 0


def test_schedule_without_some_parts():
    never = Schedule(math.inf, math.inf, 50)
    assert never.go_on(15)
    assert (never.turn, never.left) == ("local", math.inf)
    assert not never.go_on(99, converged=True)
    sums = Schedule(math.inf, 100, 50)
    names = [sums.go_on(nfev) and sums.turn for nfev in (15, 100, 150, 200)]
    assert names == ["local", "single", "local", "single"]
    early = Schedule(1000, math.inf, 50)
    names = [early.go_on(nfev, converged=nfev > 20) and early.turn for nfev in (15, 40, 90)]
    assert names == ["local", "explore", "explore"]  # nobody waits for 1000 where local search has converged


def test_growth_and_batches():
    es = HMOCMAES(np.zeros(4), 1.0, growth=20, t_explore=None, rng=1)
    x = es.ask()
    assert len(x) == 9
    sizes = set()
    while es.nfev < 1000:
        spent, mu = es._local.spent, es._local.population.mu
        assert mu == population_limit(spent, 4, 10, 20)
        assert len(es._local.population) <= mu
        sizes.add(len(es.ask()) / mu)
        es.tell(None, spheres(es.ask()))
    assert 0.5 in sizes
    assert len(es._local.population) == 80
    assert len(HMOCMAES(np.zeros(4), 1.0, warm_start="none", batch=2, rng=1).ask()) == 2


# ------------------------------------------------------------------ what the parts hand over


def test_local_search_begins_with_what_the_warm_start_found():
    es = build()
    while es._warm is not None:
        x = es.ask()
        es.tell(x, spheres(x))
    archive = {tuple(f) for f in es.archive.F}
    population = es._local.population
    assert 3 <= len(population) <= 10
    assert {tuple(f) for f in population.f[population.members]} <= archive
    np.testing.assert_allclose(population.stds(population.members), 0.03 * 5.0)  # of 10 sigma0


def test_widths_of_a_box():
    """Bounds nearer than 10 sigma0 are the width; where there is none, 10 sigma0."""
    es = HMOCMAES([0.5, 0.0, 3.0], 0.5, bounds=([0, -np.inf, 2.5], [1, np.inf, np.inf]), stds=[1, 2, 1])
    assert es._units.tolist() == [1, 10, 5]
    assert es._region.tolist() == [[0, -5, 2.5], [1, 5, 5.5]]
    boxed = HMOCMAES([0.5, 0.0], 0.5, x0_box=(-3, 4))
    assert boxed._region.tolist() == [[-3, -3], [4, 4]]


def test_a_better_explorer_replaces_the_dominated_and_keeps_what_it_learned():
    rng = np.random.default_rng(1)
    box, width = np.array([[-1.0] * 3, [1.0] * 3]), np.ones(3)
    local = Local(box, width, 10, 200, rng)
    front = np.linspace(0, 1, 10)
    local.begin(rng.uniform(-1, 1, (10, 3)), np.stack([front, 1 - front], axis=1))
    other = Population(3, mu=5, scale=width)
    other.add(np.full((1, 3), 0.25), np.array([[0.4, -0.1]]), 0.07)
    for _ in range(20):  # successes
        slot = other.offspring(1, rng)
        other.receive(slot, other.f[other.members[:1]] - [[0.001, 0.001]])
    best = other.members[0]
    local.inject(other)
    mine = local.population
    (slot,) = (s for s in mine.members if mine.f[s, 1] < 0)
    assert len(mine) == 10
    assert sorted(mine.f[mine.front, 0].round(2)) == [0, 0.11, 0.22, 0.33, 0.38]
    assert mine.sigma[slot] == other.sigma[best] != 0.07
    assert np.array_equal(mine.covariance(slot), other.covariance(best))
    local.inject(other)  # what is there already does not come again
    assert np.count_nonzero(mine.f[mine.members, 1] < 0) == 1


def test_hypervolume_never_decreases_and_all_parts_contribute():
    es = build(reference=(40.0, 40.0))
    values = []
    while es.nfev < 2000:
        x = es.ask()
        es.tell(x, rugged(x))
        values.append(es.archive.hypervolume())
        assert len(es._local.population) <= es._local.population.mu
    assert (np.diff(values) >= 0).all()
    shares = es.result().shares
    assert all(share["nfev"] > 0 for share in shares.values())


def test_converged_local_search_gives_its_turns_away():
    """One point is best in both objectives: the population shrinks onto it."""

    def same(x):
        return np.stack([((x - 0.3) ** 2).sum(axis=1)] * 2, axis=1)

    alone = build(n=2, t_explore=None, t_single=None)
    run(alone, same, 20_000)
    assert alone.stop().reason == "tolx"
    assert alone.result().success
    assert alone.nfev < 10_000
    es = build(n=2, t_explore=5000, t_single=None)
    found = turns(es, same, alone.nfev + 400)
    assert [name for name, _ in found] == ["warm", "local", "explore"]
    assert es.stop() is None


def test_none_warm_start():
    es = build(warm_start="none", n=4)
    x = es.ask()
    assert x.shape == (5, 4)
    assert np.array_equal(x[0], np.linspace(-1, 1, 4))
    es.tell(x, spheres(x))
    np.testing.assert_allclose(es._local.population.stds(es._local.population.members), 0.1 * 5.0)
    run(es)


# ------------------------------------------------------------------ the protocol

STARTS = ["star", "bobyqa", "none"]


@pytest.mark.parametrize("warm_start", STARTS)
def test_state_at_any_moment_goes_on_to_the_bit(warm_start):
    options = {"warm_start": warm_start, "bounds": (-1.0, 4.0), "reference": (50.0, 50.0)}
    expected = run(build(**options), rugged)
    es = build(**options)
    seen = []
    while es.nfev < 600:
        x = es.ask()
        seen.append(x)
        for k, row in enumerate(np.random.default_rng(es.nfev).permutation(len(x))):
            if (es.nfev + k) % 37 == 0 or es.nfev < 40:
                es = HMOCMAES.from_state(pickle.loads(pickle.dumps(es.state_dict())))
                assert np.array_equal(es.ask(), x)
            es.tell(None, rugged(x[[row]]), ids=[row])
    assert {share["nfev"] > 0 for part, share in es.result().shares.items() if part != "warm"} == {True}
    assert np.array_equal(np.concatenate(seen), expected)


@pytest.mark.parametrize("warm_start", STARTS)
def test_same_seed_same_points(warm_start):
    a, b, c = (run(build(warm_start=warm_start, rng=seed)) for seed in (3, 3, 4))
    assert np.array_equal(a, b)
    assert not np.array_equal(a[: len(c)][-50:], c[: len(a)][-50:])


@pytest.mark.parametrize(
    ("warm_start", "transform"),
    [(start, ([2.0, 0.25], [0.0, 0.0])) for start in STARTS]
    + [(start, ([1.0, 1.0], [64.0, -16.0])) for start in STARTS if start != "bobyqa"],  # to which sums are rounded
)
def test_units_of_the_objectives_do_not_matter(warm_start, transform):
    scale, shift = np.array(transform)
    options = {"warm_start": warm_start, "bounds": (-1.0, 4.0)}
    a = run(build(**options), rugged, 800)
    b = run(build(**options), lambda x: scale * rugged(x) + shift, 800)
    assert np.array_equal(a, b)


def test_objectives_play_the_same_part():
    """With the objectives exchanged, fronts are as good on average."""

    def one_sided(x):
        return np.stack([((x - 1) ** 2 * [1, 10]).sum(axis=1), np.abs(x + 0.5).sum(axis=1) ** 3], axis=1)

    values = np.empty((2, 20))
    for seed in range(20):
        for swapped in (0, 1):
            es = build(n=2, rng=seed, reference=(30, 30))
            run(es, lambda x: one_sided(x)[:, ::-1] if swapped else one_sided(x), 250)  # noqa: B023
            values[swapped, seed] = es.archive.hypervolume()
    error = np.sqrt(values.var(axis=1).sum() / 20)
    assert abs(values[0].mean() - values[1].mean()) < 3 * error
    assert values.min() > 0.95 * values.max()


def test_more_or_fewer_points_at_a_time():
    """Any number where search is free to choose; no more than there are in a warm start and in CMA-ES."""
    es = build()
    rng = np.random.default_rng(1)
    sizes = set()
    while es.nfev < 900:
        k = int(rng.integers(1, 25))
        x = es.ask(k=k)
        assert 1 <= len(x) <= k
        sizes.add(len(x))
        es.tell(x, spheres(x))
    assert max(sizes) >= 20
    assert all(share["nfev"] > 0 for share in es.result().shares.values())


@pytest.mark.parametrize("warm_start", STARTS)
def test_failures_in_all_phases(warm_start):
    rng = np.random.default_rng(1)

    def fails(x):
        f = spheres(x)
        f[rng.random(len(x)) < 0.3] = np.nan
        f[rng.random(len(x)) < 0.1, 1] = np.inf
        return f

    es = build(warm_start=warm_start, reference=(4, 4))
    run(es, fails)
    assert np.isfinite(es.archive.F).all()
    assert es.result().nfail > 150
    assert es.archive.hypervolume() > 12.5
    with pytest.raises(ObjectiveError, match="finite rows"):
        run(build(warm_start=warm_start), lambda x: np.full((len(x), 2), np.nan))


def test_a_warm_start_that_fails_wholly():
    """Search begins anywhere in the box."""
    es = build(n=2, bounds=(-1.0, 4.0))
    run(es, lambda x: np.where((np.abs(x) < 1.05).all(axis=1)[:, None], np.nan, spheres(x)), 300)
    assert len(es.archive) > 3


def test_points_of_the_callers_own():
    es = build(reference=(4, 4))
    x = es.ask()
    es.tell(np.full((1, 3), 0.5), spheres(np.full((1, 3), 0.5)), ids=[-1])
    es.tell(x, spheres(x))
    assert [0.5] * 3 in es.archive.X.tolist()
    while es.nfev < 40:
        x = es.ask()
        es.tell(x, spheres(x))
    edited = es.ask()
    edited[0] = 0.25
    es.tell(edited, spheres(edited))
    assert 0.25 in es._local.population.x[es._local.population.members][:, 0]
    es.inject([0.75] * 3)
    run(es, maxfev=700)
    assert [0.75] * 3 in es.archive.X.tolist()


def test_several_starts():
    es = HMOCMAES([[0.0] * 3, [1.0] * 3, [0.5] * 3], 0.5, rng=1)
    x = es.ask()
    assert x[:2].tolist() == [[1.0] * 3, [0.5] * 3]
    assert x[2].tolist() == [0.0] * 3
    run(es, maxfev=100)


@pytest.mark.parametrize("warm_start", STARTS)
def test_bounds(warm_start):
    """Optima on a bound and in a corner are found to many digits, and nothing is evaluated outside."""
    es = HMOCMAES([0.4, 0.3], 0.2, warm_start=warm_start, bounds=(0.0, 1.0), rng=1, **SHORT)
    x = run(es, lambda x: np.stack([(x + 1) @ [1.0, 2.0], ((x - [1.5, 0.5]) ** 2).sum(axis=1)], axis=1), 1500)
    assert x.min() >= 0
    assert x.max() <= 1
    assert abs(es.archive.X[0]).max() < 1e-6
    assert es.archive.F[-1, 1] - 0.25 < 1e-5


def test_constraints():
    es = build(reference=(4, 4), t_explore=None, t_single=None)
    while es.nfev < 1500:
        x = es.ask()
        es.tell(x, spheres(x), 0.6 - x[:, :1])
    assert (es.archive.X[:, 0] >= 0.6).all()
    assert es.archive.F[0, 0] < 0.36 + 0.1
    assert es.archive.hypervolume() > 13.3  # 13.62 is the best there is


def test_budget_ends_within_any_batch():
    for maxfev in range(1, 200, 7):
        es = build(maxfev=maxfev)
        run(es)
        assert es.nfev == maxfev
        assert es.stop().reason == "maxfev"


def test_copies():
    es = build()
    run(es, maxfev=200)
    other = copy.deepcopy(es)
    assert np.array_equal(run(es, maxfev=400), run(other, maxfev=400))


def test_one_variable():
    es = HMOCMAES([0.3], 0.5, rng=1, reference=(4, 4), **SHORT)
    run(es, maxfev=500)
    assert es.archive.hypervolume() > 15


def test_unusable_arguments():
    with pytest.raises(ArgumentError, match="mo-cma"):
        build(n_obj=3)
    with pytest.raises(ArgumentError, match="warm_start"):
        build(warm_start="sun")
    with pytest.raises(ArgumentError, match="explore_mu"):
        build(explore_mu=(10, 1))


def test_snapshot_and_cycles_of_explorers():
    es = build(explore_mu=(4, 8))
    seen = set()
    while es.nfev < 1000:
        x = es.ask()
        es.tell(x, spheres(x))
        if es._explorer is not None:
            seen.add(int(es._explorer.population.mu))
        snapshot = es.snapshot()
        assert snapshot["stds"].shape == snapshot["mean"].shape == (3,)
    assert seen == {4, 8}
