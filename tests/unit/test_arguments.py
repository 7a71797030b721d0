"""Bad input: every message names argument, expected, found, and what to do."""

import numpy as np
import pytest

import lmcma
from lmcma.errors import (
    ArgumentError,
    ArgumentTypeError,
    LmcmaError,
    MemoryLimitError,
    ObjectiveError,
    ShapeError,
    StateError,
    UnknownMethodError,
)
from lmcma.testfunctions import sphere

BAD = [
    ({"x0": [[1.0, 2.0]]}, ShapeError, ValueError, r"`x0` must have shape \(n,\).*got shape \(1, 2\).*ravel"),
    ({"x0": []}, ShapeError, ValueError, "n >= 1"),
    ({"x0": 3.0}, ShapeError, ValueError, r"got shape \(\)"),
    ({"x0": [1.0, np.nan]}, ArgumentError, ValueError, "`x0` must be finite; got nan at index 1"),
    ({"x0": [np.inf, 1.0]}, ArgumentError, ValueError, "got inf at index 0"),
    ({"x0": "start"}, ArgumentTypeError, TypeError, "`x0` must be a sequence of numbers; got 'start'"),
    ({"sigma0": 0}, ArgumentError, ValueError, "`sigma0` must be > 0 and finite; got 0. About 0.2"),
    ({"sigma0": -1.0}, ArgumentError, ValueError, "got -1.0"),
    ({"sigma0": np.inf}, ArgumentError, ValueError, "got inf"),
    ({"sigma0": np.nan}, ArgumentTypeError, TypeError, "`sigma0` must be a number"),
    ({"sigma0": "big"}, ArgumentTypeError, TypeError, "`sigma0` must be a number; got 'big'"),
    ({"sigma0": [1.0, 2.0]}, ArgumentTypeError, TypeError, "`sigma0` must be a number"),
    ({"method": "lmcma"}, UnknownMethodError, LookupError, "there is no 'lmcma'; did you mean 'lm-cma'"),
    ({"method": "CMA-ES"}, UnknownMethodError, LookupError, "Known: 'auto', 'bipop-acma', "),
    ({"method": None}, UnknownMethodError, LookupError, "there is no None"),
    ({"x0": [], "method": "auto"}, ShapeError, ValueError, "n >= 1"),
    ({"x0": [[1.0], [1.0, 2.0]], "method": "auto"}, ArgumentTypeError, TypeError, "`x0` must be a sequence of numbers"),
    ({"x0": [1.0, 1j], "method": "auto"}, ArgumentTypeError, TypeError, "`x0` must be a sequence of numbers"),
    ({"max_time": "3"}, ArgumentTypeError, TypeError, "`max_time` must be a number"),
    ({"options": 3}, ArgumentTypeError, TypeError, "`options` must be a mapping"),
    ({"restarts": "bpop"}, ArgumentError, ValueError, "there is no scheme 'bpop'; did you mean 'bipop'"),
    ({"restarts": "ipop", "method": "ipop-cma"}, ArgumentError, ValueError, "restarts by itself"),
    ({"restarts": "ipop", "x0_box": (1, 0)}, ArgumentError, ValueError, "low < high"),
    ({"restarts": "ipop", "x0_box": 3}, ShapeError, ValueError, "`x0_box` must be"),
    ({"x0_box": (0, 1)}, ArgumentTypeError, TypeError, "has no option 'x0_box'"),
    ({"popsize": 1}, ArgumentError, ValueError, "`popsize` must be >= 2; got 1"),
    ({"popsize": 6.5}, ArgumentTypeError, TypeError, "`popsize` must be an integer >= 2; got 6.5"),
    ({"maxfev": 0}, ArgumentError, ValueError, "`maxfev` must be >= 1"),
    ({"maxfev": "all"}, ArgumentTypeError, TypeError, "`maxfev` must be an integer"),
    ({"ftarget": "low"}, ArgumentTypeError, TypeError, "`ftarget` must be a number"),
    ({"rng": -1}, ArgumentTypeError, TypeError, "`rng` must be None, an integer >= 0"),
    ({"rng": "seed"}, ArgumentTypeError, TypeError, "`rng` must be"),
    ({"max_time": 0}, ArgumentError, ValueError, "`max_time` must be a number of seconds > 0"),
    ({"max_memory": -1}, ArgumentError, ValueError, "`max_memory` must be a number of bytes > 0"),
    ({"fun": 3}, ArgumentTypeError, TypeError, "`fun` must be callable"),
    ({"callback": 3}, ArgumentTypeError, TypeError, "`callback` must be callable"),
    ({"on_error": "ignore"}, ArgumentError, ValueError, "`on_error` must be 'worst' or 'raise'"),
    ({"options": {"activ": False}}, ArgumentTypeError, TypeError, "has no option 'activ'; did you mean 'active'"),
    ({"options": {"popsize": 9}, "popsize": 8}, ArgumentError, ValueError, "repeats 'popsize'"),
    ({"options": {"active": "yes"}}, ArgumentError, ValueError, "`active` must be one of 'weights', '2010', False"),
    ({"options": {"lazy": 3}}, ArgumentError, ValueError, "`lazy` must be one of"),
    ({"options": {"std_limits": (1, [1, 2, 3])}}, ShapeError, ValueError, "`std_limits` must be two numbers"),
    ({"options": {"std_limits": (2, 1)}}, ArgumentError, ValueError, "low <= high"),
    ({"method": "lm-cma", "options": {"noise": "white"}}, ArgumentError, ValueError, "`noise` must be"),
    ({"method": "lm-cma", "options": {"memory": 0}}, ArgumentError, ValueError, "`memory` must be >= 1"),
    ({"max_memory": 100, "method": "cma"}, MemoryLimitError, MemoryError, "method='lm-cma' or raise `max_memory`"),
]


@pytest.mark.parametrize(("change", "error", "builtin", "text"), BAD)
def test_minimize(change, error, builtin, text):
    arguments = {"fun": sphere, "x0": [1.0, 2.0], "sigma0": 0.5, "maxfev": 20, "method": "cma", **change}
    fun, x0, sigma0 = (arguments.pop(k) for k in ("fun", "x0", "sigma0"))
    with pytest.raises(error, match=text) as caught:
        lmcma.minimize(fun, x0, sigma0, **arguments)
    assert isinstance(caught.value, LmcmaError)
    assert isinstance(caught.value, builtin)


@pytest.mark.parametrize(
    ("fun", "text"),
    [
        (lambda x: "1.5", "returned '1.5' \\(str\\) instead of one number"),
        (lambda x: None, "NoneType"),
        (lambda x: x, "instead of one number|only .*scalar|setting an array"),
        (lambda x: np.array([1.0]), "instead of one number"),
        (lambda x: 1j, "complex"),
        (lambda x: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda x, y: 0.0, "TypeError"),
    ],
)
@pytest.mark.parametrize("on_error", ["worst", "raise"])
def test_objective_that_fails_at_once(fun, text, on_error):
    with pytest.raises(ObjectiveError, match=text) as caught:
        lmcma.minimize(fun, [1.0, 2.0], 0.5, on_error=on_error, rng=1)
    message = str(caught.value)
    assert message.startswith("`fun` must return one number; it failed at its first evaluation, x = [")
    assert "Return float('nan')" in message
    assert caught.value.x.shape == (2,)
    assert isinstance(caught.value.__cause__, Exception)


class Sometimes:
    def __init__(self, failure):
        self.calls, self.failure = 0, failure

    def __call__(self, x):
        self.calls += 1
        return self.failure() if self.calls % 3 == 0 else float(sphere(x))


def fail():
    raise RuntimeError("the mesh is tangled")


def stop_iteration():
    raise StopIteration


@pytest.mark.parametrize(
    "failure", [fail, stop_iteration, lambda: "x", lambda: None, lambda: [1, 2], lambda: float("nan")]
)
def test_objective_that_fails_later_ranks_last(failure):
    fun = Sometimes(failure)
    res = lmcma.minimize(fun, [1.0, 2.0, 3.0], 0.5, ftarget=1e-8, rng=1)
    assert res.success
    assert res.nfev == fun.calls
    assert res.nfail == fun.calls // 3


def test_objective_that_fails_later_raises_on_request(caplog):
    with pytest.raises(ObjectiveError, match=r"at evaluation 3, .*the mesh is tangled.*on_error='worst'"):
        lmcma.minimize(Sometimes(fail), [1.0, 2.0], 0.5, on_error="raise", rng=1)
    lmcma.minimize(Sometimes(fail), [1.0, 2.0], 0.5, rng=1, maxfev=50)
    warnings = [r for r in caplog.records if r.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "the mesh is tangled" in warnings[0].getMessage()


def test_memory_of_auto():
    assert lmcma.make("auto", np.ones(501), 1.0).method == "lm-cma"
    assert lmcma.make("auto", np.ones(500), 1.0).method == "cma"
    assert lmcma.make("auto", np.ones(400), 1.0, max_memory=2e6).method == "lm-cma"
    with pytest.raises(MemoryLimitError, match=r"needs .* GiB for n=200000, popsize=40; .*method='lm-cma'"):
        lmcma.make("cma", np.ones(200_000), 1.0, max_memory=2**33)


def test_states_that_do_not_fit():
    state = lmcma.make("cma", [1.0, 2.0], 0.5).state_dict()
    with pytest.raises(StateError, match=r"must name a method; did you mean 'cma'"):
        lmcma.from_state({**state, "method": "cmaa"})
    with pytest.raises(StateError, match="must name a method"):
        lmcma.from_state([])
    with pytest.raises(StateError, match="must be 1; got 99"):
        lmcma.from_state({**state, "format": 99})
    with pytest.raises(StateError, match="of method 'lm-cma'; got 'cma'"):
        lmcma.LMCMA.from_state(state)
    del state["p_c"]
    with pytest.raises(StateError, match="must have the entry 'p_c'"):
        lmcma.from_state(state)
    with pytest.raises(StateError, match="bit generator"):
        lmcma.from_state({**lmcma.make("cma", [1.0], 1.0).state_dict(), "rng": {"bit_generator": "Generator"}})
