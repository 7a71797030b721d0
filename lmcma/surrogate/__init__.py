"""Models in place of the objective: the ranking SVM, and the strategies that search on it between true evaluations."""

from lmcma.surrogate.ranksvm import RankSVM
from lmcma.surrogate.saacm import SaACMES

__all__ = ["RankSVM", "SaACMES"]
