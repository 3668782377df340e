"""Rows as a spreadsheet's file, piece by piece: any number of them, in the memory of a few. The first is the header.

No cell is a formula, whatever people call themselves. A file that breaks off is told from a whole one: XLSX does not
open without its end, and CSV says so in its last line.
"""

import datetime as dt
import io
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from string import ascii_uppercase
from typing import Any
from xml.sax.saxutils import escape, quoteattr
from zipfile import ZIP_DEFLATED, ZipFile

from defusedcsv import csv

Rows = Iterable[list[Any]]
# Bytes of a piece, about.
PIECE = 64 * 1024
BROKEN_OFF = "THE EXPORT BROKE OFF HERE: ROWS ARE MISSING"


def in_csv(rows: Rows) -> Iterator[bytes]:
    # The mark tells Excel that it is UTF-8.
    file = io.StringIO("\ufeff")
    file.seek(0, io.SEEK_END)
    writer = csv.writer(file)
    try:
        for row in rows:
            writer.writerow([as_text(cell) for cell in row])
            if file.tell() > PIECE:
                yield file.getvalue().encode("utf-8", "replace")
                file.seek(0)
                file.truncate()
    except Exception:
        writer.writerow([BROKEN_OFF])
        yield file.getvalue().encode("utf-8", "replace")
        raise
    yield file.getvalue().encode("utf-8", "replace")


def as_text(cell: Any) -> Any:
    match cell:
        case bool():
            return "true" if cell else "false"
        case Decimal():
            return f"{cell:f}"
        case dt.date():
            return cell.isoformat()
        case str():
            # What some programs take for a formula's beginning, too, and defusedcsv does not.
            cell = cell.lstrip()
            # Nor what would begin a cell where a program splits lines elsewhere, at the semicolons of a Russian Excel.
            cell = re.sub(r"(?<=[;,\t\r\n|])(?=[=+\-@＝＋－＠])", "'", cell)
            return f"'{cell}" if cell.startswith(("＝", "＋", "－", "＠")) else cell
    return cell


# What Excel holds: rows of a sheet, UTF-16 units of a cell, digits of a number, and no day before this one.
MOST_ROWS, MOST_UNITS, MOST_DIGITS, FIRST_DAY = 1_048_576, 32_767, 15, dt.datetime(1900, 3, 1)
DAY_ZERO = dt.datetime(1899, 12, 30)
# Characters of a sheet: a file of more than 2 GiB inside needs a kind of ZIP that Excel does not read from a stream.
MOST_OF_SHEET = 500_000_000
LETTERS = [*ascii_uppercase, *(first + second for first in ascii_uppercase for second in ascii_uppercase)]
NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
CUT = " … (cut here: no cell is longer; CSV has all of it)"


def in_xlsx(rows: Rows) -> Iterator[bytes]:
    """openpyxl would write a file of all rows before it gave out the first byte."""
    pipe, formats = Pipe(), Formats()
    lines = iter(rows)
    header, row = next(lines), next(lines, None)
    sheets = 0
    with ZipFile(pipe, "w", ZIP_DEFLATED, compresslevel=3) as book:  # type: ignore[call-overload]
        while row is not None or not sheets:
            sheets += 1
            number, size, text = 1, 0, SHEET_START + in_line(1, header, formats)
            with book.open(f"xl/worksheets/sheet{sheets}.xml", "w") as sheet:
                while row is not None and number < MOST_ROWS and size < MOST_OF_SHEET:
                    number += 1
                    text += in_line(number, row, formats)
                    if len(text) > PIECE:
                        sheet.write(text.encode())
                        size, text = size + len(text), ""
                    if len(pipe.held) > PIECE:
                        yield pipe.take()
                    row = next(lines, None)
                sheet.write((text + SHEET_END).encode())
        for name, part in parts(sheets, formats):
            book.writestr(name, XML + part)
    yield pipe.take()


class Pipe:
    """What a ZipFile writes, to be taken out again."""

    def __init__(self) -> None:
        self.held = bytearray()

    def write(self, data: bytes) -> int:
        self.held += data
        return len(data)

    def flush(self) -> None:
        """As of a file."""

    def take(self) -> bytes:
        taken, self.held = bytes(self.held), bytearray()
        return taken


class Formats(dict[str, int]):
    """How numbers are shown, by the cell styles that say so. Before them come a plain style and the header's."""

    def __missing__(self, code: str) -> int:
        self[code] = len(self) + 2
        return self[code]


def in_line(number: int, cells: list[Any], formats: Formats) -> str:
    bold = ' s="1"' if number == 1 else ""
    written = "".join(
        f'<c r="{letter}{number}"{bold}{as_cell(cell, formats)}</c>'
        for letter, cell in zip(LETTERS, cells, strict=False)
        if cell not in (None, "")
    )
    return f'<row r="{number}">{written}</row>'


def as_cell(cell: Any, formats: Formats) -> str:
    """The rest of its tag, and what is in it. Text is marked as text, so that nothing in it is ever reckoned."""
    match cell:
        case bool():
            return f' t="b"><v>{cell:d}</v>'
        case int() if abs(cell) < 10**MOST_DIGITS:
            # By its own lights Excel would show an id of twelve digits in powers of ten.
            return f' s="{formats["0"]}"><v>{cell}</v>'
        case Decimal() if cell.is_finite() and len(cell.as_tuple().digits) <= MOST_DIGITS:
            return f"><v>{cell:f}</v>"
        case dt.datetime() if cell.replace(tzinfo=None) >= FIRST_DAY:
            # A moment has no zone there, so its format says it.
            style = formats[f'yyyy-mm-dd hh:mm:ss" {cell.isoformat()[-6:]}"']
            days = (cell.replace(tzinfo=None) - DAY_ZERO) / dt.timedelta(days=1)
            return f' s="{style}"><v>{days:.9f}</v>'
        case dt.date() if not isinstance(cell, dt.datetime) and cell >= FIRST_DAY.date():
            return f' s="{formats["yyyy-mm-dd"]}"><v>{(cell - DAY_ZERO.date()).days}</v>'
        case dt.date():
            cell = cell.isoformat()
    text = NOT_IN_XML.sub("\ufffd", str(cell))
    if len(text) > MOST_UNITS // 2 and len(units := text.encode("utf-16-le")) > 2 * MOST_UNITS:
        text = units[: 2 * (MOST_UNITS - len(CUT))].decode("utf-16-le", "ignore") + CUT
    return f' t="inlineStr"><is><t xml:space="preserve">{escape(text, {chr(13): "&#13;"})}</t></is>'


SPREADSHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
SHEET_START = (
    f'{XML}<worksheet xmlns="{SPREADSHEET}"><sheetViews><sheetView workbookViewId="0">'
    '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
    '<sheetFormatPr defaultColWidth="24" defaultRowHeight="15"/><sheetData>'
)
SHEET_END = "</sheetData></worksheet>"


def parts(sheets: int, formats: Formats) -> Iterator[tuple[str, str]]:
    """What makes a workbook of the sheets."""
    numbers = range(1, sheets + 1)
    listed = "".join(f'<sheet name="Sheet{n}" sheetId="{n}" r:id="rId{n}"/>' for n in numbers)
    yield (
        "xl/workbook.xml",
        f'<workbook xmlns="{SPREADSHEET}" xmlns:r="{DOCUMENT}"><sheets>{listed}</sheets></workbook>',
    )
    targets = [("worksheet", f"worksheets/sheet{n}.xml") for n in numbers] + [("styles", "styles.xml")]
    yield "xl/_rels/workbook.xml.rels", relationships(targets)
    yield "_rels/.rels", relationships([("officeDocument", "xl/workbook.xml")])
    codes = "".join(f'<numFmt numFmtId="{id}" formatCode={quoteattr(code)}/>' for id, code in enumerate(formats, 164))
    styles = ['numFmtId="0" fontId="0"', 'numFmtId="0" fontId="1" applyFont="1"']
    styles += [f'numFmtId="{id}" fontId="0" applyNumberFormat="1"' for id, _ in enumerate(formats, 164)]
    cells = "".join(f'<xf {style} fillId="0" borderId="0" xfId="0"/>' for style in styles)
    font = '<sz val="11"/><name val="Calibri"/>'
    yield (
        "xl/styles.xml",
        f'<styleSheet xmlns="{SPREADSHEET}">'
        + (f'<numFmts count="{len(formats)}">{codes}</numFmts>' if formats else "")
        + f'<fonts count="2"><font>{font}</font><font><b/>{font}</font></fonts>'
        '<fills count="2"><fill><patternFill patternType="none"/></fill>'
        '<fill><patternFill patternType="gray125"/></fill></fills>'
        '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
        f'<cellXfs count="{len(styles)}">{cells}</cellXfs>'
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>',
    )
    overrides = [("xl/workbook.xml", "sheet.main"), ("xl/styles.xml", "styles")]
    overrides += [(f"xl/worksheets/sheet{n}.xml", "worksheet") for n in numbers]
    yield (
        "[Content_Types].xml",
        f'<Types xmlns="{PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        + "".join(f'<Override PartName="/{name}" ContentType="{TYPE}.{kind}+xml"/>' for name, kind in overrides)
        + "</Types>",
    )


def relationships(targets: list[tuple[str, str]]) -> str:
    listed = "".join(
        f'<Relationship Id="rId{n}" Type="{DOCUMENT}/{kind}" Target="{target}"/>'
        for n, (kind, target) in enumerate(targets, 1)
    )
    return f'<Relationships xmlns="{PACKAGE}/relationships">{listed}</Relationships>'
