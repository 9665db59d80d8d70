"""Progress is shown, kept beside the log, and never in the way of the step that it is of."""

import io
import json
import os

import pytest

from collapse import job, progress
from collapse.progress import Progress, track


class Clock:
    """A clock that moves only when told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "logs" / "train" / "e" / "n=1" / "iter2.log"
    with progress.of_job(path):
        yield path


@pytest.fixture(autouse=True)
def new_process(monkeypatch):
    """Let the test be the first in its process that shows progress."""
    monkeypatch.setattr(progress, "_begun", set())


def run(steps, *, seconds, done=0, total=100, stream=None, closes=False, **options):
    """Do some steps of a training of so many seconds each; return what was printed."""
    clock, stream = Clock(), stream or io.StringIO()
    options = {"clock": clock, "stream": stream, "done": done, "amount": "tokens", **options}
    with Progress("training", total, **options) as shown:
        for _ in range(steps):
            clock.now += seconds
            shown.advance(1, amount=50)
            if shown.due:
                shown.tell(train_loss=2.5, test_loss=None, learning_rate=1e-3)
                if closes:
                    stream.close()
    return "" if stream.closed else stream.getvalue()


def points(log):
    return [json.loads(line) for line in progress.points_of(log).read_text().splitlines()]


def test_a_line_every_half_minute_says_step_loss_speed_and_time_left(log):
    printed = run(20, seconds=5)
    first, *others = printed.splitlines()
    assert first == (
        "train/e/n=1/iter2: training: 6 of 100 steps, train loss 2.5, learning rate 0.001, "
        "0.2 steps/s, 10 tokens/s, 7:50 left"
    )
    assert len(others) == 2  # 100 s
    assert log.read_text() == printed


def test_points_have_what_tools_need(log):
    run(20, seconds=5)
    found = points(log)
    assert [point["step"] for point in found] == list(range(2, 21, 2))
    last = found[-1]
    assert last["of"] == 100 and last["train_loss"] == 2.5 and last["test_loss"] is None
    assert last["steps_per_second"] == pytest.approx(0.2)
    assert last["tokens_per_second"] == pytest.approx(10)
    assert last["seconds_left"] == pytest.approx(400)
    assert last["memory_mib"] > 1 and last["time"].endswith("+00:00")
    assert progress.last_point(log) == last


def test_a_short_step_says_nothing_and_leaves_no_file(log):
    assert run(9, seconds=1) == ""
    assert not progress.points_of(log).exists() and not log.exists()


@pytest.mark.parametrize("torn", ["", '{"step": 9'])
def test_a_resumed_training_continues_its_points_without_doubles(log, monkeypatch, torn):
    run(8, seconds=10)
    with open(progress.points_of(log), "a") as file:
        file.write(torn)
    monkeypatch.setattr(progress, "_begun", set())
    run(4, seconds=10, done=5)
    assert [point["step"] for point in points(log)] == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_a_training_that_starts_afresh_begins_its_points_anew(log, monkeypatch):
    run(8, seconds=10)
    monkeypatch.setattr(progress, "_begun", set())
    run(2, seconds=10)
    assert [point["step"] for point in points(log)] == [1, 2]


def test_parts_of_one_step_share_its_points(log):
    run(2, seconds=10)
    run(2, seconds=10)
    assert [point["step"] for point in points(log)] == [1, 2, 1, 2]


def test_a_terminal_gets_a_bar_with_the_loss(log):
    pytest.importorskip("tqdm")
    terminal = Terminal()
    run(20, seconds=5, stream=terminal)
    shown = terminal.getvalue()
    assert "train/e/iter2: training" in shown and "\n" not in shown.strip()
    assert not log.exists() and len(points(log)) == 10


def test_only_the_first_rank_and_the_outermost_progress_are_shown(log):
    assert run(20, seconds=5, shown=False) == ""
    with Progress("outer", 1):
        assert run(20, seconds=5) == ""
    assert not progress.points_of(log).exists()


def test_what_cannot_be_written_does_not_stop_a_step(tmp_path):
    (tmp_path / "logs").write_text("a file where a folder should be")
    with progress.of_job(tmp_path / "logs" / "iter1.log"):
        for stream in (io.StringIO(), Terminal()):
            run(20, seconds=5, stream=stream)
            run(20, seconds=5, stream=stream, closes=True)
            run(20, seconds=5, stream=stream)


def test_losses_that_are_no_numbers_are_null(log):
    clock = Clock()
    with Progress("training", 10, clock=clock) as shown:
        shown.advance()
        shown.tell(train_loss=float("nan"))
    assert points(log)[0]["train_loss"] is None


def test_track_yields_everything_and_counts_sizes(log, monkeypatch):
    monkeypatch.setattr(progress, "POINTS", 0.0)
    assert list(track(["ab", "c"], "reading", 3, unit="letters", size=len)) == ["ab", "c"]
    assert [(one["step"], one["of"]) for one in points(log)] == [(2, 3), (3, 3)]


def test_the_log_of_a_job_ends_with_its_time_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "POINTS", 0.0)
    monkeypatch.setattr(progress, "LINES", 0.0)
    path = tmp_path / "logs" / "job.log"
    path.parent.mkdir()
    with job.guarded(path):
        list(track("ab", "reading", 2))
        assert path.read_text().count("reading: ") == 2
    assert path.read_text().count("\n") == 1 and "peak memory" in path.read_text()
    assert progress.LOG not in os.environ
    assert len(points(path)) == 2
