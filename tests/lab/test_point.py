"""What a point accepts, in which words it refuses, and that it survives a trip through JSON."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from capmodel import Bursts
from capmodel.lab import RECEIVERS, LabPoint, Trace
from capmodel.lab.point import MOST_PACKETS, MOST_SECONDS
from capmodel.numerics.arrival_process import MAP
from capmodel.numerics.map_fit import fit_map


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rate": None}, "rate must be given"),
        ({"rate": 0}, "rate must be"),
        ({"rate": "1Mbps", "size": "imix", "duration": "61s"}, "at most 60 s"),
        ({"size": 63}, "size must be"),
        ({"size": 9300}, "size must be"),
        ({"backend": "tpacket_v4"}, "did you mean 'tpacket_v"),
        ({"wait": "spin"}, "wait of backend 'tpacket_v2' must be one of"),
        ({"wait": "read"}, "wait of backend 'tpacket_v2' must be one of"),
        ({"wait": "sleep"}, "sleep must be given"),
        ({"wait": "yield"}, "yields must be given"),
        ({"sleep": "1ms"}, "sleep applies to wait='sleep' only"),
        ({"wait": "sleep", "sleep": "2s"}, "sleep must be at most 1 s"),
        ({"work": -1.0}, "work must be"),
        ({"work": float("nan")}, "work must be"),
        ({"work": (1e-6, 1e-9, 1e-9)}, "work must be seconds per packet or a pair"),
        ({"work": "1s"}, "work must be at most 0.1 s"),
        ({"work": "50ms", "packets": 10**5}, "a full buffer may take at most 60 s"),
        ({"zlib_level": 10}, "zlib_level must be a whole number from 0 to 9"),
        ({"zlib_level": 1, "work": "1us"}, "work and zlib_level exclude each other"),
        ({"pinning": "both"}, "pinning must be one of 'split', 'same', 'auto'"),
        ({"ring": 0}, "ring must be"),
        ({"buffer": 4096}, "buffer must have a unit"),
        ({"buffer": "2GiB"}, "buffer must take at most 1 GiB"),
        ({"backend": "tpacket_v3", "buffer": "4096 slots"}, "must be given in bytes"),
        ({"backend": "tpacket_v3", "buffer": "4KiB"}, "at least one block"),
        ({"backend": "tpacket_v3", "block_size": "5KiB"}, "power of two"),
        ({"backend": "tpacket_v3", "timeout": "1us"}, "timeout must lie between"),
        ({"backend": "pf_packet_copy", "buffer": "10 slots"}, "must be given in bytes"),
        ({"block_size": "64KiB"}, "block_size does not apply"),
        ({"timeout": "10ms"}, "timeout does not apply"),
        ({"consumers": 17}, "consumers must be at most 16"),
        ({"batch": 0}, "batch must be"),
        ({"arrivals": "normal"}, "arrivals must be one of"),
        ({"duration": "1s", "packets": 10}, "duration and packets exclude each other"),
        ({"duration": "2min"}, f"at most {MOST_SECONDS:g} s"),
        ({"packets": MOST_PACKETS + 1}, "packets must be at most"),
        ({"rate": 1e8, "duration": "10s"}, "may offer at most"),
        ({"app": "tcpdump -i eth0"}, "app must say where the lab's interface goes"),
        ({"app": "tcpdump -i '{iface}"}, "app cannot be read"),
        ({"app": "tcpdump -i {iface}", "wait": "poll"}, "wait does not apply to app"),
        ({"app": "tcpdump -i {iface}", "work": "1us"}, "do not apply to app"),
        ({"app": "tcpdump -i {iface}", "buffer": "2MiB"}, "buffer does not apply to app"),
        ({"seed": -1}, "seed must be"),
    ],
)  # fmt: skip
def test_refusals_name_the_argument_and_what_is_allowed(changes, words):
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        LabPoint(**{"rate": 1e5, **changes})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes", [{"zlib_level": True}, {"seed": 1.5}, {"app": 3}, {"rate": "x"}, {"arrivals": 3}]
)
def test_other_types_are_refused(changes):
    with pytest.raises((TypeError, ValueError)):
        LabPoint(**{"rate": 1e5, **changes})


@pytest.mark.parametrize(
    "point",
    [
        LabPoint("300kpps", work=("1us", "2ns")),
        LabPoint("1Gbit/s", "imix", "tpacket_v3", arrivals=Bursts("10ms", "30ms", random=False)),
        LabPoint(1e5, {64: 0.5, 9000: 0.5}, "pf_packet_copy", buffer="1MiB", zlib_level=3),
        LabPoint(arrivals="trace(some.csv)"),
        LabPoint(2e5, wait="yield", yields=20, packets=10, consumers=3, batch=8, seed=5),
        LabPoint(2e5, app="tcpdump -i {iface}"),
        LabPoint(2e5, "60000B", jumbo=True, buffer="64 slots", wait="sleep", sleep="50us"),
    ],
)
def test_a_point_survives_json(point):
    assert LabPoint.from_dict(json.loads(json.dumps(point.to_dict()))) == point


def test_a_trace_may_do_without_a_rate_and_takes_one():
    assert LabPoint(arrivals=Trace("a.csv")).rate is None
    assert LabPoint("1kpps", arrivals="trace(a.csv)").rate == 1000.0


@pytest.mark.parametrize("name", RECEIVERS)
def test_every_receiver_has_defaults_that_it_accepts(name):
    point = LabPoint(1e5, backend=name)
    assert point.wait == RECEIVERS[name].waits[0]
    assert point.slots >= 1


def test_slots_follow_from_bytes_as_the_kernel_counts_them():
    # a slot of TPACKET_V2: 32 bytes of header and 20 of address, the network header at a multiple
    # of 16 behind 16 bytes for the link's (80), so the frame at 66; in all a multiple of 16
    point = LabPoint(1e5, 64, buffer="2MiB")
    assert point.receiver.slot(64) == 128
    assert point.slots == 2**21 // 128
    assert point.receiver.slot(1518) == 1584


def test_modulated_arrivals_are_written_down_exactly():
    text = "mmpp(high=1Mpps,low=50kpps,on=3ms,off=20ms)"
    point = LabPoint("150kpps", arrivals=text)
    assert isinstance(point.arrivals, MAP)
    again = LabPoint.from_dict(json.loads(json.dumps(point.to_dict())))
    np.testing.assert_allclose(again.arrivals.arriving, point.arrivals.arriving, rtol=1e-15)
    np.testing.assert_allclose(again.arrivals.silent, point.arrivals.silent, rtol=1e-15)
    assert again.to_dict() == point.to_dict()
    with pytest.raises(ValueError, match="modulated Poisson process of two phases here"):
        LabPoint("150kpps", arrivals=fit_map(2.0, 0.1, 0.9))
