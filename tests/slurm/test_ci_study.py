"""The CI study on SLURM with the shipped profile: the same numbers as without, and the time."""

import re
import shutil
import subprocess
import time

from collapse import study as studies
from collapse.cluster import waiting
from collapse.loop.branches import Branches
from harness import Cluster, assert_same, slurm, submissions
from running import PROJECT


def test_a_cluster_gives_the_numbers_of_a_laptop(tmp_path, ci, tell):
    cluster = Cluster(tmp_path / "cluster", ci.study, look=None)
    began = time.monotonic()
    printed = cluster.finish(cluster.start(), seconds=1200)
    seconds = time.monotonic() - began
    assert_same(cluster, ci, ci.experiments)
    assert cluster.path("tables/summary.txt").exists()
    assert not list(cluster.path("").rglob(".finished")) + list(cluster.path("").rglob(".training"))

    # A submission holds 16 closed-form chains, on one core without a GPU, or one iteration, on a
    # GPU if the family is neural.
    study = studies.load(ci.study)
    closed = [name for name, plan in study.experiments.items() if not plan.by_iteration]
    chains, gaussian, neural = (
        [slurm("scontrol", "show", "job", job) for job in submissions(printed, name)]
        for name in ("group_chains_", "iteration-gaussian-steps-", "iteration-language-model-")
    )
    assert len(chains) == -(-sum(len(list(study.chains(name))) for name in closed) // 16)
    assert len(gaussian) == 2 + 2 * 2 * 2  # iteration 1 of each seed, 2 regimes of 2 iterations
    assert len(neural) == 1 + 2
    assert all("gres:gpu:1" in one for one in neural)
    assert not any("gres:gpu" in one for one in chains + gaussian)
    assert all(re.search(r"NumCPUs=1 ", one) for one in chains + gaussian + neural)

    count = int(re.search(r"(\d+) of \1 steps", printed)[1])
    tell(
        f"CI study: {count} jobs in {len(submissions(printed))} submissions: "
        f"{seconds:.0f} s, {seconds / count:.1f} s a job; "
        f"its datasets on this machine alone: {ci.seconds:.0f} s"
    )
    tell(waiting.render(cluster.directory, study))


def test_two_seeds_of_a_chain_may_share_a_submission(tmp_path, ci, tell):
    """The profile is changed as its comments say."""
    folder = shutil.copytree(PROJECT / "profiles" / "slurm", tmp_path / "profiles" / "slurm")
    profile = folder / "config.yaml"
    for change in re.findall(r"^#   (sed -i .*)$", profile.read_text(), re.MULTILINE):
        subprocess.run(change, shell=True, cwd=tmp_path, check=True)
    changed = profile.read_text()
    together = "group-components:\n  - iteration-{experiment}-{regime}=2\n"
    profile.write_text(changed.replace("group-components:\n", together))

    study = studies.load(ci.study)
    branches = Branches(study, "gaussian-steps").all()
    chains = [chain for chain in branches if chain.regime_name == "replace"]
    targets = [chain.metrics(2) for chain in chains]
    cluster = Cluster(tmp_path / "cluster", ci.study, *targets, look=None)
    cluster.profile = folder
    printed = cluster.finish(cluster.start())
    # Iteration 1 is a submission of its own, which chains share.
    assert len(submissions(printed, "iteration-gaussian-steps-")) == 2 < len(chains) * 2
    for chain in chains:
        found, expected = (run.directory / chain.metrics(2) for run in (cluster, ci))
        assert found.read_bytes() == expected.read_bytes()
    spent = waiting.of_chains(cluster.directory, chains, 2)
    tell(
        f"gaussian-steps, a chain of two seeds in a submission: {spent.share:.0%} of the wall time "
        f"outside the steps ({(spent.wall - spent.inside) / spent.steps:.1f} s per step)"
    )
