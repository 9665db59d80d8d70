"""Shapes of the networks, with sizes and costs that are computed without torch."""

from __future__ import annotations

from typing import NamedTuple

#: Number of atomic numbers that have an embedding.
ATOMS = 100
#: Number of relations between two atoms of a molecule: none, a bond of one of four kinds, or two
#: or three bonds apart.
PAIRS = 7
#: Number of Gaussians with which the network encodes the logarithm of a noise level.
LEVELS = 16


class Architecture(NamedTuple):
    """A dual encoder: SchNet on the atoms within a radius, GIN on those a few bonds apart.

    Attributes
    ----------
    hidden : int
        Width of all layers.
    global_layers, local_layers : int
        Numbers of layers of SchNet and of GIN.
    cutoff : float
        Radius of SchNet, in ångström.
    smearing : int
        Number of Gaussians with which a distance is encoded.
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
        """Approximate floating-point operations of a forward pass for each pair of atoms."""
        h = self.hidden
        return 2 * (2 * (self.smearing * h + 3.5 * h * h) + self.global_layers * 2 * h * h)


#: GeoDiff's (docs/reproduction.md, "Molecular diffusion on GEOM-Drugs"), and one for small
#: molecules on a CPU.
ARCHITECTURES = {
    "geodiff": Architecture(128, 6, 4, 10.0, 50),
    "small": Architecture(64, 2, 3, 10.0, 50),
}
