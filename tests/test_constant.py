from __future__ import annotations

import dataclasses
import math
import tomllib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.constant import ORIGINS, UNITS, Constant

GOOD: dict[str, Any] = {
    "value": 1.5,
    "unit": "us",
    "std": 0.2,
    "origin": "assumed",
    "source": "capmodel",
    "locator": "an example",
}

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
CONSTANTS = st.builds(
    Constant,
    name=WORDS,
    value=st.floats(allow_nan=False, allow_infinity=False),
    unit=st.sampled_from(list(UNITS)),
    std=st.floats(min_value=0, allow_infinity=False),
    origin=st.sampled_from(ORIGINS),
    source=WORDS,
    locator=WORDS,
)


def test_si_values() -> None:
    constant = Constant("wakeup_cost", **GOOD)
    assert constant.si == pytest.approx(1.5e-6, rel=1e-15)
    assert constant.si_std == pytest.approx(2e-7, rel=1e-15)


def test_it_is_frozen_and_its_numbers_are_floats() -> None:
    constant = Constant("ring", **GOOD | {"value": np.int64(256), "unit": "slots", "std": 0})
    assert type(constant.value) is float
    assert type(constant.std) is float
    with pytest.raises(dataclasses.FrozenInstanceError):
        constant.value = 2.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("ns", 1e-9), ("Mpps", 1e6), ("KiB", 1024), ("GHz", 1e9), ("-", 1), ("cycles", 1)],
)
def test_units(unit: str, factor: float) -> None:
    assert Constant("x", **GOOD | {"value": 1, "unit": unit}).si == factor


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"source": ""}, r"^source of constant 'w' must be a text that is not empty"),
        ({"source": "  "}, r"^source of constant 'w'"),
        ({"source": None}, r"^source of constant 'w'"),
        ({"locator": ""}, r"^locator of constant 'w'"),
        ({"origin": "guessed"}, r"^origin of constant 'w' must be one of 'published'"),
        ({"origin": "Assumed"}, r"did you mean 'assumed'"),
        ({"unit": "usec"}, r"^unit of constant 'w' must be one of .*did you mean 'us'"),
        ({"unit": ["us"]}, r"^unit of constant 'w'"),
        ({"value": math.nan}, r"^value of constant 'w' must be a finite number, not nan"),
        ({"value": math.inf}, r"^value of constant 'w'"),
        ({"value": 10**400}, r"^value of constant 'w'"),
        ({"value": "1.5"}, r"^value of constant 'w'"),
        ({"value": True}, r"^value of constant 'w'"),
        ({"std": -0.1}, r"^std of constant 'w' must be at least 0, not -0.1"),
        ({"std": math.nan}, r"^std of constant 'w'"),
        ({"std": math.inf}, r"^std of constant 'w'"),
    ],
)
def test_it_refuses_to_exist(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Constant("w", **GOOD | changed)


def test_it_refuses_to_exist_without_a_name() -> None:
    with pytest.raises(ValueError, match=r"^name of constant ''"):
        Constant("", **GOOD)


@pytest.mark.parametrize("key", list(GOOD))
def test_a_missing_key_names_file_and_key(key: str) -> None:
    table = {name: value for name, value in GOOD.items() if name != key}
    with pytest.raises(ValueError, match=rf"^mine.toml, key 'w': the key '{key}' is missing$"):
        Constant.from_toml("w", table, file="mine.toml")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sources": "x"}, "has the unknown key 'sources', did you mean 'source'"),
        ({"value": "1.5"}, "value must be a number, not '1.5'"),
        ({"value": True}, "value must be a number, not True"),
        ({"std": [1]}, r"std must be a number, not \[1\]"),
        ({"unit": 3}, "unit must be a text, not 3"),
        ({"value": math.nan}, "value of constant 'w' must be a finite number"),
        ({"origin": "guessed"}, "origin of constant 'w' must be one of"),
    ],
)
def test_a_damaged_table_names_file_and_key(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^mine.toml, key 'w': {message}"):
        Constant.from_toml("w", GOOD | changed, file="mine.toml")


def test_a_bare_number_is_not_a_table() -> None:
    with pytest.raises(ValueError, match=r"^mine.toml, key 'w': must be a table, not 1.5"):
        Constant.from_toml("w", 1.5, file="mine.toml")


@given(CONSTANTS)
def test_constants_survive_writing_and_reading(constant: Constant) -> None:
    text = constant.to_toml()
    assert "\n" not in text
    table = tomllib.loads(f"x = {text}")["x"]
    assert Constant.from_toml(constant.name, table, file="x.toml") == constant
