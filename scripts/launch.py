"""Start the Snakemake driver as a job of the cluster, or here.

    .venv/bin/python scripts/launch.py                            as a job, with profiles/slurm
    .venv/bin/python scripts/launch.py -- --config study=PATH     what follows goes to Snakemake
    .venv/bin/python scripts/launch.py --cluster local            here, with profiles/local

Run again after whatever happened, it goes on: it waits for the jobs that an earlier driver left
in the queue (--orphans await) or cancels them (--orphans cancel), unlocks, and submits the rest.
"""

import argparse
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "scripts"))

from collapse.cluster import driver, preflight  # noqa: E402
from collapse.cluster.findings import report  # noqa: E402
from collapse.errors import JobError  # noqa: E402


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--directory", type=Path, default=Path(), help="where results go")
    parser.add_argument(
        "--cluster",
        choices=["slurm", "local", "debug"],
        default="slurm",
        help="where the driver runs: as a job, in a process, or in this one",
    )
    parser.add_argument(
        "--profile",
        help="where the study's jobs run (default: slurm, with --cluster slurm; else local)",
    )
    parser.add_argument(
        "--orphans",
        choices=["await", "cancel"],
        default="await",
        help="what becomes of the jobs that an earlier driver left",
    )
    parser.add_argument(
        "--minutes", type=int, default=1440, help="of the driver's job, which then queues again"
    )
    parser.add_argument("--partition", help="of the driver's job")
    parser.add_argument("--account", help="of the driver's job")
    parser.add_argument("--memory", default="4GB", help="of the driver's job")
    parser.add_argument("--wait", action="store_true", help="until the driver has ended")
    parser.add_argument("--unchecked", action="store_true", help="skip the checks of make doctor")
    parser.add_argument("snakemake", nargs="*", help="arguments for Snakemake, after --")
    return parser.parse_args()


def main() -> int:
    """Launch, and return the exit status."""
    chosen = arguments()
    directory = chosen.directory.resolve()
    profile = chosen.profile or ("slurm" if chosen.cluster == "slurm" else "local")
    if not Path(profile).is_dir():
        profile = str(PROJECT / "profiles" / profile)
    profile = str(Path(profile).resolve())
    submits = preflight.read_profile(profile).get("executor") == "slurm"
    if submits and not chosen.unchecked:
        findings = preflight.examine(profile, directory, chosen.snakemake)
        if report([finding for finding in findings if finding.remedy]):
            return 1
    plan = driver.Driver(
        directory=str(directory),
        command=[
            *(sys.executable, "-m", "snakemake", "--snakefile", str(PROJECT / "Snakefile")),
            *("--directory", str(directory), "--profile", profile, *chosen.snakemake),
        ],
        orphans=chosen.orphans,
        submits=submits,
    )
    optional = {"partition": chosen.partition, "account": chosen.account}
    job = driver.launch(
        plan,
        chosen.cluster,
        job_name="collapse-driver",
        time=chosen.minutes,
        mem=chosen.memory,
        **{key: value for key, value in optional.items() if value},
    )
    if chosen.cluster == "slurm":
        print(f"the driver is job {job.job_id}; its log: {job.paths.stderr}")
        return driver.wait(job) if chosen.wait else 0
    return driver.wait(job)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except JobError as error:
        sys.exit(f"error: {error}")
