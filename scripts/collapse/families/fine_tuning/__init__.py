"""Supervised fine-tuning of a pretrained model on prompt-response pairs (P2: Gemma-2, HelpSteer2).

Every iteration starts from the same base. Here is what the workflow asks while it plans; what
its jobs do is in the modules beside this one, which import torch.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from collapse.data.hub_names import datasets_of
from collapse.families import declarations, text
from collapse.families.contract import Family, Iterative
from collapse.families.declarations import Figure, Headline, Metric, SampleCost, matters_from
from collapse.families.fine_tuning import architectures
from collapse.families.fine_tuning.published import CURVES
from collapse.families.language_model.architectures import ARCHITECTURES
from collapse.families.parameters import (
    Backend,
    Batch,
    CurvePoints,
    DataName,
    DataSize,
    Epochs,
    LearningRate,
    Precision,
    Schedule,
    Temperature,
    Vocabulary,
    Warmup,
    WeightDecay,
)
from collapse.text.sampling.interface import LOWEST_TEMPERATURE
from collapse.training import memory

#: Tokens of a pair, of sources of which it is known; those of HelpSteer2 are a guess.
TOKENS = {"questions": 30, "helpsteer2": 300}


class Parameters(declarations.Parameters):
    """Grid keys of the fine_tuning family.

    The paper study sets the published values (docs/reproduction.md, "Supervised fine-tuning"); the
    defaults suit the built-in base.
    """

    base: str = Field(
        default=architectures.BUILT_IN,
        min_length=1,
        description="What every iteration starts from: stories (a small model, pretrained here "
        f"on the built-in stories), {', '.join(architectures.PUBLISHED)}, hub:<owner>/<name>, or a "
        "folder with a checkpoint of Hugging Face.",
        json_schema_extra=matters_from("data", always_an_axis=True),
    )
    chat_template: Literal["refuse", "ignore"] = Field(
        default="refuse",
        description="What to do with a base that has a chat template, and so is no mere base: "
        "its template is never used.",
        json_schema_extra=matters_from("data"),
    )
    base_stories: int = Field(
        default=5000,
        ge=100,
        strict=True,
        description="Stories that the built-in base is pretrained on.",
        json_schema_extra=matters_from("data"),
    )
    vocabulary: Vocabulary = Field(
        default=768,
        description="Entries of the built-in base's byte-pair vocabulary; others have their own.",
    )
    data: DataName = Field(
        default="questions",
        description="Real pairs: questions (built in), helpsteer2, hub:<owner>/<name>, or a file "
        "or folder of JSON lines or Parquet.",
    )
    prompt_column: DataName = Field(default="prompt", description="Column of the prompts.")
    response_column: DataName = Field(default="response", description="Column of the responses.")
    pairs: DataSize = Field(
        default=None,
        description="Training pairs to read; null: all (of the built-in questions, 10000).",
    )
    test_pairs: DataSize = Field(
        default=None,
        description="Test pairs; null: all of the source's own test split, else 5 % (of the "
        "built-in questions, 500).",
    )
    unusable: Literal["refuse", "drop"] = Field(
        default="refuse",
        description="What to do with pairs without a prompt or a response, or whose prompt "
        "looks like the beginning of the response.",
        json_schema_extra=matters_from("data"),
    )
    context: int = Field(
        default=128,
        ge=8,
        le=2**17,
        strict=True,
        description="Tokens of the longest pair, with its begin and end.",
        json_schema_extra=matters_from("data"),
    )
    long_pairs: Literal["refuse", "drop"] = Field(
        default="refuse",
        description="What to do with pairs longer than the context.",
        json_schema_extra=matters_from("data"),
    )
    loss: Literal["whole", "response"] = Field(
        default="whole",
        description="Tokens to learn: of the whole sequence, or of the response alone.",
        json_schema_extra=matters_from(),
    )
    epochs: Epochs = 1.0
    batch: Batch = Field(default=16, description="Pairs in a training step.")
    micro_batch: int | None = Field(
        default=None,
        ge=1,
        strict=True,
        description="Pairs that a GPU holds at once; null: all of its share of the batch.",
        json_schema_extra=matters_from(),
    )
    gradient_checkpointing: bool = Field(
        default=False,
        description="Compute activations twice instead of keeping them: less memory, a third "
        "more time.",
        json_schema_extra=matters_from(),
    )
    sharded: bool = Field(
        default=False,
        description="Divide weights, gradients and optimiser among the GPUs of a training: for "
        "models that one does not hold.",
        json_schema_extra=matters_from(),
    )
    learning_rate: LearningRate = 1e-3
    schedule: Schedule = "constant"
    warmup: Warmup = 0.05
    weight_decay: WeightDecay = 0.0
    precision: Precision = "auto"
    weights: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description="Of weights and optimiser; bfloat16 rounds small updates away, as in the "
        "published code (docs/reproduction.md, mistake 5).",
        json_schema_extra=matters_from(),
    )
    curve_points: CurvePoints = 10
    later_steps: int | None = Field(
        default=None,
        ge=1,
        strict=True,
        description="Training steps of every iteration from 2 on, however much data it has; "
        "null: by epochs. The control of a mixture grid (docs/reproduction.md, mistake 7).",
        json_schema_extra=matters_from("later"),
    )
    later_warmup_steps: int | None = Field(
        default=None,
        ge=0,
        strict=True,
        description="Warm-up steps of every iteration from 2 on; null: by warmup.",
        json_schema_extra=matters_from("later"),
    )
    temperature: Temperature = 1.0
    attempts: int = Field(
        default=50,
        ge=1,
        strict=True,
        description="Draws of a sample that is no well-formed pair, before giving up.",
        json_schema_extra=matters_from("generation"),
    )
    truncated: Literal["redraw", "end"] = Field(
        default="redraw",
        description="Samples that reach the context without an end: draw anew, or end them "
        "there, as in the published code (docs/reproduction.md, mistake 4).",
        json_schema_extra=matters_from("generation"),
    )
    long_samples: Literal["redraw", "drop"] = Field(
        default="redraw",
        description="Samples whose text, tokenised again, exceeds the context: draw anew, or "
        "leave out of the training set, whose size then drifts, as in the published code "
        "(docs/reproduction.md, mistake 4).",
        json_schema_extra=matters_from("generation"),
    )
    samples_per_seed: int = Field(
        default=1,
        ge=1,
        strict=True,
        description="Neighbouring samples that share a seed of sampling: more than one, as in "
        "the published code (docs/reproduction.md, mistake 2), makes copies.",
        json_schema_extra=matters_from("generation"),
    )
    backend: Backend = "auto"
    evaluation_precision: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description="Of weights and arithmetic in evaluation; of 27 billion parameters a GPU of "
        "80 GB holds no other than bfloat16.",
        json_schema_extra=matters_from("evaluation"),
    )
    judged: int = Field(
        default=1000,
        ge=0,
        strict=True,
        description="Samples, at most, by which an iteration is judged; 0: by its loss alone.",
        json_schema_extra=matters_from("evaluation"),
    )


def source_files(parameters: Parameters) -> list[str]:
    """Return the local files that pairs and the base are read from, if they are."""
    local = architectures.folder(parameters.base)
    return _pair_files(parameters) if local is None else [str(local), *_pair_files(parameters)]


def _pair_files(parameters: Parameters) -> list[str]:
    source = parameters.data
    elsewhere = source == "questions" or datasets_of(source)
    return [] if elsewhere else [os.path.expanduser(source)]


def hub_models(parameters: Parameters) -> list[str]:
    """Return the models that are needed of the Hugging Face Hub."""
    name = architectures.on_hub(parameters.base)
    return [] if name is None else [name]


def problems(parameters: Parameters) -> Iterator[tuple[str, str]]:
    """Yield the parameters that don't fit the others, and what was expected of them."""
    local = architectures.folder(parameters.base)
    if local is not None and not (local / "config.json").is_file():
        names = ", ".join((architectures.BUILT_IN, *architectures.PUBLISHED))
        yield "base", f"{names}, hub:<owner>/<name>, or a folder with a checkpoint's config.json"
    if any(not os.path.exists(path) for path in _pair_files(parameters)):
        yield "data", "questions, helpsteer2, hub:<owner>/<name>, or an existing file or folder"
    positions = ARCHITECTURES[architectures.TINY].positions
    if architectures.is_built_in(parameters.base) and parameters.context > positions:
        yield "context", f"at most the {positions} positions of the built-in base"
    if 0 < parameters.temperature < LOWEST_TEMPERATURE:
        yield "temperature", f"0 (the likeliest token) or at least {LOWEST_TEMPERATURE}"
    if parameters.weights == "bfloat16" and parameters.precision == "float32":
        yield "precision", "auto or bfloat16, where weights are bfloat16"


def cost(parameters: Parameters) -> SampleCost:
    """Estimate what a sample costs in the steps of an iteration, for the plan of a study."""
    shape = architectures.shape(parameters.base, parameters.vocabulary)
    size = shape.parameters if shape else 0
    tokens = TOKENS.get(parameters.data, parameters.context / 2)
    # Checkpointing computes the forward pass again.
    passes = 8 if parameters.gradient_checkpointing else 6
    return SampleCost(
        train_flops=passes * size * tokens * parameters.epochs,
        generate_flops=2 * size * tokens,
        # Tokens as 32 bits and text, compressed.
        sample_bytes=5 * tokens,
        model_bytes=(2 if parameters.weights == "bfloat16" else 4) * size,
    )


def training_memory(parameters: Parameters, gpus: int) -> float | None:
    """Estimate the bytes that a training takes of each GPU; None of a base that is not known."""
    shape = architectures.shape(parameters.base, parameters.vocabulary)
    if shape is None:
        return None
    rows = min(parameters.micro_batch or parameters.batch, math.ceil(parameters.batch / gpus))
    return memory.training_memory(
        parameters=shape.parameters,
        layer=shape.layer,
        tokens=rows * parameters.context,
        hidden=shape.hidden,
        feed_forward=shape.feed_forward,
        layers=shape.layers,
        vocabulary=shape.vocabulary,
        # Four norms in a layer are Gemma's, whose attention is written out.
        scores=shape.heads * parameters.context if shape.norms == 4 else 0,
        ranks=gpus if parameters.sharded else 1,
        checkpointing=parameters.gradient_checkpointing,
        bfloat16=parameters.precision != "float32",
    ).total


FAMILY = Family(
    name="fine_tuning",
    parameters=Parameters,
    metrics={
        "test_cross_entropy": Metric("cross-entropy on real test pairs", "nats per token"),
        "response_cross_entropy": Metric("cross-entropy on real test responses", "nats per token"),
        "perplexity": Metric("perplexity on real test pairs"),
        "entropy_floor": Metric("entropy of the real pairs, where it is known", "nats per token"),
        **text.METRICS,
        "question_share": Metric("share of samples that ask a question of the grammar"),
        "correct_share": Metric("share of these questions that are answered correctly"),
        "mode_coverage": Metric("share of the kinds of questions that occur among the samples"),
        "mode_distance": Metric("distance of kinds of questions from real ones (total variation)"),
    },
    headline=Headline("test_cross_entropy", worse="higher", stable=0.03),
    figures=(
        Figure(
            "cross-entropy",
            "test_cross_entropy",
            rows=None,
            colour="base",
            reference="entropy_floor",
        ),
        Figure("response-cross-entropy", "response_cross_entropy", rows=None, colour="base"),
        Figure("correct-share", "correct_share", rows=None, colour="base"),
        Figure("distinct-2", "distinct_2", rows=None, colour="base"),
        Figure("duplicate-rate", "duplicate_rate", rows=None, colour="base"),
        Figure("mode-coverage", "mode_coverage", rows=None, colour="base"),
    ),
    published=CURVES,
    # Trained on nothing, a model is the base: the (0, 0) cell of a mixture grid.
    minimum_samples=0,
    problems=problems,
    iterative=Iterative(
        module="collapse.families.fine_tuning.steps",
        wants_gpu=True,
        has_dataset=True,
        writes_text=True,
        evaluated_samples=lambda parameters: parameters.judged,
        source_files=source_files,
        hub_datasets=lambda parameters: datasets_of(parameters.data),
        hub_models=hub_models,
        may_use_vllm=lambda parameters: parameters.backend != "transformers",
        cost=cost,
        training_memory=training_memory,
    ),
)
