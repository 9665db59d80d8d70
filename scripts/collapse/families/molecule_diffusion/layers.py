"""The network's layers of graphs: sums over neighbours, written with torch's own operations.

They are `GaussianSmearing`, `InteractionBlock` and `GINEConv` of torch-geometric, whose package
takes three times as long to import as torch. Weights have the same names and the same initial
values, and all numbers are those of torch-geometric 2.8.1 to the last bit.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


def sums(values: Tensor, groups: Tensor, count: int) -> Tensor:
    """Return the sum of the rows of each group.

    Parameters
    ----------
    values : Tensor, shape (rows, features)
    groups : Tensor of int, shape (rows,)
        The group of each row.
    count : int
        Number of groups; one without rows has the sum 0.
    """
    into = groups[:, None].expand_as(values)
    return values.new_zeros(count, values.shape[1]).scatter_add_(0, into, values)


def means(values: Tensor, groups: Tensor, count: int) -> Tensor:
    """Return the mean of the rows of each group; see `sums`."""
    ones = values.new_ones(len(values))
    sizes = values.new_zeros(count).scatter_add_(0, groups, ones).clamp(min=1)
    return sums(values, groups, count) / sizes[:, None]


class GaussianSmearing(nn.Module):
    """Expand numbers in Gaussians with evenly spaced centres, as wide as these are apart."""

    offset: Tensor

    def __init__(self, start: float, stop: float, count: int) -> None:
        super().__init__()
        offset = torch.linspace(start, stop, count)
        self.coefficient = -0.5 / (offset[1] - offset[0]).item() ** 2
        self.register_buffer("offset", offset)

    def forward(self, numbers: Tensor) -> Tensor:
        difference = numbers.view(-1, 1) - self.offset.view(1, -1)
        return torch.exp(self.coefficient * torch.pow(difference, 2))


class Interaction(nn.Module):
    """The interaction of SchNet (Schütt et al. 2017): a convolution with filters of distances."""

    def __init__(self, hidden: int, cutoff: float) -> None:
        super().__init__()
        first, last = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.mlp = nn.Sequential(first, ShiftedSoftplus(), last)
        self.conv = _FilterConvolution(hidden, cutoff)
        self.act = ShiftedSoftplus()
        self.lin = nn.Linear(hidden, hidden)
        for layer in (first, last, self.conv.lin1, self.conv.lin2, self.lin):
            _initialise(layer)

    def forward(self, nodes: Tensor, pairs: Tensor, length: Tensor, edges: Tensor) -> Tensor:
        found: Tensor = self.lin(self.act(self.conv(nodes, pairs, length, self.mlp(edges))))
        return found


class _FilterConvolution(nn.Module):
    """A sum over neighbours, each multiplied by a filter that falls to zero at the cutoff."""

    def __init__(self, hidden: int, cutoff: float) -> None:
        super().__init__()
        self.lin1 = nn.Linear(hidden, hidden, bias=False)
        self.lin2 = nn.Linear(hidden, hidden)
        self.cutoff = cutoff
        # `Interaction` does this again: torch-geometric draws these weights twice.
        _initialise(self.lin1)
        _initialise(self.lin2)

    def forward(self, nodes: Tensor, pairs: Tensor, length: Tensor, filters: Tensor) -> Tensor:
        falling = 0.5 * (torch.cos(length * math.pi / self.cutoff) + 1.0)
        filters = filters * falling.view(-1, 1)
        seen = self.lin1(nodes).index_select(0, pairs[0]) * filters
        summed: Tensor = self.lin2(sums(seen, pairs[1], len(nodes)))
        return summed


class BondConvolution(nn.Module):
    """The convolution of a graph isomorphism network with features of edges (Hu et al. 2020)."""

    def __init__(self, network: nn.Sequential) -> None:
        super().__init__()
        self.nn = network
        # torch-geometric draws the initial weights of the network that it is given once more.
        for layer in network:
            if isinstance(layer, nn.Linear):
                layer.reset_parameters()

    def forward(self, nodes: Tensor, pairs: Tensor, edges: Tensor) -> Tensor:
        seen = (nodes.index_select(0, pairs[0]) + edges).relu()
        found: Tensor = self.nn(sums(seen, pairs[1], len(nodes)) + nodes)
        return found


#: The logarithm of 2 in single precision.
_SHIFT = torch.log(torch.tensor(2.0)).item()


class ShiftedSoftplus(nn.Module):
    """The logarithm of (1 + exp(x)) / 2, which is zero at zero."""

    def forward(self, numbers: Tensor) -> Tensor:
        return functional.softplus(numbers) - _SHIFT


def _initialise(layer: nn.Linear) -> None:
    """Draw the weights of a linear layer as SchNet does, and set its bias to zero."""
    nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
