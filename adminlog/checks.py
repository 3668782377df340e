"""How an app says which of its rows disagree with what they are derived from; check_data prints them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import connection

from smetabot.postgres.retry import retry_transient


class Finding(NamedTuple):
    """`id` is a list where the key is composite. All three are JSON values; null stands for a row that is missing."""

    check: str
    table: str
    id: Any
    expected: Any
    found: Any

    def cells(self) -> list[str]:
        values = (json.dumps(value, ensure_ascii=False) for value in (self.id, self.expected, self.found))
        return [self.check, self.table, *values]

    def __str__(self) -> str:
        check, table, key, expected, found = self.cells()
        return f"{check}: {table} {key}: expected {expected}, found {found}"


# So many of each check are told one by one: after a fault in all rows nobody reads more, and they are held in memory.
MOST = 1_000


class Findings(list[Finding]):
    """The first ones of a check; `number` is how many there are."""

    def __init__(self, kept: Iterable[Finding] = (), number: int = 0) -> None:
        super().__init__(kept)
        self.number = number or len(self)


@dataclass(frozen=True)
class Check:
    """`sql` selects id, expected and found of the rows that disagree: one statement, so that the bot, writing
    meanwhile, cannot come between a number and its source."""

    name: str
    table: str
    sql: str

    @retry_transient
    def find(self, **params: Any) -> Findings:
        """What disagrees now, by id."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) OVER (), to_jsonb(id), to_jsonb(expected), to_jsonb(found)"
                f" FROM ({self.sql}) AS disagreeing (id, expected, found) ORDER BY id LIMIT {MOST}",
                params,
            )
            rows = cursor.fetchall()
        kept = (Finding(self.name, self.table, *map(_loaded, row)) for _number, *row in rows)
        return Findings(kept, rows[0][0] if rows else 0)


def _loaded(value: str | None) -> Any:
    """Django hands out jsonb as text."""
    return None if value is None else json.loads(value)
