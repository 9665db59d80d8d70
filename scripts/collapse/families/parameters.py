"""Parameters that several neural families have: their types, bounds and descriptions.

A family gives each one its default, as in ``epochs: Epochs = 30.0``, and a description if there
is none here. A family whose parameter has another meaning declares a field of its own.
"""

from __future__ import annotations

from typing import Annotated, Literal

from collapse.families.declarations import parameter

#: What real data is read: the name of a source or of a column, or a separator of documents.
DataName = Annotated[str, parameter(stage="data", min_length=1)]
#: Number of real samples to read; null means all.
DataSize = Annotated[int | None, parameter(stage="data", ge=1)]
Vocabulary = Annotated[int, parameter(stage="data", ge=260, le=2**20)]
Batch = Annotated[int, parameter(ge=1)]
Epochs = Annotated[float, parameter("Number of passes over the training set.", gt=0)]
LearningRate = Annotated[float, parameter("Peak learning rate of AdamW.", gt=0)]
Schedule = Annotated[
    Literal["constant", "cosine", "linear"],
    parameter("How the learning rate changes after the warm-up."),
]
Warmup = Annotated[
    float,
    parameter("Share of the updates during which the learning rate rises to its peak.", ge=0, lt=1),
]
WeightDecay = Annotated[
    float, parameter("Weight decay of AdamW; biases and norms have none.", ge=0)
]
Precision = Annotated[
    Literal["auto", "float32", "bfloat16"],
    parameter("Floating-point precision of training; auto: bfloat16 on GPUs that have it."),
]
CurvePoints = Annotated[
    int, parameter("Number of test losses along the learning curve of an iteration.", ge=0)
]
Temperature = Annotated[
    float,
    parameter(
        "Temperature of sampling; 0 takes the likeliest token.",
        stage="generation",
        always_an_axis=True,
        ge=0,
    ),
]
TopK = Annotated[
    int | None,
    parameter(
        "Number of likeliest tokens among which each token is drawn; null: all.",
        stage="generation",
        added=True,
        ge=1,
    ),
]
TopP = Annotated[
    float | None,
    parameter(
        "Probability that the likeliest tokens have together among which each token is drawn, "
        "of those that top_k leaves (nucleus sampling); null: 1.",
        stage="generation",
        added=True,
        gt=0,
        le=1,
    ),
]
Beams = Annotated[
    int | None,
    parameter(
        "Number of beams of a beam search, which takes the text with the highest mean "
        "log-probability of a token that it finds, instead of drawing tokens; null: none. It is "
        "done by transformers alone.",
        stage="generation",
        added=True,
        ge=1,
        le=100,
    ),
]
Backend = Annotated[
    Literal["auto", "vllm", "transformers"],
    parameter(
        "Backend of generation; auto: vLLM if it is installed and a GPU is present.",
        stage="generation",
    ),
]
Judged = Annotated[
    int,
    parameter(
        "Largest number of samples that the evaluation of an iteration uses.",
        stage="evaluation",
        ge=2,
    ),
]
