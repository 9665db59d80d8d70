"""A rank of a distributed training: ``python -m collapse.loop.worker JOB DETAILS``."""

import json
import sys
from pathlib import Path

from collapse.artifacts import files
from collapse.artifacts.step import Step
from collapse.errors import JobError
from collapse.loop.fitting import Fitting, Started
from collapse.training import distributed


def main(job: str, details: str) -> None:
    """Run the fitting in the file ``job``; the first rank writes the file ``details``."""
    with distributed.joined() as ranks:
        given = json.loads(Path(job).read_text(encoding="utf-8"))
        started = given.pop("started")
        found = Fitting(
            step=Step(**given.pop("step")),
            started=None if started is None else Started(*started),
            **given,
        ).run()
        if ranks.first:
            files.write_text(details, json.dumps(found))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except JobError as error:
        sys.exit(f"error: {error}")
