"""Closed forms as plain broadcasting numpy functions; no objects, no units but SI."""

from capmodel.formulary.blocks import (
    block_rate,
    block_ring_carried_rate,
    block_ring_loss,
    double_buffer_carried_rate,
    double_buffer_loss,
    mean_excess_erlang,
    mean_max_erlang,
)
from capmodel.formulary.bursts import (
    buffer_for_loss_on_off,
    finite_run_drops,
    finite_run_loss_diffusion,
    loss_on_off_deterministic,
    loss_on_off_fluid,
)
from capmodel.formulary.channel import channel_item_time
from capmodel.formulary.consumers import shared_core_carried_rate
from capmodel.formulary.drivers import interrupts_per_packet_napi
from capmodel.formulary.loss import loss_gg1k_diffusion
from capmodel.formulary.same_core import closed_loop_rate, same_core_carried_rate
from capmodel.formulary.scheduling import environment_mean, environment_variance
from capmodel.formulary.split import (
    carried_rate_saturated,
    critical_rate,
    kappa_effective,
    optimal_consumer_cost,
    packets_per_wakeup,
    poll_miss_probability,
    wakeup_rate_saturated,
)

__all__ = [
    "block_rate",
    "block_ring_carried_rate",
    "block_ring_loss",
    "buffer_for_loss_on_off",
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
    "interrupts_per_packet_napi",
    "kappa_effective",
    "loss_gg1k_diffusion",
    "loss_on_off_deterministic",
    "loss_on_off_fluid",
    "mean_excess_erlang",
    "mean_max_erlang",
    "optimal_consumer_cost",
    "packets_per_wakeup",
    "poll_miss_probability",
    "same_core_carried_rate",
    "shared_core_carried_rate",
    "wakeup_rate_saturated",
]
