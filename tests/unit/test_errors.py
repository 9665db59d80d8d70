"""Messages of errors are one line that can be printed, whatever names they quote."""

import sys
from pathlib import Path

import pytest

from collapse import job
from collapse.errors import DataError, JobError
from collapse.study import StudyError

#: The end of a line, a bell, a colour of the terminal, and a byte that is no UTF-8.
NAME = "a\nb\a\x1b[31m\udcff ü$.txt"
SHOWN = r"a\nb\x07\x1b[31m\udcff ü$.txt"


@pytest.mark.parametrize("kind", [JobError, DataError, StudyError])
def test_what_cannot_be_printed_is_escaped(kind):
    assert str(kind(f"{NAME}: empty")) == f"{SHOWN}: empty"
    assert str(kind("plain: found 'ü', expected \\n")) == "plain: found 'ü', expected \\n"


def test_a_job_ends_in_one_line(at_home, capsys):
    with pytest.raises(SystemExit) as stopped, job.guarded("log"):
        raise JobError(f"{NAME}: empty")
    print(stopped.value.code, file=sys.stderr)
    for line in (capsys.readouterr().err, Path("log").read_text("utf-8")):
        assert line == f"error: {SHOWN}: empty\n"
