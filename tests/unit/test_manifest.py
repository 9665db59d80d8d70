"""Manifests: what was written is what is read, and what is damaged is found."""

from __future__ import annotations

import hashlib

import pytest

from collapse.artifacts import manifest
from collapse.artifacts.files import DamagedFileError
from collapse.artifacts.manifest import ShardFile, ShardRecord, SourceRecord, TrainingSet

RECORD = ShardRecord(
    shard=ShardFile(path="synthetic/0-10.parquet", start=0, stop=10, sha256="0" * 64),
    details={"seconds": 1.5, "tokens": 7},
)
TRAINING_SET = TrainingSet(
    experiment="loop",
    point="samples=10",
    regime="accumulate",
    seed=2**62,
    iteration=2,
    sources=(
        SourceRecord(kind="real", iteration=1, size=10, count=10),
        SourceRecord(kind="synthetic", iteration=1, size=10, count=4, files=(RECORD.shard,)),
    ),
)
READERS = {
    "training set": (TRAINING_SET, manifest.read_training_set),
    "record": (RECORD, manifest.read_shard_record),
}


@pytest.fixture
def shard(tmp_path):
    path = tmp_path / "0-10.parquet"
    path.write_bytes(bytes(range(256)) * 20)
    return ShardFile(path=str(path), start=0, stop=10, sha256=manifest.checksum(path))


@pytest.mark.parametrize("kind", READERS)
def test_what_was_written_is_read(tmp_path, kind):
    written, read = READERS[kind]
    manifest.write(tmp_path / "record.json", written)
    assert read(tmp_path / "record.json") == written
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


def test_the_size_of_a_training_set_is_that_of_its_sources():
    assert TRAINING_SET.size == 14


def one_line(error, path):
    """Assert that an error is one line that begins with the file."""
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 300 + len(str(path))


@pytest.mark.parametrize("kind", READERS)
def test_every_truncation_is_found(tmp_path, kind):
    written, read = READERS[kind]
    path = tmp_path / "record.json"
    manifest.write(path, written)
    content = path.read_bytes().rstrip()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(DamagedFileError, match="damaged") as error:
            read(path)
        one_line(error, path)


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"\0" * 100, b'{"shard": 1}', b'{"sources": []}'],
)
def test_what_is_no_record_is_refused(tmp_path, kind, content):
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(DamagedFileError) as error:
        READERS[kind][1](path)
    one_line(error, path)


def test_unknown_keys_are_refused(tmp_path):
    path = tmp_path / "record.json"
    path.write_text(RECORD.model_dump_json()[:-1] + ', "more": 1}')
    with pytest.raises(DamagedFileError, match="more"):
        manifest.read_shard_record(path)


def test_a_checksum_is_the_sha_256_that_others_compute(shard):
    content = bytes(range(256)) * 20
    assert shard.sha256 == hashlib.sha256(content).hexdigest()


def test_an_intact_shard_is_accepted(shard):
    manifest.verify(shard)


@pytest.mark.parametrize("position", [0, 1, 2560, -1])
def test_one_altered_bit_is_found(shard, tmp_path, position):
    path = tmp_path / "0-10.parquet"
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match="damaged") as error:
        manifest.verify(shard)
    one_line(error, path)


@pytest.mark.parametrize("length", [0, 1, -1])
def test_a_truncated_shard_is_found(shard, tmp_path, length):
    path = tmp_path / "0-10.parquet"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DamagedFileError, match="damaged") as error:
        manifest.verify(shard)
    one_line(error, path)


def test_a_missing_shard_is_found_and_how_to_make_it_again_is_said(shard, tmp_path):
    path = tmp_path / "0-10.parquet"
    path.unlink()
    with pytest.raises(DamagedFileError, match=f"missing.*snakemake {path}") as error:
        manifest.verify(shard)
    one_line(error, path)
