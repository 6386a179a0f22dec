"""`diagnose`: what the live counters say about a capture, and what each remedy is worth."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from capmodel.api import DEFAULT_MACHINE
from capmodel.counters.observation import Capture, Observation
from capmodel.counters.records import Place
from capmodel.counters.snapshot import interfaces_of
from capmodel.counters.watching import observe, require_process
from capmodel.doctor.findings import SEVERITIES, Finding, worded
from capmodel.doctor.judgements import capacity
from capmodel.doctor.limits import Limits, limits
from capmodel.doctor.remedies import priced
from capmodel.doctor.rules import RULES, Rule
from capmodel.doctor.situation import Situation, situation
from capmodel.errors import unknown_choice
from capmodel.machine import Machine, load_machine
from capmodel.quantities import format_rate, format_share, parse_duration
from capmodel.support import in_short
from capmodel.tables import WIDTH, text_table

DEFAULT_INTERVAL = "3s"
_OF_A_CARD = ("card_ring", "card_counters")
_LONGEST = 3600.0  # an interval beyond this is a monitor's work [s]


@dataclass(frozen=True)
class Stage:
    """Packets lost at one stage of the path [packets]; None where Linux does not show them.

    `there` is false where this interface has no such stage.
    """

    name: str
    lost: int | None
    note: str = ""
    there: bool = True

    def row(self, offered: int) -> list[str]:
        """The stage as a row of the table: name, packets, share of those offered, what it is."""
        if not self.there:
            return [self.name, "-", "-", self.note]
        packets = "not seen" if self.lost is None else f"{self.lost:,}"
        return [self.name, packets, _share(self.lost, offered), self.note]


@dataclass(frozen=True)
class Share:
    """Captured share of one socket [-]: as seen, and by the model; None where there is none.

    `note` says what the model assumed, or why it has no answer.
    """

    title: str
    seen: float | None
    model: float | None
    note: str


@dataclass(frozen=True)
class Diagnosis:
    """What was observed, what it means, and what helps.

    Attributes
    ----------
    observation : Observation
        Two snapshots and what happened between them.
    stages : tuple of Stage
        Losses by stage, from the card to the buffers.
    findings : tuple of Finding
        Worst first.
    shares : tuple of Share
        What every capturing socket captures, as seen and by the model.
    machine : Machine
        Whose costs the prices are made of.
    own_machine : bool
        Whether the user named that machine.
    """

    observation: Observation
    stages: tuple[Stage, ...]
    findings: tuple[Finding, ...]
    shares: tuple[Share, ...]
    machine: Machine
    own_machine: bool

    @property
    def not_seen(self) -> Mapping[str, str]:
        """What could not be seen, and why."""
        return self.observation.not_seen

    @property
    def lossy_stages(self) -> tuple[str, ...]:
        """Names of the stages that lost packets."""
        return tuple(stage.name for stage in self.stages if stage.lost)

    def found(self, rule: str) -> tuple[Finding, ...]:
        """Findings of one rule.

        Parameters
        ----------
        rule : str
            Its name.

        Returns
        -------
        tuple of Finding

        Raises
        ------
        ValueError
            If there is no such rule.
        """
        names = [each.id for each in RULES]
        if rule not in names:
            raise unknown_choice("rule", rule, names)
        return tuple(finding for finding in self.findings if finding.id == rule)

    @property
    def caveat(self) -> str:
        """Whose machine the prices are of."""
        if self.own_machine:
            return f"Prices are predictions with the costs of {self.machine.title}."
        return (
            f"Prices are predictions with the costs of another machine, {self.machine.title}: they "
            "rank the remedies and promise no share. Name your own with --machine FILE.toml."
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, ready for JSON.

        Returns
        -------
        dict
        """
        seen = self.observation
        return {
            "interface": seen.after.interface,
            "seconds": seen.seconds,
            "offered": seen.offered,
            "rate": seen.rate,
            "frame_size": seen.frame_size,
            "stages": [asdict(stage) for stage in self.stages],
            "captures": [_capture_dict(each) for each in seen.captures],
            "findings": [
                {**asdict(finding), "evidence": dict(finding.evidence)} for finding in self.findings
            ],
            "shares": [asdict(share) for share in self.shares],
            "machine": self.machine.name,
            "caveat": self.caveat,
            "not_seen": dict(self.not_seen),
        }

    def __str__(self) -> str:
        seen = self.observation
        size = f", {seen.frame_size:.0f} B" if seen.offered else ""
        head = (
            f"{seen.after.interface}, {seen.seconds:.1f} s: {seen.offered:,} packets offered "
            f"({format_rate(seen.rate)}{size})"
        )
        rows = [stage.row(seen.offered) for stage in self.stages]
        parts = [head, text_table(["lost at", "packets", "share", "which is"], rows)]
        if self.shares:
            parts.append("\n".join(_share_text(share) for share in self.shares))
        parts += [_finding_text(finding) for finding in self.findings]
        if not self.findings:
            parts.append(
                "Nothing found: every rule that could be judged holds."
                if seen.offered
                else "No packet came: there was nothing to judge. Watch while there is traffic."
            )
        if any(finding.remedies for finding in self.findings):
            parts.append(textwrap.fill(self.caveat, WIDTH))
        if self.not_seen:
            lines = (
                textwrap.fill(
                    f"{what}: {why}", WIDTH, initial_indent="  ", subsequent_indent="    "
                )
                for what, why in self.not_seen.items()
            )
            parts.append("\n".join(["not seen:", *lines]))
        return "\n\n".join(parts)


def _share(lost: int | None, offered: int) -> str:
    return format_share(lost / offered) if lost is not None and offered else "-"


def _share_text(share: Share) -> str:
    seen = "not seen" if share.seen is None else format_share(share.seen)
    model = "no prediction" if share.model is None else f"{format_share(share.model)} by the model"
    text = f"{share.title}: captured {seen}; {model} ({share.note})"
    return textwrap.fill(text, WIDTH, subsequent_indent="  ")


def _finding_text(finding: Finding) -> str:
    lead = f"[{finding.severity}] {finding.id}, {finding.subject}: {finding.explanation}"
    lines = [textwrap.fill(lead, WIDTH)]
    told = [f"{each.action}: {each.price}" for each in finding.remedies]
    if finding.severity == "seen":
        price = next(each.price for each in finding.remedies if each.price.changes_nothing)
        told = [
            f"nothing to gain by the model: captured {format_share(price.after or 0.0)}, with and "
            "without a remedy",
            *(text for text, each in zip(told, finding.remedies, strict=True)
              if not each.price.changes_nothing),
        ]  # fmt: skip
    lines += [
        textwrap.fill(f"- {text}", WIDTH, initial_indent="  ", subsequent_indent="    ")
        for text in told
    ]
    return "\n".join([*lines, f"  ({finding.source})"])


def _capture_dict(capture: Capture) -> dict[str, Any]:
    activity = capture.activity
    return {
        "title": capture.title,
        "pid": capture.owner.pid if capture.owner else None,
        "socket": asdict(capture.socket),
        "drops": capture.drops,
        "packets": capture.packets,
        "looks": len(capture.looks),
        "full_looks": capture.full_looks,
        "sleeps": activity.sleeps if activity else None,
        "cpu_time": activity.cpu_time if activity else None,
        "allowed_cpus": sorted(activity.task.allowed) if activity else None,
    }


def _stages(seen: Observation, bounds: Limits) -> tuple[Stage, ...]:
    link, ring = seen.after.link, seen.after.card_ring
    software = link is not None and link.kind != ""
    size = f"{ring.slots} of {ring.most} receive descriptors" if ring else "size not seen"
    if link is not None and software:
        size = f"none: a {link.kind} is no card"
    limit = seen.after.backlog_limit
    queue = "the queue between interface and softirq"
    found = [
        Stage("card's ring", None if link is None else seen.ring_drops, size, not software),
        Stage("backlog", None if link is None or not seen.after.softnet else seen.backlog_drops,
              f"{queue}, {limit} packets per CPU" if limit else queue),
    ]  # fmt: skip
    for each in seen.captures:
        note = f"that of {each.title}, {capacity(seen, each, bounds):,.0f} packets"
        if each.looks:
            note += f", full in {each.full_looks} of {len(each.looks)} looks"
        if each.drops is None and each.socket.ring:
            note += "; the kernel tells its drops to the process alone (--take-statistics)"
        found.append(Stage("buffer", each.drops, note))
    if not seen.captures:
        found.append(Stage("buffer", None, "no socket that captures here was seen"))
    return tuple(found)


def diagnose(
    interface: str | None = None,
    *,
    interval: float | str = DEFAULT_INTERVAL,
    machine: str | Path | Machine | None = None,
    pid: int | None = None,
    take_statistics: bool = False,
    thresholds: Mapping[str, float] | None = None,
) -> Diagnosis:
    """Watch a running capture and say where it loses packets, why, and what would help.

    Parameters
    ----------
    interface : str, optional
        The interface; default: the one that a packet socket is bound to.
    interval : float or str
        How long to watch [s], up to an hour.
    machine : str, Path or Machine, optional
        Whose costs price the remedies: a name, or a TOML file of the user's own. Default:
        ``braun_amd``, which ranks remedies but does not promise shares.
    pid : int, optional
        Look at this process's sockets alone.
    take_statistics : bool
        Read the sockets' own statistics (``PACKET_STATISTICS``). That is the only exact count of
        what a mapped ring loses, and it resets them: the program's own report will lack it.
    thresholds : mapping of str to float, optional
        Other thresholds [SI] than those of ``capmodel/doctor/thresholds.toml``.

    Returns
    -------
    Diagnosis

    Raises
    ------
    ValueError
        If an argument is not usable, or this system is not Linux: one sentence.

    Notes
    -----
    Nothing is changed and no packet is sent. Without root, other users' processes stay closed;
    whatever was not seen is listed with the reason. Ring occupancy is looked at by mapping the
    socket's ring a second time, read only, which takes the right to trace the process.

    Examples
    --------
    >>> import sys
    >>> sys.platform != "linux" or diagnose("lo", interval="50ms").observation.after.link.name
    'lo'
    """
    if sys.platform != "linux":
        raise ValueError(f"diagnose reads the counters of Linux, and this system is {sys.platform}")
    seconds = parse_duration(interval, name="interval")
    if seconds > _LONGEST:
        raise ValueError(f"interval must be at most an hour, got {interval!r}")
    if pid is not None and pid < 1:
        raise ValueError(f"pid must be the number of a process, got {pid!r}")
    rig = load_machine(DEFAULT_MACHINE if machine is None else machine)
    bounds = limits(rig, thresholds)
    if pid is not None and interface is None:
        require_process(pid)  # before the question which interface
    place = Place(interface if interface is not None else capturing_interface())
    seen = observe(place, seconds, pid=pid, statistics=take_statistics)
    return judge(seen, bounds, rig, own_machine=machine is not None)


def judge(
    seen: Observation, bounds: Limits, machine: Machine, *, own_machine: bool = True
) -> Diagnosis:
    """Apply every rule to an observation.

    Parameters
    ----------
    seen : Observation
        What was observed.
    bounds : Limits
        Thresholds and costs.
    machine : Machine
        Whose costs price the remedies.
    own_machine : bool
        Whether that machine is the one observed.

    Returns
    -------
    Diagnosis
    """
    unjudged = {
        rule.id: f"not judged, because machine {machine.name!r} has no cost {rule.cost!r}"
        for rule in RULES
        if rule.cost and getattr(bounds, rule.cost) is None
    }
    hidden = {**seen.not_seen, **unjudged}
    if seen.after.link is not None and seen.after.link.kind:
        # a software interface has no card: nothing of one remains unseen
        hidden = {name: why for name, why in hidden.items() if name not in _OF_A_CARD}
    seen = replace(seen, not_seen=hidden)
    captures = seen.captures
    cases = [situation(seen, each, bounds, machine) for each in captures]
    findings = []
    for rule in RULES:
        subjects: list[tuple[Capture | None, Situation | str]] = list(
            zip(captures, cases, strict=True)
        )
        if not rule.per_capture:
            subjects = [(None, cases[0] if cases else "no socket that captures here was seen")]
        findings += [
            finding
            for capture, case in subjects
            if (finding := _finding(rule, seen, capture, case, bounds)) is not None
        ]
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Diagnosis(
        seen,
        _stages(seen, bounds),
        tuple(findings),
        tuple(_shared(seen, each, case) for each, case in zip(captures, cases, strict=True)),
        machine,
        own_machine,
    )


def _finding(
    rule: Rule, seen: Observation, capture: Capture | None, case: Situation | str, bounds: Limits
) -> Finding | None:
    evidence = rule.judge(seen, capture, bounds)
    if evidence is None:
        return None
    losing = bool(seen.ring_drops or seen.backlog_drops) or any(c.loses for c in seen.captures)
    severity = "loss" if rule.severity == "risk" and losing else rule.severity
    words = {name: worded(name, value) for name, value in evidence.items()}
    offered = (priced(name, seen, case, evidence) for name in rule.remedies)
    remedies = tuple(each for each in offered if each is not None)
    answers = [each.price for each in remedies if each.price.now is not None]
    if severity != "loss" and answers and all(price.changes_nothing for price in answers):
        severity = "seen"
    return Finding(
        rule.id,
        severity,
        capture.title if capture else seen.after.interface,
        evidence,
        rule.explanation.format_map(words),
        rule.source,
        remedies,
    )


def _shared(seen: Observation, capture: Capture, case: Situation | str) -> Share:
    captured = None
    if capture.drops is not None and seen.offered:
        lost = seen.ring_drops + seen.backlog_drops + capture.drops
        captured = max(0.0, 1.0 - lost / seen.offered)
    if isinstance(case, str):
        return Share(capture.title, captured, None, case)
    try:
        model = case.prediction.captured
    except ValueError as error:
        return Share(capture.title, captured, None, in_short(error))
    return Share(capture.title, captured, model, "for " + ", ".join(case.notes))


def capturing_interface() -> str:
    """The interface that packet sockets are bound to.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If there is none, or several; the message lists the interfaces.
    """
    from capmodel.counters.links import links
    from capmodel.counters.packet_sockets import packet_sockets

    try:
        names = {link.index: link.name for link in links()}
        bound = {sock.interface for sock in packet_sockets() if sock.protocol}
    except OSError as error:
        known = ", ".join(interfaces_of())
        raise ValueError(
            f"INTERFACE must be given, as the kernel does not list packet sockets ({error}); "
            f"there are {known}"
        ) from None
    found = sorted(names[index] for index in bound if index in names)
    if len(found) != 1:
        heard = "no packet socket is bound to one" if not found else "several are captured on"
        listed = ", ".join(found or interfaces_of())
        raise ValueError(f"INTERFACE must be given, because {heard}: choose from {listed}")
    return found[0]
