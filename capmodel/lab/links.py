"""The pair of virtual interfaces: made, set up, counted; everything by netlink."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capmodel.lab.namespace import RECEIVER, SENDER
from capmodel.lab.outcome import LabError

_LARGEST_MTU = 65535
_ETHERNET_HEADER = 14


@dataclass(frozen=True)
class LinkCounts:
    """What the sending interface has counted: packets carried over, packets dropped."""

    carried: int
    dropped: int


class Links:
    """A veth pair of this process's own network namespace.

    Parameters
    ----------
    host : str
        The network namespace that was left, as ``/proc/self/ns/net`` reads there: nothing is made
        or sent in it.

    Raises
    ------
    LabError
        If this process is still there, or the kernel cannot make the pair.
    """

    def __init__(self, host: str) -> None:
        from pyroute2 import IPRoute

        if os.readlink("/proc/self/ns/net") == host:
            raise LabError("the lab refuses to work in the host's own network namespace")
        _without_ipv6()
        self._route: Any = IPRoute()
        self._make()
        self.sender = self._index(SENDER)
        self.receiver = self._index(RECEIVER)
        self.set_largest_frame(_LARGEST_MTU)

    def _make(self) -> None:
        from pyroute2.netlink.exceptions import NetlinkError

        try:
            self._route.link("add", ifname=SENDER, kind="veth", peer={"ifname": RECEIVER})
        except NetlinkError as error:
            if error.code in (errno.EPERM, errno.EACCES):
                raise LabError(
                    "this machine gives user namespaces no rights over their network; run as root, "
                    "or set sysctl kernel.apparmor_restrict_unprivileged_userns=0"
                ) from None
            raise LabError(
                f"this kernel cannot make virtual interfaces ({os.strerror(error.code)}); the lab "
                "needs CONFIG_VETH"
            ) from None

    def _index(self, name: str) -> int:
        return int(self._route.link_lookup(ifname=name)[0])

    def set_largest_frame(self, size: float) -> None:
        """Let both interfaces pass frames of this size [B], header included, and be up."""
        mtu = min(max(1500, int(size) - _ETHERNET_HEADER), _LARGEST_MTU)
        for index in (self.sender, self.receiver):
            self._route.link("set", index=index, mtu=mtu, state="up", arp=False)

    def require_own(self, index: int) -> None:
        """Refuse any interface that this object did not make.

        Raises
        ------
        LabError
            One sentence.
        """
        if index != self.sender:
            raise LabError(
                f"the lab sends on the interface that it made itself (index {self.sender}) "
                f"and on no other, got index {index}"
            )

    def counts(self) -> LinkCounts:
        """What the sending interface has counted since it was made."""
        stats = self._route.get_links(self.sender)[0].get_attr("IFLA_STATS64")
        return LinkCounts(int(stats["tx_packets"]), int(stats["tx_dropped"]))

    def steer(self, core: int | None) -> None:
        """Have the receiving interface's softirq work done on a core; None: where it is sent.

        Raises
        ------
        LabError
            If packet steering cannot be set, as by ordinary users.
        """
        path = Path(f"/sys/class/net/{RECEIVER}/queues/rx-0/rps_cpus")
        mask = 0 if core is None else 1 << core
        words = [f"{mask >> shift & 0xFFFFFFFF:08x}" for shift in range(0, 32 * 32, 32)]
        while len(words) > 1 and int(words[-1], 16) == 0:
            words.pop()
        try:
            path.write_text(",".join(reversed(words)), encoding="ascii")
        except OSError as error:
            if core is None:
                return  # it was never set: nothing to undo
            raise LabError(
                'pinning "same" needs packet steering (RPS), which the kernel lets only root set '
                f"({error.strerror}); run as root, or choose another pinning"
            ) from None


def _without_ipv6() -> None:
    """Keep the kernel from sending on its own: router and membership messages."""
    for place in ("default", "all"):
        path = Path(f"/proc/sys/net/ipv6/conf/{place}/disable_ipv6")
        if path.exists():
            path.write_text("1", encoding="ascii")
