import pytest
from django.core.management.commands.migrate import Command
from django.db import DatabaseError, IntegrityError, connection, models, transaction
from django.db.migrations.operations import DeleteModel
from django.db.migrations.writer import OperationWriter

from smetabot.postgres.deletion import DB_CASCADE
from smetabot.postgres.migrations import AppendOnly, CreateFunction, CreateView, ReplaceView, sql_beside

from .project import Project, catalogue, create, foreign_key, in_public, in_schemas

pytestmark = pytest.mark.django_db(transaction=True, available_apps=[])


def run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def value(sql: str):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


@pytest.fixture
def journal(scratch) -> Project:
    project = Project(
        create("Entry", in_schemas("a", "entries"), ("text", models.TextField(unique=True))), AppendOnly("Entry")
    )
    project["Entry"].objects.create(text="first")
    return project


@pytest.fixture
def history(scratch) -> Project:
    """A shop has items, an item has a history, which goes with it."""
    project = Project(
        create("Shop", in_schemas("a", "shops")),
        create("Item", in_public("a", "items"), ("shop", foreign_key("Shop", DB_CASCADE))),
        create("History", in_schemas("b", "histories"), ("item", foreign_key("Item", DB_CASCADE, null=True))),
        AppendOnly("History", goes_with="item"),
    )
    for _ in range(3):
        item = project["Item"].objects.create(shop=project["Shop"].objects.create())
        project["History"].objects.create(item=item)
        project["History"].objects.create(item=item)
    return project


@pytest.mark.parametrize(
    ("verb", "sql"),
    [
        ("UPDATE", "UPDATE engine_a.engine_entries SET text = 'other'"),
        (
            "UPDATE",
            "INSERT INTO engine_a.engine_entries (text) VALUES ('first') ON CONFLICT (text) DO UPDATE SET text = 'x'",
        ),
        ("DELETE", "DELETE FROM engine_a.engine_entries"),
        ("TRUNCATE", "TRUNCATE engine_a.engine_entries"),
    ],
)
def test_an_append_only_table_refuses(journal, verb, sql):
    with pytest.raises(IntegrityError, match=f"engine_a.engine_entries is append-only: {verb} is refused"):
        run(sql)
    assert journal["Entry"].objects.get().text == "first"


def test_an_append_only_table_takes_rows(journal):
    journal["Entry"].objects.create(text="second")
    assert journal["Entry"].objects.count() == 2


def test_an_append_only_table_of_the_same_name_in_public_has_a_function_of_its_own(journal):
    journal.apply(create("Plain", in_public("a", "entries")), AppendOnly("Plain"))
    functions = {line.split("FUNCTION ")[1].split("(")[0] for line in catalogue() if line.startswith("function")}
    assert functions == {"engine_a.engine_entries_append_only", "public.engine_entries_append_only"}


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize("parents", ["public.engine_items", "engine_a.engine_shops"])
def test_history_goes_with_what_it_is_the_history_of(history, parents, level):
    with transaction.atomic():
        run(f"SET TRANSACTION ISOLATION LEVEL {level}")
        run(f"DELETE FROM {parents} WHERE id < 3")
    assert history["History"].objects.count() == 2
    assert history["Item"].objects.count() == 1


def test_history_goes_when_python_deletes_its_parent(history):
    history["Shop"].objects.all().delete()
    assert not history["History"].objects.exists()


@pytest.mark.parametrize(
    ("verb", "sql"),
    [
        ("DELETE", "DELETE FROM engine_b.engine_histories"),
        ("DELETE", "WITH gone AS (DELETE FROM engine_a.engine_shops) DELETE FROM engine_b.engine_histories"),
        ("UPDATE", "UPDATE engine_b.engine_histories SET item_id = NULL"),
        ("TRUNCATE", "TRUNCATE engine_b.engine_histories"),
        ("TRUNCATE", "TRUNCATE engine_a.engine_shops CASCADE"),
    ],
)
def test_history_does_not_go_by_itself(history, verb, sql):
    with pytest.raises(IntegrityError, match=f"engine_b.engine_histories is append-only: {verb} is refused"):
        run(sql)
    assert history["History"].objects.count() == 6


def test_history_of_nothing_stays(history):
    nobodys = history["History"].objects.create(item=None)
    with pytest.raises(IntegrityError, match="DELETE is refused"):
        nobodys.delete()


@pytest.fixture
def erasable(scratch) -> Project:
    """Entries whose text and price may be emptied, about a number that stays."""
    project = Project(
        create(
            "Entry",
            in_schemas("a", "entries"),
            ("text", models.TextField(null=True)),
            ("price", models.JSONField(null=True)),
            ("about", models.JSONField(null=True)),
        ),
        AppendOnly("Entry", erasable=["text", "price"]),
    )
    run("INSERT INTO engine_a.engine_entries (text, price, about) VALUES ('first', '1.0', '1.0')")
    return project


@pytest.mark.parametrize("times", [1, 2])
def test_columns_that_may_be_erased_are_emptied_together(erasable, times):
    for _ in range(times):
        run("UPDATE engine_a.engine_entries SET text = NULL, price = NULL")
    assert erasable["Entry"].objects.values_list("text", "price", "about").get() == (None, None, 1.0)


@pytest.mark.parametrize(
    ("verb", "sql"),
    [
        ("UPDATE", "UPDATE engine_a.engine_entries SET text = NULL"),
        ("UPDATE", "UPDATE engine_a.engine_entries SET text = 'other', price = NULL"),
        ("UPDATE", "UPDATE engine_a.engine_entries SET text = NULL, price = 'null'"),
        ("UPDATE", "UPDATE engine_a.engine_entries SET text = NULL, price = NULL, about = NULL"),
        ("UPDATE", "UPDATE engine_a.engine_entries SET text = NULL, price = NULL, about = '1.00'"),
        ("UPDATE", "UPDATE engine_a.engine_entries SET text = NULL, price = NULL, id = id + 1"),
        ("UPDATE", "UPDATE engine_a.engine_entries SET text = text"),
        ("DELETE", "DELETE FROM engine_a.engine_entries"),
        ("TRUNCATE", "TRUNCATE engine_a.engine_entries"),
    ],
)
def test_nothing_but_that_erasure_is_allowed(erasable, verb, sql):
    with pytest.raises(IntegrityError, match=f"is append-only: {verb} is refused"):
        run(sql)
    assert value("SELECT (text, price, about)::text FROM engine_a.engine_entries") == "(first,1.0,1.0)"


def test_what_was_erased_is_not_written_again(erasable):
    run("UPDATE engine_a.engine_entries SET text = NULL, price = NULL")
    with pytest.raises(IntegrityError, match="UPDATE is refused"):
        run("UPDATE engine_a.engine_entries SET text = 'first', price = '1.0'")


def test_a_table_with_an_erasure_is_taken_back_to_a_plain_one(erasable):
    erasable.undo()
    run("UPDATE engine_a.engine_entries SET text = 'other'")
    assert not [line for line in catalogue() if line.startswith(("function", "trigger"))]


def test_a_view_and_a_function_make_their_schema(scratch):
    Project(
        CreateFunction("engine_a.engine_half(number int)", "RETURNS int LANGUAGE sql RETURN number / 2"),
        CreateView("engine_b.engine_numbers", "SELECT 10 % 4 AS rest, 'a%' LIKE '%s' AS alike;"),
    )
    assert value("SELECT engine_a.engine_half(6)") == 3
    assert value("SELECT rest FROM engine_b.engine_numbers") == 2


def test_a_replaced_view_gets_its_former_columns_back(scratch):
    view = "engine_a.engine_numbers"
    project = Project(CreateView(view, "SELECT 1 AS one, 2 AS two"))
    before = catalogue()
    project.apply(ReplaceView(view, "SELECT 2 AS two", previous="SELECT 1 AS one, 2 AS two"))
    assert value(f"SELECT * FROM {view}") == 2
    project.undo()
    assert catalogue() == before


def grants(view: str) -> set[str]:
    return set(value(f"SELECT relacl::text[] FROM pg_class WHERE oid = '{view}'::regclass"))


ONE_AND_TWO = "SELECT 1 AS one, 2 AS two"


@pytest.mark.parametrize(
    "select",
    ["SELECT 3 AS one, 4 AS two", "SELECT 1 AS one, 2 AS two, 3 AS three", "SELECT 2 AS two", "SELECT 'a' AS one"],
    ids=["same columns", "one more", "one less", "other type"],
)
def test_a_replaced_view_keeps_its_grants_there_and_back(scratch, select):
    view = "engine_a.engine_numbers"
    project = Project(CreateView(view, ONE_AND_TWO))
    run(f"GRANT SELECT ON {view} TO PUBLIC")
    run(f"GRANT SELECT, UPDATE ON {view} TO pg_monitor WITH GRANT OPTION")
    before = grants(view)
    project.apply(ReplaceView(view, select, previous=ONE_AND_TWO))
    assert grants(view) == before
    project.undo()
    assert grants(view) == before
    assert value(f"SELECT two FROM {view}") == 2


def test_a_view_that_another_depends_on_is_replaced(scratch):
    project = Project(
        CreateView("engine_a.engine_numbers", ONE_AND_TWO),
        CreateView("engine_b.engine_sum", "SELECT one + two AS total FROM engine_a.engine_numbers"),
    )
    project.apply(ReplaceView("engine_a.engine_numbers", "SELECT 1 AS one, 4 AS two, 5 AS three", previous=ONE_AND_TWO))
    assert value("SELECT total FROM engine_b.engine_sum") == 5


@pytest.mark.parametrize("select", ["SELECT 2 AS two", "SELECT nothing"])
def test_a_view_that_cannot_be_replaced_stays(scratch, select):
    project = Project(
        CreateView("engine_a.engine_numbers", ONE_AND_TWO),
        CreateView("engine_b.engine_sum", "SELECT one + two AS total FROM engine_a.engine_numbers"),
    )
    before = catalogue()
    with pytest.raises(DatabaseError, match="other objects depend on it|does not exist"):
        project.apply(ReplaceView("engine_a.engine_numbers", select, previous=ONE_AND_TWO))
    assert catalogue() == before


def test_a_table_made_append_only_then_deleted_is_taken_back_to_before_it_was_made(journal):
    journal.apply(DeleteModel("Entry"))
    for _ in range(3):
        journal.undo()
    assert {line for line in catalogue() if line.startswith(("relation", "function"))} == set()


def test_sql_lies_beside_its_migration(tmp_path):
    (tmp_path / "0002_numbers.sql").write_text("SELECT 1 AS один", "utf-8")
    assert sql_beside(str(tmp_path / "0002_numbers.py"), "0002_numbers.sql") == "SELECT 1 AS один"


OPERATIONS = {
    "Make Entry append-only": AppendOnly("Entry"),
    "Make Entry append-only, but for the erasure of text and price": AppendOnly("Entry", erasable=["text", "price"]),
    "Make History append-only, but for a row that goes with its item": AppendOnly("History", goes_with="item"),
    "Create view engine_a.engine_numbers": CreateView("engine_a.engine_numbers", "SELECT 1"),
    "Replace view engine_a.engine_numbers": ReplaceView("engine_a.engine_numbers", "SELECT 2", previous="SELECT 1"),
    "Create function engine_a.engine_one()": CreateFunction(
        "engine_a.engine_one()", "RETURNS int LANGUAGE sql RETURN 1"
    ),
}


@pytest.mark.parametrize("description", OPERATIONS)
def test_the_plan_of_a_migration_tells_what_an_operation_does(description):
    operation = OPERATIONS[description]
    assert Command.describe_operation(operation, backwards=False) == (description, False)
    assert Command.describe_operation(operation, backwards=True) == (f"Undo {description}", False)
    assert operation.migration_name_fragment.isidentifier()


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: type(operation).__name__)
def test_an_operation_is_written_as_it_was_made(operation):
    written, imports = OperationWriter(operation, indentation=0).serialize()
    names: dict = {}
    exec("\n".join(imports), names)
    again = eval(written.rstrip(",\n"), names)
    assert OperationWriter(again, indentation=0).serialize() == (written, imports)


def test_sqlmigrate_prints_the_statements(journal):
    sql = journal.sql(AppendOnly("Entry"))
    assert "CREATE FUNCTION" in sql
    assert "'%.% is append-only: % is refused'" in sql


def test_sqlmigrate_prints_a_replaced_view_and_does_nothing(scratch):
    project = Project(CreateView("engine_a.engine_numbers", ONE_AND_TWO))
    sql = project.sql(ReplaceView("engine_a.engine_numbers", "SELECT 2 AS two", previous=ONE_AND_TWO))
    assert sql == "CREATE OR REPLACE VIEW engine_a.engine_numbers AS\nSELECT 2 AS two;"
    assert value("SELECT one FROM engine_a.engine_numbers") == 1
