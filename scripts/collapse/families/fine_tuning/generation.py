"""Decide which generated samples are well-formed prompt-response pairs, and write them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from collapse.data.text import pairs
from collapse.data.text.tokenizing import OWN, Special
from collapse.data.text.tokens import Row
from collapse.families.fine_tuning.parameters import Parameters
from collapse.text.sample_rows import SampleRows
from collapse.text.sampling import Sample


class Writer:
    """A writer accepts or refuses samples, counts the refused ones, and writes the others.

    A pair has an end, so it is stored as text and tokenised like a real one
    (`collapse.text.sample_rows`).

    Attributes
    ----------
    refused : dict of str to int
        Number of refused samples by reason: ``truncated``, ``malformed`` (no prompt and response,
        or no text at all), or too ``long`` when tokenised again.
    """

    def __init__(self, tokenizer: Path, parameters: Parameters, special: Special = OWN) -> None:
        self._rows = SampleRows(tokenizer, special, pairs.head)
        self._longest = parameters.context - 2  # BOS and EOS
        self._ends = parameters.truncated == "end"
        self._drops_later = parameters.long_samples == "drop"
        self._refused = Counter[str]()

    @property
    def refused(self) -> dict[str, int]:
        return dict(sorted(self._refused.items()))

    def accepts(self, sample: Sample, head: str = "") -> bool:
        """Tell whether a sample is accepted, and count it if it is refused.

        It is malformed, too, if its text does not begin with that of a given prompt.
        """
        reason = self._reason_against(sample, head)
        if reason is not None:
            self._refused[reason] += 1
        return reason is None

    def _reason_against(self, sample: Sample, head: str) -> str | None:
        if not (sample.ended or self._ends):
            return "truncated"
        row = self._row(sample)
        if row is None or not row.text.startswith(head):
            return "malformed"
        return "long" if len(row.tokens) > self._longest and not self._drops_later else None

    def _row(self, sample: Sample) -> Row | None:
        """Return the row of a pair; a sample that was cut off and may be accepted gets an EOS."""
        ids = sample.tokens[: self._longest].tolist()
        is_pair = pairs.parse(self._rows.text(ids)) is not None
        return self._rows.of_text(ids) if is_pair else None

    def write(self, samples: Sequence[Sample], output: Path) -> None:
        """Write accepted samples to a Parquet file."""
        self._rows.write([row for row in map(self._row, samples) if row is not None], output)
