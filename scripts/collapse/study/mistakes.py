"""Checks of a study that go beyond the types of its keys."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from collapse import families, regimes
from collapse.artifacts.paths import BASES
from collapse.regimes import Regime
from collapse.seeding import REAL
from collapse.study.errors import Key, Mistake, Words, one_of, shown
from collapse.study.names import is_misread

if TYPE_CHECKING:
    from collapse.study import Study
    from collapse.study.experiment import Experiment

#: Names of folders and files in results/ that no experiment may have.
RESERVED = ("figures", "pictures", "tables", "report", BASES)

#: Largest number of bytes in the names of an experiment and a regime, and in these and a point's.
#: For the logs of SLURM, Snakemake makes folders whose names join them with the names of rules,
#: or with the numbers of a seed, an iteration and samples: file systems allow 255 bytes.
LONGEST_PAIR, LONGEST_NAMES = 150, 195

#: Largest number of regimes of a definition, and of chains of an experiment.
MOST = 100_000

#: Largest number of samples in a pool, safely within what 64-bit positions can count.
LARGEST_POOL = 10**12


def mistakes(study: Study) -> Iterator[Mistake]:
    """Yield the mistakes in a study; later checks are only valid if earlier ones found none."""
    yield from _in_names("regimes", study.regimes, [*regimes.NAMED, REAL])
    yield from _in_names("experiments", study.experiments, RESERVED)
    for name, fields in study.regime_fields.items():
        yield from _in_regime(("regimes", name), fields)
        for regime in study.expansions[name].values():
            yield from _contradictions(("regimes", name), regime)
    for name, experiment in study.experiments.items():
        here = ("experiments", name)
        yield from _in_experiment(here, experiment, [*regimes.NAMED, *study.regimes])
        yield from _in_chains(here, study, name)


def _in_names(section: str, names: Iterable[str], reserved: Sequence[str]) -> Iterator[Mistake]:
    """Yield the names of experiments or regimes that are taken, or taken for another thing."""
    for name in names:
        if name.lower() in reserved:
            yield Mistake((section, name), name, f"a name other than {', '.join(reserved)}")
        if is_misread(name):
            expected = "a name that tables and file systems take for nothing else"
            yield Mistake((section, name), name, expected)
    yield from _alike({(section, name): name for name in names})


def _alike(values: Mapping[Key, Any]) -> Iterator[Mistake]:
    """Yield the values, by their keys, that would share files on a disk without case."""
    seen: dict[str, Any] = {}
    for path, value in values.items():
        other = seen.setdefault(str(value).lower(), value)
        if other is not value:
            found = Words(f"{shown(value)} beside {shown(other)}")
            yield Mistake(path, found, "names that differ by more than upper and lower case")


def _in_regime(here: Key, fields: Mapping[tuple[str, ...], list[Any]]) -> Iterator[Mistake]:
    for keys, values in fields.items():
        yield from _repeated((*here, *keys), values)
    yield from _too_many(here, math.prod(map(len, fields.values())), "regimes")


def _contradictions(here: Key, regime: Regime) -> Iterator[Mistake]:
    """Yield the keys of a regime that contradict others."""
    for keys, expected in regime.problems():
        found: Any = regime
        for key in keys.split("."):
            found = getattr(found, key)
        if isinstance(found, BaseModel):
            found = Words("one")
        yield Mistake((*here, *keys.split(".")), found, expected)


def _unfit_scores(written: str, regime: Regime, experiment: Experiment) -> Iterator[Mistake]:
    """Yield the scores that a regime uses and a family does not have, or not for its data."""
    family = families.load(experiment.family)
    for key in ("select", "weigh"):
        score = getattr(getattr(regime, key), "score", None)
        path = ("regimes", written, key, "score")
        if score is not None and score not in family.scores:
            known = one_of(family.scores, score) if family.scores else "no score"
            yield Mistake(path, score, f"{known}, for the family {family.name}")
        elif score is not None:
            for point in experiment.points():
                needs = family.scores[score].needs(family.parameters(**point.parameters))
                if needs is not None:
                    other = f"another score, because this one of {family.name} needs {needs}"
                    yield Mistake(path, score, other)


def _unfit_start(written: str, regime: Regime, experiment: Experiment) -> Iterator[Mistake]:
    """Yield the start of a regime that a family's fit does not have."""
    iterative = families.load(experiment.family).iterative
    able = experiment.by_iteration and iterative is not None and iterative.starts_from_models
    if regime.starts_from_previous and not able:
        expected = f"scratch for the family {experiment.family}, whose fit starts from no model"
        yield Mistake(("regimes", written, "start"), regime.start, expected)


def _unfit_population(written: str, regime: Regime, experiment: Experiment) -> Iterator[Mistake]:
    """Yield the population of a regime in an experiment that runs by steps, of one model each."""
    if regime.population is not None and experiment.by_iteration:
        expected = f"none for the family {experiment.family} by steps, whose chains have one model"
        yield Mistake(("regimes", written, "population"), Words("one"), expected)


def _in_experiment(here: Key, experiment: Experiment, known: list[str]) -> Iterator[Mistake]:
    for index, regime in enumerate(experiment.regimes):
        if regime not in known:
            yield Mistake((*here, "regimes", index), regime, one_of(known, regime))
    yield from _repeated((*here, "regimes"), experiment.regimes)
    yield from _repeated((*here, "seeds"), experiment.seed_list)
    for key, values in experiment.axes.items():
        place = ("samples",) if key == "samples" else ("grid", key)
        yield from _repeated((*here, *place), values)
        yield from _alike({(*here, *place, index): value for index, value in enumerate(values)})
    for key in experiment.fixed:
        if key in experiment.axes:
            expected = "it in grid or in settings, not in both"
            yield Mistake((*here, "settings", key), Words("a key of the grid too"), expected)
    yield from _unfit(here, experiment)
    least = families.load(experiment.family).minimum_samples
    for index, n in enumerate(experiment.samples):
        if n < least:
            expected = f"at least {least} for the family {experiment.family}"
            yield Mistake((*here, "samples", index), n, expected)


def _unfit(here: Key, experiment: Experiment) -> Iterator[Mistake]:
    """Yield the parameters that contradict others of their point, and samples that are too many."""
    family = families.load(experiment.family)
    for point in experiment.points():
        parameters = family.parameters(**point.parameters)
        problems = family.problems(parameters)
        if experiment.by_iteration:
            problems = itertools.chain(problems, family.by_steps.problems(parameters))
        for key, expected in problems:
            place = "grid" if key in experiment.axes else "settings"
            yield Mistake((*here, place, key), getattr(parameters, key), expected)
        most = family.maximum_samples(parameters)
        if most is not None and point.samples > most:
            index = experiment.samples.index(point.samples)
            expected = f"at most {most}, the training rows of the data"
            yield Mistake((*here, "samples", index), point.samples, expected)


def _in_chains(here: Key, study: Study, name: str) -> Iterator[Mistake]:
    experiment = study.experiments[name]
    points = math.prod(map(len, experiment.axes.values()))
    names = study.regimes_of(name)
    yield from _too_many(here, points * len(names), "chains")
    yield from _too_long((*here, "regimes"), LONGEST_PAIR, name, max(names, key=len))
    longest = max((point.name for point in experiment.points()), key=len)
    yield from _too_long((*here, "grid"), LONGEST_NAMES, name, max(names, key=len), longest)
    family = families.load(experiment.family)
    for index, written in enumerate(experiment.regimes):
        for regime_name, regime in study.expansions[written].items():
            yield from _unfit_scores(written, regime, experiment)
            yield from _unfit_start(written, regime, experiment)
            yield from _unfit_population(written, regime, experiment)
            for point in experiment.points():
                unfit = family.unfit(family.parameters(**point.parameters), regime)
                if unfit:
                    found = Words(f"{regime_name} at {point.name}, where {unfit}")
                    yield Mistake((*here, "regimes", index), found, "a regime that can be run")
            for n in experiment.samples:
                problem = _impossible(regime, experiment, n)
                if problem:
                    found = Words(f"{regime_name}, where {problem}")
                    expected = "training sets that its pools can provide"
                    yield Mistake((*here, "regimes", index), found, expected)


def _impossible(regime: Regime, experiment: Experiment, n: int) -> str | None:
    """Return why a regime can't provide the training sets of a chain; None if it can."""
    try:
        regime.check(experiment.iterations, n, families.load(experiment.family).minimum_samples)
        last = sum(source.size for source in regime.pool(experiment.iterations, n))
    except ValueError as error:
        return str(error)
    return f"the pool grows beyond {LARGEST_POOL} samples" if last > LARGEST_POOL else None


def _repeated(path: Key, values: list[Any]) -> Iterator[Mistake]:
    seen = set()
    for index, value in enumerate(values):
        if (type(value), str(value)) in seen:  # a list has no hash
            yield Mistake((*path, index), Words(f"{shown(value)} twice"), "it once")
        seen.add((type(value), str(value)))


def _too_many(path: Key, count: int, what: str) -> Iterator[Mistake]:
    if count > MOST:
        yield Mistake(path, Words(f"{count} {what}"), f"at most {MOST}")


def _too_long(path: Key, most: int, *names: str) -> Iterator[Mistake]:
    length = sum(map(len, names))
    if length > most:
        found = Words(f"names of {length} bytes, {', '.join(names)}")
        yield Mistake(path, found, f"at most {most} bytes together")
