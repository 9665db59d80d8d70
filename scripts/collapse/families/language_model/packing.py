"""Pack documents into training sequences, batch by batch.

A sequence holds as many whole documents as fit, each with its BOS and EOS. Positions restart at
each document; transformers recognise documents by this and mask attention between them. A
document is thus processed in the same way in training, evaluation and generation.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from collapse.data.text.tokenizing import PAD
from collapse.errors import JobError
from collapse.text.stored_tokens import IGNORED, Tokens
from collapse.training.epochs import Epochs

#: Number of documents that are packed together.
WINDOW = 1024


def best_fit(lengths: list[int], context: int) -> list[list[int]]:
    """Pack documents into sequences of at most ``context`` tokens.

    Among each `WINDOW` documents, the longest is placed first, each into the sequence where it
    leaves the least room. (To close a sequence at the first document that does not fit would
    waste the room of half a document.)

    Returns
    -------
    list of list of int
        The indices of the documents of each sequence.
    """
    sequences: list[list[int]] = []
    for start in range(0, len(lengths), WINDOW):
        window = range(start, min(start + WINDOW, len(lengths)))
        room: list[tuple[int, int]] = []  # (room left, sequence), ascending
        for document in sorted(window, key=lambda each: -lengths[each]):
            place = bisect_left(room, (lengths[document], -1))
            if place == len(room):
                left, sequence = context, len(sequences)
                sequences.append([])
            else:
                left, sequence = room.pop(place)
            sequences[sequence].append(document)
            insort(room, (left - lengths[document], sequence))
    return sequences


@dataclass(frozen=True)
class _Packed:
    """The sequences of an epoch: their documents, concatenated, and where each sequence begins."""

    documents: NDArray[np.int64]
    cuts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.cuts) - 1

    def __getitem__(self, places: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        return [self.documents[self.cuts[s] : self.cuts[s + 1]] for s in places]


class Packer:
    """The batches of packed sequences of every epoch, as a function of the training step alone.

    Parameters
    ----------
    documents : Tokens
        The training set.
    context : int
        Largest number of tokens of a sequence.
    batch : int
        Number of sequences per training step.
    shuffle : callable
        Takes an epoch; returns the random generator for its order.
    whole : bool
        Make every batch ``context`` tokens wide, so that a compiled model sees one shape.
    """

    def __init__(
        self,
        documents: Tokens,
        context: int,
        batch: int,
        shuffle: Callable[[int], np.random.Generator],
        *,
        whole: bool = False,
    ) -> None:
        if documents.lengths.max() > context:
            raise JobError(
                f"a training document has {documents.lengths.max()} tokens with its BOS and EOS, "
                f"expected at most the context of {context}"
            )
        self.documents = documents
        self.context = context
        self.whole = whole
        self._shuffle = shuffle
        self._epochs = Epochs(batch, self._packed)
        self.size = self._epochs.size
        #: Batches of the first epoch; other epochs pack into slightly different numbers.
        self.steps_per_epoch = self._epochs.steps_per_epoch

    def batch(self, step: int) -> dict[str, Tensor]:
        """Return the sequences of a training step, counted from 0.

        Returns
        -------
        dict of str to Tensor, shape (sequences, tokens)
            ``input_ids``, ``position_ids``, and ``labels``: the token that follows each token in
            its document; if documents have weights, also ``weights``, that of each token.
        """
        return self._gather(self._epochs.batch(step))

    def _packed(self, epoch: int) -> _Packed:
        """Shuffle the documents, pack them, and shuffle the sequences."""
        generator = self._shuffle(epoch)
        order = generator.permutation(len(self.documents.bounds) - 1)
        packed = best_fit(self.documents.lengths[order].tolist(), self.context)
        sequences = [packed[number] for number in generator.permutation(len(packed))]
        return _Packed(
            order[np.concatenate(sequences)],
            np.concatenate(([0], np.cumsum([len(each) for each in sequences]))),
        )

    def _gather(self, sequences: list[NDArray[np.int64]]) -> dict[str, Tensor]:
        rows = np.repeat(np.arange(len(sequences)), [len(each) for each in sequences])
        chosen = np.concatenate(sequences)
        lengths = self.documents.lengths_of(chosen)
        ends = np.cumsum(lengths)
        within = np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)
        source = np.repeat(self.documents.bounds[chosen], lengths) + within
        # A document begins in the column that follows the earlier documents of its row.
        row_starts = np.searchsorted(rows, np.arange(len(sequences)))
        before = (ends - lengths) - (ends - lengths)[row_starts][rows]
        columns = np.repeat(before, lengths) + within
        target = np.repeat(rows, lengths)
        width = self.context if self.whole else int(columns.max()) + 1
        shape = (len(sequences), width)
        inputs = np.full(shape, PAD, dtype=np.int64)
        inputs[target, columns] = self.documents.tokens[source]
        # The padding at the end of a row is a document of its own.
        used = np.zeros(len(sequences), np.int64)
        np.add.at(used, rows, lengths)
        positions = np.arange(width) - used[:, None]
        positions[target, columns] = within
        labels = np.full(shape, IGNORED, dtype=np.int64)
        follows = within > 0
        labels[target[follows], columns[follows] - 1] = inputs[target[follows], columns[follows]]
        batch: dict[str, NDArray[Any]] = {
            "input_ids": inputs,
            "position_ids": positions,
            "labels": labels,
        }
        if self.documents.weights is not None:
            weights = np.zeros(shape, dtype=np.float32)
            weights[target, columns] = np.repeat(self.documents.weights[chosen], lengths)
            batch["weights"] = weights
        return {name: torch.from_numpy(values) for name, values in batch.items()}
