"""Training a network to predict the noise in positions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from collapse.data import evenly
from collapse.data.molecules import conformations as molecules
from collapse.data.molecules.conformations import Conformations
from collapse.families.molecule_diffusion import (
    Parameters,
    checkpoint,
    diffusion,
    evaluation,
    samplers,
)
from collapse.families.molecule_diffusion.graphs import graphs
from collapse.families.step_jobs import TrainJob
from collapse.training import distributed, trainer
from collapse.training.epochs import Epochs
from collapse.training.optimisation import Optimisation, planned

#: Largest number of test conformations for a point of the learning curve.
CURVE_CONFORMATIONS = 256


def train(
    job: TrainJob[Parameters],
    conformations: Conformations,
    *,
    test: Conformations,
    weights: NDArray[np.float64] | None = None,
) -> dict[str, Any]:
    """Train a newly initialised network, or that of the iteration before, and save it.

    ``weights`` are those of `Denoising`.

    Returns
    -------
    dict
        Numbers of parameters, conformations and training steps, and the learning curve.
    """
    with distributed.joined() as ranks:
        if job.previous is not None:
            network = checkpoint.read(job.previous)
        else:
            seed = job.step.integer("initialisation")
            network = checkpoint.initialised(job.parameters.model, seed)
        task = Denoising(
            network,
            conformations,
            test.take(evenly(test.size, CURVE_CONFORMATIONS)),
            job.parameters.batch,
            job.step.integer("training"),
            weights,
        )
        optimisation = _optimisation(job.parameters, task.steps_per_epoch)
        curve = trainer.train(
            task,
            optimisation,
            state=job.scratch,
            fingerprint=job.fingerprint,
            seed_of=lambda number: number,  # the network draws nothing
        )
        if ranks.first:
            checkpoint.save(network, job.model)
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "conformations": conformations.size,
        "steps": optimisation.steps,
        "curve": [point._asdict() for point in curve],
    }


def _optimisation(parameters: Parameters, steps_per_epoch: int) -> Optimisation:
    return planned(
        parameters,
        max(1, round(parameters.epochs * steps_per_epoch)),
        betas=(0.95, 0.999),  # GeoDiff's
        precision="float32",  # directions of atoms near each other are differences of positions
        compile=False,  # every batch has a graph of its own
    )


class Denoising:
    """The task of the training loop: to predict the noise in the positions of a batch.

    Parameters
    ----------
    network : torch.nn.Module
    conformations, test : Conformations
        The training set, and real test conformations for the learning curve.
    batch : int
        Number of conformations in a training step.
    seed : int
        Seed of the order of the conformations and of the noise.
    weights : ndarray or None
        How much each conformation counts; None means 1.
    """

    unit = "atoms"

    def __init__(
        self,
        network: torch.nn.Module,
        conformations: Conformations,
        test: Conformations,
        batch: int,
        seed: int,
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        self.model = network
        self._conformations, self._test = conformations, test
        self._seed = seed
        self._weights = None if weights is None else weights.astype(np.float32)
        self._levels = samplers.noise_levels()
        self._epochs = Epochs(
            batch,
            lambda epoch: np.random.default_rng([seed, 0, epoch]).permutation(conformations.size),
        )
        self.steps_per_epoch = self._epochs.steps_per_epoch

    def batch(self, step: int) -> dict[str, Tensor]:
        """Return the conformations of a training step, their noise and its standard deviation."""
        chosen = self._epochs.batch(step)
        rows = molecules.padded(self._conformations, chosen)
        generator = np.random.default_rng([self._seed, 1, step])
        noise = generator.standard_normal(rows["positions"].shape, dtype=np.float32)
        # Noise levels are spread evenly; conformations are shuffled, so any may have any of them.
        size = self._epochs.size
        even = (np.arange(size) + generator.random()) / size
        sigma = self._levels[(even * samplers.STEPS).astype(int)]
        rows |= {"noise": noise, "sigma": sigma.astype(np.float32)}
        if self._weights is not None:
            rows["weights"] = self._weights[chosen]
        return {name: torch.from_numpy(values) for name, values in rows.items()}

    def weight(self, batch: trainer.Batch) -> float:
        """Return the number of atoms of a batch."""
        return float((batch["atoms"] > 0).sum())

    def loss(self, model: torch.nn.Module, rows: trainer.Batch) -> Tensor:
        """Return the squared error of the predicted noise, summed over atoms."""
        found = graphs(rows)
        errors = diffusion.squared_errors(
            model, found, found.flat(rows["positions"]), found.flat(rows["noise"]), rows["sigma"]
        )
        return (errors * rows["weights"][found.molecule] if "weights" in rows else errors).sum()

    def test_loss(self, model: torch.nn.Module) -> float:
        """Return the loss on some of the real test data."""
        return evaluation.test_loss(model, self._test)
