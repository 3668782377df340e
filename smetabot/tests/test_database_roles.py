"""What each role may in the database, by trying it. What is said here is said a second time, in other words than those
of the table that sets them up."""

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

import psycopg
import pytest
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib import admin
from django.core.management import CommandError, call_command
from django.db import Error, connection
from django.test.client import ClientHandler
from psycopg.errors import InsufficientPrivilege

from adminlog.roles import OWNER
from adminlog.tests.staff import browser
from analytics.partitions import EVENTS
from billing.factories import GiftFactory
from smetabot.database_roles import BOT, COLUMNS, CRON, PARTITIONS, READONLY, ROLES, TABLE, WEB, cells
from smetabot.tests import bot
from smetabot.tests.test_access import PASSWORD, PLACES, POSTS, QUERIES, Actor, filled_in, rolled_back

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("office")]

PARTS = re.compile(r"analytics\.(events|views_daily)_(\d{6}|default)")


@pytest.fixture(scope="module")
def office(django_db_setup: None, django_db_blocker) -> Iterator[None]:
    """A copy of the database, set up for good: other tests do without."""
    own = connection.settings_dict["NAME"]
    copy, quoted = f"{own}_roles", connection.ops.quote_name
    with django_db_blocker.unblock():
        connection.close()
        with connection._nodb_cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {quoted(copy)} WITH (FORCE)")
            cursor.execute(f"CREATE DATABASE {quoted(copy)} TEMPLATE {quoted(own)}")
        connection.settings_dict["NAME"] = copy
        call_command("setup_roles", stdout=StringIO())
        connection.close()
        yield
        connection.close()
        connection.settings_dict["NAME"] = own
        with connection._nodb_cursor() as cursor:
            cursor.execute(f"DROP DATABASE {quoted(copy)} WITH (FORCE)")


@contextmanager
def connected(role: str) -> Iterator[psycopg.Connection]:
    """As a process that logs in; where the server asks for a password, as good as that."""
    known = connection.get_connection_params()
    params = {name: known[name] for name in ("dbname", "host", "port") if name in known}
    try:
        session = psycopg.connect(**params, user=role)
    except psycopg.OperationalError:
        session = psycopg.connect(**params, user=known["user"], password=known.get("password"))
        session.execute(f"SET SESSION AUTHORIZATION {role}")
        session.commit()
    with session:
        yield session


@contextmanager
def acting_as(role: str, refused: list[str]) -> Iterator[None]:
    """What is refused is noted, too, where the code makes do without it."""

    def note(execute, sql, params, many, context):
        try:
            return execute(sql, params, many, context)
        except Exception as error:
            if isinstance(error.__cause__, InsufficientPrivilege):
                refused.append(f"{role}: {error}: {sql}")
            raise

    bot.run(f"SET ROLE {role}")
    try:
        with connection.execute_wrapper(note):
            yield
    finally:
        if not connection.needs_rollback:
            bot.run("RESET ROLE")


@pytest.fixture
def refused() -> Iterator[list[str]]:
    found: list[str] = []
    yield found
    assert found == []


# Each is tried on every table, view and partition: with one column that the catalogue says one may, and one not.
TRIED = {
    "DELETE": "DELETE FROM {0} WHERE false",
    "TRUNCATE": "TRUNCATE {0}",
    "SELECT": 'SELECT "{1}" FROM {0} LIMIT 0',
    "INSERT": 'INSERT INTO {0} ("{1}") VALUES (DEFAULT)',
    "UPDATE": 'UPDATE {0} SET "{1}" = DEFAULT WHERE false',
}
# Of a view all but SELECT is refused before anybody asks who it is; the rest takes a table of one's own to try.
CATALOGUE = """
    WITH tables AS (
        SELECT pg_class.oid, nspname || '.' || relname AS name, relkind = 'v' AS is_view
        FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE relkind IN ('r', 'p', 'v') AND nspname !~ '^(pg_|information_schema)'
    )
    SELECT
        verb, name, is_view,
        array_agg(attname::text) FILTER (WHERE may), array_agg(attname::text) FILTER (WHERE NOT may)
    FROM tables JOIN pg_attribute ON attrelid = tables.oid AND attnum > 0 AND NOT attisdropped
    CROSS JOIN unnest('{SELECT,INSERT,UPDATE,REFERENCES}'::text[]) AS verb
    CROSS JOIN LATERAL has_column_privilege(%(role)s::text, tables.oid, attnum, verb) AS may
    GROUP BY verb, name, is_view
    UNION ALL
    SELECT verb, name, is_view, CASE WHEN may THEN '{*}'::text[] END, CASE WHEN NOT may THEN '{*}'::text[] END
    FROM tables CROSS JOIN unnest(%(whole)s::text[]) AS verb
    CROSS JOIN LATERAL has_table_privilege(%(role)s::text, tables.oid, verb) AS may
"""
# Each is done and taken back. What fails otherwise is what one may do.
TRY = """
    CREATE FUNCTION public.try_out(statements text[]) RETURNS boolean[] LANGUAGE plpgsql AS $$
    DECLARE
        statement text;
        allowed boolean[] := '{}';
    BEGIN
        SET LOCAL transaction_read_only = off;
        FOREACH statement IN ARRAY statements LOOP
            BEGIN
                EXECUTE statement;
                RAISE 'done';
            EXCEPTION
                WHEN insufficient_privilege THEN allowed := allowed || false;
                WHEN OTHERS THEN allowed := allowed || true;
            END;
        END LOOP;
        RETURN allowed;
    END
    $$;
    GRANT EXECUTE ON FUNCTION public.try_out TO PUBLIC;
"""


def tried(role: str) -> dict[str, dict[str, set[str]]]:
    """By verb and table the columns that it may; a star is all of it."""
    has_maintain = connection.pg_version >= 170000  # type: ignore[attr-defined]
    whole = ["DELETE", "TRUNCATE", "TRIGGER", *(["MAINTAIN"] if has_maintain else [])]
    statements: dict[str, bool] = {}
    may: dict[str, dict[str, set[str]]] = defaultdict(dict)
    with connection.cursor() as cursor:
        cursor.execute(CATALOGUE, {"role": role, "whole": whole})
        found = cursor.fetchall()
    for verb, table, is_view, granted, refused in found:
        if granted:
            may[verb][table] = {*granted} if refused else {*granted, "*"}
        if verb in TRIED and (verb == "SELECT" or not is_view):
            for columns, expected in ((granted, True), (refused, False)):
                statements |= {TRIED[verb].format(table, column): expected for column in (columns or [])[:1]}
    with connected(role) as session:
        # What a session may switch off keeps nobody from anything.
        session.read_only = False
        [(allowed,)] = session.execute("SELECT public.try_out(%s)", [list(statements)]).fetchall()
        session.rollback()
    assert dict(zip(statements, allowed, strict=True)) == statements
    return may


@pytest.fixture(scope="module")
def may(office, django_db_blocker) -> dict[str, dict[str, dict[str, set[str]]]]:
    with django_db_blocker.unblock():
        bot.run(TRY)
        found = {role: tried(role) for role in ROLES}
        bot.run("DROP FUNCTION public.try_out")
        connection.close()
    return found


def own(table: str) -> bool:
    return bool(re.fullmatch(r"analytics\.(events|views_daily)(_\d{6}|_default)?", table))


def test_each_role_may_what_the_table_says_and_nothing_else(may):
    letters = {"r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE"}
    for role in ROLES:
        said: dict[str, dict[str, set[str]]] = defaultdict(dict)
        for table, of, cell in cells():
            if of == role and "." in table and " " not in table:
                for letter, star in re.findall(r"([rawd])(\*?)", cell):
                    said[letters[letter]][table] = set(COLUMNS[table, role, letter].split()) if star else {"*"}
        for verb in letters.values():
            found = {
                table: columns if "*" not in columns else {"*"}
                for table, columns in may[role].get(verb, {}).items()
                if not (role == PARTITIONS and own(table))
            }
            assert found == said[verb], (role, verb)


def test_nobody_empties_a_table_or_hangs_anything_on_it_but_who_owns_the_partitions(may):
    for role in ROLES:
        for verb in ("TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"):
            assert all(role == PARTITIONS and own(table) for table in may[role].get(verb, {})), (role, verb)


def test_rows_go_only_by_whom_it_is_their_work(may):
    login = {"django_session", "axes_accessattempt", "axes_accessattemptexpiration"}
    login |= {"otp_static_staticdevice", "otp_static_statictoken", "otp_totp_totpdevice"}
    acts = {"core.team_members", "referrals.referral_links", "referrals.referrals"}
    assert {
        role: {table for table in may[role]["DELETE"] if not own(table)} for role in ROLES if may[role].get("DELETE")
    } == {
        BOT: {"core.contractors"},
        WEB: acts | {f"public.{table}" for table in login},
        CRON: {"analytics.dirty_channels", "analytics.channel_daily", "admin.job_runs"}
        | {"public.django_session", "public.axes_accessattempt"},
        PARTITIONS: set(),
    }


def test_the_bot_sees_nothing_of_the_office(may):
    seen = {table for of in may[BOT].values() for table in of}
    assert not {table for table in seen if table.startswith(("admin.", "public."))}
    with connected(BOT) as session, pytest.raises(InsufficientPrivilege):
        session.execute("SELECT admin.action_hash(NULL, NULL)")


def test_the_journal_is_appended_to_by_the_web_and_changed_by_nobody(may):
    journal = {role: {verb for verb in may[role] if "admin.admin_actions" in may[role][verb]} for role in ROLES}
    assert journal == {BOT: set(), WEB: {"SELECT", "INSERT"}, CRON: {"SELECT"}, PARTITIONS: set(), READONLY: {"SELECT"}}
    assert may[WEB]["UPDATE"]["admin.action_details"] == {"salt", "personal"}
    assert may[WEB]["UPDATE"]["admin.notes"] == {"text"}


def test_the_web_gets_no_further_at_the_journal_by_its_triggers_or_settings():
    with connected(WEB) as session:
        for statement in (
            "ALTER TABLE admin.admin_actions DISABLE TRIGGER append_only",
            "DROP TRIGGER chained ON admin.admin_actions",
            "SET session_replication_role = replica",
            "CREATE OR REPLACE FUNCTION admin.chain_action() RETURNS trigger LANGUAGE plpgsql AS ''",
            "CREATE TABLE admin.other (id int)",
            "CREATE TABLE public.other (id int)",
            "CREATE TEMP TABLE admin_actions (id int)",
            "SET ROLE smetabot_partitions",
        ):
            with pytest.raises(InsufficientPrivilege), session.transaction():
                session.execute(statement)


def test_whose_tables_others_write_hangs_no_code_on_them():
    with connected(PARTITIONS) as session:
        for language, body in ("plpgsql", "BEGIN RETURN NULL; END"), ("sql", "SELECT 1"):
            with pytest.raises(InsufficientPrivilege, match=f"language {language}"), session.transaction():
                session.execute(f"CREATE FUNCTION analytics.planted() RETURNS int LANGUAGE {language} AS '{body}'")
        with pytest.raises(InsufficientPrivilege, match="language plpgsql"), session.transaction():
            session.execute("DO 'BEGIN END'")
    bot.run(f"SET ROLE {PARTITIONS}")
    bot.run("CREATE POLICY planted ON analytics.events USING (true)")
    bot.run("ALTER TABLE analytics.events ENABLE ROW LEVEL SECURITY")
    bot.run(f"SET ROLE {WEB}")
    with pytest.raises(Error, match="row-level security policy"):
        bot.run("SELECT FROM analytics.events")
    for role in (BOT, WEB, CRON, READONLY):
        with connected(role) as session:
            assert session.execute("SHOW row_security").fetchone() == ("off",)


def test_secrets_are_read_by_the_web_alone(may):
    for table in ("auth_user", "otp_totp_totpdevice", "otp_static_statictoken"):
        assert [role for role in ROLES if f"public.{table}" in may[role]["SELECT"]] == [WEB]
    assert may[CRON]["SELECT"]["public.django_session"] == {"expire_date"}
    assert not any("public.django_session" in may[role]["SELECT"] for role in (BOT, PARTITIONS, READONLY))
    assert [role for role in ROLES if "admin.action_details" in may[role]["SELECT"]] == [WEB, CRON]
    assert [role for role in ROLES if "admin.notes" in may[role]["SELECT"]] == [WEB]


def test_what_is_counted_once_is_written_by_one(may):
    def writers(table: str, column: str) -> list[str]:
        return [role for role in ROLES if column in may[role].get("UPDATE", {}).get(table, ())]

    assert writers("billing.usage_counters", "channels_created_total") == [BOT]
    assert writers("core.invites", "used_count") == [BOT]
    assert writers("core.contractors", "bonus_channels") == [WEB]
    assert writers("billing.plans", "price_month") == [WEB]
    assert writers("billing.gifts_queue", "applied_at") == [CRON]
    assert writers("referrals.referrals", "qualified_at") == writers("referrals.referrals", "cycle_id") == [CRON]
    assert writers("billing.subscription_history", "expires_at") == []
    assert writers("public.auth_user", "is_superuser") == []


def test_an_analyst_changes_nothing(may):
    assert set(may[READONLY]) == {"SELECT"}
    with connected(READONLY) as session:
        assert session.execute("SHOW default_transaction_read_only").fetchone() == ("on",)


def test_nobody_uses_a_sequence_by_itself_but_who_draws_a_gifts_number():
    for role in ROLES:
        with connected(role) as session:
            usable = session.execute(
                "SELECT oid::regclass::text FROM pg_class WHERE relowner <> to_regrole(current_user)"
                " AND CASE relkind WHEN 'S' THEN has_sequence_privilege(oid, 'USAGE, SELECT, UPDATE') END"
            ).fetchall()
        assert usable == ([("billing.gifts_queue_id_seq",)] if role == CRON else [])


def test_a_trigger_that_looks_at_tables_does_so_by_the_owners_right_and_on_a_path_of_its_own():
    assert bot.one("""
        SELECT array_agg(oid::regproc::text ORDER BY 1) FROM pg_proc
        WHERE pronamespace::regnamespace::text IN ('core', 'billing', 'analytics', 'referrals', 'admin')
            AND (prosecdef OR prorettype = 'trigger'::regtype
                AND prosrc ~* '(from|into|update) +"?(core|billing|analytics|referrals|admin)"?[.]')
            AND NOT (prosecdef AND 'search_path=pg_catalog, pg_temp' = ANY(proconfig)
                AND NOT has_function_privilege('smetabot_web', oid, 'EXECUTE'))
    """) is None  # fmt: skip


def test_the_bot_does_all_that_the_contract_says_of_it(refused):
    with acting_as(BOT, refused):
        ivan, boris = bot.meet(1), bot.meet(2)
        channel = bot.make_channel(ivan, -1)
        bot.make_channel(ivan, -2)
        bot.publish(channel, 1, views=5), bot.publish(channel, 1, views=7)
        token = bot.invite(channel, "t", max_uses=1)
        bot.let_in(channel, token, 9), bot.let_in(channel, token, 9)
        bot.run("UPDATE core.invites SET used_count = max_uses WHERE id = %s", token)
        bot.pay(ivan, "PRO", 30), bot.pay(ivan, "BUSINESS", 30)
        bot.run("INSERT INTO referrals.referrals (referrer_id, referred_contractor_id) VALUES (%s, %s)", boris, ivan)
        assert bot.one("SELECT plan_code FROM analytics.profile_overview WHERE contractor_id = %s", ivan) == "BUSINESS"
        bot.one("SELECT referred_total FROM analytics.profile_referral_progress WHERE contractor_id = %s", boris)
        bot.run("SELECT * FROM billing.subscriptions WHERE status IN ('active', 'trial', 'grace')")
        bot.run("DELETE FROM core.contractors WHERE id = %s", ivan)
    assert bot.one("SELECT count(*) FROM analytics.dirty_channels WHERE channel_id = %s", channel) > 0


def test_every_job_runs_as_cron(refused, tmp_path):
    contractors = [bot.meet(number) for number in range(1, 6)]
    for number, contractor in enumerate(contractors):
        channels = [bot.make_channel(contractor, -10 * number - nth) for nth in (1, 2)]
        bot.publish(channels[0], 1, views=number)
        bot.let_in(channels[0], bot.invite(channels[0], f"t{number}"), 100 + number)
        bot.pay(contractor, "PRO", 1)
    for referred in contractors[1:]:
        bot.run(
            "INSERT INTO referrals.referrals (referrer_id, referred_contractor_id) VALUES (%s, %s)",
            *[contractors[0], referred],
        )
    GiftFactory(contractor_id=contractors[1])
    readings = tmp_path / "views.csv"
    readings.write_text(
        "tg_chat_id,message_id,views,time\n-1,1,50,2026-11-01T10:00:00Z\n-1,1,40,2026-11-02T10:00:00Z\n"
    )
    later = (dt.datetime.now(dt.UTC) + dt.timedelta(days=9)).isoformat()
    jobs = [command for _, _, [command] in settings.CRONJOBS if command != "maintain_partitions"]
    AccessAttempt.objects.create(username="anna", failures_since_start=1)
    AccessAttempt.objects.update(attempt_time="2020-01-01T00:00:00Z")
    with acting_as(CRON, refused):
        for job in jobs:
            call_command(job, now=later, stdout=StringIO())
        call_command("aggregate_stats", full=True, stdout=StringIO())
        call_command("check_data", fix=True, stdout=StringIO())
        call_command("import_views", str(readings), stdout=StringIO())
    done = bot.one("SELECT jsonb_object_agg(command, counts) FROM admin.job_runs")
    assert '"rewards_queued": 1' in done
    assert '"applied": 2' in done
    assert '"attempts": 1' in done


def test_a_job_that_fails_as_cron_leaves_its_run_and_an_alert(refused):
    bot.run("DELETE FROM billing.plans WHERE code = 'PRO'")
    contractors = [bot.meet(number) for number in range(1, 5)]
    for number, contractor in enumerate(contractors):
        bot.make_channel(contractor, -number - 1), bot.make_channel(contractor, -number - 10)
        if number:
            bot.run("INSERT INTO referrals.referrals (referrer_id, referred_contractor_id) VALUES (%s, %s)",
                    contractors[0], contractor)  # fmt: skip
    with acting_as(CRON, refused), pytest.raises(CommandError):
        call_command("advance_referrals", stdout=StringIO(), stderr=StringIO())
    assert bot.one("SELECT count(*) FROM admin.admin_alerts") == 1


@pytest.mark.django_db(transaction=True)
def test_partitions_are_kept_by_whom_nothing_else_belongs_to(settings, tmp_path):
    settings.EVENTS_ARCHIVE, settings.EVENTS_RETENTION_MONTHS = tmp_path, 3
    channel = bot.make_channel(bot.meet(1), -1)
    for day in ("2020-01-15", "2020-05-15"):
        bot.run(
            "INSERT INTO analytics.events (channel_id, event_type, created_at) VALUES (%s, 'sync_run', %s)",
            channel,
            day,
        )
    bot.run("INSERT INTO analytics.daily_totals (day, rolled_up_at) VALUES ('2020-01-15', '2020-06-01')")
    connection.close()
    connection.settings_dict["USER"], user = PARTITIONS, connection.settings_dict["USER"]
    try:
        for _ in range(2):
            call_command("maintain_partitions", now="2020-06-15T12:00:00Z", drop=True, stdout=StringIO())
        months = EVENTS.months()
    finally:
        connection.close()
        connection.settings_dict["USER"] = user
    assert dt.date(2020, 5, 1) in months
    assert dt.date(2020, 1, 1) not in months
    assert bot.one("SELECT array_agg(counts ->> 'tables_dropped' ORDER BY id)::text FROM admin.job_runs") == "{0,1}"
    call_command("setup_roles", check=True, stdout=StringIO())
    for month in months:
        if month.year == 2020:
            bot.run(f"DROP TABLE {EVENTS.part(month)}")


@pytest.fixture
def as_web(monkeypatch, refused) -> None:
    handle = ClientHandler.__call__

    def handle_as_web(self: ClientHandler, environ):
        with acting_as(WEB, refused):
            response = handle(self, environ)
            if response.streaming:
                response.streaming_content = list(response.streaming_content)
            return response

    monkeypatch.setattr(ClientHandler, "__call__", handle_as_web)


def test_the_web_reads_whole_what_its_pages_show(may):
    shown = {model._meta.db_table.replace('"', "") for model in admin.site._registry}
    assert {table for table in shown if "*" not in may[WEB]["SELECT"].get(table, ())} == set()


def test_every_act_and_every_form_works_as_the_web(as_web):
    anna = Actor("owner", OWNER, browser(username="anna", password=PASSWORD).session.session_key)
    for place in PLACES:
        # To look at the others is part of filling them in, or takes no more than to read what they show.
        if place.name.endswith(("find", "search", "index", "readyz")):
            with rolled_back():
                anna.send("GET", place.path(), QUERIES.get(place.name))
        # Of the lists' exports, which are alike, one; what a subscription and its contractor have alike, once.
        is_double = place.name.endswith(("_export", "_unblock")) or place.name.startswith("admin:billing_subscription_")
        if place.name in POSTS and (not is_double or place.name == "admin:core_client_export"):
            with rolled_back():
                path = place.path()
                assert anna.send("POST", path, filled_in(place, path, by=anna)).status_code in (200, 302), place.name


def test_the_check_names_what_drifted_and_setting_up_again_mends_it():
    here = f'IN DATABASE "{connection.settings_dict["NAME"]}"'
    drift = {
        "GRANT UPDATE ON admin.admin_actions TO smetabot_web": "smetabot_web has UPDATE on admin.admin_actions",
        "GRANT SELECT (password) ON public.auth_user TO smetabot_readonly": (
            "smetabot_readonly has SELECT (password) on public.auth_user"
        ),
        "REVOKE INSERT ON analytics.events FROM smetabot_bot": "smetabot_bot lacks INSERT on analytics.events",
        "GRANT EXECUTE ON FUNCTION core.hold_table TO PUBLIC": "PUBLIC has EXECUTE on function core.hold_table",
        "CREATE FUNCTION public.all_of_it() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';"
        " GRANT EXECUTE ON FUNCTION public.all_of_it TO PUBLIC": "PUBLIC has EXECUTE on function public.all_of_it",
        "GRANT USAGE ON LANGUAGE sql TO PUBLIC": "PUBLIC has USAGE on language sql",
        "ALTER TABLE analytics.events_default OWNER TO CURRENT_USER": "analytics.events_default is owned by",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO smetabot_readonly": (
            "smetabot_readonly will have SELECT on the tables"
        ),
        f"ALTER ROLE smetabot_web {here} RESET statement_timeout": "smetabot_web has no statement_timeout of 2min",
        f"ALTER ROLE smetabot_web {here} SET search_path = analytics": "smetabot_web has search_path set to analytics",
        "ALTER ROLE smetabot_cron SET default_transaction_read_only = on": (
            "smetabot_cron has default_transaction_read_only set to on"
        ),
    }
    for statement in drift:
        bot.run(statement)
    with pytest.raises(CommandError) as told:
        call_command("setup_roles", check=True, stderr=(lines := StringIO()))
    assert told.value.returncode == 1
    for expected in drift.values():
        assert expected in lines.getvalue()
    assert lines.getvalue().count("\n") == len(drift)
    call_command("setup_roles", stdout=StringIO())
    call_command("setup_roles", check=True, stdout=StringIO())


def test_in_production_an_owner_who_makes_roles_is_named(settings):
    settings.PRODUCTION = True
    with pytest.raises(CommandError, match="set them right by hand"):
        call_command("setup_roles", stderr=(told := StringIO()))
    assert "who owns the tables, has CREATEROLE" in told.getvalue()


def test_a_table_that_is_in_no_line_is_named_and_nobodys():
    bot.run("CREATE TABLE billing.invoices (id bigint)")
    with pytest.raises(CommandError):
        call_command("setup_roles", check=True, stderr=(told := StringIO()))
    assert told.getvalue().startswith("billing.invoices is not in the table")


def test_who_may_not_make_roles_is_told_in_one_line():
    bot.run(f"SET ROLE {WEB}")
    with pytest.raises(CommandError, match="smetabot_web may not set up roles here") as told:
        call_command("setup_roles")
    assert told.value.returncode == 2


def test_the_document_shows_the_table_of_the_code():
    assert TABLE.strip("\n") in (settings.BASE_DIR / "docs" / "database-roles.md").read_text("utf-8")
