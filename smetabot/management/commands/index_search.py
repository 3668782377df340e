from typing import Any

from django.core.management import CommandError
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from adminlog.jobs import OneLineCommand
from smetabot.postgres.indexes import AddTrigramIndex, is_valid, schema_of_trigrams


class Command(OneLineCommand):
    help = (
        "Build the search indexes that migrate left out because the database did not offer pg_trgm. Safe to run twice "
        "and beside writers."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if not schema_of_trigrams():
            raise CommandError("There is no pg_trgm: let a superuser run CREATE EXTENSION pg_trgm in this database.")
        loader = MigrationLoader(connection)
        built = []
        for key in sorted(loader.applied_migrations.keys() & loader.disk_migrations.keys()):
            operations = [each for each in loader.disk_migrations[key].operations if isinstance(each, AddTrigramIndex)]
            if not operations:
                continue
            state = loader.project_state(key)
            for operation in operations:
                index = operation.index_of(state.apps.get_model(key[0], operation.model_name))
                if not is_valid(index):
                    with connection.schema_editor(atomic=False) as editor:
                        operation.database_forwards(key[0], editor, state, state)
                    built.append(index.replace('"', ""))
        self.stdout.write(f"Built {', '.join(built)}." if built else "All search indexes are there.")
