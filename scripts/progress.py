"""Print how far a study is: the iterations done of each chain, and the steps under way.

    .venv/bin/python scripts/progress.py                          the study in config/config.yaml
    .venv/bin/python scripts/progress.py --config study=PATH      another one

This reads files alone, so it works while the study runs, also from another machine.
"""

import argparse
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "scripts"))

from collapse.cluster import preflight  # noqa: E402
from collapse.errors import JobError  # noqa: E402
from collapse.loop.overview import overview  # noqa: E402
from collapse.study import StudyError  # noqa: E402


def main() -> None:
    """Print the overview."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="Other arguments are for Snakemake, such as --config study=PATH.",
        allow_abbrev=False,
    )
    parser.add_argument("--directory", type=Path, default=Path(), help="working directory")
    parser.add_argument("--profile", default=str(PROJECT / "profiles" / "local"))
    chosen, arguments = parser.parse_known_args()
    directory = chosen.directory.resolve()
    print(overview(preflight.study_of(arguments, directory, chosen.profile), directory))


if __name__ == "__main__":
    try:
        main()
    except (JobError, StudyError) as error:
        sys.exit(f"error: {error}")
