"""Names and numbers in, one :class:`CapturePath` out: the only place where costs are added up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from capmodel.application import Application
from capmodel.backend import Backend, StageCosts
from capmodel.errors import unknown_choice
from capmodel.formulary._elementwise import clip, floats, maximum, minimum, some
from capmodel.machine import Machine
from capmodel.path import (
    DRIVER_MODES,
    PINNINGS,
    Buffer,
    CapturePath,
    Consumer,
    Cores,
    Driver,
    Kernel,
    Number,
    Wakeup,
)
from capmodel.quantities import BufferSize
from capmodel.support import driver_rates, missing_costs, unsupported
from capmodel.wakeup_law import WakeupLaw
from capmodel.workload import Workload


@dataclass(frozen=True)
class Choices:
    """What the caller decides beyond workload, application, backend and machine.

    None leaves a choice to the backend, the machine, or (for `pinning`) to split where there is
    more than one core.
    """

    pinning: str | None = None
    ring: Number | None = None
    buffer: BufferSize | None = None
    capacity: Number | None = None
    consumers: Number = 1
    threshold: Number | None = None
    timeout: Number | None = None
    sleep: Number | None = None
    nic: str | None = None
    driver: str | None = None


def check_choices(backend: Backend, machine: Machine, choices: Choices) -> None:
    """Refuse what backend or machine cannot do, naming the argument.

    Parameters
    ----------
    backend, machine, choices : Backend, Machine, Choices
        As for :func:`assemble`.

    Raises
    ------
    ValueError
        One sentence.
    """
    pinning = choices.pinning
    if pinning is not None and pinning not in PINNINGS:
        raise unknown_choice("pinning", pinning, PINNINGS)
    if pinning in ("split", "auto") and machine.cores < 2:
        raise ValueError(
            f'pinning must be "same" on machine {machine.name!r}, which has one core, '
            f"got {pinning!r}"
        )
    for knob in ("ring", "buffer", "threshold", "timeout", "sleep"):
        if getattr(choices, knob) is not None and knob not in backend.knobs:
            allowed = ", ".join(sorted(backend.knobs)) or "none"
            raise ValueError(
                f"{knob} does not apply to backend {backend.name!r} "
                f"(policy {backend.waiting.policy}); its knobs are: {allowed}"
            )
    if "consumers" not in backend.knobs and some(floats(choices.consumers) != 1):
        raise ValueError(
            f"consumers must be 1 for backend {backend.name!r}, which serves one process, "
            f"got {float(np.max(choices.consumers)):g}"
        )
    if backend.on_full == "block" and pinning == "auto":
        raise ValueError(f'pinning must be "same" or "split" for the channel {backend.name!r}')
    if choices.driver is not None:
        _check_driver(choices.driver, machine, choices.nic)
    if choices.nic is not None and choices.nic not in machine.cards:
        raise unknown_choice(f"nic of machine {machine.name!r}", choices.nic, machine.cards)
    if choices.driver is not None and choices.driver not in DRIVER_MODES:
        raise unknown_choice("driver", choices.driver, DRIVER_MODES)


def _check_driver(driver: str, machine: Machine, nic: str | None) -> None:
    """A driver mode that works by a rate needs that rate from the machine."""
    for needed in driver_rates(driver, machine, nic):
        if needed not in machine:
            raise ValueError(
                f"driver {driver!r} needs {needed!r}, which machine {machine.name!r} lacks"
            )


def _total(machine_values: Mapping[str, Any], backend: Backend, stage: str) -> Any | None:
    return machine_values.get(f"totals.{backend.name}.{stage}")


def _stage_cost(
    costs: StageCosts, values: Mapping[str, Any], processes: Number, captured: Any, split: bool
) -> tuple[Any, Any]:
    """Cost per packet [s] of a stage, and the part of it that each process's socket adds."""
    once = sum((values[name] for name in costs.once), start=np.float64(0.0))
    each = sum((values[name] for name in costs.per_consumer), start=np.float64(0.0))
    if costs.copy:
        each = each + values[costs.copy] * captured
    once = _with_lines(once, costs.shared_lines, values, split)
    if costs.release:
        release = sum((values[name] for name in costs.release.once), start=np.float64(0.0))
        release = _with_lines(release, costs.release.shared_lines, values, split)
        once = once + release / costs.release.threshold
    return once + processes * each, processes * each


def _with_lines(cost: Any, lines: float, values: Mapping[str, Any], split: bool) -> Any:
    """A cost and the cache lines that are waited for where the sides run on two cores [s]."""
    if split and lines and "cache_line_transfer" in values:
        return cost + lines * values["cache_line_transfer"]
    return cost


def _slots(backend: Backend, amount: BufferSize, captured: Any) -> tuple[Any, Any]:
    """Packets that an amount of buffer holds, and bytes per packet in it."""
    rule = backend.buffer
    raw = captured + rule.header
    slot = maximum(np.ceil(floats(raw) / rule.align) * rule.align, 1.0)
    if amount.unit == "slots":
        return floats(amount.amount), slot
    return np.floor(amount.amount / slot), slot


def _buffer(
    backend: Backend, choices: Choices, application: Application, workload: Workload
) -> tuple[Buffer, Any]:
    """The buffer in packets, and its memory [bytes]."""
    rule = backend.buffer
    snaplen = application.snaplen
    captured = (
        snaplen if rule.fixed_slot and rule.kind == "slots" else workload.mean_captured(snaplen)
    )
    amount = choices.buffer if choices.buffer is not None else rule.default
    capacity, slot = _slots(backend, amount, captured)
    if choices.capacity is not None:
        capacity = floats(choices.capacity)
    _refuse_empty(capacity, amount, slot)
    memory = capacity * slot
    if rule.kind == "double":
        block = maximum(np.floor(capacity / 2.0), 1.0)
        return Buffer(2.0 * block, "double", block, 2.0), memory
    if rule.kind == "blocks":
        assert rule.block is not None
        block_bytes = rule.block.amount if rule.block.unit == "bytes" else rule.block.amount * slot
        block = maximum(np.floor(block_bytes / slot), 1.0)
        # a request smaller than a block is rounded up to one
        requested = amount.amount if amount.unit == "bytes" else memory
        blocks = maximum(np.floor(requested / block_bytes), 1.0)
        retire = choices.timeout if choices.timeout is not None else (rule.retire or np.inf)
        return Buffer(block * blocks, "blocks", block, blocks, retire), blocks * block_bytes
    return Buffer(capacity, rule.kind), memory


def buffer_memory(
    workload: Workload, application: Application, backend: Backend, choices: Choices
) -> Number:
    """Memory of one process's buffer.

    Parameters
    ----------
    workload, application, backend, choices
        As for :func:`assemble`.

    Returns
    -------
    float or ndarray
        [bytes]
    """
    return _buffer(backend, choices, application, workload)[1]


def _refuse_empty(capacity: Any, amount: BufferSize, slot: Any) -> None:
    if some(floats(capacity) < 1.0):
        raise ValueError(
            f"buffer must hold at least one packet of {float(np.max(slot)):.0f} bytes, got {amount}"
        )


def _cache_penalty(values: Mapping[str, Any], memory: Any) -> Any:
    """Extra time per packet of a ring that outgrows caches and TLB [s].

    A ring is written and read in a circle: every slot is touched again only after all others, so
    it misses once the ring exceeds the reach; the share of misses grows over one more reach.
    """
    if "large_buffer_miss" not in values:
        return 0.0
    reach = values["cache_reach"]
    return values["large_buffer_miss"] * clip((memory - reach) / reach, 0.0, 1.0)


# what a driver mode looks at besides the cost of an interrupt
_DRIVER_SETTINGS: Mapping[str, Mapping[str, str]] = {
    "napi": {"throttle": "nic.{nic}.throttle"},
    "thread": {"throttle": "nic.{nic}.throttle"},
    "moderated": {"throttle": "nic.{nic}.throttle"},
    "interrupt": {},
    "polling": {"tick": "poll_tick", "budget": "poll_budget"},
}


def _bus_rate(values: Mapping[str, Any], nic: str, size: Any) -> Any:
    """Most packets per second that the card's bus carries, descriptors included."""
    if f"nic.{nic}.bus_rate" not in values:
        return np.inf
    return values[f"nic.{nic}.bus_rate"] / (size + values[f"nic.{nic}.bus_descriptors"])


def _driver(values: Mapping[str, Any], nic: str, mode: str, size: Any) -> Driver:
    settings = {
        name: values.get(key.format(nic=nic), np.inf)
        for name, key in _DRIVER_SETTINGS[mode].items()
    }
    return Driver(
        mode,
        interrupt_cost=values.get("interrupt", 0.0),
        bus_rate=_bus_rate(values, nic, size),
        **settings,
    )


# policies that enter one wait call, and are signalled out of it, whenever the buffer is empty
_ONE_CALL = ("poll", "read")


def _wakeup(
    backend: Backend,
    values: Mapping[str, Any],
    choices: Choices,
    split: bool,
    fill_time: Any,
    law: WakeupLaw | None,
) -> Wakeup:
    waiting = backend.waiting
    threshold = waiting.threshold if choices.threshold is None else choices.threshold
    timeout = waiting.timeout if choices.timeout is None else choices.timeout
    sleep = waiting.sleep if choices.sleep is None else choices.sleep
    policy = waiting.policy
    if choices.sleep is not None:
        policy = "sleep"
    signal_name = waiting.signal
    if not split and "local_wakeup" in values:
        signal_name = "local_wakeup"
    signal = values[signal_name] if signal_name and signal_name in values else 0.0
    latency = values.get("wakeup_latency", 0.0) if split else 0.0
    poll = values[waiting.poll] if waiting.poll else 0.0
    if policy == "sleep" and waiting.policy != "sleep":
        poll = values.get("sleep_call", poll)
    if isinstance(sleep, str):  # "adaptive": half of what the buffer takes to fill
        sleep = 0.5 * fill_time
    spin = waiting.spins * values[waiting.spin_call] if waiting.spin_call else 0.0
    if policy == "block":
        # the kernel signals when it closes a block; the block itself is the threshold
        threshold, timeout = 1.0, None
    # what a signal to another core meets there
    sleeper: Mapping[str, Any] = values if split and waiting.signal else {}
    each = bool(np.all(np.asarray(threshold) <= 1.0))
    return Wakeup(
        policy,
        cost=signal,
        latency=latency,
        poll_cost=poll,
        switch_cost=values.get("context_switch", 0.0),
        threshold=threshold,
        timeout=np.inf if timeout is None else timeout,
        sleep=0.0 if sleep is None else sleep,
        spin=spin,
        contention=values[waiting.contention] if waiting.contention else 0.0,
        early_cost=sleeper.get("early_signal", 0.0),
        leave=sleeper.get("sleep_leave", 0.0),
        settle=sleeper.get("sleep_settle", 0.0),
        idle_latency=sleeper.get("idle_latency", 0.0),
        waking=sleeper.get("waking_consumer", 0.0),
        law=law if split and signal_name == "wakeup" and each and policy in _ONE_CALL else None,
    )


def assemble(
    workload: Workload,
    application: Application,
    backend: Backend,
    machine: Machine,
    choices: Choices,
    values: Mapping[str, Any] | None = None,
) -> CapturePath:
    """The capture path of a workload on a machine.

    Parameters
    ----------
    workload, application, backend, machine : Workload, Application, Backend, Machine
        What is offered, what is done with it, by which mechanism, at which costs.
    choices : Choices
        Pinning, sizes and policy settings.
    values : mapping, optional
        Costs in SI instead of the machine's point values; arrays make the path a whole sample.

    Returns
    -------
    CapturePath

    Raises
    ------
    ValueError
        If machine and backend do not fit; the message names the cost that is missing.
    """
    check_choices(backend, machine, choices)
    costs = machine.values() if values is None else values
    missing = missing_costs(
        backend, application, machine, driver=choices.driver, nic=choices.nic, costs=costs
    )
    if missing:
        raise unsupported(backend, application, machine, missing)
    pinning = choices.pinning or ("split" if machine.cores > 1 else "same")
    if pinning == "auto":
        alternatives = tuple(
            _placed(workload, application, backend, machine, choices, costs, place)
            for place in ("same", "split")
        )
        cores = Cores(
            "auto",
            leave_same=costs.get("leave_same", 1.0),
            leave_split=costs.get("leave_split", 1.0),
        )
        base = alternatives[1]
        return CapturePath(
            base.arrivals, base.kernel, base.buffer, base.consumer, base.wakeup, cores,
            alternatives=alternatives,
        )  # fmt: skip
    return _placed(workload, application, backend, machine, choices, costs, pinning)


class _Reading(dict[str, Any]):
    """Costs that remember which of them were read."""

    def __init__(self, costs: Mapping[str, Any]) -> None:
        super().__init__(costs)
        self.names: dict[str, None] = {}

    def __getitem__(self, key: str) -> Any:
        self.names[key] = None
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        if key not in self:
            return default
        return self[key]


def constants_read(
    workload: Workload,
    application: Application,
    backend: Backend,
    machine: Machine,
    choices: Choices,
) -> tuple[str, ...]:
    """Names of the machine's constants that go into a capture path.

    Parameters
    ----------
    workload, application, backend, machine, choices
        As for :func:`assemble`.

    Returns
    -------
    tuple of str
        In the order in which they are first needed.
    """
    costs = _Reading(machine.values())
    assemble(workload, application, backend, machine, choices, costs)
    return tuple(costs.names)


def _placed(
    workload: Workload,
    application: Application,
    backend: Backend,
    machine: Machine,
    choices: Choices,
    values: Mapping[str, Any],
    pinning: str,
) -> CapturePath:
    split = pinning == "split"
    captured = workload.mean_captured(application.snaplen)
    processes = choices.consumers
    buffer, memory = _buffer(backend, choices, application, workload)
    penalty = _cache_penalty(values, memory)

    kernel_total = _total(values, backend, "kernel")
    if kernel_total is not None:
        kernel_cost, droppable = kernel_total, 0.0
    else:
        kernel_cost, droppable = _stage_cost(backend.kernel, values, processes, captured, split)
    # with packet steering the part of another core stays there
    kernel_cost = kernel_cost - _elsewhere(values, split or kernel_total is not None)
    if backend.kernel.per_consumer:
        # every process has a ring of its own; a packet that is dropped touches none of them
        kernel_cost, droppable = kernel_cost + processes * penalty, droppable + processes * penalty
    consumer_total = _total(values, backend, "consumer")
    if consumer_total is not None:
        read_cost = consumer_total
    else:
        read_cost, _ = _stage_cost(backend.consumer, values, 1, captured, split)
    own = 0.0 if application.name == "sink" else _work(application, values, workload)
    stretch = values[backend.consumer.stretch] if backend.consumer.stretch else 1.0
    consumer_cost = read_cost + stretch * own + penalty

    nic = choices.nic or machine.default_nic
    ring = choices.ring if choices.ring is not None else values.get(f"nic.{nic}.ring", 256.0)
    if buffer.kind == "ring":
        buffer = Buffer(ring, "ring")
    sender = floats(workload.rate)
    wakeup = _wakeup(backend, values, choices, split, buffer.capacity / sender, machine.wakeup_law)
    return CapturePath(
        arrivals=workload.to_arrivals(),
        kernel=Kernel(
            ring,
            kernel_cost,
            maximum(kernel_cost - droppable, 0.0),
            scv=values.get("kernel_scv", 0.0) if backend.kernel.once else 0.0,
            driver=_driver(values, nic, choices.driver or backend.driver, workload.mean_size),
            near_cost=values.get("near_consumer", 0.0) if split and buffer.kind == "slots" else 0.0,
        ),
        buffer=buffer,
        consumer=Consumer(consumer_cost, 0.0, processes),
        wakeup=wakeup,
        cores=Cores(
            pinning,
            kernel_share=values.get("kernel_share", 1.0),
            kernel_turn=values.get("kernel_turn", 0.0),
        ),
        on_full=backend.on_full,  # type: ignore[arg-type]  # checked when the backend was read
        producer_startup=values.get("producer_startup", np.inf),
        consumer_notify=values.get("consumer_notify", 0.0),
    )


def _elsewhere(values: Mapping[str, Any], whole: bool) -> Any:
    """Kernel time per packet that is not spent on the core that the consumer shares [s].

    Handing packets over to that core costs it time of its own.
    """
    if whole or "driver_elsewhere" not in values:
        return 0.0
    steering = values.get("packet_steering", 0.0)
    return values["driver_elsewhere"] * values["driver_receive"] - steering


def _work(application: Application, values: Mapping[str, Any], workload: Workload) -> Any:
    """The application's own time, averaged over the frame sizes."""
    return sum(
        share * application.seconds(values, minimum(size, application.snaplen))
        for size, share in workload.sizes
    )
