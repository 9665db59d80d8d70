"""Modes and classes of the real training images, with which samples are compared.

Modes are the clusters of k-means, and classes are predicted by a logistic regression of the labels;
both are fitted once, to real training images. The effective number of modes or classes is the
exponential of the entropy of their frequencies: their number if all are equally frequent, one if
all samples are in the same. Effective numbers grow with the number of samples, and the share of the
most frequent class falls; so they are those of a subset of given size (`collapse.rarefaction`).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from collapse import rarefaction
from collapse.artifacts import remedies

Array = NDArray[np.float32]

#: Largest number of clusters, and least number of images for each of them.
MODES, IMAGES_PER_MODE = 50, 10
#: Largest number of images to fit, and largest side in pixels that images are scaled down to.
FITTED, SIDE = 10_000, 16


class Reference(NamedTuple):
    """Clusters and, if there are labels, a linear classifier.

    Attributes
    ----------
    centres : ndarray, shape (modes, features)
    weights : ndarray, shape (classes, features)
        Empty without labels.
    intercepts : ndarray, shape (classes,)
    """

    centres: Array
    weights: Array
    intercepts: Array

    @property
    def labelled(self) -> bool:
        """Whether there is a classifier."""
        return len(self.weights) > 0

    def modes(self, images: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return the cluster of each image."""
        seen = features(images)
        return np.argmin((self.centres**2).sum(1) - 2 * seen @ self.centres.T, axis=1)

    def classes(self, images: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return the class of each image that the classifier predicts."""
        return np.argmax(self._logits(images), axis=1)

    def confidence(self, images: NDArray[np.uint8]) -> Array:
        """Return the probability of each image's class, by the classifier."""
        logits = self._logits(images)
        shifted = logits - logits.max(axis=1, keepdims=True)
        return np.asarray(1 / np.exp(shifted).sum(axis=1))

    def distances(self, images: NDArray[np.uint8]) -> Array:
        """Return the distance of each image from the nearest centre, the RMS of its features."""
        seen = features(images)
        squares = np.square(seen - self.centres[self.modes(images)]).mean(axis=1)
        return np.asarray(np.sqrt(squares))

    def _logits(self, images: NDArray[np.uint8]) -> Array:
        return np.asarray(features(images) @ self.weights.T + self.intercepts)


def fit(
    images: NDArray[np.uint8], labels: NDArray[np.int64] | None, classes: int, seed: int
) -> Reference:
    """Fit clusters and, if there are labels, a classifier to real training images.

    Parameters
    ----------
    images : ndarray of uint8, shape (images, height, width, channels)
    labels : ndarray of int, shape (images,), or None
    classes : int
        Number of classes; labels are below it.
    seed : int
        Seed of 32 bits for the first centres of the clusters.
    """
    from sklearn.cluster import KMeans
    from sklearn.linear_model import LogisticRegression

    seen = features(images)
    modes = max(1, min(MODES, len(seen) // IMAGES_PER_MODE))
    centres = KMeans(modes, n_init=4, random_state=seed).fit(seen).cluster_centers_
    weights, intercepts = np.zeros((0, seen.shape[1])), np.zeros(0)
    found = np.array([], int) if labels is None else np.unique(labels)
    if labels is not None and len(found) > 1:
        fitted = LogisticRegression(max_iter=1000).fit(seen, labels)
        # A class without images is never predicted. Of two classes only the second has a score.
        weights, intercepts = np.zeros((classes, seen.shape[1])), np.full(classes, -np.inf)
        intercepts[found] = 0.0
        scored = found if len(found) > 2 else found[1:]
        weights[scored], intercepts[scored] = fitted.coef_, fitted.intercept_
    return Reference(*(part.astype(np.float32) for part in (centres, weights, intercepts)))


def save(reference: Reference, path: Path) -> None:
    """Write a reference as an NPZ file."""
    np.savez(path, **reference._asdict())


def load(path: Path) -> Reference:
    """Read a reference that `save` wrote."""
    with remedies.reading(path), np.load(path, allow_pickle=False) as arrays:
        return Reference(**arrays)


def features(images: NDArray[np.uint8]) -> Array:
    """Return images as rows of values from 0 to 1, scaled down to sides of at most 16 pixels."""
    count, height, width, channels = images.shape
    factor = next(f for f in range(-(-height // SIDE), height + 1) if height % f == 0)
    blocks = images.reshape(count, height // factor, factor, width // factor, factor, channels)
    means = blocks.mean(axis=(2, 4), dtype=np.float32) / 255
    return means.reshape(count, -1)


def effective_number(numbers: NDArray[np.int64], number: int) -> float:
    """Return the effective number of the modes or classes of a subset of so many samples."""
    shares = _counts(numbers, number) / number
    logarithms = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return float(np.exp(-(shares * logarithms).sum(axis=1)).mean())


def largest_share(numbers: NDArray[np.int64], number: int) -> float:
    """Return the share of the most frequent mode or class of a subset of so many samples."""
    return float(_counts(numbers, number).max(axis=1).mean() / number)


def _counts(numbers: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    return rarefaction.subsets(np.unique(numbers, return_counts=True)[1], number)
