"""The cross-entropies on real validation data that P1 reports in Table 2."""

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
}

TABLE_2 = tuple(
    Published("test_cross_entropy", regime, iteration, value, {**_ALWAYS, **row}, "P1 Table 2")
    for row, values in _ROWS
    for (regime, iteration), value in zip(_COLUMNS, values, strict=True)
    if value is not None
)
