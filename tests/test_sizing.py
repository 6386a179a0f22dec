"""How large a buffer: against the formula's inverse, against every smaller size, in words."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from capmodel import Bursts, predict, required_buffer, solve
from capmodel.cli import main
from capmodel.formulary import buffer_for_loss_on_off
from capmodel.sizing import MOST_SLOTS, RequiredBuffer, _smallest

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
    found = required_buffer(loss=1e-3, **arguments)  # type: ignore[arg-type]
    assert found.slots is not None
    assert found.loss <= 1e-3
    assert found.loss == loss_with(found, found.slots)
    every = range(1, found.slots) if found.slots < 200 else range(1, found.slots, 37)
    assert min(loss_with(found, slots) for slots in [*every, found.slots - 1]) > 1e-3


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
    found = required_buffer(loss=1e-6, **arguments)  # type: ignore[arg-type]
    assert not found.enough
    assert found.change == ""
    assert found.prediction.bottleneck == bottleneck
    assert found.reason.startswith("No buffer is enough: ")
    assert words in found.reason
    assert found.reason.count(". ") == 0  # one sentence
    for slots in (1, 64, 4096, 2**20):
        usual = predict(**arguments, buffer=f"{slots} slots", duration="24h")  # type: ignore[arg-type]
        assert usual.loss > 1e-6


def test_a_ring_is_found_by_the_same_search() -> None:
    found = required_buffer(5e5, 1e-5, arrivals="poisson", stage="ring", duration="24h")
    assert found.slots is not None
    assert found.change == f"ring {found.slots}"
    less, enough = (
        predict(5e5, arrivals="poisson", ring=found.slots - step, duration="24h") for step in (1, 0)
    )
    assert less.loss > 1e-5 >= enough.loss == found.loss


class Fake:
    """Sizes whose losses are given by a function."""

    def __init__(self, loss) -> None:  # type: ignore[no-untyped-def]
        self.loses, self.asked = self._remembered, {}  # type: ignore[var-annotated]
        self._loss = loss

    def _remembered(self, slots: int) -> float:
        return self.asked.setdefault(slots, self._loss(slots))

    def best(self) -> int:
        return min(self.asked, key=lambda slots: (self.asked[slots], slots))


@pytest.mark.parametrize("first", [1, 2, 3, 1000, 2**20 + 1, MOST_SLOTS])
def test_the_search_finds_the_first_that_is_enough(first: int) -> None:
    sizes = Fake(lambda slots: 0.0 if slots >= first else 1.0 / slots)
    assert _smallest(sizes, 1e-12) == first  # type: ignore[arg-type]
    assert len(sizes.asked) <= 70


@pytest.mark.parametrize(("low", "high"), [(600, 5000), (700, 1000), (70_000, 77_000)])
def test_a_loss_that_rises_again_is_coped_with(low: int, high: int) -> None:
    """As where a large buffer outgrows the caches: only sizes from low to high are enough."""
    sizes = Fake(lambda slots: 1e-9 if low <= slots <= high else abs(slots - low) / (slots + low))
    found = _smallest(sizes, 1e-6)  # type: ignore[arg-type]
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
        required_buffer(2e5, **arguments)  # type: ignore[arg-type]


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
