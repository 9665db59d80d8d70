"""Shapes of the networks: what can be said of them without torch."""

from __future__ import annotations

from typing import NamedTuple

#: Atomic numbers up to this one have an embedding.
ATOMS = 100
#: What two atoms of a molecule are to each other: nothing, a bond of four kinds, or two or
#: three bonds apart.
PAIRS = 7
#: Noise levels that the network tells apart, between which it interpolates.
LEVELS = 16


class Architecture(NamedTuple):
    """A dual encoder: SchNet on the atoms within a radius, GIN on those a few bonds apart.

    Attributes
    ----------
    hidden : int
        Width of all layers.
    global_layers, local_layers : int
        Layers of the one and of the other.
    cutoff : float
        Radius, in ångström.
    smearing : int
        Gaussians by which a distance is told.
    """

    hidden: int
    global_layers: int
    local_layers: int
    cutoff: float
    smearing: int

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        h = self.hidden
        square = h * h + h
        atoms = ATOMS * h + LEVELS * h + h + square
        pairs = (self.smearing + 1) * h + h + square + PAIRS * h
        score = 2 * h * h + h + (h + 1) * (h // 2) + h // 2 + 1
        return (
            2 * (atoms + pairs + score)
            + self.global_layers * (5 * square - h)
            + self.local_layers * 2 * square
        )

    @property
    def pair_flops(self) -> float:
        """Operations of a forward pass for each pair of atoms, roughly."""
        h = self.hidden
        return 2 * (2 * (self.smearing * h + 3.5 * h * h) + self.global_layers * 2 * h * h)


#: GeoDiff's (docs/reproduction.md, "Molecular diffusion on GEOM-Drugs"), and one for small
#: molecules on a CPU.
ARCHITECTURES = {
    "geodiff": Architecture(128, 6, 4, 10.0, 50),
    "small": Architecture(64, 2, 3, 10.0, 50),
}
