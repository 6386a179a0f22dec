"""The reasons of a prediction in plain sentences."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from textwrap import indent
from typing import TYPE_CHECKING

from capmodel.formulary.bursts import buffer_for_loss_on_off
from capmodel.numerics.arrival_process import MAP
from capmodel.quantities import format_duration, format_interval, format_rate, format_share
from capmodel.remedies import remedies
from capmodel.results import INTERVAL_LEVEL, LEAST_DROPS
from capmodel.solvers import solve
from capmodel.solvers._outcome import SPARE
from capmodel.tables import WIDTH, text_table
from capmodel.workload import Bursts

if TYPE_CHECKING:
    from capmodel.path import CapturePath
    from capmodel.prediction import Prediction
    from capmodel.remedies import Remedy


def explain(prediction: Prediction) -> str:
    """What limits, who pays for wakeups, what would help.

    Parameters
    ----------
    prediction : Prediction
        What is to be explained.

    Returns
    -------
    str
        Paragraphs of plain sentences, separated by blank lines; lines of a table are indented.
    """
    by_arrivals = _BY_ARRIVALS.get(type(prediction.workload.arrivals))
    limits = by_arrivals or _LIMITS[prediction.bottleneck]
    parts = [_headline(prediction), limits(prediction), _placements(prediction)]
    parts += [_wakeups(prediction), _stalls(prediction), _remedies(prediction)]
    parts.append(_certainty(prediction))
    return "\n\n".join(part for part in parts if part)


def _headline(p: Prediction) -> str:
    return (
        f"Of {format_rate(p.offered_rate)} offered, {format_rate(p.carried_rate)} "
        f"({format_share(p.captured)}) reach {p.application.title}. "
        f"{p.drops_text('ring')} are lost at the card's receive ring and "
        f"{p.drops_text('buffer')} at the buffer."
    )


def _costs(p: Prediction, path: CapturePath | None = None) -> str:
    place = "" if path is not None or not p.path.alternatives else "On a core of its own the "
    path = p.path if path is None else path
    return (
        f"{place or 'The '}kernel needs {format_duration(float(path.kernel.cost))} per packet "
        f"without wakeups, the consumer {format_duration(float(path.consumer.cost))}."
    )


def _unsaturated(p: Prediction) -> str:
    return f"Nothing is saturated. {_costs(p)}"


def _kernel(p: Prediction) -> str:
    if p.core_time.get("kernel", {}).get("idle", 0.0) > SPARE:
        return (
            "The receive ring overflows although the kernel's core has time to spare: more packets "
            f"come in a row than it holds; a larger buffer behind it cannot help. {_costs(p)}"
        )
    return (
        "The kernel's core is saturated: packets wait in the receive ring and overflow there; "
        f"a larger buffer behind it cannot help. {_costs(p)}"
    )


def _loses(p: Prediction, stage: str) -> bool:
    return p.drops[stage] >= LEAST_DROPS


def _bursts(p: Prediction) -> str:
    arrivals = p.path.arrivals
    peak, work = float(arrivals.peak_rate), float(p.path.consumer.cost * p.path.consumer.processes)
    text = (
        f"During a burst packets come at {format_rate(peak)}, {format_rate(p.offered_rate)} on "
        f"average. {_costs(p)}"
    )
    if not _loses(p, "ring") and not _loses(p, "buffer"):
        return f"{text} Ring and buffer hold what comes faster than it is taken: nothing overflows."
    if _loses(p, "ring"):
        text += " The kernel cannot follow the burst: what outlasts the receive ring is lost there."
    if _loses(p, "buffer") and p.offered_rate * work < 1.0:
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
    if not _loses(p, "ring") and not _loses(p, "buffer"):
        return f"{text} Ring and buffer hold what comes faster than it is taken: nothing overflows."
    if _loses(p, "ring") and peak * float(p.path.kernel.cost) > 1.0:
        text += " The kernel cannot follow it: what outlasts the receive ring is lost there."
    if _loses(p, "buffer") and peak * work > 1.0:
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
    # of the placements that a scheduler mixes, the one on one core is spoken of
    placed = (path for path in p.path.alternatives if path.cores.pinning == "same")
    path = next(placed, p.path)
    return (
        "Kernel and consumer share one core and the kernel goes first: past "
        f"{format_rate(1.0 / float(path.kernel.cost + path.consumer.cost))} it takes packets "
        f"from the card only to drop them at the full buffer. {_costs(p, path)}"
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


_LISTED = 4  # remedies, the best ones

_BY_ARRIVALS: dict[type, Callable[[Prediction], str]] = {Bursts: _bursts, MAP: _modulated}


_WHERE = {
    "same": "the consumer on the kernel's own core",
    "split": "the consumer on a core of its own",
}


def _placements(p: Prediction) -> str:
    """What an automatic scheduler mixes."""
    if not p.path.alternatives:
        return ""
    cores, drawn = p.path.cores, []
    leaving = {"same": float(cores.leave_same), "split": float(cores.leave_split)}
    total = sum(leaving.values())
    for place in p.path.alternatives:
        name = place.cores.pinning
        # the longer a placement lasts, the more seldom it is left: its share is the other's rate
        time = (total - leaving[name]) / total
        captured = float(solve(place, p.solver).captured)
        drawn.append(
            f"{_WHERE[name]} ({name}) for {format_share(time)} of the time, capturing "
            f"{format_share(captured)}"
        )
    return (
        f"The scheduler moves between two placements: {drawn[0]}; and {drawn[1]}. What is said "
        "here is their mean."
    )


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
    sleeps = f"{_sleeps(p)}; "
    signals = float(p.wakeup_rate * p.path.wakeup.cost)
    if p.path.wakeup.contention > 0.0 and share > signals:
        return (
            f"{sleeps}waking it costs the core that handles packets {_share(signals)} of its "
            "time, and its looking at the buffer before it sleeps slows that core by another "
            f"{_share(share - signals)}."
        )
    return f"{sleeps}waking it costs the core that handles packets {_share(share)} of its time."


# of the stalls, how many a ring should outlast that is named: all but one in so many
_OUTLASTED = 100


def _stalls(p: Prediction) -> str:
    """What stalls of the kernel's core cost besides; lengths are exponential."""
    values = p.machine.values()
    if "stall_rate" not in values:
        return ""
    rate, time, ring = values["stall_rate"], values["stall_time"], float(p.path.kernel.ring)
    needed = math.ceil(p.offered_rate * time * math.log(_OUTLASTED))
    return (
        f"Besides, this machine's cores stand still {_three(rate)} times a second, for "
        f"{format_duration(time)} on average. At this rate the receive ring of {ring:,.0f} slots "
        f"lasts {format_duration(ring / p.offered_rate)}, and {format_share(p.stall_loss)} of the "
        f"packets are lost there in stalls; a ring of {needed:,} outlasts {_OUTLASTED - 1} of "
        f"{_OUTLASTED}. No other number here holds that."
    )


def _sleeps(p: Prediction) -> str:
    """How often; of several consumers, each by itself."""
    processes = float(p.path.consumer.processes)
    who, each = "The consumer", p.wakeup_rate / processes
    if processes > 1.0:
        who = f"Each of the {processes:g} consumers"
    often = "less than once a second"
    if each >= 1.0:
        often = f"{_three(each)} times a second, once per {_three(p.batch)} packets"
    return f"{who} empties {'its' if processes > 1.0 else 'the'} buffer and goes to sleep {often}"


def _three(value: float) -> str:
    """Three significant digits: no count of the model is surer than that."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100.0 else f"{rounded:g}"


def _share(share: float) -> str:
    """A share of a core's time; less than one in a million is none."""
    return format_share(share if share >= 1e-6 else 0.0)


def _remedies(p: Prediction) -> str:
    if p.loss < 1e-3:
        return ""
    better = remedies(p)[:_LISTED]
    if not better:
        return "None of the other set-ups known for this machine captures more."
    rows = [[each.change, format_share(each.captured), each.words] for each in better]
    heads = ["change", "captured", "what that is"]
    if p.machine.samples:
        heads.insert(2, f"{100 * INTERVAL_LEVEL:g} % interval")
        for row, each in zip(rows, better, strict=True):
            row.insert(2, format_interval(*each.interval(), each.captured))
    table = indent(text_table(heads, rows, width=WIDTH - 2), "  ")
    return f"What would help, each change alone:\n{table}{_priced(p, better)}"


def _priced(p: Prediction, better: Sequence[Remedy]) -> str:
    """By which solver, where it was not the baseline's own; and what that says of the baseline."""
    others: dict[str, list[Remedy]] = {}
    for each in better:
        if each.prediction.solver != p.solver:
            others.setdefault(each.prediction.solver, []).append(each)
    parts = [
        f"{', '.join(each.change for each in listed)}: priced by the {_words(solver)}, by which "
        f"the set-up as it is captures {format_share(listed[0].before)}."
        for solver, listed in others.items()
    ]
    return "".join(f"\n\n{part}" for part in parts)


def _words(solver: str) -> str:
    return solver.replace("_", " ")


def _certainty(p: Prediction) -> str:
    low, high = p.interval()
    accuracy = p.accuracy.removeprefix(f"{p.solver}: ")
    sure = f"Solved by the {_words(p.solver)} ({accuracy})."
    if not p.machine.samples:
        return f"The machine's costs come without an uncertainty. {sure}"
    ends = format_interval(low, high, p.captured)
    first, _, last = ends.removesuffix(" %").partition(" to ")
    many = f"{100 * INTERVAL_LEVEL:g} % of the plausible machines capture"
    found = f"{many} between {first} and {last} %" if first != last else f"{many} {last} %"
    if float(p.samples("loss").max()) * p.offered_rate < LEAST_DROPS:
        found = "all of the plausible machines capture everything"
    return f"With the machine's costs as uncertain as its calibration leaves them, {found}. {sure}"
