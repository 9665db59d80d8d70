"""The counted work of the language_model family's steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collapse.families import text_work
from collapse.families.language_model.architectures import ARCHITECTURES
from collapse.families.text_work import Transformer
from collapse.families.work import Work, Workload

if TYPE_CHECKING:
    from collapse.families.language_model import Parameters

#: Mean number of tokens of a document, by source (TinyStories has 470 M in 2.12 M stories), and of
#: all documents where the source is read whole: training, test.
TOKENS = {"stories": 50, "tinystories": 222}
DOCUMENTS = {"stories": (20_000, 1000), "tinystories": (2_120_000, 22_000)}

#: The longest of a batch of samples, in mean lengths, and samples drawn for one that is accepted.
LONGEST, DRAWN = 2.0, 1.05


def filled(length: float, context: int) -> float:
    """Return the share of packed sequences that is not padding: documents are not cut."""
    return max(0.5, 1 - 0.4 * length / context)


def transformer(model: str, vocabulary: int) -> Transformer:
    """Return the shape of a model, without weights that are looked up and not multiplied with."""
    size = ARCHITECTURES[model]
    parameters = size.parameters(vocabulary)
    looked_up = size.positions if size.kind == "gpt2" else vocabulary  # GPT-2's output is tied
    multiplied = parameters - looked_up * size.hidden
    return Transformer(size.layers, size.hidden, vocabulary, multiplied, parameters)


class LanguageModelWork(Workload["Parameters"]):
    """The work of the steps of a language model."""

    libraries = text_work.LIBRARIES

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        self.network = transformer(parameters.model, parameters.vocabulary)
        self.length = TOKENS.get(parameters.data, parameters.context / 2)
        known = DOCUMENTS.get(parameters.data, (20_000, 1000))
        self.documents = parameters.documents or known[0]
        self.tested = parameters.test_documents or known[1]
        self.sample_bytes = 3.0 * self.length  # tokens of 16 bits and the text, compressed
        self.model_bytes = 4.0 * self.network.parameters

    def prepare(self, samples: int) -> Work:
        """Count drawing or reading documents, their vocabulary and their tokens."""
        tokens = (self.documents + self.tested) * self.length
        return Work(core=tokens / 50 * text_work.DOCUMENT)

    def train(self, samples: int, iteration: int) -> Work:
        """Count updates on packed documents, and the learning curve."""
        epochs = self.parameters.epochs
        if iteration == 1 and self.parameters.first_epochs is not None:
            epochs = self.parameters.first_epochs
        room = self.parameters.batch * self.parameters.context
        used = room * filled(self.length, self.parameters.context)
        updates = max(1.0, epochs * samples * self.length / used)
        curve = self.network.curve(self.parameters.curve_points, self.tested, self.length)
        return self.network.updates(updates, room) + curve

    def generate(self, samples: int) -> Work:
        """Count the tokens of samples, with those of samples that are drawn again."""
        longest = self.parameters.fixed_length or min(
            self.parameters.context - 1, LONGEST * self.length
        )
        rows = samples * DRAWN * (self.parameters.beams or 1)
        drawn = self.network.sampling(rows, self.length, longest)
        return drawn + Work(core=samples * text_work.SAMPLE)

    def evaluate(self, samples: int, trained: int) -> Work:
        """Count the cross-entropy of real test documents, and metrics of text."""
        text = Work(core=samples * text_work.EVALUATED_SAMPLE * self.length / 50)
        return self.network.forward(self.tested * self.length) + text
