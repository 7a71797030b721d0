"""saACM-ES: CMA-ES that searches on a ranking model between its true evaluations, as long as the model deserves it.

References
----------
I. Loshchilov, M. Schoenauer, M. Sebag. Self-adaptive surrogate-assisted covariance matrix adaptation evolution
strategy. GECCO 2012 (saACM-ES).
I. Loshchilov, M. Schoenauer, M. Sebag. Intensive surrogate model exploitation in self-adaptive surrogate-assisted
CMA-ES. GECCO 2013 (saACM-ES-k).
I. Loshchilov, M. Schoenauer, M. Sebag. KL-based control of the learning schedule for surrogate black-box
optimization. CAp 2013 (KL-ACM-ES).
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from lmcma import random
from lmcma.arguments import as_count, as_point
from lmcma.errors import ArgumentError
from lmcma.kernels import covariance as cma_kernels
from lmcma.kernels import ranksvm as kernels
from lmcma.kernels import stopping
from lmcma.kernels.batch import EDITED
from lmcma.result import Result
from lmcma.strategies.cma import CMAES, rules_of
from lmcma.surrogate.hyper import SEARCHED, HyperSearch, default_points
from lmcma.surrogate.ranksvm import Fitted, Frame, Settings, enough, framed, near, scratch_item, train
from lmcma.termination import Stop, StopOption, StopReason, stop_rules
from lmcma.typing import BoolArray, FloatArray, IntArray, State

_LEAST_FOR_INTENSITY = 4  # generations on the model, from which on they are intensive
_LARGEST_SAMPLE = 100_000  # points of one
_MAX_CONDITION = 1e14
_LARGEST_RATIO = 1e7 * (1 + 1e-6)  # of axes: `robust` holds them at 1e7, up to rounding
_FIRST_WITH_NOISE = 5  # g_start with `noisy`, inferred from the published running times: see docs/surrogate.md
_BROKEN = 1 << stopping.NUMERIC | 1 << stopping.EIGEN_FAILURE  # the condition has a test of its own, not the user's


def default_intensity(n: int) -> int:
    """How many times popsize points a generation on the model takes in saACM-ES-k.

    >>> [default_intensity(n) for n in (5, 10, 20, 40)]
    [1, 10, 100, 1000]
    """
    return 1 if n < 10 else int(10 ** (1 + math.log2(n / 10)) + 1e-9)


def default_hyper_popsize(n: int) -> int:
    """Parameters of the model tried after each generation: 20 for n <= 10, else none, for each costs a training."""
    return 20 if n <= 10 else 0


def life_length(error: float, most: int = 20, threshold: float = 0.45) -> int:
    """Generations on the model for a smoothed rank error: floor((threshold - error) / threshold most) - 1, at least 0.

    >>> [life_length(e) for e in (0.0, 0.05, 0.2, 0.4, 0.5)]
    [19, 16, 10, 1, 0]
    """
    return min(max(math.floor((threshold - error) / threshold * most) - 1, 0), most)


def memory_of_models(
    n: int, popsize: int, *, hyper_popsize: int | None = None, intensity: int = 1, threads: int = 1
) -> dict[str, float]:
    """Bytes that models take, by what takes them: options as those of `SaACMES`."""
    searched = default_hyper_popsize(n) if hyper_popsize is None else hyper_popsize
    points = default_points(n) * (2 if searched else 1)
    matrices = 8.0 * points**2 + (threads if searched else 1) * scratch_item(points) * points**2
    rows = min(intensity, max(1, _LARGEST_SAMPLE // popsize)) * popsize
    return {
        "distances and kernel matrices": matrices,
        "training points": 8.0 * 3 * points * n,
        "populations on the model": 8.0 * 2 * rows * (n + 1),
    }


def divergence(
    mean_a: FloatArray, scaled_a: FloatArray, mean_b: FloatArray, axes_b: FloatArray, lengths_b: FloatArray
) -> float:
    """Kullback-Leibler divergence KL(a || b) of two normal distributions.

    Parameters
    ----------
    mean_a, mean_b : (n,) array
        Means.
    scaled_a : (n, n) array
        sigma B D of a: axes in columns, as long as their standard deviations.
    axes_b : (n, n) array
        B of b, in columns.
    lengths_b : (n,) array
        sigma D of b.

    Examples
    --------
    >>> one, two = np.eye(2), 2 * np.ones(2)
    >>> round(divergence(np.zeros(2), one, np.array([1.0, 0.0]), one, two), 6)
    0.761294
    """
    n = len(mean_a)
    product = (axes_b.T @ scaled_a) / lengths_b[:, None]
    shift = (axes_b.T @ (mean_b - mean_a)) / lengths_b
    logs = float(np.log(lengths_b).sum() - np.log(np.linalg.norm(scaled_a, axis=0)).sum())
    return 0.5 * (float((product**2).sum()) + float(shift @ shift) - n + 2 * logs)


@dataclasses.dataclass(frozen=True)
class SaACMParameters:
    """Constants of saACM-ES.

    Parameters
    ----------
    threshold : float
        Rank error tau from which on the model is not used.
    smoothing : float
        Weight beta of the newest rank error.
    longest : int
        Generations on the model at most, n_max; 60 where the divergence decides.
    first : int
        The true generation that the first model is tested on, g_start.
    divergence : float
        Where the divergence decides: its largest threshold, KL_max.
    """

    threshold: float = 0.45
    smoothing: float = 0.2
    longest: int = 20
    first: int = 10
    divergence: float = 1e3


@dataclasses.dataclass(frozen=True)
class Lesson:
    """What is learnt from a model's error on new points.

    Parameters
    ----------
    error : float
        The rank error.
    search : HyperSearch
        The search for the model's parameters, gone on.
    fits : int
        Models trained for it.
    """

    error: float
    search: HyperSearch
    fits: int


Distribution: TypeAlias = tuple[FloatArray, IntArray, FloatArray]  # state, table and long histories of CMA-ES


class SaACMES(CMAES):
    """saACM-ES, self-adaptive surrogate-assisted CMA-ES.

    After each generation of true evaluations the recent points train a ranking support vector machine, and CMA-ES goes
    through some generations on that model. How many follows from the error that the last models made on points they had
    not seen; so do the model's own parameters, from a second CMA-ES. Of the values only their order is used.

    Needs two to four times fewer evaluations than CMA-ES on functions with one valley, about as many on others. Each
    takes milliseconds to tenths of a second more: for objectives that take longer than that, up to some dozens of
    variables.

    Parameters
    ----------
    x0 : (n,) array_like
        Mean of the first search distribution.
    sigma0 : float
        Its standard deviation, in the units of `x0`; about 0.2 to 0.3 of the range where the optimum is expected.
    popsize : int, optional
        Offspring per iteration, at least 2; 4 + floor(3 ln n) by default.
    control : {"error", "kl"}
        How long the search stays on a model: as its error says, or until the distribution has moved away from where the
        model was trained, by a divergence that follows from the error. The second is experimental: the abstract of
        KL-ACM-ES was all there was to build it from.
    intensity : int or "k"
        Points of a generation on the model, in units of `popsize`, where there are at least four such generations; "k"
        stands for floor(10^(1 + log2(n/10))) from n = 10 on, as in saACM-ES-k. The best and the worst of them make up
        the population.
    hyper_popsize : int, optional
        Parameters of the model tried after each generation, 0 for none; 20 for n <= 10, else 0 by default, for so many
        models have to be trained.
    hyper_rest : int
        Generations in a row that the search for parameters leaves out while there are no generations on the model; 0,
        and 20 in later runs of a chain of restarts.
    longest : int, optional
        n_max, 20 by default: a model that makes no errors is used for one generation less. Generations on the model at
        most for ``control="kl"``, there 60 by default. With 0 there is no model.
    surrogate_maxfev : int, optional
        No models any more after so many evaluations of a run, each one where there are restarts.
    noisy : bool
        For noisy objectives: learning rates of C divided by 5, no rule on small steps, and the first model after four
        generations instead of nine.
    threads : int
        Threads that train the models of the hyper-parameter search; the run is the same for any number.
    active, constants, lazy, diagonal_first, stop, std_limits, robust, ftarget, maxfev, maxiter, max_memory, rng
        As for `CMAES`; the defaults of the first three are those of the papers, and "tolupsigma" is off. Rules are
        tested after true generations; `maxiter` counts these, that of a profile generations on models, too.

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError, MemoryLimitError
        As `CMAES`.

    Notes
    -----
    `ask` trains models and searches on them, `tell` tries parameters: `ask` may take seconds from 40 variables on, and
    `tell`, with that search, from 20 on.
    `result` has `model_fits`, `model_nfev` and `model_seconds`, that of a chain of restarts their sums.

    What departs from the author's program: ties in the order of the model count as half an error (a constant model
    would have none otherwise), tied points do not order each other, a generation on the model that breaks the
    distribution down is undone together with those before it, and h_sigma counts true generations.

    Examples
    --------
    >>> import lmcma
    >>> es = lmcma.SaACMES([1.0] * 5, 0.5, rng=1, ftarget=1e-9)
    >>> while not es.stop():
    ...     x = es.ask()
    ...     es.tell(x, lmcma.testfunctions.ellipsoid(x))
    >>> es.result().nfev < 700
    True

    References
    ----------
    I. Loshchilov, M. Schoenauer, M. Sebag. Self-adaptive surrogate-assisted covariance matrix adaptation evolution
    strategy. GECCO 2012.
    I. Loshchilov, M. Schoenauer, M. Sebag. Intensive surrogate model exploitation in self-adaptive surrogate-assisted
    CMA-ES. GECCO 2013.
    """

    method: ClassVar[str] = "saacm"
    advances: ClassVar[bool] = False  # models are trained in between
    adds_up: ClassVar[tuple[str, ...]] = ("model_fits", "model_nfev", "model_failures", "model_seconds")
    later_options: ClassVar[Mapping[str, Any]] = MappingProxyType({"hyper_rest": 20})

    def __init__(
        self,
        x0: ArrayLike,
        sigma0: float,
        *,
        popsize: int | None = None,
        control: str = "error",
        intensity: int | str = 1,
        hyper_popsize: int | None = None,
        hyper_rest: int = 0,
        longest: int | None = None,
        surrogate_maxfev: int | None = None,
        noisy: bool = False,
        threads: int = 1,
        active: str | bool = "2010",
        constants: str = "bbob",
        lazy: str = "reference",
        diagonal_first: bool | int = False,
        stop: StopOption = None,
        std_limits: tuple[ArrayLike, ArrayLike] | None = None,
        robust: bool = False,
        ftarget: float | None = None,
        maxfev: int | None = None,
        maxiter: int | None = None,
        max_memory: float | None = None,
        rng: random.Seed = None,
    ) -> None:
        if control not in ("error", "kl"):
            raise ArgumentError(f"`control` must be 'error' or 'kl'; got {control!r}.")
        n = len(as_point("x0", x0))
        self.control, self.noisy = control, bool(noisy)
        self.threads = as_count("threads", threads, 1)
        most = (60 if control == "kl" else 20) if longest is None else as_count("longest", longest, 0)
        first = _FIRST_WITH_NOISE if self.noisy else SaACMParameters.first
        if control == "error" and most in (1, 2):
            raise ArgumentError(f"`longest` must be 0 or at least 3, else no model is used; got {most}.")
        self._schedule = SaACMParameters(longest=most, first=first)
        if isinstance(intensity, str) and intensity != "k":
            raise ArgumentError(f"`intensity` must be 'k' or an integer >= 1; got {intensity!r}.")
        self._grows = isinstance(intensity, str)  # with n
        self.intensity = default_intensity(n) if isinstance(intensity, str) else as_count("intensity", intensity, 1)
        tried = default_hyper_popsize(n) if hyper_popsize is None else as_count("hyper_popsize", hyper_popsize, 0)
        if tried == 1:
            raise ArgumentError("`hyper_popsize` must be 0 or at least 2; got 1.")
        self.hyper_popsize = tried
        self.hyper_rest = as_count("hyper_rest", hyper_rest, 0)
        self.surrogate_maxfev = None if surrogate_maxfev is None else as_count("surrogate_maxfev", surrogate_maxfev, 0)
        super().__init__(
            x0,
            sigma0,
            popsize=popsize,
            active=active,
            constants=constants,
            lazy=lazy,
            diagonal_first=diagonal_first,
            stop=stop_rules(stop, default=dataclasses.replace(rules_of(robust), tolupsigma=None)),
            std_limits=std_limits,
            robust=robust,
            ftarget=ftarget,
            maxfev=maxfev,
            maxiter=maxiter,
            max_memory=max_memory,
            rng=rng,
        )
        if self.noisy:
            rates = [cma_kernels.C_1, cma_kernels.C_MU, cma_kernels.DIAGONAL_C_1, cma_kernels.DIAGONAL_C_MU]
            self._field(cma_kernels.SCALARS)[rates] /= 5
            self._field(cma_kernels.TOL)[stopping.TOLX] = np.nan

        self._capacity = default_points(n) * (2 if self.hyper_popsize else 1)
        self._search = HyperSearch(n, tried, rest=self.hyper_rest, threads=self.threads, key=self._key)
        self._X, self._F = np.empty((0, n)), np.empty(0)  # the archive, in order of evaluation
        self._error = 0.5
        self._life = 0
        self._frame: Frame | None = None  # of the model in use
        self._model: Fitted | None = None
        self._model_nit = 0
        self._model_nit_told = 0  # of these, those before the last update: what rules are tested on
        self.model_fits, self.model_nfev, self.model_failures, self.model_seconds = 0, 0, 0, 0.0

    # ---------------------------------------------------------------- what can be read

    @property
    def settings(self) -> Settings:
        """The parameters of the next model."""
        return self._search.settings

    @property
    def model_error(self) -> float:
        """The smoothed rank error of the models: 0 for perfect ones, 0.5 for useless ones."""
        return self._error

    @property
    def life_length(self) -> int:
        """Generations on the model before the next true one, at most; for ``control="kl"`` those of the last phase."""
        return self._life

    @property
    def model_nit(self) -> int:
        """Generations on models so far."""
        return self._model_nit

    @property
    def archive(self) -> tuple[FloatArray, FloatArray]:
        """Points and values that models are trained on, (k, n) and (k,), in order of evaluation; views."""
        return self._X, self._F

    def snapshot(self) -> Mapping[str, Any]:
        """The search distribution in numbers, for a recorder, with the state of the model."""
        model = {"model_error": self._error, "life_length": self._life, "model_nfev": self.model_nfev}
        return {**super().snapshot(), **model, **{f"model_{k}": getattr(self.settings, k) for k in SEARCHED}}

    def result(self) -> Result:
        """As of `CMAES`, with the number of models, of their evaluations, and the seconds that they took."""
        result = super().result()
        result["method"] = "kl-acm" if self.control == "kl" else "saacm-k" if self._grows else "saacm"
        for name in self.adds_up:
            result[name] = getattr(self, name)
        return result

    @classmethod
    def memory_parts(cls, n: int, popsize: int, stored: int | None = None) -> dict[str, float]:
        """Bytes needed, by what takes them; for models with the options of `saacm`, in one thread."""
        return {**super().memory_parts(n, popsize, stored), **memory_of_models(n, popsize)}

    def _check_memory(self, need: float, max_memory: float | None) -> None:
        n, popsize = self._n, self._popsize
        models = memory_of_models(
            n, popsize, hyper_popsize=self.hyper_popsize, intensity=self.intensity, threads=self.threads
        )
        super()._check_memory(sum({**super().memory_parts(n, popsize), **models}.values()), max_memory)

    def _remedies(self) -> list[str]:
        if not self.hyper_popsize:
            return []
        return ["use hyper_popsize=0", *(["fewer `threads`"] if self.threads > 1 else [])]

    # ---------------------------------------------------------------- generations on the model

    def _draw(self) -> None:
        started = time.perf_counter()
        self._frame = self._model = None
        life = self._life
        if self.control == "kl":
            self._life = 0  # unless there is a phase
        # a population that the budget cuts short teaches nothing: no model for it
        if self._uses_models() and self._nit >= self._schedule.first - 1 and self.popsize == self._popsize:
            before = self._s.copy(), self._table.copy(), self._long.copy()
            counts = self._batch, self.model_fits, self.model_nfev
            try:
                frame = self._whitening()
                self._model = self._train(frame)
                if self._model is not None:
                    self._frame = frame
                    self._search_on_model(life, before)
            except BaseException:  # out of memory, or by the keyboard: to be asked again
                self._undo(before)
                self._frame = self._model = None
                self._life = life
                self._batch, self.model_fits, self.model_nfev = counts
                raise
        self.model_seconds += time.perf_counter() - started
        super()._draw()

    def _undo(self, before: Distribution) -> None:
        """Back to the distribution and histories before the generations on the model."""
        self._s[:], self._table[:], self._long = before

    def _uses_models(self) -> bool:
        used_up = self.surrogate_maxfev is not None and self._nfev >= self.surrogate_maxfev
        return self._schedule.longest > 0 and not used_up

    def _whitening(self) -> Frame | None:
        """The mean and W, W^T W = C^(-1), at this moment."""
        C = self.C
        if not np.isfinite(C).all():
            return None
        with self._blas or contextlib.nullcontext():
            squares, axes = np.linalg.eigh(C)
        if not (squares[0] > 0 and squares[-1] <= _MAX_CONDITION * squares[0]):
            return None
        return self.mean.copy(), np.ascontiguousarray(axes.T / np.sqrt(squares)[:, None])

    def _train(self, frame: Frame | None) -> Fitted | None:
        """The model of the most recent points."""
        if frame is None:
            return None
        k = min(self.settings.points, len(self._F))
        F = self._F[-k:]
        if k == 0 or not enough(F, self._n):
            return None
        model = train(framed(frame, self._X[-k:]), F, self.settings)
        self.model_fits += 1
        return model

    def _search_on_model(self, life: int, before: Distribution) -> None:
        """Generations on the model; where the distribution breaks down, it is as if there had been none.

        life : the life length so far; before : what to go back to.
        """
        most = self._schedule.longest if self.control == "kl" else life
        threshold = self._divergence_limit()
        if most == 0 or threshold == 0:
            return
        intensity = self.intensity if life >= _LEAST_FOR_INTENSITY else 1
        start = (self.mean.copy(), self.sigma * self.B * self.D)
        done = 0
        while done < most:
            if not self._generation(intensity):
                self._undo(before)
                self.model_failures += 1
                self._life = 0
                return
            done += 1
            if self.control == "kl" and divergence(*start, self.mean, self.B, self.sigma * self.D) > threshold:
                break
        state, table, long = before
        self._model_nit += done
        if self.control == "kl":
            self._life = done
        # what the rules look back at are true values, and iterations with such
        for k in (cma_kernels.VALUE, cma_kernels.RING, cma_kernels.FLAGS):
            self._field(k)[:] = state[self._at[k] : self._at[k + 1]]
        count = cma_kernels.counters(table)
        for place in (*range(stopping.N_COUNT), cma_kernels.MASK, cma_kernels.NAN_IN_ROW):
            self._count[place] = count[place]
        self._long = long

    def _divergence_limit(self) -> float:
        """How far the distribution may move from where the model was trained; infinity where the error decides."""
        p = self._schedule
        if self.control == "error":
            return math.inf
        if not self._error < p.threshold:
            return 0.0
        return math.exp((p.threshold - self._error) / p.threshold * math.log(p.divergence))

    def _generation(self, intensity: int) -> bool:
        """One generation of CMA-ES on the model; whether the distribution is sound after it."""
        assert self._frame is not None
        assert self._model is not None
        popsize, n, mu = self._popsize, self._n, self.params.mu
        intensity = max(1, min(intensity, _LARGEST_SAMPLE // popsize))
        x = np.empty((popsize, n))
        Z, Y, F = (np.empty((intensity, *shape)) for shape in ((popsize, n), (popsize, n), (popsize,)))
        with self._blas or contextlib.nullcontext():
            for part in range(intensity):
                self._batch += 1
                cma_kernels.sample(self._s, self._table, self._key, self._batch, x)
                Z[part], Y[part] = self._z, self._y
                F[part] = self._model.values(framed(self._frame, x))
            self.model_nfev += F.size
            f = F.ravel()
            if not np.isfinite(f).all() or f.min() == f.max():
                return False
            if intensity > 1:
                # the best mu and the worst: what the update takes of a population of this size
                order = np.argsort(f, kind="stable")
                chosen = np.concatenate([order[:mu], order[mu - popsize :]])
                self._z[:], self._y[:] = Z.reshape(-1, n)[chosen], Y.reshape(-1, n)[chosen]
                f = np.arange(float(popsize))
            self._make_room()
            t = self._count[stopping.T]
            mask = cma_kernels.update(self._s, self._table, f, np.ones(popsize, dtype=np.bool_), self._long)
            self._count[stopping.T] = t  # true iterations: of h_sigma, and those with a diagonal C
        shortest, longest = float(self.D[0]), float(self.D[-1])
        sound = self.sigma > 0 and math.isfinite(self.sigma * longest) and longest <= _LARGEST_RATIO * shortest
        return sound and not mask & _BROKEN

    # ---------------------------------------------------------------- true values

    def _take_whole(self, x: Any, f: Any) -> bool:
        taken = super()._take_whole(x, f)
        if taken:
            self._mask = self._fired()  # with this iteration
        return taken

    def _learn_whole(self, x: FloatArray, f: FloatArray) -> tuple[int, int, float]:
        if not self._schedule.longest:
            return super()._learn_whole(x, f)
        points = self._points()
        if len(x) and not np.array_equal(x, points):
            return 0, EDITED, self._best_f
        lesson = self._lesson(points, f, self._own)
        found = super()._learn_whole(x, f)
        self._absorb(lesson, points, f, self._own, None, None)
        return found

    def _update(
        self, f: FloatArray, own: BoolArray, foreign_x: FloatArray | None, foreign_f: FloatArray | None
    ) -> None:
        if not self._schedule.longest:
            super()._update(f, own, foreign_x, foreign_f)
            return
        points = self._points()
        own = own.copy()
        lesson = self._lesson(points, f, own)
        super()._update(f, own.copy(), foreign_x, foreign_f)
        self._absorb(lesson, points, f, own, foreign_x, foreign_f)

    def _learn_part(self, f: FloatArray, injected: FloatArray) -> None:
        if not self._schedule.longest:
            return
        x, own = np.empty((len(f), self._n)), np.ones(len(f), dtype=np.bool_)
        self._write_again(x)
        x[: len(injected)], own[: len(injected)] = injected, False
        for point, _, row in self._foreign:
            if row >= 0:
                x[row], own[row] = point, False
        self._frame = self._model = None
        self._archive(x, f, own)

    def _points(self) -> FloatArray:
        x = np.empty((self._popsize, self._n))
        self._write_again(x)
        return x

    def _lesson(self, x: FloatArray, f: FloatArray, own: BoolArray) -> Lesson | None:
        """What the model's error on new points teaches, None where they show none; nothing changes.

        To be found out before CMA-ES takes the points, so that all of a generation is learnt or, after an exception,
        nothing.
        """
        started = time.perf_counter()
        tested = own & ~np.isnan(f)
        if self._model is None or self._frame is None:
            return None
        model = self._model.values(framed(self._frame, x))
        error = float(kernels.rank_error(f[tested], model[tested]))
        if math.isnan(error):  # all values the same
            return None
        search, fits = self._search.gone_on(self._life > 0, self._X, self._F, self._frame, x[tested], f[tested])
        self.model_seconds += time.perf_counter() - started
        return Lesson(error, search, fits)

    def _absorb(
        self,
        lesson: Lesson | None,
        x: FloatArray,
        f: FloatArray,
        own: BoolArray,
        foreign_x: FloatArray | None,
        foreign_f: FloatArray | None,
    ) -> None:
        """Let the model's error decide about the next ones, and archive the points."""
        p = self._schedule
        if lesson is not None:
            self._error = (1 - p.smoothing) * self._error + p.smoothing * lesson.error
            self._search = lesson.search
            self.model_fits += lesson.fits
            if self.control == "error":
                self._life = life_length(self._error, p.longest, p.threshold)
        self._frame = self._model = None
        self._model_nit_told = self._model_nit
        if foreign_x is not None and foreign_f is not None:
            edited = np.flatnonzero(~own)
            x[edited], more = foreign_x[: len(edited)], foreign_x[len(edited) :]
            x, f = np.concatenate([x, more]), np.concatenate([f, foreign_f[len(edited) :]])
            own = np.append(own, np.zeros(len(more), dtype=np.bool_))
        self._archive(x, f, own)

    def _archive(self, x: FloatArray, f: FloatArray, own: BoolArray) -> None:
        """Keep points for training: those of its own, and near ones of the caller's."""
        kept = ~np.isnan(f)
        if not own.all():
            kept &= own | near((self.mean, (self.B / self.D).T), self.sigma, x)
        X, F = np.concatenate([self._X, x[kept]]), np.concatenate([self._F, f[kept]])
        self._X, self._F = X[-self._capacity :], F[-self._capacity :]

    # ---------------------------------------------------------------- the end, save and restore

    def _iterations_of_profile(self) -> tuple[int, float]:
        return self._nit + self._model_nit_told, self.rules.iteration_limit(self._n, self._popsize)

    def _fired(self) -> int:
        done, most = self._iterations_of_profile()
        return super()._fired() | (_TOO_MANY if done >= most else 0)

    def _stops(self) -> list[Stop]:
        stops = stopping.fired(super()._fired(), self._field(cma_kernels.VALUE), self._field(cma_kernels.TOL))
        done, most = self._iterations_of_profile()
        if done >= most and self._nit < self._iteration_limit:  # else it is said already
            stops.append(Stop(StopReason.MAXITER, done, most))
        return stops

    def _state(self) -> State:
        return {
            **super()._state(),
            "control": self.control,
            "intensity": "k" if self._grows else self.intensity,
            "hyper_popsize": self.hyper_popsize,
            "hyper_rest": self.hyper_rest,
            "longest": self._schedule.longest,
            "surrogate_maxfev": self.surrogate_maxfev,
            "noisy": self.noisy,
            "threads": self.threads,
            "archive_x": self._X.copy(),
            "archive_f": self._F.copy(),
            "error": self._error,
            "life": self._life,
            "model_nit": np.array([self._model_nit, self._model_nit_told]),
            "model_counts": np.array([self.model_fits, self.model_nfev, self.model_failures]),
            "model_seconds": self.model_seconds,
            "frame": None if self._frame is None else np.vstack(self._frame),
            "search": self._search.state_dict(),
        }

    @classmethod
    def _options(cls, state: State) -> dict[str, Any]:
        names = (
            "control",
            "intensity",
            "hyper_popsize",
            "hyper_rest",
            "longest",
            "surrogate_maxfev",
            "noisy",
            "threads",
        )
        return {**super()._options(state), **{name: state[name] for name in names}}

    def _set_state(self, state: State) -> None:
        super()._set_state(state)
        self._X, self._F = np.array(state["archive_x"]).reshape(-1, self._n), np.array(state["archive_f"])
        self._error, self._life = float(state["error"]), int(state["life"])
        self._model_nit, self._model_nit_told = (int(k) for k in state["model_nit"])
        self.model_seconds = float(state["model_seconds"])
        self.model_fits, self.model_nfev, self.model_failures = (int(k) for k in state["model_counts"])
        self._search.key = self._key
        self._search.restore(state["search"])
        if state["frame"] is not None:
            frame = np.ascontiguousarray(state["frame"], dtype=np.float64)
            self._frame = frame[0].copy(), frame[1:].copy()  # as `_whitening` makes them, in C order
            fits = self.model_fits
            self._model = self._train(self._frame)
            self.model_fits = fits


_TOO_MANY = 1 << 40


__all__ = [
    "SaACMES",
    "SaACMParameters",
    "default_hyper_popsize",
    "default_intensity",
    "default_points",
    "divergence",
    "life_length",
    "memory_of_models",
]
