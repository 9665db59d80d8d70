"""What diffusion models of conformations do in the steps of an iteration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collapse.artifacts import manifest, shard_rows
from collapse.artifacts.manifest import ShardRecord
from collapse.artifacts.step import Step
from collapse.artifacts.training_sets import DATASET, Selection
from collapse.data.molecules import conformations
from collapse.data.molecules import sources as molecule_sources
from collapse.data.molecules.conformations import Conformations
from collapse.data.molecules.sources import Reading
from collapse.families.contract import Prepared
from collapse.families.molecule_diffusion import (
    Parameters,
    checkpoint,
    evaluation,
    generation,
    overlay,
    training,
)
from collapse.families.molecule_diffusion.portrait import SHOWN
from collapse.plotting import portraits

TRAIN, TEST = "train.parquet", "test.parquet"


def prepare(step: Step, parameters: Parameters, directory: Path) -> Prepared:
    """Read or make the real conformations, and split them by molecule."""
    reading = Reading(
        **{name: getattr(parameters, name) for name in Reading._fields},
    )
    found = molecule_sources.collection(parameters.data, reading, step.stream)
    molecule_sources.report(parameters.data, found)
    conformations.write(directory / TRAIN, found.train)
    conformations.write(directory / TEST, found.test)
    return Prepared(
        train=[(TRAIN, found.train.size)],
        test=[(TEST, found.test.size)],
        details={
            "skipped": found.skipped,
            **{
                f"{split}_{what}": count
                for split, part in (("train", found.train), ("test", found.test))
                for what, count in (
                    ("molecules", len(set(part.smiles))),
                    ("conformations", part.size),
                    ("most_atoms", int(part.atom_counts.max())),
                )
            },
        },
    )


def train(
    step: Step,
    parameters: Parameters,
    selections: Sequence[Selection],
    *,
    data: Path,
    fingerprint: str,
    scratch: Path,
    model: Path,
) -> dict[str, Any]:
    """Train a newly initialised network."""
    return training.train(
        step,
        parameters,
        conformations.concatenate(
            [conformations.read(Path(str(one.path)), one.rows) for one in selections]
        ),
        test=conformations.read(data / TEST),
        fingerprint=fingerprint,
        scratch=scratch,
        model=model,
    )


def generate(
    step: Step, parameters: Parameters, slots: range, *, model: Path, data: Path, output: Path
) -> dict[str, Any]:
    """Sample one conformation for each slot, of the molecule that the slot has in the real data."""
    real = conformations.read(data / TRAIN)
    rows = _rows_of_slots(step, data)
    sampled = generation.generate(
        checkpoint.load(model),
        lambda some: real.take(rows[some % len(rows)]),
        slots,
        cycle=len(rows),
        seed=step.integer("samples"),
        parameters=parameters,
    )
    conformations.write(output, sampled)
    return {}


def _rows_of_slots(step: Step, data: Path) -> NDArray[np.int64]:
    """Return the rows of the real data that the seed trains on first, in its order.

    Samples take their molecules, in turn, so that conformations are replaced but molecules stay.
    """
    described = manifest.read_dataset(data / DATASET)
    return step.order_of_real_data(sum(part.stop for part in described.train))[: step.samples]


def evaluate(
    step: Step,
    parameters: Parameters,
    *,
    model: Path,
    data: Path,
    selections: Sequence[Selection],
    shards: Sequence[ShardRecord],
    threads: int,
) -> dict[str, float]:
    """Measure the network on real test conformations, and its samples."""
    network, test = checkpoint.load(model), conformations.read(data / TEST)
    metrics = {"test_loss": evaluation.test_loss(network, test)}
    metrics |= evaluation.of_test_molecules(
        network, test, parameters, seed=step.integer("test samples"), threads=threads
    )
    if shards:
        samples, real = _samples_and_real(step, data, shards, parameters.judged)
        metrics |= evaluation.of_samples(samples, real)
    return metrics


def portray(
    step: Step,
    parameters: Parameters,
    *,
    model: Path,
    data: Path,
    shards: Sequence[ShardRecord],
    output: Path,
) -> None:
    """Write the first samples of different molecules, laid over the real conformations."""
    samples, _ = _samples_and_real(step, data, shards, parameters.judged)
    _, first = np.unique(samples.molecule, return_index=True)
    shown = samples.take(np.sort(first)[:SHOWN])
    portraits.write(output, overlay.portrait(shown, conformations.read(data / TRAIN)))


def _samples_and_real(
    step: Step, data: Path, shards: Sequence[ShardRecord], most: int
) -> tuple[Conformations, Conformations]:
    """Return the first samples, at most so many, and the real conformations in their places."""
    samples = conformations.concatenate(
        [conformations.read(path, rows) for path, rows in shard_rows.first(shards, most)]
    )
    rows = _rows_of_slots(step, data)
    real = conformations.read(data / TRAIN).take(rows[np.arange(samples.size) % len(rows)])
    return samples, real
