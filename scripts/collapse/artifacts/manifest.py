"""Training sets as manifests, and the records of the shards they are made of.

A training set is a list of sources with counts, in the size of the number of sources, never
a copy of samples. Which samples of a source are meant, seeded permutations say; that the
files are those that were written, their checksums.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from collapse.artifacts import files
from collapse.artifacts.files import DamagedFileError

_Model = TypeVar("_Model", bound=BaseModel)


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ShardFile(_Record):
    """A file of samples ``start`` to ``stop`` of their source, and its SHA-256."""

    path: str
    start: int
    stop: int
    sha256: str


class ShardRecord(_Record):
    """What is noted beside a shard: which file it is, and how it was made."""

    shard: ShardFile
    details: dict[str, Any] = {}


class Dataset(_Record):
    """The files of the real data, training and test, and what a family notes of them."""

    train: tuple[ShardFile, ...]
    test: tuple[ShardFile, ...]
    details: dict[str, Any] = {}


class SourceRecord(_Record):
    """A source of a training set: ``count`` samples of the ``size`` that are in the pool.

    ``first`` is where the source begins: in the seed's order of the real data, or zero.
    """

    kind: Literal["real", "fresh", "synthetic"]
    iteration: int
    size: int
    count: int
    first: int = 0
    files: tuple[ShardFile, ...] = ()


class TrainingSet(_Record):
    """The training set of one iteration; ``real`` are the files of all real training data.

    Families whose real data is drawn, not read, have no such files.
    """

    experiment: str
    point: str
    regime: str
    seed: int
    iteration: int
    real: tuple[ShardFile, ...] = ()
    sources: tuple[SourceRecord, ...]

    @property
    def size(self) -> int:
        """Number of samples."""
        return sum(source.count for source in self.sources)


def write(path: str | Path, record: BaseModel) -> None:
    """Write a record as JSON, whole."""
    files.write_text(path, record.model_dump_json(indent=1) + "\n")


def read_training_set(path: str | Path) -> TrainingSet:
    """Read the manifest of a training set.

    Raises
    ------
    DamagedFileError
        If it isn't one.
    """
    return _read(path, TrainingSet)


def read_shard_record(path: str | Path) -> ShardRecord:
    """Read the record of a shard; raises `DamagedFileError` if it isn't one."""
    return _read(path, ShardRecord)


def read_dataset(path: str | Path) -> Dataset:
    """Read what describes the real data; raises `DamagedFileError` if it doesn't."""
    return _read(path, Dataset)


def _read(path: str | Path, kind: type[_Model]) -> _Model:
    try:
        return kind.model_validate_json(Path(path).read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        reason = f"{where}: {first['msg']}" if where else first["msg"]
        raise DamagedFileError(f"{path}: damaged ({reason})") from None


def checksum(path: str | Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def joint_checksum(paths: Iterable[str | Path]) -> str:
    """Return what several files, in their order, are recognised by."""
    return hashlib.sha256("".join(map(checksum, paths)).encode()).hexdigest()


def verify(shard: ShardFile) -> None:
    """Check that a file is the one that was written.

    Raises
    ------
    DamagedFileError
        If it is missing, truncated or altered.
    """
    path = Path(shard.path)
    if not path.exists():
        raise DamagedFileError(f"{path}: missing; make it again with: snakemake {path}")
    if checksum(path) != shard.sha256:
        raise DamagedFileError(
            f"{path}: damaged (its checksum is not the one noted when it was written)"
        )
