"""How large a buffer: against the formula's inverse, against every smaller size, in words."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace

import pytest

from capmodel import Bursts, CapturePath, predict, required_buffer, solve
from capmodel.cli import COMMANDS, main
from capmodel.formulary import buffer_for_loss_on_off
from capmodel.simulation.run import simulate
from capmodel.size_check import SizeCheck
from capmodel.sizing import MOST_SLOTS, RequiredBuffer, _smallest
from capmodel.solvers import simulation

ON, OFF = 1e-3, 4e-3
BURSTS = Bursts(ON, OFF)


def loss_with(found: RequiredBuffer, slots: int) -> float:
    """What the same path loses with another buffer (of packets as small as to fit the caches)."""
    path = found.prediction.path
    return float(solve(replace(path, buffer=replace(path.buffer, capacity=float(slots)))).loss)


@pytest.mark.parametrize("loss", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("load", [0.4, 0.7])
def test_bursts_need_what_the_inverse_of_anick_mitra_sondhi_says(load: float, loss: float) -> None:
    """Bursts that the kernel follows and the consumer does not; small buffers stay in the cache."""
    kernel = float(predict(1e5).path.kernel.cost)
    work = 2.0 * kernel
    drain = 1.0 / float(predict(1e5, work=work).path.consumer.cost)
    peak, mean = 0.7 / kernel, load * drain
    off = ON * (peak / mean - 1.0)
    assert drain < peak
    found = required_buffer(mean, loss, arrivals=Bursts(ON, off), work=work)
    fluid = float(buffer_for_loss_on_off(peak, drain, 1 / ON, 1 / off, loss))
    assert found.slots == pytest.approx(fluid, rel=1e-3, abs=1.0)
    assert found.prediction.solver == "closed_form"


@pytest.mark.parametrize(
    "arguments",
    [
        {"rate": 3e5, "arrivals": "poisson", "work": "2us"},
        {"rate": 5e5, "arrivals": "poisson", "work": "1.2us"},
        {"rate": 1e5, "arrivals": BURSTS, "work": "2us"},
    ],
    ids=str,
)  # fmt: skip
def test_one_slot_less_is_not_enough_and_no_smaller_size_is(arguments: dict[str, object]) -> None:
    """By the solver, from what must be held in any case on."""
    found = required_buffer(loss=1e-3, **arguments)
    assert found.slots is not None
    assert found.solved is not None
    assert found.loss <= 1e-3
    assert found.loss == loss_with(found, found.slots)
    smaller = range(found.least, found.solved, 1 if found.solved < 200 else 37)
    edge = [found.solved - 1] if found.solved > found.least else []
    assert all(loss_with(found, slots) > 1e-3 for slots in [*smaller, *edge])


UNDERSIZED: list[dict[str, object]] = [
    {"rate": 5e5, "arrivals": "poisson", "loss": 1e-3, "stage": "ring"},
    {"rate": 3e5, "arrivals": "poisson", "work": "2us", "loss": 1e-6},
    {"rate": 1e5, "loss": 1e-6},
    {"rate": 1e5, "loss": 1e-6, "pinning": "same"},
]


@pytest.mark.parametrize("arguments", UNDERSIZED, ids=str)
def test_a_simulation_with_another_seed_loses_no_more(arguments: dict[str, object]) -> None:
    """Sizes that the closed form alone would make so small that up to 80 % are lost."""
    pytest.importorskip("numba")
    found = required_buffer(**arguments)
    assert found.slots is not None
    lost = simulate(found.prediction.path, seed=77).mean["loss"]
    assert lost <= max(float(str(arguments["loss"])), 1e-5)
    assert found.check is not None
    assert found.check.loss <= found.target


@pytest.mark.parametrize("pinning", ["split", "same"])
def test_no_answer_is_smaller_than_what_comes_at_once(pinning: str) -> None:
    """What gathers in an interrupt's interval, and what comes before a woken consumer runs."""
    rate = 1e5
    base = predict(rate, pinning=pinning)
    batch = rate / float(base.path.kernel.driver.throttle)
    backlog = rate * float(base.path.wakeup.latency)
    assert batch > 2.0
    found = required_buffer(rate, 0.5, pinning=pinning)
    assert found.slots is not None
    assert found.slots >= batch + backlog
    ring = required_buffer(rate, 0.5, stage="ring", pinning=pinning)
    assert ring.slots is not None
    assert ring.slots >= batch


def test_a_size_that_the_simulation_contradicts_is_enlarged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A simulation that asks for 1000 slots, whatever the solver says: to a hundredth, not less."""

    def fake(path: CapturePath) -> tuple[float, float, int]:
        return 0.0 if path.buffer.capacity >= 1000 else 0.1, 0.0, 10**6

    monkeypatch.setattr(simulation, "simulated_loss", fake)
    found = required_buffer("300kpps", 1e-3, arrivals="poisson", work="2us")
    assert found.slots is not None
    assert found.solved is not None
    assert found.solved < 1000 <= found.slots < 1010
    assert dict(found.rows())["checked"] == "simulation of 1,000,000 packets lost none"
    assert f"{found.solved:,} slots; larger" in dict(found.rows())["solver"]
    monkeypatch.setattr(simulation, "simulated_loss", lambda path: (0.1, 0.0, 10**6))
    assert main(ASK) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "No buffer is enough: the closed form asks for" in text
    assert "a simulation loses 10 %" in text


def test_without_numba_the_answer_says_that_it_was_not_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(simulation, "accepts", lambda path: "numba is not installed")
    found = required_buffer("300kpps", 1e-3, arrivals="poisson", work="2us")
    assert found.slots == found.solved
    assert dict(found.rows())["checked"] == "not checked: numba is not installed"
    assert found.to_dict()["check"] == {
        "packets": 0, "loss": None, "half_width": None, "words": found.rows()[-1][1],
    }  # fmt: skip


def test_what_a_million_packets_cannot_show_is_said() -> None:
    pytest.importorskip("numba")
    rare, usual = (required_buffer("100kpps", loss).rows()[-1][1] for loss in (1e-6, 1e-3))
    assert "cannot see losses below 0.001 %" in rare
    assert "cannot see" not in usual


@pytest.mark.parametrize("line", COMMANDS["buffer"].examples)
def test_the_answers_of_the_help_hold(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By a simulation that was not used to find them."""
    pytest.importorskip("numba")
    words = shlex.split(line)[1:]
    assert main([*words, *([] if "--json" in words else ["--json"])]) == 0
    said = json.loads(capsys.readouterr().out)
    given = dict(zip(words[1::2], words[2::2], strict=False))
    options = {name: given[f"--{name}"] for name in ("rate", "arrivals", "work") if
               f"--{name}" in given}  # fmt: skip
    size = {said["stage"]: said["slots"] if said["stage"] == "ring" else f"{said['slots']} slots"}
    path = predict(**options, **size, duration="24h").path
    again = simulate(path, packets=4_000_000, seed=5)
    assert again.mean["loss"] - again.half_width["loss"] <= said["target"]


def test_a_run_that_ends_keeps_what_its_buffer_holds() -> None:
    """A consumer overloaded for 50 ms: the buffer must hold the surplus, whatever came in."""
    rate, seconds = 1e6, 0.05
    found = required_buffer(rate, 1e-4, work="2us", duration=seconds)
    cost = float(found.prediction.path.consumer.cost)
    assert found.slots == pytest.approx((rate - 1.0 / cost) * seconds, rel=0.01)
    endless = required_buffer(rate, 1e-4, work="2us")
    assert endless.slots is None
    assert endless.loss == pytest.approx(1.0 - 1.0 / (rate * cost), rel=0.01)


def test_memory_is_what_the_slots_take() -> None:
    """128 bytes a slot: 68 captured, 52 of header, rounded up to 16."""
    found = required_buffer(3e5, 1e-3, arrivals="poisson", work="2us")
    assert found.slots is not None
    assert found.memory == 128 * found.slots
    assert found.capacity == found.slots
    blocks = required_buffer(3e5, 1e-6, backend="tpacket_v3")
    assert blocks.capacity >= 1.0
    block = blocks.prediction.backend.buffer.block
    assert block is not None
    assert blocks.memory == float(blocks.prediction.path.buffer.blocks) * block.amount
    assert required_buffer(3e5, 1e-3, arrivals="poisson", stage="ring").memory is None


@pytest.mark.parametrize(
    ("arguments", "bottleneck", "words"),
    [
        ({"rate": 1.27e6}, "kernel", "the kernel's core is the bottleneck"),
        ({"rate": 1e6, "work": "3us"}, "consumer", "only postpones the loss"),
        ({"rate": 1.27e6, "pinning": "same"}, "shared core", "one core of kernel and consumer"),
        ({"rate": 9e5, "ring": 64, "driver": "polling"}, "card", "the card is the bottleneck"),
    ],
    ids=["kernel", "consumer", "shared core", "card"],
)
def test_where_no_buffer_is_enough_the_bottleneck_is_named(
    arguments: dict[str, object], bottleneck: str, words: str
) -> None:
    found = required_buffer(loss=1e-6, **arguments)
    assert not found.enough
    assert found.change == ""
    assert found.prediction.bottleneck == bottleneck
    assert found.reason.startswith("No buffer is enough: ")
    assert words in found.reason
    assert found.reason.count(". ") == 0  # one sentence
    for slots in (1, 64, 4096, 2**20):
        usual = predict(**arguments, buffer=f"{slots} slots", duration="24h")
        assert usual.loss > 1e-6


def test_a_ring_is_found_by_the_same_search() -> None:
    found = required_buffer(5e5, 1e-5, arrivals="poisson", stage="ring", duration="24h")
    assert found.slots is not None
    assert found.change == f"ring {found.slots}"
    assert found.solved is not None
    less, enough, more = (
        predict(5e5, arrivals="poisson", ring=ring, duration="24h")
        for ring in (found.solved - 1, found.solved, found.slots)
    )
    assert less.loss > 1e-5 >= enough.loss >= more.loss == found.loss


class Fake:
    """Sizes whose losses are given by a function."""

    def __init__(self, loss) -> None:
        self.loses, self.asked = self._remembered, {}
        self._loss = loss

    def _remembered(self, slots: int) -> float:
        return self.asked.setdefault(slots, self._loss(slots))

    def best(self) -> int:
        return min(self.asked, key=lambda slots: (self.asked[slots], slots))


@pytest.mark.parametrize("first", [1, 2, 3, 1000, 2**20 + 1, MOST_SLOTS])
def test_the_search_finds_the_first_that_is_enough(first: int) -> None:
    sizes = Fake(lambda slots: 0.0 if slots >= first else 1.0 / slots)
    assert _smallest(sizes, 1e-12) == first
    assert len(sizes.asked) <= 70


@pytest.mark.parametrize(("low", "high"), [(600, 5000), (700, 1000), (70_000, 77_000)])
def test_a_loss_that_rises_again_is_coped_with(low: int, high: int) -> None:
    """As where a large buffer outgrows the caches: only sizes from low to high are enough."""
    sizes = Fake(lambda slots: 1e-9 if low <= slots <= high else abs(slots - low) / (slots + low))
    found = _smallest(sizes, 1e-6)
    assert found == low


def test_a_buffer_that_outgrows_the_caches_is_no_answer() -> None:
    """The consumer keeps up while the ring stays in the cache, and not beyond it."""
    plain, huge = (
        predict(1e5, work="1us", buffer=size, duration="24h").path.consumer.cost
        for size in ("64 slots", "1GiB")
    )
    rate = 0.5 * (1.0 / float(plain) + 1.0 / float(huge))
    found = required_buffer(rate, 1e-3, arrivals="poisson", work="1us")
    assert found.slots is not None
    path = predict(
        rate, work="1us", arrivals="poisson", buffer="1GiB", duration="24h", solver="closed_form"
    )
    assert path.loss > 1e-3 >= found.loss


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"loss": 0.0}, "loss must lie between 0 and 1"),
        ({"loss": 1.0}, "loss must lie between 0 and 1"),
        ({"loss": "much"}, "loss must be"),
        ({"loss": 1e-6, "stage": "card"}, "stage"),
        ({"loss": 1e-6, "buffer": "2MiB"}, "buffer is what is asked for"),
        ({"loss": 1e-6, "stage": "ring", "ring": 64}, "ring is what is asked for"),
        ({"loss": 1e-6, "backend": "ncap"}, "buffer does not apply"),
        ({"loss": 1e-6, "solver": "simulation"}, "solver must not be 'simulation'"),
    ],
    ids=str,
)
def test_bad_input_is_one_sentence(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        required_buffer(2e5, **arguments)


ASK = ["buffer", "--rate", "300kpps", "--arrivals", "poisson", "--work", "2us", "--loss", "0.1%"]


def test_the_command_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    found = required_buffer("300kpps", 1e-3, arrivals="poisson", work="2us")
    assert main(ASK) == 0
    text = capsys.readouterr().out
    assert f"--buffer '{found.slots} slots'" in text
    assert f"{found.memory:,.0f} bytes" in text
    assert main([*ASK, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["slots"], said["memory"], said["loss"]) == (found.slots, found.memory, found.loss)
    # what is typed then loses no more
    typed = predict("300kpps", arrivals="poisson", work="2us", buffer=f"{found.slots} slots")
    assert typed.loss <= 1e-3


def test_the_command_says_when_none_is_enough(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["buffer", "--rate", "1.27Mpps", "--loss", "1e-6"]) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "none is enough" in text
    assert required_buffer("1.27Mpps", 1e-6).reason in text
    assert main(["buffer", "--rate", "1.27Mpps", "--loss", "1e-6", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["slots"] is None
    assert main(["buffer", "--rate", "1.27Mpps"]) == 2
    assert "--loss" in capsys.readouterr().err


def test_a_machine_that_is_predicted_by_simulation_is_sized_all_the_same() -> None:
    found = required_buffer(
        3e5, loss=1e-3, machine="epyc_vm", backend="tpacket_v3", arrivals="poisson", work="2us"
    )
    assert found.prediction.solver != "simulation"
    assert found.prediction.loss <= 1e-3


def test_a_check_that_is_too_noisy_says_so() -> None:
    assert "tells little" in SizeCheck(1e-3, 1_000_000, 3.3e-3, 7.8e-3).words
    assert "tells little" not in SizeCheck(1e-3, 1_000_000, 8e-4, 1e-4).words
