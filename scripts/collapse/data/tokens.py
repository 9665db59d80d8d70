"""Tokens: training a tokenizer, and shards of tokenised text as Parquet.

Both are streams: memory does not grow with the corpus, but for the counts of its distinct
words while a tokenizer is trained. No number depends on the threads of `tokenizers`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from collapse import files
from collapse.data import shards
from collapse.errors import DataError

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

#: The special tokens; their places are their ids.
SPECIAL = ("<pad>", "<s>", "</s>")
PAD, BOS, EOS = range(3)


class Special(NamedTuple):
    """Ids of the special tokens of a tokenizer."""

    pad: int
    bos: int
    eos: int


#: Those of the tokenizers that are trained here.
OWN = Special(PAD, BOS, EOS)

COLUMNS = ("tokens", "text", "ended")
#: A further column of shards of prompts and responses.
HEAD = "head_tokens"
#: Documents that are tokenised together, and batches of them that make a row group.
BATCH = 1_000
GROUP = 10

LongDocuments = Literal["refuse", "drop", "truncate"]
#: Tells how many characters at the start of a text are not the response.
Head = Callable[[str], int]


class Counts(NamedTuple):
    """What became of the documents.

    ``tokens`` are those in the file, BOS and EOS aside; ``longest`` is the context that the
    longest document needs, BOS and EOS included, whether it was kept or not.
    """

    documents: int
    tokens: int
    dropped: int
    truncated: int
    longest: int


class Encoded(NamedTuple):
    """The tokens of a text, BOS and EOS aside, and how many of the first are its head."""

    ids: list[int]
    head_tokens: int


def schema(vocabulary: int, *, head: bool = False) -> pa.Schema:
    """Return the schema of all shards of text.

    ``tokens`` are without BOS and EOS; ``ended`` tells whether EOS follows, as it does a
    whole document and not one that was cut off. With ``head``, ``head_tokens`` are the first
    tokens that are not of the response.
    """
    token = pa.uint16() if vocabulary <= 1 << 16 else pa.uint32()
    fields = [("tokens", pa.list_(token)), ("text", pa.string()), ("ended", pa.bool_())]
    return pa.schema([*fields, (HEAD, pa.int32())] if head else fields)


def train_tokenizer(documents: Iterable[str], vocabulary: int, path: Path) -> None:
    """Train a byte-level BPE tokenizer and save it as Hugging Face's `AutoTokenizer` reads it.

    Every text is decoded to the very bytes that were encoded; no special token is added or
    found in a text.

    Parameters
    ----------
    documents : iterable of str
    vocabulary : int
        Entries in all: 3 special tokens, 256 bytes, and merges.
    path : Path
        A directory.

    Raises
    ------
    DataError
        If the documents don't have as many merges, or the vocabulary has no place for bytes.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    least = len(SPECIAL) + len(alphabet)
    if vocabulary < least:
        raise DataError(f"{path}: a vocabulary of {vocabulary}; expected at least {least}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_batched(documents, BATCH), trainer)
    found = tokenizer.get_vocab_size()
    if found < vocabulary:
        raise DataError(
            f"{path}: a vocabulary of {vocabulary:,}, but the training documents allow {found:,}"
        )
    # Written here because transformers would put its own version's class name there.
    configuration = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": SPECIAL[PAD],
        "bos_token": SPECIAL[BOS],
        "eos_token": SPECIAL[EOS],
        "split_special_tokens": True,
        "clean_up_tokenization_spaces": False,
    }
    files.write_text(path / "tokenizer_config.json", json.dumps(configuration, indent=2) + "\n")
    files.write_text(path / "tokenizer.json", tokenizer.to_str(pretty=True) + "\n")


def load_tokenizer(path: Path) -> Tokenizer:
    """Load a saved tokenizer, without transformers; special tokens in a text are text.

    Truncation and padding that were saved with it are off: neither is ever done in silence.

    Raises
    ------
    DataError
        If there is none, or it can't be read.
    """
    from tokenizers import Tokenizer

    file = path / "tokenizer.json"
    if not file.is_file():
        raise DataError(f"{file}: no such file; expected a saved tokenizer")
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing more special
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{file}: can't be read as a tokenizer ({reason})") from None
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def vocabulary_of(tokenizer: Tokenizer) -> int:
    """Return the number of ids, from 0 to the largest one."""
    return 1 + max(tokenizer.get_vocab().values())


def encode(tokenizer: Tokenizer, text: str, head: Head) -> Encoded:
    """Tokenise one text, and tell its head from its response.

    Parameters
    ----------
    tokenizer : Tokenizer
        One of `load_tokenizer`.
    text : str
    head : callable
        Gives the number of characters before the response. A token that covers any character
        of the response, such as one of a word and the space before it, belongs to it.
    """
    return _encoded(tokenizer, [text], head)[0]


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
        Where to; the file appears whole or not at all.
    documents : iterable of str
    tokenizer_path : Path
        A directory.
    context : int
        Tokens that the model sees at once, BOS and EOS included.
    long_documents : {"refuse", "drop", "truncate"}
        What to do with those that exceed it. A truncated one fills it and is not ended;
        its text is what its tokens decode to, so a character may be cut to U+FFFD.
    head : callable, optional
        Gives the number of characters of a document before its response; then the shard tells
        the tokens of the two apart (`encode`). A truncated one may be all head.
    remedy : str
        What to set, as errors say it, for documents that are too long.

    Raises
    ------
    DataError
        If a document is too long and to be refused, or none is left.
    """
    tokenizer = load_tokenizer(tokenizer_path)
    layout = schema(vocabulary_of(tokenizer), head=head is not None)

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
        for texts in _batched(documents, BATCH):
            encoded = _encoded(tokenizer, texts, head)
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
    """Yield the rows of a shard of text (`shards.read`)."""
    return shards.read(path, positions, columns)


class _Row(NamedTuple):
    tokens: list[int]
    text: str
    ended: bool
    head_tokens: int = 0


def _encoded(tokenizer: Tokenizer, texts: list[str], head: Head | None) -> list[Encoded]:
    if head is None:
        encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [Encoded(encoding.ids, 0) for encoding in encodings]
    encodings = tokenizer.encode_batch(texts, add_special_tokens=False)
    return [
        Encoded(encoding.ids, _head_tokens(encoding, head(text)))
        for text, encoding in zip(texts, encodings, strict=True)
    ]


def _head_tokens(encoding: Encoding, characters: int) -> int:
    """Return how many tokens precede the first that ends after so many characters.

    Offsets are in characters of the original text; each of the tokens that a character is
    spread over has all of it. None has a character that the tokenizer's normalisation removes.
    """
    ends = (end for _, end in encoding.offsets)
    beyond = (number for number, end in enumerate(ends) if end > characters)
    return next(beyond, len(encoding.ids))


def _batched(documents: Iterable[str], size: int) -> Iterator[list[str]]:
    iterator = iter(documents)
    return iter(lambda: list(islice(iterator, size)), [])


def _writer(path: Path, layout: pa.Schema) -> pq.ParquetWriter:
    """Open a file to write to. Dictionaries pay for tokens, which are few, not for text."""
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
