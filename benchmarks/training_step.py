"""Measure training steps of language models, next to those of a bare PyTorch loop (`turns`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from processes import alone, verdict
from turns import WARM_UP, compare

if TYPE_CHECKING:
    from torch import Tensor

LIMIT = 1.10


class Setting(NamedTuple):
    """A model and its batches of documents, which have about ``length`` tokens."""

    model: str
    vocabulary: int
    context: int
    batch: int
    length: int
    steps: int


#: The local study's model, and the smallest model of the papers with a few rows in a batch.
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
        said = "too small to count" if quick else f"at most {LIMIT:.2f}: {verdict(met[-1])}"
        print(
            f"{setting.model:<12}{f'{setting.batch} x {setting.context}':>10}"
            f"{found['tokens']:>9.0f}{1e3 * found['ours']:>11.2f}{1e3 * found['bare']:>11.2f}"
            f"{ratio:>8.3f}  {said}; weights differ by {found['difference']:.0e}",
            flush=True,
        )
    return [] if quick else met


def measure(given: Sequence[Any]) -> dict[str, float]:
    """Return the result of `turns.compare`, and the mean number of tokens in a batch."""
    from torch.nn import functional

    from collapse.families.language_model import models, packing, training
    from collapse.training.optimisation import Optimisation

    setting = Setting(*given)
    optimisation = Optimisation(
        steps=setting.steps, learning_rate=1e-3, weight_decay=0.1, betas=(0.9, 0.95), compile=False
    )
    documents = random_documents(setting)
    packer = packing.Packer(documents, setting.context, setting.batch, np.random.default_rng)
    ours, other = (models.initialised(setting.model, setting.vocabulary, 0) for _ in range(2))

    def loss(model: Any, rows: Mapping[str, Tensor]) -> Tensor:
        logits = model(
            input_ids=rows["input_ids"], position_ids=rows["position_ids"], use_cache=False
        ).logits
        return functional.cross_entropy(logits.flatten(0, 1), rows["labels"].flatten())

    task = training.Pretraining(ours, packer, documents)
    found = compare(task, other, loss, optimisation)
    labels = [packer.batch(step)["labels"] for step in range(setting.steps)]
    return {**found, "tokens": float(np.mean([(each >= 0).sum() for each in labels]))}


def random_documents(setting: Setting) -> Any:
    """Return enough documents of random tokens for all steps."""
    from collapse.text.stored_tokens import Tokens

    generator = np.random.default_rng(0)
    count = 2 * setting.steps * setting.batch * setting.context // setting.length
    lengths = generator.integers(setting.length // 2, 3 * setting.length // 2, size=count)
    bounds = np.concatenate(([0], np.cumsum(lengths)))
    tokens = generator.integers(3, setting.vocabulary, size=bounds[-1], dtype=np.uint16)
    return Tokens(tokens, bounds)
