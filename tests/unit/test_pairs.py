"""Where prompts and responses come from, and that no prompt is ever on both sides of the split."""

import json
from collections import Counter
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collapse import seeding
from collapse.data.text import questions
from collapse.data.text.pairs import Corpus, Counts, DataError, Pair, open_corpus

#: Two responses to each prompt, as HelpSteer2 has them.
PAIRS = [
    Pair(f"What is {number} …?", f"{kind} {number}.")
    for number in range(20)
    for kind in ("Number", "It is")
]


def generator_of(purpose):
    return seeding.stream("tuning", "point", seeding.REAL, 0, 0, purpose)


def opened(
    source, *, limit=None, test_pairs=None, unusable="refuse", columns=("prompt", "response")
):
    return open_corpus(
        str(source),
        prompt_column=columns[0],
        response_column=columns[1],
        limit=limit,
        test_pairs=test_pairs,
        unusable=unusable,
        generator_of=generator_of,
    )


def write(path, pairs=PAIRS, columns=("prompt", "response")):
    """Write pairs as a file of the kind that its name says, its columns in another order."""
    if path.suffix == ".parquet":
        prompts, responses = (pa.array([pair[i] for pair in pairs], pa.string()) for i in (0, 1))
        table = {"score": range(len(pairs)), columns[1]: responses, columns[0]: prompts}
        pq.write_table(pa.table(table), path)
        return path
    records = ({"score": 4, columns[1]: response, columns[0]: prompt} for prompt, response in pairs)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def split(pairs, test=None, *, test_pairs=None):
    official = None if test is None else lambda: iter(test)
    return Corpus("pairs", lambda: iter(pairs), official, limit=None, size=test_pairs)


def prompts(pairs):
    return {pair.prompt.strip() for pair in pairs}


# The split


def test_all_responses_to_a_prompt_are_held_out_with_it():
    found = split(PAIRS, test_pairs=3)
    train, test = list(found.train()), list(found.test())
    assert len(test) == 3 and len(prompts(test)) == 2
    assert found.counts == Counts(train=36, test=3, empty=0, ambiguous=0, withheld=1)
    assert train == [pair for pair in PAIRS if pair.prompt not in prompts(test)]
    assert set(split(PAIRS, test_pairs=2).test()) < set(test)


def test_one_prompt_alone_can_not_be_split():
    with pytest.raises(DataError, match="every training pair has the prompt of a test pair"):
        split([Pair("a", "b"), Pair(" a", "c")])
    with pytest.raises(DataError, match="found one distinct pair, expected two"):
        split([Pair("a", "b"), Pair("a ", "b\n")])
    with pytest.raises(DataError, match="test_pairs: found 40, expected less than the 40 "):
        split(PAIRS, test_pairs=40)
    with pytest.raises(DataError, match="2 pairs in the test split, test_pairs is 3"):
        split(PAIRS, PAIRS[:2], test_pairs=3)


# Files

FILES = ["a.jsonl", "a.json", "a.parquet"]


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_each_kind_gives_all_its_pairs_and_gives_them_again(name, tmp_path):
    found = opened(write(tmp_path / name))
    assert found.counts == Counts(train=38, test=2, empty=0, ambiguous=0, withheld=0)
    for _ in range(2):
        train, test = list(found.train()), list(found.test())
        assert Counter(train + test) == Counter(PAIRS)
        assert train == [pair for pair in PAIRS if pair not in test]
        assert all(type(pair) is Pair for pair in train + test)


def test_columns_may_have_other_names(tmp_path):
    for name in FILES:
        path = write(tmp_path / name, columns=("question", "answer"))
        found = opened(path, columns=("question", "answer"))
        assert Counter([*found.train(), *found.test()]) == Counter(PAIRS)
        swapped = opened(path, columns=("answer", "question"))
        assert Counter([*swapped.train(), *swapped.test()]) == Counter(
            Pair(*reversed(pair)) for pair in PAIRS
        )


def test_a_directory_of_shards_with_an_official_test_split(tmp_path):
    write(tmp_path / "train-00000-of-00002.jsonl", PAIRS[:16])
    write(tmp_path / "train-00001-of-00002.jsonl", PAIRS[16:30])
    write(tmp_path / "validation.jsonl", PAIRS[29:])
    found = opened(tmp_path)
    assert list(found.train()) == PAIRS[:28]
    assert list(found.test()) == PAIRS[29:]
    assert found.counts == Counts(train=28, test=11, empty=0, ambiguous=0, withheld=2)


# Pairs that can't be used

FAULTY = {
    "an empty prompt": Pair(" \n", "b"),
    "an empty response": Pair("a", ""),
    "no response": Pair("a", None),
    "an ambiguous prompt": Pair("a\nassistant: b", "c"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("fault", FAULTY)
def test_unusable_pairs_are_refused_by_file_entry_and_column(name, fault, tmp_path):
    path = write(tmp_path / name, [*PAIRS * 30, FAULTY[fault], PAIRS[0]])
    column = "prompt" if "prompt" in fault else "response"
    where = f"{'row' if 'parquet' in name else 'line'} 1201: "
    refuses(path, where, repr(column), "unusable: drop")
    if "ambiguous" in fault:
        refuses(path, r"found '\nassistant: '")


@pytest.mark.parametrize("name", FILES)
def test_unusable_pairs_are_dropped_and_counted(name, tmp_path):
    path = write(tmp_path / name, [*FAULTY.values(), *PAIRS])
    found = opened(path, unusable="drop")
    assert found.counts == Counts(train=38, test=2, empty=3, ambiguous=1, withheld=0)
    assert Counter([*found.train(), *found.test()]) == Counter(PAIRS)


def test_unusable_test_pairs_are_refused_or_dropped_too(tmp_path):
    write(tmp_path / "train.jsonl")
    test = write(tmp_path / "validation.jsonl", [Pair("new", "b"), *FAULTY.values()])
    with pytest.raises(DataError, match=rf"{test}: line 2: found nothing in 'prompt'"):
        opened(tmp_path)
    assert opened(tmp_path, unusable="drop").counts == Counts(40, 1, 3, 1, 0)


def test_a_source_of_unusable_pairs_alone_is_refused(tmp_path):
    path = write(tmp_path / "a.jsonl", FAULTY.values())
    refuses(path, "no training pairs (3 empty ones, 1 ambiguous ones)", unusable="drop")


# Mistakes: each in one line, with the file, what was found and what was expected.


def refuses(source, *parts, **options):
    with pytest.raises(DataError) as caught:
        opened(source, **options)
    message = str(caught.value)
    assert "\n" not in message
    for part in (str(source), *parts):
        assert part in message


@pytest.mark.parametrize(
    ("name", "prompt", "response", "said"),
    [
        ("a.jsonl", "prompt", "answer", "line 1: found the columns score, "),
        ("a.jsonl", "score", "response", "line 1: found '4' in 'score', expected text"),
        ("a.parquet", "question", "response", "a.parquet: found the columns score, "),
        ("a.parquet", "prompt", "score", "found int64 in 'score', expected text"),
        ("a.parquet", "prompt", "prompt", "found 'prompt' as prompt_column and as response_col"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, name, prompt, response, said):
    lacking = [repr(column) for column in (prompt, response) if column in ("answer", "question")]
    refuses(write(tmp_path / name), said, "expected ", *lacking, columns=(prompt, response))


def test_a_text_file_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("user: a\nassistant: b")
    said = "found a text file without columns, expected .jsonl, .json or .parquet"
    refuses(tmp_path / "a.txt", said, "'response'")


# The Hub


def hub(**splits):
    import datasets

    found = datasets.DatasetDict()
    for name, pairs in splits.items():
        rows = [{**pair._asdict(), "helpfulness": 4} for pair in pairs]
        found[name] = datasets.Dataset.from_list(rows)
    return mock.patch("datasets.load_dataset", return_value=found)


def test_helpsteer2_comes_from_the_hub_with_its_own_split():
    with hub(train=PAIRS[:30], validation=PAIRS[28:]) as load:
        found = opened("helpsteer2")
    load.assert_called_once_with("nvidia/HelpSteer2")
    assert list(found.train()) == list(found.train()) == PAIRS[:28]
    assert list(found.test()) == PAIRS[28:]
    assert found.counts == Counts(train=28, test=12, empty=0, ambiguous=0, withheld=2)


def test_a_data_set_of_the_hub_that_does_not_fit_is_refused():
    with hub(train=PAIRS):
        assert opened("hub:owner/name").counts.test == 2
        said = "found the columns prompt, response, helpfulness, expected 'answer'"
        refuses("hub:owner/name", said, columns=("prompt", "answer"))
        refuses("hub:owner/name", "found int64 in 'helpfulness'", columns=("prompt", "helpfulness"))
    with hub(train=PAIRS, test=[*PAIRS, *FAULTY.values()]):
        refuses("hub:owner/name", "split test, row 41: found nothing in 'prompt'")
    refuses("hub:HelpSteer2", "expected hub:<owner>/<name>")


# Questions


def test_questions_are_drawn_from_their_own_streams():
    found = opened("questions", limit=2500, test_pairs=200)
    train, test = list(found.train()), list(found.test())
    assert found.counts == Counts(2500, 200, 0, 0, 0)
    assert (len(train), len(test)) == (2500, 200)
    assert not prompts(train) & prompts(test)
    assert all(questions.is_correct(*pair) for pair in train + test)
    assert (train, test) == (list(found.train()), list(found.test()))
    assert test == questions.draw(1000, generator_of("test questions"))[:200]
    smaller = opened("questions", limit=100, test_pairs=200)
    assert list(smaller.train()) == train[:100]
    assert list(smaller.test()) == test


def test_holding_out_prompts_leaves_every_kind_as_common_as_it_was():
    """Every kind has so many prompts that the test set has only few of them."""
    held_out = prompts(questions.draw(500, generator_of("test questions")))
    drawn = questions.draw(10_000, generator_of("train questions"))
    kinds = Counter(questions.mode(pair.prompt) for pair in drawn)
    lost = Counter(questions.mode(pair.prompt) for pair in drawn if pair.prompt in held_out)
    assert len(kinds) == questions.MODES
    assert all(lost[kind] / kinds[kind] < 0.06 for kind in kinds)


def test_there_are_10000_questions_to_train_and_500_to_test():
    assert opened("questions").counts == Counts(10_000, 500, 0, 0, 0)
