"""The reasons of a prediction in plain sentences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from capmodel.application import own_work
from capmodel.assemble import Choices, assemble
from capmodel.backend import load_backend
from capmodel.formulary.bursts import buffer_for_loss_on_off
from capmodel.numerics.arrival_process import MAP
from capmodel.quantities import format_duration, format_rate, format_share
from capmodel.results import LEAST_DROPS
from capmodel.solvers import solve
from capmodel.workload import Bursts

if TYPE_CHECKING:
    from capmodel.prediction import Prediction


def explain(prediction: Prediction) -> str:
    """What limits, who pays for wakeups, what would help.

    Parameters
    ----------
    prediction : Prediction
        What is to be explained.

    Returns
    -------
    str
        Paragraphs of plain sentences, separated by blank lines.
    """
    by_arrivals = _BY_ARRIVALS.get(type(prediction.workload.arrivals))
    limits = by_arrivals or _LIMITS[prediction.bottleneck]
    parts = [_headline(prediction), limits(prediction)]
    parts += [text for text in (_wakeups(prediction), _remedies(prediction)) if text]
    parts.append(_certainty(prediction))
    return "\n\n".join(parts)


def _headline(p: Prediction) -> str:
    return (
        f"Of {format_rate(p.offered_rate)} offered, {format_rate(p.carried_rate)} "
        f"({format_share(p.captured)}) reach {p.application.title}. "
        f"{p.drops_text('ring')} are lost at the card's receive ring and "
        f"{p.drops_text('buffer')} at the buffer."
    )


def _costs(p: Prediction) -> str:
    return (
        f"The kernel needs {format_duration(float(p.path.kernel.cost))} per packet without "
        f"wakeups, the consumer {format_duration(float(p.path.consumer.cost))}."
    )


def _unsaturated(p: Prediction) -> str:
    return f"Nothing is saturated. {_costs(p)}"


def _kernel(p: Prediction) -> str:
    return (
        "The kernel's core is saturated: packets wait in the receive ring and overflow there; "
        f"a larger buffer behind it cannot help. {_costs(p)}"
    )


def _bursts(p: Prediction) -> str:
    arrivals = p.path.arrivals
    peak, work = float(arrivals.peak_rate), float(p.path.consumer.cost * p.path.consumer.processes)
    text = (
        f"During a burst packets come at {format_rate(peak)}, {format_rate(p.offered_rate)} on "
        f"average. {_costs(p)}"
    )
    if p.drops["ring"] > 0.0:
        text += " The kernel cannot follow the burst: what outlasts the receive ring is lost there."
    if p.drops["buffer"] > 0.0 and p.offered_rate * work < 1.0:
        fed = min(peak, 1.0 / float(p.path.kernel.cost)) if float(p.path.kernel.cost) else peak
        needed = (fed - 1.0 / work) * float(arrivals.on)
        if arrivals.random_bursts:
            rates = (1.0 / float(arrivals.on), 1.0 / float(arrivals.off))
            needed = float(buffer_for_loss_on_off(fed, 1.0 / work, *rates, 1e-3))
        goal = "one packet in a thousand" if arrivals.random_bursts else "nothing"
        text += (
            " The consumer cannot, and its buffer overflows before the burst ends; one of "
            f"{needed:,.0f} packets would lose {goal} there."
        )
    return text


def _modulated(p: Prediction) -> str:
    arrivals, phases = p.path.arrivals, p.path.arrivals.phases
    assert phases is not None
    peak, work = float(arrivals.peak_rate), float(p.path.consumer.cost * p.path.consumer.processes)
    share = float(phases.shares[int(phases.phase_rates.argmax())])
    text = (
        f"Packets come at {format_rate(p.offered_rate)} on average, and at {format_rate(peak)} in "
        f"the busiest phase, which takes {format_share(share)} of the time. {_costs(p)}"
    )
    if p.drops["ring"] > 0.0 and peak * float(p.path.kernel.cost) > 1.0:
        text += " The kernel cannot follow it: what outlasts the receive ring is lost there."
    if p.drops["buffer"] > 0.0 and peak * work > 1.0:
        text += " The consumer cannot, and its buffer overflows where the phase lasts."
    return text


def _consumer(p: Prediction) -> str:
    slower = "The consumer is the slower side: "
    if p.drops["buffer"] < LEAST_DROPS:
        # a channel whose producer waits, or a consumer that reads the card's ring itself
        return (
            f"{slower}it is busy all the time, and what it does not keep up with is lost before "
            f"it comes to the buffer. {_costs(p)}"
        )
    postponed = float(p.path.buffer.capacity) / p.drops["buffer"]
    return (
        f"{slower}its buffer stays full and it never sleeps, so wakeups cost nothing and the "
        f"loss is that of its own work. {_costs(p)} At a constant rate a larger buffer only "
        f"postpones the loss by {format_duration(postponed)}."
    )


def _shared(p: Prediction) -> str:
    return (
        "Kernel and consumer share one core and the kernel goes first: past "
        f"{format_rate(1.0 / float(p.path.kernel.cost + p.path.consumer.cost))} it takes packets "
        f"from the card only to drop them at the full buffer. {_costs(p)}"
    )


def _buffer(p: Prediction) -> str:
    return (
        "The consumer stays away longer than the buffer can hold what arrives: it overflows "
        f"although both cores have time to spare. {_costs(p)}"
    )


def _card(p: Prediction) -> str:
    bus_rate = float(p.path.kernel.driver.bus_rate)
    if p.path.arrivals.peak_rate > bus_rate:
        return (
            f"The bus between card and memory carries {format_rate(bus_rate)} of these frames at "
            f"best: the rest is lost before the kernel sees it. {_costs(p)}"
        )
    return (
        "The driver looks at the card too seldom: more packets arrive between two looks than the "
        f"receive ring holds. {_costs(p)}"
    )


_LIMITS: dict[str, Callable[[Prediction], str]] = {
    "unsaturated": _unsaturated,
    "kernel": _kernel,
    "consumer": _consumer,
    "shared core": _shared,
    "buffer": _buffer,
    "card": _card,
}


_BY_ARRIVALS: dict[type, Callable[[Prediction], str]] = {Bursts: _bursts, MAP: _modulated}


def _wakeups(p: Prediction) -> str:
    core = p.core_time.get("kernel") or p.core_time["shared"]
    share = core.get("wakeups", 0.0)
    if p.wakeup_rate <= 0.0:
        if share > 0.0:
            return (
                "Nobody is woken, but a consumer that keeps looking at the buffer slows the "
                f"kernel: {format_share(share)} of its core's time."
            )
        return "The consumer is never woken, so the kernel pays for no wakeups."
    often = "less than once a second"
    if p.wakeup_rate >= 1.0:
        packets = f"{p.batch:,.0f}" if p.batch >= 100.0 else f"{p.batch:.1f}"
        often = f"{p.wakeup_rate:,.0f} times a second, once per {packets} packets"
    sleeps = f"The consumer empties the buffer and goes to sleep {often}; "
    signals = float(p.wakeup_rate * p.path.wakeup.cost)
    if p.path.wakeup.contention > 0.0 and share > signals:
        return (
            f"{sleeps}waking it costs the core that handles packets {_share(signals)} of its "
            "time, and its looking at the buffer before it sleeps slows that core by another "
            f"{_share(share - signals)}."
        )
    return f"{sleeps}waking it costs the core that handles packets {_share(share)} of its time."


def _share(share: float) -> str:
    """A share of a core's time; less than one in a million is none."""
    return format_share(share if share >= 1e-6 else 0.0)


def _variants(p: Prediction) -> list[tuple[str, float]]:
    """Captured share of set-ups that differ in one thing."""
    found: list[tuple[str, float]] = []

    def tried(label: str, backend: str | None, choices: Choices, work: float | None = None) -> None:
        try:
            mechanism = load_backend(backend) if backend else p.backend
            application = p.application if work is None else own_work(work, p.application.snaplen)
            other = {knob: None for knob in ("ring", "buffer") if knob not in mechanism.knobs}
            path = assemble(
                p.workload, application, mechanism, p.machine, replace(choices, **other)
            )
            found.append((label, float(solve(path).captured)))
        except ValueError:
            return  # this machine has no numbers for that variant

    plain = replace(p.choices, threshold=None, timeout=None, sleep=None)
    if p.choices.pinning != "auto" and p.machine.cores > 1:
        other = "split" if p.path.cores.pinning == "same" else "same"
        name = "different cores" if other == "split" else "one core"
        tried(f"kernel and consumer on {name}", None, replace(p.choices, pinning=other))
    if p.path.wakeup.policy == "poll" and p.path.buffer.kind == "slots":
        spare = float(p.path.kernel.cost - p.path.consumer.cost)
        if spare > 0.0 and p.bottleneck == "kernel":
            own = float(p.path.consumer.cost) + spare - _read_cost(p)
            tried(f"{format_duration(spare)} more work per packet", None, p.choices, own)
        tried("signalling after 128 packets or 10 ms", "pf_packet_modified", plain)
    for label, name in (
        ("PF_RING", "pf_ring"), ("PF_RING on TNAPI drivers", "tnapi_pf_ring"),
        ("TPACKET_V3 blocks", "tpacket_v3"), ("AF_XDP", "af_xdp"),
    ):  # fmt: skip
        if name != p.backend.name:
            tried(label, name, plain)
    return found


def _read_cost(p: Prediction) -> float:
    """What the backend itself charges the consumer per packet [s]."""
    path = assemble(
        p.workload, own_work(0.0, p.application.snaplen), p.backend, p.machine, p.choices
    )
    return float(path.consumer.cost)


def _remedies(p: Prediction) -> str:
    if p.loss < 1e-3:
        return ""
    better = sorted(
        ((label, share) for label, share in _variants(p) if share > p.captured + 5e-3),
        key=lambda pair: -pair[1],
    )
    if not better:
        return "None of the other set-ups known for this machine captures more."
    listed = "; ".join(f"{label}: {format_share(share)}" for label, share in better[:4])
    return f"What would help, each change alone: {listed}."


def _certainty(p: Prediction) -> str:
    low, high = p.interval()
    accuracy = p.accuracy.removeprefix(f"{p.solver}: ")
    sure = f"Solved by the {p.solver.replace('_', ' ')} ({accuracy})."
    if not p.machine.samples:
        return f"The machine's costs come without an uncertainty. {sure}"
    return (
        f"With the machine's costs as uncertain as its calibration leaves them, 90 % of the "
        f"plausible machines capture between {format_share(low)} and {format_share(high)}. {sure}"
    )
