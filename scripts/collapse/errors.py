"""Failures that a job reports in one line, without a traceback."""


class JobError(ValueError):
    """An error that stops a job; its message names the file or key, what was found and expected."""


class DataError(JobError):
    """Data that can't be used; the message says in one line where, what was found and expected."""


def in_one_line(error: Exception) -> str:
    """Return the message of an error as one line of at most 200 characters."""
    return " ".join(str(error).split())[:200]
