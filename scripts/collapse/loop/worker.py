"""One of several processes that train together: ``python -m collapse.loop.worker JOB DETAILS``."""

import json
import sys
from pathlib import Path

from collapse.artifacts import files
from collapse.errors import JobError
from collapse.loop import steps
from collapse.training import distributed


def main(job: str, details: str) -> None:
    """Do a job's training; the first rank notes what is to be noted of it."""
    with distributed.joined() as ranks:
        found = steps.train_rank(json.loads(Path(job).read_text(encoding="utf-8")))
        if ranks.first:
            files.write_text(details, json.dumps(found))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except JobError as error:
        sys.exit(f"error: {error}")
