"""The functions for interactive use: the numbers of the workflow, and mistakes in one line."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import collapse
import stepping
from collapse import families, study
from collapse.artifacts import shard_rows
from collapse.artifacts.files import DamagedFileError
from collapse.loop import chain
from collapse.loop.batches import chain_path
from collapse.loop.inputs import Inputs
from collapse.regimes import NAMED, Regime
from collapse.results import comparisons, gather
from running import PROJECT, python

WINDOW = {"keep_real": False, "memory": [1, 2]}
STUDY = """
regimes:
  window: {keep_real: false, memory: [1, 2]}
experiments:
  named:
    family: gaussian
    regimes: [accumulate-subsample, window]
    iterations: 6
    evaluations: 3
    seeds: [3, 5]
    samples: [8, 20]
    grid: {variance: [1.0, 4.0], dimension: 2}
    settings: {estimator: unbiased}
"""
GIVEN = {
    "experiment": "named",
    "iterations": 6,
    "evaluations": 3,
    "seeds": [3, 5],
    "samples": np.array([8, 20]),
    "dimension": 2,
    "variance": (1.0, 4.0),
    "settings": {"estimator": "unbiased"},
}
REGIMES = {"accumulate-subsample": "accumulate-subsample", "window": WINDOW}


def planned(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(STUDY, encoding="utf-8")
    return study.load(path)


def test_a_simulation_is_the_dataset_that_the_workflow_writes(tmp_path, at_home):
    plan = planned(tmp_path)
    inputs, named = Inputs(plan, {}, tmp_path), type("Wildcards", (), {"experiment": "named"})
    for spec in plan.chains("named"):
        identity = {"specification": spec.as_dict(), "version": inputs.version_of(named)}
        chain.run(tmp_path / chain_path(spec), **identity, seeds=inputs.seeds_of(named))
    gather.write(
        tmp_path / "metrics.nc",
        chains=list(zip(inputs.cells_of(named), inputs.chains_of(named), strict=True)),
        specifications=inputs.specifications_of(named),
        layout=inputs.layout_of(named),
        study=inputs.resolved_study_of(named).value,
        project=PROJECT,
    )
    xr.testing.assert_identical(
        collapse.simulate("gaussian", REGIMES, **GIVEN), xr.load_dataset(tmp_path / "metrics.nc")
    )


def test_streams_are_named_by_the_experiment_and_the_parameters_that_are_axes():
    def values(**given):
        return collapse.simulate("discrete", "replace", samples=9, iterations=3, **given).entropy

    first = values(outcomes=10)
    assert np.array_equal(first, values(outcomes=10, experiment="discrete"))
    for other in ({"outcomes": 10, "experiment": "other"}, {"settings": {"outcomes": 10}}):
        assert not np.array_equal(first.values.ravel(), values(**other).values.ravel())


@pytest.mark.parametrize(
    "given", [WINDOW | {"memory": 1}, Regime(keep_real=False, memory=1), {"own": "replace"}]
)
def test_a_regime_may_be_a_value_and_have_no_name(given):
    found = collapse.simulate("gaussian", given, iterations=3, seeds=2)
    assert list(found.regime.values) == ["own"]
    named = collapse.simulate("gaussian", {"own": NAMED["replace"]}, iterations=3, seeds=2)
    xr.testing.assert_equal(found, named)


def test_expectations_are_those_of_theory(tmp_path):
    given = {key: value for key, value in GIVEN.items() if key not in ("experiment", "seeds")}
    found = collapse.expectation("gaussian", REGIMES, **given)
    for spec in planned(tmp_path).chains("named"):
        cell = {key: value for key, value in spec.cell.items() if key in found.dims}
        for metric, one in comparisons.expectations(spec).items():
            at = found.sel(cell)
            assert np.array_equal(at[metric], one.mean, equal_nan=True)
            deviation = np.nan if one.deviation is None else one.deviation
            assert np.array_equal(
                at[f"{metric}_deviation"], np.broadcast_to(deviation, 3), equal_nan=True
            )
            assert one.source in found[metric].source
    assert found.trace_ratio.attrs["long_name"]


@pytest.mark.parametrize("family", [f for f in families.MODULES if families.load(f).closed_form])
def test_every_family_in_closed_form_is_simulated_and_compared_with_theory(family):
    regimes = ["replace", "accumulate"]
    found = collapse.simulate(family, regimes, samples=200, iterations=4, seeds=3)
    expected = collapse.expectation(family, regimes, samples=200, iterations=4)
    assert set(found) == set(families.load(family).metrics)
    declared = {name for name in expected if name in found}
    for metric in declared:
        assert expected[metric].dims == tuple(d for d in found[metric].dims if d != "seed")
    assert declared


MISTAKES = {
    "found gausian, expected one of gaussian, ": {"family": "gausian"},
    "family: found vae, expected one of gaussian, ": {"family": "vae"},
    "dimensoin: found an unknown key, expected one of dimension, ": {"dimensoin": 3},
    "dimension: found 0, expected at least 1": {"dimension": 0},
    "settings.estimator: found 3, expected one of ": {"settings": {"estimator": 3}},
    "regimes[0]: found replac, expected one of replace, ": {"regime": "replac"},
    "regime: mine: found replac, expected one of replace, ": {"regime": {"mine": "replac"}},
    "regimes.own.keep_real: found 0.5, expected an integer": {"regime": {"keep_real": 0.5}},
    "regimes.own.memroy: found an unknown key": {"regime": {"keep_real": 1, "memroy": 2}},
    "regimes.replace: found replace, expected a name other": {"regime": {"replace": WINDOW}},
    "regimes[0]: found own, where budget is 200 ": {"regime": {"keep_real": 1, "budget": 200}},
    "samples[0]: found 1, expected at least 2": {"samples": 1},
    "seeds[1]: found 0 twice, expected it once": {"seeds": [0, 0]},
    "experiment: found tables, expected a name other than ": {"experiment": "tables"},
}


@pytest.mark.parametrize("said", MISTAKES)
def test_mistakes_are_one_line(said):
    with pytest.raises(collapse.StudyError) as error:
        collapse.simulate(**{"family": "gaussian", **MISTAKES[said]})
    assert str(error.value).startswith("simulate: ") and said in str(error.value)
    assert "\n" not in str(error.value)


def test_samples_of_a_run_are_a_table(tmp_path, at_home):
    loop = stepping.Loop(samples=10, shard_size=4, iterations=2)
    loop.run()
    results = tmp_path / "results"
    for t in (1, 2):
        found = collapse.load_samples(results, "loop", iteration=t, regime="replace")
        shards = [shard.path for shard in loop.chain().shards(t)]
        rows = [table for path in shards for table in shard_rows.read(path, None, found.columns)]
        written = pd.concat([table.to_pandas() for table in rows], ignore_index=True)
        pd.testing.assert_frame_equal(found, written)
        assert len(found) == 10
        assert collapse.load_model(results, "loop", iteration=t, regime="replace").is_dir()
    at = {"point": {"dimension": 2, "epochs": 1}, "columns": list(found.columns[:1])}
    assert len(collapse.load_samples(results, "loop", iteration=1, **at).columns) == 1
    refused = {
        "experiment lop: not there, expected loop (did you mean loop?)": {"experiment": "lop"},
        "synthetic of replac/seed0/iter2: not there, expected one of real": {"regime": "replac"},
        "point dimension=3: not there, expected dimension=2": {"point": {"dimension": 3}},
        "synthetic of replace/seed7/iter2: not there": {"seed": 7},
    }
    for said, given in refused.items():
        given = {"experiment": "loop", "iteration": 2, "regime": "replace", **given}
        with pytest.raises(collapse.StudyError) as error:
            collapse.load_samples(results, **given)
        assert said in str(error.value) and "\n" not in str(error.value)
    (results / shards[0].removeprefix("results/")).write_bytes(b"PAR1")
    with pytest.raises(DamagedFileError, match=r"damaged \(the checksum"):
        collapse.load_samples(results, "loop", iteration=2, regime="replace")


def test_closed_forms_need_no_library_of_models():
    """Which are those of the extra "models", and not of the package or of envs/locks/core.txt."""
    code = (
        "import sys\n"
        "for name in 'accelerate datasets PIL rdkit safetensors sklearn tokenizers torch "
        "transformers vllm'.split():\n    sys.modules[name] = None\n"
        "import collapse; print(dict(collapse.simulate('gaussian', seeds=4).sizes)['seed'])"
    )
    done = python("-c", code)
    assert done.stdout == "4\n", done.stderr


def test_importing_the_package_imports_nothing_else():
    code = "import sys, collapse; print({'numpy', 'pydantic'} & set(sys.modules))"
    assert python("-c", code).stdout == "set()\n"
    assert set(dir(collapse)) >= {"simulate", "expectation", "load_samples", "load_model"}
    with pytest.raises(AttributeError, match="no attribute 'simulat'"):
        _ = collapse.simulat
