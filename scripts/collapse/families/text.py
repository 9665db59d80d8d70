"""What families that generate text share: names of files, metrics, figures, records of data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from collapse.families.declarations import Figure, Metric, curves
from collapse.families.step_jobs import Prepared

if TYPE_CHECKING:
    from collapse.data.text.tokens import Counts

#: Files of the tokenised real data, and the folder of its tokenizer.
TRAIN, TEST, TOKENIZER = "train.parquet", "test.parquet", "tokenizer"

#: Metrics of samples that apply to any text.
METRICS = {
    "distinct_1": Metric("different tokens over all tokens of the samples"),
    "distinct_2": Metric("different pairs of tokens over all pairs of the samples"),
    "distinct_3": Metric("different triples of tokens over all triples of the samples"),
    "duplicate_rate": Metric("share of samples that are copies of another sample"),
    "copied_share": Metric("share of samples that are copies of a training sample"),
    "self_overlap": Metric("share of a sample's 4-grams that another sample has too"),
    "mean_length": Metric("mean length of the samples", "tokens"),
    "length_distance": Metric("distance of sample lengths from real ones (Wasserstein)", "tokens"),
    "truncated_share": Metric("share of samples that were cut off at the limit"),
    "acceptance_rate": Metric("samples kept over samples drawn"),
}


def figures(colour: str, *metrics: str) -> list[Figure]:
    """Return the figures of any family of text, and those of further metrics.

    Curves have a colour for each value of the parameter ``colour``.
    """
    loss = Figure("cross-entropy", "test_cross_entropy", None, colour, reference="entropy_floor")
    shared = ("distinct_2", "duplicate_rate", "mode_coverage")
    return [loss, *curves(colour, [*shared, *metrics])]


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
