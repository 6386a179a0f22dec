"""The commands ``capmodel lab ...``; each is a row of a table."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from capmodel.cli_options import Option, single
from capmodel.cli_output import as_json, progress_bar
from capmodel.errors import unknown_choice
from capmodel.lab import cli_fit
from capmodel.lab.disturbance import Disturbance, disturbances
from capmodel.lab.point import LabPoint
from capmodel.lab.receivers import RECEIVERS
from capmodel.lab.repeats import Repeats, row
from capmodel.lab.run import LabRun, run_point
from capmodel.lab.showcase import paradox, pinning
from capmodel.lab.waits import waits_of
from capmodel.quantities import format_duration, format_rate, format_share
from capmodel.tables import WIDTH, text_table

_WHOLE = ("zlib_level", "seed")
_MOST_REPEATS = 100
_PICTURES = (".png", ".svg", ".pdf")
_GROUPS: Mapping[str, tuple[Option, ...]] = {
    "traffic": (
        Option("rate", "RATE", "packets per second: 3e5, 300kpps; or a wire rate: 1Gbit/s"),
        Option("size", "BYTES", "frame size with its checksum, 64 to 9216; imix; or several with "
               "their shares: 64=0.6+1518=0.4", "64"),
        Option("arrivals", "PROCESS", "cbr, poisson, bursts(on=10ms,off=90ms), "
               "mmpp(high=1Mpps,low=50kpps,on=3ms,off=20ms), or trace(FILE), FILE a pcap or "
               "times in text, which needs no rate", "cbr"),
        Option("duration", "TIME", "length of the run, as every time with its unit, at most 60s "
               "(default: 500ms)"),
        Option("packets", "N", "length of the run in packets instead"),
        Option("batch", "N", "packets handed to the kernel per call", "1"),
        Option("ring", "SLOTS", "places of the sender's virtual receive ring", "256"),
        Option("seed", "N", "of random arrivals and sizes", "0"),
    ),
    "what captures": (
        Option("backend", "NAME", ", ".join(RECEIVERS), "tpacket_v2"),
        Option("wait", "WAY", "what it does while there is nothing: poll, busy, sleep, yield or "
               "read, as far as the backend can"),
        Option("sleep", "TIME", "length of a sleep, with --wait sleep: 100us"),
        Option("yields", "N", "calls of sched_yield before poll, with --wait yield"),
        Option("buffer", "SIZE", "between kernel and consumer, with unit: 2MiB, '4096 slots'"),
        Option("block_size", "SIZE", "of a TPACKET_V3 block: 256KiB"),
        Option("timeout", "TIME", "after which TPACKET_V3 retires a block: 10ms"),
        Option("app", "COMMAND", "a program instead of a backend: "
               "'tcpdump -i {iface} -w /dev/null'"),
    ),
    "what it does": (
        Option("work", "TIME", "time spent on a packet: 700ns, or with a part per byte 200ns+5ns",
               "0"),
        Option("zlib_level", "LEVEL", "feed every packet to zlib instead, 0 to 9"),
        Option("consumers", "N", "processes that each receive every packet", "1"),
        Option("pinning", "PLACE", "softirq and consumer on the same core, split on two, or auto: "
               "left to the scheduler", "split"),
    ),
}  # fmt: skip


def _add_run(parser: argparse.ArgumentParser) -> None:
    for title, options in _GROUPS.items():
        group = parser.add_argument_group(title)
        for option in options:
            default = f" (default: {option.default})" if option.default else ""
            group.add_argument(
                f"--{option.name.replace('_', '-')}",
                metavar=option.metavar,
                help=(option.help + default).replace("%", "%%"),
                type=int if option.name in _WHOLE else str,
            )
    parser.add_argument("--jumbo", action="store_true", help="allow frames above 9216 bytes")


def _point(options: argparse.Namespace) -> LabPoint:
    names = [option.name for group in _GROUPS.values() for option in group]
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    return LabPoint(
        jumbo=options.jumbo,
        **{name: single(name, value) for name, value in given.items()},
    )


def _run(options: argparse.Namespace) -> int:
    result = run_point(_point(options))
    if options.json:
        told = [{**asdict(each), "text": str(each)} for each in disturbances(result)]
        print(as_json({**result.to_dict(), "disturbances": told}))
    else:
        print(run_text(result))
    return 0


def run_text(result: LabRun) -> str:
    """The counters of a run under a heading, and what disturbed it.

    Parameters
    ----------
    result : LabRun
        The run.

    Returns
    -------
    str
    """
    point, counts = result.point, result.consumers
    title = point.app if point.app is not None else point.receiver.title
    consumers = f", {len(counts)} consumers" if len(counts) > 1 else ""
    polls = None if result.polls is None else f"{result.polls / result.elapsed:,.0f} /s"
    stalls = f"{result.stalls} x, {format_duration(result.stall_time)}" if result.stalls else None
    lines = [
        ("offered", f"{result.offered:,} packets at {format_rate(result.offered_rate)}"),
        ("captured", format_share(result.captured, 4)),
        ("delivered", f"{result.delivered:,}"),
        ("dropped at the ring", f"{result.ring_drops:,}"),
        ("dropped at the backlog", f"{result.backlog_drops:,}"),
        ("dropped at the buffer", f"{result.buffer_drops:,}"),
        ("wakeups", f"{result.wakeup_rate:,.0f} /s"),
        ("wait calls", polls),
        ("a wakeup", _wakeup_text(result)),
        ("kernel per packet", format_duration(result.kernel_time)),
        ("consumer per packet", format_duration(result.consumer_time)),
        ("sender's core to others", f"{format_duration(result.waited)} in all; longest pause of "
                                    f"the sender {format_duration(result.late)}"),
        ("sender stood still", stalls),
        ("stolen by the hypervisor", format_duration(result.stolen)),
    ]  # fmt: skip
    shown = [(name, text) for name, text in lines if text is not None]
    width = max(len(name) for name, _ in shown)
    head = f"{title}{consumers}, pinning {point.pinning}"
    text = [head, *(f"  {name:<{width}}  {value}" for name, value in shown)]
    found = disturbances(result)
    if found:
        text += ["This run was disturbed; its numbers are not those of a quiet machine:"]
        text += [_item(each) for each in found]
    return "\n".join(text)


def _wakeup_text(result: LabRun) -> str | None:
    """What a signal to a sleeping consumer cost and how soon it ran, if the run tells."""
    found = waits_of([result]).measured()
    if found is None:
        return None
    return (
        f"costs the kernel {format_duration(found.wakeup)}; the consumer runs "
        f"{format_duration(found.wakeup_latency)} later"
    )


def _item(disturbance: Disturbance) -> str:
    return textwrap.fill(f"- {disturbance}", WIDTH, initial_indent="  ", subsequent_indent="    ")


def _add_showcase(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rate", metavar="RATE", help="packets per second; default: found by trial"
    )
    parser.add_argument(
        "--repeats", metavar="N", type=int, default=5, help="runs of every point (default: 5)"
    )
    parser.add_argument(
        "--plot", metavar="FILE", help=f"draw it to FILE, which ends in {', '.join(_PICTURES)}"
    )


def _showcase(
    measure: Callable[..., tuple[Repeats, ...]], columns: Sequence[str], options: argparse.Namespace
) -> int:
    _check(options)
    series = measure(options.rate, options.repeats, progress=progress_bar(0))
    rows = [row(repeats) for repeats in series]
    if options.json:
        print(as_json(rows))
    else:
        print(f"{format_rate(rows[0]['rate'])} of 64-byte frames, TPACKET_V2 with poll(); medians "
              f"and quartiles of {rows[0]['runs']} runs")  # fmt: skip
        table = [[_COLUMNS[name](item) for name in columns] for item in rows]
        print(text_table(columns, table))
        if told := _disturbed_text(series):
            print(f"\n{told}")
    if options.plot is not None:
        figures: Any = import_module("capmodel.lab.figures")
        import_module("capmodel.plot").save(figures.draw(series), options.plot)
    return 0


def _disturbed_text(series: Sequence[Repeats]) -> str:
    """How many runs were disturbed, and the worst of each kind."""
    told = [(run, disturbances(run)) for repeats in series for run in repeats.runs]
    count = sum(bool(found) for _, found in told)
    if not count:
        return ""
    worst: dict[str, Disturbance] = {}
    for each in sorted((each for _, found in told for each in found), key=lambda each: each.share):
        worst[each.who + each.whom] = each
    head = f"{count} of {len(told)} runs were disturbed; of each kind the worst:"
    return "\n".join([head, *map(_item, worst.values())])


def _check(options: argparse.Namespace) -> None:
    """Find slips before minutes are spent on them."""
    if not 1 <= options.repeats <= _MOST_REPEATS:
        raise ValueError(f"repeats must be from 1 to {_MOST_REPEATS}, got {options.repeats}")
    if options.plot is None:
        return
    path = Path(options.plot)
    if path.suffix.lower() not in _PICTURES:
        raise unknown_choice("ending of --plot", path.suffix, _PICTURES)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {path.parent}")


def _per_cent(name: str) -> Callable[[Mapping[str, Any]], float]:
    return lambda item: round(100.0 * item[name], 1)


_COLUMNS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "pinning": lambda item: item["pinning"],
    "work [us]": lambda item: round(1e6 * item["work"], 2),
    "captured [%]": _per_cent("captured"),
    "from": _per_cent("captured_low"),
    "to": _per_cent("captured_high"),
    "wakeups/s": lambda item: round(item["wakeup_rate"]),
    "polls/s": lambda item: round(item["poll_rate"]),
    "kernel [us]": lambda item: round(1e6 * item["kernel_time"], 2),
    "disturbed [%]": _per_cent("disturbed"),
}
_SHARED = tuple(name for name in _COLUMNS if name != "pinning")


@dataclass(frozen=True)
class Action:
    """One command of the lab: what it says of itself, its options, what it does."""

    help: str
    add: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    example: str


ACTIONS: Mapping[str, Action] = {
    "run": Action("run one set-up and count every packet", _add_run, _run,
                  "capmodel lab run --rate 300kpps --work 1us"),
    "paradox": Action("measure the captured share against work per packet: it rises, then falls",
                      _add_showcase, partial(_showcase, paradox, _SHARED),
                      "capmodel lab paradox --plot paradox.png"),
    "pinning": Action("measure the captured share on one core, on two, and left to the "
                      "scheduler (as root)",
                      _add_showcase, partial(_showcase, pinning, tuple(_COLUMNS)),
                      "capmodel lab pinning"),
    "calibrate": Action("measure this machine's costs and write them as a machine file",
                        cli_fit.add_calibrate, cli_fit.run_calibrate,
                        "capmodel lab calibrate --out host.toml"),
    "validate": Action("measure other points and print predicted against measured",
                       cli_fit.add_validate, cli_fit.run_validate,
                       "capmodel lab validate --machine host.toml"),
    "programs": Action("run tcpdump, by blocks and woken per packet, beside its prediction",
                       cli_fit.add_validate, cli_fit.run_programs,
                       "capmodel lab programs --machine host.toml"),
}  # fmt: skip


def add(parser: argparse.ArgumentParser) -> None:
    """Give the command ``capmodel lab`` its commands.

    Parameters
    ----------
    parser : ArgumentParser
        Of ``capmodel lab``.
    """
    plain = partial(argparse.RawDescriptionHelpFormatter, max_help_position=32, width=WIDTH)
    actions = parser.add_subparsers(dest="action", metavar="COMMAND", required=True)
    for name, action in ACTIONS.items():
        own = actions.add_parser(
            name, help=action.help, description=action.help[0].upper() + action.help[1:] + ".",
            epilog=f"example:\n  {action.example}", formatter_class=plain, allow_abbrev=False,
        )  # fmt: skip
        action.add(own)
        own.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS, help="JSON instead of text"
        )


def run(options: argparse.Namespace) -> int:
    """Do what the options say.

    Parameters
    ----------
    options : Namespace
        Parsed.

    Returns
    -------
    int
        Exit status [-].
    """
    return ACTIONS[options.action].run(options)
