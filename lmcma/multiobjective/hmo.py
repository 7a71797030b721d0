"""HMO-CMA-ES: a warm start, local search, exploration and weighted sums in turns, for a good front at any time.

The paper names the ideas: BOBYQA on a weighted sum as a warm start, a steady-state MO-CMA-ES whose population grows,
and further CMA-ES variants. Its constants and its schedule are not public; here they are a reconstruction, which the
published results of the algorithm on the bi-objective functions of COCO guide where they show them.

================================  ============================================  ====================================
constant                          value                                         origin
================================  ============================================  ====================================
warm start                        coordinate stars; BOBYQA as an option         a design of our own; the paper
its first weight                  1/2                                           published data
its other weights                 1, 0, 1/4, 3/4, from 10 variables on eighths  reconstruction
its first radius                  0.2 w                                         published data
its budget                        15 n                                          published data: 10 n to 16 n
division of the objectives by     their range in the first batch, or |f(x0)|    reconstruction; published use
local search: sigma               0.03 w                                        reconstruction
its population                    10, doubled after 200 n, 400 n, ...           reconstruction
exploration from, turns of        1000 n, 5000 evaluations                      published data
its population, sigma             30, 0.1 w                                     reconstruction
weighted sums from                20000 n                                       published data, as to the time
their method, weights, sigma      BIPOP-CMA-ES; 1, 0, 1/2, 1/4, 3/4; 0.2 w      reconstruction
order of turns                    local search has every other one              reconstruction
================================  ============================================  ====================================

w is the width of the box: `bounds` where they are finite, and 10 sigma0 where that is less.

References
----------
I. Loshchilov, T. Glasmachers. Anytime bi-objective optimization with a hybrid multi-objective CMA-ES (HMO-CMA-ES).
GECCO 2016 workshop, arXiv:1605.02720.
R. Tanabe, Y. Akimoto, K. Kobayashi, H. Umeki, S. Shirakawa, N. Hamada. A two-phase framework with a Bezier simplex-based
interpolation method for computationally expensive multi-objective optimization. GECCO 2022 (division by abs(f(x0))).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from lmcma import random
from lmcma.arguments import as_count, as_positive
from lmcma.errors import ArgumentError
from lmcma.multiobjective.base import MultiObjectiveStrategy, check_memory, one_of
from lmcma.multiobjective.bobyqa import Bobyqa
from lmcma.multiobjective.components import CONVERGED, LOCAL_SIGMA, Local, Steady, Sums
from lmcma.multiobjective.schedule import EXPLORE, LOCAL, PARTS, SUMS, WARM, Schedule, slice_length
from lmcma.multiobjective.star import Star
from lmcma.multiobjective.warm_start import RADIUS, Scattered, WarmStart
from lmcma.result import MultiResult
from lmcma.termination import Stop, StopReason
from lmcma.typing import BoolArray, FloatArray, IntArray, State

_WARM_STARTS: dict[str, type[WarmStart]] = {kind.name: kind for kind in (Star, Bobyqa, Scattered)}
_LOOK = 10  # evaluations per variable from one test for convergence to the next
