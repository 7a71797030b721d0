"""A strategy that restarts another one, by a scheme."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import ArrayLike

from lmcma import random, registry
from lmcma.arguments import (
    as_batch,
    as_box,
    as_count,
    as_limits,
    as_out,
    as_point,
    as_positive,
    as_values,
    check_finite,
)
from lmcma.errors import ArgumentError, ProtocolError, RestartWarning, ShapeError, near_miss
from lmcma.restarts.schemes import SCHEMES, Kind, Plan, Scheme, Tally, book, next_run
from lmcma.result import Result, outcome
from lmcma.strategies.base import FORMAT, NO_LIMIT
from lmcma.strategies.checks import check_format, reading_state
from lmcma.strategies.protocol import Strategy
from lmcma.termination import Stop, StopOption, StopReason, StopRules, first_of, stop_rules
from lmcma.typing import FloatArray, IntArray, State


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a chain, for the history.

    Parameters
    ----------
    kind : str
        "first", "large" or "small".
    popsize, sigma0 : int, float
        What it started with.
    nfev, nit : int
        Its evaluations (its final mean included) and iterations.
    fun : float
        The best value it found.
    stop : Stop or None
        Why it ended; None for the run that is going on.
    """

    kind: str
    popsize: int
    sigma0: float
    nfev: int
    nit: int
    fun: float
    stop: Stop | None


class Restarts:
    """Runs of one strategy after the other: independent ones, IPOP, BIPOP, NIPOP or NBIPOP.

    Usually made by name, ``lmcma.make("bipop-cma", ...)``, or by ``minimize(..., restarts="bipop")``.

    Parameters
    ----------
    x0 : (n,) array_like
        Start of the first run.
    sigma0 : float
        Its standard deviation; later runs have it, or less as their scheme says.
    strategy : str
        Name of the method that is restarted.
    scheme : str or Scheme
        "independent", "ipop", "bipop", "nipop", "nbipop", or a `Scheme` of one's own.
    x0_box : (low, high), optional
        Later runs start at a point drawn uniformly from this box (numbers or (n,) arrays). Without it all runs start
        at `x0`, which is warned of once.
    final_mean : bool
        Evaluate the mean of the last distribution of every run.
    popsize : int, optional
        Population of the first run; the default of the method otherwise.
    stop : str, StopRules or mapping, optional
        Stopping rules of a single run; by default the profile "bbob", for methods that learn slowly (`lm-cma` and the
        like) without its limit of iterations, for `quad-cma` that of its name, for `saacm` and its kin "saacm".
    ftarget, maxfev, maxiter
        Limits of all runs together.
    max_memory : float, optional
        Bytes, of a run.
    rng : None, int, SeedSequence or Generator
        Source of randomness; run k has a child of its own.
    **options
        Options of the method.

    Examples
    --------
    >>> import lmcma
    >>> from lmcma.testfunctions import rastrigin
    >>> es = lmcma.make("bipop-cma", [2.0] * 3, 2.0, x0_box=(-4, 4), ftarget=1e-9, rng=1)
    >>> while not es.stop():
    ...     x = es.ask()
    ...     es.tell(x, rastrigin(x))
    >>> es.result().success, len(es.result().runs) > 1
    (True, True)
    """

    n_obj: ClassVar[int] = 1

    def __init__(
        self,
        x0: ArrayLike,
        sigma0: float,
        *,
        strategy: str = "cma",
        scheme: str | Scheme = "bipop",
        x0_box: tuple[ArrayLike, ArrayLike] | None = None,
        final_mean: bool = False,
        popsize: int | None = None,
        stop: StopOption = None,
        ftarget: float | None = None,
        maxfev: int | None = None,
        maxiter: int | None = None,
        max_memory: float | None = None,
        rng: random.Seed = None,
        **options: Any,
    ) -> None:
        self.x0 = as_point("x0", x0)
        self.sigma0 = as_positive("sigma0", sigma0)
        n = len(self.x0)
        self.strategy = strategy
        self.scheme = scheme if isinstance(scheme, Scheme) else _named(scheme)
        self.x0_box = None if x0_box is None else as_box("x0_box", x0_box, n)
        self.final_mean = bool(final_mean)
        kind = cast(Any, registry.methods()[strategy].load())
        usual = kind.default_popsize(n)
        self._default_popsize = usual if popsize is None else as_count("popsize", popsize, min(2, usual))
        self.rules = stop_rules(stop, default=registry.restart_rules(strategy))
        self.ftarget, self.maxfev, self.maxiter = as_limits(ftarget, maxfev, maxiter)
        self.max_memory = max_memory
        self.options = options

        self._seed = random.seed_sequence(rng)
        self._rng = np.random.default_rng(random.child(self._seed, 0))  # of starts and schemes
        self._tally = Tally()
        self._finished: list[Run] = []
        self._nfev = self._nit = self._nfail = 0  # all but those of the strategy that is running
        self._sums: dict[str, float] = {}  # of other numbers in the results of those runs, see `adds_up`
        self._best_x = self.x0.copy()
        self._best_f = math.nan
        self._phase = _RUN
        self._mean_asked = False
        plan = next_run(self.scheme, self._tally, self._default_popsize, 0.0, 0.0)
        assert plan is not None
        self._plan: Plan = plan  # of the run that is going on, or comes next
        self._inner = self._make()

    # ---------------------------------------------------------------- the protocol

    @property
    def method(self) -> str:
        """The name in the registry."""
        active = self.strategy == "cma" and self.options.get("active") == "2010"
        return f"{self.scheme.name}-{'acma' if active else self.strategy}"

    @property
    def dim(self) -> int:
        """The number of variables."""
        return len(self.x0)

    @property
    def popsize(self) -> int:
        """Rows of the next `ask`: 1 for a final mean."""
        if self._phase == _RUN:
            return self._inner.popsize
        if self._phase == _MEAN:
            return 1
        kind = cast(Any, registry.methods()[self.strategy].load())
        rows = kind.first_rows(self.dim, self._plan.popsize, len(self._inner.waiting))
        return int(min(rows, max(1, self.maxfev - self.nfev)))

    @property
    def nfev(self) -> int:
        """Evaluations told so far, of all runs."""
        return self._nfev + self._inner.nfev

    @property
    def nit(self) -> int:
        """Iterations of all runs."""
        return self._nit + self._inner.nit

    @property
    def best_f(self) -> float:
        """The best value told so far; NaN before the first."""
        return self._best_f

    @property
    def missing(self) -> IntArray:
        """Rows of the batch out for evaluation whose values are not told yet, (k,); none where no batch is out."""
        return self._inner.missing if self._phase == _RUN else np.arange(int(self._mean_asked))

    @property
    def waiting(self) -> FloatArray:
        """Injected points that no batch has held yet, (k, n); a copy."""
        return self._inner.waiting

    def inject(self, x: ArrayLike) -> None:
        """Have points of your own evaluated with the next batch that is drawn; see `Strategy.inject`.

        Points that still wait when a run ends go to the next one.
        """
        self._inner.inject(x)

    def ask(self, out: FloatArray | None = None) -> FloatArray:
        """Points of the current run, or the final mean of the one that ended; see `Strategy.ask`."""
        self._go_on()
        if self._phase == _RUN:
            return self._inner.ask(out)
        x = np.empty((1, self.dim)) if out is None else as_out(out, 1, self.dim)
        x[0] = self._inner.result().mean
        self._mean_asked = True
        return x

    def ask_blocks(self, rows: int = 8) -> Iterator[tuple[IntArray, FloatArray]]:
        """The points of `ask` not told yet, some rows at a time, with their ids; see `LMCMA.ask_blocks`."""
        rows = as_count("rows", rows, 1)
        self._go_on()
        if self._phase == _RUN:
            yield from self._inner.ask_blocks(rows)
        else:
            yield np.arange(1), self.ask()

    def tell(self, x: ArrayLike | None, f: ArrayLike, *, ids: Sequence[int] | ArrayLike | None = None) -> None:
        """Values of points of the current run, or of its final mean; see `Strategy.tell`."""
        if self._phase == _RUN:
            self._inner.tell(x, f, ids=ids)
            self._take_note()
            return
        values = as_values(f)
        points = None if x is None else as_batch(x, len(values), self.dim)
        rows = np.zeros(len(values), dtype=np.int64) if ids is None else np.asarray(ids)
        if rows.shape != values.shape or not np.isin(rows, (0, -1)).all():
            raise ArgumentError(f"`ids` must be 0 for the final mean, -1 for points of your own; got {ids!r:.80}.")
        mine = np.flatnonzero(rows == 0)
        if len(mine) > self._mean_asked:
            if self._mean_asked:
                raise ShapeError(f"`f` must have one value, that of the final mean; got {len(mine)}.")
            raise ProtocolError("`tell` needs a batch that was asked for; none is out. Call `ask()` first.")
        for k in np.flatnonzero(rows < 0).tolist():  # their run is over: they count, and may be the best
            if points is None:
                raise ArgumentError("`x` must hold the points told with id -1; got None. Pass the points.")
            check_finite(points, [k])
            self._count(points[k], float(values[k]))
        for k in mine.tolist():
            self._mean_asked = False
            self._count(self._inner.result().mean if points is None else points[k], float(values[k]))
            self._finish(float(np.fmin(values[k], self._inner.best_f)), extra=1)

    @property
    def advances(self) -> bool:
        """Whether its runs have a loop in compiled code."""
        return bool(getattr(self._inner, "advances", False))

    def advance(self, fun: Any, most: int) -> FloatArray | None:
        """At most so many iterations of the current run in compiled code, if it can; see `CMAES.advance`."""
        if not self.advances or self._phase != _RUN:
            return None
        f: FloatArray | None = cast(Any, self._inner).advance(fun, int(min(most, self.maxiter - self.nit)))
        self._take_note()
        return f

    def stop(self) -> Stop | None:
        """Why the whole chain is over; None while it is not. Ends of single runs are in `result().runs`."""
        fired = []
        if -math.inf < self.ftarget and self._best_f <= self.ftarget:
            fired.append(Stop(StopReason.FTARGET, self._best_f, self.ftarget))
        if self.nfev >= self.maxfev:
            fired.append(Stop(StopReason.MAXFEV, self.nfev, self.maxfev))
        if self.nit >= self.maxiter:
            fired.append(Stop(StopReason.MAXITER, self.nit, self.maxiter))
        if self._phase == _OVER:
            fired.append(Stop(StopReason.MAXRESTARTS, self._tally.large, self.scheme.max_large))
        return first_of(fired)

    def limit(self, *, ftarget: float | None = None, maxfev: int | None = None, maxiter: int | None = None) -> None:
        """New limits of all runs together, in place of those given before; a run that these cut short goes on."""
        self.ftarget, self.maxfev, self.maxiter = as_limits(ftarget, maxfev, maxiter)
        if self._phase == _RUN:
            self._inner.limit(**self._limits())

    def result(self) -> Result:
        """The best of all runs; `runs` has one entry a run, the one going on included."""
        inner = self._inner.result()
        return Result(
            x=self._best_x.copy(),
            fun=self._best_f,
            nfev=self.nfev,
            nit=self.nit,
            nfail=self._nfail + inner.nfail,
            **outcome(self.stop(), self._best_f, self.ftarget),
            mean=inner.mean,
            sigma=inner.sigma,
            popsize=inner.popsize,
            method=self.method,
            runs=[*self._finished, *([self._run(inner.fun)] if self._phase in (_RUN, _MEAN) else [])],
            **self._added_up(inner),
        )

    def snapshot(self) -> Mapping[str, Any]:
        """That of the current run, with iterations and best value of all runs."""
        return {**self._inner.snapshot(), "nit": self.nit, "best_f": self._best_f}

    # ---------------------------------------------------------------- runs

    def _go_on(self) -> None:
        """Begin the next run where there is none."""
        if self._phase == _OVER:
            raise ProtocolError(f"`ask` has nothing to offer any more: {self.stop()}. End when `stop()` is not None.")
        if self._phase == _BETWEEN:
            self._nfev, self._nit = self.nfev, self.nit
            inner = self._inner.result()
            self._nfail, self._sums = self._nfail + inner.nfail, self._added_up(inner)
            waiting = self._inner.waiting
            self._inner = self._make()
            self._inner.inject(waiting)
            self._phase = _RUN

    def _added_up(self, inner: Result) -> dict[str, float]:
        """Those numbers of all runs that a strategy has in its result, and that can be summed."""
        return {name: self._sums.get(name, 0) + inner[name] for name in getattr(self._inner, "adds_up", ())}

    def _make(self) -> Strategy:
        """The strategy of the planned run."""
        k, plan = self._tally.runs, self._plan
        kind = registry.methods()[self.strategy].load()
        later: Mapping[str, Any] = getattr(kind, "later_options", {}) if k > 0 else {}
        return registry.make(
            self.strategy,
            self.x0 if k == 0 else self._start(),
            self.sigma0 * plan.sigma_factor,
            popsize=plan.popsize,
            stop=_in_units_of(self.rules, plan.sigma_factor),
            max_memory=self.max_memory,
            rng=random.child(self._seed, k + 1),
            **self._limits(),
            **{**later, **self.options},
        )

    def _limits(self) -> dict[str, Any]:
        """What is left of the limits for the planned run."""
        left, most = self.maxfev - self._nfev, self._plan.maxiter
        return {
            "ftarget": None if self.ftarget == -math.inf else self.ftarget,
            "maxfev": None if left == math.inf or left <= 0 else int(left),
            "maxiter": None if most == math.inf else max(1, int(most)),
        }

    def _run_is_over(self) -> bool:
        """Whether the current run has ended by itself; where only the chain has, the run could go on."""
        stop = self._inner.stop()
        return stop is not None and any(s.reason not in _OF_THE_CHAIN for s in (stop, *stop.also))

    def _start(self) -> FloatArray:
        """Where a restart begins."""
        if self.x0_box is not None:
            return self._rng.uniform(*self.x0_box)
        if self._tally.runs == 1:
            warnings.warn(
                "all restarts begin at `x0`: without `x0_box` there is no other place to begin. Give a box.",
                RestartWarning,
                stacklevel=5,
            )
        return self.x0

    def _count(self, x: FloatArray, f: float) -> None:
        """One more evaluation outside of the runs."""
        self._nfev += 1
        self._nfail += int(math.isnan(f))
        if self._better(f):
            self._best_f, self._best_x = f, x.copy()

    def _take_note(self) -> None:
        """After iterations of the current run: its best value, and whether it is over."""
        if self._better(self._inner.best_f):
            self._best_f, self._best_x = self._inner.best_f, self._inner.result().x
        if self._run_is_over():
            if self.final_mean and self.nfev < self.maxfev and not self._best_f <= self.ftarget:
                self._phase = _MEAN
            else:
                self._finish(self._inner.best_f)

    def _better(self, f: float) -> bool:
        return f < self._best_f or (math.isnan(self._best_f) and not math.isnan(f))

    def _run(self, best: float, extra: int = 0) -> Run:
        plan, inner = self._plan, self._inner
        sigma0 = self.sigma0 * plan.sigma_factor
        return Run(str(plan.kind), plan.popsize, sigma0, inner.nfev + extra, inner.nit, best, inner.stop())

    def _finish(self, best: float, extra: int = 0) -> None:
        """Book the run that ended, and plan the next one."""
        run = self._run(best, extra)
        self._finished.append(run)
        self._tally = book(self._tally, self._plan.kind, run.nfev, best)
        plan = next_run(self.scheme, self._tally, self._default_popsize, *self._rng.random(2))
        self._phase = _OVER if plan is None else _BETWEEN
        self._plan = plan or self._plan

    # ---------------------------------------------------------------- save and restore

    def state_dict(self) -> State:
        """Everything needed to go on to the bit: the chain, and the state of its current run."""
        return {
            "method": self.method,
            "format": FORMAT,
            "x0": self.x0.copy(),
            "sigma0": self.sigma0,
            "strategy": self.strategy,
            "scheme": dataclasses.asdict(self.scheme),
            "x0_box": None if self.x0_box is None else np.array(self.x0_box),
            "final_mean": self.final_mean,
            "default_popsize": self._default_popsize,
            "rules": dataclasses.asdict(self.rules),
            "ftarget": self.ftarget,
            "maxfev": self.maxfev,
            "maxiter": self.maxiter,
            "max_memory": self.max_memory,
            "options": dict(self.options),
            "entropy": _plain(self._seed.entropy),
            "spawn_key": np.array(self._seed.spawn_key, dtype=np.int64),
            "rng": random.generator_state(self._rng),
            "tally": dataclasses.asdict(self._tally),
            "plan": dataclasses.asdict(self._plan),
            "finished": {str(k): _run_state(run) for k, run in enumerate(self._finished)},
            "nfev": self._nfev,
            "nit": self._nit,
            "nfail": self._nfail,
            "sums": dict(self._sums),
            "best_x": self._best_x.copy(),
            "best_f": self._best_f,
            "phase": self._phase,
            "mean_asked": self._mean_asked,
            "inner": self._inner.state_dict(),
        }

    @classmethod
    def from_state(cls, state: State) -> Self:
        """The chain whose `state_dict` this is."""
        check_format(state, FORMAT)
        with reading_state():
            finite = {k: None if state[k] == off else state[k] for k, off in NO_LIMIT.items()}
            box = state["x0_box"]
            es = cls(
                state["x0"],
                state["sigma0"],
                strategy=state["strategy"],
                scheme=Scheme(**state["scheme"]),
                x0_box=None if box is None else (box[0], box[1]),
                final_mean=state["final_mean"],
                popsize=state["default_popsize"],
                stop=StopRules(**state["rules"]),
                max_memory=state["max_memory"],
                rng=0,
                **finite,
                **state["options"],
            )
            key = tuple(int(k) for k in state["spawn_key"])
            es._seed = np.random.SeedSequence(state["entropy"], spawn_key=key)
            es._rng = random.generator_from_state(state["rng"])
            es._tally = Tally(**state["tally"])
            es._plan = Plan(**{**state["plan"], "kind": Kind(state["plan"]["kind"])})
            es._finished = [_run_from(state["finished"][k]) for k in sorted(state["finished"], key=int)]
            es._nfev, es._nit, es._nfail = (int(state[k]) for k in ("nfev", "nit", "nfail"))
            es._sums = dict(state["sums"])
            es._best_x, es._best_f = np.array(state["best_x"]), float(state["best_f"])
            es._phase, es._mean_asked = str(state["phase"]), bool(state["mean_asked"])
            es._inner = registry.from_state(state["inner"])
        return es


_RUN, _MEAN, _BETWEEN, _OVER = "run", "mean", "between", "over"
_OF_THE_CHAIN = (StopReason.FTARGET, StopReason.MAXFEV)  # limits that a run has from its chain


def _named(name: Any) -> Scheme:
    if name not in SCHEMES:
        raise ArgumentError(f"`scheme`: there is no {name!r}; {near_miss(str(name), SCHEMES)}")
    return SCHEMES[name]


def _in_units_of(rules: StopRules, factor: float) -> StopRules:
    """The rules for a run that starts with `factor` sigma0, where tolx and tolfacupx stay in units of sigma0."""
    return dataclasses.replace(
        rules,
        tolx=None if rules.tolx is None else rules.tolx / factor,
        tolfacupx=None if rules.tolfacupx is None else rules.tolfacupx / factor,
    )


def _plain(entropy: Any) -> int | list[int]:
    """The entropy of a SeedSequence: one number or several."""
    return [int(e) for e in entropy] if np.ndim(entropy) else int(entropy)


def _run_state(run: Run) -> State:
    stop = run.stop
    ends = [] if stop is None else [stop, *stop.also]
    return {
        **{f.name: getattr(run, f.name) for f in dataclasses.fields(Run) if f.name != "stop"},
        "stop": {str(k): [str(s.reason), float(s.value), float(s.threshold)] for k, s in enumerate(ends)},
    }


def _run_from(state: State) -> Run:
    ends = [Stop(StopReason(r), v, t) for _, (r, v, t) in sorted(state["stop"].items(), key=lambda kv: int(kv[0]))]
    stop = dataclasses.replace(ends[0], also=tuple(ends[1:])) if ends else None
    return Run(**{**state, "stop": stop})
