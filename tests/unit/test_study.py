"""Studies that are right: what they stand for, and that they come through every format."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from collapse import families, regimes
from collapse import study as studies
from collapse.regimes import Regime
from collapse.study.chain_spec import ChainSpec

PROJECT = Path(__file__).parents[2]
SHIPPED = sorted((PROJECT / "config" / "studies").glob("*.yaml"))
SCHEMA = PROJECT / "config" / "schemas" / "study.schema.json"

# A study of the usual form.
EXAMPLE = """\
experiments:
  gaussian:
    family: gaussian
    regimes: [replace, accumulate, accumulate-subsample]
    iterations: 100
    seeds: 100                        # a count, or a list of integers
    samples: [10, 32, 100, 316, 1000] # per iteration; a number or a list
    grid: {dimension: [1, 3, 10, 31, 100], variance: [1.0]}
"""


def loaded(path, text):
    (path / "study.yaml").write_text(text)
    return studies.load(path / "study.yaml")


def study_of(definitions=None, **changes):
    """Validate a study with one experiment, of which some keys are given."""
    experiment = {"family": "gaussian", "regimes": ["replace"], "iterations": 5, "seeds": 3}
    experiment |= {"samples": 10, **changes}
    content = {"experiments": {"one": experiment}, "regimes": definitions or {}}
    return studies.Study.model_validate(content)


def names(study):
    return [point.name for point in study.experiments["one"].points()]


@pytest.fixture(scope="module", params=SHIPPED, ids=lambda path: path.name)
def shipped(request):
    return studies.load(request.param)


def test_the_example_of_the_design(tmp_path):
    study = loaded(tmp_path, EXAMPLE)
    chains = list(study.chains("gaussian"))
    assert len(chains) == 5 * 5 * 3
    assert chains[0].parameters == families.load("gaussian").parameters().model_dump()
    assert {(spec.samples, spec.parameters["dimension"]) for spec in chains} == {
        (n, d) for n in (10, 32, 100, 316, 1000) for d in (1, 3, 10, 31, 100)
    }
    assert {spec.regime for spec in chains} == {
        regimes.NAMED[name] for name in ("replace", "accumulate", "accumulate-subsample")
    }


def test_points_come_in_order_the_last_axis_fastest():
    study = study_of(grid={"dimension": [3, 1], "variance": [0.5, 2]}, samples=[20, 10])
    assert names(study) == [
        f"dimension={dimension}__variance={variance}__samples={samples}"
        for dimension in (3, 1)
        for variance in (0.5, 2.0)
        for samples in (20, 10)
    ]
    point = study.experiments["one"].points()[-1]
    assert point.parameters == {"dimension": 1, "variance": 2.0}
    assert point.samples == 10


def test_the_order_of_keys_changes_no_name():
    """Names are part of random streams: keys may be sorted without other numbers."""
    one = study_of(grid={"dimension": 1, "variance": 1.0})
    other = study_of(grid={"variance": 1.0, "dimension": 1})
    assert names(one) == names(other) == ["dimension=1__variance=1.0__samples=10"]


def test_a_value_is_a_list_of_one_and_an_integer_for_a_float_that_float():
    one = study_of(grid={"dimension": 2, "variance": 1}, samples=10)
    other = study_of(grid={"dimension": [2], "variance": [1.0]}, samples=[10])
    assert one == other and names(one) == names(other)


def test_only_the_parameters_that_a_study_names_are_in_names():
    study = study_of()
    assert names(study) == ["samples=10"]
    experiment = study.experiments["one"]
    assert experiment.axes == {"samples": [10]}
    assert experiment.all_axes == {"dimension": [1], "variance": [1.0], "samples": [10]}
    varied = study_of(grid={"estimator": "unbiased"}).experiments["one"]
    assert varied.all_axes["estimator"] == ["unbiased"]
    assert study.chain("one", "samples=10", "replace").parameters["variance"] == 1.0


@pytest.mark.parametrize(("seeds", "listed"), [(3, [0, 1, 2]), ([7, 0], [7, 0]), ([5], [5])])
def test_seeds_are_a_count_or_a_list(seeds, listed):
    assert study_of(seeds=seeds).experiments["one"].seed_list == listed


@pytest.mark.parametrize(
    ("iterations", "evaluations", "evaluated"),
    [
        *[(4, evaluations, (1, 2, 3, 4)) for evaluations in (None, 4, 9)],
        *[(100, 3, (1, 10, 100)), (100, 2, (1, 100)), (1, None, (1,))],
    ],
)
def test_evaluated_iterations(iterations, evaluations, evaluated):
    study = study_of(iterations=iterations, evaluations=evaluations)
    assert study.experiments["one"].evaluated == evaluated


@given(st.integers(1, 2000), st.integers(2, 100))
def test_evaluated_iterations_are_rising_from_first_to_last(iterations, evaluations):
    study = study_of(iterations=iterations, evaluations=evaluations)
    evaluated = study.experiments["one"].evaluated
    assert (evaluated[0], evaluated[-1]) == (1, iterations)
    assert len(evaluated) <= max(evaluations, 1)
    assert list(evaluated) == sorted(set(evaluated))


def test_a_definition_with_lists_stands_for_its_combinations():
    definition = {"keep_real": [0, 4], "memory": 1, "generate": [8, "n*1.5^(t-1)"]}
    study = study_of({"mixture": definition}, regimes=["mixture", "replace"])
    mixtures = {
        f"mixture__keep_real={real}__generate={written}": Regime(
            keep_real=real, memory=1, generate=generate
        )
        for real in (0, 4)
        for written, generate in (("8", 8), ("n@2a1.5@5e@28t-1@29", "n*1.5^(t-1)"))
    }
    assert study.regimes_of("one") == [*mixtures, "replace"]
    for name, regime in mixtures.items():
        assert study.chain("one", "samples=10", name).regime == regime


@pytest.mark.parametrize(
    ("memory", "regimes"),
    [(2, {"window": 2}), ([1, None], {"window__memory=1": 1, "window__memory=null": None})],
)
def test_only_a_definition_with_lists_names_its_values(memory, regimes):
    """Of which all generations are one of memory."""
    study = study_of({"window": {"keep_real": True, "memory": memory}}, regimes=["window"])
    assert study.regimes_of("one") == list(regimes)
    for name, held in regimes.items():
        assert study.regime_table[name] == Regime(keep_real=True, memory=held)


def test_shipped_studies_have_chains_which_come_through_json(shipped):
    for name, experiment in shipped.experiments.items():
        chains = list(shipped.chains(name))
        assert len({(spec.point, spec.regime_name) for spec in chains}) == len(chains)
        plain = json.loads(json.dumps([spec.as_dict() for spec in chains]))
        assert list(map(ChainSpec.parse, plain)) == chains
        cells = len(experiment.points()) * len(shipped.regimes_of(name))
        assert len(chains) == cells > 0


def test_a_study_comes_through_json(shipped):
    plain = json.loads(json.dumps(studies.plain(shipped)))
    assert studies.Study.model_validate(plain) == shipped
    name = next(iter(shipped.experiments))
    part = studies.Study.model_validate(studies.of_results(shipped, [name]))
    assert list(part.experiments) == [name]
    assert list(part.chains(name)) == list(shipped.chains(name))


def test_what_is_written_into_results_has_the_defaults(shipped):
    for name, experiment in shipped.experiments.items():
        resolved = json.loads(json.dumps(studies.resolved(shipped, name)))
        parameters = families.load(experiment.family).parameters.model_fields
        assert resolved["experiments"][name]["grid"].keys() == parameters.keys()
        assert list(resolved["regimes"]) == shipped.regimes_of(name)


@pytest.mark.parametrize(
    "text",
    [
        EXAMPLE.replace("\n", "\r\n"),
        "\ufeff" + EXAMPLE,
        f"%YAML 1.1\n---\n{EXAMPLE}...\n",
        json.dumps(yaml.safe_load(EXAMPLE)),
        EXAMPLE.replace("[1.0]", "1e0"),
        EXAMPLE.replace("[1.0]", "[.1e1]"),
        EXAMPLE.replace("seeds: 100 ", "seeds: 1_00 "),
        EXAMPLE.replace("seeds: 100 ", "seeds: 0o144 "),
        EXAMPLE.replace("seeds: 100 ", "seeds: &n 100 "),
        EXAMPLE.replace("    seeds: 100 ", "    <<: {seeds: 100, iterations: 5}\n    # "),
    ],
    ids=["Windows", "BOM", "markers", "JSON", "1e0", ".1e1", "1_00", "0o144", "anchor", "merge"],
)
def test_other_ways_to_write_the_same(tmp_path, text):
    assert loaded(tmp_path, text) == loaded(tmp_path, EXAMPLE)


def test_a_file_that_says_it_is_of_yaml_1_1_is_read_as_1_2(tmp_path):
    """In YAML 1.1, n and no are booleans."""
    window = "regimes: {window: {keep_real: n, memory: 1}}\n"
    study = loaded(tmp_path, f"%YAML 1.1\n---\n{window}{EXAMPLE.replace('gaussian:', 'no:', 1)}")
    assert study.regimes["window"].keep_real == ["n"]
    assert list(study.experiments) == ["no"]


def test_an_experiment_may_be_based_on_another(tmp_path):
    study = loaded(
        tmp_path,
        EXAMPLE.replace("gaussian:\n", "gaussian: &base\n", 1)
        + "  other: &other\n    <<: *base\n    seeds: [1]\n"
        + "  third:\n    <<: *other\n    seeds: [2]\n",
    )
    assert [experiment.seed_list for experiment in study.experiments.values()][1:] == [[1], [2]]
    assert study.experiments["third"].grid == study.experiments["gaussian"].grid


def test_the_json_schema_is_in_step():
    message = "run `make schema`: python -m collapse.study > config/schemas/study.schema.json"
    assert json.loads(SCHEMA.read_text()) == studies.json_schema(), message


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_studies_match_the_json_schema(path):
    jsonschema.validate(yaml.safe_load(path.read_text()), studies.json_schema())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("experiments", "experiment"),
        ("family: gaussian", "family: gausian"),
        ("    family: gaussian\n", ""),
        ("seeds: 100", "sed: 100"),
        ("seeds: 100", "seeds: 0"),
        ("seeds: 100", "seeds: [1, 1]"),
        ("iterations: 100", "iterations: 1.5"),
        ("iterations: 100", "iterations: true"),
        ("samples: [10,", "samples: [ten,"),
        ("dimension", "outcomes"),
        ("[1.0]", "[]"),
        ("[1.0]", "-1"),
        ("  gaussian:", "  a b:"),
        ("experiments:", "regimes: {window: {memory: 2}}\nexperiments:"),
        ("experiments:", "regimes: {window: {keep_real: 2m}}\nexperiments:"),
    ],
)
def test_wrong_studies_do_not_match_the_json_schema(old, new):
    schema = studies.json_schema()
    jsonschema.validate(yaml.safe_load(EXAMPLE), schema)
    assert old in EXAMPLE
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(EXAMPLE.replace(old, new, 1)), schema)
