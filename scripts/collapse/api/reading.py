"""What a run by steps left in its results: samples as tables, checkpoints as models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collapse.artifacts import manifest, shard_rows
from collapse.seeding import REAL
from collapse.study.errors import StudyError, one_of
from collapse.study.names import JOINT, text_of

if TYPE_CHECKING:
    import pandas as pd


def load_samples(
    results: str | Path,
    experiment: str,
    *,
    iteration: int,
    regime: str = REAL,
    seed: int = 0,
    point: str | Mapping[str, Any] | None = None,
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return the samples that the model of one iteration wrote, a row each.

    Parameters
    ----------
    results : path
        The folder ``results`` of a run.
    experiment : str
        Name of an experiment that ran by steps.
    iteration : int
        The iteration of the model.
    regime : str
        Name of the regime; of iteration 1, which all regimes share, it does not matter.
    seed : int
        The seed of the chain.
    point : str or mapping, optional
        The name of the point as in paths, or parameters by name that tell it from others; not
        needed if there is one point.
    columns : sequence of str, optional
        The columns to read, such as ``["text"]``; by default all of them.

    Returns
    -------
    pandas.DataFrame
        The samples in the order of their slots, those of all shards.

    Raises
    ------
    StudyError
        If there are no such samples, or those of several points; the message is one line.
    DamagedFileError
        If a shard is truncated or altered.
    """
    import pandas as pd

    folder = _folder(results, experiment, regime, seed, iteration, point, "synthetic")
    found = [manifest.read_shard_record(path).shard for path in folder.glob("*-*.json")]
    # Records name files relative to the folder of their run.
    shards = [
        shard.model_copy(update={"path": str(folder / Path(shard.path).name)})
        for shard in sorted(found, key=lambda shard: shard.start)
    ]
    manifest.verify(shards)
    tables: list[pd.DataFrame] = []
    for shard in shards:
        path = Path(shard.path)
        names = shard_rows.columns_of(path) if columns is None else columns
        tables.extend(table.to_pandas() for table in shard_rows.read(path, None, names))
    return pd.concat(tables, ignore_index=True)


def load_model(
    results: str | Path,
    experiment: str,
    *,
    iteration: int,
    regime: str = REAL,
    seed: int = 0,
    point: str | Mapping[str, Any] | None = None,
) -> Any:
    """Return the model of one iteration, if the run kept it (``keep_models``).

    Parameters
    ----------
    results, experiment, iteration, regime, seed, point
        As those of `load_samples`.

    Returns
    -------
    transformers.PreTrainedModel or Path
        A causal language model, on the CPU; of other families the folder of the checkpoint.
        Its attribute ``name_or_path`` is the folder, from which
        ``transformers.AutoTokenizer.from_pretrained`` reads the tokenizer.

    Raises
    ------
    StudyError
        If there is no such model, or those of several points; the message is one line.
    DamagedFileError
        If the checkpoint can't be loaded.
    """
    folder = _folder(results, experiment, regime, seed, iteration, point, "model")
    if not (folder / "tokenizer.json").exists():
        return folder
    from collapse.text import checkpoints

    return checkpoints.read(folder)


def _folder(
    results: str | Path,
    experiment: str,
    regime: str,
    seed: int,
    iteration: int,
    point: str | Mapping[str, Any] | None,
    what: str,
) -> Path:
    """Return the folder of a model or of its samples."""
    top = Path(results)
    here = top / experiment
    if not here.is_dir():
        known = [path.name for path in top.iterdir() if path.is_dir()] if top.is_dir() else []
        raise _missing(top, "experiment", experiment, known)
    regime = REAL if iteration == 1 else regime
    place = f"{regime}/seed{seed}/iter{iteration}/{what}"
    found = sorted(path for path in here.glob(f"*/{place}") if path.is_dir())
    if not found:
        there = sorted(path.relative_to(here) for path in here.glob(f"*/*/seed*/iter*/{what}"))
        known = list(dict.fromkeys(str(Path(*path.parts[1:-1])) for path in there))
        raise _missing(here, f"{what} of", str(Path(place).parent), known)
    points = {path.relative_to(here).parts[0]: path for path in found}
    chosen = list(_chosen(points, point))
    if len(chosen) != 1:
        known = chosen or list(points)
        raise _missing(here, "point", "several" if chosen else _shown(point), known)
    return points[chosen[0]]


def _chosen(points: Mapping[str, Path], point: str | Mapping[str, Any] | None) -> Iterator[str]:
    """Yield the points that a name or parameters stand for.

    The name of a folder has those parameters alone that matter to what is in it.
    """
    given = None if point is None or isinstance(point, str) else point
    wanted = {key: text_of(value) for key, value in given.items()} if given else {}
    for name in points:
        values = dict(pair.split("=", 1) for pair in name.split(JOINT) if "=" in pair)
        same = all(values.get(key, value) == value for key, value in wanted.items())
        if same if not isinstance(point, str) else name == point:
            yield name


def _shown(point: str | Mapping[str, Any] | None) -> str:
    if point is None or isinstance(point, str):
        return str(point)
    return JOINT.join(f"{key}={text_of(value)}" for key, value in point.items())


def _missing(folder: Path, what: str, found: str, known: Sequence[str]) -> StudyError:
    expected = one_of(sorted(known), found) if known else "results of a run by steps"
    return StudyError(f"{folder}: {what} {found}: not there, expected {expected}")
