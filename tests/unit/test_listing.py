"""Folders of data: every file is read once, known to be harmless, or refused by its name."""

import gzip
import os

import pytest

from collapse.data import listing
from collapse.errors import DataError

SUFFIXES = (".txt", ".jsonl", ".parquet")


def folder_of(tmp_path, names, same=()):
    for number, name in enumerate(names.split()):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = f"{'x' * number}" if name not in same else "the same"
        path.write_bytes(
            gzip.compress(content.encode()) if name.endswith("gz") else content.encode()
        )
    return tmp_path


def found_in(folder, **options):
    found = listing.find(folder, SUFFIXES, gzipped=(".txt", ".jsonl"), **options)
    return [" ".join(file.name for file in files) for files in found]


USED = {
    "train.jsonl": ("train.jsonl", ""),
    "train.JSONL.gz Test.jsonl": ("train.JSONL.gz", "Test.jsonl"),
    "train-0.txt train-1.txt train-2.txt": ("train-0.txt train-1.txt train-2.txt", ""),
    "train_01.txt train_02.txt": ("train_01.txt train_02.txt", ""),
    "train.0.txt train.1.txt": ("train.0.txt train.1.txt", ""),
    "train1.txt train2.txt": ("train1.txt train2.txt", ""),
    "train-1-of-2.txt train-2-of-2.txt": ("train-1-of-2.txt train-2-of-2.txt", ""),
    "train-0-of-1-0a1b.parquet": ("train-0-of-1-0a1b.parquet", ""),
    "train-wiki-0.txt train-wiki-1.txt train-web.txt": (
        "train-web.txt train-wiki-0.txt train-wiki-1.txt",
        "",
    ),
    "train-2019.txt train-2021.txt": ("train-2019.txt train-2021.txt", ""),
    "train-2019-05-03.txt train-2019-05-07.txt": (
        "train-2019-05-03.txt train-2019-05-07.txt",
        "",
    ),
    "train-v2.txt dev-v2.txt": ("train-v2.txt", "dev-v2.txt"),
    "train.txt val.jsonl": ("train.txt", "val.jsonl"),
    "train.txt valid-0-of-2.txt valid-1-of-2.txt": (
        "train.txt",
        "valid-0-of-2.txt valid-1-of-2.txt",
    ),
    "train.txt README.md LICENSE.txt sha256sums.txt .git/x __MACOSX/train.txt": ("train.txt", ""),
}


@pytest.mark.parametrize("names", USED)
def test_every_file_of_a_split_is_used(tmp_path, capsys, names):
    assert found_in(folder_of(tmp_path, names)) == list(USED[names])
    assert capsys.readouterr().err == ""


REFUSED = {
    "": "found an empty folder, expected train, validation, test",
    "test.txt": "found test.txt, expected train",
    "train.txt train.txt.gz": "found train.txt and train.txt.gz, expected one of them",
    "train.txt train.TXT": "found train.TXT and train.txt, expected one of them",
    "train-1.txt train-01.txt": "found train-01.txt and train-1.txt, expected one of them",
    "train-1.txt train_1.txt": "found train-1.txt and train_1.txt, expected one of them",
    "train.txt train-0.txt train-1.txt": "found train.txt beside train-0.txt, expected the one",
    "train-0.txt train-2.txt": "found the numbers 0, 2 of files like train-0.txt, expected 1",
    "train_2.txt train_3.txt": "found the numbers 2, 3 of files like train_2.txt, expected 1",
    "train-00002.txt": "found the numbers 2 of files",
    "train-0-of-3.txt train-2-of-3.txt": r"expected 3 shards .*, found 2 \(0, 2\)",
    "train-0-of-2.txt train-0-of-2.txt.gz": "found train-0-of-2.txt and train-0-of-2.txt.gz",
    "train-0-of-2-a.txt train-0-of-2-b.txt": "found train-0-of-2-a.txt and train-0-of-2-b.txt",
    "train-0-of-2.txt train-1-of-3.txt": "that are not of one set",
    "train-0-of-2.txt train-1.txt": "that are not of one set",
    "train.txt test-1-of-3.txt": r"expected 3 shards like test-1-of-3.txt, found 1 \(1\)",
    "train.txt train-2.jsonl": r"the files of train are of several kinds \(.jsonl, .txt\)",
    "train.txt dev.txt val.txt": r"of validation begin with several names \(dev, val\)",
    "train.txt extra.txt": "extra.txt: found a file of an unknown name, expected train",
    "train.txt trainee.txt": "trainee.txt: found a file of an unknown name",
    "train.txt dev.csv": "dev.csv: found a file of an unknown name",
    "train.txt train-1.txt.zst": "train-1.txt.zst: found a file of an unknown name",
    "train.txt train-1.parquet.gz": "train-1.parquet.gz: found a file of an unknown name",
    "train.txt.GZ": "train.txt.GZ: found a file of an unknown name",
    "train.txt train.txt.bak": "train.txt.bak: found a file of an unknown name",
    "train.txt train-1.txt.part": "train-1.txt.part: found a file of an unknown name",
    "train.txt data/train.txt": "data: found a folder, expected train",
}


@pytest.mark.parametrize("names", REFUSED)
def test_what_would_be_left_out_or_read_twice_is_refused_by_name(tmp_path, names):
    with pytest.raises(DataError, match=REFUSED[names]) as refused:
        found_in(folder_of(tmp_path, names))
    assert str(refused.value).startswith(str(tmp_path)) and "\n" not in str(refused.value)


def test_copies_and_broken_links_are_refused(tmp_path):
    folder_of(tmp_path, "train-a.txt train-b.txt train-c.txt", same=("train-a.txt", "train-c.txt"))
    with pytest.raises(DataError, match=r"train-c.txt: found the content of train-a.txt"):
        found_in(tmp_path)
    (tmp_path / "train-c.txt").unlink()
    (tmp_path / "train-c.txt").symlink_to("gone.txt")
    with pytest.raises(DataError, match=r"train-c.txt: found a broken link or a device"):
        found_in(tmp_path)


@pytest.mark.parametrize(
    ("tests", "used", "unused"),
    [
        ((listing.VALIDATION, listing.TEST), "dev.txt", "test.txt"),
        ((listing.TEST, listing.VALIDATION), "test.txt", "dev.txt"),
    ],
)
def test_a_second_test_split_is_left_alone_and_named(tmp_path, capsys, tests, used, unused):
    folder_of(tmp_path, "train.txt dev.txt test.txt")
    assert found_in(tmp_path, tests=tests) == ["train.txt", used]
    said = f"{tmp_path}: {used} is the test split; not used: {unused}\n"
    assert capsys.readouterr().err == said


def test_a_name_that_is_no_text_is_refused(tmp_path):
    """As archives of other systems leave them; no record of the data could hold it."""
    folder_of(tmp_path, "train.txt")
    with open(os.fsencode(tmp_path) + b"/train\xe9.txt", "w") as other:
        other.write("another")
    with pytest.raises(DataError, match=r"/train\\udce9.txt: found a name that is no UTF-8, exp"):
        found_in(tmp_path)
