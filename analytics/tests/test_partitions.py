import datetime as dt
import gzip
import json
import threading
from io import StringIO

import pytest
import tenacity
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, transaction

from adminlog.models import JobRun
from analytics import archive
from analytics.factories import EventFactory, ViewsDailyFactory
from analytics.models import Event, ViewsDaily
from analytics.partitions import EVENTS, VIEWS_DAILY
from smetabot.postgres import partitions
from smetabot.postgres.partitions import MonthlyTable, rows, run

pytestmark = pytest.mark.django_db(transaction=True)

NOW = "2020-06-15T12:00:00Z"
JANUARY = dt.date(2020, 1, 1)
MADE = ["202006", "202007", "202008", "202009"]


def names(table):
    return [f"{month:%Y%m}" for month in table.months()]


def forget_months():
    for table in (EVENTS, VIEWS_DAILY):
        for month in table.months():
            if month.year < 2021:
                run(f"DROP TABLE {table.part(month)}")
    for name in archive._detached():
        run(f"DROP TABLE analytics.{name}")


@pytest.fixture(autouse=True)
def months(settings, tmp_path, monkeypatch):
    settings.EVENTS_ARCHIVE = tmp_path / "archive"
    monkeypatch.setattr(partitions, "PATIENCE", "300ms")
    for patient in (MonthlyTable.make_month, archive._detach, archive._drop_key, archive._drop):
        monkeypatch.setattr(patient.retry, "stop", tenacity.stop_after_attempt(3))
    forget_months()
    yield
    forget_months()


@pytest.fixture
def keep(settings):
    """Whatever is older than March 2020 goes to the archive: it is counted."""
    settings.EVENTS_RETENTION_MONTHS = 3
    run(
        "INSERT INTO analytics.daily_totals (day, collected, rolled_up_at)"
        " SELECT day, false, '2020-06-15' FROM generate_series(date '2020-01-01', '2020-03-02', '1 day') AS day"
    )


def maintain(*args):
    out = StringIO()
    call_command("maintain_partitions", "--json", "--now", NOW, *args, stdout=out)
    return json.loads(out.getvalue())


def event(at, **fields):
    return EventFactory(created_at=at, **fields)


def places(model=Event):
    found = rows(f'SELECT tableoid::regclass::text, count(*) FROM "{model._meta.db_table}" GROUP BY 1')
    return {name.removeprefix("analytics."): count for name, count in found}


def unpacked(stem):
    with gzip.open(archive._file(stem), "rt") as file:
        return file.read()


def test_a_run_makes_this_month_and_three_ahead_and_a_second_one_finds_nothing_to_do():
    assert maintain()["months_made"] == 8
    assert [names(table)[:4] for table in (EVENTS, VIEWS_DAILY)] == [MADE, MADE]
    assert maintain() == {
        "months_made": 0,
        "rows_moved": 0,
        "rows_left": 0,
        "months_detached": 0,
        "tables_dropped": 0,
    }


def test_rows_of_the_default_partition_move_to_months_in_utc():
    first, second = event("2020-01-31T23:59:59.999999Z"), event("2020-02-01T02:59:59+03:00")
    third = event("2020-02-01T00:00:00Z", details={"a": 'a "b", \n c'})
    ViewsDailyFactory(collected_at="2020-01-31")
    assert maintain()["rows_moved"] == 4
    assert places() == {"events_202001": 2, "events_202002": 1}
    assert places(ViewsDaily) == {"views_daily_202001": 1}
    assert list(Event.objects.order_by("pk")) == [first, second, third]
    assert Event.objects.get(pk=third.pk).details == {"a": 'a "b", \n c'}


def test_rows_of_no_month_that_anybody_could_mean_stay_and_are_counted():
    for at in ("infinity", "-infinity", "0044-03-15 BC", "1999-12-31T23:59:59Z", "4026-01-01", "2021-06-01"):
        run(f"INSERT INTO analytics.events (event_type, created_at) VALUES ('sync_run', '{at}')")
    assert (counts := maintain())["rows_left"] == 6
    assert counts["months_made"] == 8
    assert places() == {"events_default": 6}


def test_a_dry_run_leaves_neither_month_nor_file(keep, settings):
    event("2020-01-10T00:00:00Z")
    counts = maintain("--dry-run")
    assert (counts["months_made"], counts["rows_moved"], counts["months_detached"]) == (9, 1, 1)
    assert places() == {"events_default": 1}
    assert archive._detached() == []
    assert not settings.EVENTS_ARCHIVE.exists()


def test_a_deletion_reaches_every_partition():
    old, new = event("2020-01-10T00:00:00Z"), EventFactory()
    daily = ViewsDailyFactory(collected_at="2020-01-10", publication__channel=old.channel)
    maintain()
    run(f"DELETE FROM core.channels WHERE id IN ({old.channel_id}, {new.channel_id})")
    assert Event.objects.filter(channel=None).count() == 2
    assert not ViewsDaily.objects.filter(publication=daily.publication).exists()


def test_an_old_month_is_in_the_archive_before_it_leaves_the_table(keep, settings):
    old = event("2020-01-10T00:00:00Z", details={"text": 'a "b", c'})
    young = event("2020-03-01T00:00:00Z")
    assert maintain()["months_detached"] == 1
    assert list(Event.objects.all()) == [young]
    assert sorted(path.name for path in settings.EVENTS_ARCHIVE.iterdir()) == [
        "events_202001.csv.gz",
        "events_202001.json",
    ]
    assert unpacked("events_202001") == (
        "id,channel_id,client_id,event_type,details,created_at\n"
        f'{old.pk},{old.channel_id},,sync_run,"{{""text"": ""a \\""b\\"", c""}}",2020-01-10 00:00:00+00\n'
    )
    manifest = json.loads(archive._manifest("events_202001").read_text())
    assert (manifest["table"], manifest["month"], manifest["rows"]) == ("analytics.events", "2020-01", 1)
    assert rows("SELECT id FROM analytics.events_202001_detached") == [(old.pk,)]


def test_without_a_setting_all_months_stay():
    event("2001-01-10T00:00:00Z")
    assert maintain()["months_detached"] == 0


def test_a_detached_month_is_not_changed_by_what_is_deleted_elsewhere(keep):
    old = event("2020-01-10T00:00:00Z")
    maintain()
    run(f"DELETE FROM core.channels WHERE id = {old.channel_id}")
    assert rows("SELECT channel_id FROM analytics.events_202001_detached") == [(old.channel_id,)]


def test_events_that_come_after_their_month_was_detached_get_a_file_of_their_own(keep):
    event("2020-01-10T00:00:00Z")
    maintain()
    first = unpacked("events_202001")
    late = event("2020-01-11T00:00:00Z")
    maintain()
    assert unpacked("events_202001") == first
    assert f"\n{late.pk}," in unpacked("events_202001_2")
    assert archive._detached() == ["events_202001_2_detached", "events_202001_detached"]


def test_what_was_exported_is_exported_again_if_it_has_changed_before_it_could_be_detached(keep):
    old = event("2020-01-10T00:00:00Z")
    EVENTS.make_month(JANUARY)
    stem, content = archive._export(JANUARY)  # and there the run was killed
    run("UPDATE analytics.events SET event_type = 'file_posted'")
    assert archive._detach(JANUARY, stem, content) is None
    assert maintain()["months_detached"] == 1
    assert f"{old.pk},{old.channel_id},,file_posted," in unpacked("events_202001")
    assert not archive._file("events_202001_2").exists()


def test_what_was_exported_is_only_detached_even_if_its_channel_is_deleted_meanwhile(keep):
    old = event("2020-01-10T00:00:00Z")
    EVENTS.make_month(JANUARY)
    archive._export(JANUARY)
    run(f"DELETE FROM core.channels WHERE id = {old.channel_id}")
    written = archive._file("events_202001").stat().st_mtime_ns
    assert maintain()["months_detached"] == 1
    assert archive._file("events_202001").stat().st_mtime_ns == written


def test_without_an_archive_nothing_is_detached(keep, settings):
    event("2020-01-10T00:00:00Z")
    settings.EVENTS_ARCHIVE.write_text("in the way")
    with pytest.raises(CommandError, match="1 failed"):
        maintain()
    assert "File exists" in (error := JobRun.objects.get().error)
    assert "\n" not in error
    assert Event.objects.count() == 1


def test_a_full_disk_is_told_and_nothing_is_detached(keep, settings):
    event("2020-01-10T00:00:00Z")
    settings.EVENTS_ARCHIVE.mkdir()
    (settings.EVENTS_ARCHIVE / ".events_202001.csv.gz.unfinished").symlink_to("/dev/full")
    with pytest.raises(CommandError, match="1 failed"):
        maintain()
    assert "No space left on device" in JobRun.objects.get().error
    assert Event.objects.count() == 1


def test_detached_months_are_dropped_on_demand_only_if_the_archive_holds_them(keep):
    event("2020-01-10T00:00:00Z")
    event("2020-02-10T00:00:00Z")
    maintain()
    path = archive._file("events_202002")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CommandError, match="1 failed"):
        maintain("--drop")
    assert archive._detached() == ["events_202002_detached"]
    assert "analytics.events_202002_detached is kept: events_202002.csv.gz is missing or spoilt" in (
        JobRun.objects.latest("pk").error
    )


def test_a_month_that_this_run_would_detach_is_not_dropped_by_it(keep):
    event("2020-01-10T00:00:00Z")
    for args in (["--dry-run"], []):
        counts = maintain("--drop", *args)
        assert (counts["months_detached"], counts["tables_dropped"]) == (1, 0)
    assert maintain("--drop", "--dry-run")["tables_dropped"] == 1
    assert maintain("--drop")["tables_dropped"] == 1


def test_a_month_is_archived_only_when_its_days_are_closed(keep, settings):
    event("2020-01-10T00:00:00Z")
    run("UPDATE analytics.daily_totals SET rolled_up_at = '2020-01-12' WHERE day = '2020-01-10'")
    with pytest.raises(CommandError, match="1 failed"):
        maintain()
    assert "2020-01-10 is not counted for good, so January 2020 is not detached yet" in JobRun.objects.get().error
    assert places() == {"events_202001": 1}
    settings.ROLLUP_OPEN_DAYS = 200
    assert maintain()["months_detached"] == 0


def test_who_reads_channels_delays_only_the_foreign_keys_of_what_is_detached(keep, colleague):
    event("2020-01-10T00:00:00Z")
    with colleague.cursor() as cursor:
        cursor.execute("SELECT FROM core.channels")
    with pytest.raises(CommandError, match="1 failed"):
        maintain()
    assert (job := JobRun.objects.get()).counts["months_detached"] == 1
    assert job.error.startswith("analytics.events_202001_detached is detached, but its foreign keys stay until the")
    colleague.rollback()
    maintain()
    assert partitions.constraints_of("analytics.events_202001_detached", "f") == []


def test_an_archived_month_can_be_restored(keep):
    event("2020-01-10T00:00:00Z", details={"text": 'a "b", \\ c'})
    event("2020-01-11T00:00:00Z", channel=None)
    before = rows("SELECT event::text FROM analytics.events AS event ORDER BY id")
    maintain()
    columns = ", ".join(json.loads(archive._manifest("events_202001").read_text())["columns"])
    sql = f"COPY analytics.events ({columns}) FROM STDIN (FORMAT csv, HEADER)"
    with connection.cursor() as cursor, cursor.copy(sql) as copy:
        copy.write(unpacked("events_202001"))
    assert rows("SELECT event::text FROM analytics.events AS event ORDER BY id") == before


def test_who_reads_for_long_is_named_and_the_next_run_does_it(colleague):
    event("2020-01-10T00:00:00Z")
    with colleague.cursor() as cursor:
        cursor.execute("SELECT FROM analytics.events")
    with pytest.raises(CommandError, match="1 failed"):
        maintain()
    assert "analytics.events: somebody holds a lock on it" in JobRun.objects.get().error
    assert places() == {"events_default": 1}
    colleague.rollback()
    assert maintain()["rows_moved"] == 1


def test_who_reads_for_long_is_met_before_anybody_is_barred(colleague, monkeypatch):
    with colleague.cursor() as cursor:
        cursor.execute("SELECT FROM analytics.events")
    asked = []
    monkeypatch.setattr(partitions, "lock", lambda *args, lock=partitions.lock: (asked.append(args), lock(*args)))
    with pytest.raises(OperationalError):
        EVENTS.make_month(JANUARY)
    assert set(asked) == {(EVENTS.default, "ACCESS EXCLUSIVE")}


def test_readers_of_channels_and_clients_go_on_while_a_month_is_made_and_those_of_events_miss_no_row(colleague):
    event("2020-01-10T00:00:00Z")
    seen = []

    def read():
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM analytics.events")
            seen.append(cursor.fetchone()[0])
        connection.close()

    reader = threading.Thread(target=read)
    with transaction.atomic():
        assert EVENTS.make_month(JANUARY) == 1
        with colleague.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
            cursor.execute("SELECT FROM core.channels, core.clients")
        reader.start()
        # It waits as soon as it plans: what partitions there are it learns when it goes on.
        reader.join(0.2)
        assert reader.is_alive()
    reader.join()
    assert seen == [1]


def test_runs_at_once_take_turns_beside_a_writer_and_no_event_is_lost_or_doubled(keep, manage, settings):
    for day in range(1, 29):
        event(f"2020-01-{day:02}T00:00:00Z")
        event(f"2020-02-{day:02}T00:00:00Z")
    made, faults, over = [], [], threading.Event()

    def write(at):
        try:
            while not over.is_set():
                with connection.cursor() as cursor:
                    cursor.execute(
                        f"INSERT INTO analytics.events (event_type, created_at) VALUES ('sync_run', {at}) RETURNING id"
                    )
                    made.append(cursor.fetchone()[0])
        except Exception as error:
            faults.append(error)
        finally:
            connection.close()

    writers = [threading.Thread(target=write, args=[at]) for at in ("'2020-06-15'", "'2020-05-01'", "now()")]
    for writer in writers:
        writer.start()
    variables = {"EVENTS_RETENTION_MONTHS": "3", "EVENTS_ARCHIVE": str(settings.EVENTS_ARCHIVE)}
    runs = [manage("maintain_partitions", "--json", "--now", NOW, **variables) for _ in range(2)]
    results = [process.communicate(timeout=60) for process in runs]
    over.set()
    for writer in writers:
        writer.join()
    assert [err for _, err in results] == ["", ""]
    assert faults == []
    counts = [json.loads(out) for out, _ in results]
    assert sum(each["months_detached"] for each in counts) == 2
    assert rows("SELECT count(*) FROM analytics.events WHERE created_at < '2020-03-01'") == [(0,)]
    archived = unpacked("events_202001").count("\n") + unpacked("events_202002").count("\n") - 2
    assert archived == 56
    assert sorted(Event.objects.values_list("pk", flat=True)) == sorted(made)


def test_a_run_that_loses_its_connection_goes_on(manage, colleague, wait_for_lock):
    event("2020-01-10T00:00:00Z")
    with colleague.cursor() as cursor:
        cursor.execute("LOCK TABLE analytics.events_default IN ROW EXCLUSIVE MODE")
    process = manage("maintain_partitions", "--json", "--now", NOW)
    run(f"SELECT pg_terminate_backend({wait_for_lock()})")
    colleague.rollback()
    out, err = process.communicate(timeout=60)
    assert (err, json.loads(out)["rows_moved"]) == ("", 1)
    assert places() == {"events_202001": 1}
