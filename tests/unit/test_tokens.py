"""Tokenizers that lose nothing, and shards that hold what was asked for."""

import itertools
import json
import os
import time
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collapse.artifacts.files import DamagedFileError
from collapse.data.text import dialogue, tokenizing, tokens
from collapse.errors import DataError
from running import python

WORDS = ("there", "was", "a", "little", "girl", "named", "Lily", "who", "found", "needle")


def stories(count, seed=0):
    generator = np.random.default_rng(seed)
    for _ in range(count):
        yield " ".join(generator.choice(WORDS, generator.integers(5, 30))) + "."


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer")
    tokenizing.train(stories(200), 300, path)
    return path


@pytest.fixture(scope="module")
def tokenizer(trained):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(trained)


# The tokenizer


def test_a_tokenizer_has_exactly_the_vocabulary_asked_for(tokenizer):
    assert len(tokenizer) == tokenizer.vocab_size == 300
    assert sorted(tokenizer.get_vocab().values()) == list(range(300))


def test_special_tokens_have_the_first_ids_and_transformers_knows_them(tokenizer, trained):
    configuration = json.loads((trained / "tokenizer_config.json").read_text())
    assert configuration["tokenizer_class"] == "PreTrainedTokenizerFast", "of any version"
    assert tokenizer.convert_ids_to_tokens([0, 1, 2]) == ["<pad>", "<s>", "</s>"]
    assert (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1, 2)
    assert (tokenizing.PAD, tokenizing.BOS, tokenizing.EOS) == (0, 1, 2)


any_text = st.one_of(
    st.text(),
    st.text(alphabet=" \n\r\t.,'s"),
    st.lists(st.sampled_from(["</s>", "<s>", "<pad>", "Lily", " ", "é", "😀"])).map("".join),
)


@given(any_text)
def test_decoding_gives_back_any_text_and_no_special_token_is_ever_in_it(trained, tokenizer, text):
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert not {0, 1, 2} & set(ids)
    assert tokenizing.load(trained).encode(text, add_special_tokens=False).ids == ids


def test_words_of_the_training_documents_are_merged(tokenizer):
    text = "there was a little girl named Lily"
    assert len(tokenizer.encode(text)) <= 8 < len(text)


@pytest.mark.parametrize("architecture", ["GPT2Config", "LlamaConfig"])
def test_a_tokenizer_saved_beside_a_model_is_the_same(architecture, tokenizer, tmp_path):
    """Transformers may choose another tokenizer for the model's architecture."""
    import transformers

    tokenizer.save_pretrained(tmp_path)
    getattr(transformers, architecture)().save_pretrained(tmp_path)
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path)
    text = " there was a</s> girl…\r\n"
    assert loaded.encode(text) == tokenizer.encode(text)
    assert loaded.decode(loaded.encode(text)) == text
    assert (loaded.pad_token_id, loaded.bos_token_id, loaded.eos_token_id) == (0, 1, 2)


TRAIN = """
import sys
from pathlib import Path
import numpy as np
from collapse.data.text.tokenizing import train
from collapse.data.text.tokens import write_documents

directory = Path(sys.argv[1])
# Words at random, so that many pairs are equally frequent and their order must be decided.
words = [f"{number:x}" for number in np.random.default_rng(0).integers(0, 1 << 32, 30_000)]
documents = [" ".join(words[start:start + 10]) for start in range(0, len(words), 10)]
train(documents, 2000, directory)
write_documents(directory / "a.parquet", documents, directory, context=128,
                long_documents="refuse")
"""


def test_tokenizer_and_shard_do_not_depend_on_threads(tmp_path):
    for threads in ("1", "4"):
        done = python("-c", TRAIN, tmp_path / threads, RAYON_NUM_THREADS=threads)
        assert done.returncode == 0, done.stderr
    for name in ("tokenizer.json", "tokenizer_config.json", "a.parquet"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "4" / name).read_bytes()


def test_a_vocabulary_that_the_documents_do_not_allow_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"vocabulary of 8,000, but .* allow 262$"):
        tokenizing.train(["aaa", "aaab"], 8000, tmp_path)
    tokenizing.train(["aaa", "aaab"], 262, tmp_path)
    with pytest.raises(DataError, match="found a vocabulary of 258, expected at least 259"):
        tokenizing.train(["a"], 258, tmp_path)


def test_a_long_word_is_trained_on_in_pieces_and_nothing_else_is(tmp_path, monkeypatch):
    """Of 200,000 letters in one word training took half a minute, and four times that of twice."""
    letters = "".join(np.random.default_rng(0).choice(list("abcdefgh"), 200_000))
    started = time.process_time()
    tokenizing.train([letters], 400, tmp_path / "letters")
    assert time.process_time() - started < 10
    tokenizer = tokenizing.load(tmp_path / "letters")
    assert tokenizer.decode(tokenizer.encode(letters, add_special_tokens=False).ids) == letters
    texts = [*stories(300), *stories(300), "It's 12345 — \n\n  über-long: " + "ab1" * 20]
    tokenizing.train(texts, 310, tmp_path / "whole")
    monkeypatch.setattr(tokenizing, "LONGEST_WORD", 40)  # of most texts, but of no word
    tokenizing.train(texts, 310, tmp_path / "pieces")
    found = [(tmp_path / name / "tokenizer.json").read_text() for name in ("whole", "pieces")]
    assert found[0] == found[1]


def test_a_mistake_in_the_data_is_seen_through_the_tokenizer(tmp_path):
    def documents():
        yield "one"
        raise DataError("a.txt: a mistake")

    with pytest.raises(DataError, match=r"a\.txt: a mistake"):
        tokenizing.train(documents(), 300, tmp_path)
    with pytest.raises(DamagedFileError, match=r"tokenizer\.json: missing"):
        tokenizing.load(tmp_path)


# Writing


def write(path, documents, trained, **options):
    options = {"context": 128, "long_documents": "refuse", **options}
    return tokens.write_documents(path, documents, trained, **options)


def test_a_shard_holds_the_text_and_its_tokens(trained, tokenizer, tmp_path):
    path = tmp_path / "a.parquet"
    texts = [*stories(50), "  ends in </s> and é😀\r\n", ""]
    counts = write(path, texts, trained)
    table = pq.read_table(path)
    assert table.schema == tokens.schema(300)
    assert table["text"].to_pylist() == texts
    assert table["tokens"].to_pylist() == [tokenizer.encode(text) for text in texts]
    assert table["ended"].to_pylist() == [True] * 52
    lengths = [len(tokenizer.encode(text)) for text in texts]
    assert counts == tokens.Counts(52, sum(lengths), 0, 0, max(lengths) + 2)


def test_tokens_take_two_bytes_as_long_as_they_fit():
    assert tokens.schema(1 << 16).field("tokens").type.value_type == pa.uint16()
    assert tokens.schema((1 << 16) + 1).field("tokens").type.value_type == pa.uint32()
    for ids, vocabulary in (([199_999, 0], 200_000), ([65_535], 1 << 16)):
        table = tokens._table([tokens.Row(ids, "x", True)], tokens.schema(vocabulary))
        assert table["tokens"].to_pylist() == [ids]


@pytest.fixture
def lengths(trained):
    """Documents whose lengths, BOS and EOS included, are 10, 11, 12, 20."""
    documents = ["é" * 4, "é" * 4 + "z", "é" * 5, "é" * 9]
    encoder = tokenizing.load(trained)
    assert [len(encoder.encode(text).ids) + 2 for text in documents] == [10, 11, 12, 20]
    return documents


def test_long_documents_are_refused_with_the_context_they_need(lengths, trained, tmp_path):
    with pytest.raises(DataError) as caught:
        write(tmp_path / "a.parquet", lengths, trained, context=11)
    assert str(caught.value) == (
        f"{tmp_path}/a.parquet: 2 of 4 documents are longer than the context of 11 tokens, BOS "
        "and EOS included; raise context to 20, or set long_documents: drop or truncate"
    )
    assert os.listdir(tmp_path) == []
    counts = write(tmp_path / "a.parquet", lengths, trained, context=20)
    assert counts == tokens.Counts(4, 8 + 9 + 10 + 18, 0, 0, 20)


def test_long_documents_are_dropped(lengths, trained, tmp_path):
    path = tmp_path / "a.parquet"
    counts = write(path, lengths, trained, context=11, long_documents="drop")
    assert counts == tokens.Counts(2, 8 + 9, 2, 0, 20)
    assert pq.read_table(path)["text"].to_pylist() == lengths[:2]
    path.unlink()
    for documents, said in ((lengths, "left, 4 dropped as too long"), ([], "left")):
        with pytest.raises(DataError, match=f"no documents are {said}"):
            write(path, documents, trained, context=9, long_documents="drop")
    assert os.listdir(tmp_path) == []


def test_long_documents_are_truncated_and_not_ended(lengths, trained, tokenizer, tmp_path):
    path = tmp_path / "a.parquet"
    counts = write(path, lengths, trained, context=10, long_documents="truncate")
    assert counts == tokens.Counts(4, 8 + 3 * 9, 0, 3, 20)
    table = pq.read_table(path)
    assert table["ended"].to_pylist() == [True, False, False, False]
    whole = tokenizer.encode(lengths[3])
    assert table["tokens"].to_pylist()[3] == whole[:9]
    # With BOS the cut document fills the context; the character that was cut is replaced.
    assert table["text"].to_pylist() == ["éééé", "ééééz", "éééé�", "éééé�"]


def test_documents_that_are_cut_to_the_same_tokens_are_on_one_side_only(lengths, trained, tmp_path):
    """Compared is what is trained on: documents differ, but their beginnings may not."""
    cut = {"context": 10, "long_documents": "truncate"}
    tests = [lengths[3], "z" * 4]
    forms = tokens.truncated_forms(tests, trained, context=10)
    assert len(forms) == 1  # what fits is compared as a whole (splits.Split)
    counts = write(tmp_path / "a.parquet", lengths, trained, withheld=forms, **cut)
    assert counts == tokens.Counts(2, 8 + 9, 0, 1, 20, withheld=2)
    assert pq.read_table(tmp_path / "a.parquet")["text"].to_pylist() == lengths[:2]
    with pytest.raises(DataError, match=r"no documents are left, .* 1 cut to the tokens of a test"):
        write(tmp_path / "b.parquet", lengths[3:], trained, withheld=forms, **cut)


def lower_case(tokenizer):
    from tokenizers import normalizers

    tokenizer.normalizer = normalizers.Lowercase()


def composed(tokenizer):
    from tokenizers import normalizers

    tokenizer.normalizer = normalizers.NFKC()


def spaced(tokenizer):
    from tokenizers import pre_tokenizers

    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)


def greedy(tokenizer):
    """Let it swallow the white space beside a token that is not special."""
    from tokenizers import AddedToken

    tokenizer.add_tokens([AddedToken("Lily", lstrip=True)])


def without_bytes(tokenizer):
    from tokenizers import models

    described = json.loads(tokenizer.to_str())["model"]
    kept = {piece: n for piece, n in described["vocab"].items() if not piece.startswith("ð")}
    tokenizer.model = models.BPE(kept, [])


def unigram_end(tokenizer):
    """Let it find the text of EOS, which no BPE does, since no merge leads there."""
    from tokenizers import models, pre_tokenizers

    pieces = json.loads(tokenizer.to_str())["model"]["vocab"]
    ordered = sorted(pieces, key=pieces.__getitem__)
    tokenizer.model = models.Unigram([(piece, -1.0) for piece in ordered], None, False)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


@pytest.mark.parametrize(
    ("change", "text", "said"),
    [
        (lower_case, "was Lily", "makes 'was lily' of 'was Lily'"),
        (composed, "ﬁnd", "makes 'find' of 'ﬁnd'"),
        (spaced, "was", "makes ' was' of 'was'"),
        (greedy, "was Lily", "makes 'wasLily' of 'was Lily'"),
        (without_bytes, "was 😀", "of 'was 😀'"),
        (unigram_end, "was </s>", "makes special tokens of 'was </s>'"),
    ],
)
def test_a_document_that_the_tokenizer_alters_is_refused_or_left_out(
    change, text, said, trained, tmp_path
):
    tokenizer = tokenizing.load(trained)
    change(tokenizer)
    (tmp_path / "changed").mkdir()
    tokenizer.save(str(tmp_path / "changed" / "tokenizer.json"))
    path, kept = tmp_path / "a.parquet", " a girl"
    with pytest.raises(DataError, match="1 of 2 documents are not given back") as caught:
        write(path, [kept, text], tmp_path / "changed")
    assert said in str(caught.value) and "set altered_pairs: drop" in str(caught.value)
    counts = write(path, [kept, text], tmp_path / "changed", altered="drop")
    assert (counts.documents, counts.altered) == (1, 1)
    assert pq.read_table(path)["text"].to_pylist() == [kept]


def test_documents_are_written_as_they_come(trained, tmp_path, monkeypatch):
    """Never more than one row group waits to be written, so that memory does not grow."""
    monkeypatch.setattr(tokenizing, "BATCH", 10)
    monkeypatch.setattr(tokens, "GROUP", 3)
    given = written = waiting = 0

    def documents():
        nonlocal given, waiting
        for text in stories(1000):
            given += 1
            waiting = max(waiting, given - written)
            yield text

    write_table = pq.ParquetWriter.write_table

    def counted(self, table):
        nonlocal written
        written += len(table)
        write_table(self, table)

    monkeypatch.setattr(pq.ParquetWriter, "write_table", counted)
    path = tmp_path / "a.parquet"
    write(path, documents(), trained)
    assert written == given == 1000
    assert waiting <= 31
    metadata = pq.read_metadata(path)
    groups = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    assert groups == [*[30] * 33, 10]


# Reading


@pytest.fixture(scope="module")
def shard(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("shard") / "a.parquet"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizing, "BATCH", 5)
        patch.setattr(tokens, "GROUP", 2)
        write(path, stories(47), trained)
    return path


def test_a_shard_is_read_row_group_by_row_group(shard):
    read = list(tokens.read(shard))
    assert [len(table) for table in read] == [10, 10, 10, 10, 7]
    assert pa.concat_tables(read).equals(pq.read_table(shard))
    for table in tokens.read(shard, columns=["ended", "text"]):
        assert sorted(table.column_names) == ["ended", "text"]


@given(st.lists(st.integers(0, 46)).map(sorted))
def test_only_the_rows_asked_for_are_read(shard, positions):
    read = list(tokens.read(shard, np.array(positions, np.int64), ["text"]))
    assert all(len(table) for table in read)
    texts = list(itertools.chain.from_iterable(table["text"].to_pylist() for table in read))
    everything = list(stories(47))
    assert texts == [everything[position] for position in positions]


def test_row_groups_without_rows_asked_for_are_not_read(shard):
    with mock.patch.object(
        pq.ParquetFile, "read_row_group", autospec=True, side_effect=pq.ParquetFile.read_row_group
    ) as read:
        assert [len(table) for table in tokens.read(shard, np.array([9, 10, 46]))] == [1, 1, 1]
    assert [call.args[1] for call in read.call_args_list] == [0, 1, 4]


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ([0, 47], "a.parquet: found 47 rows, expected over 47"),
        ([-1, 3], "negative"),
        ([3, 2], "not in ascending order"),
    ],
)
def test_impossible_positions_are_refused(shard, positions, message):
    with pytest.raises(ValueError, match=message):
        list(tokens.read(shard, np.array(positions)))


def test_damaged_shards_are_refused(shard, tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(DamagedFileError, match=r"a\.parquet: can't be read as Parquet"):
        list(tokens.read(path))
    with pytest.raises(DamagedFileError, match=r"no\.parquet"):
        list(tokens.read(tmp_path / "no.parquet"))
    with pytest.raises(DamagedFileError, match="no column 'words', found tokens, text, ended"):
        list(tokens.read(shard, columns=["words"]))


# Prompts and responses


def gemma_like():
    """Make a tokenizer like Gemma's: spaces are ▁, unknown characters bytes, special ids differ."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += sorted(set("▁user:assistant\nLilythere"))
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    vocabulary |= {"▁L": 70_000, "er": 70_001, "\n\n": 70_002, ":▁": 70_003}
    merges = [("▁", "L"), ("e", "r"), ("\n", "\n"), (":", "▁")]
    model = models.BPE(vocabulary, merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.add_special_tokens(["<pad>", "<eos>", "<bos>"])
    return tokenizer


def words():
    """Make a tokenizer that normalises a text and then splits it into words."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    tokenizer = Tokenizer(
        models.WordLevel({"[UNK]": 0, "user": 1, "assistant": 2, ":": 3}, "[UNK]")
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


@pytest.fixture(scope="module", params=["byte-level", "gemma-like", "words"])
def any_tokenizer(request, trained, tmp_path_factory):
    if request.param == "byte-level":
        return trained
    path = tmp_path_factory.mktemp(request.param)
    made = gemma_like() if request.param == "gemma-like" else words()
    # What is saved with a tokenizer must not shorten or lengthen what it is given.
    made.enable_truncation(4)
    made.enable_padding(length=9)
    made.save(str(path / "tokenizer.json"))
    return path


some_part = st.one_of(
    st.text(min_size=1, max_size=20),
    st.lists(st.sampled_from([*"é😀語ﬁ e\n:", "\n\n", "<eos>", "Lily", " there"]), min_size=1).map(
        "".join
    ),
)
some_pair = st.builds(dialogue.Pair, some_part, some_part).filter(
    lambda pair: dialogue.fault(pair) is None
)


@given(some_pair)
def test_tokens_of_the_response_are_those_that_cover_any_of_it(any_tokenizer, pair):
    encoder = tokenizing.load(any_tokenizer)
    text = dialogue.render(pair)
    ids, head_tokens = tokenizing.encode(encoder, text, dialogue.head)
    encoding = encoder.encode(text, add_special_tokens=False)
    assert ids == encoding.ids
    ends = [end for _, end in encoding.offsets]
    assert all(end <= dialogue.head(text) for end in ends[:head_tokens])
    assert all(end > dialogue.head(text) for end in ends[head_tokens:])


@given(some_pair)
def test_tokens_without_the_head_decode_to_the_response(trained, pair):
    """What each token covers is told by its bytes, independently of the tokenizer's offsets."""
    encoder = tokenizing.load(trained)
    text = dialogue.render(pair)
    ids, head_tokens = tokenizing.encode(encoder, text, dialogue.head)
    head = encoder.decode(ids[:head_tokens], skip_special_tokens=False)
    response = encoder.decode(ids[head_tokens:], skip_special_tokens=False)
    assert head + response == text
    # But for what a word of the response is one token with: the space before it.
    assert response in (pair.response, " " + pair.response)
    assert len(ids) - head_tokens > 0
    if response != pair.response:
        first = encoder.decode(ids[head_tokens : head_tokens + 1])
        assert first.startswith(" ") and len(first) > 1


def test_every_byte_of_a_character_is_on_the_side_of_the_character(tmp_path):
    """Offsets count characters, even if a character is spread over several tokens."""
    gemma_like().save(str(tmp_path / "tokenizer.json"))
    encoder = tokenizing.load(tmp_path)
    found = tokenizing.encode(encoder, "user: é語\nassistant: 😀é", dialogue.head)
    pieces = [encoder.id_to_token(number) for number in found.ids]
    assert pieces[: found.head_tokens][-2:] == ["t", ":▁"]
    assert pieces[found.head_tokens :] == [
        "<0xF0>", "<0x9F>", "<0x98>", "<0x80>", "<0xC3>", "<0xA9>"
    ]  # fmt: skip
    text = "user: a\nassistant:  Lily"
    merged = tokenizing.encode(encoder, text, lambda text: text.index("Lily"))
    pieces = [encoder.id_to_token(number) for number in merged.ids]
    assert pieces[merged.head_tokens :] == ["▁L", "i", "l", "y"]


def test_a_shard_tells_prompts_from_responses(any_tokenizer, tmp_path):
    path = tmp_path / "a.parquet"
    pairs = [dialogue.Pair(f"{text} é?", f"{text[:9]}\n😀") for text in stories(30)]
    texts = [dialogue.render(pair) for pair in pairs]
    if any_tokenizer.name.startswith("words"):
        with pytest.raises(DataError, match="30 of 30 documents are not given back by the tok"):
            write(path, texts, any_tokenizer, context=1000, head=dialogue.head)
        return
    counts = write(path, texts, any_tokenizer, context=1000, head=dialogue.head)
    encoder = tokenizing.load(any_tokenizer)
    expected = [tokenizing.encode(encoder, text, dialogue.head) for text in texts]
    table = pq.read_table(path)
    vocabulary = tokenizing.vocabulary_of(encoder)
    assert table.schema == tokens.schema(vocabulary, head=True)
    assert table.schema.field(tokens.HEAD).type == pa.int32()
    assert table["tokens"].to_pylist() == [encoded.ids for encoded in expected]
    assert table[tokens.HEAD].to_pylist() == [encoded.head_tokens for encoded in expected]
    assert table["text"].to_pylist() == texts
    assert all(0 < encoded.head_tokens < len(encoded.ids) for encoded in expected)
    lengths = [len(encoded.ids) for encoded in expected]
    assert counts == tokens.Counts(30, sum(lengths), 0, 0, max(lengths) + 2)
    # Ids that two bytes can't hold are those that there are, not as many as there are.
    assert (vocabulary > 1 << 16) == (table.schema.field("tokens").type.value_type == pa.uint32())
    (read,) = tokens.read(path, np.array([3, 7]), ("tokens", tokens.HEAD))
    assert read[tokens.HEAD].to_pylist() == [expected[3].head_tokens, expected[7].head_tokens]


def test_prompts_change_nothing_else_of_a_shard(trained, tmp_path):
    texts = [dialogue.render(dialogue.Pair(text, "é")) for text in stories(50)]
    write(tmp_path / "a.parquet", texts, trained)
    write(tmp_path / "b.parquet", texts, trained, head=dialogue.head)
    documents, pairs = (pq.read_table(tmp_path / name) for name in ("a.parquet", "b.parquet"))
    assert documents.column_names == ["tokens", "text", "ended"]
    assert pairs.drop_columns(tokens.HEAD).equals(documents)


def test_a_truncated_pair_has_no_more_head_than_tokens(trained, tmp_path):
    path = tmp_path / "a.parquet"
    text = dialogue.render(dialogue.Pair("é" * 20, "é" * 20))
    ids, head_tokens = tokenizing.encode(tokenizing.load(trained), text, dialogue.head)
    for context in (head_tokens - 5, head_tokens + 5):
        options = {"context": context, "long_documents": "truncate", "head": dialogue.head}
        write(path, [text], trained, **options)
        (row,) = pq.read_table(path).to_pylist()
        assert row["tokens"] == ids[: context - 1] and not row["ended"]
        assert row[tokens.HEAD] == min(head_tokens, context - 1)


def test_a_file_that_is_no_tokenizer_is_refused_in_one_line(tmp_path):
    for content in ("{}", "not JSON", '{"version": "1.0",\n "model": {"type": "?"}}'):
        (tmp_path / "tokenizer.json").write_text(content)
        said = r"tokenizer\.json: can't be read as a tokenizer"
        with pytest.raises(DamagedFileError, match=said) as caught:
            tokenizing.load(tmp_path)
        assert "\n" not in str(caught.value)
