import csv
import datetime as dt
import io
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from zipfile import BadZipFile
from zoneinfo import ZoneInfo

import openpyxl
import pytest

from adminlog import spreadsheets
from adminlog.spreadsheets import BROKEN_OFF, in_csv, in_xlsx

MOSCOW = ZoneInfo("Europe/Moscow")


def read_xlsx(*rows: list[Any]) -> Any:
    return openpyxl.load_workbook(io.BytesIO(b"".join(in_xlsx([["header"] * 9, *rows]))))


def cell(value: Any) -> Any:
    return read_xlsx([value]).active["A2"]


@pytest.mark.parametrize(
    ("value", "shown", "format"),
    [
        (-1001234567890, -1001234567890, "0"),
        (10**18, str(10**18), "General"),
        (Decimal("9.90"), 9.9, "General"),
        (True, True, "General"),
        (dt.date(2026, 2, 3), dt.datetime(2026, 2, 3), "yyyy-mm-dd"),
        (
            dt.datetime(2026, 2, 3, 4, 5, 6, tzinfo=MOSCOW),
            dt.datetime(2026, 2, 3, 4, 5, 6),
            'yyyy-mm-dd hh:mm:ss" +03:00"',
        ),
        (dt.datetime(1, 1, 2, tzinfo=dt.UTC), "0001-01-02T00:00:00+00:00", "General"),
        ("two\r\nlines & <more>", "two\r\nlines & <more>", "General"),
        ("\x01\ud800\uffff", "\ufffd" * 3, "General"),
        ("", None, "General"),
        (None, None, "General"),
    ],
)
def test_a_cell_of_xlsx_is_what_it_was(value, shown, format):
    found = cell(value)
    assert (found.value, found.number_format) == (shown, format)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r="])
def test_no_text_is_a_formula_in_xlsx(start):
    found = cell(f"{start}1+1")
    assert (found.data_type, found.value) == ("s", f"{start}1+1")


def test_a_cell_is_no_longer_than_excel_opens_and_says_so():
    text = cell("👍" * 20_000).value
    assert len(text.encode("utf-16-le")) // 2 <= 32_767
    assert text.startswith("👍" * 16_000)
    assert "cut here" in text


@pytest.mark.parametrize(("rows", "sizes"), [(0, [1]), (2, [3]), (3, [3, 2]), (4, [3, 3])])
def test_what_a_sheet_cannot_hold_goes_on_in_the_next_below_the_same_header(monkeypatch, rows, sizes):
    monkeypatch.setattr(spreadsheets, "MOST_ROWS", 3)
    book = read_xlsx(*([number] for number in range(rows)))
    assert [sheet.max_row for sheet in book] == sizes
    assert {sheet["A1"].value for sheet in book} == {"header"}
    assert [row[0].value for sheet in book for row in sheet.iter_rows(min_row=2)] == list(range(rows))


def test_csv_is_text_that_programs_read_alike():
    row = [True, Decimal("1E+2"), -1001234567890, dt.datetime(2026, 2, 3, tzinfo=MOSCOW), dt.date(2026, 2, 3), None]
    assert b"".join(in_csv([row])).decode() == "\ufefftrue,100,-1001234567890,2026-02-03T00:00:00+03:00,2026-02-03,\r\n"


@pytest.mark.parametrize("cell", ["Ivan;=1+1;", "Ivan\n=1+1", "Ivan\t@SUM(A1)", "Ivan|-1", "Ivan,＝1+1"])
def test_no_text_is_a_formula_in_csv_wherever_a_program_splits_it(cell):
    [text] = csv.reader(b"".join(in_csv([[cell]])).decode("utf-8-sig").splitlines(keepends=True))
    assert not [part for part in re.split(r"[;,\t\n|]", text[0]) if part.startswith(tuple("=+-@＝"))]


def breaking_off() -> Iterator[list[Any]]:
    yield ["header"]
    yield from ([number] for number in range(100_000))
    raise ConnectionError


def test_csv_that_broke_off_says_so_in_its_last_line():
    written = b""
    with pytest.raises(ConnectionError):
        for piece in in_csv(breaking_off()):
            written += piece
    assert written.decode().splitlines()[-2:] == ["99999", BROKEN_OFF]


def test_xlsx_that_broke_off_does_not_open():
    written = b""
    with pytest.raises(ConnectionError):
        for piece in in_xlsx(breaking_off()):
            written += piece
    assert written
    with pytest.raises(BadZipFile):
        openpyxl.load_workbook(io.BytesIO(written))
