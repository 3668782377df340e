import datetime as dt
import gzip
import io
import json
import os
import termios

import pytest
from django.core.management import CommandError, call_command

from adminlog.models import JobRun
from analytics.models import SuspectReading, ViewsDaily
from analytics.view_files import CHUNK, LONGEST, ViewFile, numbered
from core.factories import ChannelFactory, PublicationFactory

pytestmark = pytest.mark.django_db

HEADER = "tg_chat_id,message_id,views,time"
TIME = "2026-01-31T12:00:00Z"
NOW = "2026-02-01T00:00:00Z"


def as_json(**values):
    return json.dumps({"tg_chat_id": -100, "message_id": 55, "views": 7, "time": TIME} | values)


@pytest.fixture
def publication():
    return PublicationFactory(channel=ChannelFactory(tg_chat_id=-100), message_id=55)


@pytest.fixture
def taken(tmp_path):
    """The counts of an import of these lines, and what it named."""

    def take(*lines, fails=False, file="views.csv", options=()):
        path = tmp_path / file
        path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines))
        out, err = io.StringIO(), io.StringIO()
        try:
            call_command("import_views", str(path), "--json", f"--now={NOW}", *options, stdout=out, stderr=err)
        except CommandError as error:
            assert fails and error.returncode == 1, error
        else:
            assert not fails
        return json.loads(out.getvalue()), err.getvalue().replace(f"{path}, ", "").splitlines()

    return take


@pytest.mark.parametrize(
    "lines",
    [
        [HEADER, f"-100,55,7,{TIME}"],
        [f"\ufeff{HEADER}\r", f"-100,55,7,{TIME}\r", "\r"],
        ["time;note;VIEWS;message_id;tg_chat_id", "2026-01-31T15:00:00+03:00;x;7;55;-100"],
        ['"tg_chat_id","message_id","views","time","title"', f'"-100","55","7","{TIME}","a, ""b"""'],
        ["", as_json(message_id="55", more=[1])],
    ],
    ids=["CSV", "with a mark and Windows ends", "semicolons and another order", "quoted", "JSON lines"],
)
def test_a_file_is_read_by_the_names_of_its_columns_whatever_its_form(taken, publication, lines):
    counts, named = taken(*lines)
    assert named == []
    assert counts == {"readings": 1, "suspects": 0, "bad_lines": 0, "publications": 1, "daily_views": 1}
    row = ViewsDaily.objects.get()
    assert (row.views, row.read_at) == (7, dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("-100,55,7", "has 3 fields and not 4"),
        (f"-100,55,7,{TIME},", "has 5 fields and not 4"),
        (f"-100,55,seven,{TIME}", "views 'seven' is no whole number"),
        (f"-100,55,-7,{TIME}", "views '-7' is no whole number from 0"),
        (f"-100,55,2147483648,{TIME}", "from 0 to 2147483647"),
        (f"-100,55,1_0,{TIME}", "is no whole number"),
        (f"-100,55,٧,{TIME}", "is no whole number"),
        (f"-100,99999999999999999999,7,{TIME}", "message_id '99999999999999999999' is no whole number"),
        (f"-100,9223372036854775808,7,{TIME}", "is no whole number"),
        (f"-100,56,7,{TIME}", "there is no publication 56 in channel -100"),
        (f"-101,55,7,{TIME}", "there is no publication 55 in channel -101"),
        ("-100,55,7,2026-01-31T12:00:00", "is no time with a zone; write 2026-01-31T09:00:00Z"),
        ("-100,55,7,1700000000", "is no time with a zone"),
        ("-100,55,7,2026-02-01T00:06:00Z", "is in the future"),
        ("-100,55,7,1970-01-01T00:00:00Z", "is before there was Telegram"),
        (f"-100,55,7,{'9' * 100}", "is none; write"),
        (f"-100,55,7,{TIME}{' ' * LONGEST}", "is longer than"),
        (f"-100,55,7,{TIME}" + "x" * (3 * CHUNK), "is longer than"),
        (f"-100,55,7\0,{TIME}", "is no whole number"),
        (b"-100,55,\xff," + TIME.encode(), "is no text in UTF-8"),
        (f'-100,55,"7,{TIME}', "unexpected end of data"),
    ],
)
def test_a_bad_line_is_named_with_its_number_and_reason_and_the_rest_is_kept(taken, publication, line, reason):
    counts, named = taken(HEADER, line, "", f"-100,55,7,{TIME}", fails=True)
    assert (counts["readings"], counts["bad_lines"], len(named)) == (1, 1, 1)
    assert named[0].startswith("line 2: ") and reason in named[0]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "is no JSON"),
        ("[" * 5000, "is no JSON"),
        ("[1]", "is no JSON object"),
        ('{"tg_chat_id": -100, "message_id": 55, "views": 7}', "has no time"),
        (as_json(views=7.5), "views 7.5 is no whole number"),
        (as_json(views=True), "views True is no whole number"),
        (as_json(views=float("nan")), "is no whole number"),
        (as_json(time=1700000000), "time 1700000000 is none"),
        (as_json(time="\ud800"), "is no time with a zone"),
    ],
)
def test_a_bad_line_of_json_is_named_too(taken, publication, line, reason):
    counts, named = taken(as_json(), line, as_json(), fails=True)
    assert (counts["readings"], counts["bad_lines"]) == (2, 1)
    assert named[0].startswith("line 2: ") and reason in named[0]


def test_of_many_bad_lines_all_are_named_and_the_run_keeps_the_first_and_their_number(taken, publication):
    counts, named = taken(HEADER, *["nonsense"] * 30, fails=True)
    assert (counts["bad_lines"], len(named)) == (30, 30)
    run = JobRun.objects.get()
    lines = run.error.splitlines()
    assert (run.outcome, len(lines), lines[-1]) == ("failed", 21, "and 10 more")


def test_a_suspect_reading_is_named_and_fails_nothing(taken, publication):
    counts, named = taken(HEADER, f"-100,55,7,{TIME}", "-100,55,5,2026-01-31T13:00:00Z")
    assert (counts["suspects"], counts["bad_lines"]) == (1, 0)
    assert named == [
        "channel -100, message 55: 5 views at 2026-01-31T13:00:00+00:00 is suspect,"
        " below 7 of 2026-01-31T12:00:00+00:00; kept aside"
    ]
    assert SuspectReading.objects.get().source == "views.csv"


def test_a_second_run_changes_nothing(taken, publication):
    lines = [HEADER, f"-100,55,7,{TIME}", "-100,55,5,2026-01-31T13:00:00Z"]
    taken(*lines)
    counts, _ = taken(*lines)
    assert counts == {"readings": 2, "suspects": 1, "bad_lines": 0, "publications": 0, "daily_views": 0}
    assert SuspectReading.objects.count() == 1


def test_a_dry_run_counts_and_changes_nothing(taken, publication):
    counts, named = taken(HEADER, f"-100,55,7,{TIME}", "-100,55,5,2026-01-31T13:00:00Z", options=["--dry-run"])
    assert (counts["daily_views"], counts["publications"], len(named)) == (1, 1, 1)
    publication.refresh_from_db()
    assert (publication.views, ViewsDaily.objects.count(), SuspectReading.objects.count()) == (0, 0, 0)


def test_a_gzipped_file_is_read(taken, publication):
    assert taken(gzip.compress(f"{HEADER}\n-100,55,7,{TIME}\n".encode()))[0]["readings"] == 1


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"\n \n", "it is empty"),
        (b"chat,message\n1,2\n", "does not name the column tg_chat_id once; write CSV with the columns"),
        (f"{HEADER},time\n".encode(), "does not name the column time once"),
        (b"\xff\xfet\0g\0", "it is neither CSV nor JSON lines; write CSV"),
        (b"x" * 100_000, "does not name the column"),
        (gzip.compress(os.urandom(10_000))[:500], "cannot be read"),
        (gzip.compress(f"{HEADER}\n-100,55,7,{TIME}\n".encode() * 9000)[:-9], "nothing was taken in"),
        (None, "No such file or directory"),
        ("directory", "Is a directory"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(tmp_path, publication, content, why):
    path = tmp_path / "views\n2026"
    if content == "directory":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(CommandError) as refused:
        call_command("import_views", str(path), stderr=io.StringIO())
    assert (refused.value.returncode, "\n" in str(refused.value), why in str(refused.value)) == (2, False, True)
    assert not ViewsDaily.objects.exists()


def test_no_line_is_kept_beyond_its_limit():
    class Endless:
        left = 200

        def read(self, size):
            self.left -= 1
            return b"x" * size if self.left > 0 else b""

    ((number, line),) = numbered(Endless())
    assert (number, len(line) <= 2 * CHUNK, len(line) > LONGEST) == (1, True, True)


def test_lines_are_read_as_they_are_asked_for():
    stream = io.BufferedReader(io.BytesIO(f"{HEADER}\n".encode() + f"-100,55,7,{TIME}\n".encode() * 100_000))
    readings = ViewFile(stream).readings(now=dt.datetime.now(dt.UTC), refuse=print)
    next(readings)
    assert stream.tell() <= 2 * CHUNK


@pytest.mark.django_db(transaction=True)
def test_standard_input_is_read_and_a_terminal_sees_a_bar(publication, manage):
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    run = manage("import_views", "-", terminal=theirs)
    os.close(theirs)
    os.write(ours, f"{HEADER}\n-100,55,7,{TIME}\n\4\4\4".encode())
    seen = b""
    while b"written" not in seen:
        seen += os.read(ours, 1000)
    assert run.wait(timeout=60) == 0
    os.close(ours)
    assert b"reading: " in seen
    assert ViewsDaily.objects.count() == 1
