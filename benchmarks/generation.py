"""Measure the start-up of both backends for text and their tokens per second.

They sample texts of a fixed length from the untrained tiny model. Wall times are measured, because
start-up consists mostly of waiting.
"""

from __future__ import annotations

import importlib
import importlib.util
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from processes import alone

LENGTH = 127


def report(quick: bool) -> None:
    """Print start-up costs and speed of the backends that are installed."""
    print(
        "\ngeneration, tiny model on this machine, wall time in seconds\n"
        f"{'backend':<14}{'import / s':>11}{'open / s':>11}{'first / s':>11}{'samples':>9}"
        f"{'tokens / s':>12}{'MiB':>7}"
    )
    for backend in ("transformers", "vllm"):
        if importlib.util.find_spec(backend) is None:
            print(f"{backend:<14} is not installed here")
        elif quick and backend == "vllm":
            print(f"{backend:<14} takes half a minute to start: left out")
        else:
            samples = 8 if quick else 512
            found, memory = alone("generation", "measure", backend, samples)
            print(
                f"{backend:<14}{found['import']:>11.1f}{found['open']:>11.1f}"
                f"{found['first']:>11.1f}{samples:>9}{found['tokens_per_second']:>12.0f}"
                f"{memory:>7.0f}",
                flush=True,
            )


def measure(backend: str, samples: int) -> dict[str, float]:
    """Return seconds until start-up and the first sample, and tokens per second after it."""
    from collapse.data.text.tokenizing import BOS, EOS
    from collapse.text import sampling

    decoding = sampling.Decoding(1.0, LENGTH, BOS, EOS, ignore_end=True)
    with tempfile.TemporaryDirectory() as name:
        alone("generation", "save", name)
        times = [time.perf_counter()]
        if backend == "vllm":  # vLLM reads its settings when it is imported
            module = importlib.import_module("collapse.text.sampling.by_vllm")
            module.os.environ.update({**module._VLLM, **module._VLLM_CPU})
            importlib.import_module("vllm").LLM  # noqa: B018 - this imports lazily
        else:
            importlib.import_module("transformers").AutoModelForCausalLM  # noqa: B018
        times.append(time.perf_counter())
        with sampling.opened(backend, Path(name), decoding) as draw:
            times.append(time.perf_counter())
            draw([[]], [0])
            times.append(time.perf_counter())
            drawn = draw([[]] * samples, list(range(1, samples + 1)))
            times.append(time.perf_counter())
    tokens = sum(len(sample.tokens) for sample in drawn)
    if tokens != samples * LENGTH:
        raise RuntimeError(f"found {tokens} tokens, expected {samples * LENGTH}")
    imported, opened, first, all_others = (stop - start for start, stop in pairwise(times))
    return {
        "import": imported,
        "open": opened,
        "first": first,
        "tokens_per_second": tokens / all_others,
    }


def save(folder: str) -> None:
    """Write an untrained model, in a process of its own, whose imports are then not measured."""
    from collapse.families.language_model import models

    models.initialised("tiny", 768, 0).save_pretrained(folder)
