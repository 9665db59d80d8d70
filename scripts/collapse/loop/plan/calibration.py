"""Measure the figures of a device in a few seconds: small and large networks of every kind.

    python -m collapse.loop.plan.calibration            print them as JSON, of one core

This is the only module of the plan that imports torch. The plan runs it in a process of its own,
and `tests/gpu/measure.py` on a GPU.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # as jobs have it; numpy and torch read it when they start

import numpy as np

#: Seconds that the core's work, the import of torch and what `collapse.loop.plan.device` says of
#: it took on the reference core.
REFERENCE_CORE, REFERENCE_IMPORT = 0.085, 1.5

#: The sizes of networks, in parameters, that the small and the large one of a kind stand for.
SIZES = {"transformer": (7e5, 1e8), "convolution": (8e4, 6e6), "graph": (1.3e5, 8e5)}


def measure(
    device: str = "cpu", imports: float | None = None, seconds: float = 0.15
) -> dict[str, Any]:
    """Return the figures of a device as `collapse.loop.plan.device.Device` names them.

    Parameters
    ----------
    device : str
        A device of torch: ``cpu`` or ``cuda``.
    imports : float or None
        Seconds of imports for a second of the reference core's; None: as of its other work.
    seconds : float
        Seconds for which each network runs, though three times at least.
    """
    import torch

    torch.set_num_threads(1)
    rates = {}
    for kind, sizes in SIZES.items():
        calls, (least, small, large) = _networks(torch, kind, device, seconds)
        # The calls of a GPU take no time of their own while it computes.
        called = least[0] if device == "cpu" else 0.0
        flops = [
            (size, flops / max(taken - called, taken / 4))
            for size, (taken, flops) in zip(sizes, (small, large), strict=True)
        ]
        rates[kind] = {"call": least[0] / calls, "flops": flops}
    rates["sampling"] = rates["transformer"]
    values = torch.empty(2**24, device=device).fill_(1.0)
    copied = _median(lambda: values.clone(), device, seconds)
    core = _median(_core, "cpu", seconds) / REFERENCE_CORE
    return {
        "core": core,
        "imports": core if imports is None else imports,
        "bandwidth": 2 * 4 * 2**24 / copied,
        "rates": rates,
    }


def _core() -> None:
    """Do what Python and numpy do beside networks."""
    counts: dict[int, int] = {}
    for number in range(200_000):
        counts[number % 1000] = counts.get(number % 1000, 0) + number
    values = np.arange(20_000.0)
    for _ in range(100):
        np.sort(values[::-1].copy())
        np.cumsum(values)


def _networks(
    torch: Any, kind: str, device: str, seconds: float
) -> tuple[int, list[tuple[float, float]]]:
    """Return the calls of three networks, and the seconds and operations of each.

    They do a forward and a backward pass: first one so small that calls take all its time, then
    one of a tiny model, and one of a large one.
    """
    build = {"transformer": _transformer, "convolution": _convolution, "graph": _graph}[kind]
    measured = []
    for which in range(3):
        passes, flops = build(torch, which, device, 64 if device != "cpu" else 1)
        if which == 0:
            calls = _calls(passes)
        repeats = 10 if which == 0 else 1

        def repeated(passes: Callable[[], None] = passes, repeats: int = repeats) -> None:
            for _ in range(repeats):
                passes()

        measured.append((_median(repeated, device, seconds) / repeats, flops))
    return calls, measured


def _transformer(
    torch: Any, which: int, device: str, more: int
) -> tuple[Callable[[], None], float]:
    """Return blocks of a transformer without attention's scores, which cost little."""
    blocks, rows, hidden = ((4, 4, 8), (4, 512, 128), (2, 256 * more, 768))[which]
    nn = torch.nn
    layers = [
        part
        for _ in range(blocks)
        for part in (nn.LayerNorm(hidden), nn.Linear(hidden, 4 * hidden), nn.SiLU())
        + (nn.Linear(4 * hidden, hidden),)
    ]
    kind = torch.bfloat16 if device != "cpu" else torch.float32
    network = nn.Sequential(*layers).to(device, kind)
    values = torch.randn(rows, hidden, device=device, dtype=kind)
    return _passes(network, values), 3 * 2 * blocks * 8 * hidden**2 * rows


def _convolution(
    torch: Any, which: int, device: str, more: int
) -> tuple[Callable[[], None], float]:
    """Return two halving convolutions and their mirror image, as of an autoencoder."""
    batch, widths, size = ((2, (1, 8, 8), 8), (64, (1, 32, 64), 8), (8 * more, (32, 64, 128), 32))[
        which
    ]
    nn = torch.nn
    first, middle, last = widths
    layers = []
    for a, b in ((first, middle), (middle, last)):
        layers += [nn.Conv2d(a, b, 4, 2, 1), nn.GroupNorm(8, b), nn.SiLU()]
    for a, b in ((last, middle), (middle, first)):
        layers += [nn.ConvTranspose2d(a, b, 4, 2, 1), nn.SiLU()]
    network = nn.Sequential(*layers).to(device)
    values = torch.randn(batch, first, size, size, device=device)
    one = 2 * 16 * (first * middle * (size // 2) ** 2 + middle * last * (size // 4) ** 2)
    return _passes(network, values), 3 * 2 * one * batch


def _graph(torch: Any, which: int, device: str, more: int) -> tuple[Callable[[], None], float]:
    """Return messages along the edges of random graphs, as of a graph network."""
    atoms, edges, hidden = ((8, 16, 8), (480, 7000, 64), (860 * more, 12_000 * more, 128))[which]
    ends = torch.randint(atoms, (2, edges), device=device)
    layers = torch.nn.ModuleList(torch.nn.Linear(hidden, hidden) for _ in range(4)).to(device)

    def network(values: Any) -> Any:
        for layer in layers:
            messages = torch.nn.functional.silu(layer(values[ends[0]]))
            values = torch.zeros_like(values).index_add(0, ends[1], messages)
        return values

    values = torch.randn(atoms, hidden, device=device)
    network.parameters = layers.parameters  # type: ignore[attr-defined]
    return _passes(network, values), 3 * 2 * 4 * hidden**2 * edges


def _passes(network: Any, values: Any) -> Callable[[], None]:
    def once() -> None:
        for parameter in network.parameters():
            parameter.grad = None
        network(values).float().square().mean().backward()

    return once


def _calls(passes: Callable[[], None]) -> int:
    """Return the number of operations that torch calls."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
        count = 0

        def __torch_dispatch__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            self.count += 1
            return function(*args, **(kwargs or {}))

    with Counting() as counting:  # type: ignore[no-untyped-call]
        passes()
    return int(counting.count)


def _median(function: Callable[[], Any], device: str, seconds: float) -> float:
    """Return the median seconds of some runs, of the processor or, on a GPU, of the clock."""
    gpu = device != "cpu"
    if gpu:
        import torch

    clock = time.perf_counter if gpu else time.process_time
    function()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or (time.perf_counter() < end and len(times) < 15):
        if gpu:
            torch.cuda.synchronize()
        start = clock()
        function()
        if gpu:
            torch.cuda.synchronize()
        times.append(clock() - start)
    return statistics.median(times)


def main() -> None:
    """Print the figures of a core of this machine."""
    # A process of its own shows what its end takes, too.
    done = subprocess.run([sys.executable, "-c", "import torch"], stderr=subprocess.DEVNULL)
    if done.returncode:
        sys.exit("torch is not installed")
    imported = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    print("\n" + json.dumps(measure(imports=imported / REFERENCE_IMPORT)))


if __name__ == "__main__":
    main()
