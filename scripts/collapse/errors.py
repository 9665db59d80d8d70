"""Failures that a job reports in one line, without a traceback."""


class JobError(ValueError):
    """What stops a job, told to the person who runs it: file or key, found, expected."""


class DataError(JobError):
    """Data that can't be used, in one line: where, what was found, what was expected."""


def in_one_line(error: Exception) -> str:
    """Return the message of an error, however many lines a library wrote, in 200 characters."""
    return " ".join(str(error).split())[:200]
