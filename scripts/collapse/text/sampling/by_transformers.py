"""Sampling by the ``generate`` of transformers, with a stream of noise for each sample."""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collapse.artifacts import remedies
from collapse.text.sampling.interface import (
    Backend,
    Decoding,
    Sample,
    SamplingError,
    one_line,
    unnoticed,
)


@contextmanager
def opened(model: Path, decoding: Decoding, batch: int) -> Iterator[Backend]:
    """Open a checkpoint with transformers; see `collapse.text.sampling.opened`."""
    import torch

    from collapse.text import checkpoints
    from collapse.text.library import transformers

    bars = transformers.utils.logging
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        with remedies.reading(model, "transformers cannot load it"):
            described = checkpoints.configuration(model)
            network, loading = transformers.AutoModelForCausalLM.from_pretrained(
                model,
                config=described,
                attn_implementation=checkpoints.attention(described),
                dtype="auto" if device.type == "cuda" else torch.float32,
                generation_config=transformers.GenerationConfig(),  # not the checkpoint's own
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
        with one_line(f"{model}: transformers failed"):
            network = network.to(device).eval()
    finally:
        if shown:
            bars.enable_progress_bar()
    if loading["missing_keys"]:  # these weights would be random
        raise remedies.damaged(model, f"no weights for {sorted(loading['missing_keys'])[0]}")
    ends = None if decoding.ignore_end else decoding.end
    batch = max(1, batch // (decoding.beams or 1))  # every beam is a row

    def draw(rows: list[list[int]], seeds: list[int]) -> list[Sample]:
        given = torch.tensor(rows, device=device)
        start = given.shape[1]
        length = decoding.max_tokens + 1 - start
        processors = []
        if decoding.is_random:
            noise = np.stack([np.random.default_rng(seed).random(length) for seed in seeds])
            uniforms = torch.from_numpy(noise).to(device)
            processors = [_Draw(uniforms, start, decoding.temperature, _truncations(decoding))]
        output = network.generate(
            given,
            attention_mask=torch.ones_like(given),  # if BOS is EOS, it would count as padding
            generation_config=transformers.GenerationConfig(
                do_sample=False,
                max_new_tokens=length,
                min_new_tokens=1 if decoding.beams and not decoding.ignore_end else None,
                num_beams=decoding.beams or 1,
                eos_token_id=ends,
                pad_token_id=decoding.end,
            ),
            logits_processor=processors,
        )
        if processors and not processors[0].finite:
            raise SamplingError(f"{model}: its logits are not finite")
        return _trimmed(output.to(torch.int32).cpu().numpy(), start, ends)

    def generate(
        prompts: Sequence[Sequence[int]],
        seeds: Sequence[int],
        drawn: Callable[[int], None] = unnoticed,
    ) -> list[Sample]:
        samples: dict[int, Sample] = {}
        # Prompts of one length need no padding, so a prompt's neighbours change nothing.
        lengths = defaultdict(list)
        for number, prompt in enumerate(prompts):
            lengths[len(prompt)].append(number)
        for numbers in lengths.values():
            for first in range(0, len(numbers), batch):
                chunk = numbers[first : first + batch]
                rows = [[decoding.begin, *prompts[number]] for number in chunk]
                found = draw(rows, [seeds[number] for number in chunk])
                samples.update(zip(chunk, found, strict=True))
                drawn(len(chunk))
        return [samples[number] for number in range(len(prompts))]

    try:
        yield generate
    finally:
        del network  # nothing else refers to it, so its memory is free
        if device.type == "cuda":
            gc.collect()
            torch.cuda.empty_cache()


def _truncations(decoding: Decoding) -> list[Any]:
    """Return what excludes all tokens but the most probable ones, from logits, in turn."""
    from collapse.text.library import transformers

    found = []
    if decoding.top_k is not None:
        found.append(transformers.TopKLogitsWarper(decoding.top_k))
    if decoding.top_p is not None and decoding.top_p < 1:
        found.append(transformers.TopPLogitsWarper(decoding.top_p))
    return found


class _Draw:
    """Draws the next token of each row, for a ``generate`` that takes the most probable.

    The token is where the cumulative distribution exceeds the row's uniform number for this
    position, so that the token does not depend on other rows. (Sampling by ``generate`` itself
    takes the noise of all rows from one stream.)

    Parameters
    ----------
    uniforms : tensor of float64, shape (rows, positions)
        Uniform numbers on [0, 1).
    start : int
        Number of tokens of each row before the first that is drawn.
    temperature : float
        Divisor of the logits.
    truncations : sequence of callable
        Take the logits at the temperature, and exclude tokens (`_truncations`).
    """

    def __init__(
        self, uniforms: Any, start: int, temperature: float, truncations: Sequence[Any] = ()
    ) -> None:
        self.uniforms = uniforms
        self.start = start
        self.temperature = temperature
        self.truncations = truncations
        self._finite = (uniforms[0, 0] >= 0).clone()

    @property
    def finite(self) -> bool:
        """Whether all logits seen so far were finite enough to draw from."""
        return bool(self._finite)

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Exclude all tokens but the drawn one; ``scores`` is ``generate``'s copy in 32 bits."""
        import torch

        highest, mode = scores.max(dim=1, keepdim=True)
        scores.sub_(highest).div_(self.temperature)
        for truncation in self.truncations:
            scores = truncation(input_ids, scores)
        weights = scores.exp_()
        cumulative = weights.cumsum(dim=1, dtype=torch.float64)
        total = cumulative[:, -1:]
        self._finite &= total.isfinite().all()
        position = input_ids.shape[1] - self.start
        # In 64 bits u < 1 makes u * total < total, and the first entry above it has a positive
        # weight, so that a token of probability zero is never drawn.
        target = self.uniforms[:, position : position + 1] * total
        token = torch.searchsorted(cumulative, target, right=True)
        # But rounding of a GPU's parallel sum may step up at such a token, or logits may be NaN.
        token.clamp_(max=scores.shape[1] - 1)
        token = torch.where(weights.gather(1, token) > 0, token, mode)
        return scores.fill_(float("-inf")).scatter_(1, token, 0.0)


def _trimmed(rows: NDArray[np.int32], start: int, end: int | None) -> list[Sample]:
    """Cut off BOS, EOS and all that follows EOS; all prompts have one length."""
    ended = np.zeros(len(rows), dtype=bool)
    lengths = np.full(len(rows), rows.shape[1])
    if end is not None:
        ends = rows[:, start:] == end
        ended = ends.any(axis=1)
        lengths = np.where(ended, start + ends.argmax(axis=1), lengths)
    return [
        Sample(row[1:length].copy(), bool(stopped))
        for row, length, stopped in zip(rows, lengths, ended, strict=True)
    ]
