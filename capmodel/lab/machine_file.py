"""Writing what a fit found as a machine that `predict` reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from capmodel.atomic import replacing
from capmodel.constant import UNITS, Constant, toml_value
from capmodel.lab.fit import Fit, FittedCost


def machine_text(
    fit: Fit, *, title: str, cores: int, kernel: str, locator: str, source: str, posterior: str
) -> str:
    """The TOML of a fitted machine.

    Parameters
    ----------
    fit : Fit
        What was found.
    title, kernel : str
        The machine, and its kernel's version.
    cores : int
        Its cores.
    locator : str
        How and when it was measured; stands with every number.
    source : str
        ``"own"``, or a key of the bibliography.
    posterior : str
        Name of the file with the sample.

    Returns
    -------
    str
    """
    assumed = {item.name: item for item in fit.priors.machine(cores).constants.values()}
    lines = [
        f"title = {toml_value(title)}",
        f"posterior = {toml_value(posterior)}",
        f"cores = {cores}",
        f"kernel = {toml_value(kernel)}",
        'default_nic = "veth"',
        "",
        "[costs]",
    ]
    lines += [
        f"{cost.prior.name} = {_constant(cost, source, locator).to_toml()}" for cost in fit.costs
    ]
    lines += [
        f"{item.name} = {_counted(item, source, locator).to_toml()}" for item in fit.priors.assumed
    ]
    lines += ["", "[nic.veth]", f"ring = {assumed['nic.veth.ring'].to_toml()}"]
    if fit.priors.law is not None:
        lines += ["", fit.priors.law.to_toml(source, f"{locator}; wait calls of the lab's runs")]
    return "\n".join(lines) + "\n"


def _constant(cost: FittedCost, source: str, locator: str) -> Constant:
    said = f"pinned by {cost.prior.pinned_by}" if cost.pinned else "not pinned down: prior kept"
    return Constant(
        cost.prior.name, float(f"{cost.value:.6g}"), cost.prior.unit, float(f"{cost.std:.4g}"),
        "calibrated", source, f"{locator}; {cost.prior.meaning}; {said}",
    )  # fmt: skip


def _counted(item: Constant, source: str, locator: str) -> Constant:
    """What was counted has the source of what was fitted; what is assumed stays the package's."""
    if item.origin != "measured":
        return item
    return replace(item, source=source, locator=f"{locator}; {item.locator}")


def write_machine(fit: Fit, path: Path, facts: Mapping[str, str], *, source: str = "own") -> None:
    """Write a machine file and, beside it, the posterior sample that gives intervals.

    Parameters
    ----------
    fit : Fit
        What was found.
    path : Path
        The file, ending in ``.toml``.
    facts : mapping
        Of the machine: title, cores, kernel, locator.
    source : str
        ``"own"``, or a key of the bibliography.

    Raises
    ------
    ValueError
        If the path does not end in ``.toml``.
    OSError
        If a file cannot be written; neither is then half there.
    """
    check_machine_path(path)
    sample = path.with_name(f"{path.stem}.posterior.csv")
    names = [cost.name for cost in fit.priors.costs]
    rows = []
    for member in fit.sample:
        values = [
            float(cost.at(z)) * UNITS[cost.unit]
            for cost, z in zip(fit.priors.costs, member, strict=True)
        ]
        rows.append(",".join(f"{value:.6g}" for value in values))
    with replacing(sample) as temporary:
        temporary.write_text("\n".join([",".join(names), *rows]) + "\n", encoding="utf-8")
    text = machine_text(
        fit, title=facts["title"], cores=int(facts["cores"]), kernel=facts["kernel"],
        locator=facts["locator"], source=source, posterior=sample.name,
    )  # fmt: skip
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def check_machine_path(path: Path) -> None:
    """Refuse a file that could not be read as a machine, or written at all.

    Parameters
    ----------
    path : Path
        Where a machine is to be written.

    Raises
    ------
    ValueError
        If it does not end in ``.toml``.
    FileNotFoundError
        If its folder does not exist.
    """
    if path.suffix != ".toml":
        raise ValueError(f"out must end in .toml, as predict reads machines, got {str(path)!r}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} to")
