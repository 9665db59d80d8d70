"""The distribution of the first tokens of a model's training set, from which samples may begin."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collapse.artifacts import files, remedies

_FILE = "first_tokens.json"


class FirstTokens(NamedTuple):
    """The distribution of the first tokens of a training set."""

    tokens: NDArray[np.int64]
    cumulative: NDArray[np.float64]

    def at(self, uniform: float) -> int:
        """Return the quantile of the distribution at a number in [0, 1)."""
        return int(self.tokens[np.searchsorted(self.cumulative, uniform, side="right")])


def write(tokens: NDArray[Any], bounds: NDArray[np.int64], model: Path) -> None:
    """Write the distribution of the first tokens of documents beside a model.

    Document i is ``tokens[bounds[i]:bounds[i + 1]]``, with its BOS.
    """
    first = tokens[np.minimum(bounds[:-1] + 1, len(tokens) - 1)]
    found, counts = np.unique(first, return_counts=True)
    content = {"tokens": found.tolist(), "counts": counts.tolist()}
    files.write_text(model / _FILE, json.dumps(content) + "\n")


def read(model: Path) -> FirstTokens:
    """Read the distribution of first tokens of the documents that a model was trained on."""
    with remedies.reading(model, f"{_FILE} can't be read"):
        content = json.loads((model / _FILE).read_text(encoding="utf-8"))
        counts = np.array(content["counts"], dtype=np.float64)
        cumulative = np.cumsum(counts) / counts.sum()
        cumulative[-1] = 1.0
        return FirstTokens(np.array(content["tokens"]), cumulative)
