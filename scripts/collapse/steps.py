"""The steps of an iteration, from files to files: prepare, assemble, train, generate, evaluate.

What a family does in a step is in its ``STEPS`` module (`collapse.families.Steps`); which
samples it trains on is decided here, by its regime, and which files these are by lineage.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collapse import families, files, manifest, results, seeding
from collapse.errors import JobError
from collapse.files import DamagedFileError
from collapse.manifest import Dataset, ShardFile, ShardRecord, SourceRecord, TrainingSet
from collapse.regimes import Regime, Source, draw_counts

#: What describes the files of the real data, in their folder.
DATASET = "dataset.json"


@dataclass(frozen=True)
class Step:
    """Where in a chain a step stands, and all that its numbers may depend on besides its files.

    ``point`` and ``parameters`` hold what matters up to this step, and ``regime`` is ``real``
    at iteration 1, so that what is shared is made once. Real data is prepared for points of any
    number of samples: ``samples`` is 0 there.
    """

    experiment: str
    point: str
    data_point: str
    regime: str
    seed: int
    iteration: int
    family: str
    parameters: Mapping[str, Any]
    samples: int

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, as a job's parameters hold them."""
        return asdict(self)

    def stream(self, purpose: str) -> np.random.Generator:
        """Return the random stream of a purpose of this step."""
        return seeding.stream(
            self.experiment, self.point, self.regime, self.seed, self.iteration, purpose
        )

    def integer(self, purpose: str) -> int:
        """Return 63 bits of a purpose of this step, to seed a generator of another library."""
        return seeding.integer(
            self.experiment, self.point, self.regime, self.seed, self.iteration, purpose
        )

    def order_of_real_data(self, count: int) -> NDArray[np.int64]:
        """Return the order in which this seed sees the real data, the same for every regime."""
        name = (self.experiment, self.data_point, seeding.REAL, self.seed, 1, "order of real data")
        return seeding.stream(*name).permutation(count)


class Selection(NamedTuple):
    """Samples of one file: ``rows`` counted from the file's first, ascending.

    Without a path, the rows of the real data that a family draws at that iteration, of which
    there are ``size``.
    """

    kind: str
    iteration: int
    path: str | None
    rows: NDArray[np.int64]
    size: int


def prepare(directory: str | Path, step: Step) -> None:
    """Write the real data of an experiment: its files, and what they are."""
    steps = families.load_steps(step.family)
    with files.whole_directory(directory) as partial:
        prepared = steps.prepare(step, _parameters(step), partial)
        written = {
            split: tuple(
                ShardFile(
                    path=str(Path(directory, name)),
                    start=0,
                    stop=count,
                    sha256=manifest.checksum(partial / name),
                )
                for name, count in parts
            )
            for split, parts in (("train", prepared.train), ("test", prepared.test))
        }
        manifest.write(partial / DATASET, Dataset(**written, details=prepared.details))


def assemble(
    output: str | Path,
    step: Step,
    regime: Regime,
    *,
    data: str | Path | None,
    previous: str | Path | None,
    records: Sequence[str],
) -> None:
    """Write the manifest of a training set.

    Parameters
    ----------
    output : path
        Where to.
    step : Step
        The iteration it is for.
    regime : Regime
        What decides; at iteration 1 it says nothing.
    data : path or None
        Folder of the real data, at iteration 1; None for a family that draws its own.
    previous : path or None
        Manifest of the iteration before.
    records : sequence of path
        Records of the shards that the iteration before wrote.
    """
    t, n = step.iteration, step.samples
    if previous is None:
        real = manifest.read_dataset(Path(data, DATASET)).train if data is not None else ()
        available = _length(real)
        if data is not None and available < n:
            raise JobError(f"{data}: found {available} samples of real data, expected at least {n}")
        pools: dict[tuple[str, int], tuple[ShardFile, ...]] = {}
    else:
        before = _read_own(previous, step, t - 1)
        real = before.real
        pools = {(source.kind, source.iteration): source.files for source in before.sources}
    newest = tuple(manifest.read_shard_record(path).shard for path in records)
    if newest:
        pools["synthetic", t - 1] = newest
    pool = regime.pool(t, n)
    budget = regime.training_size(t, n, sum(source.size for source in pool))
    counts = draw_counts(pool, budget, step.stream("counts")) if t > 1 else [n]
    sources = []
    for source, count in zip(pool, counts, strict=True):
        written = source.kind == "synthetic"
        stored = pools.get((source.kind, source.iteration), ()) if written else real
        first = _first(regime, source, n)
        held = max(0, _length(stored) - first)
        if (written or stored) and held < source.size:
            raise JobError(
                f"{output}: found {held} samples of {_named(source)}, expected {source.size}"
            )
        sources.append(
            SourceRecord(
                kind=source.kind,
                iteration=source.iteration,
                size=source.size,
                count=int(count),
                first=first,
                files=stored if written else (),
            )
        )
    training_set = TrainingSet(
        experiment=step.experiment,
        point=step.point,
        regime=step.regime,
        seed=step.seed,
        iteration=t,
        real=real,
        sources=tuple(sources),
    )
    manifest.write(output, training_set)


def _first(regime: Regime, source: Source, n: int) -> int:
    """Where in the seed's order of the real data a source begins: fresh data follows the rest."""
    if source.kind != "fresh":
        return 0
    return n + sum(regime.fresh(t, n) for t in range(2, source.iteration))


def _named(source: Source) -> str:
    return f"{source.kind} data of iteration {source.iteration}"


def _length(stored: Sequence[ShardFile]) -> int:
    return sum(part.stop - part.start for part in stored)


def selections(step: Step, training_set: TrainingSet) -> list[Selection]:
    """Say which rows of which files a training set consists of, file by file."""
    order = step.order_of_real_data(_length(training_set.real)) if training_set.real else None
    selected = []
    for source in training_set.sources:
        subset = np.arange(source.size)
        if source.count < source.size:
            shuffle = step.stream(f"subset of {source.kind} {source.iteration}")
            subset = np.sort(shuffle.permutation(source.size)[: source.count])
        stored = source.files
        if source.kind != "synthetic":
            stored = training_set.real
            if order is None:
                selected.append(Selection(source.kind, source.iteration, None, subset, source.size))
                continue
            subset = np.sort(order[source.first : source.first + source.size][subset])
        begin = 0
        for part in stored:
            end = begin + part.stop - part.start
            low, high = np.searchsorted(subset, (begin, end))
            if high > low:
                rows = subset[low:high] - begin
                selected.append(
                    Selection(source.kind, source.iteration, part.path, rows, end - begin)
                )
            begin = end
    return selected


def train(
    model: str | Path,
    record: str | Path,
    step: Step,
    *,
    training_set: str,
    data: str | None,
    scratch: Path,
    ranks: int = 1,
) -> None:
    """Train the model of an iteration, after checking that its data is what was written.

    Parameters
    ----------
    model, record : path
        The checkpoint's folder and the record of its training.
    step : Step
        The iteration.
    training_set : path
        Its manifest.
    data : path or None
        Folder of the real data.
    scratch : path
        Where a family keeps what an interrupted job goes on from; removed after success.
    ranks : int
        Processes that share the work, one a GPU.
    """
    started = time.perf_counter()
    read_verified(step, training_set)
    with files.whole_directory(model) as partial:
        job = {
            "step": step.as_dict(),
            "training_set": training_set,
            "data": data,
            "scratch": str(scratch),
            "model": str(partial),
        }
        details = train_rank(job) if ranks == 1 else _in_ranks(job, scratch, ranks)
    details["seconds"] = time.perf_counter() - started
    files.write_text(record, json.dumps(details, indent=1) + "\n")
    files.remove_directory(scratch)


def train_rank(job: Mapping[str, Any]) -> dict[str, Any]:
    """Train in this process, alone or as one of several that have the same job."""
    step = Step(**job["step"])
    described = manifest.read_training_set(job["training_set"])
    return dict(
        families.load_steps(step.family).train(
            step,
            _parameters(step),
            selections(step, described),
            data=Path(job["data"]) if job["data"] else None,
            fingerprint=manifest.checksum(job["training_set"]),
            scratch=Path(job["scratch"]),
            model=Path(job["model"]),
        )
    )


def _in_ranks(job: Mapping[str, Any], scratch: Path, ranks: int) -> dict[str, Any]:
    from collapse import distributed

    described, noted = scratch / "job.json", scratch / "details.json"
    files.write_text(described, json.dumps(job))
    distributed.launch("collapse.rank", [str(described), str(noted)], ranks)
    return dict(json.loads(noted.read_text(encoding="utf-8")))


def read_verified(step: Step, path: str) -> TrainingSet:
    """Read the manifest of a step's training set, and verify all files that it uses."""
    described = _read_own(path, step, step.iteration)
    used = set()
    for source in described.sources:
        if source.count:
            used |= set(source.files if source.kind == "synthetic" else described.real)
    for part in sorted(used, key=lambda part: part.path):
        manifest.verify(part)
    return described


def _read_own(path: str | Path, step: Step, iteration: int) -> TrainingSet:
    """Read the manifest of an iteration of a step's own chain."""
    described = manifest.read_training_set(path)
    first = iteration == 1
    belongs = {
        "experiment": step.experiment,
        "point": described.point if first else step.point,  # several points share iteration 1
        "regime": seeding.REAL if first else step.regime,
        "seed": step.seed,
        "iteration": iteration,
    }
    for key, expected in belongs.items():
        found = getattr(described, key)
        if found != expected:
            raise DamagedFileError(
                f"{path}: belongs to another chain (found {key} {found}, expected {expected})"
            )
    return described


def generate(
    shard: str, record: str, step: Step, *, start: int, stop: int, model: str, data: str | None
) -> None:
    """Write samples ``start`` to ``stop`` of a model as Parquet, and the record beside them."""
    steps = families.load_steps(step.family)
    slots = range(start, stop)
    with files.whole(shard) as partial:
        details = steps.generate(
            step,
            _parameters(step),
            slots,
            model=Path(model),
            data=Path(data) if data else None,
            output=partial,
        )
        found = files.parquet_rows(partial)
        if found != len(slots):
            raise DamagedFileError(f"{shard}: found {found} samples, expected {len(slots)}")
    # Nothing of time: a shard that is made again has the same record.
    written = ShardFile(path=shard, start=start, stop=stop, sha256=manifest.checksum(shard))
    manifest.write(record, ShardRecord(shard=written, details=details))


def evaluate(
    output: str | Path,
    step: Step,
    *,
    model: str,
    data: str | None,
    training_set: str,
    records: Sequence[str],
) -> None:
    """Write the metrics of a model on real test data, and of its samples."""
    described = _read_own(training_set, step, step.iteration)
    shards = [manifest.read_shard_record(path) for path in records]
    for each in shards:
        manifest.verify(each.shard)
    if data is not None:
        for part in manifest.read_dataset(Path(data, DATASET)).test:
            manifest.verify(part)
    metrics = families.load_steps(step.family).evaluate(
        step,
        _parameters(step),
        model=Path(model),
        data=Path(data) if data else None,
        selections=selections(step, described),
        shards=shards,
    )
    known = families.load(step.family).METRICS
    written = {name: float(metrics.get(name, np.nan)) for name in known}
    files.write_text(output, json.dumps(written, indent=1) + "\n")


def collect(
    output: str | Path,
    metrics: Sequence[str],
    *,
    seeds: Sequence[int],
    specification: Mapping[str, Any],
) -> None:
    """Write the metrics of a chain, for all its seeds, as closed-form chains are written.

    Parameters
    ----------
    output : path
        The chain's file.
    metrics : sequence of path
        Metrics of every iteration that is evaluated, seed by seed.
    seeds : sequence of int
        Which seeds these are.
    specification : mapping
        What the chain is (`collapse.chain.ChainSpec`), as plain values.
    """
    iterations = specification["evaluated"]
    found = [_read_metrics(path) for path in metrics]
    shape = (len(seeds), len(iterations))
    arrays = {name: np.array([one[name] for one in found]).reshape(shape) for name in found[0]}
    results.write_chain(output, arrays, seeds=seeds, iterations=iterations, identity=specification)


def _read_metrics(path: str) -> dict[str, float]:
    try:
        return {
            str(name): float(value) for name, value in json.loads(Path(path).read_text()).items()
        }
    except (ValueError, AttributeError, TypeError) as error:
        raise DamagedFileError(f"{path}: damaged ({error}); delete it and run again") from None


def _parameters(step: Step) -> Any:
    return families.load(step.family).Parameters(**step.parameters)
