"""The same world for each fault: a copy of a database that nobody changes."""

from typing import Any

import psycopg
from psycopg.rows import dict_row

from testbed import databases
from testbed.databases import drop, make, use


class Worlds:
    """`template` is filled once; fresh() puts Django's connection on a new copy of it."""

    def __init__(self, *, empty: str) -> None:
        self.empty, self.template, self.copy = empty, f"{empty}_world", f"{empty}_copy"

    def make(self) -> None:
        """The template, for whoever fills it."""
        self._copy(self.empty, self.template)

    def fresh(self, *, for_a_crash: bool = False) -> None:
        self._copy(self.template, self.copy)
        if for_a_crash:
            # A sequence is ahead of what is written in the log of the copied database, and would fall back.
            with plain("postgres") as desk:
                desk.execute("CHECKPOINT")

    def remove(self) -> None:
        drop(self.template, self.copy)
        use(self.empty)

    def remove_copy(self) -> None:
        drop(self.copy)

    def _copy(self, source: str, target: str) -> None:
        make(target, template=source)
        use(target)


def plain(name: str | None = None) -> psycopg.Connection[dict[str, Any]]:
    return databases.plain(name, row_factory=dict_row)
