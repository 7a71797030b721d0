"""Models in place of the objective: a ranking SVM and a quadratic function, and the strategies that search on them."""

from lmcma.surrogate.quad_cma import QuadCMAES
from lmcma.surrogate.ranksvm import RankSVM
from lmcma.surrogate.saacm import SaACMES

__all__ = ["QuadCMAES", "RankSVM", "SaACMES"]
