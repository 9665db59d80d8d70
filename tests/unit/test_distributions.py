"""Figures of distributions over seeds: of the fitted variance in one dimension (P2)."""

import numpy as np
from scipy.stats import chi2, kstest

import drawing
import gathering
from collapse.results import distributions


def drawn(tmp_path, monkeypatch, dimensions, seeds=300):
    plan = gathering.study(
        family="gaussian",
        regimes=["replace", "accumulate"],
        iterations=30,
        seeds=seeds,
        samples=[10, 20],
        grid={"dimension": dimensions},
    )
    dataset = gathering.gather(plan)
    found = drawing.kept(monkeypatch)
    distributions.draw(dataset, tmp_path)
    return dataset, found


def test_the_distribution_of_the_fitted_variance_is_drawn(tmp_path, monkeypatch):
    dataset, found = drawn(tmp_path, monkeypatch, [1, 3])
    assert list(found) == ["variance-distribution"]
    panels = np.reshape(found["variance-distribution"].axes, (2, 2))
    for (row, column), axes in np.ndenumerate(panels):
        n, regime = (10, 20)[row], ("replace", "accumulate")[column]
        labels = [line.get_label() for line in axes.lines]
        assert labels[0] == "t = 1" and labels[-1] == "t = 30" and len(labels) == 5
        cell = dataset["trace_ratio"].sel(dimension=1, samples=n, regime=regime)
        for line in axes.lines:
            x, share = line.get_data()
            values = np.sort(cell.sel(iteration=int(line.get_label()[4:])).values)
            assert np.allclose(x[1:], values) and share[-1] == 1
        # n times the maximum-likelihood variance of a first fit is chi-squared.
        assert kstest(n * axes.lines[0].get_xdata()[1:], chi2(n - 1).cdf).pvalue > 1e-4


def test_without_one_dimension_or_with_one_seed_there_is_none(tmp_path, monkeypatch):
    assert not drawn(tmp_path / "wide", monkeypatch, [3])[1]
    assert not drawn(tmp_path / "lone", monkeypatch, [1], seeds=1)[1]
