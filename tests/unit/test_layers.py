"""The layers of graphs are those of torch-geometric, to the last bit; distances are scipy's."""

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


def trained(layer, given):
    """Return a layer's output, the gradients of its inputs and weights, and the weights."""
    given = [one.clone().requires_grad_(one.is_floating_point()) for one in given]
    output = layer(*given)
    (output**2).sum().backward()
    weights = dict(layer.named_parameters())
    gradients = {f"gradient of {name}": weight.grad for name, weight in weights.items()}
    inputs = {str(i): one.grad for i, one in enumerate(given) if one.grad is not None}
    return {"output": output, **inputs, **gradients, **weights}


@pytest.mark.parametrize("name", ["interaction", "bonds", "smearing"])
def test_layers_are_those_of_torch_geometric(name, graph):
    nn = pytest.importorskip("torch_geometric.nn")
    schnet = pytest.importorskip("torch_geometric.nn.models.schnet")
    ours, theirs, given = {
        "interaction": (
            lambda: layers.Interaction(HIDDEN, CUTOFF),
            lambda: schnet.InteractionBlock(HIDDEN, HIDDEN, HIDDEN, CUTOFF),
            ("nodes", "pairs", "length", "edges"),
        ),
        "bonds": (
            lambda: layers.BondConvolution(network()),
            lambda: nn.GINEConv(network()),
            ("nodes", "pairs", "edges"),
        ),
        "smearing": (
            lambda: layers.GaussianSmearing(0.0, CUTOFF, 20),
            lambda: schnet.GaussianSmearing(0.0, CUTOFF, 20),
            ("length",),
        ),
    }[name]
    found = []
    for make in (ours, theirs):
        torch.manual_seed(0)
        found.append(trained(make(), [graph[one] for one in given]))
    assert list(found[0]) == list(found[1])  # the optimiser numbers weights in this order
    for part, values in found[0].items():
        assert torch.equal(values, found[1][part]), part


@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_groups_are_reduced_as_by_torch_geometric(reduce, graph):
    scatter = pytest.importorskip("torch_geometric.utils").scatter
    groups = graph["pairs"][0]
    ours = {"sum": layers.sums, "mean": layers.means}[reduce](graph["edges"], groups, NODES + 1)
    assert torch.equal(ours, scatter(graph["edges"], groups, 0, NODES + 1, reduce))
    assert not ours[NODES].any()


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
