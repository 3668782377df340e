"""What a line of the log says beside its message: which request or which run of a job it is of."""

import logging
from contextvars import ContextVar
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from adminlog import requests

# Of admin.job_runs.
run_id: ContextVar[int | None] = ContextVar("run_id", default=None)


class Context(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if origin := requests.current():
            record.request_id = str(origin.request_id)
        if run := run_id.get():
            record.run_id = run
        return True


class JsonLines(JsonFormatter):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            "{levelname}{name}{message}",
            style="{",
            timestamp="time",
            rename_fields={"levelname": "level", "name": "logger", "exc_info": "exception"},
            # Django hands the request to its loggers; in words that is the whole address, with what was searched for.
            reserved_attrs=[*RESERVED_ATTRS, "request"],
        )
