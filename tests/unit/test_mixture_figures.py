"""Figures of mixtures hold their values, in the right cells, and say what they show."""

import json
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot

import gathering
from collapse import study
from collapse.families import gaussian, linear_regression
from collapse.results import figures, gather, mixture_figures, mixture_heat_maps
from collapse.results import mixtures as worth
from collapse.study import mixtures
from drawing import kept

REGIMES = {
    "mixture": {"keep_real": [4, 8, 16], "memory": 1, "generate": [0, 4, 8, 12]},
    "only": {"keep_real": 0, "memory": 1, "generate": [4, 8, 12]},
}
ERROR = gaussian.FAMILY.mixture_headline
KINDS = ("heat-map", "by-real", "by-synthetic", "by-proportion")


@pytest.fixture(scope="module")
def loop():
    given = {"regimes": ["replace", "mixture", "only"], "samples": 16, "seeds": 5}
    plan = gathering.study(REGIMES, **given, grid={"dimension": [2]})
    return plan, gathering.gather(plan)


@pytest.fixture(scope="module")
def drawings(loop, tmp_path_factory):
    """Drawings by name, and the values that they show."""
    plan, dataset = loop
    grids = mixtures.grids(plan.chains("loop"))
    values = worth.last_values(dataset, grids[0], "squared_error_of_mean")
    with pytest.MonkeyPatch.context() as patch:
        found = kept(patch)
        mixture_figures.draw(dataset, grids, tmp_path_factory.mktemp("drawn"))
    return found, values


def texts(drawing):
    return {each.get_text() for each in drawing.findobj(matplotlib.text.Text)}


def test_every_metric_has_its_figures(drawings):
    found, _ = drawings
    names = [figure.name for figure in gaussian.FAMILY.figures]
    assert set(found) == {f"{name}-{kind}" for name in names for kind in KINDS}


def test_a_metric_is_drawn_once_on_a_log_axis_if_the_family_ever_does():
    metrics = {name: (("iteration",), [0.0]) for name in linear_regression.FAMILY.metrics}
    dataset = xr.Dataset(metrics, attrs={"family": "linear_regression"})
    (figure, *others) = mixture_figures._figures(dataset)
    assert (figure.name, figure.yscale) == ("test-error", "log")
    assert all(other.metric != figure.metric for other in others)


def test_cells_hold_means_and_differences(drawings):
    found, values = drawings
    drawing = found["squared-error-of-mean-heat-map"]
    above, below = drawing.axes[:2]
    assert [label.get_text() for label in above.get_yticklabels()] == ["0", "4", "8", "16"]
    assert [label.get_text() for label in below.get_xticklabels()] == ["0", "4", "8", "12"]
    cells = above.images[0].get_array()
    assert cells.mask.sum() == 1 and cells.mask[0, 0], "nothing is trained on nothing"
    assert cells[2, 3] == pytest.approx(values[8, 12].mean())
    written = {each.get_position(): each.get_text() for each in above.texts}
    assert float(written[3, 2]) == pytest.approx(values[8, 12].mean(), abs=0.01)
    assert len(written) == 15
    differences = {each.get_position(): float(each.get_text()) for each in below.texts}
    assert set(differences) == {(column, row) for column in (1, 2, 3) for row in (1, 2, 3)}
    expected = (values[16, 4] - values[16, 0]).mean()
    assert differences[1, 3] == pytest.approx(expected, abs=0.01)
    shown = texts(drawing)
    assert {"better", "undecided", "worse"} <= shown
    assert "real samples in the training set" in shown
    assert any("lower is better" in " ".join(text.split()) for text in shown)
    other = texts(found["trace-ratio-heat-map"])
    assert {"lower", "undecided", "higher"} <= other, "only of the headline is the better known"


def test_the_best_of_every_row_is_boxed(drawings):
    found, values = drawings
    boxes = {(box.get_x() + 0.5, box.get_y() + 0.5) for box in
             found["squared-error-of-mean-heat-map"].axes[0].patches}  # fmt: skip
    best = set()
    for row, real in enumerate((0, 4, 8, 16)):
        means = {m.synthetic: each.mean() for m, each in values.items() if m.real == real}
        best.add(((0, 4, 8, 12).index(min(means, key=means.get)), row))
    assert boxes == best
    assert not found["trace-ratio-heat-map"].axes[0].patches


@pytest.mark.parametrize(
    ("difference", "colour"), [(-1.0, "better"), (1.0, "worse"), (0.0, "undecided")]
)
@pytest.mark.parametrize("worse", ["higher", "lower"])
def test_decided_differences_are_coloured(difference, colour, worse):
    values = {}
    for real in (4, 8):
        values[mixtures.Mixture(real, 0)] = np.array([1.0, 2.0, 3.0])
        values[mixtures.Mixture(real, 4)] = np.array([1.01, 2.0, 2.99]) + difference
    headline = ERROR._replace(worse=worse)
    if worse == "lower":
        colour = {"better": "worse", "worse": "better"}.get(colour, colour)
    drawing = mixture_heat_maps.draw(values, gaussian.FAMILY.figures[0], headline, "error")
    image = drawing.axes[1].images[0]
    (legend,) = drawing.legends
    named = {
        text.get_text(): patch.get_facecolor()
        for text, patch in zip(legend.get_texts(), legend.get_patches(), strict=True)
    }
    np.testing.assert_allclose(image.to_rgba(image.get_array()[0, 1]), named[colour])
    pyplot.close(drawing)


def test_infinite_values_leave_their_cells_empty():
    """A singular covariance, a top-hat kernel: none of the real samples alone has a mean."""
    values = {}
    for real in (4, 8):
        values[mixtures.Mixture(real, 0)] = np.array([np.inf, np.inf, 1.0])
        values[mixtures.Mixture(real, 4)] = np.array([1.0, 2.0, 3.0]) * real
    drawn = dict(mixture_figures._drawings(values, gaussian.FAMILY.figures[0], ERROR, "error"))
    for drawing in drawn.values():
        drawing.draw_without_rendering()
        pyplot.close(drawing)
    above, below = drawn["heat-map"].axes[:2]
    assert {each.get_text() for each in above.texts} == {"8.00", "16.00"}
    assert not below.texts
    assert [box.get_x() for box in above.patches] == [0.5, 0.5]


def curves(drawing):
    """Curves of a figure by their labels."""
    return {line.get_label(): line.get_xydata() for line in drawing.axes[0].lines}


def test_curves_run_over_one_count_and_are_named_by_the_other(drawings):
    found, values = drawings
    by_real = curves(found["squared-error-of-mean-by-real"])
    assert list(by_real) == ["0 (none)", "4", "8", "12"]
    assert list(by_real["0 (none)"][:, 0]) == [4, 8, 16]
    expected = [values[real, 12].mean() for real in (0, 4, 8, 16)]
    np.testing.assert_allclose(by_real["12"][:, 1], expected)
    by_synthetic = curves(found["squared-error-of-mean-by-synthetic"])
    assert list(by_synthetic) == ["0 (none)", "4", "8", "16"]
    expected = [values[16, synthetic].mean() for synthetic in (0, 4, 8, 12)]
    np.testing.assert_allclose(by_synthetic["16"][:, 1], expected)
    shown = texts(found["squared-error-of-mean-by-synthetic"])
    assert {"real samples", "synthetic samples in the training set"} <= shown
    assert len(found["squared-error-of-mean-by-real"].axes[0].collections) == 4, "bands"


def test_proportions_are_compared_at_totals_that_several_mixtures_have(drawings):
    found, values = drawings
    by_proportion = curves(found["squared-error-of-mean-by-proportion"])
    # 4 and 20 are totals of two mixtures only.
    assert {name: len(curve) for name, curve in by_proportion.items()} == {"8": 3, "12": 3, "16": 3}
    np.testing.assert_allclose(by_proportion["8"][:, 0], [0, 0.5, 1])
    expected = [values[place].mean() for place in ((0, 8), (4, 4), (8, 0))]
    np.testing.assert_allclose(by_proportion["8"][:, 1], expected)


def test_of_many_totals_those_of_most_mixtures_are_drawn():
    """The published grid: 25 totals occur three times or more, eight of them five."""
    reals = [0, 256, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288]
    more = [16384, 24576, 32768, 49152, 65536, 98304, 131072]
    values = {mixtures.Mixture(real, added): None for real in reals for added in reals + more}
    assert len(values) == 228
    expected = [1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288]
    assert mixture_figures._totals(values) == expected


@pytest.fixture
def one_metric(monkeypatch):
    """Draw one of the family's figures, for speed."""
    figures = gaussian.FAMILY.figures[:1]
    monkeypatch.setattr(gaussian, "FAMILY", replace(gaussian.FAMILY, figures=figures))
    return figures[0].name


def test_chains_beside_a_grid_are_drawn_as_ever(loop, one_metric, tmp_path):
    plan, dataset = loop
    (tmp_path / "loop").mkdir()
    gather.write_dataset(tmp_path / "loop" / "metrics.nc", dataset)
    curve = tmp_path / "training.json"
    point = {"step": 1, "train_loss": 1.0, "test_loss": 1.0}
    curve.write_text(json.dumps({"curve": [point]}))
    out = tmp_path / "figures"
    mixed = "mixture__keep_real=4__generate=0"
    figures.write(
        str(tmp_path / "loop" / "metrics.nc"),
        records=[
            ((point, name, 2), str(curve)) for point, name in (("a", "replace"), ("b", mixed))
        ],
        study=study.plain(plan),
        directory=out,
    )
    drawn = {path.stem for path in out.glob("*.svg")}
    assert drawn == {one_metric, "learning-curves__a"} | {f"{one_metric}-{kind}" for kind in KINDS}
    svg = (out / f"{one_metric}.svg").read_text()
    assert ">replace" in svg and "keep_real" not in svg


def test_points_have_figures_of_their_own(one_metric, tmp_path):
    own = {"square": {"keep_real": [4, 8], "memory": 1, "generate": [0, 8]}}
    given = {"samples": 16, "seeds": 1, "grid": {"variance": [1.0, 2.0]}}
    plan = gathering.study(own, regimes=["square"], **given)
    dataset = gathering.gather(plan)
    written = mixture_figures.draw(dataset, mixtures.grids(plan.chains("loop")), tmp_path / "out")
    assert {path.name for path in written} == {
        f"{one_metric}-{kind}__variance={v}" for kind in KINDS[:3] for v in (1.0, 2.0)
    }
    for path in written:
        assert path.with_name(f"{path.name}.png").stat().st_size > 5_000
