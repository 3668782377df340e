"""Rubbish into everything that takes something in: no 500, no traceback, nothing half-written, and a clear message.

Addresses, fields, filters and acts are read off the URL conf and the pages. HOSTILE_EXAMPLES=400 looks ten times
as long, each time at other rubbish; `make fuzz` does that and writes down what came of it.
"""

import gzip
import io
import json
import os
import re
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from django.contrib import admin
from django.core.management import CommandError, call_command, get_commands, load_command_class
from django.db import DatabaseError, connection, transaction
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from adminlog.jobs import JobCommand
from adminlog.passwords import PasswordCommand
from adminlog.roles import MANAGER, OWNER, SUPPORT
from analytics.view_files import COLUMNS, Unreadable, ViewFile
from smetabot.tests.door import code_of
from smetabot.tests.hostile import rubbish
from smetabot.tests.hostile.pages import FORM, Office, cookie, operation_of, place_path, posted
from smetabot.tests.hostile.rubbish import encoded
from smetabot.tests.hostile.tally import ANSWERS, ask, heads_of_journal, kind, report
from smetabot.tests.test_access import PLACES, held, rolled_back
from testbed.documents import write_section

EXAMPLES = os.environ.get("HOSTILE_EXAMPLES")
# Where the figures go.
REPORT = os.environ.get("HOSTILE_INPUT_REPORT")

# What the report says of memory and disk.
MEASURED: dict[str, str] = {}


def inputs(share: float) -> settings:
    return settings(
        max_examples=max(1, int(int(EXAMPLES or 40) * share)),
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        # Shrinking takes minutes, and what was drawn is printed.
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(scope="module", autouse=True)
def told() -> Iterator[None]:
    yield
    if REPORT:
        write_section(Path(REPORT), "Hostile input", report("make fuzz", MEASURED))


@pytest.fixture(scope="module")
def db(django_db_setup, django_db_blocker) -> Iterator[None]:
    """Without a transaction around it: after a value that PostgreSQL refuses, a page goes on only there."""
    with django_db_blocker.unblock():
        yield
        call_command("flush", verbosity=0, interactive=False)


@pytest.fixture(scope="module")
def office(db) -> Iterator[Office]:
    yield (office := Office())
    # Else all that followed would have been thrown at a stranger's login.
    assert office.send("GET", reverse("admin:index")).status_code == 200


whoever = st.sampled_from([OWNER, OWNER, OWNER, MANAGER, SUPPORT, "stranger", "halfway"])


def test_no_address_breaks(office):
    counted = kind("addresses, methods, headers, cookies")
    words = rubbish.texts.map(as_header)
    headers = ["HTTP_HOST", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_REFERER", "HTTP_ACCEPT_LANGUAGE"]
    headers += ["HTTP_USER_AGENT", "HTTP_ORIGIN", "HTTP_RANGE", "HTTP_X_CSRFTOKEN", "HTTP_COOKIE", "CONTENT_LENGTH"]

    @inputs(2.5)
    @given(st.data())
    def throw(data):
        place, who = data.draw(st.sampled_from(PLACES)), data.draw(whoever)
        path = office.path(place)
        if "<path" in place.route or "?P<" in place.route:
            key = data.draw(rubbish.keys)
            path = data.draw(st.sampled_from([path, place_path(place, key, app_label=key, url=key)]))
        method = data.draw(st.sampled_from(["GET", "GET", "GET", "HEAD", "POST", "PUT", "TRACE", "x"]))
        with_headers = data.draw(st.dictionaries(st.sampled_from(headers), words, max_size=2))
        cookies = data.draw(st.dictionaries(st.sampled_from(["csrftoken", "messages", "x"]), words, max_size=1))
        ask(
            counted,
            lambda: office.send(method, path, who=who, cookies=cookies, **with_headers),
            lasting=method in ("GET", "HEAD"),
        )

    throw()


def as_header(text: str) -> str:
    """As a server hands out what came in one."""
    return "".join(text.encode("utf-8", "surrogatepass").decode("latin-1").splitlines())[:4000]


def test_no_parameter_breaks_a_page(office):
    """Filters, orders, pages of lists and of sections, spans of charts, choices of parents."""
    counted = kind("parameters of addresses")
    pages = [page for page in office.pages if page.parameters]
    always = ["o", "p", "all", "e", "q", "_facets", "_popup", "_to_field", "_changelist_filters", "next", "page"]
    lookups = ["", "__exact", "__in", "__isnull", "__gt", "__contains", "__regex", "__range", "__year", "__x", "__"]

    @inputs(3)
    @given(st.data())
    def throw(data):
        page = data.draw(st.sampled_from(pages))
        columns = [field.name for field in page.place.model._meta.get_fields()] if page.place.model else ["x"]
        name = (
            st.sampled_from(page.parameters)
            | st.sampled_from(always)
            | st.builds("{}{}".format, st.sampled_from(columns), st.sampled_from(lookups))
        )
        asked = data.draw(st.lists(st.tuples(name, rubbish.values), min_size=1, max_size=3))
        who = page.who if page.who != OWNER else data.draw(st.sampled_from([OWNER, OWNER, SUPPORT]))
        ask(counted, lambda: office.send("GET", page.path, encoded(asked), who=who), lasting=True)

    throw()


def test_no_search_breaks(office):
    counted = kind("searches")
    lists = [(page.path, "q") for page in office.pages if page.place.name.endswith("_changelist")]
    choices = [
        {"app_label": model._meta.app_label, "model_name": model._meta.model_name, "field_name": name}
        for model, page in admin.site._registry.items()
        for name in page.autocomplete_fields
    ]
    words = rubbish.texts | rubbish.numbers | st.lists(rubbish.texts, max_size=12).map(" ".join)

    @inputs(1.5)
    @given(st.data())
    def throw(data):
        boxes = [*lists, (reverse("admin:find"), "q"), (reverse("admin:find"), "q"), (reverse("admin:search"), "s")]
        path, name = data.draw(st.sampled_from([*boxes, (reverse("admin:autocomplete"), "term")]))
        asked = {name: data.draw(words)}
        if name == "term":
            asked |= data.draw(st.sampled_from(choices)) | data.draw(
                st.sampled_from([{}, {"page": "0"}, {"page": "x"}])
            )
        ask(counted, lambda: office.send("GET", path, encoded(asked.items())), lasting=True)

    throw()


def test_no_form_breaks(office):
    """Also the exports, which are forms; also for those who may not send it."""
    counted = kind("fields of forms")
    forms = [page for page in office.pages if page.fields and not operation_of(page.place)]
    more = [
        "_save",
        "_continue",
        "_addanother",
        "_saveasnew",
        "_popup",
        "_to_field",
        "next",
        "format",
        "progress",
        "post",
    ]
    more += ["action", "_selected_action", "select_across", "index", "step", "initial-name"]

    @inputs(3)
    @given(st.data())
    def throw(data):
        page = data.draw(st.sampled_from(forms))
        names = st.sampled_from(page.fields) | st.sampled_from(page.fields) | st.sampled_from(more)
        typed = data.draw(st.dictionaries(names, rubbish.values, min_size=1, max_size=4))
        who = page.who if page.who != OWNER else data.draw(st.sampled_from([OWNER, OWNER, OWNER, MANAGER, SUPPORT]))
        form = data.draw(st.sampled_from([page.form, page.form, {}])) | typed
        pairs = list(form.items()) * data.draw(st.sampled_from([1, 1, 2]))
        ask(counted, lambda: office.post(page.path, pairs, who=who))

    throw()


def test_no_act_breaks_or_is_done_by_half(office):
    """On one row and on many: what is asked, the reason, the rows, and the page that was confirmed."""
    counted = kind("acts and their confirmations")
    pages = [page for page in office.pages if operation_of(page.place)]
    # Of other acts, of other rows, and of what was never shown.
    shown = [found["confirmation"] for page in pages if (found := office.look_ahead(page)).get("confirmation")]
    assert shown

    @inputs(2)
    @given(st.data())
    def throw(data):
        page = data.draw(st.sampled_from(pages))
        act, key = operation_of(page.place), str(office.rows[page.place.model].pk)
        path, form = page.path, dict(page.form)
        if act.in_bulk and data.draw(st.booleans()):
            path = reverse(f"admin:{page.place.about.lower().replace('.', '_')}_changelist")
            rows = data.draw(st.lists(st.just(key) | rubbish.keys, max_size=4))
            form |= {"action": act.name, "select_across": data.draw(st.sampled_from(["0", "1", "x"])), "index": "0"}
            form["_selected_action"] = rows
        if data.draw(st.booleans()):
            names = st.sampled_from(page.fields)
            form |= data.draw(st.dictionaries(names, rubbish.values, max_size=3))
        form["step"] = data.draw(st.sampled_from(["preview", "confirm", "confirm", "confirm", "x"]))
        form["reason"] = data.draw(st.just("asked for it") | rubbish.texts)
        forged = st.sampled_from(shown) | rubbish.texts | st.sampled_from(shown).map(lambda token: token[:-1] + "x")
        is_honest, repeated = data.draw(st.booleans()), data.draw(st.booleans())
        who = data.draw(st.sampled_from([OWNER, OWNER, OWNER, MANAGER, SUPPORT]))
        if not is_honest:
            form["confirmation"] = data.draw(forged)

        def send():
            if is_honest:
                ahead = posted(office.post(path, form | {"step": "preview"}, who=who))
                form["confirmation"] = ahead.get("confirmation", "")
            first = office.post(path, form, who=who)
            if repeated and form["step"] == "confirm":
                # Whatever came of it, it comes once.
                before = held()
                counted.inputs += 1
                assert office.post(path, form, who=who).status_code in ANSWERS
                assert held() == before, f"{path} was done twice"
            return first

        ask(counted, send)

    throw()


def test_no_forged_or_used_token_opens_anything(office):
    """Of a form, of a session, of a second factor; a password and a code are guessed no sooner than a lock-out."""
    counted = kind("tokens, sessions, codes, logins")
    door = Browser(enforce_csrf_checks=True)
    tokens = rubbish.texts | st.text("abcdefABCDEF0123456789", min_size=32, max_size=64)
    used = code_of(office.phone)
    spent = [used]

    @inputs(1.5)
    @given(st.data())
    def throw(data):
        what = data.draw(st.sampled_from(["csrf", "session", "code", "login"]))
        word = data.draw(tokens)
        if what == "csrf":
            page = data.draw(st.sampled_from([page for page in office.pages if page.fields]))
            token = data.draw(st.just("") | tokens.map(as_cookie))
            if token == word:
                # Whoever can set a cookie here is no other site.
                return
            door.cookies.clear()
            sent = cookie({"sessionid": office.sessions[OWNER], "csrftoken": token})
            form = encoded((page.form | {"csrfmiddlewaretoken": word}).items()).encode()
            response = ask(counted, lambda: door.generic("POST", page.path, form, FORM, **sent))
            assert response.status_code in (400, 403)
        elif what == "session":
            page = data.draw(st.sampled_from(office.pages))
            forged = {"sessionid": as_cookie(word)}
            response = ask(counted, lambda: office.send("GET", page.path, who="stranger", cookies=forged))
            assert response.status_code != 200 or page.who != OWNER or not page.place.name.startswith("admin:")
        elif what == "code":
            code = data.draw(st.sampled_from(spent) | tokens | st.integers(0, 999999).map("{:06}".format))
            if code == code_of(office.phone) or code == code_of(office.phone, steps=1):
                return
            response = ask(counted, lambda: office.post(reverse("admin:login_code"), {"code": code}, who="halfway"))
            assert response.headers.get("Location") != reverse("admin:index")
        else:
            form = {"username": data.draw(st.just("owner") | rubbish.values), "password": word}
            response = ask(counted, lambda: office.post(reverse("admin:login"), form, who="stranger"))
            assert response.status_code in (200, 400, 413)

    throw()


def as_cookie(text: str) -> str:
    return "".join(each for each in as_header(text) if each not in ';," \\')[:200]


def test_no_body_breaks_or_fills_anything(office):
    """Kinds of content, lengths that are none, multipart rubbish, thousands of fields, files."""
    counted = kind("bodies, files, kinds of content")
    types = ["", "text/plain", "application/json", "multipart/form-data", "multipart/form-data; boundary=", "\xff"]
    types += [
        "multipart/form-data; boundary=x",
        "multipart/form-data; boundary=x; charset=x",
        f"{FORM}; charset=utf-16",
    ]
    types += ["multipart/form-data; boundary=" + "x" * 300, "multipart/mixed; boundary=x", "a/b; c=d; " * 50]
    forms = [page for page in office.pages if page.fields]
    parts = (
        rubbish.values.map(lambda value: ('name="action"', value))
        | rubbish.texts.map(lambda name: (f'name="{name}"', "x"))
        | st.tuples(st.just('name="f"; filename="x.txt"'), rubbish.values)
        | st.tuples(st.just("name=\"f\"; filename*=UTF-8''%ff"), rubbish.values)
        | st.tuples(st.just('filename="../../x"'), rubbish.values)
        | st.tuples(st.just('name="f"\r\nContent-Transfer-Encoding: base64'), rubbish.values)
        | st.tuples(st.just("x" * 3000), st.just(""))
    )
    bodies = (
        st.lists(parts, max_size=5).map(in_parts)
        | st.binary(max_size=300)
        | rubbish.values.map(lambda value: value.encode("utf-8", "surrogatepass"))
        | st.sampled_from([b"a=b&" * 2000, b"&" * 50_000, b"=" * 5000, b"a" * 2_000_000, b"x" * 10_000_000, b"%" * 999])
        | st.just(in_parts([(f'name="f{n}"', "") for n in range(2000)]))
        | st.just(in_parts([(f'name="f{n}"; filename="{n}"', "x" * 100) for n in range(200)]))
    )

    @inputs(1.5)
    @given(st.data())
    def throw(data):
        page, kind_of_content = data.draw(st.sampled_from(forms)), data.draw(st.sampled_from([FORM, *types, *types]))
        body = data.draw(bodies)
        if data.draw(st.booleans()):
            body = body[: data.draw(st.integers(0, 400))]
        length = data.draw(st.sampled_from([{}, {}, {}, *({"CONTENT_LENGTH": n} for n in LENGTHS)]))
        # Not the test client's own, which ends the test where a body is shorter than it says.
        about = {"body": body, "who": page.who, "content_type": kind_of_content, "wsgi.input": io.BytesIO(body)}
        ask(counted, lambda: office.send("POST", page.path, **about, **length))

    throw()


LENGTHS = ["", "-1", "x", "0", "1", "1.5", "9" * 30, "1000000", "²"]


def in_parts(parts: list[tuple[str, str]]) -> bytes:
    text = "".join(f"--x\r\nContent-Disposition: form-data; {about}\r\n\r\n{value}\r\n" for about, value in parts)
    return f"{text}--x--\r\n".encode("utf-8", "surrogatepass")


def test_no_file_of_readings_breaks_the_import(db, tmp_path):
    counted = kind("lines and files of import_views")
    now = timezone.now()
    good = "-1001,1,5,2026-01-31T09:00:00Z"
    fields = st.lists(rubbish.values, max_size=6)
    lines = (
        st.just(good)
        | fields.map(",".join)
        | fields.map(json.dumps)
        | st.fixed_dictionaries(dict.fromkeys(COLUMNS, rubbish.plain_documents | rubbish.values)).map(json.dumps)
        | rubbish.values
    ).map(lambda line: line.encode("utf-8", "surrogatepass")) | st.binary(max_size=50)
    headers = st.sampled_from([",".join(COLUMNS), ";".join(COLUMNS), "views", "{", "\ufeff" + ",".join(COLUMNS), ""])

    @inputs(1.5)
    @given(st.data())
    def throw(data):
        header = data.draw(st.just(",".join(COLUMNS)) | headers | rubbish.values).encode("utf-8", "surrogatepass")
        written = b"\n".join([header, *data.draw(st.lists(lines, max_size=20))])
        if data.draw(st.integers(0, 4)) == 0:
            written = gzip.compress(written)[: data.draw(st.integers(0, 500))]
        counted.inputs += written.count(b"\n") + 1
        refused = []
        try:
            file = ViewFile(io.BufferedReader(io.BytesIO(written)))
            readings = list(file.readings(now=now, refuse=lambda number, why: refused.append(why)))
        except Unreadable as why:
            refused.append(str(why))
        except Exception:
            counted.broken += 1
            raise
        else:
            assert all(abs(reading.tg_chat_id) < 2**63 and 0 <= reading.views < 2**31 for reading in readings)
        assert all(why and "\n" not in why and len(why) < 500 for why in refused), refused
        if data.draw(st.integers(0, 9)) == 0:
            (path := tmp_path / "readings").write_bytes(written)
            run(counted, "import_views", [str(path)])

    throw()


def test_no_argument_breaks_a_command(db, tmp_path, monkeypatch):
    """Jobs are run with it, without lasting effect, and what makes logins; of what changes the machine the arguments
    are only read."""
    counted = kind("arguments of commands")
    # Where a name is taken for a file's.
    monkeypatch.chdir(tmp_path)
    words = rubbish.texts | rubbish.numbers | rubbish.moments

    @inputs(5)
    @given(st.data())
    def throw(data):
        name = data.draw(st.sampled_from(COMMANDS))
        command = load_command_class(get_commands()[name], name)
        parser = command.create_parser("manage.py", name)
        # Those of Django's own are obeyed before a command is asked.
        ours = [each for each in parser._actions if each.dest not in DJANGOS]
        arguments: list[str] = []
        for each in ours:
            if each.option_strings and data.draw(st.integers(0, 2)):
                continue
            flag = [data.draw(st.sampled_from(each.option_strings))] if each.option_strings else []
            value = data.draw(st.sampled_from(list(each.choices or [])) if each.choices else words)
            arguments += flag if each.nargs == 0 else [*flag[:-1], f"{flag[-1]}={value}"] if flag else [value]
        arguments += data.draw(st.lists(words, max_size=1))
        if isinstance(command, JobCommand):
            # What lasts is another matter.
            return run(counted, name, [*arguments, "--dry-run"])
        if isinstance(command, PasswordCommand):
            return run(counted, name, arguments)
        counted.inputs += 1
        with suppress(CommandError):
            parser._called_from_command_line = False
            parser.parse_args(arguments)

    throw()


OURS = ["core", "billing", "analytics", "referrals", "adminlog", "smetabot"]
COMMANDS = sorted(name for name, app in get_commands().items() if app in OURS)
DJANGOS = {"help", "version", "verbosity", "settings", "pythonpath", "traceback", "no_color", "force_color"} | {
    "skip_checks"
}


def run(counted, name: str, arguments: list[str]) -> None:
    """What it refuses it refuses in one line, with exit 2, and has done nothing."""
    counted.inputs += 1
    before, heads = held(), heads_of_journal()
    out, err = io.StringIO(), io.StringIO()
    refused = None
    try:
        with rolled_back():
            try:
                call_command(name, *arguments, stdout=out, stderr=err)
            except CommandError as error:
                refused = error
            after, acts = held(), heads_of_journal() - heads
    except Exception:
        counted.broken += 1
        raise
    told = f"{name} {arguments!r:.300}: {refused}"
    changed = {table for table in after if after[table] != before[table]} - {"admin.job_runs", "admin.admin_alerts"}
    counted.done += bool(changed)
    if changed and (acts != 1 or refused):
        counted.half_written += 1
        raise AssertionError(f"{told} changed {changed}")
    if refused and ("\n" in str(refused) or refused.returncode not in (1, 2) or not str(refused)):
        counted.unclear += 1
        raise AssertionError(told)


def test_no_row_that_the_bot_may_have_written_breaks_a_page_a_file_or_a_check(office):
    """Whatever PostgreSQL stores in a column."""
    counted = kind("rows of the bot")
    storable = rubbish.values.filter(lambda value: "\0" not in value and not re.search("[\ud800-\udfff]", value))
    documents = storable.map(json.dumps) | st.sampled_from(
        [
            f"[{'9' * 400}.5]",
            "9" * 5000,
            "1e5000",
            "[" * 1500 + "]" * 1500,
            "[" * 500 + "]" * 500,
            '{"team_size": 1e300}',
        ]
    )

    @inputs(0.015)
    @given(st.data())
    def throw(data):
        with rolled_back():
            # To the schema admin the bot does not write.
            theirs = {model: row for model, row in office.rows.items() if model._meta.app_label != "adminlog"}
            is_put = []
            for model, row in theirs.items():
                for field in model._meta.concrete_fields:
                    if is_anything := field.get_internal_type() in ("TextField", "CharField") and not field.choices:
                        value = data.draw(storable)
                    elif is_anything := field.get_internal_type() == "JSONField":
                        value = data.draw(documents)
                    if is_anything:
                        is_put.append(put(model, field.column, row.pk, value))
            assert sum(is_put) > len(is_put) / 3
            rows = [page for page in office.pages if page.who == OWNER and page.place.model]
            for page in [page for page in rows if "delete" not in page.place.name]:
                ask(counted, partial(office.send, "GET", page.path), lasting=True)
            for page in [page for page in rows if page.place.name.endswith("_export")]:
                for format in ("csv", "xlsx"):
                    ask(counted, partial(office.post, page.path, {"format": format}))
            ask(counted, lambda: office.send("GET", reverse("admin:index")), lasting=True)
            run(counted, "check_data", [])

    throw()


class Endless(io.RawIOBase):
    """So many bytes of nothing."""

    def __init__(self, length: int) -> None:
        self.length, self.given = length, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        size = min(len(buffer), self.length - self.given)
        buffer[:size] = bytes(size)
        self.given += size
        return size


@pytest.mark.parametrize(("what", "packed"), [("one line of {} MB", False), ("one packed line of {} MB", True)])
def test_no_line_of_a_file_fills_the_memory(what, packed):
    length = (1000 if EXAMPLES and not packed else 20) * 2**20
    stream = io.BufferedReader(Endless(length))
    if packed:
        (written := io.BytesIO()).write(gzip.compress(bytes(2**20), 1) * (length // 2**20))
        written.seek(0)
        stream = io.BufferedReader(written)
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable):
            ViewFile(stream)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    MEASURED[f"import_views, {what.format(length // 2**20)}"] = f"{peak / 2**20:.1f} MB of memory at most"
    assert peak < 2 * 2**20


@pytest.mark.parametrize("content_type", [FORM, "multipart/form-data; boundary=x"])
def test_no_long_body_is_read(client, content_type):
    body = Endless(2**30)
    about = {"wsgi.input": body, "CONTENT_LENGTH": str(2**30), "CONTENT_TYPE": content_type}
    assert client.generic("POST", "/admin/login/", **about).status_code == 413
    MEASURED[f"1 GB as {content_type.partition(';')[0]}"] = f"{body.given} bytes of it read, answer 413"
    assert body.given == 0


def put(model, column: str, key: int, value: str) -> bool:
    """Whether the table's own rules let it in."""
    with suppress(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(f'UPDATE "{model._meta.db_table}" SET {column} = %s WHERE id = %s', [value, key])
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
        return True
    return False
