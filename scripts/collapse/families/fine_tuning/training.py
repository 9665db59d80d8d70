"""Fine-tune a copy of the base on prompt-response pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute
import torch
from torch import Tensor

from collapse.artifacts import columns
from collapse.artifacts.step import Step
from collapse.families.fine_tuning.base import Base
from collapse.families.fine_tuning.parameters import Parameters
from collapse.families.step_jobs import TrainJob
from collapse.text import checkpoints, stored_tokens
from collapse.text.next_tokens import NextTokens
from collapse.text.stored_tokens import Tokens
from collapse.training import distributed, sharding, trainer
from collapse.training.epochs import Epochs
from collapse.training.optimisation import Optimisation, planned


def train(
    job: TrainJob[Parameters],
    pairs: Iterable[pa.Table],
    *,
    base: Base,
    test: Iterable[pa.Table],
    tokenizer: Path,
) -> dict[str, Any]:
    """Fine-tune a copy of the base, or of the model before, and save it as Hugging Face does.

    With an empty training set the copy remains what it is.

    Returns
    -------
    dict
        Checksum of the base, numbers of parameters, of pairs and tokens used, of pairs left out
        as too long and of updates, and the learning curve.
    """
    with distributed.joined() as ranks:
        fitting = _Fitting(pairs, job.parameters.context)
        if ranks.first:
            stored_tokens.store(fitting, job.scratch, base.special)
        ranks.wait()
        stored = stored_tokens.mapped(job.scratch)
        # Only the first rank reads the weights, because a node may not hold a copy for each.
        open_checkpoint = checkpoints.read if ranks.first else checkpoints.outline
        start = job.previous or base.path
        network = open_checkpoint(start, getattr(torch, job.parameters.weights))
        if job.parameters.gradient_checkpointing:
            network.gradient_checkpointing_enable({"use_reentrant": False})
        task = Tuning(
            network,
            stored,
            stored_tokens.in_memory(test, base.special),
            batch=job.parameters.batch,
            responses=job.parameters.loss == "response",
            shuffle=lambda epoch: job.step.stream(f"order of epoch {epoch}"),
        )
        optimisation = _optimisation(job.step, job.parameters, task.steps_per_epoch)
        noise = job.step.integer("noise")
        curve = trainer.train(
            task,
            optimisation,
            state=job.scratch,
            fingerprint=f"{job.fingerprint} {base.sha256}",
            seed_of=lambda number: noise + number,
        )
        weights = sharding.whole_state(network, ranks)
        if ranks.first:
            checkpoints.save(network, job.model, tokenizer, weights)
    return {
        "base": base.sha256,
        "parameters": checkpoints.parameter_count(network),
        "pairs": len(stored.lengths),
        "left_out": fitting.left_out,
        "tokens": int(stored.bounds[-1]),
        "steps": optimisation.steps,
        "curve": [point._asdict() for point in curve],
    }


class _Fitting:
    """The pairs that fit into the context, and the number of those that don't.

    All pairs fit, unless the study keeps samples that are too long (``long_samples: drop``).
    """

    def __init__(self, pairs: Iterable[pa.Table], context: int) -> None:
        self._pairs = pairs
        self._longest = context - 2  # BOS and EOS
        self.left_out = 0

    def __iter__(self) -> Iterator[pa.Table]:
        for table in self._pairs:
            lengths = columns.array(compute.list_value_length(table["tokens"]))
            kept = table.filter(columns.numbers(lengths <= self._longest))
            self.left_out += len(table) - len(kept)
            yield kept


def _optimisation(step: Step, parameters: Parameters, steps_per_epoch: int) -> Optimisation:
    steps = math.ceil(parameters.epochs * steps_per_epoch)
    later = {}
    if step.iteration > 1 and steps:
        steps = parameters.later_steps or steps
        if parameters.later_warmup_steps is not None:
            later = {"warmup_steps": parameters.later_warmup_steps}
    return planned(
        parameters,
        steps,
        weight_decay=parameters.weight_decay,
        precision=parameters.precision,
        # Batches are as wide as their longest pair, and torch would compile every width anew.
        compile=False,
        micro_batch=parameters.micro_batch,
        sharded=parameters.sharded,
        **later,
    )


class Tuning(NextTokens):
    """The training task: predict the next tokens of pairs, or of their responses alone.

    Parameters
    ----------
    model : torch.nn.Module
        A copy of the base, or of the model before.
    pairs, test : Tokens
        The training set, and real pairs for the learning curve.
    batch : int
        Number of pairs per training step; the last step of an epoch may have fewer.
    responses : bool
        Whether the loss counts only the tokens of responses.
    shuffle : callable
        Takes an epoch; returns the random generator for its order.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        pairs: Tokens,
        test: Tokens,
        *,
        batch: int,
        responses: bool,
        shuffle: Callable[[int], np.random.Generator],
    ) -> None:
        super().__init__(model, test, responses=responses)
        self._pairs = pairs
        self._epochs = Epochs(
            batch, lambda epoch: shuffle(epoch).permutation(len(pairs.lengths)), filled=False
        )
        self.steps_per_epoch = self._epochs.steps_per_epoch

    def batch(self, step: int) -> dict[str, Tensor]:
        chosen = self._epochs.batch(step)
        return stored_tokens.padded(self._pairs, chosen, responses=self._responses)
