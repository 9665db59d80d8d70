"""Wrong studies: each is refused in one line that names file, line, key, found and expected."""

import re

import pytest

from collapse import study as studies
from collapse.study import yaml_file

STUDY = """\
regimes:
  window: {keep_real: true, memory: 2}
experiments:
  first:
    family: gaussian
    regimes: [replace, window]
    iterations: 5
    seeds: 3
    samples: [10, 20]
    grid: {dimension: [1, 2], variance: 1.0}
  second:
    family: kernel_density
    regimes: [accumulate]
    iterations: 4
    evaluations: 3
    seeds: [0, 7]
    samples: 10
    grid:
      dataset: moons
      bandwidth: [0.5, scott]
"""

#: What of the study is replaced by what => what is said of it after the file's name, which may
#: go on in lines that are indented. Three dots stand for anything, (all) for the whole study.
WRONG = r"""
# selection, weights and provenance
memory: 2 -> select: {score: distanc, candidates: 2} => 2: regimes.window.select.score: found
    distanc, expected one of distance, reward, log_density (did you mean distance?), for the family
    gaussian
memory: 2 -> select: {score: distance, candidates: 0} => 2: regimes.window.select.candidates: found
    0, expected at least 1
memory: 2 -> select: {score: distance} => 2: regimes.window.select.candidates: found nothing,
    expected this key
memory: 2 -> select: {score: distance, candidates: 2, rule: softmax} => 2:
    regimes.window.select.temperature: found null, expected a temperature, which rule: softmax needs
memory: 2 -> select: {score: distance, candidates: 2, rule: softmax, temperature: 0} => 2:
    regimes.window.select.temperature: found 0, expected more than 0.0
memory: 2 -> select: {score: distance, candidates: 2, threshold: 1} => 2:
    regimes.window.select.threshold: found 1.0, expected no threshold with rule: best
memory: 2 -> select: {score: distance, candidates: 2, error: 2} => 2:
    regimes.window.select.error: found 2, expected at most 1.0
memory: 2 -> select: {score: distance, candidates: 2}, generate: 0 => 2: regimes.window.select:
    found one, expected no selection in a regime that generates nothing
memory: 2 -> select: {scores: distance, candidates: 2} => 2: regimes.window.select.scores: found an
    unknown key, expected one of score, ...
memory: 2 -> select: best => 2: regimes.window.select: found best, expected keys and values
memory: 2 -> weigh: {} => 2: regimes.window.weigh.real: found null, expected a share of real data,
    or a score of synthetic data
memory: 2 -> weigh: {real: -0.5} => 2: regimes.window.weigh.real: found -0.5, expected at least 0.0
memory: 2 -> weigh: {real: [0.5, 0.5]} => 2: regimes.window.weigh.real[1]: found 0.5 twice, expected
    it once
memory: 2 -> weigh: {real: 2*t^-1} => 2: regimes.window.weigh.real: found 2*t^-1, expected a number
    or a number from 0 to 1, or 1*t^-1, 0.5*0.9^(t-1) or 1-0.5*t^-1
memory: 2 -> weigh: {real: 0.5, power: 2} => 2: regimes.window.weigh.power: found 2.0, expected no
    power without a score
memory: 2 -> weigh: {real: 0.5}, generate: 0 => 6: experiments.first.regimes[1]: found window, where
    synthetic samples have 0.5 of the weight at iteration 2, but the pool has none, expected ...
true, memory: 2 -> 0, weigh: {real: 0.5} => 6: experiments.first.regimes[1]: found window, where
    real samples have 0.5 of the weight at iteration 2, but the pool has none, expected ...
memory: 2 -> provenance: random => 2: regimes.window.provenance: found random, expected one of
    fixed, bernoulli
memory: 2 -> provenance: bernoulli => 2: regimes.window.provenance: found bernoulli, expected fixed,
    where no fresh_real arrives and no budget draws shares
# where trainings start
memory: 2 -> start: base => 2: regimes.window.start: found base, expected one of scratch, previous
memory: 2 -> start: [scratch, previous] => 2: regimes.window.start: found previous, expected scratch
    for the family gaussian, whose fit starts from no model
2}\nexperiments:\n  first: -> 2, start: previous}\nexperiments:\n  first:\n    per_iteration: true
    => 2: regimes.window.start: found previous, expected scratch for the family gaussian, whose fit
    starts from no model
# keys
regimes: -> regime: => 1: regime: found an unknown key, expected one of experiments, regimes,
    published (did you mean regimes?)
seeds: 3 -> sed: 3 => 8: experiments.first.sed: found an unknown key, expected one of family, ...
    (did you mean seeds?)
memory -> memry => 2: regimes.window.memry: found an unknown key, expected one of keep_real, memory,
    budget, generate, fresh_real, provenance, select, weigh, population, start (did you mean memory?)
iterations: 5 -> iteration: 5 => 7: experiments.first.iteration: found an unknown key, expected ...
dimension: -> outcomes: => 10: experiments.first.grid.outcomes: found an unknown key, expected one
    of dimension, ...
seeds: 3 -> dimension: 3 => 8: experiments.first.dimension: found an unknown key, expected one of
    family, ...
dimension: -> 1: => 10: experiments.first.grid[1]: found an unknown key, expected one of dimension,
    ...
seeds: 3 -> ~: 3 => 8: experiments.first.null: found an unknown key, expected one of family, ...
    iterations: 5\n -> => 4: experiments.first.iterations: found nothing, expected this key
    family: gaussian\n -> => 4: experiments.first.family: found nothing, expected one of gaussian,
    linear_regression, kernel_density, discrete, logistic_regression, poisson_regression,
    language_model, fine_tuning, vae, molecule_diffusion
keep_real: true,  -> => 2: regimes.window.keep_real: found nothing, expected this key
(all) -> regimes: {} => 1: experiments: found nothing, expected this key
seeds: 3 -> seeds: 3\n    seeds: 4 => 9: found a mistake in the YAML (the key
    experiments.first.seeds is in line 8 too), expected each key once
memory: 2 -> memory: 2, memory: 3 => 2: found a mistake in the YAML (the key
    regimes.window.memory is in line 2 too), expected each key once
seeds: 3 -> <<: {seeds: 4}\n    seeds: 3\n    seeds: 5 => 10: found a mistake in the YAML (the key
    experiments.first.seeds is in line 9 too), expected each key once
seeds: 3 -> <<: {seeds: 4, seeds: 5} => 8: found a mistake in the YAML (the key
    experiments.first.seeds is in line 8 too), expected each key once
seeds: 3 -> <<: {seeds: 4}\n    <<: {iterations: 3} => 9: found a mistake in the YAML (the key
    experiments.first.'<<' is in line 8 too), expected each key once
seeds: 3 -> <<: {sed: 3}\n    seeds: 3 => 8: experiments.first.sed: found an unknown key, expected
    one of family, ... (did you mean seeds?)

# structure
(all) -> => 1: experiments: found nothing, expected this key
(all) -> ---\n => 1: experiments: found nothing, expected this key
(all) -> - a => 1: the file: found [a], expected keys and values
(all) -> hello => 1: the file: found hello, expected keys and values
(all) -> experiments: => 1: experiments: found null, expected keys and values
(all) -> experiments: {} => 1: experiments: found {}, expected at least 1 entry
(all) -> experiments: [a] => 1: experiments: found [a], expected keys and values
(all) -> experiments: {a: } => 1: experiments.a: found null, expected keys and values
(all) -> experiments: {a: [b]} => 1: experiments.a: found [b], expected keys and values
grid: {dimension: [1, 2], variance: 1.0} -> grid: => 10: experiments.first.grid: found null,
    expected keys and values
{dimension: [1, 2], variance: 1.0} -> [dimension] => 10: experiments.first.grid: found [dimension],
    expected keys and values
{keep_real: true, memory: 2} -> replace => 2: regimes.window: found replace, expected keys and
    values

# names
first: -> 1: => 4: experiments.1: found 1, expected a name of at most 100 letters, ...
first: -> true: => 4: experiments.true: found true, expected a name of at most 100 letters, ...
first: -> 2020-01-01: => 4: experiments.2020-01-01: found 2020-01-01, expected a name of at most 100
    letters, ...
first: -> a b: => 4: experiments.a b: found a b, expected a name of at most 100 letters, ...
first: -> ../a: => 4: experiments.../a: found ../a, expected a name of at most 100 letters, ...
window: -> a,b: => 2: regimes.a,b: found a,b, expected a name of at most 100 letters, ...
first: -> "": => 4: experiments.'': found '', expected a name of at most 100 letters, ...
first: -> tables: => 4: experiments.tables: found tables, expected a name other than figures,
    pictures, tables, report, bases
window: -> replace: => 2: regimes.replace: found replace, expected a name other than replace, ...,
    real
window: -> real: => 2: regimes.real: found real, expected a name other than replace, ..., real

# names that something else reads in its own way
window: -> Replace: => 2: regimes.Replace: found Replace, expected a name other than replace, ...
window: -> REAL: => 2: regimes.REAL: found REAL, expected a name other than replace, ...
first: -> Tables: => 4: experiments.Tables: found Tables, expected a name other than figures, ...
second: -> First: => 11: experiments.First: found First beside first, expected names that differ by
    more than upper and lower case
{keep_real: true, memory: 2} -> &w {keep_real: [1, 2]}\n  Window: *w => 3:
    regimes.Window: found Window beside window, expected names that differ by more than ...
first: -> NA: => 4: experiments.NA: found NA, expected a name that tables and file systems take for
    nothing else
first: -> "null": => 4: experiments.'null': found 'null', expected a name that tables ...
first: -> "True": => 4: experiments.'True': found 'True', expected a name that tables ...
window: -> nan: => 2: regimes.nan: found nan, expected a name that tables ...
window: -> Infinity: => 2: regimes.Infinity: found Infinity, expected a name that tables ...
first: -> aux: => 4: experiments.aux: found aux, expected a name that tables ...
first: -> 1e5: => 4: experiments.100000.0: found 100000.0, expected a name of at most 100 ...

# family
gaussian -> gausian => 5: experiments.first.family: found gausian, expected one of gaussian, ...
    (did you mean gaussian?)
family: gaussian -> family: => 5: experiments.first.family: found null, expected one of gaussian,
    ...
family: gaussian -> family: [gaussian] => 5: experiments.first.family: found [gaussian], expected
    one of gaussian, ... (did you mean gaussian?)

# iterations
iterations: 5 -> iterations: 0 => 7: experiments.first.iterations: found 0, expected at least 1
tions: 5 -> tions: 1.5 => 7: experiments.first.iterations: found 1.5, expected an integer
tions: 5 -> tions: 1e3 => 7: experiments.first.iterations: found 1000.0, expected an integer
tions: 5 -> tions: '5' => 7: experiments.first.iterations: found '5', expected an integer
tions: 5 -> tions: true => 7: experiments.first.iterations: found true, expected an integer
tions: 5 -> tions: => 7: experiments.first.iterations: found null, expected an integer
tions: 5 -> tions: .inf => 7: experiments.first.iterations: found .inf, expected an integer
tions: 5 -> tions: [5] => 7: experiments.first.iterations: found [5], expected an integer
tions: 5 -> tions: 1000000 => 7: experiments.first.iterations: found 1000000, expected at most
    100000
evaluations: 3 -> evaluations: 1 => 15: experiments.second.evaluations: found 1, expected at least 2

# seeds
seeds: 3 -> seeds: 0 => 8: experiments.first.seeds: found 0, expected at least 1
seeds: 3 -> seeds: [] => 8: experiments.first.seeds: found [], expected at least 1 entry
seeds: 3 -> seeds: true => 8: experiments.first.seeds: found true, expected an integer or a list
seeds: 3 -> seeds: 0..9 => 8: experiments.first.seeds: found 0..9, expected an integer or a list
seeds: 3 -> seeds: 20240501 => 8: experiments.first.seeds: found 20240501, expected at most 1000000
[0, 7] -> [0, -7] => 16: experiments.second.seeds[1]: found -7, expected at least 0
[0, 7] -> [0, x] => 16: experiments.second.seeds[1]: found x, expected an integer
[0, 7] -> [0, 0.0] => 16: experiments.second.seeds[1]: found 0.0, expected an integer
[0, 7] -> [0, 7, 0] => 16: experiments.second.seeds[2]: found 0 twice, expected it once
[0, 7] -> [[0]] => 16: experiments.second.seeds[0]: found [0], expected an integer
[0, 7] -> [9223372036854775808] => 16: experiments.second.seeds[0]: found 9223372036854775808,
    expected at most 9223372036854775807
[0, 7] -> \n    - 0\n    - x => 18: experiments.second.seeds[1]: found x, expected an integer

# samples
samples: 10 -> samples: 0 => 17: experiments.second.samples: found 0, expected at least 1
[10, 20] -> [10, 1] => 9: experiments.first.samples[1]: found 1, expected at least 2 for the family
    gaussian
[10, 20] -> [] => 9: experiments.first.samples: found [], expected at least 1 entry
[10, 20] -> [10, 10] => 9: experiments.first.samples[1]: found 10 twice, expected it once
[10, 20] -> [[10]] => 9: experiments.first.samples[0]: found [10], expected an integer
[10, 20] -> [~] => 9: experiments.first.samples[0]: found null, expected an integer
[10, 20] -> {n: 10} => 9: experiments.first.samples: found {n: 10}, expected an integer
[10, 20] -> 10n => 9: experiments.first.samples: found 10n, expected an integer
[10, 20] -> 2020-01-02 => 9: experiments.first.samples: found 2020-01-02, expected an integer
[10, 20] -> 10000000000 => 9: experiments.first.samples: found 10000000000, expected at most
    1000000000

# grid
[1, 2] -> [] => 10: experiments.first.grid.dimension: found [], expected at least 1 entry
[1, 2] -> => 10: experiments.first.grid.dimension: found null, expected an integer
[1, 2] -> [[1]] => 10: experiments.first.grid.dimension[0]: found [1], expected an integer
[1, 2] -> [1, 2.0] => 10: experiments.first.grid.dimension[1]: found 2.0, expected an integer
[1, 2] -> [1, 1] => 10: experiments.first.grid.dimension[1]: found 1 twice, expected it once
1.0 -> .nan => 10: experiments.first.grid.variance: found .nan, expected a finite number
1.0 -> '1.0' => 10: experiments.first.grid.variance: found '1.0', expected a number
1.0 -> [1, 1.0] => 10: experiments.first.grid.variance[1]: found 1.0 twice, expected it once
scott] -> scot] => 20: experiments.second.grid.bandwidth[1]: found scot, expected a number or one of
    scott, ... (did you mean scott?)
[0.5, scott] -> -1 => 20: experiments.second.grid.bandwidth: found -1, expected more than 0.0

# regimes of an experiment
[replace, -> [replce, => 6: experiments.first.regimes[0]: found replce, expected one of replace,
    ..., window (did you mean replace?)
[replace, -> [real, => 6: experiments.first.regimes[0]: found real, expected one of replace, ...,
    window
[accumulate] -> replace => 13: experiments.second.regimes: found replace, expected a list
[accumulate] -> [] => 13: experiments.second.regimes: found [], expected at least 1 entry
[replace, -> [window, => 6: experiments.first.regimes[1]: found window twice, expected it once
[replace, -> [1, => 6: experiments.first.regimes[0]: found 1, expected a string

# definitions of regimes
al: true -> al: ~ => 2: regimes.window.keep_real: found null, expected an integer or a multiple of
    the samples n, ...
al: true -> al: 'true' => 2: regimes.window.keep_real: found 'true', expected an integer or a
    multiple of the samples n, ...
al: true -> al: -1 => 2: regimes.window.keep_real: found -1, expected at least 0
al: true -> al: 1.5 => 2: regimes.window.keep_real: found 1.5, expected an integer or a multiple of
    the samples n, ...
al: true -> al: [] => 2: regimes.window.keep_real: found [], expected at least 1 entry
memory: 2 -> memory: 0 => 2: regimes.window.memory: found 0, expected at least 1
memory: 2 -> memory: all => 2: regimes.window.memory: found all, expected an integer
memory: 2 -> memory: 2.0 => 2: regimes.window.memory: found 2.0, expected an integer
ory: 2 -> ory: [~, ~] => 2: regimes.window.memory[1]: found null twice, expected it once
memory: 2 -> budget: 2m => 2: regimes.window.budget: found 2m, expected an integer or a multiple of
    the samples n, ...
memory: 2 -> budget: [n, -n] => 2: regimes.window.budget[1]: found -n, expected an integer or a
    multiple of the samples n, ...
memory: 2 -> fresh_real: true => 2: regimes.window.fresh_real: found true, expected an integer or a
    multiple of the samples n, ...

# regimes that their experiment can't have
true, memory: 2 -> 11, memory: 2 => 6: experiments.first.regimes[1]: found window, where keep_real
    is 11, more than samples = 10, expected training sets that its pools can provide
memory: 2 -> memory: 1, budget: [2n, 3n] => 6: experiments.first.regimes[1]: found
    window__budget=3n, where budget is 30 at iteration 2, more than the 20 in the pool, expected
    training sets that its pools can provide
true, memory: 2 -> false, memory: 1, generate: 0 => 6: experiments.first.regimes[1]: found window,
    where the training set of iteration 2 has 0 samples (samples = 10), fewer than 2, expected
    training sets that its pools can provide
true, memory: 2 -> false, memory: 1, generate: n*0.5^(t-1) => 6: experiments.first.regimes[1]: found
    window, where the training set of iteration 4 has 1 samples (samples = 10), fewer than 2,
    expected training sets that its pools can provide
memory: 2 -> generate: n*9999^(t-1) => 6: experiments.first.regimes[1]: found window, where the pool
    grows beyond 1000000000000 samples, expected training sets that its pools can provide

# what else YAML has
seeds: 3 -> seeds: !!set {1} => 8: found a mistake in the YAML (could not determine a constructor
    for the tag 'tag:yaml.org,2002:set'), expected one YAML document
seeds: 3 -> seeds: &a [*a] => 8: experiments.first.seeds[0]: found &id001 [*id001], expected an
    integer
seeds: 3 -> seeds: |\n      a\n      b => 8: experiments.first.seeds: found 'a b ', expected an
    integer or a list
seeds: 3 -> seeds: "\u2028" => 8: experiments.first.seeds: found ' ', expected an integer or a list
[10, 20]\n -> &n [10, 20]\n    sed: *n\n => 10: experiments.first.sed: found an unknown key,
    expected one of family, ... (did you mean seeds?)

# what YAML 1.1 and YAML 1.2 read differently
seeds: 3 -> seeds: 010 => 8: found a mistake in the YAML (YAML 1.1 and YAML 1.2 read 010
    differently), expected a number without leading zeros
[10, 20] -> [10, -0_20] => 9: found a mistake in the YAML (YAML 1.1 and YAML 1.2 read -0_20
    differently), expected a number without leading zeros
seeds: 3 -> seeds: 1:30 => 8: found a mistake in the YAML (YAML 1.1 and YAML 1.2 read 1:30
    differently), expected a number, or a text in quotes
seeds: 3 -> seeds: "1:30" => 8: experiments.first.seeds: found '1:30', expected an integer or a list
[10, 20] -> [10, +1:30] => 9: found a mistake in the YAML (YAML 1.1 and YAML 1.2 read +1:30 ...
1.0 -> 1_0:30.5 => 10: found a mistake in the YAML (YAML 1.1 and YAML 1.2 read 1_0:30.5 ...
first: -> 1:30:00: => 4: found a mistake in the YAML (YAML 1.1 and YAML 1.2 read 1:30:00 ...
regimes: [replace, window] -> regimes: [1:30] => 6: found a mistake in the YAML (YAML 1.1 and ...
al: true -> al: yes => 2: regimes.window.keep_real: found 'yes', expected an integer or a multiple
    of the samples n, ...
seeds: 3 -> seeds: 3\n    per_iteration: off => 9: experiments.first.per_iteration: found 'off',
    expected true or false

# what is not YAML
    seeds: 3 -> \tseeds: 3 => 8: found a mistake in the YAML (while scanning for the next token
    found character '\t' that cannot start any token), expected one YAML document
seeds: 3 -> seeds: 3: 4 => 8: found a mistake in the YAML (mapping values are not allowed here),
    expected one YAML document
    seeds: 3 ->    seeds: 3 => 8: found a mistake in the YAML (while parsing a block mapping in line
    4 expected <block end>, but found '<block mapping start>'), expected one YAML document
[10, 20] -> [10, 20 => 10: found a mistake in the YAML (while parsing a flow sequence in line 9
    expected ',' or ']', but got ':'), expected one YAML document
seeds: 3 -> seeds: "3 => 21: found a mistake in the YAML (while scanning a quoted scalar in line 8
    found unexpected end of stream), expected one YAML document
seeds: 3 -> seeds: *none => 8: found a mistake in the YAML (found undefined alias 'none'), expected
    one YAML document
seeds: 3 -> <<: 3 => 8: found a mistake in the YAML (while constructing a mapping in line 5 expected
    a mapping or list of mappings for merging, but found scalar), expected one YAML document
seeds: 3 -> seeds: !!python/name:os.system => 8: found a mistake in the YAML (could not determine a
    constructor for the tag 'tag:yaml.org,2002:python/name:os.system'), expected one YAML document
seeds: 3 -> seeds: 2020-13-45 => 8: found a mistake in the YAML ('2020-13-45' is no timestamp),
    expected one YAML document
seeds: 3 -> seeds: "\uD83D" => 8: found a mistake in the YAML ('\ud83d' is no str), expected one YAML
    document
seeds: 3 -> seeds: "\0" => 8: found a mistake in the YAML (a NUL character), expected one YAML
    document
seeds: 3 -> seeds: !!int x => 8: found a mistake in the YAML ('x' is no int), expected one YAML
    document
seeds: 3 -> seeds: !!bool x => 8: found a mistake in the YAML ('x' is no bool), expected one YAML
    document
first: -> ? [a]\n  : => 4: found a mistake in the YAML (a key is a sequence), expected one YAML
    document
  second: -> ---\n  second: => 11: found a mistake in the YAML (expected a single document in the
    stream in line 1 but found another document), expected one YAML document
(all) -> { => 1: found a mistake in the YAML (while parsing a flow node expected the node content,
    but found '<stream end>'), expected one YAML document
seeds: 3 -> seeds: %3 => 8: found a mistake in the YAML (while scanning for the next token found
    character '%' that cannot start any token), expected one YAML document
"""


def cases():
    lines = (line for line in WRONG.splitlines() if line and not line.startswith("#"))
    for case in re.sub(r"\n    (?!.* => )", " ", "\n".join(lines)).splitlines():
        change, _, message = case.partition(" => ")
        old, _, new = change.replace(r"\n", "\n").replace(r"\t", "\t").partition(" ->")
        yield pytest.param(old, new.removeprefix(" "), message, id=change)


def changed(old, new):
    if old == "(all)":
        return new
    assert old in STUDY
    return STUDY.replace(old, new, 1)


def refused(path, content):
    """Return the line that says what is wrong with a study, without the path of the study."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(studies.StudyError) as error:
        studies.load(path)
    message = str(error.value)
    assert len(message.splitlines()) == 1
    assert message.startswith(f"{path}:")
    return message.removeprefix(f"{path}:").strip()


@pytest.mark.parametrize(("old", "new", "message"), [*cases()])
def test_a_mistake_is_told(tmp_path, old, new, message):
    found = refused(tmp_path / "study.yaml", changed(old, new))
    pattern = ".*".join(re.escape(part) for part in message.split("..."))
    assert re.fullmatch(pattern, found), f"{found}\nis not\n{message}"


LONG = [
    ("first:", "a" * 101 + ":", "4: experiments.aaa", ", expected a name of at most 100 letters"),
    ("seeds: 3", "seeds: " + "x" * 500, "8: experiments.first.seeds: found xxx", ", expected an"),
    ("seeds: 3", "x" * 500 + ": 3", "8: experiments.first.xxx", "found an unknown key"),
    ("[10, 20]", str(["x"] * 500), "9: experiments.first.samples[0]: found x", "an integer"),
    ("[1, 2]", "9" * 190, "10: experiments.first.grid: found names of 238 bytes", "at most 195"),
    ("memory: 2", f"budget: [5, {'9' * 130}n]", "6: experiments.first.regimes: found", "most 150"),
    ("memory: 2", f"generate: n*{'9' * 200}^(t-1)", "6: experiments.first.regimes[1]:", "pools"),
    ("memory: 2", f"generate: {'9' * 400}", "6: experiments.first.regimes[1]:", "pools"),
    ("[1, 2]", str(list(range(1, 30_000))), "4: experiments.first: found 119996 chains", "100000"),
    (
        "memory: 2",
        f"memory: {list(range(1, 400))}, budget: {list(range(2, 300))}",
        "2: regimes.window: found 118902 regimes",
        "at most 100000",
    ),
]


@pytest.mark.parametrize(("old", "new", "start", "expected"), LONG)
def test_a_line_stays_short(tmp_path, old, new, start, expected):
    found = refused(tmp_path / "study.yaml", changed(old, new))
    assert found.startswith(start)
    assert expected in found
    assert len(found) < 300


@pytest.mark.parametrize(
    ("old", "new"), [("\n", "\r\n"), ("moons", "mons")], ids=["Windows", "several mistakes"]
)
def test_the_line_is_that_of_the_first_mistake(tmp_path, old, new):
    study = changed("seeds: 3", "seeds: x").replace(old, new)
    assert refused(tmp_path / "study.yaml", study).startswith("8: experiments.first.seeds:")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_what_is_not_utf_8(tmp_path, encoding):
    message = refused(tmp_path / "study.yaml", f"# größe\n{STUDY}".encode(encoding))
    assert message == "found nothing readable (not UTF-8 text), expected a study"


def test_too_many_levels(tmp_path):
    assert "too many levels" in refused(tmp_path / "study.yaml", "[" * 10_000)


def test_references_that_multiply(tmp_path):
    """Ten levels of ten references stand for ten billion values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join(10 * [f'*a{n - 1}'])}]" for n in range(1, 10)]
    message = refused(tmp_path / "study.yaml", "\n".join([*lines, "experiments: *a9"]))
    assert message.startswith("1: a0: found an unknown key")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(studies.StudyError, match="No such file"):
        studies.load(tmp_path / "none.yaml")
    with pytest.raises(studies.StudyError, match="Is a directory"):
        studies.load(tmp_path)


@pytest.mark.parametrize(
    ("config", "key", "found"),
    [
        ({}, "study", "null"),
        ({"study": None}, "study", "null"),
        ({"study": 3}, "study", "3"),
        ({"study": ["a.yaml"]}, "study", "[a.yaml]"),
        ({"study": "none.yaml"}, "study", "none.yaml"),
        ({"study": "none\0.yaml"}, "study", '"none\\0.yaml"'),
        ({"study": "a.yaml", "stduy": "b.yaml"}, "stduy", "an unknown key"),
        ({"study": "a.yaml", 3: 4}, "3", "an unknown key"),
    ],
)
def test_a_configuration_that_names_no_study(tmp_path, config, key, found):
    (tmp_path / "a.yaml").write_text(STUDY)
    with pytest.raises(studies.StudyError) as error:
        yaml_file.find(config, [tmp_path])
    message = str(error.value)
    assert len(message.splitlines()) == 1
    assert message.startswith(f"config/config.yaml or --config: {key}: found {found}, expected")


def test_a_study_is_looked_for_in_one_folder_after_the_other(tmp_path, monkeypatch):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    folders = [tmp_path / "one", tmp_path / "two"]
    (tmp_path / "two" / "a.yaml").write_text(STUDY)
    assert yaml_file.find({"study": "a.yaml"}, folders) == tmp_path / "two" / "a.yaml"
    (tmp_path / "one" / "a.yaml").write_text(STUDY)
    assert yaml_file.find({"study": "a.yaml"}, folders) == tmp_path / "one" / "a.yaml"
    monkeypatch.setenv("HOME", str(tmp_path / "two"))
    assert yaml_file.find({"study": "~/a.yaml"}, folders) == tmp_path / "two" / "a.yaml"
