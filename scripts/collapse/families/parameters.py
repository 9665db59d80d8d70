"""Grid keys that several neural families have: their types, bounds and descriptions.

A family gives each a default of its own, ``epochs: Epochs = 30.0``, and describes those that
have no description here; or it states a field anew where it means something else.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from collapse.families.declarations import matters_from

#: Which real data is read, or which part of a file: the name of a source or a column, a separator.
DataName = Annotated[str, Field(min_length=1, json_schema_extra=matters_from("data"))]
#: Real samples to read; null means all.
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
        description="Passes over the training set.",
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
        description="How the learning rate goes on after the warm-up.",
        json_schema_extra=matters_from(),
    ),
]
Warmup = Annotated[
    float,
    Field(
        ge=0,
        lt=1,
        allow_inf_nan=False,
        description="Share of the steps in which the learning rate rises.",
        json_schema_extra=matters_from(),
    ),
]
WeightDecay = Annotated[
    float,
    Field(
        ge=0,
        allow_inf_nan=False,
        description="Weight decay of matrices and convolutions.",
        json_schema_extra=matters_from(),
    ),
]
Precision = Annotated[
    Literal["auto", "float32", "bfloat16"],
    Field(
        description="Of the arithmetic. auto: bfloat16 on GPUs that have it.",
        json_schema_extra=matters_from(),
    ),
]
CurvePoints = Annotated[
    int,
    Field(
        ge=0,
        strict=True,
        description="Test losses along the learning curve of an iteration.",
        json_schema_extra=matters_from(),
    ),
]
Temperature = Annotated[
    float,
    Field(
        ge=0,
        allow_inf_nan=False,
        description="Of sampling; 0 takes the likeliest token.",
        json_schema_extra=matters_from("generation", always_an_axis=True),
    ),
]
Backend = Annotated[
    Literal["auto", "vllm", "transformers"],
    Field(
        description="What generates: auto takes vLLM where it and a GPU are.",
        json_schema_extra=matters_from("generation"),
    ),
]
Judged = Annotated[
    int,
    Field(
        ge=2,
        strict=True,
        description="Samples, at most, by which an iteration is judged.",
        json_schema_extra=matters_from("evaluation"),
    ),
]
