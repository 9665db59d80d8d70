"""The steps of an iteration: what is trained on, and files from end to end."""

import json
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from collapse.artifacts import chain_file, manifest
from collapse.artifacts.files import DamagedFileError
from collapse.artifacts.manifest import Dataset, ShardFile, ShardRecord
from collapse.artifacts.step import Step
from collapse.artifacts.training_sets import assemble, selections
from collapse.errors import JobError
from collapse.families import gaussian
from collapse.families.gaussian import steps as stepwise
from collapse.families.step_jobs import Prepared
from collapse.loop import fitting, steps
from collapse.loop import prepare as preparing
from collapse.regimes import NAMED, Regime
from collapse.seeding import REAL
from stepping import Loop

SIZES = st.integers(0, 12) | st.sampled_from(["n", "0.5n", "tn", "n*1.2^(t-1)"])
REGIMES = st.sampled_from(list(NAMED.values())) | st.builds(
    Regime,
    keep_real=st.booleans() | st.integers(0, 5),
    memory=st.none() | st.integers(1, 3),
    budget=st.none() | st.integers(2, 8) | st.just("n"),
    generate=SIZES,
    fresh_real=st.just(0) | st.integers(0, 6) | st.just("0.5n"),
)

PROFILE = "--profile profiles/local"


pytestmark = pytest.mark.usefixtures("at_home")


@contextmanager
def refused(*expected, by=DamagedFileError):
    """Assert that an error of one line says these words."""
    with pytest.raises(by) as error:
        yield
    message = str(error.value)
    assert "\n" not in message
    for words in expected:
        assert words in message


class Chain:
    """Training sets of one chain over shards that exist in name only."""

    def __init__(self, folder, regime, n, *, name="mine", seed=0, real=None, shard_size=None):
        self.folder, self.regime, self.n = Path(folder), regime, n
        self.name, self.seed = name, seed
        self.shard_size = shard_size or n
        self.data = None
        if real is not None:
            self.data = self.folder / "data"
            starts = [sum(real[:number]) for number in range(len(real))]
            names = [str(self.data / f"train-{start}") for start in starts]
            parts = [
                ShardFile(path=name, start=0, stop=size, sha256="0" * 64)
                for name, size in zip(names, real, strict=True)
            ]
            manifest.write(self.data / "dataset.json", Dataset(train=parts, test=[]))

    def step(self, t):
        regime = REAL if t == 1 else self.name
        return Step("e", "samples=10", "any", regime, self.seed, t, "gaussian", {}, self.n)

    def path(self, t):
        return self.folder / f"{REAL if t == 1 else self.name}-{self.seed}-{t}.json"

    def records(self, t):
        """Write the records of the shards of iteration t."""
        count, paths = self.regime.generated(t + 1, self.n), []
        for start in range(0, count, self.shard_size):
            stop = min(start + self.shard_size, count)
            name = f"synthetic-{self.seed}-{t}-{start}"
            shard = ShardFile(path=name, start=start, stop=stop, sha256="0" * 64)
            manifest.write(self.folder / f"{name}.json", ShardRecord(shard=shard))
            paths.append(str(self.folder / f"{name}.json"))
        return paths

    def assemble(self, t, records=None):
        if records is None:
            records = self.records(t - 1) if t > 1 else []
        assemble(
            self.path(t),
            self.step(t),
            self.regime,
            data=self.data if t == 1 else None,
            previous=self.path(t - 1) if t > 1 else None,
            records=records,
        )
        return manifest.read_training_set(self.path(t))

    def all(self, iterations):
        return [self.assemble(t) for t in range(1, iterations + 1)]

    def selected(self, t):
        return selections(self.step(t), manifest.read_training_set(self.path(t)))


def numbers(each):
    """Return the numbers of samples in all of their kind, by whose first a file is named."""
    return [int(row) + int((each.path or "-0").rpartition("-")[2]) for row in each.rows]


def samples_of(selected, kinds=("real", "fresh", "synthetic")):
    """Every selected sample by its name: the file, or the draw, and the row."""
    return [
        (each.kind if each.path is None else "", each.path or each.iteration, int(row))
        for each in selected
        if each.kind in kinds
        for row in each.rows
    ]


def possible(regime, iterations, n):
    try:
        regime.check(iterations, n)
    except ValueError:
        return False
    return True


@given(
    regime=REGIMES,
    n=st.integers(5, 12),
    iterations=st.integers(1, 5),
    real=st.none() | st.lists(st.integers(1, 40), min_size=1, max_size=4),
    shard_size=st.integers(3, 20),
    seed=st.integers(0, 3),
)
@settings(max_examples=150)
def test_training_sets_are_those_of_the_regime(regime, n, iterations, real, shard_size, seed):
    """Counts add up, no sample is there twice, and each is where its pool says it is."""
    assume(possible(regime, iterations, n))
    needed = n + sum(regime.fresh(t, n) for t in range(2, iterations + 1))
    if real is not None:
        real = [*real, needed]
    with tempfile.TemporaryDirectory() as folder:
        chain = Chain(folder, regime, n, seed=seed, real=real, shard_size=shard_size)
        order = chain.step(1).order_of_real_data(sum(real or []))
        for t, training_set in enumerate(chain.all(iterations), start=1):
            pool = regime.pool(t, n)
            sources = training_set.sources
            assert [(each.kind, each.iteration, each.size) for each in sources] == list(pool)
            size = regime.training_size(t, n, sum(source.size for source in pool))
            assert training_set.size == size
            assert all(0 <= each.count <= each.size for each in sources)
            selected = chain.selected(t)
            named = samples_of(selected)
            assert len(named) == len(set(named)) == size
            for each in selected:
                assert np.all(np.diff(each.rows) > 0)
                assert set(each.rows) <= set(range(each.size))
            for source in sources:
                own = (source.kind, source.iteration)
                mine = [each for each in selected if (each.kind, each.iteration) == own]
                assert sum(len(each.rows) for each in mine) == source.count
                if source.kind == "synthetic":
                    start = f"synthetic-{seed}-{source.iteration}-"
                    assert all(each.path.startswith(start) for each in mine)
                elif real is None:
                    assert all((each.path, each.size) == (None, source.size) for each in mine)
                else:
                    allowed = set(order[source.first : source.first + source.size])
                    assert all(set(numbers(each)) <= allowed for each in mine)


@given(regime=REGIMES, n=st.integers(5, 12), shard_size=st.integers(3, 20))
@settings(max_examples=60)
def test_how_samples_are_cut_into_files_does_not_matter(regime, n, shard_size):
    assume(possible(regime, 4, n))
    needed = n + sum(regime.fresh(t, n) for t in range(2, 5))
    found = []
    for size, real in ((shard_size, [3, needed]), (10**6, [needed + 3])):
        with tempfile.TemporaryDirectory() as folder:
            chain = Chain(folder, regime, n, shard_size=size, real=real)
            chain.all(4)
            found.append([(s.kind, s.iteration, i) for s in chain.selected(4) for i in numbers(s)])
    assert found[0] == found[1]


@pytest.mark.parametrize("regime", ["accumulate", "replace", "replace-multiple"])
def test_a_whole_pool_is_taken_in_its_order(tmp_path, regime):
    chain = Chain(tmp_path, NAMED[regime], 10, shard_size=4)
    chain.all(4)
    selected = chain.selected(4)
    iterations = [each.iteration for each in selected]
    assert iterations == sorted(iterations)
    assert all(np.array_equal(each.rows, np.arange(each.size)) for each in selected)


def occurrences(folder, regime, n, t, seeds, real=None):
    """How often each sample of the pool of iteration t is trained on, by its place in the pool."""
    total = sum(source.size for source in regime.pool(t, n))
    counts = np.zeros(total, dtype=int)
    together = np.zeros((total, total), dtype=int)
    for seed in range(seeds):
        chain = Chain(folder, regime, n, seed=seed, real=real, shard_size=3)
        *_, training_set = chain.all(t)
        order = chain.step(1).order_of_real_data(sum(real or [])).tolist()
        begin, begins = 0, {}
        for source in training_set.sources:
            begins[source.kind, source.iteration] = begin, source.first
            begin += source.size
        rows = []
        for each in chain.selected(t):
            begin, first = begins[each.kind, each.iteration]
            drawn = each.path and each.kind != "synthetic"
            places = [order.index(i) - first if drawn else i for i in numbers(each)]
            rows += [begin + place for place in places]
        counts[rows] += 1
        together[np.ix_(rows, rows)] += 1
    return counts, together


BUDGETS = {
    "accumulate-subsample": (NAMED["accumulate-subsample"], None),
    "files": (NAMED["accumulate-subsample"], [4, 30]),
    "own": (Regime(keep_real=3, memory=2, budget=6, generate="0.5tn", fresh_real=2), [5, 20]),
}


@pytest.mark.parametrize("case", BUDGETS)
def test_under_a_budget_every_sample_of_the_pool_is_equally_likely(tmp_path, case):
    """And so is every pair of them: a uniform draw without replacement."""
    regime, real = BUDGETS[case]
    n, t, seeds = 6, 3, 500
    counts, together = occurrences(tmp_path, regime, n, t, seeds, real)
    pool = len(counts)
    budget = regime.training_size(t, n, pool)
    assert counts.sum() == seeds * budget
    # Counts of draws without replacement vary less than those of a multinomial, by this factor.
    spread = (1 - budget / pool) * pool / (pool - 1)
    statistic = ((counts - counts.mean()) ** 2 / counts.mean()).sum() / spread
    wide = norm.cdf((statistic - (pool - 1)) / np.sqrt(2 * (pool - 1)))
    assert 1e-4 < wide < 1 - 1e-4
    pairs = together[np.triu_indices(pool, 1)]
    expected = seeds * budget * (budget - 1) / pool / (pool - 1)
    assert pairs.mean() == pytest.approx(expected)
    assert np.abs(pairs - expected).max() < 5 * np.sqrt(expected)


def test_a_subset_is_drawn_anew_at_every_iteration(tmp_path):
    chain = Chain(tmp_path, NAMED["accumulate-subsample"], 20)
    chain.all(6)
    drawn = {tuple(samples_of(chain.selected(t), ["real"])) for t in range(2, 7)}
    assert len(drawn) == 5


@given(st.integers(0, 10), st.integers(0, 10), st.integers(0, 100))
@settings(max_examples=40)
def test_smaller_sets_of_kept_real_samples_are_nested(few, many, seed):
    few, many = sorted((few, many))
    kept = []
    with tempfile.TemporaryDirectory() as folder:
        for count in (few, many):
            chain = Chain(folder, Regime(keep_real=count), 10, seed=seed, real=[7, 50])
            chain.all(2)
            kept.append(set(samples_of(chain.selected(2), ["real"])))
            chain.selected(1)
        assert len(kept[0]) == few
        assert kept[0] <= kept[1] <= set(samples_of(chain.selected(1)))


@given(
    st.integers(0, 10),
    st.sampled_from(["n", "0.5n", "0.5tn", 3]),
    st.none() | st.integers(1, 3),
    st.integers(0, 100),
)
@settings(max_examples=40)
def test_fresh_real_samples_are_new(kept, fresh, memory, seed):
    """Never those of the beginning, never those that arrived before."""
    regime = Regime(keep_real=kept, memory=memory, fresh_real=fresh)
    with tempfile.TemporaryDirectory() as folder:
        chain = Chain(folder, regime, 10, seed=seed, real=[7, 150])
        chain.all(4)
        seen = set(samples_of(chain.selected(1)))
        for t in (2, 3, 4):
            fresh_ones = [each for each in chain.selected(t) if each.kind == "fresh"]
            new = set(samples_of(each for each in fresh_ones if each.iteration == t))
            assert len(new) == regime.fresh(t, 10)
            assert not seen & new
            seen |= new


@pytest.mark.parametrize("real", [None, [7, 30]])
def test_regimes_share_the_real_data_of_a_seed_and_seeds_do_not(tmp_path, real):
    firsts = {}
    for seed in (0, 1):
        for name in NAMED:
            chain = Chain(tmp_path, NAMED[name], 10, name=name, seed=seed, real=real)
            chain.all(2)
            firsts[seed, name] = samples_of(chain.selected(1))
            kept = samples_of(chain.selected(2), ["real"])
            assert set(kept) <= set(firsts[seed, name])
        assert len({tuple(firsts[seed, name]) for name in NAMED}) == 1
    if real:
        assert firsts[0, "replace"] != firsts[1, "replace"]


def test_a_training_set_follows_from_the_one_before_and_the_newest_records_alone(tmp_path):
    for name in NAMED:
        chain = Chain(tmp_path / name, NAMED[name], 10, name=name, real=[20, 30], shard_size=4)
        chain.all(5)
        content = chain.path(5).read_bytes()
        for path in {*(tmp_path / name).rglob("*.json")} - {chain.path(4)}:
            path.unlink()
        chain.assemble(5)
        assert chain.path(5).read_bytes() == content


@pytest.mark.parametrize("regime", ["accumulate", "accumulate-subsample", "replace"])
def test_a_manifest_is_as_small_as_the_number_of_its_sources(tmp_path, regime):
    lengths = {}
    for n in (10, 10_000):
        chain = Chain(tmp_path / str(n), NAMED[regime], n, name=regime, real=[2 * n])
        chain.all(8)
        lengths[n] = [chain.path(t).stat().st_size for t in range(1, 9)]
    growth = np.diff(lengths[10_000][1:])
    assert max(lengths[10_000]) < 8 * 500
    assert np.all(np.abs(np.array(lengths[10_000]) - lengths[10]) < 200)
    # One source more for each iteration, or none: no list of samples.
    assert growth.max() < 500
    if regime == "replace":
        assert growth.max() < 10


def test_too_little_real_data_is_refused(tmp_path):
    chain = Chain(tmp_path, NAMED["replace"], 10, real=[4, 5])
    with refused(str(chain.data), "found 9 samples", "at least 10", by=JobError):
        chain.assemble(1)


@pytest.mark.parametrize(("held", "found"), [(11, "found 1"), (10, "found 0"), (14, "found 4")])
def test_too_little_fresh_real_data_is_refused(tmp_path, held, found):
    chain = Chain(tmp_path, Regime(keep_real=True, fresh_real=5), 10, real=[held])
    chain.assemble(1)
    with refused(found, "fresh data of iteration 2", "expected 5", by=JobError):
        chain.assemble(2)


@pytest.mark.parametrize("missing", [1, 2])
def test_too_few_synthetic_samples_are_refused(tmp_path, missing):
    chain = Chain(tmp_path, NAMED["accumulate"], 10, shard_size=5)
    chain.assemble(1)
    with refused(
        f"found {10 - 5 * missing}", "synthetic data of iteration 1", "expected 10", by=JobError
    ):
        chain.assemble(2, records=chain.records(1)[missing:])


OTHERS = {"experiment": "b", "point": "samples=11", "regime": "other", "seed": 1, "iteration": 3}


@pytest.mark.parametrize("key", OTHERS)
def test_a_manifest_of_another_chain_is_refused(tmp_path, key):
    chain = Chain(tmp_path, NAMED["accumulate"], 10)
    chain.all(2)
    own = manifest.read_training_set(chain.path(2))
    manifest.write(chain.path(2), own.model_copy(update={key: OTHERS[key]}))
    expected = (str(chain.path(2)), "another chain", key, str(OTHERS[key]))
    with refused(*expected):
        steps.read_verified(chain.step(2), str(chain.path(2)))
    with refused(*expected):
        chain.assemble(3)
    assert not chain.path(3).exists()


@pytest.mark.parametrize("regime", ["accumulate", "replace"])
@pytest.mark.parametrize("which", ["manifest", "record", "description of the real data"])
def test_what_is_damaged_is_refused(tmp_path, which, regime):
    chain = Chain(tmp_path, NAMED[regime], 10, real=[20])
    chain.all(2)
    (record,) = chain.records(2)
    of_data = which == "description of the real data"
    path = chain.data / "dataset.json" if of_data else chain.path(2)
    path = Path(record) if which == "record" else path
    path.write_bytes(path.read_bytes()[:50])
    with refused(f"{path}: damaged"):
        chain.assemble(1 if of_data else 3, records=[] if of_data else [record])


# From end to end, with the Gaussian.


def metrics(loop, seed=0):
    return [json.loads(Path(loop.chain(seed).metrics(t)).read_text()) for t in (1, 2, 3)]


def values_of(shards):
    return np.concatenate(
        [np.array(parquet.read_table(shard.path)["difference"].to_pylist()) for shard in shards]
    )


@pytest.mark.parametrize(
    ("regime", "dimension"), [*((name, 2) for name in NAMED), ("replace", 1), ("replace", 40)]
)
def test_a_chain_again_gives_the_same_numbers_however_its_shards_are_cut(
    tmp_path, monkeypatch, regime, dimension
):
    found = []
    for size in (1, 7, None):
        (tmp_path / str(size)).mkdir()
        monkeypatch.chdir(tmp_path / str(size))
        loop = Loop(regime=regime, shard_size=size, grid={"dimension": [dimension]})
        loop.run()
        assert not list(Path().rglob(".*"))
        shards = [values_of(loop.chain().shards(t)).tolist() for t in (1, 2, 3)]
        found.append((metrics(loop), shards))
    assert found[0] == found[1] == found[2]


def test_what_is_trained_on_is_what_is_selected(monkeypatch):
    """Positions of the files' rows, in order, real ones as they are drawn at iteration 1."""
    loop = Loop(regime="accumulate-subsample", shard_size=7)
    fitted = []
    summarise = gaussian.Simulator.summarise

    def noting(self, samples, weights=None):
        fitted.append(samples[0][0])
        return summarise(self, samples, weights)

    monkeypatch.setattr(gaussian.Simulator, "summarise", noting)
    loop.run()
    real = fitted[0]
    described = manifest.read_training_set(loop.chain().training_set(3))
    expected = []
    for each in selections(loop.step(3, "training"), described):
        held = real
        if each.path:
            table = parquet.read_table(each.path)
            mean = json.loads(table.schema.metadata[b"model"])["mean"]
            held = np.array(table["difference"].to_pylist()) + mean
        expected.append(held[each.rows])
    np.testing.assert_array_equal(fitted[2], np.concatenate(expected))
    assert described.size == 10


@pytest.mark.parametrize("step", ["train", "generate", "evaluate"])
def test_a_step_that_fails_leaves_nothing_under_a_final_name(monkeypatch, step):
    loop = Loop()
    others = ["assemble", "train", "generate", "evaluate"]
    for other in others[: others.index(step)]:
        getattr(loop, other)(1)
    before = {*Path().rglob("*")}

    def failing(job):
        if step == "train":
            (job.model / "model.npz").write_bytes(b"half of it")
        if step == "generate":
            job.output.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stepwise, "STEPS", replace(stepwise.STEPS, **{step: failing}))
    with pytest.raises(OSError, match="No space left"):
        getattr(loop, step)(1)
    after = {*Path().rglob("*")}
    assert before <= after
    assert {path.name for path in after - before} <= {"synthetic"}


def test_a_generation_of_too_few_samples_is_refused(monkeypatch):
    loop, real = Loop(), stepwise.STEPS.generate
    loop.assemble(1)
    loop.train(1)

    def short(job):
        return real(replace(job, slots=job.slots[:-1]))

    monkeypatch.setattr(stepwise, "STEPS", replace(stepwise.STEPS, generate=short))
    with refused("found 9 samples, expected 10"):
        loop.generate(1)
    assert not list(Path(loop.chain().shards(1)[0].path).parent.iterdir())


def test_the_state_of_a_training_is_of_its_step_its_data_and_its_familys_version(monkeypatch):
    loop, found = Loop(seeds=2), []

    def train(job):
        found.append(job.fingerprint)
        return {}

    monkeypatch.setattr(stepwise, "STEPS", replace(stepwise.STEPS, train=train))
    for version, seed in ((1, 0), (1, 0), (2, 0), (1, 1)):
        monkeypatch.setitem(gaussian.FAMILY.iterative.versions, "train", version)
        loop.assemble(1, seed)
        loop.train(1, seed)
    assert found[0] == found[1]
    assert len(set(found)) == 3


def test_a_training_takes_the_place_of_a_model_and_of_what_an_interrupted_one_left():
    loop = Loop()
    loop.assemble(1)
    folder = Path(loop.chain().model(1))
    scratch = folder.with_name(".training")
    for old in (folder, scratch):
        old.mkdir()
        (old / "old").write_text("")
    loop.train(1)
    assert [path.name for path in folder.iterdir()] == ["model.npz"]
    assert not scratch.exists()


DAMAGES = {
    "truncated": lambda content: content[: len(content) // 2],
    "altered": lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    "missing": None,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("iteration", [1, 2])
def test_a_damaged_shard_is_not_trained_on(damage, iteration):
    """However old it is: the manifest knows the checksum of each."""
    loop = Loop(regime="accumulate")
    loop.run()
    path = Path(loop.chain().shards(iteration)[0].path)
    content = path.read_bytes()
    path.unlink()
    if DAMAGES[damage]:
        path.write_bytes(DAMAGES[damage](content))
    what = "missing" if damage == "missing" else "damaged"
    with refused(f"{path}: {what}", f"make it again with: snakemake {PROFILE} --force {path}"):
        loop.train(3)
    with refused(f"{path}: "):
        loop.evaluate(iteration)
    path.write_bytes(content)
    loop.train(3)


def test_a_damaged_shard_of_which_nothing_is_used_disturbs_nobody():
    loop = Loop(regime="replace")
    loop.run()
    Path(loop.chain().shards(1)[0].path).unlink()
    loop.train(3)


def test_metrics_of_another_iteration_are_not_written():
    loop = Loop()
    loop.run()
    chain = loop.chain()
    Path(chain.training_set(2)).write_bytes(Path(chain.training_set(3)).read_bytes())
    with refused(chain.training_set(2), "found iteration 3, expected 2"):
        loop.evaluate(2)


@pytest.mark.parametrize("content", ["", '{"a": 1.0', "[]", "null", '{"a": {}}', '{"a": ""}'])
def test_damaged_metrics_are_not_collected(content):
    loop = Loop()
    loop.run()
    path = loop.chain().metrics(2)
    Path(path).write_text(content)
    with refused(f"{path}: damaged", f"make it again with: snakemake {PROFILE} --force {path}"):
        loop.collect()
    assert not Path("collected.nc").exists()


def test_metrics_are_collected_seed_by_seed():
    loop = Loop(seeds=[3, 1])
    for seed in (3, 1):
        loop.run(seed)
    loop.collect()
    collected, seeds, identity = chain_file.read_chain("collected.nc")
    assert seeds == [3, 1]
    spec = loop.study.chain("loop", loop.point, "replace").as_dict()
    assert identity.items() >= spec.items()
    for row, seed in enumerate((3, 1)):
        for column, one in enumerate(metrics(loop, seed=seed)):
            assert {name: values[row, column] for name, values in collected.items()} == one


def test_prepared_data_is_described_with_its_checksums(monkeypatch):
    def prepare(job):
        for name, content in (("a", b"1"), ("b", b"22"), ("t", b"333")):
            (job.data / name).write_bytes(content)
        return Prepared([("a", 5), ("b", 7)], [("t", 3)], {"source": "none"})

    monkeypatch.setattr(stepwise, "STEPS", replace(stepwise.STEPS, prepare=prepare))
    preparing.prepare("data", Loop().step(1, "data"))
    described = manifest.read_dataset("data/dataset.json")
    assert described.details == {"source": "none"}
    assert [(part.path, part.stop) for part in described.train] == [("data/a", 5), ("data/b", 7)]
    assert [(part.path, part.stop) for part in described.test] == [("data/t", 3)]
    manifest.verify([*described.train, *described.test])


def test_too_little_real_data_is_refused_before_anything_trains_with_both_counts(monkeypatch):
    prepare = lambda job: Prepared([("a", 5), ("b", 7)], [], {"pairs": {"empty": 3, "unread": 0}})  # noqa: E731
    monkeypatch.setattr(stepwise, "STEPS", replace(stepwise.STEPS, prepare=prepare))
    regime = {"keep_real": False, "memory": 1, "fresh_real": "0.1n"}
    loop = Loop(regime="fresh", regimes={"fresh": regime}, samples=10, iterations=4)
    needed = loop.branches.real_samples(loop.point)
    assert needed == 10 + 3 * 1
    said = r"data: found 12 real training samples, expected .* 13 .* pairs empty 3$"
    with pytest.raises(JobError, match=said):
        preparing.prepare("data", loop.step(1, "data"), needed=needed)
    assert not Path("data").exists()


@pytest.mark.parametrize(
    ("resources", "ranks", "nodes"),
    [
        ({}, 1, 1),
        ({"gpu": 0}, 1, 1),
        ({"gpu": 4}, 4, 1),
        ({"nodes": 2, "gpu": 0, "gres": "gpu:4"}, 8, 2),
        ({"nodes": 3, "gpu": 0, "gres": "gpu:a100:1"}, 3, 3),
    ],
)
def test_a_training_has_a_rank_for_each_gpu(resources, ranks, nodes):
    assert fitting.ranks_of(resources) == {"ranks": ranks, "nodes": nodes}


@pytest.mark.parametrize("gres", [{}, {"gres": "gpu"}, {"gres": "lustre:1"}])
def test_several_nodes_without_their_gpus_are_refused(gres):
    with pytest.raises(JobError, match=r"nodes: 2: found gres: .*, expected gpu:<number per node>"):
        fitting.ranks_of({"nodes": 2, "gpu": 4, **gres})
