"""The steps of an iteration of the language_model family.

Modules that take seconds to import are imported by the steps that compute with them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from collapse.artifacts import manifest
from collapse.artifacts.paths import DATASET
from collapse.data.text import stories, tokenizing, tokens
from collapse.data.text.corpus import open_corpus
from collapse.data.text.tokenizing import BOS, EOS
from collapse.families.language_model import Parameters, first_tokens, prompted, prompts
from collapse.families.language_model.evaluation import of_stories
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
from collapse.text.sample_rows import SampleRows
from collapse.text.sampling import Decoding, Sample

if TYPE_CHECKING:
    from collapse.text.prompted import Prompted

#: Largest number of draws for a slot, after which sampling fails.
MOST_ATTEMPTS = 50


def prepare(job: StepJob[Parameters]) -> Prepared:
    """Read the real documents, train the tokenizer on the training split, and tokenise both."""
    corpus = open_corpus(
        os.path.expanduser(job.parameters.data),
        separator=job.parameters.separator,
        column=job.parameters.column,
        limit=job.parameters.documents,
        test_documents=job.parameters.test_documents,
        generator_of=job.step.stream,
    )
    tokenizing.train(corpus.train(), job.parameters.vocabulary, job.data / TOKENIZER)
    truncated = (
        tokens.truncated_forms(corpus.test(), job.data / TOKENIZER, job.parameters.context)
        if job.parameters.long_documents == "truncate"
        else set()
    )
    counts = {}
    for split, documents in (("train", corpus.train()), ("test", corpus.test())):
        counts[split] = tokens.write_documents(
            job.data / f"{split}.parquet",
            documents,
            job.data / TOKENIZER,
            context=job.parameters.context,
            long_documents=job.parameters.long_documents,
            withheld=truncated if split == "train" else set(),
        )
    entropy = stories.entropy() if job.parameters.data == "stories" else None
    return prepared(counts, {"corpus": corpus.counts._asdict()}, entropy)


def train(job: TrainJob[Parameters]) -> dict[str, Any]:
    """Train a newly initialised model, or the model of the iteration before."""
    from collapse.families.language_model import training
    from collapse.text import shards as shards_of_text

    return training.train(
        job,
        shards_of_text.selected(job.selections),
        test=tokens.read(job.data / TEST),
        tokenizer=job.data / TOKENIZER,
    )


def generate(job: GenerateJob[Parameters]) -> dict[str, Any]:
    """Sample one document for each slot, each with a seed of its own."""
    limit = job.parameters.fixed_length or job.parameters.context - 1
    decoding = Decoding(
        temperature=job.parameters.temperature,
        top_k=job.parameters.top_k,
        top_p=job.parameters.top_p,
        beams=job.parameters.beams,
        max_tokens=limit,
        begin=BOS,
        end=EOS,
        ignore_end=job.parameters.fixed_length is not None,
    )
    first = first_tokens.read(job.model) if job.parameters.start == "first-token" else None

    length = job.parameters.prompt_tokens or 0
    given = prompts.read(job.data, job.step, job.slots, length) if length else None

    def acceptable(slot: int, sample: Sample) -> bool:
        if job.parameters.truncated == "redraw" and not (sample.ended or decoding.ignore_end):
            return False
        return len(sample.tokens) > length

    base = job.step.integer("samples")
    with sampling.opened(job.parameters.backend, job.model, decoding) as draw:

        def attempt(wanted: Sequence[int], number: int) -> list[Sample]:
            seeds = sampling.seeds(base, number, wanted)
            begun: list[list[int]] = [[] for _ in wanted]
            if given is not None:
                begun = [given.of_slots[each % sampling.CANDIDATE] for each in wanted]
            elif first is not None:
                uniform = {
                    # A slot gets the same number whichever other slots the job has.
                    candidate: job.step.stream(
                        job.purpose(f"first tokens, attempt {number}", candidate)
                    ).random(job.slots[-1] + 1)
                    for candidate in {each // sampling.CANDIDATE for each in wanted}
                }
                drawn = (divmod(each, sampling.CANDIDATE) for each in wanted)
                begun = [[first.at(uniform[candidate][slot])] for candidate, slot in drawn]
            return draw(begun, seeds)

        wanted = sampling.numbers(job.slots, job.candidates)
        filled = sampling.fill(wanted, attempt, acceptable, most_attempts=MOST_ATTEMPTS)
    rows, longest = SampleRows(job.data / TOKENIZER), job.parameters.context - 2  # BOS and EOS
    if given is None:
        rows.write([rows.of(sample, longest) for sample in filled.samples], job.output)
    else:
        continued = [
            rows.of_continuation(
                sample,
                given.of_slots[number % sampling.CANDIDATE],
                longest,
                kept=job.parameters.keep_prompt,
            )
            for number, sample in zip(wanted, filled.samples, strict=True)
        ]
        rows.write(continued, job.output, prompts=True)
    about = (
        {} if given is None else {"prompts": {"documents": given.documents, "short": given.short}}
    )
    return {
        **about,
        "backend": sampling.backend(job.parameters.backend, decoding.beams),
        "drawn": filled.drawn,
        "acceptance_rate": filled.acceptance_rate,
        "truncated": sum(not sample.ended for sample in filled.samples),
    }


def score(job: ScoreJob[Parameters]) -> NDArray[np.float64]:
    """Score samples by the built-in grammar, or as texts of any kind."""
    continued = prompted(job.parameters)
    if job.name == "grammatical":
        texts = (
            text
            for table in tokens.read(job.samples, columns=_columns(continued))
            for text in _texts(table, job.data, continued)
        )
        return np.array([stories.parse(text) is not None for text in texts], dtype=np.float64)
    return scores.of_any_text(job.name, job.samples, job.model, prompted=continued)


def _columns(continued: Prompted | None) -> Sequence[str]:
    return tokens.COLUMNS if continued is None else continued.columns


def _texts(samples: pa.Table, data: Path, continued: Prompted | None) -> list[str]:
    """Return the texts of samples, with the prompts that samples continue."""
    if continued is None or continued.kept:
        return list(samples["text"].to_pylist())
    rows = SampleRows(data / TOKENIZER)
    return [rows.text(ids) for ids in continued.whole(samples)["tokens"].to_pylist()]


def evaluate(job: EvaluateJob[Parameters]) -> dict[str, float]:
    """Return the metrics of the model on real test documents, and those of its samples."""
    from collapse.text import checkpoints, evaluation, stored_tokens
    from collapse.text import shards as shards_of_text

    held = list(tokens.read(job.data / TEST))
    test = stored_tokens.in_memory(held)
    found = evaluation.cross_entropy(checkpoints.load(job.model), test)
    details = manifest.read_dataset(job.data / DATASET).details
    metrics = {"test_cross_entropy": found, "perplexity": float(np.exp(found))}
    if "entropy_floor" in details:
        texts = (text for table in held for text in table["text"].to_pylist())
        metrics["entropy_floor"] = details["entropy_floor"]
        metrics["test_cross_entropy_of_truth"] = evaluation.cross_entropy_of_truth(
            test, texts, stories.log_probability
        )
    if job.shards:
        known = job.parameters.data == "stories"
        continued = prompted(job.parameters)
        samples = shards_of_text.first(job.shards, job.parameters.judged, _columns(continued))
        metrics |= shards_of_text.metrics(
            samples,
            job.shards,
            job.selections,
            job.data / TEST,
            stories.log_probability if known else None,
            prompted=continued,
        )
        if known:
            found_of = of_stories(_texts(samples, job.data, continued))
            # A prompt tells the plot of its story, which is therefore not the model's choice.
            names = found_of if continued is None else ("grammatical_share",)
            metrics |= {name: found_of[name] for name in names}
    return metrics


STEPS = Steps(prepare=prepare, train=train, generate=generate, evaluate=evaluate, score=score)
