"""Attacks on the journal: refused, or named by verify_journal."""

import io
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.db import IntegrityError, OperationalError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adminlog import journal
from adminlog.chain import Head, Verified, verify
from adminlog.factories import AdminActionFactory, AdminUserFactory
from adminlog.models import ActionDetails, AdminAction, AdminUser, JobRun
from core.factories import ContractorFactory
from core.models import Contractor

pytestmark = pytest.mark.django_db
concurrent = pytest.mark.django_db(transaction=True)

# Written as the bot would: no column that the database fills by itself.
PLAIN = "INSERT INTO admin.admin_actions (admin_id, action) SELECT id, 'gift.queued' FROM admin.admin_users LIMIT 1"
HASH = "its hash is not that of what it says and of the hash before it"


def run(sql: str, *params: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.rowcount


def value(sql: str, *params: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchone()[0]


@contextmanager
def superuser() -> Iterator[None]:
    """Whom no trigger and no foreign key stops."""
    # What the test itself has left to check is checked before.
    connection.check_constraints()
    run("SET session_replication_role = replica")
    try:
        yield
    finally:
        run("SET session_replication_role = DEFAULT")


@pytest.fixture
def anna(db: None) -> AdminUser:
    return AdminUserFactory(username="anna", manager=True)


@pytest.fixture
def five(anna: AdminUser) -> list[AdminAction]:
    """Acts, each with details."""
    return [
        journal.record(
            journal.Act("contractor.changed", facts={"number": number}, personal={"name": f"Имя {number}"}), by=anna
        )
        for number in range(1, 6)
    ]


def head() -> Head:
    return verify().head


def verified(*args: str) -> tuple[int, str]:
    """Exit code of verify_journal and what it says."""
    out = io.StringIO()
    try:
        call_command("verify_journal", *args, stdout=out)
    except CommandError as error:
        return error.returncode, out.getvalue() + str(error)
    return 0, out.getvalue().strip()


def whole(entries: int, *, emptied: int = 0) -> bool:
    found = verify()
    assert found == Verified(entries, emptied, Head(entries, found.head.hash), [])
    return True


# --- What PostgreSQL refuses


@pytest.mark.parametrize(
    ("verb", "sql"),
    [
        ("UPDATE", "UPDATE admin.admin_actions SET payload = '{}'"),
        ("UPDATE", "WITH x AS (UPDATE admin.admin_actions SET action = 'x' RETURNING id) SELECT count(*) FROM x"),
        (
            "UPDATE",
            "INSERT INTO admin.admin_actions (admin_id, action, details_id)"
            " SELECT admin_id, action, details_id FROM admin.admin_actions LIMIT 1"
            " ON CONFLICT (details_id) DO UPDATE SET action = 'x'",
        ),
        (
            "UPDATE",
            "MERGE INTO admin.admin_actions AS act USING admin.admin_users AS staff ON staff.id = act.admin_id"
            " WHEN MATCHED THEN UPDATE SET action = 'x'",
        ),
        (
            "DELETE",
            "MERGE INTO admin.admin_actions AS act USING admin.admin_users AS staff ON staff.id = act.admin_id"
            " WHEN MATCHED THEN DELETE",
        ),
        ("DELETE", "DELETE FROM admin.admin_actions"),
        ("DELETE", "WITH gone AS (DELETE FROM admin.admin_actions RETURNING *) SELECT count(*) FROM gone"),
        ("TRUNCATE", "TRUNCATE admin.admin_actions"),
        ("TRUNCATE", "TRUNCATE admin.admin_users CASCADE"),
    ],
)
def test_what_is_written_stays(five, verb, sql):
    connection.check_constraints()
    with pytest.raises(IntegrityError, match=f"is append-only: {verb} is refused"), transaction.atomic():
        run(sql)
    assert whole(5)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE admin.action_details SET personal = '{}'",
        "UPDATE admin.action_details SET personal = NULL",
        "UPDATE admin.action_details SET personal = 'null', salt = NULL",
        "UPDATE admin.action_details SET salt = NULL",
        "UPDATE admin.action_details SET salt = gen_random_uuid()",
        "UPDATE admin.action_details SET salt = NULL, personal = NULL, id = id + 100",
        "DELETE FROM admin.action_details",
        "TRUNCATE admin.action_details CASCADE",
    ],
)
def test_details_are_emptied_whole_or_not_at_all(five, sql):
    connection.check_constraints()
    with pytest.raises(IntegrityError), transaction.atomic():
        run(sql)
        connection.check_constraints()
    assert whole(5)


def test_details_are_not_filled_again(five):
    ActionDetails.objects.update(salt=None, personal=None)
    with pytest.raises(IntegrityError, match="is append-only"), transaction.atomic():
        run("UPDATE admin.action_details SET salt = gen_random_uuid(), personal = '{}'")


def test_details_that_were_emptied_before_are_no_details(anna):
    details = ActionDetails.objects.create(personal={"name": "Анна"})
    ActionDetails.objects.update(salt=None, personal=None)
    with pytest.raises(IntegrityError, match="are emptied"), transaction.atomic():
        AdminActionFactory(admin=anna, details=details)


# --- What PostgreSQL puts right


def test_a_plain_insert_is_chained():
    run(PLAIN)
    run(PLAIN)
    assert whole(2)


def test_what_an_insert_forges_is_overridden(five, anna):
    boris = AdminUserFactory(username="boris")
    run(
        "INSERT INTO admin.admin_actions"
        " (id, seq, hash, created_at, admin_id, admin_name, admin_role, action, details_hash)"
        " VALUES (1000, 2, repeat('0', 64), '2020-01-01T00:00Z', %s, 'anna', 'owner', 'gift.queued', 'x')",
        boris.pk,
    )
    act = AdminAction.objects.order_by("-seq").first()
    assert (act.seq, act.id, act.admin_name, act.admin_role) == (6, five[-1].id + 1, "boris", "support")
    assert (act.details_hash, act.created_at.year > 2020) == (None, True)
    assert whole(6)


def test_copy_is_chained_like_any_insert(five, anna):
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY admin.admin_actions (id, seq, hash, admin_id, action, admin_role) FROM STDIN") as copy,
    ):
        for number in (3, 3, 99):
            copy.write_row([number, number, "0" * 64, anna.pk, "gift.queued", "owner"])
    assert list(AdminAction.objects.order_by("seq").values_list("seq", "admin_role"))[5:] == [
        (6, "manager"),
        (7, "manager"),
        (8, "manager"),
    ]
    assert whole(8)


def test_the_rows_of_one_statement_are_chained_to_each_other(anna):
    run(
        "INSERT INTO admin.admin_actions (admin_id, action) SELECT %s, 'gift.queued' FROM generate_series(1, 50)",
        anna.pk,
    )
    assert whole(50)


def test_a_row_that_meets_a_conflict_leaves_no_gap(five, anna):
    run(
        "INSERT INTO admin.admin_actions (admin_id, action, details_id)"
        " SELECT %s, 'gift.queued', details_id FROM (VALUES (NULL), (%s), (NULL)) AS given (details_id)"
        " ON CONFLICT DO NOTHING",
        *[anna.pk, five[0].details_id],
    )
    assert whole(7)


def test_an_act_keeps_the_name_and_role_of_its_time(five, anna):
    AdminUser.objects.filter(pk=anna.pk).update(username="renamed", role="owner")
    AdminActionFactory(admin=anna)
    assert list(AdminAction.objects.order_by("seq").values_list("admin_name", "admin_role"))[4:] == [
        ("anna", "manager"),
        ("renamed", "owner"),
    ]
    assert whole(6)


def test_a_savepoint_that_is_rolled_back_leaves_no_gap(five, anna):
    with transaction.atomic():
        AdminActionFactory(admin=anna)
        transaction.set_rollback(True)
    AdminActionFactory(admin=anna)
    assert whole(6)


@pytest.mark.parametrize(
    "setting",
    [
        "TimeZone = 'Asia/Kathmandu'",
        "DateStyle = 'German, DMY'",
        "IntervalStyle = 'sql_standard'",
        "extra_float_digits = -15",
        "bytea_output = 'escape'",
        "lc_numeric = 'C'",
        "client_encoding = 'LATIN1'",
        "search_path = pg_temp, pg_catalog",
    ],
)
def test_no_setting_of_a_session_changes_a_hash(five, anna, setting):
    run("CREATE FUNCTION pg_temp.sha256(bytea) RETURNS bytea LANGUAGE sql AS $$ SELECT 'forged'::bytea $$")
    run(f"SET LOCAL {setting}")
    assert whole(5)
    run(
        "INSERT INTO admin.admin_actions (admin_id, action, payload, address) VALUES (%s, 'x', '1.5', '2001:db8::1')",
        anna.pk,
    )
    run("RESET ALL")
    assert whole(6)


# --- What verify_journal names


@pytest.mark.parametrize(
    ("sql", "broken"),
    [
        ("UPDATE admin.admin_actions SET payload = '{}' WHERE seq = 3", f"3 (id %s): {HASH}"),
        (
            "UPDATE admin.admin_actions AS act SET action = 'x', hash = admin.action_hash("
            " (SELECT hash FROM admin.admin_actions WHERE seq = 2),"
            " (act.id, act.admin_id, 'x', act.target_type, act.target_id, act.payload, act.created_at, act.seq,"
            " act.hash, act.admin_name, act.admin_role, act.contractors, act.details_id, act.details_hash,"
            " act.part_of_id, act.address, act.request_id, act.token)::admin.admin_actions) WHERE seq = 3",
            f"4 (id %s): {HASH}",
        ),
        ("DELETE FROM admin.admin_actions WHERE seq = 3", "4 (id %s): it does not follow entry 2"),
        ("DELETE FROM admin.admin_actions WHERE seq < 3", "3 (id %s): it does not follow entry 0"),
        ("UPDATE admin.admin_actions SET seq = 9 WHERE seq = 3", "4 (id %s): it does not follow entry 2"),
        (
            "UPDATE admin.admin_actions SET seq = seq + 100; UPDATE admin.admin_actions SET seq = seq - 99",
            "2 (id %s): it does not follow entry 0",
        ),
        (
            "DELETE FROM admin.admin_actions WHERE seq = 3;"
            " UPDATE admin.admin_actions SET seq = seq - 1 WHERE seq = 4;"
            " UPDATE admin.admin_actions SET seq = seq - 1 WHERE seq = 5",
            f"3 (id %s): {HASH}",
        ),
        (
            "UPDATE admin.admin_actions SET seq = 100 WHERE seq = 2;"
            " UPDATE admin.admin_actions SET seq = 2 WHERE seq = 4;"
            " UPDATE admin.admin_actions SET seq = 4 WHERE seq = 100",
            f"2 (id %s): {HASH}",
        ),
        (
            "ALTER TABLE admin.admin_actions DROP CONSTRAINT admin_actions_seq_95b4bac4_uniq;"
            " UPDATE admin.admin_actions SET seq = 2 WHERE seq = 3",
            "2 (id %s): its number stands twice",
        ),
        (
            "INSERT INTO admin.admin_actions (id, seq, hash, admin_id, admin_role, action)"
            " SELECT 1000, 6, hash, admin_id, 'owner', 'forged' FROM admin.admin_actions WHERE seq = 5",
            f"6 (id %s): {HASH}",
        ),
        (
            "INSERT INTO admin.admin_actions (id, seq, hash, admin_id, admin_role, action)"
            " SELECT 1000, 0, '', admin_id, 'owner', 'forged' FROM admin.admin_actions WHERE seq = 5",
            "0 (id %s): it does not follow entry 0",
        ),
        (
            "UPDATE admin.action_details SET personal = '{}'"
            " WHERE id = (SELECT details_id FROM admin.admin_actions WHERE seq = 3)",
            "3 (id %s): its details are not those that were written with it",
        ),
        (
            "UPDATE admin.action_details SET salt = gen_random_uuid()"
            " WHERE id = (SELECT details_id FROM admin.admin_actions WHERE seq = 3)",
            "3 (id %s): its details are not those that were written with it",
        ),
        (
            "DELETE FROM admin.action_details WHERE id = (SELECT details_id FROM admin.admin_actions WHERE seq = 3)",
            "3 (id %s): its details are missing",
        ),
    ],
    ids=[
        *["rewritten", "rewritten with its hash", "deleted in the middle", "deleted at the start", "renumbered"],
        *["renumbered whole", "deleted and closed up", "two swapped", "two of one number", "added out of order"],
        *["put before the first", "details changed", "salt changed", "details deleted"],
    ],
)
def test_the_first_broken_link_is_named(five, sql, broken):
    with superuser():
        for statement in sql.split(";"):
            run(statement)
    code, said = verified()
    assert code == 1
    seq = broken.partition(" ")[0]
    act = AdminAction.objects.filter(seq=seq).latest("pk")
    assert said == f"verify_journal: broken at entry {broken % act.pk}"


# Of each column but seq, another value.
FORGED = {
    "id": "id + 1000",
    "created_at": "created_at + interval '1 microsecond'",
    "admin_id": "admin_id + 1",
    "admin_name": "NULL",
    "admin_role": "'owner'",
    "action": "'gift.withdrawn'",
    "target_type": "'core.contractor'",
    "target_id": "1",
    "contractors": "'{1}'",
    "payload": "'null'",
    "details_id": "1000",
    "details_hash": "'x'",
    "part_of_id": "1",
    "address": "'10.0.0.1/8'",
    "request_id": "gen_random_uuid()",
    "token": "gen_random_uuid()",
    "hash": "repeat('0', 64)",
}


@pytest.mark.parametrize("column", FORGED)
def test_each_column_is_part_of_the_hash(anna, column):
    AdminActionFactory(admin=anna, address="10.0.0.1")
    with superuser():
        run(f"UPDATE admin.admin_actions SET {column} = {FORGED[column]}")
    assert HASH in verify().broken[0]


def test_the_bounds_of_an_array_are_part_of_the_hash(anna):
    AdminActionFactory(admin=anna, contractors=[1, 2])
    with superuser():
        run("UPDATE admin.admin_actions SET contractors = '[5:6]={1,2}'")
    assert HASH in verify().broken[0]


def test_no_column_is_left_out_of_the_hash():
    assert FORGED.keys() | {"seq"} == {field.column for field in AdminAction._meta.concrete_fields}


def test_a_cut_tail_is_named_by_the_head_that_was_kept(five):
    kept = head()
    cut_tail(3)
    assert verify().broken == []
    assert verified("--head", str(kept)) == (
        1,
        "verify_journal: the tail was cut: it ends at entry 3 and once ended at entry 5",
    )


def test_a_cut_tail_is_named_by_every_run_after_it(five):
    assert verified()[0] == 0
    cut_tail(3)
    three = str(head())
    told = (1, "verify_journal: the tail was cut: it ends at entry 3 and once ended at entry 5")
    assert verified() == told
    assert verified("--dry-run") == (1, told[1].replace("journal:", "journal (dry run):"))
    assert verified("--head", three) == told
    assert verified() == told


@pytest.mark.parametrize(
    "counts",
    ['{"seq": true, "hash": "x"}', '{"seq": 1e30, "hash": "y"}', '{"seq": 99, "hash": {}}', '{"seq": 9}', "5", "null"],
)
def test_what_is_no_head_is_not_remembered(five, counts):
    run(
        "INSERT INTO admin.job_runs (command, outcome, counts) VALUES ('verify_journal', 'done', %s)",
        counts,
    )
    assert verified()[0] == 0
    cut_tail(3)
    assert "once ended at entry 5" in verified()[1]


def test_a_tail_that_was_cut_and_written_anew_is_named(five, anna):
    kept = head()
    assert verified()[0] == 0
    cut_tail(3)
    AdminActionFactory.create_batch(5, admin=anna)
    told = (1, "verify_journal: rewritten: entry 5 is not what it was when it was the last")
    assert verified() == told
    assert verified("--head", str(kept)) == told


def test_a_journal_that_was_emptied_is_named(five):
    assert verified()[0] == 0
    cut_tail(0)
    assert verified()[1] == "verify_journal: the tail was cut: it ends at entry 0 and once ended at entry 5"


def cut_tail(after: int) -> None:
    with superuser():
        run("DELETE FROM admin.admin_actions WHERE seq > %s", after)


def test_a_whole_journal_is_told_in_one_line(five):
    assert verified() == (
        0,
        f"verify_journal: 5 entries, 0 of them emptied, head 5:{AdminAction.objects.get(seq=5).hash}",
    )


def test_an_empty_journal_has_a_head_too():
    assert verified() == (0, "verify_journal: 0 entries, 0 of them emptied, head 0:")
    assert verified("--head", "0:")[0] == 0


def test_a_journal_that_grew_holds_the_head_of_before(five, anna):
    kept = head()
    assert verified()[0] == 0
    AdminActionFactory(admin=anna)
    assert verified("--head", str(kept))[0] == 0


def test_the_run_that_saw_most_is_remembered(five, anna):
    seen = Head(5, AdminAction.objects.get(seq=5).hash)
    JobRun.objects.create(command="verify_journal", outcome="done", counts={"seq": 5, "hash": seen.hash})
    JobRun.objects.create(command="verify_journal", outcome="done", counts={"seq": 2, "hash": "of an earlier one"})
    JobRun.objects.create(command="verify_journal", outcome="failed", counts={"seq": 9, "hash": "of a broken one"})
    JobRun.objects.create(command="verify_journal", outcome="done", counts=None)
    assert verified()[0] == 0


def test_what_is_wrong_is_printed_as_json_too(five):
    with superuser():
        run("DELETE FROM admin.admin_actions WHERE seq = 3")
    out = io.StringIO()
    with pytest.raises(CommandError):
        call_command("verify_journal", "--json", stdout=out)
    printed = json.loads(out.getvalue())
    assert printed.keys() == {"entries", "emptied", "seq", "hash", "broken"}
    assert (printed["entries"], printed["seq"], len(printed["broken"])) == (4, 5, 1)


@pytest.mark.parametrize(
    "text", ["", "5", "5:", "5:abc", "0:" + "0" * 64, "-1:" + "0" * 64, "x", "9" * 30 + ":" + "0" * 64]
)
def test_a_malformed_head_is_refused(text):
    with pytest.raises(CommandError, match="is no head; write SEQ:HASH") as refused:
        call_command("verify_journal", head=text)
    assert refused.value.returncode == 2
    assert not JobRun.objects.exists()


def test_a_malformed_head_is_one_line(manage):
    out, err = (process := manage("verify_journal", "--head", "5")).communicate(timeout=60)
    assert (process.returncode, out, err.count("\n")) == (2, "", 1)


# --- Erasure


def test_an_erasure_empties_the_details_and_the_chain_holds(anna):
    kept = journal.record(journal.Act("contractor.changed", personal={"name": "Пётр"}, contractors=[2]), by=anna)
    gone = journal.record(
        journal.Act("contractor.changed", facts={"days": 3}, personal={"name": "Иван"}, contractors=[1]), by=anna
    )
    hash_before = AdminAction.objects.get(pk=gone.pk).hash

    assert journal.erase(contractor=1) == 1
    assert journal.erase(contractor=1) == 0

    act = AdminAction.objects.get(pk=gone.pk)
    assert (act.payload, act.hash, act.details.personal, act.details.salt) == ({"days": 3}, hash_before, None, None)
    assert AdminAction.objects.get(pk=kept.pk).details.personal == {"name": "Пётр"}
    assert whole(2, emptied=1)


def test_deleting_a_contractor_leaves_their_journal(anna):
    contractor = ContractorFactory()
    journal.record(journal.Act("contractor.changed", contractor, contractors=[contractor.pk]), by=anna)
    run("DELETE FROM core.contractors WHERE id = %s", contractor.pk)
    connection.check_constraints()
    assert AdminAction.objects.get().contractors == [contractor.pk]
    assert not Contractor.objects.exists()
    assert whole(1)


# --- Many at once


@concurrent
def test_eight_at_once_write_one_chain(anna):
    def write(number: int) -> None:
        try:
            for _ in range(25):
                run("INSERT INTO admin.admin_actions (admin_id, action) VALUES (%s, 'gift.queued')", anna.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(8)))

    assert whole(200)


@concurrent
def test_who_rolls_back_among_others_leaves_no_gap(anna):
    def write(number: int) -> None:
        try:
            for turn in range(10):
                with transaction.atomic():
                    AdminActionFactory(admin=anna)
                    if (number + turn) % 3 == 0:
                        transaction.set_rollback(True)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(4)))

    assert whole(AdminAction.objects.count())
    assert 0 < AdminAction.objects.count() < 40


@concurrent
def test_the_second_waits_for_the_first_to_commit(anna, while_held):
    first, second = while_held(lambda: AdminActionFactory(admin=anna).pk, lambda: AdminActionFactory(admin=anna).pk)
    assert list(AdminAction.objects.order_by("seq").values_list("pk", flat=True)) == [first, second]
    assert whole(2)


@concurrent
@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_who_does_not_see_the_last_row_is_refused_and_forks_nothing(anna, while_held, level):
    def write() -> None:
        run(f"SET TRANSACTION ISOLATION LEVEL {level}")
        AdminActionFactory(admin=anna)

    _, refused = while_held(write, write)

    assert isinstance(refused, IntegrityError | OperationalError), refused
    assert whole(1)


@concurrent
@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_strict_transaction_alone_chains_all_its_rows(anna, level):
    with transaction.atomic():
        run(f"SET TRANSACTION ISOLATION LEVEL {level}")
        AdminActionFactory.create_batch(3, admin=anna)
    assert whole(3)


# --- Whatever is told

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([1.10, 1e300, -0.0, 5e-324])
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('aя"\\ 👍', max_size=5), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payload=json_values, personal=json_values, action=st.text("aя. \"\\'{}", max_size=30))
def test_whatever_is_told_is_chained(anna, payload, personal, action):
    details = ActionDetails.objects.create(personal=json.loads(json.dumps(personal)) if personal is not None else {})
    AdminActionFactory(admin=anna, action=action, payload=payload, details=details)
    assert verify().broken == []


@pytest.mark.parametrize(
    "number", ["1e400", "1.10", "1.1", "-0", "0.000000000000000000000000000000000001", "null", '""']
)
def test_a_number_is_hashed_as_it_is_stored(anna, number):
    run("INSERT INTO admin.admin_actions (admin_id, action, payload) VALUES (%s, 'x', %s)", anna.pk, number)
    assert whole(1)


def test_a_number_of_another_scale_is_another_number(anna):
    run("INSERT INTO admin.admin_actions (admin_id, action, payload) VALUES (%s, 'x', '1.10')", anna.pk)
    with superuser():
        run("UPDATE admin.admin_actions SET payload = '1.1'")
    assert HASH in verify().broken[0]


# --- From before the chain


@concurrent
def test_a_journal_from_before_the_chain_is_chained(anna):
    call_command("migrate", "adminlog", "0002", verbosity=0)
    for target, payload in (("core.contractor", '{"after": {"full_name": "Иван"}}'), (None, None), (None, "5")):
        run(
            "INSERT INTO admin.admin_actions (id, admin_id, action, target_type, target_id, payload, created_at)"
            " VALUES ((SELECT coalesce(max(id), 4) + 3 FROM admin.admin_actions), %s, 'x', %s, 7, %s, '2025-01-01Z')",
            *[anna.pk, target, payload],
        )

    call_command("migrate", verbosity=0)

    first, second, third = AdminAction.objects.order_by("seq")
    assert [first.pk, second.pk, third.pk] == [7, 10, 13]
    assert (first.payload, first.details.personal) == (None, {"after": {"full_name": "Иван"}})
    assert (first.contractors, second.contractors) == ([7], [])
    assert (second.details, third.details.personal) == (None, 5)
    assert {act.created_at.year for act in (first, second, third)} == {2025}
    assert {(act.admin_name, act.admin_role) for act in (first, second, third)} == {("anna", "manager")}
    AdminActionFactory(admin=anna)
    assert AdminAction.objects.order_by("-seq").first().pk == 14
    assert whole(4)
    assert journal.erase(contractor=7) == 1
    assert whole(4, emptied=1)


@pytest.mark.django_db(transaction=True)
def test_an_act_from_before_the_chain_is_about_the_contractors_that_it_names(anna):
    call_command("migrate", "adminlog", "0002", verbosity=0)
    payload = '{"after": {"owner_contractor_id": 8, "member_contractor_id": 5}, "before": {"contractor_id": "x"}}'
    run("INSERT INTO admin.admin_actions (admin_id, action, payload) VALUES (%s, 'x', %s)", anna.pk, payload)
    call_command("migrate", verbosity=0)
    assert AdminAction.objects.get().contractors == [5, 8]


@pytest.mark.django_db(transaction=True)
def test_on_the_way_back_before_the_chain_nothing_that_was_told_is_lost(anna):
    act = journal.Act("x", anna, before={"role": "support", "username": "Anna"}, after={"role": "manager"})
    journal.record(act, by=anna, reason="promoted")
    journal.record(journal.Act("y"), by=anna)
    assert verified()[0] == 0

    call_command("migrate", "adminlog", "0002", verbosity=0)

    told = {"before": {"role": "support", "username": "Anna"}, "after": {"role": "manager"}, "reason": "promoted"}
    assert json.loads(value("SELECT payload::text FROM admin.admin_actions WHERE action = 'x'")) == told
    call_command("migrate", verbosity=0)
    assert verified()[0] == 0


# --- By hand


def test_an_outsider_recomputes_the_hashes_as_the_manual_says(five):
    manual = (django_settings.BASE_DIR / "docs" / "journal.md").read_text("utf-8")
    for statement in re.findall(r"```sql\n(.*?)```", manual, re.DOTALL):
        with connection.cursor() as cursor:
            cursor.execute(statement)
            assert cursor.fetchall() == [(seq, True) for seq in range(1, 6)]
