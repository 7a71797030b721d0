"""Black-box evolution strategies behind one ask/tell interface.

>>> import lmcma
>>> res = lmcma.minimize(lambda x: sum(x**2), [1.0, 2.0, 3.0], 0.5, ftarget=1e-9, rng=1)
>>> res.success
True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> where it lives; imported when first used, so that `import lmcma` costs next to nothing.
_LAZY = {
    "Archive": "lmcma.multiobjective",
    "CMAES": "lmcma.strategies.cma",
    "ElitistCMA": "lmcma.strategies.elitist_cma",
    "LMCMA": "lmcma.strategies.lm_cma",
    "LMCMAES": "lmcma.strategies.lm_cma_es",
    "LMMAES": "lmcma.strategies.lm_ma",
    "MAES": "lmcma.strategies.ma",
    "HMOCMAES": "lmcma.multiobjective",
    "MOCMAES": "lmcma.multiobjective",
    "MultiResult": "lmcma.result",
    "UPMOCMAES": "lmcma.multiobjective",
    "History": "lmcma.record.history",
    "Restarts": "lmcma.restarts",
    "QuadCMAES": "lmcma.surrogate",
    "RankSVM": "lmcma.surrogate",
    "Result": "lmcma.result",
    "RmES": "lmcma.strategies.rm_es",
    "SaACMES": "lmcma.surrogate",
    "SelfCMAES": "lmcma.strategies.self_cma",
    "SepCMAES": "lmcma.strategies.sep_cma",
    "Scheme": "lmcma.restarts",
    "Stop": "lmcma.termination",
    "StopReason": "lmcma.termination",
    "StopRules": "lmcma.termination",
    "Strategy": "lmcma.strategies.protocol",
    "VkDCMA": "lmcma.strategies.vkd_cma",
    "from_state": "lmcma.registry",
    "load": "lmcma.record.checkpoint",
    "make": "lmcma.registry",
    "methods": "lmcma.registry",
    "minimize": "lmcma.optimize",
    "minimize_multi": "lmcma.optimize",
    "save": "lmcma.record.checkpoint",
}
_SUBMODULES = frozenset({"errors", "multiobjective", "plotting", "termination", "testfunctions"})

if TYPE_CHECKING:
    from lmcma import errors, multiobjective, plotting, termination, testfunctions
    from lmcma.multiobjective import HMOCMAES, MOCMAES, UPMOCMAES, Archive
    from lmcma.optimize import minimize, minimize_multi
    from lmcma.record.checkpoint import load, save
    from lmcma.record.history import History
    from lmcma.registry import from_state, make, methods
    from lmcma.restarts import Restarts, Scheme
    from lmcma.result import MultiResult, Result
    from lmcma.strategies.cma import CMAES
    from lmcma.strategies.elitist_cma import ElitistCMA
    from lmcma.strategies.lm_cma import LMCMA
    from lmcma.strategies.lm_cma_es import LMCMAES
    from lmcma.strategies.lm_ma import LMMAES
    from lmcma.strategies.ma import MAES
    from lmcma.strategies.protocol import Strategy
    from lmcma.strategies.rm_es import RmES
    from lmcma.strategies.self_cma import SelfCMAES
    from lmcma.strategies.sep_cma import SepCMAES
    from lmcma.strategies.vkd_cma import VkDCMA
    from lmcma.surrogate import QuadCMAES, RankSVM, SaACMES
    from lmcma.termination import Stop, StopReason, StopRules

__all__ = [
    "CMAES",
    "HMOCMAES",
    "LMCMA",
    "LMCMAES",
    "LMMAES",
    "MAES",
    "MOCMAES",
    "UPMOCMAES",
    "Archive",
    "ElitistCMA",
    "History",
    "MultiResult",
    "QuadCMAES",
    "RankSVM",
    "Restarts",
    "Result",
    "RmES",
    "SaACMES",
    "Scheme",
    "SelfCMAES",
    "SepCMAES",
    "Stop",
    "StopReason",
    "StopRules",
    "Strategy",
    "VkDCMA",
    "errors",
    "from_state",
    "load",
    "make",
    "methods",
    "minimize",
    "minimize_multi",
    "multiobjective",
    "plotting",
    "save",
    "termination",
    "testfunctions",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(importlib.import_module(_LAZY[name]), name)
    elif name in _SUBMODULES:
        value = importlib.import_module(f"lmcma.{name}")
    else:
        raise AttributeError(f"module 'lmcma' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
