"""Perfect samples score the same, whatever their number, and what is drawn beside them."""

import itertools
import math
import zlib

import numpy as np
import pyarrow as pa
import pytest

from collapse import rarefaction
from collapse.data.text import pairs, questions, stories
from collapse.families.fine_tuning.evaluation import log_probability, of_questions
from collapse.families.language_model.evaluation import of_stories
from collapse.families.vae import reference


def test_a_subset_is_absent_as_often_as_in_all_subsets():
    total, number = 7, 3
    chosen = [set(some) for some in itertools.combinations(range(total), number)]
    for held in range(total + 1):
        share = np.mean([not some & set(range(held)) for some in chosen])
        assert rarefaction.absent(held, total, number) == pytest.approx(share)
    assert rarefaction.absent([0, 1], 5, 5).tolist() == [1, 0], "of all samples, exactly"


def test_subsets_are_drawn_without_replacement_and_always_the_same():
    found = rarefaction.subsets([5, 0, 1], 4)
    assert (found.sum(axis=1) == 4).all() and found.max(axis=0).tolist() == [4, 0, 1]
    assert found.mean(axis=0) == pytest.approx([10 / 3, 0, 2 / 3], abs=0.1)
    assert (found == rarefaction.subsets([5, 0, 1], 4)).all()
    assert rarefaction.subsets([5, 0, 1], 6).tolist() == [[5, 0, 1]]


SOURCES = {
    "stories": (lambda count, generator: stories.draw(count, generator), stories.log_probability),
    "questions": (
        lambda count, generator: [*map(pairs.render, questions.draw(count, generator))],
        log_probability,
    ),
}
OF_KNOWN = {"stories": of_stories, "questions": of_questions}


def table(texts):
    """Documents whose tokens are their words."""
    ids = [[zlib.crc32(word.encode()) for word in text.split()] for text in texts]
    return pa.table({"tokens": ids, "text": texts})


@pytest.mark.parametrize("source", SOURCES)
def test_perfect_samples_score_what_is_drawn_beside_them(source):
    """Samples of the true grammar, some of them few: mean and error over sets of samples."""
    evaluation = pytest.importorskip("collapse.text.evaluation")
    draw, known = SOURCES[source]
    generator = np.random.default_rng(0)
    trained_on = [table(draw(500, generator))]
    scores = {}
    for count, repeats in ((1000, 3), (118, 10), (36, 16), (10, 30)):
        sets = []
        for _ in range(repeats):
            texts, test = draw(count, generator), draw(300, generator)
            sets.append(
                evaluation.of_samples(
                    table(texts), training_set=trained_on, test=[table(test)], log_probability=known
                )
                | OF_KNOWN[source](texts)
            )
        found = {name: np.array([one[name] for one in sets]) for name in sets[0]}
        scores[count] = {name: values.mean() for name, values in found.items()}
        compared = [name for name in found if f"{name}_of_data" in found]
        assert len(compared) == 10
        for name in compared:
            difference = found[name] - found[f"{name}_of_data"]
            error = difference.std(ddof=1) / math.sqrt(repeats)
            # Subsets are random, too, and copies are so rare that few sets have any.
            margin = 1e-3 + 0.01 * abs(scores[count][name])
            assert abs(difference.mean()) < 4.5 * error + margin, (name, count)
    for name in ("distinct_2", "self_overlap", "mode_coverage", "mode_distance"):
        assert scores[118][name] == pytest.approx(scores[1000][name], rel=0.1), name
        few = max(scores[10][name] / scores[1000][name], scores[1000][name] / scores[10][name])
        assert few > 1.2, f"{name} depends on the number of samples, so this test can fail"


def test_images_are_in_as_many_modes_whatever_their_number():
    generator = np.random.default_rng(0)
    shares = np.arange(1, 51) ** -0.5
    shares /= shares.sum()
    for metric in (reference.effective_number, reference.largest_share):
        plain, equal = {}, {}
        for count in (120, 1000):
            sets = generator.choice(50, size=(100, count), p=shares)
            plain[count] = np.mean([metric(one, count) for one in sets])
            equal[count] = np.mean([metric(one, 100) for one in sets])
        assert equal[120] == pytest.approx(equal[1000], rel=0.03)
        assert abs(plain[120] / plain[1000] - 1) > 0.05
