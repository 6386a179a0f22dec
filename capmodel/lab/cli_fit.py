"""The commands ``capmodel lab calibrate`` and ``capmodel lab validate``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from capmodel.cli_output import as_json, progress_bar
from capmodel.lab.calibrate import Calibration, calibrate, write_calibration
from capmodel.lab.data_set import read_observations
from capmodel.lab.fit import fit
from capmodel.lab.host import Host, this_host
from capmodel.lab.judgement import judge, validate
from capmodel.lab.machine_file import check_machine_path
from capmodel.lab.priors import load_priors
from capmodel.lab.programs_check import check_programs, programs_text
from capmodel.lab.sets import measure_set, write_set
from capmodel.lab.waits import read_waits
from capmodel.machine import load_machine

MACHINE = "host.toml"


def add_calibrate(parser: argparse.ArgumentParser) -> None:
    """Options of ``capmodel lab calibrate``.

    Parameters
    ----------
    parser : ArgumentParser
        Of the command.
    """
    parser.add_argument(
        "--out", metavar="FILE", type=Path, default=Path(MACHINE),
        help=f"machine file to write (default: {MACHINE})",
    )  # fmt: skip
    _add_rounds(parser, 4)
    parser.add_argument(
        "--data", metavar="DIR", type=Path,
        help="fit the calibration rows of this set of measurements instead of measuring",
    )  # fmt: skip
    parser.add_argument(
        "--save", metavar="DIR", type=Path,
        help="measure validation points in the same rounds, and write both as a set",
    )  # fmt: skip
    parser.add_argument("--notes", metavar="TEXT", default="", help="remarks to keep with the set")


def add_validate(parser: argparse.ArgumentParser) -> None:
    """Options of ``capmodel lab validate`` and ``capmodel lab programs``.

    Parameters
    ----------
    parser : ArgumentParser
        Of the command.
    """
    parser.add_argument(
        "--machine", metavar="FILE", default=MACHINE,
        help="machine file that 'capmodel lab calibrate' wrote, or the name of a machine "
        f"(default: {MACHINE})",
    )  # fmt: skip
    _add_rounds(parser, 3)


def _add_rounds(parser: argparse.ArgumentParser, rounds: int) -> None:
    parser.add_argument(
        "--rounds", metavar="N", type=int, default=rounds,
        help=f"repetitions of every point (default: {rounds})",
    )  # fmt: skip
    parser.add_argument(
        "--journal", metavar="FILE", type=Path,
        help="keep every run in FILE; the same command continues after a stop",
    )  # fmt: skip
    parser.add_argument(
        "--seed", metavar="N", type=int, default=0, help="of the order of the points (default: 0)"
    )


def run_calibrate(options: argparse.Namespace) -> int:
    """Measure, fit and write this machine.

    Parameters
    ----------
    options : Namespace
        Parsed.

    Returns
    -------
    int
        Exit status [-].
    """
    if options.data is not None and (options.save is not None or options.journal is not None):
        raise ValueError("data is fitted without measuring: it excludes save and journal")
    check_machine_path(options.out)
    given = {"rounds": options.rounds, "journal": options.journal, "seed": options.seed,
             "progress": _progress()}  # fmt: skip
    checked = None
    if options.data is not None:
        result, source = _stored(options.data, options.seed)
        write_calibration(result, options.out, source=source)
    elif options.save is not None:
        result, fresh = measure_set(**given)
        write_calibration(result, options.out)
        checked = judge(load_machine(options.out), fresh, result.host)
        write_set(options.save, result, checked, options.out.stem, options.notes)
    else:
        result = calibrate(out=options.out, **given)
    if options.json:
        print(as_json(result.to_dict()))
        return 0
    print(f"{result}\nwritten: {options.out}")
    if checked is not None:
        print(f"\n{checked}\nwritten: {options.save}")
    return 0


def run_validate(options: argparse.Namespace) -> int:
    """Measure fresh points and print predicted against measured.

    Parameters
    ----------
    options : Namespace
        Parsed.

    Returns
    -------
    int
        Exit status [-].
    """
    result = validate(
        options.machine, rounds=options.rounds, journal=options.journal, seed=options.seed + 1,
        progress=_progress(),
    )  # fmt: skip
    print(as_json(result.to_dict()) if options.json else str(result))
    return 0


def run_programs(options: argparse.Namespace) -> int:
    """Run real programs and print predicted against measured.

    Parameters
    ----------
    options : Namespace
        Parsed.

    Returns
    -------
    int
        Exit status [-].
    """
    rows = check_programs(
        options.machine, rounds=options.rounds, journal=options.journal, seed=options.seed + 2,
        progress=_progress(),
    )  # fmt: skip
    print(as_json([asdict(row) for row in rows]) if options.json else programs_text(rows))
    return 0


def _progress() -> Callable[[int, int], None] | None:
    return progress_bar(0)


def _stored(folder: Path, seed: int) -> tuple[Calibration, str]:
    """A fit of the calibration rows that a set holds, and the source that the set names."""
    from capmodel.catalogue import read_toml

    meta: dict[str, Any] = read_toml(folder / "meta.toml")
    present = this_host()
    host = Host(
        cpu=str(meta.get("cpu", present.cpu)),
        kernel=str(meta.get("kernel", present.kernel)).removeprefix("Linux "),
        virtual=bool(meta.get("virtual", present.virtual)),
        cores=int(meta.get("cores", present.cores)),
        load=float(meta.get("load_average", present.load)),
        date=str(meta.get("date", present.date)),
    )
    priors = load_priors().informed(read_waits(folder))
    found = fit(
        read_observations(folder), priors, cores=host.cores, seed=seed, progress=_progress()
    )
    return Calibration(found, None, host), str(meta.get("source", "own"))
