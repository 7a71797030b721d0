"""`lmcma plan`: the memory that a method takes in a dimension, before anything is allocated."""

from __future__ import annotations

import inspect
import math
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from lmcma.errors import ArgumentError

if TYPE_CHECKING:
    from lmcma.registry import Method

_DECIMAL, _BINARY = ("B", "kB", "MB", "GB", "TB", "PB"), ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_BYTES_PER = {
    unit.lower(): float(base**i) for base, u in ((1000, _DECIMAL), (1024, _BINARY)) for i, unit in enumerate(u)
}
_DOES_NOT_FIT = 1


def plan(
    dim: Annotated[str, typer.Option(help="Number of variables, such as 1000 or 1e7.")],
    method: Annotated[
        str | None,
        typer.Option(help="A name from `lmcma methods`; all without restarts by default.", show_default=False),
    ] = None,
    popsize: Annotated[
        str | None, typer.Option(help="Offspring per iteration; that of the method by default.", show_default=False)
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            help="Stored paths or direction vectors; as many as the method has by default.", show_default=False
        ),
    ] = None,
    max_memory: Annotated[
        str | None,
        typer.Option(
            help="Limit, bytes or such as 16GiB; four fifths of the machine's memory by default.", show_default=False
        ),
    ] = None,
) -> None:
    """Print how much memory a method takes in a dimension; nothing is allocated.

    The status is 1 where the method does not fit.
    """
    from lmcma.registry import resolve
    from lmcma.strategies.base import memory_limit

    n = parse_count("--dim", dim, 1)
    rows = None if popsize is None else parse_count("--popsize", popsize, 2)
    stored = None if memory is None else parse_count("--memory", memory, 1)
    limit = memory_limit(None if max_memory is None else parse_bytes(max_memory))
    if method is None:
        _print_methods(n, rows, stored, limit)
        return
    found = resolve(method, n, limit, rows)
    if found.n_obj > 1:
        raise ArgumentError(f"`--method` must be a method for one objective; got {method!r}.")
    if found.inner:
        raise ArgumentError(
            f"`--method` must be a method without restarts; got {method!r}, whose runs differ in population size. "
            f"Take --method {found.inner} and the --popsize of the largest run."
        )
    chosen = Plan(found, n, rows, stored)
    if stored is not None and not chosen.stores:
        able = ", ".join(m.name for m in _single_runs() if Plan(m, n, rows, None).stores)
        raise ArgumentError(f"`--memory` is an option of {able}; got --method {found.name}. Leave --memory out.")
    _print_plan(chosen, limit, max_memory is not None)
    if not chosen.need() <= limit:
        raise typer.Exit(_DOES_NOT_FIT)


class Plan:
    """A method with its dimension and sizes.

    Parameters
    ----------
    method : Method
        One without restarts.
    n : int
        Dimension.
    popsize : int or None
        Population size; None for that of the method.
    stored : int or None
        Stored vectors, option `memory`; None for the default. Without effect on a method that has no such option.
    """

    def __init__(self, method: Method, n: int, popsize: int | None, stored: int | None) -> None:
        self.method, self.n, self.given = method, n, (popsize, stored)
        self._kind = cast(Any, method.load())
        self.stores = "memory" in inspect.signature(self._kind).parameters
        self.popsize: int = self._kind.default_popsize(n) if popsize is None else popsize
        self.able = popsize is None or self._kind.default_popsize(n) > 1  # one method has a single offspring
        self.stored = (self._kind.default_memory(n) if stored is None else stored) if self.stores else None

    def parts(self) -> dict[str, float]:
        """Bytes by what takes them."""
        parts: dict[str, float] = self._kind.memory_parts(self.n, self.popsize, self.stored)
        return parts

    def need(self, *, popsize: int | None = None, stored: int | None = None) -> float:
        """Bytes in all, with other sizes where such are given."""
        parts = self._kind.memory_parts(self.n, popsize or self.popsize, stored or self.stored)
        return float(sum(parts.values()))


# -------------------------------------------------------------------- what the user gave


def parse_count(flag: str, text: str, least: int) -> int:
    """The integer that the user means.

    >>> parse_count("--dim", "1e7", 1)
    10000000
    """
    try:
        number = int(text) if text.strip().isdigit() else float(text)
        ok = number == int(number) and least <= number <= sys.maxsize
    except (ValueError, OverflowError):
        ok = False
    if not ok:
        raise ArgumentError(
            f"`{flag}` must be an integer of {least} to {float(sys.maxsize):.2g}; got {text!r}. "
            "Write it as 10000 or 1e4."
        )
    return int(number)


def parse_bytes(text: str) -> float:
    """The number of bytes that the user means.

    >>> parse_bytes("16GiB") / 2**30, parse_bytes("1.5 kB"), parse_bytes("2e9")
    (16.0, 1500.0, 2000000000.0)
    """
    found = re.fullmatch(r"\s*([0-9.]+(?:e[+-]?[0-9]+)?|inf)\s*([a-z]*)\s*", text.lower())
    try:
        number = float(found[1]) * _BYTES_PER[found[2] or "b"] if found else 0.0
    except (KeyError, ValueError):
        number = 0.0
    if not number > 0:
        raise ArgumentError(
            f"`--max-memory` must be a number of bytes > 0, or one with a unit; got {text!r}. "
            f"Units are {', '.join((*_DECIMAL, *_BINARY[1:]))}."
        )
    return number


def _single_runs() -> list[Method]:
    """The methods for one objective that restart no other one."""
    from lmcma.registry import methods

    return [m for m in methods().values() if m.target and not m.inner and m.n_obj == 1]


# -------------------------------------------------------------------- what comes out


def _print_plan(plan: Plan, limit: float, given: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    need, parts = plan.need(), plan.parts()
    fits = need <= limit
    head = Table(box=None, show_header=False, pad_edge=False)
    head.add_column(style="bold", no_wrap=True)
    head.add_column(overflow="fold")
    for key, text in {
        "method": plan.method.name,
        "dimension": str(plan.n),
        "popsize": str(plan.popsize),
        **({"stored vectors": str(plan.stored)} if plan.stores else {}),
    }.items():
        head.add_row(key, text)

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    for name, part in parts.items():
        if part:
            table.add_row(name, _in_units(part), f"{part / need:.1%}")
    table.add_row("sum", _in_units(need), "", style="bold")
    source = "--max-memory" if given else "four fifths of the machine's memory"
    console = Console(highlight=False, markup=False)
    console.print(head)
    console.print()
    console.print(table)
    console.print()
    console.print(
        f"One population at a time, as minimize has it, or ask(out=x). Where ask makes a new one while the last is "
        f"held, a further {_in_units(8.0 * plan.popsize * plan.n)} is taken.",
        style="dim",
    )
    console.print(f"limit: {_in_units(limit) if limit < math.inf else 'none'}, {source}")
    console.print("it fits" if fits else "it does not fit", style="bold")
    for remedy in [] if fits else remedies(plan, limit):
        console.print(f"- {remedy}")


def _print_methods(n: int, popsize: int | None, stored: int | None, limit: float) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("method", style="bold", no_wrap=True)
    for title in ("popsize", "stored vectors", "memory"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("fits")
    for method in _single_runs():
        row = Plan(method, n, popsize, stored)
        fits = "yes" if row.need() <= limit else "no"
        table.add_row(row.method.name, str(row.popsize), str(row.stored or "-"), _in_units(row.need()), fits)
    console = Console(highlight=False, markup=False)
    console.print(table)
    console.print(f"dimension {n}, limit {_in_units(limit) if limit < math.inf else 'none'}", style="dim")


def remedies(plan: Plan, limit: float) -> list[str]:
    """What makes it fit: another method, fewer stored vectors, a smaller population, more memory.

    Examples
    --------
    >>> from lmcma.registry import methods
    >>> for remedy in remedies(Plan(methods()["lm-cma"], 1000, 1000, 20), 2e6):
    ...     print(remedy.partition(":")[0])
    a smaller population
    more memory
    """
    found = []
    others = [Plan(m, plan.n, *plan.given) for m in _single_runs() if m.name != plan.method.name]
    fitting = sorted((p.need(), p.method.name) for p in others if p.need() <= limit and p.able)
    if fitting:
        found.append("another method: " + ", ".join(f"--method {name} ({_in_units(b)})" for b, name in fitting))
    if plan.stored is not None:
        most = _most(lambda k: plan.need(stored=k) <= limit, 1, plan.stored)
        if most is not None:
            found.append(f"fewer stored vectors: --memory {most} at most")
    most = _most(lambda k: plan.need(popsize=k) <= limit, 2, plan.popsize)
    if most is not None:
        found.append(f"a smaller population: --popsize {most} at most")
    if not found and plan.stored is not None:
        sizes = {k: (max(2, plan.popsize * k // 100), max(1, plan.stored * k // 100)) for k in range(1, 101)}
        most = _most(lambda k: plan.need(popsize=sizes[k][0], stored=sizes[k][1]) <= limit, 1, 100)
        if most is not None:
            found.append("less of both: --popsize {} --memory {} at most".format(*sizes[most]))
    enough = _in_units(1.001 * plan.need()).replace(" ", "")  # more than is lost by printing four digits
    found.append(f"more memory: --max-memory {enough} (option max_memory of the method), if the machine has it")
    return found


def _most(fits: Callable[[int], bool], least: int, most: int) -> int | None:
    """The largest size below `most` that fits, `most` does not; None where no size tried from `least` on does.

    Sizes that fit have to follow one another.

    >>> _most(lambda k: k <= 37, 1, 100)
    37
    """
    size, low = least, None
    while size < most:
        low = size if fits(size) else low
        size *= 2
    if low is None:
        return None
    high = min(2 * low, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _in_units(n_bytes: float) -> str:
    """Bytes in the unit that suits.

    >>> _in_units(1536), _in_units(3 * 2.0**30)
    ('1.5 KiB', '3 GiB')
    """
    power = min(len(_BINARY) - 1, max(0, int(math.log2(max(n_bytes, 1)) // 10)))
    return f"{n_bytes / 1024**power:.4g} {_BINARY[power]}"
