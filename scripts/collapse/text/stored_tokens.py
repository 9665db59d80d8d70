"""Tokenised documents end to end, in memory or in a file, for training and evaluation."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from collapse.artifacts import columns, files
from collapse.data.text.tokenizing import OWN, Special

_TOKENS, _BOUNDS, _HEADS, _WEIGHTS = "tokens", "bounds.npy", "heads.npy", "weights.npy"

#: The column of tables of documents with how much each counts in the loss.
WEIGHT = "weight"

#: Label of a token that is not predicted; torch's cross-entropy ignores it.
IGNORED = -100


class Tokens(NamedTuple):
    """Documents end to end, with BOS and EOS: document i is ``tokens[bounds[i]:bounds[i + 1]]``.

    If documents are prompts with responses, ``heads`` are the numbers of tokens before each
    response, without BOS. ``weights`` say how much the tokens of each document count in the loss;
    None means 1.
    """

    tokens: NDArray[np.unsignedinteger]
    bounds: NDArray[np.int64]
    heads: NDArray[np.int64] | None = None
    weights: NDArray[np.float32] | None = None

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of tokens of each document."""
        return np.diff(self.bounds)

    def lengths_of(self, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of tokens of each chosen document."""
        return self.bounds[chosen + 1] - self.bounds[chosen]


def store(tables: Iterable[pa.Table], folder: Path, special: Special = OWN) -> None:
    """Write documents to a file of tokens, table by table, for `mapped` to read.

    Parameters
    ----------
    tables : iterable of pyarrow.Table
        Documents with the columns ``tokens`` and ``ended``, ``head_tokens`` if they have a
        prompt, and `WEIGHT` if they are weighed. An EOS is put behind each that ended.
    folder : path
        Folder of the files.
    special : Special
        Ids of the special tokens.
    """
    bounds, heads, weights, written = [np.zeros(1, np.int64)], [], [], 0
    with files.whole(folder / _TOKENS) as partial, open(partial, "wb") as output:
        for table in tables:
            block, lengths = _framed(table, special)
            block.tofile(output)
            bounds.append(written + np.cumsum(lengths))
            heads += _heads(table)
            weights += _weights(table)
            written += len(block)
    with files.whole(folder / _BOUNDS) as partial, open(partial, "wb") as output:
        np.save(output, np.concatenate(bounds))
    with files.whole(folder / _HEADS) as partial, open(partial, "wb") as output:
        np.save(output, np.concatenate(heads or [np.empty(0, np.int64)]))
    with files.whole(folder / _WEIGHTS) as partial, open(partial, "wb") as output:
        np.save(output, np.concatenate(weights or [np.empty(0, np.float32)]))


def mapped(folder: Path) -> Tokens:
    """Return stored documents, memory-mapped from their file."""
    bounds = np.load(folder / _BOUNDS, allow_pickle=False)
    heads, weights = (np.load(folder / each, allow_pickle=False) for each in (_HEADS, _WEIGHTS))
    path = folder / _TOKENS
    if not bounds[-1]:
        return Tokens(np.empty(0, np.uint16), bounds)
    kind = np.dtype(f"u{path.stat().st_size // bounds[-1]}")
    held = np.memmap(path, dtype=kind, mode="r")
    return Tokens(held, bounds, heads if len(heads) else None, weights if len(weights) else None)


def in_memory(tables: Iterable[pa.Table], special: Special = OWN) -> Tokens:
    """Return documents as `store` writes them, without a file, for test sets and shards."""
    held = list(tables)
    framed = [_framed(table, special) for table in held]
    lengths = np.concatenate([lengths for _, lengths in framed])
    tokens = np.concatenate([block for block, _ in framed])
    heads = [part for table in held for part in _heads(table)]
    bounds = np.concatenate(([0], np.cumsum(lengths)))
    weights = [part for table in held for part in _weights(table)]
    return Tokens(
        tokens,
        bounds,
        np.concatenate(heads) if heads else None,
        np.concatenate(weights) if weights else None,
    )


def _weights(table: pa.Table) -> list[NDArray[np.float32]]:
    if WEIGHT not in table.column_names:
        return []
    return [table[WEIGHT].to_numpy().astype(np.float32)]


def _heads(table: pa.Table) -> list[NDArray[np.int64]]:
    if "head_tokens" not in table.column_names:
        return []
    return [columns.array(table["head_tokens"]).astype(np.int64)]


def _framed(
    table: pa.Table, special: Special
) -> tuple[NDArray[np.unsignedinteger], NDArray[np.int64]]:
    """Put BOS before every document of a table and EOS after those that ended."""
    column = table["tokens"].combine_chunks()
    ended = columns.array(table["ended"])
    content = columns.array(column.flatten())
    inner = columns.array(column.value_lengths()).astype(np.int64)
    lengths = inner + 1 + ended
    ends = np.cumsum(lengths)
    block = np.empty(int(ends[-1]) if len(ends) else 0, dtype=content.dtype)
    first = ends - lengths
    is_content = np.ones(len(block), dtype=bool)
    is_content[first] = is_content[ends[ended] - 1] = False
    block[first] = special.bos
    block[ends[ended] - 1] = special.eos
    block[is_content] = content
    return block, lengths


def padded(
    documents: Tokens, chosen: NDArray[np.int64], *, responses: bool = False, width: int = 0
) -> dict[str, Tensor]:
    """Return one document a row, padded at the end.

    Parameters
    ----------
    documents : Tokens
        All documents.
    chosen : ndarray of int
        Numbers of the documents to return.
    responses : bool
        Whether only the tokens of responses and their EOS are predicted.
    width : int
        Smallest width of the rows, which are otherwise as long as the longest document.

    Returns
    -------
    dict of str to Tensor, shape (documents, tokens)
        ``input_ids``, and ``labels``: the token after each one in its document, or `IGNORED`; if
        documents have weights, also ``weights``, that of each token.
    """
    lengths = documents.lengths_of(chosen)
    within = np.arange(max(width, int(lengths.max(initial=0))))
    inside = within < lengths[:, None]
    source = np.minimum(documents.bounds[chosen][:, None] + within, len(documents.tokens) - 1)
    # Attention is causal, so any token may stand after the end of a document.
    inputs = np.where(inside, documents.tokens[source], 0).astype(np.int64)
    labels = np.full(inputs.shape, IGNORED, dtype=np.int64)
    predicted = inside[:, 1:]
    if responses:
        if documents.heads is None:
            raise ValueError("documents without heads have no responses")
        predicted = predicted & (within[:-1] >= documents.heads[chosen][:, None])
    labels[:, :-1] = np.where(predicted, inputs[:, 1:], IGNORED)
    rows = {"input_ids": torch.from_numpy(inputs), "labels": torch.from_numpy(labels)}
    if documents.weights is not None:
        weights = torch.from_numpy(documents.weights[chosen])
        rows["weights"] = weights[:, None].expand(rows["labels"].shape)
    return rows
