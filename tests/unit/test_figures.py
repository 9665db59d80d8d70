"""Figures hold what they say: one line per curve, its band, and theory over it."""

from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot

import drawing
import gathering
from collapse.families import gaussian, linear_regression
from collapse.families.declarations import Figure, Published
from collapse.plotting import style
from collapse.results import regime_figures
from collapse.results.curves import Chains
from collapse.study.published_values import PublishedValue


@pytest.fixture(scope="module")
def loop():
    plan = gathering.study(
        family="linear_regression",
        regimes=["replace", "accumulate"],
        iterations=4,
        seeds=6,
        samples=[12, 20],
        grid={"dimension": [2, 3], "noise_variance": [0.1, 1.0]},
    )
    return plan, gathering.gather(plan)


@pytest.fixture(scope="module")
def drawn(loop, tmp_path_factory):
    plan, dataset = loop
    written = regime_figures.draw(
        dataset, list(plan.chains("loop")), tmp_path_factory.mktemp("figures")
    )
    return dataset, written


def test_axes_without_a_place_give_pages(drawn):
    _, written = drawn
    assert {path.name for path in written} == {
        f"test-error{log}__noise_variance={noise}" for log in ("", "-log") for noise in (0.1, 1.0)
    }
    for path in written:
        for kind in ("png", "svg"):
            assert path.with_name(f"{path.name}.{kind}").stat().st_size > 10_000
    assert not pyplot.get_fignums()


def test_a_figure_names_its_regimes_axes_and_theory(drawn):
    _, written = drawn
    svg = written[0].with_name(f"{written[0].name}.svg").read_text()
    for text in ("replace", "accumulate", "samples = 12", "dimension = 3", "theory", "iteration"):
        assert f">{text}" in svg or text in svg
    assert "expected squared error" in " ".join(svg.split())
    source = "docs/theory/linear_regression.md, eq.\N{NO-BREAK SPACE}(7)"
    assert f"theory of replace, accumulate: {source}<" in svg


def test_the_band_of_a_mean_covers_it_nineteen_times_in_twenty():
    values = np.random.default_rng(0).exponential(size=(100, 2000))
    centre, low, high = style.band(values, "mean")
    np.testing.assert_allclose(centre, values.mean(axis=0))
    assert np.mean((low < 1) & (high > 1)) == pytest.approx(0.94, abs=0.02)
    assert (low > 0).all(), "it can be drawn on a log axis"


def test_bands_leave_out_missing_seeds_and_end_at_infinity():
    values = np.array([[1.0, np.nan, 2.0], [3.0, np.nan, np.inf], [5.0, 4.0, 2.0]])
    centre, low, _ = style.band(values, "mean")
    np.testing.assert_array_equal(centre, [3, 4, np.inf])
    assert np.isnan(low[2])
    centre, low, high = style.band(values[:, :1], "median")
    np.testing.assert_allclose([low[0], centre[0], high[0]], [2, 3, 4])


@pytest.mark.parametrize(("kept", "shape"), [(9, (3, 3)), (7, (2, 4)), (4, (1, 4))])
def test_many_regimes_go_on_in_further_rows(kept, shape, tmp_path, monkeypatch):
    own = {"window": {"keep_real": False, "memory": [*range(2, 2 + kept)]}}
    plan = gathering.study(own, regimes=["window"], samples=8)
    dataset = gathering.filled(plan, *gaussian.FAMILY.metrics)
    for variable in dataset.variables.values():
        variable.attrs |= {"long_name": "name", "units": "1"}
    dataset["trace_ratio"].attrs["comment"] = "What one must know to read it."
    monkeypatch.setattr(
        gaussian, "FAMILY", replace(gaussian.FAMILY, figures=[Figure("f", "trace_ratio", None)])
    )
    drawings = drawing.kept(monkeypatch)
    regime_figures.draw(dataset, list(plan.chains("loop")), tmp_path)
    (page,) = drawings.values()
    visible = [axes for axes in page.axes if axes.get_visible()]
    assert [axes.get_title() for axes in visible] == [
        f"window\nmemory={2 + i}" for i in range(kept)
    ]
    assert visible[0].get_subplotspec().get_gridspec().get_geometry() == shape
    assert len({axes.get_ylim() for axes in visible}) == 1
    width, height = page.get_size_inches()
    assert width < 12 and height < 8
    assert "What one must know" in page.get_supxlabel()


def test_a_reference_is_a_curve_where_it_depends_on_the_iteration(tmp_path, monkeypatch):
    plan = gathering.study(regimes=["replace"], iterations=3, samples=8)
    dataset = gathering.filled(plan, *gaussian.FAMILY.metrics)
    for variable in dataset.variables.values():
        variable.attrs |= {"long_name": "name", "units": "1"}
    dataset["squared_error_of_mean"] = dataset["trace_ratio"] * np.array([1.0, 2.0, np.nan])
    dataset["squared_error_of_mean"].attrs = {"long_name": "of perfect samples", "units": "1"}
    figure = Figure("f", "trace_ratio", None, reference="squared_error_of_mean")
    found = []
    for values in (dataset, dataset * np.nan):
        values.attrs = dataset.attrs
        for name, variable in values.variables.items():
            variable.attrs = dataset[name].attrs
        values["trace_ratio"] = dataset["trace_ratio"]
        monkeypatch.setattr(gaussian, "FAMILY", replace(gaussian.FAMILY, figures=[figure]))
        drawings = drawing.kept(monkeypatch)
        regime_figures.draw(values, list(plan.chains("loop")), tmp_path)
        (axes,) = drawings["f"].axes
        found.append([line.get_ydata() for line in axes.lines if line.get_linestyle() == "-."])
        assert ("of perfect samples" in legend(axes)) == bool(found[-1])
    np.testing.assert_array_equal(found[0], [[7, 14, np.nan]])
    assert not found[1], "it is not drawn where it is not known"


@pytest.fixture
def panels(loop, tmp_path, monkeypatch):
    """Draw with published values; return, by figure, the panels by dimension and regime."""

    def panels(*published, own=()):
        family = replace(linear_regression.FAMILY, published=published)
        monkeypatch.setattr(linear_regression, "FAMILY", family)
        drawings = drawing.kept(monkeypatch)
        plan, dataset = loop
        regime_figures.draw(dataset, list(plan.chains("loop")), tmp_path, own)
        places = [(d, regime) for d in (2, 3) for regime in ("replace", "accumulate")]
        return {name: dict(zip(places, one.axes, strict=True)) for name, one in drawings.items()}

    return panels


def markers(axes):
    """Open markers of a panel: their colour and place."""
    return {
        (matplotlib.colors.to_hex(line.get_color()), *line.get_xydata()[0])
        for line in axes.lines
        if line.get_marker() == "o"
    }


def legend(axes):
    (legend,) = axes.get_figure().legends
    return [text.get_text() for text in legend.get_texts()]


def test_published_values_are_marked_where_their_conditions_are_met(panels):
    small = {"dimension": 2, "noise_variance": 0.1, "samples": (12, 13)}
    found = panels(
        Published("test_error", "replace", 4, 0.5, small, "made up"),
        Published("test_error", None, 1, 0.2, small, "made up"),
        Published("test_error", "replace", 5, 0.9, small, "beyond the last iteration"),
        Published("distinct_rows", "replace", 4, 0.9, small, "another metric"),
        Published("test_error", "replace", 3, 0.9, {**small, "samples": 13}, "other samples"),
    )
    colour = matplotlib.colors.to_hex(style.colours_of([12, 20])[12])
    page = found["test-error__noise_variance=0.1"]
    assert markers(page[2, "replace"]) == {(colour, 4, 0.5), (colour, 1, 0.2)}
    assert markers(page[2, "accumulate"]) == {(colour, 1, 0.2)}
    assert not markers(page[3, "replace"])
    assert "published" in legend(page[2, "replace"])
    elsewhere = found["test-error__noise_variance=1.0"]
    assert not any(markers(axes) for axes in elsewhere.values())
    assert "published" not in legend(elsewhere[2, "replace"])


def test_means_that_a_study_has_are_marked_in_place_of_those_of_the_family(panels):
    def own(value, statistic="mean", regime="replace", iteration="4", experiment="loop"):
        return PublishedValue(
            experiment=experiment, regime=regime, point="samples=12;dimension=2;noise_variance=0.1",
            iteration=iteration, metric="test_error", statistic=statistic, value=value,
            tolerance=0, repetitions=None, read="text", source="made up",
        )  # fmt: skip

    found = panels(
        Published("test_error", None, 4, 0.5, {}, "of the family"),
        Published("test_error", None, 1, 0.2, {}, "of the family"),
        own=[
            own(0.7),
            own(0.8),
            own(0.9, "median"),
            own(0.9, "upper"),
            own(0.9, "ratio", iteration="1:4"),
            own(0.6, regime=""),
            own(0.9, experiment="another"),
        ],
    )
    page = found["test-error__noise_variance=0.1"]
    small, large = map(matplotlib.colors.to_hex, style.colours_of([12, 20]).values())
    of_family = {(large, 4, 0.5), (large, 1, 0.2)}
    assert markers(page[2, "replace"]) == of_family | {
        (small, 1, 0.2), (small, 4, 0.6), (small, 4, 0.7), (small, 4, 0.8)
    }  # fmt: skip
    assert markers(page[2, "accumulate"]) == of_family | {(small, 1, 0.2), (small, 4, 0.6)}
    assert (small, 4, 0.5) in markers(page[3, "replace"])


def test_bounds_are_drawn_as_a_band_with_both_ends(tmp_path):
    plan = gathering.study(
        family="discrete",
        regimes=["replace", "accumulate"],
        iterations=4,
        seeds=3,
        samples=[10, 20],
        grid={"outcomes": 30, "zipf_exponent": 1.0},
    )
    dataset = gathering.gather(plan)
    page = dataset.isel(zipf_exponent=[0])
    figure = Figure("support", "support", rows="outcomes")
    chains = Chains(dataset, list(plan.chains("loop")))
    drawing = regime_figures._page(page, figure, chains)
    bounded, exact = drawing.axes[:2]
    lines = [line.get_ydata() for line in bounded.lines if str(line.get_color()) == "black"]
    assert len(lines) == 4 and np.all(lines[0] < lines[1]) and np.all(lines[2] < lines[3])
    assert len(bounded.collections) == 4 and len(exact.collections) == 2
    assert len([line for line in exact.lines if str(line.get_color()) == "black"]) == 2
    said = {text.get_text() for text in drawing.legends[0].get_texts()}
    assert {"theory", "bounds"} <= said
    pyplot.close(drawing)
