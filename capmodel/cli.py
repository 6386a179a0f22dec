"""The command ``capmodel``."""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import capmodel
from capmodel import cli_output as out
from capmodel.api import DEFAULT_MACHINE, predict
from capmodel.backend import load_backend
from capmodel.claims import evaluate_claims
from capmodel.cli_options import (
    add_path_options,
    arguments,
    burst_of,
    series_arguments,
    with_negative_values,
)
from capmodel.data_files import data_folder
from capmodel.errors import damaged_file, unknown_choice
from capmodel.machine import load_machine
from capmodel.prediction import Prediction
from capmodel.sweeping import sweep
from capmodel.tables import WIDTH, text_table

_WRONG_USE, _INTERRUPTED = 2, 130


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are those of the library: one sentence, no usage text."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, with negative values told from options."""
        given = sys.argv[1:] if args is None else list(args)
        return super().parse_args(with_negative_values(given), namespace)

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} (see '{self.prog} --help')")


def _print_warnings(prediction: Prediction) -> None:
    for text in prediction.warnings:
        print(f"capmodel: warning: {text}", file=sys.stderr)


def _predicted(options: argparse.Namespace) -> Prediction:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the prediction holds them all
        prediction = predict(**arguments(options))
    _print_warnings(prediction)
    return prediction


def _predict(options: argparse.Namespace) -> int:
    prediction = _predicted(options)
    asked = [{"stall": options.stall}] if options.stall is not None else []
    asked += [{"burst": burst_of(options.burst)}] if options.burst is not None else []
    answers = [prediction.survives(**question) for question in asked]
    if options.json:
        extra: dict[str, Any] = _reasons(prediction) if options.reasons else {}
        if answers:
            extra["survival"] = [answer.to_dict() for answer in answers]
        print(out.as_json({**prediction.to_dict(), **extra}))
        return 0
    print(out.prediction_text(prediction))
    for answer in answers:
        print(f"\n{answer}")
    if options.reasons:
        print(f"\n{out.paragraphs(prediction.explain())}")
    if options.references:
        print(f"\n{out.listed('Sources:', prediction.references())}")
    return 0


def _reasons(prediction: Prediction) -> dict[str, Any]:
    changes = [remedy.to_dict() for remedy in prediction.remedies()]
    return {"explanation": prediction.explain(), "remedies": changes}


def _explain(options: argparse.Namespace) -> int:
    prediction = _predicted(options)
    if options.json:
        reasons = _reasons(prediction)
        print(out.as_json({**reasons, "explanation": reasons["explanation"].split("\n\n")}))
    else:
        print(out.paragraphs(prediction.explain()))
    return 0


def _buffer(options: argparse.Namespace) -> int:
    sizing: Any = import_module("capmodel.sizing")
    found = sizing.required_buffer(loss=options.loss, stage=options.stage, **arguments(options))
    _print_warnings(found.prediction)
    if options.json:
        print(out.as_json(found.to_dict()))
    else:
        print("\n\n".join([str(found), *([out.paragraphs(found.reason)] if found.reason else [])]))
    return 0 if found.enough else 1


def _sweep(options: argparse.Namespace) -> int:
    kind = _format(options)
    result = sweep(
        **series_arguments(options),
        intervals=options.intervals,
        unsupported="skip" if options.skip_unsupported else "error",
        progress=out.progress_bar(),
    )
    text = out.sweep_text(result, kind)
    if options.out is None:
        sys.stdout.write(text)
    else:
        out.write_file(options.out, text)
    return 0


def _format(options: argparse.Namespace) -> str:
    """How a sweep is to be written; --json and --out FILE.csv are two answers to that."""
    if not options.json:
        return options.format or _ending(options.out)
    named = "" if options.out is None else os.path.splitext(options.out)[1].lower()
    for other, given in (
        (options.format, f"--format {options.format}"), (named[1:], f"--out {options.out}")
    ):  # fmt: skip
        if other in out.SWEEP_FORMATS and other != "json":
            raise ValueError(f"--json contradicts {given}; give one of them")
    return "json"


def _ending(path: str | None) -> str:
    if path is None:
        return "csv"
    ending = os.path.splitext(path)[1].removeprefix(".").lower()
    if ending not in out.SWEEP_FORMATS:
        raise unknown_choice("ending of --out (or --format)", ending, tuple(out.SWEEP_FORMATS))
    return ending


def _claims(options: argparse.Namespace) -> int:
    results = evaluate_claims()
    if options.json:
        print(out.as_json(out.claims_rows(results)))
    else:
        print(out.claims_text(results, numbers=options.numbers))
    return 0 if all(result.met for result in results) else 1


def _validate(options: argparse.Namespace) -> int:
    comparison: Any = import_module("capmodel.comparison")
    rows = comparison.tables(options.set)
    if options.summary:
        lines = comparison.summarise(rows)
        text = out.summary_text(lines, rows)
        print(out.as_json([asdict(line) for line in lines]) if options.json else text)
        return 0
    print(out.as_json(out.comparison_rows(rows)) if options.json else out.comparison_text(rows))
    return 0


def _calibrate(options: argparse.Namespace) -> int:
    if options.recorded:
        recorded = _recorded(options.name)
        print(out.as_json(recorded) if options.json else out.recorded_text(recorded))
        return 0
    for folder in (options.out, options.record and options.record.parent):
        if folder is not None and not folder.is_dir():  # better now than after the fit
            raise FileNotFoundError(f"there is no folder {folder} to write the results to")
    calibration = import_module("capmodel.calibration_run")
    names = ("members", "moves", "final_moves", "seed", "fold_count", "out")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    show = out.progress_bar(0)
    progress = None if show is None else (lambda share: show(int(1000 * share), 1000))
    report: Any = calibration.run(options.name, **given, progress=progress)
    if options.record is not None:
        out.write_file(options.record, out.as_json(report.to_dict()) + "\n")
    print(out.as_json(report.to_dict()) if options.json else report)
    return 0


def _recorded(name: str) -> dict[str, Any]:
    """The stored report of a calibration, as plain values."""
    known: Any = import_module("capmodel.calibration").problem_names()
    if name not in known:
        raise unknown_choice("calibration", name, known)
    path = data_folder() / "calibration" / f"{name}.json"
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(
            f"there is no recorded report of calibration {name!r}; "
            f"'capmodel calibrate {name} --folds 10 --record FILE' makes one"
        ) from None
    except ValueError as error:  # of JSON and of UTF-8
        raise damaged_file(path, "syntax", str(error)) from None
    for key in ("calibration", "margins", "held", "residuals", "folds"):
        if not isinstance(content, dict) or key not in content:
            raise damaged_file(path, key, "missing")
    if content["calibration"] != name:
        raise damaged_file(path, "calibration", f"is {content['calibration']!r}, not {name!r}")
    return dict(content)


def _traffic(options: argparse.Namespace) -> int:
    traffic: Any = import_module("capmodel.traffic")
    fcs = {None: None, "yes": True, "no": False}[options.fcs]
    summary = traffic.read_summary(options.file, fcs=fcs, partial=options.partial)
    print(out.as_json(summary.to_dict()) if options.json else out.traffic_text(summary))
    return 0


def _backends(options: argparse.Namespace) -> int:
    if options.name is None:
        return _print_rows(out.backend_rows(), options)
    details = out.backend_details(load_backend(options.name))
    print(out.as_json(details) if options.json else out.details_text(details))
    return 0


def _machines(options: argparse.Namespace) -> int:
    if options.name is None:
        return _print_rows(out.machine_rows(), options)
    machine = load_machine(options.name)
    print(out.as_json(out.machine_details(machine)) if options.json else out.machine_text(machine))
    return 0


def _doctor(options: argparse.Namespace) -> int:
    found: Any = import_module("capmodel.diagnosis").diagnose(
        options.interface,
        interval=options.interval,
        machine=options.machine,
        pid=options.pid,
        take_statistics=options.take_statistics,
    )
    print(out.as_json(found.to_dict()) if options.json else found)
    return 0


def _print_rows(rows: Sequence[dict[str, Any]], options: argparse.Namespace) -> int:
    if options.json:
        print(out.as_json(rows))
    else:
        print(text_table(list(rows[0]), [list(row.values()) for row in rows]))
    return 0


def _add_predict(parser: argparse.ArgumentParser) -> None:
    add_path_options(parser)
    parser.add_argument("--stall", metavar="TIME", help="say too whether it survives a consumer "
                        "that stands still for so long: 5ms")  # fmt: skip
    parser.add_argument("--burst", metavar="RATE:TIME", help="say too whether it survives a burst "
                        "of that rate and length: 2Mpps:10ms")  # fmt: skip
    parser.add_argument("--reasons", action="store_true", help="say why too, and what would help")
    parser.add_argument("--references", action="store_true", help="list the sources of the numbers")


def _add_buffer(parser: argparse.ArgumentParser) -> None:
    asked = parser.add_argument_group("what is asked")
    asked.add_argument("--loss", metavar="SHARE", required=True, help="share of offered packets "
                       "that may be lost: 1e-6, 0.1%%")  # fmt: skip
    asked.add_argument("--stage", metavar="STAGE", default="buffer", help="what is to be sized: "
                       "buffer or ring (default: buffer)")  # fmt: skip
    add_path_options(parser)
    # a run of some length keeps what it holds at its end: without one it does not end
    parser.set_defaults(duration=None)
    for action in parser._actions:
        if action.dest == "duration":
            action.help = "length of the run: 100s, 5min (default: endless)"


def _add_sweep(parser: argparse.ArgumentParser) -> None:
    add_path_options(parser, several=True)
    parser.add_argument("--out", metavar="FILE", help="write FILE, which ends in .csv or .json, "
                        "whole or not at all (default: print)")  # fmt: skip
    parser.add_argument("--format", choices=tuple(out.SWEEP_FORMATS),
                        help="default: as FILE ends, or csv")  # fmt: skip
    parser.add_argument("--intervals", action="store_true", help="add captured_low and "
                        "captured_high, between which 90 %% of the plausible machines "
                        "are")  # fmt: skip
    parser.add_argument("--skip-unsupported", action="store_true", help="leave out backends whose "
                        "costs the machine lacks, with a warning (default: refuse)")  # fmt: skip


def _add_claims(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--numbers", action="store_true", help="add every scenario's predicted captured shares"
    )


def _add_validate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        metavar="NAME",
        help="one set of measurements by name, or all that are "
        "'published', or all of the 'lab' (default: all)",
    )
    parser.add_argument(
        "--summary", action="store_true", help="one line per set, as a Markdown table"
    )


def _add_calibrate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name",
        metavar="NAME",
        help="a calibration that the data define, as braun2010; a wrong name lists them all",
    )
    for option, name, text in (
        ("members", "members", "size of the posterior sample"),
        ("moves", "moves", "Markov chain moves of every member per stage"),
        ("final-moves", "final_moves", "moves of every member after the last stage"),
        ("seed", "seed", "seed of the random numbers; default: that of the calibration's file"),
        ("folds", "fold_count", "leave the claims out of the fit in so many folds; default: none"),
    ):
        parser.add_argument(f"--{option}", dest=name, metavar="N", type=int, help=text)
    parser.add_argument("--out", metavar="DIR", type=Path, help="write the machine files there")
    report = parser.add_mutually_exclusive_group()
    report.add_argument("--record", metavar="FILE", type=Path, help="write the report as JSON")
    report.add_argument("--recorded", action="store_true", help="print the stored report, fit none")


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "interface",
        metavar="INTERFACE",
        nargs="?",
        help="network interface, as eth0 (default: the one that is captured on)",
    )
    parser.add_argument("--interval", metavar="TIME", default="3s",
                        help="how long to watch: 10s (default: 3s)")  # fmt: skip
    parser.add_argument(
        "--machine",
        metavar="NAME",
        help=f"whose costs price the remedies; a name "
        f"or a FILE.toml (default: {DEFAULT_MACHINE}, which only ranks them)",
    )
    parser.add_argument("--pid", metavar="N", type=int, help="look at this process's sockets alone")
    parser.add_argument(
        "--take-statistics",
        action="store_true",
        help="count exactly what mapped "
        "rings lose, by reading the sockets' own statistics, which resets them",
    )


def _add_traffic(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="pcap or pcapng, or either in gzip")
    parser.add_argument(
        "--partial",
        action="store_true",
        help="of a damaged file, read what stands before the damage",
    )
    parser.add_argument("--fcs", choices=("yes", "no"), help="whether the lengths in it include "
                        "the frame checksum (default: as the file says, else no)")  # fmt: skip


def _add_backend(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="show this one in full: costs "
                        "charged, waiting, buffer, knobs, sources")  # fmt: skip


def _add_machine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="show this one, or a FILE.toml, in "
                        "full: cards, backends it can predict, every cost with its "
                        "source")  # fmt: skip


def _add_lab(parser: argparse.ArgumentParser) -> None:
    import_module("capmodel.lab.cli").add(parser)


def _lab(options: argparse.Namespace) -> int:
    status: int = import_module("capmodel.lab.cli").run(options)
    return status


@dataclass(frozen=True)
class _Command:
    help: str
    add: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    examples: tuple[str, ...]
    about: str = ""  # what its own help says beyond the line in the list


_RANGES = """\
Options with [,...] take lists a,b,c, and those with numbers ranges from:to:count in equal steps or
log:from:to:count in equal ratios; ends have units, as 200ns:1us:5. Every combination is predicted.
Columns are in packets/s, seconds and bytes, however the values were written; a buffer has its unit.

"""
COMMANDS: dict[str, _Command] = {
    "predict": _Command("predict what one set-up captures and loses", _add_predict, _predict, (
        "capmodel predict --rate 1.27Mpps --backend pf_packet --reasons",
        "capmodel predict --rate 1Gbit/s --size imix --machine my.toml --json",
        "capmodel predict --rate 8e5 --buffer 20MiB --work 600ns --pinning same",
        "capmodel predict --rate 500kpps --stall 20ms --burst 2Mpps:5ms",
    ), "Prints the captured share, drops by stage, wakeups, core time and what limits."),
    "explain": _Command("say why a set-up loses packets", add_path_options, _explain, (
        "capmodel explain --rate 1.27Mpps --application packzip:3",
    ), "The same text as 'capmodel predict --reasons', without the table."),
    "buffer": _Command("say how large a buffer must be for a loss", _add_buffer, _buffer, (
        "capmodel buffer --rate 300kpps --arrivals poisson --work 2us --loss 1e-4",
        "capmodel buffer --rate 500kpps --arrivals poisson --loss 0.1% --stage ring --json",
    ), "A simulation checks the size found, where numba is there, and enlarges it if need be."),
    "sweep": _Command("predict a whole grid of set-ups, as CSV or JSON", _add_sweep, _sweep, (
        "capmodel sweep --rate 0.2Mpps:1.4Mpps:25 --backend pf_packet,pf_ring --out rates.csv",
        "capmodel sweep --rate 1.27e6 --work log:50ns:20us:60 --intervals --format json",
    )),
    "traffic": _Command("say what recorded traffic is like", _add_traffic, _traffic, (
        "capmodel traffic edge.pcapng.gz", "capmodel traffic edge.pcap --partial --json",
    ), "Prints rate, sizes, bursts by time scale, and the 'capmodel predict' command for them."),
    "claims": _Command("check the findings of the literature", _add_claims, _claims, (
        "capmodel claims --numbers",
    ), "Ends with status 1 if one does not hold."),
    "validate": _Command("compare predictions with measurements", _add_validate, _validate, (
        "capmodel validate --json", "capmodel validate --summary",
        "capmodel validate --set deri2004",
    ), "Published measurements, and sets that 'capmodel lab' took."),
    "calibrate": _Command("fit a machine of the literature", _add_calibrate, _calibrate, (
        "capmodel calibrate braun2010 --seed 1 --out fitted",
        "capmodel calibrate braun2010 --recorded",
    ), "Takes minutes to hours. Your own machine: 'capmodel lab calibrate'."),
    "lab": _Command("measure captures on this machine's own kernel", _add_lab, _lab, (
        "capmodel lab paradox", "capmodel lab run --rate 300kpps --work 1us",
    ), "In a network namespace of its own; without root where user namespaces are allowed."),
    "doctor": _Command("say where a running capture loses packets", _add_doctor, _doctor, (
        "capmodel doctor eth0 --interval 10s --machine host.toml",
        "capmodel doctor --pid 1234 --json",
    ), "Reads Linux's counters; changes nothing unless --take-statistics is given."),
    "backends": _Command("list the capture mechanisms", _add_backend, _backends, (
        "capmodel backends", "capmodel backends pf_ring",
    )),
    "machines": _Command("list the machines and their costs", _add_machine, _machines, (
        "capmodel machines", "capmodel machines braun_amd", "capmodel machines my.toml",
    )),
}  # fmt: skip


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line.

    Returns
    -------
    ArgumentParser

    Examples
    --------
    >>> build_parser().parse_args(["backends", "bpf"]).name
    'bpf'
    """
    plain = partial(argparse.RawDescriptionHelpFormatter, max_help_position=32, width=WIDTH)
    parser = _Parser(
        prog="capmodel",
        description="Predicts how many packets a capture system loses, where, and why.",
        epilog="examples:\n" + "\n".join(f"  {c.examples[0]}" for c in COMMANDS.values()),
        formatter_class=plain,
    )
    parser.add_argument("--version", action="version", version=f"capmodel {capmodel.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        notes = _RANGES if name == "sweep" else ""
        own = commands.add_parser(
            name, help=command.help,
            description=textwrap.fill(f"{_sentence(command.help)} {command.about}", WIDTH),
            epilog=f"{notes}examples:\n" + "\n".join(f"  {text}" for text in command.examples),
            formatter_class=plain, allow_abbrev=False,
        )  # fmt: skip
        command.add(own)
        own.add_argument("--json", action="store_true", help="JSON instead of text")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; default: those of the process.

    Returns
    -------
    int
        Exit status [-]: 0; 1 if a claim fails or no buffer is enough; 2 after an error, which is
        one sentence on standard error; 130 if interrupted.

    Examples
    --------
    >>> main(["predict", "--rate", "1.27Mpps", "--backend", "pf_paket"])
    2
    """
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = _show_warning
        try:
            options = build_parser().parse_args(argv)
            status = COMMANDS[options.command].run(options)
            sys.stdout.flush()
            return status
        except SystemExit as stop:  # --help and --version
            return stop.code if isinstance(stop.code, int) else 0
        except BrokenPipeError:
            # the reader has gone, as in `capmodel backends | head`: nothing more to say to it
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - open until exit
            return _INTERRUPTED
        except KeyboardInterrupt:
            return _INTERRUPTED
        except (ValueError, TypeError, OSError, ImportError) as error:
            print(f"capmodel: error: {' '.join(_told(error).split())}", file=sys.stderr)
            return _WRONG_USE


def _told(error: Exception) -> str:
    """An error in words; those of the system without their number."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror[0].lower()}{error.strerror[1:]}"
    return str(error)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"capmodel: warning: {' '.join(str(message).split())}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
