"""Training goes on exactly where it was stopped, however it was stopped.

Run as a program this file trains the same toy in a process of its own, to be killed.
"""

import json
import math
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from collapse import progress  # noqa: E402
from collapse.training import (  # noqa: E402
    batches,
    distributed,
    launching,
    saved_state,
    sharding,
    signals,
    trainer,
)
from collapse.training.optimisation import (  # noqa: E402
    Interrupted,
    Optimisation,
    TrainingError,
    learning_rate,
)

SCRIPTS = Path(trainer.__file__).parents[2]
PLAN = Optimisation(
    steps=40, learning_rate=3e-3, warmup_steps=5, schedule="cosine", weight_decay=0.1,
    evaluate_every=7,
)  # fmt: skip


class Toy:
    """Regression with a hidden layer, dropout and a norm: y is the sum of sines of x."""

    def __init__(self, *, dropout=0.2, rows=16, before_step=lambda step: None):
        torch.manual_seed(0)
        self.model = torch.nn.Sequential(
            torch.nn.Linear(4, 32),
            torch.nn.LayerNorm(32),
            torch.nn.GELU(),
            torch.nn.Dropout(dropout),
            torch.nn.Linear(32, 1),
        )
        self.rows = rows
        self.before_step = before_step
        self.steps = []
        self.noises = set()

    def data(self, seed, rows):
        x = torch.randn(rows, 4, generator=torch.Generator().manual_seed(seed))
        return {"x": x, "y": x.sin().sum(1, keepdim=True), "tokens": torch.arange(rows) % 3 + 1}

    def batch(self, step):
        self.steps.append(step)
        self.before_step(step)
        return self.data(1000 + step, self.rows)

    unit = "tokens"

    def weight(self, batch):
        return float(batch["tokens"].sum())

    def loss(self, model, rows):
        return (rows["tokens"] * (model(rows["x"]) - rows["y"]).square().sum(1)).sum()

    def test_loss(self, model):
        assert not model.training and not torch.is_grad_enabled()
        device = next(model.parameters()).device
        rows = {name: values.to(device) for name, values in self.data(5, 64).items()}
        noise = torch.rand(()).item()  # of an evidence lower bound, say
        self.noises.add(noise)
        return self.loss(model, rows).item() / rows["tokens"].sum().item() + 1e-3 * noise


def run(state, plan=PLAN, task=None, fingerprint="toy"):
    """Train the toy; return its weights and the curve."""
    task = task or Toy()
    curve = trainer.train(
        task, plan, state=state, fingerprint=fingerprint, seed_of=lambda step: 7**9 + step
    )
    return {name: value.clone() for name, value in task.model.state_dict().items()}, curve


def assert_same(one, other):
    torch.testing.assert_close(one[0], other[0], rtol=0, atol=0)
    assert one[1] == other[1]


def assert_close(found, expected, rtol):
    """Assert that weights and points of a curve differ by rounding."""
    torch.testing.assert_close(found[0], expected[0], rtol=rtol, atol=1e-5)
    for point, other in zip(found[1], expected[1], strict=True):
        assert point == pytest.approx(other, rel=rtol)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, one_thread):
    return run(tmp_path_factory.mktemp("uninterrupted"))


def stop_at(*steps, number=signal.SIGTERM):
    """Signal this process during each of these steps, the first time it gets there."""
    left = set(steps)

    def before_step(step):
        if step in left:
            left.remove(step)
            signal.raise_signal(number)

    return before_step


def stopped(state, step, fingerprint="toy", **toy):
    """Train up to a step, in which a signal comes."""
    with pytest.raises(Interrupted):
        run(state, task=Toy(before_step=stop_at(step), **toy), fingerprint=fingerprint)


# The science: what the numbers are.


def test_it_learns(tmp_path):
    task = Toy(dropout=0.0, rows=64)
    plan = Optimisation(steps=300, learning_rate=1e-2, evaluate_every=100)
    _, curve = run(tmp_path, plan, task)
    assert [point.step for point in curve] == [100, 200, 300]
    variance = 4 * (1 - math.exp(-2)) / 2  # of a sum of sines of normals: no model at all
    assert curve[-1].test_loss < 0.05 * variance
    assert curve[0].train_loss > curve[1].train_loss > curve[2].train_loss


def test_it_is_adamw_as_torch_has_it(tmp_path):
    plan = replace(PLAN, steps=12, weight_decay=0.0, clip=None)
    weights, curve = run(tmp_path, plan)
    bare = Toy()
    optimiser = torch.optim.AdamW(bare.model.parameters(), weight_decay=0.0)
    losses = []
    for step in range(plan.steps):
        batch = bare.batch(step)
        torch.manual_seed(7**9 + step)
        loss = bare.loss(bare.model, batch) / bare.weight(batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.param_groups[0]["lr"] = learning_rate(plan, step)
        optimiser.step()
        losses.append(loss.item())
    torch.testing.assert_close(weights, bare.model.state_dict(), rtol=1e-5, atol=1e-6)
    means = [sum(losses[:7]) / 7, sum(losses[7:]) / 5]
    assert [point.train_loss for point in curve] == pytest.approx(means, rel=1e-5)


def test_the_gradient_is_clipped(tmp_path):
    plan = Optimisation(steps=1, learning_rate=1e-3, clip=1e-12)
    before = Toy().model.state_dict()
    weights, _ = run(tmp_path, plan)
    # So small a gradient is lost beside AdamW's epsilon of 1e-8.
    torch.testing.assert_close(weights, before, rtol=0, atol=1e-6)


def test_schedules():
    plan = Optimisation(steps=14, learning_rate=2.0, warmup_steps=4)
    rates = {
        schedule: [learning_rate(replace(plan, schedule=schedule), step) for step in range(14)]
        for schedule in ("constant", "linear", "cosine")
    }
    assert all(found[:5] == [0.5, 1.0, 1.5, 2.0, 2.0] for found in rates.values())
    assert set(rates["constant"][4:]) == {2.0}
    assert rates["linear"][4:] == pytest.approx([2.0 - 0.2 * step for step in range(10)])
    cosine = rates["cosine"][4:]
    assert cosine[5] == pytest.approx(1.0)  # half of the way down
    assert cosine == sorted(cosine, reverse=True) and 0 < cosine[-1] < 0.25
    no_warmup = replace(plan, warmup_steps=0, schedule="cosine")
    assert learning_rate(no_warmup, 0) == 2.0
    assert learning_rate(no_warmup, 7) == pytest.approx(1.0)
    only_warmup = replace(plan, warmup_steps=14, schedule="cosine")
    assert learning_rate(only_warmup, 13) == 2.0


def test_only_matrices_decay(tmp_path):
    class Still(Toy):
        """All gradients are 0, so that weights change only by their decay."""

        def loss(self, model, rows):
            return 0 * super().loss(model, rows)

    plan = Optimisation(steps=3, learning_rate=0.1, weight_decay=0.5)
    before = Toy().model.state_dict()
    weights, _ = run(tmp_path, plan, Still())
    for name, value in before.items():
        decay = (1 - 0.1 * 0.5) ** 3 if value.ndim >= 2 else 1.0
        torch.testing.assert_close(weights[name], decay * value)


def test_the_noise_of_the_test_loss_is_the_same_at_every_point(tmp_path):
    task = Toy()
    run(tmp_path, task=task)
    assert len(task.noises) == 1


def test_points_of_the_curve(tmp_path, uninterrupted):
    _, curve = uninterrupted
    assert [point.step for point in curve] == [7, 14, 21, 28, 35, 40]
    assert all(point.test_loss is not None for point in curve)
    assert [point.learning_rate for point in curve] == [
        learning_rate(PLAN, point.step - 1) for point in curve
    ]
    _, only_end = run(tmp_path, replace(PLAN, evaluate_every=0))
    assert [(point.step, point.test_loss) for point in only_end] == [(40, None)]
    steps = [7, 7, 7, 7, 7, 5]
    mean = sum(n * point.train_loss for n, point in zip(steps, curve, strict=True)) / 40
    assert only_end[0].train_loss == pytest.approx(mean, rel=1e-6)


@pytest.mark.parametrize("size", [1, 5, 16, 100])
def test_micro_batches_change_only_rounding(tmp_path, size):
    whole = run(tmp_path / "whole", task=Toy(dropout=0.0))
    split = run(tmp_path / "split", replace(PLAN, micro_batch=size), Toy(dropout=0.0))
    assert_close(split, whole, rtol=1e-4)


def test_a_parameter_that_is_frozen_stays(tmp_path):
    task = Toy()
    task.model[0].requires_grad_(False)
    weights, _ = run(tmp_path, task=task)
    before = Toy().model.state_dict()
    assert torch.equal(weights["0.weight"], before["0.weight"])
    assert not torch.equal(weights["4.weight"], before["4.weight"])


def test_bfloat16_learns_too(tmp_path):
    plan = replace(PLAN, precision="bfloat16")
    weights, curve = run(tmp_path, plan)
    _, exact = run(tmp_path / "exact")
    assert all(value.dtype == torch.float32 for value in weights.values())
    assert curve != exact
    assert curve[-1].test_loss == pytest.approx(exact[-1].test_loss, rel=0.05)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_training(tmp_path, bad):
    class Diverging(Toy):
        def loss(self, model, rows):
            return super().loss(model, rows) * (bad if self.steps[-1] == 9 else 1.0)

    message = f"the loss is {bad} at step 10 of 40, with a learning rate of 0.00"
    with pytest.raises(TrainingError, match=message) as error:
        run(tmp_path, replace(PLAN, save_seconds=0), Diverging())
    assert "\n" not in str(error.value)
    assert saved_step(tmp_path) == 9


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    class Exploding(Toy):
        def loss(self, model, rows):
            loss = super().loss(model, rows)
            if loss.requires_grad and self.steps[-1] == 39:
                loss.register_hook(lambda gradient: gradient * float("nan"))
            return loss

    with pytest.raises(TrainingError, match="weights are not finite after step 40 of 40"):
        run(tmp_path, task=Exploding())
    assert not (tmp_path / "training.pt").exists()


# Interruptions.


@pytest.mark.parametrize("steps", [(0,), (6,), (7, 8, 20), (13, 27, 34), (38,)])
def test_resuming_is_exact(tmp_path, uninterrupted, steps):
    before_step = stop_at(*steps)
    for step in steps:
        with pytest.raises(Interrupted, match=f"SIGTERM after step {step + 1} of 40") as stop:
            run(tmp_path, task=Toy(before_step=before_step))
        assert str(tmp_path) in str(stop.value) and "\n" not in str(stop.value)
    assert_same(run(tmp_path, task=Toy(before_step=before_step)), uninterrupted)


@pytest.mark.parametrize(
    "before_step", [stop_at(39), torch.rand], ids=["signal in the last step", "drawn elsewhere"]
)
def test_what_changes_nothing(tmp_path, uninterrupted, before_step):
    assert_same(run(tmp_path, task=Toy(before_step=before_step)), uninterrupted)


def test_a_finished_run_is_not_run_again(tmp_path, uninterrupted):
    state = tmp_path / "state"
    run(state)
    again = Toy()
    assert_same(run(state, task=again), uninterrupted)
    assert again.steps == []


def test_signal_handlers_are_put_back(tmp_path):
    before = [signal.getsignal(number) for number in signals.STOP_SIGNALS]
    run(tmp_path)
    with pytest.raises(Interrupted, match="SIGUSR2"):
        run(tmp_path / "other", task=Toy(before_step=stop_at(3, number=signal.SIGUSR2)))
    assert [signal.getsignal(number) for number in signals.STOP_SIGNALS] == before


def test_a_second_interrupt_does_not_wait(tmp_path):
    def twice(step):
        if step == 3:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, task=Toy(before_step=twice))


def test_it_runs_outside_the_main_thread(tmp_path, uninterrupted):
    results = []
    thread = threading.Thread(target=lambda: results.append(run(tmp_path)))
    thread.start()
    thread.join()
    assert_same(results[0], uninterrupted)


@pytest.mark.parametrize(
    ("fingerprint", "version", "said"),
    [
        ("other", torch.__version__, "other data or parameters: starting afresh"),
        ("toy", "1.0.0", "was written by torch 1.0.0: starting afresh"),
    ],
)
def test_the_state_of_something_else_is_not_resumed(
    tmp_path, uninterrupted, capsys, monkeypatch, fingerprint, version, said
):
    with monkeypatch.context() as older:
        older.setattr(torch, "__version__", version)
        stopped(tmp_path, 10, fingerprint)
    task = Toy()
    assert_same(run(tmp_path, task=task), uninterrupted)
    assert task.steps[0] == 0
    note = capsys.readouterr().err
    assert note.count("\n") == 1 and said in note


def test_a_damaged_state_is_not_resumed(tmp_path, uninterrupted, capsys):
    stopped(tmp_path, 10)
    path = tmp_path / "training.pt"
    sound = path.read_bytes()
    chance = random.Random(0)
    damaged = [sound[: chance.randrange(len(sound))] for _ in range(20)] + [b"", b"PK" * 99]
    weights = saved(tmp_path)[0]["model"]["0.weight"].numpy().tobytes()
    place = sound.index(weights)
    for position in (place, place + len(weights) - 1):
        flipped = bytearray(sound)
        flipped[position] ^= 1
        damaged.append(bytes(flipped))
    for content in damaged:
        path.write_bytes(content)
        assert not saved(tmp_path)
    capsys.readouterr()
    assert_same(run(tmp_path), uninterrupted)
    note = capsys.readouterr().err
    assert note.count("\n") == 1 and "is damaged: starting afresh" in note


def test_the_state_is_saved_as_often_as_asked(tmp_path, monkeypatch):
    saved = []
    clock = iter(range(10**6))  # a second passes between any two looks at it
    monkeypatch.setattr(trainer.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(trainer._Run, "save", lambda run, *_: saved.append(run.step))
    run(tmp_path, replace(PLAN, save_seconds=10))
    assert saved == [10, 20, 30, 40]


def test_batches_made_ahead_are_the_same():
    # A device that is not a CPU, without needing one.
    ranks = distributed.Ranks(rank=1, world=2, device=torch.device("meta"))
    ahead, task = Toy(), Toy()
    layout = sharding.Replicated(ranks)
    for step, share in enumerate(batches.shares(ahead, range(3, 8), layout, None), start=3):
        batch = task.batch(step)
        assert share.weight == task.weight(batch)
        assert share.counted == len(batch["x"][1::2])
        assert all(torch.equal(share.rows[name], values[1::2]) for name, values in batch.items())
    assert ahead.steps == [3, 4, 5, 6, 7]
    failing = Toy(before_step=lambda step: 1 // (4 - step))
    with pytest.raises(ZeroDivisionError):
        list(batches.shares(failing, range(3, 8), layout, None))
    assert failing.steps == [3, 4]


def test_gradients_travel_in_few_messages_of_one_type(monkeypatch):
    monkeypatch.setattr(distributed, "BUCKET", 10)
    types = [torch.float32, torch.bfloat16, torch.float32, torch.float32, torch.bfloat16]
    tensors = [torch.ones(size, dtype=of) for size, of in zip([4, 3, 6, 50, 2], types, strict=True)]
    buckets = list(distributed._buckets(tensors))
    assert [[len(tensor) for tensor in bucket] for bucket in buckets] == [[3, 2], [4, 6], [50]]


@pytest.mark.parametrize(
    "error", [RuntimeError("unexpected pos 576 vs 534"), OSError(28, "No space left on device")]
)
def test_a_training_whose_state_cannot_be_written_goes_on(
    tmp_path, uninterrupted, monkeypatch, capsys, error
):
    """The state before stays, and an interruption says that the newest is lost."""

    def full(*_):
        raise error

    stopped(tmp_path, 10)
    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(Interrupted, match="step 21 of 40; its state can't be written, run again"):
        run(tmp_path, task=Toy(before_step=stop_at(20)))
    assert saved_step(tmp_path) == 11
    assert [path.name for path in tmp_path.iterdir()] == ["training.pt"]
    capsys.readouterr()
    assert_same(run(tmp_path), uninterrupted)
    going_on, failed = capsys.readouterr().err.splitlines()
    assert going_on == "going on after step 11 of 40"
    assert "training.pt: can't be written" in failed


# Processes of their own.


def arguments(state, plan=None, toy=None, delay=0.0):
    """Arguments of `main`."""
    return [str(state), json.dumps(plan or {}), json.dumps(toy or {}), str(delay)]


def start(state, **options):
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, *arguments(state, **options)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def wait_for(ready):
    deadline = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def saved(state):
    return saved_state.read(state, "toy", distributed.Ranks())


def saved_step(state):
    parts = saved(state)
    return parts[0]["step"] if parts else 0


def test_after_kill_minus_9(tmp_path, uninterrupted):
    process = start(tmp_path, plan={"save_seconds": 0}, delay=0.02)
    wait_for(lambda: saved_step(tmp_path) >= 9)
    process.kill()
    process.communicate()
    task = Toy()
    assert_same(run(tmp_path, task=task), uninterrupted)
    assert task.steps[0] >= 9


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])
def test_after_a_signal(tmp_path, uninterrupted, number):
    process = start(tmp_path, delay=0.05)
    for line in process.stdout:
        if line.strip() == "9":
            process.send_signal(number)
            break
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 3
    assert f"training stopped by {number.name} after step" in rest
    task = Toy()
    assert_same(run(tmp_path, task=task), uninterrupted)
    assert task.steps[0] >= 10


@pytest.fixture
def in_ranks(monkeypatch):
    """Let several ranks train the toy."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))

    def launch(state, ranks, **options):
        launching.launch("test_training", arguments(state, **options), ranks=ranks)

    return launch


def test_ranks_without_a_row_and_stopped_together(tmp_path, in_ranks):
    state = tmp_path / "state"

    def stop():
        wait_for(lambda: saved_step(state) >= 3)
        os.kill(os.getpid(), signal.SIGUSR1)

    threading.Thread(target=stop).start()
    toy = {"dropout": 0.0, "rows": 1}
    with pytest.raises(Interrupted, match="2 ranks of test_training were stopped by SIGUSR1"):
        in_ranks(state, 2, plan={"save_seconds": 0}, toy=toy, delay=0.05)
    # The number of ranks may change on the way, to rounding.
    step = saved_step(state)
    assert 3 <= step < 40
    task = Toy(**toy)
    resumed = run(state, task=task)
    assert task.steps[0] == step
    assert_close(resumed, run(tmp_path / "one", task=Toy(**toy)), rtol=1e-4)


def test_three_ranks_go_on_with_a_third_of_the_weights(tmp_path, in_ranks):
    from forked_ranks import forked_ranks  # which this file as a program does not find

    toy = {"dropout": 0.0, "rows": 7}
    stopped(tmp_path / "three", 9, **toy)
    with forked_ranks():
        in_ranks(tmp_path / "three", 3, plan={"micro_batch": 1, "sharded": True}, toy=toy)
    parts = saved(tmp_path / "three")
    rows = {name: [part["model"][name] for part in parts] for name in parts[0]["model"]}
    for own in rows.values():
        # Of a bias of one row two ranks have none.
        assert [len(part) for part in own] in ([1, 0, 0], [11, 11, 10])
    whole = {name: torch.cat(own) for name, own in rows.items()}
    one = run(tmp_path / "one", task=Toy(**toy))
    assert_close((whole, parts[0]["curve"]), one, rtol=1e-4)


def test_ranks_that_fail_are_reported():
    with pytest.raises(TrainingError, match=r"2 ranks of no_such_module ended with statuses \[1"):
        launching.launch("no_such_module", [], ranks=2)


def test_one_rank_that_fails_ends_the_others(monkeypatch):
    monkeypatch.setattr(launching, "GRACE", 0.2)
    program = "import os, sys, time; sys.exit(4) if os.environ['RANK'] == '1' else time.sleep(60)"
    began = time.monotonic()
    real = subprocess.Popen
    monkeypatch.setattr(
        launching.subprocess, "Popen",
        lambda command, **rest: real([sys.executable, "-c", program], **rest),
    )  # fmt: skip
    with pytest.raises(TrainingError, match=r"ended with statuses \[-9, 4\]"):
        launching.launch("whatever", [], ranks=2)
    assert time.monotonic() - began < 30


def test_ranks_are_read_from_a_slurm_step_but_not_from_its_batch_script(monkeypatch):
    ranks = ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    for name in ranks:
        monkeypatch.setenv(name, "so that it is put back as it was")
        monkeypatch.delenv(name)
    slurm = {"JOB_ID": 12, "NTASKS": 4, "PROCID": 3, "LOCALID": 1, "JOB_NUM_NODES": 2, "STEP_ID": 5}
    for name, value in {**slurm, "JOB_NODELIST": "gpu[07-08]"}.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    distributed._read_slurm()
    assert "WORLD_SIZE" not in os.environ
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    distributed._read_slurm()
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR")
    assert [os.environ[name] for name in names] == ["3", "4", "1", "gpu07"]
    monkeypatch.delenv("WORLD_SIZE")
    monkeypatch.setenv("MASTER_ADDR", "gpu07.fast")
    distributed._read_slurm()
    assert [os.environ[name] for name in names] == ["3", "4", "1", "gpu07.fast"]
    assert os.environ["MASTER_PORT"] == str(20_000 + (7919 * 12 + 5) % 40_000)


def test_ranks_on_several_nodes_are_a_step_of_the_job(monkeypatch, tmp_path):
    """The step gets no variables of this process's own step, which would contradict its own."""
    said = tmp_path / "said"
    srun = tmp_path / "srun"
    srun.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{said}\nenv >>{said}\nexit $STATUS\n')
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for name, value in {"JOB_ID": "7", "NTASKS": "1", "STEP_NUM_TASKS": "1", "NNODES": "1"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setenv("MASTER_PORT", "1")
    monkeypatch.setenv("STATUS", "0")
    launching.launch("collapse.loop.worker", ["job.json"], ranks=4, nodes=2)
    lines = set(said.read_text().splitlines())
    assert {"--nodes=2", "--ntasks=4", "--ntasks-per-node=2", "--overlap", "job.json"} <= lines
    assert {"SLURM_JOB_ID=7", f"MASTER_ADDR={socket.gethostname()}", "OMP_NUM_THREADS=1"} <= lines
    names = {line.partition("=")[0] for line in lines}
    assert not names & {"SLURM_NTASKS", "SLURM_STEP_NUM_TASKS", "SLURM_NNODES", "MASTER_PORT"}
    monkeypatch.setenv("STATUS", "3")
    with pytest.raises(TrainingError, match=r"4 ranks of .*worker ended with statuses \[3\]"):
        launching.launch("collapse.loop.worker", [], ranks=4, nodes=2)
    with pytest.raises(TrainingError, match="found 3 GPUs for 2 nodes, expected as many on each n"):
        launching.launch("collapse.loop.worker", [], ranks=3, nodes=2)


def main(state, plan, toy, delay):
    torch.set_num_threads(1)

    def before_step(step):
        print(step, flush=True)
        time.sleep(float(delay))

    task = Toy(before_step=before_step, **json.loads(toy))
    try:
        run(Path(state), replace(PLAN, **json.loads(plan)), task)
    except Interrupted as stop:
        print(stop)
        sys.exit(3)


if __name__ == "__main__":
    main(*sys.argv[1:])


# What people see of it meanwhile.


def told(log):
    lines = progress.points_of(log).read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_its_points_follow_the_curve_and_continue_where_it_was_stopped(
    tmp_path, monkeypatch, uninterrupted
):
    log = tmp_path / "logs" / "train" / "iter1.log"
    monkeypatch.setattr(progress, "_begun", set())
    with progress.of_job(log):
        stopped(tmp_path, 17)
        with open(progress.points_of(log), "a") as file:  # as if killed a while after saving
            file.write(json.dumps({**told(log)[-1], "step": 21}) + "\n")
        monkeypatch.setattr(progress, "_begun", set())
        found = run(tmp_path)
    assert_same(found, uninterrupted)
    assert [point["step"] for point in told(log)] == [point.step for point in found[1]]
    for point, other in zip(told(log), found[1], strict=True):
        assert point["test_loss"] == other.test_loss and point["tokens_per_second"] > 0
        assert point["learning_rate"] == other.learning_rate
        if point["step"] != 21:  # its mean begins where the training went on
            assert point["train_loss"] == pytest.approx(other.train_loss)


def test_showing_every_update_changes_no_number(tmp_path, monkeypatch, uninterrupted):
    monkeypatch.setattr(progress, "POINTS", 0.0)
    monkeypatch.setattr(progress, "_begun", set())
    with progress.of_job(tmp_path / "iter1.log"):
        assert_same(run(tmp_path), uninterrupted)
    assert [point["step"] for point in told(tmp_path / "iter1.log")] == [*range(1, 41)]
