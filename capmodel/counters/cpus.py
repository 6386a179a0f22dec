"""Sets of CPUs as the kernel writes them, and the states in which a CPU idles."""

from __future__ import annotations

import re
from dataclasses import dataclass

from capmodel.errors import damaged_file

_MOST_CPUS = 1 << 16  # far above any kernel's NR_CPUS: a larger number is damage


def parse_cpu_list(text: str, source: str = "CPU list") -> frozenset[int]:
    """CPUs of a list such as ``0-3,8``.

    Parameters
    ----------
    text : str
        As in ``/proc/irq/N/smp_affinity_list`` or ``Cpus_allowed_list``; may be empty.
    source : str
        Where the text is from, for errors.

    Returns
    -------
    frozenset of int

    Raises
    ------
    ValueError
        If it is not such a list.

    Notes
    -----
    Source: linux_proc, "/proc/irq" and table 1-2 (status, ``Cpus_allowed_list``).

    Examples
    --------
    >>> sorted(parse_cpu_list("0-2,5"))
    [0, 1, 2, 5]
    """
    found: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        match = re.fullmatch(r"(\d{1,7})(?:-(\d{1,7}))?", part)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise damaged_file(source, "CPU list", f"{part!r} is neither a CPU nor a range of them")
        last = int(match[2] or match[1])
        if last >= _MOST_CPUS:
            raise damaged_file(source, "CPU list", f"there is no CPU {last}")
        found.update(range(int(match[1]), last + 1))
    return frozenset(found)


def parse_cpu_mask(text: str, source: str = "CPU mask") -> frozenset[int]:
    """CPUs of a hexadecimal mask such as ``00000000,0000000f``.

    Parameters
    ----------
    text : str
        As in ``/sys/class/net/<interface>/queues/rx-0/rps_cpus``: words of 32 bits, highest first.
    source : str
        Where the text is from, for errors.

    Returns
    -------
    frozenset of int
        Empty where RPS is off.

    Raises
    ------
    ValueError
        If it is not such a mask.

    Notes
    -----
    Source: linux_scaling, "RPS Configuration".

    Examples
    --------
    >>> sorted(parse_cpu_mask("00000001,00000003"))
    [0, 1, 32]
    """
    words = text.strip().split(",")
    if not all(re.fullmatch(r"[0-9a-fA-F]{1,8}", word) for word in words):
        raise damaged_file(source, "CPU mask", f"{text.strip()!r} is not hexadecimal words")
    mask = int("".join(word.zfill(8) for word in words), 16)
    return frozenset(cpu for cpu in range(mask.bit_length()) if mask >> cpu & 1)


def parse_memory(text: str, source: str = "cache size") -> int:
    """Bytes of a cache size such as ``32768K``.

    Parameters
    ----------
    text : str
        As in ``/sys/devices/system/cpu/cpu0/cache/index3/size``.
    source : str
        Where the text is from, for errors.

    Returns
    -------
    int
        [B]

    Raises
    ------
    ValueError
        If it is not such a size.

    Notes
    -----
    Source: linux_abi_cpu, "/sys/devices/system/cpu/cpuX/cache/index*/size".

    Examples
    --------
    >>> parse_memory("32K")
    32768
    """
    match = re.fullmatch(r"(\d+)([KMG]?)", text.strip())
    if match is None:
        raise damaged_file(source, "size", f"{text.strip()!r} is not a number of bytes")
    return int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[match[2]]


@dataclass(frozen=True)
class IdleState:
    """An idle state of one CPU: exit latency and time in it [s], entries so far [-]."""

    cpu: int
    name: str
    latency: float
    entered: int
    time: float
    disabled: bool


def parse_idle_state(cpu: int, fields: dict[str, str], source: str = "cpuidle") -> IdleState:
    """One idle state from the files of its folder.

    Parameters
    ----------
    cpu : int
        The CPU.
    fields : dict
        Content of the files ``name``, ``latency`` and ``time`` (microseconds), ``usage``,
        ``disable``.
    source : str
        The folder, for errors.

    Returns
    -------
    IdleState

    Raises
    ------
    ValueError
        If a file is missing or not a number.

    Notes
    -----
    Source: linux_cpuidle, "Idle States Representation".

    Examples
    --------
    >>> parse_idle_state(0, {"name": "C6", "latency": "133", "usage": "7", "time": "5000",
    ...                      "disable": "0"}).latency
    0.000133
    """
    numbers = {}
    for key in ("latency", "usage", "time", "disable"):
        text = fields.get(key, "").strip()
        if not re.fullmatch(r"\d+", text):
            raise damaged_file(source, key, f"{text!r} is not a count")
        numbers[key] = int(text)
    return IdleState(
        cpu,
        fields.get("name", "").strip(),
        numbers["latency"] * 1e-6,
        numbers["usage"],
        numbers["time"] * 1e-6,
        bool(numbers["disable"]),
    )
