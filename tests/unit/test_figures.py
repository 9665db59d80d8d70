"""Figures hold what they say: one line per curve, its band, and theory over it."""

import numpy as np
import pytest

from collapse import families, figures, results, study


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    plan = study.Study.model_validate(
        {
            "experiments": {
                "loop": {
                    "family": "linear_regression",
                    "regimes": ["replace", "accumulate"],
                    "iterations": 4,
                    "seeds": 6,
                    "samples": [12, 20],
                    "grid": {"dimension": [2, 3], "noise_variance": [0.1, 1.0]},
                }
            }
        }
    )
    from collapse.chain import run_chain

    directory = tmp_path_factory.mktemp("figures")
    experiment, cells = plan.experiments["loop"], []
    for index, spec in enumerate(plan.chains("loop")):
        path = directory / f"{index}.nc"
        results.write_chain(
            path,
            run_chain(spec, experiment.seed_list),
            seeds=experiment.seed_list,
            iterations=spec.evaluated,
            identity={},
        )
        cell = {"regime": spec.regime_name, **spec.parameters, "samples": spec.samples}
        cells.append((cell, path))
    metrics = families.load("linear_regression").METRICS
    described = {name: (m.long_name, m.units) for name, m in metrics.items()}
    described |= {"iteration": ("model-fitting iteration, t", "1")}
    dataset = results.gather(
        cells,
        axes=experiment.all_axes,
        regimes=plan.regimes_of("loop"),
        seeds=experiment.seed_list,
        iterations=experiment.evaluated,
        descriptions=described,
        attributes={"family": "linear_regression"},
    )
    written = figures.draw(dataset, list(plan.chains("loop")), directory / "out")
    return dataset, written


def test_axes_without_a_place_give_pages(drawn):
    _, written = drawn
    assert {path.name for path in written} == {
        f"test-error{log}__noise_variance={noise}" for log in ("", "-log") for noise in (0.1, 1.0)
    }
    for path in written:
        for kind in ("png", "svg"):
            assert path.with_name(f"{path.name}.{kind}").stat().st_size > 10_000


def test_a_figure_names_its_regimes_axes_and_theory(drawn):
    _, written = drawn
    svg = written[0].with_name(f"{written[0].name}.svg").read_text()
    for text in ("replace", "accumulate", "samples = 12", "dimension = 3", "theory", "iteration"):
        assert f">{text}" in svg or text in svg
    assert "expected squared error" in " ".join(svg.split())


def test_the_band_of_a_mean_covers_it_nineteen_times_in_twenty():
    values = np.random.default_rng(0).exponential(size=(100, 2000))
    centre, low, high = figures.band(values, "mean")
    np.testing.assert_allclose(centre, values.mean(axis=0))
    assert np.mean((low < 1) & (high > 1)) == pytest.approx(0.94, abs=0.02)
    assert (low > 0).all(), "it can be drawn on a log axis"


def test_bands_leave_out_missing_seeds_and_end_at_infinity():
    values = np.array([[1.0, np.nan, 2.0], [3.0, np.nan, np.inf], [5.0, 4.0, 2.0]])
    centre, low, _ = figures.band(values, "mean")
    np.testing.assert_array_equal(centre, [3, 4, np.inf])
    assert np.isnan(low[2])
    centre, low, high = figures.band(values[:, :1], "median")
    np.testing.assert_allclose([low[0], centre[0], high[0]], [2, 3, 4])
