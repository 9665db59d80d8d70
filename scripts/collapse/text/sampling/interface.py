"""Interface of the backends of text generation: requests, samples, and errors of one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from collapse.errors import JobError

#: Lowest temperature that is accepted, since vLLM raises any lower one to it.
LOWEST_TEMPERATURE = 0.01


class SamplingError(JobError):
    """A request for samples that cannot be met, described in one line."""


@dataclass(frozen=True, eq=False)
class Sample:
    """A generated text.

    Attributes
    ----------
    tokens : ndarray of int32
        Its tokens, including those of its prompt, without BOS and EOS.
    ended : bool
        Whether the model ended it with an EOS; otherwise it was cut off at the limit.
    """

    tokens: NDArray[np.int32]
    ended: bool


@dataclass(frozen=True)
class Decoding:
    """How tokens are drawn from a model.

    Attributes
    ----------
    temperature : float
        Divisor of the logits; 0 takes the most probable token.
    max_tokens : int
        Largest number of tokens of a sample, including its prompt and its EOS but not the BOS.
    begin, end : int
        Token ids of BOS, which precedes every prompt, and of EOS. They may be the same.
    ignore_end : bool
        Whether EOS is a token like any other, so that samples have exactly ``max_tokens``.
    top_k : int or None
        Number of most probable tokens among which one is drawn; None for all.
    top_p : float or None
        Total probability, at the temperature, of the most probable tokens of these among which one
        is drawn; None for 1.
    beams : int or None
        Number of beams of a beam search, by which no token is drawn; None for none. Of what it
        finds it takes the text whose tokens have the highest mean log-probability, of one token at
        least, because an empty one could not be drawn again.

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
    top_k: int | None = None
    top_p: float | None = None
    beams: int | None = None

    @property
    def is_random(self) -> bool:
        """Whether tokens are drawn, so that a sample depends on its seed."""
        return self.temperature > 0 and self.beams is None

    def __post_init__(self) -> None:
        if self.temperature != 0 and not LOWEST_TEMPERATURE <= self.temperature < float("inf"):
            raise SamplingError(
                f"temperature: found {self.temperature}, expected 0 (the most probable token) "
                f"or at least {LOWEST_TEMPERATURE}"
            )
        if self.max_tokens < 1:
            raise SamplingError(f"max_tokens: found {self.max_tokens}, expected at least 1")


class Generator(Protocol):
    """An opened model, which draws samples."""

    def __call__(self, prompts: Sequence[Sequence[int]], seeds: Sequence[int]) -> list[Sample]:
        """Draw a sample for each prompt.

        Parameters
        ----------
        prompts : sequence of sequence of int
            Tokens that each sample begins with, after the BOS; mostly none.
        seeds : sequence of int
            A seed of at least 0 for each sample. vLLM uses only the lower 32 bits (see `opened`).

        Returns
        -------
        list of Sample
            The samples, in the order of the prompts.
        """


class Backend(Protocol):
    """A model that a backend has opened."""

    def __call__(
        self,
        prompts: Sequence[Sequence[int]],
        seeds: Sequence[int],
        drawn: Callable[[int], None] = ...,
    ) -> list[Sample]:
        """Draw samples as a `Generator` does, and call ``drawn`` with the number of new ones."""


def unnoticed(count: int) -> None:
    """Take no notice of samples that are drawn."""


@contextmanager
def one_line(what: str) -> Iterator[None]:
    """Turn any error of a library into one of one line, to which the former stays chained."""
    try:
        yield
    except SamplingError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines()
        raise SamplingError(
            f"{what}: {type(error).__name__}: {lines[0] if lines else ''}"
        ) from error
