"""Export the results of a study as a Workflow Run RO-Crate, results/ro-crate-metadata.json.

    .venv/bin/python scripts/crate.py                          the study in config/config.yaml
    .venv/bin/python scripts/crate.py --config study=PATH      another one

The study has to have run.
"""

import argparse
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "scripts"))

from collapse import study  # noqa: E402
from collapse.artifacts import sources  # noqa: E402
from collapse.cluster import preflight  # noqa: E402
from collapse.errors import JobError  # noqa: E402
from collapse.loop import run  # noqa: E402
from collapse.results import crate  # noqa: E402

#: That nobody has been given any right is the truth as long as the user does not say otherwise.
RESERVED = "https://rightsstatements.org/vocab/InC/1.0/"


def main() -> None:
    """Write the crate, and print where it is."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="Other arguments are for Snakemake, such as --config study=PATH.",
        allow_abbrev=False,
    )
    parser.add_argument("--directory", type=Path, default=Path(), help="working directory")
    parser.add_argument("--profile", default=str(PROJECT / "profiles" / "local"))
    parser.add_argument("--license", default=RESERVED, help="address of the results' licence")
    chosen, arguments = parser.parse_known_args()
    directory = chosen.directory.resolve()
    path = preflight.study_file(arguments, directory, chosen.profile)
    plan = study.load(path)
    written = crate.write(
        directory / "results",
        plan,
        study_file=path,
        sources=sources.checksums(run.named_sources(plan)),
        project=PROJECT,
        licence=chosen.license,
    )
    print(f"crate: {written}")


if __name__ == "__main__":
    try:
        main()
    except (JobError, study.StudyError) as error:
        sys.exit(f"error: {error}")
