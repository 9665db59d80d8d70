"""Where real documents come from, and that no text is ever on both sides of the split."""

import gzip
import json
import re
from collections import Counter
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collapse import seeding
from collapse.data import reading
from collapse.data.text import documents
from collapse.data.text.corpus import Counts, DataError, open_corpus
from running import python

SEPARATOR = "<|endoftext|>"
TEXTS = [f"Story {number}. Once upon a time …" for number in range(40)]


def generator_of(purpose):
    return seeding.stream("pretraining", "point", seeding.REAL, 0, 0, purpose)


def opened(source, *, limit=None, test_documents=None, column="text", separator=SEPARATOR):
    return open_corpus(
        str(source),
        separator=separator,
        column=column,
        limit=limit,
        test_documents=test_documents,
        generator_of=generator_of,
    )


def write(path, texts=TEXTS, column="text"):
    """Write documents as a file of the kind that its name says."""
    if ".parquet" in path.name:
        pq.write_table(pa.table({"id": range(len(texts)), column: texts}), path)
        return path
    if ".txt" in path.name:
        content = f"\n{SEPARATOR}\n".join(texts)
    else:
        content = "".join(json.dumps({"id": 0, column: text}) + "\n" for text in texts)
    data = content.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


FILES = [
    "a.txt",
    "a.txt.gz",
    "a.jsonl",
    "a.json",
    "a.jsonl.gz",
    "a.json.gz",
    "a.parquet",
    "b.JSONL",
]


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_each_kind_gives_all_its_documents_and_gives_them_again(name, tmp_path):
    found = opened(write(tmp_path / name))
    assert found.counts == Counts(train=38, test=2, empty=0, copies=0)
    for _ in range(2):
        train, test = list(found.train()), list(found.test())
        assert Counter(train + test) == Counter(TEXTS)
        assert len(test) == 2
        assert train == [text for text in TEXTS if text not in test]


def test_the_split_is_the_same_whatever_the_kind_of_file(tmp_path):
    tests = {name: sorted(opened(write(tmp_path / name)).test()) for name in FILES}
    assert len(set(map(tuple, tests.values()))) == 1


def test_two_passes_side_by_side_do_not_disturb_each_other(tmp_path):
    found = opened(write(tmp_path / "a.txt"))
    assert all(one == other for one, other in zip(found.train(), found.train(), strict=True))


def test_empty_documents_are_dropped_and_counted(tmp_path):
    texts = ["", *TEXTS, " \n\t", TEXTS[0]]
    counts = {opened(write(tmp_path / name, texts)).counts for name in FILES}
    assert len(counts) == 1
    assert counts.pop().empty == 2


def test_nulls_are_empty_documents(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": pa.array(["a", None, "b"])}), path)
    lines = tmp_path / "a.jsonl"
    lines.write_text('{"text": "a"}\n{"text": null}\n\n{"text": "b"}\n')
    assert opened(path).counts == opened(lines).counts == Counts(1, 1, 1, 0)


def test_records_keep_the_white_space_around_them_and_text_files_do_not(tmp_path):
    texts = ["  indented\n", "b ", "c"]
    for name in ("a.jsonl", "a.parquet"):
        found = opened(write(tmp_path / name, texts))
        assert sorted([*found.train(), *found.test()]) == sorted(texts)
    found = opened(write(tmp_path / "a.txt", texts))
    assert sorted([*found.train(), *found.test()]) == ["b", "c", "indented"]
    assert found.counts.test == 1, "at least one"


# Text files


@given(
    st.text(alphabet="ab\n\r…é", max_size=60),
    st.sampled_from(["\n\n", "a", "aba", "…"]),
    st.integers(1, 7),
)
def test_chunks_change_nothing(tmp_path_factory, content, separator, chunk):
    path = tmp_path_factory.getbasetemp() / "chunks.txt"
    path.write_bytes(content.encode())
    plain = content.replace("\r\n", "\n").replace("\r", "\n")
    expected = [part.strip() for part in plain.split(separator)]
    if not expected[-1]:
        expected.pop()
    with mock.patch.object(documents, "CHUNK", chunk):
        if len(expected) == 1 and separator not in plain:
            with pytest.raises(DataError, match="separator"):
                list(documents.read(path, separator=separator, column=""))
        else:
            assert list(documents.read(path, separator=separator, column="")) == expected


def test_a_byte_order_mark_is_no_text(tmp_path):
    text = tmp_path / "a.txt"
    text.write_bytes(b"\xef\xbb\xbfa|b")
    assert list(documents.read(text, separator="|", column="")) == ["a", "b"]
    lines = tmp_path / "a.jsonl"
    lines.write_bytes(b'\xef\xbb\xbf{"text": "a"}')
    assert list(documents.read(lines, separator="", column="text")) == ["a"]


class Unread:
    """A file of any number of stories, which counts what has been read of it."""

    def __init__(self, size):
        self.left = size
        self.largest = 0

    def read(self, size=-1):
        assert size > 0
        self.largest = max(self.largest, size)
        given = min(size, self.left)
        self.left -= given
        return (b"a story|" * (given // 8 + 1))[:given]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def test_a_text_file_is_read_as_it_is_asked_for(tmp_path, monkeypatch):
    file = Unread(1 << 40)
    monkeypatch.setattr(reading, "open", lambda *_: file, raising=False)
    stream = documents.read(tmp_path / "a.txt", separator="|", column="")
    assert [next(stream) for _ in range(1000)] == ["a story"] * 1000
    assert (1 << 40) - file.left == file.largest == documents.CHUNK


def test_a_file_without_separators_is_not_read_to_its_end(tmp_path, monkeypatch):
    file = Unread(1 << 40)
    monkeypatch.setattr(reading, "open", lambda *_: file, raising=False)
    monkeypatch.setattr(documents, "LONGEST", 1 << 21)
    with pytest.raises(DataError, match=r"no separator '\^' within 2,097,152 characters"):
        list(documents.read(tmp_path / "a.txt", separator="^", column=""))
    assert (1 << 40) - file.left < 1 << 22


# Directories


@pytest.mark.parametrize("name", ["validation", "valid", "val", "dev", "test"])
@pytest.mark.parametrize("kind", ["txt", "jsonl.gz", "parquet"])
def test_a_directory_may_have_an_official_test_split(name, kind, tmp_path):
    write(tmp_path / f"train.{kind}", TEXTS[:30])
    write(tmp_path / f"{name}.{kind}", TEXTS[28:35])
    found = opened(tmp_path)
    assert list(found.train()) == TEXTS[:28]
    assert list(found.test()) == TEXTS[28:35]
    assert found.counts == Counts(train=28, test=7, empty=0, copies=2)
    assert list(opened(tmp_path, test_documents=3).test()) == TEXTS[28:31]


def test_validation_comes_before_test(tmp_path):
    for name, texts in (("train", TEXTS[:9]), ("validation", TEXTS[9:11]), ("test", TEXTS[11:])):
        write(tmp_path / f"{name}.jsonl", texts)
    assert list(opened(tmp_path).test()) == TEXTS[9:11]


def test_shards_are_read_in_order_and_other_files_left_alone(tmp_path):
    for shard in range(4):
        write(tmp_path / f"train-0000{shard}-of-00004.parquet", TEXTS[10 * shard :][:10])
    for name in ("training.log", "README.md", "LICENSE", ".gitattributes", "dataset_infos.json"):
        (tmp_path / name).write_text("not data")
    found = opened(tmp_path)
    assert Counter([*found.train(), *found.test()]) == Counter(TEXTS)
    assert list(found.train()) == [text for text in TEXTS if text not in set(found.test())]
    (tmp_path / "train-00002-of-00004.parquet").unlink()
    with pytest.raises(DataError, match=r"expected 4 shards .*, found 3 \(0, 1, 3\)"):
        opened(tmp_path)


# Mistakes: each in one line, with the file, what was found and what was expected.


def refuses(path, *parts, **options):
    with pytest.raises(DataError) as caught:
        opened(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    for part in (str(path), *parts):
        assert part in message


def file(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_what_is_missing_or_of_an_unknown_kind_is_refused(tmp_path):
    refuses(tmp_path / "no.txt", "no such file or directory")
    for name in ("a.csv", "a", "a.txt.zst", "a.parquet.gz"):
        refuses(file(tmp_path, name, b"x"), "unknown kind of file", ".jsonl", ".parquet")
    directory = tmp_path / "directory"
    directory.mkdir()
    refuses(directory, "found an empty folder, expected train, validation, test")
    write(directory / "stories.txt")
    refuses(directory, "stories.txt: found a file of an unknown name, expected train")
    (directory / "stories.txt").rename(directory / "train.txt")
    write(directory / "train.jsonl")
    refuses(directory, "several kinds (.jsonl, .txt)")


def test_an_empty_corpus_is_refused(tmp_path):
    refuses(file(tmp_path, "a.txt", b""), "no training documents (0 empty ones)")
    refuses(file(tmp_path, "a.jsonl", b""), "no training documents")
    refuses(write(tmp_path / "b.jsonl", [" ", ""]), "no training documents (2 empty ones)")
    refuses(write(tmp_path / "a.parquet", []), "text", "null")
    folder = tmp_path / "folder"
    folder.mkdir()
    write(folder / "train.jsonl")
    write(folder / "test.jsonl", [""])
    refuses(folder, "0 documents in the test split")
    write(folder / "test.jsonl", TEXTS)
    refuses(folder, "every training document is also a test document")


def test_a_corpus_too_small_for_its_test_set_is_refused(tmp_path):
    refuses(write(tmp_path / "a.jsonl", ["a", " a"]), "one distinct document")
    said = "test_documents: found 40, expected less than the 40 "
    refuses(write(tmp_path / "b.jsonl"), said, test_documents=40)
    folder = tmp_path / "folder"
    folder.mkdir()
    write(folder / "train.jsonl")
    write(folder / "test.jsonl", ["a"])
    refuses(folder, "1 documents in the test split, test_documents is 2", test_documents=2)


def test_a_text_without_its_separator_is_refused(tmp_path):
    path = file(tmp_path, "a.txt", b"one\n\ntwo")
    refuses(path, "found no separator '<|endoftext|>'", "one single document")
    assert opened(path, separator="\n\n").counts.train == 1


def test_line_ends_of_all_systems_are_alike_in_a_file_and_in_its_separator(tmp_path):
    for end in ("\n", "\r\n", "\r"):
        path = file(tmp_path, "a.txt", f"a{end}-{end}b{end}-{end}c".encode())
        for separator in ("\n-\n", "\r\n-\r\n", "\r-\r"):
            found = opened(path, separator=separator)
            assert sorted([*found.train(), *found.test()]) == ["a", "b", "c"]


def not_unicode():
    """Return a column of texts whose second one is no UTF-8."""
    ends = np.array([0, 4, 9, 13], np.int32)
    buffers = [None, pa.py_buffer(ends.tobytes()), pa.py_buffer(b"goodbad\xff\xfegood")]
    return pa.Array.from_buffers(pa.string(), 3, buffers)


def test_a_value_that_is_no_unicode_is_refused_with_its_row(tmp_path):
    import datasets

    pq.write_table(pa.table({"text": not_unicode()}), tmp_path / "a.parquet")
    refuses(tmp_path / "a.parquet", "a.parquet: row 2: ", "UnicodeDecodeError")
    split = datasets.Dataset(pa.table({"text": not_unicode()}))
    loaded = datasets.DatasetDict({"train": split, "test": split})
    with mock.patch("datasets.load_dataset", return_value=loaded):
        refuses("hub:owner/name", "hub:owner/name: split train, row 2: ", "UnicodeDecodeError")


def test_text_that_is_not_utf_8_is_refused_with_the_byte(tmp_path, monkeypatch):
    content = "é|é|".encode() * 3 + b"\xe9|"
    for chunk in (1, 2, 5, 1 << 20):
        monkeypatch.setattr(documents, "CHUNK", chunk)
        refuses(file(tmp_path, "a.txt", content), "not UTF-8 at byte 18", separator="|")
        refuses(file(tmp_path, "b.txt", content[:16]), "byte 15 (unexpected end", separator="|")
        refuses(file(tmp_path, "c.txt", b"ab|\0"), "a NUL at byte 3", separator="|")
    lines = b'{"text": "a"}\n{"text": "\xe9"}'
    refuses(file(tmp_path, "a.jsonl", lines), "not UTF-8 at byte 24")
    refuses(file(tmp_path, "d.txt", "a|b".encode("utf-16")), "not UTF-8 at byte 0")


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ('{"text": "b"', ["line 2: found '{", "at column 13", "expected one JSON object a line"]),
        ('["b"]', ["line 2: found '[\"b\"]', expected a JSON object"]),
        ('{"title": "b", "body": ""}', ["line 2: found the columns title, body, expected 'text'"]),
        ("{}", ["line 2: found no columns, expected 'text'"]),
        ('{"text": ["b"]}', ["line 2: found \"['b']\" in 'text', expected text"]),
        (r'{"text": "\ud800"}', ["line 2: not Unicode", r"lone surrogate '\ud800'"]),
        ('{"text": "b", "text": "c"}', ["line 2: ", "found 'text' twice, expected each name once"]),
        ('{"text": "b", "n": ' + "9" * 5000 + "}", ["line 2: can't be read (ValueError: Exceeds"]),
        ('{"text": ' + "[" * 200_000, ["line 2: can't be read (RecursionError: "]),
    ],
)
def test_a_line_that_is_no_record_is_refused_with_its_number(line, parts, tmp_path):
    refuses(file(tmp_path, "a.jsonl", f'{{"text": "a"}}\n{line}\n'.encode()), *parts)


def test_a_missing_column_is_refused_with_those_that_there_are(tmp_path):
    path = write(tmp_path / "a.parquet", column="story")
    refuses(path, "found the columns id, story, expected 'text'")
    refuses(path, "found int64 in 'id', expected text", column="id")
    assert opened(path, column="story").counts.test == 2


def test_damaged_files_are_refused(tmp_path):
    refuses(file(tmp_path, "a.parquet", b"PAR1 but no Parquet"), "can't be read as Parquet")
    whole = gzip.compress(SEPARATOR.join(TEXTS).encode())
    refuses(file(tmp_path, "a.txt.gz", whole[:-20]), "damaged or truncated gzip")
    refuses(file(tmp_path, "b.txt.gz", b"plain text"), "damaged or truncated gzip")
    refuses(file(tmp_path, "c.txt.gz", whole[:30] + b"xxxx" + whole[34:]), "damaged or truncated")


# Stories


@pytest.fixture
def stories(monkeypatch):
    """Put in place of the grammar one of 5,000 stories, so that some are drawn twice."""

    def draw(count, generator):
        return [f"Story {number}." for number in generator.integers(0, 5000, count)]

    monkeypatch.setattr("collapse.data.text.stories.draw", draw)


@pytest.mark.usefixtures("stories")
def test_stories_are_drawn_from_their_own_streams():
    found = opened("stories", limit=2500, test_documents=30)
    train, test = list(found.train()), list(found.test())
    assert found.counts == Counts(2500, 30, 0, 0) == Counts(len(train), len(test), 0, 0)
    assert not set(train) & set(test)
    assert (train, test) == (list(found.train()), list(found.test()))
    smaller = opened("stories", limit=100, test_documents=30)
    assert list(smaller.train()) == train[:100]
    assert list(smaller.test()) == test


@pytest.mark.usefixtures("stories")
def test_there_are_20000_stories_to_train_and_1000_to_test():
    assert opened("stories", test_documents=20).counts == Counts(20_000, 20, 0, 0)
    assert opened("stories", limit=1).counts.test == 1_000


def test_the_grammar_has_many_more_stories_than_a_corpus():
    found = opened("stories", limit=300, test_documents=30)
    assert len({*found.train(), *found.test()}) == 330


# The Hub


def hub(**splits):
    import datasets

    loaded = datasets.DatasetDict(
        {name: datasets.Dataset.from_dict({"text": texts}) for name, texts in splits.items()}
    )
    return mock.patch("datasets.load_dataset", return_value=loaded)


def test_tinystories_comes_from_the_hub_with_its_own_split():
    with hub(train=TEXTS[:30], validation=[*TEXTS[29:], ""]) as load:
        found = opened("tinystories")
    load.assert_called_once_with("roneneldan/TinyStories")
    assert found.counts == Counts(train=29, test=11, empty=1, copies=1)
    assert list(found.train()) == list(found.train()) == TEXTS[:29]
    assert list(found.test()) == TEXTS[29:]


def test_a_data_set_of_the_hub_may_have_a_test_split_or_none():
    with hub(train=TEXTS[:30], test=TEXTS[30:]):
        assert list(opened("hub:owner/name").test()) == TEXTS[30:]
    with hub(train=TEXTS):
        assert opened("hub:owner/name").counts == Counts(38, 2, 0, 0)


def test_a_data_set_of_the_hub_that_does_not_fit_is_refused():
    with hub(train=TEXTS):
        refuses("hub:owner/name", "found the columns text, expected 'story'", column="story")
    with hub(all=TEXTS):
        refuses("hub:owner/name", "found the splits all, expected train")
    with hub(train=[1, 2]):
        refuses("hub:owner/name", "found int64 in 'text', expected text")
    with hub(train=[["a"], ["b"]]):
        refuses("hub:owner/name", "in 'text', expected text")
    refuses("hub:TinyStories", "expected hub:<owner>/<name>")


def unreachable():
    from datasets import exceptions

    return [
        ConnectionError("Couldn't reach 'owner/name' on the Hub (LocalEntryNotFoundError)"),
        ConnectionError("Couldn't reach 'owner/name' on the Hub (OfflineModeIsEnabled)"),
        exceptions.DatasetNotFoundError("Dataset 'owner/name' doesn't exist on the Hub"),
        ValueError("Couldn't find cache for owner/name for config 'default'\nAvailable: []"),
    ]


@pytest.mark.parametrize("error", unreachable(), ids=lambda error: str(error)[:40])
def test_an_unreachable_hub_is_reported_with_the_remedy(error):
    with mock.patch("datasets.load_dataset", side_effect=error):
        refuses(
            "hub:owner/name",
            type(error).__name__,
            str(error).splitlines()[0],
            "load_dataset('owner/name') once where there is a network",
            "HF_HUB_OFFLINE=1",
            "point data at local files",
        )


OFFLINE = """
from collapse.data.text.corpus import open_corpus
try:
    open_corpus("hub:owner/name", separator="", column="text", limit=None, test_documents=None,
                generator_of=None)
except ValueError as error:
    print(type(error).__name__, error)
"""


def test_without_a_network_and_cache_the_real_library_is_understood(tmp_path):
    done = python("-c", OFFLINE, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path))
    assert re.fullmatch(
        r"DataError hub:owner/name: neither on the Hub nor in its cache \(ConnectionError: .*\n",
        done.stdout,
    )


def test_importing_costs_no_heavy_package():
    names = ("pairs", "questions", "corpus", "tokens")
    modules = ", ".join(f"collapse.data.text.{name}" for name in names)
    loaded = set(python("-c", f"import sys, {modules}; print(*sys.modules)").stdout.split())
    assert "collapse.data.text.pairs" in loaded
    assert not {"torch", "transformers", "datasets", "tokenizers"} & loaded
