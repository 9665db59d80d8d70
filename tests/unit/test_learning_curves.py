"""Figures of learning curves: one a point, with a panel a regime and a line an iteration."""

import json
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest

from collapse.plotting import style
from collapse.plotting.portraits import Record
from collapse.results import learning_curves


@pytest.fixture
def record(tmp_path):
    def write(point, regime, iteration, curve):
        path = tmp_path / f"{point}-{regime}-{iteration}.json"
        path.write_text(json.dumps({"steps": 20} if curve is None else {"curve": curve}))
        return Record(point, regime, iteration, str(path))

    return write


def curve(scale=1.0, test=True):
    return [
        {
            "step": step,
            "train_loss": scale * 3 / step,
            "test_loss": scale * 4 / step if test else None,
            "learning_rate": 1e-3,
        }
        for step in (5, 10, 20)
    ]


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Draw, and return the drawings by name, besides what was written."""
    pages = {}
    save = style.save

    def keep(drawing, path):
        lines = {
            axes.get_title() or f"below {i}": [
                (line.get_label(), *map(np.asarray, line.get_data())) for line in axes.lines
            ]
            for i, axes in enumerate(drawing.axes)
        }
        pages[path.name] = {
            "lines": lines,
            "scales": {axes.get_yscale() for axes in drawing.axes},
            "legend": [text.get_text() for text in drawing.legends[0].get_texts()],
        }
        save(drawing, path)

    monkeypatch.setattr(style, "save", keep)

    def draw(records):
        directory = tmp_path / "figures"
        directory.mkdir(exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            written = learning_curves.draw(records, directory)
        return written, sorted(path.name for path in directory.iterdir()), pages

    yield draw
    assert not plt.get_fignums()


def test_a_figure_for_each_point_as_picture_and_as_vectors(record, drawn):
    records = [
        record(point, regime, t, curve())
        for point in ("samples=10", "samples=20")
        for regime in ("replace", "accumulate")
        for t in (1, 2)
    ]
    written, files, _ = drawn(records)
    names = [f"learning-curves__samples={n}" for n in (10, 20)]
    assert [path.name for path in written] == names
    assert files == sorted(f"{name}.{kind}" for name in names for kind in ("png", "svg"))


def test_panels_are_regimes_and_lines_are_iterations(record, drawn):
    records = [
        record("p", regime, t, curve(scale=t + (regime == "replace")))
        for regime in ("replace", "accumulate")
        for t in (2, 1, 3)
    ]
    _, _, pages = drawn(records)
    page = pages["learning-curves__p"]
    assert page["legend"] == ["t = 1", "t = 2", "t = 3"]
    assert page["scales"] == {"log"}
    assert set(page["lines"]) == {"replace", "accumulate", "below 2", "below 3"}
    for regime, extra in (("replace", 1), ("accumulate", 0)):
        lines = page["lines"][regime]
        assert [label for label, *_ in lines] == ["t = 1", "t = 2", "t = 3"]
        for t, (_, steps, losses) in enumerate(lines, start=1):
            assert steps.tolist() == [5, 10, 20]
            np.testing.assert_allclose(losses, (t + extra) * 3 / steps)
    for _, steps, losses in page["lines"]["below 3"][:1]:
        np.testing.assert_allclose(losses, 4 / steps)


def test_records_without_a_curve_are_left_out(record, drawn):
    records = [
        record("one", "replace", 1, curve()),
        record("one", "replace", 2, None),
        record("one", "accumulate", 1, []),
        record("two", "replace", 1, None),
    ]
    written, _, pages = drawn(records)
    assert [path.name for path in written] == ["learning-curves__one"]
    assert [label for label, *_ in pages["learning-curves__one"]["lines"]["replace"]] == ["t = 1"]
    assert "accumulate" not in pages["learning-curves__one"]["lines"]


def test_families_that_have_no_curves_have_no_figures(record, drawn):
    assert drawn([record("p", "replace", t, None) for t in (1, 2)])[:2] == ([], [])
    assert drawn([])[:2] == ([], [])


def test_losses_that_were_never_computed_leave_their_panel_empty(record, drawn):
    written, _, pages = drawn([record("p", "replace", 1, curve(test=False))])
    assert len(written) == 1
    ((_, _, losses),) = pages["learning-curves__p"]["lines"]["below 1"]
    assert np.isnan(losses).all()
