"""The toy data sets against scikit-learn's own, of which they are copies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from sklearn import datasets

from collapse.data import toy
from collapse.families.kernel_density import Parameters, Simulator
from collapse.seeding import Streams

PLAIN = ("circles", "moons", "swiss_roll")
CENTRES = np.array([[-5.0, 0.0], [4.0, 4.0], [1.0, -8.0]])


def rows_in_order(points):
    return points[np.lexsort(points.T[::-1])]


@pytest.mark.parametrize("count", [1, 2, 7, 50, 51])
@pytest.mark.parametrize("name", ["circles", "moons"])
def test_without_noise_the_points_are_those_of_scikit_learn(name, count, monkeypatch):
    monkeypatch.setattr(toy, "NOISE", 0.0)
    ours = toy.draw(name, count, np.random.default_rng(0))
    theirs = getattr(datasets, f"make_{name}")(count, noise=None)[0]
    np.testing.assert_allclose(
        rows_in_order(ours.round(9)), rows_in_order(theirs.round(9)), atol=1e-8
    )


def test_without_noise_the_swiss_roll_is_a_roll(monkeypatch):
    """The radius and the angle of a point agree on its turn, as in scikit-learn's points."""
    monkeypatch.setattr(toy, "NOISE", 0.0)
    ours = toy.draw("swiss_roll", 2000, np.random.default_rng(0))
    theirs = datasets.make_swiss_roll(2000, noise=0.0, random_state=0)[0]
    turns = []
    for points in (ours, theirs):
        turn = np.hypot(points[:, 0], points[:, 2])
        np.testing.assert_allclose(points[:, 0], turn * np.cos(turn), atol=1e-9)
        np.testing.assert_allclose(points[:, 2], turn * np.sin(turn), atol=1e-9)
        turns.append(turn)
    assert ks_2samp(*turns).pvalue > 1e-4
    assert ks_2samp(ours[:, 1], theirs[:, 1]).pvalue > 1e-4


@pytest.mark.parametrize("name", toy.DIMENSIONS)
def test_the_law_is_that_of_scikit_learn(name):
    """Each coordinate is compared, and the first two together along a diagonal."""
    generator = np.random.default_rng(3)
    if name == "blobs":
        ours = toy.draw(name, 6000, generator, centres=CENTRES)
        theirs = datasets.make_blobs(6000, centers=CENTRES, random_state=1)[0]
    else:
        ours = toy.draw(name, 6000, generator)
        theirs = getattr(datasets, f"make_{name}")(6000, noise=toy.NOISE, random_state=1)[0]
    assert ours.shape == theirs.shape == (6000, toy.DIMENSIONS[name])
    for direction in np.vstack((np.eye(ours.shape[1]), np.ones(ours.shape[1]))):
        assert ks_2samp(ours @ direction, theirs @ direction).pvalue > 1e-4
    error = np.sqrt(ours.var(axis=0) / 6000 * 2)
    assert np.all(np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 5 * error)


@pytest.mark.parametrize("name", toy.DIMENSIONS)
def test_independent_points_have_the_same_law_and_do_not_know_of_each_other(name):
    """The mean of n independent points has an n-th of their covariance; of even ones, less."""
    truth = {"centres": CENTRES} if name == "blobs" else {}
    generator = np.random.default_rng(4)
    even = toy.draw(name, 9000, generator, **truth)
    draws = {
        independent: np.array(
            [toy.draw(name, 9, generator, independent=independent, **truth) for _ in range(3000)]
        )
        for independent in (True, False)
    }
    pooled = draws[True].reshape(-1, even.shape[1])
    for direction in np.vstack((np.eye(even.shape[1]), np.ones(even.shape[1]))):
        assert ks_2samp(pooled @ direction, even @ direction).pvalue > 1e-4
    for independent, points in draws.items():
        ratio = 9 * points.mean(axis=1).var(axis=0) / points.var(axis=(0, 1))
        # Means of nine are nearly normal, so that a variance has an error of sqrt(2 / 3000).
        if independent or name == "swiss_roll":
            assert np.all(np.abs(ratio - 1) < 5 * np.sqrt(2 / 3000))
        else:
            assert np.all(ratio < 0.5)


@pytest.mark.parametrize("name", PLAIN)
def test_noise_has_the_stated_spread(name):
    """Noise is the distance from the noise-free shape of the same random numbers."""
    noisy = toy.draw(name, 4000, np.random.default_rng(5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy, "NOISE", 0.0)
        clean = toy.draw(name, 4000, np.random.default_rng(5))
    noise = noisy - clean
    assert abs(noise.std() / 0.05 - 1) < 5 / np.sqrt(2 * noise.size)
    assert abs(noise.mean()) < 5 * 0.05 / np.sqrt(noise.size)


@given(st.sampled_from(PLAIN), st.integers(0, 30), st.integers(0, 99))
def test_a_draw_is_repeatable_and_of_its_size(name, count, seed):
    one, other = (toy.draw(name, count, np.random.default_rng(seed)) for _ in range(2))
    assert one.shape == (count, toy.DIMENSIONS[name])
    np.testing.assert_array_equal(one, other)
    assert np.isfinite(one).all()


@pytest.mark.parametrize("name", ["circles", "moons", "blobs"])
def test_points_come_in_random_order(name):
    """The first samples of a set are a sample of it, with about half of them from each shape."""
    generator = np.random.default_rng(2)
    truth = {"centres": np.array([[-9.0, 0], [9.0, 0], [9.0, 1]])} if name == "blobs" else {}
    draws = [toy.draw(name, 30, generator, **truth) for _ in range(2000)]
    whole = np.mean([draw.mean(axis=0) for draw in draws], axis=0)
    first = np.array([draw[0] for draw in draws])
    error = first.std(axis=0) / np.sqrt(2000)
    assert np.all(np.abs(first.mean(axis=0) - whole) < 5 * error)


def test_training_and_test_blobs_share_their_centres():
    """docs/reproduction.md, mistake 1: drawn anew, they give a likelihood of another world."""
    streams = Streams("toy", "p", "r", range(20))
    chain = Simulator(Parameters(dataset="blobs", bandwidth=0.5), 300, streams)
    training = chain.real(1, 300)
    fresh = chain.real(2, 300)
    assert not np.array_equal(training[0], fresh[0])
    for seed in range(20):
        # Clusters of unit variance: every point has a neighbour well within 3.
        for points in (chain.test[seed], fresh[0][seed]):
            distances = np.linalg.norm(points[:, None] - training[0][seed], axis=2)
            assert np.quantile(distances.min(axis=1), 0.98) < 1.5
    nll = chain.evaluate(chain.fit(chain.summarise(training)))["test_nll"]
    assert 3 < nll.mean() < 5
    centres = [truth["centres"] for truth in chain._truth]
    assert len(np.unique(centres, axis=0)) == 20
