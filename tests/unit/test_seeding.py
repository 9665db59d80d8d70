"""Seeding: a stream is its name, and nothing that happens around it."""

import hashlib
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collapse.seeding import REAL, Streams, key, stream

NAME = ("gaussian", "dimension=3", "replace", 7, 4, "samples")


def draws(name):
    return stream(*name).integers(2**63, size=4).tolist()


@pytest.mark.parametrize("part", range(len(NAME)))
def test_any_part_of_the_name_changes_the_stream(part):
    other = list(NAME)
    other[part] = other[part] + 1 if isinstance(other[part], int) else other[part] + "x"
    assert draws(NAME) == draws(NAME)
    assert draws(NAME) != draws(other)


TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
KEYS = st.tuples(TEXT, TEXT, TEXT, st.integers(0, 99), TEXT)


@given(KEYS, KEYS)
def test_different_names_have_different_keys(one, other):
    assert np.array_equal(key(*one), key(*other)) == (one == other)


def test_names_do_not_collide_by_concatenation():
    names = [("ab", "c", "d", 1, "e"), ("a", "bc", "d", 1, "e"), ("a", "b", "cd1", 1, "e")]
    names += [("a", "b", "c1:d", 1, "e"), ("a", "b", "c", 11, "e"), ("a", "b", "c", 1, "1e")]
    for one, other in combinations(names, 2):
        assert not np.array_equal(key(*one), key(*other)), (one, other)


def sfc64(a, b, c, count, discarded=18):
    """Chris Doty-Humphrey's generator, in plain integers."""
    counter, out = 1, []
    for _ in range(discarded + count):
        value = (a + b + counter) % 2**64
        counter += 1
        a, b = b ^ (b >> 11), (c + (c << 3)) % 2**64
        c = (((c << 24) | (c >> 40)) + value) % 2**64
        out.append(value)
    return out[discarded:]


def test_known_answer():
    """By hand: length-prefixed parts, SHA-256, two little-endian words and the iteration."""
    text = b"8:gaussian11:dimension=37:replace1:77:samples"
    digest = hashlib.sha256(text).digest()
    words = [int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")]
    assert key(*NAME[:4], NAME[5]).tolist() == words
    assert stream(*NAME).bit_generator.random_raw(4).tolist() == sfc64(*words, NAME[4], 4)


def test_iterations_of_a_stream_share_no_numbers():
    words = [stream("e", "p", "r", 0, t, "x").bit_generator.random_raw(4000) for t in range(4)]
    assert len(np.unique(words)) == 16_000


@pytest.mark.parametrize("part", ["seeds", "iterations"])
def test_neighbouring_streams_are_uncorrelated(part):
    if part == "seeds":
        rows = Streams("e", "p", "r", range(40)).normal("x", 1, (5000,))
    else:
        one = Streams("e", "p", "r", [0])
        rows = np.concatenate([one.normal("x", t, (5000,)) for t in range(40)])
    correlation = np.corrcoef(rows)[np.triu_indices(40, 1)] * np.sqrt(5000)
    assert np.abs(correlation).max() < 5
    assert abs(correlation.std() - 1) < 5 / np.sqrt(2 * len(correlation))


def by_streams(seeds, purpose, iteration, real=False):
    streams = Streams(*NAME[:3], seeds)
    generators = streams.each(purpose, iteration, real=real)
    return {s: g.random(3).tolist() for s, g in zip(seeds, generators, strict=True)}


@given(st.lists(st.integers(0, 50), min_size=1, max_size=6, unique=True), st.integers(0, 9))
def test_side_by_side_is_the_same_as_one_by_one(seeds, iteration):
    together = by_streams(seeds, "samples", iteration)
    for seed in seeds:
        alone = stream(*NAME[:3], seed, iteration, "samples").random(3).tolist()
        assert together[seed] == alone
    assert by_streams(seeds[::-1], "samples", iteration) == together


def test_real_streams_are_shared_by_regimes_and_others_are_not():
    first, second = (Streams("e", "p", regime, [1, 2]) for regime in ("replace", "accumulate"))
    shared = [s.normal("data", 1, (3,), real=True) for s in (first, second)]
    own = [s.normal("data", 1, (3,)) for s in (first, second)]
    np.testing.assert_array_equal(*shared)
    assert not np.any(own[0] == own[1])
    named = stream("e", "p", REAL, 2, 1, "data").standard_normal(3)
    np.testing.assert_array_equal(shared[0][1], named)


#: Draws that leave something behind in a generator: half a word, a partly used block.
RESIDUES = {
    "half a word": lambda g: g.integers(10, size=1, dtype=np.uint32),
    "three halves": lambda g: g.integers(10, size=3, dtype=np.int32),
    "one word of a block": lambda g: g.random(),
    "normals": lambda g: g.standard_normal(7),
    "binomial": lambda g: g.binomial(1000, 0.3),
    "permutation": lambda g: g.permutation(5),
    "choice": lambda g: g.choice(50, 9, replace=False, shuffle=False),
}
#: Draws that would show it.
PROBES = {
    "uint32": lambda g: g.integers(2**32, size=5, dtype=np.uint32).tolist(),
    "words": lambda g: g.random(5).tolist(),
    "binomial": lambda g: g.binomial(1000, 0.3, size=5).tolist(),
    "choice": lambda g: g.choice(1000, 5, replace=False, shuffle=False).tolist(),
}


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("residue", RESIDUES)
def test_a_stream_takes_nothing_over_from_the_one_before(residue, probe):
    streams = Streams(*NAME[:3], [0, 1, 2])
    for generator in streams.each("before", 9):
        RESIDUES[residue](generator)
    for seed, generator in enumerate(streams.each("samples", 4)):
        fresh = stream(*NAME[:3], seed, 4, "samples")
        assert PROBES[probe](generator) == PROBES[probe](fresh)
        RESIDUES[residue](generator)


def test_normal_and_uniform_have_the_shape_and_the_law():
    streams = Streams("e", "p", "r", range(8))
    normal, uniform = (f("x", 1, (50, 40)) for f in (streams.normal, streams.uniform))
    assert normal.shape == uniform.shape == (8, 50, 40)
    size = normal.size
    assert abs(normal.mean()) < 5 / np.sqrt(size)
    assert abs(normal.var() - 1) < 5 * np.sqrt(2 / size)
    assert 0 <= uniform.min() < 1e-3 < 1 - 1e-3 < uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 5 / np.sqrt(12 * size)
