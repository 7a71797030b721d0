"""Normal numbers by counting: number i of a stream depends on the stream's key and on i alone.

So any part can be made again, in any order, by any thread, and needs neither memory nor a place in a checkpoint.
Word i is the i-th output of SplitMix64 started at the key (Steele, Lea & Flood 2014).  The word picks one of 256 layers
of equal area under the normal density (its last 8 bits) and a place in it (the others, signed): the ziggurat of
Marsaglia & Tsang (2000), exact.  Where the place may lie above the density, 1.2 % of all, further words are made by
hashing the word itself.
"""

from __future__ import annotations

import math

import numpy as np

from lmcma.kernels.compile import kernel
from lmcma.typing import FloatArray

_BLOCK = 512  # numbers made at a time
_STEP = np.uint64(0x9E3779B97F4A7C15)
_TAIL = 3.6541528853610088  # where the lowest layer goes over into the tail
_AREA = _TAIL * math.exp(-0.5 * _TAIL**2) + math.sqrt(math.pi / 2) * math.erfc(_TAIL / math.sqrt(2))  # of each layer


def _edges() -> FloatArray:
    """Right edges of the layers from the lowest up, the width of a box of its area for the lowest; then 0."""
    x = [_AREA / math.exp(-0.5 * _TAIL**2), _TAIL]
    while len(x) < 256:
        x.append(math.sqrt(-2 * math.log(_AREA / x[-1] + math.exp(-0.5 * x[-1] ** 2))))
    return np.array([*x, 0.0])


_EDGES = _edges()
_HEIGHTS = np.exp(-0.5 * _EDGES**2)
_SCALES = _EDGES[:-1] / 2.0**55
_INSIDE = (_EDGES[1:] / _EDGES[:-1] * 2.0**55).astype(np.int64)  # places below are under the density for sure


@kernel
def mix(word: np.uint64) -> np.uint64:
    """Hash a word: the output function of SplitMix64."""
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


@kernel
def _uniform(word: np.uint64) -> float:
    """A number in (0, 1) from the upper 53 bits of a word."""
    return ((word >> np.uint64(11)) + 0.5) * 2.0**-53


@kernel
def _retry(word: np.uint64) -> float:
    """The normal number of a word whose place may lie above the density."""
    while True:
        layer = word & np.uint64(255)
        place = np.int64(word) >> np.int64(8)
        x = place * _SCALES[layer]
        if abs(place) < _INSIDE[layer]:
            return x
        word = mix(word + _STEP)
        if layer == 0:  # the tail, by Marsaglia's method
            beyond = 1.0
            height = 0.0
            while height <= beyond * beyond:
                beyond = -math.log(_uniform(word)) / _TAIL
                word = mix(word + _STEP)
                height = -2 * math.log(_uniform(word))
                word = mix(word + _STEP)
            return _TAIL + beyond if place >= 0 else -_TAIL - beyond
        if _HEIGHTS[layer] + _uniform(word) * (_HEIGHTS[layer + 1] - _HEIGHTS[layer]) < math.exp(-0.5 * x * x):
            return x
        word = mix(word + _STEP)


@kernel
def fill(key: int, start: int, out: FloatArray) -> None:
    """Write the numbers `start`, `start` + 1, ... of the stream `key` into `out`, (k,).

    Where there are many, first as if every place were under the density, without a branch, so that the compiler makes
    several numbers at a time; then those anew whose place is not for sure.
    """
    base = np.uint64(key) + _STEP * np.uint64(start)
    if len(out) < _BLOCK:
        for j in range(len(out)):
            base += _STEP
            word = mix(base)
            layer = word & np.uint64(255)
            place = np.int64(word) >> np.int64(8)
            out[j] = place * _SCALES[layer] if abs(place) < _INSIDE[layer] else _retry(word)
        return
    unsure = np.empty(_BLOCK, dtype=np.uint8)
    eights = unsure.view(np.uint64)
    for at in range(0, len(out), _BLOCK):
        part = out[at : at + _BLOCK]
        width = len(part)
        counter = base
        for j in range(width):
            counter += _STEP
            word = mix(counter)
            layer = word & np.uint64(255)
            place = np.int64(word) >> np.int64(8)
            part[j] = place * _SCALES[layer]
            unsure[j] = abs(place) >= _INSIDE[layer]
        n_eights = (width + 7) // 8
        for j in range(width, 8 * n_eights):
            unsure[j] = 0
        for i in range(n_eights):
            if eights[i] != 0:
                for j in range(8 * i, 8 * i + 8):
                    if unsure[j]:
                        part[j] = _retry(mix(base + _STEP * np.uint64(j + 1)))
        base += _STEP * np.uint64(_BLOCK)
