"""Manifests: what was written is what is read, and what is damaged is found."""

import hashlib
import shlex
from contextlib import contextmanager
from pathlib import Path

import pytest

from collapse.artifacts import files, manifest
from collapse.artifacts.files import DamagedFileError
from collapse.artifacts.manifest import Dataset, ShardFile, ShardRecord, SourceRecord, TrainingSet

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
    "dataset": (Dataset(train=(RECORD.shard,), test=()), manifest.read_dataset),
}


@pytest.mark.parametrize("kind", READERS)
def test_what_was_written_is_read(tmp_path, kind):
    written, read = READERS[kind]
    manifest.write(tmp_path / "record.json", written)
    assert read(tmp_path / "record.json") == written
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


def test_the_size_of_a_training_set_is_that_of_its_sources():
    assert TRAINING_SET.size == 14


@contextmanager
def refused(path, match=None):
    """Assert that an error is one line that begins with the file."""
    with pytest.raises(DamagedFileError, match=match) as error:
        yield
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
        with refused(path, "damaged"):
            read(path)


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize(
    "content",
    [
        *("", "{}", "[]", "null", "\xff", "\0" * 100),
        *('{"shard": 1}', '{"sources": []}', '{"train": [{}]}'),
    ],
)
def test_what_is_no_record_is_refused(tmp_path, kind, content):
    path = tmp_path / "record.json"
    path.write_text(content, encoding="latin-1")
    with refused(path):
        READERS[kind][1](path)


def test_unknown_keys_are_refused(tmp_path):
    path = tmp_path / "record.json"
    path.write_text(RECORD.model_dump_json()[:-1] + ', "more": 1}')
    with pytest.raises(DamagedFileError, match="more"):
        manifest.read_shard_record(path)


@pytest.fixture
def shard(tmp_path):
    """A file of 5120 bytes, with the checksum that others compute."""
    path, content = tmp_path / "0-10.parquet", bytes(range(256)) * 20
    path.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    return ShardFile(path=str(path), start=0, stop=10, sha256=sha256)


def test_an_intact_shard_is_accepted_by_the_sha_256_that_others_compute(shard):
    manifest.verify([shard])
    assert manifest.checksum(shard.path) == shard.sha256


@pytest.mark.parametrize("position", [0, 1, 2560, -1])
@pytest.mark.parametrize("truncated", [True, False])
def test_a_truncation_and_one_altered_bit_are_found(shard, position, truncated):
    content = bytearray(Path(shard.path).read_bytes())
    content[position] ^= 1
    Path(shard.path).write_bytes(content[:position] if truncated else content)
    with refused(shard.path, "damaged"):
        manifest.verify([shard])


def test_all_that_is_lost_or_damaged_is_named_with_one_command(at_home):
    names = ["a b", "lost", "sound", "altered"]
    shards = []
    for name in names:
        path = Path(f"results/loop/any/real/seed0/iter1/synthetic/{name}.parquet")
        files.write_text(path, name)
        sha256 = manifest.checksum(path)
        shards.append(ShardFile(path=str(path), start=0, stop=1, sha256=sha256))
    broken = [shards[number].path for number in (0, 1, 3)]
    Path(broken[0]).unlink()
    Path(broken[1]).unlink()
    Path(broken[2]).write_text("other")
    with pytest.raises(DamagedFileError) as error:
        manifest.verify(shards)
    lost, damaged, remedy = str(error.value).split("; ")
    assert lost == f"{broken[0]}, {broken[1]}: missing"
    assert damaged.startswith(f"{broken[2]}: damaged (")
    command = shlex.split(remedy.removeprefix("make them again with: "))
    assert command[0] == "snakemake" and command[-4:] == ["--force", *broken]
