import time
from collections.abc import Callable
from typing import Any

from django.db import connection


class Watch:
    """How many queries Django's connection is asked, and how long they take, rows fetched and all."""

    def __init__(self) -> None:
        self.number = 0
        self.seconds = 0.0

    def __call__(self, execute: Callable[..., Any], *args: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(*args)
        finally:
            self.number += 1
            self.seconds += time.perf_counter() - began


def counted(work: Callable[[], Any]) -> int:
    watch = Watch()
    with connection.execute_wrapper(watch):
        work()
    return watch.number
