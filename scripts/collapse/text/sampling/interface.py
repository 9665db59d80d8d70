"""What the backends of text generation share: requests, samples, and errors of one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from collapse.errors import JobError

#: vLLM raises any lower temperature to this one, so none lower is accepted.
LOWEST_TEMPERATURE = 0.01


class SamplingError(JobError):
    """A request for samples that cannot be met, described in one line."""


@dataclass(frozen=True, eq=False)
class Sample:
    """A generated text.

    Attributes
    ----------
    tokens : ndarray of int32
        Its tokens, those of its prompt first; without the BOS before and the EOS after them.
    ended : bool
        Whether the model ended it with an EOS. If not, it was cut off at the limit.
    """

    tokens: NDArray[np.int32]
    ended: bool


@dataclass(frozen=True)
class Decoding:
    """How tokens are drawn from a model.

    Attributes
    ----------
    temperature : float
        Divides the logits; 0 takes the most probable token.
    max_tokens : int
        Most tokens of a sample: its prompt and its EOS count, the BOS before it doesn't.
    begin, end : int
        Token ids of BOS, put before every prompt, and of EOS. They may be the same.
    ignore_end : bool
        Draw samples of exactly ``max_tokens``: an EOS is a token like any other.

    Raises
    ------
    SamplingError
        If the temperature is negative or between 0 and 0.01, or there are no tokens to draw.
    """

    temperature: float
    max_tokens: int
    begin: int
    end: int
    ignore_end: bool = False

    def __post_init__(self) -> None:
        if self.temperature != 0 and not LOWEST_TEMPERATURE <= self.temperature < float("inf"):
            raise SamplingError(
                f"temperature: found {self.temperature}, expected 0 (the most probable token) "
                f"or at least {LOWEST_TEMPERATURE}"
            )
        if self.max_tokens < 1:
            raise SamplingError(f"max_tokens: found {self.max_tokens}, expected at least 1")


class Generator(Protocol):
    """An opened model."""

    def __call__(self, prompts: Sequence[Sequence[int]], seeds: Sequence[int]) -> list[Sample]:
        """Draw a sample for each prompt.

        Parameters
        ----------
        prompts : sequence of sequence of int
            The tokens each sample begins with, after the BOS; mostly none.
        seeds : sequence of int
            One per sample, at least 0. vLLM uses the lower 32 bits alone (see `opened`).

        Returns
        -------
        list of Sample
            In the order of the prompts.
        """


@contextmanager
def one_line(what: str) -> Iterator[None]:
    """Turn whatever a library raises into one line; the rest stays chained to it."""
    try:
        yield
    except SamplingError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines()
        raise SamplingError(
            f"{what}: {type(error).__name__}: {lines[0] if lines else ''}"
        ) from error
