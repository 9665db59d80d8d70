"""The steps of an iteration of the fine_tuning family.

Modules that take seconds to import are imported by the steps that compute with them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collapse.artifacts import manifest
from collapse.artifacts.paths import DATASET
from collapse.data.text import pairs, questions, tokens
from collapse.data.text.tokenizing import Special
from collapse.families.fine_tuning import answered, base, prompts
from collapse.families.fine_tuning.evaluation import is_correct, log_probability, of_questions
from collapse.families.fine_tuning.generation import Writer
from collapse.families.fine_tuning.parameters import Parameters
from collapse.families.fine_tuning.prompts import Prompt, Prompts
from collapse.families.step_jobs import (
    EvaluateJob,
    GenerateJob,
    Prepared,
    ScoreJob,
    StepJob,
    Steps,
    TrainJob,
)
from collapse.families.text import TEST, TOKENIZER, prepared
from collapse.text import sampling, scores
from collapse.text.sampling import Decoding, Sample

#: Columns of pairs that training and evaluation read.
COLUMNS = ("tokens", "ended", "head_tokens")


def pretrain(job: TrainJob[Parameters]) -> dict[str, Any]:
    """Pretrain the built-in base."""
    from collapse.families.fine_tuning import pretraining

    return pretraining.pretrain(job)


def prepare(job: StepJob[Parameters]) -> Prepared:
    """Read the real pairs, find the base, and tokenise the pairs with its tokenizer."""
    corpus = pairs.open_corpus(
        os.path.expanduser(job.parameters.data),
        prompt_column=job.parameters.prompt_column,
        response_column=job.parameters.response_column,
        limit=job.parameters.pairs,
        test_pairs=job.parameters.test_pairs,
        unusable=job.parameters.unusable,
        generator_of=job.step.stream,
    )
    found = base.prepare(job.parameters, job.base, job.data / TOKENIZER)
    counts = {}
    for split, documents in (("train", corpus.train()), ("test", corpus.test())):
        counts[split] = tokens.write_documents(
            job.data / f"{split}.parquet",
            map(pairs.render, documents),
            job.data / TOKENIZER,
            context=job.parameters.context,
            long_documents=job.parameters.long_pairs,
            special=Special(**found["special"]),
            altered=job.parameters.altered_pairs,
            head=pairs.head,
            remedy="long_pairs: drop",
        )
    details = {"base": found, "corpus": corpus.counts._asdict()}
    entropy = questions.entropy() if job.parameters.data == "questions" else None
    return prepared(counts, details, entropy)


def train(job: TrainJob[Parameters]) -> dict[str, Any]:
    """Fine-tune a copy of the base, or of the model of the iteration before."""
    from collapse.families.fine_tuning import training
    from collapse.text import shards as shards_of_text

    return training.train(
        job,
        shards_of_text.selected(job.selections, COLUMNS),
        base=base.recorded(job.data, _details(job.data)),
        test=tokens.read(job.data / TEST, columns=COLUMNS),
        tokenizer=job.data / TOKENIZER,
    )


def generate(job: GenerateJob[Parameters]) -> dict[str, Any]:
    """Sample one well-formed pair for each slot, given only BOS or the prompt of a real pair."""
    special = base.special(_details(job.data))
    writer = Writer(job.data / TOKENIZER, job.parameters, special)
    decoding = Decoding(
        temperature=job.parameters.temperature,
        top_k=job.parameters.top_k,
        top_p=job.parameters.top_p,
        beams=job.parameters.beams,
        max_tokens=job.parameters.context - 1,
        begin=special.bos,
        end=special.eos,
    )
    given = _prompts(job)
    first_seed = job.step.integer("samples")

    def prompt_of(number: int) -> Prompt:
        """Return the prompt of a slot, which all its candidates and attempts have."""
        return given.of_slots[number % sampling.CANDIDATE] if given else Prompt()

    def accepts(number: int, sample: Sample) -> bool:
        return writer.accepts(sample, prompt_of(number).head)

    def room(number: int) -> str:
        left = decoding.max_tokens - len(prompt_of(number).tokens)
        said = f"; its prompt leaves {left} tokens, and prompt_tokens passes over long prompts"
        return said if given else ""

    with sampling.opened(job.parameters.backend, job.model, decoding) as draw:

        def attempt(wanted: Sequence[int], number: int) -> list[Sample]:
            seeds = sampling.seeds(
                first_seed, number, wanted, shared_by=job.parameters.samples_per_seed
            )
            return draw([prompt_of(each).tokens for each in wanted], seeds)

        wanted = sampling.numbers(job.slots, job.candidates)
        filled = sampling.fill(
            wanted, attempt, accepts, most_attempts=job.parameters.attempts, remark=room
        )
    writer.write(filled.samples, job.output)
    print(f"{filled.drawn} samples drawn, {filled.acceptance_rate:.1%} accepted: {writer.refused}")
    about = {} if given is None else {"prompts": {"pairs": given.pairs, "long": given.long}}
    return {
        **about,
        "backend": sampling.backend(job.parameters.backend, decoding.beams),
        "drawn": filled.drawn,
        "acceptance_rate": filled.acceptance_rate,
        "refused": writer.refused,
        "truncated": sum(not sample.ended for sample in filled.samples),
    }


def _prompts(job: GenerateJob[Parameters]) -> Prompts | None:
    """Return the prompts of the slots, and tell how many are too long; None without prompts."""
    if job.parameters.start != "prompt":
        return None
    given = prompts.read(job.data, job.step, job.slots, job.parameters)
    if given.long:
        print(f"{given.long} prompts passed over as longer than prompt_tokens, {given.pairs} left")
    return given


def score(job: ScoreJob[Parameters]) -> NDArray[np.float64]:
    """Score samples by whether they answer their question, or as texts of any kind."""
    if job.name == "correct":
        return scores.of_texts(job.samples, is_correct)
    special = base.special(_details(job.data))
    precision = job.parameters.evaluation_precision
    return scores.of_any_text(
        job.name, job.samples, job.model, special, precision, answered(job.parameters)
    )


def evaluate(job: EvaluateJob[Parameters]) -> dict[str, float]:
    """Return the metrics of the model on real test pairs, and those of its samples."""
    import torch

    from collapse.text import checkpoints, evaluation, stored_tokens
    from collapse.text import shards as shards_of_text

    special = base.special(_details(job.data))
    held = list(tokens.read(job.data / TEST, columns=(*COLUMNS, "text")))
    test = stored_tokens.in_memory(held, special)
    network = checkpoints.load(job.model, getattr(torch, job.parameters.evaluation_precision))
    found = evaluation.cross_entropy(network, test)
    metrics = {
        "test_cross_entropy": found,
        "response_cross_entropy": evaluation.cross_entropy(network, test, responses=True),
        "perplexity": float(np.exp(found)),
    }
    details = _details(job.data)
    if "entropy_floor" in details:
        texts = (text for table in held for text in table["text"].to_pylist())
        metrics["entropy_floor"] = details["entropy_floor"]
        metrics["test_cross_entropy_of_truth"] = evaluation.cross_entropy_of_truth(
            test, texts, log_probability
        )
    if job.shards:
        known = job.parameters.data == "questions"
        prompted = answered(job.parameters)
        columns = tokens.COLUMNS if prompted is None else prompted.columns
        samples = shards_of_text.first(job.shards, job.parameters.judged, columns)
        metrics |= shards_of_text.metrics(
            samples,
            job.shards,
            job.selections,
            job.data / TEST,
            log_probability if known and prompted is None else None,
            prompted=prompted,
        )
        if known:
            found_of = of_questions(samples["text"].to_pylist())
            # A real prompt is a question of a kind that the model did not choose.
            names = found_of if prompted is None else ("correct_share",)
            metrics |= {name: found_of[name] for name in names}
    return metrics


def _details(data: Path) -> dict[str, Any]:
    """Return the details that were recorded when the real data was prepared."""
    return manifest.read_dataset(data / DATASET).details


STEPS = Steps(
    base=pretrain,
    prepare=prepare,
    train=train,
    generate=generate,
    evaluate=evaluate,
    score=score,
)
