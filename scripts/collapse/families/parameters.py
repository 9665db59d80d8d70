"""Parameters that several neural families have: their types, bounds and descriptions.

A family gives each one its default, as in ``epochs: Epochs = 30.0``, and a description if there
is none here. A family whose parameter has another meaning declares a field of its own.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from collapse.families.declarations import matters_from

#: What real data is read: the name of a source or of a column, or a separator of documents.
DataName = Annotated[str, Field(min_length=1, json_schema_extra=matters_from("data"))]
#: Number of real samples to read; null means all.
DataSize = Annotated[int | None, Field(ge=1, strict=True, json_schema_extra=matters_from("data"))]
Vocabulary = Annotated[
    int, Field(ge=260, le=2**20, strict=True, json_schema_extra=matters_from("data"))
]
Batch = Annotated[int, Field(ge=1, strict=True, json_schema_extra=matters_from())]
Epochs = Annotated[
    float,
    Field(
        gt=0,
        allow_inf_nan=False,
        description="Number of passes over the training set.",
        json_schema_extra=matters_from(),
    ),
]
LearningRate = Annotated[
    float,
    Field(
        gt=0,
        allow_inf_nan=False,
        description="Peak learning rate of AdamW.",
        json_schema_extra=matters_from(),
    ),
]
Schedule = Annotated[
    Literal["constant", "cosine", "linear"],
    Field(
        description="How the learning rate changes after the warm-up.",
        json_schema_extra=matters_from(),
    ),
]
Warmup = Annotated[
    float,
    Field(
        ge=0,
        lt=1,
        allow_inf_nan=False,
        description="Share of the updates during which the learning rate rises to its peak.",
        json_schema_extra=matters_from(),
    ),
]
WeightDecay = Annotated[
    float,
    Field(
        ge=0,
        allow_inf_nan=False,
        description="Weight decay of AdamW; biases and norms have none.",
        json_schema_extra=matters_from(),
    ),
]
Precision = Annotated[
    Literal["auto", "float32", "bfloat16"],
    Field(
        description="Floating-point precision of training; auto: bfloat16 on GPUs that have it.",
        json_schema_extra=matters_from(),
    ),
]
CurvePoints = Annotated[
    int,
    Field(
        ge=0,
        strict=True,
        description="Number of test losses along the learning curve of an iteration.",
        json_schema_extra=matters_from(),
    ),
]
Temperature = Annotated[
    float,
    Field(
        ge=0,
        allow_inf_nan=False,
        description="Temperature of sampling; 0 takes the likeliest token.",
        json_schema_extra=matters_from("generation", always_an_axis=True),
    ),
]
Backend = Annotated[
    Literal["auto", "vllm", "transformers"],
    Field(
        description="Backend of generation; auto: vLLM if it is installed and a GPU is present.",
        json_schema_extra=matters_from("generation"),
    ),
]
Judged = Annotated[
    int,
    Field(
        ge=2,
        strict=True,
        description="Largest number of samples that the evaluation of an iteration uses.",
        json_schema_extra=matters_from("evaluation"),
    ),
]
