"""Random generators: one per part, spawned, with a state that is plain data."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from lmcma.errors import ArgumentTypeError, StateError

Seed: TypeAlias = int | np.random.SeedSequence | np.random.Generator | None


def generator(rng: Seed) -> np.random.Generator:
    """A generator of one's own: from fresh entropy, a seed, or as a child of the caller's.

    Two parts given the same `Generator` get different streams; two parts given the same integer get
    the same one. Seed 0 is a seed.

    >>> float(generator(1).standard_normal()) == float(generator(1).standard_normal())
    True
    """
    if isinstance(rng, np.random.Generator):
        return rng.spawn(1)[0]
    if isinstance(rng, np.random.SeedSequence):
        return np.random.default_rng(rng.spawn(1)[0])
    if rng is None or (isinstance(rng, (int, np.integer)) and not isinstance(rng, bool) and rng >= 0):
        return np.random.default_rng(rng)
    raise ArgumentTypeError(
        "`rng` must be None, an integer >= 0, a numpy SeedSequence or a numpy Generator; "
        f"got {rng!r}. Use numpy.random.default_rng(seed) to make a Generator."
    )


def seed_sequence(rng: Seed) -> np.random.SeedSequence:
    """What `generator` would be seeded with, for parts that derive several streams by number."""
    sequence = generator(rng).bit_generator.seed_seq
    if not isinstance(sequence, np.random.SeedSequence):
        raise ArgumentTypeError("`rng` must be a Generator made from a SeedSequence; use numpy.random.default_rng.")
    return sequence


def child(sequence: np.random.SeedSequence, k: int) -> np.random.SeedSequence:
    """Child number `k` of a sequence, whatever was spawned before."""
    return np.random.SeedSequence(sequence.entropy, spawn_key=(*sequence.spawn_key, k))


def generator_state(rng: np.random.Generator) -> dict[str, Any]:
    """The state of `rng` as nested dictionaries of integers, strings and arrays."""
    state: dict[str, Any] = dict(rng.bit_generator.state)
    return state


def generator_from_state(state: dict[str, Any]) -> np.random.Generator:
    """A generator that goes on where `generator_state` was taken, to the bit."""
    name = state.get("bit_generator", "")
    kind = getattr(np.random, str(name), None)
    if not (isinstance(kind, type) and issubclass(kind, np.random.BitGenerator)):
        raise StateError(f"`state['bit_generator']` must name a numpy bit generator; got {name!r}.")
    bits = kind()
    bits.state = state
    return np.random.Generator(bits)
