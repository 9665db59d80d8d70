"""What the plan of a study warns of: seeds that are too few to show an effect."""

from __future__ import annotations

from collections.abc import Iterator

from collapse.study import Study, mixtures, power

#: A grid of mixtures should show effects of so many standard deviations between seeds.
POOR = 1.0


def of_mixtures(study: Study) -> Iterator[str]:
    """Yield a line for each grid with too few seeds to tell what synthetic data is worth."""
    for name, experiment in study.experiments.items():
        grids = mixtures.grids(study.chains(name)) if mixtures.among(study, name) else []
        amounts = [
            count for grid in grids for count in mixtures.amounts_beside_none(grid.chains).values()
        ]
        seeds = len(experiment.seed_list)
        if not amounts:
            continue
        smallest = power.detectable_by(seeds, max(amounts), len(amounts))
        if smallest > POOR:
            wanted = power.seeds_for(POOR, max(amounts), len(amounts))
            told = f"shows an effect of {smallest:.1f}" if seeds > 1 else "shows no effect, of any"
            yield (
                f"\nwarning: {name}: {seeds} seed{'s' * (seeds > 1)}, {max(amounts)} amounts of "
                f"synthetic data beside each of {len(amounts)} numbers of real samples:\nthe table "
                f"of mixtures {told} standard deviations between seeds in "
                f"4 of 5 cases; for {POOR:g}\nit takes {wanted} seeds."
            )
