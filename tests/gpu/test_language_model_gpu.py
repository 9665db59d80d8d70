"""Language models on a GPU have the losses and samples of a CPU, and resume."""

import signal

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
if not torch.cuda.is_available():
    pytest.skip("no GPU", allow_module_level=True)

from collapse.data.text.tokenizing import BOS, EOS  # noqa: E402
from collapse.families.language_model import models, training  # noqa: E402
from collapse.families.language_model.packing import Packer  # noqa: E402
from collapse.text import (  # noqa: E402
    evaluation,
    sampling,
)
from collapse.text.stored_tokens import Tokens  # noqa: E402
from collapse.training import trainer  # noqa: E402
from collapse.training.optimisation import Interrupted, Optimisation  # noqa: E402

VOCABULARY, CONTEXT, BATCH = 300, 128, 8
MODELS = ("tiny", "gpt2-9m")


@pytest.fixture(scope="module")
def documents():
    """Return documents that count upwards from a random token, so that positions matter."""
    generator = np.random.default_rng(0)
    lengths = generator.integers(10, 60, size=2000)
    bounds = np.concatenate(([0], np.cumsum(lengths)))
    parts = [
        [BOS, *(3 + (generator.integers(40) + np.arange(length - 2)) % 40), EOS]
        for length in lengths
    ]
    return Tokens(np.concatenate(parts).astype(np.uint16), bounds)


def task_of(name, documents, task=training.Pretraining):
    packer = Packer(documents, CONTEXT, BATCH, np.random.default_rng, whole=True)
    return task(models.initialised(name, VOCABULARY, 0), packer, documents)


def run(state, task, **fields):
    plan = Optimisation(
        **{"steps": 60, "learning_rate": 1e-3, "warmup_steps": 5, "evaluate_every": 20, **fields}
    )
    return trainer.train(
        task, plan, state=state, fingerprint="counting", seed_of=lambda step: 1000 + step
    )


def flat(model):
    return torch.cat([p.detach().flatten().float().cpu() for p in model.parameters()])


@pytest.mark.parametrize("name", MODELS)
def test_the_packed_loss_compiled_in_bfloat16_is_near_that_of_a_cpu(name, documents):
    task = task_of(name, documents)
    # Logits of an untrained model are near zero, where a wrong mask would hardly show.
    with torch.no_grad():
        for parameter in task.model.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(3.0)
    batch = task.batch(0)
    with torch.no_grad():
        exact = float(task.loss(task.model, batch)) / task.weight(batch)
        task.model.cuda()
        compiled = torch.compile(task.model)
        rows = {key: values.cuda() for key, values in batch.items()}
        with torch.autocast("cuda", torch.bfloat16):
            fast = float(task.loss(compiled, rows)) / task.weight(batch)
        merged = {**rows, "position_ids": torch.arange(CONTEXT).cuda().expand(BATCH, -1)}
        wrong = float(task.loss(task.model, merged)) / task.weight(batch)
    assert fast == pytest.approx(exact, rel=1e-2)
    assert abs(wrong - exact) > 3 * abs(fast - exact)  # the test would see a wrong mask


@pytest.mark.parametrize("name", MODELS)
def test_evaluation_is_that_of_a_cpu(name, documents):
    model = models.initialised(name, VOCABULARY, 0).eval()
    exact = evaluation.cross_entropy(model, documents, 200)
    assert evaluation.cross_entropy(model.cuda(), documents, 200) == pytest.approx(exact, rel=1e-3)


class Stopping(training.Pretraining):
    """Signals itself when the loss of its 25th step is computed, in the main thread."""

    steps_done = 0

    def loss(self, model, rows):
        self.steps_done += 1
        if self.steps_done == 25:
            signal.raise_signal(signal.SIGTERM)
        return super().loss(model, rows)


@pytest.mark.parametrize("name", MODELS)
def test_training_learns_and_resumes(name, documents, tmp_path):
    whole = task_of(name, documents)
    before = flat(whole.model)
    curve = run(tmp_path / "whole", whole)
    assert curve[-1].test_loss < 0.8 * np.log(VOCABULARY)
    with pytest.raises(Interrupted, match="after step 25 of 60"):
        run(tmp_path / "state", task_of(name, documents, Stopping))
    resumed = task_of(name, documents)
    curve_of_resumed = run(tmp_path / "state", resumed)
    # GPUs add in no fixed order, but a wrong batch, rate or moment would move weights more.
    moved = torch.linalg.vector_norm(flat(whole.model) - before)
    difference = torch.linalg.vector_norm(flat(whole.model) - flat(resumed.model))
    assert difference < 0.05 * moved
    for point, other in zip(curve, curve_of_resumed, strict=True):
        assert other == pytest.approx(point, rel=1e-2)


@pytest.mark.parametrize("name", MODELS)
def test_exactly_as_many_samples_as_asked_for(name, documents, tmp_path):
    task = task_of(name, documents)
    run(tmp_path / "state", task, steps=100)
    task.model.cpu().save_pretrained(tmp_path / "model")
    decoding = sampling.Decoding(1.0, CONTEXT - 1, BOS, EOS)
    with sampling.opened("auto", tmp_path / "model", decoding) as draw:
        found = sampling.fill(
            range(700),
            lambda slots, attempt: draw([[]] * len(slots), [2**26 * attempt + s for s in slots]),
            lambda slot, sample: sample.ended and len(sample.tokens) > 0,
            most_attempts=50,
        )
    assert len(found.samples) == 700 <= found.drawn
    assert all(EOS not in sample.tokens for sample in found.samples)
    assert len({tuple(sample.tokens) for sample in found.samples}) > 100
