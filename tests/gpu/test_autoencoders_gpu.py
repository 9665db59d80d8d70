"""Autoencoders on a GPU have the losses and samples of a CPU, and resume."""

import signal
import statistics
import time

import numpy as np
import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("no GPU", allow_module_level=True)

import pictures  # noqa: E402
from collapse.data.images import shards as image_shards  # noqa: E402
from collapse.families.vae import evaluation, models, training  # noqa: E402
from collapse.families.vae.architectures import architecture  # noqa: E402
from collapse.training import trainer  # noqa: E402
from collapse.training.optimisation import Interrupted, Optimisation  # noqa: E402

SIZES = (8, 64)
GPU, CPU = torch.device("cuda"), torch.device("cpu")


def made(size, count=256):
    return np.stack([pictures.image(number, size, 3) for number in range(count)])


def task_of(folder, size, batch=32, device=GPU, kind=training.Fitting):
    image_shards.store([made(size)], folder / "images.bin")
    shape = architecture(size, 3, None)
    batches = training.Batches(
        image_shards.Stored(folder / "images.bin", (size, size, 3)),
        batch,
        shape.latent,
        shuffle=np.random.default_rng,
        noise_of=lambda step: step,
    )
    network = models.arranged(models.initialised(shape, 0.3, 0), device)
    return kind(network, batches, made(size)[:64])


def run(state, task, **fields):
    plan = Optimisation(
        **{"steps": 60, "learning_rate": 1e-3, "clip": None, "evaluate_every": 20, **fields}
    )
    return trainer.train(task, plan, state=state, fingerprint="squares", seed_of=lambda step: step)


def flat(network):
    return torch.cat([p.detach().flatten().float().cpu() for p in network.parameters()])


@pytest.mark.parametrize("size", SIZES)
def test_convolutions_are_channels_last_and_agree_with_a_cpu(tmp_path, size):
    task = task_of(tmp_path, size)
    weight = task.model.encoder[3].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    images = torch.from_numpy(made(size)[:8]).to(GPU)
    assert models.as_pixels(images).is_contiguous(memory_format=torch.channels_last)
    found = evaluation.loss(task.model.eval(), [made(size)], seed=1)
    other = models.initialised(task.model.shape, 0.3, 0).eval()
    expected = evaluation.loss(other, [made(size)], seed=1)
    assert found.reconstruction == pytest.approx(expected.reconstruction, rel=1e-3)
    assert found.divergence == pytest.approx(expected.divergence, rel=1e-2, abs=1e-3)


@pytest.mark.parametrize("size", SIZES)
def test_training_compiled_in_bfloat16_learns_as_in_float32(tmp_path, size):
    ends = {}
    for precision in ("auto", "float32"):
        folder = tmp_path / precision
        curve = run(folder, task_of(folder, size), precision=precision)
        losses = [point.test_loss for point in curve]
        assert losses[-1] < losses[0]
        ends[precision] = losses[-1]
    assert ends["auto"] == pytest.approx(ends["float32"], rel=0.05)


def test_a_stopped_training_goes_on(tmp_path):
    class Stopping(training.Fitting):
        """Asks for a stop from the thread that makes the batches."""

        def batch(self, step):
            if step == 25:
                signal.raise_signal(signal.SIGTERM)
            return super().batch(step)

    whole = task_of(tmp_path / "whole", 8)
    curve = run(tmp_path / "whole", whole)
    with pytest.raises(Interrupted):
        run(tmp_path / "stopped", task_of(tmp_path / "stopped", 8, kind=Stopping))
    again = task_of(tmp_path / "stopped", 8)
    resumed = run(tmp_path / "stopped", again)
    assert [point.step for point in resumed] == [point.step for point in curve]
    torch.testing.assert_close(flat(again.model), flat(whole.model), rtol=0.05, atol=0.01)


@pytest.mark.parametrize("size", SIZES)
def test_samples_do_not_depend_on_how_they_are_split(tmp_path, size):
    network = task_of(tmp_path, size).model.eval()
    whole = models.sample(network, 3, range(100))
    parts = [models.sample(network, 3, range(start, stop)) for start, stop in ((0, 37), (37, 100))]
    assert np.array_equal(np.concatenate(parts), whole)


def test_batches_are_made_faster_than_steps(tmp_path):
    task = task_of(tmp_path, 64, batch=128)
    run(tmp_path, task, steps=20)
    start = time.perf_counter()
    run(tmp_path, task_of(tmp_path, 64, batch=128), steps=120, evaluate_every=0)
    step = (time.perf_counter() - start) / 120
    taken = []
    for number in range(50):
        start = time.perf_counter()
        task.batch(number)
        taken.append(time.perf_counter() - start)
    assert statistics.median(taken) < step
