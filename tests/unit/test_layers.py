"""The layers of graphs follow their formulas; distances of distributions are those of scipy."""

import math

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

torch = pytest.importorskip("torch")
pytest.importorskip("rdkit")

from collapse.families.molecule_diffusion import geometry, layers  # noqa: E402

HIDDEN, CUTOFF, NODES, EDGES = 24, 4.0, 30, 200
pytestmark = pytest.mark.usefixtures("one_thread")


def network(hidden=HIDDEN):
    linear = torch.nn.Linear
    return torch.nn.Sequential(linear(hidden, hidden), torch.nn.SiLU(), linear(hidden, hidden))


@pytest.fixture
def graph():
    generator = torch.Generator().manual_seed(1)
    return {
        "nodes": torch.randn(NODES, HIDDEN, generator=generator),
        "pairs": torch.randint(NODES, (2, EDGES), generator=generator),
        "length": CUTOFF * torch.rand(EDGES, generator=generator),
        "edges": torch.randn(EDGES, HIDDEN, generator=generator),
    }


def incidence(ends):
    """Return the matrix that is 1 where an edge has this end, by edges and nodes."""
    return torch.eye(NODES, dtype=torch.double)[ends]


def softplus(numbers):
    return torch.log((1 + torch.exp(numbers)) / 2)


def interaction(layer, nodes, pairs, length, edges):
    """SchNet's interaction with continuous filters (Schütt et al. 2017, sections 3 and 4.2)."""
    filters = layer.mlp[2](softplus(layer.mlp[0](edges)))
    filters = filters * ((torch.cos(math.pi * length / CUTOFF) + 1) / 2)[:, None]
    source, target = map(incidence, pairs)
    return layer.lin(
        softplus(layer.conv.lin2(target.T @ (source @ layer.conv.lin1(nodes) * filters)))
    )


def bonds(layer, nodes, pairs, edges):
    """A graph isomorphism network with features of edges (Hu et al. 2020, appendix A)."""
    source, target = map(incidence, pairs)
    return layer.nn(nodes + target.T @ torch.clamp(source @ nodes + edges, min=0))


def smearing(layer, length):
    centres = torch.arange(20) * CUTOFF / 19
    return torch.exp(-((length[:, None] - centres) ** 2) / (2 * (CUTOFF / 19) ** 2))


@pytest.mark.parametrize(
    ("make", "formula", "given"),
    [
        (lambda: layers.Interaction(HIDDEN, CUTOFF), interaction, "nodes pairs length edges"),
        (lambda: layers.BondConvolution(network()), bonds, "nodes pairs edges"),
        (lambda: layers.GaussianSmearing(0.0, CUTOFF, 20), smearing, "length"),
    ],
)
def test_layers_follow_their_formulas(make, formula, given, graph):
    layer = make().double()
    given = [graph[one] for one in given.split()]
    given = [one.double() if one.is_floating_point() else one for one in given]
    torch.testing.assert_close(layer(*given), formula(layer, *given), rtol=1e-6, atol=1e-6)


def test_interactions_begin_as_those_of_schnet():
    for name, weight in layers.Interaction(HIDDEN, CUTOFF).named_parameters():
        most = math.sqrt(6 / (2 * HIDDEN)) if weight.ndim == 2 else 0.0
        assert 0.9 * most <= weight.abs().max() <= most, name


@pytest.mark.parametrize("reduce", [layers.sums, layers.means])
def test_groups_are_reduced_one_by_one(reduce, graph):
    groups, values = graph["pairs"][0], graph["edges"].double()
    found = reduce(values, groups, NODES + 1)
    for group in range(NODES + 1):
        rows = values[groups == group]
        expected = rows.sum(0) / (max(1, len(rows)) if reduce is layers.means else 1)
        torch.testing.assert_close(found[group], expected)


def test_distances_of_distributions_are_those_of_scipy():
    generator = np.random.default_rng(0)
    for sizes in ((1, 1), (7, 300), (400, 3)):
        found, real = (generator.standard_normal(size).round(1) for size in sizes)
        kinds = [np.zeros(size, np.int64) for size in sizes]
        ours = geometry.distance(
            geometry.Measured(found, kinds[0]), geometry.Measured(real, kinds[1])
        )
        weighted = len(real) * wasserstein_distance(found, real)
        assert ours == weighted / len(real)
