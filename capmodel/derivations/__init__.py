"""Where the closed forms come from: each derived again in SymPy from balance or renewal equations.

Nothing in the package imports this room; the tests compare its expressions with the numpy formulas,
and the paper prints them. ``DERIVATIONS`` maps the name of a formula to the function that derives
it, in symbols that are named like the formula's arguments (a formula that returns several values
has a derivation that returns as many). ``EXEMPT`` says of every other formula why it has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from capmodel.derivations import (
    block_waits,
    blocks,
    bulk,
    channel,
    closed_loop,
    double_buffer,
    environment,
    erlang_excess,
    finite_run,
    gim1k,
    interrupts,
    mg1k,
    mm1k,
    on_off,
    overflow,
    poll,
    recovery,
    same_core,
    saturated,
    skew,
    unified,
    vacations,
    wake_interrupt,
)

DERIVATIONS: Mapping[str, Callable[[], Any]] = MappingProxyType({
    "block_backlog": block_waits.block_backlog,
    "block_rate": blocks.block_rate,
    "block_ring_carried_rate": blocks.block_ring_carried_rate,
    "block_ring_loss": blocks.block_ring_loss,
    "block_sojourn_time": block_waits.block_sojourn_time,
    "buffer_for_loss_on_off": on_off.buffer_for_loss_on_off,
    "bulk_ring_carried_rate": bulk.bulk_ring_carried_rate,
    "bulk_ring_loss": bulk.bulk_ring_loss,
    "carried_rate_saturated": unified.carried_rate_saturated,
    "channel_item_time": channel.channel_item_time,
    "closed_loop_rate": closed_loop.closed_loop_rate,
    "critical_rate": unified.critical_rate,
    "double_buffer_carried_rate": double_buffer.double_buffer_carried_rate,
    "double_buffer_loss": double_buffer.double_buffer_loss,
    "environment_mean": environment.environment_mean,
    "environment_variance": environment.environment_variance,
    "finite_run_drops": finite_run.finite_run_drops,
    "first_passage_cdf_brownian": overflow.first_passage_cdf_brownian,
    "finite_run_loss_diffusion": finite_run.finite_run_loss_diffusion,
    "fixed_sleep": vacations.fixed_sleep,
    "interrupts_per_packet_napi": interrupts.interrupts_per_packet_napi,
    "kappa_effective": unified.kappa_effective,
    "loss_gim1k": gim1k.loss_gim1k,
    "loss_in_stalls": recovery.loss_in_stalls,
    "loss_md1k": mg1k.loss_md1k,
    "loss_mg1k": mg1k.loss_md1k,
    "loss_mm1k": mm1k.loss_mm1k,
    "loss_on_off_deterministic": on_off.loss_on_off_deterministic,
    "loss_on_off_fluid": on_off.loss_on_off_fluid,
    "mean_backlog_on_off_deterministic": on_off.mean_backlog_on_off_deterministic,
    "mean_backlog_on_off_fluid": on_off.mean_backlog_on_off_fluid,
    "mean_excess_erlang": erlang_excess.mean_excess_erlang,
    "mean_max_erlang": erlang_excess.mean_max_erlang,
    "mean_occupancy_mg1k": mg1k.mean_occupancy_mg1k,
    "mean_occupancy_mm1k": mm1k.mean_occupancy_mm1k,
    "mean_overflow_time_diffusion": overflow.mean_overflow_time_diffusion,
    "mean_overflow_time_mg1k": overflow.mean_overflow_time_mg1k,
    "mean_overflow_time_mm1k": overflow.mean_overflow_time_mm1k,
    "mean_recovery_time_mg1": recovery.mean_recovery_time_mg1,
    "mean_sojourn_time_mg1k": mg1k.mean_sojourn_time_mg1k,
    "mean_sojourn_time_mm1k": mm1k.mean_sojourn_time_mm1k,
    "n_policy": vacations.n_policy,
    "occupancy_mg1k": mg1k.occupancy_mg1k,
    "occupancy_mm1k": mm1k.occupancy_mm1k,
    "optimal_consumer_cost": unified.optimal_consumer_cost,
    "packets_per_wakeup": unified.packets_per_wakeup,
    "poll_miss_probability": poll.poll_miss_probability,
    "recovery_time_cdf_mg1": recovery.recovery_time_cdf_mg1,
    "retire_timer_block_rate": bulk.retire_timer_block_rate,
    "rss_captured": skew.rss_captured,
    "rss_loss": skew.rss_loss,
    "rss_loss_free_load": skew.rss_loss_free_load,
    "same_core_carried_rate": same_core.same_core_carried_rate,
    "saturated_finite_buffer": saturated.saturated_finite_buffer,
    "sojourn_time_survival_mm1k": mm1k.sojourn_time_survival_mm1k,
    "stall_drops": recovery.stall_drops,
    "stall_loss_probability": recovery.stall_loss_probability,
    "variance_recovery_time_mg1": recovery.variance_recovery_time_mg1,
    "wake_interrupt_probability": wake_interrupt.wake_interrupt_probability,
    "wakeup_rate_saturated": unified.wakeup_rate_saturated,
})  # fmt: skip

_INVERSE = "An inverse found by search: the function it inverts is derived, and tested with it."

_RESULT = "A record of results, with no formula of its own to be derived."
_CHAIN = (
    "A numerical solution of a chain: derivations/mmpp.py solves the same balance equations in "
    "rational arithmetic, and a test of its own compares them."
)

_INVERSION = (
    "A transform inverted numerically: the transform's mean is derived, and the distribution is "
    "compared with that of the chain, or of the limit, in tests of its own."
)

EXEMPT: Mapping[str, str] = MappingProxyType({
    "HashSpread": _RESULT,
    "VacationResult": _RESULT,
    "loss_map1k": _CHAIN,
    "loss_mmpp1k": _CHAIN,
    "mean_occupancy_map1k": _CHAIN,
    "optimal_sleep": _INVERSE,
    "optimal_sleep_normal":
        "A root of an equation that stands in its docstring, where the number of arrivals in a "
        "sleep is taken as normal; tested against optimal_sleep.",
    "rss_spread":
        "A Monte Carlo experiment: its mean is tested against rss_captured, which is derived.",
    "zipf_shares": "A definition, Zipf's law, divided by its sum so that the shares add to one.",
    "loss_mg1k_counts":
        "The recursion of loss_mg1k for any counts; compared with the symbolic chain of "
        "departures for small K in a test of its own.",
    "first_passage_quantile_brownian": _INVERSE,
    "overflow_time_cdf_diffusion": _INVERSION,
    "overflow_time_cdf_mm1k": _INVERSION,
    "overflow_time_quantile_diffusion": _INVERSE,
    "overflow_time_quantile_mm1k": _INVERSE,
    "recovery_time_quantile_mg1": _INVERSE,
    "occupancy_quantile_mg1k": _INVERSE,
    "occupancy_quantile_mm1k": _INVERSE,
    "sojourn_time_quantile_mm1k": _INVERSE,
    "loss_gg1k_diffusion":
        "A two-moment interpolation between the fluid limit and heavy traffic, not a solution of "
        "balance equations; its source and its measured error are in its docstring.",
    "interrupt_batch_loss":
        "A mean over busy periods that are taken as normal, not a solution of balance equations: "
        "its cycle is in its docstring, and a test of its own follows a ring packet by packet.",
    "shared_core_carried_rate":
        "A mean-field fixed point without a closed solution; its equations are in its docstring, "
        "and at one process it is the saturated law, which is derived.",
})  # fmt: skip

__all__ = ["DERIVATIONS", "EXEMPT"]
