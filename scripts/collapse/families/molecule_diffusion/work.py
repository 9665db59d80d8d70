"""The counted work of the molecule_diffusion family's steps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from collapse.families.molecule_diffusion.architectures import ARCHITECTURES
from collapse.families.work import Work, Workload

if TYPE_CHECKING:
    from collapse.families.molecule_diffusion import Parameters

#: Typical number of atoms of a molecule, with hydrogens and without: of the built-in ones, and of
#: GEOM-Drugs.
BUILT_IN, GEOM_DRUGS = {True: 27, False: 15}, {True: 44, False: 25}
#: Seconds in which RDKit makes a conformation, reads one, and compares two of a molecule.
MADE, READ, COMPARED = 0.017, 5e-4, 3e-4
#: Conformations that are sampled or evaluated together, noise levels of the evaluation, and test
#: conformations of a point of the learning curve.
TOGETHER, LEVELS, CURVE = 64, 8, 256
#: The share of a forward pass that a step of sampling does: atoms further apart than the radius of
#: the network's global part, and the part itself at high noise, cost nothing.
SAMPLED = 0.35

#: The libraries that each step imports.
LIBRARIES = {
    "prepare": ("rdkit",),
    "train": ("torch",),
    "generate": ("torch", "scipy"),
    "evaluate": ("torch", "scipy", "rdkit"),
}


class MoleculeWork(Workload["Parameters"]):
    """The work of the steps of a diffusion model of conformations."""

    libraries = LIBRARIES

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        self.shape = ARCHITECTURES[parameters.model]
        self.made = parameters.data == "drug-like"
        atoms = (BUILT_IN if self.made else GEOM_DRUGS)[parameters.hydrogens]
        self.flops = atoms * (atoms - 1) * self.shape.pair_flops  # of a forward pass
        self.layers = self.shape.global_layers + self.shape.local_layers
        # Those of GEOM-Drugs are about 30 a molecule.
        self.each = parameters.conformations if self.made else 30
        self.tested = self.each * (parameters.test_molecules or 20)
        self.sample_bytes = 20.0 * atoms  # positions take 12 bytes an atom, and graphs the rest
        self.model_bytes = 4.0 * self.shape.parameters

    def prepare(self, samples: int) -> Work:
        """Count making or reading conformations."""
        molecules = self.parameters.molecules
        count = samples if molecules is None else molecules * self.each
        return Work(core=(count + self.tested) * (MADE if self.made else READ))

    def train(self, samples: int, iteration: int) -> Work:
        """Count forward and backward passes, and the learning curve."""
        batch = min(self.parameters.batch, samples)
        updates = max(1.0, self.parameters.epochs * math.ceil(samples / batch))
        passes = 3 * self.parameters.epochs * samples / updates
        update = self._work(350 + 75 * self.layers, passes).times(updates)
        points = max(1, self.parameters.curve_points)
        return update + self._loss(min(self.tested, CURVE)).times(points)

    def generate(self, samples: int) -> Work:
        """Count the steps through noise levels."""
        steps = self.parameters.diffusion_steps * max(1.0, samples / TOGETHER)
        done = SAMPLED * samples * self.parameters.diffusion_steps
        return self._work(100 + 35 * self.layers, done / steps).times(steps)

    def evaluate(self, samples: int, trained: int) -> Work:
        """Count the loss on test data, sampling of test molecules, and comparisons of them."""
        compared = min(self.tested, max(1, self.parameters.judged // 2))
        pairs = 2 * compared * min(self.each, compared)
        found = self._loss(self.tested) + self.generate(2 * compared)
        return found + Work(core=pairs * COMPARED + samples * 1e-3)

    def _loss(self, conformations: int) -> Work:
        batches = max(1.0, conformations / TOGETHER)
        passes = LEVELS * conformations / batches
        return self._work(LEVELS * (100 + 35 * self.layers), passes).times(batches)

    def _work(self, calls: float, passes: float) -> Work:
        """Return work with forward passes of so many conformations."""
        return Work(
            kind="graph", calls=calls, flops=passes * self.flops, size=self.shape.parameters
        )
