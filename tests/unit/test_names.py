"""Names of points and regimes: safe wherever they stand, one for each value, and readable again."""

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from snakemake.target_jobs import parse_target_jobs_cli_args
from snakemake_interface_executor_plugins.utils import TargetSpec, encode_target_jobs_cli_args

from collapse.study import names
from refusing import load, refused

TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.text("@=_.+-0aA2f{}%,\n", max_size=6)
VALUES = TEXTS | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
#: Texts that shells, SLURM, Snakemake, file systems, tables or an older version read as something.
ODD = [
    "\n\n",
    "a,b",
    "{x}",
    "%j",
    "'\"\\`$(a)",
    "~",
    "-a",
    "a.",
    "..",
    "/",
    "*",
    "=",
    "x__samples=1",
]


def value_of(text):
    """Read a value again from its part of a name."""
    try:
        return json.loads(text)
    except ValueError:
        return names.decoded(text)


@given(VALUES)
@example("null")
@example("1e5")
@example("@6eull")
def test_a_value_can_be_read_from_its_name(value):
    found = value_of(names.text_of(value))
    assert type(found) is type(value) and found == value


@given(VALUES, VALUES)
def test_two_values_have_two_names(one, other):
    same = type(one) is type(other) and repr(one) == repr(other)
    assert (names.text_of(one) == names.text_of(other)) == same


@given(*3 * [TEXTS])
@example("a", "b__separator=c", "d")
def test_the_values_of_a_point_can_be_read_from_its_name(data, column, separator):
    cell = {"data": data, "column": column, "separator": separator}
    parts = re.fullmatch("data=([^=]*)__column=([^=]*)__separator=([^=]*)", names.point_name(cell))
    assert [*map(value_of, parts.groups())] == [data, column, separator]


@given(st.lists(VALUES, min_size=1, max_size=3))
@example(ODD)
def test_nothing_reads_a_name_as_something_else(values):
    name = names.point_name({f"key{i}": value for i, value in enumerate(values)})
    assert re.fullmatch(r"[A-Za-z0-9_.+=@-]+", name) and not name.endswith(".")
    text = encode_target_jobs_cli_args([TargetSpec("chain", {"point": name, "regime": name})])
    assert parse_target_jobs_cli_args(text)[0].wildcards_dict == {"point": name, "regime": name}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((value, value) for value in ("moons", "maximum-likelihood", "corpus_1.txt", "0.5n")),
        *((3, "3"), (1.0, "1.0"), (1e20, "1e+20"), (-1e-05, "-1e-05"), (None, "null")),
        *((True, "true"), ("\n\n", "@0a@0a"), ("hub:a/b", "hub@3aa@2fb"), ("null", "@6eull")),
        ("n*1.1^(t-1)", "n@2a1.1@5e@28t-1@29"),
    ],
)
def test_only_odd_characters_are_escaped(value, text):
    assert names.text_of(value) == text


@pytest.mark.parametrize(
    ("family", "key", "pair"),
    [
        ("language_model", "column", ["text", "Text"]),
        ("language_model", "separator", ["\n-A-\n", "\n-a-\n"]),
        ("vae", "label", [None, "none"]),
    ],
)
def test_values_that_differ_in_case_alone_are_refused(tmp_path, family, key, pair):
    said = refused(tmp_path, family, samples=100, grid={key: pair})
    assert re.match(rf"grid\.{key}\[1\]: found .* beside .*, expected names that differ by m", said)


def test_odd_values_make_a_study(tmp_path):
    study = load(tmp_path, "language_model", samples=100, grid={"separator": ODD})
    points = study.cells["e"]
    assert [point.parameters["separator"] for point in points.values()] == ODD
