"""Figures of learning curves: one a point, with a panel a regime and a line an iteration."""

import json
import warnings

import numpy as np
import pytest

import drawing
from collapse.plotting.portraits import IterationFile
from collapse.results import learning_curves

STEPS = np.array([5, 10, 20])


def curve(scale=1.0, test=True):
    return [
        {
            "step": step,
            "train_loss": scale * 3 / step,
            "test_loss": scale * 4 / step if test else None,
            "learning_rate": 1e-3,
        }
        for step in STEPS.tolist()
    ]


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Draw records of (point, regime, iteration, curve) without a warning."""

    def draw(*records):
        made = []
        for number, (*place, points) in enumerate(records):
            path = tmp_path / f"{number}.json"
            path.write_text(json.dumps({"steps": 20} if points is None else {"curve": points}))
            made.append(IterationFile(*place, str(path)))
        pages = drawing.kept(monkeypatch)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            written = learning_curves.draw(made, tmp_path)
            for page in pages.values():
                page.draw_without_rendering()
        assert [path.name for path in written] == list(pages)
        return pages

    return draw


def lines_of(page):
    """Return the lines of each panel, the upper ones by their titles."""
    return {
        axes.get_title() or f"below {number}": axes.lines for number, axes in enumerate(page.axes)
    }


def labels(lines):
    return [line.get_label() for line in lines]


def test_panels_are_regimes_and_lines_are_iterations(drawn):
    pages = drawn(
        *(
            (point, regime, t, curve(scale=t + (regime == "replace")))
            for point in ("samples=10", "samples=20")
            for regime in ("replace", "accumulate")
            for t in (2, 1, 3)
        )
    )
    assert list(pages) == [f"learning-curves__samples={n}" for n in (10, 20)]
    iterations = ["t = 1", "t = 2", "t = 3"]
    for page in pages.values():
        assert [text.get_text() for text in page.legends[0].get_texts()] == iterations
        assert {axes.get_yscale() for axes in page.axes} == {"log"}
        panels = lines_of(page)
        assert set(panels) == {"replace", "accumulate", "below 2", "below 3"}
        for name, loss, extra in (("replace", 3, 1), ("accumulate", 3, 0), ("below 3", 4, 0)):
            assert labels(panels[name]) == iterations
            for t, line in enumerate(panels[name], start=1):
                np.testing.assert_array_equal(line.get_xdata(), STEPS)
                np.testing.assert_allclose(line.get_ydata(), (t + extra) * loss / STEPS)


def test_records_without_a_curve_are_left_out(drawn):
    pages = drawn(
        ("one", "replace", 1, curve()),
        ("one", "replace", 2, None),
        ("one", "accumulate", 1, []),
        ("two", "replace", 1, None),
    )
    assert list(pages) == ["learning-curves__one"]
    panels = lines_of(pages["learning-curves__one"])
    assert labels(panels["replace"]) == ["t = 1"] and "accumulate" not in panels
    assert not drawn(*(("p", "replace", t, None) for t in (1, 2)))
    assert not drawn()


def test_losses_that_were_never_computed_leave_their_panel_empty(drawn):
    (page,) = drawn(("p", "replace", 1, curve(test=False))).values()
    (line,) = lines_of(page)["below 1"]
    assert np.isnan(line.get_ydata()).all()
