"""A migration keeps the running version working: its code serves pages and runs jobs until it is restarted, and is what
one goes back to. So what goes away goes in two releases: first nothing uses it any more, then it goes."""

import re
from collections.abc import Iterator

import pytest
from django.db import connection, migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState

from core.models import Contractor

# The newest of the last release.
RELEASED = {"adminlog": "0009", "analytics": "0009", "billing": "0006", "core": "0005", "referrals": "0006"}
# By migration: why the last release can live with it all the same.
EXCUSED: dict[str, str] = {}

GONE = (
    *(migrations.RemoveField, migrations.RenameField),
    *(migrations.RenameModel, migrations.DeleteModel, migrations.AlterModelTable),
)
STATEMENT = r"\bDROP (TABLE|COLUMN|VIEW|SCHEMA)\b|\bRENAME\b|\bSET NOT NULL\b|\bALTER COLUMN \S+ (SET DATA )?TYPE\b"


def is_demanding(field: models.Field) -> bool:
    """An INSERT that does not know of it fails."""
    return not (field.null or field.has_db_default() or field.many_to_many or field.primary_key)


def breaks(operation: Operation, app: str, before: ProjectState) -> Iterator[str]:
    if isinstance(operation, migrations.SeparateDatabaseAndState):
        for inner in operation.database_operations:
            yield from breaks(inner, app, before)
    elif isinstance(operation, GONE):
        yield operation.describe()
    elif isinstance(operation, migrations.AddField) and is_demanding(operation.field):
        yield f"{operation.describe()}: NOT NULL, and no default in the database"
    elif isinstance(operation, migrations.AlterField):
        old = before.models[app, operation.model_name_lower].fields[operation.name]
        new = operation.field
        if type(old) is not type(new) and old.db_type(connection) != new.db_type(connection):
            yield f"{operation.describe()}: another type"
        if old.null and not new.null or old.has_db_default() and is_demanding(new):
            yield f"{operation.describe()}: NOT NULL, or without its default"
    elif isinstance(operation, migrations.RunSQL) and re.search(STATEMENT, str(operation.sql), re.IGNORECASE):
        yield f"{operation.describe()}: {operation.sql}"


def newer_than_the_release() -> Iterator[tuple[migrations.Migration, ProjectState]]:
    """Each with the state before it."""
    loader, state = MigrationLoader(None), ProjectState()
    done = set()
    for leaf in sorted(loader.graph.leaf_nodes()):
        for key in loader.graph.forwards_plan(leaf):
            if key in done:
                continue
            done.add(key)
            migration = loader.graph.nodes[key]
            if key[0] in RELEASED and key[1][:4] > RELEASED[key[0]]:
                yield migration, state.clone()
            migration.mutate_state(state, preserve=False)


def test_no_migration_takes_away_what_the_last_release_needs():
    found = {}
    for migration, before in newer_than_the_release():
        for operation in migration.operations:
            if told := list(breaks(operation, migration.app_label, before)):
                found[f"{migration.app_label}.{migration.name}"] = told
            operation.state_forwards(migration.app_label, before)
    assert not found.keys() - EXCUSED.keys(), found
    assert not EXCUSED.keys() - found.keys(), "excused, and there is nothing to excuse"


@pytest.mark.parametrize(
    "operation",
    [
        migrations.RemoveField("contractor", "username"),
        migrations.RenameField("contractor", "username", "name"),
        migrations.DeleteModel("contractor"),
        migrations.AddField("contractor", "city", models.TextField()),
        migrations.AddField("contractor", "city", models.TextField(default="")),
        migrations.AlterField("contractor", "username", models.IntegerField(null=True)),
        migrations.AlterField("contractor", "username", models.TextField()),
        migrations.RunSQL("ALTER TABLE core.contractors DROP COLUMN username"),
        migrations.SeparateDatabaseAndState([migrations.RenameModel("contractor", "customer")]),
    ],
    ids=str,
)
def test_what_the_running_version_would_break_on_is_refused(operation):
    before = ProjectState({("core", "contractor"): ModelState.from_model(Contractor)})
    assert list(breaks(operation, "core", before))


@pytest.mark.parametrize(
    "operation",
    [
        migrations.AddField("contractor", "city", models.TextField(null=True)),
        migrations.AddField("contractor", "city", models.TextField(db_default="")),
        migrations.RunSQL("CREATE INDEX ON core.contractors (username)"),
    ],
    ids=str,
)
def test_what_it_does_not_notice_is_not(operation):
    before = ProjectState({("core", "contractor"): ModelState.from_model(Contractor)})
    assert not list(breaks(operation, "core", before))
