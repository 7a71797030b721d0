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
    "CMAES": "lmcma.strategies.cma",
    "LMCMA": "lmcma.strategies.lm_cma",
    "LMCMAES": "lmcma.strategies.lm_cma_es",
    "LMMAES": "lmcma.strategies.lm_ma",
    "MAES": "lmcma.strategies.ma",
    "History": "lmcma.record.history",
    "Restarts": "lmcma.restarts",
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
    "save": "lmcma.record.checkpoint",
}
_SUBMODULES = frozenset({"errors", "plotting", "termination", "testfunctions"})

if TYPE_CHECKING:
    from lmcma import errors, plotting, termination, testfunctions
    from lmcma.optimize import minimize
    from lmcma.record.checkpoint import load, save
    from lmcma.record.history import History
    from lmcma.registry import from_state, make, methods
    from lmcma.restarts import Restarts, Scheme
    from lmcma.result import Result
    from lmcma.strategies.cma import CMAES
    from lmcma.strategies.lm_cma import LMCMA
    from lmcma.strategies.lm_cma_es import LMCMAES
    from lmcma.strategies.lm_ma import LMMAES
    from lmcma.strategies.ma import MAES
    from lmcma.strategies.protocol import Strategy
    from lmcma.strategies.rm_es import RmES
    from lmcma.strategies.self_cma import SelfCMAES
    from lmcma.strategies.sep_cma import SepCMAES
    from lmcma.strategies.vkd_cma import VkDCMA
    from lmcma.surrogate import RankSVM, SaACMES
    from lmcma.termination import Stop, StopReason, StopRules

__all__ = [
    "CMAES",
    "LMCMA",
    "LMCMAES",
    "LMMAES",
    "MAES",
    "History",
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
