"""Put the numbers of model and data into the paper: paper.md becomes paper.built.md.

A marker ``{{ expression | format }}`` holds an expression over `NAMESPACE` and, after the last bar,
a format specification of Python; without one the value is written as text. The numbers of the paper
cannot be older than the package that way.
"""

from __future__ import annotations

import json
import math
import re
import statistics
import textwrap
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import capmodel
from capmodel import formulary, load_backend, load_machine, predict, sweep
from capmodel.atomic import replacing
from capmodel.calibration import CLAIM_SIGMA, load_problem
from capmodel.claims import claim_margins, evaluate_claims, load_claims
from capmodel.comparison import COVERAGE, ComparisonRow, comparisons, main_table
from capmodel.data_files import data_folder
from capmodel.measurements import load_data_set
from capmodel.observe import Observer
from capmodel.prediction import INTERVAL_LEVEL
from capmodel.references import reference

FOLDER = Path(__file__).resolve().parent
SOURCE, TARGET = FOLDER / "paper.md", FOLDER / "paper.built.md"
MARKER = re.compile(r"\{\{(?P<body>.+?)\}\}", re.DOTALL)
CITATION = re.compile(r"@([a-z][a-z0-9_]*)")
RIGS = ("braun_amd", "braun_xeon")
RATE, WIRE = 1.27e6, 1.488e6
CONSUMER_RATE = 0.9e6  # of the example of finite runs: slower than what is offered
SMALL_BUFFER = load_backend("pf_ring").buffer.default.amount


def markers(text: str) -> list[tuple[str, str]]:
    """Expression and format of every marker, in order."""
    found = []
    for match in MARKER.finditer(text):
        body = " ".join(match["body"].split())
        expression, bar, form = body.rpartition(" | ")
        found.append((expression.strip(), form.strip()) if bar else (body, ""))
    return found


def evaluated(expression: str, form: str) -> str:
    """Text of a marker."""
    return format(eval(expression, dict(NAMESPACE)), form)  # the paper's own expressions


def built(text: str) -> str:
    """The paper with its numbers, and the works it cites at its end."""
    pairs = iter(markers(text))
    body = MARKER.sub(lambda match: evaluated(*next(pairs)), text)
    return "\n\n".join(map(_wrapped, body.rstrip().split("\n\n"))) + "\n\n" + works(body) + "\n"


def _wrapped(block: str) -> str:
    """A paragraph or list with its lines filled again, formulas unbroken; others as they are."""
    if block[:1] in "|#$!\n":
        return block
    whole = re.sub(r"\$[^$]+\$", lambda match: re.sub(r"\s+", "\0", match[0]), block)
    items = whole.split("\n- ") if whole.startswith("- ") else [whole]
    indent = "  " if len(items) > 1 or whole.startswith("- ") else ""
    lines = [
        textwrap.fill(
            ("- " if indent and number else "") + " ".join(item.split()), 100,
            subsequent_indent=indent, break_long_words=False, break_on_hyphens=False,
        )
        for number, item in enumerate(items)
    ]  # fmt: skip
    return "\n".join(lines).replace("\0", " ")


def works(text: str) -> str:
    """The cited works, in the order of their keys."""
    keys = sorted(set(CITATION.findall(text)))
    return "\n".join(f"- **@{key}** {reference(key).text()}" for key in keys)


def pct(share: Any) -> Any:
    """A share in per cent."""
    return 100.0 * share


def ns(seconds: Any) -> Any:
    """Seconds in nanoseconds."""
    return 1e9 * seconds


def us(seconds: Any) -> Any:
    """Seconds in microseconds."""
    return 1e6 * seconds


@cache
def run(backend: str = "pf_packet", rate: float | str = RATE, **given: Any) -> capmodel.Prediction:
    """A prediction, each made once."""
    return predict(rate, backend=backend, **given)


def throttle() -> float:
    """Most interrupts per second of the default machine's card [1/s]."""
    return float(run().path.kernel.driver.throttle)


def interval(prediction: capmodel.Prediction) -> str:
    """The interval of the captured share in words."""
    low, high = prediction.interval("captured")
    return f"{100 * low:.0f} to {100 * high:.0f} %"


def off_time(prediction: capmodel.Prediction) -> float:
    """Time away per sleep cycle, from the consumer's balance of time [s]."""
    busy = prediction.carried_rate * float(prediction.path.consumer.cost)
    return (1.0 - busy) / prediction.wakeup_rate


def kappa(prediction: capmodel.Prediction) -> float:
    """Kernel work per unit of consumer idleness [-]."""
    return float(formulary.kappa_effective(prediction.path.wakeup.cost, off_time(prediction)))


def law(prediction: capmodel.Prediction) -> float:
    """Captured share by the unified law alone, from the costs and kappa [-]."""
    kernel, consumer = float(prediction.path.kernel.cost), float(prediction.path.consumer.cost)
    item = max(kernel, consumer) + kappa(run()) * max(kernel - consumer, 0.0)
    return min(1.0, 1.0 / (item * prediction.offered_rate))


def law_error(points: int = 60) -> float:
    """Largest relative difference of law and solver over the consumer's work [-]."""
    kernel = float(run().path.kernel.cost)
    found = [run(work=w) for w in np.linspace(0.0, 3.0 * kernel, points).tolist()]
    return max(abs(law(p) / p.captured - 1.0) for p in found)


def gain(backend: str) -> float:
    """Rise of the captured share from no work to the best work [-]."""
    work = np.geomspace(1e-9, 5e-6, 400)
    share = sweep(RATE, backend=backend, work=work)["captured"]
    return float(share.max() - share[0])


def level_range(backend: str) -> str:
    """The level of packzip at which 64-byte frames are captured best, and where it starts."""
    names = [f"packzip:{level}" for level in range(10)]
    share = sweep(RATE, backend=backend, application=names)["captured"]
    best = int(np.argmax(share))
    return f"{100 * share[0]:.0f} % at level 0 and {100 * share[best]:.0f} % at level {best}"


def first_crossing() -> float:
    """Offered rate from which two cores capture more than one, by more than a thousandth [1/s]."""
    rates = np.linspace(2e5, WIRE, 1200)
    both = sweep(rates, pinning=["same", "split"])["captured"]
    return float(rates[np.argmax(both[:, 1] - both[:, 0] > 1e-3)])


def one_core_leads() -> float:
    """Most by which one core leads two, at any rate [-]."""
    both = sweep(np.linspace(2e5, WIRE, 1200), pinning=["same", "split"])["captured"]
    return float((both[:, 0] - both[:, 1]).max())


def slower_bpf_levels() -> str:
    """Levels of packzip at which BPF captures more 64-byte frames than PF_PACKET."""
    names = [f"packzip:{level}" for level in range(10)]
    share = sweep(RATE, backend=["pf_packet", "bpf"], application=names)["captured"]
    levels = np.flatnonzero(share[1] > share[0] + 5e-3).tolist()
    return ", ".join(map(str, levels)) if levels else "none"


@cache
def claims() -> Any:
    """All claims, evaluated at the machines' point values."""
    return evaluate_claims()


def claims_met() -> int:
    """Number of claims that hold."""
    return sum(result.met for result in claims())


@cache
def claim_shares() -> dict[str, float]:
    """Share of the plausible machines under which each claim holds [-]."""
    observer = Observer({name: dict(load_machine(name).samples) for name in RIGS})
    return {
        claim.id: float(np.mean(np.min(claim_margins(claim, observer), axis=0) > 0.0))
        for claim in load_claims()
    }


def claims_table() -> str:
    """Claims by section of the paper: how many, how many hold, the least certain of them."""
    sections: dict[str, list[Any]] = defaultdict(list)
    for result in claims():
        sections[result.claim.section.split(",")[0]].append(result)
    lines = ["| section | claims | hold | least certain claim | held by |", "|---|---|---|---|---|"]
    for section, results in sorted(sections.items()):
        weakest = min(results, key=lambda result: claim_shares()[result.claim.id])
        lines.append(
            f"| {section} | {len(results)} | {sum(r.met for r in results)} "
            f"| {weakest.claim.id} | {100 * claim_shares()[weakest.claim.id]:.0f} % |"
        )
    return "\n".join(lines)


@cache
def table() -> tuple[ComparisonRow, ...]:
    """Predicted beside measured for all published sets."""
    return main_table()


def rows(role: str = "validation", agreeing: bool | None = None) -> int:
    """Number of measured rows of a role that a prediction stands for."""
    return sum(r.role == role and agreeing in (None, r.agrees) for r in table())


def error(role: str = "validation") -> float:
    """Median of the absolute relative error of a role's rows [-]."""
    return statistics.median(abs(row.error) for row in table() if row.role == role)


def data_sets() -> int:
    """Number of published sets with predictions."""
    return len({row.data_set for row in table()})


@cache
def live(role: str = "validation") -> tuple[ComparisonRow, ...]:
    """Captured shares of the lab's set, predicted beside measured."""
    found = main_table(["epyc_vm"], "lab")
    return tuple(r for r in found if r.role == role and r.quantity == "captured")


def live_errors(role: str = "validation") -> Any:
    """Absolute errors of those shares [-]."""
    return np.abs([row.predicted - row.measured for row in live(role)])


def live_cost(name: str) -> float:
    """A cost that was fitted to the lab's set [s]."""
    return float(load_machine("epyc_vm").value(name))


def _live_law() -> tuple[Any, Any, Any]:
    """Intervals of the live machine's law [s], mean cost and mean latency in each [s]."""
    law = capmodel.load_machine("epyc_vm").wakeup_law
    assert law is not None
    means = (np.mean(rows, axis=1) for rows in (law.cost, law.latency))
    cost, latency = means
    return (
        np.array(law.since),
        cost * live_cost("wakeup"),
        latency * live_cost("wakeup_latency"),
    )


def at_once() -> float:
    """Time since the wait call [s] up to which most of its packets find nobody asleep."""
    law = capmodel.load_machine("epyc_vm").wakeup_law
    assert law is not None
    asleep = np.mean(law.slept, axis=1) >= 0.5
    return law.since[int(np.argmax(asleep))]


def dearest() -> tuple[float, float]:
    """Mean cost and latency [s] of the dearest interval that begins within 3 us."""
    since, cost, latency = _live_law()
    worst = int(np.argmax(np.where(since < 3e-6, cost, 0.0)))
    return float(cost[worst]), float(latency[worst])


def cheapest() -> float:
    """Mean cost [s] of the cheapest interval after the dearest."""
    since, cost, _ = _live_law()
    return float(cost[since > since[int(np.argmax(np.where(since < 3e-6, cost, 0.0)))]].min())


def validation_table() -> str:
    """One line per set: source, rows, agreement, error, granted error."""
    lines = [
        "| data | source | fitted | agree | not fitted | agree | median error | granted |",
        "|---|---|---|---|---|---|---|---|",
    ]
    sets: dict[str, list[ComparisonRow]] = defaultdict(list)
    for row in table():
        sets[row.data_set].append(row)
    for name, found in sets.items():
        fitted = [r for r in found if r.role == "calibration"]
        free = [r for r in found if r.role == "validation"]
        middle = f"{100 * statistics.median(abs(r.error) for r in free):.1f} %" if free else "-"
        granted = max(item.model_error for item in comparisons(name))
        source = load_data_set(name).meta["source"]
        counts = " | ".join(
            f"{len(part)} | {sum(r.agrees for r in part)}" for part in (fitted, free)
        )
        label = name.replace("_", " ")
        lines.append(f"| {label} | [@{source}] | {counts} | {middle} | {100 * granted:.0f} % |")
    return "\n".join(lines)


def disagreements() -> str:
    """The rows that do not agree, in words."""
    found = "; ".join(
        f"{row.data_set.replace('_', ' ')}, row {row.id}: {row.quantity.replace('_', ' ')} "
        f"predicted {_amount(row.predicted)}, measured {_amount(row.measured)}"
        for row in table()
        if not row.agrees
    )
    return found or "none"


def beyond_allowed() -> float:
    """Share of normal errors beyond what a row is allowed [-]."""
    return math.erfc(COVERAGE / math.sqrt(2.0))


def futex_row() -> tuple[float, float, float]:
    """The futex on one core of the other machine: how far off and how far allowed, as shares of
    what was measured, and how many of its prior's standard deviations the fitted cost lies below.
    """
    (row,) = (row for row in table() if row.id == "q9000-mempipe-0-0")
    (prior,) = (p for p in load_problem("core2_q9400").priors if p.cost == "futex_wake")
    cost = load_machine(prior.machine).value(prior.cost)
    below = math.log(prior.median_si / cost) / prior.spread
    return abs(row.error), row.allowed / row.measured, below


def near_livelock() -> tuple[float, float, float, float]:
    """The flood's row nearest to livelock: how far below it its load is, by what per cent the law
    moves per per cent of the flood packet's cost, and how far off and how far allowed the row is,
    as shares of what was measured.
    """
    (row,) = (row for row in table() if row.id == "flood-3p4-mpps")
    (item,) = (item for item in comparisons(row.data_set) if item.row.id == row.id)
    machine = load_machine(item.machine)
    flood = float(item.row.conditions["flood_rate"])
    cost = machine.value("flood_packet")
    rates = formulary.closed_loop_rate(
        flood, cost * np.array([0.999, 1.001]), machine.value("transaction_service"),
        machine.value("transaction_elsewhere"), machine.value("softirq_budget"),
    )  # fmt: skip
    slope = -float(np.diff(np.log(rates))[0]) / 0.002
    return 1.0 - flood * cost, slope, abs(row.error), row.allowed / row.measured


def _amount(value: float) -> str:
    """A number to three digits, without powers of ten where it is large."""
    return f"{float(f'{value:.3g}'):,.0f}" if abs(value) >= 100 else f"{value:.3g}"


@cache
def contraction() -> list[float]:
    """Spread of every fitted cost after the evidence over its spread before [-]."""
    found = []
    for prior in load_problem("braun2010").priors:
        samples = np.log(load_machine(prior.machine).samples[prior.cost])
        found.append(float(np.std(samples) / prior.spread))
    return found


def outside() -> int:
    """Number of fitted costs whose point value lies outside their own central interval."""
    count = 0
    for name in RIGS:
        machine = load_machine(name)
        for cost, samples in machine.samples.items():
            low, high = np.quantile(samples, [(1 - INTERVAL_LEVEL) / 2, (1 + INTERVAL_LEVEL) / 2])
            count += not low <= machine.value(cost) <= high
    return count


def left_out() -> dict[str, float]:
    """Tightest margin of every claim under the fit that did not know it [points], as recorded."""
    record = json.loads((data_folder() / "calibration" / "braun2010.json").read_text("utf-8"))
    return {
        name: margin
        for fold in record["folds"]
        for name, margin in zip(fold["left_out"], fold["margins"], strict=True)
    }


def failing() -> str:
    """The claims that do not hold unless they are fitted."""
    return ", ".join(name for name, margin in left_out().items() if margin <= 0.0)


def finite_run(packets: float, buffer: float) -> float:
    """Captured share of a run that starts empty, by the fluid law [-]."""
    return min(1.0, CONSUMER_RATE / RATE + buffer / packets)


NAMESPACE: dict[str, Any] = {
    name: item
    for name, item in {**globals()}.items()
    if not name.startswith("_") and name not in ("annotations", "Any", "Path")
} | {"level": 100.0 * INTERVAL_LEVEL, "CLAIM_SIGMA": CLAIM_SIGMA}


def main() -> None:
    """Write the paper with its numbers."""
    with replacing(TARGET) as temporary:
        temporary.write_text(built(SOURCE.read_text(encoding="utf-8")), encoding="utf-8")
    print(TARGET.name)


if __name__ == "__main__":
    main()
