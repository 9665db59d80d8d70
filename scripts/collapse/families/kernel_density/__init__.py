"""Kernel density estimation (P2): the model is its training set and a bandwidth.

The metric is the mean negative log-likelihood of real test points. With a fixed bandwidth the
un-normalised density at the test points is a sum over training points, so that for a pool that
only grows the kernels of its new points alone are computed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from collapse.data import toy
from collapse.families import declarations
from collapse.families.contract import ClosedForm, Family
from collapse.families.declarations import Expectation, Figure, Headline, Metric, parameter
from collapse.families.kernel_density.kernels import log_kernel_sums, log_normaliser
from collapse.families.simulator import Samples
from collapse.regimes import Regime
from collapse.seeding import Streams

TEST_POINTS = 500

Array = NDArray[np.float64]
#: Below this bandwidth a kernel density is treated as zero everywhere but at its points.
NARROWEST = 1e-150

Rule = Literal["scott", "silverman", "scott-scaled", "silverman-scaled"]


class Parameters(declarations.Parameters):
    """Parameters of the kernel_density family."""

    dataset: Literal["blobs", "circles", "moons", "swiss_roll"] = Field(
        default="moons", description="Data set of scikit-learn, with noise 0.05."
    )
    bandwidth: Annotated[float, Field(gt=0)] | Rule = Field(
        default=0.5,
        description="Bandwidth h, or a rule: scikit-learn's scott and silverman depend on the "
        "number of points and the dimension; -scaled multiplies them by the spread of the data.",
    )
    kernel: Literal["gaussian", "tophat"] = Field(
        default="gaussian", description="Kernel; with tophat, test_nll can be infinite."
    )
    points: Literal["even", "independent"] = parameter(
        "How real points are drawn. even is scikit-learn's and the published way: circles and "
        "moons are an even grid along the curves, with noise, and blobs are of equal size, so "
        "that the first fit is better than with independent points.",
        default="even",
    )


class Points:
    """The points of a training set, with moments and a tally of kernels, which can be merged.

    ``tally`` holds the number of points whose kernels are already summed at the test points, and
    the logarithm of these sums; it is kept only if the bandwidth is fixed.
    """

    def __init__(self, buffer: _Buffer, mean: Array, spread: Array) -> None:
        self._buffer = buffer
        self.count = buffer.used
        self.mean = mean
        self.spread = spread  # sums of squared distances from the mean: (seeds,)
        self.tally: tuple[int, Array] | None = None

    @classmethod
    def of(cls, points: Array) -> Points:
        """Summarise points of shape (seeds, count, dimensions)."""
        mean = points.mean(axis=1)
        return cls(_Buffer(points), mean, ((points - mean[:, None]) ** 2).sum(axis=(1, 2)))

    @property
    def points(self) -> Array:
        """The points, of shape (seeds, count, dimensions)."""
        return self._buffer.array[:, : self.count]

    def union(self, other: Points) -> Points:
        """Return the union of both sets of points, which keeps the tally of the first."""
        count = self.count + other.count
        shift = other.mean - self.mean
        between = self.count * other.count / count * (shift**2).sum(axis=1)
        merged = Points(
            self._buffer.extended(self.count, other.points),
            self.mean + shift * (other.count / count),
            self.spread + other.spread + between,
        )
        merged.tally = self.tally
        return merged


class _Buffer:
    """An array that grows at its end by doubling, so that T unions copy O(T), not O(T²)."""

    def __init__(self, array: Array) -> None:
        self.array = array
        self.used = array.shape[1]

    def extended(self, length: int, new: Array) -> _Buffer:
        """Append to the first ``length`` rows: in place if nothing was appended since."""
        total = length + new.shape[1]
        buffer = self
        if length != self.used or total > self.array.shape[1]:
            grown = np.empty((len(new), max(total, 2 * length), new.shape[2]))
            grown[:, :length] = self.array[:, :length]
            buffer = _Buffer(grown)
        buffer.array[:, length:total] = new
        buffer.used = total
        return buffer


class Model(NamedTuple):
    """Training points and the bandwidth of each seed (seeds,)."""

    points: Points
    bandwidth: Array


class Simulator:
    """Kernel-density chains of several seeds."""

    exchangeable = True
    one_writer = False

    def __init__(self, parameters: Parameters, samples: int, streams: Streams) -> None:
        self.dataset = parameters.dataset
        self.independent = parameters.points == "independent"
        self.bandwidth = parameters.bandwidth
        self.kernel = parameters.kernel
        self.dimension = toy.DIMENSIONS[parameters.dataset]
        self.streams = streams
        self._truth: list[dict[str, Array]] = [{} for _ in streams.seeds]
        if self.dataset == "blobs":
            generators = streams.each("centres", 0, real=True)
            self._truth = [{"centres": toy.centres(generator)} for generator in generators]
        self.test = self._draw("test data", 0, TEST_POINTS)

    def real(self, iteration: int, count: int) -> Samples:
        return (self._draw("real data", iteration, count),)

    def _draw(self, purpose: str, iteration: int, count: int) -> Array:
        generators = self.streams.each(purpose, iteration, real=True)
        draws = [
            toy.draw(self.dataset, count, generator, independent=self.independent, **truth)
            for generator, truth in zip(generators, self._truth, strict=True)
        ]
        return np.stack(draws)

    def summarise(self, samples: Samples) -> Points:
        return Points.of(samples[0])

    def merge(self, pool: Points, shard: Points) -> Points:
        return pool.union(shard)

    def fit(self, statistics: Points) -> Model:
        if isinstance(self.bandwidth, float):
            return Model(statistics, np.full(len(self.streams), self.bandwidth))
        bandwidth = np.full(
            len(self.streams), rule_of_thumb(self.bandwidth, statistics.count, self.dimension)
        )
        if self.bandwidth.endswith("scaled"):
            bandwidth *= np.sqrt(statistics.spread / (statistics.count * self.dimension))
        return Model(statistics, bandwidth)

    def sample(self, model: Model, count: int, iteration: int) -> Samples:
        """Draw points of the training set uniformly and displace each by the kernel."""
        shape = (count, self.dimension)
        rows = self.streams.uniform("chosen points", iteration, (count,)) * model.points.count
        seeds = np.arange(len(self.streams))[:, None]
        chosen = model.points.points[seeds, rows.astype(np.int64)]
        moves = self.streams.normal("displacements", iteration, shape)
        if self.kernel == "tophat":
            # Draws in the unit ball: a random direction, times a root of a uniform number.
            radii = self.streams.uniform("radii", iteration, (count, 1))
            moves *= radii ** (1 / self.dimension) / np.linalg.norm(moves, axis=2, keepdims=True)
        moves *= model.bandwidth[:, None, None]
        return (chosen + moves,)

    def sample_statistics(self, model: Model, count: int, iteration: int) -> Points:
        return self.summarise(self.sample(model, count, iteration))

    def evaluate(self, model: Model) -> dict[str, Array]:
        training = model.points
        # Squared distances in units of the width of such narrow kernels would overflow.
        narrow = model.bandwidth < NARROWEST
        model = model._replace(bandwidth=np.where(narrow, 1.0, model.bandwidth))
        start, tally = training.tally or (0, np.full(self.test.shape[:2], -np.inf))
        if start < training.count:
            new = training.points[:, start:]
            sums = log_kernel_sums(new, self.test, model.bandwidth, self.kernel)
            tally = np.logaddexp(tally, sums)
        if isinstance(self.bandwidth, float):
            training.tally = (training.count, tally)
        normaliser = log_normaliser(self.kernel, self.dimension) + self.dimension * np.log(
            model.bandwidth
        )
        log_density = tally - math.log(training.count) - normaliser[:, None]
        variance = training.spread / training.count
        return {
            "test_nll": np.where(narrow, np.inf, -log_density.mean(axis=1)),
            "mean_density": np.where(narrow, 0.0, np.exp(log_density).mean(axis=1)),
            "mean_squared_norm": variance + (training.mean**2).sum(axis=1),
            "point_variance": variance,
        }

    def finish(self, model: Model, iteration: int, later: Iterator[int] | None) -> dict[str, Array]:
        return {}


def rule_of_thumb(rule: str, count: int, dimension: int) -> float:
    """Return the bandwidth of Scott's or Silverman's rule in scikit-learn, for unit spread."""
    if rule.startswith("scott"):
        return float(count ** (-1 / (dimension + 4)))
    return float((count * (dimension + 2) / 4) ** (-1 / (dimension + 4)))


def expectations(
    parameters: Parameters, regime: Regime, samples: int, iterations: int
) -> dict[str, Expectation]:
    """Return the expectation of each metric, where bandwidths do not depend on the data."""
    from collapse.families.kernel_density import expected

    rule, dimension = parameters.bandwidth, toy.DIMENSIONS[parameters.dataset]
    if isinstance(rule, str) and rule.endswith("scaled"):
        return {}
    counts = [
        regime.training_size(t, samples, size)
        for t, size in enumerate(regime.pool_sizes(iterations, samples), start=1)
    ]
    bandwidths = np.array(
        [
            rule if isinstance(rule, float) else rule_of_thumb(rule, count, dimension)
            for count in counts
        ]
    )
    return expected.expectations(
        parameters.dataset,
        parameters.kernel,
        regime,
        samples,
        TEST_POINTS,
        bandwidths,
        independent=parameters.points == "independent",
    )


def remark(parameters: Parameters) -> str:
    """Say what evenly spaced real points do to the first fit."""
    if parameters.points == "independent" or parameters.dataset not in ("circles", "moons"):
        return ""
    return (
        f"With points: even, real points of {parameters.dataset} are an even grid along the "
        "curves, with noise, as published. Iteration 1 therefore fits better than it would to as "
        "many independent points, and a part of the change to iteration 2, whose synthetic points "
        "are not evenly spaced, is no effect of the loop."
    )


def seconds(parameters: Parameters, trained: Sequence[int], evaluated: int, whole: bool) -> float:
    """Estimate the core-seconds of one seed of a chain (measured on a 2020s server core)."""
    share = evaluated / len(trained)
    points = sum(trained) * share
    if whole and isinstance(parameters.bandwidth, float):
        points = min(points, trained[-1])  # only new points of a growing pool are summed
    return len(trained) * 4e-5 + points * TEST_POINTS * 1.3e-9


FAMILY = Family(
    name="kernel_density",
    parameters=Parameters,
    metrics={
        "test_nll": Metric("mean negative log-likelihood of real test points", units="nat"),
        "mean_density": Metric("mean fitted density at real test points"),
        "mean_squared_norm": Metric("mean squared norm of the points of the training set"),
        "point_variance": Metric("trace of the covariance of the points of the training set"),
    },
    headline=Headline(
        "test_nll",
        worse="higher",
        meaning="The higher, the further the fitted density has spread away from the real data.",
    ),
    figures=(Figure("test-nll", "test_nll", rows="dataset"),),
    minimum_samples=2,
    expectations=expectations,
    remark=remark,
    closed_form=ClosedForm(Simulator, seconds, version=3),
)
