"""Shards of tokenised text in Parquet; memory does not grow with a corpus that is written."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from collapse.artifacts import columns as columns_of
from collapse.artifacts import files, shard_rows
from collapse.data.text import tokenizing
from collapse.data.text.tokenizing import OWN, Encoded, Head, Special
from collapse.errors import DataError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

COLUMNS = ("tokens", "text", "ended")
#: A further column in shards of prompts with responses.
HEAD = "head_tokens"
#: A further column in shards of samples that continue prompts: the tokens of the prompt.
PROMPT = "prompt"
#: Number of batches of documents in a row group.
GROUP = 10

LongDocuments = Literal["refuse", "drop", "truncate"]


class Counts(NamedTuple):
    """Number of documents and tokens in a shard, and of documents that were dropped or truncated.

    ``tokens`` excludes BOS and EOS; ``dropped`` documents are too long; ``longest`` is the context
    that the longest document needs, BOS and EOS included, whether it was kept or not. ``altered``
    ones were left out as the tokenizer does not give them back, and ``withheld`` ones because they
    are cut to the same tokens as a test document.
    """

    documents: int
    tokens: int
    dropped: int
    truncated: int
    longest: int
    altered: int = 0
    withheld: int = 0


class Row(NamedTuple):
    """A row of a shard, see `schema`."""

    tokens: list[int]
    text: str
    ended: bool
    head_tokens: int = 0
    prompt: Sequence[int] = ()


def schema(vocabulary: int, *, head: bool = False, prompt: bool = False) -> pa.Schema:
    """Return the schema of all shards of text.

    ``tokens`` are without BOS and EOS; ``ended`` tells whether EOS follows them, as it does in
    a whole document but not in one that was cut off. With ``head``, ``head_tokens`` is the
    number of tokens before the response. With ``prompt``, ``prompt`` are the tokens of the prompt
    that a sample continues, whether ``tokens`` begin with them or not.
    """
    token = pa.uint16() if vocabulary <= 1 << 16 else pa.uint32()
    fields = [("tokens", pa.list_(token)), ("text", pa.string()), ("ended", pa.bool_())]
    fields += [(HEAD, pa.int32())] if head else []
    return pa.schema([*fields, (PROMPT, pa.list_(token))] if prompt else fields)


def write_documents(
    path: Path,
    documents: Iterable[str],
    tokenizer_path: Path,
    *,
    context: int,
    long_documents: LongDocuments,
    special: Special = OWN,
    altered: Literal["refuse", "drop"] = "refuse",
    withheld: Container[bytes] = frozenset(),
    head: Head | None = None,
    remedy: str = "long_documents: drop or truncate",
) -> Counts:
    """Tokenise documents into a shard.

    Parameters
    ----------
    path : Path
        The file, which appears whole or not at all.
    documents : iterable of str
        Texts of the documents.
    tokenizer_path : Path
        Directory of the tokenizer.
    context : int
        Number of tokens that the model sees at once, BOS and EOS included.
    long_documents : {"refuse", "drop", "truncate"}
        What to do with documents that exceed the context. A truncated one fills it and has not
        ended; its text is decoded from its tokens, so its last character may become U+FFFD.
    special : Special
        Ids of the special tokens, which may not be found in a text.
    altered : {"refuse", "drop"}
        What to do with documents that the tokenizer does not give back as they are
        (`tokenizing.altered`).
    withheld : container of bytes
        Fingerprints of truncated documents that are left out (`truncated_forms`).
    head : callable, optional
        Returns the number of characters of a document before its response, whose tokens are
        then counted (`tokenizing.encode`). A truncated document may have no response.
    remedy : str
        Setting that errors recommend for documents that are too long.

    Raises
    ------
    DataError
        If long or altered documents are refused and there are any, or if no document is left.
    """
    tokenizer = tokenizing.load(tokenizer_path)
    layout = schema(tokenizing.vocabulary_of(tokenizer), head=head is not None)
    fitting = _Fitting(tokenizer, context, long_documents == "truncate", special, withheld, head)
    with files.whole(path) as partial, _writer(partial, layout) as writer:
        group: list[pa.Table] = []
        for texts in tokenizing.batched(documents):
            group.append(_table(fitting.rows(texts), layout))
            if len(group) == GROUP:
                writer.write_table(pa.concat_tables(group))
                group.clear()
        if group:
            writer.write_table(pa.concat_tables(group))
        found = fitting.counts()
        count = found.documents + found.dropped + found.altered + found.withheld
        if altered == "refuse" and found.altered:
            raise DataError(
                f"{path}: {found.altered:,} of {count:,} documents are not given back by the "
                f"tokenizer, which makes {fitting.first_altered}; choose a model with another "
                "tokenizer, or set altered_pairs: drop"
            )
        if long_documents == "refuse" and found.dropped:
            raise DataError(
                f"{path}: {found.dropped:,} of {count:,} documents are longer than the "
                f"context of {context:,} tokens, BOS and EOS included; raise context to "
                f"{found.longest:,}, or set {remedy}"
            )
        if not found.documents:
            raise DataError(
                f"{path}: no documents are left, {found.dropped:,} dropped as too long, "
                f"{found.altered:,} altered by the tokenizer, {found.withheld:,} cut to the tokens "
                "of a test document"
            )
    return found


class _Fitting:
    """Fits documents into the context, and counts what becomes of them."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        context: int,
        truncate: bool,
        special: Special,
        withheld: Container[bytes],
        head: Head | None,
    ) -> None:
        self._tokenizer, self._context, self._truncate = tokenizer, context, truncate
        self._special, self._withheld, self._head = special, withheld, head
        self._counts = Counter[str]()
        #: What the first altered document became, and what it was.
        self.first_altered = ""

    def counts(self) -> Counts:
        """Return the numbers of documents and tokens so far."""
        return Counts(*(self._counts[name] for name in Counts._fields))

    def rows(self, texts: list[str]) -> list[Row]:
        """Tokenise texts, and return the rows of those that are kept."""
        encoded = tokenizing.encode_all(self._tokenizer, texts, self._head)
        others = tokenizing.altered(self._tokenizer, texts, encoded, self._special)
        rows = []
        for text, one, other in zip(texts, encoded, others, strict=True):
            self._counts["longest"] = max(self._counts["longest"], len(one.ids) + 2)
            row = self._row(text, one, other)
            if isinstance(row, Row):
                rows.append(row)
                self._counts.update(documents=1, tokens=len(row.tokens), truncated=not row.ended)
            else:
                self._counts[row] += 1
        return rows

    def _row(self, text: str, encoded: Encoded, other: str | None) -> Row | str:
        """Return the row of a text, or the field of `Counts` that says why it has none."""
        ids, head_tokens = encoded
        if other is not None:
            self.first_altered = self.first_altered or _difference(text, other)
            return "altered"
        if len(ids) + 2 <= self._context:
            return Row(ids, text, True, head_tokens)
        if not self._truncate:
            return "dropped"
        ids = ids[: self._context - 1]
        if _fingerprint(ids) in self._withheld:
            return "withheld"
        text = self._tokenizer.decode(ids, skip_special_tokens=False)
        return Row(ids, text, False, min(head_tokens, len(ids)))


def truncated_forms(documents: Iterable[str], tokenizer_path: Path, context: int) -> set[bytes]:
    """Return the fingerprints of the documents that have to be truncated to a context.

    A training document that begins like one of them is a copy of it once both are truncated.
    """
    tokenizer = tokenizing.load(tokenizer_path)
    return {
        _fingerprint(one.ids[: context - 1])
        for texts in tokenizing.batched(documents)
        for one in tokenizing.encode_all(tokenizer, texts, None)
        if len(one.ids) + 2 > context
    }


def write_rows(path: Path, rows: Sequence[Row], layout: pa.Schema) -> None:
    """Write the rows of a shard that are in memory."""
    pq.write_table(_table(rows, layout), path, compression="zstd", row_group_size=10_000)


def read(
    path: Path,
    positions: NDArray[np.integer[Any]] | None = None,
    columns: Sequence[str] = COLUMNS,
) -> Iterator[pa.Table]:
    """Yield the rows of a shard of text (`shard_rows.read`)."""
    return shard_rows.read(path, positions, columns)


def _fingerprint(ids: list[int]) -> bytes:
    return hashlib.sha256(np.array(ids, np.uint32).tobytes()).digest()[:16]


def _difference(text: str, other: str) -> str:
    """Say how a text differs from another one, from the first character that does."""
    if text == other:
        return f"special tokens of {text[:40]!r}"
    letters = zip_longest(text, other)
    same = next(place for place, (one, another) in enumerate(letters) if one != another)
    shown = slice(max(0, same - 20), same + 20)
    return f"{other[shown]!r} of {text[shown]!r}"


def _writer(path: Path, layout: pa.Schema) -> pq.ParquetWriter:
    """Open a file for writing; dictionaries pay only for tokens, which take few values."""
    return pq.ParquetWriter(
        path,
        layout,
        compression="zstd",
        use_dictionary=["tokens.list.element"],
        write_statistics=False,
    )


def _table(rows: Sequence[Row], layout: pa.Schema) -> pa.Table:
    token = np.dtype(str(layout.field("tokens").type.value_type))
    texts = columns_of.strings([row.text for row in rows])
    ended = columns_of.numbers(np.array([row.ended for row in rows], dtype=bool))
    arrays = [_lists([row.tokens for row in rows], token), texts, ended]
    if HEAD in layout.names:
        heads = np.array([row.head_tokens for row in rows], dtype=np.int32)
        arrays.append(columns_of.numbers(heads))
    if PROMPT in layout.names:
        arrays.append(_lists([row.prompt for row in rows], token))
    return pa.Table.from_arrays(arrays, schema=layout)


def _lists(rows: Sequence[Sequence[int]], token: np.dtype[Any]) -> pa.Array:
    lengths = [len(row) for row in rows]
    flat = np.fromiter(chain.from_iterable(rows), token, sum(lengths))
    return columns_of.lists(np.cumsum([0, *lengths]), flat)
