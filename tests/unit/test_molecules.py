"""Conformations: in arrays, in files, with RDKit, and from SDF with all that can be wrong in it."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rdkit")

from rdkit import Chem
from rdkit.Chem import rdDepictor, rdDistGeom

from collapse.artifacts.files import DamagedFileError
from collapse.data.molecules import conformations as molecules
from collapse.data.molecules import drug_like, rdkit_conversion
from collapse.data.molecules import sources as molecule_sources
from collapse.data.molecules.sources import Reading, collection
from collapse.errors import DataError

#: With charges, hydrogens on aromatic nitrogen, a triple bond, a ring, stereocentres.
SMILES = ("CC#N", "c1cc[nH]c1", "C[N+](=O)[O-]", "OC1CC1", "N[C@@H](C)C(=O)O", "Clc1ncc[nH]1")


def molecule(smiles, conformations=1, hydrogens=True, seed=7):
    made = Chem.AddHs(Chem.MolFromSmiles(smiles))
    rdDistGeom.EmbedMultipleConfs(made, conformations, randomSeed=seed)
    return made if hydrogens else Chem.RemoveHs(made)


def several(*smiles, conformations=2, hydrogens=True):
    made = (molecule(one, conformations, hydrogens) for one in smiles)
    return rdkit_conversion.to_arrays(enumerate(made))


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def streams(purpose):
    return np.random.default_rng(sum(purpose.encode()))


# Arrays and files.


def test_a_file_gives_back_what_was_written(tmp_path):
    written = several(*SMILES)
    molecules.write(tmp_path / "some.parquet", written)
    assert same(molecules.read(tmp_path / "some.parquet"), written)
    rows = np.array([1, 2, 7])
    assert same(molecules.read(tmp_path / "some.parquet", rows), written.take(rows))
    parts = [written.take(np.arange(3)), written.take(np.arange(3, written.size))]
    assert same(molecules.concatenate(parts), written)


def test_a_truncated_file_is_refused_in_one_line(tmp_path):
    path = tmp_path / "some.parquet"
    molecules.write(path, several("CC"))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DamagedFileError, match="can't be read as Parquet"):
        molecules.read(path)


@pytest.mark.parametrize("hydrogens", [True, False])
@pytest.mark.parametrize("smiles", SMILES)
def test_rdkit_gets_its_molecule_back(smiles, hydrogens):
    made = molecule(smiles, 2, hydrogens)
    stored = rdkit_conversion.to_arrays([(0, made)])
    back = rdkit_conversion.to_rdkit(stored, [0, 1])
    one, other = (Chem.MolToSmiles(each, isomericSmiles=False) for each in (back, made))
    assert one == other
    for one, other in zip(made.GetConformers(), back.GetConformers(), strict=True):
        assert np.allclose(one.GetPositions(), other.GetPositions(), atol=1e-6)


def test_padding_holds_each_conformation_and_nothing_else():
    some = several("CC#N", "c1ccccc1", conformations=1, hydrogens=False)
    rows = molecules.padded(some, np.array([1, 0]))
    assert rows["atoms"].tolist() == [[6] * 6, [6, 6, 7, 0, 0, 0]]
    aromatic = np.zeros((6, 6), int)
    for atom in range(6):
        aromatic[atom, (atom + 1) % 6] = aromatic[(atom + 1) % 6, atom] = molecules.AROMATIC
    assert (rows["bonds"][0] == aromatic).all()
    assert rows["bonds"][1][:3, :3].tolist() == [[0, 1, 0], [1, 0, 3], [0, 3, 0]]
    assert rows["bonds"][1].sum() == 8
    assert (rows["positions"][1, :3] == some.take(np.array([0])).positions).all()
    assert (rows["positions"][1, 3:] == 0).all()


# The built-in molecules.


def test_built_in_molecules_are_all_different_and_of_known_elements():
    made = [Chem.MolFromSmiles(smiles) for smiles in drug_like.SMILES]
    assert len({Chem.MolToSmiles(one) for one in made}) == len(made) > 150
    assert max(one.GetNumAtoms() for one in made) <= 22
    for one in made:
        assert rdkit_conversion.problem(one, 200).startswith("conformation")


def test_built_in_conformations_follow_from_their_names_and_split_by_molecule():
    reading = Reading(molecules=6, conformations=2, test_molecules=2)
    found = collection("drug-like", reading, streams)
    assert (found.train.size, found.test.size) == (8, 4)
    assert not set(found.train.smiles) & set(found.test.smiles)
    assert found.skipped == {}
    more = by_smiles(collection("drug-like", reading._replace(molecules=7), streams))
    fewer = by_smiles(found)
    assert len(more) == 7 and fewer.keys() < more.keys()
    assert all((more[smiles] == fewer[smiles]).all() for smiles in fewer)
    again = collection("drug-like", reading, streams)
    assert same(again.train, found.train) and same(again.test, found.test)


def by_smiles(found):
    """Return the positions of each molecule in all of its conformations."""
    both = molecules.concatenate([found.train, found.test])
    rows = {smiles: np.flatnonzero(both.smiles == smiles) for smiles in both.smiles}
    return {smiles: both.take(some).positions for smiles, some in rows.items()}


# SDF.


def write(path: Path, *entries) -> Path:
    """Write molecules, or text in place of some, as SDF."""
    blocks = []
    for entry in entries:
        conformers = [] if isinstance(entry, str) else entry.GetConformers()
        blocks += [Chem.MolToMolBlock(entry, confId=one.GetId()) for one in conformers] or [entry]
    content = "".join(f"{block}\n$$$$\n" for block in blocks).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def cut_short(path):
    write(path, *GOOD)
    path.write_bytes(path.read_bytes()[:-40])
    return path


def flat():
    made = Chem.MolFromSmiles("CCO")
    rdDepictor.Compute2DCoords(made)
    return made


def placed(smiles):
    """Return a molecule that RDKit can't embed, with atoms at random places."""
    made = Chem.MolFromSmiles(smiles)
    conformer = Chem.Conformer(made.GetNumAtoms())
    conformer.Set3D(True)
    generator = np.random.default_rng(0)
    conformer.SetPositions(generator.normal(size=(made.GetNumAtoms(), 3)))
    made.AddConformer(conformer)
    return made


BAD = {
    "unparsable": ("garbage\n\n\n  1  0  0\nM  END", "RDKit can't parse it"),
    "conformation": (flat(), "no positions in space"),
    "fragments": (molecule("CC.O"), "2 disconnected parts, expected one"),
    "elements": (placed("C[Se]C"), "Se, expected elements of GEOM-Drugs"),
    "size": (molecule("CCCCCCCCCCCC"), "38 atoms, expected 2 to 20"),
    "bonds": (placed("N->[B]"), "of an unknown kind"),
}
GOOD = tuple(molecule(smiles, 2) for smiles in ("CCO", "CC#N", "CC=O"))


@pytest.mark.parametrize("reason", BAD)
def test_an_entry_that_cannot_be_used_is_refused_in_one_line_or_skipped_and_counted(
    tmp_path, capsys, reason
):
    entry, said = BAD[reason]
    path = write(tmp_path / "some.sdf", GOOD[0], entry, *GOOD[1:])
    reading = Reading(most_atoms=20, test_molecules=1)
    with pytest.raises(DataError) as refused:
        collection(str(path), reading, streams)
    message = str(refused.value)
    assert message.startswith(f"{path}: entry 3: {reason}: ") and said in message
    assert "\n" not in message and "unusable: skip" in message
    found = collection(str(path), reading._replace(unusable="skip"), streams)
    assert found.skipped == {reason: 1}
    assert found.train.size + found.test.size == 6
    molecule_sources.report(str(path), found)
    assert capsys.readouterr().err.endswith(f"{path}: 1 entries skipped: 1 {reason}\n")


@pytest.mark.parametrize("end", ["$$$$", "$$$$ ", "$$$$\t\r"], ids=["plain", "blank", "tab"])
def test_an_entry_that_is_cut_short_takes_no_other_with_it(tmp_path, end):
    smiles = ("CCO", "CC#N", "CC=O", "CCN")
    first, second, third, last = (Chem.MolToMolBlock(molecule(each)) for each in smiles)
    path = tmp_path / "some.sdf"
    entries = [first, second[:200], third, "", last]
    path.write_text("".join(f"{entry}\n{end}\n" for entry in entries) + "\n")
    found = collection(str(path), Reading(unusable="skip", test_molecules=1), streams)
    assert found.skipped == {"unparsable": 2}
    assert found.train.size + found.test.size == 3


def test_a_file_is_split_by_molecule_and_stereoisomers_stay_together(tmp_path):
    isomers = [molecule(smiles) for smiles in ("C[C@H](O)F", "C[C@@H](O)F")]
    path = write(tmp_path / "some.sdf.gz", *isomers, *GOOD)
    for count in (1, 2, 3):
        found = collection(str(path), Reading(test_molecules=count), streams)
        train, test = (
            {Chem.CanonSmiles(one, useChiral=0) for one in part.smiles}
            for part in (found.train, found.test)
        )
        assert len(test) == count and len(train) == 4 - count and not train & test
    with pytest.raises(DataError, match="found 4 usable molecules, expected more than the 4 "):
        collection(str(path), Reading(test_molecules=4), streams)


def test_the_split_follows_from_the_molecules_not_from_their_order(tmp_path):
    one = write(tmp_path / "one.sdf", *GOOD)
    other = write(tmp_path / "other.sdf", *reversed(GOOD))
    found = [collection(str(path), Reading(test_molecules=1), streams) for path in (one, other)]
    assert set(found[0].test.smiles) == set(found[1].test.smiles)


def test_a_folder_has_splits_of_its_own_and_test_molecules_are_not_trained_on(tmp_path):
    write(tmp_path / "train.sdf", *GOOD)
    write(tmp_path / "test.sdf.gz", GOOD[1])
    for source in (str(tmp_path), f"geom-drugs:{tmp_path}"):
        found = collection(source, Reading(), streams)
        assert set(found.test.smiles) == {"CC#N"} and found.test.size == 2
        assert set(found.train.smiles) == {"CCO", "CC=O"} and found.train.size == 4
        assert found.skipped == {"of a test molecule": 2}
    (tmp_path / "test.sdf.gz").rename(tmp_path / "val.sdf.gz")
    assert collection(str(tmp_path), Reading(), streams).test.size == 2
    (tmp_path / "val.sdf.gz").unlink()
    write(tmp_path / "test.sdf", *GOOD)
    with pytest.raises(DataError, match="no usable training molecules"):
        collection(str(tmp_path), Reading(), streams)
    write(tmp_path / "more.sdf", *GOOD)
    with pytest.raises(DataError, match=r"more.sdf: found a file of an unknown name"):
        collection(str(tmp_path), Reading(), streams)


def edited(made, change):
    """Return the block of a molecule, with a change of its lines, as another program writes it."""
    return change(Chem.MolToMolBlock(made))


def replaced(old, new):
    def change(block):
        assert block.count(old) == 1, block
        return block.replace(old, new)

    return change


IMINE = molecule("CC(=N)c1ccccc1")
#: The same conformation, by other marks.
SAME = {
    "bond stereo": (IMINE, replaced("  2  3  2  3\n", "  2  3  2  0\n")),
    "isotope": (GOOD[0], replaced("M  END", "M  ISO  1   4   2\nM  END")),
    "isotope of carbon": (GOOD[0], replaced("M  END", "M  ISO  1   1  13\nM  END")),
    "charges": (molecule("CC(=O)[O-]"), replaced("M  CHG  1   4  -1\n", "")),
    "bond orders": (
        molecule("[O-]C=C"),
        lambda block: (
            block.replace("  1  2  1  0\n", "  1  2  2  0\n")
            .replace("  2  3  2  0\n", "  2  3  1  0\n")
            .replace("M  CHG  1   1  -1", "M  CHG  1   3  -1")
        ),
    ),
    "order of atoms": (
        molecule("CC#N"),
        lambda block: Chem.MolToMolBlock(
            Chem.RenumberAtoms(Chem.MolFromMolBlock(block, removeHs=False), [5, 4, 3, 2, 1, 0])
        ),
    ),
}


@pytest.mark.parametrize("mark", SAME)
def test_a_conformation_is_not_on_both_sides_by_other_marks(tmp_path, mark):
    made, change = SAME[mark]
    other = edited(made, change)
    assert other != Chem.MolToMolBlock(made)
    write(tmp_path / "train.sdf", *GOOD[1:], molecule("CCN"), made)
    write(tmp_path / "test.sdf", other)
    found = collection(str(tmp_path), Reading(), streams)
    assert found.test.size == 1 and found.skipped["of a test molecule"] >= 1
    assert not shapes(found.train) & shapes(found.test)
    path = write(tmp_path / "all.sdf", made, other, *GOOD)
    for count in (1, 2):
        found = collection(str(path), Reading(test_molecules=count), streams)
        assert not shapes(found.train) & shapes(found.test)


def shapes(part):
    """Return the sorted distances between the atoms of each conformation."""
    rows = (part.take(np.array([row])).positions.astype(float) for row in range(part.size))
    return {
        tuple(np.sort(np.linalg.norm(one[:, None] - one, axis=-1).ravel()).round(2)) for one in rows
    }


def test_isomers_are_conformations_of_one_molecule(tmp_path):
    isomers = ("C/C=C/C(=O)O", "C/C=C\\C(=O)O", "C[C@H](O)CC", "C[C@@H](O)CC", "CCO")
    path = write(tmp_path / "some.sdf", *map(molecule, isomers))
    found = collection(str(path), Reading(test_molecules=1), streams)
    counts = (found.train_molecules, found.test_molecules)
    assert counts == (2, 1) == tuple(len({*part.molecule}) for part in (found.train, found.test))


def drawn(smiles, hydrogens=True, turned=False):
    """Return the block of a drawing whose header says 3D."""
    made = Chem.MolFromSmiles(smiles)
    made = Chem.AddHs(made) if hydrogens else made
    rdDepictor.Compute2DCoords(made)
    conformer = made.GetConformer()
    conformer.Set3D(True)
    if turned:
        turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
        conformer.SetPositions(conformer.GetPositions() @ turn + 1)
    block = Chem.MolToMolBlock(made)
    assert "3D" in block.splitlines()[1]
    return block


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("smiles", ["CCCO", "c1ccccc1", "CC(=O)N", "CC#N", "C=C", "CS(C)=O"])
def test_a_drawing_is_no_conformation_whatever_its_header_says(tmp_path, smiles, turned):
    path = write(tmp_path / "some.sdf", *GOOD, drawn(smiles, turned=turned))
    found = collection(str(path), Reading(unusable="skip", test_molecules=1), streams)
    assert found.skipped == {"conformation": 1}


@pytest.mark.parametrize("smiles", ["CCCO", "CC(C)C", "CC1CC1"])
def test_a_drawing_without_hydrogens_is_none_either(tmp_path, smiles):
    path = write(tmp_path / "some.sdf", *GOOD, drawn(smiles, hydrogens=False))
    with pytest.raises(DataError, match="entry 7: conformation: flat as a drawing"):
        collection(str(path), Reading(test_molecules=1), streams)


@pytest.mark.parametrize("hydrogens", [True, False])
def test_flat_molecules_are_conformations(tmp_path, hydrogens):
    flat_ones = (
        "[CH3]",
        "c1ccccc1",
        "C=O",
        "C=C",
        "C#N",
        "O=C=O",
        "c1ccc2ccccc2c1",
        "NC=O",
        "CO",
        "ClCl",
    )
    path = write(tmp_path / "some.sdf", *map(molecule, flat_ones), *GOOD)
    reading = Reading(hydrogens=hydrogens, test_molecules=1, unusable="skip")
    # Without hydrogens, a methyl radical is one atom.
    skipped = {} if hydrogens else {"size": 1}
    assert collection(str(path), reading, streams).skipped == skipped


@pytest.mark.parametrize("between", ["", "> <energy>\n-1.5\n\n"], ids=["nothing", "data"])
def test_two_molecules_in_one_entry_are_not_read_as_one(tmp_path, between):
    first, second = (Chem.MolToMolBlock(one) for one in GOOD[:2])
    path = write(tmp_path / "some.sdf", *GOOD, f"{first}{between}{second}")
    with pytest.raises(DataError, match=r"entry 7: several: 2 molecules, expected \$\$\$\$ after"):
        collection(str(path), Reading(test_molecules=1), streams)
    found = collection(str(path), Reading(test_molecules=1, unusable="skip"), streams)
    assert found.skipped == {"several": 1}


def test_hydrogens_can_be_left_out(tmp_path):
    imines = (edited(IMINE, replaced("  2  3  2  3\n", "  2  3  2  0\n")), IMINE)
    deuterated = edited(GOOD[0], replaced("M  END", "M  ISO  1   4   2\nM  END"))
    path = write(tmp_path / "marked.sdf", *GOOD, *imines, deuterated)
    for count in (1, 2, 3):
        found = collection(str(path), Reading(hydrogens=False, test_molecules=count), streams)
        assert 1 not in found.train.atoms and 1 not in found.test.atoms
    path = write(tmp_path / "some.sdf", *GOOD)
    whole, heavy = (
        collection(str(path), Reading(hydrogens=hydrogens, test_molecules=1), streams)
        for hydrogens in (True, False)
    )
    assert 1 in whole.train.atoms and 1 not in heavy.train.atoms
    assert set(heavy.train.smiles) == set(whole.train.smiles)


def test_conformations_of_a_molecule_have_its_number(tmp_path):
    path = write(tmp_path / "some.sdf", GOOD[0], GOOD[1], GOOD[0])
    found = collection(str(path), Reading(test_molecules=1), streams)
    both = molecules.concatenate([found.train, found.test])
    assert sorted(np.bincount(both.molecule)) == [2, 4]


def test_the_atoms_of_a_molecule_have_one_order(tmp_path):
    first = molecule("CC(=O)NCc1ccccc1O", seed=1)
    second = molecule("CC(=O)NCc1ccccc1O", seed=2)
    order = np.random.default_rng(0).permutation(second.GetNumAtoms()).tolist()
    path = write(tmp_path / "some.sdf", first, Chem.RenumberAtoms(second, order), *GOOD)
    found = collection(str(path), Reading(test_molecules=1), streams)
    both = molecules.concatenate([found.train, found.test])
    rows = [row for row in range(both.size) if "c1ccccc1" in both.smiles[row]]
    assert len(rows) == 2 and len(set(both.molecule[rows])) == 1
    one, other = (both.take(np.array([row])) for row in rows)
    assert (one.atoms == other.atoms).all()
    # All bonds have about the lengths that they have in the other conformation.
    lengths = [
        np.linalg.norm(np.diff(part.positions[one.bonds], axis=1), axis=-1) for part in (one, other)
    ]
    assert np.abs(lengths[0] - lengths[1]).max() < 0.1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda here: here / "gone.sdf", "gone.sdf: no such file or folder"),
        (lambda here: f"geom-drugs:{here / 'gone'}", r"no such folder; .* scripts/convert_geom.py"),
        (lambda here: here, "found an empty folder, expected train, validation, test"),
        (lambda here: write(here / "some.sdf"), "found no entries, expected molecules in SDF"),
        (lambda here: write(here / "a.mol"), "a.mol: found an unknown kind of file, expected .sdf"),
        (lambda here: cut_short(here / "some.sdf.gz"), "damaged or truncated gzip file"),
    ],
    ids=["gone", "not converted", "empty folder", "empty file", "another kind", "cut short"],
)
def test_a_source_that_cannot_be_read_is_refused_in_one_line(tmp_path, make, said):
    with pytest.raises(DataError, match=said) as refused:
        collection(str(make(tmp_path)), Reading(unusable="skip"), streams)
    assert "\n" not in str(refused.value)
