"""What helps, in words, and as a change of the arguments of `predict`: a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import ceil, log2
from types import MappingProxyType
from typing import Any

from capmodel.constant import Constant
from capmodel.counters.observation import Observation
from capmodel.doctor.findings import Price, Remedy
from capmodel.doctor.judgements import consumer_cpu
from capmodel.doctor.situation import Situation
from capmodel.machine import Machine
from capmodel.quantities import format_duration, format_size
from capmodel.support import in_short


class DoesNotApplyError(Exception):
    """The remedy is in place already, or there is nothing that it could change."""


@dataclass(frozen=True)
class Change:
    """What to tell the model: arguments as things are, and with the remedy; words for the action.

    A `reason` stands where the model has no argument for it.
    """

    after: Mapping[str, Any] = field(default_factory=dict)
    now: Mapping[str, Any] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class Cure:
    """An action in words, and how it changes a situation given the finding's evidence."""

    action: str
    change: Callable[[Situation, Mapping[str, Any]], Change]


def _other_core(case: Situation, evidence: Mapping[str, Any]) -> Change:
    if case.arguments["pinning"] != "same":
        raise DoesNotApplyError
    # a core that is free
    changes = {"pinning": "split", "work": case.own_work}
    return Change(changes, words=_cpu(case, changes))


def _own_core(case: Situation, evidence: Mapping[str, Any]) -> Change:
    return Change({"work": case.own_work})


def _pin(place: str) -> Callable[[Situation, Mapping[str, Any]], Change]:
    def change(case: Situation, evidence: Mapping[str, Any]) -> Change:
        if case.arguments["pinning"] == place:
            raise DoesNotApplyError
        changes = {"pinning": place}
        return Change(changes, words=_cpu(case, changes))

    return change


def _larger_buffer(case: Situation, evidence: Mapping[str, Any]) -> Change:
    """Ten times what is called too small, or four times what is there; a power of two."""
    wanted = max(10.0 * case.limits["buffer_time"] * case.seen.rate, 4.0 * case.slots)
    if case.away is not None:
        wanted = max(wanted, 2.0 * case.away * case.seen.rate)
    slots = 2 ** ceil(log2(wanted))
    each = case.seen.frame_size + case.limits["skb_overhead"]
    if case.capture.socket.ring:
        each = case.capture.socket.ring.memory / case.slots
    size = ceil(slots * each)
    blocks = case.arguments["backend"] == "tpacket_v3"
    return Change(
        {"buffer": f"{size} B" if blocks else f"{slots} slots"},
        words={"size": f": {slots:,} packets, {format_size(size)}"},
    )


def _smaller_buffer(case: Situation, evidence: Mapping[str, Any]) -> Change:
    cache = evidence["cache_memory"]
    slots = max(1, int(case.slots * cache / evidence["buffer_memory"]))
    ring = case.capture.socket.ring
    blocks = ring is not None and case.capture.socket.version == 3
    return Change(
        {"buffer": f"{cache} B" if blocks else f"{slots} slots"},
        words={"size": f": {format_size(float(cache))}"},
    )


def _blocks(case: Situation, evidence: Mapping[str, Any]) -> Change:
    if case.capture.socket.ring and case.capture.socket.version == 3:
        raise DoesNotApplyError
    if case.away is not None:
        return Change(reason="this consumer stays away on its own account, however it is woken")
    memory = case.capture.socket.ring.memory if case.capture.socket.ring else None
    return Change({"backend": "tpacket_v3", "buffer": None if memory is None else f"{memory} B"})


def _af_xdp(case: Situation, evidence: Mapping[str, Any]) -> Change:
    if case.away is not None:
        return Change(reason="this consumer stays away on its own account, however it is woken")
    return Change({"backend": "af_xdp", "buffer": None, "consumers": 1})


def _larger_ring(case: Situation, evidence: Mapping[str, Any]) -> Change:
    ring = case.seen.after.card_ring
    if ring is None:
        return Change(reason="its size was not seen")
    if ring.slots >= ring.most:
        raise DoesNotApplyError
    return Change({"ring": ring.most}, words={"most": str(ring.most)})


def _less_work(case: Situation, evidence: Mapping[str, Any]) -> Change:
    work = case.arguments["work"]
    if case.away is not None:
        raise DoesNotApplyError
    if not work:
        return Change(reason="its work per packet was not seen")
    return Change({"work": work / 2.0}, words={"size": f" ({format_duration(work / 2.0)})"})


def _more_work(case: Situation, evidence: Mapping[str, Any]) -> Change:
    """The paradox: a consumer as slow as the kernel never sleeps."""
    path = case.prediction.path
    spare = float(path.kernel.cost) - float(path.consumer.cost)
    if spare <= 0.0:
        raise DoesNotApplyError
    return Change(
        {"work": case.arguments["work"] + spare}, words={"size": f" (by {format_duration(spare)})"}
    )


def _moderation(case: Situation, evidence: Mapping[str, Any]) -> Change:
    if case.seen.card_interrupts is None:
        raise DoesNotApplyError
    known = f"nic.{case.machine.default_nic}.throttle" in case.machine
    return Change({"driver": "moderated" if known else "napi"}, {"driver": "interrupt"})


def _polling(case: Situation, evidence: Mapping[str, Any]) -> Change:
    if case.seen.card_interrupts is None:
        raise DoesNotApplyError
    return Change({"driver": "napi"}, {"driver": "interrupt"})


def _gathering(case: Situation, evidence: Mapping[str, Any]) -> Change:
    if case.seen.card_interrupts is not None:
        raise DoesNotApplyError
    return Change({"driver": "napi"}, {"driver": "interrupt"})


def _shallow_idle(case: Situation, evidence: Mapping[str, Any]) -> Change:
    if "wakeup_latency" not in case.machine:
        return Change(reason=f"machine {case.machine.name!r} has no cost 'wakeup_latency'")
    return Change(now={"machine": later(case.machine, evidence["exit_time"])})


def later(machine: Machine, extra: float) -> Machine:
    """A machine whose consumers wake later by `extra` [s], as from a deep idle state.

    Parameters
    ----------
    machine : Machine
        The machine.
    extra : float
        Exit latency [s].

    Returns
    -------
    Machine

    Examples
    --------
    >>> from capmodel.machine import load_machine
    >>> amd = load_machine("braun_amd")
    >>> round(later(amd, 1e-4).value("wakeup_latency") - amd.value("wakeup_latency"), 9)
    0.0001
    """
    cost = Constant(
        "wakeup_latency", machine.value("wakeup_latency") + extra, "s", 0.0, "assumed", "capmodel",
        "with the exit latency of an idle state",
    )  # fmt: skip
    samples = {k: v for k, v in machine.samples.items() if k != "wakeup_latency"}
    return replace(
        machine,
        constants=MappingProxyType({**machine.constants, "wakeup_latency": cost}),
        samples=MappingProxyType(samples),
    )


def _own_cpu(case: Situation, evidence: Mapping[str, Any]) -> Change:
    # costs that are 1/(1 - s) longer at one rate are the same costs at a rate 1/(1 - s) higher
    return Change(now={"rate": case.seen.rate / (1.0 - min(evidence["steal_share"], 0.99))})


def _cpu(case: Situation, wanted: Mapping[str, Any]) -> Mapping[str, str]:
    """Words for a CPU, if one is known: the one that receives most, or the idlest that does not."""
    seen, receiving = case.seen, case.seen.receive_cpus
    if wanted["pinning"] == "same":
        return {"cpu": str(receiving[0])} if receiving else {}
    own = consumer_cpu(case.capture) if case.arguments["pinning"] == "same" else None
    free = [each.cpu for each in seen.after.cpu_times if each.cpu not in {*receiving, own}]
    free.sort(key=lambda cpu: -(seen.cpu_share(cpu, "idle", "iowait") or 0.0))
    return {"cpu": str(free[0])} if free else {}


def _unpriced(reason: str) -> Callable[[Situation, Mapping[str, Any]], Change]:
    return lambda case, evidence: Change(reason=reason)


REMEDIES: Mapping[str, Cure] = MappingProxyType({
    "larger_ring": Cure("give the card more descriptors: ethtool -G {interface} rx {most}",
                        _larger_ring),
    "larger_backlog": Cure("let the backlog hold a burst: sysctl net.core.netdev_max_backlog",
                           _unpriced("the model has no queue between interrupt and softirq")),
    "larger_buffer": Cure("give it a larger buffer{size} (tcpdump -B counts KiB)",
                          _larger_buffer),
    "smaller_buffer": Cure("a buffer that stays in the cache{size}", _smaller_buffer),
    "other_core": Cure("run the consumer on a core that does not receive: taskset -cp {cpu} {pid}",
                       _other_core),
    "own_core": Cure("keep other programs off its core: a cpuset, isolcpus, or chrt --fifo",
                     _own_core),
    "pin_apart": Cure("pin interrupt and consumer to different cores: taskset -cp {cpu} {pid}",
                      _pin("split")),
    "pin_together": Cure("run the consumer where the kernel receives: taskset -cp {cpu} {pid}",
                         _pin("same")),
    "blocks": Cure("be woken once per block (TPACKET_V3; tcpdump without --immediate-mode)",
                   _blocks),
    "af_xdp": Cure("bypass the stack: AF_XDP", _af_xdp),
    "less_work": Cure("half the work per packet{size}: a filter, a shorter snap length, or "
                      "work handed to another thread", _less_work),
    "more_work": Cure("if nothing else can be changed: more work per packet{size}",
                      _more_work),
    "moderation": Cure("moderate interrupts: ethtool -C {interface} adaptive-rx on, or rx-usecs",
                       _moderation),
    "polling": Cure("poll under load (NAPI): a driver that masks interrupts while it has work",
                    _polling),
    "gathering": Cure("let packets gather before they are served: NAPI on the software interface "
                      "(ethtool -K {interface} gro on)", _gathering),
    "shallow_idle": Cure("forbid deep idle states: cpupower idle-set -D 10, or hold "
                         "/dev/cpu_dma_latency at 0", _shallow_idle),
    "own_cpu": Cure("give the virtual machine CPUs of its own", _own_cpu),
})  # fmt: skip


def priced(
    name: str, seen: Observation, case: Situation | str, evidence: Mapping[str, Any]
) -> Remedy | None:
    """A remedy with its price; None if it does not apply.

    Parameters
    ----------
    name : str
        A key of ``REMEDIES``.
    seen : Observation
        What was observed.
    case : Situation or str
        The capture as the model sees it, or why it sees none.
    evidence : mapping
        That of the finding.

    Returns
    -------
    Remedy or None
    """
    cure = REMEDIES[name]
    words = {"interface": seen.after.interface}
    if isinstance(case, str):
        return Remedy(name, _filled(cure.action, words), Price(None, None, case))
    if case.capture.owner is not None:
        words["pid"] = str(case.capture.owner.pid)
    try:
        change = cure.change(case, evidence)
        words |= change.words
        if change.reason:
            return Remedy(name, _filled(cure.action, words), Price(None, None, change.reason))
        now = case.predicted(change.now).captured
        # what describes the present alone is gone with the remedy
        after = case.predicted(change.after).captured
    except DoesNotApplyError:
        return None
    except ValueError as error:
        return Remedy(name, _filled(cure.action, words), Price(None, None, in_short(error)))
    return Remedy(name, _filled(cure.action, words), Price(now, after))


def _filled(action: str, words: Mapping[str, str]) -> str:
    unknown = {"pid": "PID", "cpu": "CPU", "most": "N", "size": ""}
    return action.format_map({**unknown, **words})
