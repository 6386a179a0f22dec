from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from capmodel.errors import closest, damaged_file, unknown_choice


def test_unknown_choice_lists_all_and_names_the_closest() -> None:
    error = unknown_choice("backend", "netmpa", ["pf_packet", "netmap"])
    assert isinstance(error, ValueError)
    assert str(error) == (
        "backend must be one of 'pf_packet', 'netmap', not 'netmpa' (did you mean 'netmap'?)"
    )


def test_unknown_choice_without_anything_near() -> None:
    text = str(unknown_choice("solver", "xyzzy", ["fluid", "chain"]))
    assert text == "solver must be one of 'fluid', 'chain', not 'xyzzy'"


@pytest.mark.parametrize("got", [None, 3, ["fluid"], True])
def test_unknown_choice_of_another_type(got: object) -> None:
    text = str(unknown_choice("solver", got, ["fluid"]))
    assert text == f"solver must be one of 'fluid', not {got!r}"


def test_unknown_choice_among_nothing() -> None:
    assert "none to choose from" in str(unknown_choice("machine", "mine", []))


def test_unknown_choice_takes_an_iterator() -> None:
    assert "did you mean 'fluid'" in str(unknown_choice("solver", "fluod", iter(["fluid"])))


def test_letter_case_comes_before_letters() -> None:
    assert closest("mpps", ["kpps", "Mpps"]) == "Mpps"


def test_no_guess_where_as_much_differs_as_is_the_same() -> None:
    # one letter in two is no slip; one in three or more is, and so are two that changed places
    assert closest("10", ["0", "1", "2"]) is None
    assert closest("us", ["ms", "ns"]) is None
    assert closest("bfp", ["zcbpf", "bpf"]) == "bpf"
    assert closest("pfring", ["af_xdp", "pf_ring"]) == "pf_ring"
    assert closest("epic", ["deri2004", "epyc_vm"], heads=True) == "epyc_vm"
    assert closest("read", ["read_call"]) is None  # a cost of its own
    assert closest("usec", ["us", "s"], heads=True) == "us"
    assert closest("1024", ["10"], heads=True) == closest("10", ["1"], heads=True) is None
    assert closest("sam", ["split", "same"]) == "same"
    assert closest("polling", ["pooling_x", "napi"]) == "pooling_x"
    assert closest("decomposition", ["simulation", "composition"]) == "composition"


@given(st.text(alphabet="abc_", min_size=1, max_size=7), st.text(alphabet="abc_", max_size=7))
@example("10", "1")
def test_a_guess_is_within_a_third_of_the_letters(got: str, option: str) -> None:
    # the least number of edits by trying them all, breadth first
    def reached(edits: int, swaps: bool) -> set[str]:
        words = {got}
        for _ in range(edits):
            more = set(words)
            for word in words:
                for i in range(len(word) + 1):
                    more |= {word[:i] + letter + word[i:] for letter in "abc_"}
                    if i < len(word):
                        more.add(word[:i] + word[i + 1 :])
                        more |= {word[:i] + letter + word[i + 1 :] for letter in "abc_"}
                    if swaps and i + 1 < len(word):
                        more.add(word[:i] + word[i + 1] + word[i] + word[i + 2 :])
            words = more
        return words

    targets = {option, option.partition("_")[0]} if "_" in option else {option}
    begun = len(option) > 1 and option.isalpha() and got.startswith(option)

    def near(swaps: bool) -> bool:
        return any(word in reached(max(len(got), len(word)) // 3, swaps) for word in targets)

    guessed = closest(got, [option], heads=True) is not None
    # a letter between two that were swapped is not counted as two edits: hence two bounds
    assert (near(swaps=False) or begun) <= guessed <= (near(swaps=True) or begun)


@given(st.lists(st.text(), min_size=1), st.data())
def test_an_option_is_its_own_closest_up_to_case(options: list[str], data: st.DataObject) -> None:
    option = data.draw(st.sampled_from(options))
    near = closest(option, options)
    assert near is not None
    assert near.casefold() == option.casefold()


@given(st.text(), st.lists(st.text()))
def test_closest_is_an_option_or_nothing(got: str, options: list[str]) -> None:
    near = closest(got, options)
    assert near is None or near in options


def test_damaged_file_names_file_place_and_fault() -> None:
    error = damaged_file(Path("machines") / "mine.toml", "line 3", "the key 'unit' is missing")
    assert isinstance(error, ValueError)
    assert str(error) == "machines/mine.toml, line 3: the key 'unit' is missing"
