"""Measure training steps on images, next to a bare loop, and memory at CelebA's size.

CelebA has 162,770 training images. The work of `prepare`, `train` and `evaluate` on images is
measured at two sizes, each in a process of its own, and a straight line through both is
extrapolated to that size. Processor times are measured, without that of making the input.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from processes import alone, verdict
from turns import WARM_UP, compare

if TYPE_CHECKING:
    from torch import Tensor

LIMIT = 1.10
#: The largest share of a training step that making its batch may take.
BATCH_LIMIT = 0.10
#: Training images of CelebA, and MiB that they may take.
IMAGES, MEMORY = 162_770, 4000


class Setting(NamedTuple):
    """A network, the size of its images, and its batches."""

    name: str
    size: int
    channels: int
    batch: int
    steps: int


#: The local study's network, and the published one.
SETTINGS = (Setting("digits", 8, 1, 64, 200), Setting("celeba", 64, 3, 32, 13))


def report(quick: bool) -> list[bool]:
    """Print both tables; return which requirements are met."""
    print(
        "\na training step of autoencoders, ours beside a bare PyTorch loop (batches made "
        "beforehand,\nforward, backward, fused AdamW); one thread, medians of processor time, "
        "the loops take turns\n"
        f"{'images':<12}{'batch':>14}{'ours / ms':>11}{'bare / ms':>11}{'ratio':>8}"
        f"{'batch / ms':>12}"
    )
    met = []
    for setting in SETTINGS[:1] if quick else SETTINGS:
        if quick:
            setting = setting._replace(batch=2, steps=WARM_UP + 3)
        found = alone("images", "step", setting).result
        ratio, share = found["ours"] / found["bare"], found["batch"] / found["ours"]
        passed = ratio <= LIMIT and share <= BATCH_LIMIT
        said = f"at most {LIMIT:.2f}, and {BATCH_LIMIT:.0%} for the batch: {verdict(passed)}"
        met.append(passed)
        shape = f"{setting.batch} x {setting.size} x {setting.size}"
        print(
            f"{setting.name:<12}{shape:>14}{1e3 * found['ours']:>11.2f}"
            f"{1e3 * found['bare']:>11.2f}{ratio:>8.3f}{1e3 * found['batch']:>12.3f}  "
            f"{'too small to count' if quick else said}; weights differ by "
            f"{found['difference']:.0e}",
            flush=True,
        )
    met += _sizes(quick)
    return [] if quick else met


def _sizes(quick: bool) -> list[bool]:
    print(
        "\nimages of 64 x 64 pixels in RGB, processor seconds and peak memory of a process, "
        "mapped files included"
    )
    met = []
    for function in ("prepare", "train", "evaluate"):
        counts = (200, 400) if quick else (10_000, 30_000)
        rows = []
        for count in counts:
            found, memory = alone("images", function, count)
            rows.append({**found, "peak / MiB": memory})
        print(f"{function:<12}" + "".join(f"{name:>16}" for name in rows[0]))
        for count, row in zip(counts, rows, strict=True):
            print(f"{count:<12}" + _columns(list(row.values())))
        if quick:
            continue
        small, large = (np.array(list(row.values())) for row in rows)
        line = large + (IMAGES - counts[1]) / (counts[1] - counts[0]) * (large - small)
        whole = np.maximum(large, line)  # a falling value doesn't depend on the size
        met.append(bool(whole[-1] < MEMORY))
        said = f"below {MEMORY} MiB: {verdict(met[-1])}"
        print(f"then at {IMAGES:<4}" + _columns(whole.tolist())[2:] + f"  {said}", flush=True)
    return met


def _columns(values: list[float]) -> str:
    return "".join(f"{value:>16.2f}" for value in values)


def step(given: Sequence[Any]) -> dict[str, float]:
    """Return the result of `turns.compare` for a setting."""
    from collapse.data.images import shards as image_shards
    from collapse.families.vae import models, training
    from collapse.families.vae.architectures import architecture
    from collapse.training.optimisation import Optimisation

    setting = Setting(*given)
    optimisation = Optimisation(steps=setting.steps, learning_rate=1e-3, clip=None, compile=False)
    layout = architecture(setting.size, setting.channels, None)
    shape = (setting.size, setting.size, setting.channels)
    ours, other = (models.initialised(layout, 0.3, 0) for _ in range(2))

    def loss(model: Any, rows: Mapping[str, Tensor]) -> Tensor:
        terms = model(rows["images"], rows["noise"])
        return (terms.reconstruction + terms.divergence).mean()

    with tempfile.TemporaryDirectory() as folder:
        image_shards.store(_parts(10 * setting.batch, shape), Path(folder, "images.bin"))
        batches = training.Batches(
            image_shards.Stored(Path(folder, "images.bin"), shape),
            setting.batch,
            layout.latent,
            shuffle=np.random.default_rng,
            noise_of=lambda step: step,
        )
        task = training.Fitting(ours, batches, np.zeros((0, *shape), np.uint8))
        return compare(task, other, loss, optimisation)


def prepare(count: int) -> dict[str, float]:
    """Write decoded images, and fit the reference for evaluating samples, as `prepare` does."""
    from collapse.data.images import shards as image_shards
    from collapse.families.vae import reference

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "train.parquet")
        start = time.process_time()
        rows = ((image, n % 2) for part in _parts(count) for n, image in enumerate(part))
        image_shards.write(path, rows, (64, 64, 3))
        written = time.process_time()
        chosen = np.arange(min(count, reference.FITTED))
        images = np.concatenate([*image_shards.read(path, chosen)])
        labels = image_shards.read_labels(path)
        reference.fit(images, None if labels is None else labels[chosen], 2, seed=0)
    return {"write / s": written - start, "fit / s": time.process_time() - written}


def train(count: int) -> dict[str, float]:
    """Store the images, train for two steps and make an epoch of batches, as `train` does."""
    from collapse.data.images import shards as image_shards
    from collapse.families.vae import models, training
    from collapse.families.vae.architectures import architecture
    from collapse.training import trainer
    from collapse.training.optimisation import Optimisation

    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "images.bin")
        start = time.process_time()
        image_shards.store(_parts(count), path)
        seconds["store / s"] = time.process_time() - start
        layout = architecture(64, 3, None)
        batches = training.Batches(
            image_shards.Stored(path, (64, 64, 3)),
            128,
            layout.latent,
            shuffle=np.random.default_rng,
            noise_of=lambda step: step,
        )
        test = np.zeros((training.CURVE_IMAGES, 64, 64, 3), np.uint8)
        task = training.Fitting(models.initialised(layout, 0.3, 0), batches, test)
        trainer.train(
            task,
            Optimisation(steps=2, learning_rate=1e-3, clip=None, compile=False, evaluate_every=2),
            state=Path(folder),
            fingerprint="",
            seed_of=lambda step: step,
        )
        start = time.process_time()
        for number in range(batches.steps_per_epoch):
            batches.batch(number)
        made = time.process_time() - start
    return {**seconds, "batch / ms": 1e3 * made / batches.steps_per_epoch}


def evaluate(count: int) -> dict[str, float]:
    """Find each sample's nearest among some images of the training set, as `evaluate` does."""
    from collapse.data import evenly
    from collapse.data.images import shards as image_shards
    from collapse.families.vae import evaluation, steps

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "train.parquet")
        rows = ((image, None) for part in _parts(count) for image in part)
        image_shards.write(path, rows, (64, 64, 3))
        samples = np.concatenate([*_parts(1000)])
        start = time.process_time()
        among = image_shards.read(path, evenly(count, steps.NEAREST_AMONG))
        evaluation.nearest(samples, among)
    return {"nearest / s": time.process_time() - start}


def _parts(count: int, shape: tuple[int, int, int] = (64, 64, 3)) -> Iterator[Any]:
    """Yield random images, a few hundred at a time, which take no time to make."""
    generator = np.random.default_rng(0)
    for start in range(0, count, 500):
        size = (min(500, count - start), *shape)
        yield generator.integers(0, 256, size, dtype=np.uint8)
