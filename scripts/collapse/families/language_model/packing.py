"""Documents packed into training sequences, batch by batch.

A sequence holds whole documents, each with its BOS and EOS, as many as fit. A document sees
no other: positions begin anew with each, which is how transformers' attention masks know.
So training, evaluation and generation see documents alike.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from collapse.data.text.tokenizing import PAD
from collapse.errors import JobError
from collapse.text.stored_tokens import IGNORED, Tokens
from collapse.training.epochs import Epochs

#: Documents that are packed together.
WINDOW = 1024


def best_fit(lengths: list[int], context: int) -> list[list[int]]:
    """Pack documents into sequences of at most ``context`` tokens.

    Of every `WINDOW` documents the longest goes first, each where it leaves the least room.
    (Closing a sequence at the first document that doesn't fit leaves half a document's room.)

    Returns
    -------
    list of list of int
        The documents of each sequence.
    """
    sequences: list[list[int]] = []
    for start in range(0, len(lengths), WINDOW):
        window = range(start, min(start + WINDOW, len(lengths)))
        room: list[tuple[int, int]] = []  # what is left, ascending, and in which sequence
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
    """The sequences of an epoch, one after the other: documents, and where each sequence begins."""

    documents: NDArray[np.int64]
    cuts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.cuts) - 1

    def __getitem__(self, places: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        return [self.documents[self.cuts[s] : self.cuts[s + 1]] for s in places]


class Packer:
    """The training sequences of every epoch, in batches that depend on the step alone.

    Parameters
    ----------
    documents : Tokens
        What to train on.
    context : int
        Tokens of a sequence.
    batch : int
        Sequences of a step.
    shuffle : callable
        Given an epoch, the generator of its order.
    whole : bool
        Give batches the full width even where no sequence needs it: for compiled models.
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
        #: Of the first epoch; later ones pack in another order, and so differ a little.
        self.steps_per_epoch = self._epochs.steps_per_epoch

    def batch(self, step: int) -> dict[str, Tensor]:
        """Return the sequences of a step (from 0).

        Returns
        -------
        dict of str to Tensor, shape (sequences, tokens)
            ``input_ids``, ``position_ids``, and ``labels``: what follows each token in its
            document.
        """
        return self._gather(self._epochs.batch(step))

    def _packed(self, epoch: int) -> _Packed:
        """Order the documents anew, pack them, and order the sequences."""
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
        # The column in which a document begins: what its row holds before it.
        row_starts = np.searchsorted(rows, np.arange(len(sequences)))
        before = (ends - lengths) - (ends - lengths)[row_starts][rows]
        columns = np.repeat(before, lengths) + within
        target = np.repeat(rows, lengths)
        width = self.context if self.whole else int(columns.max()) + 1
        shape = (len(sequences), width)
        inputs = np.full(shape, PAD, dtype=np.int64)
        inputs[target, columns] = self.documents.tokens[source]
        # Padding is a document of its own at the end of a row.
        used = np.zeros(len(sequences), np.int64)
        np.add.at(used, rows, lengths)
        positions = np.arange(width) - used[:, None]
        positions[target, columns] = within
        labels = np.full(shape, IGNORED, dtype=np.int64)
        follows = within > 0
        labels[target[follows], columns[follows] - 1] = inputs[target[follows], columns[follows]]
        return {
            "input_ids": torch.from_numpy(inputs),
            "position_ids": torch.from_numpy(positions),
            "labels": torch.from_numpy(labels),
        }
