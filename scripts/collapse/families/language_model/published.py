"""Published cross-entropies on real validation data: P1 Table 2, and later runs."""

from __future__ import annotations

from typing import Any

from collapse.families.declarations import Published

#: Samples in the paper study: about all of TinyStories, and a fifth of it.
WHOLE, FIFTH = 2_100_000, 420_000

_ROWS: list[tuple[dict[str, Any], tuple[float | None, ...]]] = [
    ({"model": "gpt2-9m"}, (1.82, 1.74, 2.39, 2.91, 2.18)),
    ({"model": "gpt2-9m", "temperature": 0.3}, (1.82, 1.75, 5.82, 9.85, None)),
    ({"model": "gpt2-9m", "samples": FIFTH}, (2.56, 2.28, 3.21, 3.72, 2.91)),
    (
        {"model": "gpt2-9m", "samples": FIFTH, "epochs": 3.0, "first_epochs": (None, 3.0)},
        (1.99, 1.87, 2.62, None, None),
    ),
    ({"model": "llama2-12m"}, (2.06, 1.94, 2.72, None, None)),
    ({"model": "llama2-42m"}, (1.90, 1.76, 2.52, None, None)),
    ({"model": "llama2-126m"}, (1.71, 1.59, 2.23, None, None)),
]
_COLUMNS = (
    (None, 1),
    ("accumulate", 4),
    ("replace", 4),
    ("replace", 10),
    ("replace-multiple", 4),
)
_ALWAYS = {
    "data": "tinystories",
    "temperature": 1.0,
    "samples": WHOLE,
    "epochs": 1.0,
    "first_epochs": (None, 1.0),
    "fixed_length": None,
    "start": ("bos", "first-token"),
}

TABLE_2 = tuple(
    Published("test_cross_entropy", regime, iteration, value, {**_ALWAYS, **row}, "P1 Table 2")
    for row, values in _ROWS
    for (regime, iteration), value in zip(_COLUMNS, values, strict=True)
    if value is not None
)

#: Later runs than those of Table 2: logged values, and values read off plots.
_LATER: list[tuple[str, str, dict[int, float], str]] = [
    (
        "gpt2-9m",
        "replace",
        {1: 1.8149, 2: 2.0721, 3: 2.2052, 4: 2.3035, 5: 2.3944},
        "later run, logged",
    ),
    ("gpt2-9m", "replace", {50: 6.05}, "P2, plot"),
    ("llama2-12m", "replace", {50: 3.7}, "P2, plot"),
    ("llama2-42m", "replace", {50: 3.5}, "P2, plot"),
    ("llama2-12m", "accumulate-subsample", {45: 2.5}, "P2, plot"),
    ("gpt2-9m", "accumulate-subsample", {44: 2.25}, "P2, plot"),
    ("llama2-126m", "accumulate-subsample", {34: 2.05}, "P2, plot"),
    ("llama2-12m", "accumulate", {16: 2.0}, "P2, plot"),
    ("llama2-42m", "accumulate", {13: 1.8}, "P2, plot"),
    ("llama2-126m", "accumulate", {10: 1.65}, "P2, plot"),
]
LATER = tuple(
    Published("test_cross_entropy", regime, iteration, value, {**_ALWAYS, "model": model}, source)
    for model, regime, values, source in _LATER
    for iteration, value in values.items()
)
