import io
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.errors import InvalidInput
from worker.services.selection import LINE_LIMIT, from_file, from_list

IDS = st.lists(st.from_regex(r"[0-9]{1,18}", fullmatch=True), min_size=1, max_size=30)
ENDS = st.sampled_from(["\n", "\r\n"])


def piped(data: bytes | str, column: str | None = None) -> list[tuple[int, str]]:
    raw = data.encode() if isinstance(data, str) else data
    return list(from_file("-", column, io.BytesIO(raw)))


def read(path: Path, column: str | None = None) -> list[tuple[int, str]]:
    return list(from_file(str(path), column))


def test_a_list_gives_each_id_with_its_place() -> None:
    assert list(from_list(" 1, 2,3 ")) == [(1, "1"), (2, "2"), (3, "3")]


@pytest.mark.parametrize("text", ["", "  ", ",", "1,,2", "1,2,"])
def test_a_blank_in_a_list_is_an_error(text: str) -> None:
    with pytest.raises(InvalidInput):
        list(from_list(text))


@given(ids=IDS, end=ENDS, bom=st.booleans(), tail=st.integers(0, 3), pad=st.booleans())
def test_one_id_a_line_is_read_as_written(
    ids: list[str], end: str, bom: bool, tail: int, pad: bool
) -> None:
    lines = [f"  {one}\t" if pad and place else one for place, one in enumerate(ids)]
    text = ("\ufeff" if bom else "") + end.join(lines) + end * tail

    assert piped(text) == list(enumerate(ids, start=1))


@given(
    ids=IDS,
    end=ENDS,
    bom=st.booleans(),
    mark=st.sampled_from(",;\t"),
    column=st.sampled_from(["id", "Project_ID", "external_id"]),
    place=st.integers(0, 2),
)
def test_csv_is_read_from_the_column_that_is_named_like_an_id(
    ids: list[str], end: str, bom: bool, mark: str, column: str, place: int
) -> None:
    def row(cell: str) -> str:
        cells = ['"a name, with; marks"', "x"]
        cells.insert(place, cell)
        return mark.join(cells)

    header = mark.join(column if at == place else f"other{at}" for at in range(3))
    text = ("\ufeff" if bom else "") + end.join([header, *map(row, ids)]) + end

    assert piped(text) == [(line, one) for line, one in enumerate(ids, start=2)]


@given(ids=IDS, shape=st.sampled_from(["object", "string", "named"]))
def test_json_lines_are_read_as_objects_or_strings(ids: list[str], shape: str) -> None:
    values: list[object] = [
        {"object": {"name": "n", "id": one}, "string": one, "named": {"ref": one, "id": "0"}}[
            shape
        ]
        for one in ids
    ]
    text = "\n".join(map(json.dumps, values))

    assert piped(text, "ref" if shape == "named" else None) == list(enumerate(ids, start=1))


@given(data=st.binary(max_size=200))
def test_whatever_is_given_is_read_or_refused(data: bytes) -> None:
    try:
        rows = piped(data)
    except InvalidInput:
        return
    assert rows
    assert all(one.strip() == one != "" for _, one in rows)
    assert [line for line, _ in rows] == sorted(line for line, _ in rows)


@pytest.mark.parametrize(
    "data",
    ["", " \n\n", "\ufeff", "id\n", "id,name\n\n", "project_id\r\n\r\n", "\n\nid\n"],
)
def test_an_input_without_ids_is_an_error_and_never_means_all(data: str) -> None:
    with pytest.raises(InvalidInput, match="there is no id in standard input"):
        piped(data)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ("1\n\n2\n", 2),
        ("id,name\n1,a\n,b\n", 3),
        ("id,name\n1,a\n\n2,b\n", 3),
        ("name,id\na,1\nb\n", 3),
        ('{"id": "1"}\n{"id": ""}\n', 2),
        ('{"id": "1"}\n{"id": null}\n', 2),
        ('{"id": "1"}\n{"id": 1.5}\n', 2),
        ('{"id": "1"}\n{"id": true}\n', 2),
        ('{"id": "1"}\n{"id": [1]}\n', 2),
        ('{"id": "1"}\nnonsense\n', 2),
        ('{"id": "1"}\n{"name": "a", "b": 1}\n', 2),
        ('{"id": ' + "9" * 5000 + "}\n", 1),
        ("[" * 50_000 + "\n", 1),
        ('id,name\n1,"open\n', 2),
    ],
)
def test_a_row_without_an_id_is_an_error_with_its_line(
    data: str, line: int, tmp_path: Path
) -> None:
    suffix = ".jsonl" if data.startswith(("{", "[")) else ""
    path = tmp_path / f"ids{suffix}"
    path.write_text(data)

    with pytest.raises(InvalidInput, match=f"line {line} |line {line}:"):
        read(path)


def test_bytes_that_are_no_text_are_named_by_their_line() -> None:
    with pytest.raises(InvalidInput, match="line 2 is not UTF-8"):
        piped(b"1\n\xff\xfe\n")


def test_blank_rows_at_the_end_of_a_spreadsheet_are_no_rows() -> None:
    assert piped("id,name\n1,a\n,\n,\n") == [(2, "1")]


def test_a_csv_with_one_column_needs_no_known_name(tmp_path: Path) -> None:
    path = tmp_path / "ids.csv"
    path.write_text("Reference\n1\n2\n")

    assert read(path) == [(2, "1"), (3, "2")]


def test_a_csv_without_a_header_loses_no_id(tmp_path: Path) -> None:
    path = tmp_path / "ids.csv"
    path.write_text("101\n102\n")

    assert read(path) == [(1, "101"), (2, "102")]


def test_columns_are_named_when_it_is_not_clear_which_one_is_meant() -> None:
    with pytest.raises(InvalidInput) as raised:
        piped("code,title\n1,a\n")

    assert "'code', 'title'" in raised.value.fix


def test_two_columns_named_like_an_id_are_not_guessed_between() -> None:
    with pytest.raises(InvalidInput, match="which column"):
        piped("id,project_id\n1,2\n")


def test_a_column_that_is_not_there_is_an_error() -> None:
    with pytest.raises(InvalidInput, match="no column 'ref'"):
        piped("id,name\n1,a\n", "ref")
    with pytest.raises(InvalidInput, match="no columns"):
        piped("1\n2\n", "ref")


def test_a_quoted_cell_may_go_over_lines() -> None:
    assert piped('name,id\n"two\nlines",1\nb,2\n') == [(2, "1"), (4, "2")]


@pytest.mark.parametrize("row", ["Smith, John,2024,42", "Smith,2024,42,,x", '"a",2024,42,"b"'])
def test_a_row_with_more_cells_than_its_header_is_not_guessed_at(row: str) -> None:
    with pytest.raises(InvalidInput, match="line 3 has more cells than the header"):
        piped(f"name,year,id\nJones,2023,41\n{row}\n")


def test_blank_cells_past_the_header_are_no_cells() -> None:
    assert piped("id,name\n41,Jones,\n42,Smith,,\n") == [(2, "41"), (3, "42")]


def test_a_missing_file_is_wrong_input(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        read(tmp_path / "missing.csv")
    with pytest.raises(InvalidInput, match="cannot be read"):
        read(tmp_path)


def test_an_endless_line_is_refused_without_eating_memory(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    with path.open("wb") as file:
        file.truncate(LINE_LIMIT * 50)
    tracemalloc.start()

    with pytest.raises(InvalidInput, match="line 1 is longer"):
        read(path)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * LINE_LIMIT


def test_a_long_file_is_read_with_flat_memory(tmp_path: Path) -> None:
    path = tmp_path / "ids.csv"
    with path.open("w") as file:
        file.write("id,name\n")
        file.writelines(f"{10**15 + n},a project of that number\n" for n in range(100_000))
    tracemalloc.start()

    count = sum(1 for _ in from_file(str(path)))

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 100_000
    assert peak < 1_000_000
