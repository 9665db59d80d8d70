"""Language models: shapes, packing, losses, and the steps of an iteration on a few stories."""

import functools
import itertools
import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import refusing  # noqa: E402
import stepping  # noqa: E402
from collapse.artifacts import training_sets  # noqa: E402
from collapse.data.text import stories, tokenizing, tokens  # noqa: E402
from collapse.data.text.tokenizing import BOS, EOS, PAD  # noqa: E402
from collapse.errors import JobError  # noqa: E402
from collapse.families import language_model  # noqa: E402
from collapse.families.declarations import STAGES  # noqa: E402
from collapse.families.language_model import Parameters, first_tokens, models, training  # noqa: E402
from collapse.families.language_model import steps as of_family  # noqa: E402
from collapse.families.language_model.architectures import (  # noqa: E402
    ARCHITECTURES,
    Architecture,
)
from collapse.families.language_model.evaluation import of_stories  # noqa: E402
from collapse.families.language_model.packing import Packer  # noqa: E402
from collapse.families.language_model.work import LanguageModelWork  # noqa: E402
from collapse.loop import steps  # noqa: E402
from collapse.text import checkpoints, evaluation, stored_tokens  # noqa: E402
from collapse.text.metrics import Documents  # noqa: E402
from collapse.text.prompted import Prompted, continuations, longer_than  # noqa: E402
from collapse.text.sample_rows import SampleRows  # noqa: E402
from collapse.text.sampling import Sample, SamplingError  # noqa: E402
from collapse.text.stored_tokens import IGNORED, Tokens  # noqa: E402
from collapse.training import trainer  # noqa: E402
from refusing import load, refused  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

#: docs/reproduction.md, "Language-model pretraining".
PUBLISHED = {
    "gpt2-9m": 8_890_880,
    "llama2-12m": 12_488_960,
    "llama2-42m": 41_755_136,
    "llama2-126m": 125_553_408,
}
#: One of each kind, small enough to run.
SMALL = {
    "gpt2": Architecture("gpt2", 64, 2, 2, 128, 64),
    "llama": Architecture("llama", 64, 2, 2, 128, 64),
}
VOCABULARY = 97


# Models.


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("vocabulary", [8000, 768])
def test_numbers_of_parameters_are_those_published(name, vocabulary):
    with torch.device("meta"):
        configuration = models.configuration(name, vocabulary)
        network = transformers.AutoModelForCausalLM.from_config(configuration)
    found = checkpoints.parameter_count(network)
    assert found == ARCHITECTURES[name].parameters(vocabulary)
    if vocabulary == 8000:
        assert found == PUBLISHED.get(name, found)
    assert set(PUBLISHED) < set(ARCHITECTURES)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_configurations_have_the_shapes(name):
    shape, found = ARCHITECTURES[name], models.configuration(name, 8000)
    inner = found.n_inner if shape.kind == "gpt2" else found.intermediate_size
    assert (shape.hidden, shape.layers, shape.heads, shape.feed_forward, shape.positions) == (
        found.hidden_size,
        found.num_hidden_layers,
        found.num_attention_heads,
        inner,
        found.max_position_embeddings,
    )
    assert (found.pad_token_id, found.bos_token_id, found.eos_token_id) == (PAD, BOS, EOS)
    assert found.vocab_size == 8000
    if shape.kind == "llama":
        assert found.num_key_value_heads == shape.heads  # no grouped queries
    assert found.tie_word_embeddings == (shape.kind == "gpt2")
    # vLLM on a CPU takes no heads of another width.
    assert shape.hidden / shape.heads in (32, 64)


@pytest.mark.parametrize("kind", SMALL)
def test_initialisation_follows_from_its_seed_alone(monkeypatch, kind):
    monkeypatch.setitem(ARCHITECTURES, "small", SMALL[kind])

    def weights(seed):
        state = models.initialised("small", VOCABULARY, seed).state_dict()
        return torch.cat([value.flatten() for value in state.values()])

    first = weights(7)
    torch.manual_seed(123)
    before = torch.get_rng_state()
    assert torch.equal(weights(7), first)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(weights(8), first)
    assert 0 < weights(2**63 - 1).std() < 1  # the largest seed of a step


# Packing.


def framed(lengths, seed=0):
    """Documents of these lengths, BOS and EOS included, each with tokens of its own."""
    generator = np.random.default_rng(seed)
    content = generator.integers(3, VOCABULARY, sum(lengths)).astype(np.uint16)
    bounds = np.concatenate(([0], np.cumsum(lengths)))
    content[bounds[:-1] + 1] = 3 + np.arange(len(lengths))
    content[bounds[:-1]], content[bounds[1:] - 1] = BOS, EOS
    return Tokens(content, bounds)


def each(documents):
    pairs = itertools.pairwise(documents.bounds)
    return [tuple(documents.tokens[start:stop].tolist()) for start, stop in pairs]


def packer(documents, context, batch, *, seed=0, whole=False):
    return Packer(
        documents, context, batch, lambda epoch: np.random.default_rng([seed, epoch]), whole=whole
    )


def unpack(batch):
    """Return the documents of each row of a batch, after checking all there is to a row."""
    rows = []
    for inputs, positions, labels in zip(
        *(batch[name].tolist() for name in ("input_ids", "position_ids", "labels")), strict=True
    ):
        starts = [i for i, position in enumerate(positions) if position == 0]
        parts = []
        for start, stop in zip(starts, [*starts[1:], len(inputs)], strict=True):
            assert positions[start:stop] == list(range(stop - start))
            part = inputs[start:stop]
            if part[0] == PAD:
                assert set(part) == {PAD} and set(labels[start:stop]) == {IGNORED}
                assert stop == len(inputs)  # nothing follows padding
            else:
                assert labels[start:stop] == [*part[1:], IGNORED]
                parts.append(tuple(part))
        rows.append(tuple(parts))
    return rows


PACKINGS = given(
    lengths=st.lists(st.integers(3, 12), min_size=1, max_size=40),
    context=st.integers(12, 30),
    batch=st.integers(1, 6),
    whole=st.booleans(),
)


@PACKINGS
def test_every_document_is_there_once_an_epoch_and_whole(lengths, context, batch, whole):
    documents = framed(lengths)
    packed = packer(documents, context, batch, whole=whole)
    rows = []
    for step in range(packed.steps_per_epoch):
        found = packed.batch(step)
        assert found["input_ids"].shape[1] <= context
        assert not whole or found["input_ids"].shape[1] == context
        assert len(found["input_ids"]) == packed.size <= batch
        rows += unpack(found)
    sequences = list(dict.fromkeys(rows))
    assert sorted(sum(sequences, ())) == sorted(each(documents))
    # The last batch is filled up with the first sequences.
    surplus = len(rows) - len(sequences)
    assert surplus < packed.size and rows == sequences + sequences[:surplus]
    # No sequence overflows, and no two would have fitted into one.
    filled = sorted(sum(map(len, one)) for one in sequences)
    assert filled[-1] <= context < sum(filled[:2]) or len(filled) == 1


@PACKINGS
def test_a_batch_depends_on_its_step_alone(lengths, context, batch, whole):
    documents = framed(lengths)
    packed = packer(documents, context, batch, whole=whole)
    wanted = [*range(2 * packed.steps_per_epoch + 1)]
    found = {step: packed.batch(step) for step in wanted}
    for step in (wanted[-1], 0, packed.steps_per_epoch):
        again = packer(documents, context, batch, whole=whole).batch(step)
        for name, values in again.items():
            assert torch.equal(values, found[step][name])


def test_epochs_and_seeds_have_orders_of_their_own():
    documents = framed([5] * 60)

    def order(step, seed=0):
        return unpack(packer(documents, 10, 30, seed=seed).batch(step))

    assert order(0) != order(1) != order(2)
    assert order(0) != order(0, seed=1)
    assert sorted(sum(order(0), ())) == sorted(sum(order(1), ())) == sorted(each(documents))


def test_a_document_longer_than_the_context_is_refused_in_one_line():
    with pytest.raises(JobError, match=r"^a training document has 13 tokens .* context of 12$"):
        packer(framed([5, 13, 4]), 12, 2)
    assert packer(framed([5, 12, 4]), 12, 2).steps_per_epoch == 1


def test_stored_documents_are_those_in_memory(tmp_path):
    schema = tokens.schema(VOCABULARY)
    rows = [{"tokens": [5, 6], "text": "", "ended": True}, {"tokens": [7], "ended": False}, {}]
    rows[2] = {"tokens": [8, 9, 10], "ended": True}
    tables = [pa.Table.from_pylist(part, schema=schema) for part in (rows[:2], [], rows[2:])]
    stored_tokens.store(iter(tables), tmp_path)
    expected = [(BOS, 5, 6, EOS), (BOS, 7), (BOS, 8, 9, 10, EOS)]
    assert each(stored_tokens.mapped(tmp_path)) == each(stored_tokens.in_memory(tables)) == expected
    large = [pa.Table.from_pylist(rows, schema=tokens.schema(2**17))]
    stored_tokens.store(large, tmp_path)
    assert stored_tokens.mapped(tmp_path).tokens.dtype == np.uint32
    assert each(stored_tokens.mapped(tmp_path)) == expected


# Losses.


@pytest.fixture(params=SMALL, scope="module")
def network(request):
    """A model far from uniform, to which its whole context matters."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, "small", SMALL[request.param])
        found = models.initialised("small", VOCABULARY, 0).eval()
    with torch.no_grad():
        for value in found.parameters():
            if value.ndim == 2:
                value.mul_(8)
    return found


def alone(network, document):
    """Sum of -log p over a document's tokens after BOS, as transformers computes it."""
    ids = torch.tensor([document])
    with torch.no_grad():
        return float(network(input_ids=ids, labels=ids).loss) * (len(document) - 1)


def packed_loss(network, batch):
    task = training.Pretraining(network, None, None)
    with torch.no_grad():
        return float(task.loss(network, batch)), task.weight(batch)


@pytest.mark.parametrize("whole", [False, True], ids=["narrow", "whole"])
def test_a_packed_loss_is_that_of_each_document_alone(network, whole):
    documents = framed([9, 3, 14, 20, 5, 5, 17, 2, 11, 30, 8])
    packed = packer(documents, 32, 3, whole=whole)
    assert packed.steps_per_epoch > 1
    for step in range(packed.steps_per_epoch):
        batch = packed.batch(step)
        parts = [part for row in unpack(batch) for part in row]
        assert len(parts) > 3, "nothing would be packed"
        loss, weight = packed_loss(network, batch)
        assert weight == sum(len(part) - 1 for part in parts)
        assert loss == pytest.approx(sum(alone(network, part) for part in parts), rel=1e-5)


def test_documents_do_not_see_each_other(network):
    second = [BOS, 5, 6, 7, 8, EOS]

    def logits(first, **changes):
        documents = Tokens(np.array([*first, *second], np.uint16), np.array([0, 6, 12]))
        batch = Packer(documents, 12, 1, lambda _: _Unshuffled(), whole=True).batch(0) | changes
        with torch.no_grad():
            return network(
                input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False
            ).logits[0]

    firsts = [[BOS, 9, 10, 11, 12, EOS], [BOS, 80, 81, 82, 83, EOS]]
    one, other = map(logits, firsts)
    assert (one[:6] - other[:6]).abs().max() > 0.1
    torch.testing.assert_close(one[6:], other[6:], rtol=0, atol=1e-4)
    # To a model whose positions go on, what came before matters.
    on = {"position_ids": torch.arange(12)[None]}
    one, other = (logits(first, **on) for first in firsts)
    assert (one[6:] - other[6:]).abs().max() > 0.1


class _Unshuffled:
    def permutation(self, count):
        return np.arange(count)


@pytest.mark.parametrize("size", [1, 64, 200, 16_384])
def test_cross_entropy_is_that_of_transformers_however_batched(network, monkeypatch, size):
    documents = framed([9, 3, 14, 20, 5, 5, 17, 2, 11, 30, 8])
    parts = each(documents)
    expected = sum(alone(network, part) for part in parts) / sum(len(p) - 1 for p in parts)
    seen = []
    monkeypatch.setattr(evaluation, "BATCH_TOKENS", size)
    monkeypatch.setattr(
        evaluation, "padded", lambda *a, **k: seen.append(stored_tokens.padded(*a, **k)) or seen[-1]
    )
    assert evaluation.cross_entropy(network, documents) == pytest.approx(expected, rel=1e-5)
    shapes = [batch["input_ids"].shape for batch in seen]
    assert sum(rows for rows, _ in shapes) == len(parts)
    assert all(rows == 1 or rows * width <= size for rows, width in shapes)
    backwards = Tokens(*_laid(parts[::-1]))
    assert evaluation.cross_entropy(network, backwards) == pytest.approx(expected, rel=1e-5)
    first = sum(alone(network, part) for part in parts[:4]) / sum(len(p) - 1 for p in parts[:4])
    assert evaluation.cross_entropy(network, documents, 4) == pytest.approx(first, rel=1e-5)


def _laid(parts):
    bounds = np.concatenate(([0], np.cumsum([len(part) for part in parts])))
    return np.array([token for part in parts for token in part], np.uint16), bounds


# The steps of an iteration.

SETTINGS = {
    "documents": 600,
    "test_documents": 400,
    "vocabulary": 400,
    "context": 128,
    "epochs": 2.0,
    "curve_points": 5,
}


class Loop(stepping.Loop):
    """The first iteration of a chain, in the working directory."""

    def __init__(self, samples=300, **settings):
        given = {**SETTINGS, **settings}
        super().__init__(family="language_model", iterations=2, samples=samples, settings=given)
        self.parameters = Parameters(**given)
        self.data, self.model = Path(self.data), Path(self.chain().model(1))

    def details(self):
        return json.loads((self.data / "dataset.json").read_text())["details"]

    def record(self):
        return json.loads(Path(self.chain().training(1)).read_text())

    def generate(self, start, stop, name="shard"):
        steps.generate(
            f"{name}.parquet",
            f"{name}.json",
            self.step(1, "generation"),
            start=start,
            stop=stop,
            model=str(self.model),
            data=str(self.data),
        )
        record = json.loads(Path(f"{name}.json").read_text())
        return parquet.read_table(f"{name}.parquet"), record["details"]

    def evaluate(self, *records):
        steps.evaluate(
            "metrics.json",
            "evaluation.json",
            self.step(1, "evaluation"),
            model=str(self.model),
            data=str(self.data),
            training_set=self.chain().training_set(1),
            records=list(records),
        )
        return json.loads(Path("metrics.json").read_text())


def first_run():
    """Run an iteration up to its model."""
    loop = Loop()
    loop.prepare()
    loop.assemble(1)
    loop.train(1)
    return loop


def test_the_checkpoint_is_of_hugging_face(ran):
    record = ran.record()
    network = transformers.AutoModelForCausalLM.from_pretrained(ran.model)
    assert checkpoints.parameter_count(network) == ARCHITECTURES["tiny"].parameters(400)
    assert record["parameters"] == checkpoints.parameter_count(network)
    assert {path.suffix for path in ran.model.iterdir()} == {".json", ".safetensors"}
    decoder = transformers.AutoTokenizer.from_pretrained(ran.model)
    assert (decoder.pad_token_id, decoder.bos_token_id, decoder.eos_token_id) == (PAD, BOS, EOS)
    table, _ = ran.generate(0, 5)
    for row in table.to_pylist():
        assert decoder.decode(row["tokens"]) == row["text"]
        assert decoder(row["text"], add_special_tokens=False)["input_ids"]
    prompt = torch.tensor([[BOS]])
    drawn = network.generate(prompt, max_new_tokens=100, do_sample=False)
    assert "friend" in decoder.decode(drawn[0]) or " the " in decoder.decode(drawn[0])


def test_the_record_of_a_training_tells_its_curve_and_its_size(ran):
    details, record = ran.details(), ran.record()
    assert record["documents"] == 300
    documents = stored_tokens.in_memory(_training_documents())
    assert record["tokens"] == documents.lengths.sum()
    curve = [trainer.CurvePoint(**point) for point in record["curve"]]
    assert [point.step for point in curve][-1] == record["steps"]
    assert len(curve) == 5
    losses = [point.test_loss for point in curve]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] < math.log(400)
    test = stored_tokens.in_memory(tokens.read(Loop().data / "test.parquet"))
    found = evaluation.cross_entropy(checkpoints.load(Loop().model), test)
    assert losses[-1] == pytest.approx(found, rel=1e-4)  # 400 test documents are below 512
    assert details["test"]["documents"] == 400


def _training_documents():
    loop = Loop()
    described = steps.read_verified(loop.step(1, "training"), loop.chain().training_set(1))
    for selection in training_sets.selections(loop.step(1, "training"), described):
        yield from tokens.read(Path(selection.path), selection.rows)


def test_exactly_so_many_samples_with_the_schema_of_all_text(ran):
    table, details = Loop().generate(0, 150)
    assert table.schema.equals(tokens.schema(400))
    assert len(table) == 150
    assert table["ended"].to_pylist() == [True] * 150
    assert details["backend"] == "transformers"
    assert details["drawn"] >= 150 and details["truncated"] == 0
    assert details["acceptance_rate"] == 150 / details["drawn"]
    decoder = tokenizing.load(Loop().data / "tokenizer")
    for row in table.to_pylist():
        assert row["text"] == decoder.decode(row["tokens"], skip_special_tokens=False)
        assert 1 <= len(row["tokens"]) <= 126  # and EOS, within context - 1
        assert EOS not in row["tokens"]
    # A sample's seed is its own, so none is another.
    assert len(set(table["text"].to_pylist())) == 150


def test_a_sample_with_a_first_token_does_not_depend_on_how_they_are_split(ran):
    loop = Loop(start="first-token", truncated="keep")
    whole, _ = loop.generate(0, 40)
    parts = [loop.generate(start, stop)[0] for start, stop in ((0, 13), (13, 40), (39, 40))]
    assert pa.concat_tables(parts[:2]).equals(whole)
    assert parts[2].equals(whole.slice(39))


def test_a_sample_that_is_a_text_is_tokenised_like_a_real_one_and_others_are_not(ran):
    rows = SampleRows(Loop().data / "tokenizer")
    encoder = tokenizing.load(Loop().data / "tokenizer")
    text = "Lily was there."
    canonical = encoder.encode(text, add_special_tokens=False).ids
    drawn = [encoder.token_to_id(letter) for letter in text.replace(" ", "Ġ")]
    assert len(canonical) < len(drawn) == len(text)

    def tokens_of(ids, ended=True, longest=100):
        row = rows.of(Sample(np.array(ids, np.int32), ended), longest)
        assert row.text == encoder.decode(ids, skip_special_tokens=False) and row.ended == ended
        return row.tokens

    assert tokens_of(drawn) == canonical
    no_unicode = encoder.token_to_id("Ã")
    kept = [[*drawn, no_unicode], [*drawn, EOS], [PAD, *drawn]]
    assert all(tokens_of(ids) == ids for ids in kept)
    assert tokens_of(drawn, ended=False) == tokens_of(drawn, longest=3) == drawn


def test_documents_that_begin_alike_are_on_one_side_only(tmp_path, monkeypatch):
    """Documents of one beginning, which is all of them that fits, are copies of each other."""
    monkeypatch.chdir(tmp_path)
    texts = [f"{beginning} and so on, until {end}." for beginning in ("A girl", "A boy", "A dog")
             for end in range(40)]  # fmt: skip
    texts += [f"{beginning}." for beginning in ("A girl", "A boy", "A cat")]
    Path("a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    cut = {"context": 8, "vocabulary": 300, "long_documents": "truncate"}
    loop = Loop(data="a.jsonl", documents=None, test_documents=1, **cut)
    loop.prepare()
    train, test = (
        {
            tuple(row)
            for row in parquet.read_table(loop.data / f"{split}.parquet")["tokens"].to_pylist()
        }
        for split in ("train", "test")
    )
    assert train and not train & test
    details = loop.details()
    assert details["train"]["withheld"] == 39 and details["train"]["documents"] == 83


def test_truncated_samples_are_drawn_again_or_kept(ran):
    # Half of the stories are longer than this, and tests of data have refused them long ago.
    settings = {"context": 84}
    kept, details = Loop(**settings, truncated="keep").generate(0, 100)
    cut = [row for row in kept.to_pylist() if not row["ended"]]
    assert 10 < len(cut) < 90
    assert {len(row["tokens"]) for row in cut} == {83}
    assert details["truncated"] == len(cut)
    assert details["acceptance_rate"] == 1
    whole, details = Loop(**settings).generate(0, 100)
    assert all(row["ended"] and len(row["tokens"]) <= 82 for row in whole.to_pylist())
    assert details["truncated"] == 0
    assert details["drawn"] >= 100 + len(cut)
    # What ended at once is not drawn again.
    for one, other in zip(kept.to_pylist(), whole.to_pylist(), strict=True):
        assert one == other or not one["ended"]


def test_samples_that_never_end_are_given_up_in_one_line(ran, monkeypatch):
    monkeypatch.setattr("collapse.families.language_model.steps.MOST_ATTEMPTS", 2)
    with pytest.raises(SamplingError, match=r"^sample 0: none accepted in 2 attempts.*\(0.0%\)$"):
        Loop(context=10).generate(0, 5)
    assert not list(Path().glob("*.partial"))


def test_samples_of_a_fixed_length(ran):
    table, details = Loop(fixed_length=100).generate(0, 60)
    assert {len(row) for row in table["tokens"].to_pylist()} == {100}
    assert not any(table["ended"].to_pylist())
    assert any(EOS in row for row in table["tokens"].to_pylist())  # a token like any other
    assert details["drawn"] == 60


def test_first_tokens_are_those_of_the_training_set(ran):
    first = Counter(
        row[0] for table in _training_documents() for row in table["tokens"].to_pylist()
    )
    assert len(first) > 5
    loop = Loop(start="first-token", truncated="keep", fixed_length=2)
    table, _ = loop.generate(0, 2000)
    drawn = Counter(row[0] for row in table["tokens"].to_pylist())
    assert set(drawn) <= set(first)
    common = [token for token, count in first.items() if count >= 3]
    rest = [token for token in first if token not in common]
    observed = [drawn[token] for token in common] + [sum(drawn[token] for token in rest)]
    expected = [first[token] for token in common] + [sum(first[token] for token in rest)]
    keep = [i for i, count in enumerate(expected) if count]
    expected = np.array(expected)[keep] * 2000 / 300
    assert stats.chisquare(np.array(observed)[keep], expected).pvalue > 1e-3


def test_a_beam_search_writes_one_text_and_the_metric_says_so(ran):
    loop = Loop(beams=3, truncated="keep")
    table, details = loop.generate(0, 20, "beams")
    assert details["backend"] == "transformers" and len(set(table["text"].to_pylist())) == 1
    assert loop.evaluate("beams.json")["duplicate_rate"] == pytest.approx(19 / 20)


#: Tokens of a prompt; about half of the stories are longer.
LENGTH = 84
PROMPTS = {"start": "prompt", "prompt_tokens": LENGTH, "truncated": "keep"}


def continued(table):
    """Return the tokens of each sample with its prompt."""
    return [[*row["prompt"], *row["tokens"]] for row in table.to_pylist()]


def test_samples_continue_the_training_documents_of_their_slots(ran):
    """Also if their prompts are not kept, and in whatever parts they are written."""
    loop = Loop(**PROMPTS)
    documents = parquet.read_table(loop.data / "train.parquet")["tokens"].to_pylist()
    order = loop.step(1, "generation").order_of_real_data(len(documents))
    longer = [documents[row] for row in order if len(documents[row]) > LENGTH]
    assert 20 < len(longer) < len(documents) - 20
    last = len(longer)  # whose prompt is that of slot 0
    table, details = loop.generate(0, last + 1)
    prompts = [document[:LENGTH] for document in longer]
    assert table["prompt"].to_pylist() == [*prompts, prompts[0]]
    assert details["prompts"] == {"documents": last, "short": len(documents) - last}
    assert continued(table)[0] != continued(table)[last]
    for start, stop in ((0, 7), (7, 30), (last, last + 1)):
        part, _ = loop.generate(start, stop, "part")
        assert part.equals(table.slice(start, stop - start))
    kept, _ = Loop(**PROMPTS, keep_prompt=True).generate(0, 30)
    assert kept["tokens"].to_pylist() == continued(table)[:30]
    assert kept["prompt"].equals(table["prompt"].slice(0, 30))
    how = [language_model.prompted(Loop(**PROMPTS, keep_prompt=each).parameters)
           for each in (False, True)]  # fmt: skip
    texts = [of_family._texts(some, loop.data, one)
             for some, one in zip((table.slice(0, 30), kept), how, strict=True)]  # fmt: skip
    assert texts[0] == texts[1] == kept["text"].to_pylist()
    # The other sampling of tokens goes with it, and lengths are those of prompt and text.
    fixed, _ = Loop(**PROMPTS, fixed_length=LENGTH + 10, top_k=5).generate(0, 9)
    assert {len(row) for row in fixed["tokens"].to_pylist()} == {10}
    beams = Loop(**PROMPTS, beams=2)
    found = continued(beams.generate(0, 6)[0])
    assert continued(beams.generate(3, 6)[0]) == found[3:] and len(set(map(tuple, found))) == 6


def test_a_prompt_that_no_training_document_has_is_refused_in_one_line(ran):
    with pytest.raises(JobError, match=r"prompt_tokens is 125, expected fewer than the \d+ tokens"):
        Loop(**PROMPTS | {"prompt_tokens": 125}).generate(0, 5)


def test_scores_of_samples_are_given_their_prompts(ran):
    """Each candidate of a slot continues the same prompt, and one is kept by its own tokens."""
    found = []
    for keep_prompt in (False, True):
        loop = Loop(**PROMPTS, keep_prompt=keep_prompt)
        steps.generate(
            "chosen.parquet",
            "chosen.json",
            loop.step(1, "generation"),
            **{"start": 0, "stop": 8, "model": str(loop.model), "data": str(loop.data)},
            **{"score": "log_likelihood"},
            select={"score": "log_likelihood", "candidates": 3},
        )
        found.append(parquet.read_table("chosen.parquet"))
    bare, kept = found
    plain, _ = Loop(**PROMPTS).generate(0, 8)
    assert bare["prompt"].equals(plain["prompt"]) and continued(bare) == kept["tokens"].to_pylist()
    np.testing.assert_allclose(bare["score"], kept["score"], rtol=1e-5)
    assert any(row["tokens"] != other["tokens"] for row, other in
               zip(bare.to_pylist(), plain.to_pylist(), strict=True))  # fmt: skip
    network = checkpoints.load(loop.model)
    for row in bare.to_pylist():
        whole = [BOS, *row["prompt"], *row["tokens"], *[EOS][: row["ended"]]]
        with torch.no_grad():
            logits = network(torch.tensor([whole[:-1]])).logits[0]
        losses = torch.nn.functional.cross_entropy(
            logits, torch.tensor(whole[1:]), reduction="none"
        )
        assert row["score"] == pytest.approx(-float(losses[LENGTH:].mean()), rel=1e-4)


def test_metrics_take_no_prompt_for_a_models_own_text(ran):
    found = []
    for keep_prompt in (False, True):
        loop = Loop(**PROMPTS, keep_prompt=keep_prompt)
        loop.generate(0, 60, "prompted")
        found.append(loop.evaluate("prompted.json"))
    bare, kept = found
    assert math.isnan(kept["mode_coverage"]) and 0 <= kept["grammatical_share"] <= 1
    same = [name for name in kept if "length" not in name]
    assert {name: bare[name] for name in same} == pytest.approx(
        {name: kept[name] for name in same}, nan_ok=True
    )
    assert kept["mean_length"] == bare["mean_length"] + LENGTH
    assert kept["mean_length_of_data"] == bare["mean_length_of_data"] + LENGTH


@given(st.lists(st.lists(st.integers(0, 90), max_size=6), max_size=8), st.integers(1, 5))
def test_continuations_are_what_follows_of_longer_documents(documents, length):
    laid, bounds = _laid(documents)
    given = Documents(laid, np.diff(bounds).astype(np.int64))
    longer = [one for one in documents if len(one) > length]
    for found, expected in (
        (continuations(given, length), [one[length:] for one in longer]),
        (longer_than(given, length), longer),
    ):
        assert found.lengths.tolist() == [len(one) for one in expected]
        assert found.tokens.tolist() == [*itertools.chain(*expected)]


@pytest.mark.parametrize("keep_prompt", [False, True])
def test_continuations_that_are_alike_are_copies_whatever_their_prompts(keep_prompt):
    layout = tokens.schema(400, prompt=True)
    prompts, own = [[5, 6], [7, 8], [5, 6], [9, 9]], [[20, 21], [20, 21], [22, 23], [24]]
    samples = pa.Table.from_pydict({
        "tokens": [[*begun, *rest] if keep_prompt else rest
                   for begun, rest in zip(prompts, own, strict=True)],
        "text": [""] * 4, "ended": [True] * 4, "prompt": prompts,
    }, layout)  # fmt: skip
    known = pa.table({"tokens": [[7, 8, 20, 21], [22, 23], [5, 6]]})
    test = pa.table({"tokens": [[1, 2, 3, 4], [1, 2], [1, 2, 3]]})
    found = evaluation.of_samples(
        samples, training_set=[known], test=[test], prompted=Prompted(2, keep_prompt)
    )
    assert found["copied_share"] == 0.5  # with its prompt, and without
    # Of two of four samples, of which one pair of six is alike; they have three pairs of tokens.
    assert found["duplicate_rate"] == pytest.approx(1 / 6 / 2)
    assert found["distinct_2"] == pytest.approx((1.5 - 1 / 6) / 1.5)
    assert found["mean_length"] == 1.75 + 2 * keep_prompt
    assert found["mean_length_of_data"] == 1.5 + 2 * keep_prompt


def test_first_tokens_at_the_ends_of_the_distribution(tmp_path):
    (tmp_path / "first_tokens.json").write_text('{"tokens": [5, 9], "counts": [1, 3]}')
    first = first_tokens.read(tmp_path)
    found = [first.at(uniform) for uniform in (0.0, 0.2499, 0.25, 1 - 2**-53)]
    assert found == [5, 5, 9, 9]


def test_metrics_are_within_their_bounds(ran):
    loop = Loop()
    loop.generate(0, 150, "evaluated")
    found = loop.evaluate("evaluated.json")
    assert found["perplexity"] == pytest.approx(math.exp(found["test_cross_entropy"]))
    shares = ("distinct_1", "distinct_2", "duplicate_rate", "self_overlap", "grammatical_share")
    assert all(0 <= found[name] <= 1 for name in shares)
    assert found["distinct_1"] < found["distinct_2"] < found["distinct_3"]
    assert found["mean_length"] == pytest.approx(
        np.mean([len(row) for row in parquet.read_table("evaluated.parquet")["tokens"].to_pylist()])
    )
    without = loop.evaluate()
    assert without["test_cross_entropy"] == found["test_cross_entropy"]
    assert math.isnan(without["distinct_2"]) and math.isnan(without["acceptance_rate"])


def test_copies_of_the_training_set_are_counted(ran, tmp_path):
    real = pa.concat_tables(_training_documents())
    test = parquet.read_table(Loop().data / "test.parquet")
    mixed = pa.concat_tables([real.slice(0, 30), real.slice(0, 10), test.slice(0, 60)])
    found = evaluation.of_samples(mixed, training_set=_training_documents(), test=[test])
    assert found["copied_share"] == pytest.approx(0.4)
    assert found["duplicate_rate"] == pytest.approx(0.1)
    assert found["length_distance"] < 3
    assert of_stories(mixed["text"].to_pylist())["grammatical_share"] == 1
    copies = mixed.slice(0, 30)
    assert evaluation.of_samples(copies, training_set=[real], test=[test])["copied_share"] == 1
    assert evaluation.of_samples(copies, training_set=[], test=[test])["copied_share"] == 0


def test_a_low_temperature_repeats_itself(ran):
    found = {}
    for temperature in (1.0, 0.3):
        # Of equal lengths, on which these metrics depend.
        loop = Loop(temperature=temperature, fixed_length=80)
        loop.generate(0, 200, f"at-{temperature}")
        found[temperature] = loop.evaluate(f"at-{temperature}.json")
    assert found[0.3]["distinct_2"] < 0.7 * found[1.0]["distinct_2"]
    assert found[0.3]["self_overlap"] > found[1.0]["self_overlap"] + 0.1


# What is known of stories.


def test_no_model_beats_the_entropy_floor(ran):
    """The true distribution attains it, within the error of so many test stories."""
    details, record = ran.details(), ran.record()
    texts = parquet.read_table(Loop().data / "test.parquet")["text"].to_pylist()
    test = stored_tokens.in_memory(tokens.read(Loop().data / "test.parquet"))
    surprise = -np.array([stories.log_probability(text) for text in texts])
    predicted = test.lengths - 1
    ratio = surprise.sum() / predicted.sum()
    residual = surprise - ratio * predicted
    error = residual.std(ddof=1) / math.sqrt(len(texts)) / predicted.mean()
    assert abs(ratio - details["entropy_floor"]) < 4 * error
    assert error < 0.02 * ratio  # it says something
    assert all(point["test_loss"] > ratio for point in record["curve"])


def test_the_floor_is_unknown_where_stories_are_cut(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for treatment in ("drop", "truncate"):
        loop = Loop(context=90, long_documents=treatment)
        loop.prepare()
        details = loop.details()
        assert 0 < details["train"]["dropped"] + details["train"]["truncated"] < 600
        assert "entropy_floor" not in details


# Interruptions and damage.


configured = functools.partial(refusing.configured, "config.json")


def shortened(size):
    def change(model):
        path = model / "model.safetensors"
        path.write_bytes(path.read_bytes()[:size])

    return change


MISMATCH = "the checkpoint doesn't match its configuration"
UNREADABLE = "the checkpoint can't be loaded"
UNKNOWN = "the configuration can't be loaded"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (configured(num_hidden_layers=3), rf"{MISMATCH} \(missing keys: model.layers.2"),
        (configured(num_hidden_layers=1), rf"{MISMATCH} \(unexpected keys: model.layers.1"),
        (configured(hidden_size=64), rf"{MISMATCH} \(mismatched keys: .*128.*64"),
        (configured(vocab_size=500), rf"{MISMATCH} \(mismatched keys: .*400.*500"),
        (configured(model_type="gpt2"), rf"{MISMATCH} \(missing keys: transformer"),
        (configured(model_type="none"), rf"{UNKNOWN} \(.*`none`"),
        (configured(num_attention_heads=3), rf"{UNKNOWN} \(.*not a multiple"),
        (shortened(9999), UNREADABLE),
        (shortened(0), UNREADABLE),
        (lambda model: (model / "model.safetensors").unlink(), UNREADABLE),
        (lambda model: (model / "config.json").write_text("{"), UNKNOWN),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_in_one_line(ran, damage, said):
    damage(ran.model)
    with pytest.raises(JobError, match=rf"^{ran.model}: {said}") as refused:
        ran.evaluate()
    assert "\n" not in str(refused.value)
    assert not Path("metrics.json").exists()


def test_pickled_weights_are_not_read(ran):
    network = checkpoints.load(ran.model)
    torch.save(network.state_dict(), ran.model / "pytorch_model.bin")
    (ran.model / "model.safetensors").unlink()
    with pytest.raises(JobError, match=r"no file named model\.safetensors"):
        checkpoints.load(ran.model)


# Studies.


@pytest.mark.parametrize(
    ("experiment", "said"),
    [
        (
            {"grid": {"model": ["gpt2-9m", "tiny"], "context": [300]}},
            "grid.context: found 300, expected at most the 256 positions of tiny",
        ),
        (
            {"settings": {"context": 128, "fixed_length": 128}},
            "settings.fixed_length: found 128, expected at most context - 1 = 127",
        ),
        (
            {"settings": {"start": "first-token", "fixed_length": 1}},
            "settings.fixed_length: found 1, expected at least 2, for the first token",
        ),
        (
            {"grid": {"temperature": [1.0, 0.001]}},
            "grid.temperature: found 0.001, expected 0 (the likeliest token) or at least 0.01",
        ),
        (
            {"settings": {"beams": 4, "top_k": 5}},
            "settings.top_k: found 5, expected null with beams, because a beam search draws no",
        ),
        (
            {
                "settings": {"beams": 4, "truncated": "keep"},
                "grid": {"temperature": [1.0, 0.5]},
            },
            "grid.temperature: found 0.5, expected 1 with beams, because a beam search draws no",
        ),
        (
            {"settings": {"beams": 4, "backend": "vllm"}},
            "settings.backend: found vllm, expected auto or transformers with beams",
        ),
        (
            {"settings": {"beams": 4}},
            "settings.truncated: found redraw, expected keep with beams, which would find the same",
        ),
        (
            {"settings": {"start": "prompt"}},
            "settings.prompt_tokens: found null, expected a number of tokens, which start: prompt",
        ),
        (
            {"settings": {"start": "prompt", "prompt_tokens": 127}},
            "settings.prompt_tokens: found 127, expected fewer than context - 1 = 127",
        ),
        (
            {"settings": {"start": "prompt", "prompt_tokens": 64, "fixed_length": 64}},
            "settings.prompt_tokens: found 64, expected fewer than fixed_length = 64",
        ),
        (
            {"settings": {"start": "prompt", "prompt_tokens": 64}, "grid": {"temperature": 0.0}},
            "grid.temperature: found 0.0, expected more than 0 with start: prompt; or take beams",
        ),
        (
            {"settings": {"start": "prompt", "prompt_tokens": 64, "beams": 5}},
            "settings.truncated: found redraw, expected keep with beams",
        ),
        (
            {"settings": {"prompt_tokens": 64}},
            "settings.prompt_tokens: found 64, expected null with start: bos",
        ),
        (
            {"settings": {"keep_prompt": True}},
            "settings.keep_prompt: found true, expected false with start: bos",
        ),
        (
            {"settings": {"top_p": 0.9}, "grid": {"temperature": [1.0, 0.0]}},
            "settings.top_p: found 0.9, expected null with temperature: 0, which draws no tokens",
        ),
        (
            {"settings": {"data": "missing.txt"}},
            "settings.data: found missing.txt, expected stories, tinystories, hub:<owner>/<name>, "
            "or an existing file or folder",
        ),
        (
            {"grid": {"temperature": 1.0}, "settings": {"temperature": 1.0}},
            "settings.temperature: found a key of the grid too, expected it in grid",
        ),
    ],
)
def test_parameters_that_cannot_be_are_refused_in_one_line(tmp_path, experiment, said):
    assert refused(tmp_path, "language_model", **experiment).startswith(said)


def test_parameters_that_can_be_are_taken(tmp_path, monkeypatch):
    (tmp_path / "text.txt").write_text("a\n\nb")
    load(
        tmp_path,
        "language_model",
        settings={"data": str(tmp_path / "text.txt"), "fixed_length": 127},
    )
    load(tmp_path, "language_model", settings={"data": "hub:someone/something"})
    load(tmp_path, "language_model", settings={"beams": 5, "truncated": "keep"})
    load(tmp_path, "language_model", grid={"top_k": [None, 50], "top_p": [None, 0.9, 1]})
    load(tmp_path, "language_model", grid={"temperature": [0, 0.01, 1.0], "context": 256})
    monkeypatch.setenv("HOME", str(tmp_path))
    load(tmp_path, "language_model", settings={"data": "~/text.txt"})
    files = language_model.source_files(Parameters(data="~/text.txt"))
    assert files == [str(tmp_path / "text.txt")]
    assert language_model.source_files(Parameters(data="stories")) == []


def test_parameters_matter_from_their_stage_on():
    stages = {
        "data": "data", "vocabulary": "data", "context": "data", "model": "training",
        "epochs": "training", "samples": "training", "temperature": "generation",
        "backend": "generation", "judged": "evaluation",
    }  # fmt: skip
    for key, stage in stages.items():
        assert STAGES[language_model.FAMILY.stage_of(key)] == stage


def test_only_the_first_iteration_has_epochs_of_its_own():
    packing_steps = 40

    def steps_of(t, **settings):
        loop = Loop(**settings)
        found = training._optimisation(loop.step(t, "training"), loop.parameters, packing_steps)
        return found.steps

    assert steps_of(1, epochs=2.0) == steps_of(2, epochs=2.0) == 80
    assert (steps_of(1, first_epochs=0.5), steps_of(2, first_epochs=0.5)) == (20, 80)
    assert steps_of(1, epochs=1e-6) == 1


def test_work_grows_with_the_model():
    small, large = (LanguageModelWork(Parameters(model=m)) for m in ("tiny", "llama2-126m"))
    assert large.train(100, 1).flops > 50 * small.train(100, 1).flops > 0
    assert large.model_bytes == 4 * ARCHITECTURES["llama2-126m"].parameters(768)
