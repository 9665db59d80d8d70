"""The CI study on SLURM with the shipped profile: the same numbers as without, and the time."""

import re
import time

from collapse import study as studies
from collapse.cluster import waiting
from collapse.loop.batches import batches
from harness import Cluster, assert_same, slurm, submissions


def test_a_cluster_gives_the_numbers_of_a_laptop(tmp_path, ci, tell):
    cluster = Cluster(tmp_path / "cluster", ci.study, look=None)
    began = time.monotonic()
    printed = cluster.finish(cluster.start(), seconds=1200)
    seconds = time.monotonic() - began
    assert_same(cluster, ci, ci.experiments)
    assert cluster.path("tables/summary.txt").exists()
    assert not list(cluster.path("").rglob(".training"))

    # A submission holds the closed-form chains of 16 points, on one core without a GPU, or the
    # chains by steps of a seed, on a GPU if the family is neural.
    study = studies.load(ci.study)
    closed = [name for name, plan in study.experiments.items() if not plan.by_iteration]
    chains, gaussian, neural = (
        [slurm("scontrol", "show", "job", job) for job in submissions(printed, name)]
        for name in (
            "group_closed-form_",
            "group_seed-gaussian-steps-",
            "group_seed-language-model-",
        )
    )
    assert len(chains) == -(-sum(len(batches(study, name)) for name in closed) // 16)
    assert (len(gaussian), len(neural)) == (2, 1)  # as many as seeds
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
    text = waiting.of_experiment(cluster.directory, study, "language-model")
    steps = waiting.of_experiment(cluster.directory, study, "gaussian-steps")
    # With five other processes on two cores it was 6 %, and 0.2 s.
    assert text.share < 0.15
    assert (steps.wall - steps.inside) / steps.steps < 1
