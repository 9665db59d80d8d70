"""Samples that continue a prompt of real tokens, which the sample may hold or leave out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from collapse.artifacts import columns
from collapse.data.text.tokens import HEAD, PROMPT
from collapse.text.metrics import Documents


class Prompted(NamedTuple):
    """How samples continue prompts of ``length`` tokens, which they hold if these are ``kept``."""

    length: int
    kept: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a shard that `whole` needs."""
        return ("tokens", "text", "ended", PROMPT)

    def whole(self, samples: pa.Table) -> pa.Table:
        """Return samples with their prompts, whose tokens are those of a document's head."""
        heads = columns.numbers(np.full(len(samples), self.length, dtype=np.int32))
        if not self.kept:
            held = zip(samples[PROMPT].to_pylist(), samples["tokens"].to_pylist(), strict=True)
            joined = pa.array([[*prompt, *own] for prompt, own in held], samples["tokens"].type)
            samples = samples.set_column(samples.column_names.index("tokens"), "tokens", joined)
        return samples.append_column(HEAD, heads)


def continuations(documents: Documents, length: int) -> Documents:
    """Return what follows the first ``length`` tokens of those documents that have more."""
    ends = np.cumsum(documents.lengths)
    within = np.arange(len(documents.tokens)) - np.repeat(
        ends - documents.lengths, documents.lengths
    )
    longer = documents.lengths > length
    return Documents(documents.tokens[within >= length], documents.lengths[longer] - length)


def longer_than(documents: Documents, length: int) -> Documents:
    """Return the documents that have more than ``length`` tokens."""
    longer = documents.lengths > length
    return Documents(
        documents.tokens[np.repeat(longer, documents.lengths)], documents.lengths[longer]
    )
