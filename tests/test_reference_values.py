"""Every entry of data/reference_values is reproduced by the package, to what the entry states.

An entry's `agreement` is how far its own two methods are apart; the package may be off by that and
by the rounding of a few dozen operations. An entry that no line of `REPRODUCED` explains fails.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from capmodel.formulary import (
    double_buffer_carried_rate,
    fixed_sleep,
    loss_md1k,
    loss_mg1k,
    loss_mm1k,
    loss_mmpp1k,
    loss_on_off_fluid,
    n_policy,
    rss_captured,
    saturated_finite_buffer,
    zipf_shares,
)
from capmodel.path import CapturePath
from capmodel.solvers import exact
from capmodel.transient import finite_run
from tests.oracles.reference import entries

ROUNDING = 1e-14
LAWS: dict[str, Any] = {
    "det": "deterministic",
    "exp": "exponential",
    "h2": ("hyperexponential", 4.0),
}
Params = dict[str, Any]


def threshold(p: Params) -> list[Any]:
    found = n_policy(
        p["lam"], p["K"], 1.0, p["N"], float(p["Tm"]), p["L"], p["P"], LAWS[p["B"]]
    )  # fmt: skip
    return [found.carried_rate, found.wakeup_rate]


def sleep(p: Params) -> list[Any]:
    found = fixed_sleep(p["lam"], p["K"], 1.0, p["V"], LAWS[p["B"]])
    return [found.carried_rate, found.sleep_rate]


def two_cores(p: Params) -> list[Any]:
    found = exact.solve(
        CapturePath.split(
            rate=p["lam"], ring=p["R"], capacity=p["K"], kernel_cost=p["ck"],
            consumer_cost=p["ca"], wakeup_cost=p["w"], wakeup_latency=p["L"], poll_cost=p["P"],
        )
    )  # fmt: skip
    return [found.carried_rate, found.wakeup_rate, found.drops["buffer"], found.drops["ring"]]


def one_core(p: Params) -> list[Any]:
    found = exact.solve(
        CapturePath.same_core(
            rate=p["lam"], ring=p["R"], capacity=p["K"], kernel_cost=p["ck"], consumer_cost=p["ca"]
        )
    )
    return [found.carried_rate, found.drops["ring"], found.drops["buffer"]]


def lost_in_a_run(p: Params) -> list[Any]:
    path = CapturePath.single(rate=p["lam"], capacity=p["K"], consumer_cost=1.0 / p["mu"])
    return [finite_run(path, p["T"]).drops["ring"]]


REPRODUCED: dict[str, Callable[[Params], Any]] = {
    "MM1K_loss": lambda p: [loss_mm1k(p["rho"], p["K"])],
    "MD1K_loss": lambda p: [loss_md1k(p["rho"], p["K"])],
    "MG1K_loss_erl4": lambda p: [loss_mg1k(p["rho"], p["K"], ("erlang", 4))],
    "MG1K_loss_h24.0": lambda p: [loss_mg1k(p["rho"], p["K"], ("hyperexponential", 4.0))],
    "MG1K_Npolicy": threshold,
    "MG1K_fixedsleep": sleep,
    "AB_exp_tandem": two_cores,
    "AB_exp_saturated": lambda p: saturated_finite_buffer(
        p["ck"], p["ca"], p["w"], p["L"], p["P"], p["K"]
    )[:1],
    "AA_exp": one_core,
    "BPF_ZC": lambda p: double_buffer_carried_rate(p["lam"], p["B"], p["ca"], p["p"], p["L"]),
    "MMPP_M_1_K": lambda p: [loss_mmpp1k(p["l"], p["s"], p["K"], 1.0 / p["mu"])],
    "MMFF_onoff": lambda p: [loss_on_off_fluid(p["h"], p["c"], p["al"], p["be"], p["K"])],
    "MM1K_transient_loss": lost_in_a_run,
    "RSS_zipf14": lambda p: [rss_captured(zipf_shares(p["F"], p["s"]), p["q"], p["load"])],
}

ENTRIES = entries()


def family(name: str) -> str:
    """The line of the table that explains an entry."""
    found = [prefix for prefix in REPRODUCED if name.startswith(f"{prefix}_") or name == prefix]
    assert len(found) == 1, f"{name} is explained by {found or 'no line of REPRODUCED'}"
    return found[0]


@pytest.mark.parametrize("name", ENTRIES)
def test_is_reproduced(name: str) -> None:
    entry = ENTRIES[name]
    found = np.array([float(x) for x in REPRODUCED[family(name)](entry["params"])])
    expected = np.array(entry["value"])
    assert found.shape == expected.shape
    error = np.max(np.abs(found / expected - 1.0))
    assert error <= entry["agreement"] + ROUNDING, error


def test_every_entry_is_explained_once_and_every_line_explains_some() -> None:
    assert {family(name) for name in ENTRIES} == set(REPRODUCED)


def test_agreement_is_small() -> None:
    """The list is worth comparing with; only the fluid is far from its packet chain."""
    for name, entry in ENTRIES.items():
        assert 0.0 <= entry["agreement"] <= (1e-5 if name == "MMFF_onoff" else 1e-9), name
