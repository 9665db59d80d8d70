"""The data sets: real features with labels 0 and 1, as scikit-learn ships them.

They are split as in the published logs of Dey & Donoho (2024, arXiv 2410.22812): by
`train_test_split` with a test share of 0.3 and the random state 123456. Importing scikit-learn
takes seconds, so it is imported only where a chain begins.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Number of training rows of each data set.
TRAINING_ROWS = {"diabetes": 309, "breast_cancer": 398}
#: The label of a row of the diabetes data is 1 where the progression of the disease is above this.
PROGRESSION = 100


class Dataset(NamedTuple):
    """Rows (n, p) and labels (n,) for training, and rows (m, p) and labels (m,) for tests.

    The first column is one, the others are features.
    """

    rows: Array
    labels: Array
    test_rows: Array
    test_labels: Array


@functools.cache
def load(name: str) -> Dataset:
    """Return a data set by its name, with training features of mean 0 and variance 1."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    features, target = getattr(datasets, f"load_{name}")(return_X_y=True)
    labels = (target > PROGRESSION if name == "diabetes" else target).astype(np.float64)
    rows, test_rows, labels, test_labels = train_test_split(
        features, labels, test_size=0.3, random_state=123456
    )
    mean, scale = rows.mean(axis=0), rows.std(axis=0)
    return Dataset(
        with_intercept((rows - mean) / scale),
        labels,
        with_intercept((test_rows - mean) / scale),
        test_labels,
    )


def with_intercept(features: Array) -> Array:
    """Put a column of ones before the features, of shape (..., n, d)."""
    ones = np.ones((*features.shape[:-1], 1))
    return np.concatenate((ones, features), axis=-1)
