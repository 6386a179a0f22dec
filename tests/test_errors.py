from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
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
