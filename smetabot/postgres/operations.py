from django.db.backends.postgresql import operations
from django.db.backends.utils import split_identifier


class DatabaseOperations(operations.DatabaseOperations):
    def for_update_sql(self, nowait=False, skip_locked=False, of=(), no_key=False):
        """FOR UPDATE OF wants a relation as the FROM clause calls it, and that is without the schema."""
        of = tuple(self.quote_name(split_identifier(name)[1]) if '"."' in name else name for name in of)
        return super().for_update_sql(nowait, skip_locked, of, no_key)

    def sql_flush(self, style, tables, *, reset_sequences=False, allow_cascade=False):
        """Empty append-only tables too: only a superuser may set replica, so tests can flush and the product cannot."""
        truncate = super().sql_flush(style, tables, reset_sequences=reset_sequences, allow_cascade=allow_cascade)
        if not truncate:
            return []
        # SET LOCAL outlives a savepoint: without the second one the rest of an outer transaction had no foreign keys.
        return [
            "SET LOCAL session_replication_role = replica;",
            *truncate,
            "SET LOCAL session_replication_role = DEFAULT;",
        ]
