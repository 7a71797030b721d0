"""The strategies that every product test runs on; a new one joins by one line."""

from __future__ import annotations

import numpy as np
import pytest

import lmcma


def _maker(method, n=6, **options):
    def make(rng=1, x0=None, sigma0=1.0, **more):
        start = np.linspace(-1, 2, n) if x0 is None else x0
        return lmcma.make(method, start, sigma0, rng=rng, **{"stop": "none", **options, **more})

    return make


STRATEGIES = [
    pytest.param(_maker("cma"), id="cma"),
    pytest.param(_maker("cma", n=20), id="cma-blas"),
    pytest.param(_maker("cma", n=1), id="cma-1d"),
    pytest.param(_maker("cma", active="2010", constants="bbob"), id="cma-2010"),
    pytest.param(_maker("cma", active=False, lazy="reference", popsize=17), id="cma-passive"),
    pytest.param(_maker("cma", std_limits=(0.01, 3.0), robust=True), id="cma-limits"),
    pytest.param(_maker("lm-cma", n=40), id="lm-cma"),
    pytest.param(_maker("lm-cma", n=40, noise="gaussian", popsize=7), id="lm-cma-gaussian"),
    pytest.param(_maker("lm-cma", n=1), id="lm-cma-1d"),
    pytest.param(_maker("lm-cma", n=70, mirrored=False, memory=3), id="lm-cma-single"),
    pytest.param(_maker("lm-cma-es", n=40), id="lm-cma-es"),
    pytest.param(_maker("lm-cma-es", n=40, mirrored=True, noise="rademacher", popsize=7), id="lm-cma-es-mirrored"),
    pytest.param(_maker("lm-ma", n=64), id="lm-ma"),
    pytest.param(_maker("lm-ma", n=65, memory=3, popsize=9), id="lm-ma-short"),
    pytest.param(_maker("rm-es", n=40), id="rm-es"),
    pytest.param(_maker("rm-es", n=65, memory=4, popsize=9), id="rm-es-four"),
    pytest.param(_maker("rm-es", memory=1), id="r1-es"),
    pytest.param(_maker("rm-es", n=1), id="rm-es-1d"),
    pytest.param(_maker("vkd-cma"), id="vkd-cma"),
    pytest.param(_maker("vkd-cma", n=1), id="vkd-cma-1d"),
    pytest.param(_maker("vkd-cma", n=20, k=5, popsize=9), id="vkd-cma-five"),
    pytest.param(_maker("vkd-cma", n=40, k_max=3), id="vkd-cma-few"),
    pytest.param(_maker("sep-cma"), id="sep-cma"),
    pytest.param(_maker("sep-cma", n=1), id="sep-cma-1d"),
    pytest.param(_maker("sep-cma", n=30, variant="passive", popsize=9), id="sep-cma-passive"),
    pytest.param(_maker("sep-cma", n=12, variant="2008"), id="sep-cma-2008"),
    pytest.param(_maker("ma"), id="ma"),
    pytest.param(_maker("ma", n=1), id="ma-1d"),
    pytest.param(_maker("ma", n=30, popsize=9), id="ma-30"),
    pytest.param(_maker("self-cma"), id="self-cma"),
    pytest.param(_maker("self-cma", n=1), id="self-cma-1d"),
    pytest.param(_maker("self-cma", n=18, popsize=40, rates0="default"), id="self-cma-default"),
    pytest.param(_maker("saacm", n=4), id="saacm"),
    # models of 313 points at most, for thirty iterations only: each takes some ten milliseconds
    pytest.param(_maker("saacm", n=12, hyper_popsize=0, surrogate_maxfev=330), id="saacm-12d"),
    pytest.param(_maker("saacm", n=3, hyper_popsize=0, intensity=3, popsize=9), id="saacm-intensive"),
    pytest.param(_maker("kl-acm", n=2, hyper_popsize=0), id="kl-acm"),
    pytest.param(_maker("cma", bounds=(-2.5, 30)), id="bounded"),
    pytest.param(_maker("cma", stds=np.linspace(0.25, 1, 6)), id="scaled"),
    pytest.param(_maker("lm-cma", n=40, bounds=(-2.5, 30), stds=np.linspace(1, 0.5, 40)), id="bounded-scaled"),
]


def flat(state, prefix=""):
    """The leaves of a nested state by path."""
    for key, value in state.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}/")
        else:
            yield prefix + key, value


# what a state holds besides the search distribution
_BOOKKEEPING = {
    "batch",
    *("nfev", "nit", "nfail", "best_x", "best_f", "rng", "counters", "stop_values", "recent_best", "flat"),
    *("long_history", "asked", "f", "received", "own", "injected", "waiting", "foreign_x", "foreign_f", "foreign_row"),
    *("z", "signs", "gauss", "used", "r", "f_previous"),
    *("archive_x", "archive_f", "model_counts", "model_seconds"),
}
_TIMES = {"model_seconds"}  # which no two runs share


def distribution(es):
    """The leaves of the state that describe the search distribution: mean, sigma, matrices, paths, rates."""
    return {key: leaf for key, leaf in flat(es.state_dict()) if not _BOOKKEEPING & set(key.split("/"))}


def assert_same_state(a, b):
    """Equal to the bit, leaf by leaf, times aside."""
    left, right = dict(flat(a.state_dict())), dict(flat(b.state_dict()))
    assert left.keys() == right.keys()
    for key, value in left.items():
        if key.split("/")[-1] in _TIMES:
            continue
        assert np.array_equal(value, right[key], equal_nan=isinstance(value, (float, np.ndarray))), key
