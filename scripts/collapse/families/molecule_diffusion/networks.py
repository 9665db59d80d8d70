"""The network: from distances it computes scores of distances, and from these of positions.

It is GeoDiff's dual encoder (Xu et al. 2022). It sees only distances and the kinds of atoms and
bonds, so that its scores of distances don't change when a molecule is rotated or shifted; the chain
rule makes them vectors that rotate with it.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from collapse.families.molecule_diffusion.architectures import ATOMS, LEVELS, PAIRS, Architecture
from collapse.families.molecule_diffusion.graphs import Graphs
from collapse.families.molecule_diffusion.layers import (
    BondConvolution,
    GaussianSmearing,
    Interaction,
    sums,
)

#: Distances below this, in ångström, count as this, because they have no direction.
NEAREST = 1e-6
#: Range of the logarithm of noise levels in ångström.
LOWEST, HIGHEST = -8.0, 3.0


def mlp(*widths: int) -> nn.Sequential:
    """Return linear layers with SiLU between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


class DualEncoder(nn.Module):
    """A network that predicts the noise in positions as a sum over pairs of atoms.

    Parameters
    ----------
    shape : Architecture
    """

    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.shape = shape
        self.smearing = GaussianSmearing(0.0, shape.cutoff, shape.smearing)
        self.levels = GaussianSmearing(LOWEST, HIGHEST, LEVELS)
        self.near = _Branch(shape, _SchNet(shape))
        self.local = _Branch(shape, _GIN(shape))

    def forward(self, graphs: Graphs, positions: Tensor, sigma: Tensor) -> Tensor:
        """Predict the noise of positions.

        Parameters
        ----------
        graphs : Graphs
        positions : Tensor, shape (atoms, 3)
            Noisy positions in ångström.
        sigma : Tensor, shape (molecules,)
            Standard deviation of the noise in ångström.

        Returns
        -------
        Tensor, shape (atoms, 3)
            The noise in units of sigma; its mean over a molecule is zero.
        """
        difference = positions[graphs.pairs[0]] - positions[graphs.pairs[1]]
        distances = difference.norm(dim=-1).clamp(min=NEAREST)
        level = self.levels(sigma.log())[graphs.molecule]
        scaled = distances / (1 + sigma[graphs.molecule[graphs.pairs[0]]] ** 2).sqrt()
        total = torch.zeros_like(positions)
        is_local = graphs.kinds > 0
        within = distances < self.shape.cutoff
        for branch, seen, scored in (
            (self.local, is_local, None),
            (self.near, within, ~is_local),
        ):
            chosen = seen.nonzero()[:, 0]
            length = distances[chosen]
            features = torch.cat((self.smearing(length), scaled[chosen, None]), dim=-1)
            scores = branch(graphs, level, chosen, length, features)
            if scored is not None:
                scores = scores * scored[chosen, None]
            total = total + chain_rule(
                scores,
                difference[chosen] / length[:, None],
                graphs.pairs[0, chosen],
                len(positions),
            )
        return total


def chain_rule(scores: Tensor, directions: Tensor, first: Tensor, count: int) -> Tensor:
    """Turn scores of distances into scores of positions.

    Parameters
    ----------
    scores : Tensor, shape (pairs, 1)
        Derivatives with respect to distances.
    directions : Tensor, shape (pairs, 3)
        Derivatives of distances with respect to the first atom's position: unit vectors.
    first : Tensor, shape (pairs,)
        The first atom of each pair.
    count : int
        Number of atoms.
    """
    return sums(scores * directions, first, count)


class _Branch(nn.Module):
    """An encoder of atoms, and the scores of distances, computed from two encoded atoms."""

    def __init__(self, shape: Architecture, encoder: nn.Module) -> None:
        super().__init__()
        hidden = shape.hidden
        self.atoms = nn.Embedding(ATOMS, hidden)
        self.level = mlp(LEVELS, hidden, hidden)
        self.distances = mlp(shape.smearing + 1, hidden, hidden)
        self.kinds = nn.Embedding(PAIRS, hidden)
        self.encoder = encoder
        self.score = mlp(2 * hidden, hidden, hidden // 2, 1)

    def forward(
        self, graphs: Graphs, level: Tensor, chosen: Tensor, length: Tensor, features: Tensor
    ) -> Tensor:
        pairs = graphs.pairs[:, chosen]
        edges = self.distances(features) * self.kinds(graphs.kinds[chosen])
        nodes = self.encoder(self.atoms(graphs.atoms) + self.level(level), pairs, length, edges)
        both = torch.cat((nodes[pairs[0]] * nodes[pairs[1]], edges), dim=-1)
        scores: Tensor = self.score(both)
        return scores


class _SchNet(nn.Module):
    """Interactions of atoms within the cutoff, which decrease to zero towards it."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            Interaction(shape.hidden, shape.cutoff) for _ in range(shape.global_layers)
        )

    def forward(self, nodes: Tensor, pairs: Tensor, length: Tensor, edges: Tensor) -> Tensor:
        for layer in self.layers:
            nodes = nodes + layer(nodes, pairs, length, edges)
        return nodes


class _GIN(nn.Module):
    """Convolutions over bonds, and over atoms a few bonds apart."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        hidden = shape.hidden
        self.layers = nn.ModuleList(
            BondConvolution(mlp(hidden, hidden, hidden)) for _ in range(shape.local_layers)
        )

    def forward(self, nodes: Tensor, pairs: Tensor, length: Tensor, edges: Tensor) -> Tensor:
        for layer in self.layers:
            nodes = nodes + layer(nodes, pairs, edges)
        return nodes
