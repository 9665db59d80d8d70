"""Diffusion models of molecular conformations (P1 section 3.2), in the shape of GeoDiff.

This module declares what the workflow needs for planning; the steps are in the modules beside it,
which import torch and RDKit.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import Field

from collapse.families import declarations
from collapse.families import parameters as common
from collapse.families.contract import Family, Iterative
from collapse.families.declarations import (
    Headline,
    Metric,
    Score,
    curves,
    of_data,
    parameter,
)
from collapse.families.molecule_diffusion import samplers
from collapse.families.molecule_diffusion.work import MoleculeWork

#: Name of the built-in source, and prefix of a folder of GEOM-Drugs.
BUILT_IN, GEOM_DRUGS = "drug-like", "geom-drugs:"


class Parameters(declarations.Parameters):
    """Parameters of the molecule_diffusion family.

    Noise levels and shapes are those of GeoDiff (docs/reproduction.md, "Molecular diffusion on
    GEOM-Drugs").
    """

    data: common.DataName = Field(
        default=BUILT_IN,
        description="Real conformations: drug-like (built in, made by RDKit), an SDF file, a "
        "folder with train.sdf and test.sdf, or geom-drugs:<folder> of the converted files.",
    )
    molecules: int | None = parameter(
        "Number of molecules to read, from the first one; null: all.",
        stage="data",
        default=None,
        ge=2,
    )
    conformations: int = parameter(
        "Number of conformations to make of each built-in molecule.", stage="data", default=5, ge=1
    )
    test_molecules: common.DataSize = Field(
        default=None,
        description="Number of test molecules; null: the source's whole test split or, if it has "
        "none, 10 % of its molecules.",
    )
    hydrogens: bool = parameter(
        "Whether to keep hydrogens; without them a molecule is half as large.",
        stage="data",
        default=True,
    )
    most_atoms: int = parameter(
        "Largest number of atoms of a molecule.", stage="data", default=200, ge=2, le=1000
    )
    unusable: Literal["refuse", "skip"] = parameter(
        "What to do with an entry that RDKit can't parse or that has no positions, "
        "several fragments, unknown elements or too many atoms; skipped entries are counted.",
        stage="data",
        default="refuse",
    )
    model: Literal["small", "geodiff"] = Field(default="small", description="Size of the network.")
    epochs: common.Epochs = 30.0
    batch: common.Batch = Field(default=32, description="Number of conformations per update.")
    learning_rate: common.LearningRate = 1e-3
    schedule: common.Schedule = "cosine"
    warmup: common.Warmup = 0.02
    curve_points: common.CurvePoints = 10
    sampler: samplers.Sampler = parameter(
        "How a conformation is sampled. dpm-solver++ is of second order and keeps the variance of "
        "the data. ddpm is of first order: with 50 steps and a perfect network it loses 11 % of "
        "the variance of a molecule's shape in every iteration, and half of that of bond lengths.",
        stage="generation",
        default="dpm-solver++",
    )
    diffusion_steps: int = parameter(
        "Number of noise levels, within GeoDiff's 5000, that sampling a conformation steps "
        "through.",
        stage="generation",
        always_an_axis=True,
        default=50,
        ge=1,
        le=5000,
    )
    stochasticity: float = parameter(
        "Share of fresh noise in each step of sampling; with 0 a conformation follows from the "
        "first noise alone (with ddpm: DDIM).",
        stage="generation",
        default=1.0,
        ge=0,
        le=1,
    )
    threshold: float = parameter(
        "Distance in ångström within which a conformation counts as covered.",
        stage="evaluation",
        default=1.25,
        gt=0,
    )
    judged: common.Judged = Field(
        default=1000,
        description="Largest number of samples that the evaluation of an iteration uses, and of "
        "conformations that it generates of test molecules.",
    )


def source_files(parameters: Parameters) -> list[str]:
    """Return the local file or folder that the real data is read from, if there is one."""
    source = parameters.data
    if source == BUILT_IN:
        return []
    path = os.path.expanduser(source.removeprefix(GEOM_DRUGS))
    # The step prepare reports what GEOM-Drugs lacks and how to get it.
    return [] if source.startswith(GEOM_DRUGS) and not os.path.exists(path) else [path]


def problems(parameters: Parameters) -> Iterator[tuple[str, str]]:
    """Yield each parameter that does not fit the others, and what was expected of it."""
    if parameters.data == GEOM_DRUGS:
        yield "data", "geom-drugs:<folder>"
    for path in source_files(parameters):
        if not os.path.exists(path):
            yield "data", "drug-like, geom-drugs:<folder>, or an existing SDF file or folder"


def kept_variances(parameters: Parameters) -> dict[str, float]:
    """Return `SAMPLER_METRICS`, the shares of variance that the sampler itself keeps."""
    updates = samplers.updates(
        parameters.sampler, parameters.diffusion_steps, parameters.stochasticity
    )
    return {
        f"sampler_keeps_{name}": samplers.kept_variance(updates, spread)
        for name, spread in samplers.SPREADS.items()
    }


def remark(parameters: Parameters) -> str:
    """Say what the sampler itself does to the samples, and what differs from GeoDiff."""
    spreads = _listed(f"{spread:g}" for spread in samplers.SPREADS.values())
    shares = _listed(f"{share:.2f}" for share in kept_variances(parameters).values())
    said = (
        f"In each iteration the sampler ({parameters.sampler}, {parameters.diffusion_steps} steps) "
        f"by itself, with a perfect network, keeps {shares} of the variance of what has a spread "
        f"of {spreads} Å; the rest of a change of the samples is the network's."
    )
    if parameters.model == "geodiff":
        said += (
            " P1 Fig. 5 is of GeoDiff, which trains its two encoders apart, each with a loss of its"
            " own, and samples by Langevin dynamics; here their sum predicts the noise and is told"
            " its level, so that the course of the curves can be compared, and their values"
            " cannot."
        )
    return said


def _listed(items: Iterable[str]) -> str:
    *most, last = items
    return f"{', '.join(most)} and {last}"


SAMPLER_METRICS = {
    f"sampler_keeps_{name}": Metric(
        f"share of variance that sampling keeps with a perfect network at a spread of {spread} Å"
    )
    for name, spread in samplers.SPREADS.items()
}
_RECALL, _PRECISION = (
    "It depends on how many conformations there are, two generated for each real one. The "
    "reference compares each real one with the others of its molecule; perfect samples would be "
    f"{than} it."
    for than in ("better than", "about as good as")
)
_CHANCE = (
    "Finite sets differ by chance; the reference is the distance that as many real conformations "
    "of the same molecules would have."
)
_COMPARED = {
    "coverage_recall": Metric(
        "share of real test conformations near a generated one (COV-R)", comment=_RECALL
    ),
    "matching_recall": Metric(
        "distance of real test conformations to the nearest generated one (MAT-R)",
        "Å",
        comment=_RECALL,
    ),
    "coverage_precision": Metric(
        "share of generated conformations near a real one (COV-P)", comment=_PRECISION
    ),
    "matching_precision": Metric(
        "distance of generated conformations to the nearest real one (MAT-P)",
        "Å",
        comment=_PRECISION,
    ),
    "bond_length_distance": Metric(
        "distance of bond lengths from real ones (Wasserstein)", "Å", comment=_CHANCE
    ),
    "angle_distance": Metric(
        "distance of bond angles from real ones (Wasserstein)", "degrees", comment=_CHANCE
    ),
}
MEASURED = {
    "test_loss": Metric("squared error of the predicted noise on real test data"),
    **_COMPARED,
    "sane_share": Metric("share of chemically sane conformations"),
}
METRICS = {**MEASURED, **of_data(_COMPARED), **SAMPLER_METRICS}

FAMILY = Family(
    name="molecule_diffusion",
    parameters=Parameters,
    metrics=METRICS | SAMPLER_METRICS,
    scores={
        "sanity": Score(
            "1 for a conformation with bonds and angles in bounds and no clashing atoms, else 0.",
            better="higher",
        ),
        "misplaced": Score(
            "Share of the pairs of atoms that are too near each other or too far apart.",
            better="lower",
        ),
    },
    headline=Headline(
        "test_loss",
        worse="higher",
        stable=0.05,
        meaning="How badly the models tell noise from real conformations; "
        "what they generate is under Pictures.",
    ),
    figures=curves("model", [*MEASURED], METRICS),
    minimum_samples=1,
    remark=remark,
    problems=problems,
    iterative=Iterative(
        module="collapse.families.molecule_diffusion.steps",
        wants_gpu=True,
        starts_from_models=True,
        versions={"prepare": 2, "train": 2, "generate": 2, "evaluate": 2},
        has_dataset=True,
        pictures="collapse.families.molecule_diffusion.pictures",
        evaluated_samples=lambda parameters: parameters.judged,
        source_files=source_files,
        workload=MoleculeWork,
    ),
)
