"""Readers of what /proc says about a process and its threads."""

from __future__ import annotations

import re
from dataclasses import dataclass

from capmodel.counters.cpus import parse_cpu_list
from capmodel.errors import damaged_file


@dataclass(frozen=True)
class Task:
    """One thread.

    Attributes
    ----------
    tid : int
        Its number.
    name : str
        Its name.
    allowed : frozenset of int
        CPUs that it may run on.
    processor : int
        CPU that it ran on last.
    sleeps : int
        Voluntary context switches: times that it gave up the CPU to wait [-].
    preempted : int
        Involuntary ones [-].
    user, system : float
        CPU time in user and kernel mode [s], in ticks.
    run, waited : float or None
        Time on a CPU, and runnable but waiting for one [s], to the nanosecond; None where the
        kernel does not keep it.
    """

    tid: int
    name: str
    allowed: frozenset[int]
    processor: int
    sleeps: int
    preempted: int
    user: float
    system: float
    run: float | None = None
    waited: float | None = None

    @property
    def cpu_time(self) -> float:
        """CPU time so far [s], from the finer clock where there is one."""
        return self.user + self.system if self.run is None else self.run


def parse_task(
    status: str, stat: str, schedstat: str | None, ticks: float, source: str = "/proc/PID"
) -> Task:
    r"""One thread from its files ``status``, ``stat`` and ``schedstat``.

    Parameters
    ----------
    status : str
        Lines ``Key:\tvalue``.
    stat : str
        One line; the name stands in brackets and may hold anything.
    schedstat : str or None
        Time on a CPU, time waiting for one [ns], slices; None where there is no such file.
    ticks : float
        Ticks per second (``sysconf(_SC_CLK_TCK)``) [1/s].
    source : str
        The folder, for errors.

    Returns
    -------
    Task

    Raises
    ------
    ValueError
        If a field is missing or not a number; the message names file and field.

    Notes
    -----
    Source: linux_proc, table 1-2 (status) and table 1-4 (stat); linux_sched_stats,
    "/proc/<pid>/schedstat".

    Examples
    --------
    >>> status = "Name:\tx\nCpus_allowed_list:\t0-1\nvoluntary_ctxt_switches:\t7\n"
    >>> status += "nonvoluntary_ctxt_switches:\t2\n"
    >>> stat = "12 (a b) c) S " + "0 " * 10 + "50 25 " + "0 " * 23 + "1 0 0"
    >>> task = parse_task(status, stat, None, 100.0)
    >>> task.name, task.sleeps, task.user, task.processor
    ('a b) c', 7, 0.5, 1)
    """
    fields = dict(re.findall(r"^(\w+):[ \t]*(.*)$", status, re.MULTILINE))
    numbers = []
    for key in ("voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"):
        text = fields.get(key, "missing").strip()
        if not text.isdecimal():
            raise damaged_file(f"{source}/status", key, f"is {text!r}, not a count")
        numbers.append(int(text))
    if "Cpus_allowed_list" not in fields:
        raise damaged_file(f"{source}/status", "Cpus_allowed_list", "missing")
    head = re.match(r"\s*(\d+) \((.*)\) \S (.*)$", stat.strip(), re.DOTALL)
    words = head[3].split() if head else []
    # the words begin with field 4 of proc(5): utime is field 14, processor field 39
    if head is None or len(words) < 36 or not all(words[i].isdecimal() for i in (10, 11, 35)):
        raise damaged_file(f"{source}/stat", "line 1", "has not the fields of a process")
    run = waited = None
    if schedstat is not None:
        times = schedstat.split()
        if len(times) < 2 or not all(word.isdecimal() for word in times[:2]):
            raise damaged_file(f"{source}/schedstat", "line 1", "does not begin with two times")
        run, waited = int(times[0]) * 1e-9, int(times[1]) * 1e-9
    return Task(
        tid=int(head[1]),
        name=head[2],
        allowed=parse_cpu_list(fields["Cpus_allowed_list"], f"{source}/status"),
        processor=int(words[35]),
        sleeps=numbers[0],
        preempted=numbers[1],
        user=int(words[10]) / ticks,
        system=int(words[11]) / ticks,
        run=run,
        waited=waited,
    )
