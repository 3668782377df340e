import datetime as dt

import pytest
from django.db import NotSupportedError, ProgrammingError, connection, models
from django.db.migrations import operations as o

from smetabot.postgres import indexes
from smetabot.postgres.deletion import DB_CASCADE, DB_SET_NULL
from smetabot.postgres.fields import TransactionNow
from smetabot.postgres.indexes import AddIndexBeside, is_valid
from smetabot.postgres.migrations import CreateView
from smetabot.postgres.partitioning import PartitionByMonth
from smetabot.postgres.partitions import MonthlyTable, rows, run, shifted

from .project import Project, catalogue, create, foreign_key, in_public, in_schemas

pytestmark = pytest.mark.django_db(transaction=True, available_apps=[])

EVENTS = MonthlyTable("engine_a", "engine_events", "made_at")
PARTITION = PartitionByMonth("Event", "made_at")
JANUARY = dt.date(2020, 1, 1)


@pytest.fixture
def project(scratch) -> Project:
    """Events of shops, some of January 2020 and one of now, and what else a table may have."""
    project = Project(
        create("Shop", in_schemas("b", "shops")),
        create(
            "Event",
            in_schemas("a", "events"),
            ("shop", foreign_key("Shop", DB_SET_NULL, null=True)),
            ("kind", models.CharField(max_length=10, db_default="plain", db_comment="What it is")),
            ("made_at", models.DateTimeField(db_default=TransactionNow())),
            db_table_comment="What happened",
            indexes=[models.Index("shop", models.F("made_at").desc(), name="engine_shop_made")],
            constraints=[models.CheckConstraint(condition=~models.Q(kind="%"), name="engine_no_percent")],
        ),
    )
    run("GRANT SELECT ON engine_a.engine_events TO pg_monitor WITH GRANT OPTION")
    run("GRANT UPDATE (kind) ON engine_a.engine_events TO pg_monitor")
    run(
        "CREATE TRIGGER engine_same BEFORE UPDATE ON engine_a.engine_events FOR EACH ROW"
        " EXECUTE FUNCTION suppress_redundant_updates_trigger()"
    )
    run("INSERT INTO engine_b.engine_shops SELECT FROM generate_series(1, 3)")
    for day in (1, 11, 31):
        run(f"INSERT INTO engine_a.engine_events (shop_id, made_at) VALUES (1, '2020-01-{day:02}')")
    run("INSERT INTO engine_a.engine_events (shop_id) VALUES (2)")
    return project


def contents():
    return rows("SELECT event::text FROM engine_a.engine_events AS event ORDER BY id")


def grants():
    return rows(
        "SELECT relacl::text, attacl::text FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
        " WHERE attrelid = 'engine_a.engine_events'::regclass AND attname = 'kind'"
    )


def files(table):
    """By which they are told from ones that were written anew."""
    return rows(
        "SELECT pg_relation_filenode(%s::regclass) UNION ALL"
        " SELECT pg_relation_filenode(indexrelid) FROM pg_index WHERE indrelid = %s::regclass AND NOT indisprimary",
        *[table] * 2,
    )


def test_a_table_is_partitioned_with_all_that_belongs_to_it_and_back(project):
    before, held, granted = catalogue(), contents(), grants()
    project.apply(PARTITION)
    after = catalogue()
    assert contents() == held
    assert grants() == granted
    project.undo()
    assert catalogue() == before
    assert contents() == held
    assert grants() == granted
    project.apply(PARTITION)
    assert catalogue() == after
    assert contents() == held


def test_its_rows_and_indexes_stay_as_they_lie(project):
    before = files("engine_a.engine_events")
    project.apply(PARTITION)
    assert files("engine_a.engine_events_default") == before


def test_its_names_stay_with_the_whole_and_the_key_takes_in_the_column(project):
    project.apply(PARTITION)
    lines = {line for line in catalogue() if line.startswith("constraint engine_a.engine_events ")}
    assert {line.split()[2] for line in lines} >= {"engine_events_pkey", "engine_no_percent"}
    assert "constraint engine_a.engine_events engine_events_pkey PRIMARY KEY (id, made_at)" in lines
    assert any("ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED" in line for line in lines)
    assert rows("SELECT to_regclass('engine_a.engine_shop_made') IS NOT NULL") == [(True,)]


def test_ids_go_on_where_they_were_in_both_directions(project):
    ids = []
    for change in (lambda: project.apply(PARTITION), project.undo, lambda: project.apply(PARTITION)):
        change()
        ids.append(project["Event"].objects.create().pk)
        assert rows("SELECT pg_get_serial_sequence('engine_a.engine_events', 'id')") == [
            ("engine_a.engine_events_id_seq",)
        ]
    assert ids == [5, 6, 7]


def test_this_month_and_those_ahead_are_ready_and_older_rows_wait_in_the_default_partition(project):
    project.apply(PARTITION)
    months = EVENTS.months()
    assert months == [shifted(months[0], by) for by in range(4)]
    assert rows("SELECT count(*) FROM engine_a.engine_events_default") == [(3,)]


def test_rows_of_all_partitions_come_back(project):
    held = contents()
    project.apply(PARTITION)
    assert EVENTS.make_month(JANUARY) == 3
    assert EVENTS.make_month(JANUARY) is None
    project.undo()
    assert contents() == held


def test_a_month_has_all_that_the_table_has(project):
    project.apply(PARTITION, o.AddField("Event", "note", models.TextField(null=True, db_index=True)))
    EVENTS.make_month(JANUARY)
    made = {line.replace("_202001", "") for line in catalogue() if "events_202001" in line}
    assert {line.split()[0] for line in made} >= {"relation", "column", "constraint", "index", "trigger"}
    assert rows(
        "SELECT count(*) FROM pg_inherits WHERE inhrelid IN"
        " (SELECT indexrelid FROM pg_index WHERE indrelid = 'engine_a.engine_events_202001'::regclass)"
    ) == rows("SELECT count(*) FROM pg_index WHERE indrelid = 'engine_a.engine_events'::regclass")


def test_a_try_that_was_killed_is_finished(project):
    # What a killed CREATE INDEX CONCURRENTLY leaves.
    run("CREATE UNIQUE INDEX engine_events_key_with_made_at ON engine_a.engine_events (id)")
    run("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'engine_a.engine_events_key_with_made_at'::regclass")
    project.apply(PARTITION)
    with connection.schema_editor(atomic=False) as editor:
        PARTITION.database_forwards("engine", editor, project.states[-1], project.states[-1])
    assert "relation p engine_a.engine_events What happened" in catalogue()


def test_a_table_that_a_view_reads_is_left_alone(project):
    project.apply(CreateView("engine_a.engine_kinds", "SELECT kind FROM engine_a.engine_events"))
    with pytest.raises(ProgrammingError, match="Drop what reads engine_a.engine_events.*: engine_a.engine_kinds"):
        project.apply(PARTITION)
    assert EVENTS.is_partitioned() is False


def test_it_is_not_done_in_a_transaction(project):
    with pytest.raises(NotSupportedError, match="atomic = False"):
        project.apply_together(PARTITION)


def test_a_date_in_a_key_of_two_columns_in_public(scratch):
    project = Project(
        create("Shop", in_public("a", "shops")),
        create(
            "Daily",
            in_public("a", "dailies"),
            ("pk", models.CompositePrimaryKey("shop_id", "day")),
            ("shop", foreign_key("Shop", DB_CASCADE, db_index=False)),
            ("day", models.DateField()),
        ),
    )
    run("INSERT INTO engine_shops VALUES (1)")
    run("INSERT INTO engine_dailies VALUES (1, '2020-01-31'), (1, '2020-02-01')")
    before = catalogue()
    project.apply(PartitionByMonth("Daily", "day"))
    MonthlyTable("public", "engine_dailies", "day").make_month(JANUARY)
    assert rows("SELECT day::text FROM engine_dailies_202001") == [("2020-01-31",)]
    project.undo()
    assert catalogue() == before
    assert rows("SELECT count(*) FROM engine_dailies") == [(2,)]


LATER = {
    "add_field": o.AddField("Event", "note", models.TextField(null=True)),
    "add_field_indexed": o.AddField("Event", "note", models.CharField(max_length=20, default="x", db_index=True)),
    "add_foreign_key": o.AddField("Event", "other", foreign_key("Shop", DB_CASCADE, null=True)),
    "remove_field": o.RemoveField("Event", "kind"),
    "remove_foreign_key": o.RemoveField("Event", "shop"),
    "alter_field": o.AlterField("Event", "kind", models.TextField(db_default="odd")),
    "alter_on_delete": o.AlterField("Event", "shop", foreign_key("Shop", DB_CASCADE, null=True)),
    "rename_field": o.RenameField("Event", "kind", "sort"),
    "add_index": o.AddIndex("Event", models.Index(fields=["kind"], name="engine_new")),
    "add_index_beside": AddIndexBeside("Event", models.Index(fields=["kind"], name="engine_beside")),
    "remove_index": o.RemoveIndex("Event", "engine_shop_made"),
    "rename_index": o.RenameIndex("Event", new_name="engine_renamed", old_name="engine_shop_made"),
    "add_constraint": o.AddConstraint(
        "Event", models.CheckConstraint(condition=~models.Q(kind="x"), name="engine_not_x")
    ),
    "remove_constraint": o.RemoveConstraint("Event", "engine_no_percent"),
}


@pytest.mark.parametrize("name", LATER)
def test_later_migrations_change_it_and_all_its_partitions(project, name):
    if name in ("remove_foreign_key", "remove_field"):
        project.apply(
            o.RemoveIndex("Event", "engine_shop_made")
            if name == "remove_foreign_key"
            else o.RemoveConstraint("Event", "engine_no_percent")
        )
    project.apply(PARTITION)
    before = catalogue()
    project.apply(LATER[name])
    after = catalogue()
    assert after != before
    assert project["Event"].objects.create().pk == 5
    project.undo()
    project.apply(LATER[name])
    assert EVENTS.make_month(JANUARY) == 3


def test_an_index_whose_build_was_killed_in_a_partition_is_finished(project):
    project.apply(PARTITION)
    run("CREATE INDEX engine_beside ON ONLY engine_a.engine_events (kind)")
    run("CREATE INDEX engine_events_default_kind_idx ON engine_a.engine_events_default (kind)")
    left = "engine_a.engine_events_default_kind_idx"
    run(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{left}'::regclass")
    project.apply(LATER["add_index_beside"])
    assert (is_valid("engine_a.engine_beside"), is_valid(left)) == (True, True)


def test_a_month_made_while_an_index_is_built_has_its_part_of_it(project, monkeypatch):
    project.apply(PARTITION)

    def made_meanwhile(index):
        if (valid := is_valid(index)) is None:
            EVENTS.make_month(JANUARY)
        return valid

    monkeypatch.setattr(indexes, "is_valid", made_meanwhile)
    project.apply(LATER["add_index_beside"])
    assert is_valid("engine_a.engine_beside")


def test_a_month_belongs_to_who_owns_the_table_whoever_makes_it(project):
    run("CREATE ROLE engine_owner")
    try:
        project.apply(PARTITION)
        run("ALTER TABLE engine_a.engine_events OWNER TO engine_owner")
        EVENTS.make_month(JANUARY)
        assert rows(
            "SELECT relowner::regrole::text FROM pg_class WHERE oid = 'engine_a.engine_events_202001'::regclass"
        ) == [("engine_owner",)]
    finally:
        run("DROP OWNED BY engine_owner")
        run("DROP ROLE engine_owner")
