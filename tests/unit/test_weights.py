"""Weights of samples in the losses of neural families: what a sample counts in the gradient."""

import numpy as np
import pyarrow as pa
import pytest

torch = pytest.importorskip("torch")

from collapse.artifacts.manifest import ShardFile, SourceRecord, Weighing  # noqa: E402
from collapse.artifacts.training_sets import Selection  # noqa: E402
from collapse.text import shards, stored_tokens  # noqa: E402
from collapse.text.stored_tokens import WEIGHT  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

WEIGHTS = np.array([2.0, 1.0, 0.0, 0.5])


def documents(chosen, weights=None):
    """Return documents of random tokens, whose prompts have 2."""
    generator = np.random.default_rng(0)
    ids = [generator.integers(3, 90, size).tolist() for size in (9, 5, 7, 6)]
    columns = {
        "tokens": [ids[one] for one in chosen],
        "ended": [True] * len(chosen),
        "head_tokens": pa.array([2] * len(chosen), pa.int32()),
    }
    if weights is not None:
        columns[WEIGHT] = pa.array(weights)
    return stored_tokens.in_memory([pa.table(columns)])


def network():
    from collapse.families.language_model import models

    return models.initialised("tiny", 97, 0)


def language_model(chosen, weights=None):
    from collapse.families.language_model import packing, training

    held = documents(chosen, weights)
    packer = packing.Packer(held._replace(heads=None), 18, 9, np.random.default_rng)
    return training.Pretraining(network(), packer, held)


def fine_tuning(chosen, weights=None):
    from collapse.families.fine_tuning import training

    held = documents(chosen, weights)
    given = {"batch": 9, "responses": True, "shuffle": np.random.default_rng}
    return training.Tuning(network(), held, held, **given)


def vae(chosen, weights=None):
    from collapse.data.images.shards import Stored
    from collapse.families.vae import models, training
    from collapse.families.vae.architectures import Architecture

    pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), dtype=np.uint8)

    class Batches(training.Batches):
        """Batches whose noise is 0, so that an image's loss is the same in all of them."""

        def batch(self, step):
            found = super().batch(step)
            return {**found, "noise": torch.zeros_like(found["noise"])}

    class Images(Stored):
        def __init__(self):
            self.length = len(chosen)

        def at(self, rows):
            return pixels[np.asarray(chosen)[rows]]

    shuffle = {"shuffle": np.random.default_rng, "noise_of": lambda step: step}
    batches = Batches(Images(), len(chosen), 3, **shuffle, weights=weights)
    return training.Fitting(models.initialised(Architecture(8, 1, (8,), 3), 0.3, 0), batches, None)


def molecule_diffusion(chosen, weights=None):
    pytest.importorskip("rdkit")
    from rdkit import Chem
    from rdkit.Chem import rdDistGeom

    from collapse.data.molecules import rdkit_conversion
    from collapse.families.molecule_diffusion import checkpoint, training

    def made():
        for number, smiles in enumerate(("CCO", "CC(=O)N", "c1ccccc1", "OCC")):
            molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
            rdDistGeom.EmbedMolecule(molecule, randomSeed=1)
            yield number, molecule

    some = rdkit_conversion.to_arrays(made()).take(np.array(chosen))

    class Denoising(training.Denoising):
        """The noise of an atom is 1 at one level, so that a molecule's loss is always the same."""

        def batch(self, step):
            found = super().batch(step)
            same = {name: torch.ones_like(found[name]) for name in ("noise", "sigma")}
            same["noise"][..., 0] = found["positions"][..., 1]
            return {**found, **same}

    trained = checkpoint.initialised("small", 0)
    return Denoising(trained, some, some, len(chosen), 1, weights)


FAMILIES = (language_model, fine_tuning, vae, molecule_diffusion)


def loss_of(task):
    """Return the loss of the first batch, which holds all samples, and the norm of its gradient."""
    model = task.model.eval()
    batch = task.batch(0)
    loss = task.loss(model, batch)
    weights = [one for one in model.parameters() if one.requires_grad]
    gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    flat = torch.cat([torch.zeros(1) if one is None else one.flatten() for one in gradients])
    return loss.item(), flat, task.weight(batch)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_weight_is_how_often_a_sample_is_there(family):
    """In the loss and its gradient; what they are divided by counts samples, not weights."""
    loss, gradient, divisor = loss_of(family(range(4), WEIGHTS))
    expected, by_sample, unweighted = 0.0, 0.0, 0.0
    for sample, weight in enumerate(WEIGHTS):
        alone, slope, size = loss_of(family([sample]))
        expected, by_sample = expected + weight * alone, by_sample + weight * slope
        unweighted += size
    assert loss == pytest.approx(expected, rel=1e-4)
    torch.testing.assert_close(gradient, by_sample, rtol=1e-3, atol=1e-3 * by_sample.abs().max())
    assert divisor == unweighted
    # As of a training set that has the first sample twice, and the last one half as often.
    repeated, _, _ = loss_of(family([0, 0, 0, 0, 1, 1, 3]))
    assert repeated == pytest.approx(2 * loss, rel=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_of_1_are_no_weights(family):
    weighted, plain = loss_of(family(range(4), np.ones(4))), loss_of(family(range(4)))
    assert weighted[0] == pytest.approx(plain[0], rel=1e-6)
    torch.testing.assert_close(weighted[1], plain[1], rtol=1e-4, atol=1e-6)
    assert "weights" not in family(range(4)).batch(0)


def test_documents_keep_their_weights_on_their_way(tmp_path):
    """Through row groups of shards, files of tokens, and beside selections without any."""
    import pyarrow.parquet as parquet

    texts = pa.table({"tokens": [[5] * size for size in range(1, 11)], "ended": [True] * 10})
    parquet.write_table(texts, tmp_path / "some.parquet", row_group_size=3)
    path, rows = str(tmp_path / "some.parquet"), np.array([0, 2, 2, 5, 9])
    given = [
        Selection("real", 1, path, np.arange(10), 10),
        Selection("synthetic", 1, path, rows, 10, rows + 0.5),
    ]
    stored_tokens.store(shards.selected(given), tmp_path)
    found = stored_tokens.mapped(tmp_path)
    assert found.weights.tolist() == [*[1] * 10, *(rows + 0.5)]
    assert (found.lengths[10:] - 2).tolist() == (rows + 1).tolist()
    stored_tokens.store(shards.selected(given[:1]), tmp_path)
    assert stored_tokens.mapped(tmp_path).weights is None


def test_records_without_weights_are_as_they_always_were():
    plain = SourceRecord(kind="real", iteration=1, size=4, count=4)
    assert "weighing" not in plain.model_dump_json() and "metrics" not in plain.model_dump()
    weighing = Weighing(number=4, total=4, square=4, factor=0.5)
    weighed = plain.model_copy(update={"weighing": weighing, "files": (
        ShardFile(path="a", start=0, stop=4, sha256="0"),)})  # fmt: skip
    assert SourceRecord.model_validate_json(weighed.model_dump_json()) == weighed
