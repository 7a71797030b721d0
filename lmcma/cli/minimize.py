"""`lmcma minimize`: minimise a Python function from the command line."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import functools
import importlib
import json
import math
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from lmcma.errors import ArgumentError, ArgumentTypeError, MissingDependencyError, near_miss

if TYPE_CHECKING:
    from lmcma.record import History
    from lmcma.result import Result
    from lmcma.strategies.protocol import Strategy
    from lmcma.typing import FloatArray

_INTERRUPTED = 130  # 128 + SIGINT, as shells count
_UPDATES_PER_SECOND = 4


def minimize(
    function: Annotated[str, typer.Argument(metavar="MODULE:FUNCTION", help="What to minimise: fun(x) -> number.")],
    x0: Annotated[
        str,
        typer.Option(
            help="The start: numbers such as 0,0,0; one number together with --dim; or a file (text, .npy, or the "
            ".json of an earlier run)."
        ),
    ],
    sigma0: Annotated[float, typer.Option(help="First standard deviation, in the units of x0.")],
    dim: Annotated[int | None, typer.Option(help="Number of variables, where --x0 is one number.")] = None,
    bounds: Annotated[
        str | None, typer.Option(help="Bounds of all variables, LOW,HIGH; or a text file, two columns, a row each.")
    ] = None,
    stds: Annotated[
        str | None,
        typer.Option(help="Scales of the variables: numbers, or a file, as for --x0. sigma0 is in their units."),
    ] = None,
    method: Annotated[str, typer.Option(help="A name from `lmcma methods`.")] = "auto",
    restarts: Annotated[
        str | None,
        typer.Option(help="Run the method again and again: independent, ipop, bipop, nipop or nbipop. Set a limit."),
    ] = None,
    x0_box: Annotated[
        str | None, typer.Option(help="Where restarts begin, LOW,HIGH; or a text file, two columns, a row a variable.")
    ] = None,
    popsize: Annotated[int | None, typer.Option(help="Offspring per iteration; 4 + floor(3 ln n) by default.")] = None,
    maxfev: Annotated[int | None, typer.Option(help="Stop after so many evaluations.")] = None,
    ftarget: Annotated[float | None, typer.Option(help="Stop at the first value that is not above this one.")] = None,
    max_time: Annotated[float | None, typer.Option(help="Start no iteration after so many seconds.")] = None,
    on_error: Annotated[
        str, typer.Option(help="Where the function fails: worst, the point ranks last; or raise, the run ends.")
    ] = "worst",
    workers: Annotated[int, typer.Option(help="Processes that evaluate at the same time; -1: one a processor.")] = 1,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same run; a fresh one by default.")] = None,
    option: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="An option of the method.")] = None,
    stop: Annotated[
        list[str] | None,
        typer.Option(metavar="RULE=VALUE", help="Change a stopping rule, or name a profile of rules (no '=')."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the course of the run into this file.")] = None,
    output: Annotated[Path | None, typer.Option(help="Write the result to this file, as JSON.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="Keep the run in this file, every ten seconds.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in that file, if it is there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress line.")] = False,
) -> None:
    """Minimise a Python function, found from the current directory.

    Example: `lmcma minimize problem:cost --x0 0,0,0 --sigma0 0.5 --maxfev 10000 --plot run.png`. Ctrl-C ends the run
    and prints the best point so far.
    """
    _check_writable("--plot", plot)
    _check_writable("--output", output)
    if plot is not None:
        _check_plot(plot)
    fun = load_function(function)
    start = parse_x0(x0, dim)

    from lmcma import driver
    from lmcma.evaluate import evaluator
    from lmcma.optimize import strategy_of
    from lmcma.record import Checkpoint, History
    from lmcma.registry import resolve

    if max_time is not None and not max_time > 0:
        raise ArgumentError(f"`--max-time` must be a number of seconds > 0; got {max_time:g}.")
    seed = secrets.randbits(32) if seed is None else seed
    given = {
        "popsize": popsize,
        "maxfev": maxfev,
        "ftarget": ftarget,
        "bounds": None if bounds is None else parse_box("--bounds", bounds),
        "stds": None if stds is None else parse_numbers("--stds", stds),
        "x0_box": None if x0_box is None else parse_box("--x0-box", x0_box).T,  # .T: a row low, a row high
    }
    options: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    for key, value in parse_pairs("--option", option or []).items():
        if key in options or key in ("rng", "stop"):
            flag = "seed" if key == "rng" else key.replace("_", "-")
            raise ArgumentError(f"`--option {key}=...` repeats what --{flag} says. Give it once.")
        options[key] = value
    rules = parse_stop(stop or [])
    build = functools.partial(strategy_of, method, start, sigma0, restarts, {"stop": rules, "rng": seed, **options})
    history = History()
    evaluate = evaluator(fun, on_error, workers=workers)
    keeper: Checkpoint | None = None
    if checkpoint is None:
        if resume:
            raise ArgumentError("`--resume` needs the name of a file, --checkpoint FILE.")
        strategy = build()
    else:
        name = resolve(method, len(start), options.get("max_memory"), options.get("popsize")).name
        limits = {key: options.pop(key, None) for key in ("ftarget", "maxfev", "maxiter")}
        options.pop("max_memory", None)
        own = {"function": function, "method": name, "x0": start, "sigma0": sigma0, "restarts": restarts, "stop": rules}
        arguments = {**own, **options}
        first = _Seed(seed)
        keeper = Checkpoint(checkpoint, arguments, {"evaluator": evaluate, "history": history, "seed": first})
        strategy = keeper.begin(build, limits, resume=resume)
        seed = first.number

    started = time.monotonic()
    interrupted = False
    try:
        with evaluate, _progress(strategy, evaluate, show=not quiet and sys.stderr.isatty()) as watched:
            result = driver.run(strategy, watched, recorder=history, checkpoint=keeper, max_time=max_time)
    except KeyboardInterrupt:
        interrupted = True
        result = strategy.result()
        result.update(message="interrupted from the keyboard", status=1, success=False, history=history)
    seconds = time.monotonic() - started

    _print_result(result, seconds, seed, checkpoint)
    if output is not None:
        _write_atomically(
            output, functools.partial(_write_json, _record(function, result, seconds, seed, start, sigma0))
        )
    if plot is not None:
        if len(history):
            _draw(plot, result, history)
        else:
            typer.echo("lmcma: no iteration was complete, nothing to plot", err=True)
    if interrupted:
        raise typer.Exit(_INTERRUPTED)


# -------------------------------------------------------------------- what the user gave


def load_function(name: str) -> Callable[[FloatArray], Any]:
    """The function that ``module:function`` names, looked for in the current directory first.

    >>> load_function("math:fsum")([0.5, 0.25])
    0.75
    """
    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute):
        raise ArgumentError(
            f"the function must be given as MODULE:FUNCTION; got {name!r}. For f in problem.py write problem:f."
        )
    if module_name.endswith(".py"):
        raise ArgumentError(f"MODULE must be a module's name, not a file; write {module_name[:-3]}:{attribute}.")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise ArgumentError(f"importing {module_name!r} failed: {error}.") from error
        files = [path.stem for path in Path(here).glob("*.py")]
        hint = near_miss(module_name, files) if files else "There are no .py files."
        raise ArgumentError(
            f"there is no module {module_name!r} in the current directory or among the installed ones; {hint}"
        ) from None
    except Exception as error:
        raise ArgumentError(f"importing {module_name!r} failed: {type(error).__name__}: {error}.") from error
    holder = module_name
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            known = [key for key in dir(found) if not key.startswith("_") and callable(getattr(found, key, None))]
            raise ArgumentError(f"{holder!r} has no function {part!r}; {_short_near_miss(part, known)}") from None
        holder = f"{holder}.{part}"
    if not callable(found):
        raise ArgumentTypeError(f"{name!r} must be callable, fun(x) -> number; it is of type {type(found).__name__}.")
    function: Callable[[FloatArray], Any] = found
    return function


def _short_near_miss(name: str, known: Sequence[str]) -> str:
    if not known:
        return "it has none."
    text = near_miss(name, known)
    return text if len(known) <= 12 else text.partition("Known:")[0].strip() or f"it has {len(known)} others."


def parse_x0(text: str, dim: int | None = None) -> FloatArray:
    """The start that ``--x0`` means.

    >>> parse_x0("-1, 2.5")
    array([-1. ,  2.5])
    >>> parse_x0("1e-2", dim=3)
    array([0.01, 0.01, 0.01])
    """
    import numpy as np

    if dim is not None and dim < 1:
        raise ArgumentError(f"`--dim` must be >= 1; got {dim}.")
    x0 = parse_numbers("--x0", text)
    if dim is not None and len(x0) == 1:
        return np.full(dim, x0[0])
    if dim is not None and len(x0) != dim:
        raise ArgumentError(f"`--x0` has {len(x0)} numbers and `--dim` is {dim}. Leave --dim out, or give one number.")
    return x0


def parse_numbers(flag: str, text: str) -> FloatArray:
    """Numbers, one a variable, from the command line or the file that is named there."""
    import numpy as np

    entries = text.replace(",", " ").split()
    if entries and all(map(_is_number, entries)):
        return np.array([float(entry) for entry in entries])
    if not Path(text).is_file():
        bad = next((entry for entry in entries if not _is_number(entry)), text)
        raise ArgumentError(
            f"`{flag}` must be numbers such as 0,0,0, or a file; {bad!r} is not a number and {text!r} no file."
        )
    return _read_numbers(flag, Path(text))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_numbers(flag: str, path: Path) -> FloatArray:
    import numpy as np

    try:
        if path.suffix == ".npy":
            values = np.load(path, allow_pickle=False)
        elif path.suffix == ".json":
            content = json.loads(path.read_text(encoding="utf-8"))
            values = content["x"] if isinstance(content, dict) else content
        else:
            values = [float(entry) for entry in path.read_text(encoding="utf-8").replace(",", " ").split()]
        numbers = np.array(values, dtype=np.float64).ravel()
        if not len(numbers):
            raise ValueError("it is empty")
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise ArgumentError(
            f'`{flag}`: {str(path)!r} must hold numbers: text, a .npy array, or a .json list or result with "x"; '
            f"{error}."
        ) from None
    return numbers


def parse_box(flag: str, text: str) -> FloatArray:
    """What ``--bounds`` and ``--x0-box`` mean: low and high for all variables, or a row (low, high) for each.

    >>> parse_box("--bounds", "0, inf")
    array([ 0., inf])
    """
    import numpy as np

    numbers = text.split(",")
    if len(numbers) == 2 and all(map(_is_number, numbers)):
        return np.array(numbers, dtype=np.float64)
    try:
        lines = Path(text).read_text(encoding="utf-8").replace(",", " ").splitlines()
        rows = np.array([[float(entry) for entry in line.split()] for line in lines if line.strip()])
        if rows.ndim != 2 or rows.shape[1] != 2:
            raise ValueError(f"it has the shape {rows.shape}")
    except (OSError, ValueError) as error:
        raise ArgumentError(
            f"`{flag}` must be two numbers such as 0,1, or a file with two a row; got {text!r}: {error}."
        ) from None
    return rows


def parse_pairs(flag: str, pairs: Sequence[str]) -> dict[str, Any]:
    """``key=value`` strings as a dictionary, values read as Python literals where they are such.

    >>> parse_pairs("--option", ["active=False", "lazy=reference", "popsize=20"])
    {'active': False, 'lazy': 'reference', 'popsize': 20}
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key:
            raise ArgumentError(f"`{flag}` must be KEY=VALUE; got {pair!r}.")
        if key in found:
            raise ArgumentError(f"`{flag}` names {key!r} twice. Give it once.")
        found[key] = _literal(text.strip())
    return found


def _literal(text: str) -> Any:
    named = {"true": True, "false": False, "none": None, "off": None, "inf": math.inf}
    if text.lower() in named:
        return named[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def parse_stop(rules: Sequence[str]) -> dict[str, Any] | None:
    """Stopping rules: changes of single ones, and at most one name of a profile.

    >>> parse_stop(["none", "tolx=1e-9"])
    {'profile': 'none', 'tolx': 1e-09}
    """
    profiles = [rule for rule in rules if "=" not in rule]
    if len(profiles) > 1:
        raise ArgumentError(f"`--stop` names more than one profile: {', '.join(profiles)}. Give one.")
    changes = parse_pairs("--stop", [rule for rule in rules if "=" in rule])
    return {**({"profile": profiles[0]} if profiles else {}), **changes} or None


def _check_writable(flag: str, path: Path | None) -> None:
    """Find out before the run, not after it."""
    if path is None:
        return
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ArgumentError(
            f"`{flag}` must name a file in a folder that exists and can be written to; got {str(path)!r}."
        )


def _check_plot(path: Path) -> None:
    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError as error:
        raise MissingDependencyError("`--plot` needs matplotlib: pip install 'lmcma[plot]'") from error
    known = FigureCanvasBase.get_supported_filetypes()
    if path.suffix.lstrip(".").lower() not in known:
        raise ArgumentError(f"`--plot` must end in one of .{', .'.join(sorted(known))}; got {str(path)!r}.")


# -------------------------------------------------------------------- while it runs


@dataclasses.dataclass
class _Seed:
    """The seed of the run, which a checkpoint keeps."""

    number: int

    def state_dict(self) -> dict[str, Any]:
        return {"number": self.number}

    def restore(self, state: dict[str, Any]) -> None:
        self.number = int(state["number"])


@contextlib.contextmanager
def _progress(
    strategy: Strategy, evaluate: Callable[[FloatArray], FloatArray], *, show: bool
) -> Iterator[Callable[[FloatArray], FloatArray]]:
    """`evaluate`, with a line on stderr about the run for as long as the context lasts."""
    if not show:
        yield evaluate
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    started = time.monotonic()
    text, due = "starting", started

    def line() -> Text:
        return Text(f"{time.monotonic() - started:7.1f} s  {text}", no_wrap=True, overflow="ellipsis")

    def look() -> None:
        nonlocal text, due
        now = time.monotonic()
        if (
            now >= due and strategy.nfev
        ):  # the strategy is looked at here, between two of its steps, never from a thread
            best = strategy.result()
            text = f"{best.nfev} evaluations   best f {best.fun:.8g}   sigma {best.sigma:.3g}"
            due = now + 1 / _UPDATES_PER_SECOND

    def watched(x: FloatArray) -> FloatArray:
        f = evaluate(x)
        look()
        return f

    def one_by_one(points: Iterable[FloatArray], k: int) -> FloatArray:
        look()
        f: FloatArray = cast(Any, evaluate).one_by_one(points, k)
        return f

    if hasattr(evaluate, "one_by_one"):
        watched.one_by_one = one_by_one  # type: ignore[attr-defined]

    console = Console(stderr=True)
    with Live(
        get_renderable=line,
        console=console,
        refresh_per_second=_UPDATES_PER_SECOND,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
    ):
        yield watched


# -------------------------------------------------------------------- what comes out


def _print_result(result: Result, seconds: float, seed: int, checkpoint: Path | None) -> None:
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    failed = f", {result.nfail} without a number" if result.get("nfail") else ""
    rows = {
        "best f": f"{result.fun:.12g}",
        "at x": np.array2string(result.x, precision=8, threshold=24, separator=", ", max_line_width=76),
        "stopped by": result.message,
        "evaluations": f"{result.nfev} in {result.nit} iterations of {result.popsize}{failed}",
        "sigma": f"{result.sigma:.4g}",
        "method": f"{result.method}, n = {len(result.x)}, seed {seed}",
        "time": f"{seconds:.2f} s",
        **({"kept in": f"{checkpoint}, to go on with --resume"} if checkpoint and checkpoint.exists() else {}),
    }
    for key, text in rows.items():
        table.add_row(key, text)
    Console(highlight=False, markup=False).print(table)


def _record(function: str, result: Result, seconds: float, seed: int, x0: FloatArray, sigma0: float) -> dict[str, Any]:
    """The result as plain data; numbers that JSON does not know (NaN, infinities) become null."""
    from lmcma import __version__

    def plain(value: Any) -> Any:
        if hasattr(value, "tolist"):
            value = value.tolist()
        if isinstance(value, list):
            return [plain(v) for v in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    stop = result.stop
    return {
        "lmcma": __version__,
        "function": function,
        "method": result.method,
        "seed": seed,
        "x0": plain(x0),
        "sigma0": sigma0,
        **{
            key: plain(result[key])
            for key in (
                *("x", "fun", "nfev", "nit", "nfail", "success", "status", "message"),
                *("mean", "sigma", "popsize"),
            )
        },
        "stop": None
        if stop is None
        else {
            "reason": str(stop.reason),
            "value": plain(float(stop.value)),
            "threshold": plain(float(stop.threshold)),
            "also": [str(other.reason) for other in stop.also],
        },
        "seconds": seconds,
    }


def _write_json(content: dict[str, Any], path: Path) -> None:
    lines = (f" {json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in content.items())
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _draw(path: Path, result: Result, history: History) -> None:
    from lmcma.plotting import convergence

    result["history"] = history
    figure = convergence(result)
    _write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=150))


def _write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Write under a temporary name in the same folder and rename: the file is whole or not there."""
    temporary = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        write(temporary)
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        raise ArgumentError(f"{str(path)!r} cannot be written: {error}.") from error
    finally:
        temporary.unlink(missing_ok=True)
