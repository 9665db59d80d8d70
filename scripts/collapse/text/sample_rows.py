"""The form in which generated samples are stored, one rule for all families of text.

A sample that is a whole text is tokenised like a real one, so that the next model, and every
metric, sees both alike. (Of the samples of a model a few in a hundred have tokens that its
tokenizer would not choose.) Others keep the tokens that the model drew: those without an end, as a
real document that is truncated keeps its own, and those that are no text. A family may refuse both.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from collapse.data.text import tokenizing, tokens
from collapse.data.text.tokenizing import OWN, Head, Special
from collapse.data.text.tokens import Row
from collapse.text.sampling.interface import Sample


class SampleRows:
    """Makes rows of shards from the samples of a model.

    Parameters
    ----------
    tokenizer : path
        Folder of the tokenizer.
    special : Special
        Ids of its special tokens.
    head : callable, optional
        Returns the number of characters of a text before its response (`tokenizing.encode`).
    """

    def __init__(self, tokenizer: Path, special: Special = OWN, head: Head | None = None) -> None:
        self._tokenizer = tokenizing.load(tokenizer)
        self._special, self._head = special, head
        added = self._tokenizer.get_added_tokens_decoder()
        self._markers = {number for number, token in added.items() if token.special} | {*special}

    def text(self, ids: Sequence[int]) -> str:
        """Return the text of tokens; bytes that are no Unicode are replaced by U+FFFD."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=False))

    def of_text(self, ids: Sequence[int]) -> Row | None:
        """Return the row of the tokens of a whole text, or None if they are no text.

        That is so if there are none, special ones, bytes that are no Unicode, or a text that the
        tokenizer would alter.
        """
        text = self.text(ids)
        if not text or "\ufffd" in text or self._markers.intersection(ids):
            return None
        encoded = tokenizing.encode_all(self._tokenizer, [text], self._head)
        (other,) = tokenizing.altered(self._tokenizer, [text], encoded, self._special)
        return Row(encoded[0].ids, text, True, encoded[0].head_tokens) if other is None else None

    def of(self, sample: Sample, longest: int) -> Row:
        """Return the row of a sample: tokenised again if it is a whole text, of so many tokens."""
        ids = sample.tokens.tolist()
        row = self.of_text(ids) if sample.ended else None
        if row is None or len(row.tokens) > longest:
            return Row(ids, self.text(ids), sample.ended)
        return row

    def of_continuation(
        self, sample: Sample, prompt: Sequence[int], longest: int, *, kept: bool
    ) -> Row:
        """Return the row of a sample that begins with a prompt, which is ``kept`` or left out.

        What follows the prompt is tokenised again if it is a whole text; the prompt has the tokens
        that it was given.
        """
        own = Sample(sample.tokens[len(prompt) :], sample.ended)
        row = self.of(own, longest - len(prompt) if kept else longest)
        if kept:
            ids = [*prompt, *row.tokens]
            row = Row(ids, self.text(ids), row.ended)
        return row._replace(prompt=prompt)

    def write(self, rows: Sequence[Row], output: Path, *, prompts: bool = False) -> None:
        """Write rows to a shard; with ``prompts``, those that rows continue, too."""
        vocabulary = tokenizing.vocabulary_of(self._tokenizer)
        layout = tokens.schema(vocabulary, head=self._head is not None, prompt=prompts)
        tokens.write_rows(output, rows, layout)
