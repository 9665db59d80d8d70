"""COV and MAT: how generated conformations cover the real ones, and how near they are to them.

They are measured as by GeoDiff (Xu et al. 2022): as root-mean-square distances of aligned heavy
atoms, with symmetric atoms exchanged where that is nearer, averaged over molecules.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdMolAlign

from collapse.data.molecules import rdkit_conversion
from collapse.data.molecules.conformations import Conformations
from collapse.progress import track

#: Largest number of ways to exchange symmetric atoms that are tried.
MOST_MATCHES = 10_000


def compare(
    real: Conformations, generated: Conformations, *, threshold: float, threads: int
) -> dict[str, float]:
    """Return recall and precision of COV and of MAT.

    Parameters
    ----------
    real, generated : Conformations
        Conformations of the same molecule have the same number in both.
    threshold : float
        Distance in ångström within which a conformation is covered.
    threads : int
        Number of threads in which RDKit aligns.
    """
    found = []
    numbers = np.unique(real.molecule)
    for number in track(numbers, "comparing with real ones", len(numbers), unit="molecules"):
        distances = rmsd(
            real.take(np.nonzero(real.molecule == number)[0]),
            generated.take(np.nonzero(generated.molecule == number)[0]),
            threads,
        )
        recall, precision = distances.min(axis=1), distances.min(axis=0)
        found.append(
            (
                np.mean(recall <= threshold),
                recall.mean(),
                np.mean(precision <= threshold),
                precision.mean(),
            )
        )
    names = ("coverage_recall", "matching_recall", "coverage_precision", "matching_precision")
    return dict(zip(names, np.mean(found, axis=0).tolist(), strict=True))


def rmsd(real: Conformations, generated: Conformations, threads: int) -> NDArray[np.float64]:
    """Return the distances (RMSD) between conformations of one molecule, in ångström.

    Returns
    -------
    ndarray, shape (real, generated)
    """
    molecule = _heavy(real)
    for conformer in _heavy(generated).GetConformers():
        molecule.AddConformer(conformer, assignId=True)
    # RDKit returns all pairs of conformers, below the diagonal, row by row. That is more than is
    # needed but takes less time: symmetries are found once, and the threads are RDKit's own.
    below = rdMolAlign.GetAllConformerBestRMS(molecule, numThreads=threads, maxMatches=MOST_MATCHES)
    every = np.zeros((molecule.GetNumConformers(),) * 2)
    every[np.tril_indices(len(every), -1)] = below
    return every[real.size :, : real.size].T


def _heavy(conformations: Conformations) -> Chem.Mol:
    molecule = rdkit_conversion.to_rdkit(conformations, np.arange(conformations.size))
    return Chem.RemoveHs(molecule)
