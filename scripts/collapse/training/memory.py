"""GPU memory that training a transformer takes, estimated before training starts."""

from __future__ import annotations

from typing import NamedTuple

#: Bytes of a weight, of a gradient and of AdamW's two moments, which are always float32.
WEIGHT, GRADIENT, MOMENTS = 4, 4, 8


class Memory(NamedTuple):
    """Bytes on one GPU during an update: what stays, and what is added where use may peak.

    Attributes
    ----------
    weights, gradients, moments : int
        Exact size of the weights, gradients and moments that the rank keeps.
    loss : int
        Added while the loss is computed: activations, logits, and weights in the precision
        of the computation.
    layer : int
        Added during the backward pass of the last layer.
    embeddings : int
        Added at the end of the backward pass, when the gradients of the embeddings as input
        and as output are summed.
    """

    weights: int
    gradients: int
    moments: int
    loss: int
    layer: int
    embeddings: int

    @property
    def total(self) -> int:
        """The peak, to which the allocator's overhead of about a tenth has to be added."""
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
    """Estimate the memory of training by `collapse.training.trainer`, rather too high than too low.

    Parameters
    ----------
    parameters : int
        Number of parameters of the model; tied ones count once.
    layer : int
        Parameters of one layer; those outside all layers are taken to be embeddings.
    tokens : int
        Tokens of a micro-batch on one rank, padding included.
    hidden, feed_forward : int
        Size of a token's vector between layers, and inside the gated feed-forward network.
    layers, vocabulary : int
        Number of layers, and of tokens in the vocabulary.
    scores : int
        Attention scores of one token in one layer (heads times positions) if they are kept, as
        by attention that is written out (``eager``); 0 for fused kernels.
    ranks : int
        Number of ranks that the model is sharded over; 1 if each has the whole model.
    checkpointing : bool
        Whether layers keep only their input, and compute the rest again in the backward pass.
    bfloat16 : bool
        Whether matrix products are computed in bfloat16.
    """
    size = 2 if bfloat16 else 4
    share = -(-parameters // ranks)
    outside = parameters - layers * layer
    if ranks > 1:
        # The weights of the embeddings and of two layers are gathered. Gradients exist of the
        # embeddings and of one layer, and the larger of the two is summed in float32.
        gathered = size * (outside + 2 * layer)
        copies = gathered + size * (outside + layer) + GRADIENT * max(outside, layer)
        embeddings = (4 * size + GRADIENT) * outside
    else:
        copies = size * parameters if bfloat16 else 0  # autocast's copies of the weights
        embeddings = 3 * GRADIENT * outside
    # A layer keeps, of the hidden size, the input and the result of four norms in float32 and
    # the result in the computing precision, then queries, keys, values and the output of
    # attention; of the feed-forward size, the gate, its activation, the other half and their
    # product; and the scores after the cap and as probabilities, the latter also in float32.
    of_hidden = 4 * (8 + size) + 4 * size
    of_layer = tokens * (of_hidden * hidden + 4 * size * feed_forward + (4 + 2 * size) * scores)
    # Gradients of what a layer keeps, of which only a few exist at a time.
    backward = tokens * (8 * hidden + 3 * size * feed_forward + (4 + size) * scores)
    # Logits before and after the cap, and in float32 the logits, log-softmax and its gradient.
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
