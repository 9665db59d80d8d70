"""Start the Snakemake driver of a study as a SLURM job or on this machine.

    .venv/bin/python scripts/launch.py                            as a job, with profiles/slurm
    .venv/bin/python scripts/launch.py -- --config study=PATH     with arguments for Snakemake
    .venv/bin/python scripts/launch.py --cluster local            here, with profiles/local

To continue a run that was interrupted, start it again: it waits for the jobs that an earlier driver
left in the queue (--orphans await) or cancels them (--orphans cancel), unlocks the working
directory, and submits the remaining jobs.
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
    parser.add_argument("--directory", type=Path, default=Path(), help="working directory")
    parser.add_argument(
        "--cluster",
        choices=["slurm", "local", "debug"],
        default="slurm",
        help="run the driver as a SLURM job, in a process of its own, or in this process",
    )
    parser.add_argument(
        "--profile",
        help="Snakemake profile (default: slurm with --cluster slurm, else local)",
    )
    parser.add_argument(
        "--orphans",
        choices=["await", "cancel"],
        default="await",
        help="await or cancel the jobs that an earlier driver left in the queue",
    )
    parser.add_argument(
        "--minutes",
        type=int,
        default=driver.MINUTES,
        help="time limit of the driver's job, after which it queues again",
    )
    parser.add_argument("--partition", help="partition of the driver's job")
    parser.add_argument("--account", help="account of the driver's job")
    parser.add_argument("--memory", default="4GB", help="memory of the driver's job")
    parser.add_argument("--wait", action="store_true", help="wait until the driver has ended")
    parser.add_argument("--unchecked", action="store_true", help="skip the checks of make doctor")
    parser.add_argument("snakemake", nargs="*", help="arguments for Snakemake, after --")
    return parser.parse_args()


def main() -> int:
    """Start the driver, and return the exit status."""
    chosen = arguments()
    directory = chosen.directory.resolve()
    profile = chosen.profile or ("slurm" if chosen.cluster == "slurm" else "local")
    if not Path(profile).is_dir():
        profile = str(PROJECT / "profiles" / profile)
    profile = str(Path(profile).resolve())
    submits = preflight.read_profile(profile).get("executor") == "slurm"
    if submits and not chosen.unchecked:
        itself = (chosen.minutes if chosen.cluster == "slurm" else 0, chosen.partition or "")
        findings = preflight.examine(profile, directory, chosen.snakemake, driver=itself)
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
    if chosen.cluster == "local":
        print(f"the driver's log: {job.paths.stderr}")
    return driver.wait(job)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (JobError, OSError) as error:
        sys.exit(f"error: {error}")
