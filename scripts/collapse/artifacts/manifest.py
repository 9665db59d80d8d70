"""Manifests of training sets, and the records of the shards that they consist of.

A manifest lists sources with counts, so that its size grows with the number of sources and no
sample is copied. Seeded permutations select the samples of a source, and checksums show whether
its files are those that were written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from collapse.artifacts import files, remedies
from collapse.artifacts.files import DamagedFileError

_Model = TypeVar("_Model", bound=BaseModel)


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Artifact(_Record):
    """A record of an artifact, which also says what the artifact is made of."""

    made_of: dict[str, Any] = {}


class ShardFile(_Record):
    """A file that holds samples ``start`` to ``stop`` of their source, and its SHA-256."""

    path: str
    start: int
    stop: int
    sha256: str


class ShardRecord(_Artifact):
    """The record beside a shard: its file, and details of how it was made."""

    shard: ShardFile
    details: dict[str, Any] = {}


class Dataset(_Artifact):
    """The files of the real data, training and test, and details that the family records."""

    train: tuple[ShardFile, ...]
    test: tuple[ShardFile, ...]
    details: dict[str, Any] = {}


class _Extended(_Record):
    """A record that leaves out what most do not have, so that theirs stay as they are."""

    @model_serializer(mode="wrap")
    def _without_absent(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = plain(self)
        return {key: value for key, value in found.items() if key not in _ABSENT or value}


#: Keys that records only have if there is something to say.
_ABSENT = ("weighing", "metrics")


class Weighing(_Record):
    """How much the samples of a source count.

    A sample counts ``factor``, or if ``score`` names a score that is stored with it, ``factor``
    times its score to the ``power``. ``number`` samples have a weight, and ``total`` and ``square``
    are the sums of all weights of the pool's samples and of their squares, without the factor.
    With ``replacement``, weights are probabilities of the draw from the source instead.
    """

    number: float
    total: float
    square: float
    factor: float = 1.0
    score: str | None = None
    power: float = 1.0
    replacement: bool = False


class SourceRecord(_Extended):
    """A source of a training set: ``count`` of its ``size`` samples in the pool.

    ``first`` is where real data begins in the seed's order of all real data; else it is 0. Without
    ``weighing``, each of its samples counts 1.
    """

    kind: Literal["real", "fresh", "synthetic"]
    iteration: int
    size: int
    count: int
    first: int = 0
    files: tuple[ShardFile, ...] = ()
    weighing: Weighing | None = None


class TrainingSet(_Artifact, _Extended):
    """The training set of one iteration; ``real`` are the files of all real training data.

    Families whose real data is drawn, not read, have no such files. ``metrics`` are those of what
    the regime did for this iteration (`collapse.families.regime_metrics`).
    """

    experiment: str
    point: str
    regime: str
    seed: int
    iteration: int
    real: tuple[ShardFile, ...] = ()
    sources: tuple[SourceRecord, ...]
    metrics: dict[str, float] = {}

    @property
    def size(self) -> int:
        """Number of samples of all sources."""
        return sum(source.count for source in self.sources)


def write(path: str | Path, record: BaseModel) -> None:
    """Write a record as a JSON file that appears whole or not at all."""
    files.write_text(path, record.model_dump_json(indent=1) + "\n")


def read_training_set(path: str | Path) -> TrainingSet:
    """Read the manifest of a training set; raise `DamagedFileError` if the file is not one."""
    return _read(path, TrainingSet)


def read_shard_record(path: str | Path) -> ShardRecord:
    """Read the record of a shard; raise `DamagedFileError` if the file is not one."""
    return _read(path, ShardRecord)


def read_dataset(path: str | Path) -> Dataset:
    """Read the record of the real data; raise `DamagedFileError` if the file is not one."""
    return _read(path, Dataset)


def _read(path: str | Path, kind: type[_Model]) -> _Model:
    with remedies.reading(path):
        content = Path(path).read_bytes()
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        reason = f"{where}: {first['msg']}" if where else first["msg"]
        raise remedies.damaged(path, f"damaged ({reason})") from None


def checksum(path: str | Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def joint_checksum(paths: Iterable[str | Path]) -> str:
    """Return one SHA-256 of the contents of several files in their order."""
    return hashlib.sha256("".join(map(checksum, paths)).encode()).hexdigest()


def verify(shards: Iterable[ShardFile]) -> None:
    """Check that files are those that were written.

    Raises
    ------
    DamagedFileError
        If any are missing, truncated or altered; it names all of them, with one remedy.
    UnreadableFileError
        If the system doesn't let one be read.
    """
    missing, altered = [], []
    for shard in shards:
        try:
            with remedies.reading(shard.path):
                found = checksum(shard.path)
        except DamagedFileError:
            missing.append(shard.path)
            continue
        if found != shard.sha256:
            altered.append(shard.path)
    said = [
        f"{', '.join(paths)}: {what}"
        for paths, what in (
            (missing, "missing"),
            (altered, "damaged (the checksum is not the one noted when it was written)"),
        )
        if paths
    ]
    if said:
        raise DamagedFileError("; ".join([*said, remedies.remedy(*missing, *altered)]))
