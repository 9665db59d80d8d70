"""The script that measures GPUs runs, tiny, without one; what it counts as work is right."""

import json
import sys

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from collapse.families.language_model import models
from collapse.families.language_model.packing import Packer
from collapse.loop.plan import cards
from gpu import measure
from running import PROJECT


def test_it_measures_training_and_generation(tmp_path, monkeypatch, capsys, one_thread):
    to = ("--json", str(tmp_path / "found.json"))
    monkeypatch.setenv("PYTHONPATH", str(PROJECT / "scripts"))
    monkeypatch.setattr(sys, "argv", ["measure.py", "--cpu-smoke", *to])
    assert measure.main() == 0, capsys.readouterr().out
    found = json.loads((tmp_path / "found.json").read_text())
    assert [row["context"] for row in found["training"]] == [64, 128]
    for row in found["training"]:
        assert row["share_of_peak"] == row["flops_per_second"] / found["peak_flops_per_second"]
        assert row["share_of_peak"] > 0 and 0.3 < row["filled"] <= 1
    assert [row["backend"] for row in found["generation"]] == ["transformers"]
    assert found["generation"][0]["tokens_per_second"] > 0
    card = cards.find(str(tmp_path / "found.json"))
    assert card.name == found["hardware"] and "measured" in card.source
    speeds = [row["flops_per_second"] for row in found["training"]]
    assert card.rates["transformer"].at(1.0) == pytest.approx(np.mean(speeds))


@pytest.mark.parametrize("name", measure.PUBLISHED)
def test_the_weights_counted_are_those_of_the_linear_layers(name):
    """By the modules themselves; norms and biases are the little that is counted besides."""
    import torch
    from transformers.pytorch_utils import Conv1D

    with torch.device("meta"):
        config = models.configuration(name, measure.VOCABULARY)
        network = models.transformers.AutoModelForCausalLM.from_config(config)
    linear = (torch.nn.Linear, Conv1D)
    weights = sum(m.weight.numel() for m in network.modules() if isinstance(m, linear))
    assert weights <= measure.shape(name).weights < 1.01 * weights


def test_attended_tokens_are_counted_document_by_document():
    documents = measure.documents(40, 64)
    batch = Packer(documents, 64, 1000, np.random.default_rng).batch(0)
    expected = documents.lengths - 1  # the last token of a document predicts nothing
    found = measure._work(batch).tolist()
    assert found == [expected.sum(), (expected * (expected + 1) // 2).sum()]
