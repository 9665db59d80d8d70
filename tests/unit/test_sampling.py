"""Sampling: the model's own distribution, from each sample's own seed, whatever is around it."""

import gc
import importlib.util
import json
import os
import subprocess
import sys
import weakref
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from collapse.artifacts.files import DamagedFileError
from collapse.text import sampling
from collapse.text.sampling import (
    Decoding,
    Sample,
    SamplingError,
    by_transformers,
    by_vllm,
    fill,
    opened,
)

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SCRIPTS = Path(sampling.__file__).parents[3]
BEGIN, END, VOCABULARY, POSITIONS = 0, 1, 64, 48

#: Settings of a checkpoint, each of which would spoil a sample that obeyed it.
HOSTILE = {
    "do_sample": True, "temperature": 0.05, "top_k": 3, "top_p": 0.2, "min_p": 0.5,
    "repetition_penalty": 5.0, "min_new_tokens": 9, "max_length": 5, "num_beams": 4,
    "suppress_tokens": list(range(2, 40)), "eos_token_id": list(range(2, VOCABULARY)),
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Random models, far from uniform; vLLM on a CPU wants heads of 32 at least."""
    torch.manual_seed(0)
    shape = {"vocab_size": VOCABULARY, "initializer_range": 0.2}
    configurations = {
        "gpt2": transformers.GPT2Config(
            n_embd=32, n_layer=2, n_head=1, n_positions=POSITIONS, **shape
        ),
        "llama": transformers.LlamaConfig(
            hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
            max_position_embeddings=POSITIONS, **shape,
        ),
    }  # fmt: skip
    paths = {name: tmp_path_factory.mktemp(name) for name in configurations}
    for name, path in paths.items():
        network = transformers.AutoModelForCausalLM.from_config(configurations[name])
        network.save_pretrained(path)
        (path / "generation_config.json").write_text(json.dumps(HOSTILE))
    return paths


def decoding(temperature=1.0, max_tokens=24, **others):
    return Decoding(temperature, max_tokens, BEGIN, END, **others)


def draw(model, how, seeds, prompts=None, batch=256):
    with opened("transformers", model, how, batch=batch) as generate:
        return generate([[]] * len(seeds) if prompts is None else prompts, seeds)


def tokens(samples):
    return [sample.tokens.tolist() for sample in samples]


def seeds_of(number, start=0):
    return np.random.default_rng(start).integers(2**63, size=number).tolist()


def distribution(model, temperature, prompt, top_k=None, top_p=None):
    """Return the distribution of the next token, by the definition of a language model.

    Truncated, it is the distribution given that the token is among the likeliest ``top_k``, and
    then among the fewest likeliest that have ``top_p`` of what is left together.
    """
    network = transformers.AutoModelForCausalLM.from_pretrained(model).eval()
    with torch.no_grad():
        logits = network(torch.tensor([[BEGIN, *prompt]])).logits[0, -1].double()
    found = torch.softmax(logits / temperature, dim=0).numpy()
    order = np.argsort(-found)[: top_k or VOCABULARY]
    sums = found[order].cumsum() / found[order].sum()
    kept = order[: 1 + np.searchsorted(sums, top_p or 2)]
    return np.where(np.isin(np.arange(VOCABULARY), kept), found, 0) / found[kept].sum()


def greedy(model, prompt, length):
    """Return the most probable tokens, one after the other."""
    found = list(prompt)
    while len(found) < length:
        found.append(int(distribution(model, 1, found).argmax()))
    return found


def chi_square(drawn, probabilities):
    """Return the p-value; outcomes expected fewer than five times are merged into one."""
    observed = np.bincount(drawn, minlength=len(probabilities)).astype(float)
    expected = probabilities * len(drawn)
    assert not observed[probabilities < 1e-12].any()
    rare = expected < 5
    observed = np.append(observed[~rare], observed[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    if expected[-1] < 1:
        assert observed[-1] < 10
        observed, expected = observed[:-1], expected[:-1]
        expected *= observed.sum() / expected.sum()
    return stats.chisquare(observed, expected).pvalue


def check_two_tokens(model, temperature, rows, **truncation):
    """Test the first token, and the second after the commonest first."""
    first = [row[0] for row in rows]
    assert chi_square(first, distribution(model, temperature, [], **truncation)) > 1e-3
    (common, number), *_ = Counter(first).most_common()
    assert number > 100 and common != END
    second = [row[1] for row in rows if row[0] == common]
    assert chi_square(second, distribution(model, temperature, [common], **truncation)) > 1e-3


#: Truncations that leave tokens of which some are drawn often enough to be told from others.
TRUNCATIONS = [{"top_k": 5}, {"top_p": 0.9}, {"top_k": 9, "top_p": 0.8}]


@pytest.mark.parametrize("name", ["gpt2", "llama"])
@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_tokens_are_drawn_from_the_model_at_the_temperature(checkpoints, name, temperature):
    how = decoding(temperature, 2, ignore_end=True)
    rows = tokens(draw(checkpoints[name], how, seeds_of(6000)))
    check_two_tokens(checkpoints[name], temperature, rows)
    # The test would notice a temperature that is a little off.
    first = [row[0] for row in rows]
    assert chi_square(first, distribution(checkpoints[name], temperature * 1.2, [])) < 1e-6


@pytest.mark.parametrize("truncation", TRUNCATIONS)
@pytest.mark.parametrize("temperature", [1.0, 1.5])
def test_tokens_are_drawn_among_the_likeliest(checkpoints, temperature, truncation):
    model = checkpoints["gpt2"]
    how = decoding(temperature, 2, ignore_end=True, **truncation)
    rows = tokens(draw(model, how, seeds_of(4000)))
    check_two_tokens(model, temperature, rows, **truncation)
    # The test would notice a truncation of the model at another temperature.
    first, other = [row[0] for row in rows], distribution(model, 1.0, [], **truncation)
    if temperature != 1:
        assert set(np.flatnonzero(other)) != set(first) or chi_square(first, other) < 1e-6
    whole = distribution(model, temperature, [])
    assert chi_square([token for token in first if whole[token] > 0], whole) < 1e-6


def test_one_token_is_the_likeliest_and_all_of_them_are_the_model(checkpoints):
    model, seeds = checkpoints["llama"], seeds_of(40)
    for truncation in ({"top_k": 1}, {"top_p": 1e-9}):
        rows = tokens(draw(model, decoding(max_tokens=6, ignore_end=True, **truncation), seeds))
        assert rows == [greedy(model, [], 6)] * 40
    plain = tokens(draw(model, decoding(), seeds))
    for truncation in ({"top_k": VOCABULARY}, {"top_k": 10**6}, {"top_p": 1.0}):
        assert tokens(draw(model, decoding(**truncation), seeds)) == plain


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_beams_find_the_likeliest_text(checkpoints, name):
    """Of two tokens: with as many beams as tokens, all texts are looked at."""
    model = checkpoints[name]
    how = decoding(max_tokens=3, ignore_end=True, beams=VOCABULARY)
    for prompt in ([7], [9]):
        (row,) = tokens(draw(model, how, [1], [prompt]))
        first = distribution(model, 1, prompt)
        both = [first[one] * distribution(model, 1, [*prompt, one]) for one in range(VOCABULARY)]
        assert tuple(row[1:]) == np.unravel_index(np.argmax(both), (VOCABULARY, VOCABULARY))
    how = decoding(max_tokens=12, ignore_end=True, beams=1)
    assert tokens(draw(model, how, [1], [[5]])) == [greedy(model, [5], 12)]


def test_beams_depend_on_the_prompt_alone_and_write_something(checkpoints):
    model, prompts = checkpoints["gpt2"], [[5], [7, 8], [9], [11], [12], [13]]
    how = decoding(beams=4)
    whole = draw(model, how, [1] * 6, prompts)
    small = draw(model, how, [2] * 6, prompts, batch=4)
    assert tokens(whole) == tokens(small)
    assert [one.ended for one in whole] == [one.ended for one in small]
    for row, sample, prompt in zip(tokens(whole), whole, prompts, strict=True):
        assert row[: len(prompt)] == prompt and len(row) > len(prompt)
        assert END not in row[len(prompt) :] and (sample.ended or len(row) == 24)


@pytest.mark.parametrize("name", ["gpt2", "llama"])
@pytest.mark.parametrize("how", [decoding(), decoding(top_k=20, top_p=0.9)])
def test_a_sample_depends_on_its_prompt_and_seed_alone(checkpoints, name, how):
    seeds = seeds_of(40)
    prompts = [[], [7], [9, 11], []] * 10
    whole = draw(checkpoints[name], how, seeds, prompts)
    small = draw(checkpoints[name], how, seeds, prompts, batch=3)
    back = draw(checkpoints[name], how, seeds[::-1], prompts[::-1])[::-1]
    alone = draw(checkpoints[name], how, seeds[5:6], prompts[5:6])
    assert tokens(whole) == tokens(small) == tokens(back)
    assert [s.ended for s in whole] == [s.ended for s in small] == [s.ended for s in back]
    assert tokens(alone) == tokens(whole[5:6])


def test_different_seeds_give_different_samples(checkpoints):
    seeds = [*range(100), *seeds_of(100), 2**63 - 1]
    how = decoding(max_tokens=20, ignore_end=True)
    drawn = {tuple(row) for row in tokens(draw(checkpoints["gpt2"], how, seeds))}
    assert len(drawn) == len(seeds)
    assert len({*map(tuple, tokens(draw(checkpoints["gpt2"], how, [4] * 9)))}) == 1


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_temperature_zero_takes_the_most_probable_token(checkpoints, name):
    how = decoding(0, 12, ignore_end=True)
    samples = draw(checkpoints[name], how, [1, 2], [[], [5]])
    for sample, prompt in zip(tokens(samples), ([], [5]), strict=True):
        assert sample == greedy(checkpoints[name], prompt, 12)


def test_a_sample_ends_at_its_first_end_or_is_cut_off(checkpoints):
    prompts = [[], [END], [BEGIN, END]] * 70
    endless = draw(checkpoints["gpt2"], decoding(ignore_end=True), seeds_of(210), prompts)
    samples = draw(checkpoints["gpt2"], decoding(), seeds_of(210), prompts)
    for row, sample, prompt in zip(tokens(endless), samples, prompts, strict=True):
        assert len(row) == 24 and row[: len(prompt)] == prompt
        drawn = row[len(prompt) :]
        assert sample.ended == (END in drawn)
        kept = drawn.index(END) if sample.ended else len(drawn)
        assert sample.tokens.tolist() == prompt + drawn[:kept]
    assert 20 < sum(sample.ended for sample in samples) < 190
    assert not any(sample.ended for sample in endless)


def test_begin_and_end_may_be_one_token(checkpoints):
    how = Decoding(1.0, 24, END, END)
    samples = draw(checkpoints["gpt2"], how, seeds_of(60))
    assert {sample.ended for sample in samples} == {True, False}
    assert all(END not in sample.tokens for sample in samples)
    assert all(sample.ended == (len(sample.tokens) < 24) for sample in samples)
    assert sum(len(sample.tokens) > 0 for sample in samples) > 30


def test_all_positions_of_a_model_can_be_used(checkpoints):
    how = decoding(max_tokens=POSITIONS - 1, ignore_end=True)
    (sample,) = draw(checkpoints["gpt2"], how, [3])
    assert len(sample.tokens) == POSITIONS - 1
    assert draw(checkpoints["gpt2"], how, []) == []


def test_a_token_of_probability_zero_is_never_drawn():
    none = float("-inf")
    scores = torch.tensor([[none, 0.0, none, 80.0, -200.0, none]] * 4)
    uniforms = torch.tensor([[0.0], [1e-300], [0.5], [1 - 2**-53]], dtype=torch.float64)
    drawn = by_transformers._Draw(uniforms, 1, 1.0)
    left = drawn(torch.zeros(4, 1, dtype=torch.long), scores)
    assert left.argmax(1).tolist() == [1, 1, 3, 3]
    assert (left > none).sum(1).tolist() == [1] * 4
    assert drawn.finite


def test_a_model_of_numbers_that_are_none_is_refused(checkpoints, tmp_path):
    network = transformers.AutoModelForCausalLM.from_pretrained(checkpoints["llama"])
    network.lm_head.weight.data[5] = float("nan")
    network.save_pretrained(tmp_path)
    with pytest.raises(SamplingError, match="logits are not finite"):
        draw(tmp_path, decoding(), [1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_tokens": POSITIONS}, f"found {POSITIONS}, expected at most {POSITIONS - 1}"),
        ({"max_tokens": 0}, "max_tokens: found 0"),
        ({"temperature": -1.0}, "temperature: found -1.0"),
        ({"temperature": 0.001}, "temperature: found 0.001"),
        ({"temperature": float("nan")}, "temperature: found nan"),
        ({"end": VOCABULARY}, f"end: found token {VOCABULARY}"),
        ({"begin": -1}, "begin: found token -1"),
    ],
)
def test_impossible_requests_are_refused_before_any_work(checkpoints, monkeypatch, change, message):
    monkeypatch.setattr(by_transformers, "opened", None)
    good = {"temperature": 1.0, "max_tokens": 9, "begin": BEGIN, "end": END}
    with pytest.raises(SamplingError, match=message) as refused:
        draw(checkpoints["llama"], Decoding(**(good | change)), [1])
    assert "\n" not in str(refused.value)


def test_requests_that_do_not_fit_are_refused(checkpoints):
    with opened("transformers", checkpoints["gpt2"], decoding(max_tokens=3)) as generate:
        with pytest.raises(SamplingError, match="prompt 1: found 3 tokens"):
            generate([[5], [5, 6, 7]], [1, 2])
        with pytest.raises(SamplingError, match="seeds: found 1"):
            generate([[5], [5]], [1])


def test_a_checkpoint_that_cannot_be_loaded_is_named(checkpoints, tmp_path):
    with pytest.raises(DamagedFileError, match=r"config\.json: missing"):
        draw(tmp_path, decoding(), [1])
    (tmp_path / "config.json").write_bytes((checkpoints["gpt2"] / "config.json").read_bytes())
    with pytest.raises(DamagedFileError, match=rf"{tmp_path}: found no weights"):
        draw(tmp_path, decoding(), [1])
    weights = (checkpoints["gpt2"] / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(DamagedFileError, match=r"model\.safetensors: damaged") as refused:
        draw(tmp_path, decoding(), [1])
    assert "\n" not in str(refused.value)


def test_a_checkpoint_without_some_weight_is_refused(checkpoints, tmp_path):
    network = transformers.AutoModelForCausalLM.from_pretrained(checkpoints["llama"])
    weights = network.state_dict()
    del weights["model.norm.weight"]
    network.save_pretrained(tmp_path, state_dict=weights)
    with pytest.raises(DamagedFileError, match=r"no weights for model\.norm\.weight"):
        draw(tmp_path, decoding(), [1])


def numbered(slots, attempt):
    """Stand for a generator: a sample is a number that slot and attempt decide."""
    numbers = [np.random.default_rng([slot, attempt]).integers(100) for slot in slots]
    return [Sample(np.array([number], np.int32), True) for number in numbers]


def low(slot, sample):
    return sample.tokens[0] < 30


def test_fill_gives_one_accepted_sample_for_each_slot_however_they_are_split_over_jobs():
    whole, *parts = (range(200), range(70), range(70, 200))
    filled = fill(whole, numbered, low, most_attempts=100)
    one, other = (fill(part, numbered, low, most_attempts=100) for part in parts)
    assert tokens(filled.samples) == tokens(one.samples + other.samples)
    assert filled.drawn == one.drawn + other.drawn
    assert len(filled.samples) == 200 and all(map(low, range(200), filled.samples))
    assert filled.acceptance_rate == 200 / filled.drawn
    assert filled.acceptance_rate == pytest.approx(0.3, abs=4 * (0.3**2 * 0.7 / 200) ** 0.5)


def test_fill_draws_refused_slots_again_at_the_next_attempt():
    asked = []

    def even_later(slots, attempt):
        asked.append((list(slots), attempt))
        return [Sample(np.array([slot + attempt]), True) for slot in slots]

    filled = fill([3, 4, 7], even_later, lambda slot, one: one.tokens[0] % 2 == 0, most_attempts=2)
    assert asked == [([3, 4, 7], 0), ([3, 7], 1)]
    assert tokens(filled.samples) == [[4], [4], [8]]
    assert filled.drawn == 5


def test_fill_gives_up_in_one_line():
    def never_the_first(slot, sample):
        return slot > 0

    def constant(slots, attempt):
        return [Sample(np.array([slot]), True) for slot in slots]

    with pytest.raises(SamplingError, match=r"sample 0: none .* 5 attempts.* 9 of 14 .* \(64.3%\)"):
        fill(range(10), constant, never_the_first, most_attempts=5)
    assert fill([], constant, never_the_first, most_attempts=5).samples == []


@pytest.mark.parametrize(
    ("installed", "gpu", "expected"),
    [(True, True, "vllm"), (True, False, "transformers"), (False, True, "transformers")],
)
def test_auto_is_vllm_where_it_is_installed_and_has_a_gpu(monkeypatch, installed, gpu, expected):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if installed else None)
    monkeypatch.setattr(sampling, "_gpu", lambda: gpu)
    assert sampling.backend("auto") == expected
    assert sampling.backend("auto", beams=3) == "transformers"
    assert sampling.backend("transformers") == "transformers"


def test_a_missing_or_unknown_backend_is_refused_in_one_line(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SamplingError, match="vllm is not installed here; install envs/locks"):
        sampling.backend("vllm")
    with pytest.raises(SamplingError, match="found 'hf', expected auto, vllm or transformers"):
        sampling.backend("hf")
    with pytest.raises(SamplingError, match="found vllm, expected auto or transformers with beams"):
        sampling.backend("vllm", beams=3)


def test_a_model_is_freed_when_it_is_closed(checkpoints, monkeypatch):
    """Without a search for cycles, which takes longer than many a generation on CPUs."""
    freed, read = [], transformers.AutoModelForCausalLM.from_pretrained

    def noted(*arguments, **options):
        loaded = read(*arguments, **options)
        weakref.finalize(loaded[0], freed.append, True)
        return loaded

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", noted)
    gc.disable()
    try:
        draw(checkpoints["llama"], decoding(), seeds_of(2))
        draw(checkpoints["gpt2"], decoding(beams=2), seeds_of(2))
    finally:
        gc.enable()
    assert freed == [True, True]


def test_vllm_that_cannot_be_imported_is_refused_in_one_line(checkpoints, monkeypatch):
    for variable in {**by_vllm._VLLM, **by_vllm._VLLM_CPU}:
        monkeypatch.setenv(variable, os.environ.get(variable, "1"))
    monkeypatch.setitem(sys.modules, "vllm", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    with (
        pytest.raises(SamplingError, match="vLLM cannot start: ModuleNotFoundError") as refused,
        opened("vllm", checkpoints["gpt2"], decoding()),
    ):
        pass
    assert "\n" not in str(refused.value)


#: Runs in a process of its own: vLLM reads its environment at import and changes torch.
BY_VLLM = """
import json, sys
import torch
from collapse.text.sampling import Decoding, SamplingError, opened

request = json.load(sys.stdin)
model, seeds, prompts = request["model"], request["seeds"], request["prompts"]
empty = [[]] * len(seeds)
threads = (torch.get_num_threads(), torch.set_num_threads)

def plain(samples):
    return [[sample.tokens.tolist(), sample.ended] for sample in samples]

found = {}
try:
    with opened("vllm", request["damaged"], Decoding(1.0, 24, 0, 1)):
        pass
except SamplingError as error:
    found["refusal"] = str(error)
with opened("vllm", model, Decoding(1.0, 24, 0, 1), batch=64) as generate:
    found["whole"] = plain(generate(empty, seeds))
    found["back"] = plain(generate(empty[:50], seeds[:50][::-1]))[::-1]
    found["prompted"] = plain(generate(prompts, seeds[:len(prompts)]))
how = Decoding(1.5, 2, 0, 1, ignore_end=True, **request["truncation"])
with opened("vllm", model, how, batch=256) as generate:
    found["truncated"] = plain(generate(empty, seeds))
with opened("vllm", model, Decoding(1.0, 24, 0, 1), batch=16) as generate:
    found["again"] = plain(generate(empty[:50], seeds[:50]))
found["restored"] = (torch.get_num_threads(), torch.set_num_threads) == threads
json.dump(found, open(sys.argv[1], "w"))
"""


@pytest.fixture(scope="module")
def drawn_by_vllm(checkpoints, tmp_path_factory):
    if importlib.util.find_spec("vllm") is None:
        pytest.skip("vLLM is not installed")
    folder = tmp_path_factory.mktemp("vllm")
    path, damaged = folder / "found.json", folder / "damaged"
    damaged.mkdir()
    for name in ("config.json", "model.safetensors"):
        (damaged / name).write_bytes((checkpoints["gpt2"] / name).read_bytes())
    config = json.loads((damaged / "config.json").read_text())
    (damaged / "config.json").write_text(json.dumps({**config, "model_type": "none"}))
    request = {
        "damaged": str(damaged),
        "model": str(checkpoints["gpt2"]),
        "seeds": seeds_of(2000),
        "prompts": [[5], [6, END], [7, 8, 9]] * 30,
        "truncation": TRUNCATIONS[-1],
    }
    ran = subprocess.run(
        [sys.executable, "-c", BY_VLLM, str(path)],
        input=json.dumps(request),
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return {**request, **json.loads(path.read_text()), "stderr": ran.stderr, "stdout": ran.stdout}


def test_vllm_draws_from_the_model(checkpoints, drawn_by_vllm):
    # These samples stop at their end, which is one of the tokens drawn.
    rows = [[*row, END, END][:2] for row, _ in drawn_by_vllm["whole"]]
    check_two_tokens(checkpoints["gpt2"], 1.0, rows)


def test_vllm_draws_among_the_likeliest_at_the_temperature(checkpoints, drawn_by_vllm):
    rows = [row for row, _ in drawn_by_vllm["truncated"]]
    check_two_tokens(checkpoints["gpt2"], 1.5, rows, **drawn_by_vllm["truncation"])


def test_vllm_ends_at_its_end_or_is_cut_off(drawn_by_vllm):
    whole = drawn_by_vllm["whole"]
    assert all(END not in row for row, _ in whole)
    assert all(len(row) < 24 if ended else len(row) == 24 for row, ended in whole)
    assert 0.1 < np.mean([ended for _, ended in whole]) < 0.9
    assert all(len(row) == 2 and not ended for row, ended in drawn_by_vllm["truncated"])
    prompted = zip(drawn_by_vllm["prompts"], drawn_by_vllm["prompted"], strict=True)
    for prompt, (row, ended) in prompted:
        assert row[: len(prompt)] == prompt
        assert END not in row[len(prompt) :]
        assert len(row) < 24 if ended else len(row) == 24


def test_vllm_samples_depend_on_their_seed_alone(drawn_by_vllm):
    assert drawn_by_vllm["back"] == drawn_by_vllm["whole"][:50]
    assert drawn_by_vllm["again"] == drawn_by_vllm["whole"][:50]
    long = [tuple(row) for row, _ in drawn_by_vllm["whole"] if len(row) > 12]
    assert len(long) > 500 and len({*long}) == len(long)


def test_vllm_leaves_the_process_as_it_was(drawn_by_vllm):
    assert drawn_by_vllm["restored"]
    about = [line for line in drawn_by_vllm["stdout"].splitlines() if "repo_utils" not in line]
    assert about == []  # it logs more of the checkpoint that it refuses
    assert "INFO" not in drawn_by_vllm["stderr"], drawn_by_vllm["stderr"]


def test_vllm_that_cannot_start_says_so_in_one_line(drawn_by_vllm):
    assert f"{drawn_by_vllm['damaged']}: vLLM cannot start" in drawn_by_vllm["refusal"]
    assert "\n" not in drawn_by_vllm["refusal"]
