"""Sampling on a GPU keeps the contract of a CPU, in the checkpoint's precision."""

import importlib.util

import numpy as np
import pytest
from scipy import stats

from collapse.text import sampling
from collapse.text.sampling import Decoding, by_transformers, opened

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
if not torch.cuda.is_available():
    pytest.skip("needs a GPU", allow_module_level=True)

BEGIN, END, VOCABULARY = 0, 1, 64
BACKENDS = [
    "transformers",
    pytest.param(
        "vllm",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"
        ),
    ),
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        initializer_range=0.1,
    )
    path = tmp_path_factory.mktemp("llama")
    transformers.LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(path)
    return path


@pytest.mark.parametrize("temperature", [1.0, 0.3])
@pytest.mark.parametrize("name", BACKENDS)
def test_tokens_are_drawn_from_the_model_at_the_temperature(checkpoint, name, temperature):
    seeds = np.random.default_rng(0).integers(2**63, size=3000).tolist()
    how = Decoding(temperature, 1, BEGIN, END, ignore_end=True)
    with opened(name, checkpoint, how) as generate:
        drawn = [int(sample.tokens[0]) for sample in generate([[]] * len(seeds), seeds)]
    network = transformers.AutoModelForCausalLM.from_pretrained(checkpoint).cuda().eval()
    with torch.no_grad():
        logits = network(torch.tensor([[BEGIN]], device="cuda")).logits[0, -1].double().cpu()
    expected = len(seeds) * torch.softmax(logits / temperature, dim=0).numpy()
    # Outcomes expected fewer than ten times are merged, and the test allows for 16-bit logits.
    common = expected >= 10
    observed = np.bincount(drawn, minlength=VOCABULARY)
    observed = np.append(observed[common], observed[~common].sum())
    expected = np.append(expected[common], expected[~common].sum())
    assert stats.chisquare(observed, expected).pvalue > 1e-4


@pytest.mark.parametrize("name", BACKENDS)
def test_samples_are_reproducible_and_end(checkpoint, name):
    seeds = np.random.default_rng(1).integers(2**63, size=200).tolist()
    prompts = [[], [7]] * 100
    found = []
    for _ in range(2):
        with opened(name, checkpoint, Decoding(1.0, 60, BEGIN, END)) as generate:
            found.append(generate(prompts, seeds))
    for one, other, prompt in zip(*found, prompts, strict=True):
        assert one.tokens.tolist() == other.tokens.tolist() and one.ended == other.ended
        assert one.tokens[: len(prompt)].tolist() == prompt and END not in one.tokens
        assert (len(one.tokens) < 60) == one.ended
    assert len({tuple(sample.tokens) for sample in found[0] if len(sample.tokens) > 8}) == sum(
        len(sample.tokens) > 8 for sample in found[0]
    )


def test_auto_is_vllm_where_it_is_installed():
    installed = importlib.util.find_spec("vllm") is not None
    assert sampling.backend("auto") == ("vllm" if installed else "transformers")


def test_a_token_of_probability_zero_is_never_drawn():
    scores = torch.full((4096, 50_000), float("-inf"), device="cuda")
    scores[:, ::7] = torch.randn(4096, len(range(0, 50_000, 7)), device="cuda")
    uniforms = torch.rand(4096, 1, dtype=torch.float64, device="cuda")
    drawn = by_transformers._Draw(uniforms, 1, 1.0)
    left = drawn(torch.zeros(4096, 1, dtype=torch.long, device="cuda"), scores)
    assert (left.argmax(1) % 7 == 0).all() and drawn.finite
