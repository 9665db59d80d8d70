"""Measure the speed of language models on this machine's GPU, for the four published sizes.

    PYTHONPATH=scripts python tests/gpu/measure.py --json measured.json     under 8 minutes
    PYTHONPATH=scripts python tests/gpu/measure.py --cpu-smoke              the same code, seconds

Training runs as in the workflow: packed batches of documents as long as TinyStories', bf16 and
`torch.compile`. Its share of the peak is relative to the largest measured rate of products of
bf16 matrices, not to the data sheet. A token counts as 6 FLOPs for each weight that it is
multiplied with (those of the output layer, but not embeddings, which are looked up), and 12 FLOPs
for each token that it attends to (itself and those before it in its document), layer and hidden
dimension. Padding, masked attention and the optimiser are not counted.

The file also has what a plan needs (`device`): make plan CARD=measured.json.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from collapse.data.text.tokenizing import BOS, EOS
from collapse.families.language_model import models, packing, training
from collapse.families.language_model.architectures import ARCHITECTURES
from collapse.families.language_model.work import transformer
from collapse.loop.plan import calibration, cards
from collapse.text import checkpoints, sampling
from collapse.text.stored_tokens import IGNORED, Tokens
from collapse.training import trainer
from collapse.training.optimisation import Optimisation

PUBLISHED = ("gpt2-9m", "llama2-12m", "llama2-42m", "llama2-126m")
VOCABULARY = 8000
#: Tokens of a document, on average: TinyStories has 470 M in 2.12 M stories.
LENGTH = 222
Row = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """The sizes of the measurements; the first ``warm_up`` of ``steps`` compile and don't count."""

    contexts: tuple[int, ...] = (512, 2048)
    tokens: int = 65_536
    steps: int = 40
    warm_up: int = 10
    matrices: tuple[int, ...] = (4096, 8192, 16_384)
    sampled: int = 255
    samples: tuple[tuple[str, int], ...] = (("transformers", 256), ("vllm", 1024))
    calibration: float = 0.5


SMOKE = Size((64, 128), 256, 5, 2, (128,), 15, (("transformers", 4),), 0.0)


class Shape(NamedTuple):
    """The weights that a token is multiplied with, and layers times hidden size."""

    weights: int
    width: int

    def flops(self, tokens: int, attended: int) -> float:
        """Return the FLOPs of training; ``attended`` tokens are summed over tokens."""
        return 6.0 * self.weights * tokens + 12.0 * self.width * attended


def shape(name: str) -> Shape:
    """Return the shape of a model, without weights that are looked up."""
    network = transformer(name, VOCABULARY)
    return Shape(int(network.multiplied), network.layers * ARCHITECTURES[name].hidden)


def peak_flops(matrices: tuple[int, ...]) -> float:
    """Return the largest measured rate of products of square bf16 matrices, in FLOP/s."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    best = 0.0
    for n in matrices:
        a, b = (torch.randn(n, n, device=device, dtype=torch.bfloat16) for _ in range(2))
        # The products take half a second at 1e15 FLOP/s; there are at least three.
        repeats = max(3, int(2.5e14 / n**3)) if device == "cuda" else 3
        for _ in range(3):
            a @ b
        _synchronise()
        start = time.perf_counter()
        for _ in range(repeats):
            a @ b
        _synchronise()
        best = max(best, 2 * n**3 * repeats / (time.perf_counter() - start))
    return best


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def documents(count: int, context: int) -> Tokens:
    """Return documents of random tokens."""
    generator = np.random.default_rng(0)
    longest = min(context, 2 * LENGTH)
    lengths = generator.integers(longest // 4, 3 * longest // 4, size=count, endpoint=True)
    bounds = np.concatenate(([0], np.cumsum(lengths)))
    tokens = generator.integers(3, VOCABULARY, size=bounds[-1], dtype=np.uint16)
    return Tokens(tokens, bounds)


class Timed(training.Pretraining):
    """The workflow's task, which reads the clock when the first and last counted steps begin."""

    def __init__(self, *given: Any, first: int, last: int) -> None:
        super().__init__(*given)
        self.marks = {first: 0.0, last: 0.0}
        self.step = 0

    def loss(self, model: torch.nn.Module, rows: trainer.Batch) -> torch.Tensor:
        if self.step in self.marks:
            _synchronise()
            self.marks[self.step] = time.perf_counter()
        self.step += 1
        return super().loss(model, rows)


def train(name: str, context: int, size: Size, peak: float) -> Row:
    """Train a model for some steps, and return its speed in tokens without padding."""
    gpu = torch.cuda.is_available()
    torch._dynamo.reset()
    gc.collect()
    if gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    batch = size.tokens // context
    found = documents(2 * (size.steps + 1) * size.tokens // min(LENGTH, context // 2), context)
    packer = packing.Packer(found, context, batch, np.random.default_rng, whole=gpu)
    first, last = size.warm_up, size.steps - 1
    network = models.initialised(name, VOCABULARY, 0)
    task = Timed(network, packer, found, first=first, last=last)
    optimisation = Optimisation(steps=size.steps, learning_rate=3e-4, betas=(0.9, 0.95))
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as state:
        trainer.train(
            task, optimisation, state=Path(state), fingerprint="", seed_of=lambda step: step
        )
    seconds = task.marks[last] - task.marks[first]
    work = np.sum([_work(packer.batch(step)) for step in range(first, last)], axis=0)
    tokens, attended = work.tolist()
    rate = shape(name).flops(tokens, attended) / seconds
    return {
        "model": name,
        "context": context,
        "batch": batch,
        "parameters": checkpoints.parameter_count(network),
        "tokens_per_second": tokens / seconds,
        "flops_per_second": rate,
        "share_of_peak": rate / peak,
        "filled": tokens / (batch * context * (last - first)),
        "start_seconds": task.marks[first] - started,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if gpu else None,
    }


def _work(batch: dict[str, torch.Tensor]) -> NDArray[np.int64]:
    """Return the number of tokens that predict one, and the tokens that these attend to."""
    predicting = batch["labels"] != IGNORED
    return np.array([predicting.sum(), (batch["position_ids"] + 1)[predicting].sum()])


def generate(name: str, backend: str, samples: int, length: int) -> Row:
    """Sample texts of ``length`` tokens from an untrained model, on a GPU in bfloat16."""
    decoding = sampling.Decoding(1.0, length, BOS, EOS, ignore_end=True)
    network = models.initialised(name, VOCABULARY, 0)
    if torch.cuda.is_available():
        network = network.to(torch.bfloat16)
    with tempfile.TemporaryDirectory() as folder:
        network.save_pretrained(folder)
        start = time.perf_counter()
        with sampling.opened(backend, Path(folder), decoding) as draw:
            draw([[]], [0])
            ready = time.perf_counter()
            drawn = draw([[]] * samples, list(range(1, samples + 1)))
            done = time.perf_counter()
    tokens = sum(len(sample.tokens) for sample in drawn)
    if tokens != samples * length:
        raise RuntimeError(f"found {tokens} tokens, expected {samples * length}")
    return {
        "model": name,
        "backend": backend,
        "samples": samples,
        "length": length,
        "tokens_per_second": tokens / (done - ready),
        "start_seconds": ready - start,
    }


def _generate_alone(name: str, backend: str, samples: int, length: int) -> Row:
    """Sample in a process of its own, because vLLM wants a GPU to itself."""
    if importlib.util.find_spec(backend) is None:
        raise RuntimeError(f"{backend} is not installed here")
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    given = json.dumps([name, backend, samples, length])
    done = subprocess.run(
        [sys.executable, __file__, "--generate", given], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1])
    return dict(json.loads(done.stdout.splitlines()[-1]))


def hardware() -> Row:
    """Return the hardware and versions for which the measurements hold."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    name = name or f"{platform.machine()}, {torch.get_num_threads()} threads, no GPU"
    return {"hardware": name, "torch": torch.__version__, "cuda": torch.version.cuda}


Job = tuple[str, str, Callable[[], Row]]


def jobs(chosen: list[str], parts: list[str], size: Size, peak: float) -> Iterator[Job]:
    """Yield the part, the name in messages and the function of each measurement."""
    if "train" in parts:
        for context in size.contexts:
            for name in chosen:
                measured = partial(train, name, context, size, peak)
                yield "training", f"{name}, context {context}", measured
    if "generate" in parts:
        for backend, samples in size.samples:
            for name in chosen:
                measured = partial(_generate_alone, name, backend, samples, size.sampled)
                yield "generation", f"{name}, {backend}", measured


def line(part: str, row: Row) -> str:
    """Return a measurement as a line of text."""
    speed = f"{row['tokens_per_second']:>12,.0f} tokens/s   start {row['start_seconds']:>5.1f} s"
    if part == "generation":
        what = f"{row['model']:<12}{row['backend']:<14}{row['samples']:>6} x {row['length']:<5}"
        return what + speed
    memory = "" if row["peak_gib"] is None else f"   {row['peak_gib']:.1f} GiB"
    what = f"{row['model']:<12}{row['batch']:>4} x {row['context']:<5}{row['filled']:>5.0%} full"
    achieved = f"{row['flops_per_second'] / 1e12:>8.3g} TFLOP/s {row['share_of_peak']:>7.1%}"
    return f"{what}{speed}{achieved}{memory}"


def main() -> int:
    """Measure, printing each row as it comes; return 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cpu-smoke", action="store_true", help="tiny, also without a GPU")
    parser.add_argument("--models", nargs="+", choices=ARCHITECTURES, help="by default the four")
    parser.add_argument("--parts", nargs="+", choices=("train", "generate"), default=None)
    parser.add_argument("--seconds", type=float, default=420, help="begin nothing new after this")
    parser.add_argument("--json", type=Path, help="write all of it here, too")
    parser.add_argument("--generate", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.generate:
        print("\n" + json.dumps(generate(*given.generate)))
        return 0
    if not (given.cpu_smoke or torch.cuda.is_available()):
        parser.error("there is no GPU here; --cpu-smoke runs the same code on tiny settings")
    start = time.monotonic()
    size = SMOKE if given.cpu_smoke else Size()
    chosen = given.models or (["tiny"] if given.cpu_smoke else list(PUBLISHED))
    peak = peak_flops(size.matrices)
    found = {**hardware(), "peak_flops_per_second": peak, "size": asdict(size)}
    found |= {"training": [], "generation": [], "failed": {}, "left_out": []}
    basic = calibration.measure(
        "cuda" if torch.cuda.is_available() else "cpu", seconds=size.calibration
    )
    print(f"{found['hardware']}, torch {torch.__version__}; bf16 matmul {peak / 1e12:.3g} TFLOP/s")
    for part, what, measure in jobs(chosen, given.parts or ["train", "generate"], size, peak):
        if time.monotonic() - start > given.seconds:
            found["left_out"].append(what)
            print(f"{what}: left out, {given.seconds:.0f} seconds are over", flush=True)
            continue
        try:
            row = measure()
        except Exception as error:  # the other rows are still measured
            found["failed"][what] = f"{type(error).__name__}: {error}"
            print(f"{what}: {found['failed'][what]}", flush=True)
        else:
            found[part].append(row)
            print(line(part, row), flush=True)
        if given.json:
            found["device"] = cards.measured(found, basic).as_dict()
            given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 1 if found["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
