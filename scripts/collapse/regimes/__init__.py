"""Regimes: the rules that form the training set of iteration t, as data.

A regime says which *sources* are in the *pool* of iteration t >= 2 and how many samples
are drawn from that pool; iteration 1 always trains on real data alone. Both loops, in closed
form and by steps, take their training sets from this package alone.
"""

from collapse.regimes.draws import draw_counts, draw_positions
from collapse.regimes.named import NAMED, mixture
from collapse.regimes.population import Population, counts
from collapse.regimes.provenance import realised
from collapse.regimes.regime import Regime, Source
from collapse.regimes.selection import Choice, Select, choose, rivals
from collapse.regimes.sizes import samples_in
from collapse.regimes.weights import Balance, Totals, Weigh, balance

__all__ = [
    "NAMED",
    "Balance",
    "Choice",
    "Population",
    "Regime",
    "Select",
    "Source",
    "Totals",
    "Weigh",
    "balance",
    "choose",
    "counts",
    "draw_counts",
    "draw_positions",
    "mixture",
    "realised",
    "rivals",
    "samples_in",
]
