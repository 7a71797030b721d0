"""The stream of normal numbers against its definition in plain Python, and against the normal law."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from lmcma.kernels import normals

WORD = 2**64
STEP = 0x9E3779B97F4A7C15
TAIL = 3.6541528853610088


def mix(word):
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 % WORD
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB % WORD
    return word ^ (word >> 31)


def density(x):
    return math.exp(-0.5 * x * x)


def edges():
    area = TAIL * density(TAIL) + math.sqrt(math.pi / 2) * math.erfc(TAIL / math.sqrt(2))
    x = [area / density(TAIL), TAIL]
    while len(x) < 256:
        x.append(math.sqrt(-2 * math.log(area / x[-1] + density(x[-1]))))
    return [*x, 0.0]


EDGES = edges()


def uniform(word):
    return ((word >> 11) + 0.5) / 2**53


def twin(key, i):
    """Number i of the stream, as the module's text has it, with nothing done in advance."""
    word = mix((key + (i + 1) * STEP) % WORD)
    while True:
        layer, place = word % 256, (word - WORD if word >= WORD // 2 else word) >> 8
        x = place / 2**55 * EDGES[layer]
        if abs(place) < int(EDGES[layer + 1] / EDGES[layer] * 2.0**55):
            return x
        word = mix((word + STEP) % WORD)
        if layer == 0:
            while True:
                beyond = -math.log(uniform(word)) / TAIL
                word = mix((word + STEP) % WORD)
                height = -2 * math.log(uniform(word))
                word = mix((word + STEP) % WORD)
                if height > beyond**2:
                    return math.copysign(TAIL + beyond, place)
        low, high = density(EDGES[layer]), density(EDGES[layer + 1])
        if low + uniform(word) * (high - low) < density(x):
            return x
        word = mix((word + STEP) % WORD)


def numbers(key, k, start=0):
    out = np.empty(k)
    normals.fill(key, start, out)
    return out


def test_the_layers_close():
    # 256 equal areas and no gap at the top: the last one found must reach the height 1
    area = EDGES[0] * density(TAIL)
    assert EDGES[255] * (1 - density(EDGES[255])) == pytest.approx(area, rel=1e-9)


def test_first_words_are_those_of_splitmix64():
    # the published first outputs for the seed 1234567
    words = [mix((1234567 + (i + 1) * STEP) % WORD) for i in range(3)]
    assert words == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("key", [0, 1234567, 2**63 - 1])
def test_numbers_are_those_of_the_definition(key):
    ours = numbers(key, 20_000)
    np.testing.assert_allclose(ours, [twin(key, i) for i in range(len(ours))], rtol=1e-14)
    assert (np.abs(ours) > TAIL).any()  # the tail was visited


def test_any_part_can_be_made_alone():
    whole = numbers(7, 5000)
    np.testing.assert_array_equal(numbers(7, 1200, start=3000), whole[3000:4200])
    np.testing.assert_array_equal(numbers(7, 1, start=4999), whole[4999:])
    np.testing.assert_array_equal(numbers(7, 3, start=2**40), numbers(7, 10, start=2**40 - 5)[5:8])


def test_law():
    z = np.sort(numbers(2026, 8_000_000))
    k = len(z)
    # 200 cells of equal probability
    counts = np.diff(np.searchsorted(z, stats.norm.ppf(np.linspace(0, 1, 201))))
    assert stats.chisquare(counts).pvalue > 1e-3
    assert stats.kstest(z, "norm").pvalue > 1e-3
    for moment, expected, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((z**moment).mean() - expected) < 4 * math.sqrt(variance / k)
    for beyond in (TAIL, 4.0, 4.5):
        p = 2 * stats.norm.sf(beyond)
        assert abs((np.abs(z) > beyond).sum() - p * k) < 4 * math.sqrt(p * k)


def test_numbers_next_to_each_other_and_streams_do_not_depend():
    a, b = numbers(5, 1_000_000), numbers(6, 1_000_000)
    for other in (a[1:], a[2:], a[256:], b):
        r = np.corrcoef(a[: len(other)], other)[0, 1]
        assert abs(r) < 4 / math.sqrt(len(other))
        r = np.corrcoef(a[: len(other)] ** 2, other**2)[0, 1]
        assert abs(r) < 4 / math.sqrt(len(other))


@pytest.mark.parametrize("k", [1, 7, 511, 512, 513, 519, 1024, 5000])
def test_many_at_a_time_are_those_made_one_by_one(k):
    """From 512 numbers on they are made in blocks, those that need further words afterwards."""
    many, one = np.empty(k), np.empty(1)
    normals.fill(2**63 - 5, 11, many)
    for i in range(k):
        normals.fill(2**63 - 5, 11 + i, one)
        assert one[0] == many[i]
