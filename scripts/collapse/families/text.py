"""What families that write text have in common."""

from __future__ import annotations

from collapse.families.declarations import Metric

#: What is said of samples, whatever they are about.
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
