"""GPUs by name: figures that were measured on one, or estimates from its data sheet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from collapse.errors import JobError
from collapse.families.language_model.work import LONGEST, transformer
from collapse.families.text_work import SIDE_BY_SIDE
from collapse.loop.plan import device
from collapse.loop.plan.device import Device, Rates


class Sheet(NamedTuple):
    """A card's data sheet: operations a second in bf16 and in 32 bits, and bytes a second."""

    name: str
    bf16: float
    float32: float
    bandwidth: float


#: Dense rates without sparsity, of the cards with most memory.
SHEETS = {
    "a100": Sheet("NVIDIA A100", 312e12, 19.5e12, 2.0e12),
    "h100": Sheet("NVIDIA H100", 989e12, 67e12, 3.35e12),
    "h200": Sheet("NVIDIA H200", 989e12, 67e12, 4.8e12),
    "l40s": Sheet("NVIDIA L40S", 362e12, 91e12, 0.86e12),
}

#: The key of the file of `tests/gpu/measure.py` that has the figures.
KEY = "device"


def find(card: str) -> Device:
    """Return the figures of a card.

    Parameters
    ----------
    card : str
        A name in `SHEETS`, or the path of a file that ``tests/gpu/measure.py --json`` wrote.

    Raises
    ------
    JobError
        If there is no such card, or the file holds no figures.
    """
    sheet = SHEETS.get(card.lower())
    if sheet is not None:
        return _estimated(sheet)
    path = Path(card).expanduser()
    if not path.is_file():
        raise JobError(
            f"card: found {card!r}, expected {', '.join(SHEETS)}, or a file that "
            "tests/gpu/measure.py --json wrote"
        )
    try:
        return device.read(path, KEY)
    except (OSError, ValueError) as error:
        raise JobError(
            f"{path}: {' '.join(str(error).split())}, expected a file that "
            "tests/gpu/measure.py --json wrote"
        ) from None


def number_of(gpus: object, card: Device | None) -> int | None:
    """Return the number of GPUs that a user gave, if any.

    Raises `JobError` for another value, or if it is not said of which card they are.
    """
    if gpus is None:
        return None
    if card is None:
        raise JobError(
            f"gpus: found {gpus!r} without a card, expected card, too, such as card=h200"
        )
    if not isinstance(gpus, int) or isinstance(gpus, bool) or gpus < 1:
        raise JobError(f"gpus: found {gpus!r}, expected a number of at least 1")
    return gpus


def _estimated(sheet: Sheet) -> Device:
    """Return figures of a card on which nothing was measured.

    The shares of the data sheet's peaks are those that networks of these sizes usually reach; a
    call takes what a core takes to start a kernel, and in sampling what vLLM takes beside it, half
    of which it saves because a sample that ends makes room for another one.
    """
    return Device(
        name=sheet.name,
        source="estimates from the data sheet; tests/gpu/measure.py was not run on such a card",
        core=1.0,
        imports=1.0,
        bandwidth=0.7 * sheet.bandwidth,
        rates={
            "transformer": Rates(8e-6, [(1e6, 0.05 * sheet.bf16), (1e9, 0.4 * sheet.bf16)]),
            "sampling": Rates(1.5e-5, [(1e6, 0.05 * sheet.bf16), (1e9, 0.4 * sheet.bf16)]),
            "convolution": Rates(1.5e-5, [(1e5, 0.01 * sheet.bf16), (1e7, 0.1 * sheet.bf16)]),
            "graph": Rates(1e-5, [(1e5, 0.05 * sheet.float32), (1e7, 0.2 * sheet.float32)]),
        },
        is_gpu=True,
    )


def measured(found: Mapping[str, Any], basic: Mapping[str, Any]) -> Device:
    """Return the figures of a card, from what `tests/gpu/measure.py` found on it.

    Parameters
    ----------
    found : mapping
        Its measurements: the rows ``training`` and ``generation``, and ``hardware``.
    basic : mapping
        What `collapse.loop.plan.calibration.measure` found on the card.
    """
    rates = {kind: Rates(**one) for kind, one in basic["rates"].items()}
    trained: dict[float, list[float]] = {}
    for row in found["training"]:
        trained.setdefault(float(row["parameters"]), []).append(row["flops_per_second"])
    if trained:
        flops = [(size, float(np.mean(trained[size]))) for size in sorted(trained)]
        rates["transformer"] = Rates(rates["transformer"].call, flops)
    calls = [_sampling_call(row) for row in _fastest(found["generation"])]
    if calls:
        rates["sampling"] = Rates(float(np.mean(calls)), rates["transformer"].flops)
    return Device(
        name=str(found["hardware"]),
        source="measured by tests/gpu/measure.py",
        core=basic["core"],
        imports=basic["imports"],
        bandwidth=basic["bandwidth"],
        rates=rates,
        is_gpu=True,
    )


def _fastest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of vLLM, which jobs use where it is installed, or else all."""
    return [row for row in rows if row["backend"] == "vllm"] or rows


def _sampling_call(row: Mapping[str, Any]) -> float:
    """Return the seconds for each operation of sampling a token of all samples side by side."""
    network = transformer(row["model"], vocabulary=8000)
    calls = network.sampling(SIDE_BY_SIDE, 1, 1).calls
    # With vLLM a sample that ends makes room for another one.
    saved = LONGEST if row["backend"] == "vllm" else 1.0
    return float(min(SIDE_BY_SIDE, row["samples"]) / row["tokens_per_second"] / calls / saved)
