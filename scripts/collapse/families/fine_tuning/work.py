"""The counted work of the fine_tuning family's steps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from collapse.families import text, text_work
from collapse.families.fine_tuning import architectures
from collapse.families.language_model.work import LONGEST, filled
from collapse.families.language_model.work import TOKENS as STORY_TOKENS
from collapse.families.text_work import Transformer
from collapse.families.work import Work, Workload

if TYPE_CHECKING:
    from collapse.families.fine_tuning.parameters import Parameters

#: Mean number of tokens of a pair, by source; that of HelpSteer2 is a guess.
TOKENS = {"questions": 30, "helpsteer2": 300}
#: Mean number of tokens of a prompt; elsewhere it is half of a pair.
PROMPTS = {"questions": 23, "helpsteer2": 100}
#: Number of training and test pairs where the source is read whole.
PAIRS = {"questions": (20_000, 1000), "helpsteer2": (19_000, 1000)}
#: Samples drawn for one that is a well-formed pair.
DRAWN = 1.5
#: The base's passes over its stories, and sequences in a batch (`fine_tuning.pretraining`).
BASE_EPOCHS, BASE_BATCH = 2.0, 4
#: The size that is assumed of a base whose shape is not known before it is downloaded.
UNKNOWN = Transformer(24, 2048, 128_000, 1e9, 1e9)


def transformer(parameters: Parameters) -> Transformer:
    """Return the shape of the base."""
    shape = architectures.shape(parameters.base, parameters.vocabulary)
    if shape is None:
        return UNKNOWN
    looked_up = (shape.embeddings - 1) * shape.vocabulary * shape.hidden
    multiplied = shape.parameters - looked_up
    width = shape.key_value_heads * shape.head
    return Transformer(shape.layers, width, shape.vocabulary, multiplied, shape.parameters)


class FineTuningWork(Workload["Parameters"]):
    """The work of the steps of fine-tuning."""

    libraries = text_work.LIBRARIES

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        self.network = transformer(parameters)
        self.length = TOKENS.get(parameters.data, parameters.context / 2)
        known = PAIRS.get(parameters.data, (20_000, 1000))
        self.pairs = parameters.pairs or known[0]
        self.tested = parameters.test_pairs or known[1]
        self.sample_bytes = 5.0 * self.length  # tokens of 32 bits and the text, compressed
        weight = 2.0 if parameters.weights == "bfloat16" else 4.0
        known_shape = self.network is not UNKNOWN
        self.model_bytes = weight * self.network.parameters if known_shape else 0.0

    def base(self) -> Work:
        """Count the pretraining of the built-in base on stories."""
        stories, length = self.parameters.base_stories, STORY_TOKENS["stories"]
        room = BASE_BATCH * self.parameters.context
        used = room * filled(length, self.parameters.context)
        updates = max(1.0, BASE_EPOCHS * stories * length / used)
        documents = Work(core=2 * stories * text_work.DOCUMENT)
        return self.network.updates(updates, room) + documents

    def prepare(self, samples: int) -> Work:
        """Count reading pairs, and their tokens."""
        return Work(core=(self.pairs + self.tested) * text_work.DOCUMENT * self.length / 50)

    def train(self, samples: int, iteration: int) -> Work:
        """Count updates on pairs, and the learning curve."""
        epochs, batch = self.parameters.epochs, self.parameters.batch
        updates = math.ceil(epochs * math.ceil(samples / batch))
        rows = min(batch, samples)
        if iteration > 1 and samples and self.parameters.later_steps is not None:
            updates = self.parameters.later_steps
        passes = 8.0 if self.parameters.gradient_checkpointing else 6.0
        parts = math.ceil(rows / (self.parameters.micro_batch or batch)) if samples else 1
        micro = self.network.updates(updates * parts, rows / parts * self.length, passes)
        return micro + self.network.curve(self.parameters.curve_points, self.tested, self.length)

    def generate(self, samples: int) -> Work:
        """Count the tokens of samples, with those of samples that are drawn again."""
        rows = samples * DRAWN * (self.parameters.beams or 1)
        prompt, parts = self._prompt(), 1
        room = self.parameters.context - 1 - prompt
        longest = max(1.0, min(room, LONGEST * (self.length - prompt)))
        if prompt and not self._side_by_side():
            parts = math.ceil(prompt / 2)  # transformers draw those of each length by themselves
        drawn = self.network.sampling(rows, self.length - prompt, longest, prompt, parts)
        return drawn + Work(core=samples * text_work.SAMPLE)

    def _prompt(self) -> float:
        """Return the mean number of tokens that samples begin with."""
        if self.parameters.start != "prompt":
            return 0.0
        mean = PROMPTS.get(self.parameters.data, self.length / 2)
        return float(min(mean, self.parameters.prompt_tokens or mean))

    def _side_by_side(self) -> bool:
        """Tell whether prompts of all lengths are likely answered at once: by vLLM, on a GPU."""
        built_in = architectures.is_built_in(self.parameters.base)
        return text.may_use_vllm(self.parameters) and not built_in

    def evaluate(self, samples: int, trained: int) -> Work:
        """Count two cross-entropies of real test pairs, and metrics of text."""
        metrics = Work(core=samples * text_work.EVALUATED_SAMPLE * self.length / 50)
        return self.network.forward(self.tested * self.length).times(2) + metrics
