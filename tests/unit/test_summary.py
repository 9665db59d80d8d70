"""Verdicts on curves, and the table of the terminal."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from collapse import summary
from collapse.families import Headline

ERROR, VARIANCE = Headline("e", worse="higher"), Headline("v", worse="lower", scale="log")
t = np.arange(1, 101)


@pytest.mark.parametrize(
    ("curve", "headline", "expected"),
    [
        (t * 0.1, ERROR, "degrades"),
        (np.cumsum(1 / t**2), ERROR, "levels off"),
        (1 + 0.1 * np.sin(t), ERROR, "stable"),
        (3 - np.cumsum(1 / t**2), ERROR, "improves"),
        ((1 - 1 / 100) ** t, VARIANCE, "degrades"),
        ((1 - 1 / 10) ** t, VARIANCE, "collapses"),
        (np.cumprod(1 - 1 / (10 * t**2)), VARIANCE, "stable"),
        (np.exp(-2 * np.cumsum(1 / t**2)), VARIANCE, "levels off"),
    ],
)
def test_verdicts(curve, headline, expected):
    assert summary.verdict(curve, headline) == expected


def test_a_regime_is_summarised_over_points_and_seeds():
    values = np.exp(-np.arange(4.0))[None, None, None, :] * np.ones((1, 3, 5, 4))
    dataset = xr.Dataset(
        {"trace_ratio": (("regime", "samples", "seed", "iteration"), values)},
        coords={"regime": ["replace"]},
        attrs={"family": "gaussian"},
    )
    row = summary.summarise("loop", dataset, {"replace": False}).iloc[0]
    assert row["first"] == pytest.approx(1)
    assert row["last"] == pytest.approx(np.exp(-3))
    assert (row["verdict"], row["theory"]) == ("degrades", "DISAGREES")


def test_the_table_is_aligned():
    table = pd.DataFrame({"experiment": ["a", "longer"], "first": [1.0, 123456.789]})
    lines = summary.render(table).splitlines()
    assert lines[0] == "experiment      first"
    assert lines[3] == "longer      1.235e+05"
