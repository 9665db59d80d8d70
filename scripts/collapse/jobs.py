"""What the workflow's jobs do: read files, call the pure core, write files."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from collapse.artifacts import files
from collapse.artifacts.files import DamagedFileError
from collapse.errors import JobError
from collapse.loop.closed_form import ChainSpec
from collapse.loop.closed_form import run_chain as simulate
from collapse.results import gather as results

#: Samples of a shard in a table for people.
SHOWN_SAMPLES = 3

# One thread a job, whatever the machine has: sums of torch depend on how they are split.
os.environ["OMP_NUM_THREADS"] = "1"
# The standard error of a job is for what goes wrong.
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TQDM_DISABLE", "1")


@contextmanager
def guarded(log: str | Path) -> Iterator[None]:
    """Log time and peak memory of a job, and fail with one line where that says it all.

    A damaged file or a full disk needs no traceback; a bug does.
    """
    start = time.perf_counter()
    try:
        yield
    except (JobError, OSError) as error:
        message = f"error: {error}"
        Path(log).write_text(message + "\n", encoding="utf-8")
        sys.exit(message)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    Path(log).write_text(f"{seconds:.2f} s, peak memory {peak:.0f} MiB\n", encoding="utf-8")


def run_chain(
    path: Path, *, specification: Mapping[str, Any], version: int, seeds: Sequence[int]
) -> None:
    """Run the seeds of a chain that its file does not hold yet, and write them all.

    One thread, so that chains side by side don't compete and the sums of BLAS do not
    depend on the machine. What an earlier run of the same chain left is used again; a
    damaged or outdated file is not.
    """
    identity = {**specification, "version": version}
    found = _previous(path, identity)
    missing = [seed for seed in seeds if seed not in found]
    spec = ChainSpec.parse(specification)
    if missing:
        with threadpool_limits(1):
            new = simulate(spec, missing)
        for row, seed in enumerate(missing):
            found[seed] = {name: values[row] for name, values in new.items()}
    metrics = {name: np.stack([found[seed][name] for seed in seeds]) for name in found[seeds[0]]}
    results.write_chain(path, metrics, seeds=seeds, iterations=spec.evaluated, identity=identity)


def _previous(path: Path, identity: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """Return the metrics of each seed in an existing file of the very same chain."""
    try:
        metrics, seeds, written = results.read_chain(path)
    except DamagedFileError:
        return {}
    # Compare as JSON has it: tuples and numpy scalars do not survive being written.
    if written != json.loads(json.dumps(identity)):
        return {}
    return {
        seed: {name: values[row] for name, values in metrics.items()}
        for row, seed in enumerate(seeds)
    }


def gather(
    path: Path,
    *,
    chains: Sequence[tuple[Mapping[str, Any], str]],
    layout: Mapping[str, Any],
    study: Mapping[str, Any],
    project: Path,
) -> None:
    """Gather the chains of an experiment, with provenance.

    A chain's file that fails its checksums is set aside, so that the next run makes it again.
    """
    from collapse import families

    family = families.load(layout["family"])
    descriptions = {name: (m.long_name, m.units) for name, m in family.METRICS.items()}
    for name, field in family.Parameters.model_fields.items():
        descriptions[name] = (str(field.description), "1")
    descriptions |= {
        "samples": ("samples per iteration, n", "1"),
        "iteration": ("model-fitting iteration, t", "1"),
        "seed": ("random seed", "1"),
        "regime": ("regime: what iteration t >= 2 trains on", "1"),
    }
    for _, chain in chains:
        try:
            results.read_chain(chain)
        except DamagedFileError as error:
            results.set_aside(chain)
            raise DamagedFileError(f"{error}; run again to make it again") from None
    attributes = {
        "family": layout["family"],
        "study": study,
        **results.provenance(project),
    }
    dataset = results.gather(
        chains,
        axes=layout["axes"],
        regimes=layout["regimes"],
        seeds=layout["seeds"],
        iterations=layout["iterations"],
        descriptions=descriptions,
        attributes=attributes,
    )
    results.write_dataset(path, dataset)


def check_theory(
    metrics: Sequence[str], *, study: Mapping[str, Any], comparisons: Path, verdicts: Path
) -> None:
    """Write the table of simulation against theory, and its verdicts."""
    import xarray as xr

    from collapse.results import theory_check
    from collapse.study import Study

    plan = Study.model_validate(study)
    datasets = {Path(path).parent.name: xr.open_dataset(path) for path in metrics}
    chains = (spec for experiment in plan.experiments for spec in plan.chains(experiment))
    found = theory_check.table(chains, datasets)
    judged = theory_check.verdicts(found)
    with files.whole(comparisons) as partial:
        found.to_csv(partial, index=False, float_format="%.6g")
    with files.whole(verdicts) as partial:
        judged.to_csv(partial, index=False, float_format="%.3f")


def summarise(
    metrics: Sequence[str], *, study: Mapping[str, Any], verdicts: Path, text: Path, table: Path
) -> None:
    """Write the summary of all experiments, as a table for programs and one for people."""
    import pandas as pd
    import xarray as xr

    from collapse.results import summary
    from collapse.study import Study, mixtures

    plan = Study.model_validate(study)
    judged = pd.read_csv(verdicts)
    parts = []
    for path in metrics:
        experiment = Path(path).parent.name
        mine = judged[judged["experiment"] == experiment]
        agreement = {
            str(regime): bool((group["verdict"] == "agrees").all())
            for regime, group in mine.groupby("regime")
        }
        grids = mixtures.grids(plan.chains(experiment))
        with xr.open_dataset(path) as dataset:
            unmixed = mixtures.unmixed(plan.regimes_of(experiment), grids)
            if unmixed:
                chains = dataset.sel(regime=unmixed)
                parts.append(summary.summarise(experiment, chains, agreement))
            if grids:
                parts.append(summary.summarise_mixtures(experiment, dataset, grids, agreement))
    whole = pd.concat(parts, ignore_index=True)
    with files.whole(table) as partial:
        whole.to_csv(partial, index=False)
    files.write_text(text, summary.render(whole))


def draw_figures(
    metrics: str,
    *,
    records: Sequence[tuple[tuple[str, str, int], str]],
    study: Mapping[str, Any],
    directory: Path,
) -> None:
    """Draw the figures of an experiment, each as PNG and SVG.

    A grid of mixtures is drawn as one; other regimes side by side. ``records`` are those of the
    trainings of one seed, each with its point, regime and iteration.
    """
    import xarray as xr

    from collapse.results import figures, learning_curves, mixture_figures
    from collapse.study import Study, mixtures

    plan = Study.model_validate(study)
    experiment = Path(metrics).parent.name
    chains = list(plan.chains(experiment))
    grids = mixtures.grids(chains)
    unmixed = mixtures.unmixed(plan.regimes_of(experiment), grids)
    with xr.open_dataset(metrics) as dataset:
        mixture_figures.draw(dataset, grids, directory)
        if unmixed:
            figures.draw(dataset.sel(regime=unmixed), chains, directory)
    curves = [learning_curves.Record(*place, path) for place, path in records]
    learning_curves.draw([curve for curve in curves if curve.regime in unmixed], directory)


def tabulate_mixtures(metrics: str, *, study: Mapping[str, Any], table: Path) -> None:
    """Write the table of what synthetic data is worth beside so many real samples."""
    import xarray as xr

    from collapse.results import mixtures as worth
    from collapse.study import Study, mixtures

    experiment = Path(metrics).parent.name
    grids = mixtures.grids(Study.model_validate(study).chains(experiment))
    with xr.open_dataset(metrics) as dataset, files.whole(table) as partial:
        found = worth.table(experiment, dataset, grids)
        found.to_csv(partial, index=False, float_format="%.5g")


def compare_published(metrics: Sequence[str], *, study: Mapping[str, Any], table: Path) -> None:
    """Write the table of our results beside published ones."""
    import xarray as xr

    from collapse.results import published
    from collapse.study import Study

    plan = Study.model_validate(study)
    datasets = {Path(path).parent.name: xr.open_dataset(path) for path in metrics}
    chains = (spec for name in datasets for spec in plan.chains(name))
    with files.whole(table) as partial:
        published.table(chains, datasets).to_csv(partial, index=False, float_format="%.4g")


def show_samples(shards: Sequence[tuple[tuple[str, str, int], str]], *, table: Path) -> None:
    """Write a table of the first samples of each shard, with its point, regime and iteration."""
    import pandas as pd
    import pyarrow.parquet as parquet

    rows = []
    for (point, regime, iteration), path in shards:
        with parquet.ParquetFile(path) as shard:
            batch = next(shard.iter_batches(SHOWN_SAMPLES, columns=["text"]))
        for text in batch["text"].to_pylist():
            rows.append({"point": point, "regime": regime, "iteration": iteration, "text": text})
    with files.whole(table) as partial:
        pd.DataFrame(rows).to_csv(partial, index=False)


def draw_pictures(
    portraits: Sequence[tuple[tuple[str, str, int], str]], *, family: str, directory: Path
) -> None:
    """Draw the portraits of the iterations of one seed, each with its point, regime, iteration."""
    import importlib

    from collapse import families
    from collapse.results.learning_curves import Record

    pictures = importlib.import_module(families.load(family).PICTURES)
    pictures.draw([Record(*place, path) for place, path in portraits], directory)
