"""Sharded training over GPUs, and the estimate of memory.

Run as a program, this file is one of two ranks.
"""

import json
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
if not torch.cuda.is_available():
    pytest.skip("no GPU", allow_module_level=True)

from collapse.training import distributed, launching, memory, sharding  # noqa: E402
from collapse.training.optimisation import Interrupted  # noqa: E402
from unit import test_sharding as small  # noqa: E402

two_gpus = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")

#: The proportions of Gemma-2-2b, a quarter as wide.
SHAPE = {
    "vocab_size": 64_000, "hidden_size": 576, "intermediate_size": 2304, "num_hidden_layers": 6,
    "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 64,
    "query_pre_attn_scalar": 64,
}  # fmt: skip
CASES = {
    "replicated": {"sharded": False},
    "sharded": {},
    "compiled": {"compile": True},
    "stopped": {},
}


def train(state, task, **fields):
    plan = {"precision": "auto", "compile": False, "micro_batch": 16, **fields}
    torch.cuda.reset_peak_memory_stats()
    curve = small.train(state, task, **plan)
    return {"curve": curve, "peak": torch.cuda.max_memory_allocated()}


def gemma(**changes):
    return small.Gemma(rows=64, **SHAPE, **changes)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sharded")
    with pytest.MonkeyPatch.context() as patch:
        tests = Path(__file__).parents[1]
        patch.setenv("PYTHONPATH", f"{tests}:{tests / 'gpu'}")
        launching.launch("test_sharding_gpu", [str(folder)], ranks=2)
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in CASES}


@two_gpus
@pytest.mark.parametrize("case", ["sharded", "compiled"])
def test_sharded_is_near_replicated(found, case):
    # In sharded training the activations between layers are bfloat16, too.
    for point, other in zip(found[case]["curve"], found["replicated"]["curve"], strict=True):
        assert point == pytest.approx(other, rel=1e-2)


@two_gpus
def test_resuming_is_exact_to_rounding(found):
    for point, other in zip(found["stopped"]["curve"], found["sharded"]["curve"], strict=True):
        assert point == pytest.approx(other, rel=1e-3)


@two_gpus
def test_sharding_saves_memory(found):
    assert found["sharded"]["peak"] < 0.8 * found["replicated"]["peak"]


@pytest.mark.parametrize("checkpointing", [True, False])
def test_the_estimate_is_what_a_gpu_allocates(tmp_path, checkpointing):
    task = gemma(checkpointing=checkpointing)
    before = torch.cuda.memory_allocated()
    peak = train(tmp_path, task, sharded=False)["peak"] - before
    estimate = memory.training_memory(
        parameters=sum(map(torch.numel, task.model.parameters())),
        layer=sum(map(torch.numel, task.model.model.layers[0].parameters())),
        tokens=16 * 8,
        hidden=SHAPE["hidden_size"],
        feed_forward=SHAPE["intermediate_size"],
        layers=SHAPE["num_hidden_layers"],
        vocabulary=SHAPE["vocab_size"],
        scores=SHAPE["num_attention_heads"] * 8,
        checkpointing=checkpointing,
    )
    assert 0.9 * peak < estimate.total < 1.3 * peak


def main(folder):
    with distributed.joined() as ranks:
        for name, fields in CASES.items():
            state = Path(folder, f"state-{name}")
            if name == "stopped":
                with pytest.raises(Interrupted):
                    train(state, gemma(stop_at=small.STOP, meta=not ranks.first), **fields)
            task = gemma(meta=not ranks.first)
            result = train(state, task, **fields)
            whole = sharding.whole_state(task.model, ranks)
            if ranks.first:
                assert all(not value.is_cuda for value in whole.values())
                Path(folder, f"{name}.json").write_text(json.dumps(result))
            del task, whole


if __name__ == "__main__":
    main(*sys.argv[1:])
