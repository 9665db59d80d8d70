"""What models write in closed form: the samples that arrive, their weights and metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from collapse import families
from collapse.errors import JobError
from collapse.families import regime_metrics
from collapse.families.simulator import Samples, Simulator
from collapse.loop.exchanging import Exchange
from collapse.loop.selected_draws import Selector
from collapse.regimes import Balance, Totals
from collapse.seeding import Streams
from collapse.study.chain_spec import ChainSpec

Array = NDArray[np.float64]

#: Most candidates of each seed that are in memory at once, unless the caller says how many.
AT_ONCE = 2**20


class Writer:
    """Draws the samples that models write for the next iteration, as the regime selects them.

    It also draws which arriving samples are real, and records the metrics of what the regime did.

    Parameters
    ----------
    spec : ChainSpec
    simulator : Simulator
    streams : Streams
        The random streams of the seeds.
    at_once : int
        How many candidates of each seed are in memory at once, with best and softmax.
    exchange : Exchange or None
        Who writes the samples, in a population; otherwise the newest model does.
    """

    def __init__(
        self,
        spec: ChainSpec,
        simulator: Simulator[Any, Any],
        streams: Streams,
        at_once: int = AT_ONCE,
        exchange: Exchange | None = None,
    ) -> None:
        self._regime, self._n = spec.regime, spec.samples
        self._simulator = simulator
        self._streams = streams
        self._exchange = exchange
        self._selector = None
        if spec.regime.select is not None:
            sign = families.load(spec.family).scores[spec.regime.select.score].sign
            self._selector = Selector(spec.regime.select, sign, simulator, streams, at_once)
        self._declared = regime_metrics.of_regime(spec.regime)
        self._recorded: dict[int, dict[str, Array]] = {}
        if regime_metrics.OF_WEIGHTS.keys() <= self._declared.keys():
            self._record(1, "effective_sample_size", np.full(self.seeds, float(spec.samples)))
            self._record(1, "real_share", np.ones(self.seeds))

    @property
    def seeds(self) -> int:
        """The number of seeds."""
        return len(self._streams)

    @property
    def counts_all_the_same(self) -> bool:
        """Whether all synthetic samples have the same weight."""
        return self._regime.weigh is None or self._regime.weigh.score is None

    @property
    def has_one_author(self) -> bool:
        """Whether the samples that arrive at an iteration are all of one model."""
        return self._exchange is None or self._exchange.has_one_author

    def statistics(self, model: Any, count: int, t: int) -> Any:
        """Return the statistics of the samples that arrive at iteration t, of the newest model."""
        if self._exchange is not None:
            return self._exchange.statistics(count, t)
        if self._regime.select is None:
            return self._simulator.sample_statistics(model, count, t - 1)
        return self._simulator.summarise(self.samples(model, count, t))

    def samples(self, model: Any, count: int, t: int) -> Samples:
        """Return the samples that arrive at iteration t, written by the newest model."""
        if self._exchange is not None:
            return self._exchange.samples(count, t)
        if self._selector is None:
            return self._simulator.sample(model, count, t - 1)
        selected = self._selector.samples(model, count, t)
        for name, values in selected.metrics.items():
            self._record(t, name, values)
        return selected.samples

    def weights(self, samples: Samples, t: int, there: NDArray[np.bool_] | None = None) -> Array:
        """Return the weights of synthetic samples (seeds, samples); 0 where they are not there."""
        weigh = self._regime.weigh
        if weigh is None or weigh.score is None:
            weights = np.ones(samples[0].shape[:2])
        else:
            try:
                weights = weigh.of_scores(self._simulator.score(weigh.score, samples))
            except ValueError as error:
                raise JobError(f"weigh: {error} at iteration {t}") from None
            if not weights.any(axis=1).all():
                raise JobError(
                    f"weigh: found the weight 0 for every sample that is written for iteration {t},"
                    " expected a positive one"
                )
        return weights if there is None else weights * there

    def provenance(self, t: int) -> NDArray[np.bool_] | None:
        """Draw which of the samples that arrive at iteration t are real: (seeds, arriving).

        It is None if their numbers are fixed.
        """
        fresh = self._regime.fresh(t, self._n)
        arriving = fresh + self._regime.generated(t, self._n)
        if self._regime.provenance == "fixed" or not 0 < fresh < arriving:
            return None
        return self._streams.uniform("provenance", t, (arriving,)) < fresh / arriving

    def real_share(self, t: int) -> float | None:
        """Return the share of real samples in all weight at iteration t, if the regime has one."""
        return self._regime.weigh.real_share(t) if self._regime.weigh else None

    def record_weights(self, t: int, factors: Balance, real: Totals, synthetic: Totals) -> None:
        """Record the effective sample size and the share of real samples of a training set."""
        parts = factors.real * real.weight, factors.synthetic * synthetic.weight
        self.record_sizes(t, factors.effective, parts[0] / (parts[0] + parts[1]))

    def record_sizes(self, t: int, effective: Array | int, real_share: Array) -> None:
        """Record the effective sample size and the share of real samples of a training set."""
        self._record(t, "effective_sample_size", np.full(self.seeds, effective))
        self._record(t, "real_share", real_share)

    def _record(self, t: int, name: str, values: Array) -> None:
        self._recorded.setdefault(t, {})[name] = np.asarray(values, dtype=np.float64)

    def metrics(self, t: int) -> dict[str, Array]:
        """Return the metrics of what the regime did for iteration t: NaN where it did nothing."""
        found = self._recorded.pop(t, {})
        nothing = np.full(self.seeds, np.nan)
        return {name: found.get(name, nothing) for name in self._declared}
