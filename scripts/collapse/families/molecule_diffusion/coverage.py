"""COV and MAT: how generated conformations cover the real ones, and how near they are to them.

They are measured as by GeoDiff (Xu et al. 2022): as root-mean-square distances of aligned heavy
atoms, with symmetric atoms exchanged where that is nearer, averaged over molecules.

They depend on how many conformations of a molecule there are: the more, the nearer is the nearest.
The published protocol generates two for each real one. Beside them is what real conformations have
in place of generated ones: each is compared with the others of its molecule, of which there is one
less than real ones, so that the precision of perfect samples is about this, and their recall is
better.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdMolAlign

from collapse.data.molecules import rdkit_conversion
from collapse.data.molecules.conformations import Conformations
from collapse.progress import track

Array = NDArray[np.float64]

#: Largest number of ways to exchange symmetric atoms that are tried.
MOST_MATCHES = 10_000


def compare(
    real: Conformations, generated: Conformations, *, threshold: float, threads: int
) -> dict[str, float]:
    """Return recall and precision of COV and of MAT, and those of real conformations.

    Parameters
    ----------
    real, generated : Conformations
        Conformations of the same molecule have the same number in both.
    threshold : float
        Distance in ångström within which a conformation is covered.
    threads : int
        Number of threads in which RDKit aligns.

    Returns
    -------
    dict of str to float
        Those of real conformations are NaN if no molecule has several.
    """
    found, among_real = [], []
    numbers = np.unique(real.molecule)
    for number in track(numbers, "comparing with real ones", len(numbers), unit="molecules"):
        distances, real_distances = rmsd(
            real.take(np.nonzero(real.molecule == number)[0]),
            generated.take(np.nonzero(generated.molecule == number)[0]),
            threads,
        )
        recall, precision = _nearest(distances, threshold), _nearest(distances.T, threshold)
        found.append((*recall, *precision))
        if len(real_distances) > 1:
            others = real_distances + np.diag(np.full(len(real_distances), np.inf))
            among_real.append(_nearest(others, threshold))
    names = ("coverage_recall", "matching_recall", "coverage_precision", "matching_precision")
    of_real = np.mean(among_real, axis=0) if among_real else np.full(2, np.nan)
    return dict(zip(names, np.mean(found, axis=0).tolist(), strict=True)) | {
        f"{name}_of_data": value for name, value in zip(names, [*of_real.tolist()] * 2, strict=True)
    }


def _nearest(distances: Array, threshold: float) -> tuple[float, float]:
    """Return the share of rows with a distance within a threshold, and the mean of their least."""
    nearest = distances.min(axis=1)
    return float(np.mean(nearest <= threshold)), float(nearest.mean())


def rmsd(real: Conformations, generated: Conformations, threads: int) -> tuple[Array, Array]:
    """Return the distances (RMSD) between conformations of one molecule, in ångström.

    Returns
    -------
    between, of_real : ndarray, shapes (real, generated) and (real, real)
        Distances of real conformations from generated ones, and from each other.
    """
    molecule = _heavy(real)
    for conformer in _heavy(generated).GetConformers():
        molecule.AddConformer(conformer, assignId=True)
    # RDKit returns all pairs of conformers, below the diagonal, row by row. That is more than is
    # needed but takes less time: symmetries are found once, and the threads are RDKit's own.
    below = rdMolAlign.GetAllConformerBestRMS(molecule, numThreads=threads, maxMatches=MOST_MATCHES)
    every = np.zeros((molecule.GetNumConformers(),) * 2)
    every[np.tril_indices(len(every), -1)] = below
    every += every.T
    return every[: real.size, real.size :], every[: real.size, : real.size]


def _heavy(conformations: Conformations) -> Chem.Mol:
    molecule = rdkit_conversion.to_rdkit(conformations, np.arange(conformations.size))
    return Chem.RemoveHs(molecule)
