"""Training on a GPU, in mixed precision, compiled and resumed."""

import math
import signal

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("no GPU", allow_module_level=True)

from collapse.training import trainer  # noqa: E402
from collapse.training.optimisation import Interrupted, Optimisation  # noqa: E402

PLAN = Optimisation(
    steps=60, learning_rate=3e-3, warmup_steps=5, schedule="cosine", evaluate_every=20
)


class Toy:
    """Fit a sum of sines with a network that has dropout."""

    def __init__(self, *, stop_at=None):
        torch.manual_seed(0)
        self.model = torch.nn.Sequential(
            torch.nn.Linear(16, 256),
            torch.nn.GELU(),
            torch.nn.Dropout(0.1),
            torch.nn.Linear(256, 1),
        )
        self.stop_at = stop_at
        self.first_step = None
        self.steps_done = 0

    def batch(self, step):
        if self.first_step is None:
            self.first_step = step
        x = torch.randn(256, 16, generator=torch.Generator().manual_seed(step))
        return {"x": x, "y": x.sin().sum(1, keepdim=True)}

    unit = "tokens"

    def weight(self, batch):
        return float(len(batch["x"]))

    def loss(self, model, rows):
        assert rows["x"].is_cuda
        return (model(rows["x"]) - rows["y"]).float().square().sum()

    def test_loss(self, model):
        rows = {name: values.cuda() for name, values in self.batch(10**6).items()}
        return self.loss(model, rows).item() / 256


class Stopping(Toy):
    """Signals itself when the loss of a step is computed, in the main thread."""

    def loss(self, model, rows):
        self.steps_done += model.training
        if model.training and self.steps_done == self.stop_at:
            signal.raise_signal(signal.SIGTERM)
        return super().loss(model, rows)


def run(state, task, **fields):
    plan = Optimisation(**{**PLAN.__dict__, **fields})
    curve = trainer.train(
        task, plan, state=state, fingerprint="toy", seed_of=lambda step: 1000 + step
    )
    return task.model.state_dict(), curve


def test_it_learns_in_bfloat16_and_compiled(tmp_path):
    weights, curve = run(tmp_path, Toy(), steps=300, learning_rate=1e-2, evaluate_every=100)
    assert all(value.is_cuda and value.dtype == torch.float32 for value in weights.values())
    variance = 16 * (1 - math.exp(-2)) / 2  # of a sum of sines of normals, the loss of a constant
    assert curve[-1].test_loss < 0.25 * variance


def test_compiled_bfloat16_is_near_float32(tmp_path):
    _, fast = run(tmp_path / "fast", Toy())
    _, exact = run(tmp_path / "exact", Toy(), precision="float32", compile=False)
    assert fast != exact
    # Dropout in compiled code draws other masks, so only the level of the loss is comparable.
    assert fast[-1].test_loss == pytest.approx(exact[-1].test_loss, rel=0.2)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("step", [7, 20, 41])
def test_resuming_is_exact_to_rounding(tmp_path, compiled, step):
    whole, curve = run(tmp_path / "whole", Toy(), compile=compiled)
    with pytest.raises(Interrupted, match=f"after step {step} of 60"):
        run(tmp_path / "state", Stopping(stop_at=step), compile=compiled)
    task = Toy()
    resumed, curve_of_resumed = run(tmp_path / "state", task, compile=compiled)
    assert task.first_step == step
    # Matrix products on GPUs may add in another order in each run, and bfloat16 has 8 bits. A
    # wrong batch, mask or moment would show at 1e-2 and above.
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value, rtol=1e-3, atol=1e-4)
    for point, other in zip(curve, curve_of_resumed, strict=True):
        assert other == pytest.approx(point, rel=1e-3)


def test_micro_batches_change_only_rounding(tmp_path):
    def without_dropout():
        task = Toy()
        task.model[2].p = 0.0
        return task

    exact = {"precision": "float32", "compile": False}
    _, whole = run(tmp_path / "whole", without_dropout(), **exact)
    _, split = run(tmp_path / "split", without_dropout(), **exact, micro_batch=100)
    assert split[-1].test_loss == pytest.approx(whole[-1].test_loss, rel=1e-2)
