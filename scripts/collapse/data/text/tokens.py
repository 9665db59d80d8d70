"""Shards of tokenised text in Parquet; memory does not grow with a corpus that is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from collapse.artifacts import files, shard_rows
from collapse.data.text import tokenizing
from collapse.data.text.tokenizing import Encoded, Head
from collapse.errors import DataError

COLUMNS = ("tokens", "text", "ended")
#: A further column in shards of prompts with responses.
HEAD = "head_tokens"
#: Number of batches of documents in a row group.
GROUP = 10

LongDocuments = Literal["refuse", "drop", "truncate"]


class Counts(NamedTuple):
    """Number of documents and tokens in a shard, and of documents that were dropped or truncated.

    ``tokens`` excludes BOS and EOS; ``longest`` is the context that the longest document needs,
    BOS and EOS included, whether it was kept or not.
    """

    documents: int
    tokens: int
    dropped: int
    truncated: int
    longest: int


def schema(vocabulary: int, *, head: bool = False) -> pa.Schema:
    """Return the schema of all shards of text.

    ``tokens`` are without BOS and EOS; ``ended`` tells whether EOS follows them, as it does in
    a whole document but not in one that was cut off. With ``head``, ``head_tokens`` is the
    number of tokens before the response.
    """
    token = pa.uint16() if vocabulary <= 1 << 16 else pa.uint32()
    fields = [("tokens", pa.list_(token)), ("text", pa.string()), ("ended", pa.bool_())]
    return pa.schema([*fields, (HEAD, pa.int32())] if head else fields)


def write_documents(
    path: Path,
    documents: Iterable[str],
    tokenizer_path: Path,
    *,
    context: int,
    long_documents: LongDocuments,
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
    head : callable, optional
        Returns the number of characters of a document before its response, whose tokens are
        then counted (`tokenizing.encode`). A truncated document may have no response.
    remedy : str
        Setting that errors recommend for documents that are too long.

    Raises
    ------
    DataError
        If long documents are refused and there are any, or if no document is left.
    """
    tokenizer = tokenizing.load(tokenizer_path)
    layout = schema(tokenizing.vocabulary_of(tokenizer), head=head is not None)

    def fitted(text: str, encoded: Encoded) -> _Row | None:
        ids, head_tokens = encoded
        if len(ids) + 2 <= context:
            return _Row(ids, text, True, head_tokens)
        if long_documents == "truncate":
            ids = ids[: context - 1]
            text = tokenizer.decode(ids, skip_special_tokens=False)
            return _Row(ids, text, False, min(head_tokens, len(ids)))
        return None

    written = tokens = dropped = truncated = longest = 0
    with files.whole(path) as partial, _writer(partial, layout) as writer:
        group: list[pa.Table] = []
        for texts in tokenizing.batched(documents):
            encoded = tokenizing.encode_all(tokenizer, texts, head)
            rows = [row for row in map(fitted, texts, encoded) if row is not None]
            written += len(rows)
            tokens += sum(len(row.tokens) for row in rows)
            dropped += len(texts) - len(rows)
            truncated += sum(not row.ended for row in rows)
            longest = max(longest, 2 + max(len(one.ids) for one in encoded))
            group.append(_table(rows, layout))
            if len(group) == GROUP:
                writer.write_table(pa.concat_tables(group))
                group.clear()
        if group:
            writer.write_table(pa.concat_tables(group))
        if long_documents == "refuse" and dropped:
            raise DataError(
                f"{path}: {dropped:,} of {written + dropped:,} documents are longer than the "
                f"context of {context:,} tokens, BOS and EOS included; raise context to "
                f"{longest:,}, or set {remedy}"
            )
        if not written:
            raise DataError(f"{path}: no documents are left, {dropped:,} dropped as too long")
    return Counts(written, tokens, dropped, truncated, longest)


def read(
    path: Path,
    positions: NDArray[np.integer[Any]] | None = None,
    columns: Sequence[str] = COLUMNS,
) -> Iterator[pa.Table]:
    """Yield the rows of a shard of text (`shard_rows.read`)."""
    return shard_rows.read(path, positions, columns)


class _Row(NamedTuple):
    tokens: list[int]
    text: str
    ended: bool
    head_tokens: int = 0


def _writer(path: Path, layout: pa.Schema) -> pq.ParquetWriter:
    """Open a file for writing; dictionaries pay only for tokens, which take few values."""
    return pq.ParquetWriter(
        path,
        layout,
        compression="zstd",
        use_dictionary=["tokens.list.element"],
        write_statistics=False,
    )


def _table(rows: Sequence[_Row], layout: pa.Schema) -> pa.Table:
    lengths = [len(row.tokens) for row in rows]
    token = layout.field("tokens").type.value_type
    joined = chain.from_iterable(row.tokens for row in rows)
    flat = np.fromiter(joined, np.dtype(str(token)), sum(lengths))
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    tokens = pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat))
    texts = pa.array([row.text for row in rows], pa.string())
    ended = pa.array([row.ended for row in rows], pa.bool_())
    columns = [tokens, texts, ended]
    if HEAD in layout.names:
        columns.append(pa.array([row.head_tokens for row in rows], pa.int32()))
    return pa.Table.from_arrays(columns, schema=layout)
