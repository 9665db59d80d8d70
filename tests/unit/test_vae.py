"""Variational autoencoders: shapes, the bound, samples, their judges, and the steps on digits."""

import itertools
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
from scipy import stats

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

import pictures as made  # noqa: E402
from collapse.artifacts.step import Step  # noqa: E402
from collapse.artifacts.training_sets import Selection  # noqa: E402
from collapse.data import evenly  # noqa: E402
from collapse.data.images import shards as image_shards  # noqa: E402
from collapse.errors import JobError  # noqa: E402
from collapse.families import vae  # noqa: E402
from collapse.families.declarations import STAGES  # noqa: E402
from collapse.families.step_jobs import StepJob  # noqa: E402
from collapse.families.vae import (  # noqa: E402
    Parameters,
    evaluation,
    models,
    pictures,
    reference,
    steps,
    training,
)
from collapse.families.vae.architectures import Architecture, architecture  # noqa: E402
from collapse.families.vae.portrait import RECONSTRUCTED, SHOWN, Portrait  # noqa: E402
from collapse.families.vae.training import Batches  # noqa: E402
from collapse.families.vae.work import VAEWork  # noqa: E402
from collapse.plotting import portraits  # noqa: E402
from collapse.plotting.portraits import IterationFile  # noqa: E402
from collapse.training import trainer  # noqa: E402
from refusing import configured, load, refused  # noqa: E402
from stepping import Loop  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = Architecture(8, 1, (8, 16), 3)


def digits(count):
    return np.stack([made.image(number) for number in range(count)])


@pytest.fixture(scope="module")
def network():
    """A small model whose posteriors are far from the prior."""
    found = models.initialised(SMALL, 0.3, 0).eval()
    with torch.no_grad():
        found.mean.weight.mul_(4)
        found.log_variance.weight.mul_(4)
    return found


# Networks.


@pytest.mark.parametrize("size", [4, 8, 28, 64, 96, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_numbers_of_parameters_are_those_of_the_network(size, channels):
    shape = architecture(size, channels, None)
    with torch.device("meta"):
        network = models.VAE(shape, 1.0)
    found = sum(parameter.numel() for parameter in network.parameters())
    assert found == shape.parameters()
    convolutions = [m for m in network.encoder if isinstance(m, torch.nn.Conv2d)]
    published = size >= 64
    assert [m.out_channels for m in convolutions] == (
        [32, 64, 128, 256, 512] if published else [32, 64]
    )
    mirrored = [m for m in network.decoder if isinstance(m, torch.nn.ConvTranspose2d)]
    ends = [m.in_channels for m in mirrored] + [mirrored[-1].out_channels]
    assert ends == [m.out_channels for m in convolutions][::-1] + [channels]
    assert network.mean.out_features == network.log_variance.out_features == shape.latent
    assert shape.latent == (128 if published else 16)


@pytest.mark.parametrize("size", [8, 64])
def test_images_come_out_as_they_went_in(size):
    network = models.initialised(architecture(size, 3, 5), 1.0, 0)
    images = torch.randint(0, 256, (2, size, size, 3), dtype=torch.uint8)
    pixels = models.as_pixels(images)
    assert pixels.shape == (2, 3, size, size) and 0.9 < float(pixels.max()) <= 1
    mean, log_variance = network.encode(pixels)
    assert mean.shape == log_variance.shape == (2, 5)
    decoded = network.decode(mean).detach()
    assert decoded.shape == pixels.shape and 0 <= float(decoded.min()) <= float(decoded.max()) <= 1
    assert np.array_equal(models.as_images(pixels), images.numpy())
    # Every image has a result of its own, whatever stands beside it.
    torch.testing.assert_close(network.encode(pixels[:1])[0], mean[:1])


def test_operations_are_those_that_are_counted():
    from torch.utils.flop_counter import FlopCounterMode

    for shape in (architecture(8, 1, None), architecture(64, 3, None)):
        network = models.initialised(shape, 1.0, 0)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network.decode(torch.zeros(1, shape.latent))
        assert shape.decoder_operations() == counter.get_total_flops()


@pytest.mark.parametrize(("size", "multiple"), [(6, 4), (30, 4), (65, 32), (80, 32)])
def test_sizes_that_do_not_halve_are_refused(size, multiple):
    said = f"found {size} pixels a side, expected a multiple of {multiple}"
    with pytest.raises(ValueError, match=said):
        architecture(size, 1, None)


def test_initialisation_follows_from_its_seed_alone():
    def weights(seed):
        return torch.cat([p.flatten() for p in models.initialised(SMALL, 1.0, seed).parameters()])

    first = weights(7)
    torch.manual_seed(123)
    before = torch.get_rng_state()
    assert torch.equal(weights(7), first) and not torch.equal(weights(8), first)
    assert torch.equal(torch.get_rng_state(), before)


# The bound.


def test_the_divergence_is_that_of_gaussians():
    mean, log_variance = torch.randn(20, 7), 2 * torch.randn(20, 7)
    posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    prior = torch.distributions.Normal(torch.zeros(7), torch.ones(7))
    expected = torch.distributions.kl_divergence(posterior, prior).sum(1)
    torch.testing.assert_close(models.divergence(mean, log_variance), expected)
    assert float(models.divergence(torch.zeros(1, 7), torch.zeros(1, 7))) == 0


def test_the_reconstruction_is_minus_the_log_density_but_for_a_constant(network):
    images = torch.from_numpy(digits(10))
    noise = torch.randn(10, 3)
    terms = network(images, noise)
    pixels = models.as_pixels(images)
    mean, log_variance = network.encode(pixels)
    latent = mean + noise * (0.5 * log_variance).exp()
    density = torch.distributions.Normal(network.decode(latent), 0.3).log_prob(pixels)
    expected = -density.flatten(1).sum(1) - models.constant(SMALL, 0.3)
    torch.testing.assert_close(terms.reconstruction, expected, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(terms.divergence, models.divergence(mean, log_variance))


def test_the_bound_lies_below_the_log_density_by_the_error_of_the_posterior(network):
    """The density of an image by summing over a grid of a latent of two dimensions."""
    plane = models.initialised(SMALL._replace(latent=2), 0.3, 1).eval()
    with torch.no_grad():
        for part in (plane.mean, plane.log_variance, plane.decoder[0]):
            part.weight.mul_(3)
    images = digits(4)
    axis = np.linspace(-6, 6, 121)
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2).astype(np.float32)
    cell = math.log((axis[1] - axis[0]) ** 2)
    prior = stats.norm.logpdf(grid).sum(1)
    with torch.no_grad():
        decoded = plane.decode(torch.from_numpy(grid)).flatten(1).double().numpy()
        mean, log_variance = plane.encode(models.as_pixels(torch.from_numpy(images)))
    for number, image in enumerate(images):
        errors = ((decoded - image.reshape(-1) / 255) ** 2).sum(1) / (2 * 0.3**2)
        joint = prior - errors - models.constant(plane.shape, 0.3)
        log_density = np.logaddexp.reduce(joint) + cell
        scale = np.exp(0.5 * log_variance[number].numpy())
        posterior = stats.norm.logpdf(grid, mean[number].numpy(), scale).sum(1)
        gap = (np.exp(posterior + cell) * (posterior - (joint - log_density))).sum()
        found = evaluation.loss(plane, [images[number : number + 1]], seed=0, draws=200)
        bound = -found.total - models.constant(plane.shape, 0.3)
        assert gap > 0.1, "the posterior is exact: the test says nothing"
        assert bound < log_density
        assert bound == pytest.approx(log_density - gap, abs=0.2 * max(1, gap))


@pytest.mark.parametrize("batch", [1, 3, 256])
def test_the_test_loss_does_not_depend_on_parts_and_batches(network, monkeypatch, batch):
    images = digits(20)
    expected = evaluation.loss(network, [images], seed=5)
    monkeypatch.setattr(evaluation, "BATCH", batch)
    parts = [images[:1], images[1:1], images[1:12], images[12:]]
    found = evaluation.loss(network, parts, seed=5)
    assert found.reconstruction == pytest.approx(expected.reconstruction, rel=1e-6)
    assert found.divergence == pytest.approx(expected.divergence, rel=1e-6)
    assert found.active_units == expected.active_units == 3
    assert found.total == found.reconstruction + found.divergence
    assert evaluation.loss(network, [images], seed=6).reconstruction != expected.reconstruction


def test_units_that_tell_no_images_apart_are_not_active():
    network = models.initialised(SMALL, 0.3, 0).eval()
    with torch.no_grad():
        network.mean.weight.mul_(4)
        network.mean.weight[1] = 0
    assert evaluation.loss(network, [digits(20)], seed=0).active_units == 2


# Samples.


def test_a_latent_depends_on_its_slot_alone():
    whole = models.latents(2**63 - 1, range(100), 5)
    assert np.array_equal(models.latents(2**63 - 1, range(40, 43), 5), whole[40:43])
    assert np.array_equal(models.latents(2**63 - 1, [7, 3], 5), whole[[7, 3]])
    assert not np.array_equal(models.latents(2**63 - 2, range(100), 5), whole)


def test_latents_are_standard_normal():
    drawn = models.latents(1, range(4000), 8)
    assert stats.kstest(drawn.ravel(), "norm").pvalue > 1e-3
    correlations = np.corrcoef(np.hstack([drawn[:-1], drawn[1:]]).T)
    off = correlations[~np.eye(16, dtype=bool)]
    assert np.abs(off).max() < 5 / math.sqrt(len(drawn))


def test_samples_do_not_depend_on_how_they_are_split(network):
    whole = models.sample(network, 11, range(150))
    assert whole.dtype == np.uint8 and whole.shape == (150, 8, 8, 1)
    bounds = [0, 1, 63, 64, 65, 100, 150]
    parts = [models.sample(network, 11, range(*pair)) for pair in itertools.pairwise(bounds)]
    assert np.array_equal(np.concatenate(parts), whole)
    assert len(np.unique(whole.reshape(150, -1), axis=0)) == 150


def test_samples_are_the_decoders_means(network):
    with torch.no_grad():
        latents = torch.from_numpy(models.latents(3, range(10), 3))
        expected = network.decode(latents).numpy() * 255
    found = models.sample(network, 3, range(10)).transpose(0, 3, 1, 2)
    assert np.abs(found - expected).max() <= 0.5 + 1e-3


# What samples are compared with.


def test_effective_numbers_are_exponentials_of_entropies():
    assert reference.effective_number(np.repeat(np.arange(7), 3), 21) == pytest.approx(7)
    assert reference.effective_number(np.zeros(5, int), 3) == 1
    shares = np.array([0.5, 0.25, 0.25])
    numbers = np.repeat([4, 9, 2], [2, 1, 1])
    expected = math.exp(stats.entropy(shares))
    assert reference.effective_number(numbers, 4) == pytest.approx(expected)
    assert reference.largest_share(numbers, 4) == 0.5


def grouped(groups, each, seed=0):
    """Images in groups that differ in the rows that are bright."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 40, (groups * each, 8, 8, 1)).astype(np.uint8)
    labels = np.arange(groups * each) % groups
    for image, label in zip(images, labels, strict=True):
        image[label] += 200
    return images, labels


def test_modes_and_classes_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(reference, "MODES", 6)
    images, labels = grouped(6, 30)
    judge = reference.fit(images, labels, 6, seed=0)
    others, expected = grouped(6, 10, seed=1)
    assert np.array_equal(judge.classes(others), expected)
    modes = judge.modes(others)
    assert {tuple(set(modes[expected == label])) for label in range(6)} == {(m,) for m in range(6)}
    reference.save(judge, tmp_path / "reference.npz")
    again = reference.load(tmp_path / "reference.npz")
    assert np.array_equal(again.modes(others), modes) and again.labelled
    found = evaluation.of_samples(
        others[expected < 3], classifier=judge, trained_on=[images], number=30
    )
    assert found["effective_modes"] == pytest.approx(3)
    assert found["effective_classes"] == pytest.approx(3)
    assert found["largest_class_share"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(("present", "classes"), [((0, 1), 2), ((1, 3), 4), ((0, 2, 3), 5)])
def test_classes_may_be_two_or_lack_images(present, classes):
    images, labels = grouped(len(present), 30)
    labels = np.array(present)[labels]
    judge = reference.fit(images, labels, classes, seed=0)
    assert judge.weights.shape[0] == classes
    assert np.array_equal(judge.classes(images), labels)


def test_without_labels_or_with_one_there_is_no_classifier():
    images, _ = grouped(2, 10)
    for labels in (None, np.zeros(20, int)):
        judge = reference.fit(images, labels, 1, seed=0)
        assert not judge.labelled
        metrics = evaluation.of_samples(images, classifier=judge, trained_on=[images], number=20)
        assert "effective_classes" not in metrics


@pytest.mark.parametrize(("size", "side"), [(8, 8), (28, 14), (64, 16), (36, 12), (44, 11)])
def test_features_are_means_of_blocks(size, side):
    images = np.stack([made.image(number, size) for number in range(3)])
    found = reference.features(images)
    assert found.shape == (3, side**2)
    np.testing.assert_allclose(found.mean(1), images.mean((1, 2, 3)) / 255, rtol=1e-5)
    block = size // side
    assert found[2, 0] == pytest.approx(images[2, :block, :block].mean() / 255, rel=1e-5)


def test_distances_are_to_the_nearest_and_of_copies_none(monkeypatch):
    images, others = digits(12), digits(40)[12:]
    monkeypatch.setattr(evaluation, "BATCH", 5)
    differences = (images[:, None] / 255 - others[None] / 255).reshape(12, 28, -1)
    expected = np.sqrt((differences**2).mean(2)).min(1)
    found = evaluation.nearest(images, [others[:3], others[3:]])
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert evaluation.nearest(images, [others, images]).max() < 1e-3


def test_a_longer_training_set_is_not_nearer(tmp_path):
    """The nearest of equally many images: evenly chosen, each once, from all files in turn."""
    image_shards.write(tmp_path / "some", ((image, None) for image in digits(40)), (8, 8, 1))
    rows = (np.arange(0, 40, 2), np.arange(30), np.arange(5))
    several = [Selection("real", 1, str(tmp_path / "some"), some, 40) for some in rows]
    found = list(steps._evenly_selected(several, 11))
    assert [len(one.rows) for one in found] == [4, 6, 1]
    assert all(len(set(one.rows)) == len(one.rows) for one in found)
    whole = list(steps._evenly_selected(several, 55))
    for one, other in zip(several, whole, strict=True):
        assert np.array_equal(one.rows, other.rows)
    assert sum(len(part) for part in steps._images(found)) == 11


def test_spread_is_the_variance_of_pixels():
    images = digits(30)
    expected = (images / 255).reshape(30, -1).var(axis=0, ddof=1).mean()
    assert evaluation.spread(images) == pytest.approx(expected, rel=1e-5)
    assert evaluation.spread(images[:1].repeat(5, 0)) == pytest.approx(0, abs=1e-12)


# Batches.


def batches(folder, count, size, seed=0):
    image_shards.store([digits(count)], folder / "images.bin")
    stored = image_shards.Stored(folder / "images.bin", (8, 8, 1))
    return Batches(
        stored,
        size,
        3,
        shuffle=lambda epoch: np.random.default_rng([seed, epoch]),
        noise_of=lambda step: seed + step,
    )


@pytest.mark.parametrize(("count", "size"), [(20, 5), (20, 6), (7, 7)])
def test_every_image_is_there_once_an_epoch(tmp_path, count, size):
    found = batches(tmp_path, count, size)
    expected = sorted(map(bytes, digits(count)))
    for epoch in range(2):
        places = range(epoch * found.steps_per_epoch, (epoch + 1) * found.steps_per_epoch)
        parts = [found.batch(step)["images"].numpy() for step in places]
        assert all(len(part) == size for part in parts)
        rows = np.concatenate(parts)
        assert sorted(map(bytes, rows[:count])) == expected
        # The last batch is filled up with the first images.
        assert np.array_equal(rows[count:], rows[: len(rows) - count])


def test_a_batch_depends_on_its_step_alone(tmp_path):
    found = batches(tmp_path, 20, 6)
    every = {step: found.batch(step) for step in range(9)}
    for step in (8, 0, 4):
        again = batches(tmp_path, 20, 6).batch(step)
        for name, values in again.items():
            assert torch.equal(values, every[step][name])
    assert not torch.equal(every[0]["images"], every[4]["images"])  # another epoch
    assert not torch.equal(every[0]["noise"], every[1]["noise"])
    other = batches(tmp_path, 20, 6, seed=1).batch(0)
    assert not torch.equal(other["images"], every[0]["images"])


# Steps.

SETTINGS = {"epochs": 4.0, "batch": 16, "curve_points": 3, "latent": 4}


def loop(data, **experiment):
    settings = {"data": str(data), **SETTINGS, **experiment.pop("settings", {})}
    plan = {"family": "vae", "samples": 60, "iterations": 2, "settings": settings}
    return Loop(**{**plan, **experiment})


def first_run():
    """Run both iterations of a chain, on images of two classes."""
    made.folder(Path("images"), train=80, test=30, classes=("a", "b"))
    chain = loop("images")
    chain.run()
    return chain


def test_metrics_are_within_their_bounds(ran):
    found = json.loads(Path(ran.chain().metrics(2)).read_text())
    assert found["test_loss"] == found["test_reconstruction"] + found["test_kl"]
    network = models.load(Path(ran.chain().model(2)))
    constant = models.constant(network.shape, network.noise)
    assert found["test_elbo"] == pytest.approx(-found["test_loss"] - constant)
    assert 1 <= found["effective_classes"] <= 2 and 0.5 <= found["largest_class_share"] <= 1
    assert 1 <= found["effective_modes"] <= 8 and 0 < found["variance_ratio"] < 2
    assert 0 < found["nearest_distance"] < 1


def test_without_labels_there_are_no_classes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = loop(made.folder(tmp_path / "images"), iterations=1, samples=30)
    ran.prepare()
    ran.run()
    found = json.loads(Path(ran.chain().metrics(1)).read_text())
    missing = {name for name, value in found.items() if math.isnan(value)}
    classes = {"effective_classes", "largest_class_share"}
    assert missing == classes | {f"{name}_of_data" for name in classes}


def test_training_learns(ran):
    record = json.loads(Path(ran.chain().training(1)).read_text())
    curve = [trainer.CurvePoint(**point) for point in record["curve"]]
    assert record["images"] == 60 and record["steps"] == 16
    assert len(curve) == 3 and curve[-1].step == 16
    losses = [point.test_loss for point in curve]
    assert losses == sorted(losses, reverse=True)
    network = models.load(Path(ran.chain().model(1)))
    test = np.concatenate([*image_shards.read(Path(ran.data, steps.TEST))])
    found = evaluation.loss(network, [test], seed=0, draws=1)
    assert losses[-1] == pytest.approx(found.total, rel=1e-5)  # 30 test images are below 512
    assert record["parameters"] == network.shape.parameters()


def test_shards_hold_images_alone(ran):
    (shard,) = ran.chain().shards(1)
    table = parquet.read_table(shard.path)
    assert len(table) == 60 and table["label"].null_count == 60


def test_the_same_test_images_are_shown_at_every_iteration(ran):
    shown = [portraits.read(ran.chain().portrait(t), Portrait) for t in (1, 2)]
    for portrait in shown:
        assert portrait.tested.shape == (30, 8, 8, 1)
        assert portrait.samples.shape == (60, 8, 8, 1)
        assert portrait.reconstructed.shape == (RECONSTRUCTED, 8, 8, 1)
    assert np.array_equal(shown[0].tested, shown[1].tested)
    assert not np.array_equal(shown[0].reconstructed, shown[1].reconstructed)
    (shard,) = ran.chain().shards(1)
    samples = np.concatenate([*image_shards.read(Path(shard.path))])
    assert np.array_equal(shown[0].samples, samples[:SHOWN])
    test = {bytes(image) for image in next(image_shards.read(Path(ran.data, steps.TEST)))}
    assert {bytes(image) for image in shown[0].tested} == test


def test_copies_of_test_images_are_not_trained_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = made.folder(tmp_path / "images", train=40, test=20)
    for number in (45, 50):
        made.save(folder / "train" / f"copy{number}.png", made.image(number))
    ran = loop(folder)
    ran.prepare()
    described = json.loads(Path(ran.data, "dataset.json").read_text())
    assert described["details"]["copies"] == 2
    assert [part["stop"] for part in described["train"]] == [40]
    train, test = (
        {bytes(image) for part in image_shards.read(Path(ran.data, name)) for image in part}
        for name in (steps.TRAIN, steps.TEST)
    )
    assert len(train) == 40 and len(test) == 20 and not train & test


@pytest.mark.parametrize(
    "damage",
    [
        configured(models.CONFIGURATION, latent=5),
        configured(models.CONFIGURATION, size=16),
        configured(models.CONFIGURATION, widths=[32]),
        configured(models.CONFIGURATION, another=1),
        lambda model: (model / models.CONFIGURATION).write_text("{"),
        lambda model: (model / models.CONFIGURATION).unlink(),
        lambda model: (model / models.WEIGHTS).unlink(),
        lambda model: (model / models.WEIGHTS).write_bytes(b"\x10" * 100),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_in_one_line(ran, damage):
    model = Path(ran.chain().model(1))
    damage(model)
    with pytest.raises(JobError, match=f"^{model}: the checkpoint can't be loaded") as refused:
        ran.evaluate(1)
    assert "\n" not in str(refused.value)


# Bad input.


def prepared(folder, **settings):
    parameters = Parameters(data=str(folder), **settings)
    step = Step("e", "p", "p", "real", 0, 1, "vae", parameters.model_dump(), 0)
    output = folder.with_name("prepared")
    output.mkdir(exist_ok=True)
    return steps.prepare(StepJob(step=step, parameters=parameters, data=output))


def test_fewer_images_than_a_batch_are_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = loop(made.folder(tmp_path / "few", train=12, test=4), samples=12)
    ran.prepare()
    ran.assemble(1)
    said = f"^{tmp_path}/few: found 12 training images, expected at least a batch of 16; set batch"
    with pytest.raises(JobError, match=said):
        ran.train(1)
    ran = loop(tmp_path / "few", samples=60)
    ran.prepare()
    with pytest.raises(JobError, match="found 12 samples of real data, expected at least 60"):
        ran.assemble(1)


@pytest.mark.parametrize(
    ("made_of", "settings", "said"),
    [
        ({"size": 10}, {}, "png: found 10 pixels a side, expected a multiple of 4; or set size"),
        ({"size": 72}, {}, "found 72 pixels a side, expected a multiple of 32; or set size"),
        ({"test": 5}, {"test_images": 6}, "images: found 5 test images, expected at least 6"),
        ({"train": 1}, {}, "images: found 1 training images, expected at least 2"),
        ({"size": 8}, {"size": 16}, "0000.png: found 8 x 8 pixels, expected at least 16 x 16"),
    ],
)
def test_images_that_no_network_takes_are_refused_in_one_line(tmp_path, made_of, settings, said):
    made.folder(tmp_path / "images", **{"train": 4, "test": 5, **made_of})
    with pytest.raises(JobError, match=said) as refused:
        prepared(tmp_path / "images", **settings)
    assert "\n" not in str(refused.value)


def test_splits_and_sides_must_agree(tmp_path):
    folder = made.folder(tmp_path / "images", train=4, test=0)
    made.folder(tmp_path / "others", train=0, test=4, channels=3)
    (tmp_path / "others" / "test").rename(folder / "test")
    with pytest.raises(JobError, match=r"test/0000.png: .* in RGB, expected .* grey as in .*train"):
        prepared(folder)
    shutil.rmtree(folder)
    for split in ("train", "test"):
        made.save(folder / split / "0.png", made.image(0)[:4])
    with pytest.raises(JobError, match=r"0.png: found 8 x 4 pixels in grey, expected a square; or"):
        prepared(folder)


@pytest.mark.parametrize(
    ("experiment", "said"),
    [
        (
            {"settings": {"data": "missing"}},
            "settings.data: found missing, expected digits, celeba, celeba:<folder>, "
            "hub:<owner>/<name>, or an existing folder",
        ),
        ({"settings": {"data": "celeba:missing"}}, "settings.data: found celeba:missing, expected"),
        ({"settings": {"size": 16}}, "settings.size: found 16, expected null for digits"),
        (
            {"settings": {"data": "celeba", "size": 70}},
            "settings.size: found 70, expected a multiple of 32",
        ),
    ],
)
def test_parameters_that_cannot_be_are_refused_in_one_line(tmp_path, experiment, said):
    assert refused(tmp_path, "vae", **experiment).startswith(said)


def test_parameters_that_can_be_are_taken(tmp_path, monkeypatch):
    load(tmp_path, "vae", settings={"data": "celeba", "size": 128})
    load(tmp_path, "vae", settings={"data": "hub:someone/something", "size": 28})
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "faces").mkdir()
    load(tmp_path, "vae", settings={"data": "celeba:~/faces"})
    for data, expected in (
        ("celeba:~/faces", [str(tmp_path / "faces")]),
        ("celeba", []),
        ("digits", []),
    ):
        assert vae.source_files(Parameters(data=data)) == expected


def test_parameters_matter_from_their_stage_on():
    stages = {"size": "data", "noise": "training", "samples": "training", "judged": "evaluation"}
    for key, stage in stages.items():
        assert STAGES[vae.FAMILY.stage_of(key)] == stage


def test_work_grows_with_the_images():
    small, large = (VAEWork(Parameters(data=data)) for data in ("digits", "celeba"))
    assert large.train(6400, 1).flops > 50 * small.train(6400, 1).flops > 0
    assert large.model_bytes == 4 * architecture(64, 3, None).parameters()
    # Each image passes both networks, forward and backward; the learning curve adds a little.
    ratio = small.train(6400, 1).flops / small.generate(6400).flops
    assert 6 * 30 < ratio < 1.2 * 6 * 30


# Pictures.


def test_images_are_set_side_by_side():
    images = np.arange(5, dtype=np.uint8)[:, None, None, None].repeat(8, 1).repeat(8, 2)
    page = pictures.mosaic(images, 3)
    assert page.shape == (17, 26)
    assert [page[0, 0], page[0, 9], page[0, 18], page[9, 0], page[9, 9]] == [0, 1, 2, 3, 4]
    assert (page[8] == 255).all() and (page[:, 8] == 255).all() and (page[9:, 18:] == 255).all()
    assert pictures.mosaic(images.repeat(3, 3), 5).shape == (8, 44, 3)


@pytest.mark.parametrize("count", [1, 5, 6, 7, 20, 100])
def test_the_iterations_shown_are_some_of_them_and_the_last(count):
    found = pictures.chosen([*range(2, count + 2)])
    assert len(found) == min(count, 6) and found[0] == 2 and found[-1] == count + 1
    assert found == sorted(set(found))


def test_pictures_are_drawn_for_every_point(tmp_path):
    records = []
    for regime, t in itertools.product(("replace", "accumulate"), (1, 2, 3)):
        path = tmp_path / f"{regime}{t}.npz"
        portrait = Portrait(digits(12), digits(10), digits(32))
        portraits.write(path, portrait)
        assert np.array_equal(portraits.read(path, Portrait).samples, portrait.samples)
        records.append(IterationFile("noise=0.2", regime, t, str(path)))
    pictures.draw(records, tmp_path / "drawn")
    names = {path.name for path in (tmp_path / "drawn").iterdir()}
    assert names == {
        f"{kind}__noise=0.2.{suffix}"
        for kind in ("samples", "reconstructions")
        for suffix in ("png", "svg")
    }
    text = (tmp_path / "drawn" / "samples__noise=0.2.svg").read_text()
    for said in ("real test images", "baseline, t = 1", "replace, t = 3", "accumulate, t = 2"):
        assert said in text


def test_the_test_images_of_the_curve_are_at_most_so_many(ran, monkeypatch):
    monkeypatch.setattr(training, "CURVE_IMAGES", 7)
    ran.train(1)
    record = json.loads(Path(ran.chain().training(1)).read_text())
    network = models.load(Path(ran.chain().model(1)))
    rows = evenly(30, 7)
    test = np.concatenate([*image_shards.read(Path(ran.data, steps.TEST), rows)])
    assert len(test) == 7 and rows[0] == 0 and rows[-1] >= 24
    found = evaluation.loss(network, [test], seed=0, draws=1)
    assert record["curve"][-1]["test_loss"] == pytest.approx(found.total, rel=1e-5)
