"""Causal language models pretrained from scratch (P1 section 3.1; P2 adds the fixed budget).

This module declares the family for planning, without torch; the modules beside it do the work of
the jobs and import torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from collapse.data.hub_names import datasets_of
from collapse.families import declarations, text
from collapse.families import parameters as common
from collapse.families.contract import Family, Iterative
from collapse.families.declarations import Figure, Headline, Metric, Score, parameter
from collapse.families.language_model.architectures import ARCHITECTURES
from collapse.families.language_model.published import LATER, TABLE_2
from collapse.families.language_model.work import LanguageModelWork

if TYPE_CHECKING:
    from collapse.text.prompted import Prompted

ModelName = Literal["tiny", "gpt2-9m", "llama2-12m", "llama2-42m", "llama2-126m"]


class Parameters(declarations.Parameters):
    """Parameters of the language_model family.

    Head counts, learning rate and schedule of the published runs are not known; the defaults
    are ours (docs/reproduction.md, "Language-model pretraining").
    """

    data: common.DataName = Field(
        default="stories",
        description="Real data: stories (built in), tinystories, hub:<owner>/<name>, or a file "
        "or folder of text, JSON lines or Parquet.",
    )
    separator: common.DataName = Field(
        default="\n\n", description="Separator between the documents of a text file."
    )
    column: common.DataName = Field(
        default="text", description="Column with the text, for JSON lines and Parquet."
    )
    documents: common.DataSize = Field(
        default=None,
        description="Number of training documents to read; null: all (20000 built-in stories).",
    )
    test_documents: common.DataSize = Field(
        default=None,
        description="Number of test documents; null: the source's whole test split or, if it has "
        "none, 5 % of its documents (1000 built-in stories).",
    )
    vocabulary: common.Vocabulary = Field(
        default=768,
        description="Size of the byte-pair vocabulary, including 256 bytes and 3 special tokens.",
    )
    context: int = parameter(
        "Tokens of a training sequence, and of the longest document with its BOS and EOS.",
        stage="data",
        default=128,
        ge=8,
        le=2048,
    )
    long_documents: Literal["refuse", "drop", "truncate"] = parameter(
        "What to do with a document longer than the context.", stage="data", default="refuse"
    )
    model: ModelName = Field(default="tiny", description="Architecture and size of the model.")
    epochs: common.Epochs = 1.0
    first_epochs: float | None = parameter(
        "Number of passes over the real data at iteration 1; null: as epochs.", default=None, gt=0
    )
    batch: common.Batch = Field(default=4, description="Number of packed sequences per update.")
    learning_rate: common.LearningRate = 3e-3
    schedule: common.Schedule = "cosine"
    warmup: common.Warmup = 0.05
    weight_decay: common.WeightDecay = 0.1
    precision: common.Precision = "auto"
    curve_points: common.CurvePoints = 20
    temperature: common.Temperature = 1.0
    top_k: common.TopK = None
    top_p: common.TopP = None
    beams: common.Beams = None
    start: Literal["bos", "first-token", "prompt"] = parameter(
        "How a sample begins: with a token that the model generates after BOS, with one drawn from "
        "the first tokens of its training set, or with a prompt, the first tokens of a real "
        "training document.",
        stage="generation",
        default="bos",
    )
    prompt_tokens: int | None = parameter(
        "Number of tokens of a prompt, with start: prompt.",
        stage="generation",
        added=True,
        default=None,
        ge=1,
    )
    keep_prompt: bool = parameter(
        "Whether the prompt is part of the sample that the next model trains on, or what "
        "continues it alone.",
        stage="generation",
        added=True,
        default=False,
    )
    truncated: Literal["redraw", "keep"] = parameter(
        "What to do with a sample that is cut off at the context, without an EOS.",
        stage="generation",
        default="redraw",
    )
    fixed_length: int | None = parameter(
        "Length of every sample in tokens, with its prompt if it has one, regardless of an EOS; "
        "null: until its EOS.",
        stage="generation",
        default=None,
        ge=1,
    )
    backend: common.Backend = "auto"
    judged: common.Judged = 1000


def source_files(parameters: Parameters) -> list[str]:
    """Return the local file or folder of the real data; empty if it is built in or on the Hub."""
    source = parameters.data
    elsewhere = source == "stories" or datasets_of(source)
    return [] if elsewhere else [os.path.expanduser(source)]


def problems(parameters: Parameters) -> Iterator[tuple[str, str]]:
    """Yield the name of each parameter that contradicts another one, and what was expected."""
    for path in source_files(parameters):
        if not os.path.exists(path):
            yield "data", "stories, tinystories, hub:<owner>/<name>, or an existing file or folder"
    positions = ARCHITECTURES[parameters.model].positions
    if parameters.context > positions:
        yield "context", f"at most the {positions} positions of {parameters.model}"
    if parameters.fixed_length and parameters.fixed_length > parameters.context - 1:
        yield "fixed_length", f"at most context - 1 = {parameters.context - 1}"
    if parameters.fixed_length == 1 and parameters.start == "first-token":
        yield "fixed_length", "at least 2, for the first token is drawn from the data"
    yield from text.decoding_problems(parameters)
    same_again = parameters.beams and parameters.start != "first-token"
    if same_again and parameters.truncated == "redraw":
        yield "truncated", "keep with beams, which would find the same sample again"
    yield from _problems_of_prompts(parameters)


def _problems_of_prompts(parameters: Parameters) -> Iterator[tuple[str, str]]:
    length = parameters.prompt_tokens
    if parameters.start != "prompt":
        if length is not None:
            yield "prompt_tokens", f"null with start: {parameters.start}"
        if parameters.keep_prompt:
            yield "keep_prompt", f"false with start: {parameters.start}"
        return
    longest = parameters.fixed_length or parameters.context - 1
    if length is None:
        yield "prompt_tokens", "a number of tokens, which start: prompt needs"
    elif length >= longest:
        limit = "fixed_length" if parameters.fixed_length else "context - 1"
        yield "prompt_tokens", f"fewer than {limit} = {longest}"
    yield from text.prompting_problems(parameters)


def prompted(parameters: Parameters) -> Prompted | None:
    """Return how samples continue prompts; None if they do not."""
    if parameters.start != "prompt":
        return None
    from collapse.text.prompted import Prompted

    return Prompted(int(parameters.prompt_tokens or 0), parameters.keep_prompt)


METRICS = {
    "test_cross_entropy": Metric("cross-entropy on real test data", "nats per token"),
    "perplexity": Metric("perplexity on real test data"),
    **text.METRICS,
    "grammatical_share": Metric("share of grammatical samples"),
    **text.known("test documents", "plots"),
}

FAMILY = Family(
    name="language_model",
    parameters=Parameters,
    metrics=METRICS,
    scores={
        "grammatical": Score(
            "1 for a story of the built-in grammar, 0 for other samples.",
            better="higher",
            needs=lambda parameters: None if parameters.data == "stories" else "data: stories",
        ),
        **text.SCORES,
    },
    headline=Headline(
        "test_cross_entropy",
        worse="higher",
        stable=0.03,
        meaning="How badly the models predict real documents; dash-dotted, how badly a perfect "
        "model predicts the same documents.",
    ),
    figures=(
        *text.figures("model", METRICS, "self_overlap", "grammatical_share"),
        *(
            Figure(f"cross-entropy-by-{what}", "test_cross_entropy", None, colour, compares=True)
            for what, colour in (("temperature", "temperature"), ("first-training", "first_epochs"))
        ),
    ),
    published=TABLE_2 + LATER,
    minimum_samples=2,
    problems=problems,
    unfit=text.unfit,
    iterative=Iterative(
        module="collapse.families.language_model.steps",
        # 2: truncated documents are on one side only; samples that are texts are tokenised again.
        wants_gpu=True,
        starts_from_models=True,
        versions={"prepare": 2, "generate": 2, "evaluate": 2},
        has_dataset=True,
        writes_text=True,
        evaluated_samples=lambda parameters: parameters.judged,
        source_files=source_files,
        hub_datasets=lambda parameters: datasets_of(parameters.data),
        may_use_vllm=text.may_use_vllm,
        workload=LanguageModelWork,
    ),
)
