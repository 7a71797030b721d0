"""HMO-CMA-ES: a warm start, local search, exploration and weighted sums in turns, for a good front at any time.

The paper names the ideas: BOBYQA on a weighted sum as a warm start, a steady-state MO-CMA-ES whose population grows,
and further CMA-ES variants. Its constants and its schedule are not public; here they are a reconstruction, which the
published results of the algorithm on the bi-objective functions of COCO guide where they show them.

================================  ============================================  ====================================
constant                          value                                         origin
================================  ============================================  ====================================
warm start                        coordinate stars; BOBYQA as an option         a design of our own; the paper
its first weight                  1/2                                           published data
its other weights                 1, 0, 1/4, 3/4, from 10 variables on eighths  reconstruction
its first radius                  0.2 w                                         published data
its budget                        15 n                                          published data: 10 n to 16 n
division of the objectives by     their range in the first batch, or |f(x0)|    reconstruction; published use
local search: sigma               0.03 w                                        reconstruction
its population                    10, doubled after 200 n, 400 n, ...           reconstruction
exploration from, turns of        1000 n, 5000 evaluations                      published data
its population, sigma             30, 0.1 w                                     reconstruction
weighted sums from                20000 n                                       published data, as to the time
their method, weights, sigma      BIPOP-CMA-ES; 1, 0, 1/2, 1/4, 3/4; 0.2 w      reconstruction
order of turns                    local search has every other one              reconstruction
================================  ============================================  ====================================

w is the width of the box: `bounds` where they are finite, and 10 sigma0 where that is less.

References
----------
I. Loshchilov, T. Glasmachers. Anytime bi-objective optimization with a hybrid multi-objective CMA-ES (HMO-CMA-ES).
GECCO 2016 workshop, arXiv:1605.02720.
R. Tanabe, Y. Akimoto, K. Kobayashi, H. Umeki, S. Shirakawa, N. Hamada. A Two-phase Framework with a Bezier
Simplex-based Interpolation Method for Computationally Expensive Multi-objective Optimization. GECCO 2022 (for the
division by the absolute values at x0).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from lmcma import random
from lmcma.arguments import as_count, one_of
from lmcma.errors import ArgumentError
from lmcma.multiobjective.base import MultiObjectiveStrategy, check_memory
from lmcma.multiobjective.bobyqa import Bobyqa
from lmcma.multiobjective.components import LOCAL_SIGMA, Local, Single, Steady
from lmcma.multiobjective.indicators import nondominated
from lmcma.multiobjective.population import Population
from lmcma.multiobjective.schedule import EXPLORE, LOCAL, PARTS, SINGLE, Schedule, slice_length
from lmcma.multiobjective.star import Star
from lmcma.multiobjective.warm_start import NORMALISE, RADIUS, WarmStart
from lmcma.result import MultiResult
from lmcma.termination import Stop, StopReason
from lmcma.typing import BoolArray, FloatArray, IntArray, State

_WARM_STARTS: dict[str, type[WarmStart]] = {"star": Star, "bobyqa": Bobyqa}
_WIDTH = 10  # of the box around the start, in units of sigma0, where no bounds are nearer
_POPSIZE, _GROWTH, _EXPLORE_MU = 10, 200, 30
_T_EXPLORE, _T_SINGLE = 1000, 20_000  # evaluations per variable
_COLD_STARTS = 4  # uniform points beside the start, without a warm start
_TOLX = 1e-14  # widths
_OPTIONS = ("popsize", "growth", "warm_start", "normalise", "t_explore", "t_single", "explore_mu", "turn", "batch")
_LOOK = 10  # evaluations per variable from one test of it to the next


class HMOCMAES(MultiObjectiveStrategy):
    """HMO-CMA-ES, for two objectives: a good front after any number of evaluations, from about n on.

    A warm start, then a steady-state MO-CMA-ES whose population grows. After 1000 n evaluations it takes turns with
    short runs that start anywhere in the box, after 20000 n with restarts of CMA-ES on weighted sums as well; it takes
    over what they find. All points that no other dominates are in `archive`.

    Parameters
    ----------
    x0 : (n,) or (k, n) array_like
        The start. Further ones are evaluated with it.
    sigma0 : float
        A tenth of the range around `x0` where good points are expected, in the units of `x0`. Between bounds it may be
        larger.
    n_obj : int
        Objectives: two.
    popsize : int
        Individuals of local search at first.
    growth : int
        After so many evaluations per variable there may be twice as many individuals, after twice as many more four
        times as many, and so on.
    warm_start : {"star", "bobyqa", "none"}
        Separable models of both objectives on coordinate stars; BOBYQA on weighted sums as in the paper, which needs
        the package nlopt; or just `x0` and four points anywhere in the box.
    normalise : {"range", "f0"}
        The warm start divides objectives by their range in its first batch, or by their absolute value at `x0`: the
        published way, which depends on where their zero is.
    t_explore, t_single : int or None
        Evaluations per variable after which exploration and weighted sums take part; None for never.
    explore_mu : int or sequence of int
        Individuals of an exploring run; several numbers take turns.
    turn : int, optional
        Evaluations of a turn: 5000 by default, from 20 variables on 250 n.
    batch : int, optional
        Points a call of `ask` gives where there is a choice; by default half as many as there may be individuals.
    bounds : (low, high), n pairs, or scipy.optimize.Bounds; optional
        Points are moved onto the bounds. Selection sees a small penalty for how far, 1e-6 of the range of each
        objective among the first points for the width of the box, squared.
    stds : (n,) array_like, optional
        Scales of the coordinates: `sigma0` times them is what `sigma0` is without.
    x0_box : (low, high), optional
        Where exploration starts, numbers or (n,) arrays; by default between the bounds, where there is none up to
        5 sigma0 from `x0`.
    reference : (2,) array_like, optional
        Reference point of the hypervolume, worse than all points that matter; for the record and for `hv_target`.
        The search does without.
    archive : {"front", "log"}
        Keep points that are not dominated, or all that were not when they came, see `Archive`.
    hv_target, maxfev, maxiter
        Stop at a hypervolume of `hv_target`, after so many evaluations, iterations. Without exploration and sums the
        run also stops when no individual of the front moves by more than 1e-14 of the width of the box.
    rng : None, int, SeedSequence or Generator
        Source of randomness.

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError
        An argument cannot be used.
    MissingDependencyError
        ``warm_start="bobyqa"`` without nlopt.
    MemoryLimitError
        A matrix for each individual does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> import lmcma
    >>> es = lmcma.HMOCMAES([0.0] * 3, 0.5, reference=(4, 4), maxfev=1000, rng=1)
    >>> while not es.stop():
    ...     x = es.ask()
    ...     es.tell(x, np.array([(x**2).sum(axis=1), ((x - 1) ** 2).sum(axis=1)]).T)
    >>> bool(es.result().hypervolume > 14)
    True

    References
    ----------
    I. Loshchilov, T. Glasmachers. Anytime bi-objective optimization with a hybrid multi-objective CMA-ES (HMO-CMA-ES).
    GECCO 2016 workshop, arXiv:1605.02720.
    """

    method: ClassVar[str] = "hmo-cma"

    def __init__(
        self,
        x0: ArrayLike,
        sigma0: float,
        *,
        n_obj: int = 2,
        popsize: int | None = None,
        growth: int = _GROWTH,
        warm_start: str = "star",
        normalise: str = "range",
        t_explore: int | None = _T_EXPLORE,
        t_single: int | None = _T_SINGLE,
        explore_mu: int | Sequence[int] = _EXPLORE_MU,
        turn: int | None = None,
        batch: int | None = None,
        bounds: Any = None,
        stds: ArrayLike | None = None,
        x0_box: tuple[ArrayLike, ArrayLike] | None = None,
        reference: ArrayLike | None = None,
        archive: str = "front",
        hv_target: float | None = None,
        maxfev: int | None = None,
        maxiter: int | None = None,
        rng: random.Seed = None,
    ) -> None:
        if n_obj != 2:
            raise ArgumentError(f"`n_obj` must be 2 for method 'hmo-cma'; got {n_obj!r}. 'mo-cma' takes more.")
        super().__init__(
            x0,
            sigma0,
            n_obj=n_obj,
            bounds=bounds,
            stds=stds,
            x0_box=x0_box,
            reference=reference,
            archive=archive,
            hv_target=hv_target,
            maxfev=maxfev,
            maxiter=maxiter,
            rng=rng,
        )
        n, x_start = self._n, self.starts[0]
        self.mu0 = _POPSIZE if popsize is None else as_count("popsize", popsize, 1)
        self.growth = as_count("growth", growth, 1)
        self.warm_start = one_of("warm_start", warm_start, (*_WARM_STARTS, "none"))
        self.normalise = one_of("normalise", normalise, NORMALISE)
        self.t_explore, self.t_single = (
            math.inf if t is None else as_count(name, t, 0)
            for name, t in (("t_explore", t_explore), ("t_single", t_single))
        )
        self.explore_mu = [as_count("explore_mu", mu, 2) for mu in np.atleast_1d(explore_mu).tolist()]
        if not self.explore_mu:
            raise ArgumentError(
                "`explore_mu` must be at least one number; got none. None for `t_explore` explores never."
            )
        self.turn = slice_length(n) if turn is None else as_count("turn", turn, 1)
        self.batch = None if batch is None else as_count("batch", batch, 1)
        check_memory(self.method, self.memory(n, max(self.mu0, *self.explore_mu)), n, self.mu0)

        reach = _WIDTH * self.sigma0 * self.scale
        nearest = np.where(np.isfinite(self.low), self.low, x_start - reach / 2)
        farthest = np.where(np.isfinite(self.high), self.high, x_start + reach / 2)
        self._region = np.array([nearest, farthest] if self.box is None else self.box)  # where exploration starts
        self._units = np.minimum(reach, self.high - self.low)  # widths, of which all step sizes are parts

        self._schedule = Schedule(self.t_explore * n, self.t_single * n, self.turn)
        self._shares = {part: np.zeros(2, dtype=np.int64) for part in PARTS}  # evaluations; those the archive took
        rng_local, self._explore_rng, self._single_rng = (random.generator(self._rng) for _ in range(3))
        self._warm: WarmStart | None = None
        self._rows_out: IntArray = np.empty(0, dtype=np.int64)  # of its batch
        starts: FloatArray | None = None
        if self.warm_start == "none":
            starts = np.concatenate(
                [x_start[None], rng_local.uniform(self._region[0], self._region[1], (_COLD_STARTS, n))]
            )
            self._schedule.go_on(0)
        else:
            kind = _WARM_STARTS[self.warm_start]
            self._warm = kind(x_start, RADIUS * self._units, self.low, self.high, normalise=self.normalise)
        self._local = Local(self._region, self._units, self.mu0, self.growth, rng_local, starts)
        self._looked = 0  # evaluations of local search when `_width_left` was measured
        self._width_left = math.inf  # of its front, in widths
        self._explorer: Steady | None = None
        self._explorers = 0  # so far
        self._single: Single | None = None
        self._over = False
        self._waiting = self.starts[1:]

    @classmethod
    def memory(cls, n: int, popsize: int) -> float:
        """Bytes needed in dimension `n` at first, the archive aside; local search may grow to two GiB."""
        return 16.0 * popsize * (n**2 + 5 * n + 20)

    # ---------------------------------------------------------------- one iteration

    @property
    def population(self) -> Population:
        """The population of the local search; during the warm start points of the caller's own, if any."""
        return self._local.population

    @property
    def _active(self) -> Steady | Single:
        """Whose turn it is after the warm start."""
        active = {LOCAL: self._local, EXPLORE: self._explorer, SINGLE: self._single}[self._schedule.turn]
        assert active is not None
        return active

    def ask(self, out: FloatArray | None = None, *, k: int | None = None) -> FloatArray:
        """Points to evaluate; see `MultiObjectiveStrategy.ask`.

        A warm start and CMA-ES have only so many points at a time: then there may be fewer than `k`.
        """
        if k is not None and not len(self._x):
            most = len(self._warm.missing) if self._warm is not None else self._active.most()
            k = int(min(as_count("k", k, 1), most + len(self._waiting)))
        return super().ask(out, k=k)

    def _rows(self) -> int:
        if self._warm is not None:
            return len(self._warm.missing)
        rows = self._active.rows()
        if self._schedule.turn == SINGLE:
            return rows
        return int(min(rows if self.batch is None else min(self.batch, self._active.most()), self._schedule.left))

    def _draw(self, rows: int) -> FloatArray:
        if self._warm is not None:
            self._rows_out = self._warm.missing[:rows]
            return self._warm.pending()[self._rows_out]
        return self._active.draw(rows)

    def _update(self, f: FloatArray, violation: FloatArray, own: BoolArray) -> None:
        if self._warm is not None:
            self._warm.receive(self._rows_out, np.where(violation[:, None] > 0, np.nan, f))
            if self._warm.done:
                found = nondominated(self._warm.f)  # in order of row, where the archive goes by who came first
                self._local.begin(self._warm.x[found], self._warm.f[found])
                self._warm = None
                self._schedule.go_on(self._nfev)
            return
        self._schedule.left -= len(f)
        active = self._active
        active.update(f, violation, own)
        if active is self._single and active.found is not None:
            x, values, sigma = active.found
            self._local.join(x[None], values[None], max(sigma, LOCAL_SIGMA))
        due = active is self._local and self._local.spent >= self._looked + _LOOK * self._n
        if due:
            self._looked, self._width_left = self._local.spent, self._local.reach()
        if self._schedule.left <= 0 or (due and self._width_left < _TOLX):
            self._next_turn()

    def _next_turn(self) -> None:
        if self._explorer is not None:
            self._local.inject(self._explorer.population)
            self._explorer = None
        self._width_left = self._local.reach()
        self._over = not self._schedule.go_on(self._nfev, converged=self._width_left < _TOLX)
        if self._schedule.turn == EXPLORE:
            mu = self.explore_mu[self._explorers % len(self.explore_mu)]
            self._explorer = Steady(self._region, self._units, mu, self._explore_rng)
            self._explorers += 1
        elif self._schedule.turn == SINGLE and self._single is None:
            self._single = self._new_single()

    def _new_single(self) -> Single:
        bounds = np.array([self.low, self.high])
        return Single(self._region, bounds, self._units, self.archive, self._single_rng)

    def _welcome(self, x: FloatArray, f: FloatArray, violation: FloatArray) -> None:
        self._local.join(x, f, LOCAL_SIGMA, violation)

    def _enter(self, x: FloatArray, f: FloatArray, violation: FloatArray | None) -> None:
        before = self.archive.entered
        super()._enter(x, f, violation)
        self._shares[self._schedule.turn] += len(f), self.archive.entered - before

    def _stops(self) -> list[Stop]:
        return [Stop(StopReason.TOLX, self._width_left, _TOLX)] if self._over else []

    def result(self) -> MultiResult:
        """What was found, and how it went; see `MultiObjectiveStrategy.result`.

        `shares` has a mapping for each component ("warm", "local", "explore", "single") with its evaluations, `nfev`,
        and how many of them entered the archive, `entered`. Points of the caller's own count for the one whose turn
        it was.
        """
        result = super().result()
        result["shares"] = {part: {"nfev": int(k), "entered": int(e)} for part, (k, e) in self._shares.items()}
        return result

    def _individuals(self) -> int:
        return len(self._local.population)

    def _spread(self) -> tuple[float, float, FloatArray, FloatArray]:
        return self._local.population.spread(self.starts[0], RADIUS)

    # ---------------------------------------------------------------- save and restore

    def _state(self) -> State:
        parts = {"warm": self._warm, "local": self._local, "explorer": self._explorer, "single": self._single}
        return {
            "popsize": self.mu0,
            "growth": self.growth,
            "warm_start": self.warm_start,
            "normalise": self.normalise,
            "t_explore": self.t_explore,
            "t_single": self.t_single,
            "explore_mu": np.array(self.explore_mu),
            "turn": self.turn,
            "batch": self.batch,
            "schedule": dataclasses.asdict(self._schedule),
            "shares": np.array([self._shares[part] for part in PARTS]),
            "rows_out": self._rows_out.copy(),
            "looked": self._looked,
            "width_left": self._width_left,
            "explorers": self._explorers,
            "over": self._over,
            "explore_rng": random.generator_state(self._explore_rng),
            "single_rng": random.generator_state(self._single_rng),
            **{name: None if part is None else part.state_dict() for name, part in parts.items()},
        }

    @classmethod
    def _blank(cls, options: dict[str, Any], state: State) -> Self:
        own = {name: state[name] for name in _OPTIONS}
        own |= {name: None if own[name] == math.inf else own[name] for name in ("t_explore", "t_single")}
        return cls(**options, **own)

    def _set_state(self, state: State) -> None:
        self._schedule = Schedule(**state["schedule"])
        self._shares = {part: np.array(share) for part, share in zip(PARTS, state["shares"], strict=True)}
        self._rows_out = np.array(state["rows_out"], dtype=np.int64)
        self._looked, self._width_left = int(state["looked"]), float(state["width_left"])
        self._explorers, self._over = int(state["explorers"]), bool(state["over"])
        self._explore_rng = random.generator_from_state(state["explore_rng"])
        self._single_rng = random.generator_from_state(state["single_rng"])
        self._local.set_state(state["local"])
        self._warm = None
        if state["warm"] is not None:
            self._warm = _WARM_STARTS[self.warm_start].from_state(state["warm"])
        if state["explorer"] is not None:
            self._explorer = Steady(self._region, self._units, 2, self._explore_rng)
            self._explorer.set_state(state["explorer"])
            self._explore_rng = self._explorer.rng
        if state["single"] is not None:
            self._single = self._new_single()
            self._single.set_state(state["single"])
            self._single_rng = self._single.rng
