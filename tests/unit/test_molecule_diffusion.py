"""Diffusion of conformations: symmetries, the process, metrics, and the steps of an iteration."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("rdkit")

from rdkit import Chem  # noqa: E402
from rdkit.Chem import rdDistGeom, rdMolAlign  # noqa: E402
from scipy.spatial.transform import Rotation  # noqa: E402

from collapse.data.molecules import conformations as molecules  # noqa: E402
from collapse.data.molecules import rdkit_conversion  # noqa: E402
from collapse.errors import JobError  # noqa: E402
from collapse.families import molecule_diffusion  # noqa: E402
from collapse.families.molecule_diffusion import (  # noqa: E402
    Parameters,
    checkpoint,
    coverage,
    diffusion,
    evaluation,
    generation,
    geometry,
    overlay,
    pictures,
    samplers,
    training,
)
from collapse.families.molecule_diffusion.architectures import (  # noqa: E402
    ARCHITECTURES,
    Architecture,
)
from collapse.families.molecule_diffusion.graphs import graphs  # noqa: E402
from collapse.families.molecule_diffusion.networks import DualEncoder  # noqa: E402
from collapse.families.molecule_diffusion.portrait import Portrait  # noqa: E402
from collapse.families.molecule_diffusion.work import MoleculeWork  # noqa: E402
from collapse.plotting import portraits  # noqa: E402
from collapse.study import Study  # noqa: E402
from refusing import refused  # noqa: E402
from stepping import Loop  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

PROJECT = Path(__file__).parents[2]
#: Small enough to train in seconds; the cutoff is less than a molecule is wide.
TINY = Architecture(32, 2, 2, 4.0, 20)
SMILES = ("CC(=O)NC", "OCC1CC1", "c1ccccc1O", "NS(=O)(=O)C")


def conformations(*smiles, each=1, hydrogens=True):
    def made():
        for number, one in enumerate(smiles):
            molecule = Chem.AddHs(Chem.MolFromSmiles(one))
            rdDistGeom.EmbedMultipleConfs(molecule, each, randomSeed=number + 1)
            yield number, molecule if hydrogens else Chem.RemoveHs(molecule)

    return rdkit_conversion.to_arrays(made())


def tensors(some, rows=None):
    rows = np.arange(some.size) if rows is None else rows
    return {name: torch.from_numpy(one) for name, one in molecules.padded(some, rows).items()}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return DualEncoder(TINY).double().eval()


@pytest.fixture(scope="module")
def rows():
    """Molecules of different sizes, at places with noise."""
    found = tensors(conformations(*SMILES))
    generator = torch.Generator().manual_seed(1)
    found["positions"] = found["positions"].double()
    found["positions"] += 0.5 * torch.randn(
        found["positions"].shape, generator=generator, dtype=torch.float64
    )
    return found


SIGMA = torch.tensor([0.01, 0.3, 2.0, 12.0], dtype=torch.float64)


def predicted(network, rows, sigma=SIGMA):
    """The predicted noise, padded as the rows are."""
    found = graphs(rows)
    with torch.no_grad():
        flat = network(found, found.flat(rows["positions"]), sigma)
    padded = torch.zeros_like(rows["positions"])
    padded[found.inside] = flat
    return padded


# Symmetries.


@pytest.mark.parametrize("mirrored", [False, True])
def test_predictions_turn_with_the_molecules(network, rows, mirrored):
    before = predicted(network, rows)
    assert before.abs().max() > 1e-3
    turned = torch.from_numpy(
        Rotation.random(4, random_state=3).as_matrix() * (-1 if mirrored else 1)
    )
    after = predicted(
        network, {**rows, "positions": torch.einsum("nij,naj->nai", turned, rows["positions"])}
    )
    assert (after - torch.einsum("nij,naj->nai", turned, before)).abs().max() < 1e-10


def test_predictions_do_not_change_when_molecules_move(network, rows):
    moved = rows["positions"] + 5 * torch.randn(4, 1, 3, dtype=torch.float64)
    after = predicted(network, {**rows, "positions": moved})
    assert (after - predicted(network, rows)).abs().max() < 1e-10
    assert after.sum(dim=1).abs().max() < 1e-10  # nor do they move a molecule


def test_predictions_follow_a_permutation_of_the_atoms(network, rows):
    order = torch.randperm(rows["atoms"].shape[1], generator=torch.Generator().manual_seed(4))
    permuted = {
        "atoms": rows["atoms"][:, order],
        "positions": rows["positions"][:, order],
        "bonds": rows["bonds"][:, order][:, :, order],
    }
    after = predicted(network, permuted)
    assert (after - predicted(network, rows)[:, order]).abs().max() < 1e-10


def test_molecules_of_a_batch_do_not_see_each_other(network, rows):
    together = predicted(network, rows)
    for number in range(4):
        alone = {name: one[number : number + 1] for name, one in rows.items()}
        found = predicted(network, alone, SIGMA[number : number + 1])
        assert (found[0] - together[number]).abs().max() < 1e-12


def test_both_encoders_and_the_noise_level_matter(network, rows):
    whole = predicted(network, rows)
    unbonded = {**rows, "bonds": torch.zeros_like(rows["bonds"])}
    assert (predicted(network, unbonded) - whole).abs().max() > 1e-3
    assert (predicted(network, rows, SIGMA + 1) - whole).abs().max() > 1e-3
    apart = rows["positions"] * 100  # nothing within the cutoff any more
    only_local = predicted(network, {**unbonded, "positions": apart})
    assert only_local.abs().max() == 0


def test_pairs_are_told_apart_by_the_bonds_between_them():
    found = graphs(tensors(conformations("CCCCC=O", hydrogens=False)))
    kinds = torch.zeros(6, 6, dtype=torch.long)
    kinds[found.pairs[0], found.pairs[1]] = found.kinds
    assert kinds.tolist() == [
        [0, 1, 5, 6, 0, 0],
        [1, 0, 1, 5, 6, 0],
        [5, 1, 0, 1, 5, 6],
        [6, 5, 1, 0, 1, 5],
        [0, 6, 5, 1, 0, 2],
        [0, 0, 6, 5, 2, 0],
    ]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_number_of_parameters_is_known_without_torch(name):
    network = checkpoint.initialised(name, 0)
    found = sum(parameter.numel() for parameter in network.parameters())
    assert found == ARCHITECTURES[name].parameters


def test_a_process_leaves_no_temporary_files(tmp_path):
    program = (
        "from collapse.families.molecule_diffusion.checkpoint import initialised; "
        "initialised('small', 0)"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(PROJECT / "scripts")}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    assert not list(tmp_path.glob("**/*.py"))


def test_a_new_network_predicts_no_noise():
    some = conformations(*SMILES, each=5)
    losses = [evaluation.test_loss(checkpoint.initialised("small", seed), some) for seed in (0, 1)]
    assert losses[0] == losses[1] == pytest.approx(1, abs=0.1)


# The process.


def test_noise_levels_are_those_of_the_variances_step_by_step():
    betas, levels = samplers.betas(), samplers.noise_levels()
    assert len(betas) == 5000 and (np.diff(betas) > 0).all()
    assert betas[0] == pytest.approx(1e-7 + 2e-3 / (1 + np.exp(6)), rel=1e-3)
    assert betas[-1] == pytest.approx(2e-3, rel=3e-3)
    variance, kept = 0.0, 1.0
    for beta, level in zip(betas, levels, strict=True):
        variance = (1 - beta) * variance + beta  # of the process that shrinks what it is given
        kept *= 1 - beta
        assert level**2 == pytest.approx(variance / kept, rel=1e-9)


class Recording:
    """A network that predicts nothing, and remembers where it was asked."""

    def __call__(self, graphs, positions, sigma):
        self.seen = positions
        return torch.zeros_like(positions)


def test_the_forward_process_has_its_marginal_without_moving_the_centre():
    some = conformations("CC(=O)NC")
    rows = tensors(some, np.zeros(4000, int))
    found = graphs(rows)
    clean = found.flat(rows["positions"]).double()
    noise = torch.randn(
        clean.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64
    )
    recording, sigma = Recording(), torch.full((4000,), 0.7, dtype=torch.float64)
    errors = diffusion.squared_errors(recording, found, clean, noise, sigma)
    added = (recording.seen - clean).reshape(4000, -1, 3)
    atoms = added.shape[1]
    assert added.mean(dim=1).abs().max() < 1e-12
    assert added.mean(dim=0).abs().max() < 5 * 0.7 / 4000**0.5
    expected = 0.7**2 * (1 - 1 / atoms)  # one degree of freedom in `atoms` is the centre's
    assert added.var(dim=0).mean() == pytest.approx(expected, rel=0.02)
    assert errors.mean() == pytest.approx(1 - 1 / atoms, rel=0.02)


@pytest.mark.parametrize("sampler", ["ddpm", "dpm-solver++"])
@pytest.mark.parametrize("steps", [1, 2, 50, 5000])
def test_sampling_levels_fall_from_the_highest_to_nothing(sampler, steps):
    levels, all_levels = samplers.sampling_levels(sampler, steps), samplers.noise_levels()
    assert len(levels) == steps + 1 and (np.diff(levels) < 0).all()
    assert levels[0] == all_levels[-1] and levels[-1] == 0
    assert steps == 1 or levels[-2] == pytest.approx(all_levels[0], rel=1e-12)


@pytest.mark.parametrize(
    ("sampler", "steps", "stochasticity", "expected"),
    [
        # The sampler of the paper study loses variance however good the network is.
        ("ddpm", 50, 1.0, (0.89, 0.79, 0.51)),
        ("ddpm", 500, 1.0, (0.99, 0.97, 0.87)),
        ("ddpm", 50, 0.0, (0.93, 0.88, 0.62)),
        ("dpm-solver++", 20, 1.0, (1.06, 1.06, 1.04)),
        ("dpm-solver++", 50, 1.0, (1.01, 1.01, 1.00)),
        ("dpm-solver++", 50, 0.0, (0.99, 1.00, 1.00)),
    ],
)
def test_samplers_keep_the_variance_that_is_documented(sampler, steps, stochasticity, expected):
    found = samplers.updates(sampler, steps, stochasticity)
    kept = [samplers.kept_variance(found, spread) for spread in (1.5, 0.1, 0.03)]
    assert kept == pytest.approx(expected, abs=0.006)


def test_the_default_sampler_keeps_the_variance_of_bonds():
    kept = molecule_diffusion.kept_variances(Parameters())
    assert kept.keys() == molecule_diffusion.SAMPLER_METRICS.keys()
    assert all(0.95 <= share <= 1.05 for share in kept.values())


@pytest.mark.parametrize("spread", [1.5, 0.03])
@pytest.mark.parametrize(
    ("sampler", "stochasticity"),
    [("ddpm", 1.0), ("ddpm", 0.5), ("dpm-solver++", 1.0), ("dpm-solver++", 0.0)],
)
def test_sampling_keeps_as_much_of_a_known_distribution_as_is_computed(
    sampler, stochasticity, spread
):
    """Of positions that are normal, each apart, the best prediction is known."""
    rows = tensors(conformations("CC(=O)NC"), np.zeros(1500, int))
    found = graphs(rows)
    generator = torch.Generator().manual_seed(6)

    def best(graphs, positions, sigma):
        level = sigma[graphs.molecule, None]
        return level * positions / (level**2 + spread**2)

    def noise(number):
        return torch.randn(len(found.atoms), 3, generator=generator, dtype=torch.float64)

    updates = samplers.updates(sampler, 50, stochasticity)
    sampled = diffusion.sample(best, found, noise, updates).reshape(1500, -1, 3)
    assert sampled.mean(dim=1).abs().max() < 1e-9
    share = 1 - 1 / sampled.shape[1]  # one degree of freedom is the centre's
    kept = samplers.kept_variance(updates, spread)
    # Relative standard error of the variance of about 1500 x 11 x 3 independent normals: 0.006.
    assert sampled.var(dim=0).mean() / (share * spread**2) == pytest.approx(kept, rel=0.02)


def test_training_learns_a_molecule_by_heart():
    some = conformations("CC(=O)NC", hydrogens=False)
    torch.manual_seed(0)
    task = training.Denoising(DualEncoder(TINY), some.take(np.zeros(16, int)), some, 16, 1)
    optimiser = torch.optim.Adam(task.model.parameters(), lr=3e-3)
    losses = []
    for step in range(300):
        batch = task.batch(step)
        loss = task.loss(task.model, batch) / task.weight(batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] > 0.7 and np.mean(losses[-50:]) < 0.25
    sampled = generated(task.model.eval(), some.take(np.zeros(20, int)))
    near, _ = coverage.rmsd(some, sampled, 1)
    far, _ = coverage.rmsd(some, generated(DualEncoder(TINY).eval(), sampled), 1)
    assert np.median(near) < 0.4 < np.median(far)
    assert evaluation.test_loss(task.model, some) < 0.25


def generated(network, some, seed=3, slots=None, steps=20):
    return generation.generate(
        network,
        some.take,
        slots or range(some.size),
        cycle=some.size,
        seeds=[seed],
        parameters=Parameters(diffusion_steps=steps),
    )


# Samples.


def test_a_sample_does_not_depend_on_how_they_are_split():
    torch.manual_seed(0)
    network = DualEncoder(TINY).eval()
    some = conformations(*SMILES).take(np.arange(70) % 4)
    whole = generated(network, some)
    assert not np.array_equal(whole.positions[:12], whole.positions[48 : 48 + 12])
    for cut in (1, 30, 64, 66):
        parts = [
            generated(network, some, slots=range(0, cut)),
            generated(network, some, slots=range(cut, 70)),
        ]
        again = molecules.concatenate(parts)
        assert (again.positions == whole.positions).all()
    other = generated(network, some, seed=4)
    assert not np.isclose(other.positions, whole.positions).any()


def test_a_network_that_has_learnt_nothing_still_gives_positions():
    torch.manual_seed(0)
    network = DualEncoder(TINY).eval()
    sampled = generated(network, conformations(*SMILES, each=20), steps=50)
    assert np.isfinite(sampled.positions).all() and np.abs(sampled.positions).max() < 1e4


def test_slots_beyond_the_molecules_begin_again_with_other_noise():
    torch.manual_seed(0)
    network = DualEncoder(TINY).eval()
    some = conformations(*SMILES)
    twice = generation.generate(
        network,
        lambda slots: some.take(slots % 4),
        range(8),
        cycle=4,
        seeds=[3],
        parameters=Parameters(diffusion_steps=3),
    )
    assert (twice.atoms == np.tile(some.atoms, 2)).all()
    first, second = np.split(twice.positions, 2)
    assert not np.isclose(first, second).any()
    assert (first == generated(network, some, steps=3).positions).all()


def test_normals_are_normal_and_of_a_slot():
    block = np.arange(10, 74)
    drawn = generation.normals(7, 0, block, 30, 200)
    assert (generation.normals(7, 0, block[5:9], 12, 200) == drawn[5:9, :12]).all()
    assert not np.isclose(generation.normals(7, 1, block, 30, 200), drawn).any()
    assert abs(drawn.mean()) < 5 / drawn.size**0.5
    assert drawn.var() == pytest.approx(1, abs=5 * (2 / drawn.size) ** 0.5)


# Metrics.


def test_distances_are_those_of_rdkit_pair_by_pair():
    real = conformations("CCOC(=O)c1ccccc1", each=3)
    noisy = real.take(np.array([0, 0, 2, 1]))
    generator = np.random.default_rng(0)
    noisy = noisy._replace(
        positions=noisy.positions + generator.normal(0, 0.3, noisy.positions.shape).astype("f4")
    )
    between, of_real = coverage.rmsd(real, noisy, 2)
    assert between.shape == (3, 4) and of_real.shape == (3, 3)
    for found, others in ((between, noisy), (of_real, real)):
        for (i, j), distance in np.ndenumerate(found):
            one, other = (
                Chem.RemoveHs(rdkit_conversion.to_rdkit(some, [row]))
                for some, row in ((real, i), (others, j))
            )
            assert distance == pytest.approx(rdMolAlign.GetBestRMS(one, other), abs=1e-6)


def test_coverage_and_matching_are_averages_over_molecules(monkeypatch):
    distances = {
        0: (np.array([[0.2, 0.9], [0.6, 0.7]]), np.array([[0.0, 0.5], [0.5, 0.0]])),
        1: (np.array([[2.0, 3.0]]), np.array([[0.0]])),
    }
    real = conformations("CCO", "CCN", each=1)
    monkeypatch.setattr(coverage, "rmsd", lambda one, other, threads: distances[one.molecule[0]])
    found = coverage.compare(real, real, threshold=0.65, threads=1)
    assert found == pytest.approx(
        {
            "coverage_recall": (1.0 + 0.0) / 2,
            "matching_recall": (0.4 + 2.0) / 2,
            "coverage_precision": (0.5 + 0.0) / 2,
            "matching_precision": (0.45 + 2.5) / 2,
            # Those of a real conformation and the other one; of one alone nothing is known.
            **{f"coverage_{which}_of_data": 1.0 for which in ("recall", "precision")},
            **{f"matching_{which}_of_data": 0.5 for which in ("recall", "precision")},
        }
    )


def test_bonds_and_angles_are_measured_by_their_kind():
    water = conformations("O")
    water = water._replace(positions=np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0]], dtype=np.float32))
    lengths, angles = geometry.bond_lengths(water), geometry.angles(water)
    assert sorted(lengths.values) == [1, 2] and len(set(lengths.kinds)) == 1
    assert angles.values == pytest.approx([90])
    ethene = conformations("C=C")
    lengths, angles = geometry.bond_lengths(ethene), geometry.angles(ethene)
    assert sorted(np.bincount(np.unique(lengths.kinds, return_inverse=True)[1])) == [1, 4]
    assert len(angles.values) == 6 and angles.values == pytest.approx([120] * 6, abs=8)
    straight = conformations("C#C")
    assert geometry.angles(straight).values == pytest.approx([180] * 2, abs=3)


def test_a_distance_of_kinds_does_not_cancel():
    real = geometry.Measured(np.array([1.0, 1.0, 2.0]), np.array([1, 1, 2]))
    swapped = geometry.Measured(np.array([1.1, 1.1, 1.8]), np.array([1, 1, 2]))
    assert geometry.distance(real, real) == 0
    assert geometry.distance(swapped, real) == pytest.approx((2 * 0.1 + 0.2) / 3)


def test_perfect_samples_differ_by_chance_as_said_beside_them():
    real = conformations(*SMILES, each=24)
    generator = np.random.default_rng(0)
    for each in (3, 10):
        # Disjoint conformations of the same molecules, by row.
        orders = [generator.permuted(np.tile(np.arange(24), (4, 1)), axis=1) for _ in range(8)]
        starts = np.arange(0, 24 * 4, 24)[:, None]
        ours, theirs = (
            [real.take((order[:, part] + starts).ravel()) for order in orders]
            for part in (slice(each), slice(each, 2 * each))
        )
        found = [evaluation.of_samples(*pair) for pair in zip(ours, theirs, strict=True)]
        for name in ("bond_length_distance", "angle_distance"):
            mean, said = (np.mean([one[key] for one in found]) for key in (name, f"{name}_of_data"))
            assert said == pytest.approx(mean, rel=0.25) and mean > 0, (name, each)


def test_real_conformations_are_sane_and_broken_ones_are_not():
    real = conformations(*SMILES, each=3)
    assert geometry.sane(real).all()
    for scale in (0.6, 1.6):
        assert not geometry.sane(real._replace(positions=real.positions * scale)).any()
    clash = real.positions.copy()
    clash[0] = clash[5] + 0.1  # atoms far from each other by bonds
    found = geometry.sane(real._replace(positions=clash))
    assert not found[0] and found[1:].all()


def test_the_test_loss_is_the_same_at_every_call_and_one_for_a_network_that_knows_nothing():
    some = conformations(*SMILES, each=20)

    class Nothing(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, graphs, positions, sigma):
            return torch.zeros_like(positions)

    found = evaluation.test_loss(Nothing(), some)
    assert found == evaluation.test_loss(Nothing(), some)
    expected = np.average(1 - 1 / some.atom_counts, weights=some.atom_counts)
    assert found == pytest.approx(expected, rel=0.02)


def test_test_molecules_are_taken_whole_up_to_a_number():
    some = conformations(*SMILES, each=3)
    assert len(evaluation._first_molecules(some, 7)) == 6
    assert len(evaluation._first_molecules(some, 1)) == 3
    assert len(evaluation._first_molecules(some, 1000)) == 12


def test_an_overlay_lays_a_turned_and_mirrored_molecule_over_the_nearest_real_conformation():
    real = conformations("NC(C)C(=O)OCC", "CCOC(=O)c1ccccc1", each=4)
    mirror = np.array([-1, 1, 1], np.float32)
    turn = Rotation.random(random_state=1).as_matrix().astype(np.float32)
    turned = real._replace(positions=real.positions * mirror @ turn + 4)
    found = overlay.portrait(turned, real)
    assert found.distances == pytest.approx(np.zeros(8), abs=1e-3)
    heavy = real.atoms > 1
    assert np.abs(found.generated - found.real)[heavy].max() < 0.01


def test_overlays_of_a_molecule_all_stand_as_its_first_real_conformation():
    real = conformations("CCOC(=O)c1ccccc1", each=4)
    found = overlay.portrait(real, real)
    flexible, *others = found.real.reshape(4, -1, 3)
    assert flexible == pytest.approx(real.positions[: len(flexible)], abs=1e-3)
    rigid = np.nonzero(real.take(np.array([0])).atoms == 6)[0][-6:]  # the ring
    for other in others:
        middles = other[rigid].mean(axis=0), flexible[rigid].mean(axis=0)
        assert np.linalg.norm(middles[0] - middles[1]) < 1.5


def test_a_picture_shows_bad_samples_up_to_twice_the_real_size():
    real = np.array([[0.0, 0, 0], [4, 0, 0], [2, 3, 0], [2, 1, 1]])
    alone = pictures._view(real, [real])
    beside = pictures._view(real, [real, real * 1.3])
    far = pictures._view(real, [real, real * 30])
    farther = pictures._view(real, [real, real * 300])
    assert alone.width < beside.width < far.width <= 2 * alone.width
    assert far.width == farther.width


def test_overlays_are_drawn_for_regimes_and_iterations(tmp_path):
    real = conformations("CCOC(=O)c1ccccc1", "CC#N")
    generator = np.random.default_rng(0)
    records = []
    for regime, t, noise in (("replace", 1, 0.1), ("replace", 2, 30.0), ("accumulate", 1, 0.1)):
        moved = real.positions + generator.normal(0, noise, real.positions.shape)
        path = tmp_path / f"{regime}{t}.npz"
        portraits.write(path, overlay.portrait(real._replace(positions=moved.astype("f4")), real))
        records.append(pictures.IterationFile("here", regime, t, str(path)))
    pictures.draw(records, tmp_path / "drawn")
    assert {path.name for path in (tmp_path / "drawn").iterdir()} == {
        f"overlay-{number}__here.{kind}" for number in (1, 2) for kind in ("png", "svg")
    }


# The steps of an iteration.

EXPERIMENT = {
    "family": "molecule_diffusion",
    "iterations": 2,
    "samples": 12,
    "settings": {
        "molecules": 8,
        "conformations": 2,
        "test_molecules": 1,
        "hydrogens": False,
        "epochs": 3.0,
        "batch": 5,
        "curve_points": 3,
        "judged": 8,
    },
    "grid": {"diffusion_steps": [4]},
}


def first_run():
    """Run two iterations."""
    loop = Loop(regime="accumulate", **EXPERIMENT)
    loop.run()
    return loop


def test_samples_are_of_the_molecules_that_the_seed_trains_on(ran):
    chain, step = ran.chain(), ran.step(1, "generation")
    real = molecules.read(Path(ran.data, "train.parquet"))
    order = step.order_of_real_data(real.size)[:12]
    (shard,) = chain.shards(1)
    samples = molecules.read(Path(shard.path))
    assert samples.size == 12
    assert (samples.smiles == real.take(order).smiles).all()
    assert (samples.atoms == real.take(order).atoms).all()
    assert not np.isclose(samples.positions, real.take(order).positions).all(axis=1).any()


def test_records_and_portraits_are_of_all_that_is_trained_and_shown(ran):
    for t in (1, 2):
        metrics = json.loads(Path(ran.chain().metrics(t)).read_text())
        record = json.loads(Path(ran.chain().training(t)).read_text())
        assert record["conformations"] == 12 * t and record["steps"] == round(3 * -(-12 * t // 5))
        assert record["parameters"] == ARCHITECTURES["small"].parameters
        assert [point["step"] for point in record["curve"]][-1] == record["steps"]
        # Of so few test conformations the learning curve takes all, as the metric does.
        assert record["curve"][-1]["test_loss"] == pytest.approx(metrics["test_loss"], rel=1e-6)
        assert len(portraits.read(ran.chain().portrait(t), Portrait).smiles) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda model: (model / "model.safetensors").write_bytes(b"nothing"),
        lambda model: (model / "config.json").unlink(),
        lambda model: (model / "config.json").write_text('{"hidden": 64}'),
    ],
    ids=["weights", "no configuration", "another configuration"],
)
def test_a_checkpoint_that_cannot_be_is_refused_in_one_line(ran, damage):
    damage(Path(ran.chain().model(1)))
    with pytest.raises(JobError, match="iter1/model: the checkpoint can't be loaded") as refused:
        ran.evaluate(1)
    assert "\n" not in str(refused.value)


# Planning.


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"data": "/nowhere.sdf"}, "drug-like, geom-drugs:<folder>, or an existing SDF file"),
        ({"data": "geom-drugs:"}, "geom-drugs:<folder>"),
    ],
)
def test_parameters_that_cannot_be_are_refused_in_one_line(tmp_path, settings, said):
    assert said in refused(tmp_path, "molecule_diffusion", settings=settings)


def test_geom_drugs_is_looked_for_by_the_job_alone():
    settings = {"data": "geom-drugs:/nowhere"}
    plan = {**EXPERIMENT, "regimes": ["replace"], "seeds": 1, "settings": settings}
    Study.model_validate({"experiments": {"loop": plan}})
    assert molecule_diffusion.source_files(Parameters(data="geom-drugs:/nowhere")) == []
    assert molecule_diffusion.source_files(Parameters(data="geom-drugs:/")) == ["/"]
    assert molecule_diffusion.source_files(Parameters(data="some.sdf")) == ["some.sdf"]


def test_work_grows_with_model_epochs_and_steps():
    small, large = MoleculeWork(Parameters()), MoleculeWork(Parameters(model="geodiff"))
    assert large.train(64, 1).flops > 4 * small.train(64, 1).flops > 0
    double = MoleculeWork(Parameters(diffusion_steps=100))
    assert double.generate(64).flops == 2 * small.generate(64).flops
    assert double.generate(64).calls == 2 * small.generate(64).calls
