"""Many calls of the objective at the same time: in processes, in an executor, by a map."""

from __future__ import annotations

import functools
import logging
import pickle
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeAlias

import numpy as np

from lmcma.errors import ArgumentError, ArgumentTypeError, ObjectiveError
from lmcma.evaluate.base import Evaluator, Failure, Outcome, at_once, by_row, no_values
from lmcma.evaluate.processes import Processes, processors
from lmcma.evaluate.serial import promise_of_rows
from lmcma.typing import FloatArray

_log = logging.getLogger("lmcma")

Workers: TypeAlias = int | Executor | Callable[..., Iterable[Any]]
_Found: TypeAlias = list[tuple[slice, Outcome]]

_TRIES = 3  # for a row whose worker process dies
_TASKS = 8  # at least so many for each worker where there are rows enough, so that none waits long for another
_REMEDY = "Define it with `def` at the top level of a module, or pass a concurrent.futures.ThreadPoolExecutor."


class Pooled(Evaluator):
    """Evaluate the rows of a batch at the same time.

    Results are put in order of row: a run is the same, to the bit, for any number of workers.

    Parameters
    ----------
    fun, on_error, n_obj
        As for `Evaluator`.
    workers : int, Executor or callable
        A number: so many processes of its own, started when first needed and closed at the end. A process that dies
        is replaced, and what it was doing is done again; a row fails when it happens to it for the third time.
        Or a `concurrent.futures.Executor`, which is left open. Or a function that works like `map`.
    vectorized : bool
        ``fun(x) -> (k,)`` for x of shape (k, n): the batch is split into one block for each worker.
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        on_error: str = "worst",
        *,
        workers: Workers,
        vectorized: bool = False,
        n_obj: int = 1,
    ) -> None:
        super().__init__(fun, on_error, n_obj=n_obj)
        self.workers = workers
        self.vectorized = vectorized
        if vectorized:
            self._promise = promise_of_rows(n_obj)
        self._call = functools.partial(at_once if vectorized else by_row, fun, n_obj=n_obj)
        self._pool: Processes | None = None
        self._evaluate: Callable[[FloatArray, list[slice]], _Found]
        if isinstance(workers, int):
            _check_sendable(fun, spawned=True)
            self._count, self._evaluate = workers, self._in_processes
        elif isinstance(workers, Executor):
            if isinstance(workers, ProcessPoolExecutor):
                _check_sendable(fun)
            self._count = getattr(workers, "_max_workers", None) or processors()
            self._evaluate = self._in_executor
        else:
            self._count, self._evaluate = processors(), self._by_map

    def __call__(self, x: FloatArray) -> FloatArray:
        """Values of the rows of `x`, (k,) or (k, n_obj)."""
        values = no_values(len(x), self.n_obj)
        failures = {}
        for task, (part, failed) in self._evaluate(x, self._tasks(len(x))):
            values[task] = part
            failures.update({task.start + row: failure for row, failure in failed.items()})
        return self._settle(x, (values, failures))

    def close(self, *, now: bool = False) -> None:
        """End processes of its own; `now`: even those at work."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close(now=now)

    def _tasks(self, rows: int) -> list[slice]:
        """What is sent at a time: single rows, several where there are many, blocks where `fun` takes them."""
        if self.vectorized:
            size = -(-rows // self._count)
        elif self._evaluate == self._by_map:
            size = 1  # maps have ideas of their own
        else:
            size = max(1, rows // (_TASKS * self._count))
        return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]

    # ---------------------------------------------------------------- processes of its own

    def _in_processes(self, x: FloatArray, tasks: list[slice]) -> _Found:
        found: _Found = []
        waiting = deque(tasks)
        suspects: deque[slice] = deque()  # at work when a process died; tried again alone, so that blame is certain
        deaths: Counter[int] = Counter()
        while waiting or suspects:
            alone = bool(suspects)
            lost = self._until_a_death(x, suspects if alone else waiting, 1 if alone else self._count, found)
            if lost:
                _log.warning("a worker process died; another one takes over, and what was lost is evaluated again")
            for task in lost if self.vectorized else _single_rows(lost):
                deaths[task.start] += 1
                if deaths[task.start] < _TRIES:
                    suspects.append(task)
                    continue
                found.append((task, _died(task.stop - task.start, self.n_obj)))
                if self._fatal(task.start):
                    return found
        return found

    def _until_a_death(self, x: FloatArray, queue: deque[slice], width: int, found: _Found) -> list[slice]:
        """Evaluate what is queued; where a process dies, leave the rest and give the tasks that were at work."""
        pool = self._started()
        running: dict[Future[Outcome], slice] = {}
        lost: list[slice] = []
        broken = False
        while running or (queue and not broken):
            while queue and len(running) < width and not broken:  # never more than workers: all in the pool is at work
                try:
                    running[pool.submit(_evaluate, x[queue[0]])] = queue[0]
                    queue.popleft()
                except BrokenProcessPool:
                    broken = True
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task = running.pop(future)
                try:
                    found.append((task, future.result()))
                except BrokenProcessPool:
                    lost.append(task)
                    broken = True
        if broken:
            self.close(now=True)
        return lost

    def _started(self) -> Processes:
        if self._pool is None:
            self._pool = Processes(self._count, _take, self._call)
            try:
                self._pool.submit(_ready).result()  # one that starts: then have the others start, all at the same time
                for _ in range(self._count):
                    self._pool.submit(_ready)
            except BrokenProcessPool as error:
                raise ObjectiveError(
                    "`workers`: the worker processes end as soon as they start. In a script, what calls lmcma must be "
                    f"below `if __name__ == '__main__':`; and they must be able to import `fun`. {_REMEDY}"
                ) from error
        return self._pool

    # ---------------------------------------------------------------- those of the caller

    def _in_executor(self, x: FloatArray, tasks: list[slice]) -> _Found:
        assert isinstance(self.workers, Executor)
        futures = []
        try:
            for task in tasks:
                futures.append(self.workers.submit(self._call, x[task].copy()))
            return [(task, future.result()) for task, future in zip(tasks, futures, strict=True)]
        except Exception as error:
            raise _trouble("executor", error) from error
        finally:
            for future in futures:
                future.cancel()  # those that have not begun, if something is amiss

    def _by_map(self, x: FloatArray, tasks: list[slice]) -> _Found:
        assert callable(self.workers)
        try:
            outcomes = list(self.workers(self._call, [x[task].copy() for task in tasks]))
        except Exception as error:
            raise _trouble("map", error) from error
        if len(outcomes) != len(tasks):
            raise ObjectiveError(
                f"`workers` must work like `map`: one result for each of {len(tasks)} arguments, not {len(outcomes)}."
            )
        return list(zip(tasks, outcomes, strict=True))


def as_workers(workers: Any) -> Workers:
    """`workers`, checked; -1 becomes the number of processors."""
    if isinstance(workers, (int, np.integer)) and not isinstance(workers, bool):
        if workers < 1 and workers != -1:
            raise ArgumentError(f"`workers` must be >= 1, or -1 for all processors; got {workers}.")
        return processors() if workers == -1 else int(workers)
    executor_class = isinstance(workers, type) and issubclass(workers, Executor)
    if isinstance(workers, Executor) or (callable(workers) and not executor_class):
        return workers
    raise ArgumentTypeError(
        "`workers` must be a number of processes, a concurrent.futures.Executor or a function that works like map; "
        f"got {workers!r:.80}. A multiprocessing.Pool has `pool.map`, a Dask client `client.get_executor()`."
    )


def _single_rows(tasks: Iterable[slice]) -> list[slice]:
    return sorted((slice(r, r + 1) for task in tasks for r in range(task.start, task.stop)), key=lambda row: row.start)


def _died(rows: int, n_obj: int) -> Outcome:
    error = ChildProcessError(
        f"its worker process died {_TRIES} times (killed, out of memory, or a crash of compiled code)"
    )
    return no_values(rows, n_obj), {0: Failure(error, rows)}


def _check_sendable(fun: Callable[..., Any], *, spawned: bool = False) -> None:
    """Whether `fun` can go to another process, found out before there is one."""
    reason = ""
    try:
        pickle.dumps(fun)
    except Exception as error:  # PicklingError, AttributeError, TypeError, and whatever the parts of `fun` raise
        reason = f"{type(error).__name__}: {error}"
    else:
        interactive = not hasattr(sys.modules.get("__main__"), "__file__")
        if spawned and interactive and getattr(fun, "__module__", "") == "__main__":
            reason = "it is defined in an interactive session"
    if reason:
        raise ArgumentError(f"`fun` cannot be sent to worker processes: {reason}. {_REMEDY}")


def _trouble(what: str, error: Exception) -> ObjectiveError:
    if isinstance(error, BrokenExecutor):
        remedy = (
            "A worker may have been killed, run out of memory, or crashed; or it could not import `fun`. "
            "With `workers` as a number, processes that die are replaced."
        )
    else:
        remedy = f"If `fun` cannot be sent to the workers: {_REMEDY[0].lower()}{_REMEDY[1:]}"
    return ObjectiveError(f"`workers`: the {what} failed: {type(error).__name__}: {error}. {remedy}")


# ---------------------------------------------------------------- in a process of its own

_call: Callable[[FloatArray], Outcome]


def _take(call: Callable[[FloatArray], Outcome]) -> None:
    """Keep the objective, which is sent once."""
    global _call
    _call = call


def _ready() -> None:
    """Do nothing, successfully."""


def _evaluate(x: FloatArray) -> Outcome:
    return _call(x)
