"""The steps of an iteration of diffusion models of conformations.

Modules that take seconds to import are imported by the steps that compute with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collapse.artifacts import manifest, shard_rows, training_sets
from collapse.artifacts.manifest import ShardRecord
from collapse.artifacts.paths import DATASET
from collapse.artifacts.step import Step
from collapse.data.molecules import conformations
from collapse.data.molecules.conformations import Conformations
from collapse.families.molecule_diffusion import Parameters, kept_variances
from collapse.families.molecule_diffusion.portrait import SHOWN
from collapse.families.step_jobs import (
    EvaluateJob,
    GenerateJob,
    PortrayJob,
    Prepared,
    ScoreJob,
    StepJob,
    Steps,
    TrainJob,
)
from collapse.plotting import portraits

TRAIN, TEST = "train.parquet", "test.parquet"


def prepare(job: StepJob[Parameters]) -> Prepared:
    """Read or make the real conformations, and split them by molecule."""
    from collapse.data.molecules import sources

    reading = sources.Reading(
        **{name: getattr(job.parameters, name) for name in sources.Reading._fields},
    )
    found = sources.collection(job.parameters.data, reading, job.step.stream)
    sources.report(job.parameters.data, found)
    conformations.write(job.data / TRAIN, found.train)
    conformations.write(job.data / TEST, found.test)
    return Prepared(
        train=[(TRAIN, found.train.size)],
        test=[(TEST, found.test.size)],
        details={
            "skipped": found.skipped,
            **{
                f"{split}_{what}": count
                for split, part, molecules in (
                    ("train", found.train, found.train_molecules),
                    ("test", found.test, found.test_molecules),
                )
                for what, count in (
                    ("molecules", molecules),
                    ("conformations", part.size),
                    ("most_atoms", int(part.atom_counts.max())),
                )
            },
        },
    )


def train(job: TrainJob[Parameters]) -> dict[str, Any]:
    """Train a newly initialised network, or that of the iteration before."""
    from collapse.families.molecule_diffusion import training

    return training.train(
        job,
        conformations.concatenate(
            [conformations.read(Path(str(one.path)), one.rows) for one in job.selections]
        ),
        test=conformations.read(job.data / TEST),
        weights=training_sets.weights_of(job.selections),
    )


def generate(job: GenerateJob[Parameters]) -> dict[str, Any]:
    """Sample a conformation for each slot, of the molecule that it has in the real data."""
    from collapse.families.molecule_diffusion import checkpoint, generation

    real = conformations.read(job.data / TRAIN)
    rows = _rows_of_slots(job.step, job.data)
    sampled = generation.generate(
        checkpoint.load(job.model),
        lambda some: real.take(rows[some % len(rows)]),
        job.slots,
        cycle=len(rows),
        seeds=[job.step.integer(job.purpose("samples", each)) for each in job.candidates],
        parameters=job.parameters,
    )
    conformations.write(job.output, sampled)
    return {}


def _rows_of_slots(step: Step, data: Path) -> NDArray[np.int64]:
    """Return the rows of the real data that the seed trains on at iteration 1, in its order.

    Samples are of their molecules, in turn, so that conformations are replaced but molecules stay.
    """
    described = manifest.read_dataset(data / DATASET)
    return step.order_of_real_data(sum(part.stop for part in described.train))[: step.samples]


def score(job: ScoreJob[Parameters]) -> NDArray[np.float64]:
    """Score conformations by how chemically sane they are."""
    from collapse.families.molecule_diffusion import geometry

    measure = geometry.sane if job.name == "sanity" else geometry.misplaced
    return measure(conformations.read(job.samples)).astype(np.float64)


def evaluate(job: EvaluateJob[Parameters]) -> dict[str, float]:
    """Evaluate the network on real test conformations, and its samples."""
    from collapse.families.molecule_diffusion import checkpoint, evaluation

    network, test = checkpoint.load(job.model), conformations.read(job.data / TEST)
    metrics = {"test_loss": evaluation.test_loss(network, test), **kept_variances(job.parameters)}
    metrics |= evaluation.of_test_molecules(
        network, test, job.parameters, seed=job.step.integer("test samples"), threads=job.threads
    )
    if job.shards:
        samples, real = _samples_and_real(job.step, job.data, job.shards, job.parameters.judged)
        metrics |= evaluation.of_samples(samples, real)
    return metrics


def portray(job: PortrayJob[Parameters]) -> None:
    """Write the first samples of different molecules, aligned with real conformations."""
    from collapse.families.molecule_diffusion import overlay

    samples, _ = _samples_and_real(job.step, job.data, job.shards, job.parameters.judged)
    _, first = np.unique(samples.molecule, return_index=True)
    shown = samples.take(np.sort(first)[:SHOWN])
    portraits.write(job.output, overlay.portrait(shown, conformations.read(job.data / TRAIN)))


def _samples_and_real(
    step: Step, data: Path, shards: Sequence[ShardRecord], most: int
) -> tuple[Conformations, Conformations]:
    """Return the first samples, at most ``most``, and the real conformations of their slots.

    Slots take real conformations in turn, each of which is returned once.
    """
    samples = conformations.concatenate(
        [conformations.read(path, rows) for path, rows in shard_rows.first(shards, most)]
    )
    rows = _rows_of_slots(step, data)
    return samples, conformations.read(data / TRAIN).take(rows[: samples.size])


STEPS = Steps(
    prepare=prepare,
    train=train,
    generate=generate,
    evaluate=evaluate,
    portray=portray,
    score=score,
)
