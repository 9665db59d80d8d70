"""What training a transformer takes of a GPU's memory, before it runs."""

from __future__ import annotations

from typing import NamedTuple

#: Bytes of a weight, a gradient, and AdamW's two moments: float32 always.
WEIGHT, GRADIENT, MOMENTS = 4, 4, 8


class Memory(NamedTuple):
    """Bytes of one GPU in a training step: what stays, and three moments that may be the peak.

    Attributes
    ----------
    weights, gradients, moments : int
        Of all parameters, or of the rank's part: exact.
    loss : int
        Besides these, when the loss is computed: activations, logits, weights in the precision
        of the computation.
    layer : int
        In the backward pass of the last layer.
    embeddings : int
        At the end of the backward pass, when the gradients of embeddings as input and as
        output are added up.
    """

    weights: int
    gradients: int
    moments: int
    loss: int
    layer: int
    embeddings: int

    @property
    def total(self) -> int:
        """The peak, without what an allocator loses: leave it a tenth."""
        return (
            self.weights
            + self.gradients
            + self.moments
            + max(self.loss, self.layer, self.embeddings)
        )


def training_memory(
    *,
    parameters: int,
    layer: int,
    tokens: int,
    hidden: int,
    feed_forward: int,
    layers: int,
    vocabulary: int,
    scores: int = 0,
    ranks: int = 1,
    checkpointing: bool = False,
    bfloat16: bool = True,
) -> Memory:
    """Estimate the memory of training by `collapse.training.trainer`, from above.

    Parameters
    ----------
    parameters : int
        Of the model, tied ones once.
    layer : int
        Parameters of one of its layers; what is in none is taken to be the embeddings.
    tokens : int
        Of a micro-batch on one rank, padding included.
    hidden, feed_forward : int
        Sizes of a token's vector between layers, and inside a gated feed-forward network.
    layers, vocabulary : int
        How many.
    scores : int
        Attention scores of a token in a layer, heads times positions, if they are kept: they
        are by attention that is written out (``eager``), not by fused kernels.
    ranks : int
        Ranks that the model is sharded over; 1 if each has all of it.
    checkpointing : bool
        Whether layers keep their input only, and compute the rest again when it is needed.
    bfloat16 : bool
        Whether products are computed in bfloat16.
    """
    size = 2 if bfloat16 else 4
    share = -(-parameters // ranks)
    outside = parameters - layers * layer
    if ranks > 1:
        # Gathered: the embeddings throughout, a layer, and the next one meanwhile. Gradients
        # of as much but one layer, and of the larger of the two what is being added up.
        gathered = size * (outside + 2 * layer)
        copies = gathered + size * (outside + layer) + GRADIENT * max(outside, layer)
        embeddings = (4 * size + GRADIENT) * outside
    else:
        copies = size * parameters if bfloat16 else 0  # autocast's
        embeddings = 3 * GRADIENT * outside
    # Four norms keep their input and result in float32 and a result to compute with; queries,
    # keys, values and what attention makes of them; gate, its activation, the other half and
    # the product; scores after the cap, as float32 probabilities, and to compute with.
    of_hidden = 4 * (8 + size) + 4 * size
    of_layer = tokens * (of_hidden * hidden + 4 * size * feed_forward + (4 + 2 * size) * scores)
    # The gradients of what a layer has kept, a few at a time.
    backward = tokens * (8 * hidden + 3 * size * feed_forward + (4 + size) * scores)
    # Logits, capped ones, then in float32: themselves, their log-softmax and its gradient.
    logits = tokens * (2 * size + 12) * vocabulary
    kept = layers * (4 * tokens * hidden if checkpointing else of_layer)
    return Memory(
        weights=WEIGHT * share,
        gradients=GRADIENT * share,
        moments=MOMENTS * share,
        loss=copies + kept + logits,
        layer=copies + kept + (of_layer if checkpointing else 0) + backward,
        embeddings=embeddings,
    )
