"""Samples that follow a prompt of real tokens: what of them the model wrote, and what compares.

A sample continues the first tokens of a real document (`Prompted`), or is a real prompt with the
model's response (`Answered`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

from collapse.artifacts import columns
from collapse.data.text.tokens import COLUMNS, HEAD, PROMPT
from collapse.text.metrics import Documents, Integers


class Parts(NamedTuple):
    """What metrics see of samples that follow prompts, and of real documents beside them.

    Attributes
    ----------
    own, real_own : Documents
        What follows the prompts, and what follows as much of real documents.
    measured, real_measured : Documents
        Those whose lengths are compared.
    forms : tuple of Documents
        The samples in each form in which a training set may hold them.
    """

    own: Documents
    real_own: Documents
    measured: Documents
    real_measured: Documents
    forms: tuple[Documents, ...]


class Prompted(NamedTuple):
    """How samples continue prompts of ``length`` tokens, which they hold if these are ``kept``.

    Lengths are those of samples as they are trained on.
    """

    length: int
    kept: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a shard that `whole` needs."""
        return (*COLUMNS, PROMPT)

    @property
    def real_columns(self) -> tuple[str, ...]:
        """The columns of real documents that `parts` needs."""
        return ("tokens",)

    def whole(self, samples: pa.Table) -> pa.Table:
        """Return samples with their prompts, whose tokens are those of a document's head."""
        heads = columns.numbers(np.full(len(samples), self.length, dtype=np.int32))
        if not self.kept:
            held = zip(samples[PROMPT].to_pylist(), samples["tokens"].to_pylist(), strict=True)
            joined = pa.array([[*prompt, *own] for prompt, own in held], samples["tokens"].type)
            samples = samples.set_column(samples.column_names.index("tokens"), "tokens", joined)
        return samples.append_column(HEAD, heads)

    def measured(self, samples: pa.Table) -> Documents:
        """Return the documents whose lengths are those of samples."""
        return documents_of(samples)

    def parts(self, samples: pa.Table, real: pa.Table) -> Parts:
        """Return the parts of samples, and of real documents."""
        whole, found = documents_of(self.whole(samples)), documents_of(real)
        own, real_own = (continuations(each, self.length) for each in (whole, found))
        measured = self.measured(samples)
        real_measured = longer_than(found, self.length) if self.kept else real_own
        return Parts(own, real_own, measured, real_measured, (measured, whole, own))


@dataclass(frozen=True)
class Answered:
    """How samples are real prompts with responses, which alone are the model's own text.

    Lengths are those of responses. A sample is a copy of a training sample with the same prompt.
    """

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a shard that `whole` needs."""
        return (*COLUMNS, HEAD)

    @property
    def real_columns(self) -> tuple[str, ...]:
        """The columns of real documents that `parts` needs."""
        return ("tokens", HEAD)

    def whole(self, samples: pa.Table) -> pa.Table:
        """Return samples with their prompts, which they hold."""
        return samples

    def measured(self, samples: pa.Table) -> Documents:
        """Return the documents whose lengths are those of samples."""
        heads = columns.array(samples[HEAD]).astype(np.int64)
        return continuations(documents_of(samples), heads)

    def parts(self, samples: pa.Table, real: pa.Table) -> Parts:
        """Return the parts of samples, and of real documents."""
        own, real_own = self.measured(samples), self.measured(real)
        return Parts(own, real_own, own, real_own, (documents_of(samples),))


#: How samples follow prompts.
Following: TypeAlias = Prompted | Answered


def documents_of(table: pa.Table) -> Documents:
    """Return the documents of a table, which has a column ``tokens``."""
    column = table["tokens"].combine_chunks()
    return Documents(
        columns.array(column.flatten()), columns.array(column.value_lengths()).astype(np.int64)
    )


def continuations(documents: Documents, length: int | Integers) -> Documents:
    """Return what follows the first ``length`` tokens of those documents that have more.

    The length may be one of each document.
    """
    ends = np.cumsum(documents.lengths)
    within = np.arange(len(documents.tokens)) - np.repeat(
        ends - documents.lengths, documents.lengths
    )
    given = np.broadcast_to(length, documents.lengths.shape)
    longer = documents.lengths > given
    return Documents(
        documents.tokens[within >= np.repeat(given, documents.lengths)],
        (documents.lengths - given)[longer],
    )


def longer_than(documents: Documents, length: int) -> Documents:
    """Return the documents that have more than ``length`` tokens."""
    longer = documents.lengths > length
    return Documents(
        documents.tokens[np.repeat(longer, documents.lengths)], documents.lengths[longer]
    )
