"""What families that generate text share: names of files, metrics, figures, records of data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from collapse.families.declarations import Figure, Metric, Score, curves, of_data
from collapse.families.step_jobs import Prepared
from collapse.rarefaction import NUMBER
from collapse.text.sampling.interface import LOWEST_TEMPERATURE

if TYPE_CHECKING:
    from collapse.data.text.tokens import Counts
    from collapse.regimes import Regime

#: Files of the tokenised real data, and the folder of its tokenizer.
TRAIN, TEST, TOKENIZER = "train.parquet", "test.parquet", "tokenizer"

_EQUAL = (
    f"Of a random subset of {NUMBER} samples, or of as many as there are, because it depends on "
    "their number; the reference is of as many real test documents."
)
_REPETITION = {
    "distinct_1": Metric("different tokens over all tokens", comment=_EQUAL),
    "distinct_2": Metric("different pairs of tokens over all pairs", comment=_EQUAL),
    "distinct_3": Metric("different triples of tokens over all triples", comment=_EQUAL),
    "duplicate_rate": Metric("share of samples that are copies of another sample", comment=_EQUAL),
    "self_overlap": Metric("share of a sample's 4-grams that another sample has", comment=_EQUAL),
    "mean_length": Metric("mean length of the samples", "tokens"),
    "length_distance": Metric(
        "distance of sample lengths from real ones (Wasserstein)",
        "tokens",
        comment=f"Of a random subset of {NUMBER} samples, or of as many as there are, because it "
        "falls with their number; the reference is what as many new real documents would have.",
    ),
    "copied_share": Metric(
        "share of samples that are copies of a training sample",
        comment="It grows with the training set; the reference is the share of new real documents "
        "that would be copies of the same training set, known for built-in data without prompts.",
    ),
}
#: Metrics of samples that apply to any text.
METRICS = {
    **_REPETITION,
    **of_data(_REPETITION),
    "truncated_share": Metric("share of samples that were cut off at the limit"),
    "acceptance_rate": Metric("samples kept over samples drawn"),
}


#: Scores of samples that apply to any text.
SCORES = {
    "log_likelihood": Score(
        "Mean log-probability of the tokens of a sample, its EOS included, under the model that "
        "wrote it, in nats.",
        better="higher",
    ),
    "length": Score("Number of tokens of a sample.", better="higher"),
}


def decoding_problems(parameters: Any) -> Iterator[tuple[str, str]]:
    """Yield the name of each parameter of decoding that contradicts another, and the expected."""
    temperature = parameters.temperature
    if 0 < temperature < LOWEST_TEMPERATURE:
        yield "temperature", f"0 (the likeliest token) or at least {LOWEST_TEMPERATURE}"
    drawn = {"top_k": parameters.top_k, "top_p": parameters.top_p}
    if parameters.beams is not None:
        if temperature != 1:
            yield "temperature", "1 with beams, because a beam search draws no tokens"
        if parameters.backend == "vllm":
            yield "backend", "auto or transformers with beams"
    for key, value in drawn.items():
        if value is not None and parameters.beams is not None:
            yield key, "null with beams, because a beam search draws no tokens"
        elif value is not None and temperature == 0:
            yield key, "null with temperature: 0, which draws no tokens"


def prompting_problems(parameters: Any) -> Iterator[tuple[str, str]]:
    """Yield each parameter of decoding by which what follows a prompt can't be drawn again."""
    if parameters.temperature == 0:
        yield "temperature", "more than 0 with start: prompt; or take beams: 1"
    if parameters.top_k == 1:
        yield "top_k", "more than 1 with start: prompt; or take beams: 1"


def unfit(parameters: Any, regime: Regime) -> str:
    """Return why a regime can't select samples; empty if it can, or selects none."""
    if regime.select is None or parameters.beams is None:
        return ""
    return "a search with beams finds the same text for all candidates of a sample"


def may_use_vllm(parameters: Any) -> bool:
    """Tell whether vLLM may generate the samples."""
    return parameters.backend != "transformers" and parameters.beams is None


def known(what: str, modes: str) -> dict[str, Metric]:
    """Return the metrics that need a source whose distribution is known.

    Parameters
    ----------
    what : str
        Word for a test sample, in the plural.
    modes : str
        Word for the modes of the source.
    """
    held = {
        "mode_coverage": Metric(
            f"share of the {modes} that occur among the samples",
            comment=f"Of a random subset of {NUMBER} of the samples that have one, or of as many "
            "as there are, because it grows with their number; the reference is what as many "
            "real ones would have.",
        ),
        "mode_distance": Metric(
            f"distance of frequencies of {modes} from the real ones (total variation)",
            comment=f"Of a random subset of {NUMBER} of the samples that have one, or of as many "
            "as there are, because it falls with their number; the reference is what as many "
            "real ones would have.",
        ),
    }
    return {
        "entropy_floor": Metric(
            "entropy of the real data, where it is known",
            "nats per token",
            comment="The cross-entropy of a perfect model on infinitely many test samples; on "
            "those that are there it scatters about this.",
        ),
        "test_cross_entropy_of_truth": Metric(
            f"cross-entropy of a perfect model on the same {what}, where it is known",
            "nats per token",
        ),
        **held,
        **of_data(held),
    }


def figures(colour: str, declared: Mapping[str, Metric], *metrics: str) -> list[Figure]:
    """Return the figures of any family of text, and those of further metrics.

    Curves have a colour for each value of the parameter ``colour``.
    """
    truth = "test_cross_entropy_of_truth"
    loss = Figure("cross-entropy", "test_cross_entropy", None, colour, reference=truth)
    shared = ("distinct_2", "duplicate_rate", "mode_coverage")
    return [loss, *curves(colour, [*shared, *metrics], declared)]


def prepared(
    counts: Mapping[str, Counts], details: Mapping[str, Any], entropy: float | None
) -> Prepared:
    """Describe the files of the real data.

    Parameters
    ----------
    counts : mapping of str to Counts
        What was written, for the splits ``train`` and ``test``.
    details : mapping
        Further details to record.
    entropy : float or None
        Entropy of the source in nats per document; None if it is not known.
    """
    recorded = {**details, **{split: found._asdict() for split, found in counts.items()}}
    whole = not any(found.dropped or found.truncated or found.altered for found in counts.values())
    if entropy is not None and whole:
        # The model predicts every token of a document and its EOS.
        predicted = counts["train"].tokens / counts["train"].documents + 1
        recorded["entropy_floor"] = entropy / predicted
    return Prepared(
        train=[(TRAIN, counts["train"].documents)],
        test=[(TEST, counts["test"].documents)],
        details=recorded,
    )
