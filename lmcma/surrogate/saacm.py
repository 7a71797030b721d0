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
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from lmcma import random
from lmcma.arguments import as_count
from lmcma.errors import ArgumentError
from lmcma.kernels import covariance as cma_kernels
from lmcma.kernels import ranksvm as kernels
from lmcma.kernels import stopping
from lmcma.kernels.batch import EDITED
from lmcma.result import Result
from lmcma.strategies.cma import CMAES
from lmcma.surrogate.ranksvm import Fitted, Settings, enough, in_order, scratch, train
from lmcma.termination import Stop, StopOption, StopReason
from lmcma.typing import BoolArray, FloatArray, IntArray, State

_LEAST_FOR_INTENSITY = 4  # generations on the model, from which on they are intensive
_LARGEST_SAMPLE = 100_000  # points of one
_SEARCHED = ("points", "c_base", "c_pow", "c_sigma", "sweeps")
_MAX_CONDITION = 1e14
_BROKEN = sum(1 << rule for rule in (stopping.NUMERIC, stopping.EIGEN_FAILURE, stopping.CONDITIONCOV))


def default_points(n: int) -> int:
    """Training points N_0 = 40 + floor(4 n^1.7).

    >>> [default_points(n) for n in (2, 5, 10, 20)]
    [52, 101, 240, 691]
    """
    return 40 + int(4 * n**1.7)


def default_intensity(n: int) -> int:
    """How many times popsize points a generation on the model takes in saACM-ES-k.

    >>> [default_intensity(n) for n in (5, 10, 20, 40)]
    [1, 10, 100, 1000]
    """
    return 1 if n < 10 else int(10 ** (1 + math.log2(n / 10)) + 1e-9)


def life_length(error: float, most: int = 20, threshold: float = 0.45) -> int:
    """Generations on the model for a smoothed rank error: floor((threshold - error) / threshold most) - 1, at least 0.

    >>> [life_length(e) for e in (0.0, 0.05, 0.2, 0.4, 0.5)]
    [19, 16, 10, 1, 0]
    """
    return min(max(math.floor((threshold - error) / threshold * most) - 1, 0), most)


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
    longest : int, optional
        Generations on the model at most; 20 by default, 60 for ``control="kl"``. With 0 there is no model.
    surrogate_maxfev : int, optional
        No models any more after so many evaluations.
    noisy : bool
        For noisy objectives: learning rates of C divided by 5, and no rule on small steps.
    threads : int
        Threads that train the models of the hyper-parameter search; the run is the same for any number.
    active, constants, lazy, diagonal_first, stop, std_limits, robust, ftarget, maxfev, maxiter, max_memory, rng
        As for `CMAES`; the defaults of the first three are those of the papers. Rules are tested after true
        generations; `maxiter` counts these, that of a profile generations on models, too.

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError, MemoryLimitError
        As `CMAES`.

    Notes
    -----
    `ask` trains models and searches on them, `tell` tries parameters: from 20 variables on both may take seconds.
    `result` has `model_fits`, `model_nfev` and `model_seconds`.

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

    def __init__(
        self,
        x0: ArrayLike,
        sigma0: float,
        *,
        popsize: int | None = None,
        control: str = "error",
        intensity: int | str = 1,
        hyper_popsize: int | None = None,
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
        super().__init__(
            x0,
            sigma0,
            popsize=popsize,
            active=active,
            constants=constants,
            lazy=lazy,
            diagonal_first=diagonal_first,
            stop=stop,
            std_limits=std_limits,
            robust=robust,
            ftarget=ftarget,
            maxfev=maxfev,
            maxiter=maxiter,
            max_memory=max_memory,
            rng=rng,
        )
        n = self._n
        self.control, self.noisy = control, bool(noisy)
        self.threads = as_count("threads", threads, 1)
        most = (60 if control == "kl" else 20) if longest is None else as_count("longest", longest, 0)
        self.surrogate = SaACMParameters(longest=most)
        self.intensity = default_intensity(n) if intensity == "k" else as_count("intensity", intensity, 1)
        tried = (20 if n <= 10 else 0) if hyper_popsize is None else as_count("hyper_popsize", hyper_popsize, 0)
        if tried == 1:
            raise ArgumentError("`hyper_popsize` must be 0 or at least 2; got 1.")
        self.hyper_popsize = tried
        self.surrogate_maxfev = None if surrogate_maxfev is None else as_count("surrogate_maxfev", surrogate_maxfev, 0)
        if self.noisy:
            scalars = self._field(cma_kernels.SCALARS)
            scalars[[cma_kernels.C_1, cma_kernels.C_MU]] /= 5
            self._field(cma_kernels.TOL)[stopping.TOLX] = np.nan

        self._capacity = default_points(n) * (2 if self.hyper_popsize else 1)
        self._settings = self.default_settings
        self._X, self._F = np.empty((0, n)), np.empty(0)  # the archive, in order of evaluation
        self._error = 0.5
        self._life = 0
        self._searcher: CMAES | None = None  # of the model's parameters
        self._frame: tuple[FloatArray, FloatArray] | None = None  # mean and W of the model in use
        self._model: Fitted | None = None
        self._model_nit = 0
        self.model_fits, self.model_nfev, self.model_failures, self.model_seconds = 0, 0, 0, 0.0

    # ---------------------------------------------------------------- what can be read

    @property
    def default_settings(self) -> Settings:
        """The model's parameters to begin with, and where their search leaves its box."""
        return Settings(default_points(self._n))

    @property
    def settings(self) -> Settings:
        """The parameters of the next model."""
        return self._settings

    @property
    def model_error(self) -> float:
        """The smoothed rank error of the models: 0 for perfect ones, 0.5 for useless ones."""
        return self._error

    @property
    def life_length(self) -> int:
        """Generations on the model before the next true one, at most."""
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
        return {**super().snapshot(), **model, **{f"model_{k}": getattr(self._settings, k) for k in _SEARCHED}}

    def result(self) -> Result:
        """As of `CMAES`, with the number of models, of their evaluations, and the seconds that they took."""
        result = super().result()
        for name in ("model_fits", "model_nfev", "model_failures", "model_seconds"):
            result[name] = getattr(self, name)
        return result

    @classmethod
    def memory_parts(cls, n: int, popsize: int, stored: int | None = None) -> dict[str, float]:
        """Bytes needed, by what takes them; models are those of a search for their parameters, in one thread."""
        points = 2 * default_points(n)
        matrices = {"distances and kernel matrices": 8.0 * 2 * points**2, "training points": 8.0 * 3 * points * n}
        return {**super().memory_parts(n, popsize, stored), **matrices}

    # ---------------------------------------------------------------- generations on the model

    def advance(self, fun: Any, most: int) -> FloatArray | None:
        """Nothing: models are trained in between."""
        return None

    def _draw(self) -> None:
        started = time.perf_counter()
        self._frame = self._model = None
        if self._uses_models() and self._nit >= self.surrogate.first - 1:
            frame = self._whitening()
            self._model = self._train(frame)
            if self._model is not None:
                self._frame = frame
                self._search_on_model()
        self.model_seconds += time.perf_counter() - started
        super()._draw()

    def _uses_models(self) -> bool:
        used_up = self.surrogate_maxfev is not None and self._nfev >= self.surrogate_maxfev
        return self.surrogate.longest > 0 and not used_up

    def _whitening(self) -> tuple[FloatArray, FloatArray] | None:
        """The mean and W, W^T W = C^(-1), at this moment."""
        C = self.C
        if not np.isfinite(C).all():
            return None
        with self._blas or contextlib.nullcontext():
            squares, axes = np.linalg.eigh(C)
        if not (squares[0] > 0 and squares[-1] <= _MAX_CONDITION * squares[0]):
            return None
        return self.mean.copy(), axes.T / np.sqrt(squares)[:, None]

    def _train(self, frame: tuple[FloatArray, FloatArray] | None) -> Fitted | None:
        """The model of the most recent points."""
        if frame is None:
            return None
        k = min(self._settings.points, len(self._F))
        F = self._F[-k:]
        if k == 0 or not enough(F, self._n):
            return None
        self.model_fits += 1
        return train(_framed(frame, self._X[-k:]), F, self._settings)

    def _search_on_model(self) -> None:
        """Generations on the model; where the distribution breaks down, it is as if there had been none."""
        most = self.surrogate.longest if self.control == "kl" else self._life
        threshold = self._divergence_limit()
        if most == 0 or threshold == 0:
            return
        intensity = self.intensity if self._life >= _LEAST_FOR_INTENSITY else 1
        state, table, long = self._s.copy(), self._table.copy(), self._long.copy()
        start = (self.mean.copy(), self.sigma * self.B * self.D)
        done = 0
        while done < most:
            if not self._generation(intensity):
                self._s[:], self._table[:], self._long = state, table, long
                self.model_failures += 1
                self._life = 0
                return
            done += 1
            if self.control == "kl" and divergence(*start, self.mean, self.B, self.sigma * self.D) > threshold:
                break
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
        p = self.surrogate
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
                F[part] = self._model.values(_framed(self._frame, x))
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
            mask = cma_kernels.update(self._s, self._table, f, np.ones(popsize, dtype=np.bool_), self._long)
        longest = self.sigma * float(self.D[-1])
        return not mask & _BROKEN and self.sigma > 0 and np.isfinite(longest) and self.D[-1] < 1e7 * self.D[0]

    # ---------------------------------------------------------------- true values

    def _learn_whole(self, x: FloatArray, f: FloatArray) -> tuple[int, int, float]:
        if not self._uses_models():
            return super()._learn_whole(x, f)
        points = self._points()
        found = super()._learn_whole(x, f)
        if found[1] != EDITED:
            self._absorb(points, f, self._own, None, None)
            self._mask = self._fired()
        return found

    def _update(
        self, f: FloatArray, own: BoolArray, foreign_x: FloatArray | None, foreign_f: FloatArray | None
    ) -> None:
        points = self._points()
        own = own.copy()
        super()._update(f, own.copy(), foreign_x, foreign_f)
        if self._uses_models():
            self._absorb(points, f, own, foreign_x, foreign_f)

    def _points(self) -> FloatArray:
        x = np.empty((self._popsize, self._n))
        self._write_again(x)
        return x

    def _absorb(
        self,
        x: FloatArray,
        f: FloatArray,
        own: BoolArray,
        foreign_x: FloatArray | None,
        foreign_f: FloatArray | None,
    ) -> None:
        """Test the model on new points, let that decide about the next ones, and archive the points."""
        started = time.perf_counter()
        p = self.surrogate
        if self._model is not None and self._frame is not None:
            tested = own & ~np.isnan(f)
            model = self._model.values(_framed(self._frame, x))
            error = float(kernels.rank_error(f[tested], model[tested]))
            settings = self._settings
            if self.hyper_popsize:
                settings = self._tried(self._frame, x[tested], f[tested])
            if not math.isnan(error):
                self._error = (1 - p.smoothing) * self._error + p.smoothing * error
                if self.control == "error":
                    self._life = life_length(self._error, p.longest, p.threshold)
            self._settings = settings
        self._frame = self._model = None
        if foreign_x is not None and foreign_f is not None:
            edited = np.flatnonzero(~own)
            x[edited] = foreign_x[: len(edited)]
            x, f = np.concatenate([x, foreign_x[len(edited) :]]), np.concatenate([f, foreign_f[len(edited) :]])
        kept = ~np.isnan(f)
        self._X = np.concatenate([self._X, x[kept]])[-self._capacity :]
        self._F = np.concatenate([self._F, f[kept]])[-self._capacity :]
        self.model_seconds += time.perf_counter() - started

    # ---------------------------------------------------------------- the model's parameters

    def _box(self) -> tuple[FloatArray, FloatArray]:
        n, points = self._n, default_points(self._n)
        return np.array([4.0 * n, 0, 0, 0.5, 100]), np.array([2.0 * points, 10, 6, 2, 1500])

    def _decoded(self, u: FloatArray) -> Settings:
        low, high = self._box()
        numbers = dict(zip(_SEARCHED, (low + u * (high - low)).tolist(), strict=True))
        return Settings(**{**numbers, "points": int(numbers["points"])})

    def _tried(self, frame: tuple[FloatArray, FloatArray], x: FloatArray, f: FloatArray) -> Settings:
        """Parameters after a generation of their search, whose objective is the error on the newest points."""
        if self._searcher is None:
            seed = np.random.default_rng(np.random.SeedSequence([self._key, 1]))
            options: dict[str, Any] = {"active": "2010", "constants": "bbob", "lazy": "reference", "stop": "none"}
            self._searcher = CMAES(
                seed.uniform(0.2, 0.8, len(_SEARCHED)), 0.6, popsize=self.hyper_popsize, rng=seed, **options
            )
            return self._settings
        u = self._searcher.ask()
        self._searcher.tell(u, self._errors(u, frame, x, f))
        mean = self._searcher.mean
        return self._decoded(mean) if ((mean >= 0) & (mean <= 1)).all() else self.default_settings

    def _errors(self, u: FloatArray, frame: tuple[FloatArray, FloatArray], x: FloatArray, f: FloatArray) -> FloatArray:
        """The error on points x, (k, n), of models with parameters u, trained on the archive; penalties outside."""
        Z = _framed(frame, self._X)
        new = _framed(frame, x)
        size = len(self._F)
        order, _ = in_order(self._F)
        D2, D2_new = np.empty((size, size)), np.empty((len(f), size))
        kernels.squared_distances(Z, Z, D2)
        kernels.squared_distances(new, Z, D2_new)
        buffers = [scratch(size) for _ in range(self.threads)]

        def error(v: FloatArray, K: FloatArray) -> float:
            outside = float(np.maximum(0, np.maximum(-v, v - 1)).sum())
            settings = self._decoded(v)
            if settings.points > size:
                return 1.0 + (settings.points - size)
            if outside > 0:
                return 1.0 + outside
            points: IntArray = order[order >= size - settings.points]  # the most recent ones, best first
            F = self._F[points]
            if not enough(F, self._n):
                return 1.0
            tied = np.append(F[:-1] == F[1:], False)
            beta, model = np.empty(len(points)), np.empty(len(f))
            width = kernels.fit(
                D2, points, tied, settings.c_base, settings.c_pow, settings.c_sigma, settings.sweeps, K, beta
            )
            if not width > 0:
                return 1.0
            kernels.predict_from(D2_new, points, beta, width, model)
            return float(kernels.rank_error(f, model))

        def share(first: int) -> list[float]:
            return [error(v, buffers[first]) for v in u[first :: self.threads]]

        if self.threads == 1:
            shares = [share(0)]
        else:
            with ThreadPoolExecutor(self.threads, "lmcma") as pool:
                shares = list(pool.map(share, range(self.threads)))
        errors = np.empty(len(u))
        for first, found in enumerate(shares):
            errors[first :: self.threads] = found
        self.model_fits += int((errors <= 1).sum())
        return errors

    # ---------------------------------------------------------------- the end, save and restore

    def _iterations_of_profile(self) -> tuple[int, float]:
        return self._nit + self._model_nit, self.rules.iteration_limit(self._n, self._popsize)

    def _fired(self) -> int:
        done, most = self._iterations_of_profile()
        return super()._fired() | (_TOO_MANY if done >= most else 0)

    def _stops(self) -> list[Stop]:
        stops = stopping.fired(super()._fired(), self._field(cma_kernels.VALUE), self._field(cma_kernels.TOL))
        done, most = self._iterations_of_profile()
        return [*stops, *([Stop(StopReason.MAXITER, done, most)] if done >= most else [])]

    def _state(self) -> State:
        return {
            **super()._state(),
            "control": self.control,
            "intensity": self.intensity,
            "hyper_popsize": self.hyper_popsize,
            "longest": self.surrogate.longest,
            "surrogate_maxfev": self.surrogate_maxfev,
            "noisy": self.noisy,
            "threads": self.threads,
            "archive_x": self._X.copy(),
            "archive_f": self._F.copy(),
            "error": self._error,
            "life": self._life,
            "model_nit": self._model_nit,
            "model_counts": np.array([self.model_fits, self.model_nfev, self.model_failures]),
            "settings": np.array(dataclasses.astuple(self._settings), dtype=np.float64),
            "frame": None if self._frame is None else np.vstack(self._frame),
            "searcher": None if self._searcher is None else self._searcher.state_dict(),
        }

    @classmethod
    def _options(cls, state: State) -> dict[str, Any]:
        names = ("control", "intensity", "hyper_popsize", "longest", "surrogate_maxfev", "noisy", "threads")
        return {**super()._options(state), **{name: state[name] for name in names}}

    def _set_state(self, state: State) -> None:
        super()._set_state(state)
        self._X, self._F = np.array(state["archive_x"]).reshape(-1, self._n), np.array(state["archive_f"])
        self._error, self._life, self._model_nit = state["error"], int(state["life"]), int(state["model_nit"])
        self.model_fits, self.model_nfev, self.model_failures = (int(k) for k in state["model_counts"])
        points, *others = (float(v) for v in state["settings"])
        self._settings = Settings(int(points), *others)
        searcher = state["searcher"]
        self._searcher = None if searcher is None else CMAES.from_state(searcher)
        if state["frame"] is not None:
            frame = np.array(state["frame"])
            self._frame = frame[0], frame[1:]
            fits = self.model_fits
            self._model = self._train(self._frame)
            self.model_fits = fits


_TOO_MANY = 1 << 40


def _framed(frame: tuple[FloatArray, FloatArray], x: FloatArray) -> FloatArray:
    """Points, (k, n), in the frame of a model, in columns: W (x - mean)."""
    mean, W = frame
    return np.ascontiguousarray(W @ (x - mean).T)


__all__ = ["SaACMES", "SaACMParameters", "default_intensity", "default_points", "divergence", "life_length"]
