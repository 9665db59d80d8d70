"""The estimate of training memory against what a training step of a small Gemma 2 allocates."""

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch.distributed._tools.mem_tracker import MemTracker  # noqa: E402
from torch.nn import functional  # noqa: E402

from collapse.training import memory  # noqa: E402

#: Gemma-2-2b, a micro-batch of 4 sequences of 512 tokens.
GEMMA_2B = {
    "parameters": 2_614_341_888, "layer": 77_865_984, "hidden": 2304, "feed_forward": 9216,
    "layers": 26, "vocabulary": 256_000, "tokens": 4 * 512, "scores": 8 * 512,
}  # fmt: skip
ROWS, POSITIONS = 4, 64


def gemma(**shape):
    # The proportions of Gemma-2-2b, an eighth as wide.
    configuration = transformers.Gemma2Config(
        **{
            "vocab_size": 2000, "hidden_size": 288, "intermediate_size": 1152,
            "num_hidden_layers": 3, "num_attention_heads": 8, "num_key_value_heads": 4,
            "head_dim": 32, "query_pre_attn_scalar": 32, "attn_implementation": "eager", **shape,
        }
    )  # fmt: skip
    return transformers.AutoModelForCausalLM.from_config(configuration)


def estimate(model, **changes):
    shape = model.config
    return memory.training_memory(
        **{
            "parameters": sum(map(torch.numel, model.parameters())),
            "layer": sum(map(torch.numel, model.model.layers[0].parameters())),
            "hidden": shape.hidden_size,
            "feed_forward": shape.intermediate_size,
            "layers": shape.num_hidden_layers,
            "vocabulary": shape.vocab_size,
            "tokens": ROWS * POSITIONS,
            "scores": shape.num_attention_heads * POSITIONS,
            **changes,
        }
    )


def begun(model, rows=ROWS):
    """Do one update, after which moments exist, and half of another, so that gradients exist."""
    optimiser = torch.optim.AdamW(model.parameters(), fused=True)
    backward(model, rows)
    optimiser.step()
    optimiser.zero_grad()
    backward(model, rows)
    return optimiser


def backward(model, rows, bfloat16=False):
    ids = torch.randint(model.config.vocab_size, (rows, POSITIONS))
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        logits = model(input_ids=ids, use_cache=False).logits
        loss = functional.cross_entropy(logits.flatten(0, 1).float(), ids.flatten())
    del logits
    loss.backward()


@pytest.mark.parametrize(
    ("peak_at", "vocabulary", "rows", "checkpointing", "bfloat16"),
    [
        ("layer", 500, 4, True, True),
        ("layer", 500, 4, False, False),
        ("loss", 20_000, 4, True, False),
        ("loss", 20_000, 4, False, True),
        ("embeddings", 20_000, 1, True, False),
    ],
)
def test_it_is_what_a_step_allocates(peak_at, vocabulary, rows, checkpointing, bfloat16):
    model = gemma(vocab_size=vocabulary)
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    optimiser = begun(model, rows)
    tracker = MemTracker()
    tracker.track_external(model, optimiser)
    with tracker:
        backward(model, rows, bfloat16)
        optimiser.step()
    peak = tracker.get_tracker_snapshot("peak")[torch.device("cpu")]["Total"]
    found = estimate(model, tokens=rows * POSITIONS, checkpointing=checkpointing, bfloat16=bfloat16)
    assert peak <= found.total < 1.15 * peak
    assert max(("loss", "layer", "embeddings"), key=found._asdict().get) == peak_at


def test_weights_gradients_and_moments_are_exact():
    model = gemma()
    optimiser = begun(model)
    moments = [one for state in optimiser.state.values() for one in state.values() if one.ndim]
    found = estimate(model)
    for kept, expected in (
        (model.parameters(), found.weights),
        ([parameter.grad for parameter in model.parameters()], found.gradients),
        (moments, found.moments),
    ):
        assert sum(one.numel() * one.element_size() for one in kept) == expected
    shared = estimate(model, ranks=4)
    assert shared[:3] == tuple(-(-one // 4) for one in found[:3])


def test_gemma_2b_fits_a_gpu_of_80_gb():
    plain = memory.training_memory(**GEMMA_2B)
    checkpointed = memory.training_memory(**GEMMA_2B, checkpointing=True)
    assert plain.weights + plain.gradients + plain.moments == 16 * GEMMA_2B["parameters"]
    assert 16 * GEMMA_2B["parameters"] < checkpointed.total < plain.total < 72e9  # a tenth less


def test_sharding_pays_for_large_models():
    gemma_27b = {
        "parameters": 27_227_128_320, "layer": 566_249_472, "hidden": 4608,
        "feed_forward": 36_864, "layers": 46, "vocabulary": 256_000, "tokens": 512,
        "scores": 32 * 512, "checkpointing": True,
    }  # fmt: skip
    totals = [memory.training_memory(**gemma_27b, ranks=ranks).total for ranks in (1, 2, 4, 8, 16)]
    assert totals == sorted(totals, reverse=True)
    assert totals[0] > 400e9 and totals[3] < 72e9
