"""Failures that a job reports in one line, without a traceback."""


class OneLineError(ValueError):
    """An error whose message is one line whatever names it quotes.

    Characters that can't be printed, as a line's end in the name of a file, are escaped.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


class JobError(OneLineError):
    """An error that stops a job; its message names the file or key, what was found and expected."""


class DataError(JobError):
    """Data that can't be used; the message says in one line where, what was found and expected."""


def in_one_line(error: Exception) -> str:
    """Return the message of an error as one line of at most 200 characters."""
    return " ".join(str(error).split())[:200]


def printable(text: str) -> str:
    r"""Return a text with what is not printable as Python escapes it: ``\n`` for a line's end."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
