"""What a campaign is: which methods on which problems, how long, and where the results go."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lmcma import registry
from lmcma.bbob import baselines
from lmcma.bbob.suites import suite
from lmcma.errors import ArgumentTypeError, CampaignError, LmcmaError, near_miss

if TYPE_CHECKING:
    from lmcma.strategies.protocol import Strategy
    from lmcma.typing import FloatArray

# What the harness itself decides for every method.
_RESERVED = frozenset({"x0", "sigma0", "rng", "maxfev", "ftarget", "n_obj"})
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")
_MAX_NUMBERS = 10_000


@dataclasses.dataclass(frozen=True)
class MethodSpec:
    """A method under the name that it has in folders, tables and figures.

    Parameters
    ----------
    name : str
        The label; letters, digits and ``._+-``.
    method : str
        A name of `lmcma.methods` or `lmcma.bbob.baselines.BASELINES`.
    options : mapping
        Options of the method.
    """

    name: str
    method: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)


@dataclasses.dataclass(frozen=True)
class Campaign:
    """A set of trials: every method on every function, dimension and instance.

    Parameters
    ----------
    methods : tuple of MethodSpec
        What is compared.
    output : Path
        Folder of the results.
    suite : str
        A name of `lmcma.bbob.suites.SUITES`.
    dims, functions, instances : tuple of int
        The problems; an instance named k times gives k trials.
    budget : float
        Evaluations per trial, as a multiple of the dimension.
    seed : int
        Starts and random numbers of all trials derive from it.
    workers : int or None
        Worker processes; one per core by default. Does not change any result.
    x0_box : (float, float)
        Every trial starts at a point drawn uniformly from this box, the same one for all methods; with two objectives
        at 0, and the box is where further points of a method are drawn.
    sigma0 : float
        Initial standard deviation of every method that has one.
    """

    methods: tuple[MethodSpec, ...]
    output: Path
    suite: str = "bbob"
    dims: tuple[int, ...] = (2, 3, 5, 10, 20)
    functions: tuple[int, ...] = tuple(range(1, 25))
    instances: tuple[int, ...] = tuple(range(1, 16))
    budget: float = 1000.0
    seed: int = 1
    workers: int | None = None
    x0_box: tuple[float, float] = (-4.0, 4.0)
    sigma0: float = 2.0

    def max_evaluations(self, dim: int) -> int:
        """Evaluations that a trial in `dim` dimensions may take."""
        return max(1, round(self.budget * dim))

    def strategy(self, spec: MethodSpec, x0: FloatArray, **options: Any) -> Strategy:
        """The strategy of a method that is no baseline."""
        own = {"x0_box": self.x0_box, "n_obj": suite(self.suite).n_obj}
        taken = {key: value for key, value in own.items() if key in _parameters(spec.method, len(x0))}
        return registry.make(spec.method, x0, self.sigma0, **{**taken, **options, **spec.options})

    def settings(self) -> dict[str, Any]:
        """Everything that results depend on, as plain data for files."""
        return {
            "suite": self.suite,
            "methods": {m.name: {"method": m.method, "options": dict(m.options)} for m in self.methods},
            "dims": list(self.dims),
            "functions": list(self.functions),
            "instances": list(self.instances),
            "budget": self.budget,
            "seed": self.seed,
            "x0_box": list(self.x0_box),
            "sigma0": self.sigma0,
        }


_KEYS = tuple(f.name for f in dataclasses.fields(Campaign))


def read(path: Path, **overrides: Any) -> Campaign:
    """The campaign described by a TOML file.

    Parameters
    ----------
    path : Path
        The file; `docs/bbob.md` lists its keys.
    **overrides
        Keys that replace those of the file; None leaves the file's.

    Raises
    ------
    CampaignError
        The file is missing, is no TOML, has an unknown key or a value that cannot be used.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CampaignError(f"the campaign file {str(path)!r} does not exist. Give the path of a TOML file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CampaignError(
            f"the campaign file {str(path)!r} cannot be read: {error}. Give the path of a TOML file."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise CampaignError(f"the campaign file {str(path)!r} is not valid TOML: {error}.") from None
    try:
        return build({**table, **{k: v for k, v in overrides.items() if v is not None}})
    except LmcmaError as error:
        raise CampaignError(f"{path}: {error}") from error


def build(table: Mapping[str, Any]) -> Campaign:
    """A checked campaign from its keys, as a file or the command line gives them.

    >>> c = build({"methods": "random", "dims": "2,5", "instances": "1-3,71", "output": "runs/x"})
    >>> c.dims, c.instances
    ((2, 5), (1, 2, 3, 71))
    """
    for key in table:
        if key not in _KEYS:
            raise CampaignError(f"a campaign has no key {key!r}; {near_miss(key, _KEYS)}")
    found = suite(table.get("suite", "bbob"))
    values: dict[str, Any] = {"suite": found.name}
    values["output"] = _output(table.get("output"))
    default_dims = [d for d in found.dims if d <= 20] if found.name != "bbob-largescale" else found.dims[:3]
    values["dims"] = _numbers(
        "dims", table.get("dims", default_dims), known=found.dims, what=f"dimensions of {found.name}"
    )
    values["functions"] = _numbers(
        "functions",
        table.get("functions", found.functions),
        known=found.functions,
        what=f"functions of {found.name}",
    )
    values["instances"] = _numbers(
        "instances",
        table.get("instances", "1-15" if found.instances is None else found.instances),
        known=found.instances,
        what=f"instances of {found.name} whose best hypervolume COCO knows",
        repeat=True,
    )
    values["budget"] = _positive("budget", table.get("budget", 1000), "evaluations per dimension, such as 300")
    values["sigma0"] = _positive("sigma0", table.get("sigma0", found.sigma0), "such as 2.0")
    values["seed"] = _integer("seed", table.get("seed", 1), 0)
    workers = table.get("workers")
    values["workers"] = None if workers is None else _integer("workers", workers, 1)
    values["x0_box"] = _box(table.get("x0_box", found.x0_box))
    values["methods"] = _methods(table.get("methods"))
    campaign = Campaign(**values)
    for spec in campaign.methods:
        _try_options(spec, campaign)
    return campaign


def _output(value: Any) -> Path:
    if not isinstance(value, (str, Path)) or not str(value):
        raise CampaignError(
            f"`output` must be the folder for the results; got {value!r}. Name one, such as 'runs/first'."
        )
    text = str(value)
    if '"' in text or "\n" in text:
        raise CampaignError(
            f"`output` must not contain double quotes or line breaks, COCO cannot take them; got {text!r}."
        )
    return Path(text)


def _numbers(
    name: str, value: Any, *, known: Sequence[int] | None = None, what: str = "", repeat: bool = False
) -> tuple[int, ...]:
    """Integers from 5, "1-3,71-75", or a list of such."""
    numbers: list[int] = []
    parts: Iterable[Any] = (
        value.split(",") if isinstance(value, str) else value if isinstance(value, (list, tuple)) else [value]
    )
    for part in parts:
        match = (
            _RANGE.fullmatch(str(part).strip()) if isinstance(part, (int, str)) and not isinstance(part, bool) else None
        )
        lo, hi = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= lo <= hi or hi - lo >= _MAX_NUMBERS:
            raise CampaignError(
                f"`{name}` must be positive numbers and ranges such as '1-3,71-75'; got {part!r} in {value!r}."
            )
        numbers += range(lo, hi + 1)
    if not numbers:
        raise CampaignError(f"`{name}` must name at least one number; got {value!r}. Give some, such as '1-3,71-75'.")
    for number in numbers:
        if known is not None and number not in known:
            there = f"{known[0]}-{known[-1]}" if len(known) > 10 else ",".join(map(str, known))
            raise CampaignError(f"`{name}` must be among the {what}, {there}; got {number}.")
        if number >= 2**31:
            raise CampaignError(f"`{name}` must be below 2^31; got {number}.")
    if repeat:
        return tuple(numbers)
    return tuple(sorted(set(numbers)))


def _positive(name: str, value: Any, example: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (value > 0 and math.isfinite(value)):
        raise CampaignError(f"`{name}` must be a finite number > 0, {example}; got {value!r}.")
    return float(value)


def _integer(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise CampaignError(f"`{name}` must be an integer >= {least}; got {value!r}.")
    return value


def _box(value: Any) -> tuple[float, float]:
    ok = isinstance(value, (list, tuple)) and len(value) == 2
    ok = ok and all(isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in value)
    if not ok or not value[0] <= value[1]:
        raise CampaignError(f"`x0_box` must be two finite numbers, low <= high, such as [-4, 4]; got {value!r}.")
    return float(value[0]), float(value[1])


def _methods(value: Any) -> tuple[MethodSpec, ...]:
    entries = value.split(",") if isinstance(value, str) else value
    if not isinstance(entries, (list, tuple)) or not entries:
        raise CampaignError(f"`methods` must name at least one method; got {value!r}. For example ['cma', 'random'].")
    specs = tuple(_method(entry) for entry in entries)
    names = [s.name.lower() for s in specs]
    for spec in specs:
        if names.count(spec.name.lower()) > 1:
            raise CampaignError(f"`methods` names {spec.name!r} twice; give one of them another `name`.")
    return specs


def _method(entry: Any) -> MethodSpec:
    if isinstance(entry, MethodSpec):
        entry = dataclasses.asdict(entry)
    if isinstance(entry, str):
        entry = {"method": entry.strip()}
    if not isinstance(entry, Mapping):
        raise CampaignError(
            "`methods` must list names, or tables such as "
            f"{{name = 'cma-20', method = 'cma', options = {{popsize = 20}}}}; got {entry!r}."
        )
    for key in entry:
        if key not in ("name", "method", "options"):
            raise CampaignError(
                f"an entry of `methods` has no key {key!r}; {near_miss(key, ('name', 'method', 'options'))}"
            )
    method = entry.get("method", entry.get("name"))
    known = (*registry.methods(), *baselines.BASELINES)
    if method not in known:
        raise CampaignError(
            f"`methods` must name methods or baselines; got {method!r}: {near_miss(str(method), known)}"
        )
    name = entry.get("name", method)
    if not isinstance(name, str) or not _LABEL.fullmatch(name) or len(name) > 60:
        raise CampaignError(
            "the `name` of a method must be up to 60 letters, digits and ._+- (it names a folder), the first a "
            f"letter or digit; got {name!r}."
        )
    options = entry.get("options", {})
    if not isinstance(options, Mapping):
        raise CampaignError(f"the `options` of method {name!r} must be a table; got {options!r}.")
    for key in options:
        if key in _RESERVED:
            raise CampaignError(
                f"the `options` of method {name!r} set {key!r}, which the harness sets itself. Remove it."
            )
    return MethodSpec(name, method, dict(options))


def _objectives(method: str, dim: int) -> tuple[int, ...]:
    """How many objectives a method or baseline can have on COCO's suites."""
    if method in baselines.BASELINES:
        return baselines.BASELINES[method].objectives
    return (2,) if "n_obj" in _parameters(method, dim) else (1,)


def _parameters(method: str, dim: int) -> Collection[str]:
    """What the class of a method is built from: `n_obj` if for several objectives, `x0_box` if it begins anew."""
    return inspect.signature(registry.resolve(method, dim).load()).parameters


def _try_options(spec: MethodSpec, campaign: Campaign) -> None:
    """Find out now, not in a worker, that a method does not take its options, or that many objectives."""
    n_obj = suite(campaign.suite).n_obj
    if n_obj not in _objectives(spec.method, campaign.dims[0]):
        raise CampaignError(
            f"`methods`: {spec.name!r} does not take {n_obj} objective{'s' if n_obj > 1 else ''}, which "
            f"{campaign.suite} has. Choose another method or suite."
        )
    if not spec.options:
        return
    try:
        if spec.method in baselines.BASELINES:
            baselines.check_options(spec.method, spec.options)
        else:
            for dim in campaign.dims:
                campaign.strategy(spec, np.zeros(dim), rng=0)
    except LmcmaError as error:
        kind = ArgumentTypeError if isinstance(error, TypeError) else CampaignError
        raise kind(f"`methods`: {spec.name!r} cannot be built: {error}") from error
