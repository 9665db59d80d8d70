"""Parameters of the fine_tuning family: the keys of a study's grid and settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from collapse.families import declarations
from collapse.families import parameters as common
from collapse.families.declarations import parameter
from collapse.families.fine_tuning import architectures


class Parameters(declarations.Parameters):
    """Parameters of the fine_tuning family.

    The paper study sets the published values (docs/reproduction.md, "Supervised fine-tuning"); the
    defaults suit the built-in base.
    """

    base: str = parameter(
        "Pretrained model that every iteration starts from: stories (a small model of "
        f"the built-in stories), {', '.join(architectures.PUBLISHED)}, hub:<owner>/<name>, or a "
        "folder with a Hugging Face checkpoint.",
        stage="data",
        always_an_axis=True,
        default=architectures.BUILT_IN,
        min_length=1,
    )
    chat_template: Literal["refuse", "ignore"] = parameter(
        "What to do with a base that has a chat template, which tells that it was "
        "fine-tuned before; the template is never used.",
        stage="data",
        default="refuse",
    )
    base_stories: int = parameter(
        "Number of stories that the built-in base is pretrained on.",
        stage="data",
        default=5000,
        ge=100,
    )
    vocabulary: common.Vocabulary = Field(
        default=768,
        description="Size of the built-in base's byte-pair vocabulary; other bases have their own.",
    )
    data: common.DataName = Field(
        default="questions",
        description="Real pairs: questions (built in), helpsteer2, hub:<owner>/<name>, or a file "
        "or folder of JSON lines or Parquet.",
    )
    prompt_column: common.DataName = Field(default="prompt", description="Column with the prompts.")
    response_column: common.DataName = Field(
        default="response", description="Column with the responses."
    )
    pairs: common.DataSize = Field(
        default=None,
        description="Number of training pairs to read; null: all (10000 built-in questions).",
    )
    test_pairs: common.DataSize = Field(
        default=None,
        description="Number of test pairs; null: the source's whole test split or, if it has "
        "none, 5 % of its pairs (500 built-in questions).",
    )
    unusable: Literal["refuse", "drop"] = parameter(
        "What to do with a pair that lacks its prompt or response, or whose prompt "
        "contains the words that begin a response.",
        stage="data",
        default="refuse",
    )
    context: int = parameter(
        "Tokens of the longest pair, with its BOS and EOS.",
        stage="data",
        default=128,
        ge=8,
        le=2**17,
    )
    long_pairs: Literal["refuse", "drop"] = parameter(
        "What to do with a pair longer than the context.", stage="data", default="refuse"
    )
    altered_pairs: Literal["refuse", "drop"] = parameter(
        "What to do with a pair that the base's tokenizer does not give back as it is, as one that "
        "turns capitals into small letters.",
        stage="data",
        default="refuse",
    )
    loss: Literal["whole", "response"] = parameter(
        "Which tokens the loss counts: all of a pair, or those of its response.", default="whole"
    )
    epochs: common.Epochs = 1.0
    batch: common.Batch = Field(default=16, description="Number of pairs per update.")
    micro_batch: int | None = parameter(
        "Number of pairs that a GPU processes at once; null: its share of the batch.",
        default=None,
        ge=1,
    )
    gradient_checkpointing: bool = parameter(
        "Recompute activations in the backward pass instead of keeping them, which "
        "saves memory and takes a third more time.",
        default=False,
    )
    sharded: bool = parameter(
        "Divide weights, gradients and the optimiser's state among the GPUs of a "
        "training, for models that do not fit on one.",
        default=False,
    )
    learning_rate: common.LearningRate = 1e-3
    schedule: common.Schedule = "constant"
    warmup: common.Warmup = 0.05
    weight_decay: common.WeightDecay = 0.0
    precision: common.Precision = "auto"
    weights: Literal["float32", "bfloat16"] = parameter(
        "Precision of weights and of the optimiser's state; bfloat16 loses small "
        "updates to rounding, as in the published code (docs/reproduction.md, mistake 5).",
        default="float32",
    )
    curve_points: common.CurvePoints = 10
    later_steps: int | None = parameter(
        "Number of updates in every iteration from 2 on, whatever the size of its "
        "training set, as a control of a mixture grid (docs/reproduction.md, mistake 7); "
        "null: by epochs.",
        stage="later",
        default=None,
        ge=1,
    )
    later_warmup_steps: int | None = parameter(
        "Number of updates of the warm-up from iteration 2 on; null: by warmup.",
        stage="later",
        default=None,
        ge=0,
    )
    temperature: common.Temperature = 1.0
    top_k: common.TopK = None
    top_p: common.TopP = None
    beams: common.Beams = None
    start: Literal["bos", "prompt"] = parameter(
        "How a sample begins: with nothing but BOS, so that the model writes prompt and response, "
        "or with the prompt of a real training pair, which the model answers.",
        stage="generation",
        added=True,
        default="bos",
    )
    prompt_tokens: int | None = parameter(
        "Largest number of tokens of a prompt, with start: prompt; pairs with a longer one are "
        "passed over, and counted. null: no limit.",
        stage="generation",
        added=True,
        default=None,
        ge=1,
    )
    attempts: int = parameter(
        "Largest number of draws for a well-formed sample before generation fails.",
        stage="generation",
        default=50,
        ge=1,
    )
    truncated: Literal["redraw", "end"] = parameter(
        "What to do with a sample that is cut off at the context: draw it again, or "
        "end it there, as in the published code (docs/reproduction.md, mistake 4).",
        stage="generation",
        default="redraw",
    )
    long_samples: Literal["redraw", "drop"] = parameter(
        "What to do with a sample whose text, tokenised again, exceeds the context: "
        "draw it again, or leave it out of training sets, whose size then drifts, as in the "
        "published code (docs/reproduction.md, mistake 4).",
        stage="generation",
        default="redraw",
    )
    samples_per_seed: int = parameter(
        "Number of neighbouring samples that share a random seed; more than one, as in "
        "the published code (docs/reproduction.md, mistake 2), makes copies.",
        stage="generation",
        default=1,
        ge=1,
    )
    backend: common.Backend = "auto"
    evaluation_precision: Literal["float32", "bfloat16"] = parameter(
        "Precision of weights and arithmetic in evaluation; a GPU of 80 GB holds a "
        "model of 27 billion parameters only in bfloat16.",
        stage="evaluation",
        default="float32",
    )
    judged: int = parameter(
        "Largest number of samples that are evaluated; 0: only losses are computed.",
        stage="evaluation",
        default=1000,
        ge=0,
    )
