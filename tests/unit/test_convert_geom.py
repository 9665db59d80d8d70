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


def entry(smiles, conformations=1):
    """An entry as GeoDiff pickles it."""
    made = molecule(smiles, conformations)
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


def test_every_conformation_of_a_molecule_is_converted(tmp_path):
    entries = [entry("CCO", 5), entry("CC#N"), entry("CC=O", 2)]
    (tmp_path / "some.pkl").write_bytes(pickle.dumps(entries))
    done = convert(tmp_path / "some.pkl", tmp_path / "some.sdf")
    assert done.stdout == f"{tmp_path / 'some.sdf'}: 8 conformations\n"
    found = collection(str(tmp_path / "some.sdf"), Reading(test_molecules=1), np.random.default_rng)
    assert found.train.size + found.test.size == 8
    of_all = np.concatenate([found.train.positions, found.test.positions])
    written = [one.GetPositions() for made in entries for one in made.rdmol.GetConformers()]
    assert len(of_all) == sum(map(len, written))
    for one in np.concatenate(written):
        assert np.abs(of_all - one).max(axis=1).min() < 1e-4


def damaged():
    """A list whose second molecule is damaged."""
    content = bytearray(pickle.dumps([entry("CCO"), entry("CCN")]))
    begin = bytes(content).rfind(b"\xef\xbe\xad\xde")
    for place in (begin + 60, begin + 200):
        content[place] ^= 0xFF
    return bytes(content)


def not_kekulisable():
    ring = Chem.RWMol(molecule("c1ccccc1"))
    ring.RemoveAtom(6)
    ring.RemoveAtom(0)
    return data.Data(rdmol=ring.GetMol())


def moved(position):
    made = entry("CCO")
    made.rdmol.GetConformer().SetAtomPosition(0, position)
    return made


def drawing():
    made = entry("CCO")
    made.rdmol.GetConformer().Set3D(False)
    return made


GOOD = entry("CC#N")
UNUSABLE = {
    "an empty list": (pickle.dumps([]), "found an empty list, expected molecules"),
    "two lists": (2 * pickle.dumps([GOOD]), "found more behind the first list, expected one"),
    "cut": (pickle.dumps([GOOD])[:-100], "can't be read"),
    "no pickle": (b"$$$$", "can't be read"),
    "empty": (b"", "can't be read"),
    "damaged": (damaged(), "entry 2: can't be read"),
    "not kekulisable": (pickle.dumps([GOOD, not_kekulisable()]), "entry 2: can't be read (AtomKe"),
    "not finite": (pickle.dumps([moved((0, np.nan, 0))]), "entry 1 has a conformation without"),
    "a drawing": (pickle.dumps([GOOD, GOOD, drawing()]), "entry 3 has a conformation without"),
    "another entry": (pickle.dumps([GOOD, 7]), "entry 2 has no molecule with a conformation"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_cannot_be_converted_is_refused_in_one_line(tmp_path, name):
    content, said = UNUSABLE[name]
    (tmp_path / "some.pkl").write_bytes(content)
    (tmp_path / "some.sdf").write_text("of an earlier run")
    done = convert(tmp_path / "some.pkl", tmp_path / "some.sdf")
    assert done.returncode == 1 and said in done.stderr, done.stderr
    assert done.stderr.startswith(f"error: {tmp_path / 'some.pkl'}: ")
    assert done.stderr.count("\n") == 1
    assert (tmp_path / "some.sdf").read_text() == "of an earlier run"
    assert len([*tmp_path.iterdir()]) == 2


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
