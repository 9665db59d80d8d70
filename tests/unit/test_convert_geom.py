"""GEOM-Drugs is converted from pickles by a reader that runs nothing of what is in them."""

import os
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("rdkit")
data = pytest.importorskip("torch_geometric.data")

from rdkit import Chem  # noqa: E402

from collapse.data.molecules.sources import Reading, collection  # noqa: E402
from running import PROJECT, python  # noqa: E402
from unit.test_molecules import molecule  # noqa: E402


def entry(smiles):
    """An entry as GeoDiff pickles it."""
    made = molecule(smiles)
    return data.Data(
        atom_type=torch.tensor([atom.GetAtomicNum() for atom in made.GetAtoms()]),
        pos=torch.tensor(made.GetConformer().GetPositions(), dtype=torch.float32),
        rdmol=made,
        smiles=smiles,
        totalenergy=torch.tensor([-1.5]),
    )


def convert(source, target, *options):
    return python(PROJECT / "scripts" / "convert_geom.py", source, target, *options)


SPLITS = {"train": ("CCO", "c1cc[nH]c1", "C[N+](=O)[O-]"), "test": ("CC#N",)}


def test_what_is_converted_is_read_with_its_positions(tmp_path):
    for split, molecules in SPLITS.items():
        with open(tmp_path / f"{split}.pkl", "wb") as file:
            pickle.dump([entry(smiles) for smiles in molecules], file)
        target = tmp_path / "geom" / f"{split}.sdf.gz"
        done = convert(tmp_path / f"{split}.pkl", target)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{target}: {len(molecules)} conformations\n"
    found = collection(f"geom-drugs:{tmp_path / 'geom'}", Reading(), np.random.default_rng)
    assert list(found.train.smiles) == list(SPLITS["train"])
    assert list(found.test.smiles) == list(SPLITS["test"])
    expected = np.concatenate(
        [molecule(smiles).GetConformer().GetPositions() for smiles in SPLITS["train"]]
    )
    assert np.abs(found.train.positions - expected).max() < 1e-4


@pytest.mark.parametrize(
    ("chosen", "kept"),
    [(("1", "2"), ("CC#N", "OC1CC1")), (("3", "3"), ("CCN",)), (("3", "4"), None)],
)
def test_molecules_are_chosen_by_their_number_as_geodiff_counts_them(tmp_path, chosen, kept):
    """From 0, in the order in which their SMILES first appear among the conformations."""
    with open(tmp_path / "some.pkl", "wb") as file:
        order = ("CCO", "CC#N", "CCO", "OC1CC1", "CC#N", "CCN")
        pickle.dump([entry(smiles) for smiles in order], file)
    target = tmp_path / "test.sdf"
    done = convert(tmp_path / "some.pkl", target, "--molecules", *chosen)
    if kept is None:
        assert done.returncode == 1 and not target.exists()
        assert "found 4 molecules, expected 5" in done.stderr
    else:
        found = [Chem.MolFromMolBlock(block) for block in target.read_text().split("$$$$\n")[:-1]]
        written = [Chem.MolToSmiles(one) for one in found]
        assert list(dict.fromkeys(written)) == [Chem.CanonSmiles(one) for one in kept]
        assert len(written) == sum(one in kept for one in order)


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("harm",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([Harmful()], "it asks for posix.mkdir, which is not allowed"),
        ([torch.nn.Linear(1, 1)], "which is not allowed"),
        ({"rdmol": 1}, "found a dict, expected a list"),
        ([data.Data(smiles="C")], "entry 1 has no molecule with a conformation"),
    ],
    ids=["a command", "another class", "no list", "no molecule"],
)
def test_anything_else_is_refused_in_one_line_and_not_run(tmp_path, monkeypatch, content, said):
    monkeypatch.chdir(tmp_path)
    with open("some.pkl", "wb") as file:
        pickle.dump(content, file)
    done = convert("some.pkl", tmp_path / "some.sdf")
    assert done.returncode == 1 and said in done.stderr
    assert done.stderr.startswith("error: some.pkl: ") and done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["some.pkl"]
