"""What fine-tuned models do in the steps of an iteration."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from collapse.artifacts import manifest
from collapse.artifacts.manifest import ShardRecord
from collapse.artifacts.step import Step
from collapse.artifacts.training_sets import DATASET, Selection
from collapse.data.text import pairs, questions, tokens
from collapse.families.contract import Prepared
from collapse.families.fine_tuning import Parameters, base, training
from collapse.families.fine_tuning.evaluation import of_questions
from collapse.families.fine_tuning.generation import Writer
from collapse.text import checkpoints, evaluation, sampling, stored_tokens
from collapse.text import shards as shards_of_text
from collapse.text.sampling import Decoding, Sample

TRAIN, TEST, TOKENIZER = "train.parquet", "test.parquet", "tokenizer"

#: What is trained on and judged by.
COLUMNS = ("tokens", "ended", "head_tokens")


def prepare(step: Step, parameters: Parameters, directory: Path) -> Prepared:
    """Read the real pairs, find or pretrain the base, and tokenise the pairs as it reads them."""
    corpus = pairs.corpus(
        os.path.expanduser(parameters.data),
        prompt_column=parameters.prompt_column,
        response_column=parameters.response_column,
        limit=parameters.pairs,
        test_pairs=parameters.test_pairs,
        unusable=parameters.unusable,
        generator_of=step.stream,
    )
    texts = (pairs.render(pair) for pair in corpus.train())
    found = base.prepare(step, parameters, texts, directory, directory / TOKENIZER)
    counts = {}
    for split, documents in (("train", corpus.train()), ("test", corpus.test())):
        counts[split] = tokens.write_documents(
            directory / f"{split}.parquet",
            map(pairs.render, documents),
            directory / TOKENIZER,
            context=parameters.context,
            long_documents=parameters.long_pairs,
            head=pairs.head,
            remedy="long_pairs: drop",
        )
    details: dict[str, Any] = {
        "base": found.as_details(directory),
        "corpus": corpus.counts._asdict(),
        **{split: count._asdict() for split, count in counts.items()},
    }
    if parameters.data == "questions" and not any(count.dropped for count in counts.values()):
        # Tokens of a pair and its EOS are predicted, so the entropy is shared among them.
        predicted = counts["train"].tokens / counts["train"].documents + 1
        details["entropy_floor"] = questions.entropy() / predicted
    return Prepared(
        train=[(TRAIN, counts["train"].documents)],
        test=[(TEST, counts["test"].documents)],
        details=details,
    )


def train(
    step: Step,
    parameters: Parameters,
    selections: Sequence[Selection],
    *,
    data: Path,
    fingerprint: str,
    scratch: Path,
    model: Path,
) -> dict[str, Any]:
    """Tune a copy of the base."""
    return training.train(
        step,
        parameters,
        shards_of_text.selected(selections, COLUMNS),
        base=base.recorded(data, _details(data)),
        test=tokens.read(data / TEST, columns=COLUMNS),
        tokenizer=data / TOKENIZER,
        fingerprint=fingerprint,
        scratch=scratch,
        model=model,
    )


def generate(
    step: Step, parameters: Parameters, slots: range, *, model: Path, data: Path, output: Path
) -> dict[str, Any]:
    """Sample one well-formed pair for each slot, from nothing but BOS."""
    special = base.recorded(data, _details(data)).special
    writer = Writer(data / TOKENIZER, parameters)
    decoding = Decoding(
        temperature=parameters.temperature,
        max_tokens=parameters.context - 1,
        begin=special.bos,
        end=special.eos,
    )
    first_seed = step.integer("samples")
    with sampling.opened(parameters.backend, model, decoding) as draw:

        def attempt(wanted: Sequence[int], number: int) -> list[Sample]:
            seeds = sampling.seeds(
                first_seed, number, wanted, shared_by=parameters.samples_per_seed
            )
            return draw([[] for _ in wanted], seeds)

        filled = sampling.fill(slots, attempt, writer.accepts, most_attempts=parameters.attempts)
    writer.write(filled.samples, output)
    print(f"{filled.drawn} samples drawn, {filled.acceptance_rate:.1%} accepted: {writer.refused}")
    return {
        "backend": sampling.backend(parameters.backend),
        "drawn": filled.drawn,
        "acceptance_rate": filled.acceptance_rate,
        "refused": writer.refused,
        "truncated": sum(not sample.ended for sample in filled.samples),
    }


def evaluate(
    step: Step,
    parameters: Parameters,
    *,
    model: Path,
    data: Path,
    selections: Sequence[Selection],
    shards: Sequence[ShardRecord],
    threads: int,
) -> dict[str, float]:
    """Measure the model on real test pairs, and its samples."""
    special = base.recorded(data, _details(data)).special
    test = stored_tokens.in_memory(tokens.read(data / TEST, columns=COLUMNS), special)
    network = checkpoints.load(model, getattr(torch, parameters.evaluation_precision))
    found = evaluation.cross_entropy(network, test)
    metrics = {
        "test_cross_entropy": found,
        "response_cross_entropy": evaluation.cross_entropy(network, test, responses=True),
        "perplexity": float(np.exp(found)),
        "entropy_floor": _details(data).get("entropy_floor", np.nan),
    }
    if shards:
        samples = shards_of_text.first(shards, parameters.judged)
        metrics |= evaluation.of_samples(
            samples,
            training_set=shards_of_text.selected(selections),
            test=tokens.read(data / TEST),
        )
        metrics["acceptance_rate"] = shards_of_text.acceptance_rate(shards)
        metrics["truncated_share"] = shards_of_text.truncated_share(shards)
        if parameters.data == "questions":
            metrics |= of_questions(samples["text"].to_pylist())
    return metrics


def _details(data: Path) -> dict[str, Any]:
    """Return what was noted when the real data was prepared."""
    return manifest.read_dataset(data / DATASET).details
