"""Measure time and memory of tokenising, packing and planning epochs of a streamed corpus.

The papers' corpus has 470 million tokens in 2.12 million stories. Each step is measured at two
sizes, each in a process of its own, and a straight line through both is extrapolated to that size.
Processor times are measured, without that of making the input.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from processes import alone, verdict

if TYPE_CHECKING:
    import pyarrow as pa

#: Tokens of TinyStories, in millions, and of one of its stories.
TOKENS, LENGTH = 470, 222
LIMIT = 4000
CONTEXT, BATCH = 512, 32


def report(quick: bool) -> list[bool]:
    """Print both tables; return which of the two steps stay within the memory limit."""
    print("\ncorpora, processor seconds and peak memory of a process, mapped files included")
    met = []
    for what, function, sizes in (
        ("text, MB", "tokenise", (1, 2) if quick else (20, 80)),
        ("tokens, M", "pack", (1, 2) if quick else (10, 50)),
    ):
        measured = [alone("corpora", function, size) for size in sizes]
        rows = [{**found, "peak / MiB": memory} for found, memory in measured]
        print(f"{what:<12}" + "".join(f"{name:>16}" for name in rows[0]))
        for size, row in zip(sizes, rows, strict=True):
            print(f"{size:<12}" + _columns(list(row.values())))
        if quick:
            continue
        small, large = (np.array(list(row.values())) for row in rows)
        whole = large + (TOKENS - large[0]) / (large[0] - small[0]) * (large - small)
        met.append(bool(whole[-1] < LIMIT))
        said = f"below {LIMIT} MiB: {verdict(met[-1])}"
        print(f"{'then at':<12}" + _columns(whole.tolist()) + f"  {said}", flush=True)
    return met


def _columns(values: list[float]) -> str:
    return "".join(f"{value:>16.1f}" for value in values)


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.process_time()
    yield
    seconds[name] = time.process_time() - start


def tokenise(megabytes: int) -> dict[str, float]:
    """Split a file of stories, train a tokenizer and tokenise, as `prepare` does."""
    from collapse.data.text import stories, tokenizing, tokens
    from collapse.data.text.corpus import open_corpus

    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder, generator = Path(name), np.random.default_rng(0)
        with open(folder / "stories.txt", "w", encoding="utf-8") as file:
            while file.tell() < megabytes * 1_000_000:
                file.writelines(f"{story}\n\n" for story in stories.draw(2_000, generator))
        with _timed(seconds, "split / s"):
            corpus = open_corpus(
                str(folder / "stories.txt"),
                separator="\n\n",
                column="text",
                limit=None,
                test_documents=1_000,
                generator_of=lambda _: generator,
            )
        with _timed(seconds, "vocabulary / s"):
            tokenizing.train(corpus.train(), 768, folder / "tokenizer")
        with _timed(seconds, "tokenise / s"):
            counts = tokens.write_documents(
                folder / "train.parquet",
                corpus.train(),
                folder / "tokenizer",
                context=CONTEXT,
                long_documents="refuse",
            )
    return {"tokens / M": counts.tokens / 1e6, **seconds}


def pack(millions: int) -> dict[str, float]:
    """Store documents of random tokens as `train` does, plan an epoch, and make batches."""
    from collapse.families.language_model import packing
    from collapse.text import stored_tokens

    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        with _timed(seconds, "store / s"):
            stored_tokens.store(_tables(millions), Path(name))
        documents = stored_tokens.mapped(Path(name))
        with _timed(seconds, "epoch plan / s"):
            packer = packing.Packer(documents, CONTEXT, BATCH, np.random.default_rng)
        taken = []
        for step in range(min(100, packer.steps_per_epoch)):
            with _timed(seconds, "batch / ms"):
                packer.batch(step)
            taken.append(1e3 * seconds["batch / ms"])
    return {
        "tokens / M": int(documents.bounds[-1]) / 1e6,
        **seconds,
        "batch / ms": statistics.median(taken),
    }


def _tables(millions: int) -> Iterator[pa.Table]:
    """Yield documents of random tokens, those of one row group of a shard at a time."""
    import pyarrow as pa

    generator = np.random.default_rng(0)
    left = millions * 1_000_000
    while left > 0:
        lengths = generator.integers(LENGTH // 2, 3 * LENGTH // 2, size=10_000)
        lengths = lengths[: int(np.searchsorted(np.cumsum(lengths), left)) + 1]
        offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
        content = generator.integers(3, 8000, size=offsets[-1], dtype=np.uint16)
        documents = pa.ListArray.from_arrays(pa.array(offsets), pa.array(content))
        yield pa.table({"tokens": documents, "ended": np.ones(len(lengths), bool)})
        left -= int(offsets[-1])
