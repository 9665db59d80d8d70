"""Tokenizers: byte-pair vocabularies trained here, and those of checkpoints.

No result depends on the number of threads of `tokenizers`. Memory does not grow with the corpus,
except for the counts of its distinct words while a tokenizer is trained.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from collapse.artifacts import files, remedies
from collapse.errors import DataError

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

#: The special tokens, whose places are their ids.
SPECIAL = ("<pad>", "<s>", "</s>")
PAD, BOS, EOS = range(3)


class Special(NamedTuple):
    """Ids of the special tokens of a tokenizer."""

    pad: int
    bos: int
    eos: int


#: Ids of the special tokens of the tokenizers that are trained here.
OWN = Special(PAD, BOS, EOS)
#: Number of texts that are tokenised together.
BATCH = 1_000
#: Longest word in characters that a vocabulary is trained on; longer ones are trained on in pieces,
#: since the time that merges take grows with the square of a word.
LONGEST_WORD = 1_000
_RUN = re.compile(r"\S+|\s+")

#: Returns the number of characters of a text before its response.
Head = Callable[[str], int]


class Encoded(NamedTuple):
    """The tokens of a text without BOS and EOS, and the number of them before its response."""

    ids: list[int]
    head_tokens: int


def train(documents: Iterable[str], vocabulary: int, path: Path) -> None:
    """Train a byte-level BPE tokenizer and save it as Hugging Face's `AutoTokenizer` reads it.

    Every text is decoded to exactly the bytes that were encoded; no special token is added to a
    text or found in it.

    Parameters
    ----------
    documents : iterable of str
        Texts to train on.
    vocabulary : int
        Number of entries: 3 special tokens, 256 bytes, and merges.
    path : Path
        Directory of the tokenizer.

    Raises
    ------
    DataError
        If the documents don't have enough merges, or the vocabulary has no room for all bytes.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    least = len(SPECIAL) + len(alphabet)
    if vocabulary < least:
        raise DataError(f"{path}: found a vocabulary of {vocabulary}, expected at least {least}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(batched(_with_short_words(documents)), trainer)
    found = tokenizer.get_vocab_size()
    if found < vocabulary:
        raise DataError(
            f"{path}: a vocabulary of {vocabulary:,}, but the training documents allow {found:,}"
        )
    write(path, tokenizer.to_str(pretty=True) + "\n", SPECIAL)


def write(path: Path, content: str, special: Sequence[str]) -> None:
    """Write the folder of a tokenizer, as Hugging Face's `AutoTokenizer` reads it.

    Parameters
    ----------
    path : Path
        The folder.
    content : str
        The file ``tokenizer.json``, which says all of how a text is tokenised.
    special : sequence of str
        The tokens PAD, BOS and EOS.
    """
    # It is written here because transformers would put a class name of its version there. With
    # most classes it builds a tokenizer of its own from the vocabulary, instead of the file's.
    pad, bos, eos = special
    configuration = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": pad,
        "bos_token": bos,
        "eos_token": eos,
        "split_special_tokens": True,
        "clean_up_tokenization_spaces": False,
    }
    files.write_text(path / "tokenizer_config.json", json.dumps(configuration, indent=2) + "\n")
    files.write_text(path / "tokenizer.json", content)


def _with_short_words(documents: Iterable[str]) -> Iterator[str]:
    """Yield documents, and in place of those that may have long words the pieces of their words."""
    from tokenizers import pre_tokenizers

    splitter = pre_tokenizers.ByteLevel(add_prefix_space=False)
    for text in documents:
        if len(text) <= LONGEST_WORD or max(map(len, _RUN.findall(text))) <= LONGEST_WORD:
            yield text
            continue
        for _, (start, stop) in splitter.pre_tokenize_str(text):
            for first in range(start, stop, LONGEST_WORD):
                yield text[first : min(first + LONGEST_WORD, stop)]


def load(path: Path) -> Tokenizer:
    """Load a saved tokenizer, without transformers, that takes special tokens in a text for text.

    Truncation and padding that were saved with it are switched off, as they would go unnoticed.

    Raises
    ------
    DamagedFileError
        If there is no tokenizer, or the file is not one.
    """
    from tokenizers import Tokenizer

    file = path / "tokenizer.json"
    with remedies.reading(file, "can't be read as a tokenizer"):
        tokenizer = Tokenizer.from_file(str(file))
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def vocabulary_of(tokenizer: Tokenizer) -> int:
    """Return the number of ids, from 0 to the largest one."""
    return 1 + max(tokenizer.get_vocab().values())


def encode(tokenizer: Tokenizer, text: str, head: Head) -> Encoded:
    """Tokenise one text, and count the tokens of its head, which is all before its response.

    Parameters
    ----------
    tokenizer : Tokenizer
        A tokenizer that `load` returned.
    text : str
    head : callable
        Returns the number of characters before the response. A token that covers any character
        of the response, such as one of a word and the space before it, belongs to the response.
    """
    return encode_all(tokenizer, [text], head)[0]


def encode_all(tokenizer: Tokenizer, texts: list[str], head: Head | None) -> list[Encoded]:
    """Tokenise texts; without ``head`` they have no heads."""
    if head is None:
        encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [Encoded(encoding.ids, 0) for encoding in encodings]
    encodings = tokenizer.encode_batch(texts, add_special_tokens=False)
    return [
        Encoded(encoding.ids, _head_tokens(encoding, head(text)))
        for text, encoding in zip(texts, encodings, strict=True)
    ]


def altered(
    tokenizer: Tokenizer, texts: list[str], encoded: Sequence[Encoded], special: Special = OWN
) -> Iterator[str | None]:
    """Yield for each text what its tokens say instead of it, or None if they say the same.

    A tokenizer that normalises, or knows no token for a character, gives back another text; one
    that finds a special token in a text gives the model another one.
    """
    decoded = tokenizer.decode_batch([one.ids for one in encoded], skip_special_tokens=False)
    for text, one, found in zip(texts, encoded, decoded, strict=True):
        inside = set(special).intersection(one.ids)
        yield None if found == text and not inside else found


def batched(documents: Iterable[str]) -> Iterator[list[str]]:
    """Yield documents in lists of `BATCH`, which are tokenised together."""
    iterator = iter(documents)
    return iter(lambda: list(islice(iterator, BATCH)), [])


def _head_tokens(encoding: Encoding, characters: int) -> int:
    """Return the number of tokens before the first that ends after the given characters.

    Offsets are in characters of the original text. If a character is spread over several tokens,
    each covers all of it; if the tokenizer's normalisation removes it, no token does.
    """
    ends = (end for _, end in encoding.offsets)
    beyond = (number for number, end in enumerate(ends) if end > characters)
    return next(beyond, len(encoding.ids))
