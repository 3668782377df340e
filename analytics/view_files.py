"""Files of readings: CSV with a header, or JSON lines. What is no reading is refused line by line, the rest is read."""

import argparse
import csv
import datetime as dt
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import chain
from typing import Any, BinaryIO

from adminlog.jobs import moment, one_line
from analytics.readings import MOST_VIEWS, Reading

COLUMNS = ("tg_chat_id", "message_id", "views", "time")
EXPECTED = f"write CSV with the columns {', '.join(COLUMNS)} in its first line, or one JSON object of these a line"
CHUNK = 1 << 16
# Bytes of a line.
LONGEST = 10_000
BIGGEST = 2**63 - 1
# How far another machine's clock may be ahead of ours.
AHEAD = dt.timedelta(minutes=5)
# When Telegram began: a clock that was not set says 1970.
BEGINNING = dt.datetime(2013, 8, 14, tzinfo=dt.UTC)

WHOLE_NUMBER = re.compile(r"-?[0-9]{1,19}", re.ASCII)

parse_time = lru_cache(moment)


class Unreadable(Exception):
    """A file that cannot be read, in one line that says why."""


class ViewFile:
    """Read once, a chunk at a time, whatever its length and the length of its lines."""

    def __init__(self, stream: BinaryIO) -> None:
        try:
            # A file's and a pipe's are buffered.
            packed = stream.peek(2)[:2] == b"\x1f\x8b"  # type: ignore[attr-defined]
            lines = numbered(gzip.GzipFile(fileobj=stream) if packed else stream)
            first = next(lines, None)
        except (OSError, EOFError, zlib.error) as error:
            raise Unreadable(one_line(error)) from error
        if first is None:
            raise Unreadable("it is empty")
        number, line = first[0], first[1].removeprefix(b"\xef\xbb\xbf")
        is_json = line.lstrip().startswith(b"{")
        self.lines: Iterator[tuple[int, bytes]] = chain([(number, line)], lines) if is_json else lines
        self.values = of_json if is_json else of_csv(line)

    def readings(self, *, now: dt.datetime, refuse: Callable[[int, str], None]) -> Iterator[Reading]:
        latest = now + AHEAD
        try:
            for number, line in self.lines:
                try:
                    if len(line) > LONGEST:
                        raise ValueError(f"is longer than {LONGEST} bytes")
                    chat, message, views, time = self.values(line.decode())
                    reading = Reading(
                        number,
                        whole("tg_chat_id", chat, -BIGGEST, BIGGEST),
                        whole("message_id", message, -BIGGEST, BIGGEST),
                        whole("views", views, 0, MOST_VIEWS),
                        told(time),
                    )
                    if not BEGINNING <= reading.read_at <= latest:
                        when = "in the future" if reading.read_at > latest else "before there was Telegram"
                        raise ValueError(f"time {time!r} is {when}")
                except UnicodeDecodeError:
                    refuse(number, "is no text in UTF-8")
                except (ValueError, csv.Error, argparse.ArgumentTypeError) as error:
                    refuse(number, one_line(error))
                else:
                    yield reading
        except (OSError, EOFError, zlib.error) as error:
            raise Unreadable(one_line(error)) from error


def numbered(stream: Any) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers. Of one that is too long no more is kept than shows it."""
    number, rest = 0, b""
    while chunk := stream.read(CHUNK):
        *ended, rest = (rest + chunk).split(b"\n")
        for line in ended:
            number += 1
            if line and not line.isspace():
                yield number, line
        rest = rest[: LONGEST + 1]
    if rest and not rest.isspace():
        yield number + 1, rest


def of_csv(header: bytes) -> Callable[[str], list[Any]]:
    """Tells the values of COLUMNS in a line, after the order of the columns in this one."""
    try:
        text = header[: LONGEST + 1].decode()
        delimiter = ";" if ";" in text else ","
        names = [name.strip().lower() for name in cells(text, delimiter)]
    except (ValueError, csv.Error) as error:
        raise Unreadable(f"it is neither CSV nor JSON lines; {EXPECTED}") from error
    if wrong := [name for name in COLUMNS if names.count(name) != 1]:
        raise Unreadable(f"its first line does not name the column {wrong[0]} once; {EXPECTED}")
    number = len(names)
    places = [names.index(name) for name in COLUMNS]

    def values(line: str) -> list[Any]:
        found = cells(line, delimiter)
        if len(found) != number:
            raise ValueError(f"has {len(found)} fields and not {number}")
        return [found[place] for place in places]

    return values


def cells(line: str, delimiter: str) -> list[str]:
    """A quotation that is not closed ends with its line: else one could swallow all the lines that follow."""
    return next(csv.reader([line], delimiter=delimiter, strict=True)) if '"' in line else line.split(delimiter)


def of_json(line: str) -> list[Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError("is no JSON") from error
    if not isinstance(found, dict):
        raise ValueError("is no JSON object")
    if missing := [name for name in COLUMNS if name not in found]:
        raise ValueError(f"has no {missing[0]}")
    return [found[name] for name in COLUMNS]


def whole(name: str, value: Any, least: int, most: int) -> int:
    text = str(value) if type(value) is int else value
    if isinstance(text, str) and WHOLE_NUMBER.fullmatch(text := text.strip()) and least <= int(text) <= most:
        return int(text)
    raise ValueError(f"{name} {value!r:.60} is no whole number from {least} to {most}")


def told(time: Any) -> dt.datetime:
    if isinstance(time, str) and len(time) < 60:
        return parse_time(time.strip())
    raise ValueError(f"time {time!r:.60} is none; write 2026-01-31T09:00:00Z")
