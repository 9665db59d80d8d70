"""Measure conformations per second in training and sampling, next to a loop over molecules.

The loop takes one molecule at a time: it has the same network, does the same work, and sums
gradients over a batch, molecule after molecule. Batches and loop take turns, and losses and samples
that agree show that both did the same work.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from processes import alone


class Setting(NamedTuple):
    """A network, and conformations of the built-in molecules with hydrogens or without."""

    model: str
    hydrogens: bool
    batch: int
    repeats: int
    steps: int


SETTINGS = (Setting("small", False, 32, 7, 50), Setting("geodiff", True, 32, 1, 5))


def report(quick: bool) -> None:
    """Print conformations per second for every setting."""
    print(
        "\nconformations per second, batched and one molecule at a time; one thread, medians of "
        "processor\ntime, in turns; a sample takes the number of steps that is named\n"
        f"{'model':<10}{'batch':>7}{'atoms':>7}{'':>4}{'ours':>10}{'loop':>10}{'ratio':>8}"
    )
    for setting in SETTINGS[:1] if quick else SETTINGS:
        if quick:
            setting = setting._replace(batch=4, repeats=1, steps=2)
        found = alone("conformations", "measure", setting).result
        for what in ("training", "sampling"):
            ours, loop = found[what]
            named = f"{what}, {setting.steps} steps" if what == "sampling" else what
            print(
                f"{setting.model:<10}{setting.batch:>7}{found['atoms']:>7.0f}{'':>4}"
                f"{setting.batch / ours:>10.1f}{setting.batch / loop:>10.1f}{loop / ours:>8.1f}"
                f"  {named}; they differ by {found['differences'][what]:.0e}",
                flush=True,
            )


def measure(given: Sequence[Any]) -> dict[str, Any]:
    """Return the processor seconds of both for a batch, and the differences of their results."""
    import torch

    from collapse.families.molecule_diffusion import diffusion, samplers, training
    from collapse.families.molecule_diffusion.architectures import ARCHITECTURES
    from collapse.families.molecule_diffusion.graphs import graphs
    from collapse.families.molecule_diffusion.networks import DualEncoder

    torch.set_num_threads(1)
    torch.manual_seed(0)
    setting = Setting(*given)
    some = conformations(setting)
    network = DualEncoder(ARCHITECTURES[setting.model])  # random; a training starts at outputs of 0
    task = training.Denoising(network, some, some, setting.batch, 0)
    rows = task.batch(0)
    singles = [{name: one[i : i + 1] for name, one in rows.items()} for i in range(setting.batch)]

    updates = samplers.updates("ddpm", setting.steps, 0.0)

    def train(parts: list[dict[str, Any]]) -> float:
        network.zero_grad()
        total = 0.0
        for part in parts:
            loss = task.loss(network, part) / task.weight(rows)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        return total

    def sample(parts: list[dict[str, Any]]) -> Any:
        drawn = []
        for part in parts:
            found = graphs(part)
            noise = found.flat(part["noise"])
            drawn.append(diffusion.sample(network, found, lambda _, n=noise: n, updates))
        return torch.cat(drawn)

    seconds, differences = {}, {}
    for what, work in (("training", train), ("sampling", sample)):
        results, times = _turns(work, [[rows], singles], setting.repeats)
        seconds[what] = times
        one, other = (np.asarray(result) for result in results)
        differences[what] = float(np.abs(one - other).max() / np.abs(other).max())
    return {**seconds, "atoms": float(some.atom_counts.mean()), "differences": differences}


def _turns(
    work: Callable[[Any], Any], inputs: list[Any], repeats: int
) -> tuple[list[Any], list[float]]:
    """Do the same work in both ways, in turns, and return both results and median times."""
    results: list[Any] = [work(each) for each in inputs]  # also allocates memory
    times: list[list[float]] = [[], []]
    for _ in range(repeats):
        for way, each in enumerate(inputs):
            start = time.process_time()
            results[way] = work(each)
            times[way].append(time.process_time() - start)
    return results, [statistics.median(one) for one in times]


def conformations(setting: Setting) -> Any:
    """Return the conformations of one batch, embedded but not relaxed."""
    from rdkit import Chem
    from rdkit.Chem import rdDistGeom

    from collapse.data.molecules import drug_like, rdkit_conversion

    def made() -> Any:
        for number, smiles in enumerate(drug_like.SMILES[: setting.batch]):
            molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
            rdDistGeom.EmbedMolecule(molecule, randomSeed=1)
            yield number, molecule if setting.hydrogens else Chem.RemoveHs(molecule)

    return rdkit_conversion.to_arrays(made())
