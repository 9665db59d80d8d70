"""Signals that ask a training to save its state and stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Signals that ask to save and stop: SLURM's before a time limit or a preemption, and Ctrl-C.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)


@contextmanager
def on_stop(handle: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Handle `STOP_SIGNALS` by a function within the block.

    A second Ctrl-C is handled as it was before the block. Outside the main thread, where Python
    handles no signals, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def received(number: int, _: object) -> None:
        if number == signal.SIGINT:
            signal.signal(number, before[signal.SIGINT])
        handle(signal.Signals(number))

    # getsignal returns None for a handler that Python did not install and cannot put back.
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in STOP_SIGNALS}
    for number in STOP_SIGNALS:
        signal.signal(number, received)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
