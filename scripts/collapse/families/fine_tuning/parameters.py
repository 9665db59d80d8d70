"""Parameters of the fine_tuning family: the keys of a study's grid and settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from collapse.families import declarations
from collapse.families.declarations import matters_from
from collapse.families.fine_tuning import architectures
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
