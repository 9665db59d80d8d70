"""What language models do in the steps of an iteration."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from collapse import sampling
from collapse.data import stories, text, tokens
from collapse.data.tokens import BOS, EOS
from collapse.families.language_model import Parameters, evaluation, pretraining
from collapse.families.protocols import Prepared
from collapse.lineage import Step
from collapse.manifest import ShardRecord
from collapse.sampling import Decoding, Sample
from collapse.training_sets import DATASET, Selection

TRAIN, TEST, TOKENIZER = "train.parquet", "test.parquet", "tokenizer"

#: Draws of a sample that is cut off or empty, before giving up.
MOST_ATTEMPTS = 50

#: Samples of a model beyond which seeds of different attempts could meet.
MOST_SLOTS = 2**26


def prepare(step: Step, parameters: Parameters, directory: Path) -> Prepared:
    """Read the real documents, train the tokenizer on the training split, and tokenise both."""
    corpus = text.corpus(
        os.path.expanduser(parameters.data),
        separator=parameters.separator,
        column=parameters.column,
        limit=parameters.documents,
        test_documents=parameters.test_documents,
        generator_of=step.stream,
    )
    tokens.train_tokenizer(corpus.train(), parameters.vocabulary, directory / TOKENIZER)
    counts = {}
    for split, documents in (("train", corpus.train()), ("test", corpus.test())):
        counts[split] = tokens.write_documents(
            directory / f"{split}.parquet",
            documents,
            directory / TOKENIZER,
            context=parameters.context,
            long_documents=parameters.long_documents,
        )
    details: dict[str, Any] = {
        "corpus": corpus.counts._asdict(),
        **{split: found._asdict() for split, found in counts.items()},
    }
    whole = not any(found.dropped or found.truncated for found in counts.values())
    if parameters.data == "stories" and whole:
        # Tokens of a document and its EOS are predicted, so the entropy is shared among them.
        predicted = counts["train"].tokens / counts["train"].documents + 1
        details["entropy_floor"] = stories.entropy() / predicted
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
    """Train a newly initialised model."""
    return pretraining.train(
        step,
        parameters,
        _documents(selections),
        test=tokens.read(data / TEST),
        tokenizer=data / TOKENIZER,
        fingerprint=fingerprint,
        scratch=scratch,
        model=model,
    )


def _documents(selections: Sequence[Selection]) -> Iterator[pa.Table]:
    for selection in selections:
        yield from tokens.read(Path(str(selection.path)), selection.rows, ("tokens", "ended"))


def generate(
    step: Step, parameters: Parameters, slots: range, *, model: Path, data: Path, output: Path
) -> dict[str, Any]:
    """Sample one document for each slot, from its own seed."""
    limit = parameters.fixed_length or parameters.context - 1
    decoding = Decoding(
        temperature=parameters.temperature,
        max_tokens=limit,
        begin=BOS,
        end=EOS,
        ignore_end=parameters.fixed_length is not None,
    )
    first = pretraining.read_first_tokens(model) if parameters.start == "first-token" else None

    def acceptable(sample: Sample) -> bool:
        if parameters.truncated == "redraw" and not (sample.ended or decoding.ignore_end):
            return False
        return len(sample.tokens) > 0

    base = step.integer("samples")
    with sampling.opened(parameters.backend, model, decoding) as draw:

        def attempt(wanted: Sequence[int], number: int) -> list[Sample]:
            # vLLM takes 32 bits of a seed: counting upwards, no two of a model's are the same.
            seeds = [(base + number * MOST_SLOTS + slot) % 2**63 for slot in wanted]
            prompts: list[list[int]] = [[] for _ in wanted]
            if first is not None:
                stream = step.stream(f"first tokens, attempt {number}")
                # The number of a slot is the same whichever slots are asked for.
                uniform = stream.random(slots.stop)
                prompts = [[first.at(uniform[slot])] for slot in wanted]
            return draw(prompts, seeds)

        filled = sampling.fill(slots, attempt, acceptable, most_attempts=MOST_ATTEMPTS)
    _write(filled.samples, data / TOKENIZER, parameters.vocabulary, output)
    return {
        "backend": sampling.backend(parameters.backend),
        "drawn": filled.drawn,
        "acceptance_rate": filled.acceptance_rate,
        "truncated": sum(not sample.ended for sample in filled.samples),
    }


def _write(samples: list[Sample], tokenizer: Path, vocabulary: int, output: Path) -> None:
    decoder = tokens.load_tokenizer(tokenizer)
    ids = [sample.tokens.tolist() for sample in samples]
    table = pa.table(
        {
            "tokens": ids,
            "text": decoder.decode_batch(ids, skip_special_tokens=False),
            "ended": [sample.ended for sample in samples],
        },
        schema=tokens.schema(vocabulary),
    )
    parquet.write_table(table, output, compression="zstd", row_group_size=10_000)


def evaluate(
    step: Step,
    parameters: Parameters,
    *,
    model: Path,
    data: Path,
    selections: Sequence[Selection],
    shards: Sequence[ShardRecord],
) -> dict[str, float]:
    """Measure the model on real test documents, and its samples."""
    metrics = evaluation.of_model(model, tokens.read(data / TEST))
    details = json.loads((data / DATASET).read_text(encoding="utf-8"))["details"]
    metrics["entropy_floor"] = details.get("entropy_floor", np.nan)
    if shards:
        metrics |= evaluation.of_samples(
            (Path(record.shard.path) for record in shards),
            most=parameters.judged,
            training_set=_documents(selections),
            test=data / TEST,
            grammar=parameters.data == "stories",
        )
        drawn = sum(record.details["drawn"] for record in shards)
        written = sum(record.shard.stop - record.shard.start for record in shards)
        metrics["acceptance_rate"] = written / drawn
    return metrics
