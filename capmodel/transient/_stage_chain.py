"""One stage of a path as the decomposition sees it, as a chain that ends with the first loss."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from capmodel.numerics.gth import Array
from capmodel.numerics.level_law import Blocks
from capmodel.numerics.passage import mean_times
from capmodel.numerics.uniformisation import Absorption, absorption
from capmodel.numerics.whole_chain import whole_chain
from capmodel.path import CapturePath
from capmodel.solvers import decomposition
from capmodel.solvers._sleeping import SleeperChain
from capmodel.solvers._stage_quantiles import StageQuantiles, first_of

MOST_LEVELS = 200_000


@dataclass(frozen=True)
class StageChain:
    """Rates within a stage, losses from its last level, and where it begins."""

    blocks: Blocks
    loss: Array
    level: int
    start: Array  # phases of that level

    @property
    def mean(self) -> float:
        """Mean time until the first loss [s]; infinite beyond 1e308."""
        mean = float(self.start @ mean_times(self.blocks, self.loss)[self.level])
        return mean if np.isfinite(mean) else np.inf

    def followed(self, most_work: float) -> Absorption:
        """The distribution of that time, by uniformisation."""
        rates = whole_chain(self.blocks)
        exits, start = np.zeros(rates.shape[0]), np.zeros(rates.shape[0])
        exits[-len(self.loss) :] = self.loss
        below, each = len(self.blocks.below), len(self.loss)
        at = 0 if self.level == 0 else below + (self.level - 1) * each
        start[at : at + len(self.start)] = self.start
        return absorption(rates, exits, start, most_work=most_work)


def stage_chain(path: CapturePath, stage: str, level: int) -> StageChain | None:
    """The chain of a stage with so many packets in it; None where the decomposition has none."""
    endless = replace(path, arrivals=replace(path.arrivals, duration=np.inf))
    if decomposition.accepts(endless) is not None:
        return None
    known = decomposition.solve(endless).distributions
    if not isinstance(known, StageQuantiles):
        return None
    return {"ring": _ring, "buffer": _buffer}[stage](known, level)


def _ring(known: StageQuantiles, level: int) -> StageChain:
    levels, boundary, _ = known.ring_chain
    blocks = Blocks.of(levels, boundary)
    ring = known.ring
    start = np.zeros(len(blocks.up) if level else len(blocks.below))
    asleep, k = int(ring.coupled), ring.k
    if level:  # an interval between arrivals has just begun
        phases = slice(asleep * ring.p * k, (asleep + 1) * ring.p * k, k)
        start[phases] = ring.kernel.time.start
    else:
        start[asleep * k] = 1.0
    return StageChain(blocks, blocks.up.sum(-1), level, start)


def _buffer(known: StageQuantiles, level: int) -> StageChain:
    feed, consumer = first_of(known.feed), known.consumer
    lost = feed.full_delivers.sum(-1)
    silent = replace(feed, full_delivers=0.0 * feed.full_delivers)
    chain = SleeperChain(silent, consumer, known.capacity)
    blocks = Blocks.of(*chain.rates(silent))
    m, d, r = consumer.service.order, consumer.stages, len(lost)
    groups = (len(blocks.up) - r * m) // (r * d)
    loss = np.concatenate([np.repeat(lost, m), *[np.repeat(lost, d)] * groups])
    start = np.zeros(len(blocks.up) if level else len(blocks.below))
    if level:
        start[:m] = consumer.service.start  # the kernel is idle
    else:
        start[chain.bottom.waiting.start] = 1.0
    return StageChain(blocks, loss, level, start)
