"""Supervised fine-tuning of a pretrained model on prompt-response pairs (P2: Gemma-2, HelpSteer2).

Every iteration starts from the same base. This module declares the family for planning, without
torch; the modules beside it do the work of the jobs and import torch.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from collapse.data.hub_names import datasets_of
from collapse.families import text
from collapse.families.contract import Family, Iterative
from collapse.families.declarations import Headline, Metric, Score
from collapse.families.fine_tuning import architectures
from collapse.families.fine_tuning.parameters import Parameters
from collapse.families.fine_tuning.published import CURVES
from collapse.families.fine_tuning.work import FineTuningWork
from collapse.families.language_model.architectures import ARCHITECTURES
from collapse.training import memory

if TYPE_CHECKING:
    from collapse.text.prompted import Answered

#: The parameters that the built-in base depends on.
PRETRAINED_WITH = {"base", "base_stories", "vocabulary", "context", "precision"}


def source_files(parameters: Parameters) -> list[str]:
    """Return the local files and folders that the pairs and the base are read from."""
    local = architectures.folder(parameters.base)
    return _pair_files(parameters) if local is None else [str(local), *_pair_files(parameters)]


def _pair_files(parameters: Parameters) -> list[str]:
    source = parameters.data
    elsewhere = source == "questions" or datasets_of(source)
    return [] if elsewhere else [os.path.expanduser(source)]


def built_in(parameters: Parameters) -> dict[str, Any] | None:
    """Return the parameters that the built-in base is pretrained with; None for other bases."""
    if not architectures.is_built_in(parameters.base):
        return None
    return parameters.model_dump(include=PRETRAINED_WITH)


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
    yield from text.decoding_problems(parameters)
    if parameters.beams and parameters.truncated == "redraw":
        yield "truncated", "end with beams, which would find the same sample again"
    yield from _problems_of_prompts(parameters)
    if parameters.weights == "bfloat16" and parameters.precision == "float32":
        yield "precision", "auto or bfloat16, because weights are bfloat16"


def _problems_of_prompts(parameters: Parameters) -> Iterator[tuple[str, str]]:
    length, longest = parameters.prompt_tokens, parameters.context - 2  # BOS and EOS
    if parameters.start == "prompt":
        if length is not None and length >= longest:
            yield "prompt_tokens", f"fewer than context - 2 = {longest}"
        yield from text.prompting_problems(parameters)
    elif length is not None:
        yield "prompt_tokens", f"null with start: {parameters.start}"


def answered(parameters: Parameters) -> Answered | None:
    """Return how samples answer prompts; None if the model writes their prompts itself."""
    if parameters.start != "prompt":
        return None
    from collapse.text.prompted import Answered

    return Answered()


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


METRICS = {
    "test_cross_entropy": Metric("cross-entropy on real test pairs", "nats per token"),
    "response_cross_entropy": Metric("cross-entropy on real test responses", "nats per token"),
    "perplexity": Metric("perplexity on real test pairs"),
    **text.METRICS,
    "question_share": Metric("share of samples that ask a question of the grammar"),
    "correct_share": Metric("share of these questions that are answered correctly"),
    **text.known("test pairs", "kinds of questions"),
}

FAMILY = Family(
    name="fine_tuning",
    parameters=Parameters,
    metrics=METRICS,
    scores={
        "correct": Score(
            "1 for a question of the built-in grammar with a right answer, 0 for other samples.",
            better="higher",
            needs=lambda parameters: None if parameters.data == "questions" else "data: questions",
        ),
        **text.SCORES,
    },
    headline=Headline(
        "test_cross_entropy",
        worse="higher",
        stable=0.03,
        meaning="How badly the tuned models predict real pairs; dash-dotted, how badly a perfect "
        "model predicts the same pairs.",
    ),
    figures=text.figures("base", METRICS, "response_cross_entropy", "correct_share"),
    published=CURVES,
    # In the (0, 0) cell of a mixture grid a model is trained on nothing and remains the base.
    minimum_samples=0,
    problems=problems,
    unfit=text.unfit,
    iterative=Iterative(
        module="collapse.families.fine_tuning.steps",
        # 2: the tokenizer is the base's own, not one that transformers builds from its vocabulary.
        wants_gpu=True,
        starts_from_models=True,
        versions={"prepare": 2, "evaluate": 2},
        has_dataset=True,
        base=built_in,
        writes_text=True,
        evaluated_samples=lambda parameters: parameters.judged,
        source_files=source_files,
        hub_datasets=lambda parameters: datasets_of(parameters.data),
        hub_models=hub_models,
        may_use_vllm=text.may_use_vllm,
        workload=FineTuningWork,
        training_memory=training_memory,
    ),
)
