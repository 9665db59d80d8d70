"""Submissions that SLURM refuses: which refusals pass, and the jobs that wait until they do."""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from collapse.cluster import slurm

#: Seconds until a refused submission is made again: the first pause, and the longest.
FIRST, LONGEST = 5.0, 120.0

#: What SLURM says if there are too many jobs, or a partition takes none for the time being.
TEMPORARY = re.compile(
    r"max\w*submit\w*|grp\w*submit\w*|partition not available|node not available",
    re.IGNORECASE,
)
#: What some versions say of a limit to the number of jobs and of one to a job's size alike.
AMBIGUOUS = re.compile(r"violates accounting/QOS policy", re.IGNORECASE)


def words_of(message: str) -> str:
    """Return SLURM's own words in a message of Snakemake's executor, in one line."""
    found = re.search(r"The error message was '(.*?)'\.\n\s*sbatch call:", message, re.DOTALL)
    return "; ".join(line.strip() for line in (found[1] if found else message).splitlines() if line)


def passes(words: str, others: Callable[[], bool]) -> bool:
    """Tell whether a refusal passes, so that the submission should be made again.

    ``others`` tells whether the user has other jobs in the queue, whose end may make room.
    """
    if slurm.UNANSWERED.search(words) or TEMPORARY.search(words):
        return True
    named = re.search(r"\b(QOS|Assoc)\w+", words)
    return bool(AMBIGUOUS.search(words)) and not named and others()


Job = TypeVar("Job")


class WaitingRoom(Generic[Job]):
    """Jobs whose submission was refused, which are submitted again, one at a time.

    The pause between two attempts grows while SLURM refuses, and ends when it accepts a job. A job
    that is refused again goes to the end of the queue, so that a partition that is drained does not
    hold up the jobs of others.
    """

    def __init__(self, submit: Callable[[Job, str], None], say: Callable[[str], None]) -> None:
        self._submit, self._say = submit, say
        self._jobs: queue.SimpleQueue[tuple[Job, str]] = queue.SimpleQueue()
        self._said: set[str] = set()
        self._refused = 0
        self._closed = False
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def put(self, job: Job, words: str) -> None:
        """Have a job wait, and say why unless that was said since a job was accepted."""
        with self._lock:
            self._refused += 1
            if words not in self._said:
                self._said.add(words)
                self._say(f"SLURM refuses a submission for now: {words}. It will be made again.")
            self._jobs.put((job, words))
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Submit nothing any more."""
        self._closed = True

    def _serve(self) -> None:
        pause = FIRST
        while True:
            job, words = self._jobs.get()
            time.sleep(pause)
            if self._closed:
                return
            before = self._refused
            self._submit(job, words)
            if self._refused > before:
                pause = min(max(2 * pause, FIRST), LONGEST)
            else:
                pause = 0.0
                with self._lock:
                    if self._said:
                        self._said.clear()
                        self._say("SLURM accepts submissions again.")
