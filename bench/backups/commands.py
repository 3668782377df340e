"""Both commands, as an operator runs them."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management import call_command

from bench.databases import silence


class Lost(Exception):
    """What must not happen did; the message is one line."""


def expect(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise Lost(otherwise)


def seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def backup(folder: Path) -> Path:
    with silence() as nowhere:
        call_command("backup", folder, stdout=nowhere)
    [place] = folder.iterdir()
    return place


def restore(place: Path) -> None:
    with silence() as nowhere:
        call_command("restore", place, stdout=nowhere)
