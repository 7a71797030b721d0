"""What every strategy offers, and all that wrappers and the driver know of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, Self, runtime_checkable

from numpy.typing import ArrayLike

from lmcma.result import Result
from lmcma.termination import Stop
from lmcma.typing import FloatArray, IntArray, State


@runtime_checkable
class Strategy(Protocol):
    """An optimiser that is asked for points and told their values.

    ``while not es.stop(): x = es.ask(); es.tell(x, f(x))`` is the whole interface.
    """

    @property
    def dim(self) -> int:
        """The number of variables."""

    @property
    def popsize(self) -> int:
        """Rows of the next `ask`; may change from one to the next."""

    @property
    def n_obj(self) -> int:
        """The number of objectives."""

    @property
    def nfev(self) -> int:
        """Evaluations told so far."""

    @property
    def nit(self) -> int:
        """Iterations done."""

    @property
    def best_f(self) -> float:
        """The best value told so far; NaN before the first."""

    @property
    def missing(self) -> IntArray:
        """Rows of the batch out for evaluation whose values are not told yet; none where no batch is out."""

    @property
    def waiting(self) -> FloatArray:
        """Injected points that no batch has held yet, one a row."""

    def inject(self, x: ArrayLike) -> None:
        """Points of the caller's own, (n,) or (k, n), that the next batches are to hold in their first rows."""

    def ask(self, out: FloatArray | None = None) -> FloatArray:
        """Points to evaluate, one a row; the same ones until they are told."""

    def ask_blocks(self, rows: int = 8) -> Iterator[tuple[IntArray, FloatArray]]:
        """The points of `ask` not told yet, some rows at a time, each block in place of the last, with their ids."""

    def tell(self, x: ArrayLike | None, f: ArrayLike, *, ids: Sequence[int] | ArrayLike | None = None) -> None:
        """Values of points asked before (all or some of them, any order), or of the caller's own."""

    def stop(self) -> Stop | None:
        """Why the run is over; None while it is not."""

    def limit(self, *, ftarget: float | None = None, maxfev: int | None = None, maxiter: int | None = None) -> None:
        """New limits in place of all those given before; None for none."""

    def result(self) -> Result:
        """The best so far, and how it went."""

    def snapshot(self) -> Mapping[str, Any]:
        """The search distribution in numbers, for a recorder: sigma, axis ratio, mean, deviations."""

    def state_dict(self) -> State:
        """Everything needed to go on to the bit: arrays, numbers, strings."""

    @classmethod
    def from_state(cls, state: State) -> Self:
        """The strategy whose `state_dict` this is."""
