"""Supervised fine-tuning of a pretrained model on prompt-response pairs (P2: Gemma-2, HelpSteer2).

Every iteration starts from the same base. This module declares the family for planning, without
torch; the modules beside it do the work of the jobs and import torch.
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

#: Mean number of tokens of a pair, by source; that of HelpSteer2 is a guess.
TOKENS = {"questions": 30, "helpsteer2": 300}


class Parameters(declarations.Parameters):
    """Parameters of the fine_tuning family.

    The paper study sets the published values (docs/reproduction.md, "Supervised fine-tuning"); the
    defaults suit the built-in base.
    """

    base: str = Field(
        default=architectures.BUILT_IN,
        min_length=1,
        description="Pretrained model that every iteration starts from: stories (a small model of "
        f"the built-in stories), {', '.join(architectures.PUBLISHED)}, hub:<owner>/<name>, or a "
        "folder with a Hugging Face checkpoint.",
        json_schema_extra=matters_from("data", always_an_axis=True),
    )
    chat_template: Literal["refuse", "ignore"] = Field(
        default="refuse",
        description="What to do with a base that has a chat template, which tells that it was "
        "fine-tuned before; the template is never used.",
        json_schema_extra=matters_from("data"),
    )
    base_stories: int = Field(
        default=5000,
        ge=100,
        strict=True,
        description="Number of stories that the built-in base is pretrained on.",
        json_schema_extra=matters_from("data"),
    )
    vocabulary: Vocabulary = Field(
        default=768,
        description="Size of the built-in base's byte-pair vocabulary; other bases have their own.",
    )
    data: DataName = Field(
        default="questions",
        description="Real pairs: questions (built in), helpsteer2, hub:<owner>/<name>, or a file "
        "or folder of JSON lines or Parquet.",
    )
    prompt_column: DataName = Field(default="prompt", description="Column with the prompts.")
    response_column: DataName = Field(default="response", description="Column with the responses.")
    pairs: DataSize = Field(
        default=None,
        description="Number of training pairs to read; null: all (10000 built-in questions).",
    )
    test_pairs: DataSize = Field(
        default=None,
        description="Number of test pairs; null: the source's whole test split or, if it has "
        "none, 5 % of its pairs (500 built-in questions).",
    )
    unusable: Literal["refuse", "drop"] = Field(
        default="refuse",
        description="What to do with a pair that lacks its prompt or response, or whose prompt "
        "contains the words that begin a response.",
        json_schema_extra=matters_from("data"),
    )
    context: int = Field(
        default=128,
        ge=8,
        le=2**17,
        strict=True,
        description="Tokens of the longest pair, with its BOS and EOS.",
        json_schema_extra=matters_from("data"),
    )
    long_pairs: Literal["refuse", "drop"] = Field(
        default="refuse",
        description="What to do with a pair longer than the context.",
        json_schema_extra=matters_from("data"),
    )
    loss: Literal["whole", "response"] = Field(
        default="whole",
        description="Which tokens the loss counts: all of a pair, or those of its response.",
        json_schema_extra=matters_from(),
    )
    epochs: Epochs = 1.0
    batch: Batch = Field(default=16, description="Number of pairs per update.")
    micro_batch: int | None = Field(
        default=None,
        ge=1,
        strict=True,
        description="Number of pairs that a GPU processes at once; null: its share of the batch.",
        json_schema_extra=matters_from(),
    )
    gradient_checkpointing: bool = Field(
        default=False,
        description="Recompute activations in the backward pass instead of keeping them, which "
        "saves memory and takes a third more time.",
        json_schema_extra=matters_from(),
    )
    sharded: bool = Field(
        default=False,
        description="Divide weights, gradients and the optimiser's state among the GPUs of a "
        "training, for models that do not fit on one.",
        json_schema_extra=matters_from(),
    )
    learning_rate: LearningRate = 1e-3
    schedule: Schedule = "constant"
    warmup: Warmup = 0.05
    weight_decay: WeightDecay = 0.0
    precision: Precision = "auto"
    weights: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description="Precision of weights and of the optimiser's state; bfloat16 loses small "
        "updates to rounding, as in the published code (docs/reproduction.md, mistake 5).",
        json_schema_extra=matters_from(),
    )
    curve_points: CurvePoints = 10
    later_steps: int | None = Field(
        default=None,
        ge=1,
        strict=True,
        description="Number of updates in every iteration from 2 on, whatever the size of its "
        "training set, as a control of a mixture grid (docs/reproduction.md, mistake 7); "
        "null: by epochs.",
        json_schema_extra=matters_from("later"),
    )
    later_warmup_steps: int | None = Field(
        default=None,
        ge=0,
        strict=True,
        description="Number of updates of the warm-up from iteration 2 on; null: by warmup.",
        json_schema_extra=matters_from("later"),
    )
    temperature: Temperature = 1.0
    attempts: int = Field(
        default=50,
        ge=1,
        strict=True,
        description="Largest number of draws for a well-formed sample before generation fails.",
        json_schema_extra=matters_from("generation"),
    )
    truncated: Literal["redraw", "end"] = Field(
        default="redraw",
        description="What to do with a sample that is cut off at the context: draw it again, or "
        "end it there, as in the published code (docs/reproduction.md, mistake 4).",
        json_schema_extra=matters_from("generation"),
    )
    long_samples: Literal["redraw", "drop"] = Field(
        default="redraw",
        description="What to do with a sample whose text, tokenised again, exceeds the context: "
        "draw it again, or leave it out of training sets, whose size then drifts, as in the "
        "published code (docs/reproduction.md, mistake 4).",
        json_schema_extra=matters_from("generation"),
    )
    samples_per_seed: int = Field(
        default=1,
        ge=1,
        strict=True,
        description="Number of neighbouring samples that share a random seed; more than one, as in "
        "the published code (docs/reproduction.md, mistake 2), makes copies.",
        json_schema_extra=matters_from("generation"),
    )
    backend: Backend = "auto"
    evaluation_precision: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description="Precision of weights and arithmetic in evaluation; a GPU of 80 GB holds a "
        "model of 27 billion parameters only in bfloat16.",
        json_schema_extra=matters_from("evaluation"),
    )
    judged: int = Field(
        default=1000,
        ge=0,
        strict=True,
        description="Largest number of samples that are evaluated; 0: only losses are computed.",
        json_schema_extra=matters_from("evaluation"),
    )


def source_files(parameters: Parameters) -> list[str]:
    """Return the local files and folders that the pairs and the base are read from."""
    local = architectures.folder(parameters.base)
    return _pair_files(parameters) if local is None else [str(local), *_pair_files(parameters)]


def _pair_files(parameters: Parameters) -> list[str]:
    source = parameters.data
    elsewhere = source == "questions" or datasets_of(source)
    return [] if elsewhere else [os.path.expanduser(source)]


def hub_models(parameters: Parameters) -> list[str]:
    """Return the names of the models that are read from the Hugging Face Hub."""
    name = architectures.on_hub(parameters.base)
    return [] if name is None else [name]


def problems(parameters: Parameters) -> Iterator[tuple[str, str]]:
    """Yield the name of each parameter that contradicts another one, and what was expected."""
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
        yield "precision", "auto or bfloat16, because weights are bfloat16"


def cost(parameters: Parameters) -> SampleCost:
    """Estimate what a sample costs in the steps of an iteration, for the plan of a study."""
    shape = architectures.shape(parameters.base, parameters.vocabulary)
    size = shape.parameters if shape else 0
    tokens = TOKENS.get(parameters.data, parameters.context / 2)
    # Gradient checkpointing computes the forward pass twice.
    passes = 8 if parameters.gradient_checkpointing else 6
    return SampleCost(
        train_flops=passes * size * tokens * parameters.epochs,
        generate_flops=2 * size * tokens,
        # Tokens of 32 bits and the text, compressed.
        sample_bytes=5 * tokens,
        model_bytes=(2 if parameters.weights == "bfloat16" else 4) * size,
    )


def training_memory(parameters: Parameters, gpus: int) -> float | None:
    """Estimate the bytes that a training takes on each GPU; None if the shape is unknown."""
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
        # Only Gemma has four norms in a layer; its attention keeps its scores.
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
    # In the (0, 0) cell of a mixture grid a model is trained on nothing and remains the base.
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
