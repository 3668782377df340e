from collections import Counter
from collections.abc import Iterable
from typing import Any, TypeVar

from django.db import connection, models

M = TypeVar("M", bound=models.Model)


class Tables:
    """Writes rows, and counts them by their model."""

    def __init__(self) -> None:
        self.written: Counter[type[models.Model]] = Counter()

    def save(self, rows: Iterable[M]) -> list[M]:
        """Rows that others point to: they have their ids afterwards."""
        saved = list(rows)
        if saved:
            model = type(saved[0])
            model._default_manager.bulk_create(saved, batch_size=1000)
            self.written[model] += len(saved)
        return saved

    def copy(self, model: type[M], rows: Iterable[M]) -> None:
        """Many rows, whose ids nobody asks for and which are never in memory together."""
        columns = [field.attname for field in model._meta.concrete_fields if not field.primary_key]
        statement = f"COPY {_name(model)} ({', '.join(columns)}) FROM STDIN"
        with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row([getattr(row, column) for column in columns])
                self.written[model] += 1

    def derive(self, model: type[models.Model], sql: str, params: dict[str, Any]) -> None:
        """Rows that follow from those that are there."""
        with connection.cursor() as cursor:
            # Of what this transaction wrote, the planner knows nothing yet.
            cursor.execute(f"ANALYZE {', '.join(map(_name, self.written))}")
            cursor.execute(sql, params)
            self.written[model] += cursor.rowcount


def _name(model: type[models.Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)
