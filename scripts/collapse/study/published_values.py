"""Published values that a study names, as rows of a CSV file beside it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, NoReturn, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from collapse import families
from collapse.families import regime_metrics
from collapse.study.chain_spec import ChainSpec
from collapse.study.errors import StudyError, Words, one_of, shown

if TYPE_CHECKING:
    from collapse.study import Study

Statistic = Literal["mean", "median", "positive", "ratio", "slope", "lower", "upper"]
Read = Literal["text", "code", "plot", "equation", "derived"]

#: The statistics that compare two iterations, which a row gives as ``300:1200``.
OF_TWO = ("ratio", "slope")


class PublishedValue(BaseModel):
    """A published value of an experiment, and what is needed to judge ours beside it.

    The fields are the columns of the file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    experiment: str = Field(description="Name of an experiment of the study.")
    regime: str = Field(description="Name of one of its regimes; empty: each of them.")
    point: str = Field(
        description="Values of parameters, as samples=100;dimension=2; empty: each point."
    )
    iteration: Annotated[str, Field(pattern=r"^([1-9]\d*(:[1-9]\d*)?)?$")] = Field(
        description="An evaluated iteration; two, as 300:1200, for a ratio or slope; empty for a "
        "metric that is one number per chain."
    )
    metric: str = Field(description="A metric of the family or of the regime.")
    statistic: Statistic = Field(
        description="What the value is over seeds: the mean, the median, the share of seeds in "
        "which the metric is positive, the ratio of the means at two iterations or their slope on "
        "logarithmic scales, or a lower or upper bound of the mean."
    )
    value: float = Field(description="The published value.")
    tolerance: Annotated[float, Field(ge=0)] = Field(
        description="How far ours may be off besides chance: rounding, or reading off a plot."
    )
    repetitions: Annotated[int, Field(ge=1)] | None = Field(
        description="Number of runs that the value is a mean over, if it has their chance in it."
    )
    read: Read = Field(description="Where the value was read; derived: worked out from there.")
    source: Annotated[str, Field(min_length=1)] = Field(description="Where it stands.")

    @property
    def conditions(self) -> dict[str, Any]:
        """The values of parameters, and of samples, under which the value holds."""
        parts = (part.partition("=") for part in self.point.split(";") if part)
        return {key.strip(): _value(text.strip()) for key, _, text in parts}

    @property
    def iterations(self) -> list[int]:
        """The one or two iterations, or none."""
        return [int(t) for t in self.iteration.split(":") if t]

    def concerns(self, spec: ChainSpec) -> bool:
        """Tell whether the value holds for a chain."""
        found = {**spec.parameters, "samples": spec.samples}
        return (
            self.experiment == spec.experiment
            and self.regime in ("", spec.regime_name)
            and all(found[key] == value for key, value in self.conditions.items())
        )


#: The columns of the file.
COLUMNS = tuple(PublishedValue.model_fields)
#: What is expected in each column that is not text.
_EXPECTED = {
    "iteration": "an iteration, two as 300:1200, or nothing",
    "statistic": f"one of {', '.join(get_args(Statistic))}",
    "value": "a finite number",
    "tolerance": "a number that is not negative, or nothing",
    "repetitions": "a number of runs, or nothing",
    "read": f"one of {', '.join(get_args(Read))}",
    "source": "where the value stands",
}


class _Place(NamedTuple):
    """A row of the file."""

    path: Path
    line: int

    def refuse(self, column: str, found: object, expected: str) -> NoReturn:
        raise StudyError(
            f"{self.path}:{self.line}: {column}: found {shown(found)}, expected {expected}"
        )


def read(path: Path, study: Study) -> list[PublishedValue]:
    """Read the published values of a study and check them against it.

    Raises
    ------
    StudyError
        If the file can't be read or has a mistake; the message is one line.
    """
    values: dict[PublishedValue, _Place] = {}
    for place, row in _rows(path):
        try:
            value = PublishedValue.model_validate(row)
        except ValidationError as error:
            column = str(error.errors()[0]["loc"][0])
            place.refuse(column, row[column] or "", _EXPECTED[column])
        _check(place, value, study)
        if value in values:
            place.refuse("row", Words(f"line {values[value].line} again"), "it once")
        values[value] = place
    if not values:
        raise StudyError(f"{path}: found no values, expected a row for each published value")
    return [*values]


def _rows(path: Path) -> Iterator[tuple[_Place, dict[str, Any]]]:
    """Yield the rows of the file; cells that may be empty have their value."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # spreadsheets write a mark
            reader = csv.DictReader(file, strict=True)
            _check_header(_Place(path, 1), reader.fieldnames or ())
            for row in reader:
                place = _Place(path, reader.line_num)
                beyond = len(row.pop(None, []))
                count = sum(cell is not None for cell in row.values()) + beyond
                if count != len(COLUMNS):
                    place.refuse("row", f"{count} cells", f"{len(COLUMNS)}")
                cells: dict[str, Any] = {key: text.strip() for key, text in row.items()}
                cells["tolerance"] = cells["tolerance"] or 0.0
                yield place, {**cells, "repetitions": cells["repetitions"] or None}
    except (OSError, UnicodeError, csv.Error) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise StudyError(
            f"{path}: found nothing readable ({reason}), expected published values as CSV"
        ) from None


def _check_header(header: _Place, columns: Sequence[str]) -> None:
    for column in columns:
        if column not in COLUMNS:
            header.refuse("header", column, one_of(COLUMNS, column))
    for column in COLUMNS:
        if (number := columns.count(column)) != 1:
            found = f"{number or 'no'} column{'s' * (number > 1)} {column}"
            header.refuse("header", Words(found), f"each of {', '.join(COLUMNS)} once")


def _check(place: _Place, value: PublishedValue, study: Study) -> None:
    """Check that a value is one of chains of the study."""
    if value.experiment not in study.experiments:
        place.refuse("experiment", value.experiment, one_of(study.experiments, value.experiment))
    regimes = study.regimes_of(value.experiment)
    if value.regime and value.regime not in regimes:
        place.refuse("regime", value.regime, one_of(regimes, value.regime))
    chains = list(study.chains(value.experiment))
    known = [*chains[0].parameters, "samples"]
    for key in value.conditions:
        if key not in known:
            place.refuse("point", key, one_of(known, key))
    concerned = [spec for spec in chains if value.concerns(spec)]
    if not concerned:
        points = dict.fromkeys(spec.point for spec in chains)
        place.refuse("point", value.point, f"values of {', '.join(points)}")
    for spec in concerned:
        _check_metric(place, value, spec)


def _check_metric(place: _Place, value: PublishedValue, spec: ChainSpec) -> None:
    """Check that a chain has the metric at the iterations."""
    of_family = families.load(spec.family).metrics
    known = {**of_family, **regime_metrics.of_regime(spec.regime)}
    if value.metric not in known:
        place.refuse("metric", value.metric, one_of(known, value.metric))
    expected = 0
    if known[value.metric].per_iteration:
        expected = 2 if value.statistic in OF_TWO else 1
    if value.statistic in OF_TWO and not expected:
        place.refuse("statistic", value.statistic, "one of a single number per chain")
    if len(value.iterations) != expected:
        numbers = ("nothing", "one iteration", "two iterations, as 300:1200")
        place.refuse("iteration", value.iteration, f"{numbers[expected]} for this metric")
    if expected == 2 and value.iterations[0] >= value.iterations[1]:
        place.refuse("iteration", value.iteration, "the earlier iteration first")
    if value.statistic == "positive" and not 0 <= value.value <= 1:
        place.refuse("value", value.value, "a share of the seeds, from 0 to 1")
    for t in value.iterations:
        if t not in spec.evaluated:
            evaluated = f"iterations that are evaluated: {', '.join(map(str, spec.evaluated))}"
            place.refuse("iteration", t, evaluated)


def _value(text: str) -> Any:
    """Read the value of a parameter, as its name in paths is written."""
    try:
        return json.loads(text)
    except ValueError:
        return text
