"""Fine-tuning: bases, pairs, the tuning of a copy of the base, samples, and the mixture grid."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file  # noqa: E402

from collapse import study as studies  # noqa: E402
from collapse.data.text import pairs, questions, tokenizing, tokens  # noqa: E402
from collapse.data.text.tokenizing import OWN, Special  # noqa: E402
from collapse.errors import JobError  # noqa: E402
from collapse.families.fine_tuning import architectures, prompts, training  # noqa: E402
from collapse.families.fine_tuning.base import Base  # noqa: E402
from collapse.families.fine_tuning.evaluation import of_questions  # noqa: E402
from collapse.families.fine_tuning.generation import Writer  # noqa: E402
from collapse.families.fine_tuning.parameters import Parameters  # noqa: E402
from collapse.families.fine_tuning.work import FineTuningWork  # noqa: E402
from collapse.families.step_jobs import TrainJob  # noqa: E402
from collapse.loop import steps  # noqa: E402
from collapse.loop.branches import Branches  # noqa: E402
from collapse.study.names import text_of  # noqa: E402
from collapse.text import checkpoints, stored_tokens, trainable  # noqa: E402
from collapse.text.evaluation import cross_entropy, of_samples  # noqa: E402
from collapse.text.prompted import Answered  # noqa: E402
from collapse.text.sampling import Sample, SamplingError  # noqa: E402
from collapse.text.stored_tokens import IGNORED  # noqa: E402
from interrupting import stopped_halfway  # noqa: E402
from refusing import configured, load, refused  # noqa: E402
from stepping import Loop  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

SETTINGS = {
    "pairs": 300,
    "test_pairs": 100,
    "base_stories": 150,
    "vocabulary": 400,
    "epochs": 8.0,
    "batch": 8,
    "learning_rate": 3e-3,
    "curve_points": 3,
}
#: How much real and synthetic data iteration 2 is trained on.
MIXTURE = {"mixture": {"keep_real": 20, "memory": 1, "generate": 30}}


def loop(regime="replace", settings=None, **experiment):
    given = {**SETTINGS, **(settings or {})}
    return Loop(
        family="fine_tuning", regime=regime, iterations=2,
        **{"samples": 120, "settings": given, **experiment},
    )  # fmt: skip


# Bases.


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("gemma-2-2b", 2_614_341_888),
        ("gemma-2-9b", 9_241_705_984),
        ("gemma-2-27b", 27_227_128_320),
    ],
)
def test_the_published_bases_have_the_published_numbers_of_parameters(name, count):
    shape = architectures.shape(name, 0)
    assert shape.parameters == count
    described = transformers.Gemma2Config(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        intermediate_size=shape.feed_forward,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        head_dim=shape.head,
    )
    with torch.device("meta"):
        network = transformers.AutoModelForCausalLM.from_config(described)
    assert checkpoints.parameter_count(network) == count


def test_a_base_is_built_in_on_the_hub_or_in_a_folder(gemma):
    assert architectures.is_built_in("stories") and architectures.folder("stories") is None
    assert architectures.on_hub("gemma-2-2b") == "google/gemma-2-2b"
    assert architectures.on_hub("hub:a/b") == "a/b" and architectures.folder("hub:a/b") is None
    assert architectures.folder(str(gemma)) == gemma
    counted = checkpoints.parameter_count(checkpoints.read(gemma))
    assert architectures.shape(str(gemma), 0).parameters == counted
    assert architectures.shape("hub:a/b", 0) is None


@pytest.fixture(scope="module")
def gemma(tmp_path_factory):
    """A randomly initialised checkpoint of Gemma-2's architecture, with ids of its own."""
    folder = tmp_path_factory.mktemp("gemma")
    drawn = questions.draw(500, np.random.default_rng(0))
    tokenizing.train(map(pairs.render, drawn), 400, folder)
    path = folder / "tokenizer.json"
    described = json.loads(path.read_text())
    # As in Gemma, where EOS is 1 and BOS is 2.
    described["model"]["vocab"] |= {"</s>": 1, "<s>": 2}
    for token in described["added_tokens"]:
        token["id"] = described["model"]["vocab"][token["content"]]
    described["added_tokens"].sort(key=lambda token: token["id"])
    path.write_text(json.dumps(described))
    torch.manual_seed(0)
    config = transformers.Gemma2Config(
        vocab_size=400,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        query_pre_attn_scalar=32,
        max_position_embeddings=256,
        sliding_window=32,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=2,
    )
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


@pytest.fixture
def broken(gemma, tmp_path):
    return shutil.copytree(gemma, tmp_path / "broken")


def test_attention_keeps_the_soft_capping_of_gemma(gemma):
    network = checkpoints.read(gemma)
    assert network.config._attn_implementation == "eager"
    network.config.attn_logit_softcapping = None
    assert checkpoints.attention(network.config) == "sdpa"


def cut_off(name):
    return lambda folder: (folder / name).write_text("{")


TOKENIZER, WEIGHTS = "tokenizer_config.json", "model.safetensors"
NO_WEIGHTS = "found no weights, expected at least one file *.safetensors"


@pytest.mark.parametrize(
    ("damage", "settings", "said"),
    [
        (configured(TOKENIZER, eos_token=None), {}, "the base's tokenizer has no EOS token; name"),
        (configured(TOKENIZER, pad_token=None), {}, "the base's tokenizer has no PAD token; name"),
        (configured(TOKENIZER, chat_template="{{ x }}"), {}, "the base has a chat template, so it"),
        (configured("config.json", vocab_size=399), {}, "the tokenizer has 400 tokens, expected"),
        (lambda folder: None, {"context": 257}, "context is 257, expected at most the model's 256"),
        (lambda folder: (folder / WEIGHTS).unlink(), {}, NO_WEIGHTS),
        (cut_off("tokenizer.json"), {}, "the tokenizer can't be loaded"),
        (configured(TOKENIZER, eos_token="<end>"), {}, "found '<end>' as EOS token, expected one"),
        (lambda folder: (folder / "tokenizer.json").unlink(), {}, "found no fast tokenizer, exp"),
        (configured("config.json", intermediate_size=64), {}, "the checkpoint doesn't match its c"),
        (lambda folder: (folder / WEIGHTS).write_bytes(b"x" * 99), {}, "the checkpoint can't be l"),
        (cut_off("config.json"), {}, "the configuration can't be loaded"),
    ],
)
def test_a_base_that_cannot_be_tuned_is_refused_in_one_line(
    broken, damage, settings, said, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    damage(broken)
    tuned = loop(settings={"base": str(broken), **settings})
    with pytest.raises(JobError) as refused:
        tuned.prepare()
    assert str(refused.value).startswith(f"{broken}: {said}")
    assert "\n" not in str(refused.value)
    assert not Path(tuned.data).exists()


SMALL = {
    "vocab_size": 400,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
UNTRAINABLE = "can't be trained as a causal language model"


@pytest.mark.parametrize(
    ("architecture", "options", "said"),
    [
        ("Llama", {}, None),
        ("GPT2", {"tie_word_embeddings": True}, None),
        ("Bert", {"is_decoder": True}, None),
        ("Bert", {}, "found BertLMHeadModel whose tokens attend to later ones, expected a causal"),
        ("Roberta", {}, "found RobertaForCausalLM whose tokens attend to later ones"),
        (
            "Gemma3Text",
            {"use_bidirectional_attention": True, "head_dim": 16, "num_key_value_heads": 1},
            "found Gemma3ForCausalLM whose tokens attend to later ones",
        ),
        ("Bloom", {}, f"{UNTRAINABLE} (ValueError: BloomForCausalLM does not support"),
        ("Mamba", {}, f"{UNTRAINABLE} (ValueError: MambaForCausalLM does not support"),
        ("T5", {"d_model": 32}, f"{UNTRAINABLE} (ValueError: Unrecognized configuration"),
    ],
)
@pytest.mark.parametrize("reduced", [False, True])
def test_only_a_causal_model_can_be_a_base(
    architecture, options, said, reduced, tmp_path, monkeypatch
):
    """Also of an architecture that is checked with fewer layers, since it is too large."""
    if reduced:
        monkeypatch.setattr(trainable, "_SMALL", 0)
    config = getattr(transformers, f"{architecture}Config")(**{**SMALL, **options})
    kinds = ("AutoModelForCausalLM", "AutoModelForSeq2SeqLM")
    made = getattr(transformers, kinds[architecture == "T5"]).from_config(config)
    made.save_pretrained(tmp_path)
    if said is None:
        trainable.check(tmp_path)
        return
    with pytest.raises(JobError) as refused:
        trainable.check(tmp_path)
    assert str(refused.value).startswith(f"{tmp_path}: {said}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["LlamaTokenizerFast", "GPT2Tokenizer", "BertTokenizerFast"])
def test_the_tokenizer_of_a_base_is_its_own_whatever_its_class(broken, name, monkeypatch, tmp_path):
    """With most classes transformers builds another one from the vocabulary."""
    monkeypatch.chdir(tmp_path)
    own = tokenizing.load(broken)
    configured(TOKENIZER, tokenizer_class=name)(broken)
    tuned = loop(settings={"base": str(broken)})
    tuned.prepare()
    folder = Path(tuned.data) / "tokenizer"
    assert (folder / "tokenizer.json").read_text() == (broken / "tokenizer.json").read_text()
    loaded = transformers.AutoTokenizer.from_pretrained(folder)
    assert (loaded.pad_token_id, loaded.eos_token_id, loaded.bos_token_id) == (0, 1, 2)
    text = "user: what is 0 plus 0?\nassistant: say 😀 你好"
    assert loaded.encode(text, add_special_tokens=False) == own.encode(text).ids
    for row in parquet.read_table(Path(tuned.data) / "train.parquet").to_pylist():
        assert own.decode(row["tokens"], skip_special_tokens=False) == row["text"]


def test_pairs_that_the_tokenizer_alters_are_refused_or_left_out(broken, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    lower = {"type": "Replace", "pattern": {"String": "A"}, "content": "a"}
    configured("tokenizer.json", normalizer=lower)(broken)
    with pytest.raises(JobError, match="of 300 documents are not given back by the tokenizer"):
        loop(settings={"base": str(broken)}).prepare()
    tuned = loop(settings={"base": str(broken), "altered_pairs": "drop"}, samples=5)
    tuned.prepare()
    found = details()["train"]
    assert found["altered"] > 0 and found["altered"] + found["documents"] == 300
    assert "entropy_floor" not in details()


@pytest.mark.parametrize(
    "damage",
    [
        configured("config.json", temperature=0.6, top_p=0.9),
        lambda folder: (folder / "generation_config.json").write_text('{"temperature": 0.6}'),
        cut_off("generation_config.json"),
    ],
)
def test_what_a_base_says_of_generation_matters_to_nothing(broken, damage, tmp_path):
    """Llama-2 names a temperature that it does not use, which transformers refuses to save."""
    damage(broken)
    trainable.check(broken)
    network = checkpoints.read(broken)
    checkpoints.save(network, tmp_path / "tuned", broken)
    again = checkpoints.read(tmp_path / "tuned")
    assert again.generation_config.temperature in (None, 1.0)
    assert again.generation_config.eos_token_id == 1


def test_a_chat_template_may_be_ignored(broken, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    configured(TOKENIZER, chat_template="{{ x }}")(broken)
    tuned = loop(settings={"base": str(broken), "chat_template": "ignore"})
    tuned.prepare()
    assert (Path(tuned.data) / "dataset.json").exists()


def test_a_base_that_is_not_there_is_said_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(JobError, match=r"^hub:google/gemma-2-2b: neither on the Hub nor in its"):
        loop(settings={"base": "gemma-2-2b"}).prepare()


def test_a_base_that_is_gone_is_missed(ran):
    Path(ran.base, "model", "config.json").unlink()
    said = rf"^{ran.base}/model: the base model is missing; .*--force {ran.base}$"
    with pytest.raises(JobError, match=said):
        ran.train(1)


def test_experiments_start_from_one_base_if_they_name_the_same():
    """Whatever their pairs are, and whatever else they set that the base does not depend on."""
    same = [
        loop(),
        loop(settings={"pairs": 50, "learning_rate": 1e-3}, grid={"temperature": [0.5]}),
    ]
    others = [
        loop(settings={name: value})
        for name, value in {
            "base_stories": 400,
            "vocabulary": 500,
            "context": 100,
            "precision": "float32",
        }.items()
    ]
    assert same[0].base == same[1].base
    assert len({one.base for one in [*same, *others]}) == 1 + len(others)
    first, second = (one.branches.base(one.point) for one in same)
    assert first == second and first.experiment != "loop"  # nor do its random streams name one


def test_an_interrupted_pretraining_goes_on_to_the_same_base(ran, monkeypatch):
    whole = weights(f"{ran.base}/model")
    shutil.rmtree(ran.base)
    begun = stopped_halfway(monkeypatch)
    with pytest.raises(JobError, match="training stopped by SIGTERM after step"):
        ran.pretrain()
    assert not Path(ran.base).exists()
    ran.pretrain()
    assert begun == sorted(set(begun))  # no step was done twice
    again = weights(f"{ran.base}/model")
    assert all(torch.equal(again[name], values) for name, values in whole.items())
    assert not list(Path("results/bases").glob(".*"))


# A chain on the built-in base.


def first_run():
    """Run an iteration up to its model."""
    tuned = loop()
    tuned.prepare()
    tuned.assemble(1)
    tuned.train(1)
    return tuned


def weights(folder):
    return load_file(Path(folder) / "model.safetensors")


def details():
    return json.loads(Path("results/loop/data/any/dataset.json").read_text())["details"]


def test_the_built_in_base_has_read_stories_and_not_yet_questions(ran):
    base = Base(Path(ran.base, "model"), OWN, "")
    network = checkpoints.load(base.path)
    test = stored_tokens.in_memory(tokens.read(Path("results/loop/data/any/test.parquet")))
    before = cross_entropy(network, test)
    after = cross_entropy(checkpoints.load(Path(ran.chain().model(1))), test)
    assert details()["entropy_floor"] < after < before - 1
    assert before < math.log(400)
    assert not list(Path("results/loop/data/any").glob("tmp*"))


def test_the_record_of_a_training_tells_its_curve_and_what_it_used(ran):
    trained = json.loads(Path(ran.chain().training(1)).read_text())
    assert trained["pairs"] == 120 and trained["left_out"] == 0
    assert trained["steps"] == 8 * math.ceil(120 / 8)
    assert trained["base"] == details()["base"]["sha256"]
    losses = [point["test_loss"] for point in trained["curve"]]
    assert len(losses) == 3 and losses[-1] < losses[0]


def test_metrics_are_within_their_bounds(ran):
    ran.generate(1)
    ran.evaluate(1)
    found = json.loads(Path(ran.chain().metrics(1)).read_text())
    assert found["perplexity"] == pytest.approx(math.exp(found["test_cross_entropy"]))
    assert found["entropy_floor"] < found["test_cross_entropy"]
    assert 0 < found["acceptance_rate"] <= 1 and found["truncated_share"] == 0


def test_samples_are_well_formed_pairs_tokenised_as_real_ones(ran):
    ran.generate(1)
    (shard,) = ran.chain().shards(1)
    table = parquet.read_table(shard.path)
    assert table.schema.equals(parquet.read_schema(Path(ran.data) / "train.parquet"))
    assert len(table) == 120
    decoder = tokenizing.load(Path(ran.data) / "tokenizer")
    for row in table.to_pylist():
        assert pairs.parse(row["text"]) is not None and row["ended"]
        assert tokenizing.encode(decoder, row["text"], pairs.head) == (
            row["tokens"],
            row["head_tokens"],
        )
        assert len(row["tokens"]) + 2 <= 128
    assert len(set(table["text"].to_pylist())) > 110
    record = json.loads(Path(shard.record).read_text())["details"]
    assert record["drawn"] == 120 + sum(record["refused"].values())


def test_seeds_that_are_shared_make_copies(ran):
    """Mistake 2 of the published code."""
    tuned = loop(settings={"samples_per_seed": 4})
    tuned.generate(1)
    texts = parquet.read_table(tuned.chain().shards(1)[0].path)["text"].to_pylist()
    assert all(len(set(texts[first : first + 4])) == 1 for first in range(0, 120, 4))
    assert len(set(texts)) > 25


def test_cut_off_samples_may_be_given_an_end(ran):
    """Mistake 4 of the published code; by default they are drawn anew."""
    short = {"context": 52}  # shorter than many pairs; the tests of data have refused them
    found = {}
    for truncated in ("redraw", "end"):
        tuned = loop(settings={**short, "truncated": truncated})
        shutil.rmtree(Path(tuned.chain().shards(1)[0].path).parent, ignore_errors=True)
        tuned.generate(1)
        (shard,) = tuned.chain().shards(1)
        table = parquet.read_table(shard.path)
        assert all(table["ended"].to_pylist())
        assert max(map(len, table["tokens"].to_pylist())) <= 50
        found[truncated] = json.loads(Path(shard.record).read_text())["details"]
    assert found["redraw"]["truncated"] == 0 and found["redraw"]["refused"]["truncated"] > 5
    assert found["end"]["truncated"] > 5 and "truncated" not in found["end"]["refused"]


def test_a_model_that_writes_no_pair_is_given_up_in_one_line(gemma, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    tuned = loop(
        settings={"base": str(gemma), "attempts": 2, "context": 52, "long_pairs": "drop"}, samples=4
    )
    tuned.prepare()
    tuned.assemble(1)
    shutil.copytree(gemma, tuned.chain().model(1))
    said = r"^sample 0: none accepted in 2 attempts.* 0 of 8 drawn were accepted \(0.0%\)$"
    with pytest.raises(SamplingError, match=said):
        tuned.generate(1)
    assert not list(Path().rglob("*.partial"))
    tuned = loop(
        settings={**ASKED, "base": str(gemma), "attempts": 1, "context": 52, "long_pairs": "drop"},
        samples=4,
    )
    said = r"^sample \d: none .*; its prompt leaves \d+ tokens, and prompt_tokens passes over long"
    with pytest.raises(SamplingError, match=said):
        tuned.generate(1)


def test_every_kind_of_bad_sample_is_refused_and_counted(ran):
    tokenizer = Path(ran.data) / "tokenizer"
    encode = tokenizing.load(tokenizer).encode

    def sample(text, ended=True, extra=()):
        ids = [*encode(text, add_special_tokens=False).ids, *extra]
        return Sample(np.array(ids, np.int32), ended)

    good = sample("user: Hi.\nassistant: Yes.")
    bad = [
        sample("user: Hi.\nassistant: Yes.", ended=False),
        sample("user: Hi.\nassistant: "),
        sample("user: \nassistant: Yes."),
        sample("er: Hi.\nassistant: Yes."),
        sample("user: Hi."),
        sample("user: Hi.\nassistant: Yes.", extra=[OWN.pad]),
        sample("user: Hi.\nassistant: \ufffd"),
        sample(""),
    ]
    writer = Writer(tokenizer, Parameters(context=60))
    assert writer.accepts(good) and not any(map(writer.accepts, bad))
    assert writer.refused == {"malformed": 7, "truncated": 1}
    head, other = "user: Hi.\nassistant: ", sample("user: Hi.\nassistant:Yes\nassistant: no")
    assert writer.accepts(good, head) and writer.accepts(other)
    assert not writer.accepts(other, head)  # which is a pair with another prompt
    assert writer.refused == {"malformed": 8, "truncated": 1}


def test_samples_too_long_when_tokenised_again_are_drawn_anew_or_left_out(ran, tmp_path):
    """Mistake 4 of the published code, its other half."""
    tokenizer = shutil.copytree(Path(ran.data) / "tokenizer", tmp_path / "tokenizer")
    path = tokenizer / "tokenizer.json"
    described = json.loads(path.read_text())
    described["model"]["vocab"] |= {"xq": 400, "qj": 401, "qjz": 402}
    described["model"]["merges"] += [["x", "q"], ["q", "j"], ["qj", "z"]]
    path.write_text(json.dumps(described))
    encoder = tokenizing.load(tokenizer)
    ids = encoder.encode("user: xqjz\nassistant: Yes.", add_special_tokens=False).ids
    place = ids.index(400)
    assert encoder.decode(ids[place : place + 3]) == "xqjz"
    drawn = [*ids[:place], encoder.token_to_id("x"), 402, *ids[place + 3 :]]
    sample = Sample(np.array(drawn, np.int32), True)
    context = len(drawn) + 2
    redrawing = Writer(tokenizer, Parameters(context=context))
    assert not redrawing.accepts(sample) and redrawing.refused == {"long": 1}
    dropping = Writer(tokenizer, Parameters(context=context, long_samples="drop"))
    assert dropping.accepts(sample)
    dropping.write([sample], Path("long.parquet"))
    tables = list(tokens.read(Path("long.parquet"), columns=("tokens", "ended", "head_tokens")))
    fitting = training._Fitting(tables, context)
    assert [len(table) for table in fitting] == [0] and fitting.left_out == 1


# Answers to the prompts of real pairs.

ASKED = {"start": "prompt"}


def answers(start, stop, regime=None, **settings):
    """Answer the prompts of some slots, by the model of the first run; return its record, too."""
    tuned = loop(settings={**ASKED, **settings})
    steps.generate(
        "answers.parquet", "answers.json", tuned.step(1, "generation"), start=start, stop=stop,
        model=tuned.chain().model(1), data=tuned.data, **(regime or {}),
    )  # fmt: skip
    details = json.loads(Path("answers.json").read_text())["details"]
    return parquet.read_table("answers.parquet"), details


def asked(tuned, most=10**9):
    """Return the texts before responses of real training pairs, in the order of the seed."""
    real = parquet.read_table(Path(tuned.data) / "train.parquet").to_pylist()
    order = tuned.step(1, "generation").order_of_real_data(len(real))
    return [head(real[row]["text"]) for row in order if real[row]["head_tokens"] <= most]


def head(text):
    return text[: pairs.head(text)]


def test_samples_answer_the_real_prompts_of_their_slots(ran):
    """In whatever parts they are written, and from the first prompt again after the last."""
    most = 30
    prompts = asked(ran, most)
    last = len(prompts)
    assert 20 < last < 60
    table, record = answers(0, last + 1, prompt_tokens=most)
    assert record["prompts"] == {"pairs": last, "long": 300 - last}
    assert table.schema.equals(parquet.read_schema(Path(ran.data) / "train.parquet"))
    texts = table["text"].to_pylist()
    assert [head(text) for text in texts] == [*prompts, prompts[0]]
    decoder = tokenizing.load(Path(ran.data) / "tokenizer")
    for row in table.to_pylist():
        again = tokenizing.encode(decoder, row["text"], pairs.head)
        assert again == (row["tokens"], row["head_tokens"]) and row["ended"]
    real = parquet.read_table(Path(ran.data) / "train.parquet")["text"].to_pylist()
    assert len(set(texts) - set(real)) > last / 2
    for start, stop in ((0, 7), (7, last), (last, last + 1)):
        part, _ = answers(start, stop, prompt_tokens=most)
        assert part.equals(table.slice(start, stop - start))
    with pytest.raises(JobError, match=r"prompt_tokens is 3, expected at least the \d+ tokens of"):
        answers(0, 1, prompt_tokens=3)


def test_a_prompt_tells_nothing_of_the_real_response(ran):
    """Such as whether the space before it has a token of its own, unless no loss has learned it."""
    job = ran.step(1, "generation")
    decoder = tokenizing.load(Path(ran.data) / "tokenizer")
    heads = asked(ran)
    spaces = set()
    for loss, known in (("whole", False), ("response", True)):
        given = prompts.read(Path(ran.data), job, range(300), Parameters(loss=loss))
        for slot, prompt in given.of_slots.items():
            assert prompt.head == heads[slot]
            said = decoder.decode(list(prompt.tokens))
            assert said in ((heads[slot], heads[slot][:-1]) if known else (heads[slot][:-1],))
            spaces.add((loss, said[-1]))
    assert spaces == {("whole", ":"), ("response", ":"), ("response", " ")}


def test_what_is_drawn_again_answers_the_same_prompt(ran, monkeypatch):
    once, _ = answers(0, 6)
    refused = set()

    def accepts(self, sample, head=""):
        if head in refused:
            return accepting(self, sample, head)
        return refused.add(head)

    accepting = Writer.accepts
    monkeypatch.setattr(Writer, "accepts", accepts)
    again, record = answers(0, 6)
    assert len(refused) == 6 and record["drawn"] >= 12
    before, after = (table["text"].to_pylist() for table in (once, again))
    assert list(map(head, before)) == list(map(head, after)) == asked(ran)[:6]
    assert before != after


@pytest.mark.parametrize("score", ["log_likelihood", "length"])
def test_candidates_answer_one_prompt_and_are_scored_by_their_answers(ran, score):
    select = {"score": score, "select": {"score": score, "candidates": 3}}
    table, _ = answers(0, 6, select)
    assert [head(text) for text in table["text"].to_pylist()] == asked(ran)[:6]
    network = checkpoints.load(Path(ran.chain().model(1)))
    for row in table.to_pylist():
        whole = torch.tensor([OWN.bos, *row["tokens"], OWN.eos])
        with torch.no_grad():
            log = network(whole[None, :-1]).logits[0].log_softmax(-1)
        found = log.gather(1, whole[1:, None])[row["head_tokens"] :]
        expected = {"log_likelihood": float(found.mean()), "length": len(found) - 1}
        assert row["score"] == pytest.approx(expected[score], rel=1e-4)


def test_the_next_model_trains_on_answers_and_metrics_are_of_these(ran):
    settings = {**ASKED, "later_steps": 2, "judged": 30}
    answers_alone = {"mixture": {"keep_real": 0, "memory": 1, "generate": 30}}
    tuned = loop("mixture", settings, regimes=answers_alone, shard_size=30)
    for step, t in (("generate", 1), ("evaluate", 1), ("assemble", 2), ("train", 2)):
        getattr(tuned, step)(t)
    (shard,) = tuned.chain().shards(1)
    table = parquet.read_table(shard.path)
    trained = json.loads(Path(tuned.chain().training(2)).read_text())
    written = [*map(len, table["tokens"].to_pylist())]
    assert trained["pairs"] == 30 and trained["tokens"] == sum(written) + 2 * 30
    found = json.loads(Path(tuned.chain().metrics(1)).read_text())
    own = np.subtract(written, table["head_tokens"].to_pylist())
    assert found["mean_length"] == pytest.approx(own.mean())
    assert found["mean_length_of_data"] < 12 < np.mean(written) / 2
    real = set(asked(ran))
    answered = [pairs.parse(text) for text in table["text"].to_pylist()]
    right = [questions.is_correct(*pair) for pair in answered]
    assert found["correct_share"] == np.mean(right)
    assert all(head(text) in real for text in table["text"].to_pylist())
    assert not {"question_share", "mode_coverage", "mode_distance"} & {
        name for name, value in found.items() if not math.isnan(value)
    }


def test_responses_that_are_alike_are_copies_of_each_other_and_pairs_of_training_pairs():
    layout = tokens.schema(400, head=True)

    def table(*given):
        rows = [{"tokens": [*prompt, *own], "text": "", "ended": True, "head_tokens": len(prompt)}
                for prompt, own in given]  # fmt: skip
        return pa.Table.from_pylist(rows, layout)

    samples = table(([5], [20, 21]), ([7, 8], [20, 21]), ([5, 6, 7], [22, 23]), ([9], [24]))
    found = of_samples(
        samples,
        training_set=[table(([7, 8], [20, 21]), ([1], [22, 23]))],
        test=[table(([1, 2], [3]), ([1], [3, 4, 5]))],
        prompted=Answered(),
    )
    assert found["copied_share"] == 0.25  # the same response to another prompt is none
    # Of two of four samples, of which one pair of six is alike; they have three pairs of tokens.
    assert found["duplicate_rate"] == pytest.approx(1 / 6 / 2)
    assert found["distinct_2"] == pytest.approx((1.5 - 1 / 6) / 1.5)
    assert found["mean_length"] == 1.75 and found["mean_length_of_data"] == 2


def test_prompts_are_work_but_not_one_token_after_the_other():
    network = FineTuningWork(Parameters()).network
    whole, given = network.sampling(10, 25, 25), network.sampling(10, 5, 5, prompt=20)
    assert given.flops == whole.flops and given.calls == whole.calls / 5
    apart = network.sampling(10, 5, 5, prompt=20, parts=3)
    assert apart.calls == 3 * given.calls and apart.flops == given.flops
    plain, prompted = (FineTuningWork(Parameters(**kind)) for kind in ({}, ASKED))
    assert prompted.generate(5000).flops < plain.generate(5000).flops
    assert prompted.generate(0).flops == 0


# Tuning.


def rows(lengths):
    """Return pairs of random tokens, whose prompts have 4."""
    generator, count = np.random.default_rng(0), len(lengths)
    ids = [generator.integers(3, 400, size).tolist() for size in lengths]
    heads = pa.array([4] * count, pa.int32())
    return [pa.table({"tokens": ids, "ended": [True] * count, "head_tokens": heads})]


def stored(count):
    return stored_tokens.in_memory(rows(np.arange(count) % 3 + 12), Special(0, 2, 1))


def task(model, documents, batch=4, responses=False):
    return training.Tuning(
        model, documents, documents, batch=batch, responses=responses, shuffle=np.random.default_rng
    )


def test_an_epoch_has_every_pair_once():
    documents = stored(10)
    found = task(None, documents)
    assert found.steps_per_epoch == 3
    for epoch in (0, 1):
        rows = [found.batch(3 * epoch + step)["input_ids"] for step in range(3)]
        assert [len(part) for part in rows] == [4, 4, 2]
        seen = sorted(tuple(row[row != 0].tolist()) for part in rows for row in part)
        each = np.split(documents.tokens, documents.bounds[1:-1])
        assert seen == sorted(tuple(one.tolist()) for one in each)
    assert not torch.equal(found.batch(0)["input_ids"], found.batch(3)["input_ids"])


@pytest.mark.parametrize("responses", [False, True])
def test_the_loss_is_of_the_whole_sequence_or_of_the_response(gemma, responses):
    documents = stored(5)
    network = checkpoints.read(gemma).eval()
    found = task(network, documents, batch=5, responses=responses)
    rows = found.batch(0)
    with torch.no_grad():
        mean = float(found.loss(network, rows)) / found.weight(rows)
        expected, count = 0.0, 0
        for number in range(5):
            ids = documents.tokens[documents.bounds[number] : documents.bounds[number + 1]]
            log = network(torch.tensor(ids[None].astype(np.int64))).logits[0].log_softmax(-1)
            first = 4 + 1 if responses else 1  # BOS and the head are given
            for place in range(first, len(ids)):
                expected -= float(log[place - 1, int(ids[place])])
                count += 1
    assert found.weight(rows) == count
    assert mean == pytest.approx(expected / count, rel=1e-5)
    assert mean == pytest.approx(found.test_loss(network), rel=1e-5)


def test_documents_without_heads_have_no_responses():
    documents = stored(2)._replace(heads=None)
    with pytest.raises(ValueError, match="without heads"):
        stored_tokens.padded(documents, np.arange(2), responses=True)
    assert int((stored_tokens.padded(documents, np.arange(2))["labels"] != IGNORED).sum()) == 27


def tuned(base, tmp_path, documents, t=2, **settings):
    """Weights before and after a tuning by itself."""
    parameters = Parameters(base=str(base), context=64, curve_points=0, **settings)
    chain = Loop(family="fine_tuning", iterations=2, settings={"base": str(base)})
    for name in ("model", "tokenizer"):
        (tmp_path / name).mkdir(parents=True)
    job = TrainJob(
        step=chain.step(t, "training"), parameters=parameters, data=tmp_path, selections=[],
        fingerprint="x", scratch=tmp_path / "scratch", model=tmp_path / "model",
    )  # fmt: skip
    record = training.train(
        job, documents, base=Base(base, Special(0, 2, 1), "x"),
        test=documents or rows([9] * 4), tokenizer=tmp_path / "tokenizer",
    )  # fmt: skip
    return record, weights(base), weights(tmp_path / "model")


def test_trained_on_nothing_a_model_is_the_base(gemma, tmp_path):
    record, before, after = tuned(gemma, tmp_path, [])
    assert record["steps"] == 0 and record["pairs"] == 0
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("t", "settings", "steps", "warmup"),
    [
        (1, {"later_steps": 7, "later_warmup_steps": 5}, 6, 3),
        (2, {"later_steps": 7, "later_warmup_steps": 5}, 7, 5),
        (2, {"later_warmup_steps": 16}, 6, 16),
        (2, {}, 6, 3),
    ],
)
def test_later_iterations_may_have_steps_of_their_own(t, settings, steps, warmup):
    """The control of a mixture grid: mistake 7 of the published code."""
    parameters = Parameters(epochs=2.0, warmup=0.5, **settings)
    step = Loop(family="fine_tuning", iterations=2).step(t, "training")
    found = training._optimisation(step, parameters, steps_per_epoch=3)
    assert (found.steps, found.warmup_steps) == (steps, warmup)


def test_weights_in_16_bits_lose_small_updates(gemma, tmp_path):
    """Mistake 5 of the published code: at its learning rate most updates are rounded away."""
    moved = {}
    for kind in ("float32", "bfloat16"):
        folder = tmp_path / kind
        _, before, after = tuned(
            gemma, folder, rows([9] * 32), weights=kind, learning_rate=8e-6, epochs=4.0, batch=8
        )
        name = "model.layers.0.mlp.up_proj.weight"
        moved[kind] = float((before[name].to(after[name].dtype) != after[name]).float().mean())
    assert moved["float32"] > 0.99
    assert moved["bfloat16"] < 0.5


def test_checkpointing_changes_no_number(gemma, tmp_path):
    found = []
    for number, checkpointing in enumerate((False, True)):
        folder = tmp_path / str(number)
        settings = {"gradient_checkpointing": checkpointing, "micro_batch": 3, "batch": 8}
        found.append(tuned(gemma, folder, rows([9] * 16), **settings)[2])
    for name, one in found[0].items():
        torch.testing.assert_close(one, found[1][name], rtol=1e-5, atol=1e-7)


# What is known of questions.


def test_real_pairs_are_right_and_wrong_answers_are_not():
    drawn = questions.draw(300, np.random.default_rng(0))
    found = of_questions([pairs.render(pair) for pair in drawn])
    assert found["question_share"] == found["correct_share"] == 1
    # As well as perfect samples of the same number, of which some shapes are missing by chance.
    for name in ("mode_coverage", "mode_distance"):
        assert abs(found[name] - found[f"{name}_of_data"]) < 0.02
    shifted = [pair._replace(response="I don't know.") for pair in drawn]
    assert of_questions([pairs.render(pair) for pair in shifted])["correct_share"] == 0
    none = of_questions(["user: Hi.\nassistant: Yes."])
    assert none["question_share"] == 0 and math.isnan(none["correct_share"])


# Studies.


@pytest.mark.parametrize(
    ("experiment", "said"),
    [
        (
            {"grid": {"base": "gemma-3"}},
            "grid.base: found gemma-3, expected stories, gemma-2-2b, gemma-2-9b, gemma-2-27b, "
            "hub:<owner>/<name>, or a folder with a checkpoint's config.json",
        ),
        (
            {"settings": {"data": "missing.jsonl"}},
            "settings.data: found missing.jsonl, expected questions, helpsteer2, hub:<owner>/",
        ),
        (
            {"settings": {"context": 300}},
            "settings.context: found 300, expected at most the 256 positions of the built-in base",
        ),
        (
            {"grid": {"temperature": [0.001]}},
            "grid.temperature: found 0.001, expected 0 (the likeliest token) or at least 0.01",
        ),
        (
            {"settings": {"beams": 2}},
            "settings.truncated: found redraw, expected end with beams, which would find the same",
        ),
        (
            {"settings": {**ASKED, "prompt_tokens": 126}},
            "settings.prompt_tokens: found 126, expected fewer than context - 2 = 126",
        ),
        (
            {"settings": {"prompt_tokens": 50}},
            "settings.prompt_tokens: found 50, expected null with start: bos",
        ),
        (
            {"settings": ASKED, "grid": {"temperature": 0.0}},
            "grid.temperature: found 0.0, expected more than 0 with start: prompt; or take beams",
        ),
        (
            {"settings": {**ASKED, "top_k": 1}},
            "settings.top_k: found 1, expected more than 1 with start: prompt; or take beams: 1",
        ),
        (
            {"settings": {"weights": "bfloat16", "precision": "float32"}},
            "settings.precision: found float32, expected auto or bfloat16, because weights are",
        ),
    ],
)
def test_parameters_that_cannot_be_are_refused_in_one_line(tmp_path, experiment, said):
    assert refused(tmp_path, "fine_tuning", **experiment).startswith(said)


@pytest.mark.parametrize("family", ["language_model", "fine_tuning"])
def test_a_beam_search_has_no_candidates_to_select_from(tmp_path, family):
    """Whose prompt they share, if there is one."""
    keep = {"language_model": "keep", "fine_tuning": "end"}
    best = {"keep_real": False, "memory": 1, "select": {"score": "length", "candidates": 4}}
    plan = {"family": family, "regimes": ["best"], "iterations": 2, "seeds": 1, "samples": 10}
    for beams in (None, 2):
        settings = {"beams": beams, "truncated": keep[family]}
        document = {"regimes": {"best": best}, "experiments": {"e": {**plan, "settings": settings}}}
        (tmp_path / "study.yaml").write_text(json.dumps(document))
        if beams is None:
            studies.load(tmp_path / "study.yaml")
            continue
        with pytest.raises(studies.StudyError, match=r"best at .*, where a search with beams"):
            studies.load(tmp_path / "study.yaml")


def test_steps_of_later_iterations_matter_to_no_first_one(tmp_path):
    study = load(tmp_path, "fine_tuning", grid={"later_steps": [None, 5]})
    branches = Branches(study, "e")
    one, other = branches.all()
    assert one.model(1) == other.model(1) and one.metrics(1) == other.metrics(1)
    assert one.shards(1) == other.shards(1)
    assert one.model(2) != other.model(2)
    for branch, later in ((one, None), (other, 5)):
        first = branches.step(branch.points.training, "real", 0, 1, "training")
        second = branches.step(branch.points.later, "replace", 0, 2, "training")
        assert "later_steps" not in first.parameters
        assert second.parameters["later_steps"] == later


def test_a_mixture_of_no_data_is_allowed_and_trains_nothing(ran):
    nothing = {"mixture": {"keep_real": 0, "memory": 1, "generate": 0}}
    mixed = loop("mixture", {"judged": 0}, regimes=nothing)
    assert mixed.chain().shards(1) == [] and mixed.chain().evaluated_shards(2) == []
    mixed.assemble(2)
    mixed.train(2)
    mixed.evaluate(2)
    base, after = weights(f"{mixed.base}/model"), weights(mixed.chain().model(2))
    assert all(torch.equal(base[name], after[name]) for name in base)


def test_a_mixture_trains_on_so_much_of_either(ran):
    mixed = loop("mixture", regimes=MIXTURE)
    mixed.generate(1)
    mixed.assemble(2)
    described = steps.read_verified(mixed.step(2, "training"), mixed.chain().training_set(2))
    assert [(one.kind, one.count) for one in described.sources] == [("real", 20), ("synthetic", 30)]
    # The whole shard of 120 is there, which other mixtures share.
    assert sum(part.stop - part.start for part in described.sources[1].files) == 120


def test_a_base_in_a_folder_is_a_value_of_an_axis(gemma, tmp_path):
    study = load(tmp_path, "fine_tuning", grid={"base": [str(gemma)], "temperature": [1.0]})
    (name,) = study.cells["e"]
    assert name == f"base={text_of(str(gemma))}__temperature=1.0__samples=10"
