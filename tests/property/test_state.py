"""Save, load, go on: the same as going on, to the bit, from every point of a run."""

import copy
import json
import pickle

import numpy as np
import pytest

import lmcma
from lmcma.errors import StateError
from lmcma.testfunctions import ellipsoid
from tests.strategies import STRATEGIES, assert_same_state, flat

every = pytest.mark.parametrize("make", STRATEGIES)


def through_text(state):
    """A state as plain data: what a file would keep of it."""

    def encode(value):
        if isinstance(value, np.ndarray):
            bits = value if value.dtype.kind in "iub" else value.view(np.uint64)
            return {"dtype": str(value.dtype), "shape": value.shape, "data": bits.ravel().tolist()}
        if isinstance(value, dict):
            return {"dict": {k: encode(v) for k, v in value.items()}}
        assert value is None or isinstance(value, (int, float, str, bool)), type(value)
        return value.hex() if isinstance(value, float) else value

    def decode(value):
        if isinstance(value, dict) and "dtype" in value:
            dtype = np.dtype(value["dtype"])
            data = np.array(value["data"], dtype=dtype if dtype.kind in "iub" else np.uint64)
            return data.view(dtype).reshape(value["shape"])
        return {k: decode(v) for k, v in value["dict"].items()} if isinstance(value, dict) else value

    text = json.loads(json.dumps(encode(state)))
    restored = decode(text)

    def floats(original, new):
        return {
            k: floats(v, new[k]) if isinstance(v, dict) else float.fromhex(new[k]) if isinstance(v, float) else new[k]
            for k, v in original.items()
        }

    return floats(state, restored)


def reload(es):
    return lmcma.from_state(through_text(es.state_dict()))


@every
@pytest.mark.parametrize("moment", ["before ask", "after ask", "half told", "with a foreign point", "told"])
def test_going_on_after_loading(make, moment):
    plain, broken = make(), make()
    for iteration in range(40):
        halves = []
        for es in (plain, broken):
            saved = es is broken and iteration % 7 == 3
            if saved and moment == "before ask":
                es = broken = reload(es)
            x = es.ask()
            if saved and moment == "after ask":
                es = broken = reload(es)
                np.testing.assert_array_equal(es.ask(), x)
            f = ellipsoid(x)
            half = len(f) // 2
            es.tell(None, f[:half], ids=range(half))
            if saved and moment == "half told":
                es = broken = reload(es)
            if iteration == 10 and moment == "with a foreign point":
                es.tell(np.zeros((1, es.dim)), [f.min() - 1], ids=[-1])
                if es is broken:
                    es = broken = reload(es)
            es.tell(None, f[half:], ids=range(half, len(f)))
            if saved and moment == "told":
                es = broken = reload(es)
            halves.append(es)
        assert_same_state(*halves)


@every
@pytest.mark.parametrize("moment", ["told", "asked", "half told"])
def test_a_copy_goes_on_alone(make, moment):
    """Views of the state came apart in copies: they asked for points of the batch before, and learnt nothing."""
    es = make()
    for _ in range(12):
        x = es.ask()
        es.tell(x, ellipsoid(x))
    if moment != "told":
        x = es.ask()
    if moment == "half told":
        es.tell(None, ellipsoid(x[:2]), ids=[0, 1])
    es.note = ["the user's own"]
    twins = [copy.deepcopy(es), pickle.loads(pickle.dumps(es)), es]
    for twin in twins:
        if moment == "half told":
            twin.tell(None, ellipsoid(x[2:]), ids=range(2, len(x)))
        for _ in range(3):
            y = twin.ask()
            twin.tell(y, ellipsoid(y))
        y = twin.ask()
        twin.tell(y + 0.01, ellipsoid(y + 0.01))
    for twin in twins[:2]:
        assert_same_state(twin, es)
        assert twin.note == es.note
        assert twin.note is not es.note
    batch = es.ask()
    for twin in twins[:2]:
        np.testing.assert_array_equal(twin.ask(), batch)


@every
def test_saving_changes_nothing_and_shares_nothing(make):
    a, b = make(), make()
    for _ in range(5):
        for es in (a, b):
            x = es.ask()
            es.tell(x, ellipsoid(x))
        state = a.state_dict()
        for _, leaf in flat(state):
            if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f":
                leaf[...] = np.nan
        assert_same_state(a, b)


def test_stopping_rules_survive():
    """Histories and options are part of the state: a restored run ends in the same iteration, for the same reason."""
    options = {"rng": 3, "stop": {"tolx": 1e-5, "tolhistfun": 1e-9}, "maxfev": 5000, "ftarget": -1.0}
    for method, n in (("cma", 5), ("lm-cma", 30)):
        ends = []
        for every_so_often in (10**9, 13):
            es = lmcma.make(method, [1.0] * n, 0.5, **options)
            while not es.stop():
                x = es.ask()
                es.tell(x, ellipsoid(x))
                if es.nit % every_so_often == 0:
                    es = reload(es)
            ends.append((es.nfev, es.stop()))
        assert ends[0] == ends[1]


def test_unusual_limits_survive():
    es = reload(lmcma.make("cma", [1.0, 1.0], 0.5, ftarget=np.inf))
    assert es.ftarget == np.inf
    es = reload(lmcma.make("cma", [1.0, 1.0], 0.5, active=False, std_limits=(0.1, np.inf), maxiter=3))
    assert (es.active, es.maxiter, es.maxfev) == (False, 3, np.inf)


def test_entries_that_do_not_fit():
    state = lmcma.make("cma", [1.0, 1.0], 0.5).state_dict()
    with pytest.raises(StateError, match="does not fit the others"):
        lmcma.from_state({**state, "mean": np.zeros(3)})
    chain = lmcma.make("ipop-cma", [1.0, 1.0], 0.5).state_dict()
    with pytest.raises(StateError, match="does not fit the others"):
        lmcma.from_state({**chain, "tally": {"run": 1}})
    with pytest.raises(StateError, match=r"^`state` must have the entry 'mean'"):
        lmcma.from_state({**chain, "inner": {k: v for k, v in state.items() if k != "mean"}})


def test_long_histories_survive():
    a = lmcma.make("cma", [1.0, 1.0], 1.0, rng=1, stop={"profile": "none", "stagnation": "bbob"})
    for _ in range(700):
        a.tell(None, np.full(len(a.ask()), 1 / (1 + a.nit)))
    b = reload(a)
    for es in (a, b):
        while not es.stop():
            es.tell(None, np.full(len(es.ask()), 5.0))
    assert a.stop() == b.stop()
    assert a.stop().reason == "stagnation"
    assert_same_state(a, b)
