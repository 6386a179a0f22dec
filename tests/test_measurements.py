"""Published measurements: every set loads with its provenance; damage is named by its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from capmodel.data_files import data_folder
from capmodel.measurements import ROLES, data_set_names, load_data_set, read_rows
from capmodel.references import references

HEAD = "id,role,quantity,value,error,locator,size\n"
GOOD = (
    HEAD
    + "a,calibration,captured,0.5,0.01,table 1,64\n"
    + "b,validation,captured,0.6,0.02,table 1,128\n"
)


def test_the_names_are_the_folders() -> None:
    folder = data_folder() / "published"
    assert data_set_names() == tuple(sorted(item.name for item in folder.iterdir()))
    assert len(data_set_names()) > 10
    assert "zlib_shape" in data_set_names("lab")


@pytest.mark.parametrize("name", data_set_names())
def test_every_set_loads_and_says_where_it_comes_from(name: str) -> None:
    data_set = load_data_set(name)
    assert data_set.name == name
    assert data_set.rows
    for key in ("title", "source", "locator", "how_read", "error"):
        assert str(data_set.meta[key]).strip(), key
    sources = data_set.meta["source"]
    for source in [sources] if isinstance(sources, str) else sources:
        assert source in references()
    identifiers = [row.id for row in data_set.rows]
    assert len(set(identifiers)) == len(identifiers)
    for row in data_set.rows:
        assert row.role in ROLES
        assert row.error > 0.0
        assert row.locator.strip()
        assert row.quantity.strip()


@pytest.mark.parametrize("name", data_set_names())
def test_every_column_is_described(name: str) -> None:
    data_set = load_data_set(name)
    columns = {"id", "role", "quantity", "value", "error", "locator", *data_set.rows[0].conditions}
    assert set(data_set.meta["columns"]) == columns
    for text in data_set.meta["columns"].values():
        assert text.startswith("["), text  # the unit


def test_unknown_sets_list_the_closest() -> None:
    with pytest.raises(ValueError, match=r"^data set must be one of .*did you mean 'deri2004'\?"):
        load_data_set("deri2003")


def write(folder: Path, content: str) -> Path:
    path = folder / "measurements.csv"
    path.write_text(content, encoding="utf-8")
    return path


def test_rows_are_read_as_they_stand(tmp_path: Path) -> None:
    first, second = read_rows(write(tmp_path, GOOD))
    assert (first.id, first.role, first.quantity) == ("a", "calibration", "captured")
    assert (first.value, first.error, first.locator) == (0.5, 0.01, "table 1")
    assert second.conditions == {"size": "128"}


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("", "line 1: column 'id' is missing"),
        (GOOD.replace("error,", ""), "line 1: column 'error' is missing"),
        (GOOD.replace("0.6", "high"), "line 3, value: 'high' is not a number"),
        (GOOD.replace("0.02", ""), "line 3, error: '' is not a number"),
        (GOOD.replace("0.5", "nan"), "line 2, value: must be finite"),
        (GOOD.replace("0.02", "inf"), "line 3, error: must be finite"),
        (GOOD.replace("0.01", "0"), "line 2, error: must be above 0, got 0"),
        (GOOD.replace("0.02", "-0.02"), "line 3, error: must be above 0, got -0.02"),
        (GOOD.replace("validation", "test"), "line 3, role: 'test' is not one of calibration, va"),
        (GOOD.replace("\nb,", "\na,"), "line 3: id 'a' stands twice"),
        (GOOD.replace(",128", ""), "line 3: has another number of fields"),
        (GOOD.replace(",128", ",128,9"), "line 3: has another number of fields"),
        (GOOD + '"c,validation', "file: unexpected end of data"),
    ],
)
def test_damage_is_named_by_file_and_line(tmp_path: Path, content: str, place: str) -> None:
    with pytest.raises(ValueError, match=f"measurements.csv, {place}"):
        read_rows(write(tmp_path, content))


@pytest.mark.parametrize("blank", ["\n", "\n\n"])
def test_blank_lines_do_not_shift_the_count(tmp_path: Path, blank: str) -> None:
    content = HEAD + blank + "a,calibration,captured,x,0.01,table 1,64\n"
    with pytest.raises(ValueError, match=f"line {2 + len(blank)}, value: 'x'"):
        read_rows(write(tmp_path, content))


def test_a_field_over_two_lines_does_not_shift_the_count(tmp_path: Path) -> None:
    content = GOOD.replace("table 1,64", '"table 1,\nleft",64').replace("0.6", "high")
    with pytest.raises(ValueError, match="line 4, value: 'high'"):
        read_rows(write(tmp_path, content))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"measurements.csv, file: .*No such file"):
        read_rows(tmp_path / "measurements.csv")
    path = tmp_path / "measurements.csv"
    path.write_bytes(b"id,\xff\n")
    with pytest.raises(ValueError, match=r"measurements.csv, file: .*utf-8"):
        read_rows(path)
