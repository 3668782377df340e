from django.db.backends.postgresql import operations
from django.db.backends.utils import split_identifier


class DatabaseOperations(operations.DatabaseOperations):
    def for_update_sql(self, nowait=False, skip_locked=False, of=(), no_key=False):
        """FOR UPDATE OF wants a relation as the FROM clause calls it, and that is without the schema."""
        of = tuple(self.quote_name(split_identifier(name)[1]) if '"."' in name else name for name in of)
        return super().for_update_sql(nowait, skip_locked, of, no_key)

    def sql_flush(self, style, tables, *, reset_sequences=False, allow_cascade=False):
        """Empty append-only tables too: only a superuser may set replica, so tests can flush and the product cannot."""
        if not tables:
            return []
        if reset_sequences:
            empty = super().sql_flush(style, tables, reset_sequences=True, allow_cascade=allow_cascade)
        else:
            # After each test with transactions: to delete its few rows is done sooner than to truncate forty tables.
            empty = [f"DELETE FROM {self.quote_name(table)};" for table in tables]
        # SET LOCAL outlives a savepoint: without the second one the rest of an outer transaction had no foreign keys.
        return [
            "SET LOCAL session_replication_role = replica;",
            *empty,
            "SET LOCAL session_replication_role = DEFAULT;",
        ]
