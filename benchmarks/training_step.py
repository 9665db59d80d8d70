"""A training step of ours beside one of a bare PyTorch loop: same model, batches, optimiser.

Bare is what one would write for a single run that nobody interrupts: batches made beforehand,
forward, mean cross-entropy, backward, clipped gradients, fused AdamW with the same groups.
Ours packs its batches, follows the schedule, seeds every step, reads the loss, watches for
signals and for the time to save. The two take turns, step by step, in one process; that both
end with the same weights shows that they did the same work.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from processes import alone, verdict

if TYPE_CHECKING:
    from torch import Tensor

LIMIT = 1.10
#: Steps at the beginning that are not counted: memory is still being claimed.
WARM_UP = 3


class Setting(NamedTuple):
    """A model and its batches: documents are of about ``length`` tokens."""

    model: str
    vocabulary: int
    context: int
    batch: int
    length: int
    steps: int


#: The local study's model, and the smallest of the papers on a few of its rows.
SETTINGS = (
    Setting("tiny", 768, 128, 4, 50, 200),
    Setting("gpt2-9m", 8000, 512, 2, 222, 13),
)


def report(quick: bool) -> list[bool]:
    """Print the ratio for every setting; return which of them are within the limit."""
    print(
        "\na training step, ours beside a bare PyTorch loop (batches made beforehand, forward, "
        "backward,\nclipping, fused AdamW); one thread, medians of processor time, the loops "
        "take turns\n"
        f"{'model':<12}{'batch':>10}{'tokens':>9}{'ours / ms':>11}{'bare / ms':>11}{'ratio':>8}"
    )
    met = []
    for setting in SETTINGS[:1] if quick else SETTINGS:
        if quick:
            setting = setting._replace(batch=1, steps=WARM_UP + 3)
        found = alone("training_step", "measure", setting).result
        ratio = found["ours"] / found["bare"]
        met.append(ratio <= LIMIT)
        said = "tiny: says nothing" if quick else f"at most {LIMIT:.2f}: {verdict(met[-1])}"
        print(
            f"{setting.model:<12}{f'{setting.batch} x {setting.context}':>10}"
            f"{found['tokens']:>9.0f}{1e3 * found['ours']:>11.2f}{1e3 * found['bare']:>11.2f}"
            f"{ratio:>8.3f}  {said}; weights differ by {found['difference']:.0e}",
            flush=True,
        )
    return [] if quick else met


def measure(given: Sequence[Any]) -> dict[str, float]:
    """Return the median processor seconds of a step of both loops, and how far they agree."""
    import torch

    from collapse import training
    from collapse.families.language_model import models, packing, pretraining
    from collapse.optimisation import Optimisation

    torch.set_num_threads(1)  # two wait for each other wherever something else runs beside them
    setting = Setting(*given)
    optimisation = Optimisation(
        steps=setting.steps, learning_rate=1e-3, weight_decay=0.1, betas=(0.9, 0.95), compile=False
    )
    documents = random_documents(setting)
    packer = packing.Packer(documents, setting.context, setting.batch, np.random.default_rng)
    ours, other = (models.initialised(setting.model, setting.vocabulary, 0) for _ in range(2))
    bare = Bare(other, [packer.batch(step) for step in range(setting.steps)], optimisation)

    class TakingTurns(pretraining.Pretraining):
        """Our task; asked for the batch of a step, it first lets the bare loop do that step."""

        seconds: tuple[list[float], list[float]] = ([], [])
        since = 0.0

        def batch(self, step: int) -> dict[str, Tensor]:
            self.seconds[0].append(time.process_time() - self.since)
            start = time.process_time()
            bare.step(step)
            self.since = time.process_time()
            self.seconds[1].append(self.since - start)
            return super().batch(step)

    task = TakingTurns(ours, packer, documents)
    with tempfile.TemporaryDirectory() as state:
        training.train(
            task, optimisation, state=Path(state), fingerprint="", seed_of=lambda step: step
        )
    # Between two calls for a batch lies a step of ours; the first call ends none.
    own, plain = task.seconds[0][1 + WARM_UP :], task.seconds[1][WARM_UP:-1]
    pairs = zip(ours.parameters(), other.parameters(), strict=True)
    return {
        "ours": statistics.median(own),
        "bare": statistics.median(plain),
        "tokens": float(np.mean([(b["labels"] >= 0).sum() for b in bare.batches])),
        "difference": max(float((a - b).abs().max()) for a, b in pairs),
    }


class Bare:
    """The loop that one would write."""

    def __init__(self, model: Any, batches: list[dict[str, Tensor]], optimisation: Any) -> None:
        import torch

        self.model, self.batches = model.train(), batches
        parameters = list(model.parameters())
        self.optimiser = torch.optim.AdamW(
            [
                {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": 0.1},
                {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
            ],
            lr=optimisation.learning_rate,
            betas=optimisation.betas,
            fused=True,
        )

    def step(self, step: int) -> None:
        """Do one step."""
        from torch.nn import functional
        from torch.nn.utils import clip_grad_norm_

        rows = self.batches[step]
        logits = self.model(
            input_ids=rows["input_ids"], position_ids=rows["position_ids"], use_cache=False
        ).logits
        loss = functional.cross_entropy(logits.flatten(0, 1), rows["labels"].flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()


def random_documents(setting: Setting) -> Any:
    """Return enough documents of random tokens for all steps: what they say costs no time."""
    from collapse.causal.stored_tokens import Tokens

    generator = np.random.default_rng(0)
    count = 2 * setting.steps * setting.batch * setting.context // setting.length
    lengths = generator.integers(setting.length // 2, 3 * setting.length // 2, size=count)
    bounds = np.concatenate(([0], np.cumsum(lengths)))
    tokens = generator.integers(3, setting.vocabulary, size=bounds[-1], dtype=np.uint16)
    return Tokens(tokens, bounds)
