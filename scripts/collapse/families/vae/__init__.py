"""Variational autoencoders of images (P1 section 3.3, appendix 9).

This module declares what the workflow needs for planning; the steps are in the modules beside it,
which import torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from pydantic import Field

from collapse.data.hub_names import datasets_of
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
from collapse.families.vae.architectures import architecture
from collapse.families.vae.work import SHAPES, VAEWork, shape
from collapse.rarefaction import NUMBER


class Parameters(declarations.Parameters):
    """Parameters of the vae family.

    Likelihood, learning rate, batch and schedule of the published runs are not known
    (docs/reproduction.md, "VAE on CelebA"); the defaults are ours, and suit the built-in digits.
    """

    data: common.DataName = Field(
        default="digits",
        description="Real images: digits (built in), celeba (from the Hub), celeba:<folder>, "
        "hub:<owner>/<name>, or a folder with the folders train and test.",
    )
    size: int | None = parameter(
        "Pixels per side to which the central square of every image is scaled down; "
        "null: 64 for CelebA, unscaled for other images.",
        stage="data",
        default=None,
        ge=4,
        le=1024,
    )
    column: common.DataName = Field(
        default="image", description="Column with the images, for a data set of the Hub."
    )
    label: str | None = parameter(
        "Column with the classes, for a data set of the Hub, or attribute of CelebA; "
        "null: the column label, if there is one.",
        stage="data",
        default=None,
        min_length=1,
    )
    images: int | None = parameter(
        "Number of training images to read; null: all.", stage="data", default=None, ge=2
    )
    test_images: int | None = parameter(
        "Number of test images to read; null: all.", stage="data", default=None, ge=2
    )
    noise: float = Field(
        default=0.2,
        gt=0,
        description="Standard deviation of pixels, in [0, 1], around the decoder's mean; details "
        "weaker than this are not learned.",
    )
    latent: int | None = parameter(
        "Number of latent dimensions; null: 128 from 64 pixels per side on, else 16.",
        default=None,
        ge=1,
        le=4096,
    )
    epochs: common.Epochs = 30.0
    batch: common.Batch = Field(default=64, description="Number of images per update.")
    learning_rate: common.LearningRate = 3e-3
    schedule: common.Schedule = "cosine"
    warmup: common.Warmup = 0.05
    weight_decay: common.WeightDecay = 0.0
    precision: common.Precision = "auto"
    curve_points: common.CurvePoints = 20
    judged: common.Judged = 1000


def source_files(parameters: Parameters) -> list[str]:
    """Return the local folder that the real data is read from, if there is one."""
    folder = folder_of(parameters.data)
    return [] if folder is None else [folder]


def folder_of(source: str) -> str | None:
    """Return the local folder that a source of images names, or None for other sources."""
    if source in SHAPES or source.startswith("hub:"):
        return None
    return os.path.expanduser(source.removeprefix("celeba:"))


def problems(parameters: Parameters) -> Iterator[tuple[str, str]]:
    """Yield each parameter that does not fit the others, and what was expected of it."""
    folder = folder_of(parameters.data)
    if folder is not None and not os.path.isdir(folder):
        yield ("data", "digits, celeba, celeba:<folder>, hub:<owner>/<name>, or an existing folder")
    size, channels = shape(parameters)
    try:
        architecture(size, channels, parameters.latent)
    except ValueError as error:
        yield "size", str(error).partition("expected ")[2]
    if parameters.data == "digits" and parameters.size is not None:
        yield "size", "null for digits, which have 8 x 8 pixels"


_EQUAL = (
    f"Of a random subset of {NUMBER} images, or of as many as there are, because it depends on "
    "their number; the reference is of as many real test images."
)
_COMPARED = {
    "effective_modes": Metric("effective number of modes among the samples", comment=_EQUAL),
    "effective_classes": Metric("effective number of classes among the samples", comment=_EQUAL),
    "largest_class_share": Metric(
        "share of the most frequent class among the samples", comment=_EQUAL
    ),
    "nearest_distance": Metric(
        "distance of a sample from the nearest training image (RMS)",
        comment="Among 1000 evenly chosen images of the training set, or all if it has fewer, "
        "because more are nearer; the reference is the distance of real test images from the "
        "nearest of as many real training images.",
    ),
}
METRICS = {
    "test_loss": Metric("loss on real test images (reconstruction and KL)", "nats per image"),
    "test_reconstruction": Metric(
        "reconstruction term of the loss on real test images", "nats per image"
    ),
    "test_kl": Metric("KL term of the loss on real test images", "nats per image"),
    "test_elbo": Metric(
        "evidence lower bound of the log-density of real test images", "nats per image"
    ),
    "active_units": Metric("latent dimensions that tell test images apart"),
    "variance_ratio": Metric("variance of the samples' pixels over that of real test images"),
    **_COMPARED,
    **of_data(_COMPARED),
}


def _needs_classes(parameters: Parameters) -> str | None:
    """Return what the classifier of real images needs; what a data set has is found out later."""
    celeba = parameters.data == "celeba" or parameters.data.startswith("celeba:")
    return "a label, the attribute of CelebA" if celeba and parameters.label is None else None


FAMILY = Family(
    name="vae",
    parameters=Parameters,
    metrics=METRICS,
    scores={
        "confidence": Score(
            "Probability of the likeliest class, by the classifier that is fitted to real images.",
            better="higher",
            needs=_needs_classes,
        ),
        "distance": Score(
            "Distance from the nearest of the modes that are fitted to real images (RMS).",
            better="lower",
        ),
    },
    headline=Headline(
        "test_loss",
        worse="higher",
        stable=0.03,
        meaning="How badly the models encode and decode real images; "
        "what they generate is under Pictures.",
    ),
    figures=curves(
        "noise",
        (
            *("test_loss", "test_reconstruction", "test_kl", "active_units", "variance_ratio"),
            *("effective_modes", "effective_classes", "largest_class_share", "nearest_distance"),
        ),
        METRICS,
    ),
    minimum_samples=2,
    problems=problems,
    iterative=Iterative(
        module="collapse.families.vae.steps",
        wants_gpu=True,
        starts_from_models=True,
        versions={"evaluate": 2},
        has_dataset=True,
        pictures="collapse.families.vae.pictures",
        evaluated_samples=lambda parameters: parameters.judged,
        source_files=source_files,
        hub_datasets=lambda parameters: datasets_of(parameters.data),
        workload=VAEWork,
    ),
)
