"""Closed forms as plain broadcasting numpy functions; no objects, no units but SI."""

from capmodel.formulary.batches import interrupt_batch_loss
from capmodel.formulary.block_waits import block_backlog, block_sojourn_time
from capmodel.formulary.blocks import (
    block_rate,
    block_ring_carried_rate,
    block_ring_loss,
    double_buffer_carried_rate,
    double_buffer_loss,
    mean_excess_erlang,
    mean_max_erlang,
)
from capmodel.formulary.bulk import (
    bulk_ring_carried_rate,
    bulk_ring_loss,
    retire_timer_block_rate,
)
from capmodel.formulary.burst_backlog import (
    mean_backlog_on_off_deterministic,
    mean_backlog_on_off_fluid,
)
from capmodel.formulary.bursts import (
    buffer_for_loss_on_off,
    finite_run_drops,
    finite_run_loss_diffusion,
    loss_on_off_deterministic,
    loss_on_off_fluid,
)
from capmodel.formulary.channel import channel_item_time
from capmodel.formulary.closed_loop import closed_loop_rate
from capmodel.formulary.consumers import shared_core_carried_rate
from capmodel.formulary.drivers import interrupts_per_packet_napi
from capmodel.formulary.first_passage import (
    first_passage_cdf_brownian,
    first_passage_quantile_brownian,
    mean_overflow_time_diffusion,
    overflow_time_cdf_diffusion,
    overflow_time_quantile_diffusion,
)
from capmodel.formulary.gim1k import (
    loss_gim1k,
)
from capmodel.formulary.loss import loss_gg1k_diffusion
from capmodel.formulary.mg1k import (
    loss_md1k,
    loss_mg1k,
    loss_mg1k_counts,
)
from capmodel.formulary.mg1k_occupancy import (
    mean_occupancy_mg1k,
    mean_sojourn_time_mg1k,
    occupancy_mg1k,
    occupancy_quantile_mg1k,
)
from capmodel.formulary.mm1k import (
    loss_mm1k,
    mean_occupancy_mm1k,
    occupancy_mm1k,
    occupancy_quantile_mm1k,
)
from capmodel.formulary.mm1k_sojourn import (
    mean_sojourn_time_mm1k,
    sojourn_time_quantile_mm1k,
    sojourn_time_survival_mm1k,
)
from capmodel.formulary.mmpp import (
    loss_map1k,
    loss_mmpp1k,
    mean_occupancy_map1k,
)
from capmodel.formulary.optimal_sleep import (
    optimal_sleep,
    optimal_sleep_normal,
)
from capmodel.formulary.overflow import (
    mean_overflow_time_mg1k,
    mean_overflow_time_mm1k,
    overflow_time_cdf_mm1k,
    overflow_time_quantile_mm1k,
)
from capmodel.formulary.recovery import (
    loss_in_stalls,
    mean_recovery_time_mg1,
    recovery_time_cdf_mg1,
    recovery_time_quantile_mg1,
    stall_drops,
    stall_loss_probability,
    variance_recovery_time_mg1,
)
from capmodel.formulary.same_core import same_core_carried_rate
from capmodel.formulary.saturated import (
    saturated_finite_buffer,
)
from capmodel.formulary.scheduling import environment_mean, environment_variance
from capmodel.formulary.skew import (
    HashSpread,
    rss_captured,
    rss_loss,
    rss_loss_free_load,
    rss_spread,
    zipf_shares,
)
from capmodel.formulary.split import (
    carried_rate_saturated,
    critical_rate,
    kappa_effective,
    optimal_consumer_cost,
    packets_per_wakeup,
    poll_miss_probability,
    wakeup_rate_saturated,
)
from capmodel.formulary.vacations import (
    VacationResult,
    fixed_sleep,
    n_policy,
)
from capmodel.formulary.wake_interrupt import wake_interrupt_probability

__all__ = [
    "HashSpread",
    "VacationResult",
    "block_backlog",
    "block_rate",
    "block_ring_carried_rate",
    "block_ring_loss",
    "block_sojourn_time",
    "buffer_for_loss_on_off",
    "bulk_ring_carried_rate",
    "bulk_ring_loss",
    "carried_rate_saturated",
    "channel_item_time",
    "closed_loop_rate",
    "critical_rate",
    "double_buffer_carried_rate",
    "double_buffer_loss",
    "environment_mean",
    "environment_variance",
    "finite_run_drops",
    "finite_run_loss_diffusion",
    "first_passage_cdf_brownian",
    "first_passage_quantile_brownian",
    "fixed_sleep",
    "interrupt_batch_loss",
    "interrupts_per_packet_napi",
    "kappa_effective",
    "loss_gg1k_diffusion",
    "loss_gim1k",
    "loss_in_stalls",
    "loss_map1k",
    "loss_md1k",
    "loss_mg1k",
    "loss_mg1k_counts",
    "loss_mm1k",
    "loss_mmpp1k",
    "loss_on_off_deterministic",
    "loss_on_off_fluid",
    "mean_backlog_on_off_deterministic",
    "mean_backlog_on_off_fluid",
    "mean_excess_erlang",
    "mean_max_erlang",
    "mean_occupancy_map1k",
    "mean_occupancy_mg1k",
    "mean_occupancy_mm1k",
    "mean_overflow_time_diffusion",
    "mean_overflow_time_mg1k",
    "mean_overflow_time_mm1k",
    "mean_recovery_time_mg1",
    "mean_sojourn_time_mg1k",
    "mean_sojourn_time_mm1k",
    "n_policy",
    "occupancy_mg1k",
    "occupancy_mm1k",
    "occupancy_quantile_mg1k",
    "occupancy_quantile_mm1k",
    "optimal_consumer_cost",
    "optimal_sleep",
    "optimal_sleep_normal",
    "overflow_time_cdf_diffusion",
    "overflow_time_cdf_mm1k",
    "overflow_time_quantile_diffusion",
    "overflow_time_quantile_mm1k",
    "packets_per_wakeup",
    "poll_miss_probability",
    "recovery_time_cdf_mg1",
    "recovery_time_quantile_mg1",
    "retire_timer_block_rate",
    "rss_captured",
    "rss_loss",
    "rss_loss_free_load",
    "rss_spread",
    "same_core_carried_rate",
    "saturated_finite_buffer",
    "shared_core_carried_rate",
    "sojourn_time_quantile_mm1k",
    "sojourn_time_survival_mm1k",
    "stall_drops",
    "stall_loss_probability",
    "variance_recovery_time_mg1",
    "wake_interrupt_probability",
    "wakeup_rate_saturated",
    "zipf_shares",
]
