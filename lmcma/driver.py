"""The one loop of the package: ask, evaluate, tell, record, stop."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self, TypeAlias, cast

import numpy as np

from lmcma.errors import ShapeError
from lmcma.record.checkpoint import Checkpoint
from lmcma.record.history import History
from lmcma.result import Result
from lmcma.strategies.protocol import Strategy
from lmcma.termination import Stop, StopReason
from lmcma.typing import FloatArray

Evaluator: TypeAlias = Callable[[FloatArray], FloatArray]
Callback: TypeAlias = Callable[[Result], Any]
_STREAMED_FROM = 2**18  # variables: the default population takes 82 MiB
_ROWS = 8  # made at a time there
_COMPILED_STEP = 8  # iterations; around a compiled objective they take less time than to note one


def run(
    strategy: Strategy,
    evaluate: Evaluator,
    *,
    recorder: History | None = None,
    checkpoint: Checkpoint | None = None,
    callback: Callback | None = None,
    max_time: float | None = None,
) -> Result:
    """Drive `strategy` until it stops.

    Parameters
    ----------
    strategy : Strategy
        Any strategy, wrapped or not; evaluation limits and targets are its own options.
    evaluate : callable
        Maps a (k, n) batch to its k values.
    recorder : History, optional
        Notes every iteration; every eighth of those that run in compiled code.
    checkpoint : Checkpoint, optional
        Keeps the run in a file: now and then, and at its end, whatever that is. Only what interrupts the strategy
        itself leaves the file as it was.
    callback : callable, optional
        ``callback(result)`` after every iteration; a true return value or `StopIteration` ends the run.
    max_time : float, optional
        Seconds after which no further batch is started.

    Returns
    -------
    Result
        With `history` set to the recorder.
    """
    started = time.monotonic()
    limit: Stop | None = None
    compiled = _Compiled(evaluate)
    if compiled.possible(strategy) and recorder is not None:
        recorder.every(_COMPILED_STEP)
    streamed = strategy.dim >= _STREAMED_FROM and hasattr(evaluate, "one_by_one") and hasattr(strategy, "ask_blocks")
    with _Interrupts() as interrupts:
        try:
            while limit is None and strategy.stop() is None:
                interrupts.hold()
                nit = strategy.nit
                due = 1 if callback else math.inf if recorder is None else recorder.due
                values = compiled.advance(strategy, due)
                if values is not None:
                    f = values
                elif streamed:
                    f = cast(Any, evaluate).one_by_one(_points(strategy, interrupts), strategy.popsize)
                    strategy.tell(None, f)
                else:
                    x = strategy.ask()
                    interrupts.release()
                    f = np.asarray(evaluate(x), dtype=np.float64)
                    if f.shape[:1] != (len(x),):
                        raise ShapeError(f"`evaluate` must return {len(x)} values, one per row; got shape {f.shape}.")
                    interrupts.hold()
                    strategy.tell(None, f)  # None: the rows as asked, whatever the objective did to its argument
                    del x  # before the next ones are made: they may take most of the memory
                if recorder is not None:
                    recorder.record(strategy, f, iterations=max(1, strategy.nit - nit))
                interrupts.release()
                if checkpoint is not None:
                    checkpoint.note(strategy)
                if callback is not None and _wants_to_stop(callback, strategy):
                    limit = Stop(StopReason.CALLBACK)
                elif max_time is not None and (spent := time.monotonic() - started) >= max_time:
                    limit = Stop(StopReason.MAX_TIME, spent, max_time)
        finally:
            if checkpoint is not None and not interrupts.held and strategy.nfev:
                checkpoint.write(strategy)
    if recorder is not None and limit is not None:
        recorder.record(strategy, f, last=True)
    result = strategy.result()
    if result.stop is None and limit is not None:
        result.update(stop=limit, message=limit.message, status=1, success=False)
    result["history"] = recorder
    return result


def _points(strategy: Strategy, interrupts: _Interrupts) -> Iterator[FloatArray]:
    """The points of the next batch, which never is there as a whole; the strategy's turn before and after."""
    for _, x in strategy.ask_blocks(_ROWS):
        interrupts.release()
        for point in x:
            yield point.copy()  # the objective may keep it, and change it
        interrupts.hold()


class _Interrupts:
    """Ctrl-C waits while the strategy is between two of its states, and so never leaves half a step behind."""

    def __init__(self) -> None:
        self.held = False
        self._before: Any = None
        self._waiting: tuple[Any, ...] | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # where signals are handled
            before = signal.getsignal(signal.SIGINT)
            if callable(before):
                self._before = before
                signal.signal(signal.SIGINT, self._come)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _come(self, *signal_and_frame: Any) -> None:
        if self.held:
            self._waiting = signal_and_frame
        else:
            self._before(*signal_and_frame)

    def hold(self) -> None:
        """The strategy's turn."""
        self.held = True

    def release(self) -> None:
        """Its turn is over, and what came meanwhile may happen."""
        self.held = False
        if self._waiting is not None:
            arrived, self._waiting = self._waiting, None
            self._before(*arrived)


class _Compiled:
    """Lets a strategy run by itself around a compiled objective, for a tenth of a second at a time."""

    def __init__(self, evaluate: Evaluator) -> None:
        self.evaluate: Any = evaluate
        self.objective = getattr(evaluate, "objective", None)
        self.iterations = 1

    def possible(self, strategy: Strategy) -> bool:
        """Whether there is something to run, and something that runs it."""
        return self.objective is not None and getattr(strategy, "advances", False)

    def advance(self, strategy: Strategy, most: float) -> FloatArray | None:
        """Values of the last of some iterations, at most `most`; None where the next one is not to be done like this.

        That is so for the very first one: an objective that fails at once is to be told so.
        """
        if not strategy.nfev or not self.possible(strategy):
            return None
        nfev, nit = strategy.nfev, strategy.nit
        started = time.perf_counter()
        asked = int(min(most, self.iterations))
        f: FloatArray | None = cast(Any, strategy).advance(self.objective, asked)
        spent = time.perf_counter() - started
        self.evaluate.note(strategy.nfev - nfev)
        if spent > 0.1:
            self.iterations = max(1, self.iterations // 2)
        elif spent < 0.05 and strategy.nit - nit == self.iterations:
            self.iterations *= 2
        return f


def _wants_to_stop(callback: Callback, strategy: Strategy) -> bool:
    try:
        return bool(callback(strategy.result()))
    except StopIteration:
        return True
