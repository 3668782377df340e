"""The journal as a table for other programs."""

import datetime as dt
import io
import json
from collections.abc import Iterator
from typing import Any

from defusedcsv import csv
from django.db.models import QuerySet

from adminlog import story
from adminlog.models import AdminAction

COLUMNS = [
    *["seq", "time", "staff_id", "name", "role", "act", "target_type", "target_id", "contractors", "before", "after"],
    *["remarks", "reason", "part_of", "address", "request_id", "hash"],
]
# Characters of a piece of the answer.
PIECE = 64 * 1024


def pieces(acts: QuerySet[AdminAction]) -> Iterator[str]:
    """The file, piece by piece, with formulas defused. The mark at its start tells Excel that it is UTF-8."""
    file = io.StringIO("\ufeff")
    file.seek(0, io.SEEK_END)
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for act in acts.select_related("details").iterator():
        writer.writerow(map(bare, cells(act)))
        if file.tell() > PIECE:
            yield file.getvalue()
            file.seek(0)
            file.truncate()
    yield file.getvalue()


def cells(act: AdminAction) -> list[Any]:
    return [
        *[act.seq, act.created_at.astimezone(dt.UTC).isoformat(), act.admin_id, act.admin_name, act.admin_role],
        *[act.action, act.target_type, act.target_id, " ".join(map(str, act.contractors))],
        *map(as_text, (*story.moments(act), story.remarks(act))),
        *[story.reason(act), act.part_of_id, act.address, act.request_id, act.hash],
    ]


def as_text(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False) if values else ""


def bare(cell: Any) -> Any:
    """What some programs take for a formula's beginning, too, and defusedcsv does not."""
    if not isinstance(cell, str):
        return cell
    cell = cell.lstrip()
    return f"'{cell}" if cell.startswith(("＝", "＋", "－", "＠")) else cell
