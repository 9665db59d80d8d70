"""Decide which generated samples are well-formed prompt-response pairs, and write them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

from collapse.data.text import pairs, tokenizing, tokens
from collapse.families.fine_tuning.parameters import Parameters
from collapse.text.sampling import Sample


class Writer:
    """A writer accepts or refuses samples, counts the refused ones, and writes the others.

    A sample is stored as text and tokenised like a real pair, so the next model sees both alike.

    Attributes
    ----------
    refused : dict of str to int
        Number of refused samples by reason: ``truncated``, ``malformed`` (no prompt and response,
        bytes that are no text, or special tokens), or too ``long`` when tokenised again.
    """

    def __init__(self, tokenizer: Path, parameters: Parameters) -> None:
        self._tokenizer = tokenizing.load(tokenizer)
        added = self._tokenizer.get_added_tokens_decoder()
        self._special = {number for number, token in added.items() if token.special}
        self._longest = parameters.context - 2  # BOS and EOS
        self._ends = parameters.truncated == "end"
        self._drops_later = parameters.long_samples == "drop"
        self._refused = Counter[str]()

    @property
    def refused(self) -> dict[str, int]:
        return dict(sorted(self._refused.items()))

    def accepts(self, sample: Sample) -> bool:
        """Tell whether a sample is accepted, and count it if it is refused."""
        reason = self._reason_against(sample)
        if reason is not None:
            self._refused[reason] += 1
        return reason is None

    def _reason_against(self, sample: Sample) -> str | None:
        if not (sample.ended or self._ends):
            return "truncated"
        text = self._text(sample)
        if self._special.intersection(sample.tokens.tolist()):
            return "malformed"
        if "\ufffd" in text or pairs.parse(text) is None:
            return "malformed"
        encoded = tokenizing.encode(self._tokenizer, text, pairs.head)
        if len(encoded.ids) > self._longest and not self._drops_later:
            return "long"
        return None

    def write(self, samples: Sequence[Sample], output: Path) -> None:
        """Write accepted samples to a Parquet file."""
        texts = [self._text(sample) for sample in samples]
        encoded = [tokenizing.encode(self._tokenizer, text, pairs.head) for text in texts]
        table = pa.table(
            {
                "tokens": [one.ids for one in encoded],
                "text": texts,
                # A sample that was cut off and accepted gets an EOS.
                "ended": [True] * len(samples),
                "head_tokens": [one.head_tokens for one in encoded],
            },
            schema=tokens.schema(tokenizing.vocabulary_of(self._tokenizer), head=True),
        )
        parquet.write_table(table, output, compression="zstd", row_group_size=10_000)

    def _text(self, sample: Sample) -> str:
        ids = sample.tokens[: self._longest].tolist()
        return str(self._tokenizer.decode(ids, skip_special_tokens=False))
