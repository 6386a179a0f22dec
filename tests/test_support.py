"""What lacks costs says where they are; truth: which predictions can be made, tried one by one."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from types import MappingProxyType

import pytest

from capmodel import backend_names, load_backend, load_machine, machine_names, predict
from capmodel.support import UnsupportedError, in_short, supported_backends

TCPDUMP, OWN = {"application": "tcpdump"}, {"work": 1e-6}


@cache
def refusal(backend: str, machine: str, own: bool) -> str | None:
    """Why there is no prediction; None if there is one."""
    try:
        predict(1e4, backend=backend, machine=machine, **(OWN if own else TCPDUMP))
    except UnsupportedError as error:
        return str(error)
    return None


def named(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)


def works_with(backend: str, machine: str, own: bool) -> bool:
    return refusal(backend, machine, own) is None


@pytest.mark.parametrize("backend", backend_names())
def test_the_machines_named_are_those_that_can(backend: str) -> None:
    refused = [name for name in machine_names() if not works_with(backend, name, own=False)]
    whole = [name for name in machine_names() if works_with(backend, name, own=False)]
    own = [name for name in refused if works_with(backend, name, own=True)]
    for machine in refused:
        message = refusal(backend, machine, False)
        assert message is not None
        assert message.startswith(f"machine {machine!r} has no cost '")
        told = message.partition("Machines that have them: ")[2].partition(". Backends")[0]
        if machine in own:  # the mechanism is there: only the application's own cost is not
            assert "; give work= (the application's own time) instead. " in message
            assert f"which backend {backend!r}" not in message
            assert named(told) == whole
        else:
            remark = [*own, "tcpdump"] if own else []
            assert named(told) == [*whole, *remark]
            assert ("with work=" in told) == bool(own)
        assert ("none" in told) == (not named(told))


@pytest.mark.parametrize("machine", machine_names())
def test_the_backends_named_are_those_the_machine_can_predict(machine: str) -> None:
    whole = [name for name in backend_names() if works_with(name, machine, own=False)]
    any_work = [name for name in backend_names() if works_with(name, machine, own=True)]
    assert set(whole) <= set(any_work)
    assert list(supported_backends(load_machine(machine))) == any_work
    lacking = next(name for name in backend_names() if name not in any_work)
    message = refusal(lacking, machine, False)
    assert message is not None
    told = message.partition(f"Backends that {machine!r} can predict: ")[2]
    if len(any_work) > 8:
        assert f" and {len(any_work) - 8} more (see " in told
        assert named(told.partition(" and ")[0]) == any_work[:8]
        return
    rest = [name for name in any_work if name not in whole]
    assert named(told) == [*whole, *([*rest, "tcpdump"] if rest else [])]
    assert ("none" in told) == (not any_work)


def test_a_machine_without_the_costs_of_a_backend_says_what_it_can_predict() -> None:
    with pytest.raises(ValueError, match=r"Backends that 'epyc_vm' can predict: 'tpacket_v2', "):
        predict(1e5, backend="pf_packet", machine="epyc_vm")


def test_all_that_is_missing_is_said_at_once() -> None:
    message = refusal("af_xdp", "braun_amd", False)
    assert message is not None
    missing = named(message.partition(", which backend")[0])[1:]
    machine = load_machine("braun_amd")
    backend = load_backend("af_xdp")
    charged = (*backend.kernel.once, *backend.consumer.once)
    assert missing == [name for name in charged if name not in machine]
    assert len(missing) > 1


def test_a_rate_by_which_the_backend_s_own_driver_works_is_a_cost_too() -> None:
    amd = load_machine("braun_amd")
    bare = {key: value for key, value in amd.constants.items() if not key.endswith(".throttle")}
    machine = replace(amd, constants=MappingProxyType(bare))
    with pytest.raises(UnsupportedError, match=r"no cost 'nic\.[^']*\.throttle', which backend"):
        predict(1e5, backend="pf_packet_moderated", machine=machine)
    with pytest.raises(ValueError, match=r"^driver 'moderated' needs 'nic\..*', which machine"):
        predict(1e5, backend="pf_packet", machine=machine, driver="moderated")
    assert "pf_packet_moderated" not in supported_backends(machine)
    assert "pf_packet" in supported_backends(machine)


def test_the_short_form_has_no_advice() -> None:
    with pytest.raises(UnsupportedError) as caught:
        predict(1e5, backend="dpdk")
    assert in_short(caught.value) == (
        "machine 'braun_amd' has no cost 'pmd_receive', which backend 'dpdk' needs"
    )
    assert in_short(ValueError("as it is")) == "as it is"
