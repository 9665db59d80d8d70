"""A model that is sharded over ranks trains as a whole one does, and is resumed as exactly.

Run as a program this file is one of the ranks, which train one case after the other.
"""

import json
import signal
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch.nn import functional  # noqa: E402

from collapse.training import distributed, launching, saved_state, sharding, trainer  # noqa: E402
from collapse.training.optimisation import Interrupted, Optimisation  # noqa: E402
from forked_ranks import forked_ranks  # noqa: E402

PLAN = Optimisation(
    steps=8, learning_rate=3e-3, warmup_steps=2, weight_decay=0.1, clip=0.5, evaluate_every=3,
    sharded=True, micro_batch=2,
)  # fmt: skip
STOP = 5
TIGHT = {"rtol": 1e-4, "atol": 2e-5}

#: What the ranks train: the plan's and the task's changes. Of 5 rows the ranks have 3 and 2,
#: which are 2 micro-batches and 1; of 1 row they have 1 and 0.
CASES = {
    "plain": ({}, {}),
    "replicated": ({"sharded": False}, {}),
    "few": ({}, {"rows": 1}),
    "at-once": ({"micro_batch": None}, {}),
    "bfloat16": ({"precision": "bfloat16"}, {}),
    "dropout": ({"save_seconds": 0.0}, {"dropout": 0.2}),
    "dropout-stopped": ({}, {"dropout": 0.2, "stop": True}),
    "to-one": ({}, {"stop": True}),
    "from-one": ({}, {}),
}


class Gemma:
    """Next tokens of random sequences, by a very small Gemma 2 with tied embeddings."""

    def __init__(
        self, *, rows=5, dropout=0.0, checkpointing=True, stop_at=None, meta=False, **shape
    ):
        # Sizes that 2 doesn't divide.
        configuration = transformers.Gemma2Config(
            **{
                "vocab_size": 51, "hidden_size": 10, "intermediate_size": 17,
                "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
                "head_dim": 6, "query_pre_attn_scalar": 6, "sliding_window": 4,
                "attention_dropout": dropout, "attn_implementation": "eager", **shape,
            }
        )  # fmt: skip
        torch.manual_seed(0)
        with torch.device("meta" if meta else "cpu"):
            self.model = transformers.AutoModelForCausalLM.from_config(configuration)
        if checkpointing:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
        self.rows = rows
        self.stop_at = stop_at

    def data(self, seed, rows):
        generator = torch.Generator().manual_seed(seed)
        vocabulary = self.model.config.vocab_size
        return {"ids": torch.randint(vocabulary, (rows, 8), generator=generator)}

    def batch(self, step):
        if step == self.stop_at:
            signal.raise_signal(signal.SIGTERM)
        return self.data(1000 + step % 3, self.rows)

    unit = "tokens"

    def weight(self, batch):
        return float(batch["ids"][:, 1:].numel())

    def loss(self, model, rows):
        logits = model(input_ids=rows["ids"], use_cache=False).logits[:, :-1]
        return functional.cross_entropy(
            logits.flatten(0, 1).float(), rows["ids"][:, 1:].flatten(), reduction="sum"
        )

    def test_loss(self, model):
        device = next(model.parameters()).device
        rows = {name: values.to(device) for name, values in self.data(5, 4).items()}
        return self.loss(model, rows).item() / self.weight(rows)


def train(state, task, **fields):
    return trainer.train(
        task, replace(PLAN, **fields), state=state, fingerprint="g", seed_of=lambda step: 100 + step
    )


@contextmanager
def norms_of_gradients():
    """Yield a list that gets the norm of every step's gradient, before it is clipped."""
    norms, clip = [], torch.nn.utils.clip_grad_norm_

    def noted(*arguments):
        norm = clip(*arguments)
        norms.append(float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm))
        return norm

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.utils, "clip_grad_norm_", noted)
        yield norms


def read(state):
    return saved_state.read(state, "g", distributed.Ranks())


def curve(state):
    return [trainer.CurvePoint(*point) for point in read(state)[0]["curve"]]


def weights(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder / "model").state_dict()


@pytest.fixture(scope="module", autouse=True)
def _on_cpus():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        patch.setattr(torch.cuda, "is_available", lambda: False)
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder where two ranks have trained all cases, one of them begun by one rank."""
    folder = tmp_path_factory.mktemp("sharded")
    with pytest.raises(Interrupted):
        train(folder / "from-one", Gemma(stop_at=STOP), sharded=False)
    with forked_ranks():
        launching.launch("test_sharding", [str(folder)], ranks=2)
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """One rank's weights, curve and gradients, without checkpointing of activations."""
    task = Gemma(checkpointing=False)
    with norms_of_gradients() as norms:
        found = train(tmp_path_factory.mktemp("alone"), task, sharded=False)
    return task.model.state_dict(), found, norms


def assert_near(folder, alone):
    expected, expected_curve, *_ = alone
    torch.testing.assert_close(weights(folder), expected, **TIGHT)
    for point, other in zip(curve(folder), expected_curve, strict=True):
        assert point == pytest.approx(other, rel=1e-4)


@pytest.mark.parametrize("case", ["plain", "at-once", "replicated", "from-one"])
def test_two_ranks_are_as_one(folder, alone, case):
    before = Gemma().model.state_dict()
    moved = max((before[name] - value).abs().max() for name, value in alone[0].items())
    assert moved > 100 * TIGHT["atol"]
    assert_near(folder / case, alone)


@pytest.mark.parametrize("case", ["plain", "at-once", "replicated"])
def test_gradients_are_sums_over_the_ranks(folder, alone, case):
    # AdamW hardly sees by what they are multiplied.
    for rank in range(2):
        noted = json.loads((folder / case / f"noted-{rank}.json").read_text())
        assert noted["norms"] == pytest.approx(alone[2], rel=1e-4)


def test_a_batch_of_fewer_rows_than_ranks(folder, tmp_path):
    task = Gemma(rows=1)
    found = train(tmp_path, task)
    assert_near(folder / "few", (task.model.state_dict(), found))


def test_one_rank_goes_on_where_two_stopped(folder, alone):
    assert not (folder / "to-one" / "model").exists()
    task = Gemma()
    found = train(folder / "to-one", task, sharded=False)
    assert [point.step for point in found] == [3, 6, 8]
    task.model.save_pretrained(folder / "to-one" / "model")
    assert_near(folder / "to-one", alone)


def test_resuming_is_exact(folder):
    whole, resumed = weights(folder / "dropout"), weights(folder / "dropout-stopped")
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    assert curve(folder / "dropout") == curve(folder / "dropout-stopped")
    assert curve(folder / "dropout") != curve(folder / "plain")


def test_bfloat16_is_near_float32(folder):
    exact, fast = curve(folder / "plain"), curve(folder / "bfloat16")
    assert fast != exact
    for point, other in zip(fast, exact, strict=True):
        assert point == pytest.approx(other, rel=1e-2)
    assert all(value.dtype == torch.float32 for value in weights(folder / "bfloat16").values())


def test_each_rank_keeps_its_part_only(folder):
    for rank, part in enumerate(read(folder / "plain")):
        noted = json.loads((folder / "plain" / f"noted-{rank}.json").read_text())
        assert noted["kept"] == pytest.approx(noted["whole"] / 2, rel=0.1)
        moments = [value for state in part["optimiser"].values() for value in state.values()]
        assert sum(value.numel() for value in moments if value.ndim) == 2 * noted["kept"]
    noted = json.loads((folder / "replicated" / "noted-1.json").read_text())
    assert noted["kept"] == noted["whole"]


def test_the_checkpoint_is_an_ordinary_one(folder):
    from safetensors import safe_open

    model = folder / "plain" / "model"
    description = json.loads((model / "config.json").read_text())
    assert description["architectures"] == ["Gemma2ForCausalLM"]
    with safe_open(model / "model.safetensors", "pt") as content:
        assert "lm_head.weight" not in content.keys()  # noqa: SIM118 - no dict
    parts = read(folder / "plain")
    for name, value in weights(folder / "plain").items():
        pieces = [part["model"][name] for part in parts if name in part["model"]]
        assert torch.equal(torch.cat(pieces), value)
        assert len(pieces) == 2 and len(pieces[0]) - len(pieces[1]) in (0, 1)


def test_files_of_the_state(folder, tmp_path, capsys):
    state = folder / "dropout"  # saved after every step
    names = {path.name for path in state.iterdir() if path.suffix == ".pt"}
    assert names == {"training.pt", "training.8.1.pt"}
    part = state / "training.8.1.pt"
    sound = part.read_bytes()
    value = read(state)[1]["optimiser"][0]["exp_avg"].numpy().tobytes()
    flipped = bytearray(sound)
    flipped[sound.index(value)] ^= 1
    # A part that the first rank has not yet named doesn't count.
    (state / "training.9.1.pt").write_bytes(b"half")
    assert read(state)
    for damaged in (bytes(flipped), sound[:-100], b""):
        part.write_bytes(damaged)
        assert not read(state)
        assert "is damaged: starting afresh" in capsys.readouterr().err
    part.unlink()
    assert not read(state)
    part.write_bytes(sound)
    assert read(state)[0]["step"] == 8


def test_a_part_that_cannot_be_written_ends_nothing_and_the_state_before_stays(folder):
    assert read(folder / "full")[0]["step"] == 4
    found = json.loads((folder / "full" / "curve.json").read_text())
    assert [trainer.CurvePoint(*point) for point in found] == curve(folder / "dropout")


def on_a_full_disk(state, ranks):
    """Train as in the case ``dropout``, while the last rank can't write after step 4."""
    fields, changes = CASES["dropout"]
    save, written = torch.save, []

    def filling(*arguments):
        written.append(arguments)
        if ranks.rank == ranks.world - 1 and len(written) > 4:
            raise OSError(28, "No space left on device")
        save(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "save", filling)
        found = train(state, Gemma(meta=not ranks.first, **changes), **fields)
    if ranks.first:
        (state / "curve.json").write_text(json.dumps(found))


def main(folder):
    torch.set_num_threads(1)
    with distributed.joined() as ranks:
        on_a_full_disk(Path(folder, "full"), ranks)
        for name, (fields, changes) in CASES.items():
            state = Path(folder, name)
            changes = dict(changes)
            stop = changes.pop("stop", False)
            meta = not ranks.first
            if stop:
                # The last rank is asked to stop, and all do.
                stop_at = STOP if ranks.rank == ranks.world - 1 else None
                with pytest.raises(Interrupted, match=f"after step {STOP + 1} of 8"):
                    train(state, Gemma(stop_at=stop_at, meta=meta, **changes), **fields)
            if name == "to-one":
                continue
            task = Gemma(meta=meta, **changes)
            with norms_of_gradients() as norms:
                train(state, task, **fields)
            whole = sharding.whole_state(task.model, ranks)
            if ranks.first:
                task.model.save_pretrained(state / "model", state_dict=whole)
            ranks.wait()
            parameters = list(task.model.parameters())
            noted = {
                "norms": norms,
                "kept": sum(map(torch.numel, map(sharding.own, parameters))),
                "whole": sum(map(torch.numel, parameters)),
            }
            (state / f"noted-{ranks.rank}.json").write_text(json.dumps(noted))


if __name__ == "__main__":
    main(*sys.argv[1:])
