"""What every family guarantees, as far as what it declares applies.

A new family takes part by its line in ``collapse.families.MODULES`` and a tiny example in
`examples.EXAMPLES`.
"""

import functools
import json
import math
import os
import re
import shutil
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from collapse import families, job
from collapse import study as studies
from collapse.artifacts import manifest
from collapse.artifacts.manifest import Weighing
from collapse.artifacts.training_sets import DATASET
from collapse.errors import JobError
from collapse.families.declarations import STAGES
from collapse.families.step_jobs import ScoreJob
from collapse.loop import fitting, run, steps
from collapse.loop.closed_form import run_chain
from collapse.regimes import NAMED
from collapse.results import pictures, samples
from collapse.seeding import Streams
from collapse.study import StudyError
from collapse.study.errors import shown
from contract import examples
from contract.examples import ITERATIONS, REGIMES, SAMPLES
from forked_ranks import forked_ranks
from interrupting import stopped_halfway

PROJECT = Path(__file__).parents[2]
SEEDS = (0, 1, 2)


def each(names):
    """Parametrise over families."""
    return pytest.mark.parametrize("name", names)


EVERY = each(families.MODULES)
BY_STEPS = each(examples.declaring(lambda family: family.iterative))
WITH_DATA = each(examples.declaring(lambda one: one.iterative and one.by_steps.has_dataset))
TRAINED = each(examples.declaring(lambda family: family.wants_gpu))


def test_every_family_has_an_example():
    assert set(examples.EXAMPLES) <= set(families.MODULES)
    for name in families.MODULES:
        example, family = examples.of(name), families.load(name)
        assert bool(example.chains) == (family.closed_form is not None), name
        assert bool(example.steps) == (family.iterative is not None), name


# What is imported, and when.

#: What no process that plans a study may wait for, and no job of several steps before its first.
HEAVY = {
    *("torch", "transformers", "tokenizers", "datasets", "vllm", "rdkit"),
    *("pyarrow", "matplotlib", "scipy", "sklearn", "pandas", "xarray"),
}
#: What a step may import besides pyarrow only if its example says so. pyarrow itself imports pandas
#: to convert arrays, if it finds it (`collapse.artifacts.columns`).
OF_STEPS = HEAVY - {"pyarrow"} | {
    *("scipy.stats", "torch._dynamo", "torch.distributed.fsdp"),
}
PLANNING = """\
import sys
from pathlib import Path
from collapse import families, study
from collapse.loop import base, fitting, inputs, iteration, prepare, steps
from collapse.loop.plan import machine, table
family, planned = families.load(sys.argv[1]), study.load("study.yaml")
table.render(planned, machine.REFERENCE)
inputs.Inputs(planned, {"neural": "gpu", "other": "cpu"}, Path())
print(*sys.modules)
"""


@EVERY
def test_plans_and_scripts_import_nothing_heavy(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    examples.of(name).files()
    Path("study.yaml").write_text(json.dumps(examples.study_of(name)))
    found = subprocess.run(
        [sys.executable, "-c", PLANNING, name],
        env={**os.environ, "PYTHONPATH": str(PROJECT / "scripts")},
        capture_output=True,
        text=True,
        check=True,
    )
    imported = found.stdout.split()
    assert HEAVY.isdisjoint(imported), "imported to plan a study, or by every job"
    others = set(families.MODULES) - {name, examples.of(name).builds_on}
    unused = {families.MODULES[other] for other in others}
    assert unused.isdisjoint(imported), "families that the study does not use"


@BY_STEPS
def test_a_step_imports_what_it_computes_with_and_no_more(name, home):
    imported = json.loads((home(name) / examples.IMPORTED).read_text())
    found = {step: OF_STEPS.intersection(modules) for step, modules in imported.items()}
    expected = examples.of(name).imports
    assert found == {step: set(expected.get(step, ())) for step in found}


# Declarations.


@EVERY
def test_declarations_agree(name):
    family = families.load(name)
    fields = family.parameters.model_fields
    for key, field in fields.items():
        assert re.fullmatch(r"\S.*\.", field.description or ""), f"{key}: described in no sentence"
        assert family.stage_of(key) >= 0
    defaults = family.parameters()
    assert family.parameters.model_validate(defaults.model_dump()) == defaults
    assert list(family.problems(defaults)) == []
    assert all(metric.long_name and metric.units for metric in family.metrics.values())
    known, axes = set(family.metrics), {*fields, "samples"}
    for headline in (family.headline, family.headline_of_mixtures):
        assert headline.metric in {figure.metric for figure in family.figures} & known
        assert headline.meaning.endswith(".")
    for figure in family.figures:
        assert {figure.metric, figure.reference or figure.metric} <= known, figure
        assert {figure.rows or figure.colour, figure.colour} <= axes, figure
    for each in family.distributions:
        assert each.metric in known and {each.rows, *each.at} <= axes and each.label, each
    drawn = [*family.figures, *family.distributions]
    assert len({figure.name for figure in drawn}) == len(drawn)
    assert re.fullmatch(r"(\S.*\.)?", family.remark(defaults)), "a remark in no sentence"
    for published in family.published:
        assert published.metric in known and set(published.conditions) <= axes, published
        assert published.regime in {None, *NAMED} and published.iteration >= 1, published
        assert math.isfinite(published.value) and published.source, published


@BY_STEPS
def test_steps_are_as_declared(name):
    installed(name)
    family = families.load(name)
    does = families.load_steps(family)
    assert (does.prepare is not None) == family.by_steps.has_dataset
    assert (does.base is not None) == (family.by_steps.base(family.parameters()) is not None)
    assert (does.portray is not None) == (family.by_steps.pictures is not None)
    assert set(family.by_steps.versions) <= {
        "base",
        "prepare",
        "assemble",
        "train",
        "generate",
        "evaluate",
    }


# Studies.


def values_refused(schema, described):
    """Return values of a parameter that its JSON schema refuses, of every kind."""
    candidates = [{"a": 1}, "no such choice", "", True, 0.5]
    number = False
    for one in (described, *described.get("anyOf", ())):
        beyond = {"minimum": -1, "exclusiveMinimum": 0, "maximum": 1, "exclusiveMaximum": 0}
        candidates += [one[bound] + by for bound, by in beyond.items() if bound in one]
        number |= one.get("type") == "number"
    validator = jsonschema.Draft202012Validator({**described, "$defs": schema.get("$defs", {})})
    refused = [value for value in candidates if not validator.is_valid(value)]
    return [*refused, math.nan, math.inf] if number else refused


def refused(name, path, place, given):
    """Return what is said of a study with such a line at its end."""
    example = examples.study_of(name)["experiments"]["e"]
    lines = [f"  {key}: {json.dumps(example[key])}" for key in ("regimes", "iterations", "seeds")]
    text = "\n".join(["experiments:", " e:", f"  family: {name}", *lines, *place, given])
    path.write_text(text)
    with pytest.raises(StudyError) as error:
        studies.load(path)
    message = str(error.value)
    assert "\n" not in message
    start = f"{path}:{len(text.splitlines())}: experiments.e."
    assert message.startswith(start), f"{message} does not begin with {start}"
    return message.removeprefix(start)


@EVERY
@pytest.mark.parametrize("place", ["grid", "settings"])
def test_parameters_that_cannot_be_are_refused_in_one_line(name, place, tmp_path):
    path, family = tmp_path / "study.yaml", families.load(name)
    schema = family.parameters.model_json_schema()
    heading = [f"  samples: {SAMPLES}", f"  {place}:"]
    for key, described in schema["properties"].items():
        for value in values_refused(schema, described):
            listed = place == "grid"
            written = shown([described["default"], value] if listed else value)
            message = refused(name, path, heading, f"   {key}: {written}")
            where = f"{place}.{key}[1]" if listed else f"{place}.{key}"
            assert message.startswith(f"{where}: found {shown(value)}, expected "), message
        message = refused(name, path, heading, f"   {key}x: {shown(described['default'])}")
        assert message.startswith(f"{place}.{key}x: found an unknown key, expected ")
    if (least := family.minimum_samples) > 1:
        message = refused(name, path, [], f"  samples: {least - 1}")
        said = f": found {least - 1}, expected at least {least} for the family {name}"
        assert message.startswith("samples") and message.endswith(said)


# Chains in closed form.

CHAINS = pytest.mark.parametrize(
    ("name", "number", "regime"),
    [
        (name, number, regime)
        for name, example in examples.EXAMPLES.items()
        for number in range(len(example.chains))
        for regime in REGIMES
    ],
)


@functools.cache
def at_once(name, number, regime, seeds=SEEDS, **changed):
    """Run the chains of an example at once."""
    parameters = examples.of(name).chains[number].parameters
    return run_chain(examples.specification(name, parameters, regime, **changed), seeds)


def along(name, *chain):
    """Return the metrics of a chain that have a value for each iteration."""
    declared = families.load(name).metrics
    found = at_once(name, *chain).items()
    return {metric: values for metric, values in found if declared[metric].per_iteration}


@CHAINS
def test_chains_have_the_metrics_that_are_declared(name, number, regime):
    declared, example = families.load(name).metrics, examples.of(name)
    infinite = (*example.unknown, *example.chains[number].infinite)
    metrics, population = at_once(name, number, regime), REGIMES[regime].population
    members = () if population is None else (population.models,)
    assert metrics.keys() == declared.keys()
    for metric, values in metrics.items():
        own = (ITERATIONS,) if declared[metric].per_iteration else ()
        assert values.shape == (len(SEEDS), *members, *own), metric
        assert metric in example.unknown or not np.isnan(values).any(), metric
        assert metric in infinite or np.isfinite(values).all(), metric


@CHAINS
def test_a_seed_does_not_depend_on_the_others(name, number, regime):
    """To the last bit, so that seeds may be added to a study and chains run in batches."""
    together = at_once(name, number, regime)
    for row, seed in enumerate(SEEDS):
        alone = at_once(name, number, regime, seeds=(seed,))
        for metric, values in together.items():
            np.testing.assert_array_equal(alone[metric], values[[row]], err_msg=metric)


@CHAINS
def test_a_longer_chain_starts_with_the_shorter(name, number, regime):
    long = at_once(name, number, regime, iterations=ITERATIONS + 3)
    for metric, values in along(name, number, regime).items():
        np.testing.assert_array_equal(long[metric][..., :ITERATIONS], values, err_msg=metric)


@CHAINS
def test_all_regimes_start_from_the_same_fit(name, number, regime):
    first = at_once(name, number, "replace")
    for metric, values in along(name, number, regime).items():
        for of_seed, expected in zip(values[..., 0], first[metric][:, 0], strict=True):
            np.testing.assert_array_equal(of_seed, expected, err_msg=metric)


@CHAINS
def test_what_is_evaluated_does_not_change_the_chain(name, number, regime):
    some = at_once(name, number, regime, evaluated=(1, 4, 6))
    for metric, values in at_once(name, number, regime).items():
        along = families.load(name).metrics[metric].per_iteration
        expected = values[..., [0, 3, 5]] if along else values
        rounding = examples.of(name).rounding
        np.testing.assert_allclose(some[metric], expected, rtol=rounding, err_msg=metric)


@CHAINS
def test_theory_speaks_of_metrics_that_are_there(name, number, regime):
    family = families.load(name)
    parameters = family.parameters(**examples.of(name).chains[number].parameters)
    found = family.expectations(parameters, REGIMES[regime], SAMPLES, ITERATIONS)
    for metric, expected in found.items():
        shape = (ITERATIONS,) if family.metrics[metric].per_iteration else ()
        assert expected.shape == shape, metric
        for known in (expected.mean, expected.lower, expected.upper):
            assert known is None or not np.isnan(known).any(), metric
        assert expected.deviation is None or np.shape(expected.deviation) == shape, metric
        page, _, equation = expected.source.partition(", eq. ")
        tag = rf"\tag{{{equation.strip('()')}}}"
        assert tag in (PROJECT / page).read_text(), f"{metric}: {expected.source}"


@each(examples.declaring(lambda family: family.closed_form and family.scores))
def test_scores_of_samples_in_closed_form_are_numbers(name):
    for chain in examples.of(name).chains:
        family = families.load(name)
        streams = Streams("e", "p", "r", SEEDS)
        parameters = family.parameters(**chain.parameters)
        simulator = family.closed_form.simulator(parameters, SAMPLES, streams)
        drawn = simulator.real(1, SAMPLES)
        for score in family.scores:
            found = simulator.score(score, drawn)
            assert found.shape == (len(SEEDS), SAMPLES) and np.isfinite(found).all(), score


# Chains by steps.


def installed(name):
    """Skip where the libraries of a family's steps are not installed."""
    for library in examples.of(name).libraries:
        pytest.importorskip(library)


@pytest.fixture(scope="module")
def home(tmp_path_factory, request):
    """Return the function that runs the example of a family, once, and returns its folder."""

    @functools.cache
    def ran(name):
        installed(name)
        if "torch" in examples.of(name).libraries:
            request.getfixturevalue("one_thread")
        folder = tmp_path_factory.mktemp(name)
        path = os.pathsep.join(str(PROJECT / one) for one in ("tests", "scripts"))
        subprocess.run(
            [sys.executable, "-m", "contract.examples", name],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path},
            check=True,
        )
        return folder

    return ran


@pytest.fixture
def loop(name, home, tmp_path, monkeypatch):
    """The example of a family, which has run, in a folder that a test may change."""
    shutil.copytree(home(name), tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return examples.loop_of(name)


def contents(*paths):
    """Return what is in files, and in the files of folders."""
    found = [Path(path) for path in paths]
    inner = [file for path in found for file in sorted(path.rglob("*")) if file.is_file()]
    return {str(file): file.read_bytes() for file in [*inner, *filter(Path.is_file, found)]}


def record_of(chain, t):
    """Return the record of a training but for the time that it took."""
    record = json.loads(Path(chain.training(t)).read_text())
    return {key: value for key, value in record.items() if key not in ("seconds", "ranks")}


def shards_of(chain, t):
    return list(dict.fromkeys([*chain.shards(t), *chain.evaluated_shards(t)]))


def outputs_of(chain):
    """Return the files and folders of iteration 1."""
    shards = [path for shard in chain.evaluated_shards(1) for path in (shard.path, shard.record)]
    return [chain.training_set(1), chain.model(1), *shards, chain.metrics(1)]


@WITH_DATA
def test_damaged_real_data_is_told_in_one_line(name, tmp_path, monkeypatch):
    installed(name)
    monkeypatch.chdir(tmp_path)
    example = examples.of(name)
    example.files()
    data, file, content = example.damaged
    Path(file).write_bytes(content)
    loop = examples.loop_of(name, settings={**example.steps["settings"], "data": data})
    with pytest.raises(SystemExit) as stopped, job.guarded("log"):
        loop.prepare()
    line = Path("log").read_text()
    assert line.startswith(f"error: {file}: ") and line == f"{stopped.value.code}\n"
    assert line.count("\n") == 1 and not list(Path("results/loop").rglob("*.*"))


@BY_STEPS
def test_iteration_1_is_the_same_under_every_regime(name, loop):
    """Its files are stored once, so that all regimes start from the same model."""
    outputs = outputs_of(loop.chain())
    before = contents(*outputs)
    for regime in NAMED:
        other = examples.loop_of(name, regime=regime)
        assert outputs_of(other.chain()) == outputs
        assert [other.step(1, stage) for stage in STAGES] == [loop.step(1, s) for s in STAGES]
        other.assemble(1) if families.load(name).wants_gpu else other.iterate(1)
        assert contents(*outputs) == before


@BY_STEPS
def test_an_evaluation_has_the_metrics_that_are_declared(name, loop, monkeypatch):
    family, unknown = families.load(name), examples.of(name).unknown
    does, noted = families.load_steps(family), []

    def evaluate(job):
        noted.append(does.evaluate(job))
        return noted[-1]

    monkeypatch.setattr(families, "load_steps", lambda _: replace(does, evaluate=evaluate))
    for t in (1, 2):
        before = contents(loop.chain().metrics(t))
        loop.evaluate(t)
        assert contents(loop.chain().metrics(t)) == before
        assert set(noted[-1]) <= set(family.metrics), "metrics that are not declared"
        written = json.loads(Path(loop.chain().metrics(t)).read_text())
        missing = {metric for metric, value in written.items() if not math.isfinite(value)}
        assert missing <= set(unknown)


@BY_STEPS
def test_samples_do_not_depend_on_how_shards_are_cut(name, loop):
    chain = loop.chain()
    (shard,) = shards_of(chain, 1)
    whole = parquet.read_table(shard.path)
    assert len(whole) == shard.stop
    middle, parts = shard.stop // 3, []
    given = {"model": chain.model(1), "data": loop.data}
    for start, stop in ((0, middle), (middle, shard.stop), (middle + 1, middle + 2)):
        step = loop.step(1, "generation")
        steps.generate("part.parquet", "part.json", step, start=start, stop=stop, **given)
        record = manifest.read_shard_record("part.json").shard
        manifest.verify([record])
        assert (record.start, record.stop) == (start, stop)
        parts.append(parquet.read_table("part.parquet"))
    assert pa.concat_tables(parts[:2]).equals(whole)
    assert parts[2].equals(whole.slice(middle + 1, 1))
    rows = [json.dumps(row, default=repr) for row in whole.to_pylist()]
    distinct = examples.of(name).distinct * len(rows)
    assert len(set(rows)) > distinct, "samples are copies of each other"


@BY_STEPS
def test_selected_samples_do_not_depend_on_how_shards_are_cut(name, loop):
    """Nor are they other ones than the best of candidates, of which the first are the plain ones.

    Scores by a model round as its batches do.
    """
    chain = loop.chain()
    plain = parquet.read_table(shards_of(chain, 1)[0].path)
    score = examples.of(name).selected_by
    given = {"model": chain.model(1), "data": loop.data, "score": score}
    given["select"] = {"score": score, "candidates": 3}
    parts = []
    for start, stop in ((0, 9), (0, 4), (4, 9)):
        step = loop.step(1, "generation")
        steps.generate("part.parquet", "part.json", step, start=start, stop=stop, **given)
        parts.append((parquet.read_table("part.parquet"), manifest.read_shard_record("part.json")))
    (whole, record), *cut = parts
    both = pa.concat_tables([table for table, _ in cut])
    assert both.drop("score").equals(whole.drop("score"))
    np.testing.assert_allclose(both["score"], whole["score"], rtol=1e-5)
    sums = [each.details["selection"] for _, each in cut]
    for key, total in record.details["selection"].items():
        assert sum(one[key] for one in sums) == pytest.approx(total, rel=1e-5)
    assert record.details["selection"]["looked_at"] == 27
    kept = [row in plain.slice(0, 9).to_pylist() for row in whole.drop("score").to_pylist()]
    assert 0 < sum(kept) < 9


@BY_STEPS
def test_scores_are_numbers_that_are_worse_of_what_is_worse(name, loop):
    family, example = families.load(name), examples.of(name)
    assert example.worse.keys() == family.scores.keys()
    given = {"step": loop.step(1, "generation"), "data": Path(loop.data or "")}
    given["parameters"] = loop.branches.parameters(loop.point)
    better = Path(loop.data, "train.parquet") if loop.data else shards_of(loop.chain(), 1)[0].path
    held = parquet.read_table(better)
    found = {}
    for score, worse in example.worse.items():
        changed = pa.Table.from_pydict(worse(held.to_pydict()), held.schema)
        parquet.write_table(changed, "worse.parquet")
        for path in (better, "worse.parquet"):
            files = {"samples": Path(path), "model": Path(loop.chain().model(1))}
            job_of_score = ScoreJob(name=score, **files, **given)
            found[path] = families.load_steps(family).score(job_of_score)
            assert found[path].shape == (len(held),) and np.isfinite(found[path]).all(), score
        sign = family.scores[score].sign
        assert np.mean(sign * (found[better] - found["worse.parquet"])) > 0, score


@BY_STEPS
@pytest.mark.parametrize("which", ["checkpoint", "real data"])
def test_what_is_lost_or_cut_short_is_one_line_with_its_remedy(name, which, loop):
    """Whichever file of a checkpoint or of the real data it is, in whichever step reads it."""
    folder = Path(loop.chain().model(1) if which == "checkpoint" else loop.data or "none")
    given = {"model": loop.chain().model(1), "data": loop.data, "start": 0, "stop": 1}

    def generate(t):
        steps.generate("part.parquet", "part.json", loop.step(t, "generation"), **given)

    does = [loop.evaluate, generate] + [loop.train] * (which == "real data")
    remedy = f"; make it again with: snakemake --profile profiles/local --force {folder}"
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert files or loop.data is None
    for file in files:
        named = file.stem in ("generation_config", "tokenizer_config", "first_tokens")
        if named or (file.stem == "tokenizer" and file.with_name("config.json").exists()):
            continue  # these are there for other programs or other parameters
        whole = file.read_bytes()
        for lost in (False, True):
            file.unlink() if lost else file.write_bytes(whole[: len(whole) // 2])
            refused = 0
            for step in does:
                try:
                    step(1)
                except JobError as error:
                    said = str(error)
                    assert said.startswith(str(folder)) and said.endswith(remedy), said
                    assert "\n" not in said and len(said) < 300 + len(remedy) + len(str(file))
                    refused += 1
                    if lost:
                        break
            assert refused, file
        file.write_bytes(whole)


@BY_STEPS
def test_steps_that_run_again_end_in_the_same_bytes(name, loop, monkeypatch):
    """Also under another regime, and where a training is stopped halfway: it goes on from there."""
    loop = examples.loop_of(name, regime="replace")
    chain = loop.chain()
    _, model, *others = outputs = outputs_of(chain)
    before, record = contents(*outputs), record_of(chain, 1)
    shutil.rmtree(model)
    for path in others:
        Path(path).unlink()
    trained = families.load(name).wants_gpu
    loop.assemble(1)
    if trained:
        begun = stopped_halfway(monkeypatch)
        with pytest.raises(JobError, match=r"stopped by SIGTERM after step \d+ of \d+; saved in"):
            loop.train(1)
        assert not Path(model).exists()
    loop.train(1)
    assert not trained or begun == [*range(record["curve"][-1]["step"])]
    loop.generate(1)
    loop.evaluate(1)
    assert record_of(chain, 1) == record
    assert contents(*outputs) == before
    assert not list(Path().rglob(".training"))
    # One job runs them all again. What its records say that they are made of is more than here.
    monkeypatch.setenv(run.SNAPSHOT, "")  # which is put back
    loop.block(1, "iteration", "iteration.json")
    made = [path for path in outputs if Path(path).suffix != ".json" or path == chain.metrics(1)]
    assert contents(*made) == {path: before[path] for path in contents(*made)}


@TRAINED
def test_parts_of_batches_train_what_whole_ones_do(name, loop, monkeypatch):
    """Ranks are given such parts, and the sum of their losses has to be that of the batch."""
    trainer = pytest.importorskip("collapse.training.trainer")
    train, whole = trainer.train, record_of(loop.chain(), 1)["curve"]

    def in_parts(task, optimisation, *others, **options):
        return train(task, replace(optimisation, micro_batch=3), *others, **options)

    monkeypatch.setattr(trainer, "train", in_parts)
    loop.train(1)
    parts = record_of(loop.chain(), 1)["curve"]
    assert len(parts) == len(whole) > 1
    for one, two in zip(whole, parts, strict=True):
        assert two == pytest.approx(one, rel=2e-5)
    assert parts != whole


@TRAINED
def test_a_weighted_training_resumes_and_is_the_same_in_two_ranks(name, loop, monkeypatch):
    """Each rank takes half of every batch; their sums of gradients round differently."""
    loop = short(name)
    chain = loop.chain()
    loop.train(2)
    plain, path = record_of(chain, 2)["curve"], chain.training_set(2)
    found, sources = manifest.read_training_set(path), []
    for one in found.sources:
        factor = 1.5 if one.kind == "real" else 0.5
        weighing = Weighing(number=one.size, total=one.size, square=one.size, factor=factor)
        sources.append(one.model_copy(update={"weighing": weighing}))
    manifest.write(path, found.model_copy(update={"sources": tuple(sources)}))
    loop.train(2)
    curve = record_of(chain, 2)["curve"]
    assert len(curve) == len(plain)
    for one, two in zip(curve, plain, strict=True):
        assert one["train_loss"] != pytest.approx(two["train_loss"], rel=1e-4)
    stopped_halfway(monkeypatch)
    with pytest.raises(JobError, match="stopped by SIGTERM"):
        loop.train(2)
    loop.train(2)
    assert record_of(chain, 2)["curve"] == curve
    train_in_two_ranks(loop)
    for one, two in zip(curve, record_of(chain, 2)["curve"], strict=True):
        assert two == pytest.approx(one, rel=2e-5)


def short(name, regime="accumulate", **changes):
    """Return the example's loop with trainings of one epoch, and these changes of settings."""
    settings = {**examples.of(name).steps["settings"], "epochs": 1.0, **changes}
    regimes = {"next": {"keep_real": [True], "start": ["previous"]}}
    return examples.loop_of(name, regime=regime, regimes=regimes, settings=settings)


def train_in_two_ranks(loop):
    """Train the model of iteration 2, in forks where ranks would import transformers, for long."""
    by_steps = loop.branches.family.by_steps
    with forked_ranks() if by_steps.writes_text else nullcontext():
        loop.train(2, ranks=2)


def weights_of(model):
    """Return the weights of a checkpoint, by name."""
    from safetensors.numpy import load_file

    (file,) = Path(model).glob("*.safetensors")
    return load_file(file)


@TRAINED
def test_a_training_may_start_from_the_model_before(name, loop, monkeypatch):
    """With steps that move nothing it ends where that ended; stopped halfway, it goes on."""
    assert families.load(name).by_steps.starts_from_models
    still, fresh = (short(name, each, learning_rate=1e-12) for each in ("next", "accumulate"))
    before = weights_of(still.chain().model(1))
    for each in (still, fresh):
        each.assemble(2)
        each.train(2)
        after = weights_of(each.chain().model(2))
        assert before.keys() == after.keys()
        same = [np.allclose(before[key], after[key], rtol=0, atol=1e-6) for key in before]
        assert all(same) == (each is still)
    loop, other = short(name, "next"), short(name)
    chain = loop.chain()
    loop.train(2)
    record, whole = record_of(chain, 2), contents(chain.model(2))
    assert record["previous"] == fitting.started_from(chain.model(1)).sha256
    assert "previous" not in record_of(other.chain(), 2)
    stopped_halfway(monkeypatch)
    with pytest.raises(JobError, match="stopped by SIGTERM"):
        loop.train(2)
    loop.train(2)
    assert record_of(chain, 2) == record and contents(chain.model(2)) == whole
    train_in_two_ranks(loop)
    for one, two in zip(record["curve"], record_of(chain, 2)["curve"], strict=True):
        assert two == pytest.approx(one, rel=2e-5)
    shutil.rmtree(chain.model(1))
    with pytest.raises(JobError, match=f"^{re.escape(chain.model(1))}: .*missing; make it again"):
        loop.train(2)


@TRAINED
def test_a_training_records_its_learning_curve(name, loop):
    for t in (1, 2):
        curve = record_of(loop.chain(), t)["curve"]
        assert [point["step"] for point in curve] == sorted({point["step"] for point in curve})
        losses = [point[loss] for point in curve for loss in ("train_loss", "test_loss")]
        assert len(curve) > 1 and all(map(math.isfinite, losses))


@WITH_DATA
def test_no_test_data_is_trained_on(name, loop):
    described = manifest.read_dataset(Path(loop.data, DATASET))
    splits = []
    for files in (described.train, described.test):
        manifest.verify(files)
        rows = [row for file in files for row in parquet.read_table(file.path).to_pylist()]
        assert len(rows) == sum(file.stop - file.start for file in files) > 0
        splits.append({json.dumps(row, default=repr) for row in rows})
    assert splits[0].isdisjoint(splits[1])


def shown_of(loop, paths):
    return [((loop.point, loop.regime, t), path) for t in (1, 2) for path in paths(t)]


@each(examples.declaring(lambda family: family.iterative and family.iterative.writes_text))
def test_samples_can_be_read(name, loop):
    shards = shown_of(loop, lambda t: [shard.path for shard in shards_of(loop.chain(), t)])
    samples.write(shards, table=Path("samples.csv"))
    # Not what Python's own reader would take for a line's end: models write all there is.
    table = pd.read_csv("samples.csv", lineterminator="\n", keep_default_na=False)
    assert len(table) == samples.SHOWN_SAMPLES * len(shards) and all(table["text"])


@each(examples.declaring(lambda family: family.iterative and family.iterative.pictures))
def test_pictures_are_drawn_of_what_is_portrayed(name, loop):
    portraits = shown_of(loop, lambda t: [loop.chain().portrait(t)])
    pictures.write(portraits, family=name, directory=Path("drawn"))
    drawn = {(path.stem, path.suffix) for path in Path("drawn").iterdir()}
    assert drawn and drawn == {(stem, kind) for stem, _ in drawn for kind in (".png", ".svg")}
    assert all(loop.point in stem for stem, _ in drawn)
